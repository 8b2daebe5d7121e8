// As much of NCCL as the backend calls, between the threads of one process and in host
// memory. Every call returns at once; what was called for is done when all ranks have
// called for it, which asking for the communicator's state shows.
#include <nccl.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace {

enum class Kind { kJoin, kMean, kGather, kSend, kReceive, kLeave };

struct Call {
  Kind kind;
  const void* from = nullptr;
  void* to = nullptr;
  size_t count = 0;
  ncclDataType_t type = ncclFloat;
  int peer = -1;
};

struct Ranks {
  size_t size = 0;
  std::map<int, std::vector<Call>> posted;  // By rank, of the round under way.
  int64_t rounds = 0;                       // That are done.
};

std::mutex mutex;
std::map<std::string, std::shared_ptr<Ranks>> all_ranks;  // By id.
thread_local int depth = 0;
thread_local std::vector<std::pair<ncclComm_t, Call>> grouped;

size_t Bytes(const Call& call) { return call.count * (call.type == ncclDouble ? 8 : 4); }

// From the last rank to the first: not the order that the backend promises elsewhere.
template <typename T>
void Mean(const std::vector<const Call*>& calls) {
  std::vector<T> sums(calls[0]->count, T(0));
  for (auto call = calls.rbegin(); call != calls.rend(); ++call) {
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += static_cast<const T*>((*call)->from)[i];
  }
  for (T& sum : sums) sum /= static_cast<T>(calls.size());
  for (const Call* call : calls) std::memcpy(call->to, sums.data(), Bytes(*call));
}

void Exchange(Ranks& ranks, int rank, const Call& send) {
  for (const Call& receive : ranks.posted.at(send.peer)) {
    if (receive.kind == Kind::kReceive && receive.peer == rank) {
      std::memcpy(receive.to, send.from, Bytes(send));
    }
  }
}

// Whether all ranks have called for the same; else they wait for ever.
bool AreAlike(const Ranks& ranks) {
  const std::vector<Call>& first = ranks.posted.begin()->second;
  return std::all_of(ranks.posted.begin(), ranks.posted.end(), [&](const auto& rank) {
    return rank.second.size() == first.size() && rank.second[0].kind == first[0].kind;
  });
}

void DoRound(Ranks& ranks) {
  for (size_t i = 0; i < ranks.posted.begin()->second.size(); ++i) {
    std::vector<const Call*> calls;
    for (const auto& [rank, list] : ranks.posted) calls.push_back(&list.at(i));
    const Call& first = *calls[0];
    if (first.kind == Kind::kMean && first.type == ncclDouble) Mean<double>(calls);
    if (first.kind == Kind::kMean && first.type == ncclFloat) Mean<float>(calls);
    for (size_t r = 0; r < calls.size(); ++r) {
      if (first.kind == Kind::kSend) Exchange(ranks, static_cast<int>(r), *calls[r]);
      for (const Call* call : calls) {
        if (first.kind != Kind::kGather) continue;
        std::memmove(static_cast<char*>(call->to) + r * Bytes(first), calls[r]->from, Bytes(first));
      }
    }
  }
  ranks.posted.clear();
  ++ranks.rounds;
}

}  // namespace

struct ncclComm {
  std::shared_ptr<Ranks> ranks;
  int rank = 0;
  int64_t rounds = 0;  // That this rank has called for.
};

namespace {

ncclResult_t Post(ncclComm_t comm, std::vector<Call> calls) {
  const std::lock_guard lock(mutex);
  comm->ranks->posted[comm->rank] = std::move(calls);
  ++comm->rounds;
  if (comm->ranks->posted.size() == comm->ranks->size && AreAlike(*comm->ranks)) {
    DoRound(*comm->ranks);
  }
  return ncclInProgress;
}

ncclResult_t Add(ncclComm_t comm, const Call& call) {
  if (depth == 0) return Post(comm, {call});
  grouped.emplace_back(comm, call);
  return ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  const char* wanted = std::getenv("WSI_FAKE_NCCL_VERSION");
  *version = wanted == nullptr ? NCCL_VERSION_CODE : std::atoi(wanted);
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  static int made = 0;
  const std::lock_guard lock(mutex);
  const std::string text = std::to_string(++made);
  std::memset(id->internal, 0, sizeof(id->internal));
  text.copy(id->internal, text.size());
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t) { return "a fake error"; }
const char* ncclGetLastError(ncclComm_t) { return ""; }
ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int size, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config->blocking != 0) return ncclInvalidArgument;
  {
    const std::lock_guard lock(mutex);
    std::shared_ptr<Ranks>& ranks = all_ranks[id.internal];
    if (!ranks) ranks = std::make_shared<Ranks>();
    ranks->size = static_cast<size_t>(size);
    *comm = std::make_unique<ncclComm>(ncclComm{.ranks = ranks, .rank = rank}).release();
  }
  return Post(*comm, {{.kind = Kind::kJoin}});
}
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* state) {
  const std::lock_guard lock(mutex);
  *state = comm->rounds <= comm->ranks->rounds ? ncclSuccess : ncclInProgress;
  return ncclSuccess;
}
ncclResult_t ncclCommFinalize(ncclComm_t comm) { return Post(comm, {{.kind = Kind::kLeave}}); }
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const std::unique_ptr<ncclComm> owned(comm);
  return ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
ncclResult_t ncclGroupStart() {
  ++depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--depth > 0 || grouped.empty()) return ncclSuccess;
  std::vector<Call> calls;
  for (const auto& [comm, call] : grouped) calls.push_back(call);
  const ncclComm_t comm = grouped[0].first;
  grouped.clear();
  return Post(comm, std::move(calls));
}
ncclResult_t ncclAllReduce(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t) {
  if (op != ncclAvg) return ncclInvalidArgument;
  return Add(comm, {.kind = Kind::kMean, .from = from, .to = to, .count = count, .type = type});
}
ncclResult_t ncclAllGather(const void* from, void* to, size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t) {
  return Add(comm, {.kind = Kind::kGather, .from = from, .to = to, .count = count, .type = type});
}
ncclResult_t ncclSend(const void* from, size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t) {
  return Add(comm, {.kind = Kind::kSend, .from = from, .count = count, .type = type, .peer = peer});
}
ncclResult_t ncclRecv(void* to, size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t) {
  return Add(comm, {.kind = Kind::kReceive, .to = to, .count = count, .type = type, .peer = peer});
}

}  // extern "C"

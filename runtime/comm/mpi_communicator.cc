#include "runtime/comm/mpi_communicator.h"

#include <fmt/format.h>
#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <thread>

#include "runtime/base/checked.h"
#include "runtime/comm/guardian.h"
#include "runtime/comm/peer_notes.h"
#include "runtime/comm/watchdog.h"

namespace wsi {
namespace {

using Clock = std::chrono::steady_clock;

// How long a waiting rank polls without sleep. By the clock, for on a busy machine giving way to
// others takes long.
constexpr auto kEagerTime = std::chrono::milliseconds(2);
constexpr auto kPollInterval = std::chrono::microseconds(50);
constexpr auto kAbortPatience = std::chrono::seconds(5);
constexpr std::chrono::milliseconds kAnswerPatience = std::chrono::seconds(2);
constexpr size_t kMostElements = size_t{1} << 28;     // Of one call of MPI, which counts in int.
constexpr size_t kOrderedElements = size_t{1} << 20;  // Of one round of a sum by ranks.

Status MpiError(int code, const char* expression) {
  std::string text(MPI_MAX_ERROR_STRING, '\0');
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  text.resize(static_cast<size_t>(length));
  return {ErrorCode::kPeer, fmt::format("{}: {}", expression, text)};
}

#define WSI_RETURN_IF_MPI_ERROR(expression)                                      \
  do {                                                                           \
    const int wsi_mpi_code = (expression);                                       \
    if (wsi_mpi_code != MPI_SUCCESS) return MpiError(wsi_mpi_code, #expression); \
  } while (false)

template <typename T>
MPI_Datatype TypeOf();
template <>
MPI_Datatype TypeOf<float>() {
  return MPI_FLOAT;
}
template <>
MPI_Datatype TypeOf<double>() {
  return MPI_DOUBLE;
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(const CommunicatorOptions& options) : timeout_(options.timeout) {}
  // Waits for all ranks, so that none is gone while others still need it.
  ~MpiCommunicator() override;
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  Status Start();

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int local_size() const override { return local_size_; }
  int local_rank() const override { return local_rank_; }
  Status Mean(std::span<float> values, SumOrder order) override {
    return order == SumOrder::kAny ? AnyMean(values) : MeanByRanks(values, float_scratch_);
  }
  Status Mean(std::span<double> values, SumOrder order) override {
    return order == SumOrder::kAny ? AnyMean(values) : MeanByRanks(values, double_scratch_);
  }
  Status Max(std::span<int64_t> values) override;
  Status Broadcast(std::span<std::byte> bytes, int root) override;
  Result<std::vector<std::string>> Gather(std::string_view bytes) override;
  Status CheckPeers(std::string_view operation) override;
  Status GiveUp(std::string_view operation) override;
  PeerFailure failure() const override { return failure_; }
  void Announce(const PeerFailure& failure) override;
  void Interrupt(int rank) override { gone_rank_.store(rank); }
  [[noreturn]] void Abort(int exit_code) override;

 private:
  // Polls, for no call of MPI that blocks can be given up.
  Status Wait(MPI_Request request, std::string_view operation);
  // Reads the notes that have come. kPeer where one is a failure.
  Status ReadNotes();
  // Asks every rank where it is: those that do not answer have not come. The first of them.
  int FindMissing();
  Status Broken(int rank, std::string message);
  template <typename T>
  Status AnyMean(std::span<T> values);
  template <typename T>
  Status MeanByRanks(std::span<T> values, std::vector<T>& scratch);
  template <typename T>
  Status MeanOfPart(std::span<T> part, std::span<T> scratch);
  void CutIntoSlices(size_t elements);

  std::chrono::milliseconds timeout_;
  Guardian guardian_;  // Made ahead of MPI's start.
  MPI_Comm comm_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  int local_size_ = 1;
  int local_rank_ = 0;
  bool is_broken_ = false;
  PeerFailure failure_;
  std::atomic<int> gone_rank_ = -1;
  int64_t operations_ = 0;  // Begun.
  PeerNotes notes_;
  std::vector<int64_t> answers_;  // By rank: the operation that it waits in; -1: no answer.
  // Of a sum by ranks: which elements each rank adds up.
  std::vector<int> slice_sizes_;
  std::vector<int> slice_offsets_;
  std::vector<int> part_sizes_;  // Of this rank's slice as each rank sends it.
  std::vector<int> part_offsets_;
  std::vector<float> float_scratch_;
  std::vector<double> double_scratch_;
};

Status MpiCommunicator::Start() {
  const Watchdog watchdog(timeout_, "MPI's start", ExitCode(ErrorCode::kPeer));
  int provided = MPI_THREAD_SINGLE;
  WSI_RETURN_IF_MPI_ERROR(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_dup(MPI_COMM_WORLD, &comm_));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_rank(comm_, &rank_));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_size(comm_, &size_));
  if (size_ != LaunchedRanks()) {
    is_broken_ = true;
    return {ErrorCode::kPeer,
            fmt::format("started as one of {} ranks, but MPI finds {}: the launcher is of another "
                        "MPI; this wsirun goes with {}",
                        LaunchedRanks(), size_, LauncherName())};
  }
  if (provided < MPI_THREAD_SERIALIZED) {
    return {ErrorCode::kPeer,
            fmt::format("this MPI gives thread level {}, wanted MPI_THREAD_SERIALIZED ({})",
                        provided, MPI_THREAD_SERIALIZED)};
  }
  WSI_RETURN_IF_ERROR(notes_.Open(comm_));
  answers_.resize(static_cast<size_t>(size_), -1);
  MPI_Comm local = MPI_COMM_NULL;
  WSI_RETURN_IF_MPI_ERROR(
      MPI_Comm_split_type(comm_, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_size(local, &local_size_));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_rank(local, &local_rank_));
  WSI_RETURN_IF_MPI_ERROR(MPI_Comm_free(&local));
  for (std::vector<int>* list : {&slice_sizes_, &slice_offsets_, &part_sizes_, &part_offsets_}) {
    list->resize(static_cast<size_t>(size_));
  }
  return {};
}

MpiCommunicator::~MpiCommunicator() {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized == 0) return;
  if (comm_ != MPI_COMM_NULL && !is_broken_) {
    MPI_Request request = MPI_REQUEST_NULL;
    if (MPI_Ibarrier(comm_, &request) != MPI_SUCCESS || !Wait(request, "the end").ok()) {
      Abort(ExitCode(ErrorCode::kPeer));
    }
  }
  guardian_.WantEndWithin(timeout_ + kAbortPatience);  // The others may have gone.
  const Watchdog watchdog(timeout_, "MPI's end", ExitCode(ErrorCode::kPeer));
  if (comm_ != MPI_COMM_NULL && !is_broken_) {
    notes_.Close();
    MPI_Comm_free(&comm_);
  }
  MPI_Finalize();
}

// NOLINTBEGIN(clang-analyzer-optin.mpi.MPI-Checker): requests end in Wait, which polls, or with
// the process.
Status MpiCommunicator::Wait(MPI_Request request, std::string_view operation) {
  const Clock::time_point start = Clock::now();
  ++operations_;
  while (true) {
    int done = 0;
    const int code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS) return Broken(-1, MpiError(code, "MPI_Test").message());
    if (done != 0) return {};
    const Clock::duration waited = Clock::now() - start;
    if (waited < kEagerTime) {
      std::this_thread::yield();
      continue;
    }
    WSI_RETURN_IF_ERROR(CheckPeers(operation));
    if (waited > timeout_) return GiveUp(operation);
    std::this_thread::sleep_for(kPollInterval);
  }
}

Status MpiCommunicator::CheckPeers(std::string_view operation) {
  const int gone = gone_rank_.load();
  if (gone >= 0) return Broken(gone, fmt::format("{}: rank {} has ended", operation, gone));
  Status read = ReadNotes();
  return read.ok() ? read : read.WithContext(operation);
}

Status MpiCommunicator::GiveUp(std::string_view operation) {
  const int missing = FindMissing();
  const std::string who =
      missing < 0 ? "not every rank took" : fmt::format("rank {} did not take", missing);
  return Broken(missing,
                fmt::format("{}: {} part within {} s (--comm-timeout); it may have stopped",
                            operation, who, std::chrono::duration<double>(timeout_).count()));
}

Status MpiCommunicator::Broken(int rank, std::string message) {
  is_broken_ = true;
  if (failure_.rank < 0) failure_.rank = rank;
  return {ErrorCode::kPeer, std::move(message)};
}

Status MpiCommunicator::ReadNotes() {
  while (const std::optional<PeerNote> note = notes_.Next()) {
    const auto from = static_cast<size_t>(note->from);
    if (note->kind == PeerNote::Kind::kFailure) {
      failure_ = {note->about, note->text.data()};
      return Broken(note->about, fmt::format("rank {}: {}", note->from, note->text.data()));
    }
    answers_[from] = note->operations;
    if (note->kind == PeerNote::Kind::kQuestion) {
      notes_.Send(note->from, {.kind = PeerNote::Kind::kAnswer, .operations = operations_});
    }
  }
  return {};
}

int MpiCommunicator::FindMissing() {
  const auto own = static_cast<size_t>(rank_);
  answers_[own] = operations_;
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) notes_.Send(r, {.kind = PeerNote::Kind::kQuestion, .operations = operations_});
  }
  const Clock::time_point deadline = Clock::now() + std::min(timeout_, kAnswerPatience);
  const auto unanswered = [&] { return std::find(answers_.begin(), answers_.end(), -1); };
  while (unanswered() != answers_.end() && Clock::now() < deadline) {
    if (!ReadNotes().ok()) return failure_.rank;
    std::this_thread::sleep_for(kPollInterval);
  }
  if (unanswered() != answers_.end()) return static_cast<int>(unanswered() - answers_.begin());
  // All of them wait: for whoever is behind.
  const auto last = std::min_element(answers_.begin(), answers_.end());
  return *last < operations_ ? static_cast<int>(last - answers_.begin()) : -1;
}

void MpiCommunicator::Announce(const PeerFailure& failure) {
  is_broken_ = true;
  if (rank_ == 0) return;
  PeerNote note = {.kind = PeerNote::Kind::kFailure, .about = failure.rank};
  note.SetText(failure.what);
  notes_.Send(0, note);
  // Calls into MPI, for it sends only then.
  const Clock::time_point deadline = Clock::now() + timeout_;
  while (Clock::now() < deadline && gone_rank_.load() < 0) {
    notes_.Next();
    std::this_thread::sleep_for(kPollInterval);
  }
}

template <typename T>
Status MpiCommunicator::AnyMean(std::span<T> values) {
  const T scale = T(1) / static_cast<T>(size_);
  for (size_t begin = 0; begin < values.size(); begin += kMostElements) {
    const std::span<T> part = values.subspan(begin, std::min(kMostElements, values.size() - begin));
    MPI_Request request = MPI_REQUEST_NULL;
    WSI_RETURN_IF_MPI_ERROR(MPI_Iallreduce(MPI_IN_PLACE, part.data(), static_cast<int>(part.size()),
                                           TypeOf<T>(), MPI_SUM, comm_, &request));
    WSI_RETURN_IF_ERROR(Wait(request, "sum over ranks"));
    for (T& value : part) value *= scale;
  }
  return {};
}

template <typename T>
Status MpiCommunicator::MeanByRanks(std::span<T> values, std::vector<T>& scratch) {
  scratch.resize(kOrderedElements + static_cast<size_t>(size_));
  for (size_t begin = 0; begin < values.size(); begin += kOrderedElements) {
    const size_t count = std::min(kOrderedElements, values.size() - begin);
    WSI_RETURN_IF_ERROR(MeanOfPart(values.subspan(begin, count), std::span(scratch)));
  }
  return {};
}

void MpiCommunicator::CutIntoSlices(size_t elements) {
  const auto ranks = static_cast<size_t>(size_);
  for (size_t r = 0; r < ranks; ++r) {
    slice_offsets_[r] = static_cast<int>(r * elements / ranks);
    slice_sizes_[r] = static_cast<int>((r + 1) * elements / ranks) - slice_offsets_[r];
  }
  const int own = slice_sizes_[static_cast<size_t>(rank_)];
  for (size_t r = 0; r < ranks; ++r) {
    part_sizes_[r] = own;
    part_offsets_[r] = own * static_cast<int>(r);
  }
}

// Every rank adds up one slice and gives the others its sums:
//
//            slice 0  slice 1                  slice 0  slice 1
//   rank 0   a0       a1        all-to-all >   a0 + b0             all-gather >  both, on both
//   rank 1   b0       b1                                a1 + b1
template <typename T>
Status MpiCommunicator::MeanOfPart(std::span<T> part, std::span<T> scratch) {
  CutIntoSlices(part.size());
  MPI_Request request = MPI_REQUEST_NULL;
  WSI_RETURN_IF_MPI_ERROR(MPI_Ialltoallv(part.data(), slice_sizes_.data(), slice_offsets_.data(),
                                         TypeOf<T>(), scratch.data(), part_sizes_.data(),
                                         part_offsets_.data(), TypeOf<T>(), comm_, &request));
  WSI_RETURN_IF_ERROR(Wait(request, "sum by ranks"));
  const auto own = static_cast<size_t>(rank_);
  const auto count = static_cast<size_t>(slice_sizes_[own]);
  const std::span<T> slice = part.subspan(static_cast<size_t>(slice_offsets_[own]), count);
  const T scale = T(1) / static_cast<T>(size_);
  for (size_t i = 0; i < count; ++i) {
    T sum = 0;
    for (size_t r = 0; r < static_cast<size_t>(size_); ++r) sum += scratch[r * count + i];
    slice[i] = sum * scale;
  }
  WSI_RETURN_IF_MPI_ERROR(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, part.data(),
                                          slice_sizes_.data(), slice_offsets_.data(), TypeOf<T>(),
                                          comm_, &request));
  return Wait(request, "sum by ranks");
}

Status MpiCommunicator::Max(std::span<int64_t> values) {
  MPI_Request request = MPI_REQUEST_NULL;
  WSI_RETURN_IF_MPI_ERROR(MPI_Iallreduce(MPI_IN_PLACE, values.data(),
                                         static_cast<int>(values.size()), MPI_INT64_T, MPI_MAX,
                                         comm_, &request));
  return Wait(request, "agreement");
}

Status MpiCommunicator::Broadcast(std::span<std::byte> bytes, int root) {
  for (size_t begin = 0; begin < bytes.size(); begin += kMostElements) {
    const size_t count = std::min(kMostElements, bytes.size() - begin);
    MPI_Request request = MPI_REQUEST_NULL;
    WSI_RETURN_IF_MPI_ERROR(
        MPI_Ibcast(bytes.data() + begin, static_cast<int>(count), MPI_BYTE, root, comm_, &request));
    WSI_RETURN_IF_ERROR(Wait(request, "broadcast"));
  }
  return {};
}

Result<std::vector<std::string>> MpiCommunicator::Gather(std::string_view bytes) {
  const auto ranks = static_cast<size_t>(size_);
  std::vector<int64_t> sizes(ranks);
  const auto own = static_cast<int64_t>(bytes.size());
  MPI_Request request = MPI_REQUEST_NULL;
  WSI_RETURN_IF_MPI_ERROR(
      MPI_Iallgather(&own, 1, MPI_INT64_T, sizes.data(), 1, MPI_INT64_T, comm_, &request));
  WSI_RETURN_IF_ERROR(Wait(request, "gather"));
  std::vector<int> counts(ranks);
  std::vector<int> offsets(ranks);
  int64_t total = 0;
  for (size_t r = 0; r < ranks; ++r) {
    offsets[r] = static_cast<int>(total);
    WSI_ASSIGN_OR_RETURN(total, CheckedAdd(total, sizes[r]));
    if (total > std::numeric_limits<int>::max()) {
      return InternalError(fmt::format("gathers {} bytes and more", total));
    }
    counts[r] = static_cast<int>(sizes[r]);
  }
  std::string all(static_cast<size_t>(total), '\0');
  WSI_RETURN_IF_MPI_ERROR(MPI_Iallgatherv(bytes.data(), static_cast<int>(own), MPI_BYTE, all.data(),
                                          counts.data(), offsets.data(), MPI_BYTE, comm_,
                                          &request));
  WSI_RETURN_IF_ERROR(Wait(request, "gather"));
  std::vector<std::string> parts;
  parts.reserve(ranks);
  for (size_t r = 0; r < ranks; ++r) {
    parts.push_back(all.substr(static_cast<size_t>(offsets[r]), static_cast<size_t>(counts[r])));
  }
  return parts;
}

// NOLINTEND(clang-analyzer-optin.mpi.MPI-Checker)

void MpiCommunicator::Abort(int exit_code) {
  guardian_.WantEndWithin(2 * kAbortPatience);
  // MPI's own way may wait for those that have stopped.
  std::thread([exit_code] {
    std::this_thread::sleep_for(kAbortPatience);
    std::_Exit(exit_code);
  }).detach();
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace

Result<std::unique_ptr<Communicator>> ConnectMpi(const CommunicatorOptions& options) {
  auto communicator = std::make_unique<MpiCommunicator>(options);
  WSI_RETURN_IF_ERROR(communicator->Start());
  return std::unique_ptr<Communicator>(std::move(communicator));
}

std::string_view LauncherName() { return WSI_MPI_LAUNCHER; }

std::string DescribeMpi() {
  std::string library(MPI_MAX_LIBRARY_VERSION_STRING, '\0');
  int length = 0;
  MPI_Get_library_version(library.data(), &length);
  library.resize(static_cast<size_t>(length));
  library.resize(
      std::min(library.find_first_of(",\n"), library.size()));  // The first of many facts.
  std::replace(library.begin(), library.end(), '\t', ' ');
  int version = 0;
  int subversion = 0;
  MPI_Get_version(&version, &subversion);
  std::string text = fmt::format("{}, MPI {}.{}", library, version, subversion);
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (initialized == 0) return text + ", thread level shown under its launcher";
  int level = MPI_THREAD_SINGLE;
  MPI_Query_thread(&level);
  return text + fmt::format(", {}", level == MPI_THREAD_MULTIPLE     ? "MPI_THREAD_MULTIPLE"
                                    : level == MPI_THREAD_SERIALIZED ? "MPI_THREAD_SERIALIZED"
                                    : level == MPI_THREAD_FUNNELED   ? "MPI_THREAD_FUNNELED"
                                                                     : "MPI_THREAD_SINGLE");
}

std::string_view SlurmMpiType() {
#ifdef OPEN_MPI
  return "pmix";
#else
  return "pmi2";  // MPICH and what comes from it.
#endif
}

}  // namespace wsi

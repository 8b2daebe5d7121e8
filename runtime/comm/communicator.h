// Communicator: the ranks of one run and what they do together. A rank is a process with
// its own copy of the plan's memory.
//
// Every operation is collective: all ranks call the same ones in the same order, and none
// returns before it has what it asked for. Each ends within the timeout: kPeer names the
// operation when other ranks do not take part, or when a library fails. Behind such an
// error the communicator is broken, and Abort is all that is left to do.
//
// Thread safety: calls from one thread at a time, whichever it is.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"

namespace wsi {

enum class SumOrder : uint8_t {
  kAny,      // As the library likes.
  kByRanks,  // ((0 + rank 0's) + rank 1's) + ...: the order of accumulation on one rank.
};

// A rank that ended a run for all.
struct PeerFailure {
  int rank = -1;     // -1: not known.
  std::string what;  // The error that it had; empty: the others only see it missing.
};

class Communicator {
 public:
  virtual ~Communicator() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  // How many ranks are on this machine, this one included.
  virtual int local_size() const = 0;
  // Which of those this one is, from 0.
  virtual int local_rank() const = 0;

  // Replaces every element by its mean over the ranks: the sum times 1 / size(). All ranks
  // get the same bits. Allocates nothing from the second call on.
  virtual Status Mean(std::span<float> values, SumOrder order) = 0;
  virtual Status Mean(std::span<double> values, SumOrder order) = 0;
  // Replaces every element by the largest of any rank.
  virtual Status Max(std::span<int64_t> values) = 0;
  // Gives every rank what `root` has.
  virtual Status Broadcast(std::span<std::byte> bytes, int root) = 0;
  // What each rank gave, by rank, on every rank. Lengths may differ.
  virtual Result<std::vector<std::string>> Gather(std::string_view bytes) = 0;

  // For who waits for the ranks by other means, in no operation: kPeer where one of them is known
  // to have failed. Waits for nobody.
  virtual Status CheckPeers(std::string_view operation) = 0;
  // Behind such a wait that has lasted for the timeout: kPeer naming the rank that is not there.
  virtual Status GiveUp(std::string_view operation) = 0;

  // Behind an error of kPeer: the rank that it comes from. Of several the first by number.
  virtual PeerFailure failure() const = 0;
  // Tells rank 0, whose operations then fail with kPeer, and waits to be ended by it, but no
  // longer than the timeout.
  virtual void Announce(const PeerFailure& failure) = 0;
  // Fails the operation under way and all later ones with kPeer, for `rank` is gone.
  // Thread-safe.
  virtual void Interrupt(int rank) = 0;
  // Ends all ranks, at once and without their consent.
  [[noreturn]] virtual void Abort(int exit_code) = 0;
};

std::unique_ptr<Communicator> MakeSingleRank();

struct CommunicatorOptions {
  std::chrono::milliseconds timeout = std::chrono::minutes(5);
};

// The rank that an MPI launcher has started this process as, or the only rank where none
// has. kPeer where ranks were started but cannot find each other.
Result<std::unique_ptr<Communicator>> Connect(const CommunicatorOptions& options);

// How many ranks the launcher says there are; 0: no launcher.
int LaunchedRanks();

// What starts ranks on this machine, such as "mpiexec"; empty: built without MPI.
std::string_view LauncherName();
// "Open MPI v4.1.4, MPI 3.1", and behind Connect of several ranks its thread level; what is missing
// in a build without.
std::string DescribeMpi();
// How srun starts ranks of this MPI: its --mpi; empty: built without.
std::string_view SlurmMpiType();

}  // namespace wsi

// The ranks of a run that each have a GPU of their own: means over them by NCCL, beside the
// compute stream. libnccl.so.2 is opened when the object is made.
//
//   auto ranks = MakeCudaRanks({...});            every rank, on its own GPU
//   id = ranks->MakeId() on rank 0, told to all;  ranks->Connect(id)
//   MakeCudaBackend({.ranks = ranks.get()})       whose comm lane and "AllReduce" these are
//
// Nothing waits for other ranks without end: NCCL is called without blocking, and whoever
// waits asks it, and `check_peers`, again and again. Behind an error of kPeer the ranks are
// broken; what they had under way is given up.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "runtime/backends/backend.h"

struct CUstream_st;

namespace wsi {

struct CudaRanksOptions {
  int rank = 0;
  int size = 1;
  int device = 0;
  std::chrono::milliseconds timeout = std::chrono::minutes(5);
  // What else is known of the other ranks: an error ends a wait for them. Null: nothing.
  std::function<Status(std::string_view operation)> check_peers = nullptr;
  // The error of a wait that has lasted for the timeout. Null: one that names no rank.
  std::function<Status(std::string_view operation)> give_up = nullptr;
};

// Not thread-safe.
class CudaRanks {
 public:
  virtual ~CudaRanks() = default;

  // What one rank makes and every rank connects with: bytes, not text.
  virtual Result<std::string> MakeId() = 0;
  // Collective; behind it the ranks have taken their first mean.
  virtual Status Connect(std::string_view id) = 0;

  // For the backend. The stream that means are taken on.
  virtual CUstream_st* stream() = 0;
  // "AllReduce" {by_ranks}: output i, which is input i, becomes its mean over the ranks; with
  // by_ranks 1 sums are ((0 + rank 0's) + rank 1's) + ..., else in an order of NCCL's. Borrows
  // this object.
  virtual Result<std::unique_ptr<Kernel>> CompileMean(const LaunchSpec& launch) = 0;
  // Waits for the stream, with what is under way between the ranks in sight.
  virtual Status Wait(CUstream_st* stream) = 0;
  // Device memory of its own, without NCCL's.
  virtual Bytes private_bytes() const = 0;
};

// Makes nothing that other ranks see. kDevice naming what is missing or too old.
Result<std::unique_ptr<CudaRanks>> MakeCudaRanks(const CudaRanksOptions& options);

// "NCCL 2.28.9", or kDevice as above.
Result<std::string> ExamineNccl();

}  // namespace wsi

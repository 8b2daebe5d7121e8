// Means over ranks on GPUs. Ranks are threads, each with a GPU of its own: two where there are
// two, else one. In the emulated build (cuda_emulation) they are three, with a NCCL made of
// threads.
#include "runtime/backends/cuda/cuda_ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <future>
#include <thread>
#include <vector>

#include "runtime/backends/cuda/cuda_backend.h"

namespace wsi {
namespace {

using testing::HasSubstr;

#ifdef WSI_EMULATED_RANKS
constexpr int kEmulated = WSI_EMULATED_RANKS;
#else
constexpr int kEmulated = 0;
#endif

int RankCount() {
  if (kEmulated > 0) return kEmulated;
  static const int devices = ExamineCuda().devices;
  return std::min(devices, 2);
}

// Numbers whose sum depends on its order.
template <typename T>
T Element(size_t i, int rank) {
  const T sign = (i + static_cast<size_t>(rank)) % 2 == 0 ? T(1) : T(-1);
  return sign * (T(1) + static_cast<T>(i % 1000) * T(1e-7)) *
         static_cast<T>(rank * rank * 1000 + 1);
}

// One rank: its own values of two tensors, and what becomes of them.
template <typename T>
struct Rank {
  int number = 0;
  std::unique_ptr<CudaRanks> ranks;
  std::unique_ptr<Backend> backend;
  std::unique_ptr<Lane> compute;
  std::unique_ptr<Lane> comm;

  Status Open(CudaRanksOptions options, std::promise<std::string>& made,
              const std::shared_future<std::string>& id) {
    number = options.rank;
    options.device = kEmulated > 0 ? 0 : number;
    WSI_ASSIGN_OR_RETURN(ranks, MakeCudaRanks(options));
    if (number == 0) {
      WSI_ASSIGN_OR_RETURN(std::string own, ranks->MakeId());
      made.set_value(own);
    }
    WSI_RETURN_IF_ERROR(ranks->Connect(id.get()));
    WSI_ASSIGN_OR_RETURN(backend,
                         MakeCudaBackend({.device = options.device, .ranks = ranks.get()}));
    WSI_ASSIGN_OR_RETURN(compute, backend->MakeLane("compute"));
    WSI_ASSIGN_OR_RETURN(comm, backend->MakeLane("comm"));
    return {};
  }

  // Takes the mean of tensors of `counts` elements, and leaves it in `results`.
  Status TakeMean(const std::vector<size_t>& counts, bool by_ranks,
                  std::vector<std::vector<T>>& results) {
    std::vector<std::unique_ptr<Arena>> arenas;
    std::vector<OperandSpec> operands;
    std::vector<std::byte*> outputs;
    std::vector<const std::byte*> inputs;
    for (const size_t count : counts) {
      std::vector<T> values(count);
      for (size_t i = 0; i < count; ++i) values[i] = Element<T>(i, number);
      WSI_ASSIGN_OR_RETURN(std::unique_ptr<Arena> arena,
                           backend->AllocateDevice(static_cast<Bytes>(count * sizeof(T))));
      WSI_RETURN_IF_ERROR(backend->Write(arena->data(), std::as_bytes(std::span(values))));
      operands.push_back({.present = true,
                          .dtype = sizeof(T) == 8 ? DType::kF64 : DType::kF32,
                          .shape = Shape{static_cast<int64_t>(count)}});
      outputs.push_back(arena->data());
      inputs.push_back(arena->data());
      arenas.push_back(std::move(arena));
    }
    const Attributes attributes = {{"by_ranks", int64_t{by_ranks ? 1 : 0}}};
    WSI_ASSIGN_OR_RETURN(const std::unique_ptr<Kernel> kernel,
                         backend->Compile({.op = "AllReduce",
                                           .node = "gradients.0",
                                           .attributes = attributes,
                                           .inputs = operands,
                                           .outputs = operands}));
    WSI_RETURN_IF_ERROR(comm->Launch(*kernel, {.inputs = inputs, .outputs = outputs}));
    WSI_RETURN_IF_ERROR(comm->Synchronize());
    WSI_RETURN_IF_ERROR(compute->Synchronize());
    for (size_t t = 0; t < counts.size(); ++t) {
      results.emplace_back(counts[t]);
      WSI_RETURN_IF_ERROR(
          backend->Read(std::as_writable_bytes(std::span(results.back())), outputs[t]));
    }
    return {};
  }
};

// `body` on every rank, each on a thread of its own.
template <typename T>
void OnRanks(const CudaRanksOptions& options, const std::function<void(Rank<T>&)>& body) {
  std::promise<std::string> made;
  const std::shared_future<std::string> id = made.get_future().share();
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(RankCount()));
  for (int r = 0; r < RankCount(); ++r) {
    threads.emplace_back([&, r] {
      CudaRanksOptions own = options;
      own.rank = r;
      own.size = RankCount();
      Rank<T> rank;
      const Status opened = rank.Open(own, made, id);
      ASSERT_TRUE(opened.ok()) << opened.message();
      body(rank);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

class CudaRanksTest : public testing::Test {
 protected:
  void SetUp() override {
    if (RankCount() == 0) GTEST_SKIP() << "no GPU";
    const Result<std::string> nccl = ExamineNccl();
    if (!nccl.ok()) GTEST_SKIP() << nccl.status().message();
  }
};

TEST_F(CudaRanksTest, MeansByRanksAreSumsInTheirOrder) {
  OnRanks<float>({}, [](Rank<float>& rank) {
    for (int step = 0; step < 2; ++step) {
      std::vector<std::vector<float>> means;
      const Status status = rank.TakeMean({5, 1001}, true, means);
      ASSERT_TRUE(status.ok()) << status.message();
      for (const std::vector<float>& mean : means) {
        for (size_t i = 0; i < mean.size(); ++i) {
          float sum = 0;
          for (int r = 0; r < RankCount(); ++r) sum += Element<float>(i, r);
          ASSERT_EQ(mean[i], sum * (1.0F / static_cast<float>(RankCount()))) << i;
        }
      }
    }
  });
}

TEST_F(CudaRanksTest, MeansInAnyOrderAreClose) {
  OnRanks<double>({}, [](Rank<double>& rank) {
    std::vector<std::vector<double>> means;
    const Status status = rank.TakeMean({1, 1001}, false, means);
    ASSERT_TRUE(status.ok()) << status.message();
    for (const std::vector<double>& mean : means) {
      for (size_t i = 0; i < mean.size(); ++i) {
        double sum = 0;
        for (int r = 0; r < RankCount(); ++r) sum += Element<double>(i, r);
        ASSERT_NEAR(mean[i], sum / RankCount(), 1e-9);
      }
    }
  });
}

TEST_F(CudaRanksTest, ARankThatStaysAwayIsGivenUp) {
  if (RankCount() < 2) GTEST_SKIP() << "one GPU: nobody to wait for";
  OnRanks<float>({.timeout = std::chrono::seconds(1)}, [](Rank<float>& rank) {
    if (rank.number == RankCount() - 1) return;
    std::vector<std::vector<float>> means;
    const Status status = rank.TakeMean({7}, false, means);
    EXPECT_EQ(status.code(), ErrorCode::kPeer);
    EXPECT_THAT(status.message(), HasSubstr("'gradients.0'"));
    // For good.
    EXPECT_EQ(rank.TakeMean({7}, false, means).code(), ErrorCode::kPeer);
  });
}

TEST_F(CudaRanksTest, WhatIsKnownOfOthersEndsTheWait) {
  if (RankCount() < 2) GTEST_SKIP() << "one GPU: nobody to wait for";
  std::atomic<bool> is_gone = false;
  const auto check = [&](std::string_view) {
    return is_gone.load() ? Status(ErrorCode::kPeer, "rank 1 has ended") : Status();
  };
  OnRanks<float>(
      {.timeout = std::chrono::minutes(2), .check_peers = check}, [&](Rank<float>& rank) {
        if (rank.number == RankCount() - 1) {
          is_gone.store(true);
          return;
        }
        std::vector<std::vector<float>> means;
        EXPECT_THAT(rank.TakeMean({7}, false, means).message(), HasSubstr("rank 1 has ended"));
      });
}

#ifdef WSI_EMULATED_RANKS
TEST(CudaRanks, AnOldLibraryIsRefused) {
  setenv("WSI_FAKE_NCCL_VERSION", "21405", 1);
  const Status refused = MakeCudaRanks({}).status();
  unsetenv("WSI_FAKE_NCCL_VERSION");
  EXPECT_EQ(ExitCode(refused.code()), 8);
  EXPECT_THAT(refused.message(), HasSubstr("NCCL 2.14.5, wanted 2.18 or newer"));
}
#endif

}  // namespace
}  // namespace wsi

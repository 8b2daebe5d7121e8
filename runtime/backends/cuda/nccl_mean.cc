#include "runtime/backends/cuda/nccl_mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "runtime/backends/cuda/compile.h"
#include "runtime/backends/cuda/ordered_mean.h"
#include "runtime/base/checked.h"

namespace wsi::cuda {
namespace {

constexpr int64_t kRoundElements = int64_t{1} << 22;

ncclDataType_t TypeOf(DType dtype) { return dtype == DType::kF64 ? ncclDouble : ncclFloat; }

// Calls between ncclGroupStart and ncclGroupEnd, until one fails.
class Group {
 public:
  explicit Group(const NcclLibrary& api) : api_(api), first_(api.ncclGroupStart()) {}
  bool ok() const { return first_ == ncclSuccess || first_ == ncclInProgress; }
  void Add(ncclResult_t code) {
    if (ok()) first_ = code;
  }
  ncclResult_t End() {
    const ncclResult_t end = api_.ncclGroupEnd();
    return ok() ? end : first_;
  }

 private:
  const NcclLibrary& api_;
  ncclResult_t first_;
};

class MeanKernel : public Kernel {
 public:
  MeanKernel(NcclCommunicator& ranks, DType dtype, std::vector<int64_t> counts,
             Collective collective)
      : ranks_(ranks),
        dtype_(dtype),
        counts_(std::move(counts)),
        collective_(std::move(collective)) {}

  Status Run(const LaunchArguments& arguments) override {
    WSI_RETURN_IF_ERROR(ranks_.Begin(collective_));
    WSI_RETURN_IF_ERROR(Enqueue(arguments));
    return ranks_.End(collective_);
  }

 protected:
  virtual Status Enqueue(const LaunchArguments& arguments) = 0;
  NcclCommunicator& ranks() const { return ranks_; }
  DType dtype() const { return dtype_; }
  const std::vector<int64_t>& counts() const { return counts_; }
  const std::string& name() const { return collective_.name; }

 private:
  NcclCommunicator& ranks_;
  DType dtype_;
  std::vector<int64_t> counts_;
  Collective collective_;
};

class AnyMean final : public MeanKernel {
 public:
  using MeanKernel::MeanKernel;

 private:
  Status Enqueue(const LaunchArguments& arguments) override {
    const NcclLibrary& api = ranks().api();
    Group group(api);
    for (size_t i = 0; i < counts().size() && group.ok(); ++i) {
      std::byte* value = arguments.outputs[i];
      group.Add(api.ncclAllReduce(value, value, static_cast<size_t>(counts()[i]), TypeOf(dtype()),
                                  ncclAvg, ranks().comm(), ranks().stream()));
    }
    return ranks().Settle(group.End(), name());
  }
};

// Values one behind the other are cut into rounds, as equally long as they fit.
class MeanByRanks final : public MeanKernel {
 public:
  using MeanKernel::MeanKernel;

  Status Prepare() {
    int64_t total = 0;
    for (const int64_t count : counts()) {
      WSI_ASSIGN_OR_RETURN(total, CheckedAdd(total, count));
    }
    round_ = std::min(total, kRoundElements);
    width_ = CeilDiv(round_, int64_t{ranks().size()}) * ranks().size();
    return ranks().scratch().Require(2 * width_ * DTypeBytes(dtype()));
  }

 private:
  // A part of a value and where it is in the round.
  struct Piece {
    std::byte* value;
    int64_t at;
    int64_t count;
  };

  Status Enqueue(const LaunchArguments& arguments) override {
    std::vector<Piece>& pieces = pieces_;
    pieces.clear();
    int64_t filled = 0;
    for (size_t i = 0; i < counts().size(); ++i) {
      for (int64_t done = 0; done < counts()[i];) {
        const int64_t count = std::min(counts()[i] - done, round_ - filled);
        pieces.push_back({arguments.outputs[i] + done * DTypeBytes(dtype()), filled, count});
        done += count;
        filled += count;
        if (filled < round_) continue;
        WSI_RETURN_IF_ERROR(RunRound(pieces, filled));
        pieces.clear();
        filled = 0;
      }
    }
    return filled == 0 ? Status() : RunRound(pieces, filled);
  }

  Status Copy(std::byte* to, const std::byte* from, int64_t count) const {
    return WSI_CUDA_STATUS(cudaMemcpyAsync(to, from,
                                           static_cast<size_t>(count * DTypeBytes(dtype())),
                                           cudaMemcpyDeviceToDevice, ranks().stream()));
  }

  Status RunRound(const std::vector<Piece>& pieces, int64_t filled) {
    const int64_t element = DTypeBytes(dtype());
    auto* packed = ranks().scratch().at<std::byte>(0);
    auto* parts = ranks().scratch().at<std::byte>(width_ * element);
    for (const Piece& piece : pieces) {
      WSI_RETURN_IF_ERROR(Copy(packed + piece.at * element, piece.value, piece.count));
    }
    // The last slice's end may hold anything.
    const int64_t slice = CeilDiv(filled, int64_t{ranks().size()});
    WSI_RETURN_IF_ERROR(Exchange(packed, parts, slice));
    std::byte* own = packed + ranks().rank() * slice * element;
    WSI_RETURN_IF_ERROR(OrderedMean(dtype(), parts, own, slice, ranks().size(), ranks().stream()));
    WSI_RETURN_IF_ERROR(ranks().Settle(
        ranks().api().ncclAllGather(own, packed, static_cast<size_t>(slice), TypeOf(dtype()),
                                    ranks().comm(), ranks().stream()),
        name()));
    for (const Piece& piece : pieces) {
      WSI_RETURN_IF_ERROR(Copy(piece.value, packed + piece.at * element, piece.count));
    }
    return {};
  }

  // Slice r of every rank goes to rank r, which has them by rank then.
  Status Exchange(const std::byte* packed, std::byte* parts, int64_t slice) {
    const NcclLibrary& api = ranks().api();
    const int64_t bytes = slice * DTypeBytes(dtype());
    const auto count = static_cast<size_t>(slice);
    Group group(api);
    for (int r = 0; r < ranks().size() && group.ok(); ++r) {
      group.Add(api.ncclSend(packed + r * bytes, count, TypeOf(dtype()), r, ranks().comm(),
                             ranks().stream()));
      if (!group.ok()) break;
      group.Add(api.ncclRecv(parts + r * bytes, count, TypeOf(dtype()), r, ranks().comm(),
                             ranks().stream()));
    }
    return ranks().Settle(group.End(), name());
  }

  int64_t round_ = 0;          // Elements of a full round, and
  int64_t width_ = 0;          // with what makes its slices equally long.
  std::vector<Piece> pieces_;  // Of a round; kept, that steps need no memory.
};

}  // namespace

KernelResult CompileNcclMean(const LaunchSpec& launch, NcclCommunicator& ranks) {
  std::vector<int64_t> counts;
  for (const OperandSpec& operand : launch.inputs) {
    const DType dtype = operand.dtype;
    if (dtype != launch.inputs[0].dtype || (dtype != DType::kF32 && dtype != DType::kF64)) {
      return CompileError(launch, "wants values all f32 or all f64");
    }
    counts.push_back(operand.shape.ElementCount());
  }
  if (counts.empty()) return CompileError(launch, "wants values");
  const DType dtype = launch.inputs[0].dtype;
  WSI_ASSIGN_OR_RETURN(Collective collective,
                       Collective::Make(fmt::format("sum over ranks '{}'", launch.node)));
  if (launch.attributes.Int("by_ranks", 0) == 0) {
    return KernelResult(
        std::make_unique<AnyMean>(ranks, dtype, std::move(counts), std::move(collective)));
  }
  auto kernel =
      std::make_unique<MeanByRanks>(ranks, dtype, std::move(counts), std::move(collective));
  WSI_RETURN_IF_ERROR(kernel->Prepare());
  return KernelResult(std::move(kernel));
}

}  // namespace wsi::cuda

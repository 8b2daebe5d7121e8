#include "runtime/backends/cpu/dropout.h"

#include <algorithm>
#include <array>

#include "runtime/base/band.h"
#include "runtime/base/philox.h"

namespace wsi::cpu {
namespace {

// 1 / (1 - ratio): what kept elements are multiplied by; 0 if nothing is kept.
double KeptScale(double ratio) { return ratio < 1.0 ? 1.0 / (1.0 - ratio) : 0.0; }

Result<double> RatioOf(const LaunchSpec& launch) {
  const double ratio = launch.attributes.Float("ratio", 0.5);
  if (ratio >= 0.0 && ratio <= 1.0) return ratio;
  return CompileError(launch, "ratio is outside [0, 1]");
}

Chunks ChunksOfBlocks(const Shape& shape) {
  Chunks chunks = ChunksOf(shape.ElementCount(), 4, kGrain);
  chunks.grain = AlignUp(chunks.grain, 4);  // Whole Philox blocks.
  return chunks;
}

// The words of the elements `first` to first + 3 of a band.
std::array<uint32_t, 4> WordsAt(const PhiloxStream& random, const BandOfWhole& band,
                                int64_t first) {
  std::array<uint32_t, 4> words{};
  for (size_t k = 0; k < words.size(); ++k) {
    words[k] = random.Word(band.WholeIndex(first + static_cast<int64_t>(k)));
  }
  return words;
}

// Inputs: x, seed, step; outputs: y, [mask]. Element i is kept where its uniform
// number is at least `ratio`.
template <typename T>
KernelResult CompileDropoutOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 2));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kI64));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, DType::kI64));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 1, DType::kBool, shape));
  if (launch.inputs[1].shape.ElementCount() != 1 || launch.inputs[2].shape.ElementCount() != 1) {
    return CompileError(launch, "seed and step are single numbers");
  }
  WSI_ASSIGN_OR_RETURN(const double ratio, RatioOf(launch));
  const int64_t node = launch.attributes.Int("seed_id", 0);
  const Chunks chunks = ChunksOfBlocks(shape);
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band, BandOfWhole::Read(launch.attributes, shape));
  return MakeKernel([=, &context](const LaunchArguments& a) {
    const PhiloxStream random(*a.input<int64_t>(1), *a.input<int64_t>(2), node);
    const float threshold = static_cast<float>(ratio);
    const auto scale = static_cast<Computed<T>>(KeptScale(ratio));
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t first = begin; first < end; first += 4) {
        const auto words = band.is_whole() ? random.Block(first / 4) : WordsAt(random, band, first);
        const int64_t count = std::min<int64_t>(4, end - first);
        for (int64_t k = 0; k < count; ++k) {
          const bool keep = UniformFloat(words[static_cast<size_t>(k)]) >= threshold;
          const auto x = Load(a.input<T>(0)[first + k]);
          Store(keep ? x * scale : 0, a.output<T>(0)[first + k]);
          if (uint8_t* mask = a.output<uint8_t>(1)) mask[first + k] = keep ? 1 : 0;
        }
      }
    });
  });
}

// Inputs: dy, mask.
template <typename T>
KernelResult CompileDropoutGradOf(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kBool, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, launch.inputs[0].dtype, shape));
  WSI_ASSIGN_OR_RETURN(const double ratio, RatioOf(launch));
  const auto scale = static_cast<Computed<T>>(KeptScale(ratio));
  const Chunks chunks = ChunksOf(shape.ElementCount(), 1, kGrain);
  return MakeKernel([scale, chunks, &context](const LaunchArguments& a) {
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t i = begin; i < end; ++i) {
        const bool keep = a.input<uint8_t>(1)[i] != 0;
        const auto x = Load(a.input<T>(0)[i]);
        Store(keep ? x * scale : 0, a.output<T>(0)[i]);
      }
    });
  });
}

}  // namespace

KernelResult CompileDropout(const LaunchSpec& launch, Context& context) {
  return WSI_BY_FLOAT(CompileDropoutOf);
}
KernelResult CompileDropoutGrad(const LaunchSpec& launch, Context& context) {
  return WSI_BY_FLOAT(CompileDropoutGradOf);
}

}  // namespace wsi::cpu

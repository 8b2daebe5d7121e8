#include <fmt/format.h>
#include <fmt/ranges.h>

#include "runtime/backends/cuda/convolution_plan.h"

namespace wsi::cuda {
namespace {

std::string_view NameOf(ConvolutionKind kind) {
  switch (kind) {
    case ConvolutionKind::kInputGrad: return "input-grad";
    case ConvolutionKind::kWeightGrad: return "weight-grad";
    default: return "forward";
  }
}

std::string Sizes(const std::vector<int64_t>& sizes) {
  return fmt::format("{}", fmt::join(sizes, "x"));
}

}  // namespace

std::string ConvolutionProblem::ToText() const {
  // Named one by one, so that a new member does not compile before it is printed.
  const auto& [kind_, dtype_, result_, bias_, images_, in_channels_, out_channels_, groups_,
               alignment_, most_workspace_, input_, output_, kernel_, strides_, dilations_,
               pad_begin_, pad_end_] = *this;
  return fmt::format(
      "{} {} to {}{} {}x{}x{} to {}x{} kernel {} stride {} dilation {} pad {} and {} groups {} "
      "aligned {} workspace at most {}",
      NameOf(kind_), DTypeName(dtype_), DTypeName(result_), bias_ ? " with bias" : "", images_,
      Sizes(input_), in_channels_, Sizes(output_), out_channels_, Sizes(kernel_), Sizes(strides_),
      Sizes(dilations_), Sizes(pad_begin_), Sizes(pad_end_), groups_, alignment_, most_workspace_);
}

}  // namespace wsi::cuda

// The weight gradient of a convolution whose windows are both strided and dilated, for
// which oneDNN has its reference kernel alone: one matrix product for each tap of the
// filter, over a panel of the elements that the tap meets.
#include <dnnl.h>

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/conversion.h"
#include "runtime/backends/cpu/convolution.h"
#include "runtime/backends/cpu/onednn.h"

namespace wsi::cpu {
namespace {

constexpr int64_t kPanelPositions = 1024;

class TapWeightGrad final : public Kernel {
 public:
  TapWeightGrad(const Convolution& convolution, Context& context)
      : c_(convolution), context_(context) {}

  Status Prepare() {
    return context_.scratch.Require(0, (PanelFloats() + kPanelPositions * c_.output_channels) * 4);
  }

  Status Run(const LaunchArguments& arguments) override {
    std::atomic<bool> failed = false;
    context_.pool.ParallelFor(Taps() * c_.groups, [&](int64_t chunk, int worker) {
      if (!RunTap(arguments, chunk / c_.groups, chunk % c_.groups, worker)) failed = true;
    });
    return failed ? InternalError("oneDNN could not multiply matrices") : Status();
  }

 private:
  using Index = std::array<int64_t, 3>;

  int64_t GroupInputs() const { return c_.window.channels / c_.groups; }
  int64_t GroupOutputs() const { return c_.output_channels / c_.groups; }
  Bytes PanelFloats() const { return kPanelPositions * GroupInputs(); }
  int64_t Taps() const {
    int64_t taps = 1;
    for (const WindowAxis& axis : c_.window.axes) taps *= axis.kernel;
    return taps;
  }

  // Row-major index `number` below the sizes that `member` names, and what is left of it.
  Index Split(int64_t& number, int64_t WindowAxis::*member) const {
    Index index{};
    for (size_t a = index.size(); a-- > 0;) {
      index[a] = number % (c_.window.axes[a].*member);
      number /= c_.window.axes[a].*member;
    }
    return index;
  }

  // Element of x that tap `tap` meets at an output position; -1 in the padding.
  int64_t ElementAt(int64_t position, const Index& tap) const {
    const Index at = Split(position, &WindowAxis::output);  // `position` is the image now.
    int64_t element = position;
    for (size_t a = 0; a < at.size(); ++a) {
      const WindowAxis& axis = c_.window.axes[a];
      const int64_t i = at[a] * axis.stride - axis.pad_begin + tap[a] * axis.dilation;
      if (i < 0 || i >= axis.input) return -1;
      element = element * axis.input + i;
    }
    return element * c_.window.channels;
  }

  void FillPanel(const std::byte* x, int64_t begin, int64_t count, const Index& tap, int64_t group,
                 float* panel) const {
    const int64_t width = GroupInputs();
    for (int64_t p = 0; p < count; ++p, panel += width) {
      const int64_t element = ElementAt(begin + p, tap);
      if (element < 0) {
        std::fill_n(panel, width, 0.0F);
        continue;
      }
      const std::byte* from = x + (element + group * width) * DTypeBytes(c_.stored);
      if (IsHalf(c_.stored)) {
        Widen(c_.stored, from, width, panel);
      } else {
        std::copy_n(reinterpret_cast<const float*>(from), width, panel);
      }
    }
  }

  // dw of one tap and one group.
  bool RunTap(const LaunchArguments& a, int64_t tap_number, int64_t group, int worker) const {
    const int64_t positions = c_.window.output_positions();
    float* panel = context_.scratch.worker<float>(worker);
    float* wide = panel + PanelFloats();
    const int64_t row = Taps() * GroupInputs();
    float* out = a.output<float>(0) + group * GroupOutputs() * row + tap_number * GroupInputs();
    const Index tap = Split(tap_number, &WindowAxis::kernel);
    UseOneThread();
    for (int64_t begin = 0; begin < positions; begin += kPanelPositions) {
      const int64_t count = std::min(kPanelPositions, positions - begin);
      FillPanel(a.inputs[0], begin, count, tap, group, panel);
      const float* dy = a.input<float>(1) + begin * c_.output_channels;
      if (IsHalf(c_.stored)) {
        Widen(c_.stored, a.inputs[1] + begin * c_.output_channels * DTypeBytes(c_.stored),
              count * c_.output_channels, wide);
        dy = wide;
      }
      const dnnl_status_t status = dnnl_sgemm(
          'T', 'N', GroupOutputs(), GroupInputs(), count, 1.0F, dy + group * GroupOutputs(),
          c_.output_channels, panel, GroupInputs(), begin == 0 ? 0.0F : 1.0F, out, row);
      if (status != dnnl_success) return false;
    }
    return true;
  }

  Convolution c_;
  Context& context_;
};

}  // namespace

KernelResult CompileTapWeightGrad(const Convolution& convolution, Context& context) {
  auto kernel = std::make_unique<TapWeightGrad>(convolution, context);
  WSI_RETURN_IF_ERROR(kernel->Prepare());
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace wsi::cpu

// Pooling over all positions of an image, channels last.
#include <algorithm>
#include <cmath>

#include "runtime/backends/reference/kernels.h"
#include "runtime/backends/reference/launch_check.h"
#include "runtime/backends/window.h"
#include "runtime/base/band.h"

namespace wsi::reference {
namespace {

struct Image {
  int64_t batch = 0;
  int64_t positions = 1;
  int64_t channels = 0;
};

// Checks that `pooled` is `full` with spatial sizes of 1.
Image ReadImage(LaunchCheck& check, const Shape& full, const Shape& pooled) {
  check.ChannelsLast(full, 3);
  bool fits = full.rank() == pooled.rank() && check.status().ok() && pooled[0] == full[0] &&
              pooled[-1] == full[-1];
  for (int a = 1; fits && a < full.rank() - 1; ++a) fits = pooled[a] == 1;
  check.Require(fits, "the pooled shape is not [N, 1..., C]");
  if (!check.status().ok()) return {};
  Image image{full[0], 1, full[-1]};
  for (int a = 1; a < full.rank() - 1; ++a) image.positions *= full[a];
  return image;
}

// Calls f(flat index of the image, flat index of the pooled image, position).
template <typename F>
void ForEachElement(const Image& image, F f) {
  for (int64_t n = 0; n < image.batch; ++n) {
    for (int64_t p = 0; p < image.positions; ++p) {
      for (int64_t c = 0; c < image.channels; ++c) {
        f((n * image.positions + p) * image.channels + c, n * image.channels + c, p);
      }
    }
  }
}

// The number of a band's position in an image of the whole.
class ImagePosition {
 public:
  ImagePosition(const BandOfWhole& band, const Image& image)
      : band_(band), channels_(image.channels) {}
  // Of the first image: it is numbered as all others are.
  int64_t operator()(int64_t position) const {
    return band_.WholeIndex(position * channels_) / channels_;
  }

 private:
  BandOfWhole band_;
  int64_t channels_;
};

}  // namespace

KernelResult CompileGlobalAveragePool(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Image image = ReadImage(check, check.input(0), check.output(0));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.input(0)));
  return MakeKernel([image, band](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    const double positions = static_cast<double>(band.CountInWhole(image.positions));
    const int64_t count = image.batch * image.channels;
    std::fill_n(y, count, 0.0);
    ForEachElement(image, [&](int64_t in, int64_t out, int64_t) { y[out] += x[in]; });
    for (int64_t i = 0; i < count; ++i) y[i] /= positions;
  });
}

KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "F"));
  const Image image = ReadImage(check, check.output(0), check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.output(0)));
  return MakeKernel([image, band](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    double* dx = arguments.output<double>(0);
    const double positions = static_cast<double>(band.CountInWhole(image.positions));
    ForEachElement(image, [&](int64_t in, int64_t out, int64_t) { dx[in] = dy[out] / positions; });
  });
}

KernelResult CompileGlobalMaxPool(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("F", "Fl"));
  const Image image = ReadImage(check, check.input(0), check.output(0));
  check.OutputIs(1, check.output(0));
  check.Require(image.positions > 0, "there is no position to pool over");
  WSI_RETURN_IF_ERROR(check.status());
  return MakeKernel([image](const LaunchArguments& arguments) {
    const double* x = arguments.input<double>(0);
    double* y = arguments.output<double>(0);
    int64_t* index = arguments.output<int64_t>(1);
    ForEachElement(image, [&](int64_t in, int64_t out, int64_t position) {
      const bool wins =
          position == 0 || x[in] > y[out] || (std::isnan(x[in]) && !std::isnan(y[out]));
      if (!wins) return;
      y[out] = x[in];
      if (index != nullptr) index[out] = position;
    });
  });
}

KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch) {
  LaunchCheck check(launch);
  WSI_RETURN_IF_ERROR(check.Operands("FL", "F"));
  const Image image = ReadImage(check, check.output(0), check.input(0));
  check.InputIs(1, check.input(0));
  check.OutputIs(0, ReadInputShape(check, check.output(0).rank()));
  WSI_RETURN_IF_ERROR(check.status());
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band,
                       BandOfWhole::Read(launch.attributes, check.output(0)));
  const ImagePosition position_in_whole(band, image);
  return MakeKernel([image, position_in_whole](const LaunchArguments& arguments) {
    const double* dy = arguments.input<double>(0);
    const int64_t* index = arguments.input<int64_t>(1);
    double* dx = arguments.output<double>(0);
    ForEachElement(image, [&](int64_t in, int64_t out, int64_t position) {
      dx[in] = index[out] == position_in_whole(position) ? dy[out] : 0;
    });
  });
}

}  // namespace wsi::reference

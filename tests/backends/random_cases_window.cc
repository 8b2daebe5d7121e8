#include <algorithm>

#include "tests/backends/random_cases.h"
#include "tests/backends/window_attributes.h"

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

struct DrawnWindow {
  Ints kernel, strides, dilations, begins, ends;

  int64_t Span(size_t i) const { return dilations[i] * (kernel[i] - 1) + 1; }
  Attributes attributes() const {
    Ints pads = begins;
    pads.insert(pads.end(), ends.begin(), ends.end());
    return WindowAttributes(kernel, strides, dilations, pads);
  }
};

// `widest_pad` beyond the span reads nothing but padding.
DrawnWindow AnyWindow(Dice& dice, size_t rank, bool pads_beyond_span) {
  DrawnWindow w;
  for (size_t i = 0; i < rank; ++i) {
    w.kernel.push_back(dice.Between(1, rank == 3 ? 3 : 4));
    w.strides.push_back(dice.OneIn(2) ? 1 : dice.Between(2, 4));
    w.dilations.push_back(dice.OneIn(3) ? dice.Between(2, 3) : 1);
    const int64_t most = w.Span(i) - (pads_beyond_span ? 0 : 1);
    w.begins.push_back(dice.Coin() ? dice.Between(0, std::min<int64_t>(most, 4)) : 0);
    w.ends.push_back(dice.Coin() ? dice.Between(0, std::min<int64_t>(most, 4)) : 0);
  }
  return w;
}

// Sizes that the window fits, of one image dimension each.
Ints ImageSizes(Dice& dice, const DrawnWindow& w) {
  const int64_t room = w.kernel.size() == 1 ? 14 : w.kernel.size() == 2 ? 7 : 3;
  Ints sizes;
  for (size_t i = 0; i < w.kernel.size(); ++i) {
    const int64_t least = std::max<int64_t>(1, w.Span(i) - w.begins[i] - w.ends[i]);
    sizes.push_back(dice.Between(least, std::max(least, room)));
  }
  return sizes;
}

Shape Image(int64_t batch, const Ints& sizes, int64_t channels) {
  Ints shape = {batch};
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  shape.push_back(channels);
  return Shape::Make(shape).value();
}

RandomCase ConvCase(std::string_view /*op*/, Dice& dice) {
  const auto rank = static_cast<size_t>(dice.Between(1, 3));
  const DrawnWindow w = AnyWindow(dice, rank, true);
  const int64_t group = dice.OneIn(3) ? dice.Between(2, 3) : 1;
  const int64_t in = dice.OneIn(3) ? 1 : dice.Between(1, 3);  // Of a group.
  const int64_t out = dice.Between(1, 3);
  std::vector<Operand> inputs = {
      {Image(dice.Between(1, 2), ImageSizes(dice, w), group * in), Fill::kWhole},
      {Image(group * out, w.kernel, in), Fill::kWhole}};
  std::vector<int> wrt = {0, 1};
  if (dice.Coin()) {
    inputs.push_back({{group * out}, Fill::kWhole});
    wrt.push_back(2);
  }
  return {{{}, {}, With(w.attributes(), "group", group), std::move(inputs), std::move(wrt)},
          Slope::kExact};
}

RandomCase ConvTransposeCase(std::string_view /*op*/, Dice& dice) {
  const auto rank = static_cast<size_t>(dice.Between(1, 3));
  DrawnWindow w = AnyWindow(dice, rank, false);
  const int64_t group = dice.OneIn(3) ? dice.Between(2, 3) : 1;
  const int64_t in = dice.Between(1, 2);
  const int64_t out = dice.Between(1, 3);
  Ints sizes;
  for (size_t i = 0; i < rank; ++i) {
    sizes.push_back(dice.Between(1, rank == 3 ? 3 : 5));
    const int64_t full = (sizes[i] - 1) * w.strides[i] + w.Span(i);
    w.begins[i] = std::min(w.begins[i], (full - 1) / 2);
    w.ends[i] = std::min(w.ends[i], full - 1 - w.begins[i]);
  }
  return {{{},
           {},
           With(w.attributes(), "group", group),
           {{Image(dice.Between(1, 2), sizes, group * in), Fill::kWhole},
            {Image(group * in, w.kernel, out), Fill::kWhole}},
           {0, 1}},
          Slope::kExact};
}

RandomCase PoolCase(std::string_view op, Dice& dice) {
  const auto rank = static_cast<size_t>(dice.Between(1, 3));
  DrawnWindow w = AnyWindow(dice, rank, false);
  const Ints sizes = ImageSizes(dice, w);
  // Taps further apart than the image is long could miss it.
  for (size_t i = 0; i < rank; ++i) {
    if (w.dilations[i] > sizes[i]) w.begins[i] = w.ends[i] = 0;
  }
  for (size_t i = 0; i < rank; ++i) {
    if (w.Span(i) > sizes[i] + w.begins[i] + w.ends[i]) w.kernel[i] = 1;
    w.begins[i] = std::min(w.begins[i], w.Span(i) - 1);
    w.ends[i] = std::min(w.ends[i], w.Span(i) - 1);
  }
  Attributes attributes = With(w.attributes(), "ceil_mode", dice.Flag());
  const bool average = op == "AveragePool";
  if (average) attributes.Set("count_include_pad", dice.Flag());
  const Operand x = {Image(dice.Between(1, 2), sizes, dice.Between(1, 3)),
                     average ? Fill::kWhole : Fill::kDistinct};
  const int outputs = average ? 1 : static_cast<int>(dice.Between(1, 2));
  return {{{}, {}, std::move(attributes), {x}, {0}, outputs},
          average ? Slope::kLinear : Slope::kExact};
}

RandomCase GlobalPoolCase(std::string_view op, Dice& dice) {
  const Ints sizes = dice.Sizes(1, 3, 30);
  const bool average = op == "GlobalAveragePool";
  const Operand x = {Image(dice.Between(1, 3), sizes, dice.Between(1, 3)),
                     average ? Fill::kWhole : Fill::kDistinct};
  const int outputs = average ? 1 : static_cast<int>(dice.Between(1, 2));
  return {{{}, {}, {{"channels_last", int64_t{1}}}, {x}, {0}, outputs},
          average ? Slope::kLinear : Slope::kExact};
}

// Odd multiples of 1/32 of a grid are never where an interpolation has a kink: those are
// multiples of 1/2 of a pixel, of which an axis has five at most.
RandomCase GridSampleCase(std::string_view /*op*/, Dice& dice) {
  const Shape image = dice.AnyShape(3, 5, 60);
  Ints grid = {image[0]};
  for (int i = 0; i < image.rank() - 2; ++i) grid.push_back(dice.Between(1, 3));
  grid.push_back(image.rank() - 2);
  const std::string mode = dice.Pick({"linear", "cubic", "nearest"});
  const std::string padding = dice.Pick({"zeros", "border", "reflection"});
  const Attributes attributes = {
      {"mode", mode}, {"padding_mode", padding}, {"align_corners", dice.Flag()}};
  const std::vector<int> wrt = mode == "nearest" ? std::vector<int>{0} : std::vector<int>{0, 1};
  return {{{}, {}, attributes, {{image}, {Shape::Make(grid).value(), Fill::kDistinct}}, wrt},
          Slope::kSmooth};
}

}  // namespace

void AddWindowDraws(std::vector<RandomOp>& ops) {
  ops.push_back({"Conv", ConvCase});
  ops.push_back({"GridSample", GridSampleCase});
  ops.push_back({"ConvTranspose", ConvTransposeCase});
  for (const char* op : {"AveragePool", "MaxPool"}) ops.push_back({op, PoolCase});
  for (const char* op : {"GlobalAveragePool", "GlobalMaxPool"}) ops.push_back({op, GlobalPoolCase});
}

}  // namespace wsi

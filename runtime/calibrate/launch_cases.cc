#include "runtime/calibrate/launch_cases.h"

#include <algorithm>

namespace wsi {
namespace {

using Ints = std::vector<int64_t>;

OperandSpec Operand(DType dtype, Shape shape) {
  return {.present = true, .dtype = dtype, .shape = std::move(shape)};
}

double Elements(const OperandSpec& operand) {
  return static_cast<double>(operand.shape.ElementCount());
}

double BytesOf(const LaunchCase& c) {
  double bytes = 0;
  for (const auto* operands : {&c.inputs, &c.outputs}) {
    for (const OperandSpec& operand : *operands) {
      if (operand.present) bytes += static_cast<double>(operand.shape.ByteCount(operand.dtype));
    }
  }
  return bytes;
}

// A square image of channels last.
struct Image {
  int64_t side;
  int64_t channels;
  Shape shape() const { return {1, side, side, channels}; }
};

struct ConvolutionSize {
  int64_t side;
  int64_t in;
  int64_t out;
  int64_t kernel;
  int64_t stride = 1;
  bool depthwise = false;
};

// The stem, each stage's 3x3 and 1x1 of ResNet-50, and MobileNetV2's depthwise ones.
constexpr ConvolutionSize kConvolutions[] = {
    {.side = 1024, .in = 3, .out = 64, .kernel = 7, .stride = 2},
    {.side = 256, .in = 64, .out = 64, .kernel = 3},
    {.side = 128, .in = 128, .out = 128, .kernel = 3},
    {.side = 64, .in = 256, .out = 256, .kernel = 3},
    {.side = 32, .in = 512, .out = 512, .kernel = 3},
    {.side = 256, .in = 128, .out = 128, .kernel = 3, .stride = 2},
    {.side = 128, .in = 256, .out = 256, .kernel = 3, .stride = 2},
    {.side = 256, .in = 64, .out = 256, .kernel = 1},
    {.side = 256, .in = 256, .out = 64, .kernel = 1},
    {.side = 128, .in = 128, .out = 512, .kernel = 1},
    {.side = 128, .in = 512, .out = 128, .kernel = 1},
    {.side = 64, .in = 256, .out = 1024, .kernel = 1},
    {.side = 64, .in = 1024, .out = 256, .kernel = 1},
    {.side = 32, .in = 512, .out = 2048, .kernel = 1},
    {.side = 32, .in = 2048, .out = 512, .kernel = 1},
    {.side = 256, .in = 96, .out = 24, .kernel = 1},
    {.side = 64, .in = 64, .out = 384, .kernel = 1},
    {.side = 256, .in = 96, .out = 96, .kernel = 3, .stride = 2, .depthwise = true},
    {.side = 128, .in = 144, .out = 144, .kernel = 3, .depthwise = true},
    {.side = 64, .in = 192, .out = 192, .kernel = 3, .depthwise = true},
    {.side = 32, .in = 576, .out = 576, .kernel = 3, .depthwise = true},
};

// Makes cases and knows the type and scale of all.
class CaseList {
 public:
  CaseList(DType type, int64_t divisor) : type_(type), divisor_(divisor) {}

  std::vector<LaunchCase> Make() {
    for (const ConvolutionSize& size : kConvolutions) AddConvolution(size);
    for (const Image& image : {Image{512, 64}, Image{256, 256}, Image{128, 512}, Image{64, 1024}}) {
      AddNorms({Side(image.side), image.channels});
      AddPointwise({Side(image.side), image.channels});
    }
    AddPooling({Side(512), 64});
    AddUpdates();
    return std::move(cases_);
  }

 private:
  int64_t Side(int64_t side) const { return std::max<int64_t>(side / divisor_, 8); }

  LaunchCase& Add(std::string op, Attributes attributes, std::vector<OperandSpec> inputs,
                  std::vector<OperandSpec> outputs) {
    LaunchCase& c = cases_.emplace_back();
    c.op = std::move(op);
    c.attributes = std::move(attributes);
    c.inputs = std::move(inputs);
    c.outputs = std::move(outputs);
    c.bytes = BytesOf(c);
    return c;
  }

  void AddConvolution(const ConvolutionSize& size) {
    const int64_t side = Side(size.side);
    const int64_t pad = size.kernel / 2;
    const int64_t out_side = (side + 2 * pad - size.kernel) / size.stride + 1;
    const OperandSpec x = Operand(type_, {1, side, side, size.in});
    const OperandSpec y = Operand(type_, {1, out_side, out_side, size.out});
    const Shape weight = {size.out, size.kernel, size.kernel, size.depthwise ? 1 : size.in};
    const Attributes attributes = {{"kernel_shape", Ints{size.kernel, size.kernel}},
                                   {"strides", Ints{size.stride, size.stride}},
                                   {"dilations", Ints{1, 1}},
                                   {"pads", Ints{pad, pad, pad, pad}},
                                   {"group", size.depthwise ? size.in : int64_t{1}},
                                   {"channels_last", int64_t{1}}};
    const auto with = [&](const char* name, const Shape& shape) {
      Attributes more = attributes;
      more.Set(name, Ints(shape.begin(), shape.end()));
      return more;
    };
    const double flops = 2 * Elements(y) * static_cast<double>(weight.ElementCount()) /
                         static_cast<double>(size.out);
    const OperandSpec w = Operand(type_, weight);
    Work(Add("Conv", attributes, {x, w}, {y}), flops, !size.depthwise);
    if (size.in > 3) {  // Nothing is asked of the gradient of an image.
      Work(Add("ConvInputGrad", with("input_shape", x.shape), {y, w}, {x}), flops, !size.depthwise);
    }
    Work(
        Add("ConvWeightGrad", with("weight_shape", weight), {x, y}, {Operand(DType::kF32, weight)}),
        flops, !size.depthwise);
  }

  static void Work(LaunchCase& c, double flops, bool matrix) {
    c.flops = flops;
    c.matrix = matrix;
  }

  void AddNorms(const Image& image) {
    const OperandSpec x = Operand(type_, image.shape());
    const OperandSpec c = Operand(DType::kF32, {image.channels});
    const double flops = 4 * Elements(x);
    const Attributes plain = {{"channels_last", int64_t{1}}};
    Attributes normalize = plain;
    normalize.Set("epsilon", 1e-5);
    Attributes with_relu = normalize;
    with_relu.Set("relu", int64_t{1});
    Add("BatchNormStats", plain, {x}, {c, c}).flops = flops;
    Add("BatchNormApply", with_relu, {x, c, c, c, c}, {x}).flops = flops;
    Add("BatchNormApply", with_relu, {x, c, c, c, c, x}, {x}).flops = flops;
    Add("BatchNormGradStats", with_relu, {x, x, c, c, x}, {c, c, x}).flops = flops;
    Add("BatchNormGradApply", normalize, {x, x, c, c, c, c, c}, {x}).flops = flops;
    Add("BatchNormGradFrozen", with_relu, {x, c, c, x}, {x}).flops = flops;
  }

  void AddPointwise(const Image& image) {
    const OperandSpec x = Operand(type_, image.shape());
    const Attributes limits = {{"min", 0.0}, {"max", 6.0}};
    const double elements = Elements(x);
    for (const char* op : {"Relu", "Sigmoid"}) Add(op, {}, {x}, {x}).flops = elements;
    for (const char* op : {"Add", "Mul", "ReluGrad"}) Add(op, {}, {x, x}, {x}).flops = elements;
    Add("Clip", limits, {x}, {x}).flops = elements;
    Add("ClipGrad", limits, {x, x}, {x}).flops = elements;
    if (type_ == DType::kF32) return;
    const OperandSpec wide = Operand(DType::kF32, image.shape());
    Add("Cast", {{"to", std::string(DTypeName(type_))}}, {wide}, {x});
    Add("Cast", {{"to", std::string("f32")}}, {x}, {wide});
  }

  void AddPooling(const Image& image) {
    const Attributes window = {{"kernel_shape", Ints{3, 3}}, {"strides", Ints{2, 2}},
                               {"dilations", Ints{1, 1}},    {"pads", Ints{1, 1, 1, 1}},
                               {"ceil_mode", int64_t{0}},    {"channels_last", int64_t{1}}};
    const Shape whole = image.shape();
    Attributes backward = window;
    backward.Set("input_shape", Ints(whole.begin(), whole.end()));
    const Shape half = Image{(image.side - 1) / 2 + 1, image.channels}.shape();
    const OperandSpec x = Operand(type_, whole);
    const OperandSpec y = Operand(type_, half);
    const OperandSpec index = Operand(DType::kU8, half);
    const double flops = 9 * Elements(y);
    Add("MaxPool", window, {x}, {y, index}).flops = flops;
    Add("MaxPoolGrad", backward, {y, index}, {x}).flops = flops;
    const OperandSpec mean = Operand(type_, {1, 1, 1, image.channels});
    Add("GlobalAveragePool", {{"channels_last", int64_t{1}}}, {x}, {mean}).flops = Elements(x);
    Add("GlobalAveragePoolGrad",
        {{"channels_last", int64_t{1}}, {"input_shape", Ints(whole.begin(), whole.end())}}, {mean},
        {x})
        .flops = Elements(x);
  }

  // Of 4 million weights, always in f32, and the products of the last layer.
  void AddUpdates() {
    const int64_t count = (int64_t{1} << 22) / (divisor_ * divisor_);
    const OperandSpec scalar = Operand(DType::kF32, {});
    const OperandSpec step = Operand(DType::kI64, {});
    const OperandSpec w = Operand(DType::kF32, {count});
    if (type_ == DType::kF32) {
      const auto elements = static_cast<double>(count);
      Add("SgdUpdate", {}, {w, w, scalar}, {w}).flops = 5 * elements;
      Add("MomentumUpdate", {{"momentum", 0.9}}, {w, w, w, scalar}, {w, w}).flops = 5 * elements;
      Add("AdamUpdate", {{"beta1", 0.9}, {"beta2", 0.999}, {"epsilon", 1e-8}},
          {w, w, w, w, scalar, step}, {w, w, w})
          .flops = 15 * elements;
    }
    for (const int64_t rows : {int64_t{1}, int64_t{256}}) {
      const int64_t inner = 2048 / divisor_;
      Work(Add("Gemm", {{"transB", int64_t{1}}},
               {Operand(type_, {rows, inner}), Operand(type_, {1000, inner})},
               {Operand(type_, {rows, 1000})}),
           2.0 * static_cast<double>(rows * 1000 * inner), true);
    }
  }

  DType type_;
  int64_t divisor_;
  std::vector<LaunchCase> cases_;
};

}  // namespace

LaunchSpec SpecOf(const LaunchCase& launch) {
  return {.op = launch.op,
          .node = "calibration",
          .attributes = launch.attributes,
          .inputs = launch.inputs,
          .outputs = launch.outputs};
}

std::vector<LaunchCase> LaunchCases(DType type, int64_t divisor) {
  return CaseList(type, divisor).Make();
}

}  // namespace wsi

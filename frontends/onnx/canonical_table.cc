#include <algorithm>
#include <array>

#include "frontends/onnx/canonical.h"

namespace wsi {
namespace {

// Sorted by name.
constexpr auto kCanonicalizers = std::to_array<Canonicalizer>({
    {"Abs", ImportAsIs},
    {"Add", ImportAsIs},
    {"And", ImportAsIs},
    {"AveragePool", ImportAveragePool},
    {"BatchNormalization", ImportBatchNormalization},
    {"Cast", ImportCast},
    {"CastLike", ImportCastLike},
    {"Ceil", ImportAsIs},
    {"Clip", ImportClip},
    {"Concat", ImportConcat},
    {"Constant", ImportConstant},
    {"ConstantOfShape", ImportConstantOfShape},
    {"Conv", ImportConv},
    {"Div", ImportAsIs},
    {"Dropout", ImportDropout},
    {"Elu", ImportWithAlpha},
    {"Equal", ImportAsIs},
    {"Erf", ImportAsIs},
    {"Exp", ImportAsIs},
    {"Expand", ImportExpand},
    {"Flatten", ImportFlatten},
    {"Floor", ImportAsIs},
    {"Gather", ImportGather},
    {"Gemm", ImportGemm},
    {"GlobalAveragePool", ImportAsIs},
    {"GlobalMaxPool", ImportAsIs},
    {"Greater", ImportAsIs},
    {"GreaterOrEqual", ImportOrEqual},
    {"GroupNormalization", ImportGroupNormalization},
    {"HardSigmoid", ImportWithAlpha},
    {"HardSwish", ImportAsIs},
    {"Identity", ImportIdentity},
    {"InstanceNormalization", ImportInstanceNormalization},
    {"LeakyRelu", ImportWithAlpha},
    {"Less", ImportAsIs},
    {"LessOrEqual", ImportOrEqual},
    {"Log", ImportAsIs},
    {"LogSoftmax", ImportSoftmax},
    {"MatMul", ImportMatMul},
    {"Max", ImportNary},
    {"MaxPool", ImportMaxPool},
    {"Mean", ImportNary},
    {"Min", ImportNary},
    {"Mod", ImportMod},
    {"Mul", ImportAsIs},
    {"Neg", ImportAsIs},
    {"NegativeLogLikelihoodLoss", ImportClassificationLoss},
    {"Not", ImportAsIs},
    {"Or", ImportAsIs},
    {"Pad", ImportPad},
    {"Pow", ImportPow},
    {"Range", ImportRange},
    {"Reciprocal", ImportAsIs},
    {"ReduceMax", ImportReduce},
    {"ReduceMean", ImportReduce},
    {"ReduceMin", ImportReduce},
    {"ReduceProd", ImportReduce},
    {"ReduceSum", ImportReduce},
    {"Relu", ImportAsIs},
    {"Reshape", ImportReshape},
    {"Shape", ImportShape},
    {"Sigmoid", ImportAsIs},
    {"Sign", ImportAsIs},
    {"Size", ImportSize},
    {"Slice", ImportSlice},
    {"Softmax", ImportSoftmax},
    {"SoftmaxCrossEntropyLoss", ImportClassificationLoss},
    {"Softplus", ImportAsIs},
    {"Split", ImportSplit},
    {"Sqrt", ImportAsIs},
    {"Squeeze", ImportSqueeze},
    {"Sub", ImportAsIs},
    {"Sum", ImportNary},
    {"Tanh", ImportAsIs},
    {"Tile", ImportTile},
    {"Transpose", ImportTranspose},
    {"Unsqueeze", ImportUnsqueeze},
    {"Where", ImportAsIs},
});
static_assert(std::ranges::is_sorted(kCanonicalizers, {}, &Canonicalizer::op));

constexpr std::string_view kFoldedOnly[] = {
    "CastLike",  "ConstantOfShape", "Gather", "Mod",  "Range", "ReduceMax",
    "ReduceMin", "ReduceProd",      "Shape",  "Size", "Tile"};

}  // namespace

const Canonicalizer* FindCanonicalizer(std::string_view op) {
  const auto* at = std::ranges::lower_bound(kCanonicalizers, op, {}, &Canonicalizer::op);
  return at != kCanonicalizers.end() && at->op == op ? at : nullptr;
}

bool IsFoldedOnly(std::string_view op) {
  return std::ranges::find(kFoldedOnly, op) != std::end(kFoldedOnly);
}

Status ImportAsIs(NodeImport& n) { return n.Give(n.op(), n.inputs(), n.AllAttributes()); }

}  // namespace wsi

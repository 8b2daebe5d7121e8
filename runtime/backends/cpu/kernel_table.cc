#include "runtime/backends/cpu/kernel_table.h"

#include <algorithm>

#include "runtime/backends/cpu/all_finite.h"
#include "runtime/backends/cpu/along_axis.h"
#include "runtime/backends/cpu/batch_norm.h"
#include "runtime/backends/cpu/convolution.h"
#include "runtime/backends/cpu/dropout.h"
#include "runtime/backends/cpu/grid_sample.h"
#include "runtime/backends/cpu/group_norm.h"
#include "runtime/backends/cpu/indexing.h"
#include "runtime/backends/cpu/linear.h"
#include "runtime/backends/cpu/loss.h"
#include "runtime/backends/cpu/movement.h"
#include "runtime/backends/cpu/optimizer.h"
#include "runtime/backends/cpu/pointwise.h"
#include "runtime/backends/cpu/pooling.h"
#include "runtime/backends/cpu/reduction.h"
#include "runtime/backends/cpu/resample.h"
#include "runtime/backends/cpu/row_norm.h"
#include "runtime/backends/cpu/softmax.h"

namespace wsi::cpu {
namespace {

constexpr KernelEntry kTable[] = {
    {"Abs", CompileUnary},
    {"AccumulateGrad", CompileBinary},
    {"AdamUpdate", CompileAdamUpdate},
    {"Add", CompileBinary},
    {"AllFinite", CompileAllFinite},
    {"And", CompileLogical},
    {"ArgMax", CompileArgExtreme},
    {"ArgMin", CompileArgExtreme},
    {"AveragePool", CompileAveragePool},
    {"AveragePoolGrad", CompileAveragePoolGrad},
    {"BatchNormApply", CompileBatchNormApply},
    {"BatchNormGradApply", CompileBatchNormGradApply},
    {"BatchNormGradFrozen", CompileBatchNormGradFrozen},
    {"BatchNormGradStats", CompileBatchNormGradStats},
    {"BatchNormStats", CompileBatchNormStats},
    {"Cast", CompileCast},
    {"Ceil", CompileUnary},
    {"Clip", CompileUnary},
    {"ClipGrad", CompileBinary},
    {"ClipScale", CompileClipScale},
    {"Concat", CompileConcat},
    {"Conv", CompileConv},
    {"ConvInputGrad", CompileConvInputGrad},
    {"ConvTranspose", CompileConvTranspose},
    {"ConvWeightGrad", CompileConvWeightGrad},
    {"Cos", CompileUnary},
    {"Cosh", CompileUnary},
    {"CumSum", CompileCumSum},
    {"Div", CompileBinary},
    {"Dropout", CompileDropout},
    {"DropoutGrad", CompileDropoutGrad},
    {"Elu", CompileUnary},
    {"EluGrad", CompileBinary},
    {"Equal", CompileCompare},
    {"Erf", CompileUnary},
    {"ErfGrad", CompileBinary},
    {"Exp", CompileUnary},
    {"Expand", CompileExpand},
    {"Fill", CompileFill},
    {"Floor", CompileUnary},
    {"Gather", CompileGather},
    {"GatherElements", CompileGatherElements},
    {"GatherGrad", CompileGatherGrad},
    {"Gelu", CompileUnary},
    {"GeluGrad", CompileBinary},
    {"Gemm", CompileGemm},
    {"GlobalAveragePool", CompileGlobalAveragePool},
    {"GlobalAveragePoolGrad", CompileGlobalAveragePoolGrad},
    {"GlobalMaxPool", CompileGlobalMaxPool},
    {"GlobalMaxPoolGrad", CompileGlobalMaxPoolGrad},
    {"Greater", CompileCompare},
    {"GridSample", CompileGridSample},
    {"GridSampleGrad", CompileGridSampleGrad},
    {"GridSampleGridGrad", CompileGridSampleGridGrad},
    {"GroupNormGrad", CompileGroupNormGrad},
    {"GroupNormalization", CompileGroupNormalization},
    {"HardSigmoid", CompileUnary},
    {"HardSigmoidGrad", CompileBinary},
    {"HardSwish", CompileUnary},
    {"HardSwishGrad", CompileBinary},
    {"Identity", CompileIdentity},
    {"LayerNormGrad", CompileRowNormGrad},
    {"LayerNormalization", CompileRowNorm},
    {"LeakyRelu", CompileUnary},
    {"LeakyReluGrad", CompileBinary},
    {"Less", CompileCompare},
    {"Log", CompileUnary},
    {"LogSoftmax", CompileSoftmax},
    {"LogSoftmaxGrad", CompileSoftmaxGrad},
    {"MatMul", CompileMatMul},
    {"Max", CompileBinary},
    {"MaxPool", CompileMaxPool},
    {"MaxPoolGrad", CompileMaxPoolGrad},
    {"MeanSquaredError", CompileElementLoss},
    {"MeanSquaredErrorGrad", CompileElementLossGrad},
    {"Min", CompileBinary},
    {"Mod", CompileBinary},
    {"MomentumUpdate", CompileMomentumUpdate},
    {"MovingAverage", CompileBinary},
    {"Mul", CompileBinary},
    {"Neg", CompileUnary},
    {"NegativeLogLikelihoodGrad", CompileNegativeLogLikelihoodGrad},
    {"NegativeLogLikelihoodLoss", CompileNegativeLogLikelihoodLoss},
    {"Not", CompileLogical},
    {"Or", CompileLogical},
    {"Pad", CompilePad},
    {"Pointwise", CompilePointwise},
    {"Pow", CompileBinary},
    {"RMSNormGrad", CompileRowNormGrad},
    {"RMSNormalization", CompileRowNorm},
    {"Reciprocal", CompileUnary},
    {"ReduceMax", CompileReduce},
    {"ReduceMean", CompileReduce},
    {"ReduceMin", CompileReduce},
    {"ReduceProd", CompileReduce},
    {"ReduceSum", CompileReduce},
    {"Relu", CompileUnary},
    {"ReluGrad", CompileBinary},
    {"Resample", CompileResample},
    {"ResampleGrad", CompileResampleGrad},
    {"Reshape", CompileIdentity},
    {"Round", CompileUnary},
    {"ScatterElements", CompileScatterElements},
    {"SgdUpdate", CompileSgdUpdate},
    {"Sigmoid", CompileUnary},
    {"SigmoidCrossEntropyGrad", CompileElementLossGrad},
    {"SigmoidCrossEntropyLoss", CompileElementLoss},
    {"SigmoidGrad", CompileBinary},
    {"Sign", CompileUnary},
    {"Sin", CompileUnary},
    {"Sinh", CompileUnary},
    {"Slice", CompileSlice},
    {"SliceGrad", CompileSliceGrad},
    {"Softmax", CompileSoftmax},
    {"SoftmaxCrossEntropyGrad", CompileSoftmaxCrossEntropyGrad},
    {"SoftmaxCrossEntropyLoss", CompileSoftmaxCrossEntropyLoss},
    {"SoftmaxGrad", CompileSoftmaxGrad},
    {"Softplus", CompileUnary},
    {"Sqrt", CompileUnary},
    {"SquaredNorm", CompileSquaredNorm},
    {"Sub", CompileBinary},
    {"Tanh", CompileUnary},
    {"TanhGrad", CompileBinary},
    {"TopK", CompileTopK},
    {"Transpose", CompileTranspose},
    {"Where", CompileWhere},
};

constexpr bool IsSorted() {
  for (size_t i = 1; i < std::size(kTable); ++i) {
    if (kTable[i - 1].op >= kTable[i].op) return false;
  }
  return true;
}
static_assert(IsSorted());

}  // namespace

std::span<const KernelEntry> KernelTable() { return kTable; }

const KernelEntry* FindKernel(std::string_view op) {
  const auto* entry =
      std::lower_bound(std::begin(kTable), std::end(kTable), op,
                       [](const KernelEntry& e, std::string_view name) { return e.op < name; });
  return entry != std::end(kTable) && entry->op == op ? entry : nullptr;
}

}  // namespace wsi::cpu

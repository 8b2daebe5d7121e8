// The operator table: an operator exists if it is listed here. Sorted by name.
#include <array>

#include "compiler/ops/along_axis.h"
#include "compiler/ops/batch_normalization.h"
#include "compiler/ops/classification_loss.h"
#include "compiler/ops/collective.h"
#include "compiler/ops/convolution.h"
#include "compiler/ops/elementwise_loss.h"
#include "compiler/ops/grid_sampling.h"
#include "compiler/ops/group_normalization.h"
#include "compiler/ops/indexing.h"
#include "compiler/ops/layer_normalization.h"
#include "compiler/ops/linear.h"
#include "compiler/ops/memory.h"
#include "compiler/ops/movement.h"
#include "compiler/ops/op_def.h"
#include "compiler/ops/optimizer.h"
#include "compiler/ops/pointwise_binary.h"
#include "compiler/ops/pointwise_fused.h"
#include "compiler/ops/pointwise_gradient.h"
#include "compiler/ops/pointwise_unary.h"
#include "compiler/ops/pooling.h"
#include "compiler/ops/random.h"
#include "compiler/ops/reduction.h"
#include "compiler/ops/resampling.h"
#include "compiler/ops/shape.h"
#include "compiler/ops/slicing.h"
#include "compiler/ops/softmax.h"
#include "compiler/ops/transposed_convolution.h"

namespace wsi {
namespace {

constexpr std::array kOperators = {
    &kAbs,
    &kAccumulateGrad,
    &kAdamUpdate,
    &kAdd,
    &kAllFinite,
    &kAllReduce,
    &kAnd,
    &kArgMax,
    &kArgMin,
    &kAveragePool,
    &kAveragePoolGrad,
    &kBatchNormApply,
    &kBatchNormGradApply,
    &kBatchNormGradFrozen,
    &kBatchNormGradStats,
    &kBatchNormStats,
    &kBatchNormTrain,
    &kBatchNormalization,
    &kCast,
    &kCastLike,
    &kCeil,
    &kClip,
    &kClipGrad,
    &kClipScale,
    &kConcat,
    &kConstantOfShape,
    &kConv,
    &kConvInputGrad,
    &kConvTranspose,
    &kConvWeightGrad,
    &kCopy,
    &kCos,
    &kCosh,
    &kCumSum,
    &kDiv,
    &kDropout,
    &kDropoutGrad,
    &kElu,
    &kEluGrad,
    &kEqual,
    &kErf,
    &kErfGrad,
    &kExp,
    &kExpand,
    &kFill,
    &kFloor,
    &kGather,
    &kGatherElements,
    &kGatherGrad,
    &kGelu,
    &kGeluGrad,
    &kGemm,
    &kGlobalAveragePool,
    &kGlobalAveragePoolGrad,
    &kGlobalMaxPool,
    &kGlobalMaxPoolGrad,
    &kGreater,
    &kGridSample,
    &kGridSampleGrad,
    &kGridSampleGridGrad,
    &kGroupEnd,
    &kGroupNormGrad,
    &kGroupNormalization,
    &kHardSigmoid,
    &kHardSigmoidGrad,
    &kHardSwish,
    &kHardSwishGrad,
    &kHold,
    &kIdentity,
    &kLayerNormGrad,
    &kLayerNormalization,
    &kLeakyRelu,
    &kLeakyReluGrad,
    &kLess,
    &kLog,
    &kLogSoftmax,
    &kLogSoftmaxGrad,
    &kMatMul,
    &kMax,
    &kMaxPool,
    &kMaxPoolGrad,
    &kMeanSquaredError,
    &kMeanSquaredErrorGrad,
    &kMin,
    &kMod,
    &kMomentumUpdate,
    &kMovingAverage,
    &kMul,
    &kNeg,
    &kNegativeLogLikelihoodGrad,
    &kNegativeLogLikelihoodLoss,
    &kNot,
    &kOr,
    &kPad,
    &kPointwise,
    &kPow,
    &kRMSNormGrad,
    &kRMSNormalization,
    &kRange,
    &kReciprocal,
    &kReduceMax,
    &kReduceMean,
    &kReduceMin,
    &kReduceProd,
    &kReduceSum,
    &kRelu,
    &kReluGrad,
    &kResample,
    &kResampleGrad,
    &kReshape,
    &kRound,
    &kScatterElements,
    &kSgdUpdate,
    &kShape,
    &kSigmoid,
    &kSigmoidCrossEntropyGrad,
    &kSigmoidCrossEntropyLoss,
    &kSigmoidGrad,
    &kSign,
    &kSin,
    &kSinh,
    &kSize,
    &kSlice,
    &kSliceGrad,
    &kSoftmax,
    &kSoftmaxCrossEntropyGrad,
    &kSoftmaxCrossEntropyLoss,
    &kSoftmaxGrad,
    &kSoftplus,
    &kSqrt,
    &kSquaredNorm,
    &kSub,
    &kTanh,
    &kTanhGrad,
    &kTopK,
    &kTranspose,
    &kWhere,
};

}  // namespace

std::span<const OpDef* const> AllOps() { return kOperators; }

}  // namespace wsi

// The compile functions of the operator families. Those named after a family serve all
// its operators and look at LaunchSpec::op.
#pragma once

#include "runtime/backends/reference/kernel_table.h"

namespace wsi::reference {

KernelResult CompileArithmetic(const LaunchSpec& launch);  // Add, Sub, Mul, Max, ...
KernelResult CompileComparison(const LaunchSpec& launch);  // Equal, Less, Greater
KernelResult CompileLogical(const LaunchSpec& launch);     // And, Or, Not
KernelResult CompileWhere(const LaunchSpec& launch);
KernelResult CompileUnary(const LaunchSpec& launch);              // Relu, Exp, ...
KernelResult CompilePointwiseGradient(const LaunchSpec& launch);  // ReluGrad, ...
KernelResult CompilePointwise(const LaunchSpec& launch);          // Fused ones.
KernelResult CompileCast(const LaunchSpec& launch);
KernelResult CompileFill(const LaunchSpec& launch);

KernelResult CompileConv(const LaunchSpec& launch);
KernelResult CompileConvInputGrad(const LaunchSpec& launch);
KernelResult CompileConvWeightGrad(const LaunchSpec& launch);
KernelResult CompileConvTranspose(const LaunchSpec& launch);
KernelResult CompileGemm(const LaunchSpec& launch);
KernelResult CompileMatMul(const LaunchSpec& launch);

KernelResult CompileBatchNormStats(const LaunchSpec& launch);
KernelResult CompileBatchNormApply(const LaunchSpec& launch);
KernelResult CompileBatchNormGradStats(const LaunchSpec& launch);
KernelResult CompileBatchNormGradApply(const LaunchSpec& launch);
KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch);
KernelResult CompileMovingAverage(const LaunchSpec& launch);
KernelResult CompileGroupNormalization(const LaunchSpec& launch);
KernelResult CompileGroupNormGrad(const LaunchSpec& launch);
KernelResult CompileRowNorm(const LaunchSpec& launch);      // LayerNormalization, RMSNormalization
KernelResult CompileRowNormGrad(const LaunchSpec& launch);  // and their gradients

KernelResult CompileMaxPool(const LaunchSpec& launch);
KernelResult CompileMaxPoolGrad(const LaunchSpec& launch);
KernelResult CompileAveragePool(const LaunchSpec& launch);
KernelResult CompileAveragePoolGrad(const LaunchSpec& launch);
KernelResult CompileGlobalAveragePool(const LaunchSpec& launch);
KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch);
KernelResult CompileGlobalMaxPool(const LaunchSpec& launch);
KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch);

KernelResult CompileConcat(const LaunchSpec& launch);
KernelResult CompileExpand(const LaunchSpec& launch);
KernelResult CompileGather(const LaunchSpec& launch);
KernelResult CompileGatherElements(const LaunchSpec& launch);
KernelResult CompileGatherGrad(const LaunchSpec& launch);
KernelResult CompileScatterElements(const LaunchSpec& launch);
KernelResult CompilePad(const LaunchSpec& launch);
KernelResult CompileGridSample(const LaunchSpec& launch);
KernelResult CompileGridSampleGrad(const LaunchSpec& launch);
KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch);
KernelResult CompileResample(const LaunchSpec& launch);
KernelResult CompileResampleGrad(const LaunchSpec& launch);
KernelResult CompileSameBytes(const LaunchSpec& launch);  // Identity, Reshape
KernelResult CompileSlice(const LaunchSpec& launch);
KernelResult CompileSliceGrad(const LaunchSpec& launch);
KernelResult CompileTranspose(const LaunchSpec& launch);

KernelResult CompileReduction(const LaunchSpec& launch);   // ReduceSum, ReduceMean
KernelResult CompileArgExtreme(const LaunchSpec& launch);  // ArgMax, ArgMin
KernelResult CompileCumSum(const LaunchSpec& launch);
KernelResult CompileTopK(const LaunchSpec& launch);
KernelResult CompileSoftmax(const LaunchSpec& launch);      // Softmax, LogSoftmax
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch);  // and of LogSoftmax

KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch);
KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch);
KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch);
KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch);
KernelResult CompileElementwiseLoss(const LaunchSpec& launch);  // squared error, sigmoid
KernelResult CompileElementwiseLossGrad(const LaunchSpec& launch);

KernelResult CompileDropout(const LaunchSpec& launch);
KernelResult CompileDropoutGrad(const LaunchSpec& launch);

KernelResult CompileSgdUpdate(const LaunchSpec& launch);
KernelResult CompileMomentumUpdate(const LaunchSpec& launch);
KernelResult CompileAdamUpdate(const LaunchSpec& launch);
KernelResult CompileAllFinite(const LaunchSpec& launch);
KernelResult CompileSquaredNorm(const LaunchSpec& launch);
KernelResult CompileClipScale(const LaunchSpec& launch);
KernelResult CompileAccumulateGrad(const LaunchSpec& launch);

}  // namespace wsi::reference

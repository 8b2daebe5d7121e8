// The compile functions of the operator families. Those named after a family serve all
// its operators and look at LaunchSpec::op.
#pragma once

#include "runtime/backends/cuda/compile.h"

namespace wsi::cuda {

// Code made for the launch: one pointwise operator, or a program of many.
KernelResult CompilePointwise(const LaunchSpec& launch, Context& context);
KernelResult CompileProgram(const LaunchSpec& launch, Context& context);
KernelResult CompileCast(const LaunchSpec& launch, Context& context);
// The input, broadcast and cast to the output; part of other launches.
KernelResult CompileBroadcast(const LaunchSpec& launch, Context& context);
KernelResult CompileFill(const LaunchSpec& launch, Context& context);

KernelResult CompileConv(const LaunchSpec& launch, Context& context);
KernelResult CompileConvInputGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileConvWeightGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileConvTranspose(const LaunchSpec& launch, Context& context);
KernelResult CompileGemm(const LaunchSpec& launch, Context& context);
KernelResult CompileMatMul(const LaunchSpec& launch, Context& context);

KernelResult CompileBatchNormStats(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormApply(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradStats(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradApply(const LaunchSpec& launch, Context& context);
KernelResult CompileBatchNormGradFrozen(const LaunchSpec& launch, Context& context);
KernelResult CompileGroupNormalization(const LaunchSpec& launch, Context& context);
KernelResult CompileGroupNormGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileRowNorm(const LaunchSpec& launch, Context& context);      // Layer, RMS
KernelResult CompileRowNormGrad(const LaunchSpec& launch, Context& context);  // and gradients

KernelResult CompileMaxPool(const LaunchSpec& launch, Context& context);
KernelResult CompileMaxPoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileAveragePool(const LaunchSpec& launch, Context& context);
KernelResult CompileAveragePoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalAveragePool(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalAveragePoolGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalMaxPool(const LaunchSpec& launch, Context& context);
KernelResult CompileGlobalMaxPoolGrad(const LaunchSpec& launch, Context& context);

KernelResult CompileConcat(const LaunchSpec& launch, Context& context);
KernelResult CompileExpand(const LaunchSpec& launch, Context& context);
KernelResult CompilePad(const LaunchSpec& launch, Context& context);
KernelResult CompileSameBytes(const LaunchSpec& launch, Context& context);  // Identity, Reshape
KernelResult CompileSlice(const LaunchSpec& launch, Context& context);
KernelResult CompileSliceGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileTranspose(const LaunchSpec& launch, Context& context);
KernelResult CompileGather(const LaunchSpec& launch, Context& context);
KernelResult CompileGatherElements(const LaunchSpec& launch, Context& context);
KernelResult CompileScatterElements(const LaunchSpec& launch, Context& context);
KernelResult CompileResample(const LaunchSpec& launch, Context& context);
KernelResult CompileSpread(const LaunchSpec& launch, Context& context);  // GatherGrad, ResampleGrad

KernelResult CompileGridSample(const LaunchSpec& launch, Context& context);
KernelResult CompileGridSampleGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileGridSampleGridGrad(const LaunchSpec& launch, Context& context);

KernelResult CompileReduction(const LaunchSpec& launch, Context& context);
KernelResult CompileSquaredNorm(const LaunchSpec& launch, Context& context);
KernelResult CompileArgExtreme(const LaunchSpec& launch, Context& context);  // ArgMax, ArgMin
KernelResult CompileCumSum(const LaunchSpec& launch, Context& context);
KernelResult CompileTopK(const LaunchSpec& launch, Context& context);
KernelResult CompileSoftmax(const LaunchSpec& launch, Context& context);      // and its logarithm
KernelResult CompileSoftmaxGrad(const LaunchSpec& launch, Context& context);  // and of that

KernelResult CompileSoftmaxCrossEntropyLoss(const LaunchSpec& launch, Context& context);
KernelResult CompileSoftmaxCrossEntropyGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileNegativeLogLikelihoodLoss(const LaunchSpec& launch, Context& context);
KernelResult CompileNegativeLogLikelihoodGrad(const LaunchSpec& launch, Context& context);
KernelResult CompileElementLoss(const LaunchSpec& launch, Context& context);  // squared, sigmoid
KernelResult CompileElementLossGrad(const LaunchSpec& launch, Context& context);

KernelResult CompileDropout(const LaunchSpec& launch, Context& context);
KernelResult CompileDropoutGrad(const LaunchSpec& launch, Context& context);

KernelResult CompileUpdate(const LaunchSpec& launch, Context& context);  // Sgd, Momentum, Adam
KernelResult CompileAllFinite(const LaunchSpec& launch, Context& context);
KernelResult CompileJointUpdates(JointLaunches all, Context& context);
KernelResult CompileJointFinite(JointLaunches all, Context& context);
KernelResult CompileClipScale(const LaunchSpec& launch, Context& context);

}  // namespace wsi::cuda

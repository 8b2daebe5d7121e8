// Mean squared error and cross-entropy of sigmoids, element by element.
#include <cmath>

#include "runtime/backends/cpu/loss.h"
#include "runtime/base/band.h"

namespace wsi::cpu {
namespace {

double SquaredError(double x, double t) { return (x - t) * (x - t); }
double SquaredErrorGrad(double x, double t) { return 2.0 * (x - t); }

// -t * log(sigmoid(x)) - (1 - t) * log(1 - sigmoid(x)), without overflow.
double SigmoidCrossEntropy(double x, double t) {
  return (x > 0 ? x : 0) - x * t + std::log1p(std::exp(-std::abs(x)));
}
double SigmoidCrossEntropyGrad(double x, double t) { return 1.0 / (1.0 + std::exp(-x)) - t; }

using Term = double (*)(double x, double t);

bool IsScalar(const OperandSpec& operand) {
  return operand.dtype == DType::kF32 && operand.shape.ElementCount() == 1;
}

}  // namespace

// Inputs: x, target.
KernelResult CompileElementLoss(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 2, 2, 1, 1));
  const Shape& shape = launch.inputs[0].shape;
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 0, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32, shape));
  if (!IsScalar(launch.outputs[0])) return CompileError(launch, "the loss is one f32");
  const Term term = launch.op == "MeanSquaredError" ? SquaredError : SigmoidCrossEntropy;
  const Chunks chunks = ChunksOf(shape.ElementCount(), 8, kGrain);
  WSI_RETURN_IF_ERROR(context.scratch.Require(chunks.count() * 8, 0));
  return MakeKernel([term, chunks, &context](const LaunchArguments& a) {
    double* partial = context.scratch.shared<double>();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t chunk, int) {
      double total = 0;
      for (int64_t i = begin; i < end; ++i) {
        total += term(static_cast<double>(a.input<float>(0)[i]),
                      static_cast<double>(a.input<float>(1)[i]));
      }
      partial[chunk] = total;
    });
    double total = 0;
    for (int64_t c = 0; c < chunks.count(); ++c) total += partial[c];
    *a.output<float>(0) = static_cast<float>(total / static_cast<double>(chunks.items));
  });
}

// Inputs: dloss, x, target.
KernelResult CompileElementLossGrad(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, 3, 3, 1, 1));
  const Shape& shape = launch.inputs[1].shape;
  if (!IsScalar(launch.inputs[0])) return CompileError(launch, "the loss's gradient is one f32");
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 1, DType::kF32));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 2, DType::kF32, shape));
  WSI_RETURN_IF_ERROR(ExpectOutput(launch, 0, DType::kF32, shape));
  const Term term =
      launch.op == "MeanSquaredErrorGrad" ? SquaredErrorGrad : SigmoidCrossEntropyGrad;
  WSI_ASSIGN_OR_RETURN(const BandOfWhole band, BandOfWhole::Read(launch.attributes, shape));
  const double count = static_cast<double>(band.CountInWhole(shape.ElementCount()));
  const Chunks chunks = ChunksOf(shape.ElementCount(), 8, kGrain);
  return MakeKernel([term, count, chunks, &context](const LaunchArguments& a) {
    const double scale = static_cast<double>(*a.input<float>(0)) / count;
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      for (int64_t i = begin; i < end; ++i) {
        a.output<float>(0)[i] =
            static_cast<float>(scale * term(static_cast<double>(a.input<float>(1)[i]),
                                            static_cast<double>(a.input<float>(2)[i])));
      }
    });
  });
}

}  // namespace wsi::cpu

#include "runtime/backends/cpu/optimizer.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "runtime/backends/cpu/loops/optimizer_loops.h"

namespace wsi::cpu {
namespace {

// The first `tensors` inputs and all `outputs` have the parameter's shape, input
// `lr` and the optional scale and finite behind the last scalar are single f32 numbers.
Status ExpectUpdate(const LaunchSpec& launch, size_t tensors, size_t outputs, size_t lr,
                    size_t scale) {
  WSI_RETURN_IF_ERROR(ExpectOperands(launch, scale, scale + 2, outputs, outputs));
  const Shape& shape = launch.inputs[0].shape;
  for (size_t i = 0; i < tensors; ++i) {
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, DType::kF32, shape));
  }
  for (size_t i = 0; i < outputs; ++i) {
    WSI_RETURN_IF_ERROR(ExpectOutput(launch, i, DType::kF32, shape));
  }
  for (const size_t i : {lr, scale, scale + 1}) {
    WSI_RETURN_IF_ERROR(ExpectInput(launch, i, DType::kF32));
    if (HasInput(launch, i) && launch.inputs[i].shape.ElementCount() != 1) {
      return CompileError(launch, "learning rate, scale and finite are single numbers");
    }
  }
  return {};
}

float ScaleOf(const LaunchArguments& a, size_t i) {
  const float* scale = a.input<float>(i);
  return scale == nullptr ? 1.0F : *scale;
}

// Whether input `i`, where it is there, says that a gradient is not finite: then outputs
// o are inputs kept[o], of `count` elements.
bool Skips(const LaunchArguments& a, size_t i, std::initializer_list<size_t> kept, int64_t count) {
  const float* finite = a.input<float>(i);
  if (finite == nullptr || *finite != 0) return false;
  size_t o = 0;
  for (const size_t k : kept) {
    float* out = a.output<float>(o++);
    if (out != a.input<float>(k)) std::copy_n(a.input<float>(k), count, out);
  }
  return true;
}

Chunks ChunksOfParameter(const LaunchSpec& launch) {
  return ChunksOf(launch.inputs[0].shape.ElementCount(), 1, kGrain);
}

}  // namespace

// Inputs: param, grad, lr, [scale], [finite].
KernelResult CompileSgdUpdate(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectUpdate(launch, 2, 1, 2, 3));
  SgdNumbers numbers;
  numbers.weight_decay = static_cast<float>(launch.attributes.Float("weight_decay", 0.0));
  const Chunks chunks = ChunksOfParameter(launch);
  return MakeKernel([numbers, chunks, &context](const LaunchArguments& a) {
    if (Skips(a, 4, {0}, chunks.items)) return;
    SgdNumbers k = numbers;
    k.lr = *a.input<float>(2);
    k.scale = ScaleOf(a, 3);
    const OptimizerLoops& loops = GetOptimizerLoops();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loops.sgd(a.input<float>(0) + begin, a.input<float>(1) + begin, end - begin, k,
                a.output<float>(0) + begin);
    });
  });
}

// Inputs: param, grad, velocity, lr, [scale], [finite]; outputs: param', velocity'.
KernelResult CompileMomentumUpdate(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectUpdate(launch, 3, 2, 3, 4));
  SgdNumbers numbers;
  numbers.weight_decay = static_cast<float>(launch.attributes.Float("weight_decay", 0.0));
  numbers.momentum = static_cast<float>(launch.attributes.Float("momentum", 0.0));
  numbers.nesterov = launch.attributes.Int("nesterov", 0) != 0;
  const Chunks chunks = ChunksOfParameter(launch);
  return MakeKernel([numbers, chunks, &context](const LaunchArguments& a) {
    if (Skips(a, 5, {0, 2}, chunks.items)) return;
    SgdNumbers k = numbers;
    k.lr = *a.input<float>(3);
    k.scale = ScaleOf(a, 4);
    const OptimizerLoops& loops = GetOptimizerLoops();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loops.momentum(a.input<float>(0) + begin, a.input<float>(1) + begin,
                     a.input<float>(2) + begin, end - begin, k, a.output<float>(0) + begin,
                     a.output<float>(1) + begin);
    });
  });
}

// Inputs: param, grad, m, v, lr, step, [scale], [finite]; outputs: param', m', v'.
KernelResult CompileAdamUpdate(const LaunchSpec& launch, Context& context) {
  WSI_RETURN_IF_ERROR(ExpectUpdate(launch, 4, 3, 4, 6));
  WSI_RETURN_IF_ERROR(ExpectInput(launch, 5, DType::kI64));
  if (launch.inputs[5].shape.ElementCount() != 1) return CompileError(launch, "step is one number");
  const double beta1 = launch.attributes.Float("beta1", 0.9);
  const double beta2 = launch.attributes.Float("beta2", 0.999);
  const double epsilon = launch.attributes.Float("epsilon", 1e-8);
  const double weight_decay = launch.attributes.Float("weight_decay", 0.0);
  const bool decoupled = launch.attributes.Int("decoupled", 0) != 0;
  const Chunks chunks = ChunksOfParameter(launch);
  return MakeKernel([=, &context](const LaunchArguments& a) {
    if (Skips(a, 7, {0, 2, 3}, chunks.items)) return;
    const double lr = static_cast<double>(*a.input<float>(4));
    const double step = static_cast<double>(*a.input<int64_t>(5));
    const AdamNumbers k = {
        .scale = ScaleOf(a, 6),
        .beta1 = static_cast<float>(beta1),
        .beta2 = static_cast<float>(beta2),
        .epsilon = static_cast<float>(epsilon),
        .decay = decoupled ? 0.0F : static_cast<float>(weight_decay),
        .shrink = decoupled ? static_cast<float>(1.0 - lr * weight_decay) : 1.0F,
        .step_size = static_cast<float>(lr / (1.0 - std::pow(beta1, step))),
        .inverse_bias2 = static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(beta2, step)))};
    const OptimizerLoops& loops = GetOptimizerLoops();
    ForChunks(context.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
      loops.adam(a.input<float>(0) + begin, a.input<float>(1) + begin, a.input<float>(2) + begin,
                 a.input<float>(3) + begin, end - begin, k, a.output<float>(0) + begin,
                 a.output<float>(1) + begin, a.output<float>(2) + begin);
    });
  });
}

}  // namespace wsi::cpu

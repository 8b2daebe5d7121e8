// The weight gradient of a 1x1 convolution with stride 1: the matrix product
// dw[o, i] = sum over positions of dy[p, o] * x[p, i]. It is a third faster than
// oneDNN's convolution kernels for it.
#include <dnnl.h>

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/convolution.h"
#include "runtime/backends/cpu/loops/pointwise_loops.h"
#include "runtime/backends/cpu/onednn.h"
#include "runtime/backends/cpu/strided_copy.h"

namespace wsi::cpu {
namespace {

constexpr int64_t kMaxPositions = int64_t{1} << 19;  // Of one sum in fp32.
constexpr int64_t kMinPositions = 512;
constexpr int64_t kColumnBlock = 512;

// left[p, m] and right[p, n], n the larger of the two channel counts, as the product
// likes it; each chunk computes a column block of one slab of positions.
struct Plan {
  int64_t m = 0;
  int64_t n = 0;
  bool transposed = false;  // The product is dw transposed: n counts output channels.
  Chunks positions;
  Chunks columns;
  int64_t size() const { return m * n; }
};

Plan MakePlan(const Convolution& c) {
  Plan plan;
  const int64_t count = c.window.output_positions();
  plan.transposed = c.output_channels > c.window.channels;
  plan.m = std::min(c.output_channels, c.window.channels);
  plan.n = std::max(c.output_channels, c.window.channels);
  // Partial results cost traffic of the weights' size each.
  int64_t slabs = 8;
  if (plan.size() >= (int64_t{1} << 18)) slabs = 4;
  if (plan.size() >= (int64_t{1} << 20)) slabs = 2;
  if (plan.size() < (int64_t{1} << 18) && count >= (int64_t{1} << 16)) slabs = 16;
  slabs = std::min(slabs, std::max<int64_t>(1, count / kMinPositions));
  slabs = std::max(slabs, CeilDiv(count, kMaxPositions));
  plan.positions = {.items = count, .grain = CeilDiv(count, slabs)};
  plan.columns = {.items = plan.n, .grain = std::min(plan.n, kColumnBlock)};
  return plan;
}

bool RunProduct(const Plan& plan, const float* left, const float* right, int64_t begin, int64_t end,
                int64_t column, int64_t columns, float* out) {
  UseOneThread();
  return dnnl_sgemm('T', 'N', plan.m, columns, end - begin, 1.0F, left + begin * plan.m, plan.m,
                    right + begin * plan.n + column, plan.n, 0.0F, out + column,
                    plan.n) == dnnl_success;
}

}  // namespace

KernelResult CompilePointwiseWeightGrad(const Convolution& convolution, Context& context) {
  const Plan plan = MakePlan(convolution);
  const int64_t slabs = plan.positions.count();
  const bool direct = slabs == 1 && !plan.transposed;
  if (!direct) WSI_RETURN_IF_ERROR(context.scratch.Require(slabs * plan.size() * 4, 0));
  // From [m, n] to the layout of the weights.
  const StridedCopy::Axis as_is[] = {{plan.size(), 1, 1}};
  const StridedCopy::Axis turned[] = {{plan.n, 1, plan.m}, {plan.m, plan.n, 1}};
  const StridedCopy store =
      plan.transposed ? StridedCopy(turned, 0, 0, 4) : StridedCopy(as_is, 0, 0, 4);
  return MakeKernel([plan, slabs, direct, store, &context](const LaunchArguments& a) -> Status {
    const float* left = a.input<float>(plan.transposed ? 0 : 1);
    const float* right = a.input<float>(plan.transposed ? 1 : 0);
    float* out = direct ? a.output<float>(0) : context.scratch.shared<float>();
    const int64_t blocks = plan.columns.count();
    std::atomic<bool> failed = false;
    context.pool.ParallelFor(slabs * blocks, [&](int64_t chunk, int) {
      const int64_t slab = chunk / blocks;
      const int64_t column = plan.columns.begin(chunk % blocks);
      const bool ok =
          RunProduct(plan, left, right, plan.positions.begin(slab), plan.positions.end(slab),
                     column, plan.columns.end(chunk % blocks) - column, out + slab * plan.size());
      if (!ok) failed = true;
    });
    if (failed) return InternalError("oneDNN sgemm failed");
    if (direct) return {};
    const PointwiseLoops& loops = GetPointwiseLoops();
    ForChunks(context.pool, ChunksOf(plan.size(), 1, 4096),
              [&](int64_t begin, int64_t end, int64_t, int) {
                for (int64_t s = 1; s < slabs; ++s) {
                  const float* part = out + s * plan.size();
                  loops.add(out + begin, 1, part + begin, 1, end - begin, {}, out + begin);
                }
              });
    store.Run(context.pool, reinterpret_cast<const std::byte*>(out), a.outputs[0]);
    return {};
  });
}

}  // namespace wsi::cpu

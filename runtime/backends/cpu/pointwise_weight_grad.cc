// The weight gradient of a 1x1 convolution with stride 1: the matrix product
// dw[o, i] = sum over positions of dy[p, o] * x[p, i]. It is a third faster than
// oneDNN's convolution kernels for it.
#include <dnnl.h>

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/bfloat16_product.h"
#include "runtime/backends/cpu/convolution.h"
#include "runtime/backends/cpu/loops/pointwise_loops.h"
#include "runtime/backends/cpu/onednn.h"
#include "runtime/backends/cpu/storage.h"
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

// One chunk: all of it in fp32, or in bfloat16 by the oneDNN primitive of its sizes.
class ChunkProducts {
 public:
  static Result<ChunkProducts> Make(const Convolution& c, const Plan& plan, Context& context) {
    ChunkProducts result(plan, context);
    if (c.computed != DType::kBF16) return result;
    Bytes scratchpad = 0;
    for (int64_t slab = 0; slab < plan.positions.count(); ++slab) {
      for (int64_t block = 0; block < plan.columns.count(); ++block) {
        const ProductGeometry geometry = {
            .m = plan.m,
            .n = plan.columns.end(block) - plan.columns.begin(block),
            .k = plan.positions.end(slab) - plan.positions.begin(slab),
            .a_strides = {1, plan.m},
            .b_strides = {plan.n, 1},
            .y_stride = plan.n};
        WSI_ASSIGN_OR_RETURN(const size_t which,
                             FindOrMake(context.dnnl, geometry, result.products_));
        scratchpad = std::max(scratchpad, result.products_[which].scratchpad_bytes());
        result.which_.push_back(which);
      }
    }
    WSI_RETURN_IF_ERROR(context.scratch.Require(0, scratchpad));
    return result;
  }

  bool Run(int64_t chunk, const LaunchArguments& a, float* out, int worker) const {
    const int64_t slab = chunk / plan_.columns.count();
    const int64_t column = plan_.columns.begin(chunk % plan_.columns.count());
    const int64_t columns = plan_.columns.end(chunk % plan_.columns.count()) - column;
    const int64_t begin = plan_.positions.begin(slab);
    const size_t left = plan_.transposed ? 0 : 1;
    const size_t right = plan_.transposed ? 1 : 0;
    float* to = out + slab * plan_.size() + column;
    if (!products_.empty()) {
      const BFloat16Product& product = products_[which_[static_cast<size_t>(chunk)]];
      return product
          .Run(*dnnl_, worker, a.input<BFloat16>(left) + begin * plan_.m,
               a.input<BFloat16>(right) + begin * plan_.n + column, to,
               scratch_->worker<std::byte>(worker))
          .ok();
    }
    UseOneThread();
    return dnnl_sgemm('T', 'N', plan_.m, columns, plan_.positions.end(slab) - begin, 1.0F,
                      a.input<float>(left) + begin * plan_.m, plan_.m,
                      a.input<float>(right) + begin * plan_.n + column, plan_.n, 0.0F, to,
                      plan_.n) == dnnl_success;
  }

 private:
  ChunkProducts(const Plan& plan, Context& context)
      : plan_(plan), dnnl_(&context.dnnl), scratch_(&context.scratch) {}

  Plan plan_;
  const DnnlRuntime* dnnl_;
  const Scratch* scratch_;
  std::vector<BFloat16Product> products_;  // Empty: fp32.
  std::vector<size_t> which_;              // Of each chunk.
};

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
  WSI_ASSIGN_OR_RETURN(ChunkProducts products, ChunkProducts::Make(convolution, plan, context));
  return MakeKernel([plan, slabs, direct, store, products = std::move(products),
                     &context](const LaunchArguments& a) -> Status {
    float* out = direct ? a.output<float>(0) : context.scratch.shared<float>();
    std::atomic<bool> failed = false;
    context.pool.ParallelFor(slabs * plan.columns.count(), [&](int64_t chunk, int worker) {
      if (!products.Run(chunk, a, out, worker)) failed = true;
    });
    if (failed) return InternalError("oneDNN could not multiply matrices");
    if (direct) return {};
    const auto& loops = GetPointwiseLoops().f32;
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

#include "runtime/backends/cpu/convolution_kernel.h"

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/loops/pointwise_loops.h"

namespace wsi::cpu {
namespace {

// Partial weight gradients of a launch, where at least four are to run side by side.
constexpr Bytes kPartialBytes = Bytes{48} << 20;

Bytes PaddedBytes(const dnnl::memory::desc& desc) {
  return AlignUp(static_cast<Bytes>(desc.get_size()), 4096);
}

// Whether two slabs have one geometry.
bool SameSizes(const Slab& a, const Slab& b) {
  return a.images == b.images && a.input_rows == b.input_rows && a.output_rows == b.output_rows &&
         a.pad_begin == b.pad_begin && a.pad_end == b.pad_end;
}

}  // namespace

KernelResult ConvolutionKernel::Make(const Convolution& convolution, ConvolutionKind kind,
                                     bool bias, Context& context) {
  std::unique_ptr<ConvolutionKernel> kernel(
      new ConvolutionKernel(convolution, kind, bias, context));
  WSI_RETURN_IF_ERROR(kernel->Prepare());
  return std::unique_ptr<Kernel>(std::move(kernel));
}

Status ConvolutionKernel::Prepare() {
  for (const Slab& slab : CutConvolution(convolution_, kind_)) {
    WSI_RETURN_IF_ERROR(AddSlab(slab));
  }
  const dnnl::engine& engine = context_.dnnl.engine;
  if (primitives_.empty()) return {};
  for (const auto& p : primitives_) {
    scratchpad_bytes_ = std::max(scratchpad_bytes_, PaddedBytes(p->scratchpad));
    blocked_bytes_ =
        std::max(blocked_bytes_, PaddedBytes(p->blocked_x) + PaddedBytes(p->blocked_y));
  }
  const dnnl::memory::desc& blocked = primitives_.front()->weights;
  const dnnl::memory::desc plain = PlainWeights(convolution_);
  const Bytes weight_bytes = PaddedBytes(blocked);
  weight_floats_ = weight_bytes / 4;
  const bool gradient = kind_ == ConvolutionKind::kWeightGrad;
  if (blocked != plain) {
    WSI_ASSIGN_OR_RETURN(reorder_, gradient ? MakeReorder(engine, convolution_, blocked, plain)
                                            : MakeReorder(engine, convolution_, plain, blocked));
  }
  if (!gradient) return context_.scratch.Require(weight_bytes, scratchpad_bytes_);
  lanes_ = std::min(static_cast<int64_t>(slabs_.size()),
                    std::clamp<int64_t>(kPartialBytes / weight_bytes, 4, 16));
  return context_.scratch.Require(lanes_ * weight_bytes,
                                  scratchpad_bytes_ + weight_bytes + blocked_bytes_);
}

Status ConvolutionKernel::AddSlab(const Slab& slab) {
  SlabWork work;
  work.slab = slab;
  if (slab.output_rows > 0) {
    for (const SlabWork& other : slabs_) {
      if (other.primitive != nullptr && SameSizes(other.slab, slab)) {
        work.primitive = other.primitive;
        break;
      }
    }
    const dnnl::engine& engine = context_.dnnl.engine;
    if (work.primitive == nullptr) {
      std::optional<dnnl::memory::desc> weights;
      if (!primitives_.empty()) weights = primitives_.front()->weights;
      WSI_ASSIGN_OR_RETURN(SlabPrimitive primitive,
                           MakeSlabPrimitive(engine, convolution_, kind_, slab, bias_, weights));
      primitives_.push_back(std::make_unique<SlabPrimitive>(std::move(primitive)));
      work.primitive = primitives_.back().get();
    }
    const SlabPrimitive& p = *work.primitive;
    work.x = dnnl::memory(p.x, engine, DNNL_MEMORY_NONE);
    work.y = dnnl::memory(p.y, engine, DNNL_MEMORY_NONE);
    work.weights = dnnl::memory(p.weights, engine, DNNL_MEMORY_NONE);
    work.scratchpad = dnnl::memory(p.scratchpad, engine, DNNL_MEMORY_NONE);
    if (p.blocked_x.get_ndims() > 0) {
      work.blocked_x = dnnl::memory(p.blocked_x, engine, DNNL_MEMORY_NONE);
      work.blocked_y = dnnl::memory(p.blocked_y, engine, DNNL_MEMORY_NONE);
    }
    if (bias_) {
      const dnnl::memory::desc bias({convolution_.output_channels}, dnnl::memory::data_type::f32,
                                    dnnl::memory::format_tag::x);
      work.bias = dnnl::memory(bias, engine, DNNL_MEMORY_NONE);
    }
  }
  slabs_.push_back(std::move(work));
  return {};
}

Status ConvolutionKernel::RunReorder(const void* from, void* to) {
  std::atomic<bool> failed = false;
  context_.pool.ParallelFor(static_cast<int64_t>(reorder_.size()), [&](int64_t i, int worker) {
    const ReorderPart& part = reorder_[static_cast<size_t>(i)];
    SetHandle(part.from, from);
    SetHandle(part.to, to);
    const Status status = Execute(part.reorder, context_.dnnl.streams[static_cast<size_t>(worker)],
                                  {{DNNL_ARG_FROM, part.from.get()}, {DNNL_ARG_TO, part.to.get()}});
    if (!status.ok()) failed = true;
  });
  return failed ? InternalError("oneDNN could not reorder weights") : Status();
}

Status ConvolutionKernel::RunSlab(SlabWork& work, const LaunchArguments& arguments, int worker) {
  const Slab& slab = work.slab;
  const Convolution& c = convolution_;
  const int64_t x_offset =
      (slab.first_image * c.rows().input + slab.input_begin) * c.input_row_elements();
  const int64_t y_offset =
      (slab.first_image * c.rows().output + slab.output_begin) * c.output_row_elements();
  if (work.primitive == nullptr) {
    float* dx = arguments.output<float>(0) + x_offset;
    std::fill(dx, dx + slab.images * slab.input_rows * c.input_row_elements(), 0.0F);
    return {};
  }
  const dnnl::stream& stream = context_.dnnl.streams[static_cast<size_t>(worker)];
  SetHandle(work.scratchpad, context_.scratch.worker<float>(worker));
  const float* shared = context_.scratch.shared<float>();
  SetHandle(work.weights, reorder_.empty() ? arguments.input<float>(1) : shared);
  if (kind_ == ConvolutionKind::kInputGrad) {
    SetHandle(work.x, arguments.output<float>(0) + x_offset);
    SetHandle(work.y, arguments.input<float>(0) + y_offset);
    return Execute(work.primitive->primitive, stream,
                   {{DNNL_ARG_DIFF_SRC, work.x.get()},
                    {DNNL_ARG_DIFF_DST, work.y.get()},
                    {DNNL_ARG_WEIGHTS, work.weights.get()},
                    {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
  }
  SetHandle(work.x, arguments.input<float>(0) + x_offset);
  SetHandle(work.y, arguments.output<float>(0) + y_offset);
  if (!bias_) {
    return Execute(work.primitive->primitive, stream,
                   {{DNNL_ARG_SRC, work.x.get()},
                    {DNNL_ARG_WEIGHTS, work.weights.get()},
                    {DNNL_ARG_DST, work.y.get()},
                    {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
  }
  SetHandle(work.bias, arguments.input<float>(2));
  return Execute(work.primitive->primitive, stream,
                 {{DNNL_ARG_SRC, work.x.get()},
                  {DNNL_ARG_WEIGHTS, work.weights.get()},
                  {DNNL_ARG_BIAS, work.bias.get()},
                  {DNNL_ARG_DST, work.y.get()},
                  {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
}

Status ConvolutionKernel::BlockActivations(SlabWork& work, int worker) {
  const dnnl::stream& stream = context_.dnnl.streams[static_cast<size_t>(worker)];
  std::byte* scratch =
      context_.scratch.worker<std::byte>(worker) + scratchpad_bytes_ + weight_floats_ * 4;
  SetHandle(work.blocked_x, scratch);
  SetHandle(work.blocked_y, scratch + PaddedBytes(work.primitive->blocked_x));
  WSI_RETURN_IF_ERROR(
      Execute(work.primitive->block_x, stream,
              {{DNNL_ARG_FROM, work.x.get()}, {DNNL_ARG_TO, work.blocked_x.get()}}));
  return Execute(work.primitive->block_y, stream,
                 {{DNNL_ARG_FROM, work.y.get()}, {DNNL_ARG_TO, work.blocked_y.get()}});
}

// Writes the slab's weight gradient in oneDNN's layout to `out`.
Status ConvolutionKernel::RunWeightGradSlab(SlabWork& work, const LaunchArguments& arguments,
                                            float* out, int worker) {
  const Slab& slab = work.slab;
  const Convolution& c = convolution_;
  const int64_t x_row = slab.first_image * c.rows().input + slab.input_begin;
  const int64_t y_row = slab.first_image * c.rows().output + slab.output_begin;
  SetHandle(work.x, arguments.input<float>(0) + x_row * c.input_row_elements());
  SetHandle(work.y, arguments.input<float>(1) + y_row * c.output_row_elements());
  SetHandle(work.weights, out);
  SetHandle(work.scratchpad, context_.scratch.worker<float>(worker));
  const bool blocked = work.primitive->blocked_x.get_ndims() > 0;
  if (blocked) WSI_RETURN_IF_ERROR(BlockActivations(work, worker));
  return Execute(work.primitive->primitive, context_.dnnl.streams[static_cast<size_t>(worker)],
                 {{DNNL_ARG_SRC, blocked ? work.blocked_x.get() : work.x.get()},
                  {DNNL_ARG_DIFF_DST, blocked ? work.blocked_y.get() : work.y.get()},
                  {DNNL_ARG_DIFF_WEIGHTS, work.weights.get()},
                  {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
}

Status ConvolutionKernel::RunLane(const LaunchArguments& arguments, int64_t lane, int worker) {
  float* sum = context_.scratch.shared<float>() + lane * weight_floats_;
  float* part = context_.scratch.worker<float>(worker) + scratchpad_bytes_ / 4;
  const PointwiseLoops& loops = GetPointwiseLoops();
  for (size_t s = static_cast<size_t>(lane); s < slabs_.size(); s += static_cast<size_t>(lanes_)) {
    const bool first = s == static_cast<size_t>(lane);
    WSI_RETURN_IF_ERROR(RunWeightGradSlab(slabs_[s], arguments, first ? sum : part, worker));
    if (!first) loops.add(sum, 1, part, 1, weight_floats_, {}, sum);
  }
  return {};
}

// Partial result 0 becomes the sum of all, added in the order of the lanes.
void ConvolutionKernel::AddPartials() {
  const PointwiseLoops& loops = GetPointwiseLoops();
  float* sum = context_.scratch.shared<float>();
  // A chunk stays in the first-level cache while the others are added to it.
  ForChunks(context_.pool, ChunksOf(weight_floats_, 1, 4096),
            [&](int64_t begin, int64_t end, int64_t, int) {
              for (int64_t lane = 1; lane < lanes_; ++lane) {
                const float* part = sum + lane * weight_floats_;
                loops.add(sum + begin, 1, part + begin, 1, end - begin, {}, sum + begin);
              }
            });
}

Status ConvolutionKernel::RunWeightGrad(const LaunchArguments& arguments) {
  std::atomic<bool> failed = false;
  context_.pool.ParallelFor(lanes_, [&](int64_t lane, int worker) {
    if (!RunLane(arguments, lane, worker).ok()) failed = true;
  });
  if (failed) return InternalError("oneDNN could not run a convolution's weight gradient");
  AddPartials();
  const float* sum = context_.scratch.shared<float>();
  if (!reorder_.empty()) return RunReorder(sum, arguments.output<float>(0));
  std::copy(sum, sum + convolution_.weight_elements(), arguments.output<float>(0));
  return {};
}

Status ConvolutionKernel::Run(const LaunchArguments& arguments) {
  if (kind_ == ConvolutionKind::kWeightGrad) return RunWeightGrad(arguments);
  if (!reorder_.empty()) {
    WSI_RETURN_IF_ERROR(RunReorder(arguments.input<float>(1), context_.scratch.shared<float>()));
  }
  std::atomic<bool> failed = false;
  context_.pool.ParallelFor(static_cast<int64_t>(slabs_.size()), [&](int64_t i, int worker) {
    if (!RunSlab(slabs_[static_cast<size_t>(i)], arguments, worker).ok()) failed = true;
  });
  return failed ? InternalError("oneDNN could not run a convolution") : Status();
}

std::vector<std::string> ConvolutionKernel::Implementations() const {
  std::vector<std::string> names;
  for (const auto& primitive : primitives_) {
    if (std::find(names.begin(), names.end(), primitive->implementation) == names.end()) {
      names.push_back(primitive->implementation);
    }
  }
  return names;
}

}  // namespace wsi::cpu

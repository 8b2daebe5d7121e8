#include "runtime/backends/cpu/convolution_kernel.h"

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/loops/pointwise_loops.h"

namespace wsi::cpu {
namespace {

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
  Bytes scratchpad = 0;
  for (const auto& primitive : primitives_) {
    scratchpad = std::max(scratchpad, static_cast<Bytes>(primitive->scratchpad.get_size()));
  }
  if (primitives_.empty()) return {};
  const dnnl::memory::desc& blocked = primitives_.front()->weights;
  const dnnl::memory::desc plain = PlainWeights(convolution_);
  weight_floats_ = AlignUp(static_cast<int64_t>(blocked.get_size()), 4096) / 4;
  const bool gradient = kind_ == ConvolutionKind::kWeightGrad;
  if (blocked != plain) {
    WSI_ASSIGN_OR_RETURN(reorder_, gradient ? MakeReorder(engine, convolution_, blocked, plain)
                                            : MakeReorder(engine, convolution_, plain, blocked));
  }
  const int64_t copies = gradient ? static_cast<int64_t>(slabs_.size()) : 1;
  return context_.scratch.Require(copies * weight_floats_ * 4, scratchpad);
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

Status ConvolutionKernel::RunSlab(SlabWork& work, const LaunchArguments& arguments, int64_t index,
                                  int worker) {
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
  if (kind_ == ConvolutionKind::kWeightGrad) {
    SetHandle(work.x, arguments.input<float>(0) + x_offset);
    SetHandle(work.y, arguments.input<float>(1) + y_offset);
    SetHandle(work.weights, shared + index * weight_floats_);
    return Execute(work.primitive->primitive, stream,
                   {{DNNL_ARG_SRC, work.x.get()},
                    {DNNL_ARG_DIFF_DST, work.y.get()},
                    {DNNL_ARG_DIFF_WEIGHTS, work.weights.get()},
                    {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
  }
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

// Partial result 0 becomes the sum of all, added in slab order.
void ConvolutionKernel::AddPartials() {
  const PointwiseLoops& loops = GetPointwiseLoops();
  float* sum = context_.scratch.shared<float>();
  // A chunk stays in the first-level cache while the others are added to it.
  ForChunks(context_.pool, ChunksOf(weight_floats_, 1, 4096),
            [&](int64_t begin, int64_t end, int64_t, int) {
              for (size_t s = 1; s < slabs_.size(); ++s) {
                const float* part = sum + static_cast<int64_t>(s) * weight_floats_;
                loops.add(sum + begin, 1, part + begin, 1, end - begin, {}, sum + begin);
              }
            });
}

Status ConvolutionKernel::Run(const LaunchArguments& arguments) {
  float* shared = context_.scratch.shared<float>();
  if (kind_ != ConvolutionKind::kWeightGrad && !reorder_.empty()) {
    WSI_RETURN_IF_ERROR(RunReorder(arguments.input<float>(1), shared));
  }
  std::atomic<bool> failed = false;
  context_.pool.ParallelFor(static_cast<int64_t>(slabs_.size()), [&](int64_t i, int worker) {
    const Status status = RunSlab(slabs_[static_cast<size_t>(i)], arguments, i, worker);
    if (!status.ok()) failed = true;
  });
  if (failed) return InternalError("oneDNN could not run a convolution");
  if (kind_ != ConvolutionKind::kWeightGrad) return {};
  AddPartials();
  if (!reorder_.empty()) return RunReorder(shared, arguments.output<float>(0));
  std::copy(shared, shared + convolution_.weight_elements(), arguments.output<float>(0));
  return {};
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

#include "runtime/backends/cpu/convolution_kernel.h"

#include <algorithm>
#include <atomic>

#include "runtime/backends/cpu/conversion.h"
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
  const std::vector<Slab> slabs = CutConvolution(convolution_, kind_);
  WSI_RETURN_IF_ERROR(MakePrimitives(slabs));
  WSI_RETURN_IF_ERROR(MakeLayouts());
  for (const Slab& slab : slabs) AddSlab(slab);
  if (primitives_.empty()) return {};
  for (const auto& p : primitives_) {
    scratchpad_bytes_ = std::max(scratchpad_bytes_, PaddedBytes(p->scratchpad));
  }
  return RequireScratch();
}

// Of a slab's x and y in fp32, where they are converted.
Bytes ConvolutionKernel::ConvertedBytes(const SlabPrimitive& primitive) const {
  return convolution_.IsConverted() ? PaddedBytes(primitive.x) + PaddedBytes(primitive.y) : 0;
}

// Shared: the weights in oneDNN's layouts and, where they are converted, as they come; or
// the lanes of a weight gradient. A worker: oneDNN's scratchpad, a slab's weight gradient,
// copies of the slab's x and y.
Status ConvolutionKernel::RequireScratch() {
  Bytes copies = 0;
  for (const auto& p : primitives_) {
    copies = std::max(copies,
                      ConvertedBytes(*p) + PaddedBytes(p->blocked_x) + PaddedBytes(p->blocked_y));
  }
  const Bytes weight_bytes = PaddedBytes(layouts_.back().desc);
  copies_ = scratchpad_bytes_;
  if (kind_ != ConvolutionKind::kWeightGrad) {
    converted_weights_ = layouts_.back().offset + weight_bytes;
    converted_bias_ = converted_weights_;
    Bytes shared = converted_weights_;
    if (convolution_.IsConverted()) {
      converted_bias_ += AlignUp(convolution_.weight_elements() * 4, 4096);
      shared = converted_bias_ + convolution_.output_channels * 4;
    }
    return context_.scratch.Require(shared, copies_ + copies);
  }
  copies_ += weight_bytes;
  weight_floats_ = weight_bytes / 4;
  lanes_ = std::min(static_cast<int64_t>(slabs_.size()),
                    std::clamp<int64_t>(kPartialBytes / weight_bytes, 4, 16));
  return context_.scratch.Require(lanes_ * weight_bytes, copies_ + copies);
}

// The primitive of a slab: with the weight layout of the first, as long as oneDNN has a
// fast kernel for that. Odd sizes at an edge may fall back to its reference kernel, a
// thousand times slower; such a slab gets the layout that suits it.
Result<SlabPrimitive> ConvolutionKernel::MakePrimitive(const Slab& slab) const {
  const dnnl::engine& engine = context_.dnnl.engine;
  std::optional<dnnl::memory::desc> weights;
  if (!primitives_.empty()) weights = primitives_.front()->weights;
  WSI_ASSIGN_OR_RETURN(SlabPrimitive primitive,
                       MakeSlabPrimitive(engine, convolution_, kind_, slab, bias_, weights));
  const bool is_slow = weights && primitive.implementation.starts_with("ref");
  if (!is_slow || kind_ == ConvolutionKind::kWeightGrad) return primitive;
  return MakeSlabPrimitive(engine, convolution_, kind_, slab, bias_, std::nullopt);
}

Status ConvolutionKernel::MakePrimitives(const std::vector<Slab>& slabs) {
  for (const Slab& slab : slabs) {
    const bool known = std::any_of(geometries_.begin(), geometries_.end(),
                                   [&](const Slab& other) { return SameSizes(other, slab); });
    if (known || slab.output_rows == 0) continue;
    WSI_ASSIGN_OR_RETURN(SlabPrimitive primitive, MakePrimitive(slab));
    primitives_.push_back(std::make_unique<SlabPrimitive>(std::move(primitive)));
    geometries_.push_back(slab);
  }
  return {};
}

Status ConvolutionKernel::MakeLayouts() {
  const dnnl::engine& engine = context_.dnnl.engine;
  const bool gradient = kind_ == ConvolutionKind::kWeightGrad;
  const dnnl::memory::desc plain =
      PlainWeights(convolution_, gradient ? DType::kF32 : convolution_.computed);
  Bytes offset = 0;
  for (const auto& primitive : primitives_) {
    const dnnl::memory::desc& desc = primitive->weights;
    const bool known = std::any_of(layouts_.begin(), layouts_.end(),
                                   [&](const WeightLayout& other) { return other.desc == desc; });
    if (known) continue;
    WeightLayout layout{.desc = desc, .reorder = {}, .offset = offset};
    if (desc != plain) {
      WSI_ASSIGN_OR_RETURN(layout.reorder, gradient
                                               ? MakeReorder(engine, convolution_, desc, plain)
                                               : MakeReorder(engine, convolution_, plain, desc));
    }
    layouts_.push_back(std::move(layout));
    offset += PaddedBytes(desc);
  }
  return {};
}

void ConvolutionKernel::AddSlab(const Slab& slab) {
  SlabWork work;
  work.slab = slab;
  if (slab.output_rows > 0) {
    size_t which = 0;
    while (!SameSizes(geometries_[which], slab)) ++which;
    work.primitive = primitives_[which].get();
    const SlabPrimitive& p = *work.primitive;
    while (layouts_[work.layout].desc != p.weights) ++work.layout;
    const dnnl::engine& engine = context_.dnnl.engine;
    work.x = dnnl::memory(p.x, engine, DNNL_MEMORY_NONE);
    work.y = dnnl::memory(p.y, engine, DNNL_MEMORY_NONE);
    work.weights = dnnl::memory(p.weights, engine, DNNL_MEMORY_NONE);
    work.scratchpad = dnnl::memory(p.scratchpad, engine, DNNL_MEMORY_NONE);
    if (p.blocked_x.get_ndims() > 0) {
      work.blocked_x = dnnl::memory(p.blocked_x, engine, DNNL_MEMORY_NONE);
      work.blocked_y = dnnl::memory(p.blocked_y, engine, DNNL_MEMORY_NONE);
    }
    if (bias_) {
      const dnnl::memory::desc bias({convolution_.output_channels}, DnnlType(convolution_.computed),
                                    dnnl::memory::format_tag::x);
      work.bias = dnnl::memory(bias, engine, DNNL_MEMORY_NONE);
    }
  }
  slabs_.push_back(std::move(work));
}

Status ConvolutionKernel::RunReorder(const std::vector<ReorderPart>& reorder, const void* from,
                                     void* to) {
  std::atomic<bool> failed = false;
  context_.pool.ParallelFor(static_cast<int64_t>(reorder.size()), [&](int64_t i, int worker) {
    const ReorderPart& part = reorder[static_cast<size_t>(i)];
    SetHandle(part.from, from);
    SetHandle(part.to, to);
    const Status status = Execute(part.reorder, context_.dnnl.streams[static_cast<size_t>(worker)],
                                  {{DNNL_ARG_FROM, part.from.get()}, {DNNL_ARG_TO, part.to.get()}});
    if (!status.ok()) failed = true;
  });
  return failed ? InternalError("oneDNN could not reorder weights") : Status();
}

ConvolutionKernel::Part ConvolutionKernel::InputPart(const Slab& slab) const {
  const Convolution& c = convolution_;
  const int64_t row = slab.first_image * c.rows().input + slab.input_begin;
  return {row * c.input_row_elements(), slab.images * slab.input_rows * c.input_row_elements()};
}

ConvolutionKernel::Part ConvolutionKernel::OutputPart(const Slab& slab) const {
  const Convolution& c = convolution_;
  const int64_t row = slab.first_image * c.rows().output + slab.output_begin;
  return {row * c.output_row_elements(), slab.images * slab.output_rows * c.output_row_elements()};
}

Status ConvolutionKernel::RunPrimitive(SlabWork& work, const std::byte* from, std::byte* to,
                                       const LaunchArguments& arguments, int worker) {
  const dnnl::stream& stream = context_.dnnl.streams[static_cast<size_t>(worker)];
  const bool gradient = kind_ == ConvolutionKind::kInputGrad;
  const std::byte* shared = context_.scratch.shared<std::byte>();
  const std::byte* plain =
      convolution_.IsConverted() ? shared + converted_weights_ : arguments.inputs[1];
  const WeightLayout& layout = layouts_[work.layout];
  SetHandle(work.scratchpad, context_.scratch.worker<std::byte>(worker));
  SetHandle(work.weights, layout.reorder.empty() ? plain : shared + layout.offset);
  SetHandle(gradient ? work.y : work.x, from);
  SetHandle(gradient ? work.x : work.y, to);
  if (gradient) {
    return Execute(work.primitive->primitive, stream,
                   {{DNNL_ARG_DIFF_SRC, work.x.get()},
                    {DNNL_ARG_DIFF_DST, work.y.get()},
                    {DNNL_ARG_WEIGHTS, work.weights.get()},
                    {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
  }
  if (!bias_) {
    return Execute(work.primitive->primitive, stream,
                   {{DNNL_ARG_SRC, work.x.get()},
                    {DNNL_ARG_WEIGHTS, work.weights.get()},
                    {DNNL_ARG_DST, work.y.get()},
                    {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
  }
  SetHandle(work.bias, convolution_.IsConverted() ? shared + converted_bias_ : arguments.inputs[2]);
  return Execute(work.primitive->primitive, stream,
                 {{DNNL_ARG_SRC, work.x.get()},
                  {DNNL_ARG_WEIGHTS, work.weights.get()},
                  {DNNL_ARG_BIAS, work.bias.get()},
                  {DNNL_ARG_DST, work.y.get()},
                  {DNNL_ARG_SCRATCHPAD, work.scratchpad.get()}});
}

Status ConvolutionKernel::RunSlab(SlabWork& work, const LaunchArguments& arguments, int worker) {
  const bool gradient = kind_ == ConvolutionKind::kInputGrad;
  const Part in = gradient ? OutputPart(work.slab) : InputPart(work.slab);
  const Part out = gradient ? InputPart(work.slab) : OutputPart(work.slab);
  const DType stored = convolution_.stored;
  const std::byte* from = arguments.inputs[0] + in.offset * DTypeBytes(stored);
  std::byte* to = arguments.outputs[0] + out.offset * DTypeBytes(stored);
  if (work.primitive == nullptr) {
    std::fill_n(to, out.elements * DTypeBytes(stored), std::byte{0});
    return {};
  }
  if (!convolution_.IsConverted()) return RunPrimitive(work, from, to, arguments, worker);
  std::byte* wide = context_.scratch.worker<std::byte>(worker) + copies_;
  float* wide_from = reinterpret_cast<float*>(wide);
  float* wide_to = wide_from + AlignUp(in.elements, 1024);
  Widen(stored, from, in.elements, wide_from);
  WSI_RETURN_IF_ERROR(
      RunPrimitive(work, wide, reinterpret_cast<std::byte*>(wide_to), arguments, worker));
  Narrow(wide_to, out.elements, stored, to);
  return {};
}

Status ConvolutionKernel::BlockActivations(SlabWork& work, int worker) {
  const dnnl::stream& stream = context_.dnnl.streams[static_cast<size_t>(worker)];
  // Behind what is converted, which they are made of.
  std::byte* scratch =
      context_.scratch.worker<std::byte>(worker) + copies_ + ConvertedBytes(*work.primitive);
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
  const Part x_part = InputPart(work.slab);
  const Part y_part = OutputPart(work.slab);
  const DType stored = convolution_.stored;
  const std::byte* x = arguments.inputs[0] + x_part.offset * DTypeBytes(stored);
  const std::byte* y = arguments.inputs[1] + y_part.offset * DTypeBytes(stored);
  if (convolution_.IsConverted()) {
    std::byte* wide = context_.scratch.worker<std::byte>(worker) + copies_;
    float* wide_x = reinterpret_cast<float*>(wide);
    float* wide_y = wide_x + AlignUp(x_part.elements, 1024);
    Widen(stored, x, x_part.elements, wide_x);
    Widen(stored, y, y_part.elements, wide_y);
    x = wide;
    y = reinterpret_cast<const std::byte*>(wide_y);
  }
  SetHandle(work.x, x);
  SetHandle(work.y, y);
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
  const auto& loops = GetPointwiseLoops().f32;
  for (size_t s = static_cast<size_t>(lane); s < slabs_.size(); s += static_cast<size_t>(lanes_)) {
    const bool first = s == static_cast<size_t>(lane);
    WSI_RETURN_IF_ERROR(RunWeightGradSlab(slabs_[s], arguments, first ? sum : part, worker));
    if (!first) loops.add(sum, 1, part, 1, weight_floats_, {}, sum);
  }
  return {};
}

// Partial result 0 becomes the sum of all, added in the order of the lanes.
void ConvolutionKernel::AddPartials() {
  const auto& loops = GetPointwiseLoops().f32;
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
  const std::vector<ReorderPart>& reorder = layouts_.front().reorder;
  if (!reorder.empty()) return RunReorder(reorder, sum, arguments.output<float>(0));
  std::copy(sum, sum + convolution_.weight_elements(), arguments.output<float>(0));
  return {};
}

void ConvolutionKernel::ConvertWeights(const LaunchArguments& arguments) {
  const DType stored = convolution_.stored;
  std::byte* shared = context_.scratch.shared<std::byte>();
  float* weights = reinterpret_cast<float*>(shared + converted_weights_);
  const Chunks chunks = ChunksOf(convolution_.weight_elements(), 1, kGrain);
  ForChunks(context_.pool, chunks, [&](int64_t begin, int64_t end, int64_t, int) {
    Widen(stored, arguments.inputs[1] + begin * DTypeBytes(stored), end - begin, weights + begin);
  });
  if (!bias_) return;
  Widen(stored, arguments.inputs[2], convolution_.output_channels,
        reinterpret_cast<float*>(shared + converted_bias_));
}

Status ConvolutionKernel::Run(const LaunchArguments& arguments) {
  if (kind_ == ConvolutionKind::kWeightGrad) return RunWeightGrad(arguments);
  std::byte* shared = context_.scratch.shared<std::byte>();
  const std::byte* plain = arguments.inputs[1];
  if (convolution_.IsConverted()) {
    ConvertWeights(arguments);
    plain = shared + converted_weights_;
  }
  for (const WeightLayout& layout : layouts_) {
    WSI_RETURN_IF_ERROR(RunReorder(layout.reorder, plain, shared + layout.offset));
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

#include "runtime/backends/cuda/long_product.h"

#include <algorithm>

#include "runtime/backends/cuda/sums.h"

namespace wsi::cuda {
namespace {

constexpr Bytes kMostPartBytes = Bytes{256} << 20;

class LongProduct final : public Kernel {
 public:
  LongProduct(const ProductProblem& problem, std::vector<CopyPlace> places, Context& context)
      : problem_(problem), places_(std::move(places)), context_(context) {}

  Status Prepare() {
    for (const ProductPart& part : CutResult(problem_.shape)) {
      WSI_RETURN_IF_ERROR(AddSteps(part));
    }
    total_at_ = kProductWorkspace;
    parts_at_ = total_at_ + AlignUp(total_bytes_, 256);
    return context_.scratch.Require(parts_at_ + part_bytes_);
  }

  Status Run(const LaunchArguments& a) override {
    for (const CopyPlace& place : places_) {
      for (const Step& step : steps_) WSI_RETURN_IF_ERROR(RunStep(a, place, step));
    }
    return {};
  }

 private:
  // Some slabs of a part of the result.
  struct Step {
    const Product* product = nullptr;
    Bytes a = 0, b = 0;  // From where a copy begins.
    int64_t slabs = 1;
    bool first = false;  // Of its part.
    bool last = false;
    Bytes y = 0;
    PartSums sums;
  };

  Status AddSteps(const ProductPart& part) {
    const int64_t count = part.rows * part.columns;
    const int64_t most =
        std::clamp<int64_t>(kMostPartBytes / (count * Bytes{sizeof(float)}), 1, 16384);
    total_bytes_ = std::max(total_bytes_, count * Bytes{sizeof(float)});
    const size_t first = steps_.size();
    int64_t term = 0;
    while (term < part.terms) {
      const int64_t left = part.terms - term;
      const int64_t slabs = std::clamp<int64_t>(left / kSlabTerms, 1, most);
      WSI_RETURN_IF_ERROR(AddStep(part, term, std::min(left, kSlabTerms), slabs));
      term += slabs * std::min(left, kSlabTerms);
    }
    steps_[first].first = true;
    steps_.back().last = true;
    return {};
  }

  // `slabs` of `terms` terms each, from `term` on.
  Status AddStep(ProductPart part, int64_t term, int64_t terms, int64_t slabs) {
    part.term = term;
    part.terms = terms;
    PartShape p = ShapeOf(problem_.shape, part);
    const Bytes element = DTypeBytes(problem_.type);
    Step step;
    step.slabs = slabs;
    step.a = p.a * element;
    step.b = p.b * element;
    step.y = p.y * DTypeBytes(problem_.result);
    step.sums = {.rows = part.rows,
                 .columns = part.columns,
                 .leading = problem_.shape.y.leading,
                 .alpha = problem_.alpha,
                 .beta = problem_.beta};
    Matrix& a = p.shape.a;
    Matrix& b = p.shape.b;
    Matrix& y = p.shape.y;
    const int64_t count = part.rows * part.columns;
    a.stride = a.transposed ? terms * a.leading : terms;
    b.stride = b.transposed ? terms : terms * b.leading;
    y.leading = part.columns;
    y.stride = count;
    y.alignment = 256;
    while (slabs > 1 && count * Bytes{sizeof(float)} % y.alignment != 0) y.alignment /= 2;
    a.count = b.count = y.count = slabs;
    part_bytes_ = std::max(part_bytes_, slabs * count * Bytes{sizeof(float)});
    WSI_ASSIGN_OR_RETURN(std::unique_ptr<Product> product, context_.cublas.MakeProduct());
    WSI_RETURN_IF_ERROR(product->Prepare(a, b, y, problem_.type, DType::kF32, 1, 0));
    step.product = product.get();
    products_.push_back(std::move(product));
    steps_.push_back(step);
    return {};
  }

  Status RunStep(const LaunchArguments& a, const CopyPlace& place, const Step& step) {
    const Scratch& scratch = context_.scratch;
    WSI_RETURN_IF_ERROR(step.product->Run(
        a.inputs[0] + place.a + step.a, a.inputs[1] + place.b + step.b,
        scratch.at<std::byte>(parts_at_), scratch.at<std::byte>(0), context_.stream));
    PartSums sums = step.sums;
    sums.parts = scratch.at<float>(parts_at_);
    sums.part_count = step.slabs;
    sums.before = step.first ? nullptr : scratch.at<float>(total_at_);
    if (!step.last) return KeepSums(sums, scratch.at<float>(total_at_), context_.stream);
    return StoreSums(sums, problem_.result, a.outputs[0] + place.y + step.y, context_.stream);
  }

  ProductProblem problem_;
  std::vector<CopyPlace> places_;
  Context& context_;
  std::vector<std::unique_ptr<Product>> products_;
  std::vector<Step> steps_;
  // In scratch, behind the workspace: sums so far, and the slabs' results.
  Bytes total_at_ = 0, parts_at_ = 0;
  Bytes total_bytes_ = 0, part_bytes_ = 0;
};

}  // namespace

KernelResult MakeLongProduct(const ProductProblem& problem, std::vector<CopyPlace> places,
                             Context& context) {
  auto kernel = std::make_unique<LongProduct>(problem, std::move(places), context);
  WSI_RETURN_IF_ERROR(kernel->Prepare());
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace wsi::cuda

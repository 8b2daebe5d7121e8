#include "runtime/backends/cuda/long_product.h"

#include <algorithm>

#include "runtime/backends/cuda/sums.h"

namespace wsi::cuda {
namespace {

class LongProduct final : public Kernel {
 public:
  LongProduct(const ProductProblem& problem, std::vector<CopyPlace> places, Bytes library,
              Context& context)
      : problem_(problem),
        places_(std::move(places)),
        library_bytes_(library),
        layout_(
            LayOutProduct(problem.shape.M(), problem.shape.N(), problem.shape.K(), problem.type)),
        context_(context) {}

  Status Prepare() {
    for (const ProductPart& part : CutResult(problem_.shape)) {
      WSI_RETURN_IF_ERROR(AddSteps(part));
    }
    return {};
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
    const size_t first = steps_.size();
    int64_t term = 0;
    while (term < part.terms) {
      const int64_t left = part.terms - term;
      const int64_t slabs = SlabsAtOnce(left, count);
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
    WSI_ASSIGN_OR_RETURN(std::unique_ptr<Product> product, context_.cublas.MakeProduct());
    WSI_RETURN_IF_ERROR(
        product->Prepare(a, b, y, problem_.type, DType::kF32, 1, 0, library_bytes_));
    step.product = product.get();
    products_.push_back(std::move(product));
    steps_.push_back(step);
    return {};
  }

  Status RunStep(const LaunchArguments& a, const CopyPlace& place, const Step& step) {
    auto* total = WorkspaceAt<float>(a);
    auto* parts = WorkspaceAt<std::byte>(a, layout_.parts);
    WSI_RETURN_IF_ERROR(
        step.product->Run(a.inputs[0] + place.a + step.a, a.inputs[1] + place.b + step.b, parts,
                          WorkspaceAt<std::byte>(a, layout_.library), context_.stream));
    PartSums sums = step.sums;
    sums.parts = reinterpret_cast<const float*>(parts);
    sums.part_count = step.slabs;
    sums.before = step.first ? nullptr : total;
    if (!step.last) return KeepSums(sums, total, context_.stream);
    return StoreSums(sums, problem_.result, a.outputs[0] + place.y + step.y, context_.stream);
  }

  ProductProblem problem_;
  std::vector<CopyPlace> places_;
  Bytes library_bytes_;
  ProductLayout layout_;
  Context& context_;
  std::vector<std::unique_ptr<Product>> products_;
  std::vector<Step> steps_;
};

}  // namespace

KernelResult MakeLongProduct(const ProductProblem& problem, std::vector<CopyPlace> places,
                             Bytes library, Context& context) {
  auto kernel = std::make_unique<LongProduct>(problem, std::move(places), library, context);
  WSI_RETURN_IF_ERROR(kernel->Prepare());
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace wsi::cuda

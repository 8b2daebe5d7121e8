#include "runtime/train/batch_feeder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

#include "runtime/base/philox.h"
#include "runtime/plan/plan_types.h"

namespace wsi {

Result<ImageInput> FindImageInput(const plan::Plan& plan, int program) {
  const plan::Program& p = plan.programs(program);
  const auto rejected = [&](const std::string& found) {
    return InvalidInput(fmt::format(
        "program {} takes {}; slides need one image input of 3 channels", p.name(), found));
  };
  if (p.inputs_size() != 1) return rejected(fmt::format("{} inputs", p.inputs_size()));
  const plan::Value& value = plan.values(p.inputs(0));
  if (value.dims_size() != 4 || value.dims(3) != 3 || value.permutation_size() != 4) {
    return rejected(fmt::format("{} of [{}]", value.name(), fmt::join(value.dims(), ",")));
  }
  return ImageInput{value.dims(0), value.dims(1), value.dims(2)};
}

std::vector<int64_t> EpochOrder(int64_t count, int64_t seed, int64_t epoch) {
  constexpr int64_t kOrderStream = 0x0EDE;  // Apart from the nodes' and augmentation's streams.
  const PhiloxStream random(seed, epoch, kOrderStream);
  std::vector<int64_t> order(static_cast<size_t>(count));
  std::iota(order.begin(), order.end(), int64_t{0});
  for (int64_t i = count - 1; i > 0; --i) {
    const auto j =
        static_cast<int64_t>(uint64_t{random.Word(i)} * static_cast<uint64_t>(i + 1) >> 32);
    std::swap(order[static_cast<size_t>(i)], order[static_cast<size_t>(j)]);
  }
  return order;
}

BatchFeeder::BatchFeeder(Executor* executor, int program, ImageInput input,
                         std::unique_ptr<Arena> memory, std::unique_ptr<SlideLoader> loader)
    : executor_(executor),
      program_(program),
      input_(input),
      memory_(std::move(memory)),
      loader_(std::move(loader)) {}

Result<std::unique_ptr<BatchFeeder>> BatchFeeder::Make(Executor* executor, int program,
                                                       const Manifest* manifest,
                                                       LoaderOptions options) {
  WSI_ASSIGN_OR_RETURN(const ImageInput input, FindImageInput(executor->plan(), program));
  options.view.height = input.height;
  options.view.width = input.width;
  WSI_ASSIGN_OR_RETURN(const Bytes bytes, SlideLoader::MemoryBytes(options));
  WSI_ASSIGN_OR_RETURN(std::unique_ptr<Arena> memory, executor->AllocateHost(bytes));
  options.memory = {reinterpret_cast<uint8_t*>(memory->data()), static_cast<size_t>(bytes)};
  WSI_ASSIGN_OR_RETURN(auto loader, SlideLoader::Make(*manifest, std::move(options)));
  return std::unique_ptr<BatchFeeder>(
      new BatchFeeder(executor, program, input, std::move(memory), std::move(loader)));
}

Status BatchFeeder::Enqueue(const std::vector<int64_t>& rows, int64_t epoch) {
  std::vector<SampleRequest> requests;
  requests.reserve(rows.size());
  for (const int64_t row : rows) requests.push_back({row, epoch});
  return loader_->Enqueue(requests);
}

Result<std::vector<int64_t>> BatchFeeder::Next(int64_t epoch) {
  std::vector<int64_t> rows;
  while (static_cast<int64_t>(rows.size()) < input_.batch) {
    if (!pending_.has_value()) {
      WSI_ASSIGN_OR_RETURN(pending_, loader_->Next());
    }
    if (!pending_.has_value() || pending_->request.epoch != epoch) break;
    const auto begin = static_cast<int64_t>(rows.size() * pending_->rgb.size());
    WSI_RETURN_IF_ERROR(executor_->WritePixels(program_, 0, begin, pending_->rgb));
    rows.push_back(pending_->request.row);
    pending_.reset();
  }
  return rows;
}

int64_t BatchFeeder::consumed() const {
  const LoaderStats stats = loader_->stats();
  return stats.delivered + stats.skipped - (pending_.has_value() ? 1 : 0);
}

Status WriteLabels(Executor& executor, int program, const Manifest& manifest,
                   const std::vector<int64_t>& rows) {
  const plan::Plan& plan = executor.plan();
  const int32_t target = plan.programs(program).target();
  if (target < 0) return {};
  const plan::Value& value = plan.values(target);
  const DType dtype = ValueDType(value);
  const Shape shape = ValueShape(value);
  WSI_ASSIGN_OR_RETURN(Tensor labels,
                       Tensor::Make(IsFloat(dtype) ? DType::kF32 : DType::kI64, shape));
  const auto batch = static_cast<int64_t>(rows.size());
  const int64_t columns = batch > 0 ? shape.ElementCount() / batch : 0;
  if (shape.rank() < 1 || shape[0] != batch || (!IsFloat(dtype) && columns != 1)) {
    return InvalidInput(fmt::format(
        "the plan wants a target {} per batch; slides have one class each", shape.ToString()));
  }
  for (int64_t i = 0; i < batch; ++i) {
    const int64_t label =
        manifest.rows[static_cast<size_t>(rows[static_cast<size_t>(i)])].class_index;
    if (!IsFloat(dtype)) {
      labels.data<int64_t>()[static_cast<size_t>(i)] = label;
    } else if (columns == 1) {
      labels.data<float>()[static_cast<size_t>(i)] = static_cast<float>(label);
    } else if (label < columns) {
      labels.data<float>()[static_cast<size_t>(i * columns + label)] = 1;
    }
  }
  return executor.WriteTarget(program, labels);
}

}  // namespace wsi

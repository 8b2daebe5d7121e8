#include "runtime/executor/reduction.h"

#include <cstring>

namespace wsi {
namespace {

template <typename T>
class Reduction final : public HostTask {
 public:
  Reduction(std::string name, Communicator* communicator, SumOrder order,
            std::vector<std::span<std::byte>> values)
      : name_(std::move(name)),
        communicator_(communicator),
        order_(order),
        values_(std::move(values)) {
    if (values_.size() < 2) return;
    size_t bytes = 0;
    for (const std::span<std::byte> value : values_) bytes += value.size();
    packed_.resize(bytes / sizeof(T));
  }

  Status Run() override {
    Status status = values_.size() == 1 ? Reduce(values_[0]) : ReducePacked();
    return status.ok() ? status : status.WithContext(name_);
  }

 private:
  Status Reduce(std::span<std::byte> value) {
    return communicator_->Mean(
        std::span(reinterpret_cast<T*>(value.data()), value.size() / sizeof(T)), order_);
  }

  Status ReducePacked() {
    auto* at = reinterpret_cast<std::byte*>(packed_.data());
    for (const std::span<std::byte> value : values_) {
      if (!value.empty()) std::memcpy(at, value.data(), value.size());
      at += value.size();
    }
    WSI_RETURN_IF_ERROR(communicator_->Mean(std::span(packed_), order_));
    at = reinterpret_cast<std::byte*>(packed_.data());
    for (const std::span<std::byte> value : values_) {
      if (!value.empty()) std::memcpy(value.data(), at, value.size());
      at += value.size();
    }
    return {};
  }

  std::string name_;
  Communicator* communicator_;
  SumOrder order_;
  std::vector<std::span<std::byte>> values_;
  std::vector<T> packed_;
};

}  // namespace

std::unique_ptr<HostTask> MakeReduction(std::string name, Communicator* communicator,
                                        SumOrder order, DType dtype,
                                        std::vector<std::span<std::byte>> values) {
  if (dtype == DType::kF64) {
    return std::make_unique<Reduction<double>>(std::move(name), communicator, order,
                                               std::move(values));
  }
  return std::make_unique<Reduction<float>>(std::move(name), communicator, order,
                                            std::move(values));
}

}  // namespace wsi

#include "runtime/backends/reference/storage.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "runtime/base/tensor.h"

namespace wsi::reference {
namespace {

constexpr const char* kStored = "stored";  // Attribute for StoredType.

bool IsNarrow(const OperandSpec& operand) {
  return operand.present && IsFloat(operand.dtype) && operand.dtype != DType::kF64;
}

double Load(DType dtype, const std::byte* data, size_t i) {
  if (dtype == DType::kF32) {
    float value = 0;
    std::memcpy(&value, data + i * sizeof(value), sizeof(value));
    return static_cast<double>(value);
  }
  uint16_t bits = 0;
  std::memcpy(&bits, data + i * sizeof(bits), sizeof(bits));
  return static_cast<double>(dtype == DType::kF16 ? HalfToFloat(bits) : BFloat16ToFloat(bits));
}

void Store(DType dtype, std::byte* data, size_t i, double value) {
  const auto single = static_cast<float>(value);
  if (dtype == DType::kF32) {
    std::memcpy(data + i * sizeof(single), &single, sizeof(single));
    return;
  }
  const uint16_t bits = dtype == DType::kF16 ? FloatToHalf(single) : FloatToBFloat16(single);
  std::memcpy(data + i * sizeof(bits), &bits, sizeof(bits));
}

// One operand of a launch: as it is stored, and its f64 image where that differs.
struct Storage {
  DType dtype = DType::kF64;
  std::optional<Tensor> image;
};

Result<std::vector<Storage>> StorageOf(std::span<const OperandSpec> operands) {
  std::vector<Storage> storage;
  for (const OperandSpec& operand : operands) {
    Storage& s = storage.emplace_back();
    s.dtype = operand.dtype;
    if (!IsNarrow(operand)) continue;
    WSI_ASSIGN_OR_RETURN(s.image, Tensor::Make(DType::kF64, operand.shape));
  }
  return storage;
}

class StoredKernel final : public Kernel {
 public:
  StoredKernel(std::unique_ptr<Kernel> kernel, std::vector<Storage> inputs,
               std::vector<Storage> outputs)
      : kernel_(std::move(kernel)),
        inputs_(std::move(inputs)),
        outputs_(std::move(outputs)),
        wide_inputs_(inputs_.size()),
        wide_outputs_(outputs_.size()) {}

  Status Run(const LaunchArguments& arguments) override {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      wide_inputs_[i] = arguments.inputs[i];
      if (!inputs_[i].image) continue;
      const std::span<double> image = inputs_[i].image->data<double>();
      for (size_t k = 0; k < image.size(); ++k) {
        image[k] = Load(inputs_[i].dtype, arguments.inputs[i], k);
      }
      wide_inputs_[i] = inputs_[i].image->bytes().data();
    }
    for (size_t i = 0; i < outputs_.size(); ++i) {
      wide_outputs_[i] =
          outputs_[i].image ? outputs_[i].image->bytes().data() : arguments.outputs[i];
    }
    WSI_RETURN_IF_ERROR(kernel_->Run({wide_inputs_, wide_outputs_, arguments.workspace}));
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (!outputs_[i].image) continue;
      const std::span<const double> image = std::as_const(*outputs_[i].image).data<double>();
      for (size_t k = 0; k < image.size(); ++k) {
        Store(outputs_[i].dtype, arguments.outputs[i], k, image[k]);
      }
    }
    return {};
  }

 private:
  std::unique_ptr<Kernel> kernel_;
  std::vector<Storage> inputs_;
  std::vector<Storage> outputs_;
  std::vector<const std::byte*> wide_inputs_;
  std::vector<std::byte*> wide_outputs_;
};

std::vector<OperandSpec> Widened(std::span<const OperandSpec> operands) {
  std::vector<OperandSpec> wide(operands.begin(), operands.end());
  for (OperandSpec& operand : wide) {
    if (IsNarrow(operand)) operand.dtype = DType::kF64;
  }
  return wide;
}

// Attributes that name a float type name that of the first output; here they become f64.
Result<Attributes> WidenedAttributes(const LaunchSpec& launch) {
  Attributes attributes = launch.attributes;
  for (const char* name : {"to", "dtype"}) {
    const AttributeValue* found = launch.attributes.Find(name);
    const auto* text = found == nullptr ? nullptr : std::get_if<std::string>(found);
    if (text == nullptr) continue;
    const Result<DType> named = ParseDType(*text);
    if (!named.ok() || !IsFloat(*named)) continue;
    if (launch.outputs.empty() || launch.outputs[0].dtype != *named) {
      return InvalidInput(fmt::format("{} '{}' on reference: attribute {} is not the output's type",
                                      launch.op, launch.node, name));
    }
    attributes.Set(name, std::string(DTypeName(DType::kF64)));
  }
  if (!launch.inputs.empty() && IsNarrow(launch.inputs[0])) {
    attributes.Set(kStored, std::string(DTypeName(launch.inputs[0].dtype)));
  }
  return attributes;
}

}  // namespace

KernelResult CompileStored(CompileFunction compile, const LaunchSpec& launch) {
  if (std::none_of(launch.inputs.begin(), launch.inputs.end(), IsNarrow) &&
      std::none_of(launch.outputs.begin(), launch.outputs.end(), IsNarrow)) {
    return compile(launch);
  }
  WSI_ASSIGN_OR_RETURN(const Attributes attributes, WidenedAttributes(launch));
  const std::vector<OperandSpec> inputs = Widened(launch.inputs);
  const std::vector<OperandSpec> outputs = Widened(launch.outputs);
  WSI_ASSIGN_OR_RETURN(
      std::unique_ptr<Kernel> kernel,
      compile({launch.op, launch.node, attributes, inputs, outputs, launch.workspace_bytes}));
  WSI_ASSIGN_OR_RETURN(std::vector<Storage> stored_inputs, StorageOf(launch.inputs));
  WSI_ASSIGN_OR_RETURN(std::vector<Storage> stored_outputs, StorageOf(launch.outputs));
  return std::unique_ptr<Kernel>(std::make_unique<StoredKernel>(
      std::move(kernel), std::move(stored_inputs), std::move(stored_outputs)));
}

DType StoredType(const LaunchSpec& launch) {
  const Result<DType> named = ParseDType(launch.attributes.String(kStored, "f64"));
  return named.ok() ? *named : DType::kF64;
}

double Rounded(DType dtype, double value) {
  if (dtype == DType::kF64) return value;
  std::array<std::byte, sizeof(double)> stored = {};
  Store(dtype, stored.data(), 0, value);
  return Load(dtype, stored.data(), 0);
}

}  // namespace wsi::reference

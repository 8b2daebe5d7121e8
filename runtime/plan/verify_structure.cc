#include <set>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "runtime/base/attributes.h"
#include "runtime/base/dtype.h"
#include "runtime/base/shape.h"
#include "runtime/plan/plan_types.h"
#include "runtime/plan/verify_parts.h"

namespace wsi {
namespace {

// Far above any real plan; keep counts and sums of indices within int32_t.
constexpr int kMaxItems = 1 << 24;
constexpr int kMaxPrograms = 16;

class StructureVerifier {
 public:
  explicit StructureVerifier(const plan::Plan& plan) : plan_(plan) {}

  Status Verify() {
    if (plan_.buffers_size() > kMaxItems || plan_.values_size() > kMaxItems ||
        plan_.persistents_size() > kMaxItems || plan_.programs_size() > kMaxPrograms) {
      return InvalidInput("too many buffers, values, persistents or programs");
    }
    if (plan_.programs_size() == 0) return InvalidInput("no program");
    WSI_RETURN_IF_ERROR(VerifyNames());
    for (int i = 0; i < plan_.buffers_size(); ++i) {
      const Status status = VerifyBuffer(plan_.buffers(i));
      if (!status.ok()) return status.WithContext(fmt::format("buffer {}", i));
    }
    for (int i = 0; i < plan_.values_size(); ++i) {
      const Status status = VerifyValue(plan_.values(i));
      if (!status.ok()) {
        return status.WithContext(fmt::format("value {} '{}'", i, plan_.values(i).name()));
      }
    }
    for (int i = 0; i < plan_.persistents_size(); ++i) {
      const Status status = VerifyPersistent(plan_.persistents(i));
      if (!status.ok()) {
        return status.WithContext(
            fmt::format("persistent {} '{}'", i, plan_.persistents(i).onnx_name()));
      }
    }
    WSI_RETURN_IF_ERROR(VerifyPersistentBuffers());
    for (int i = 0; i < plan_.programs_size(); ++i) {
      WSI_RETURN_IF_ERROR(VerifyProgram(plan_.programs(i), i));
    }
    return {};
  }

 private:
  Status VerifyNames() {
    std::set<std::string_view> names;
    for (const plan::Program& program : plan_.programs()) {
      if (!names.insert(program.name()).second) {
        return InvalidInput(fmt::format("two programs are called '{}'", program.name()));
      }
      if (program.instructions_size() > kMaxItems) return InvalidInput("too many instructions");
    }
    if (plan_.device_peak_bytes() < 0 || plan_.host_peak_bytes() < 0 ||
        plan_.file_peak_bytes() < 0) {
      return InvalidInput("negative arena size");
    }
    std::unordered_set<std::string_view> keys;
    for (const plan::Persistent& persistent : plan_.persistents()) {
      if (!keys.insert(persistent.onnx_name()).second) {
        return InvalidInput(fmt::format("two persistents are called '{}'", persistent.onnx_name()));
      }
    }
    if (plan_.has_training() && plan_.training().accumulation_steps() < 0) {
      return InvalidInput("negative accumulation_steps");
    }
    return {};
  }

  Status VerifyBuffer(const plan::Buffer& buffer) const {
    if (!plan::Tier_IsValid(buffer.tier())) {
      return InvalidInput(fmt::format("unknown tier {}", static_cast<int>(buffer.tier())));
    }
    if (buffer.offset() < 0 || buffer.size() < 0) return InvalidInput("negative offset or size");
    if (buffer.offset() % kBufferAlignment != 0) {
      return InvalidInput(
          fmt::format("offset {} is not a multiple of {}", buffer.offset(), kBufferAlignment));
    }
    const Bytes arena = buffer.tier() == plan::TIER_DEVICE ? plan_.device_peak_bytes()
                        : buffer.tier() == plan::TIER_HOST ? plan_.host_peak_bytes()
                                                           : plan_.file_peak_bytes();
    WSI_ASSIGN_OR_RETURN(const Bytes end, CheckedAdd(buffer.offset(), buffer.size()));
    if (end > arena) {
      return InvalidInput(fmt::format("ends at byte {} of an arena of {}", end, arena));
    }
    if (buffer.program() == -1) return {};
    if (!InRange(buffer.program(), plan_.programs_size())) {
      return InvalidInput(fmt::format("program {} of {}", buffer.program(), plan_.programs_size()));
    }
    const int64_t count = plan_.programs(buffer.program()).instructions_size();
    if (buffer.begin() < 0 || buffer.end() < buffer.begin() || buffer.end() > count) {
      return InvalidInput(fmt::format("lifetime [{}, {}) in a program of {} instructions",
                                      buffer.begin(), buffer.end(), count));
    }
    return {};
  }

  Status VerifyValue(const plan::Value& value) {
    if (!plan::Role_IsValid(value.role())) {
      return InvalidInput(fmt::format("unknown role {}", static_cast<int>(value.role())));
    }
    WSI_ASSIGN_OR_RETURN(const DType dtype, DTypeFromNumber(value.dtype()));
    WSI_ASSIGN_OR_RETURN(
        const Shape shape,
        Shape::Make(std::span(value.dims().data(), static_cast<size_t>(value.dims_size()))));
    if (!InRange(value.buffer(), plan_.buffers_size())) {
      return InvalidInput(fmt::format("buffer {} of {}", value.buffer(), plan_.buffers_size()));
    }
    const Bytes size = plan_.buffers(value.buffer()).size();
    if (shape.ByteCount(dtype) > size) {
      return InvalidInput(fmt::format("{} {} needs {} bytes, its buffer has {}", DTypeName(dtype),
                                      shape.ToString(), shape.ByteCount(dtype), size));
    }
    bytes_.push_back(shape.ByteCount(dtype));
    return VerifyValuePermutation(value);
  }

  static Status VerifyValuePermutation(const plan::Value& value) {
    if (value.permutation_size() == 0) return {};
    if (value.role() != plan::ROLE_INPUT && value.role() != plan::ROLE_TARGET) {
      return InvalidInput("permutation of neither an input nor a target");
    }
    const int rank = value.dims_size();
    uint32_t seen = 0;  // Rank is at most Shape::kMaxRank.
    for (const int64_t axis : value.permutation()) {
      if (!InRange(axis, rank)) return InvalidInput("permutation is none");
      seen |= 1U << axis;
    }
    if (value.permutation_size() != rank || seen != (1U << rank) - 1) {
      return InvalidInput("permutation is none");
    }
    return {};
  }

  Status VerifyPersistent(const plan::Persistent& persistent) const {
    if (!InRange(persistent.value(), plan_.values_size())) {
      return InvalidInput(fmt::format("value {} of {}", persistent.value(), plan_.values_size()));
    }
    const plan::Value& value = plan_.values(persistent.value());
    if (value.role() != plan::ROLE_PARAMETER && value.role() != plan::ROLE_STATE &&
        value.role() != plan::ROLE_CONSTANT) {
      return InvalidInput("its value's role is not a persistent one");
    }
    if (plan_.buffers(value.buffer()).program() != -1) {
      return InvalidInput("its value's buffer is not persistent");
    }
    WSI_RETURN_IF_ERROR(VerifyPermutation(persistent, value));
    const Bytes bytes = bytes_[static_cast<size_t>(persistent.value())];
    if (persistent.data_bytes() != 0 && persistent.data_bytes() != bytes) {
      return InvalidInput(
          fmt::format("{} bytes of data for {} bytes", persistent.data_bytes(), bytes));
    }
    if (persistent.data_offset() < 0) return InvalidInput("negative data_offset");
    WSI_RETURN_IF_ERROR(CheckedAdd(persistent.data_offset(), persistent.data_bytes()).status());
    return VerifyGradient(persistent, value);
  }

  static Status VerifyPermutation(const plan::Persistent& persistent, const plan::Value& value) {
    const int rank = persistent.onnx_dims_size();
    const int axes = persistent.permutation_size();
    if (rank != value.dims_size() || (axes != 0 && axes != rank)) {
      return InvalidInput(fmt::format("ranks of value ({}), onnx_dims ({}) and permutation ({})",
                                      value.dims_size(), rank, axes));
    }
    uint32_t seen = 0;  // Rank is at most Shape::kMaxRank.
    for (int i = 0; i < rank; ++i) {
      const int64_t axis = axes == 0 ? i : persistent.permutation(i);
      if (!InRange(axis, rank) || (seen >> axis & 1U) != 0) {
        return InvalidInput("permutation is none");
      }
      seen |= 1U << axis;
      if (value.dims(i) != persistent.onnx_dims(static_cast<int>(axis))) {
        return InvalidInput(fmt::format("axis {} has {} elements, onnx_dims {}", i, value.dims(i),
                                        persistent.onnx_dims(static_cast<int>(axis))));
      }
    }
    return {};
  }

  Status VerifyGradient(const plan::Persistent& persistent, const plan::Value& value) const {
    if (persistent.gradient() == -1) return {};
    if (value.role() != plan::ROLE_PARAMETER) return InvalidInput("gradient of no parameter");
    if (!InRange(persistent.gradient(), plan_.values_size())) {
      return InvalidInput(
          fmt::format("gradient {} of {} values", persistent.gradient(), plan_.values_size()));
    }
    const plan::Value& gradient = plan_.values(persistent.gradient());
    if (!std::equal(gradient.dims().begin(), gradient.dims().end(), value.dims().begin(),
                    value.dims().end())) {
      return InvalidInput("the gradient's shape is not the parameter's");
    }
    return {};
  }

  // Each persistent has a buffer of its own, and each persistent value is listed.
  Status VerifyPersistentBuffers() const {
    std::unordered_set<int32_t> buffers;
    std::unordered_set<int32_t> values;
    for (const plan::Persistent& persistent : plan_.persistents()) {
      values.insert(persistent.value());
      if (!buffers.insert(plan_.values(persistent.value()).buffer()).second) {
        return InvalidInput(
            fmt::format("persistent '{}' shares its buffer", persistent.onnx_name()));
      }
    }
    for (int i = 0; i < plan_.values_size(); ++i) {
      const plan::Role role = plan_.values(i).role();
      const bool persistent =
          role == plan::ROLE_PARAMETER || role == plan::ROLE_STATE || role == plan::ROLE_CONSTANT;
      if (persistent && !values.contains(i)) {
        return InvalidInput(
            fmt::format("value {} '{}' is not among the persistents", i, plan_.values(i).name()));
      }
    }
    return {};
  }

  Status VerifyProgram(const plan::Program& program, int index) const {
    const auto context = [&](const Status& status) {
      return status.WithContext(fmt::format("program '{}'", program.name()));
    };
    WSI_RETURN_IF_ERROR(context(VerifyInstructions(plan_, program, index)));
    std::set<std::string_view> scalars;
    for (const int32_t v : program.inputs()) {
      WSI_RETURN_IF_ERROR(context(VerifySlot(v, index, plan::ROLE_INPUT, "input")));
    }
    for (const int32_t v : program.scalars()) {
      WSI_RETURN_IF_ERROR(context(VerifySlot(v, index, plan::ROLE_SCALAR, "scalar")));
      const plan::Value& value = plan_.values(v);
      if (value.dims_size() != 0 && !(value.dims_size() == 1 && value.dims(0) == 1)) {
        return context(InvalidInput(fmt::format("scalar '{}' has more elements", value.name())));
      }
      if (!scalars.insert(value.name()).second) {
        return context(InvalidInput(fmt::format("two scalars are called '{}'", value.name())));
      }
    }
    if (program.target() != -1) {
      WSI_RETURN_IF_ERROR(
          context(VerifySlot(program.target(), index, plan::ROLE_TARGET, "target")));
    }
    for (const int32_t v : program.outputs()) {
      if (!ValueBelongs(plan_, v, index))
        return context(InvalidInput(fmt::format("output: value {}", v)));
    }
    if (program.loss() != -1) {
      if (!ValueBelongs(plan_, program.loss(), index)) {
        return context(InvalidInput(fmt::format("loss: value {}", program.loss())));
      }
      const plan::Value& loss = plan_.values(program.loss());
      if (!IsFloat(static_cast<DType>(loss.dtype())) || loss.dims_size() > 1 ||
          (loss.dims_size() == 1 && loss.dims(0) != 1)) {
        return context(InvalidInput("the loss is not one float"));
      }
      if (plan_.buffers(loss.buffer()).tier() != plan::TIER_DEVICE) {
        return context(InvalidInput("the loss is not in the device tier"));
      }
    }
    return {};
  }

  Status VerifySlot(int32_t value, int index, plan::Role role, std::string_view what) const {
    if (!ValueBelongs(plan_, value, index) || plan_.values(value).role() != role) {
      return InvalidInput(fmt::format("{}: value {} is none of this program", what, value));
    }
    if (plan_.buffers(plan_.values(value).buffer()).tier() != plan::TIER_DEVICE) {
      return InvalidInput(
          fmt::format("{} '{}' is not in the device tier", what, plan_.values(value).name()));
    }
    return {};
  }

  const plan::Plan& plan_;
  std::vector<Bytes> bytes_;  // Of each value.
};

}  // namespace

Status VerifyStructure(const plan::Plan& plan) { return StructureVerifier(plan).Verify(); }

}  // namespace wsi

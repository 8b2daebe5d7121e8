#include "runtime/timing/launch_time.h"

#include <algorithm>
#include <string>

#include "runtime/plan/plan_types.h"

namespace wsi {
namespace {

bool IsHalf(DType type) { return type == DType::kF16 || type == DType::kBF16; }

double FlopRate(const plan::Rates& rates, const plan::OperatorRate* own, bool matrix, bool half) {
  const auto choose = [](double measured, double otherwise) {
    return measured > 0 ? measured : otherwise;
  };
  const plan::OperatorRate& op = own != nullptr ? *own : plan::OperatorRate::default_instance();
  if (!matrix) return choose(op.vector_flops(), rates.vector_flops());
  if (!half) return choose(op.flops_fp32(), rates.matrix_flops_fp32());
  return choose(op.flops_half(), choose(rates.matrix_flops_half(), rates.matrix_flops_fp32()));
}

// Of its first input, or of its first output where it reads nothing.
DType TypeOf(const plan::Plan& plan, const plan::Launch& launch) {
  DType type = DType::kF32;
  const auto first = [&](const google::protobuf::RepeatedField<int32_t>& values) {
    for (const int32_t v : values) {
      if (v == -1) continue;
      type = ValueDType(plan.values(v));
      return true;
    }
    return false;
  };
  static_cast<void>(first(launch.inputs()) || first(launch.outputs()));
  return type;
}

}  // namespace

double LaunchSeconds(const plan::Rates& rates, std::string_view op, bool matrix, DType type,
                     double flops, double bytes) {
  const auto at = rates.operators().find(std::string(op));
  const plan::OperatorRate* own = at == rates.operators().end() ? nullptr : &at->second;
  const double memory =
      own != nullptr && own->memory_bytes() > 0 ? own->memory_bytes() : rates.memory_bytes();
  return rates.launch_seconds() +
         std::max(flops / FlopRate(rates, own, matrix, IsHalf(type)), bytes / memory);
}

double LaunchSeconds(const plan::Rates& rates, const plan::Plan& plan, const plan::Launch& launch) {
  return LaunchSeconds(rates, launch.op(), launch.matrix(), TypeOf(plan, launch), launch.flops(),
                       launch.bytes());
}

bool IsHalfLaunch(const plan::Plan& plan, const plan::Launch& launch) {
  return IsHalf(TypeOf(plan, launch));
}

double LaneBytesPerSecond(const plan::Rates& rates, plan::Lane lane) {
  switch (lane) {
    case plan::LANE_IN: return rates.in_bytes();
    case plan::LANE_OUT: return rates.out_bytes();
    case plan::LANE_READ: return rates.read_bytes();
    case plan::LANE_WRITE: return rates.write_bytes();
    default: WSI_CHECK(false);
  }
  return 0;
}

double CopySeconds(const plan::Rates& rates, plan::Lane lane, Bytes bytes) {
  return rates.copy_seconds() + static_cast<double>(bytes) / LaneBytesPerSecond(rates, lane);
}

}  // namespace wsi

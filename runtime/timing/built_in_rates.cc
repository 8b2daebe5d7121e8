#include <fmt/format.h>

#include <array>
#include <span>

#include "runtime/timing/rates.h"

namespace wsi {
namespace {

struct Operator {
  const char* name;
  double flops_fp32 = 0;
  double flops_half = 0;
  double memory_bytes = 0;
  double vector_flops = 0;
};

struct Device {
  const char* name;
  const char* device;
  double matrix_flops_fp32, matrix_flops_half, vector_flops;
  double memory_bytes;
  double in_bytes, out_bytes;
  double read_bytes, write_bytes;
  double launch_seconds, copy_seconds;
  std::span<const Operator> operators = {};
  double operator_memory = 1;  // Times the memory rates of the operators.
};

// Of wsirun bench --fit-rates on one H100 80GB: ResNet-50 in fp16 at 4096 and 8192, DenseNet-121
// and MobileNetV2 at 2048 and 4096, ResNet-50 with group norm at 4096; flops_fp32 are those of
// ResNet-18 and -50 at 2048, vector_flops those of MobileNetV2. What is not here runs at the
// device's rates.
constexpr std::array<Operator, 10> kHopper = {{
    {.name = "AveragePool", .memory_bytes = 1.3e12},
    {.name = "AveragePoolGrad", .memory_bytes = 0.6e12},
    {.name = "Concat", .memory_bytes = 2.1e12},
    {.name = "Conv",
     .flops_fp32 = 29e12,
     .flops_half = 650e12,
     .memory_bytes = 2.55e12,
     .vector_flops = 4.3e12},
    {.name = "ConvInputGrad",
     .flops_fp32 = 21e12,
     .flops_half = 670e12,
     .memory_bytes = 2.7e12,
     .vector_flops = 5.4e12},
    {.name = "ConvWeightGrad",
     .flops_fp32 = 25e12,
     .flops_half = 360e12,
     .memory_bytes = 2.45e12,
     .vector_flops = 4.5e12},
    {.name = "GroupNormGrad", .memory_bytes = 1.7e12},
    {.name = "GroupNormalization", .memory_bytes = 1.85e12},
    {.name = "MaxPool", .memory_bytes = 2.3e12},
    {.name = "MaxPoolGrad", .memory_bytes = 2.25e12},
}};

// Links: what each direction carries while both are busy.
//
// cpu: two cores of a server processor with AVX-512 and AVX512_BF16, 4 GHz.
//
// h100, measured on an 80 GB one. Its fp32 is that of the vector units (67 TFLOP/s nominal),
// for numbers as the CPU has them; TF32 is not fp32. File: one NVMe disk.
// h200: the same chip with memory of 4.8 instead of 3.35 TB/s.
//
// v100: nominal rates of the 32 GB one over PCIe 3.
constexpr std::array<Device, 4> kDevices = {{
    {.name = "cpu",
     .device = "2 cores with AVX-512",
     .matrix_flops_fp32 = 400e9,
     .matrix_flops_half = 600e9,
     .vector_flops = 30e9,
     .memory_bytes = 25e9,
     .in_bytes = 8e9,
     .out_bytes = 8e9,
     .read_bytes = 2e9,
     .write_bytes = 1e9,
     .launch_seconds = 1e-5,
     .copy_seconds = 1e-5},
    {.name = "h100",
     .device = "NVIDIA H100 80GB HBM3",
     .matrix_flops_fp32 = 60e12,
     .matrix_flops_half = 600e12,
     .vector_flops = 60e12,
     .memory_bytes = 2.9e12,
     .in_bytes = 55e9,
     .out_bytes = 55e9,
     .read_bytes = 5e9,
     .write_bytes = 5e9,
     .launch_seconds = 4e-6,
     .copy_seconds = 1e-5,
     .operators = kHopper},
    {.name = "h200",
     .device = "NVIDIA H200 141GB HBM3e",
     .matrix_flops_fp32 = 60e12,
     .matrix_flops_half = 600e12,
     .vector_flops = 60e12,
     .memory_bytes = 4.15e12,
     .in_bytes = 55e9,
     .out_bytes = 55e9,
     .read_bytes = 5e9,
     .write_bytes = 5e9,
     .launch_seconds = 4e-6,
     .copy_seconds = 1e-5,
     .operators = kHopper,
     .operator_memory = 4.8 / 3.35},
    {.name = "v100",
     .device = "NVIDIA V100 32GB",
     .matrix_flops_fp32 = 15.7e12,
     .matrix_flops_half = 100e12,
     .vector_flops = 15.7e12,
     .memory_bytes = 0.9e12,
     .in_bytes = 12e9,
     .out_bytes = 12e9,
     .read_bytes = 2e9,
     .write_bytes = 2e9,
     .launch_seconds = 4e-6,
     .copy_seconds = 1e-5},
}};

plan::Rates ToRates(const Device& d) {
  plan::Rates rates;
  rates.set_device(d.device);
  rates.set_matrix_flops_fp32(d.matrix_flops_fp32);
  rates.set_matrix_flops_half(d.matrix_flops_half);
  rates.set_vector_flops(d.vector_flops);
  rates.set_memory_bytes(d.memory_bytes);
  rates.set_in_bytes(d.in_bytes);
  rates.set_out_bytes(d.out_bytes);
  rates.set_read_bytes(d.read_bytes);
  rates.set_write_bytes(d.write_bytes);
  rates.set_launch_seconds(d.launch_seconds);
  rates.set_copy_seconds(d.copy_seconds);
  for (const Operator& op : d.operators) {
    plan::OperatorRate& rate = (*rates.mutable_operators())[op.name];
    rate.set_flops_fp32(op.flops_fp32);
    rate.set_flops_half(op.flops_half);
    rate.set_memory_bytes(op.memory_bytes * d.operator_memory);
    rate.set_vector_flops(op.vector_flops);
  }
  return rates;
}

}  // namespace

Result<plan::Rates> BuiltInRates(std::string_view name) {
  std::string names;
  for (const Device& device : kDevices) {
    if (name == device.name) return ToRates(device);
    names += (names.empty() ? "" : ", ") + std::string(device.name);
  }
  return UsageError(fmt::format("'{}' is none of the built-in rates {}", name, names));
}

}  // namespace wsi

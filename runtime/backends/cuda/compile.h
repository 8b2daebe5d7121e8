// What an operator family compiles a launch with.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "runtime/backends/cuda/cuda_status.h"
#include "runtime/backends/cuda/faults.h"
#include "runtime/backends/function_kernel.h"
#include "runtime/backends/launch_check.h"

namespace wsi::cuda {

class Cudnn;
class CublasLt;
class ProgramCache;

// Lives as long as the backend; kernels keep references to it.
struct Context {
  cudaStream_t stream;  // The compute lane's.
  Faults& faults;
  Cudnn& cudnn;
  CublasLt& cublas;
  ProgramCache& programs;
  bool is_hopper = false;  // Compute capability 9.x.
};

using CompileFunction = KernelResult (*)(const LaunchSpec& launch, Context& context);

// As Backend::CompileTogether: launches of one operator, at least one, each of which has
// been compiled by itself.
struct JointLaunches {
  std::span<const LaunchSpec> launches;
  std::span<const LaunchArguments> arguments;
};
using JointCompileFunction = KernelResult (*)(JointLaunches all, Context& context);

// The letters of operands: F f32, f16, bf16 or f64; S f32; L i64; B bool; X u8 or i32;
// * any type.
class LaunchCheck : public wsi::LaunchCheck {
 public:
  // Borrows the launch.
  explicit LaunchCheck(const LaunchSpec& launch);
};

// Holds a kernel to the workspace that its launch has: kInvalidInput naming both sizes where
// it wants more.
Status RequireWorkspace(const LaunchSpec& launch, Bytes bytes);
// Where `offset` of a launch's workspace is.
template <typename T>
T* WorkspaceAt(const LaunchArguments& a, Bytes offset = 0) {
  return reinterpret_cast<T*>(a.workspace + offset);
}

// "Conv 'layer1.conv1' on cuda: <what>", kInvalidInput.
Status CompileError(const LaunchSpec& launch, std::string_view what);
// The same text, for Faults::Register.
std::string FaultText(const LaunchSpec& launch, std::string_view what);

}  // namespace wsi::cuda

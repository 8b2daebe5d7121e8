// What an operator family compiles a launch with.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/backends/cpu/scratch.h"
#include "runtime/backends/cpu/storage.h"
#include "runtime/backends/cpu/thread_pool.h"
#include "runtime/backends/function_kernel.h"

namespace wsi::cpu {

struct DnnlRuntime;

// Lives as long as the backend; kernels keep references to it.
struct Context {
  ThreadPool& pool;
  Scratch& scratch;
  DnnlRuntime& dnnl;
};

using CompileFunction = KernelResult (*)(const LaunchSpec& launch, Context& context);

// "Conv 'layer1.conv1' on cpu: <what>", kInvalidInput.
Status CompileError(const LaunchSpec& launch, std::string_view what);

bool HasInput(const LaunchSpec& launch, size_t i);
bool HasOutput(const LaunchSpec& launch, size_t i);

// Operand counts: at least the minimum and all of those present, at most the maximum.
Status ExpectOperands(const LaunchSpec& launch, size_t min_inputs, size_t max_inputs,
                      size_t min_outputs, size_t max_outputs);
// The operand, if present, has this type (and shape).
Status ExpectInput(const LaunchSpec& launch, size_t i, DType dtype);
Status ExpectInput(const LaunchSpec& launch, size_t i, DType dtype, const Shape& shape);
Status ExpectOutput(const LaunchSpec& launch, size_t i, DType dtype);
// The operand, if present, is f32, f16 or bf16.
Status ExpectFloat(const LaunchSpec& launch, size_t i);
Status ExpectOutput(const LaunchSpec& launch, size_t i, DType dtype, const Shape& shape);

// compile(T()) for the type T that values of `dtype` are stored as: float, Half or BFloat16.
template <typename F>
KernelResult CompileByStorage(const LaunchSpec& launch, DType dtype, const F& compile) {
  switch (dtype) {
    case DType::kF32: return compile(float());
    case DType::kF16: return compile(Half());
    case DType::kBF16: return compile(BFloat16());
    default: return CompileError(launch, "wants f32, f16 or bf16");
  }
}
// As above, and double.
template <typename F>
KernelResult CompileByFloat(const LaunchSpec& launch, DType dtype, const F& compile) {
  return dtype == DType::kF64 ? compile(double()) : CompileByStorage(launch, dtype, compile);
}
// `kCompile` is a template over the storage type of the first operand.
#define WSI_BY_STORAGE(kCompile)                                                         \
  CompileByStorage(launch, launch.inputs.empty() ? DType::kF32 : launch.inputs[0].dtype, \
                   [&]<typename T>(T) { return kCompile<T>(launch, context); })

#define WSI_BY_FLOAT(kCompile)                                                         \
  CompileByFloat(launch, launch.inputs.empty() ? DType::kF32 : launch.inputs[0].dtype, \
                 [&]<typename T>(T) { return kCompile<T>(launch, context); })

// [begin, end) cut into chunks of `grain` items, by size alone.
struct Chunks {
  int64_t items = 0;
  int64_t grain = 1;
  int64_t count() const { return CeilDiv(items, grain); }
  int64_t begin(int64_t chunk) const { return chunk * grain; }
  int64_t end(int64_t chunk) const {
    return (chunk + 1) * grain < items ? (chunk + 1) * grain : items;
  }
};
// Chunks of about `elements` elements where an item has `item_elements`, few enough
// for the pool.
Chunks ChunksOf(int64_t items, int64_t item_elements, int64_t elements);

// Elements of a chunk of a memory-bound loop: 256 KiB of fp32.
inline constexpr int64_t kGrain = int64_t{1} << 16;

// function(begin, end, chunk, worker) over all chunks.
template <typename F>
void ForChunks(ThreadPool& pool, const Chunks& chunks, const F& function) {
  pool.ParallelFor(chunks.count(), [&](int64_t chunk, int worker) {
    function(chunks.begin(chunk), chunks.end(chunk), chunk, worker);
  });
}

}  // namespace wsi::cpu

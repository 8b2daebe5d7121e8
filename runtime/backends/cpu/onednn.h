// oneDNN as this backend uses it: every primitive runs on the one thread that calls
// it, and our own pool supplies the parallelism, so results do not depend on the
// thread count.
#pragma once

#include <dnnl.hpp>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/dtype.h"
#include "runtime/base/status.h"

namespace wsi::cpu {

// Makes oneDNN run on one thread in the calling thread from now on. Called before a
// primitive is made and before it runs, in whatever thread that happens.
void UseOneThread();

// REQUIRES: one of the types that kernels give to oneDNN, kF32 or kBF16.
constexpr dnnl::memory::data_type DnnlType(DType dtype) {
  return dtype == DType::kBF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

// The engine and one stream per worker.
struct DnnlRuntime {
  dnnl::engine engine;
  std::vector<dnnl::stream> streams;
  static Result<DnnlRuntime> Make(int workers);
};

// Runs `make`, turning dnnl::error into a Status.
template <typename F>
auto DnnlTry(const F& make) -> Result<decltype(make())> {
  try {
    UseOneThread();
    return make();
  } catch (const dnnl::error& error) {
    return InternalError(std::string("oneDNN: ") + error.what());
  }
}

// Points `memory` at `data`. Allocates nothing.
void SetHandle(const dnnl::memory& memory, const void* data);

// Runs the primitive. Allocates nothing and throws nothing.
Status Execute(const dnnl::primitive& primitive, const dnnl::stream& stream,
               std::initializer_list<dnnl_exec_arg_t> arguments);

}  // namespace wsi::cpu

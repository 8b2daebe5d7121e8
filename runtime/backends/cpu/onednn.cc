#include "runtime/backends/cpu/onednn.h"

#include <omp.h>

namespace wsi::cpu {

void UseOneThread() { omp_set_num_threads(1); }

Result<DnnlRuntime> DnnlRuntime::Make(int workers) {
  return DnnlTry([&] {
    DnnlRuntime runtime;
    runtime.engine = dnnl::engine(dnnl::engine::kind::cpu, 0);
    for (int w = 0; w < workers; ++w) runtime.streams.emplace_back(runtime.engine);
    return runtime;
  });
}

void SetHandle(const dnnl::memory& memory, const void* data) {
  const dnnl_status_t status = dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data));
  WSI_CHECK(status == dnnl_success);
}

Status Execute(const dnnl::primitive& primitive, const dnnl::stream& stream,
               std::initializer_list<dnnl_exec_arg_t> arguments) {
  UseOneThread();
  const dnnl_status_t status = dnnl_primitive_execute(
      primitive.get(), stream.get(), static_cast<int>(arguments.size()), arguments.begin());
  if (status == dnnl_success) return {};
  return InternalError("oneDNN could not run a primitive, status " + std::to_string(status));
}

}  // namespace wsi::cpu

#include "runtime/backends/cpu/cpu_backend.h"
#include "tests/backends/backend_suite.h"

namespace wsi {

std::unique_ptr<Backend> MakeBackendUnderTest() { return MakeCpuBackend({}); }
DType FloatTypeUnderTest() { return DType::kF32; }

}  // namespace wsi

#include "runtime/backends/cpu/cpu_backend.h"
#include "tests/backends/backend_suite.h"

namespace wsi {

std::unique_ptr<Backend> MakeBackendUnderTest() { return MakeCpuBackend({}); }
std::vector<DType> FloatTypesUnderTest() { return {DType::kF32, DType::kF16, DType::kBF16}; }

}  // namespace wsi

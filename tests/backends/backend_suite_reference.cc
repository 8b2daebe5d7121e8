// The reference against itself: shows that every case is well formed, that its launches
// stay inside their outputs and that sharing memory is harmless.
#include "runtime/backends/reference/reference_backend.h"
#include "tests/backends/backend_suite.h"

namespace wsi {

std::unique_ptr<Backend> MakeBackendUnderTest() { return MakeReferenceBackend(); }
std::vector<DType> FloatTypesUnderTest() { return {DType::kF64}; }

}  // namespace wsi

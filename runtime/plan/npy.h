// NumPy's .npy files, format versions 1.0 to 3.0, little-endian and C order.
// Format: numpy.lib.format, "Format Specification: Version 1.0" and later.
#pragma once

#include <string>

#include "runtime/base/file.h"
#include "runtime/base/tensor.h"

namespace wsi {

// Element types f2 f4 f8 i1 u1 i4 i8 and bool. Anything else, Fortran order and big
// endian are refused by name.
Result<Tensor> ReadNpy(const std::string& path);
// Version 1.0. bf16 is refused: the format has no such type.
Status WriteNpy(const std::string& path, const Tensor& tensor, OutputOptions options);

}  // namespace wsi

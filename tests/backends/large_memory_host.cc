// Of backends whose device is the host.
#include "runtime/base/tensor.h"
#include "tests/backends/large_memory.h"

namespace wsi {
namespace {

template <typename T, typename Convert>
void Fill(const Draw& draw, int64_t count, std::byte* to, Convert convert) {
  auto* at = reinterpret_cast<T*>(to);
  for (int64_t i = 0; i < count; ++i) at[i] = convert(draw.At(i));
}

}  // namespace

Status FillDrawn(DType dtype, const Draw& draw, int64_t count, std::byte* to) {
  const auto cast = [&]<typename T>(T) {
    Fill<T>(draw, count, to, [](double v) { return static_cast<T>(v); });
  };
  switch (dtype) {
    case DType::kF32: cast(0.0F); break;
    case DType::kF16:
      Fill<uint16_t>(draw, count, to, [](double v) { return FloatToHalf(static_cast<float>(v)); });
      break;
    case DType::kBF16:
      Fill<uint16_t>(draw, count, to,
                     [](double v) { return FloatToBFloat16(static_cast<float>(v)); });
      break;
    case DType::kI64: cast(int64_t{0}); break;
    case DType::kU8:
    case DType::kBool: cast(uint8_t{0}); break;
    default: return InternalError("nothing is drawn as this type");
  }
  return {};
}

Result<int64_t> FindUnset(Bytes bytes, const std::byte* at, int64_t count, std::byte* /*record*/) {
  for (int64_t i = 0; i < count; ++i) {
    bool unset = true;
    for (Bytes b = 0; b < bytes; ++b) unset = unset && at[i * bytes + b] == std::byte{0xff};
    if (unset) return i;
  }
  return int64_t{-1};
}

}  // namespace wsi

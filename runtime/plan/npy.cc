#include "runtime/plan/npy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <string_view>
#include <vector>

namespace wsi {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr Bytes kMaxHeaderBytes = 65536;

struct TypeName {
  DType dtype;
  std::string_view descr;
};
constexpr std::array<TypeName, 12> kTypes = {{{DType::kF16, "<f2"},
                                              {DType::kF32, "<f4"},
                                              {DType::kF64, "<f8"},
                                              {DType::kI8, "|i1"},
                                              {DType::kU8, "|u1"},
                                              {DType::kI16, "<i2"},
                                              {DType::kU16, "<u2"},
                                              {DType::kU32, "<u4"},
                                              {DType::kU64, "<u8"},
                                              {DType::kI32, "<i4"},
                                              {DType::kI64, "<i8"},
                                              {DType::kBool, "|b1"}}};

Result<DType> TypeOfDescr(std::string_view descr) {
  for (const TypeName& type : kTypes) {
    // Single bytes have no order: "<i1" means "|i1".
    if (descr == type.descr) return type.dtype;
    if (DTypeBytes(type.dtype) == 1 && descr.size() == 3 && descr[0] == '<' &&
        descr.substr(1) == type.descr.substr(1)) {
      return type.dtype;
    }
  }
  if (descr.starts_with('>')) {
    return InvalidInput(
        fmt::format("element type '{}' is big-endian; save it little-endian", descr));
  }
  return InvalidInput(fmt::format(
      "element type '{}' is not supported; use one of f2 f4 f8 i1 u1 i4 i8 bool", descr));
}

struct Header {
  std::string descr;
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Reads the header's Python literal: {'descr': '<f4', 'fortran_order': False,
// 'shape': (1, 3), }. Every Read... returns nothing where the text is another.
class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  std::optional<Header> Parse() {
    Header header;
    std::array<int, 3> seen{};
    if (!Take('{')) return std::nullopt;
    while (!Take('}')) {
      const std::optional<std::string> key = ReadString();
      if (!key || !Take(':')) return std::nullopt;
      if (*key == "descr" && seen[0]++ == 0) {
        const std::optional<std::string> descr = ReadString();
        if (!descr) return std::nullopt;
        header.descr = *descr;
      } else if (*key == "fortran_order" && seen[1]++ == 0) {
        header.fortran_order = TakeWord("True");
        if (!header.fortran_order && !TakeWord("False")) return std::nullopt;
      } else if (*key == "shape" && seen[2]++ == 0) {
        if (!ReadTuple(header.shape)) return std::nullopt;
      } else {
        return std::nullopt;
      }
      if (!Take(',')) {
        if (!Take('}')) return std::nullopt;
        break;
      }
    }
    SkipSpace();
    if (!rest_.empty() || seen != std::array<int, 3>{1, 1, 1}) return std::nullopt;
    return header;
  }

 private:
  void SkipSpace() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \n\t"), rest_.size()));
  }
  bool TakeWord(std::string_view word) {
    SkipSpace();
    if (!rest_.starts_with(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  bool Take(char c) { return TakeWord(std::string_view(&c, 1)); }

  std::optional<std::string> ReadString() {
    SkipSpace();
    if (rest_.empty() || (rest_[0] != '\'' && rest_[0] != '"')) return std::nullopt;
    const size_t end = rest_.find(rest_[0], 1);
    if (end == std::string_view::npos) return std::nullopt;
    std::string text(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return text;
  }

  bool ReadTuple(std::vector<int64_t>& sizes) {
    if (!Take('(')) return false;
    while (!Take(')')) {
      SkipSpace();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), size);
      if (error != std::errc() || static_cast<int>(sizes.size()) >= Shape::kMaxRank) return false;
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      sizes.push_back(size);
      TakeWord("L");  // Written by Python 2.
      if (!Take(',')) return Take(')');
    }
    return true;
  }

  std::string_view rest_;
};

// The bytes of the file's header and where the data begin.
struct HeaderText {
  std::string text;
  Bytes data_offset = 0;
};

Result<HeaderText> ReadHeaderText(const InputFile& file) {
  std::array<std::byte, 12> head{};
  if (file.size() < static_cast<Bytes>(head.size())) return InvalidInput("not a .npy file");
  WSI_RETURN_IF_ERROR(file.ReadAt(0, std::span(head).first(10)));
  if (std::string_view(reinterpret_cast<const char*>(head.data()), kMagic.size()) != kMagic) {
    return InvalidInput("not a .npy file");
  }
  const auto byte = [&](size_t i) { return std::to_integer<Bytes>(head[i]); };
  const Bytes version = byte(6);
  if (version < 1 || version > 3 || byte(7) != 0) {
    return InvalidInput(fmt::format("format version {}.{} is not supported", version, byte(7)));
  }
  Bytes length = byte(8) | byte(9) << 8;
  Bytes start = 10;
  if (version >= 2) {
    WSI_RETURN_IF_ERROR(file.ReadAt(10, std::span(head).subspan(10)));
    length |= byte(10) << 16 | byte(11) << 24;
    start = 12;
  }
  if (length > kMaxHeaderBytes) {
    return InvalidInput(fmt::format("header of {} bytes, more than {}", length, kMaxHeaderBytes));
  }
  if (length > file.size() - start) return InvalidInput("truncated inside the header");
  HeaderText header{std::string(static_cast<size_t>(length), '\0'), start + length};
  WSI_RETURN_IF_ERROR(file.ReadAt(
      start, std::as_writable_bytes(std::span(header.text.data(), header.text.size()))));
  return header;
}

Result<Tensor> ReadOpenNpy(const InputFile& file) {
  WSI_ASSIGN_OR_RETURN(const HeaderText text, ReadHeaderText(file));
  const std::optional<Header> header = HeaderParser(text.text).Parse();
  if (!header) return InvalidInput("the header is malformed");
  WSI_ASSIGN_OR_RETURN(const DType dtype, TypeOfDescr(header->descr));
  if (header->fortran_order && header->shape.size() > 1) {
    return InvalidInput("Fortran order is not supported; save numpy.ascontiguousarray(x)");
  }
  WSI_ASSIGN_OR_RETURN(Shape shape, Shape::Make(header->shape));
  if (shape.ByteCount(dtype) != file.size() - text.data_offset) {
    return InvalidInput(fmt::format("{} {} needs {} bytes of data, the file has {}",
                                    DTypeName(dtype), shape.ToString(), shape.ByteCount(dtype),
                                    file.size() - text.data_offset));
  }
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(dtype, std::move(shape)));
  WSI_RETURN_IF_ERROR(file.ReadAt(text.data_offset, tensor.bytes()));
  if (dtype == DType::kBool) {
    for (std::byte& b : tensor.bytes()) b = b == std::byte{0} ? b : std::byte{1};
  }
  return tensor;
}

}  // namespace

Result<Tensor> ReadNpy(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const InputFile file, InputFile::Open(path));
  Result<Tensor> tensor = ReadOpenNpy(file);
  if (!tensor.ok()) return tensor.status().WithContext(path);
  return tensor;
}

Status WriteNpy(const std::string& path, const Tensor& tensor, OutputOptions options) {
  const auto* type = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& known) {
    return known.dtype == tensor.dtype();
  });
  if (type == kTypes.end()) {
    return InvalidInput(fmt::format("cannot write '{}': the .npy format has no type {}", path,
                                    DTypeName(tensor.dtype())));
  }
  const bool one = tensor.shape().rank() == 1;
  std::string header = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}{}), }}",
                                   type->descr, fmt::join(tensor.shape(), ", "), one ? "," : "");
  // Spaces and a newline align the data to 64 bytes.
  const auto total = static_cast<size_t>(AlignUp(static_cast<Bytes>(10 + header.size() + 1), 64));
  header.append(total - 10 - header.size() - 1, ' ');
  header += '\n';
  std::string start(kMagic);
  start += {'\x01', '\x00', static_cast<char>(header.size() & 0xFF),
            static_cast<char>(header.size() >> 8)};
  WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
  WSI_RETURN_IF_ERROR(file.Write(start + header));
  WSI_RETURN_IF_ERROR(file.Write(tensor.bytes()));
  return file.Commit();
}

}  // namespace wsi

#include "runtime/plan/safetensors.h"

#include <fmt/format.h>

#include <array>
#include <set>

#include "runtime/plan/safetensors_header.h"

namespace wsi {
namespace {

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr Bytes kPrefixBytes = 8;

Result<SafetensorsHeader> ReadHeader(const InputFile& file, Bytes* data_offset) {
  std::array<std::byte, kPrefixBytes> prefix{};
  if (file.size() < kPrefixBytes) return InvalidInput("truncated, or not a safetensors file");
  WSI_RETURN_IF_ERROR(file.ReadAt(0, prefix));
  uint64_t length = 0;
  for (size_t i = prefix.size(); i > 0; --i) {
    length = length << 8 | std::to_integer<uint64_t>(prefix[i - 1]);
  }
  if (length < 2 || length > kMaxHeaderBytes) {
    return InvalidInput(
        fmt::format("header of {} bytes, allowed are 2 to {}; is this a "
                    "safetensors file?",
                    length, kMaxHeaderBytes));
  }
  const auto bytes = static_cast<Bytes>(length);
  if (bytes > file.size() - kPrefixBytes) {
    return InvalidInput(
        fmt::format("truncated: the header has {} bytes, the file {}", bytes, file.size()));
  }
  std::string json(static_cast<size_t>(length), '\0');
  WSI_RETURN_IF_ERROR(
      file.ReadAt(kPrefixBytes, std::as_writable_bytes(std::span(json.data(), json.size()))));
  WSI_ASSIGN_OR_RETURN(SafetensorsHeader header, ParseSafetensorsHeader(json));
  *data_offset = kPrefixBytes + bytes;
  if (header.data_bytes != file.size() - *data_offset) {
    return InvalidInput(fmt::format("the header describes {} bytes of data, the file has {}",
                                    header.data_bytes, file.size() - *data_offset));
  }
  return header;
}

}  // namespace

Result<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(InputFile input, InputFile::Open(path));
  SafetensorsFile file(std::move(input));
  Result<SafetensorsHeader> header = ReadHeader(file.file_, &file.data_offset_);
  if (!header.ok()) return header.status().WithContext(path);
  file.entries_ = std::move(header->entries);
  file.metadata_ = std::move(header->metadata);
  for (size_t i = 0; i < file.entries_.size(); ++i) file.index_[file.entries_[i].name] = i;
  return file;
}

const SafetensorsEntry* SafetensorsFile::Find(std::string_view name) const {
  const auto at = index_.find(name);
  return at == index_.end() ? nullptr : &entries_[at->second];
}

Result<Tensor> SafetensorsFile::Read(std::string_view name) const {
  const SafetensorsEntry* entry = Find(name);
  if (entry == nullptr) {
    return InvalidInput(fmt::format("'{}' has no tensor '{}'", path(), name));
  }
  WSI_ASSIGN_OR_RETURN(Tensor tensor, Tensor::Make(entry->dtype, entry->shape));
  WSI_RETURN_IF_ERROR(file_.ReadAt(data_offset_ + entry->offset, tensor.bytes()));
  return tensor;
}

Result<SafetensorsWriter> SafetensorsWriter::Create(const std::string& path,
                                                    std::vector<SafetensorsEntry> entries,
                                                    const SafetensorsMetadata& metadata,
                                                    OutputOptions options) {
  std::set<std::string_view> names = {"__metadata__"};
  Bytes offset = 0;
  for (SafetensorsEntry& entry : entries) {
    if (!names.insert(entry.name).second) {
      return InvalidInput(
          fmt::format("cannot write '{}': two tensors are called '{}'", path, entry.name));
    }
    entry.offset = offset;
    WSI_ASSIGN_OR_RETURN(offset, CheckedAdd(offset, entry.shape.ByteCount(entry.dtype)));
  }
  Result<std::string> header = FormatSafetensorsHeader(entries, metadata);
  if (!header.ok()) return header.status().WithContext(path);
  std::string prefix;
  for (size_t i = 0; i < kPrefixBytes; ++i) {
    prefix += static_cast<char>(header->size() >> (8 * i) & 0xFFU);
  }
  WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
  WSI_RETURN_IF_ERROR(file.Write(prefix + *header));
  return SafetensorsWriter(std::move(file), std::move(entries));
}

Status SafetensorsWriter::Append(const Tensor& tensor) {
  WSI_CHECK(next_ < entries_.size());
  const SafetensorsEntry& entry = entries_[next_];
  WSI_CHECK(tensor.dtype() == entry.dtype && tensor.shape() == entry.shape);
  ++next_;
  return file_.Write(tensor.bytes());
}

Status SafetensorsWriter::Commit() {
  WSI_CHECK(next_ == entries_.size());
  return file_.Commit();
}

Status WriteSafetensors(const std::string& path,
                        std::span<const std::pair<std::string, const Tensor*>> tensors,
                        const SafetensorsMetadata& metadata, OutputOptions options) {
  std::vector<SafetensorsEntry> entries;
  entries.reserve(tensors.size());
  for (const auto& [name, tensor] : tensors) {
    entries.push_back({.name = name, .dtype = tensor->dtype(), .shape = tensor->shape()});
  }
  WSI_ASSIGN_OR_RETURN(SafetensorsWriter writer,
                       SafetensorsWriter::Create(path, std::move(entries), metadata, options));
  for (const auto& [name, tensor] : tensors) WSI_RETURN_IF_ERROR(writer.Append(*tensor));
  return writer.Commit();
}

}  // namespace wsi

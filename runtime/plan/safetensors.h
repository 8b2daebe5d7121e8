// safetensors files: named tensors behind a JSON header.
// Format: https://github.com/huggingface/safetensors, "Format".
//
//   u64 little-endian: bytes of the header | header, JSON | the tensors' bytes
//
// The reader holds the header only and takes nothing in it for granted: every byte
// of the data belongs to exactly one tensor, of exactly its shape's size.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/file.h"
#include "runtime/base/tensor.h"

namespace wsi {

using SafetensorsMetadata = std::map<std::string, std::string>;

struct SafetensorsEntry {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  Bytes offset = 0;  // From the start of the data; SafetensorsWriter sets it.
};

// Move-only. Thread-safe.
class SafetensorsFile {
 public:
  static Result<SafetensorsFile> Open(const std::string& path);

  // In the order of their data.
  const std::vector<SafetensorsEntry>& entries() const { return entries_; }
  const SafetensorsMetadata& metadata() const { return metadata_; }
  const std::string& path() const { return file_.path(); }
  const SafetensorsEntry* Find(std::string_view name) const;  // Null if there is none.
  // Reads one tensor; kInvalidInput if there is none of that name.
  Result<Tensor> Read(std::string_view name) const;

 private:
  explicit SafetensorsFile(InputFile file) : file_(std::move(file)) {}

  InputFile file_;
  std::vector<SafetensorsEntry> entries_;
  std::map<std::string, size_t, std::less<>> index_;
  SafetensorsMetadata metadata_;
  Bytes data_offset_ = 0;
};

// Writes one tensor after the other, so that no two need be in memory.
class SafetensorsWriter {
 public:
  // `entries`, whose names differ, in the order in which their data will come.
  static Result<SafetensorsWriter> Create(const std::string& path,
                                          std::vector<SafetensorsEntry> entries,
                                          const SafetensorsMetadata& metadata,
                                          OutputOptions options);
  // The data of the next entry. REQUIRES: that entry's type and shape.
  Status Append(const Tensor& tensor);
  // Makes the file visible. REQUIRES: every entry has been appended.
  Status Commit();

 private:
  SafetensorsWriter(OutputFile file, std::vector<SafetensorsEntry> entries)
      : file_(std::move(file)), entries_(std::move(entries)) {}

  OutputFile file_;
  std::vector<SafetensorsEntry> entries_;
  size_t next_ = 0;
};

// All at once. The tensors are borrowed.
Status WriteSafetensors(const std::string& path,
                        std::span<const std::pair<std::string, const Tensor*>> tensors,
                        const SafetensorsMetadata& metadata, OutputOptions options);

}  // namespace wsi

#include "runtime/plan/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

struct TypeName {
  DType dtype;
  std::string_view name;
};
constexpr std::array<TypeName, 13> kTypes = {{{DType::kF32, "F32"},
                                              {DType::kF64, "F64"},
                                              {DType::kF16, "F16"},
                                              {DType::kBF16, "BF16"},
                                              {DType::kI64, "I64"},
                                              {DType::kI32, "I32"},
                                              {DType::kU8, "U8"},
                                              {DType::kBool, "BOOL"},
                                              {DType::kI8, "I8"},
                                              {DType::kI16, "I16"},
                                              {DType::kU16, "U16"},
                                              {DType::kU32, "U32"},
                                              {DType::kU64, "U64"}}};

// Receives the JSON text piece by piece. The document type of the library would
// keep the last of two equal keys and say nothing.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  struct Found {
    std::string name;
    std::string dtype;
    std::vector<int64_t> shape;
    std::vector<int64_t> offsets;
    std::set<std::string> keys;
  };

  std::vector<Found> found;
  SafetensorsMetadata metadata;
  std::string problem;  // The first one.

  bool null() override { return Refuse("null"); }
  bool boolean(bool) override { return Refuse("a boolean"); }
  bool number_float(double, const std::string&) override { return Refuse("a fraction"); }
  bool binary(binary_t&) override { return Refuse("binary data"); }
  bool number_integer(int64_t) override { return Refuse("a negative number"); }
  bool number_unsigned(uint64_t number) override {
    if (list_ == nullptr) return Refuse("a number");
    if (number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
      return Fail(fmt::format("number {} is too large", number));
    }
    if (list_->size() >= Shape::kMaxRank) return Fail(fmt::format("'{}': list too long", Where()));
    list_->push_back(static_cast<int64_t>(number));
    return true;
  }
  bool string(std::string& text) override {
    if (depth_ == 2 && in_metadata_) {
      metadata[key_] = text;
      return true;
    }
    if (depth_ == 2 && key_ == "dtype") {
      found.back().dtype = text;
      return true;
    }
    return Refuse("a string");
  }
  bool start_object(size_t) override {
    if (list_ != nullptr || depth_ == 2) return Refuse("an object");
    ++depth_;
    return true;
  }
  bool end_object() override {
    --depth_;
    if (depth_ == 1) in_metadata_ = false;
    return true;
  }
  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata_ || list_ != nullptr) return Refuse("a list");
    if (key_ == "shape") list_ = &found.back().shape;
    if (key_ == "data_offsets") list_ = &found.back().offsets;
    return list_ != nullptr || Refuse("a list");
  }
  bool end_array() override {
    list_ = nullptr;
    return true;
  }
  bool key(std::string& text) override {
    key_ = text;
    if (depth_ == 1) {
      if (!names_.insert(text).second) return Fail(fmt::format("duplicate key '{}'", text));
      in_metadata_ = text == "__metadata__";
      if (!in_metadata_) found.emplace_back().name = text;
      return true;
    }
    if (in_metadata_) {
      return !metadata.contains(text) || Fail(fmt::format("duplicate key '{}'", text));
    }
    if (text != "dtype" && text != "shape" && text != "data_offsets") {
      return Fail(fmt::format("tensor '{}': unknown key '{}'", found.back().name, text));
    }
    return found.back().keys.insert(text).second ||
           Fail(fmt::format("tensor '{}': duplicate key '{}'", found.back().name, text));
  }
  bool parse_error(size_t position, const std::string&, const nlohmann::json::exception&) override {
    return Fail(fmt::format("not JSON at byte {} of the header", position));
  }

 private:
  std::string Where() const { return in_metadata_ || found.empty() ? key_ : found.back().name; }
  bool Fail(std::string why) {
    if (problem.empty()) problem = std::move(why);
    return false;
  }
  bool Refuse(std::string_view what) {
    return Fail(fmt::format("'{}': {} where the format has none", Where(), what));
  }

  int depth_ = 0;
  std::string key_;
  bool in_metadata_ = false;
  std::vector<int64_t>* list_ = nullptr;
  std::set<std::string> names_;
};

Result<DType> TypeOf(std::string_view name) {
  for (const TypeName& type : kTypes) {
    if (type.name == name) return type.dtype;
  }
  return InvalidInput(fmt::format("element type '{}' is not supported", name));
}

struct Placed {
  SafetensorsEntry entry;
  Bytes end = 0;
};

Result<Placed> Place(HeaderReader::Found& found) {
  if (found.keys.size() != 3 || found.offsets.size() != 2) {
    return InvalidInput("needs dtype, shape and two data_offsets");
  }
  Placed placed;
  placed.entry.name = std::move(found.name);
  WSI_ASSIGN_OR_RETURN(placed.entry.dtype, TypeOf(found.dtype));
  WSI_ASSIGN_OR_RETURN(placed.entry.shape, Shape::Make(found.shape));
  placed.entry.offset = found.offsets[0];
  placed.end = found.offsets[1];
  const Bytes needed = placed.entry.shape.ByteCount(placed.entry.dtype);
  if (placed.end < placed.entry.offset || placed.end - placed.entry.offset != needed) {
    return InvalidInput(fmt::format("data_offsets [{}, {}] do not hold {} {}, which is {} bytes",
                                    placed.entry.offset, placed.end, found.dtype,
                                    placed.entry.shape.ToString(), needed));
  }
  return placed;
}

}  // namespace

Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json) {
  if (!json.starts_with('{')) return InvalidInput("the header does not begin with '{'");
  HeaderReader reader;
  if (!nlohmann::json::sax_parse(json.begin(), json.end(), &reader)) {
    return InvalidInput(std::move(reader.problem));
  }
  std::vector<Placed> placed;
  placed.reserve(reader.found.size());
  for (HeaderReader::Found& found : reader.found) {
    const std::string name = found.name;
    Result<Placed> one = Place(found);
    if (!one.ok()) return one.status().WithContext(fmt::format("tensor '{}'", name));
    placed.push_back(std::move(one).value());
  }
  std::stable_sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.entry.offset, a.end) < std::pair(b.entry.offset, b.end);
  });
  SafetensorsHeader header;
  header.metadata = std::move(reader.metadata);
  for (Placed& p : placed) {
    if (p.entry.offset != header.data_bytes) {
      return InvalidInput(fmt::format(
          "tensor '{}' begins at byte {} of the data, {} byte {}", p.entry.name, p.entry.offset,
          p.entry.offset < header.data_bytes ? "overlapping the tensor that ends at"
                                             : "leaving a hole behind",
          header.data_bytes));
    }
    header.data_bytes = p.end;
    header.entries.push_back(std::move(p.entry));
  }
  return header;
}

Result<std::string> FormatSafetensorsHeader(const std::vector<SafetensorsEntry>& entries,
                                            const SafetensorsMetadata& metadata) {
  Json json = Json::object();
  if (!metadata.empty()) json["__metadata__"] = metadata;
  for (const SafetensorsEntry& entry : entries) {
    const auto* type = std::find_if(kTypes.begin(), kTypes.end(), [&](const TypeName& known) {
      return known.dtype == entry.dtype;
    });
    const Bytes end = entry.offset + entry.shape.ByteCount(entry.dtype);
    json[entry.name] = {{"dtype", type->name},
                        {"shape", std::vector<int64_t>(entry.shape.begin(), entry.shape.end())},
                        {"data_offsets", {entry.offset, end}}};
  }
  try {
    std::string text = json.dump();
    text.resize(static_cast<size_t>(AlignUp(static_cast<Bytes>(text.size()), 8)), ' ');
    return text;
  } catch (const nlohmann::json::exception&) {
    return InvalidInput("a tensor's name or the metadata is not UTF-8");
  }
}

}  // namespace wsi

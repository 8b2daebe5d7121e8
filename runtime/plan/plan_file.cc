#include "runtime/plan/plan_file.h"

#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "runtime/plan/plan.pb.h"
#include "runtime/plan/plan_types.h"
#include "runtime/plan/verify_plan.h"

namespace wsi {
namespace {

constexpr std::array<char, 8> kMagic = {'w', 's', 'i', 'p', 'l', 'a', 'n', '\n'};
constexpr uint32_t kVersion = 2;
constexpr Bytes kSectionAlignment = 64;
constexpr Bytes kMaxPlanBytes = Bytes{64} << 20;  // Some hundred thousand instructions.
constexpr Bytes kHashBytes = 16;

struct Header {
  std::array<char, 8> magic = kMagic;
  uint32_t version = kVersion;
  uint32_t persistents = 0;
  int64_t file_bytes = 0;
  int64_t plan_offset = 0;
  int64_t plan_bytes = 0;
  int64_t data_offset = 0;
  int64_t data_bytes = 0;
  Hash128 plan_hash;
  Hash128 table_hash;
  Hash128 header_hash;  // Of everything above.
};
static_assert(sizeof(Header) == 104);
static_assert(std::endian::native == std::endian::little, "the header is stored as it lies");
constexpr Bytes kTableOffset = 128;

Hash128 HashOfHeader(const Header& header) {
  return HashBytes(std::as_bytes(std::span(&header, 1)).first(sizeof(Header) - kHashBytes));
}

std::span<const std::byte> BytesOf(const std::vector<Hash128>& hashes) {
  return std::as_bytes(std::span(hashes));
}

Status WriteContents(OutputFile& file, const plan::Plan& stored, const std::string& text,
                     const PersistentSource& source) {
  Header header;
  std::vector<Hash128> hashes(static_cast<size_t>(stored.persistents_size()));
  header.persistents = static_cast<uint32_t>(hashes.size());
  // Header and table are written again once the hashes are known.
  const std::vector<std::byte> room(
      static_cast<size_t>(kTableOffset + kHashBytes * stored.persistents_size()));
  WSI_RETURN_IF_ERROR(file.Write(room));
  WSI_RETURN_IF_ERROR(file.Align(kSectionAlignment));
  header.plan_offset = file.position();
  header.plan_bytes = static_cast<Bytes>(text.size());
  WSI_RETURN_IF_ERROR(file.Write(text));
  WSI_RETURN_IF_ERROR(file.Align(kSectionAlignment));
  header.data_offset = file.position();
  for (int i = 0; i < stored.persistents_size(); ++i) {
    const plan::Persistent& persistent = stored.persistents(i);
    Hash128& hash = hashes[static_cast<size_t>(i)];
    hash = HashBytes({});
    if (persistent.data_bytes() == 0) continue;
    WSI_RETURN_IF_ERROR(file.Align(kSectionAlignment));
    WSI_CHECK(file.position() == header.data_offset + persistent.data_offset());
    WSI_ASSIGN_OR_RETURN(const Tensor tensor, source(i));
    const plan::Value& value = stored.values(persistent.value());
    if (tensor.dtype() != ValueDType(value) || tensor.byte_count() != persistent.data_bytes()) {
      return InternalError(
          fmt::format("contents of '{}' have another type or size", persistent.onnx_name()));
    }
    hash = HashBytes(tensor.bytes());
    WSI_RETURN_IF_ERROR(file.Write(tensor.bytes()));
  }
  header.data_bytes = file.position() - header.data_offset;
  header.file_bytes = file.position();
  header.plan_hash = HashBytes(std::as_bytes(std::span(text)));
  header.table_hash = HashBytes(BytesOf(hashes));
  header.header_hash = HashOfHeader(header);
  WSI_RETURN_IF_ERROR(file.WriteAt(0, std::as_bytes(std::span(&header, 1))));
  return file.WriteAt(kTableOffset, BytesOf(hashes));
}

// The header, checked against its hash, the file's size and itself.
Result<Header> ReadHeader(const InputFile& file) {
  Header header;
  const auto size = static_cast<Bytes>(sizeof(header));
  std::array<std::byte, sizeof(header)> raw{};
  WSI_RETURN_IF_ERROR(
      file.ReadAt(0, std::span(raw).first(static_cast<size_t>(std::min(size, file.size())))));
  std::memcpy(&header, raw.data(), sizeof(header));
  const auto magic_bytes = static_cast<size_t>(std::min<Bytes>(kMagic.size(), file.size()));
  if (std::memcmp(raw.data(), kMagic.data(), magic_bytes) != 0) {
    return InvalidInput("not a plan file");
  }
  if (file.size() < size) return InvalidInput(fmt::format("truncated at byte {}", file.size()));
  if (header.version != kVersion) {
    return InvalidInput(fmt::format("format version {}, this program reads {}; compile it again",
                                    header.version, kVersion));
  }
  if (header.header_hash != HashOfHeader(header)) {
    return InvalidInput("damaged: the header does not match its hash");
  }
  if (header.file_bytes > file.size()) {
    return InvalidInput(fmt::format("truncated: {} of {} bytes", file.size(), header.file_bytes));
  }
  const Bytes table_end = kTableOffset + kHashBytes * static_cast<Bytes>(header.persistents);
  const bool fits =
      header.file_bytes == file.size() && header.plan_bytes >= 0 &&
      header.plan_bytes <= kMaxPlanBytes && table_end <= file.size() &&
      header.plan_offset == AlignUp(table_end, kSectionAlignment) &&
      header.data_offset == AlignUp(header.plan_offset + header.plan_bytes, kSectionAlignment) &&
      header.data_offset <= file.size() && header.data_bytes == file.size() - header.data_offset;
  if (!fits) {
    return InvalidInput(
        fmt::format("the header's sections do not make up a file of {} bytes", file.size()));
  }
  return header;
}

Status CheckZeros(const InputFile& file, Bytes begin, Bytes end) {
  std::array<std::byte, kSectionAlignment> padding{};
  if (end - begin > kSectionAlignment) return InvalidInput("unused bytes between sections");
  const auto bytes = std::span(padding).first(static_cast<size_t>(end - begin));
  WSI_RETURN_IF_ERROR(file.ReadAt(begin, bytes));
  for (const std::byte b : bytes) {
    if (b != std::byte{0}) {
      return InvalidInput(fmt::format("damaged: padding before byte {} is not zero", end));
    }
  }
  return {};
}

// The data of the persistents follow each other without room for anything else.
Status CheckDataLayout(const InputFile& file, const Header& header, const plan::Plan& plan) {
  Bytes end = 0;
  for (const plan::Persistent& persistent : plan.persistents()) {
    if (persistent.data_bytes() == 0) continue;
    if (persistent.data_offset() != AlignUp(end, kSectionAlignment) ||
        persistent.data_offset() > header.data_bytes ||
        persistent.data_bytes() > header.data_bytes - persistent.data_offset()) {
      return InvalidInput(fmt::format("data of '{}' is misplaced", persistent.onnx_name()));
    }
    WSI_RETURN_IF_ERROR(
        CheckZeros(file, header.data_offset + end, header.data_offset + persistent.data_offset()));
    end = persistent.data_offset() + persistent.data_bytes();
  }
  if (end != header.data_bytes) return InvalidInput("the data section has unused bytes");
  return {};
}

Result<std::vector<Hash128>> ReadHashes(const InputFile& file, const Header& header) {
  std::vector<Hash128> hashes(header.persistents);
  WSI_RETURN_IF_ERROR(file.ReadAt(kTableOffset, std::as_writable_bytes(std::span(hashes))));
  if (HashBytes(BytesOf(hashes)) != header.table_hash) {
    return InvalidInput("damaged: the hash table does not match its hash");
  }
  return hashes;
}

Result<std::unique_ptr<plan::Plan>> ReadMessage(const InputFile& file, const Header& header) {
  std::string text(static_cast<size_t>(header.plan_bytes), '\0');
  WSI_RETURN_IF_ERROR(
      file.ReadAt(header.plan_offset, std::as_writable_bytes(std::span(text.data(), text.size()))));
  if (HashBytes(std::as_bytes(std::span(text))) != header.plan_hash) {
    return InvalidInput("damaged: the plan does not match its hash");
  }
  auto plan = std::make_unique<plan::Plan>();
  const google::protobuf::LogSilencer quiet;  // It would print what the status says.
  if (!plan->ParseFromString(text)) return InvalidInput("the plan is malformed");
  if (static_cast<uint32_t>(plan->persistents_size()) != header.persistents) {
    return InvalidInput(fmt::format("{} persistents, the header says {}", plan->persistents_size(),
                                    header.persistents));
  }
  WSI_RETURN_IF_ERROR(VerifyPlan(*plan));
  return plan;
}

}  // namespace

Status WritePlan(const std::string& path, const plan::Plan& plan, const PersistentSource& source,
                 OutputOptions options) {
  plan::Plan stored = plan;
  Bytes end = 0;
  for (plan::Persistent& persistent : *stored.mutable_persistents()) {
    persistent.set_data_offset(0);
    if (persistent.data_bytes() <= 0) continue;  // VerifyPlan refuses negative ones.
    persistent.set_data_offset(AlignUp(end, kSectionAlignment));
    WSI_ASSIGN_OR_RETURN(end, CheckedAdd(persistent.data_offset(), persistent.data_bytes()));
    WSI_RETURN_IF_ERROR(CheckedAdd(end, kSectionAlignment).status());
  }
  const Status verified = VerifyPlan(stored);
  if (!verified.ok()) return InternalError("the plan made is wrong: " + verified.message());
  std::string text;
  {
    google::protobuf::io::StringOutputStream sink(&text);
    google::protobuf::io::CodedOutputStream coded(&sink);
    coded.SetSerializationDeterministic(true);  // Maps in the order of their keys.
    if (!stored.SerializeToCodedStream(&coded)) return InternalError("cannot serialize the plan");
  }
  if (static_cast<Bytes>(text.size()) > kMaxPlanBytes) {
    return ResourceError(fmt::format("the plan has {}, more than {}",
                                     FormatBytes(static_cast<Bytes>(text.size())),
                                     FormatBytes(kMaxPlanBytes)));
  }
  WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
  WSI_RETURN_IF_ERROR(WriteContents(file, stored, text, source));
  return file.Commit();
}

PlanFile::PlanFile(InputFile file, std::unique_ptr<plan::Plan> plan, std::vector<Hash128> hashes,
                   Bytes data_offset)
    : file_(std::move(file)),
      plan_(std::move(plan)),
      hashes_(std::move(hashes)),
      data_offset_(data_offset) {}
PlanFile::PlanFile(PlanFile&&) noexcept = default;
PlanFile::~PlanFile() = default;

Status PlanFile::ReadPersistent(int i, std::span<std::byte> out) const {
  const plan::Persistent& persistent = plan_->persistents(i);
  if (persistent.data_bytes() == 0) {
    std::fill(out.begin(), out.end(), std::byte{0});
    return {};
  }
  WSI_CHECK(static_cast<Bytes>(out.size()) == persistent.data_bytes());
  WSI_RETURN_IF_ERROR(file_.ReadAt(data_offset_ + persistent.data_offset(), out));
  if (HashBytes(out) != hashes_[static_cast<size_t>(i)]) {
    return InvalidInput(fmt::format("{}: damaged: the data of '{}' do not match their hash", path(),
                                    persistent.onnx_name()));
  }
  return {};
}

Result<PlanFile> ReadPlan(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(InputFile file, InputFile::Open(path));
  const auto read = [&]() -> Result<PlanFile> {
    WSI_ASSIGN_OR_RETURN(const Header header, ReadHeader(file));
    WSI_RETURN_IF_ERROR(CheckZeros(file, sizeof(Header), kTableOffset));
    WSI_ASSIGN_OR_RETURN(std::vector<Hash128> hashes, ReadHashes(file, header));
    const Bytes table_end = kTableOffset + kHashBytes * static_cast<Bytes>(header.persistents);
    WSI_RETURN_IF_ERROR(CheckZeros(file, table_end, header.plan_offset));
    WSI_ASSIGN_OR_RETURN(std::unique_ptr<plan::Plan> plan, ReadMessage(file, header));
    WSI_RETURN_IF_ERROR(
        CheckZeros(file, header.plan_offset + header.plan_bytes, header.data_offset));
    WSI_RETURN_IF_ERROR(CheckDataLayout(file, header, *plan));
    return PlanFile(std::move(file), std::move(plan), std::move(hashes), header.data_offset);
  };
  Result<PlanFile> result = read();
  if (!result.ok()) return result.status().WithContext(path);
  return result;
}

}  // namespace wsi

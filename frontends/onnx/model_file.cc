#include "frontends/onnx/model_file.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl.h>
#include <unistd.h>

#include <limits>
#include <new>

#include "frontends/onnx/external_data.h"
#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"
#include "runtime/base/checked.h"

namespace wsi {
namespace {

namespace pb = google::protobuf;

constexpr int64_t kMostBytes = std::numeric_limits<int32_t>::max();
// An object of ONNX's classes takes up to about 250 bytes: 1 GiB of them.
constexpr int64_t kMostObjects = 4'000'000;
constexpr int kDeepest = 100;  // As protobuf's own parser.

// Counts what a parse of one message would allocate: messages, strings, unknown
// fields. False where the bytes are no such message.
class ObjectCounter {
 public:
  explicit ObjectCounter(pb::io::CodedInputStream* in) : in_(*in) {}

  bool Count(const pb::Descriptor& type, int depth) {
    if (depth > kDeepest) {
      too_deep_ = true;
      return false;
    }
    while (const uint32_t tag = in_.ReadTag()) {
      const pb::FieldDescriptor* field = type.FindFieldByNumber(static_cast<int>(tag >> 3));
      if (field == nullptr) ++objects_;
      if (objects_ > kMostObjects || !CountField(tag & 7, field, depth)) return false;
    }
    return in_.ConsumedEntireMessage();
  }
  bool too_many() const { return objects_ > kMostObjects; }
  bool too_deep() const { return too_deep_; }

 private:
  bool CountField(uint32_t wire, const pb::FieldDescriptor* field, int depth) {
    uint64_t number = 0;
    uint32_t length = 0;
    switch (wire) {
      case 0: return in_.ReadVarint64(&number);
      case 1: return in_.Skip(8);
      case 5: return in_.Skip(4);
      case 2: break;
      default: return false;  // Groups: ONNX has none.
    }
    if (!in_.ReadVarint32(&length) || length > static_cast<uint32_t>(kMostBytes)) return false;
    const int size = static_cast<int>(length);
    if (field == nullptr || field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      if (field != nullptr && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) ++objects_;
      return in_.Skip(size);
    }
    ++objects_;
    const auto limit = in_.PushLimit(size);
    const bool good = in_.BytesUntilLimit() == size && Count(*field->message_type(), depth + 1);
    in_.PopLimit(limit);
    return good;
  }

  pb::io::CodedInputStream& in_;
  int64_t objects_ = 0;
  bool too_deep_ = false;
};

// What a file of other bytes is, for people.
template <typename Message>
constexpr std::string_view kKind = "no ONNX model";
template <>
constexpr std::string_view kKind<onnx::TensorProto> = "no TensorProto";

template <typename Message>
Status CheckSize(int fd) {
  pb::io::FileInputStream file(fd);
  pb::io::CodedInputStream in(&file);
  ObjectCounter counter(&in);
  if (counter.Count(*Message::descriptor(), 0)) return {};
  if (counter.too_many()) {
    return InvalidInput(
        fmt::format("holds more than {} messages and strings, the most allowed", kMostObjects));
  }
  if (counter.too_deep()) {
    return InvalidInput(fmt::format("is nested more than {} levels deep", kDeepest));
  }
  return InvalidInput(fmt::format("is truncated or {}", kKind<Message>));
}

template <typename Message>
using MessagePtr = std::unique_ptr<Message, ModelDeleter>;

template <typename Message>
Result<MessagePtr<Message>> Parse(int fd) {
  MessagePtr<Message> message(new Message);
  pb::io::FileInputStream file(fd);
  pb::io::CodedInputStream in(&file);
  in.SetTotalBytesLimit(std::numeric_limits<int32_t>::max());
  if (!message->ParseFromCodedStream(&in) || !in.ConsumedEntireMessage()) {
    return InvalidInput(fmt::format("is truncated or {}", kKind<Message>));
  }
  return message;
}

template <typename Message>
Result<MessagePtr<Message>> ReadMessageFile(const std::string& path) {
  int64_t size = 0;
  WSI_ASSIGN_OR_RETURN(const OpenFile file, OpenRegular(path, &size));
  const std::string name = Printable(path);
  if (size == 0) return InvalidInput(name + ": is empty");
  if (size > kMostBytes) {
    return InvalidInput(
        fmt::format("{}: has {}; an ONNX file holds at most 2 GiB, larger models "
                    "keep their weights as external data",
                    name, FormatBytes(size)));
  }
  WSI_RETURN_IF_ERROR(CheckSize<Message>(file.fd()).WithContext(name));
  if (::lseek(file.fd(), 0, SEEK_SET) != 0) return IoError(name + ": cannot be read twice");
  try {
    Result<MessagePtr<Message>> message = Parse<Message>(file.fd());
    if (!message.ok()) return message.status().WithContext(name);
    return message;
  } catch (const std::bad_alloc&) {
    return ResourceError(fmt::format("{}: no memory for {}", name, FormatBytes(size)));
  }
}

}  // namespace

void ModelDeleter::operator()(onnx::ModelProto* model) const { delete model; }
void ModelDeleter::operator()(onnx::SequenceProto* sequence) const { delete sequence; }
void ModelDeleter::operator()(onnx::TensorProto* tensor) const { delete tensor; }

Result<ModelPtr> ReadModelFile(const std::string& path) {
  return ReadMessageFile<onnx::ModelProto>(path);
}

Result<TensorProtoPtr> ReadTensorProtoFile(const std::string& path) {
  return ReadMessageFile<onnx::TensorProto>(path);
}

Result<SequenceProtoPtr> ReadSequenceProtoFile(const std::string& path) {
  return ReadMessageFile<onnx::SequenceProto>(path);
}

}  // namespace wsi

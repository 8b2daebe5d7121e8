#include "frontends/onnx/model_output.h"

#include <fmt/format.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>

#include "frontends/onnx/onnx_proto.h"
#include "frontends/onnx/printable.h"

namespace wsi {
namespace {

class FileStream : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(OutputFile* file) : file_(*file) {}

  bool Write(const void* data, int size) override {
    if (status_.ok()) {
      status_ = file_.Write({static_cast<const std::byte*>(data), static_cast<size_t>(size)});
    }
    return status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  OutputFile& file_;
  Status status_;
};

}  // namespace

Status WriteModelFile(const onnx::ModelProto& model, const std::string& path,
                      OutputOptions options) {
  constexpr size_t kMostBytes = std::numeric_limits<int32_t>::max();
  const size_t bytes = model.ByteSizeLong();
  if (bytes > kMostBytes) {
    return InvalidInput(fmt::format("{}: would have {}; an ONNX file holds at most 2 GiB",
                                    Printable(path), FormatBytes(static_cast<Bytes>(bytes))));
  }
  WSI_ASSIGN_OR_RETURN(OutputFile file, OutputFile::Create(path, options));
  FileStream to_file(&file);
  bool written = false;
  {
    google::protobuf::io::CopyingOutputStreamAdaptor stream(&to_file, 1 << 20);
    written = model.SerializeToZeroCopyStream(&stream) && stream.Flush();
  }
  WSI_RETURN_IF_ERROR(to_file.status());
  if (!written) return InternalError(fmt::format("{}: cannot be serialized", Printable(path)));
  return file.Commit();
}

}  // namespace wsi

#include "runtime/base/status.h"

#include <cstdio>
#include <cstdlib>

namespace wsi {

Status Status::WithContext(std::string_view context) const {
  if (ok()) return *this;
  return Status(code_, std::string(context) + ": " + message_);
}

Status InvalidInput(std::string message) { return {ErrorCode::kInvalidInput, std::move(message)}; }
Status UsageError(std::string message) { return {ErrorCode::kUsage, std::move(message)}; }
Status ResourceError(std::string message) { return {ErrorCode::kResources, std::move(message)}; }
Status IoError(std::string message) { return {ErrorCode::kIo, std::move(message)}; }
Status NumericError(std::string message) { return {ErrorCode::kNumeric, std::move(message)}; }
Status DeviceError(std::string message) { return {ErrorCode::kDevice, std::move(message)}; }
Status InternalError(std::string message) { return {ErrorCode::kInternal, std::move(message)}; }

void CheckFailed(const char* file, int line, const char* condition) {
  std::fprintf(stderr, "internal error: %s:%d: check failed: %s\n", file, line, condition);
  std::fflush(stderr);
  std::_Exit(ExitCode(ErrorCode::kInternal));
}

}  // namespace wsi

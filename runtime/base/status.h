// Status and Result<T>: how everything that a model, a machine or a budget can
// cause is reported. Our own bugs end in WSI_CHECK instead.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace wsi {

// What went wrong, by the exit code that a command ends with.
enum class ErrorCode : uint8_t {
  kOk = 0,
  kDifference = 1,    // a comparison found a difference
  kUsage = 2,         // the command line
  kInvalidInput = 3,  // model, plan, slide, manifest or weights rejected
  kResources = 4,     // does not fit, out of memory, disk full
  kIo = 5,            // a file that cannot be read or written
  kNumeric = 6,       // NaN, or overflow without end
  kPeer = 7,          // another rank, or communication
  kDevice = 8,        // the accelerator or its driver
  kInternal = 70,     // a bug of ours
  kPreempted = 75,    // told to stop; a checkpoint is saved
};

// The process exit code of `code`.
constexpr int ExitCode(ErrorCode code) { return static_cast<int>(code); }

// Success, or an error with one line of text that says what, where, what was
// needed and what to try.
class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == ErrorCode::kOk; }
  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // The same error with "context: " before its message. Success is unchanged.
  Status WithContext(std::string_view context) const;

 private:
  ErrorCode code_ = ErrorCode::kOk;
  std::string message_;
};

Status InvalidInput(std::string message);
Status UsageError(std::string message);
Status ResourceError(std::string message);
Status IoError(std::string message);
Status NumericError(std::string message);
Status DeviceError(std::string message);
Status InternalError(std::string message);

// Ends the process with exit code 70 after printing where and what. Used by
// WSI_CHECK only.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

#define WSI_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::wsi::CheckFailed(__FILE__, __LINE__, #condition))

// A value or the error that kept it from being made.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                     // NOLINT
  Result(Status status) : status_(std::move(status)) { WSI_CHECK(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  // REQUIRES: ok().
  T& value() & {
    WSI_CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    WSI_CHECK(ok());
    return *value_;
  }
  T&& value() && {
    WSI_CHECK(ok());
    return *std::move(value_);
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

#define WSI_CONCAT_INNER(a, b) a##b
#define WSI_CONCAT(a, b) WSI_CONCAT_INNER(a, b)

// Returns from the enclosing function if `expression`, a Status, is an error.
#define WSI_RETURN_IF_ERROR(expression)      \
  do {                                       \
    ::wsi::Status wsi_status = (expression); \
    if (!wsi_status.ok()) return wsi_status; \
  } while (false)

// Declares or assigns `target` from `expression`, a Result, or returns its error.
#define WSI_ASSIGN_OR_RETURN(target, expression) \
  WSI_ASSIGN_OR_RETURN_INNER(WSI_CONCAT(wsi_result_, __LINE__), target, expression)
#define WSI_ASSIGN_OR_RETURN_INNER(result, target, expression) \
  auto result = (expression);                                  \
  if (!result.ok()) return result.status();                    \
  target = std::move(result).value()

}  // namespace wsi

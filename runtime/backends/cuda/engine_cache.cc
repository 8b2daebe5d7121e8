#include "runtime/backends/cuda/engine_cache.h"

#include <fmt/format.h>

#include <charconv>
#include <filesystem>
#include <limits>
#include <span>
#include <system_error>

#include "runtime/base/file.h"
#include "runtime/base/hash.h"

namespace wsi::cuda {
namespace {

constexpr Bytes kMaxFile = 16 << 10;
constexpr size_t kMaxKnobs = 64;
constexpr std::string_view kTitle = "wsic cuDNN engine 1";

// Takes `prefix` off the front; false where it is not there.
bool Take(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes a number of at least `least` off the front.
std::optional<int64_t> TakeNumber(std::string_view& text, int64_t least) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || number < least) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

std::string CheckLine(std::string_view lines) {
  return fmt::format("check {}\n", HashBytes(std::as_bytes(std::span(lines))).ToHex());
}

}  // namespace

// wsic cuDNN engine 1
// KEY
// engine 39
// knobs 2=1 14=3
// check HASH                  of all lines before
std::string EngineCache::Print(std::string_view key, const EngineChoice& choice) {
  std::string text = fmt::format("{}\n{}\nengine {}\nknobs", kTitle, key, choice.engine);
  for (const auto& [type, value] : choice.knobs) text += fmt::format(" {}={}", type, value);
  text += "\n";
  return text + CheckLine(text);
}

Result<EngineChoice> EngineCache::Parse(std::string_view key, std::string_view text) {
  const std::string_view whole = text;
  const auto wrong = [](std::string_view what) {
    return InvalidInput(fmt::format("it does not have {}", what));
  };
  if (!Take(text, kTitle) || !Take(text, "\n")) return wrong(fmt::format("'{}' first", kTitle));
  if (!Take(text, key) || !Take(text, "\n")) return wrong(fmt::format("'{}' second", key));
  EngineChoice choice;
  if (!Take(text, "engine ")) return wrong("an engine third");
  const std::optional<int64_t> engine = TakeNumber(text, 0);
  if (!engine || !Take(text, "\nknobs")) return wrong("a number of an engine, and knobs behind it");
  choice.engine = *engine;
  while (Take(text, " ")) {
    const std::optional<int64_t> type = TakeNumber(text, 0);
    if (!type || !Take(text, "=")) return wrong("TYPE=VALUE for every knob");
    const std::optional<int64_t> value = TakeNumber(text, std::numeric_limits<int64_t>::min());
    if (!value) return wrong("TYPE=VALUE for every knob");
    choice.knobs.emplace_back(*type, *value);
    if (choice.knobs.size() > kMaxKnobs) return wrong(fmt::format("at most {} knobs", kMaxKnobs));
  }
  if (!Take(text, "\n")) return wrong("TYPE=VALUE for every knob");
  if (text != CheckLine(whole.substr(0, whole.size() - text.size()))) {
    return wrong("a last line that fits the others");
  }
  return choice;
}

std::string EngineCache::PathOf(std::string_view key) const {
  const std::string hash = HashBytes(std::as_bytes(std::span(key))).ToHex();
  return fmt::format("{}/{}.engine", folder_, hash);
}

std::optional<EngineChoice> EngineCache::Find(std::string_view key) const {
  if (folder_.empty()) return std::nullopt;
  const std::string path = PathOf(key);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return std::nullopt;
  const Result<std::string> text = ReadFile(path, kMaxFile);
  if (!text.ok()) {
    Distrust(key, text.status().message());
    return std::nullopt;
  }
  Result<EngineChoice> choice = Parse(key, *text);
  if (choice.ok()) return std::move(choice).value();
  Distrust(key, choice.status().message());
  return std::nullopt;
}

void EngineCache::Keep(std::string_view key, const EngineChoice& choice) const {
  if (folder_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  const Status written = WriteFile(PathOf(key), Print(key, choice), {.force = true});
  if (!written.ok() && log_) log_(fmt::format("not kept: {}", written.message()));
}

void EngineCache::Distrust(std::string_view key, std::string_view reason) const {
  if (log_) log_(fmt::format("{} is ignored and written again: {}", PathOf(key), reason));
}

}  // namespace wsi::cuda

// Which of cuDNN's engines timing chose for a problem, kept in a folder between runs: one
// small text file each, found by the hash of a text that names the device, cuDNN's version
// and the problem. Files are replaced whole, so that processes may share the folder.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/base/status.h"

namespace wsi::cuda {

struct EngineChoice {
  int64_t engine = 0;  // Its global index.
  // Types and values.
  std::vector<std::pair<int64_t, int64_t>> knobs;
  bool operator==(const EngineChoice&) const = default;
};

using Log = std::function<void(const std::string& line)>;

class EngineCache {
 public:
  // `folder`: empty keeps nothing. `log`, which may be empty, gets a line for every file
  // that is no use.
  EngineCache(std::string folder, Log log) : folder_(std::move(folder)), log_(std::move(log)) {}

  // `key`: one line of text.
  std::optional<EngineChoice> Find(std::string_view key) const;
  // A choice that cannot be kept costs time only.
  void Keep(std::string_view key, const EngineChoice& choice) const;
  // Says that what Find gave is no use.
  void Distrust(std::string_view key, std::string_view reason) const;

  // The text of a file, and what it says. kInvalidInput naming what is wrong with it.
  static std::string Print(std::string_view key, const EngineChoice& choice);
  static Result<EngineChoice> Parse(std::string_view key, std::string_view text);

 private:
  std::string PathOf(std::string_view key) const;

  std::string folder_;
  Log log_;
};

}  // namespace wsi::cuda

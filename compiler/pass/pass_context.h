// PassContext: what a running pass may say to the user besides its result.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>

namespace wsi {

class PassContext {
 public:
  // `sink` receives each note as one line without a newline; by default it goes to
  // stderr as "note: PASS: text".
  using Sink = std::function<void(std::string_view pass, std::string_view text)>;

  PassContext();
  explicit PassContext(Sink sink) : sink_(std::move(sink)) {}

  // Something that the user should know but that stops nothing.
  void Note(std::string_view text) { sink_(pass_name_, text); }

  // The pass that runs now; the manager sets it.
  void set_pass_name(std::string_view name) { pass_name_ = name; }
  const std::string& pass_name() const { return pass_name_; }

 private:
  Sink sink_;
  std::string pass_name_;
};

}  // namespace wsi

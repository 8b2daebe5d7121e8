// ONNX backend test cases in this project's compiler and executor.
//
// A case is a folder with model.onnx and folders test_data_set_N that hold input_K.pb and
// output_K.pb. Its model is compiled for inference, with the types and shapes of the
// case's inputs; operands that must be known at compile time come from the data.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backends/backend.h"
#include "runtime/base/status.h"

namespace wsi {

enum class Outcome : uint8_t { kPassed, kFailed, kUnsupported };
std::string_view OutcomeName(Outcome outcome);  // "pass", "fail", "unsupported".

struct CaseResult {
  std::string name;              // The folder, relative to where the search began.
  std::vector<std::string> ops;  // Of its model; sorted.
  Outcome outcome = Outcome::kPassed;
  std::string message;            // Of a failure or of what is not supported: why.
  double largest_difference = 0;  // Over all outputs.
};

// Cases passed, failed and not supported.
struct Counts {
  int passed = 0;
  int failed = 0;
  int unsupported = 0;
  void Add(Outcome outcome);
};

// The folders of all cases at or under `folder`, sorted.
Result<std::vector<std::string>> FindCases(const std::string& folder);

// Runs cases one after the other. Not thread-safe.
class ConformanceRunner {
 public:
  // `device`: "cpu", "cuda" or "reference"; kUsage for any other, kDevice where it is missing.
  static Result<ConformanceRunner> Make(const std::string& device);
  ConformanceRunner(ConformanceRunner&& other) noexcept;
  ~ConformanceRunner();

  // `name` is what the result calls the case.
  CaseResult Run(const std::string& folder, const std::string& name);

 private:
  ConformanceRunner(std::string scratch, std::unique_ptr<Backend> backend);
  Status RunData(const std::string& folder, const std::string& data, CaseResult& result);

  std::string scratch_;  // A folder for plans, removed at the end.
  std::unique_ptr<Backend> backend_;
};

// What became of the cases of each operator.
std::map<std::string, Counts> SummarizeByOp(const std::vector<CaseResult>& results);

}  // namespace wsi

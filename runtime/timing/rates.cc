#include "runtime/timing/rates.h"

#include <fmt/format.h>
#include <google/protobuf/util/json_util.h>

#include <cmath>
#include <nlohmann/json.hpp>

namespace wsi {
namespace {

constexpr Bytes kMaxFileBytes = Bytes{4} << 20;

// The parser quotes what it read, which may be anything.
std::string OneLine(std::string text) {
  constexpr size_t kMaxCharacters = 200;
  if (text.size() > kMaxCharacters) text.resize(kMaxCharacters);
  for (char& c : text) {
    if (c == '\n') c = ' ';
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

}  // namespace

std::string_view DefaultRatesName(std::string_view device) {
  return device == "cuda" ? "h100" : "cpu";
}

Status CheckRates(const plan::Rates& rates) {
  const auto positive = [](std::string_view field, double value) -> Status {
    if (std::isfinite(value) && value > 0) return {};
    return InvalidInput(fmt::format("rates: {} is {}, but must be a number above 0", field, value));
  };
  const auto not_negative = [](const std::string& field, double value) -> Status {
    if (std::isfinite(value) && value >= 0) return {};
    return InvalidInput(
        fmt::format("rates: {} is {}, but must be a number of at least 0", field, value));
  };
  WSI_RETURN_IF_ERROR(positive("matrix_flops_fp32", rates.matrix_flops_fp32()));
  WSI_RETURN_IF_ERROR(not_negative("matrix_flops_half", rates.matrix_flops_half()));
  WSI_RETURN_IF_ERROR(positive("vector_flops", rates.vector_flops()));
  WSI_RETURN_IF_ERROR(positive("memory_bytes", rates.memory_bytes()));
  WSI_RETURN_IF_ERROR(positive("in_bytes", rates.in_bytes()));
  WSI_RETURN_IF_ERROR(positive("out_bytes", rates.out_bytes()));
  WSI_RETURN_IF_ERROR(positive("read_bytes", rates.read_bytes()));
  WSI_RETURN_IF_ERROR(positive("write_bytes", rates.write_bytes()));
  WSI_RETURN_IF_ERROR(not_negative("launch_seconds", rates.launch_seconds()));
  WSI_RETURN_IF_ERROR(not_negative("copy_seconds", rates.copy_seconds()));
  WSI_RETURN_IF_ERROR(not_negative("link_bytes", rates.link_bytes()));
  WSI_RETURN_IF_ERROR(not_negative("link_seconds", rates.link_seconds()));
  for (const auto& [op, rate] : rates.operators()) {
    const std::string field = fmt::format("operators['{}']", op);
    WSI_RETURN_IF_ERROR(not_negative(field + ".flops_fp32", rate.flops_fp32()));
    WSI_RETURN_IF_ERROR(not_negative(field + ".flops_half", rate.flops_half()));
    WSI_RETURN_IF_ERROR(not_negative(field + ".memory_bytes", rate.memory_bytes()));
    WSI_RETURN_IF_ERROR(not_negative(field + ".vector_flops", rate.vector_flops()));
  }
  return {};
}

Result<plan::Rates> ReadRates(const std::string& path) {
  WSI_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  plan::Rates rates;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &rates);
  if (!parsed.ok()) {
    return InvalidInput(
        fmt::format("{}: not a rates file: {}", path, OneLine(parsed.message().ToString())));
  }
  WSI_RETURN_IF_ERROR(CheckRates(rates).WithContext(path));
  return rates;
}

// A JSON object whose members have the message's field names and order, operators
// sorted by name, so that the same rates make the same bytes.
Result<std::string> RatesJson(const plan::Rates& rates) {
  WSI_CHECK(CheckRates(rates).ok());
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(rates, &text, options);
  if (!printed.ok()) return InternalError(printed.ToString());
  nlohmann::ordered_json json = nlohmann::ordered_json::parse(text, nullptr, false);
  if (json.is_discarded()) return InternalError("rates do not print as JSON");
  if (json.contains("operators")) {
    json["operators"] = nlohmann::json::parse(json["operators"].dump());
  }
  return json.dump(2) + "\n";
}

Status WriteRates(const std::string& path, const plan::Rates& rates, OutputOptions options) {
  WSI_ASSIGN_OR_RETURN(const std::string json, RatesJson(rates));
  return WriteFile(path, json, options);
}

Result<plan::Rates> RatesOf(const plan::Plan& plan, const std::string& name_or_path) {
  if (!name_or_path.empty()) return FindRates(name_or_path);
  if (!plan.has_rates()) return BuiltInRates(DefaultRatesName(plan.device()));
  WSI_RETURN_IF_ERROR(CheckRates(plan.rates()).WithContext("the plan"));
  return plan.rates();
}

Result<plan::Rates> FindRates(const std::string& name_or_path) {
  Result<plan::Rates> built_in = BuiltInRates(name_or_path);
  if (built_in.ok()) return built_in;
  Result<plan::Rates> read = ReadRates(name_or_path);
  if (read.ok() || read.status().code() != ErrorCode::kIo) return read;
  // What is neither: say what both could have been.
  return Status(read.status().code(),
                fmt::format("{}; {}", read.status().message(), built_in.status().message()));
}

}  // namespace wsi

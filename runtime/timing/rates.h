// Rates: how fast a device is. Predicted times come from these numbers alone.
//
// A rates file is plan.proto's message Rates in Protocol Buffers' JSON form;
// `wsirun doctor --calibrate` writes one for the machine that it runs on.
#pragma once

#include <string>
#include <string_view>

#include "runtime/base/file.h"
#include "runtime/base/status.h"
#include "runtime/plan/plan.pb.h"

namespace wsi {

// The rates of a kind of device that this program knows: "cpu", "h100", "h200" or
// "v100". kUsage, naming all of them, for any other name.
Result<plan::Rates> BuiltInRates(std::string_view name);

// What plans for `device` ("cpu", "cuda", "reference") are timed with unless the user
// says otherwise: "cpu" or "h100".
std::string_view DefaultRatesName(std::string_view device);

// Success where every rate is finite and positive, every fixed time finite and not
// negative, and operators' rates finite and not negative (0: not measured).
// matrix_flops_half may be 0: half precision is then as fast as fp32. link_bytes may be 0:
// nothing is known of what is between ranks.
// kInvalidInput naming the field otherwise.
Status CheckRates(const plan::Rates& rates);

// A rates file that passes CheckRates. kInvalidInput for text that is no such message.
Result<plan::Rates> ReadRates(const std::string& path);
// Its text. REQUIRES, as WriteRates: CheckRates passes.
Result<std::string> RatesJson(const plan::Rates& rates);
Status WriteRates(const std::string& path, const plan::Rates& rates, OutputOptions options);

// --rates NAME|FILE: a built-in name, or else a file.
Result<plan::Rates> FindRates(const std::string& name_or_path);
// The same for a plan that exists: those asked for, or, where nothing is, those that it
// was planned with, or else those of its kind of device.
Result<plan::Rates> RatesOf(const plan::Plan& plan, const std::string& name_or_path);

}  // namespace wsi

#include "tools/wsirun/step_times.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace wsi {
namespace {

// The largest of any rank, by step.
Result<std::vector<double>> MostOfAll(Communicator& ranks, const std::vector<double>& seconds,
                                      double sign) {
  std::vector<int64_t> nanoseconds;
  nanoseconds.reserve(seconds.size());
  for (const double own : seconds) nanoseconds.push_back(static_cast<int64_t>(sign * own * 1e9));
  WSI_RETURN_IF_ERROR(ranks.Max(std::span(nanoseconds)));
  std::vector<double> most;
  most.reserve(seconds.size());
  for (const int64_t all : nanoseconds) most.push_back(sign * static_cast<double>(all) * 1e-9);
  return most;
}

}  // namespace

Result<StepTimes> TimesOfAll(Communicator& ranks, const StepTimes& own) {
  StepTimes all;
  WSI_ASSIGN_OR_RETURN(all.step, MostOfAll(ranks, own.step, 1));
  WSI_ASSIGN_OR_RETURN(all.collectives, MostOfAll(ranks, own.collectives, -1));
  WSI_ASSIGN_OR_RETURN(all.exposed, MostOfAll(ranks, own.exposed, -1));
  WSI_ASSIGN_OR_RETURN(all.waiting, MostOfAll(ranks, own.collectives, 1));
  for (size_t i = 0; i < all.waiting.size(); ++i) all.waiting[i] -= all.collectives[i];
  return all;
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

}  // namespace wsi

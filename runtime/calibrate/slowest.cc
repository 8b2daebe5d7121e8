#include "runtime/calibrate/slowest.h"

#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>

namespace wsi {

Result<double> SlowestSeconds(Communicator& ranks, double seconds) {
  auto bits = std::bit_cast<int64_t>(seconds);  // In the order of the numbers.
  WSI_RETURN_IF_ERROR(ranks.Max(std::span(&bits, 1)));
  return std::bit_cast<double>(bits);
}

Result<std::vector<double>> SlowestRound(Communicator& ranks, const std::vector<double>& seconds) {
  const auto own = std::as_bytes(std::span(seconds));
  WSI_ASSIGN_OR_RETURN(
      const std::vector<std::string> all,
      ranks.Gather(std::string_view(reinterpret_cast<const char*>(own.data()), own.size())));
  std::vector<double> slowest;
  double most = -1;
  for (const std::string& bytes : all) {
    WSI_CHECK(bytes.size() == own.size());
    std::vector<double> times(seconds.size());
    std::memcpy(times.data(), bytes.data(), bytes.size());
    const double sum = std::accumulate(times.begin(), times.end(), 0.0);
    if (sum <= most) continue;
    most = sum;
    slowest = std::move(times);
  }
  return slowest;
}

}  // namespace wsi

// Sums over very many positions on the host, in fp64, of what is drawn.
#pragma once

#include <cmath>
#include <functional>
#include <thread>
#include <vector>

#include "runtime/base/checked.h"

namespace wsi {

// The sum of add(row, sums) over rows 0 to below `rows`, by all processors.
inline std::vector<double> SumOverRows(
    int64_t rows, size_t width,
    const std::function<void(int64_t row, std::vector<double>& sums)>& add) {
  const int64_t workers = std::max<int64_t>(1, std::thread::hardware_concurrency());
  std::vector<std::vector<double>> parts(static_cast<size_t>(workers), std::vector<double>(width));
  std::vector<std::thread> threads;
  for (int64_t w = 0; w < workers; ++w) {
    threads.emplace_back([&, w] {
      std::vector<double> mine(width);  // Apart from the others' lines of the cache.
      for (int64_t row = rows * w / workers; row < rows * (w + 1) / workers; ++row) add(row, mine);
      parts[static_cast<size_t>(w)] = std::move(mine);
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::vector<double> sums(width);
  for (const std::vector<double>& part : parts) {
    for (size_t i = 0; i < width; ++i) sums[i] += part[i];
  }
  return sums;
}

inline double RelativeError(double got, double want) {
  return std::abs(got - want) / std::abs(want);
}

}  // namespace wsi

// A folder of labelled synthetic slides with its manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/slides/manifest.h"

namespace wsi {

struct SyntheticSetOptions {
  std::string folder = {};  // Made if it is not there.
  int64_t count = 20;
  int64_t classes = 2;  // 2 to kMaxSyntheticClasses; slide i is of class i % classes
  // Sides are drawn from [min_side, max_side] in steps of 64 pixels (or are min_side itself).
  int64_t min_side = 1024;
  int64_t max_side = 2048;
  int64_t lesions = 2;          // on each slide of a class above 0
  double test_fraction = 0.25;  // of each class, its last slides; 0: no split
  uint64_t seed = 0;
  double mpp = 0.5;
  int level_factor = 2;
  int jpeg_quality = 90;
  int threads = 1;     // Slides painted at once; the files do not depend on it.
  bool force = false;  // Replace files that exist.
};

// "normal" for class 0; then "tumor", or "tumor-1", "tumor-2" where there are more.
std::string SyntheticClassName(int64_t class_index, int64_t classes);

// Writes slide-0000.tiff and on, and slides.csv with label, case, split, mpp and hash. Returns
// the rows. `progress` is told of each finished slide, by one thread at a time.
// kUsage for numbers out of range or an output that exists without `force`; the check of the
// manifest's path comes before any work.
Result<std::vector<SlideRow>> MakeSyntheticSet(
    const SyntheticSetOptions& options,
    const std::function<void(const std::string& path)>& progress = {});

}  // namespace wsi

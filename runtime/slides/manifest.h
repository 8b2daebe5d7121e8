// The list of slides that a run works on: a CSV file with a heading.
//
//   slide_id  required; names the slide in results
//   path      required; relative to the manifest's folder
//   label     class name or index; required unless ManifestOptions say otherwise
//   case_id   the patient; without it slides are cases of their own
//   mpp       micrometres per level-0 pixel, overriding what the file says
//   hash      XXH3-128 of the file (content_hash.h)
//   split     train, val or test
//   x,y,w,h   all or none: the row is this region (level-0 pixels) with a label of its own
//
// Columns may stand in any order; other columns are ignored.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/slides/view.h"

namespace wsi {

struct SlideRow {
  std::string slide_id;
  std::string case_id;       // Empty where the manifest gives none.
  std::string path;          // As it can be opened.
  std::string label;         // As written; empty where there is none.
  int64_t class_index = -1;  // In Manifest::class_names; -1 without a label.
  std::optional<double> mpp = std::nullopt;
  std::string hash;   // Empty where the manifest gives none.
  std::string split;  // "train", "val", "test" or, in a manifest without splits, "".
  std::optional<SlideRegion> region = std::nullopt;
  int64_t line = 0;  // In the file.
};

struct Manifest {
  std::string path;
  std::vector<SlideRow> rows;  // In the file's order; at least one.
  std::vector<std::string> class_names;
};

struct ManifestOptions {
  // The classes in order, for example those of a checkpoint. A label is one of these names or,
  // failing that, an index into them. Empty: if all labels are integers from 0 on, the classes
  // are "0" to the largest; otherwise the labels themselves, sorted by bytes.
  std::vector<std::string> class_names = {};
  bool labels_required = true;
  bool files_must_exist = true;
};

// kInvalidInput naming file, line and column for: broken CSV, a missing or repeated column, too
// few or too many fields, an unknown label, a number that is none, an unknown split or one given
// for some rows only, a missing file, the same slide_id for two slides, the same path and region
// twice, a case or file in two splits, no rows.
Result<Manifest> ReadManifest(const std::string& path, const ManifestOptions& options = {});
// The same from text; relative paths in it are relative to the folder of `path`.
Result<Manifest> ParseManifest(std::string_view text, const std::string& path,
                               const ManifestOptions& options = {});

// Indices of the rows in `split` ("train", "val" or "test"); of all rows in a manifest without
// splits. kInvalidInput if there are none, naming the splits that have rows.
Result<std::vector<int64_t>> RowsOfSplit(const Manifest& manifest, std::string_view split);

// `view` with the region and scale that `row` gives.
ViewSpec ViewOfRow(const SlideRow& row, ViewSpec view);

// Writes `rows` with every column that some row uses; paths beneath the manifest's folder are
// written relative to it.
Status WriteManifest(const std::string& path, const std::vector<SlideRow>& rows, bool force);

}  // namespace wsi

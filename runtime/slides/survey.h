// Finding slides in a folder, and checking those of a manifest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/base/status.h"
#include "runtime/slides/manifest.h"

namespace wsi {

struct ScanOptions {
  bool labels_from_folders = false;  // The label is the name of the folder that holds the slide.
};

struct Scan {
  std::vector<SlideRow> rows;        // Sorted by path, with hash and mpp.
  std::vector<std::string> skipped;  // Why a file that looks like a slide is left out.
};

// Every slide beneath `folder`, known by its extension (svs, tif, tiff, ndpi, mrxs, scn, bif,
// vms, vmu, svslide) and tried by opening. The slide_id is the file name without extension, or
// the path beneath `folder` where that name occurs twice. Symbolic links to folders are not
// followed. kIo if `folder` cannot be listed, kInvalidInput if it has no slide.
Result<Scan> ScanFolder(const std::string& folder, const ScanOptions& options = {});

enum class FindingKind : uint8_t {
  kHashDiffers,  // The file is not the one that the manifest was made for.
  kUnreadable,   // Missing, no slide, or with pixels that cannot be decoded.
};

struct Finding {
  FindingKind kind = FindingKind::kUnreadable;
  std::string slide_id;
  std::string message;
};

// Hashes every file that has a hash in the manifest, and decodes every pixel of level 0, or of
// the row's region. `progress` is told each row before it is checked; may be empty.
std::vector<Finding> VerifySlides(const Manifest& manifest,
                                  const std::function<void(const SlideRow&)>& progress = {});

}  // namespace wsi

#include "tools/wsirun/slides_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "runtime/base/file.h"
#include "runtime/slides/slide.h"
#include "runtime/slides/survey.h"
#include "runtime/slides/synth_set.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

int Report(const Status& status) {
  if (!status.ok()) fmt::print(stderr, "wsirun slides: {}\n", status.message());
  return ExitCode(status.code());
}

void PrintJson(const Json& json) {
  // A path need not be UTF-8; what is not is shown as U+FFFD.
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Json ToJson(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

Json ToJson(const std::string& path, const SlideInfo& info) {
  Json levels = Json::array();
  for (const SlideLevel& level : info.levels) {
    levels.push_back({{"width", level.width},
                      {"height", level.height},
                      {"downsample", level.downsample},
                      {"tile_width", level.tile_width},
                      {"tile_height", level.tile_height}});
  }
  Json images = Json::array();
  for (const AssociatedImage& image : info.associated_images) {
    images.push_back({{"name", image.name}, {"width", image.width}, {"height", image.height}});
  }
  return {{"path", path},
          {"vendor", info.vendor},
          {"width", info.levels[0].width},
          {"height", info.levels[0].height},
          {"mpp_x", ToJson(info.mpp_x)},
          {"mpp_y", ToJson(info.mpp_y)},
          {"objective_power", ToJson(info.objective_power)},
          {"levels", levels},
          {"associated_images", images}};
}

void PrintInfo(const std::string& path, const SlideInfo& info) {
  const auto shown = [](const std::optional<double>& value, std::string_view unit) {
    return value ? fmt::format("{:.4g} {}", *value, unit) : std::string("unknown");
  };
  fmt::print("{}\n  vendor     {}\n  size       {} x {} pixels\n", path, info.vendor,
             info.levels[0].width, info.levels[0].height);
  fmt::print("  scale      {} x {}\n", shown(info.mpp_x, "um/px"), shown(info.mpp_y, "um/px"));
  fmt::print("  objective  {}\n", shown(info.objective_power, "x"));
  for (size_t i = 0; i < info.levels.size(); ++i) {
    const SlideLevel& level = info.levels[i];
    fmt::print("  level {:<4} {} x {}, downsample {:.4g}, tiles {} x {}\n", i, level.width,
               level.height, level.downsample, level.tile_width, level.tile_height);
  }
  for (const AssociatedImage& image : info.associated_images) {
    fmt::print("  image      {}, {} x {}\n", image.name, image.width, image.height);
  }
}

int RunInfo(const std::string& path, bool json) {
  const Result<Slide> slide = Slide::Open(path);
  if (!slide.ok()) return Report(slide.status());
  if (json) {
    PrintJson(ToJson(path, slide->info()));
  } else {
    PrintInfo(path, slide->info());
  }
  return 0;
}

struct ScanArguments {
  std::string folder;
  std::string output;
  ScanOptions options;
  bool force = false;
  bool json = false;
};

int RunScan(const ScanArguments& arguments) {
  if (const Status status = CheckOutputPath(arguments.output, arguments.force); !status.ok()) {
    return Report(status);
  }
  const Result<Scan> scan = ScanFolder(arguments.folder, arguments.options);
  if (!scan.ok()) return Report(scan.status());
  for (const std::string& reason : scan->skipped) {
    fmt::print(stderr, "wsirun slides: left out: {}\n", reason);
  }
  const Status written = WriteManifest(arguments.output, scan->rows, arguments.force);
  if (!written.ok()) return Report(written);
  if (arguments.json) {
    PrintJson({{"manifest", arguments.output},
               {"slides", scan->rows.size()},
               {"left_out", scan->skipped}});
  } else {
    fmt::print("{}: {} slides, {} files left out\n", arguments.output, scan->rows.size(),
               scan->skipped.size());
  }
  return 0;
}

std::string_view KindName(FindingKind kind) {
  return kind == FindingKind::kHashDiffers ? "hash differs" : "unreadable";
}

// 3 if a slide cannot be read, else 1 if a hash differs.
int RunVerify(const std::string& path, bool json) {
  const Result<Manifest> manifest =
      ReadManifest(path, {.class_names = {}, .labels_required = false, .files_must_exist = false});
  if (!manifest.ok()) return Report(manifest.status());
  const std::vector<Finding> findings = VerifySlides(*manifest);
  Json list = Json::array();
  int exit_code = 0;
  for (const Finding& finding : findings) {
    const bool unreadable = finding.kind == FindingKind::kUnreadable;
    exit_code = std::max(exit_code,
                         ExitCode(unreadable ? ErrorCode::kInvalidInput : ErrorCode::kDifference));
    list.push_back({{"slide_id", finding.slide_id},
                    {"kind", KindName(finding.kind)},
                    {"message", finding.message}});
    if (!json) {
      fmt::print("{}: {}: {}\n", finding.slide_id, KindName(finding.kind), finding.message);
    }
  }
  const auto hashed = std::count_if(manifest->rows.begin(), manifest->rows.end(),
                                    [](const SlideRow& row) { return !row.hash.empty(); });
  if (json) {
    PrintJson({{"rows", manifest->rows.size()}, {"hashed", hashed}, {"findings", list}});
  } else {
    fmt::print("{}: {} rows read, {} of them with a hash; {} findings\n", path,
               manifest->rows.size(), hashed, findings.size());
  }
  return exit_code;
}

struct MakeArguments {
  SyntheticSetOptions options;
  std::vector<int64_t> size;
  bool json = false;
};

int RunMake(MakeArguments& arguments) {
  if (!arguments.size.empty()) {
    arguments.options.min_side = arguments.size.front();
    arguments.options.max_side = arguments.size.back();
  }
  int64_t done = 0;
  const auto progress = [&](const std::string& path) {
    fmt::print(stderr, "{}/{} {}\n", ++done, arguments.options.count, path);
  };
  const Result<std::vector<SlideRow>> rows = MakeSyntheticSet(arguments.options, progress);
  if (!rows.ok()) return Report(rows.status());
  const std::string manifest = arguments.options.folder + "/slides.csv";
  if (arguments.json) {
    PrintJson({{"manifest", manifest}, {"slides", rows->size()}});
  } else {
    fmt::print("{}: {} slides\n", manifest, rows->size());
  }
  return 0;
}

void AddMake(CLI::App& slides, int* exit_code) {
  CLI::App* make = slides.add_subcommand(
      "make", "Write labelled synthetic slides and their manifest, slides.csv");
  const auto arguments = std::make_shared<MakeArguments>();
  SyntheticSetOptions& o = arguments->options;
  o.threads = static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
  make->add_option("-o,--out", o.folder, "Folder for the slides")->required();
  make->add_option("--count", o.count, "Number of slides")->capture_default_str();
  make->add_option("--size", arguments->size,
                   "Side in pixels, or the least and the largest (default 1024 2048)")
      ->expected(1, 2);
  make->add_option("--classes", o.classes, "Number of classes, 2 to 5")->capture_default_str();
  make->add_option("--lesions", o.lesions, "Lesions on a slide of a class above 0")
      ->capture_default_str();
  make->add_option("--test-fraction", o.test_fraction, "Part of each class in split test")
      ->capture_default_str();
  make->add_option("--seed", o.seed, "The same seed makes the same files")->capture_default_str();
  make->add_option("--mpp", o.mpp, "Micrometres per pixel to declare")->capture_default_str();
  make->add_option("--level-factor", o.level_factor, "Downsample between levels, 2 or 4")
      ->capture_default_str();
  make->add_option("--quality", o.jpeg_quality, "JPEG quality")->capture_default_str();
  make->add_option("--threads", o.threads, "Slides painted at once")->capture_default_str();
  make->add_flag("--force", o.force, "Replace files that exist");
  make->add_flag("--json", arguments->json, "Print one JSON object");
  make->callback([arguments, exit_code] { *exit_code = RunMake(*arguments); });
}

void AddScan(CLI::App& slides, int* exit_code) {
  CLI::App* scan = slides.add_subcommand("scan", "Write a manifest of the slides in a folder");
  const auto arguments = std::make_shared<ScanArguments>();
  scan->add_option("folder", arguments->folder, "Searched with all folders beneath")->required();
  scan->add_option("-o,--out", arguments->output, "Manifest to write")->required();
  scan->add_flag("--labels-from-folders", arguments->options.labels_from_folders,
                 "Label each slide with the name of its folder");
  scan->add_flag("--force", arguments->force, "Replace a manifest that exists");
  scan->add_flag("--json", arguments->json, "Print one JSON object");
  scan->callback([arguments, exit_code] { *exit_code = RunScan(*arguments); });
}

}  // namespace

void AddSlidesCommand(CLI::App& app, int* exit_code) {
  CLI::App* slides = app.add_subcommand("slides", "Make, find and check slides");
  slides->require_subcommand(1);
  AddMake(*slides, exit_code);
  AddScan(*slides, exit_code);

  const auto path = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  CLI::App* verify =
      slides->add_subcommand("verify", "Check hashes and read every pixel of a manifest's slides");
  verify->add_option("manifest", *path, "The CSV file")->required();
  verify->add_flag("--json", *json, "Print one JSON object");
  verify->callback([path, json, exit_code] { *exit_code = RunVerify(*path, *json); });

  CLI::App* info = slides->add_subcommand("info", "Show levels, scale and size of a slide");
  info->add_option("slide", *path, "The slide file")->required();
  info->add_flag("--json", *json, "Print one JSON object");
  info->callback([path, json, exit_code] { *exit_code = RunInfo(*path, *json); });
}

}  // namespace wsi

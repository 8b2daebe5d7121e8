#include "tools/wsirun/eval_commands.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>

#include "runtime/comm/agreement.h"
#include "runtime/train/evaluation.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/run_ranks.h"
#include "tools/wsirun/ranks.h"
#include "tools/wsirun/session.h"
#include "tools/wsirun/slide_options.h"

namespace wsi {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  PlanArguments plan;
  SlideArguments slides;
  RankArguments ranks;
  std::string split;    // Empty: every row.
  std::string run_dir;  // Where predictions.csv and roc.csv go; empty: nowhere.
  std::string output;   // Of predict.
  bool json = false;
  bool force = false;
};

struct Predicted {
  Manifest manifest;
  std::vector<SlidePrediction> predictions;
};

// What a rank has ready before slides are predicted.
struct Prepared {
  Session session;
  std::vector<int64_t> rows;
  LoaderOptions loader;
};

// A rank's own affair, without collectives.
Status Prepare(const Arguments& a, bool labels_required, Manifest& manifest, Prepared& p) {
  WSI_ASSIGN_OR_RETURN(const RunFolder run, FindRunFolder(a.plan.checkpoint));
  WSI_ASSIGN_OR_RETURN(
      manifest, ReadManifest(a.slides.manifest,
                             {.class_names = run.class_names, .labels_required = labels_required}));
  if (labels_required) WSI_RETURN_IF_ERROR(CheckClasses(p.session.executor->plan(), manifest));
  p.rows.resize(manifest.rows.size());
  std::iota(p.rows.begin(), p.rows.end(), int64_t{0});
  if (!a.split.empty()) {
    WSI_ASSIGN_OR_RETURN(p.rows, RowsOfSplit(manifest, a.split));
  }
  WSI_ASSIGN_OR_RETURN(p.loader, ToLoaderOptions(a.slides));
  return {};
}

// Ranks share the slides; each has all predictions then.
Result<Predicted> PredictSlides(const Arguments& a, bool labels_required, Communicator& ranks) {
  Predicted result;
  Prepared p;
  WSI_ASSIGN_OR_RETURN(p.session, OpenSession(a.plan, a.ranks, ranks));
  WSI_RETURN_IF_ERROR(Agree(ranks, Prepare(a, labels_required, result.manifest, p)));
  WSI_RETURN_IF_ERROR(BroadcastPersistents(ranks, *p.session.executor, SharedState::kEverything));
  Progress progress(ranks.rank() != 0);
  WSI_ASSIGN_OR_RETURN(
      result.predictions,
      PredictOnRanks(ranks, *p.session.executor, result.manifest, p.rows, p.loader, &progress));
  progress.Finish();
  return result;
}

Json Number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Status WriteMetrics(const Arguments& a, const Predicted& predicted) {
  const EvaluationMetrics metrics = Evaluate(predicted.manifest, predicted.predictions);
  if (!a.run_dir.empty()) {
    std::error_code error;
    std::filesystem::create_directories(a.run_dir, error);
    WSI_RETURN_IF_ERROR(WritePredictions(a.run_dir + "/predictions.csv", predicted.manifest,
                                         predicted.predictions, {.force = a.force}));
    WSI_RETURN_IF_ERROR(WriteRoc(a.run_dir + "/roc.csv", predicted.manifest, predicted.predictions,
                                 {.force = a.force}));
  }
  if (a.json) {
    fmt::print("{}\n",
               Json{{"slides", metrics.samples},
                    {"accuracy", Number(metrics.accuracy)},
                    {"auc", Number(metrics.auc.value)},
                    {"auc_ci_low", Number(metrics.auc.ci_low)},
                    {"auc_ci_high", Number(metrics.auc.ci_high)},
                    {"log_loss", Number(MeanLogLoss(predicted.manifest, predicted.predictions))}}
                   .dump());
    return {};
  }
  fmt::print("{} slides: accuracy {:.3f}, AUC {:.3f} (95 % CI {:.3f} to {:.3f})\n", metrics.samples,
             metrics.accuracy, metrics.auc.value, metrics.auc.ci_low, metrics.auc.ci_high);
  return {};
}

Status CheckEvalOutputs(const Arguments& a) {
  for (const char* name : {"/predictions.csv", "/roc.csv"}) {
    if (!a.run_dir.empty()) WSI_RETURN_IF_ERROR(CheckOutputPath(a.run_dir + name, a.force));
  }
  return {};
}

Status Eval(const Arguments& a, Communicator& ranks) {
  WSI_RETURN_IF_ERROR(Agree(ranks, CheckEvalOutputs(a)));
  WSI_ASSIGN_OR_RETURN(const Predicted predicted, PredictSlides(a, true, ranks));
  return ranks.rank() == 0 ? WriteMetrics(a, predicted) : Status();
}

Status PredictToFile(const Arguments& a, Communicator& ranks) {
  WSI_RETURN_IF_ERROR(Agree(ranks, CheckOutputPath(a.output, a.force)));
  WSI_ASSIGN_OR_RETURN(Predicted predicted, PredictSlides(a, false, ranks));
  if (ranks.rank() != 0) return {};
  // A manifest without labels has no classes of its own: the columns are numbered.
  auto& names = predicted.manifest.class_names;
  const size_t columns =
      predicted.predictions.empty() ? 0 : predicted.predictions[0].probabilities.size();
  while (names.size() < columns) names.push_back(std::to_string(names.size()));
  return WritePredictions(a.output, predicted.manifest, predicted.predictions, {.force = a.force});
}

void AddCommonOptions(CLI::App& command, Arguments* a) {
  AddPlanOptions(command, &a->plan, true);
  AddSlideOptions(command, &a->slides);
  AddRankOptions(command, &a->ranks);
  command.add_option("--split", a->split, "train, val or test (default: every row)");
  command.add_flag("--force", a->force, "replace existing files");
}

}  // namespace

void AddEvalCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("eval", "accuracy and AUC on labelled slides");
  auto arguments = std::make_shared<Arguments>();
  AddCommonOptions(*command, arguments.get());
  command->add_option("--run-dir", arguments->run_dir,
                      "folder for predictions.csv and roc.csv (default: none written)");
  command->add_flag("--json", arguments->json, "print one JSON object");
  command->callback([=] {
    *exit_code = RunOnRanks("eval", arguments->ranks,
                            [&](Communicator& ranks) { return Eval(*arguments, ranks); });
  });
}

void AddPredictCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("predict", "class probabilities of slides, as CSV");
  auto arguments = std::make_shared<Arguments>();
  AddCommonOptions(*command, arguments.get());
  command->add_option("-o,--output", arguments->output, "the CSV to write")->required();
  command->callback([=] {
    *exit_code = RunOnRanks("predict", arguments->ranks,
                            [&](Communicator& ranks) { return PredictToFile(*arguments, ranks); });
  });
}

}  // namespace wsi

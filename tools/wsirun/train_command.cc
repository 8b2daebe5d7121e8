#include "tools/wsirun/train_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cmath>
#include <csignal>
#include <memory>
#include <string>

#include "runtime/plan/plan.pb.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/trainer.h"
#include "tools/wsirun/report.h"
#include "tools/wsirun/session.h"
#include "tools/wsirun/slide_options.h"

namespace wsi {
namespace {

std::atomic<bool> stop_requested = false;  // Set by signals; lock-free.
static_assert(std::atomic<bool>::is_always_lock_free);

void RequestStop(int) { stop_requested.store(true); }

struct Arguments {
  PlanArguments plan;
  SlideArguments slides;
  TrainOptions train;
  std::string schedule = "constant";
  double learning_rate = -1;  // Negative: the plan's.
  std::string train_split = "train";
  std::string validation_split = "val";
  std::string augment = "flips";
  bool resume = false;
  bool force = false;
};

Result<AugmentOptions> ParseAugment(const std::string& word) {
  AugmentOptions options;
  if (word == "none") return options;
  options.flips = true;
  options.rotations = word != "flips";
  if (word == "colour") options.brightness = options.contrast = 0.2;
  return options;
}

Status FillOptions(Arguments& a, const plan::Plan& plan) {
  WSI_ASSIGN_OR_RETURN(a.train.schedule.kind, ParseScheduleKind(a.schedule));
  a.train.schedule.base_rate =
      a.learning_rate >= 0 ? a.learning_rate : plan.training().learning_rate();
  WSI_ASSIGN_OR_RETURN(a.train.loader, ToLoaderOptions(a.slides));
  WSI_ASSIGN_OR_RETURN(a.train.loader.augment, ParseAugment(a.augment));
  return {};
}

// Rows of the validation split; none, with a note, where the manifest has no such split.
Result<std::vector<int64_t>> ValidationRows(const Arguments& a, const Manifest& manifest) {
  const bool exists =
      std::any_of(manifest.rows.begin(), manifest.rows.end(),
                  [&](const SlideRow& row) { return row.split == a.validation_split; });
  if (exists) return RowsOfSplit(manifest, a.validation_split);
  fmt::print(stderr, "no rows of split {}: training without validation\n", a.validation_split);
  return std::vector<int64_t>();
}

void PrintSummary(const Arguments& a, const plan::Plan& plan, const TrainSummary& summary) {
  fmt::print(stderr, "trained {} steps in {} in {:.0f} s, waited {:.1f} s for slides\n",
             summary.state.step, plan.precision(), summary.seconds, summary.loader.wait_seconds);
  if (summary.state.best_step >= 0 && summary.validation.samples > 0) {
    fmt::print(stderr, "best validation {:.3f} at step {}: {}/best.safetensors\n",
               summary.state.best_metric, summary.state.best_step, a.train.run_dir);
  }
}

Status Train(Arguments& a) {
  WSI_ASSIGN_OR_RETURN(const Session session, OpenSession(a.plan));
  const plan::Plan& plan = session.executor->plan();
  WSI_RETURN_IF_ERROR(FillOptions(a, plan));
  WSI_ASSIGN_OR_RETURN(RunFolder folder, OpenRunFolder(a.train.run_dir, a.resume, a.force));
  WSI_ASSIGN_OR_RETURN(const Manifest manifest,
                       ReadManifest(a.slides.manifest, {.class_names = folder.class_names}));
  WSI_RETURN_IF_ERROR(CheckClasses(plan, manifest));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> train_rows, RowsOfSplit(manifest, a.train_split));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> validation_rows, ValidationRows(a, manifest));
  WSI_RETURN_IF_ERROR(folder.Claim(plan, manifest, {.force = true, .ops = a.train.file_ops}));
  WSI_ASSIGN_OR_RETURN(const auto trainer,
                       Trainer::Make(session.executor.get(), &manifest, std::move(train_rows),
                                     std::move(validation_rows), a.train));
  if (a.resume) {
    const Result<bool> resumed = trainer->Resume();
    if (!resumed.ok()) return resumed.status();
  }
  std::signal(SIGTERM, RequestStop);
  std::signal(SIGUSR1, RequestStop);
  std::signal(SIGINT, RequestStop);
  WSI_ASSIGN_OR_RETURN(const TrainSummary summary, trainer->Run(stop_requested));
  PrintSummary(a, plan, summary);
  return {};
}

void AddScheduleOptions(CLI::App& command, Arguments& a) {
  LearningRateOptions& s = a.train.schedule;
  command.add_option("--learning-rate", a.learning_rate, "(default: the plan's)")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--schedule", a.schedule, "constant, step, cosine or plateau")
      ->capture_default_str();
  command.add_option("--warmup", s.warmup_steps, "steps of linear warm-up")->capture_default_str();
  command.add_option("--lr-factor", s.factor, "of step and plateau")->capture_default_str();
  command.add_option("--lr-step-epochs", s.step_epochs, "of step")->capture_default_str();
  command.add_option("--patience", s.patience, "of plateau, in epochs")->capture_default_str();
}

}  // namespace

void AddTrainCommand(CLI::App& app, int* exit_code) {
  CLI::App* command = app.add_subcommand("train", "train a plan on slides");
  auto a = std::make_shared<Arguments>();
  AddPlanOptions(*command, &a->plan, true);
  AddSlideOptions(*command, &a->slides);
  command->add_option("--run-dir", a->train.run_dir, "folder for checkpoints, events and weights")
      ->required();
  command->add_option("--epochs", a->train.epochs)
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--max-steps", a->train.max_steps, "end after so many optimizer steps")
      ->check(CLI::PositiveNumber);
  command->add_option("--min-epochs", a->train.min_epochs, "before --until-auc may end it")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--until-auc", a->train.until_auc, "end when validation reaches this AUC")
      ->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", a->train.seed, "of slide order, augmentation and dropout")
      ->capture_default_str();
  command->add_option("--train-split", a->train_split)->capture_default_str();
  command->add_option("--val-split", a->validation_split)->capture_default_str();
  command->add_option("--augment", a->augment, "none, flips, rotations or colour (all)")
      ->check(CLI::IsMember({"none", "flips", "rotations", "colour"}))
      ->capture_default_str();
  command
      ->add_option("--checkpoint-steps", a->train.checkpoint_steps,
                   "checkpoint every so many steps, besides every epoch")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--keep", a->train.keep_checkpoints, "checkpoints to keep")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      ->add_option_function<std::string>(
          "--resume", [a](const std::string&) { a->resume = true; },
          "auto: go on from the run's newest checkpoint, if there is one")
      ->check(CLI::IsMember({"auto"}));
  command
      ->add_option("--loss-scale", a->train.loss_scale,
                   "where the loss scale of an fp16 plan begins (default: 65536)")
      ->check(CLI::PositiveNumber);
  command->add_flag("--force", a->force, "start over in a folder that holds a run");
  AddScheduleOptions(*command, *a);
  command->callback([=] { *exit_code = Report("train", Train(*a)); });
}

}  // namespace wsi

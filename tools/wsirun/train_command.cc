#include "tools/wsirun/train_command.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <cmath>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>

#include "runtime/base/content_hash.h"
#include "runtime/comm/agreement.h"
#include "runtime/plan/plan.pb.h"
#include "runtime/train/run_folder.h"
#include "runtime/train/trainer.h"
#include "tools/wsirun/ranks.h"
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
  RankArguments ranks;
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
Result<std::vector<int64_t>> ValidationRows(const Arguments& a, const Manifest& manifest,
                                            bool is_root) {
  const bool exists =
      std::any_of(manifest.rows.begin(), manifest.rows.end(),
                  [&](const SlideRow& row) { return row.split == a.validation_split; });
  if (exists) return RowsOfSplit(manifest, a.validation_split);
  if (is_root) {
    fmt::print(stderr, "no rows of split {}: training without validation\n", a.validation_split);
  }
  return std::vector<int64_t>();
}

// What all ranks must have alike: whatever decides what a step does.
Result<std::vector<SharedFact>> FactsOf(const Arguments& a, const plan::Plan& plan) {
  WSI_ASSIGN_OR_RETURN(const std::string plan_hash, HashFile(a.plan.path));
  WSI_ASSIGN_OR_RETURN(const std::string manifest_hash, HashFile(a.slides.manifest));
  const TrainOptions& t = a.train;
  const std::string options = fmt::format(
      "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}", t.epochs, t.max_steps,
      t.seed, t.loss_scale.value_or(0), a.schedule, t.schedule.base_rate, t.schedule.factor,
      t.schedule.step_epochs, t.schedule.patience, t.schedule.warmup_steps, t.until_auc,
      t.min_epochs, t.checkpoint_steps, a.train_split, a.validation_split, a.augment, a.resume,
      a.slides.mpp, a.slides.fit, a.slides.skip_bad, plan.deterministic());
  return std::vector<SharedFact>{
      {"another plan", plan_hash}, {"another manifest", manifest_hash}, {"other options", options}};
}

Status CheckFacts(const Arguments& a, const plan::Plan& plan, Communicator& ranks) {
  const Result<std::vector<SharedFact>> facts = FactsOf(a, plan);
  WSI_RETURN_IF_ERROR(Agree(ranks, facts.ok() ? Status() : facts.status()));
  return CheckSame(ranks, *facts);
}

// The class names of the run in the folder, which rank 0 alone opens; "\n" between two.
Result<std::vector<std::string>> SharedClassNames(Communicator& ranks,
                                                  const std::vector<std::string>& own) {
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> all,
                       ranks.Gather(fmt::format("{}", fmt::join(own, "\n"))));
  std::vector<std::string> names;
  std::istringstream lines(all[0]);
  for (std::string name; std::getline(lines, name);) names.push_back(name);
  return names;
}

void PrintSummary(const Arguments& a, const plan::Plan& plan, const TrainSummary& summary) {
  fmt::print(stderr, "trained {} steps in {} in {:.0f} s, waited {:.1f} s for slides\n",
             summary.state.step, plan.precision(), summary.seconds, summary.loader.wait_seconds);
  if (summary.state.best_step >= 0 && summary.validation.samples > 0) {
    fmt::print(stderr, "best validation {:.3f} at step {}: {}/best.safetensors\n",
               summary.state.best_metric, summary.state.best_step, a.train.run_dir);
  }
}

// What a rank has ready before all start.
struct Prepared {
  Session session;
  RunFolder folder;  // Rank 0's.
  Manifest manifest;
  std::unique_ptr<Trainer> trainer;
};

// Each part is a rank's own affair, without collectives; behind each all ranks agree.
Status OpenRun(Arguments& a, Communicator& ranks, Prepared& p) {
  WSI_RETURN_IF_ERROR(FillOptions(a, p.session.executor->plan()));
  if (ranks.rank() != 0) return {};
  WSI_ASSIGN_OR_RETURN(p.folder, OpenRunFolder(a.train.run_dir, a.resume, a.force));
  return {};
}

Status MakeTrainer(Arguments& a, Communicator& ranks, const std::vector<std::string>& class_names,
                   Prepared& p) {
  const plan::Plan& plan = p.session.executor->plan();
  WSI_ASSIGN_OR_RETURN(p.manifest, ReadManifest(a.slides.manifest, {.class_names = class_names}));
  WSI_RETURN_IF_ERROR(CheckClasses(plan, p.manifest));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> train_rows, RowsOfSplit(p.manifest, a.train_split));
  WSI_ASSIGN_OR_RETURN(std::vector<int64_t> validation_rows,
                       ValidationRows(a, p.manifest, ranks.rank() == 0));
  if (ranks.rank() == 0) {
    WSI_RETURN_IF_ERROR(p.folder.Claim(plan, p.manifest, {.force = true, .ops = a.train.file_ops}));
  }
  WSI_ASSIGN_OR_RETURN(p.trainer,
                       Trainer::Make(p.session.executor.get(), &p.manifest, std::move(train_rows),
                                     std::move(validation_rows), a.train));
  return {};
}

Status Train(Arguments& a, Communicator& ranks) {
  Prepared p;
  a.train.communicator = &ranks;
  WSI_ASSIGN_OR_RETURN(p.session, OpenSession(a.plan, a.ranks, ranks));
  WSI_RETURN_IF_ERROR(Agree(ranks, OpenRun(a, ranks, p)));
  const plan::Plan& plan = p.session.executor->plan();
  if (ranks.size() > 1) WSI_RETURN_IF_ERROR(CheckFacts(a, plan, ranks));
  WSI_ASSIGN_OR_RETURN(const std::vector<std::string> class_names,
                       SharedClassNames(ranks, p.folder.class_names));
  WSI_RETURN_IF_ERROR(Agree(ranks, MakeTrainer(a, ranks, class_names, p)));
  if (a.resume) {
    const Result<bool> resumed = p.trainer->Resume();
    if (!resumed.ok()) return resumed.status();
  }
  std::signal(SIGTERM, RequestStop);
  std::signal(SIGUSR1, RequestStop);
  std::signal(SIGINT, RequestStop);
  WSI_ASSIGN_OR_RETURN(const TrainSummary summary, p.trainer->Run(stop_requested));
  if (ranks.rank() == 0) PrintSummary(a, plan, summary);
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
  AddRankOptions(*command, &a->ranks);
  AddCommOption(*command, &a->ranks);
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
  command->callback([=] {
    *exit_code =
        RunOnRanks("train", a->ranks, [&](Communicator& ranks) { return Train(*a, ranks); });
  });
}

}  // namespace wsi

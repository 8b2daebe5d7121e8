#include "tools/wsirun/slurm_script.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "runtime/base/status.h"

namespace wsi {
namespace {

constexpr int64_t kMinute = 60;
constexpr int64_t kHour = 60 * kMinute;
constexpr int64_t kDay = 24 * kHour;

std::string SlurmTime(int64_t seconds) {
  return fmt::format("{}-{:02}:{:02}:{:02}", seconds / kDay, seconds % kDay / kHour,
                     seconds % kHour / kMinute, seconds % kMinute);
}

std::string Directives(const SlurmJob& job) {
  std::string text;
  const auto add = [&](const std::string& directive) { text += "#SBATCH --" + directive + "\n"; };
  const Bytes mebibyte = Bytes{1} << 20;
  add("job-name=" + job.name);
  if (!job.partition.empty()) add("partition=" + job.partition);
  if (!job.account.empty()) add("account=" + job.account);
  add(fmt::format("nodes={}", job.nodes));
  add(fmt::format("ntasks-per-node={}", job.ranks_per_node));
  add(fmt::format("cpus-per-task={}", job.cpus_per_task));
  if (job.gpus) add("gpus-per-task=1");
  add(fmt::format("mem={}M", (job.node_memory + mebibyte - 1) / mebibyte));
  add("time=" + SlurmTime(job.limit_seconds));
  add(fmt::format("signal=USR1@{}", job.warning_seconds));
  add("requeue");
  add("open-mode=append");
  add("output=" + job.name + "-%j.log");
  return text;
}

// The command over lines: an option and its value on one.
std::string Lines(const std::vector<std::string>& words) {
  std::string text;
  for (size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += words[i].starts_with("--") ? " \\\n    " : " ";
    text += ShellWord(words[i]);
  }
  return text;
}

}  // namespace

std::string ShellWord(const std::string& word) {
  const bool is_plain = !word.empty() && std::all_of(word.begin(), word.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:=,+@%").find(c) != std::string_view::npos;
  });
  if (is_plain) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

Result<int64_t> ParseSlurmTime(const std::string& text) {
  const Status wrong = UsageError(fmt::format(
      "'{}' is no time: give minutes (90), hours:minutes:seconds (12:00:00) or days-12:00:00",
      text));
  const size_t dash = text.find('-');
  std::string rest = dash == std::string::npos ? text : text.substr(dash + 1);
  std::vector<int64_t> numbers;
  const auto take = [&](const std::string& digits) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    constexpr int64_t kMost = 10'000'000;
    const bool good = error == std::errc() && end == digits.data() + digits.size() && number >= 0 &&
                      number <= kMost;
    if (good) numbers.push_back(number);
    return good;
  };
  if (dash != std::string::npos && !take(text.substr(0, dash))) return wrong;
  const int64_t days = numbers.empty() ? 0 : numbers[0];
  numbers.clear();
  for (size_t colon = 0; colon != std::string::npos;) {
    colon = rest.find(':');
    if (!take(rest.substr(0, colon))) return wrong;
    if (colon != std::string::npos) rest = rest.substr(colon + 1);
  }
  if (numbers.size() == 3) {
    return days * kDay + numbers[0] * kHour + numbers[1] * kMinute + numbers[2];
  }
  if (numbers.size() == 1 && dash == std::string::npos) return numbers[0] * kMinute;
  return wrong;
}

std::string SlurmScript(const SlurmJob& job) {
  std::vector<std::string> srun = {"srun", "--mpi=" + job.mpi,
                                   fmt::format("--cpus-per-task={}", job.cpus_per_task),
                                   "--cpu-bind=none", "--kill-on-bad-exit=0"};
  if (job.gpus) srun.emplace_back("--gpu-bind=none");
  return fmt::format(
      R"(#!/usr/bin/env bash
{}
# Ranks share out the node's cores and GPUs themselves, by their number on it: so nothing is bound
# here. They end each other when one fails.
# A preempted job ends with SIGTERM, which the ranks get, too: wait for them.
trap : TERM

{} \
  {}
code=$?

# 75: told to stop, with a checkpoint. Back to the queue; whoever preempted the job did so already.
if ((code == 75)); then
  scontrol requeue "$SLURM_JOB_ID" || true
fi
exit "$code"
)",
      Directives(job), Lines(srun), Lines(job.command));
}

}  // namespace wsi

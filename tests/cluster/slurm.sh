#!/usr/bin/env bash
# Training under a real Slurm of one node (one_node_slurm.sh): the script of `wsirun slurm` is
# submitted three times with two ranks, and the weights are the same bytes
#
#   undisturbed
#   after its time limit was near    SIGUSR1 by --signal, exit 75, requeued by the script
#   after a preemption               SIGTERM, requeued by Slurm
#
# Wants root, slurmctld, slurmd, slurm-client and munge (apt-get install), programs in $WSI_BIN
# (default build/dev/bin), and some minutes. Steps take so long that something can happen in them.
set -euo pipefail
cd "$(dirname "$0")/../.."

bin=$(realpath "${WSI_BIN:-build/dev/bin}")
steps=${WSI_SLURM_STEPS:-300}
work=$(mktemp -d)
finish() {
  code=$?
  scancel --user "$(id -un)" 2>/dev/null || true
  tests/cluster/one_node_slurm.sh stop "$work/slurm"
  if ((code != 0)); then tail -n 40 "$work"/*.log "$work"/slurm/*.log >&2; fi
  rm -rf "$work"
}
trap finish EXIT
tests/cluster/one_node_slurm.sh start "$work/slurm"
export SLURM_CONF=$work/slurm/slurm.conf
# Slurm hands the environment on; root and small machines are no matter here.
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

say() { echo "slurm: $*"; }
fail() {
  say "FAILED: $*"
  exit 1
}
field() { scontrol --oneliner show job "$1" | sed -n "s/.* $2=\([^ ]*\).*/\1/p"; }
# wait_for JOB STATE SECONDS
wait_for() {
  for ((i = 0; i < $3 * 2; ++i)); do
    state=$(field "$1" JobState)
    case $state in "$2") return ;; FAILED | CANCELLED | TIMEOUT | NODE_FAIL | OUT_OF_MEMORY) break ;; esac
    sleep 0.5
  done
  fail "job $1 is $state, not $2"
}
trained() {
  if [[ -e $work/$1/events.jsonl ]]; then
    grep -c '"event":"step"' "$work/$1/events.jsonl" || true
  else
    echo 0
  fi
}
# wait_for_steps RUN COUNT
wait_for_steps() {
  for ((i = 0; i < 240; ++i)); do
    if (($(trained "$1") >= $2)); then return; fi
    sleep 0.5
  done
  fail "$1 does not train"
}
submit() {
  "$bin/wsirun" slurm "$work/model.plan" --ranks-per-node 2 --slides "$work/slides/slides.csv" \
    --run-dir "$work/$1" --epochs 1000 --max-steps "$steps" --seed 3 --time 60 >"$work/$1.sh"
  sbatch --parsable --chdir "$work" "$work/$1.sh"
}
same_weights() {
  cmp "$work/undisturbed/last.safetensors" "$work/$1/last.safetensors" || fail "$1: other weights"
}

"$bin/wsi-model" resnet18 -o "$work/model.onnx" --classes 2
"$bin/wsic" compile "$work/model.onnx" -o "$work/model.plan" --input-size 256x256 --deterministic
"$bin/wsirun" slides make -o "$work/slides" --count 12 --size 256 --lesions 1 --threads 1

job=$(submit undisturbed)
wait_for "$job" COMPLETED 600
say "undisturbed: $(trained undisturbed) steps"

# Less is left than the warning's time, so that it comes at once; the limit itself is a minute off.
job=$(submit limited)
wait_for_steps limited 3
scontrol update JobId="$job" TimeLimit=2
wait_for "$job" PENDING 90
at=$(trained limited)
((at < steps)) || fail "limited: too fast, all $steps steps are done; set WSI_SLURM_STEPS"
scontrol update JobId="$job" TimeLimit=60
wait_for "$job" COMPLETED 600
same_weights limited
[[ $(field "$job" Restarts) == 1 ]] || fail "limited: $(field "$job" Restarts) restarts"
say "limited: stopped behind step $at, requeued, same weights"

job=$(submit preempted)
wait_for_steps preempted 3
urgent=$(sbatch --parsable --partition high --exclusive --output "$work/urgent.log" --wrap "sleep 5")
wait_for "$job" PENDING 60
at=$(trained preempted)
((at < steps)) || fail "preempted: too fast, all $steps steps are done; set WSI_SLURM_STEPS"
wait_for "$urgent" COMPLETED 60
wait_for "$job" COMPLETED 600
same_weights preempted
[[ $(field "$job" Restarts) == 1 ]] || fail "preempted: $(field "$job" Restarts) restarts"
say "preempted: stopped behind step $at, requeued, same weights"

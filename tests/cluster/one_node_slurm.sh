#!/usr/bin/env bash
# A Slurm cluster of this machine alone, from Debian's packages (slurmctld, slurmd, slurm-client,
# munge), with everything in one folder:
#
#   one_node_slurm.sh start FOLDER      then: export SLURM_CONF=FOLDER/slurm.conf
#   one_node_slurm.sh stop FOLDER
#
# Jobs go to partition "low" and are preempted by those of "high". Wants root. Job credentials expire after 5 s instead of 120, for a requeued job waits so long.
set -euo pipefail
export PATH=$PATH:/usr/sbin

start() {
  local folder=$1 host port=${WSI_SLURM_PORT:-17817} memory
  host=$(hostname -s)
  memory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
  mkdir -p "$folder"/{state,spool,munge}
  head -c 128 /dev/urandom >"$folder/munge/key"
  chmod 700 "$folder/munge"
  chmod 600 "$folder/munge/key"
  # munged is particular about who may write where its socket is; jobs are this user's.
  munged --force --socket "$folder/munge/socket" --key-file "$folder/munge/key" \
    --pid-file "$folder/munge/pid" --log-file "$folder/munge/log" --seed-file "$folder/munge/seed" \
    2>/dev/null
  cat >"$folder/slurm.conf" <<CONF
ClusterName=wsi
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket,cred_expire=5
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/slurmctld.pid
SlurmdPidFile=$folder/slurmd.pid
SlurmctldLogFile=$folder/slurmctld.log
SlurmdLogFile=$folder/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/affinity
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=bf_interval=2,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
KillWait=15
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES PriorityTier=1 GraceTime=15 State=UP
PartitionName=high Nodes=ALL PriorityTier=2 PreemptMode=OFF State=UP
CONF
  export SLURM_CONF=$folder/slurm.conf
  slurmctld -c
  slurmd -c
  for ((i = 0; i < 60; ++i)); do
    if [[ $(sinfo -h -p low -o %T 2>/dev/null) == idle ]]; then return; fi
    sleep 0.5
  done
  echo "one_node_slurm: the node does not become idle; see $folder/slurmctld.log" >&2
  return 1
}

# Waits, so that the folder can be removed.
stop() {
  local folder=$1 file pid
  for file in "$folder"/{slurmd.pid,slurmctld.pid,munge/pid}; do
    if [[ ! -s $file ]]; then continue; fi
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || continue
    for ((i = 0; i < 100; ++i)); do
      if ! kill -0 "$pid" 2>/dev/null; then break; fi
      sleep 0.1
    done
  done
}

case ${1:-} in
  start | stop) "$1" "$(realpath -m "${2:?a folder}")" ;;
  *)
    echo "usage: one_node_slurm.sh start|stop FOLDER" >&2
    exit 2
    ;;
esac

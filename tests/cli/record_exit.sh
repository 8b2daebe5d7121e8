#!/bin/sh
# record_exit.sh FOLDER COMMAND...
# Runs a rank between it and its launcher: hands signals on, and writes what the rank ended with
# into FOLDER, in a file named after its process. Launchers do not always tell.
folder=$1
shift
"$@" &
rank=$!
for signal in USR1 TERM; do
  # shellcheck disable=SC2064
  trap "kill -$signal $rank" "$signal"
done
# A signal ends `wait`, too.
while kill -0 "$rank" 2>/dev/null; do
  wait "$rank"
  code=$?
done
echo "$code" >"$folder/$rank"
exit "$code"

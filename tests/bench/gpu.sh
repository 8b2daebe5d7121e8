#!/usr/bin/env bash
# Training steps of ResNet-50 on one GPU, ours and what users would run instead: times, peaks
# of memory and ratios as a table. tests/bench/gpu.sh --help says what it takes.
exec python3 "$(dirname "$0")/gpu.py" "$@"

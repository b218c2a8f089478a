#!/bin/bash
# The whole of the crash tests: run.sh, from `make torture`. The same program as in `make test`, with every point, every
# signal and random kills.
#
#   FOVEA_CRASH_ROUNDS (10)   times each named point with each signal
#   FOVEA_CRASH_KILLS (1000)  random kill -9 of any part of the stack
#   FOVEA_CRASH_SEED          repeats a run
set -u
cd "$(dirname "$0")/../.." || exit 1
export FOVEA_CRASH_ROUNDS=${FOVEA_CRASH_ROUNDS:-10} FOVEA_CRASH_KILLS=${FOVEA_CRASH_KILLS:-1000}
export FOVEA_CRASH_PARTS=${FOVEA_CRASH_PARTS:-recovery kills failpoints order disk}
exec tests/http/crash/10_nothing_is_lost

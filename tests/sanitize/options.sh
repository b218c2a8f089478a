# What the sanitizers of MODE=asan and MODE=tsan are told; sourced by tests/run.sh and tests/http/stack.sh, which may
# say where reports go: sanitize_options FOLDER_OF_SUPPRESSIONS [REPORT_PREFIX]. Without such a build nothing reads it.
# shellcheck shell=bash

sanitize_options() {
  local report=${2:+:log_path=$2}
  export ASAN_OPTIONS="detect_leaks=1:quarantine_size_mb=16:detect_stack_use_after_return=1:strict_string_checks=1$report"
  export UBSAN_OPTIONS="print_stacktrace=1$report"
  export LSAN_OPTIONS="suppressions=$1/leaks.supp:print_suppressions=0"
  export TSAN_OPTIONS="suppressions=$1/threads.supp:second_deadlock_stack=1:history_size=4$report"
}

#!/bin/bash
# Runs tests and sums them up: run.sh {all|unit|models|isa|fuzz|sql|http|programs} [PROGRAM...]
#
# A test is a program that prints TAP. Each gets one line here; of a failure everything that it said is shown. The
# last line is always "N passed, N failed, N skipped"; the exit status is 1 when something failed or nothing ran.
# A program that dies, prints no plan or another number of results than it planned counts as one failure more.
#
#   all        build, then every part below: what `make test` runs
#   isa        the programs named, with instructions of this processor masked off
#   http       starts one throw-away stack (tests/http/stack.sh) and runs tests/http/*/NN_* against it
#   programs   just the programs named
#
# FOVEA_FIXTURES: folder of large pictures and models (default: ../shared/fixtures when it is there).
# FOVEA_TEST_SECONDS: how long one program may take; 300 if not said, four times that with a sanitizer.
set -u
cd "$(dirname "$0")/.." || exit 1

case ${MODE:-release} in
  asan | tsan) limit_s=${FOVEA_TEST_SECONDS:-1200} ;;
  *) limit_s=${FOVEA_TEST_SECONDS:-300} ;;
esac
work=$(mktemp -d "${TMPDIR:-/tmp}/fovea-tests.XXXXXX")
counts=${FOVEA_TEST_COUNTS:-$work/counts}
trap 'rm -rf "$work"' EXIT
# Settings of a site that happens to be exported in this shell are not those of the tests.
if [ "${1:-all}" != programs ]; then
  for name in ${!FOVEA_@}; do
    case $name in
      FOVEA_FIXTURES | FOVEA_TEST_* | FOVEA_CRASH_* | FOVEA_SLOW | FOVEA_USER | FOVEA_BIN) ;;
      *) unset "$name" ;;
    esac
  done
fi
# The large fixtures lie beside the clone or where FOVEA_FIXTURES says; tests that want them skip without.
if [ -n "${FOVEA_FIXTURES:-}" ] || [ -d ../shared/fixtures ]; then
  export FOVEA_FIXTURES=${FOVEA_FIXTURES:-$PWD/../shared/fixtures}
  [ -d "$FOVEA_FIXTURES" ] || { echo "FOVEA_FIXTURES is no folder: $FOVEA_FIXTURES" >&2; exit 66; }
fi
# shellcheck source=tests/sanitize/options.sh
. tests/sanitize/options.sh
[ -n "${FOVEA_STACK:-}" ] || sanitize_options "$PWD/tests/sanitize" # a stack has said it better
[ -n "${FOVEA_TEST_COUNTS:-}" ] || : > "$counts"

# Prints "passed failed skipped" of a TAP stream, then a sentence for what is wrong with the stream as a whole.
tap_count() {
  awk '
    /^ok / || /^ok$/ { if (toupper($0) ~ /# *SKIP/) skipped++; else passed++; next }
    /^not ok/        { failed++; next }
    /^1\.\.[0-9]+/   { planned = 1; plan = substr($1, 4) + 0; if (plan == 0) skipped++; next }
    /^Bail out!/     { bad = $0 }
    END {
      n = passed + failed + (plan == 0 ? 0 : skipped)
      if (!bad && !planned) bad = "no plan: the program ended early"
      if (!bad && plan != n) bad = "planned " plan " results, gave " n
      print passed + 0, failed + 0, skipped + 0, bad
    }' "$1"
}

# Why tests were skipped, each reason once.
skip_reasons() {
  sed -nE 's/^(ok|1\.\.0).*# *SKIP *//Ip' "$1" | sort -u | paste -sd';' | sed 's/;/; /g'
}

# run_program NAME COMMAND...: tells how it went in one piece, so that two may run at once.
run_program() {
  local own
  own=$(mktemp -d "$work/program.XXXXXX")
  report_program "$own" "$@" > "$own/report"
  flock "$work" cat "$own/report"
  rm -rf "$own"
}

# report_program FOLDER NAME COMMAND...
report_program() {
  local own=$1 name=$2 started=$SECONDS status passed failed skipped bad
  shift 2
  timeout -k 10 "$limit_s" "$@" > "$own/out" 2> "$own/err" < /dev/null
  status=$?
  read -r passed failed skipped bad < <(tap_count "$own/out")
  if [ $status = 124 ]; then
    bad="took longer than $limit_s s"
  elif [ $status -ne 0 ] && [ "$failed" = 0 ]; then
    bad="exit status $status${bad:+; $bad}"
  fi
  [ -z "$bad" ] || failed=$((failed + 1))
  echo "$passed $failed $skipped" >> "$counts"

  local note="$passed passed"
  [ "$failed" = 0 ] || note="$note, $failed failed"
  [ "$skipped" = 0 ] || note="$note, $skipped skipped ($(skip_reasons "$own/out"))"
  [ $((SECONDS - started)) -lt 5 ] || note="$note, $((SECONDS - started)) s"
  if [ "$failed" = 0 ]; then
    printf 'ok    %-40s %s\n' "$name" "$note"
  else
    printf 'FAIL  %-40s %s\n' "$name" "$note"
    grep -vE '^(ok\b|1\.\.)' "$own/out" | sed 's/^/        /'
    [ -z "$bad" ] || echo "        $bad"
    tail -n 60 "$own/err" | sed 's/^/        stderr: /'
  fi
}

# at_once COMMAND...: beside one other, until `wait`. Programs that need no stack share nothing.
at_once() {
  while [ "$(jobs -pr | wc -l)" -ge 2 ]; do wait -n; done
  "$@" &
}
run_missing() {
  printf 'FAIL  %-40s %s\n' "$1" "$2"
  echo "0 1 0" >> "$counts"
}

# The words of a variable of the Makefile.
make_words() {
  make -s --no-print-directory "print-$1" MODE="${MODE:-release}"
}

run_binaries() {
  local kind=$1 program
  shift
  for program in "$@"; do
    if [ -x "$program" ]; then
      at_once run_program "$kind/$(basename "$program")" "$program"
    else
      run_missing "$kind/$(basename "$program")" "was not built"
    fi
  done
}

# What computes, once more with instructions beyond AVX2 masked off: our own kernels and oneDNN's then take other
# ways. Of programs that take long the cases that the instructions matter to; `make torture` runs them whole, and
# with AVX-512 but its newer parts masked off.
run_isa() { # run_isa ISA SHORT PROGRAM...
  local isa=$1 short=$2 program cases
  shift 2
  for program in "$@"; do
    [ -x "$program" ] || continue # which is told where all are run
    cases=
    case $short/$(basename "$program") in
      short/families_all) continue ;;
      short/pt_networks) cases=planned ;;
      short/onnx_yolo) cases=bus ;;
      short/plan_precision) cases=float32 ;;
      short/inference_hostile | short/inference_onnx* | short/inference_pickle | short/inference_npy) continue ;;
      */inference_* | */demo_* | */operators_* | */plan_* | */pass_* | */pt_* | */onnx_* | */families_*) ;;
      *) continue ;;
    esac
    # shellcheck disable=SC2086 # no case: no word
    at_once run_program "$isa/$(basename "$program")" \
      env FOVEA_MAX_ISA="$isa" ONEDNN_MAX_CPU_ISA="$(onednn_isa "$isa")" "$program" $cases
  done
}

onednn_isa() {
  case $1 in avx2) echo AVX2 ;; *) echo AVX512_CORE ;; esac
}

run_fuzz() {
  local program corpus
  for program in "$@"; do
    corpus=tests/fuzz/corpus/$(basename "$program")
    if [ -z "$(find "$corpus" -type f 2> /dev/null | head -n 1)" ]; then
      run_missing "fuzz/$(basename "$program")" "has no corpus in $corpus"
    elif [ -x "$program" ]; then
      at_once run_program "fuzz/$(basename "$program")" "$program" "$corpus"
    else
      run_missing "fuzz/$(basename "$program")" "was not built"
    fi
  done
}

run_scripts() { # tests/unit/*.sh and *.py: contracts of files that are no C
  local script
  for script in tests/unit/*.sh tests/unit/*.py; do
    [ -x "$script" ] && run_program "unit/$(basename "$script")" "$script"
  done
}

run_sql() {
  if [ -x tests/sql/run.sh ]; then
    run_program sql/run.sh tests/sql/run.sh
  else
    run_missing sql/run.sh "is missing"
  fi
}

run_http() {
  local programs=("$@")
  [ ${#programs[@]} -gt 0 ] || programs=(tests/http/*/[0-9][0-9]_*)
  # Programs count their own failures; the stack's status is about the stack.
  FOVEA_TEST_COUNTS=$counts tests/http/stack.sh tests/run.sh programs "${programs[@]}" \
    || run_missing http/stack.sh "the stack did not start or stop, or a sanitizer found something in it"
}

run_all() {
  tools/install_packages || exit 1
  if ! make -k -j2 --no-print-directory test-programs MODE="${MODE:-release}" > "$work/build" 2>&1; then
    grep -E 'error|Error|undefined' "$work/build" | head -n 40 | sed 's/^/        /'
    run_missing build "see above"
  fi
  # shellcheck disable=SC2046 # lists of words
  {
    run_binaries models $(make_words MODEL_BIN)
    run_binaries unit $(make_words UNIT_BIN)
    run_isa avx2 short $(make_words MODEL_BIN) $(make_words UNIT_BIN)
    run_fuzz $(make_words REPLAY_BIN)
    wait
  }
  run_scripts
  run_sql
  run_http
}

kind=${1:-all}
shift
case $kind in
  all) run_all ;;
  unit) run_binaries unit "$@"; wait; run_scripts ;;
  models) run_binaries models "$@"; wait ;;
  isa) for isa in avx2 avx512; do run_isa "$isa" whole "$@"; done; wait ;;
  fuzz) run_fuzz "$@"; wait ;;
  sql) run_sql ;;
  http) run_http "$@" ;;
  programs)
    for program in "$@"; do
      case $program in */README* | *.md | *.json) continue ;; esac
      name=${program#tests/}
      if [ -x "$program" ]; then run_program "$name" "$program"; else run_missing "$name" "is not executable"; fi
    done
    ;;
  *) sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2; exit 64 ;;
esac

[ -z "${FOVEA_TEST_COUNTS:-}" ] || exit 0
awk '{ p += $1; f += $2; s += $3 } END { printf "%d passed, %d failed, %d skipped\n", p, f, s; exit f > 0 || p == 0 }' "$counts"

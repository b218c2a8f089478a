#!/bin/bash
# Tests of sql/: a throw-away PostgreSQL cluster on a unix socket, sql/ applied by the migrator, then the files
# NN_*.sql, each in a transaction that is rolled back. Prints TAP. What psql prints of a file are its "ok" and "not ok"
# lines; tap.sql has the functions that make them.
#
#   tests/sql/run.sh [WORD]     only files whose name holds WORD
#
# FOVEA_SQL_APPLY: the program of tests/sql/apply.c (default: built by make).
set -u
cd "$(dirname "$0")/../.." || exit 1

word=${1:-}
count=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/fsql.XXXXXX") # short: a socket's path has at most 107 bytes
apply=${FOVEA_SQL_APPLY:-build/${MODE:-release}/sql_apply}
if [ -z "${FOVEA_SQL_APPLY:-}" ] && ! make -s "$apply" > "$work/make.log" 2>&1; then
  make -s -f Makefile -f tests/sql/rules.mk "$apply" >&2 || { echo "Bail out! cannot build $apply"; exit 1; }
fi

bin=$(dirname "$(ls -d /usr/lib/postgresql/*/bin/postgres 2> /dev/null | sort -V | tail -n 1)" 2> /dev/null)
[ -x "$bin/postgres" ] || bin=$(dirname "$(command -v postgres)")
as_owner() { # PostgreSQL refuses to run as root
  if [ "$(id -u)" = 0 ]; then runuser -u postgres -- "$@"; else "$@"; fi
}
stop() {
  as_owner "$bin/pg_ctl" -D "$work/data" -m immediate -w stop > /dev/null 2>&1
  rm -rf "$work"
}
trap stop EXIT
trap 'exit 1' INT TERM

tap() { # passes lines on, with numbers
  local line
  while IFS= read -r line; do
    case $line in
      ok\ * | "not ok "*)
        count=$((count + 1))
        [ "${line%% *}" = ok ] || failed=$((failed + 1))
        printf '%s\n' "${line%%ok*}ok $count${line#*ok}"
        ;;
      "") ;;
      *) printf '# %s\n' "$line" ;;
    esac
  done
}
result() { # result STATUS NAME
  if [ "$1" = 0 ]; then echo "ok - $2"; else echo "not ok - $2"; fi
}

[ "$(id -u)" != 0 ] || chown postgres "$work"
as_owner "$bin/initdb" -D "$work/data" -A trust -U postgres -E UTF8 --locale=C.UTF-8 -N > "$work/initdb.log" 2>&1 \
  || { echo "Bail out! initdb failed"; cat "$work/initdb.log" >&2; exit 1; }
as_owner "$bin/pg_ctl" -D "$work/data" -w -l "$work/data/log" start > /dev/null -o "-c listen_addresses='' \
  -c unix_socket_directories='$work' -c fsync=off -c synchronous_commit=off -c full_page_writes=off \
  -c max_connections=40 -c timezone=UTC" || { echo "Bail out! PostgreSQL does not start"; exit 1; }

sql() { # sql DATABASE ARGUMENT...
  local db=$1
  shift
  "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -U postgres -d "$db" "$@"
}
dsn() { echo "host=$work dbname=$1 user=${2:-postgres}"; }

. tests/sql/migrate.sh
. tests/sql/load.sh

run_file() {
  if ! sql fovea -1 -v work="$work" -f tests/sql/tap.sql -f "$1" -c ROLLBACK > "$work/out" 2> "$work/err"; then
    echo "not ok - ${1##*/} ran to its end: $(head -n 1 "$work/err")"
  fi
  cat "$work/out"
}

sql postgres -c "CREATE DATABASE fovea"
if "$apply" run "$(dsn fovea)" sql > "$work/out" 2> "$work/err"; then
  tests/sql/contract.awk sql/README.md > "$work/contract.tsv"
  chmod 644 "$work/contract.tsv"
  while IFS= read -r line; do tap <<< "$line"; done < <(
    [[ migrate != *"$word"* ]] || test_migrate
    for file in tests/sql/[0-9]*.sql; do
      case $file in *"$word"*) run_file "$file" ;; esac
    done
    [[ load != *"$word"* ]] || test_load
  )
else
  tap <<< "not ok - the migrations apply to an empty database: $(cat "$work/err")"
fi
echo "1..$count"
[ "$failed" = 0 ] && [ "$count" -gt 0 ]

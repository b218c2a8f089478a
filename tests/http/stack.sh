#!/bin/bash
# One throw-away stack for tests: stack.sh COMMAND...
#
# Free ports, a data folder of its own in /tmp, the same tools as `make run`; so it may run while `make run` is up.
# COMMAND gets FOVEA_URL, FOVEA_HTTP_URL, FOVEA_METRICS_URL, FOVEA_CA, FOVEA_KEY (an admin key of the account
# "owner"), FOVEA_VAR and FOVEA_STACK ("$FOVEA_STACK exec ..." runs as the service user). Stopped and removed in
# every case, also when this script is killed. The exit status is COMMAND's, or 70 when the stack does not start or a
# sanitizer found something in one of its processes, leaks at their end included.
#
# Programs are those of MODE and CC, as make has them (release by default), or those in the folder FOVEA_BIN.
# FOVEA_TEST_FSYNC=1: PostgreSQL syncs to disk, for tests of durability. FOVEA_TEST_KEEP=1: leave the folder.
# Other FOVEA_* settings of tools/settings.sh pass through.
set -u
root=$(cd "$(dirname "$0")/../.." && pwd -P)
stack=$root/tools/stack
# shellcheck source=tests/sanitize/options.sh
. "$root/tests/sanitize/options.sh"

free_ports() {
  python3 -c '
import socket
held = [socket.socket() for _ in range(3)]
for s in held:
    s.bind(("127.0.0.1", 0))
print(*[s.getsockname()[1] for s in held])'
}

FOVEA_VAR=$(mktemp -d /tmp/fvt.XXXXXX)
chmod 0755 "$FOVEA_VAR"
read -r FOVEA_HTTPS_PORT FOVEA_HTTP_PORT FOVEA_METRICS_PORT < <(free_ports)
export FOVEA_VAR FOVEA_HTTPS_PORT FOVEA_HTTP_PORT FOVEA_METRICS_PORT
unset FOVEA_CONF FOVEA_RUN FOVEA_APP FOVEA_LOG FOVEA_STORE FOVEA_SPOOL FOVEA_TLS_CERT FOVEA_TLS_KEY FOVEA_NGINX_MAP
[ -n "${FOVEA_BIN:-}" ] || FOVEA_BIN=$root/$(make -s --no-print-directory -C "$root" print-B 2> /dev/null)
export FOVEA_BIN
cp "$root"/tests/sanitize/*.supp "$FOVEA_VAR"
sanitize_options "$FOVEA_VAR" "$FOVEA_VAR/sanitizer"
FOVEA_FSYNC=off
[ -z "${FOVEA_TEST_FSYNC:-}" ] || FOVEA_FSYNC=on
export FOVEA_FSYNC FOVEA_NGINX_CONNECTIONS=1024 FOVEA_NGINX_WORKERS=2

stop() {
  local status=$?
  trap '' INT TERM HUP
  "$stack" down 2> /dev/null
  if compgen -G "$FOVEA_VAR/sanitizer.*" > /dev/null; then
    cat "$FOVEA_VAR"/sanitizer.* >&2
    status=70
  fi
  if [ -z "${FOVEA_TEST_KEEP:-}" ]; then rm -rf "$FOVEA_VAR"; else echo "kept: $FOVEA_VAR" >&2; fi
  exit "$status"
}
trap stop EXIT
trap 'exit 130' INT TERM HUP

# If this script is killed by a signal that it can't catch, somebody has to clean up.
setsid bash -c "while kill -0 $$ 2> /dev/null; do sleep 2; done
  if [ -d $FOVEA_VAR ] && [ -z '${FOVEA_TEST_KEEP:-}' ]; then $stack down; rm -rf $FOVEA_VAR; fi" < /dev/null > /dev/null 2>&1 &

if ! "$stack" up > "$FOVEA_VAR/up.log" 2>&1; then
  sed 's/^/stack: /' "$FOVEA_VAR/up.log" >&2
  exit 70
fi

export FOVEA_STACK=$stack
export FOVEA_URL=https://127.0.0.1:$FOVEA_HTTPS_PORT FOVEA_HTTP_URL=http://127.0.0.1:$FOVEA_HTTP_PORT
export FOVEA_METRICS_URL=http://127.0.0.1:$FOVEA_METRICS_PORT FOVEA_CA=$FOVEA_VAR/tls/ca.pem
if ! FOVEA_KEY=$("$root/tools/first_account" 2>> "$FOVEA_VAR/up.log"); then
  sed 's/^/stack: /' "$FOVEA_VAR/up.log" >&2
  exit 70
fi
export FOVEA_KEY
"$@"

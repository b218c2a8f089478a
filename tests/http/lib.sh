# Helpers of the HTTP tests in bash; source it first. The environment is that of tests/http/stack.sh.
#
#   call METHOD PATH [curl arguments]   asks, and leaves $STATUS, $BODY and the answer's headers (header NAME)
#   expect STATUS TEXT METHOD PATH ...  call, and a result that the status is this
#   json FILTER                         a value of $BODY by jq, raw
#   is TEXT GOT WANT / like TEXT GOT REGEX / check TEXT COMMAND...   results
#   skip TEXT REASON, note LINE..., finish
#
# $BASE (default $FOVEA_HTTP_URL) is prefixed to PATH, $KEY (default $FOVEA_KEY; empty: none) is sent as Bearer.
# shellcheck shell=bash
set -u

BASE=${FOVEA_HTTP_URL:?run through tests/http/stack.sh}
KEY=${FOVEA_KEY:?}
STATUS='' BODY=''
HTTP_DIR=$(mktemp -d "${TMPDIR:-/tmp}/fovea-http.XXXXXX")
trap 'rm -rf "$HTTP_DIR"' EXIT
results=0 failures=0

note() {
  printf '# %s\n' "$@"
}

result() { # result TRUE(0)|FALSE(1) TEXT
  results=$((results + 1))
  if [ "$1" = 0 ]; then
    echo "ok $results - $2"
  else
    failures=$((failures + 1))
    echo "not ok $results - $2"
  fi
}

is() {
  if [ "$2" = "$3" ]; then
    result 0 "$1"
  else
    result 1 "$1"
    note "got:  ${2:0:2000}" "want: ${3:0:2000}"
  fi
}

like() {
  if [[ $2 =~ $3 ]]; then
    result 0 "$1"
  else
    result 1 "$1"
    note "got:        ${2:0:2000}" "want match: $3"
  fi
}

check() {
  local text=$1
  shift
  if "$@" > "$HTTP_DIR/check" 2>&1; then
    result 0 "$text"
  else
    result 1 "$text"
    note "failed: $*"
    sed 's/^/# /' "$HTTP_DIR/check"
  fi
}

skip() {
  results=$((results + 1))
  echo "ok $results - $1 # SKIP $2"
}

finish() {
  echo "1..$results"
  exit $((failures > 0))
}

call() {
  local method=$1 path=$2 head=()
  shift 2
  [ "$method" != HEAD ] || head=(--head)
  [ -z "$KEY" ] || set -- -H "Authorization: Bearer $KEY" "$@"
  STATUS=$(curl -sS -m 60 -X "$method" "${head[@]}" --cacert "$FOVEA_CA" -D "$HTTP_DIR/headers" -o "$HTTP_DIR/body" \
    -w '%{http_code}' "$@" "$BASE$path" 2> "$HTTP_DIR/error")
  [ "$STATUS" != 000 ] || note "curl: $(cat "$HTTP_DIR/error")"
  BODY=$(tr -d '\0' < "$HTTP_DIR/body" 2> /dev/null)
}

header() {
  sed -n "s/^$1: *\([^\r]*\)\r*\$/\1/Ip" "$HTTP_DIR/headers" | tail -n 1
}

json() {
  jq -r "$1" <<< "$BODY" 2> /dev/null
}

expect() {
  local want=$1 text=$2
  shift 2
  call "$@"
  is "$text" "$STATUS" "$want"
  [ "$STATUS" = "$want" ] || note "body: ${BODY:0:1000}"
}

# The administration command and SQL, as the service user.
fovea() {
  # shellcheck disable=SC2016 # expands there
  "$FOVEA_STACK" exec sh -c '"$FOVEA_APP/bin/fovea" --config "$FOVEA_CONF" "$@"' fovea "$@"
}

sql() {
  # shellcheck disable=SC2016
  "$FOVEA_STACK" exec sh -c '"$FOVEA_PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h "$FOVEA_RUN" -U postgres -d fovea -c "$1"' sql "$1"
}

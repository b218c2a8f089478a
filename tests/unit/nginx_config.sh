#!/bin/bash
# The nginx files without a stack: rendered they are accepted by nginx; the lint sees each thing that it forbids;
# values that could end a directive are refused; the log filter blanks every secret that it is fed.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=0 bad=0

result() { # result STATUS TEXT
  n=$((n + 1))
  if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; bad=1; fi
}
check() { # check TEXT COMMAND...
  local text=$1
  shift
  "$@" > "$work/said" 2>&1
  local status=$?
  [ $status = 0 ] || sed 's/^/# /' "$work/said"
  result $status "$text"
}
refuses() { # refuses TEXT COMMAND...
  local text=$1
  shift
  ! "$@" > "$work/said" 2>&1
  result $? "$text"
}

export FOVEA_VAR=$work/var
mkdir -p "$FOVEA_VAR/run" "$FOVEA_VAR/log" "$FOVEA_VAR/media/spool"
export FOVEA_HTTPS_PORT=0 FOVEA_HTTP_PORT=0 FOVEA_METRICS_PORT=0

# ---- rendering
check "the files render" env FOVEA_HTTPS_PORT=28443 FOVEA_HTTP_PORT=28080 FOVEA_METRICS_PORT=29464 \
  FOVEA_TRUSTED_PROXIES="10.0.0.0/8 fd00::1" tools/nginx_render nginx "$FOVEA_VAR/nginx"
refuses "nothing is left to replace" grep -rnE '@[A-Z_]+@' "$FOVEA_VAR/nginx"
tools/make_certificate "$FOVEA_VAR/tls" > /dev/null 2>&1
printf 'map "$request_method:$dialect:$fovea_path" $fovea_route {\n  default api;\n}\n' > "$FOVEA_VAR/nginx/pools.conf"
check "nginx accepts them" nginx -q -t -p "$FOVEA_VAR/nginx/" -e stderr -c "$FOVEA_VAR/nginx/nginx.conf"
refuses "a value that could end a directive is refused" \
  env 'FOVEA_HSTS=x"; return 200; #' tools/nginx_render nginx "$work/evil"
refuses "a proxy that is no address is refused" \
  env 'FOVEA_TRUSTED_PROXIES=all' tools/nginx_render nginx "$work/evil"
check "the certificate is good for 127.0.0.1" \
  openssl verify -CAfile "$FOVEA_VAR/tls/ca.pem" -verify_ip 127.0.0.1 "$FOVEA_VAR/tls/server.pem"
before=$(cksum "$FOVEA_VAR/tls/server.pem")
tools/make_certificate "$FOVEA_VAR/tls" > /dev/null 2>&1
result "$([ "$before" = "$(cksum "$FOVEA_VAR/tls/server.pem")" ]; echo $?)" "a good certificate is kept"

# ---- lint: each line is a file, a line to put into it, and what must be said of it
check "the lint has nothing to say of the files as they are" tools/nginx_lint nginx
while IFS='|' read -r file line said; do
  rm -rf "$work/bent"
  cp -r nginx "$work/bent"
  echo "$line" >> "$work/bent/$file"
  tools/nginx_lint "$work/bent" > "$work/said" 2>&1
  status=$?
  [ $status != 0 ] && grep -q "$said" "$work/said"
  result $? "the lint refuses: $line"
done << 'END'
fastcgi.conf|fastcgi_keep_conn off;|half an answer
nginx.conf|tcp_nopush on;|40 ms
server.conf|fastcgi_buffering off;|slow client
fastcgi.conf|fastcgi_next_upstream error timeout non_idempotent;|idempotent
server.conf|fastcgi_intercept_errors on;|their form
server.conf|client_body_in_file_only on;|clean
nginx.conf|log_format x '$request';|queries
nginx.conf|log_format x '$remote_addr $args';|queries
nginx.conf|error_log /var/log/x;|filter
nginx.conf|ssl_protocols TLSv1 TLSv1.2;|TLS 1.2
server.conf|fastcgi_pass $arg_pool;|client must not choose
server.conf|if ($arg_x) { return 200; }|maps decide
END
rm -rf "$work/bent"
cp -r nginx "$work/bent"
sed -i '0,/max_fails=0/s/ max_fails=0//' "$work/bent/nginx.conf"
refuses "the lint misses max_fails=0" tools/nginx_lint "$work/bent"
rm -rf "$work/bent"
cp -r nginx "$work/bent"
sed -i '0,/ keepalive 16;/s/ keepalive 16;//' "$work/bent/nginx.conf"
refuses "the lint misses keepalive" tools/nginx_lint "$work/bent"
rm -rf "$work/bent"
cp -r nginx "$work/bent"
sed -i '0,/  internal;/{/  internal;/d}' "$work/bent/server.conf"
refuses "the lint misses a location that lost its internal" tools/nginx_lint "$work/bent"

# ---- the log filter
canary=c4n4ryc4n4ryc4n4ry
hex=0123456789abcdef0123456789abcdef01234567
sed -E -f tools/logfilter.sed > "$work/filtered" << END
2026/01/01 [error] 1#1: *1 x, request: "GET /?api_key=$canary HTTP/1.1", host: "a"
x, request: "GET /media/w/1/a.pt?exp=1&k=1&sig=$canary HTTP/2.0", referrer: "https://h/p?token=$canary"
x, request: "GET /?api%5Fkey=$canary&x"
x upstream: "fastcgi://unix:/run/api.sock:/x?sig=$canary"
authorization: Bearer ul_$hex and Authorization: Token $hex
{"authorization":"Basic $canary","cookie":"sessionid=$canary"}
key ul_$hex, cpx_live.$canary, bare $hex.
GET /roboflow?$canary=1
api_key=$canary&sig=$canary
END
for secret in $canary $hex ${hex:0:12}; do
  refuses "no trace of $secret is left" grep -q "$secret" "$work/filtered"
done
check "the rest of a line stays" grep -q 'request: "GET /?(hidden) HTTP/1.1", host: "a"' "$work/filtered"
digest=$(printf x | sha256sum | cut -d' ' -f1)
result "$([ "blob $digest is missing" = "$(echo "blob $digest is missing" | sed -E -f tools/logfilter.sed)" ]; echo $?)" \
  "the name of a blob is no secret"

echo "1..$n"
exit $bad

# Settings of one stack, with their defaults; sourced by the tools, overridden by the environment. FOVEA_VAR must
# be set. What fovea-api itself is told stands in $FOVEA_VAR/fovea.conf, which tools/stack writes.
# shellcheck shell=sh

export FOVEA_VAR
: "${FOVEA_BIND:=127.0.0.1}"               # address of the HTTPS listener; plain HTTP stays on 127.0.0.1
: "${FOVEA_HTTPS_PORT:=8443}"
: "${FOVEA_HTTP_PORT:=8080}"
: "${FOVEA_METRICS_PORT:=9464}"            # 127.0.0.1 only
: "${FOVEA_DEFAULT_DIALECT:=ultralytics}"  # who answers a request without mount, host name or mark
: "${FOVEA_TRUSTED_PROXIES:=}"             # addresses or networks whose X-Forwarded-* are believed
: "${FOVEA_HSTS:=}"                        # "max-age=31536000" in production; empty on loopback

: "${FOVEA_API_MAX_BODY:=4m}"              # metadata
: "${FOVEA_PREDICT_MAX_BODY:=16m}"         # tools/stack makes these two from predict.max_bytes, model.max_bytes
: "${FOVEA_UPLOAD_MAX_BODY:=11g}"          # and upload.max_bytes of fovea.conf

: "${FOVEA_SHIELD_RATE:=1000r/s}"          # for each address, before credentials are looked at
: "${FOVEA_SHIELD_BURST:=4000}"
: "${FOVEA_SHIELD_CONNECTIONS:=512}"
: "${FOVEA_SHIELD_REMOTE:=1}"              # 1: count callers elsewhere
: "${FOVEA_SHIELD_LOCAL:=0}"               # 1: count callers on this machine too

: "${FOVEA_NGINX_WORKERS:=auto}"
: "${FOVEA_NGINX_CONNECTIONS:=8192}"       # of each worker, upstream connections included
: "${FOVEA_FSYNC:=on}"                     # off only for throw-away stacks

: "${FOVEA_APP:=$FOVEA_VAR/app}"           # copies of programs and files, so that a build disturbs nothing
: "${FOVEA_RUN:=$FOVEA_VAR/run}"           # sockets: short, a socket's path has at most 107 bytes
: "${FOVEA_LOG:=$FOVEA_VAR/log}"
: "${FOVEA_STORE:=$FOVEA_VAR/media}"
: "${FOVEA_SPOOL:=$FOVEA_STORE/spool}"
: "${FOVEA_TLS_CERT:=$FOVEA_VAR/tls/server.pem}"
: "${FOVEA_TLS_KEY:=$FOVEA_VAR/tls/server.key}"
: "${FOVEA_NGINX_MAP:=$FOVEA_VAR/nginx/pools.conf}"
: "${FOVEA_CONF:=$FOVEA_VAR/fovea.conf}"

# shellcheck disable=SC3045 # dash and bash know -H
FOVEA_NGINX_FILES=$(ulimit -Hn)
case $FOVEA_NGINX_FILES in unlimited | ??????*) FOVEA_NGINX_FILES=65536 ;; esac

export FOVEA_BIND FOVEA_HTTPS_PORT FOVEA_HTTP_PORT FOVEA_METRICS_PORT FOVEA_DEFAULT_DIALECT FOVEA_TRUSTED_PROXIES
export FOVEA_HSTS FOVEA_API_MAX_BODY FOVEA_PREDICT_MAX_BODY FOVEA_UPLOAD_MAX_BODY FOVEA_SHIELD_RATE
export FOVEA_SHIELD_BURST FOVEA_SHIELD_CONNECTIONS FOVEA_SHIELD_REMOTE FOVEA_SHIELD_LOCAL FOVEA_NGINX_WORKERS
export FOVEA_FSYNC FOVEA_APP FOVEA_RUN FOVEA_LOG FOVEA_STORE FOVEA_SPOOL FOVEA_TLS_CERT FOVEA_TLS_KEY
export FOVEA_NGINX_MAP FOVEA_NGINX_CONNECTIONS FOVEA_NGINX_FILES FOVEA_CONF

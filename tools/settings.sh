# Settings of one stack, with their defaults; sourced by the tools, overridden by the environment. FOVEA_VAR must
# be set. What fovea-api itself is told stands in $FOVEA_VAR/fovea.conf, which tools/stack writes.
# shellcheck shell=sh

export FOVEA_VAR
: "${FOVEA_BIND:=127.0.0.1}"               # address of the HTTPS listener
: "${FOVEA_HTTPS_PORT:=8443}"              # HTTPS with HTTP/2
: "${FOVEA_HTTP_PORT:=8080}"               # plain HTTP, on 127.0.0.1 only
: "${FOVEA_METRICS_PORT:=9464}"            # metrics, on 127.0.0.1 only
: "${FOVEA_DEFAULT_DIALECT:=ultralytics}"  # who answers a request without mount, host name or mark
: "${FOVEA_TRUSTED_PROXIES:=}"             # addresses or networks whose X-Forwarded-* are believed
: "${FOVEA_HSTS:=}"                        # Strict-Transport-Security: max-age=31536000 in production

: "${FOVEA_API_MAX_BODY:=4m}"              # largest body of requests about metadata
: "${FOVEA_PREDICT_MAX_BODY:=16m}"         # of predictions; make run takes it from predict.max_bytes
: "${FOVEA_UPLOAD_MAX_BODY:=11g}"          # of uploads; make run takes it from model.max_bytes and upload.max_bytes

: "${FOVEA_SHIELD_RATE:=1000r/s}"          # for each address, before credentials are looked at
: "${FOVEA_SHIELD_BURST:=4000}"            # requests above the rate that are let through at once
: "${FOVEA_SHIELD_CONNECTIONS:=512}"       # at the same time, of each address
: "${FOVEA_SHIELD_REMOTE:=1}"              # 1: count callers elsewhere
: "${FOVEA_SHIELD_LOCAL:=0}"               # 1: count callers on this machine too

: "${FOVEA_NGINX_WORKERS:=auto}"           # processes; auto: one for each core
: "${FOVEA_NGINX_CONNECTIONS:=8192}"       # of each worker, upstream connections included
: "${FOVEA_FSYNC:=on}"                     # off only for throw-away stacks

: "${FOVEA_APP:=$FOVEA_VAR/app}"           # copies of the programs, so that a build disturbs nothing
: "${FOVEA_RUN:=$FOVEA_VAR/run}"           # sockets: short, a socket's path has at most 107 bytes
: "${FOVEA_LOG:=$FOVEA_VAR/log}"           # of nginx and the services
: "${FOVEA_STORE:=$FOVEA_VAR/media}"       # content-addressed media
: "${FOVEA_SPOOL:=$FOVEA_STORE/spool}"     # bodies of requests; on the file system of the store
: "${FOVEA_TLS_CERT:=$FOVEA_VAR/tls/server.pem}" # certificate with its chain
: "${FOVEA_TLS_KEY:=$FOVEA_VAR/tls/server.key}" # its key
: "${FOVEA_NGINX_MAP:=$FOVEA_VAR/nginx/pools.conf}" # which pool answers what; fovea-api --nginx-map writes it
: "${FOVEA_NGINX_HOSTS:=$FOVEA_VAR/hosts.conf}" # when it is there, in place of nginx/hosts.conf
: "${FOVEA_CONF:=$FOVEA_VAR/fovea.conf}"   # settings of the programs

# shellcheck disable=SC3045 # dash and bash know -H
FOVEA_NGINX_FILES=$(ulimit -Hn)
case $FOVEA_NGINX_FILES in unlimited | ??????*) FOVEA_NGINX_FILES=65536 ;; esac

export FOVEA_BIND FOVEA_HTTPS_PORT FOVEA_HTTP_PORT FOVEA_METRICS_PORT FOVEA_DEFAULT_DIALECT FOVEA_TRUSTED_PROXIES
export FOVEA_HSTS FOVEA_API_MAX_BODY FOVEA_PREDICT_MAX_BODY FOVEA_UPLOAD_MAX_BODY FOVEA_SHIELD_RATE
export FOVEA_SHIELD_BURST FOVEA_SHIELD_CONNECTIONS FOVEA_SHIELD_REMOTE FOVEA_SHIELD_LOCAL FOVEA_NGINX_WORKERS
export FOVEA_FSYNC FOVEA_APP FOVEA_RUN FOVEA_LOG FOVEA_STORE FOVEA_SPOOL FOVEA_TLS_CERT FOVEA_TLS_KEY
export FOVEA_NGINX_MAP FOVEA_NGINX_HOSTS FOVEA_NGINX_CONNECTIONS FOVEA_NGINX_FILES FOVEA_CONF

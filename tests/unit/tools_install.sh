#!/bin/bash
# What `make install` puts into a folder is whole: programs start, the units find every file that they name, a
# site's settings survive a second installation, and docs/configure.md says what the programs say.
set -u
cd "$(dirname "$0")/../.." || exit 1
for program in fovea fovea-api fovea-worker; do
  if ! [ -x "bin/$program" ]; then
    echo "1..0 # SKIP bin/$program is not built"
    exit 0
  fi
done
dest=$(mktemp -d)
trap 'rm -rf "$dest"' EXIT
n=0 bad=0
ok() { # ok TEXT COMMAND...
  local text=$1 said
  shift
  n=$((n + 1))
  if said=$("$@" 2>&1); then
    echo "ok $n - $text"
  else
    bad=1
    echo "not ok $n - $text"
    tail -n 20 <<< "$said" | sed 's/^/# /'
  fi
}

ok 'it installs into an empty folder' env DESTDIR="$dest" tools/install
for program in fovea fovea-api fovea-worker; do
  ok "$program --version" "$dest/usr/lib/fovea/$program" --version
  ok "$program --help" "$dest/usr/lib/fovea/$program" --help
done
ok 'fovea is on the path' test "$(readlink -f "$dest/usr/bin/fovea")" = "$(readlink -f "$dest")/usr/lib/fovea/fovea"

conf=$dest/etc/fovea/fovea.conf
check() {
  "$dest/usr/bin/fovea" --config "$conf" --set sql_dir="$dest/usr/share/fovea/sql" --set var_dir="$dest/none" \
    --set run_dir="$dest/none" config check
}
ok 'fovea config check accepts the settings that it brings' check

named() { # every file of ours that a unit names
  local file missing=0
  for file in $(sed -n 's/^Exec[A-Za-z]*=//p' "$dest"/usr/lib/systemd/system/fovea* | grep -oE '/usr/(lib|share)/fovea[A-Za-z0-9_/.-]*'); do
    [ -e "$dest$file" ] || { echo "a unit names $file"; missing=1; }
  done
  return $missing
}
ok 'the units find every file that they name' named

render() {
  FOVEA_VAR=/var/lib/fovea FOVEA_RUN=/run/fovea FOVEA_LOG=/var/log/fovea FOVEA_NGINX_HOSTS=$1 \
    "$dest/usr/lib/fovea/tools/nginx_render" "$dest/usr/share/fovea/nginx" "$dest/rendered" && grep -q "$2" "$dest/rendered/hosts.conf"
}
ok 'nginx gets its configuration from what is installed' render "$dest/none" 'ultralytics\.\*'
printf 'map $host $dialect_of_host {\n  default "";\n  labels.example.org cvat;\n}\n' > "$dest/hosts.conf"
ok 'or host names of the site' render "$dest/hosts.conf" labels.example.org

echo 'region = here' > "$conf"
touch "$dest/usr/share/fovea/sql/old.sql"
ok 'it installs again' env DESTDIR="$dest" tools/install
ok 'settings are kept' grep -qx 'region = here' "$conf"
ok 'files of an older version are not' test ! -e "$dest/usr/share/fovea/sql/old.sql"
ok 'docs/configure.md is what tools/configure_doc prints' bash -c 'diff docs/configure.md <(tools/configure_doc)'
echo "1..$n"
exit $bad

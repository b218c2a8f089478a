#!/bin/bash
# Includes point one way, and the check would notice one that does not.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
if said=$(tools/layers); then echo "ok 1 - includes point one way"; else
  echo "not ok 1 - includes point one way"; bad=1
fi
[ -z "$said" ] || echo "$said" | sed 's/^/# /'

git init -q "$work" > /dev/null
mkdir -p "$work/tools" "$work/base" "$work/inference" "$work/handlers/automl"
cp tools/layers "$work/tools/"
n=1
while IFS='|' read -r file line; do
  n=$((n + 1))
  echo "$line" > "$work/$file"
  if "$work/tools/layers" > "$work/said" 2>&1; then
    echo "not ok $n - $file must not say $line"; bad=1
  else
    echo "ok $n - $file must not say $line"
  fi
  rm "$work/$file"
done << 'END'
base/a.c|#include "media/store.h"
inference/a.c|#include <libpq-fe.h>
inference/a.h|#include "domain/operation.h"
handlers/automl/a.c|#include "handlers/ultralytics/ultralytics.h"
END
echo "1..$n"
exit $bad

#!/bin/bash
# The units are valid, refer to each other rightly, and keep their sandbox.
set -u
cd "$(dirname "$0")/../.." || exit 1
if ! command -v systemd-analyze > /dev/null; then
  echo "1..0 # SKIP systemd-analyze is not installed"
  exit 0
fi
bad=0
if said=$(systemd/verify 2>&1); then echo "ok 1 - systemd accepts the units"; else
  echo "not ok 1 - systemd accepts the units"; bad=1
fi
echo "$said" | sed 's/^/# /'
if said=$(systemd/verify exposure 2>&1); then echo "ok 2 - no service is exposed above the limit"; else
  echo "not ok 2 - no service is exposed above the limit"; bad=1
fi
echo "$said" | sed 's/^/# /'
# The stack of `make run` and the units start the same programs.
missing=0
for program in fovea-api fovea-worker nginx; do
  grep -q "$program" tools/service && grep -qr "$program" systemd/*.service || missing=1
done
if [ $missing = 0 ]; then echo "ok 3 - the same programs as tools/service"; else
  echo "not ok 3 - the same programs as tools/service"; bad=1
fi
echo "1..3"
exit $bad

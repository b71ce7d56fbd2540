#!/usr/bin/env bash
# Software bills of materials (CycloneDX) of what the filter and the module are made of, into target/package.
set -euo pipefail
cd "$(dirname "$0")/.."
cyclonedx=$PWD/target/tools/bin/cargo-cyclonedx
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT
mkdir -p target/package
git archive HEAD | tar --extract --directory "$work"
epoch=$(git log -1 --format=%ct)
bill() { # package directory, target, output
  (cd "$work" && SOURCE_DATE_EPOCH=$epoch "$cyclonedx" cyclonedx --quiet --format json --spec-version 1.5 --target "$2" \
    --manifest-path "$1/Cargo.toml" --override-filename bill)
  sed "s|$work|/source|g" "$work/$1/bill.json" >"target/package/$3"
}
bill . wasm32-wasip1 tls_session_binding.wasm.cdx.json
bill envoy/module "$(rustc -vV | sed -n 's/host: //p')" libtls_session_binding_module.so.cdx.json

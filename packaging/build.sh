#!/usr/bin/env bash
# Builds the filter from the sources of a commit, in a directory of its own, so that the same commit gives the same
# bytes wherever it is built: no path of this machine is left in the file.
# Usage: packaging/build.sh COMMIT DIRECTORY, which must be empty or absent. Prints the path of the wasm file.
set -euo pipefail
directory=$(mkdir -p "$2" && cd "$2" && pwd)
git archive "$1" | tar --extract --directory "$directory"
cd "$directory"
cargo fetch --locked --quiet
RUSTFLAGS="--remap-path-prefix=$directory=/source"
for registry in "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*; do
  RUSTFLAGS+=" --remap-path-prefix=$registry=/registry"
done
export RUSTFLAGS CARGO_TARGET_DIR="$directory/target" SOURCE_DATE_EPOCH=0
cargo rustc --locked --quiet --release --lib --target wasm32-wasip1 --crate-type cdylib >&2
filter="$CARGO_TARGET_DIR/wasm32-wasip1/release/tls_session_binding.wasm"
cargo run --locked --quiet --package tls-session-binding-exports -- "$filter" >&2
echo "$filter"

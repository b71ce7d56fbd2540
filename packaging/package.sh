#!/usr/bin/env bash
# Everything that is shipped, into target/package: from the wasm file that packaging/reproducible.sh left there, and
# from the module that `make module` built.
set -euo pipefail
cd "$(dirname "$0")/.."
package=target/package
version=$(cargo pkgid --package tls-session-binding | sed 's/.*[#@]//')
wasm=$package/tls_session_binding.wasm
module=target/release/libtls_session_binding_module.so
architecture=$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')
for file in "$wasm" "$module"; do
  [ -f "$file" ] || { echo "missing: $file" >&2; exit 1; }
done

rm -rf "$package"/{oci,oci-compat,module-image,istio,gateway,image,dynamic,chart}
cp "$module" "$package/"
(cd "$package" && sha256sum "$(basename "$module")" >"$(basename "$module").sha256")

digest=$(packaging/oci.py wasm "$package/oci" "$wasm")
compat=$(packaging/oci.py compat "$package/oci-compat" "$wasm")
module_image=$(packaging/oci.py files "$package/module-image" "$architecture" "$module")

# The manifests with the digest of the image: what Istio compares is the manifest's, not the file's.
cp -r envoy/istio envoy/gateway "$package/"
find "$package/istio" "$package/gateway" -name '*.yaml' -exec sed -i "s/\"0\{64\}\"/\"${digest#sha256:}\"/; s/:0\.1\.0$/:$version/" {} +

# The same as a Helm chart.
target/deployment/bin/python packaging/chart.py "$package" "$version" "$package/chart"

# The build context of the container image: the configuration of envoy/ingress.yaml with the paths inside it.
mkdir "$package/image"
cp envoy/image/Dockerfile "$wasm" "$module" "$package/image/"
sed -e '/^#/d' -e 's|target/demo/|/etc/session-binding/|g' -e 's|target/wasm32-wasip1/release/|/usr/local/lib/envoy/|g' \
  -e 's|address: 127.0.0.1, port_value: 8443|address: 0.0.0.0, port_value: 8443|' \
  -e 's|connect_timeout: 2s|&\n      type: STRICT_DNS|' \
  -e 's|address: 127.0.0.1, port_value: 8080|address: service, port_value: 8080|' \
  envoy/ingress.yaml >"$package/image/envoy.yaml"

# The same as files that Envoy watches: bootstrap, LDS, CDS.
target/deployment/bin/python packaging/dynamic.py "$package/image/envoy.yaml" "$package/dynamic"

printf '%s  %s\n' "$digest" oci "$compat" oci-compat "$module_image" module-image | tee "$package/images.txt"

"""What `make package` leaves in target/package, read as Istio and Envoy Gateway read it."""

import gzip
import hashlib
import io
import json
import pathlib
import re
import subprocess
import tarfile
import tempfile
import unittest

import yaml

import stack

PACKAGE = stack.ROOT / "target/package"
WASM = PACKAGE / "tls_session_binding.wasm"
MODULE = PACKAGE / "libtls_session_binding_module.so"
WASM_LAYERS = ["application/vnd.module.wasm.config.v1+json", "application/vnd.module.wasm.content.layer.v1+wasm"]


def sha256(content):
    return hashlib.sha256(content).hexdigest()


class Layout:
    """A reader of OCI image layouts that trusts nothing: size and digest of every blob are checked."""

    def __init__(self, name):
        self.directory = PACKAGE / name
        (manifest,) = json.loads((self.directory / "index.json").read_text())["manifests"]
        self.digest = manifest["digest"]
        self.manifest = json.loads(self.blob(manifest))

    def blob(self, descriptor):
        algorithm, digest = descriptor["digest"].split(":")
        content = (self.directory / "blobs" / algorithm / digest).read_bytes()
        assert len(content) == descriptor["size"] and sha256(content) == digest
        return content

    def layers(self):
        return [(layer["mediaType"], self.blob(layer)) for layer in self.manifest["layers"]]

    def files(self):
        """Names and digests of the files of the last layer; checks that the configuration names the layer's uncompressed digest."""
        (media_type, content) = self.layers()[-1]
        assert media_type == "application/vnd.oci.image.layer.v1.tar+gzip"
        plain = gzip.decompress(content)
        (diff_id,) = json.loads(self.blob(self.manifest["config"]))["rootfs"]["diff_ids"]
        assert diff_id == f"sha256:{sha256(plain)}"
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            return {entry.name: sha256(tar.extractfile(entry).read()) for entry in tar}


class Packages(unittest.TestCase):
    def test_the_checksums_are_those_of_the_files(self):
        for file in (WASM, MODULE):
            digest, name = pathlib.Path(f"{file}.sha256").read_text().split()
            self.assertEqual((digest, name), (sha256(file.read_bytes()), file.name))

    def test_neither_file_holds_a_path_of_the_machine_that_built_the_wasm(self):
        content = WASM.read_bytes()
        for path in (str(stack.ROOT), str(pathlib.Path.home()), tempfile.gettempdir() + "/tmp."):
            self.assertNotIn(path.encode(), content)

    def test_the_image_is_of_a_configuration_layer_and_a_wasm_layer(self):
        layout = Layout("oci")
        self.assertEqual(layout.manifest["config"]["mediaType"], WASM_LAYERS[0])
        types, contents = zip(*layout.layers())
        self.assertEqual(list(types), WASM_LAYERS)
        self.assertEqual(sha256(contents[1]), sha256(WASM.read_bytes()))

    def test_the_compat_image_holds_plugin_wasm(self):
        self.assertEqual(Layout("oci-compat").files(), {"plugin.wasm": sha256(WASM.read_bytes())})

    def test_the_module_image_holds_the_module(self):
        self.assertEqual(Layout("module-image").files(), {MODULE.name: sha256(MODULE.read_bytes())})

    def test_the_manifests_name_the_digest_of_the_image(self):
        digest = Layout("oci").digest.removeprefix("sha256:")
        plugins = yaml.safe_load_all((PACKAGE / "istio/verifier/wasm-plugins.yaml").read_text())
        self.assertEqual([plugin["spec"]["sha256"] for plugin in plugins], [digest] * 2)
        self.assertEqual(yaml.safe_load((PACKAGE / "chart/values.yaml").read_text())["pluginDigest"], digest)

    def test_the_layouts_are_the_same_when_made_again(self):
        with tempfile.TemporaryDirectory() as directory:
            command = [stack.ROOT / "packaging/oci.py", "wasm", directory, WASM]
            again = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.assertEqual(again.strip(), Layout("oci").digest)

    def test_the_module_needs_no_newer_glibc_than_the_official_envoy_image_has(self):
        versions = {tuple(map(int, one)) for one in re.findall(rb"GLIBC_(\d+)\.(\d+)", MODULE.read_bytes())}
        self.assertLessEqual(max(versions), (2, 35))

    def test_the_bills_of_materials_name_the_verifier_and_its_dependencies(self):
        for name, needed in ((WASM.name, {"proxy-wasm", "p256"}), (MODULE.name, {"rustls", "aws-lc-rs"})):
            bill = json.loads((PACKAGE / f"{name}.cdx.json").read_text())
            self.assertEqual(bill["bomFormat"], "CycloneDX")
            components = {component["name"]: component for component in bill["components"]}
            self.assertLessEqual(needed, set(components))
            self.assertTrue(all(components[one]["purl"].startswith("pkg:cargo/") for one in needed))
            self.assertNotIn("file:///tmp", json.dumps(bill))

    def test_envoy_accepts_the_configuration_of_the_container_image(self):
        text = (PACKAGE / "image/envoy.yaml").read_text()
        self.assertNotIn("target/", text)
        with tempfile.TemporaryDirectory() as directory:
            stack.Demo(directory)
            text = text.replace("/etc/session-binding/", f"{directory}/")
            placed = text.replace("/usr/local/lib/envoy/", f"{PACKAGE}/")
            self.assertEqual(stack.validate(yaml.safe_load(placed)), "")

    def test_envoy_takes_listener_and_cluster_from_files_and_takes_up_changed_ones(self):
        with tempfile.TemporaryDirectory() as directory, stack.serve(stack.Echo) as service:
            demo = stack.Demo(directory)
            for file in (PACKAGE / "dynamic").iterdir():
                pathlib.Path(directory, file.name).write_text(self.placed(file.read_text(), directory, service))
            bootstrap = yaml.safe_load(pathlib.Path(directory, "envoy.yaml").read_text())
            with stack.envoy(bootstrap, directory) as admin:
                port = stack.until(lambda: stack.listener_port(admin, "ingress"), "the listener")
                bound, certificate_bound = demo.token(), demo.token("--no-tls-exp")
                self.assertEqual(demo.request(port, certificate_bound, "--no-proof").returncode, 0)
                self.replace(pathlib.Path(directory, "lds.yaml"), "'{}'", '\'{"mode": "enforce"}\'')
                stack.until(lambda: stack.stat(admin, "listener_modified") == 1, "the changed listener")
                self.assertEqual(demo.request(port, certificate_bound, "--no-proof").returncode, 1)
                self.assertEqual(demo.request(port, bound).returncode, 0)

    def placed(self, text, directory, service):
        places = {"/etc/session-binding/": f"{directory}/", "/etc/envoy/": f"{directory}/", "/usr/local/lib/envoy/": f"{PACKAGE}/"}
        ports = {"address: service": "address: 127.0.0.1", "port_value: 8080": f"port_value: {service}"}
        for old, new in (places | ports | {"port_value: 8443": "port_value: 0", "port_value: 9901": "port_value: 0"}).items():
            text = text.replace(old, new)
        return text

    def replace(self, path, old, new):
        changed = path.with_suffix(".new")
        self.assertIn(old, path.read_text())
        changed.write_text(path.read_text().replace(old, new))
        changed.rename(path)


if __name__ == "__main__":
    unittest.main()

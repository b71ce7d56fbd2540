"""The registry of the plugin's image: down, wrong, changed; and the form of the manifests that needs none."""

import signal
import time
import unittest

import stack
from istio import mesh
from istio.load import Load


class Registry(unittest.TestCase):
    def setUp(self):
        self.mesh = mesh.running()
        token = self.mesh.token()
        stack.until(lambda: all(self.mesh.ask(token).status == 200 for _ in range(20)), "good requests at the start", 120)

    def apply(self, digest, tag="0.1.0"):
        patches = [mesh.image(digest, tag)]
        built = self.mesh.build(("verifier", "client"), patches)
        self.mesh.cluster.apply(*[one for one in built if one["kind"] == "WasmPlugin"])

    def restore(self):
        self.mesh.cluster.apply(*[one for one in self.mesh.manifests if one["kind"] == "WasmPlugin"])

    def test_a_new_build_under_a_new_digest_loses_nothing(self):
        # A custom section at its end: another file with another digest, the same code.
        changed = self.mesh.directory / "changed.wasm"
        changed.write_bytes((stack.ROOT / stack.WASM).read_bytes() + bytes([0, 5, 4, *b"more"]))
        digest = self.mesh.cluster.push(changed, "0.2.0")
        before = self.mesh.configuration_versions("service")
        self.addCleanup(self.restore)
        with Load(self.mesh) as load:
            time.sleep(1)
            self.apply(digest, "0.2.0")
            stack.until(lambda: self.mesh.configuration_versions("service") != before, "the new plugin", 60)
            time.sleep(4)
        self.assertEqual(load.lost(), [])
        self.assertEqual(load.admitted_thefts(), [])

    def test_a_wrong_digest_is_never_admitted(self):
        self.addCleanup(self.restore)
        with Load(self.mesh) as load:
            self.apply("1" * 64)
            time.sleep(5)
        self.assertEqual(load.admitted_thefts(), [])

    def test_a_registry_that_is_down_during_a_change_admits_no_theft(self):
        self.mesh.cluster.registry.close()
        self.addCleanup(self.up_again)
        with Load(self.mesh) as load:
            self.apply("2" * 64, "0.3.0")
            time.sleep(5)
        self.assertEqual(load.admitted_thefts(), [])

    def test_a_verifier_that_starts_while_the_registry_is_down_admits_nobody(self):
        self.mesh.cluster.registry.close()
        self.addCleanup(self.start_service_again)
        self.mesh.stop("service")
        self.mesh.start("service")
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for ask in (self.steal, self.good):
                self.assertNotEqual(ask(), 200)

    def test_with_the_filter_as_a_file_of_the_image_a_verifier_starts_while_the_registry_is_down(self):
        self.mesh.cluster.registry.close()
        built = self.mesh.build(("verifier", "client", "file"))
        self.addCleanup(self.start_service_again)
        for name in ("tls-session-binding", "tls-session-binding-purge"):
            self.mesh.cluster.kubectl("delete", "wasmplugin", name, "--namespace", "shop")
        self.mesh.cluster.apply(*[one for one in built if one["kind"] == "WasmPlugin"])
        self.mesh.stop("service")
        self.mesh.start("service").wait_until_ready()
        stack.until(lambda: self.good() == 200, "a good request", 60)
        self.assertEqual(self.steal(), 401)

    def test_a_slow_fetch_that_a_later_change_overtakes_refuses_until_the_plugin_is_changed_again(self):
        """The agent fetches for each change on its own and forwards what it has in the order in which fetches end."""
        (ours,) = [one for one in self.mesh.manifests if one["kind"] == "WasmPlugin" and one["metadata"]["name"] == "tls-session-binding"]
        slow = {"failStrategy": "FAIL_OPEN", "url": f"oci://{mesh.clusters.REGISTRY}/nothing:1", "sha256": "3" * 64}
        kubectl = self.mesh.cluster.kubectl
        registry = self.mesh.cluster.registry_process
        registry.send_signal(signal.SIGSTOP)
        self.addCleanup(registry.send_signal, signal.SIGCONT)
        kubectl("patch", "wasmplugin", "tls-session-binding", "--namespace", "shop", "--type", "merge", "-p", stack.json.dumps({"spec": slow}))
        stack.until(lambda: "fetching image nothing" in self.mesh.pods["service"].log(), "the slow fetch", 60)
        kubectl("replace", "--namespace", "shop", "-f", "-", manifest=[ours])
        stack.until(lambda: self.mesh.prove() == 403, "what the slow fetch ended with, half a minute later", 120)
        self.assertNotEqual(self.steal(), 200)
        kubectl("annotate", "wasmplugin", "tls-session-binding", "--namespace", "shop", "--overwrite", f"again={time.monotonic_ns()}")
        stack.until(lambda: self.mesh.prove() == 200, "good requests after another change", 60)
        self.assertEqual(self.steal(), 401)

    def steal(self):
        try:
            return self.mesh.steal(self.mesh.token()).status
        except Exception:  # noqa: BLE001 - refused in whatever way
            return 0

    def good(self):
        try:
            return self.mesh.ask(self.mesh.token()).status
        except Exception:  # noqa: BLE001
            return 0

    def up_again(self):
        self.mesh.cluster.start_registry()
        self.mesh.digest = self.mesh.cluster.push(stack.ROOT / stack.WASM, "0.1.0")
        for name in ("tls-session-binding", "tls-session-binding-purge"):
            self.mesh.cluster.kubectl("delete", "wasmplugin", name, "--namespace", "shop", "--ignore-not-found")
        self.restore()

    def start_service_again(self):
        self.up_again()
        self.mesh.stop("service")
        self.mesh.start("service").wait_until_ready()
        stack.until(lambda: self.good() == 200, "good requests again", 60)


if __name__ == "__main__":
    unittest.main()

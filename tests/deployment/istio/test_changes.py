"""Starts, changes and ends under load: nothing is lost that need not be, and no theft is ever admitted."""

import json
import time
import unittest

import stack
from istio import mesh
from istio.load import Load
from istio.test_requests import value

PLUGIN = "wasmplugin/tls-session-binding"


class ColdStarts(unittest.TestCase):
    def test_ten_cold_starts_of_client_and_verifier_are_all_ready_and_admit(self):
        world = mesh.running()
        for start in range(10):
            with self.subTest(start=start):
                for name in ("service", "client"):
                    world.stop(name)
                    world.start(name)
                for name in ("service", "client"):
                    world.pods[name].wait_until_ready()
                stack.until(lambda: world.ask(world.token()).status == 200, f"a good request after start {start}", 60)
                self.assertEqual(world.steal(world.token()).status, 401)


class LiveChanges(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()

    def setUp(self):
        """Connections that began under what another test did are gone: they keep their listener while they drain, 45 s."""
        token = self.mesh.token()
        stack.until(lambda: all(self.mesh.ask(token).status == 200 for _ in range(40)), "good requests on every connection", 120)

    def change(self, name, patch):
        self.mesh.cluster.kubectl("patch", name, "--namespace", "shop", "--type", "merge", "-p", json.dumps(patch))

    def under_load(self, *steps, seconds=3):
        """Runs steps under load, with some seconds after each."""
        with Load(self.mesh) as load:
            time.sleep(1)
            for step in steps:
                step()
                time.sleep(seconds)
        self.assertGreater(len(load.good), 10)
        self.assertGreater(len(load.thefts), 10)
        self.assertEqual(load.admitted_thefts(), [])
        return load

    def test_a_changed_configuration_of_the_plugin_loses_nothing(self):
        before = self.mesh.configuration_versions("service")
        load = self.under_load(
            lambda: self.change(PLUGIN, {"spec": {"pluginConfig": {"max_proof_age": "299s"}}}),
            lambda: self.change(PLUGIN, {"spec": {"pluginConfig": {"max_proof_age": "300s"}}}),
        )
        self.assertNotEqual(self.mesh.configuration_versions("service"), before)
        self.assertEqual(load.lost(), [])

    def test_from_observe_to_enforce_loses_nothing_and_refuses_thefts_from_then_on(self):
        kinds = ("WasmPlugin", "EnvoyFilter")
        observing = [one for one in self.mesh.build(("verifier", "client", "observe")) if one["kind"] in kinds]
        enforcing = [one for one in self.mesh.manifests if one["kind"] in kinds]
        self.addCleanup(lambda: self.mesh.cluster.apply(*enforcing))
        with Load(self.mesh) as load:
            time.sleep(1)
            self.mesh.cluster.apply(*observing)
            stack.until(lambda: load.ask_stolen() == 200, "a theft that is only observed", 60)
            stack.until(lambda: value(self.mesh.statistics(), "session_binding_observed") > 0, "its count", 30)
            time.sleep(2)
            self.mesh.cluster.apply(*enforcing)
            stack.until(lambda: load.ask_stolen() == 401, "the first theft refused", 60)
            enforced = time.monotonic() - load.began
            time.sleep(3)
        self.assertEqual(load.lost(), [])
        self.assertEqual([one for one in load.admitted_thefts() if one[0] > enforced], [])

    def test_istiod_stopped_and_started_again_changes_nothing(self):
        def restart():
            self.mesh.cluster.stop_istiod()
            self.mesh.cluster.start_istiod()

        self.assertEqual(self.under_load(restart, seconds=5).lost(), [])

    def test_a_removed_plugin_is_seen_as_403_on_new_connections(self):
        removed = self.mesh.cluster.get("wasmplugin", "tls-session-binding")
        removed["metadata"] = {"name": "tls-session-binding"}
        self.mesh.cluster.kubectl("delete", PLUGIN, "--namespace", "shop")
        try:
            stack.until(lambda: self.mesh.prove() == 403, "refusals without the plugin", 60)
            self.assertEqual(self.mesh.steal(self.mesh.token()).status, 403)
        finally:
            self.mesh.cluster.apply(removed)
            stack.until(lambda: self.mesh.prove() == 200, "good requests with the plugin", 60)


if __name__ == "__main__":
    unittest.main()

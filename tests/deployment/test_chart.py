"""The Helm chart against kustomize: both real programs, the same manifests."""

import json
import pathlib
import subprocess
import tempfile
import unittest

import yaml

import sandbox
import stack

COMPONENTS = {name: f"istio/{name}" for name in ("verifier", "client", "gateway", "admission")} | {"envoy-gateway": "gateway"}
CHANGES = {
    "issuer": "https://as.other.example:8443/realm",
    "jwksUri": "https://keys.other.example/jwks",
    "audience": "https://orders.other.example",
    "pluginImage": "registry.other.example/binding:2.0.0",
    "proxyImage": "registry.other.example/envoy:2.0.0",
    "pluginDigest": "ab" * 32,
    "serviceIdentity": "spiffe://other.example/ns/store/sa/orders",
    "service": "orders.store.svc.cluster.local",
    "gateway": "front-door",
}


def by_name(text):
    documents = [one for one in yaml.safe_load_all(text) if one]
    named = {(one["kind"], one["metadata"]["name"]): one for one in documents}
    assert len(named) == len(documents), "two resources of one name"
    return named


class Chart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.chart = cls.directory / "chart"
        command = [stack.ROOT / "target/deployment/bin/python", stack.ROOT / "packaging/chart.py", stack.ROOT / "envoy", "0.1.0", cls.chart]
        subprocess.run(command, check=True, timeout=60)

    def helm(self, *arguments):
        command = [sandbox.program("helm"), *arguments]
        environment = stack.os.environ | {"HOME": str(self.directory)}
        return subprocess.run([str(one) for one in command], capture_output=True, text=True, timeout=60, env=environment)

    def rendered(self, *parts, **values):
        options = [f"--set-json=parts={json.dumps(parts)}", *(f"--set-string={name}={value}" for name, value in values.items())]
        done = self.helm("template", "release", self.chart, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return by_name(done.stdout)

    def built(self, *parts):
        """What kustomize makes of the same parts, each from a kustomization of its own."""
        found = {}
        for part in parts:
            with tempfile.TemporaryDirectory(dir=self.directory) as own:
                path = stack.os.path.relpath(stack.ROOT / "envoy" / COMPONENTS[part], own)
                kind = yaml.safe_load((stack.ROOT / "envoy" / COMPONENTS[part] / "kustomization.yaml").read_text())["kind"]
                pathlib.Path(own, "kustomization.yaml").write_text(json.dumps({"components" if kind == "Component" else "resources": [path]}))
                command = [sandbox.program("kustomize"), "build", "--load-restrictor", "LoadRestrictionsNone", own]
                found |= by_name(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
        return found

    def test_with_its_own_values_it_gives_what_kustomize_gives(self):
        done = self.helm("template", "release", self.chart)
        self.assertEqual(by_name(done.stdout), self.built("verifier"), done.stderr)

    def test_every_part_alone_and_all_together_are_what_kustomize_gives(self):
        for parts in (*([part] for part in COMPONENTS), list(COMPONENTS)):
            with self.subTest(parts=parts):
                self.assertEqual(self.rendered(*parts), self.built(*parts))

    def test_a_changed_value_stands_wherever_its_default_stood(self):
        values = yaml.safe_load((self.chart / "values.yaml").read_text())
        self.assertEqual(set(CHANGES), set(values) - {"parts"})
        default, changed = self.rendered(*COMPONENTS), self.rendered(*COMPONENTS, **CHANGES)
        self.assertEqual(set(default), set(changed))
        told = json.dumps(list(changed.values()))
        # Longer ones first: an issuer is the beginning of its keys' address.
        for name in sorted(CHANGES, key=lambda name: -len(values[name])):
            if name != "gateway":
                self.assertNotIn(values[name], told, name)
            self.assertIn(CHANGES[name], told, name)
        policy = changed["EnvoyPatchPolicy", "tls-session-binding"]["spec"]
        self.assertEqual(policy["targetRef"]["name"], "front-door")
        self.assertEqual({one["name"] for one in policy["jsonPatches"]}, {"default/front-door/https"})

    def test_the_listener_is_named_after_the_namespace(self):
        done = self.helm("template", "release", self.chart, "--namespace", "edge", '--set-json=parts=["envoy-gateway"]')
        policy = by_name(done.stdout)["EnvoyPatchPolicy", "tls-session-binding"]["spec"]
        self.assertEqual({one["name"] for one in policy["jsonPatches"]}, {"edge/ingress/https"})

    def test_what_the_schema_does_not_allow_is_refused(self):
        wrong = [f"{name}=" for name in CHANGES] + [
            "pluginDigest=sha256:" + "a" * 64, "pluginDigest=" + "A" * 64, "issuer=http://as.example.com",
            'audience=https://a"]', "audience=https://a #", "gateway=a/b", "unknown=1", "parts=verifier",
        ]  # fmt: skip
        options = [f"--set-string={one}" for one in wrong] + ["--set-json=parts=[]", '--set-json=parts=["verifyer"]', "--set-json=issuer=null"]
        for option in options:
            with self.subTest(option=option):
                self.assertNotEqual(self.helm("template", "release", self.chart, option).returncode, 0)

    def test_helm_has_nothing_against_it(self):
        done = self.helm("lint", "--strict", self.chart)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()

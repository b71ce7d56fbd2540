"""What resources of other people do to the binding: `neighbours.yaml`, case by case, on a running mesh."""

import pathlib
import time
import unittest

import yaml

import stack
from istio import mesh
from istio.direct import Connection

API = {
    "RequestAuthentication": "security.istio.io/v1",
    "AuthorizationPolicy": "security.istio.io/v1",
    "PeerAuthentication": "security.istio.io/v1",
    "EnvoyFilter": "networking.istio.io/v1alpha3",
    "WasmPlugin": "extensions.istio.io/v1alpha1",
    "TrafficExtension": "extensions.istio.io/v1alpha1",
    "Service": "v1",
}
# Of these istiod takes the older first, where both speak of the same: theirs, and which of ours.
ORDERED = {
    "RequestAuthentication": "RequestAuthentication",
    "PeerAuthentication": "PeerAuthentication",
    "Service": "Service",
    "ServiceEntry": "Service",
    "WasmPlugin": "WasmPlugin",
    "TrafficExtension": "WasmPlugin",
}
FOREIGN = stack.ROOT / "target/wasm32-wasip1/release/examples/neighbour.wasm"
REFUSED = "refused"
SETTLED = 1.0


def cases():
    return yaml.safe_load(pathlib.Path(__file__).with_name("neighbours.yaml").read_text())


class Neighbours(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        cls.cluster = cls.mesh.cluster
        cls.words = {"ISSUER": mesh.ISSUER, "KEYS": cls.cluster.keys_url, "REGISTRY": mesh.clusters.REGISTRY}
        cls.cluster.push(FOREIGN, "1", "neighbour")

    def tearDown(self):
        stack.until(lambda: self.good() == 200, "good requests after the neighbour has gone", 60)
        stack.until(lambda: self.mesh.ask(self.mesh.token()).status == 200, "the same through both sidecars", 60)

    def manifest(self, number, one):
        name = one.get("own") or f"a-neighbour-{number}"
        text = yaml.safe_dump({name: value for name, value in one["spec"].items() if value is not None})
        for word, value in self.words.items():
            text = text.replace(word, value)
        spec, kind = yaml.safe_load(text), one["kind"]
        return {"apiVersion": API.get(kind, "networking.istio.io/v1"), "kind": kind, "metadata": {"name": name}, "spec": spec}

    def try_case(self, case):
        own = {one["kind"].lower() + "/" + one["metadata"]["name"]: one for one in self.mesh.manifests}
        mine = [self.manifest(number, one) for number, one in enumerate(case.get("apply", []))]
        added = [one for one in mine if one["metadata"]["name"].startswith("a-neighbour")]
        changed = [one for one in mine if one not in added]
        at, where = case.get("at", "service"), case.get("namespace", "shop")
        before = self.versions(at)
        try:
            for name in case.get("delete", []):
                self.cluster.kubectl("delete", name, "--namespace", "shop")
            for one in changed:
                self.patch(one)
            if added:
                self.cluster.apply(*added, namespace=where)
            if case.get("older"):
                self.make_ours_younger({one["kind"] for one in added})
            if case["good"] != "any":
                stack.until(lambda: self.versions(at) != before, "a change of the proxy's configuration", 30)
            self.judge(case)
        finally:
            for one in added:
                self.cluster.kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--namespace", where, "--ignore-not-found")
            for name in case.get("delete", []):
                self.cluster.apply(own[name])
            for one in changed:
                kept = own[f"{one['kind'].lower()}/{one['metadata']['name']}"]
                self.cluster.kubectl("replace", "--namespace", "shop", "-f", "-", manifest=[kept])

    def patch(self, one):
        """Changes one of ours as somebody would who may write such resources."""
        text = stack.json.dumps({"spec": one["spec"]})
        self.cluster.kubectl("patch", one["kind"].lower(), one["metadata"]["name"], "--namespace", "shop", "--type", "merge", "-p", text)

    def make_ours_younger(self, kinds):
        """Times of creation have a resolution of a second; of one second, the name decides, and theirs is first."""
        ours = {ORDERED.get(kind) for kind in kinds}
        for one in self.mesh.manifests:
            if one["kind"] in ours:
                self.cluster.kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--namespace", "shop")
                self.cluster.apply(one)

    def versions(self, name):
        """What changes whenever a proxy takes new configuration."""
        return self.mesh.configuration_versions(name)

    def judge(self, case):
        """Asks until nothing changes any more, and never sees a stolen token admitted."""
        if case["good"] == 200:
            stack.until(lambda: self.good() == 200, "a good request beside the neighbour", 30)
        deadline = time.monotonic() + SETTLED
        while True:
            for name, status in self.thefts(case.get("ports", [8080])):
                self.assertNotEqual(status, 200, name)
            if time.monotonic() > deadline:
                break
        if case["good"] == REFUSED:
            stack.until(lambda: self.good() != 200, "refusals of good requests", 30)

    def good(self):
        return self.mesh.prove()

    def thefts(self, ports):
        """Every way to present somebody else's token with the thief's certificate; and no token at all."""
        token, thief = self.mesh.token(), self.mesh.identity("thief")
        own = self.mesh.token("thief")
        ways = {
            "in authorization": {"authorization": f"Bearer {token}"},
            "in a header": {"x_token": token},
            "in a parameter": {"path": f"/orders?token={token}"},
            "in the parameter access_token": {"path": f"/orders?access_token={token}"},
            "in a cookie": {"cookie": f"token={token}"},
            "nowhere": {},
        }
        for port in ports:
            for name, request in ways.items():
                yield f"{name}, port {port}", self.status(port, lambda connection: request)
                if name in ("in a header", "in a cookie", "in a parameter"):
                    beside = {"authorization": f"Bearer {own}"}
                    made = lambda connection: request | beside | {"session_binding_proof": thief.proof(own, connection.exporter)}  # noqa: E731, B023
                    yield f"{name}, with a good one beside it, port {port}", self.status(port, made)

    def status(self, port, request):
        """0 for a connection that is ended."""
        identity = self.mesh.identity("thief")
        try:
            with Connection(self.cluster.namespace, (mesh.ADDRESSES["service"], port), identity) as connection:
                return connection.request(**request(connection)).status
        except (ConnectionError, OSError, mesh.TLS_ERRORS):
            return 0


def _add(case):
    def test(self):
        self.try_case(case)

    words = "_".join(case["name"].lower().replace(",", "").split())
    setattr(Neighbours, f"test_no_stolen_token_beside_{words}", test)


for one in cases():
    _add(one)

if __name__ == "__main__":
    unittest.main()

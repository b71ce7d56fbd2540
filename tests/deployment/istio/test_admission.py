"""The shipped ValidatingAdmissionPolicy in the real API server: Pods that would go around the verifier."""

import copy
import unittest

import sandbox
import stack
from istio import mesh

NAMESPACE = "required"
EXCLUDED = "traffic.sidecar.istio.io/excludeInboundPorts"


class Admission(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        cls.cluster = cls.mesh.cluster
        command = [sandbox.program("kubectl"), "kustomize", mesh.SHIPPED / "admission"]
        policy = stack.subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
        labels = {"istio-injection": "enabled", "session-binding": "required"}
        cls.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
        cls.cluster.apply(mesh.account("service"), namespace=NAMESPACE)
        cls.cluster.kubectl("apply", "-f", "-", manifest=policy)
        # A policy counts a moment after it is there.
        stack.until(lambda: not cls.admits(labels={"session-binding": "other"}), "the policy", 60)

    @classmethod
    def admits(cls, labels=None, annotations=None, spec=None):
        """Whether the API server, webhooks included, takes the shipped service's Pod with these changes."""
        template = copy.deepcopy(cls.mesh.templates["service"])
        metadata = template["metadata"] | {"name": "tried"}
        metadata["labels"] = metadata["labels"] | (labels or {})
        metadata["annotations"] = metadata["annotations"] | (annotations or {})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"] | (spec or {})}
        try:
            cls.cluster.kubectl("create", "--dry-run=server", "--namespace", NAMESPACE, "-f", "-", manifest=[pod])
        except AssertionError as error:
            if "tls-session-binding" not in str(error):
                raise
            return False
        return True

    def test_the_shipped_workload_is_admitted(self):
        self.assertTrue(self.admits())

    def test_what_goes_around_the_verifier_is_not(self):
        cases = {
            "another label": {"labels": {"session-binding": "none"}},
            "no sidecar": {"labels": {"sidecar.istio.io/inject": "false"}},
            "no sidecar, by annotation": {"annotations": {"sidecar.istio.io/inject": "false"}},
            "the port excluded": {"annotations": {EXCLUDED: "8080"}},
            "the port excluded beside another": {"annotations": {EXCLUDED: "9090,8080"}},
            "no port included": {"annotations": {"traffic.sidecar.istio.io/includeInboundPorts": ""}},
            "no interception": {"annotations": {"sidecar.istio.io/interceptionMode": "NONE"}},
            "the host's network": {"spec": {"hostNetwork": True}},
        }
        for name, changes in cases.items():
            with self.subTest(name):
                self.assertFalse(self.admits(**changes))

    def test_another_namespace_is_not_concerned(self):
        self.mesh.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "elsewhere"}})
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "tried"}, "spec": {"serviceAccountName": "service"}}
        pod["spec"]["containers"] = [{"name": "one", "image": "one"}]
        self.cluster.apply(mesh.account("service"), namespace="elsewhere")
        self.cluster.kubectl("create", "--dry-run=server", "--namespace", "elsewhere", "-f", "-", manifest=[pod])


if __name__ == "__main__":
    unittest.main()

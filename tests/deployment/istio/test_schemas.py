"""Every shipped manifest against the real API server: Istio's definitions and its own admission."""

import unittest

import stack
from istio import mesh


class Schemas(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        sets = (("verifier", "client"), ("verifier", "client", "file", "observe"))
        cls.sets = {names: cls.mesh.build(names) for names in sets}

    def dry_run(self, *manifests):
        options = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--namespace", "shop"]
        return self.mesh.cluster.kubectl("apply", *options, "-f", "-", manifest=list(manifests))

    def test_the_api_server_and_istiod_admit_every_set_of_components(self):
        for names, manifests in self.sets.items():
            with self.subTest(names=names):
                self.dry_run(*manifests)

    def test_an_unknown_field_is_refused_in_every_kind(self):
        for one in self.sets["verifier", "client"]:
            if one["apiVersion"].endswith(("istio.io/v1", "istio.io/v1alpha1", "istio.io/v1alpha3")):
                with self.subTest(kind=one["kind"]), self.assertRaises(AssertionError):
                    self.dry_run(one | {"spec": one["spec"] | {"selectr": {}}})

    def test_istios_own_analysis_finds_nothing_wrong(self):
        directory = self.mesh.directory / "analysed"
        directory.mkdir(exist_ok=True)
        for number, one in enumerate(self.sets["verifier", "client"]):
            directory.joinpath(f"{number}.yaml").write_text(stack.yaml.safe_dump(one))
        command = [stack.ROOT / "target/control-planes/istioctl", "analyze", "--use-kube=false", "--namespace", "shop"]
        found = stack.subprocess.run([*command, directory], capture_output=True, text=True, timeout=60)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)
        self.assertNotIn("IST0151", found.stdout + found.stderr)


if __name__ == "__main__":
    unittest.main()

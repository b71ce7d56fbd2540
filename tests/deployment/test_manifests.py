"""The manifests as files. `make mesh` gives Istio's to a real API server and control plane."""

import copy
import unittest

import yaml

import stack

ENVOY_FILES = stack.ROOT / "envoy"


def documents(*parts):
    for path in sorted(ENVOY_FILES.joinpath(*parts[:-1]).rglob(parts[-1])):
        for document in yaml.safe_load_all(path.read_text()):
            # A list is a JSON patch of kustomize.
            if isinstance(document, dict):
                yield path.relative_to(stack.ROOT), document


def one(kind, *parts):
    (found,) = [document for _, document in documents(*parts, "*.yaml") if document.get("kind") == kind]
    return copy.deepcopy(found)


def statistics():
    return one("ConfigMap", "istio", "statistics")["data"]["custom_bootstrap.json"]


def every_mapping(value):
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from every_mapping(part)


class Compose(unittest.TestCase):
    FOLDER = ENVOY_FILES / "image"

    def test_the_compose_file_names_what_is_there_and_publishes_the_verifiers_port(self):
        services = yaml.safe_load((self.FOLDER / "compose.yaml").read_text())["services"]
        volumes = [volume for service in services.values() for volume in service["volumes"]]
        sources = {volume.split(":")[0] for volume in volumes} | {services["verifier"]["build"]}
        # What `make package` and `session-binding pki` write; the file itself says so.
        made = {"../../target/package/image", "../../target/demo"}
        self.assertEqual({source for source in sources if not (self.FOLDER / source).exists()} - made, set())
        self.assertEqual(services["verifier"]["depends_on"], ["service"])
        self.assertEqual(services["verifier"]["ports"], ["127.0.0.1:8443:8443"])

    def test_envoy_accepts_the_service_of_the_compose_file(self):
        self.assertEqual(stack.validate(yaml.safe_load((self.FOLDER / "service.yaml").read_text())), "")


class Manifests(unittest.TestCase):
    def test_nothing_fails_open(self):
        for path in sorted(ENVOY_FILES.rglob("*.y*ml")):
            self.assertNotRegex(path.read_text(), r"(?i)fail_?open\b(?!: false)", path)

    def test_every_wasm_plugin_is_reloaded_after_a_trap(self):
        for path, document in documents("*.yaml"):
            for mapping in every_mapping(document):
                if "vm_config" in mapping:
                    self.assertEqual(mapping.get("failure_policy"), "FAIL_RELOAD", path)
            if document.get("kind") == "WasmPlugin" and "type" in document.get("spec", {}):
                self.assertEqual(document["spec"]["failStrategy"], "FAIL_RELOAD", path)

    def test_a_kustomization_names_every_file_beside_it(self):
        for path, document in [*documents("istio", "kustomization.yaml"), *documents("gateway", "kustomization.yaml")]:
            named = {*document.get("resources", []), *(patch["path"] for patch in document.get("patches", []))}
            beside = {one.name for one in (stack.ROOT / path).parent.glob("*.yaml")} - {"kustomization.yaml"}
            self.assertEqual(named, beside, path)

    def test_the_statistics_of_every_mesh_are_those_of_the_monitoring(self):
        shipped = yaml.safe_load((ENVOY_FILES / "monitoring/stats.yaml").read_text())
        self.assertEqual(yaml.safe_load(statistics()), shipped)
        self.assertEqual(yaml.safe_load(one("EnvoyProxy", "gateway")["spec"]["bootstrap"]["value"]), shipped)


if __name__ == "__main__":
    unittest.main()

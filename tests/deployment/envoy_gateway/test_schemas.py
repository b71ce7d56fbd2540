"""The shipped manifests against Envoy Gateway's own definitions, those of the release that `make envoy-gateway` builds."""

import pathlib
import subprocess
import unittest

import jsonschema
import yaml

from envoy_gateway import gateway

PINNED = pathlib.Path(__file__).parent / "control-plane"


def definitions():
    """The schemas of Envoy Gateway's kinds; a field that a definition does not name is refused, as an API server may."""
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "github.com/envoyproxy/gateway"]
    source = subprocess.run(command, cwd=PINNED, check=True, capture_output=True, text=True, timeout=120).stdout.strip()
    schemas = {}
    for file in pathlib.Path(source).glob("charts/gateway-helm/charts/crds/crds/generated/*.yaml"):
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            name = f"{spec['group']}/{version['name']}", spec["names"]["kind"]
            schemas[name] = closed(version["schema"]["openAPIV3Schema"])
    return schemas


def closed(schema):
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    free = schema.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in schema
    if schema.get("type") == "object" and "properties" in schema and not free:
        found["additionalProperties"] = False
    return found


class Schemas(unittest.TestCase):
    def setUp(self):
        self.schemas = definitions()

    def manifests(self):
        for file in sorted(gateway.SHIPPED.glob("*.yaml")):
            for one in gateway.documents(file.read_text()):
                if one["apiVersion"].startswith("gateway.envoyproxy.io/"):
                    yield file.name, one

    def errors(self, document):
        schema = self.schemas[document["apiVersion"], document["kind"]]
        return [error.message for error in jsonschema.Draft202012Validator(schema).iter_errors(document)]

    def test_every_manifest_is_what_its_definition_allows(self):
        kinds = {one["kind"] for _, one in self.manifests()}
        self.assertEqual(kinds, {"ClientTrafficPolicy", "EnvoyPatchPolicy", "EnvoyProxy", "SecurityPolicy"})
        for file, one in self.manifests():
            with self.subTest(file=file):
                self.assertEqual(self.errors(one), [])

    def test_an_unknown_or_mistyped_field_is_refused(self):
        for file, one in self.manifests():
            for wrong in (one | {"spce": {}}, one | {"spec": one["spec"] | {"targetRfes": []}}, one | {"spec": "text"}):
                with self.subTest(file=file):
                    self.assertNotEqual(self.errors(wrong), [])


if __name__ == "__main__":
    unittest.main()

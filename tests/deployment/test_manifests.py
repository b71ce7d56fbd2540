"""The Kubernetes manifests: their schemas, their Envoy configuration, and a request through what Istio makes of them."""

import contextlib
import copy
import json
import pathlib
import subprocess
import tempfile
import unittest
import urllib.error

import yaml

import imitation as istio
import schemas
import stack

ENVOY_FILES = stack.ROOT / "envoy"
WORKLOAD_FILES = "/etc/istio-output-certs/"
AGENT_FILES = {"cert-chain.pem": "{}.pem", "key.pem": "{}.key", "root-cert.pem": "ca.pem"}


def documents(*parts):
    for path in sorted(ENVOY_FILES.joinpath(*parts[:-1]).rglob(parts[-1])):
        for document in yaml.safe_load_all(path.read_text()):
            yield path.relative_to(stack.ROOT), document


def manifests():
    return [*documents("istio", "*.yaml"), *documents("gateway", "*.yaml")]


def one(kind, *parts):
    (found,) = [document for _, document in documents(*parts, "*.yaml") if document.get("kind") == kind]
    return copy.deepcopy(found)


def statistics():
    return one("ConfigMap", "istio", "verifier")["data"]["custom_bootstrap.json"]


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


class Schemas(unittest.TestCase):
    def test_every_manifest_is_what_its_definition_allows(self):
        self.assertGreater(len(manifests()), 10)
        for path, document in manifests():
            with self.subTest(path=path, kind=document["kind"]):
                validator = schemas.validator(document["apiVersion"], document["kind"])
                self.assertEqual([error.message for error in validator.iter_errors(document)], [])

    def test_an_unknown_or_mistyped_field_is_refused_at_every_level(self):
        for path, document in manifests():
            validator = schemas.validator(document["apiVersion"], document["kind"])
            wrong = [document | {"spce": {}}, document | {"kind": 1 if document["kind"] == "Component" else {}}]
            if document["kind"] == "ConfigMap":
                wrong[1] = document | {"data": {"file": {}}}
            if "spec" in document:
                wrong[1:] = [document | {"spec": document["spec"] | {"selectr": {}}}, document | {"spec": "text"}]
            for changed in wrong:
                with self.subTest(path=path, changed=changed):
                    self.assertFalse(validator.is_valid(changed))

    def test_nothing_fails_open(self):
        for path in sorted(ENVOY_FILES.rglob("*.y*ml")):
            self.assertNotRegex(path.read_text(), r"(?i)fail_?open\b(?!: false)", path)

    def test_every_wasm_plugin_is_reloaded_after_a_trap(self):
        for path, document in documents("*.yaml"):
            for mapping in every_mapping(document):
                if "vm_config" in mapping:
                    self.assertEqual(mapping.get("failure_policy"), "FAIL_RELOAD", path)
            if document.get("kind") == "WasmPlugin":
                self.assertEqual(document["spec"]["failStrategy"], "FAIL_RELOAD", path)

    def test_a_kustomization_names_every_file_beside_it(self):
        for path, document in documents("istio", "kustomization.yaml"):
            named = {*document["resources"], *(patch["path"] for patch in document["patches"])}
            beside = {one.name for one in (stack.ROOT / path).parent.glob("*.yaml")} - {"kustomization.yaml"}
            self.assertEqual(named, beside, path)


    def test_the_statistics_of_every_mesh_are_those_of_the_monitoring(self):
        shipped = yaml.safe_load((ENVOY_FILES / "monitoring/stats.yaml").read_text())
        self.assertEqual(yaml.safe_load(statistics()), shipped)
        self.assertEqual(yaml.safe_load(one("EnvoyProxy", "gateway")["spec"]["bootstrap"]["value"]), shipped)


class Istio(unittest.TestCase):
    """The inbound and outbound Envoy configuration that istiod would make, run with the demonstration's PKI."""

    def setUp(self):
        self.directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.demo = stack.Demo(self.directory)

    def test_envoy_accepts_the_patched_inbound_listener_and_outbound_cluster(self):
        for bootstrap in (self.inbound(1), self.outbound(1)):
            self.assertEqual(stack.validate(bootstrap), "")

    def test_the_filters_are_in_the_only_safe_order(self):
        (chain,) = self.inbound(1)["static_resources"]["listeners"][0]["filter_chains"]
        network = ["shop.tls-session-binding-purge", "tls_session_binding_publish", istio.CONNECTION_MANAGER]
        self.assertEqual([one["name"] for one in chain["filters"]], network)
        names = [one["name"].split(".")[-1] for one in istio.connection_manager(chain)["http_filters"]]
        self.assertEqual(names, ["jwt_authn", "tls-session-binding", "rbac", "router"])

    def test_a_stolen_token_is_refused_and_a_sidecar_proves_for_its_application(self):
        with self.verifier() as (admin, port), self.client_sidecar(port) as client:
            token = self.demo.token()
            self.assertEqual(self.demo.request(port, token, "--repeat", "2").returncode, 0)
            self.assertEqual(self.status(client, f"Bearer {token}"), 200)
            for options, who in ((["--no-proof"], "client"), ([], "thief")):
                refused = self.demo.request(port, token, *options, client=who)
                self.assertEqual(refused.returncode, 1, refused.stderr)
            labelled = 'session_binding_refused{reason="proof_missing",rule="default"} 1'
            self.assertIn(labelled, stack.get(f"{admin}/stats/prometheus"))
            self.assertEqual(stack.stat(admin, "http.inbound_0.0.0.0_8080.rbac.allowed"), 3)

    def test_requests_without_a_valid_token_are_refused(self):
        with self.verifier() as (_, port), self.client_sidecar(port) as client:
            self.assertEqual(self.status(client, "Basic YTpi"), 403)
            self.assertEqual(self.status(client, f"Bearer {self.demo.token(audience='https://other')}"), 403)
            self.assertEqual(self.status(client, f"Bearer {self.demo.token(issuer='https://other')}"), 401)

    def test_the_purging_plugin_shares_the_vm_of_the_verifying_one(self):
        with self.verifier() as (admin, port):
            self.assertEqual(self.demo.request(port, self.demo.token()).returncode, 0)
            stack.until(lambda: stack.stat(admin, "session_binding.cache.bindings") == 0, "the purge", 10)

    @contextlib.contextmanager
    def verifier(self):
        with stack.serve(stack.Echo) as service:
            override = ["--config-yaml", statistics()]
            with stack.envoy(self.inbound(service), self.sub("server"), *override) as admin:
                yield admin, stack.listener_port(admin, "ingress")

    @contextlib.contextmanager
    def client_sidecar(self, port):
        with stack.envoy(self.outbound(port), self.sub("client")) as admin:
            yield stack.listener_port(admin, "egress")

    def sub(self, name):
        directory = self.directory / name
        directory.mkdir(exist_ok=True)
        return directory

    def status(self, port, authorization):
        try:
            stack.get(f"http://127.0.0.1:{port}/orders", Authorization=authorization)
        except urllib.error.HTTPError as error:
            return error.code
        return 200

    def inbound(self, service):
        bootstrap = yaml.safe_load((stack.HERE / "istio-inbound.yaml").read_text())
        (chain,) = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
        rules = one("RequestAuthentication", "istio", "verifier")["spec"]["jwtRules"]
        demo = {"issuer": "https://as.demo", "audiences": ["https://service.demo"]}
        istio.add_jwt(chain, [rule | demo for rule in rules], str(self.directory / "as/jwks.json"))
        plugins = [one for _, one in documents("istio", "verifier", "wasm-plugins.yaml")]
        istio.add_plugins(chain, plugins, stack.WASM)
        istio.apply_chain_patches(chain, one("EnvoyFilter", "istio", "verifier")["spec"]["configPatches"])
        return self.placed(bootstrap, "server", service)

    def outbound(self, service):
        (patch,) = one("EnvoyFilter", "istio", "client")["spec"]["configPatches"]
        bootstrap = yaml.safe_load((stack.HERE / "istio-outbound.yaml").read_text())
        (cluster,) = bootstrap["static_resources"]["clusters"]
        istio.apply_cluster_patch(cluster, patch["patch"]["value"])
        return self.placed(bootstrap, "client", service)

    def placed(self, bootstrap, party, service):
        """With the files of this test in the agent's directory, and free ports."""
        agent = self.sub(f"{party}-certs")
        for name, origin in AGENT_FILES.items():
            (agent / name).write_bytes(self.demo.pki(origin.format(party)).read_bytes())
        text = json.dumps(bootstrap).replace(WORKLOAD_FILES, f"{agent}/")
        text = text.replace('\\"spiffe_ids\\": [\\"spiffe://cluster.local/ns/shop/sa/service\\"]', '\\"dns_names\\": [\\"service.demo\\"]')
        for port in (8443, 15001, 9901):
            text = text.replace(f'"port_value": {port}', '"port_value": 0')
        return json.loads(text.replace('"port_value": 8080', f'"port_value": {service}'))


if __name__ == "__main__":
    unittest.main()

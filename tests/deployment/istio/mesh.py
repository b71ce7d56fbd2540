"""A mesh with one service and its clients: the shipped manifests on a real control plane.

`service` has the verifier's component, `client` and `thief` the client's; the thief is a workload like any other.
"""

import atexit
import contextlib
import functools
import http.client
import json
import pathlib
import re
import shutil
import sys
import tempfile
import time

import yaml
from OpenSSL import SSL

import sandbox
import stack
from istio import cluster as clusters
from istio.direct import Answer, Connection, Identity
from istio.kubelet import Pod

TLS_ERRORS = SSL.Error
ISSUER = "https://as.example.com"
AUDIENCE = "https://service.example.com"
HOST = "service.shop.svc.cluster.local:8080"
SERVICE_ADDRESS = "10.96.0.10"
ADDRESSES = {"service": "10.77.0.10", "client": "10.77.0.20", "thief": "10.77.0.30"}
LABELS = {"service": "verifier", "client": "client", "thief": "client"}
SHIPPED = stack.ROOT / "envoy/istio"
TEMPLATE = "tools/packaging/common/envoy_bootstrap.json"
CERTIFICATES = "etc/istio-output-certs"


def deployment(name):
    """An application as its owner writes it."""
    command = [sys.executable, str(stack.HERE / "istio/service.py"), "8080"]
    container = {"name": "application", "image": "application", "command": command, "ports": [{"containerPort": 8080}]}
    labels = {"app": name}
    pod = {"serviceAccountName": name, "containers": [container | {"securityContext": {"runAsUser": 0}}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"session-binding": LABELS[name]}},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def account(name):
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}


def service(name="service", address=SERVICE_ADDRESS, port=8080, **more):
    ports = [{"name": "http", "port": port, "targetPort": port, "appProtocol": "http"} | more]
    spec = {"clusterIP": address, "selector": {"app": "service"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def without_the_thief():
    """The service has nothing for the thief's own name: what answers 200 was taken for somebody else's request."""
    rules = [{"from": [{"source": {"requestPrincipals": [f"{ISSUER}/thief"]}}]}]
    spec = {"selector": {"matchLabels": {"app": "service"}}, "action": "DENY", "rules": rules}
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "no-thief"}, "spec": spec}


def endpoints(pod, address, name="service", port=8080):
    """Where a Service's Pod is; without a Pod, the address alone, outside the mesh."""
    target = {"targetRef": {"kind": "Pod", "name": pod, "namespace": "shop"}} if pod else {}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} | target],
    }


def kustomization(directory, resources, components, patches=(), namespace="shop"):
    """What an operator writes, built by kustomize: the shipped components on resources of one's own."""
    directory.mkdir(parents=True)
    shipped = directory / "shipped"
    shutil.copytree(SHIPPED, shipped)
    directory.joinpath("resources.yaml").write_text(yaml.safe_dump_all(resources))
    file = {
        "namespace": namespace,
        "resources": ["resources.yaml"],
        "components": [f"shipped/{name}" for name in components],
        "patches": list(patches),
    }
    directory.joinpath("kustomization.yaml").write_text(yaml.safe_dump(file))
    built = stack.subprocess.run(
        [sandbox.program("kubectl"), "kustomize", directory], check=True, capture_output=True, text=True, timeout=60
    )
    return [one for one in yaml.safe_load_all(built.stdout) if one]


def keys_at(url):
    """The one name of the manifests that the tests cannot have: where the authorization server's keys are."""
    patch = [{"op": "replace", "path": "/spec/jwtRules/0/jwksUri", "value": url}]
    return {"target": {"kind": "RequestAuthentication"}, "patch": yaml.safe_dump(patch)}


def image(digest, tag="0.1.0"):
    """Registry and digest, as `make package` and an operator write them."""
    values = {"url": f"oci://{clusters.REGISTRY}/{clusters.IMAGE}:{tag}", "sha256": digest}
    patch = [{"op": "replace", "path": f"/spec/{name}", "value": value} for name, value in values.items()]
    return {"target": {"kind": "WasmPlugin"}, "patch": yaml.safe_dump(patch)}


def short_lives(seconds):
    """The environment that the agent takes its certificates' life from."""
    settings = f"SECRET_TTL: {seconds}s"
    files = ("verifier", "client")
    text = {name: yaml.safe_load((SHIPPED / name / "workload.yaml").read_text()) for name in files}
    config = text["client"]["spec"]["template"]["metadata"]["annotations"]["proxy.istio.io/config"]
    value = config.replace("proxyMetadata:\n", f"proxyMetadata:\n  {settings}\n")
    patch = [{"op": "replace", "path": "/spec/template/metadata/annotations/proxy.istio.io~1config", "value": value}]
    return {"target": {"kind": "Deployment"}, "patch": yaml.safe_dump(patch)}


class Mesh(contextlib.ExitStack):
    """The mesh, running while it is entered."""

    def __init__(self, components=("verifier", "client"), life=None, **options):
        """`life` is that of certificates, in seconds: Istio's agent asks for such ones."""
        super().__init__()
        self.components, self.life, self.options = components, life, options
        self.pods = {}
        self.started = 0

    def __enter__(self):
        super().__enter__()
        try:
            began = time.monotonic()
            self.directory = pathlib.Path(self.enter_context(tempfile.TemporaryDirectory(prefix="mesh-")))
            self.directory.chmod(0o755)
            self.authority = self.directory / "as"
            stack.session_binding("pki", self.directory / "pki", "--as", self.authority)
            self.cluster = self.enter_context(clusters.Cluster(self.directory, **self.options))
            self.cluster.serve_keys((self.authority / "jwks.json").read_text())
            self.cluster.start_registry()
            self.digest = self.cluster.push(stack.ROOT / stack.WASM, "0.1.0")
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop", "labels": {"istio-injection": "enabled"}}}
            self.cluster.apply(namespace)
            self.manifests = self.build(self.components)
            self.apply(self.manifests)
            self.start_all()
            self.seconds = time.monotonic() - began
        except BaseException:
            self.close()
            raise
        return self

    def build(self, components, patches=()):
        if "file" not in components:
            patches = [image(self.digest), *patches]
        resources = [one for name in ADDRESSES for one in (account(name), deployment(name))]
        if self.life:
            patches = [*patches, short_lives(self.life)]
        directory = self.directory / f"kustomization-{time.monotonic_ns()}"
        return kustomization(directory, [*resources, service(), without_the_thief()], components, [keys_at(self.cluster.keys_url), *patches])

    def apply(self, manifests):
        self.cluster.apply(*manifests)
        self.templates = {one["metadata"]["name"]: one["spec"]["template"] for one in manifests if one["kind"] == "Deployment"}

    # Pods

    def start_all(self):
        stack.until(lambda: self.cluster.get("configmap", "istio-ca-root-cert"), "istiod's authorities in the namespace", 60)
        for name in ADDRESSES:
            self.start(name)
        for name in ADDRESSES:
            self.pods[name].wait_until_ready()
        stack.until(lambda: self.ask(self.token()).status == 200, "the first good request", 60)

    def start(self, name):
        pod = self.pod(self.templates[name], name, ADDRESSES[name])
        if name == "service":
            self.cluster.apply(endpoints(pod.name, pod.address))
        self.pods[name] = pod
        return self.enter_context(pod)

    def pod(self, template, name, address, namespace="shop"):
        """What the controllers of a Deployment do: one Pod from the template, which then can be run."""
        self.started += 1
        metadata = template["metadata"] | {"name": f"{name}-{self.started}"}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self.cluster.kubectl("create", "--namespace", namespace, "-f", "-", manifest=[pod])
        return Pod(self.cluster, metadata["name"], address, self.image(), namespace)

    def stop(self, name):
        self.end(self.pods.pop(name))

    def end(self, pod):
        pod.close()
        self.cluster.kubectl("delete", "pod", pod.name, "--namespace", pod.where, "--grace-period", "0", "--force")

    def image(self):
        """The proxy's image: Istio's agent and bootstrap template, stock Envoy, the module and the filter."""
        return {
            "/usr/local/bin/pilot-agent": sandbox.program("pilot-agent"),
            "/usr/local/bin/envoy": envoy_binary(),
            "/usr/local/lib/envoy/libtls_session_binding_module.so": stack.ROOT / "target/debug/libtls_session_binding_module.so",
            "/usr/local/lib/envoy/tls_session_binding.wasm": stack.ROOT / stack.WASM,
            "/var/lib/istio/envoy/envoy_bootstrap_tmpl.json": bootstrap_template(),
        }

    # Credentials and requests

    def identity(self, name):
        """The certificate that the agent of a Pod wrote."""
        files = self.pods[name].root / CERTIFICATES
        return Identity(files / "cert-chain.pem", files / "key.pem")

    def token(self, owner="client", *options, issuer=ISSUER, audience=AUDIENCE):
        arguments = ["--key", self.authority / "key.pem", "--issuer", issuer, "--audience", audience, "--subject", owner]
        return stack.session_binding("token", *arguments, "--cert", self.identity(owner).certificate, *options).strip()

    def ask(self, token=None, application="client", path="/orders", **headers):
        """A request of an application, in plain HTTP, that its sidecar takes and sends on."""
        if token:
            headers["authorization"] = f"Bearer {token}"
        with self.pods[application].namespace.entered():
            connection = http.client.HTTPConnection(SERVICE_ADDRESS, 8080, timeout=20)
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", path, headers={"host": HOST} | headers)
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, fields, answer.read().decode())

    def connect(self, owner, **options):
        """A connection straight to the verifier's port."""
        identity = self.identity(owner) if owner else None
        return Connection(self.cluster.namespace, (ADDRESSES["service"], 8080), identity, **options)

    def prove(self):
        """The status of a good request on a new connection: open ones keep what listeners were when they began."""
        token, identity = self.token(), self.identity("client")
        try:
            with self.connect("client") as connection:
                proof = identity.proof(token, connection.exporter)
                return connection.request(authorization=f"Bearer {token}", session_binding_proof=proof).status
        except (OSError, SSL.Error):
            return 0

    def steal(self, token, **headers):
        """The thief's own certificate, another's token, no proof."""
        with self.connect("thief") as connection:
            return connection.request(authorization=f"Bearer {token}", **headers)

    # What proxies have

    def configuration(self, name="service"):
        """The sections of Envoy's config_dump, by their type."""
        dump = json.loads(self.pods[name].fetch("http://127.0.0.1:15000/config_dump"))["configs"]
        return {one["@type"].rsplit(".", 1)[1]: one for one in dump}

    def configuration_versions(self, name):
        """What changes whenever a proxy takes new configuration."""
        dump = self.pods[name].fetch("http://127.0.0.1:15000/config_dump?include_eds")
        return sorted(re.findall(r'"(?:version_info|last_updated)": *"([^"]*)"', dump))

    def statistics(self, name="service"):
        return self.pods[name].fetch("http://127.0.0.1:15090/stats/prometheus")


@functools.cache
def envoy_binary():
    (found,) = (stack.ROOT / "target/envoy").glob("lib/python*/site-packages/envoy/_bin/envoy")
    return found


@functools.cache
def bootstrap_template():
    module = stack.HERE / "istio/control-planes/istio"
    command = ["go", "list", "-m", "-f", "{{.Dir}}", "istio.io/istio"]
    where = stack.subprocess.run(command, cwd=module, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    return pathlib.Path(where, TEMPLATE)


@functools.cache
def running():
    """One mesh for all tests that leave it as they found it."""
    mesh = Mesh().__enter__()
    atexit.register(mesh.close)
    return mesh

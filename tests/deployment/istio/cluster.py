"""A Kubernetes API server and Istio's control plane, stock, in a network namespace of their own.

No controllers and no scheduler run: Pods are made from the templates of Deployments here, `kubelet.py` runs them, and an
EndpointSlice names them.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import threading
import time
import urllib.request

import yaml

import sandbox
import stack

MIDDLE = "10.77.0.1"
API_SERVER = f"https://{MIDDLE}:6443"
ISTIOD_NAMES = ["istiod.istio-system.svc", "istiod.istio-system.svc.cluster.local"]
REGISTRY = f"{MIDDLE}:5000"
IMAGE = "tls-session-binding"
KEYS_PORT = 5001
ADMINISTRATOR = "administrator"
# Stock Envoy has none of the filters that Istio's own build adds.
STOCK_ENVOY = {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"}
ISTIOD = STOCK_ENVOY | {
    "REVISION": "default",
    "POD_NAME": "istiod",
    "POD_NAMESPACE": "istio-system",
    "CLUSTER_ID": "Kubernetes",
    "PILOT_CERT_PROVIDER": "istiod",
    "INJECTION_WEBHOOK_CONFIG_NAME": "istio-sidecar-injector",
    "VALIDATION_WEBHOOK_CONFIG_NAME": "istio-validator-istio-system",
    "UNSAFE_PILOT_ENABLE_RUNTIME_ASSERTIONS": "false",
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
}
# What a kubelet, a controller or a cloud would run; and what asks a controller for something.
NOT_RUN = ("Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget", "DaemonSet")
CLUSTER_WIDE = ("CustomResourceDefinition", "Namespace")


class Cluster(contextlib.ExitStack):
    """etcd, kube-apiserver and pilot-discovery, started when it is entered."""

    def __init__(self, directory, discovery="pilot-discovery", settings=None):
        super().__init__()
        self.directory = pathlib.Path(directory)
        self.discovery = discovery
        self.settings = settings or {}
        self.times = {}
        self.names = ISTIOD_NAMES

    def __enter__(self):
        super().__enter__()
        try:
            started = time.monotonic()
            self.namespace = self.enter_context(sandbox.Namespace())
            self.namespace.bridge(MIDDLE)
            hosts = self.directory / "hosts"
            hosts.write_text(f"127.0.0.1 localhost\n{MIDDLE} {' '.join(ISTIOD_NAMES)}\n")
            self.namespace.run("mount", "--bind", hosts, "/etc/hosts")
            self.start_api_server()
            self.install()
            self.istiod = self.enter_context(contextlib.ExitStack())
            self.start_istiod()
            self.times["control plane"] = time.monotonic() - started
        except BaseException:
            self.close()
            raise
        return self

    # The API server

    def start_api_server(self):
        for name in ("etcd", "api-server", "istiod"):
            (self.directory / name).mkdir()
        etcd = ["--data-dir", self.directory / "etcd", "--unsafe-no-fsync", "--log-level", "warn"]
        self.run_always("etcd", *etcd)
        key, public = self.directory / "service-account.key", self.directory / "service-account.pub"
        openssl("genrsa", "-out", key, "2048")
        openssl("rsa", "-in", key, "-pubout", "-out", public)
        tokens = self.directory / "tokens.csv"
        tokens.write_text(f"{ADMINISTRATOR},administrator,1,system:masters\nowner,owner,2,owners\n")
        self.run_always(
            "kube-apiserver", "--etcd-servers", "http://127.0.0.1:2379", "--bind-address", MIDDLE, "--advertise-address", MIDDLE,
            "--cert-dir", self.directory / "api-server", "--token-auth-file", tokens, "--authorization-mode", "RBAC",
            "--endpoint-reconciler-type", "none", "--service-cluster-ip-range", "10.96.0.0/16",
            "--service-account-issuer", "https://kubernetes.default.svc", "--service-account-key-file", public,
            "--service-account-signing-key-file", key, "--api-audiences", "https://kubernetes.default.svc,istio-ca",
        )  # fmt: skip
        self.kubeconfig = self.directory / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(kubeconfig(ADMINISTRATOR)))
        stack.until(lambda: "ok" in self.kubectl("get", "--raw", "/readyz"), "the API server", 120)

    def run_always(self, name, *arguments, log=None, **options):
        """Runs a program of the control plane for as long as the cluster."""
        log = log or self.directory / f"{name}.log"
        return self.enter_context(self.namespace.start(sandbox.program(name), *arguments, log=log, **options))

    def kubectl(self, *arguments, manifest=None, limit=60):
        """Runs kubectl as the administrator; `manifest` is what `-f -` reads."""
        command = [sandbox.program("kubectl"), "--kubeconfig", self.kubeconfig, *arguments]
        text = manifest if manifest is None or isinstance(manifest, str) else yaml.safe_dump_all(manifest)
        return self.namespace.run(*command, input=text, timeout=limit)

    def apply(self, *manifests, namespace="shop"):
        return self.kubectl("apply", "--server-side", "--force-conflicts", "--namespace", namespace, "-f", "-", manifest=list(manifests))

    def get(self, kind, name=None, namespace="shop"):
        return json.loads(self.kubectl("get", kind, *([name] if name else []), "--namespace", namespace, "-o", "json"))

    # Istio

    def install(self):
        """Applies Istio's own installation manifest, less what needs controllers or a kubelet."""
        manifests = [one for one in installation() if one["kind"] not in NOT_RUN]
        for one in manifests:
            if one["kind"].endswith("WebhookConfiguration"):
                use_urls(one)
            if one["kind"] == "ConfigMap" and one["metadata"]["name"] == "istio":
                one["data"]["mesh"] = mesh_configuration(one["data"]["mesh"])
        first = [one for one in manifests if one["kind"] in CLUSTER_WIDE]
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}, *first, namespace="istio-system")
        self.kubectl("wait", "--for", "condition=Established", "crd", "--all", "--timeout", "60s", limit=90)
        self.apply(*[one for one in manifests if one not in first], namespace="istio-system")

    def start_istiod(self):
        directory = self.directory / "istiod"
        arguments = ["discovery", "--kubeconfig", self.kubeconfig, "--domain", "cluster.local", "--monitoringAddr", ":15014"]
        environment = ISTIOD | self.settings
        start = self.namespace.start(
            sandbox.program(self.discovery), *arguments, log=self.directory / "istiod.log", cwd=directory, env=environment
        )
        self.istiod.enter_context(start)
        stack.until(lambda: self.fetch("http://127.0.0.1:8080/ready") is not None, "istiod", 120)
        stack.until(self.webhooks_have_authorities, "the webhooks' authorities", 60)

    def stop_istiod(self):
        self.istiod.close()

    def webhooks_have_authorities(self):
        kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
        found = [hook["clientConfig"] for kind in kinds for one in self.get(kind)["items"] for hook in one["webhooks"]]
        return found and all(one.get("caBundle") for one in found)

    def fetch(self, url):
        """What an HTTP server in the control plane's network answers."""
        with self.namespace.entered():
            return stack.get(url)

    # Beside it

    def serve_keys(self, keys):
        """An authorization server's JWK set for istiod, at `keys_url`."""
        self.keys_url = f"http://{MIDDLE}:{KEYS_PORT}/jwks"
        with self.namespace.entered():
            server = stack.http.server.ThreadingHTTPServer((MIDDLE, KEYS_PORT), answering(keys))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.callback(server.server_close)
        self.callback(server.shutdown)

    def start_registry(self):
        """The registry of the plugin's image; it holds nothing yet."""
        self.registry = self.enter_context(contextlib.ExitStack())
        start = self.namespace.start(sandbox.program("registry"), REGISTRY, log=self.directory / "registry.log")
        self.registry_process = self.registry.enter_context(start)
        stack.until(lambda: self.fetch(f"http://{REGISTRY}/v2/") is not None, "the registry", 30)

    def push(self, wasm, tag, image=IMAGE):
        """Pushes the image that `make package` ships of this file; the digest of its manifest."""
        layout = self.directory / f"layout-{image}-{tag}"
        command = [sys.executable, stack.ROOT / "packaging/oci.py", "wasm", layout, wasm]
        digest = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
        with self.namespace.entered():
            for blob in (layout / "blobs/sha256").iterdir():
                place = send("POST", f"http://{REGISTRY}/v2/{image}/blobs/uploads/").headers["Location"]
                send("PUT", f"http://{REGISTRY}{place}?digest=sha256:{blob.name}", blob.read_bytes())
            manifest = (layout / "blobs/sha256" / digest.removeprefix("sha256:")).read_bytes()
            kind = "application/vnd.oci.image.manifest.v1+json"
            send("PUT", f"http://{REGISTRY}/v2/{image}/manifests/{tag}", manifest, **{"content-type": kind})
        return digest.removeprefix("sha256:")


def send(method, url, body=b"", **headers):
    request = urllib.request.Request(url, data=body, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return answer


def answering(body):
    class Handler(stack.Echo):
        def do_GET(self):
            self.answer(200, body)

    return Handler


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, timeout=60)


def kubeconfig(token):
    cluster = {"server": API_SERVER, "insecure-skip-tls-verify": True}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "user"}}],
        "current-context": "test",
    }


def installation():
    command = [sandbox.program("istioctl"), "manifest", "generate", "--set", "profile=minimal"]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    return [one for one in yaml.safe_load_all(made) if one]


def use_urls(configuration):
    """Names istiod by URL: without controllers no Service has endpoints."""
    for hook in configuration["webhooks"]:
        service = hook["clientConfig"].pop("service")
        hook["clientConfig"]["url"] = f"https://{ISTIOD_NAMES[0]}:15017{service['path']}"


def mesh_configuration(text):
    mesh = yaml.safe_load(text)
    mesh.pop("defaultProviders", None)
    return yaml.safe_dump(mesh)

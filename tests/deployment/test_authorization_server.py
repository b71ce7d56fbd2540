"""A real authorization server (oidc-provider, OpenID-certified): JWT and opaque tokens, and a chain of two hops."""

import contextlib
import json
import pathlib
import ssl
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

import stack

SERVER = stack.ROOT / "target/authorization-server/server.mjs"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class AuthorizationServer:
    """The running server, as its clients see it: each authenticates with its certificate."""

    def __init__(self, demo):
        self.demo, self.port, self.jwks_port = demo, stack.free_port(), stack.free_port()
        self.issuer = f"https://127.0.0.1:{self.port}"

    @contextlib.contextmanager
    def running(self):
        log = self.demo.directory / "authorization-server.log"
        with stack.process("node", SERVER, self.port, self.jwks_port, self.demo.directory / "pki", log=log):
            try:
                stack.until(lambda: stack.get(f"http://127.0.0.1:{self.jwks_port}/jwks"), "the authorization server")
                yield self
            except (AssertionError, urllib.error.HTTPError) as error:
                raise AssertionError(f"{error}\n{log.read_text()[-2000:]}") from error

    def post(self, path, certificate, **form):
        pki = self.demo.pki
        context = ssl.create_default_context(cafile=str(pki("ca.pem")))
        context.load_cert_chain(pki(f"{certificate}.pem"), pki(f"{certificate}.key"))
        body = urllib.parse.urlencode(form).encode()
        with urllib.request.urlopen(f"{self.issuer}{path}", body, timeout=10, context=context) as answer:
            return json.load(answer)

    def token(self, client, certificate, resource, **form):
        form = {"grant_type": "client_credentials", "scope": "orders"} | form
        return self.post("/token", certificate, client_id=client, resource=resource, **form)["access_token"]

    def exchange(self, subject_token):
        form = {"grant_type": EXCHANGE, "subject_token": subject_token, "subject_token_type": ACCESS_TOKEN}
        return self.token("service-a", "client-p384", "https://b.demo", **form)

    def introspect(self, token):
        return self.post("/token/introspection", "client-rsa", client_id="introspector", token=token)


class Chain(unittest.TestCase):
    def setUp(self):
        directory = self.enterContext(tempfile.TemporaryDirectory())
        self.demo = stack.Demo(directory)
        self.server = self.enterContext(AuthorizationServer(self.demo).running())

    def test_two_hops_each_with_a_token_of_its_own(self):
        b = self.verifier("b", self.enterContext(stack.serve(stack.Echo)))
        seen = {}
        a = self.verifier("a", self.enterContext(stack.serve(self.service_a(b, seen))))
        token = self.server.token("a-client", "client", "https://a.demo")

        answer = self.demo.request(a, token)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        exchanged = stack.claims(seen["exchanged"])
        self.assertEqual((exchanged["sub"], exchanged["act"]), ("a-client", {"sub": "service-a"}))
        self.assertEqual(exchanged["cnf"]["tls_exp"], "EXPORTER-oauth-tls-session-bound")

        # Neither token is worth anything on the other hop, nor without a proof, nor to a thief.
        self.refused(self.demo.request(b, token, client="client-p384"), 403)
        self.refused(self.demo.request(b, seen["exchanged"]), 401)
        self.refused(self.demo.request(a, token, "--no-proof"), 401)
        self.refused(self.demo.request(a, token, client="thief"), 401)

    def test_a_token_of_a_client_that_is_not_session_bound_needs_its_certificate_and_no_proof(self):
        a = self.verifier("a", self.enterContext(stack.serve(stack.Echo)))
        token = self.server.token("an-old-client", "client-rsa", "https://a.demo")
        self.assertEqual(self.demo.request(a, token, "--no-proof", client="client-rsa").returncode, 0)
        self.refused(self.demo.request(a, token, "--no-proof", client="thief"), 401)

    def test_opaque_tokens_are_bound_by_what_introspection_says(self):
        introspection = self.enterContext(stack.serve(self.introspection()))
        port = self.opaque(introspection, self.enterContext(stack.serve(stack.Echo)))
        token = self.server.token("a-client", "client", "https://opaque.demo")
        self.assertNotIn(".", token)
        self.assertEqual(self.demo.request(port, token, "--repeat", "2").returncode, 0)
        self.refused(self.demo.request(port, token, "--no-proof"), 401)
        self.refused(self.demo.request(port, token, client="thief"), 401)
        self.refused(self.demo.request(port, "an-unknown-token"), 401)

        old = self.server.token("an-old-client", "client-rsa", "https://opaque.demo")
        self.assertEqual(self.demo.request(port, old, "--no-proof", client="client-rsa").returncode, 0)
        self.refused(self.demo.request(port, old, "--no-proof"), 401)

    def test_opaque_tokens_are_refused_while_nobody_says_what_they_are_bound_to(self):
        port = self.opaque(stack.free_port(), self.enterContext(stack.serve(stack.Echo)))
        self.refused(self.demo.request(port, self.server.token("a-client", "client", "https://opaque.demo")), 403)

    def refused(self, answer, status):
        self.assertEqual(answer.returncode, 1, answer.stderr)
        self.assertIn(f"status: {status}", answer.stderr)

    def verifier(self, name, service):
        """An Envoy that fetches the authorization server's keys over HTTP."""
        bootstrap = stack.shipped("ingress.yaml", self.demo.directory)
        filters = stack.http_filters(bootstrap)
        (provider,) = filters["envoy.filters.http.jwt_authn"]["providers"].values()
        del provider["local_jwks"]
        uri = {"uri": f"http://127.0.0.1:{self.server.jwks_port}/jwks", "cluster": "keys", "timeout": "5s"}
        provider |= {"issuer": self.server.issuer, "audiences": [f"https://{name}.demo"], "remote_jwks": {"http_uri": uri}}
        bootstrap["static_resources"]["clusters"].append(stack.cluster("keys", self.server.jwks_port))
        return self.envoy(name, bootstrap, service)

    def opaque(self, introspection, service):
        text = json.dumps(stack.shipped("introspection.yaml", self.demo.directory))
        bootstrap = json.loads(text.replace('"port_value": 8081', f'"port_value": {introspection}'))
        return self.envoy("opaque", bootstrap, service)

    def envoy(self, name, bootstrap, service):
        directory = pathlib.Path(self.demo.directory, name)
        directory.mkdir()
        admin = self.enterContext(stack.envoy(stack.with_service(bootstrap, service), directory))
        return stack.listener_port(admin, "ingress")

    def service_a(self, next_hop, seen):
        """A service that exchanges the caller's token for one of its own and calls the next service with it."""
        demo, server = self.demo, self.server

        class ServiceA(stack.Echo):
            def do_GET(self):
                seen["exchanged"] = server.exchange(self.headers["authorization"].removeprefix("Bearer "))
                answer = demo.request(next_hop, seen["exchanged"], client="client-p384")
                self.answer(200 if answer.returncode == 0 else 502, answer.stdout or answer.stderr)

        return ServiceA

    def introspection(self):
        """What a service beside Envoy does for ext_authz: introspects, and tells what Envoy needs to know."""
        server = self.server

        class Introspection(stack.Echo):
            def do_GET(self):
                token = self.headers.get("authorization", "").removeprefix("Bearer ")
                found = server.introspect(token)
                if not found["active"]:
                    return self.answer(401, "", **{"www-authenticate": 'Bearer error="invalid_token"'})
                cnf = {f"token-{name.lower().replace('#', '-').replace('_', '-')}": value for name, value in found.get("cnf", {}).items()}
                self.answer(200, "", **{"token-active": "true"}, **cnf)

        return Introspection


if __name__ == "__main__":
    unittest.main()

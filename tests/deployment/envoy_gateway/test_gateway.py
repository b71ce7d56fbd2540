"""The shipped manifests under the real Envoy Gateway and a stock Envoy: what is admitted, whoever changes what."""

import base64
import copy
import json
import pathlib
import threading
import time
import unittest

import yaml

import stack
from envoy_gateway import gateway

HERE = pathlib.Path(__file__).resolve().parent
FILTER, PUBLISH, PURGE = "tls_session_binding", "tls_session_binding_publish", "tls_session_binding_purge"
JWT, ROUTER, MANAGER = "envoy.filters.http.jwt_authn", "envoy.filters.http.router", "envoy.filters.network.http_connection_manager"


def forged(token):
    """The same claims with the thumbprint of another certificate, and a signature that is none."""
    header, payload, _ = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    claims["cnf"] = {"x5t#S256": "A" * 43}
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{header}.{changed}.{'A' * 86}"


def proof_for_another_connection(one, token):
    files = ("--cert", one.demo.pki("client.pem"), "--key", one.demo.pki("client.key"))
    return stack.session_binding("proof", *files, "--token", token, "--exporter", "A" * 43).strip()


def attacks(one):
    """Requests that must never be admitted, with the answer of the untouched gateway to each."""
    token = one.demo.token()
    proof = f"session-binding-proof: {proof_for_another_connection(one, token)}"
    yield "a stolen token", one.ask(token, client="thief"), 401
    yield "a stolen token for the other host", one.ask(token, client="thief", host="localhost"), 401
    yield "a stolen token over HTTP/1.1 without proof", one.ask(token, "--http1", "--no-proof", client="thief"), 401
    yield "the own certificate without proof", one.ask(token, "--no-proof"), 401
    yield "a proof for another connection", one.ask(token, "--no-proof", "--header", proof), 401
    yield "a forged token", one.ask(forged(token)), 401
    yield "rubbish for a token", one.ask("a.b.c", "--no-proof"), 401
    yield "a token of another issuer", one.ask(one.demo.token(issuer="https://other")), 401
    yield "a token for another service", one.ask(one.demo.token(audience="https://other")), 403
    yield "a token that is not session-bound", one.ask(one.demo.token("--no-tls-exp"), "--no-proof"), 401
    yield "no token", one.bare(), 401
    yield "a stolen token in another header", one.bare(f"x-token: {token}", client="thief"), 401


class Running(unittest.TestCase):
    """One gateway for all tests of the class."""

    @classmethod
    def setUpClass(cls):
        cls.gateway = cls.enterClassContext(gateway.gateway())
        cls.enterClassContext(cls.gateway.running())
        cls.gateway.ready()

    def test_a_proven_request_is_admitted_on_both_hosts_and_by_both_versions_of_http(self):
        for host in ("service.demo", "localhost"):
            for version in ("--http1", "--http2"):
                self.assertEqual(self.gateway.ask(self.gateway.demo.token(), version, "--repeat", "3", host=host), 200)

    def test_every_attack_gets_its_answer(self):
        for what, status, right in attacks(self.gateway):
            with self.subTest(what=what):
                self.assertEqual(status, right)

    def test_without_client_certificate_and_in_plain_text_nobody_is_answered(self):
        url = f"127.0.0.1:{gateway.PORT}/orders"
        for options in (["--insecure", "--connect-to", "service.demo:18443:127.0.0.1:18443", "https://service.demo:18443/orders"], [f"http://{url}"]):
            line = self.gateway.namespace.command("curl", "--silent", "--max-time", "10", *options)
            done = gateway.subprocess.run(line, capture_output=True, text=True, timeout=30)
            self.assertNotEqual(done.returncode, 0, done.stdout)

    def test_every_chain_has_the_filters_in_the_only_safe_order(self):
        (listener,) = [one for one in self.gateway.listeners().values() if "18443" in json.dumps(one["address"])]
        self.assertEqual(len(listener["filter_chains"]), 2)
        for chain in listener["filter_chains"]:
            self.assertEqual(chain["transport_socket"]["name"], "tls_session_binding_module")
            self.assertEqual(chain["transport_socket_connect_timeout"], "10s")
            self.assertEqual([one["name"] for one in chain["filters"]], [PURGE, PUBLISH, MANAGER])
            names = [one["name"] for one in chain["filters"][-1]["typed_config"]["http_filters"]]
            self.assertEqual(names[-2:], [FILTER, ROUTER])
            self.assertIn(JWT, names[:-2])

    def test_bindings_are_purged_and_statistics_have_the_names_of_the_monitoring(self):
        self.gateway.ask(self.gateway.demo.token())
        self.gateway.ask(self.gateway.demo.token(), client="thief")
        purged = "wasmcustom.session_binding.cache.purged: "
        stack.until(lambda: int(self.gateway.admin("/stats?filter=cache.purged").partition(purged)[2].split()[0]), "purged")
        text = stack.until(lambda: self.gateway.admin("/stats?format=prometheus&filter=session_binding"), "statistics")
        self.assertIn('reason="certificate_not_confirmed"', text)
        self.assertIn('verdict="session_bound"', text)

    def test_no_neighbour_lets_a_stolen_or_forged_token_in(self):
        jwks = (self.gateway.demo.directory / "as/jwks.json").read_text()
        untouched, last = copy.deepcopy(self.gateway.resources), None
        for neighbour in yaml.safe_load((HERE / "neighbours.yaml").read_text()):
            resource = json.loads(json.dumps(neighbour["resource"]).replace('"JWKS"', json.dumps(jwks)))
            key = resource["kind"], resource["metadata"]["name"]
            gone, last = [last] if last and last != key else [], key
            with self.subTest(neighbour=neighbour["name"]):
                self.gateway.changed(resource, gone=gone)
                self.assertEqual(self.gateway.ask(self.gateway.demo.token()), neighbour["good"], self.gateway.last)
                for what, status, _ in attacks(self.gateway):
                    self.assertNotEqual(status, 200, what)
        self.gateway.changed(*untouched.values(), gone=[last])
        self.assertEqual(self.gateway.ask(self.gateway.demo.token()), 200, self.gateway.last)

    def test_a_change_under_load_loses_nothing_and_admits_nobody(self):
        policy = copy.deepcopy(self.gateway.resources["EnvoyPatchPolicy", "tls-session-binding"])
        changed = json.loads(json.dumps(policy).replace('\\"binding\\": \\"required\\",', '\\"binding\\": \\"required\\", \\"max_proof_age\\": \\"200s\\",'))
        self.assertNotEqual(policy, changed)
        wrong, stop = [], threading.Event()
        counts = [0, 0]

        def load(which, right, **options):
            token = self.gateway.demo.token()
            while not stop.is_set():
                status = self.gateway.ask(token, **options)
                counts[which] += 1
                if status != right:
                    wrong.append((which, status))

        threads = [threading.Thread(target=load, args=(0, 200)), threading.Thread(target=load, args=(1, 401), kwargs={"client": "thief"})]
        for thread in threads:
            thread.start()
        try:
            for document in (changed, policy):
                self.gateway.changed(document)
                time.sleep(2)
        finally:
            stop.set()
            for thread in threads:
                thread.join(60)
        self.assertEqual(wrong, [])
        self.assertGreater(min(counts), 5)


class Missing(unittest.TestCase):
    """Where a part is missing nobody is admitted."""

    def nobody(self, one, said):
        stack.until(lambda: said in one.words(), f"{said!r} in what is logged", gateway.START_LIMIT)
        for client in ("client", "thief"):
            self.assertEqual(one.ask(one.demo.token(), client=client), 0, one.last)

    def test_without_the_patches_no_handshake_succeeds(self):
        with gateway.gateway() as one, one.running(patches=False):
            stack.until(lambda: one.listeners(), "a listener", gateway.START_LIMIT)
            self.nobody(one, "EnvoyPatchPolicy is disabled")
            # What a refused client reads is its own luck: the end of the connection may overtake the alert.
            stack.until(lambda: one.stat("ssl.fail_verify_error") >= 2, "the refused certificates in Envoy's statistics", 20)
            self.assertEqual((one.stat("ssl.handshake"), one.stat("http.https-18443.downstream_rq_total")), (0, 0))

    def test_an_older_envoy_refuses_the_listener(self):
        older = stack.ROOT / "target/versions/1.39.3/envoy/_bin/envoy"
        with gateway.gateway() as one, one.running(binary=older):
            self.nobody(one, "transport_socket_get_connection_id")


if __name__ == "__main__":
    unittest.main()

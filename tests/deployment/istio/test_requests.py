"""What each kind of request is answered, through both sidecars and straight at the verifier's port."""

import contextlib
import json
import socket
import unittest

from OpenSSL import SSL

import stack
from istio import direct, mesh


class ThroughBothSidecars(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()

    def test_a_good_request_is_admitted_and_the_service_sees_no_proof(self):
        answer = self.mesh.ask(self.mesh.token())
        self.assertEqual(answer.status, 200, answer)
        self.assertNotIn("session-binding-proof", answer.body)

    def test_a_request_without_a_token_is_refused(self):
        self.assertEqual(self.mesh.ask().status, 401)

    def test_rubbish_and_a_token_for_another_audience_are_refused(self):
        self.assertEqual(self.mesh.ask("rubbish").status, 401)
        self.assertEqual(self.mesh.ask(self.mesh.token(audience="https://other.example.com")).status, 403)
        self.assertEqual(self.mesh.ask(self.mesh.token(issuer="https://other.example.com")).status, 401)

    def test_a_stolen_token_is_refused_at_the_thiefs_own_proving_sidecar(self):
        answer = self.mesh.ask(self.mesh.token(), "thief")
        self.assertEqual(answer.status, 401)
        self.assertIn("another client certificate", answer.error)

    def test_http_2_of_the_application_is_admitted_and_refused_alike(self):
        for owner, expected in (("client", "200"), ("thief", "401")):
            command = ["curl", "--silent", "--show-error", "--http2-prior-knowledge", "--output", "/dev/null", "--max-time", "20"]
            command += ["--write-out", "%{http_version} %{http_code}", "--header", f"Authorization: Bearer {self.mesh.token('client')}"]
            command += ["--header", f"Host: {mesh.HOST}", f"http://{mesh.SERVICE_ADDRESS}:8080/orders"]
            self.assertEqual(self.mesh.pods[owner].namespace.run(*command), f"2 {expected}")

    def test_a_refused_grpc_call_is_told_in_grpcs_words(self):
        answer = self.mesh.ask(self.mesh.token(), "thief", **{"content-type": "application/grpc"})
        self.assertEqual((answer.status, answer.headers["grpc-status"]), (200, "16"))

    def test_an_event_stream_passes_whole(self):
        answer = self.mesh.ask(self.mesh.token(), path="/events")
        self.assertEqual((answer.status, answer.body.count("data:")), (200, 3))

    def test_a_websocket_is_opened_with_a_bound_token_alone(self):
        self.assertEqual(self.upgrade("client"), (101, b"frames as they come"))
        self.assertEqual(self.upgrade("thief")[0], 401)
        self.assertEqual(self.mesh.ask(self.mesh.token()).status, 200)

    def upgrade(self, application):
        with self.mesh.pods[application].namespace.entered():
            opened = socket.create_connection((mesh.SERVICE_ADDRESS, 8080), 20)
        with opened:
            lines = ["GET /socket HTTP/1.1", f"host: {mesh.HOST}", "upgrade: websocket", "connection: Upgrade"]
            lines += ["sec-websocket-version: 13", "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==", f"authorization: Bearer {self.mesh.token()}"]
            opened.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
            answer = direct.read_answer(lambda: opened.recv(65536))
            if answer.status != 101:
                return answer.status, None
            opened.sendall(b"frames as they come")
            return answer.status, opened.recv(65536)


class AtTheVerifiersPort(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()

    def test_a_client_without_sidecar_is_admitted_with_its_own_proof(self):
        token, identity = self.mesh.token(), self.mesh.identity("client")
        with self.mesh.connect("client") as connection:
            proof = identity.proof(token, connection.exporter)
            answer = connection.request(authorization=f"Bearer {token}", session_binding_proof=proof)
            self.assertEqual(answer.status, 200, answer)
            self.assertNotIn(proof, answer.body)

    def test_a_stolen_token_with_another_certificate_is_refused(self):
        answer = self.mesh.steal(self.mesh.token())
        self.assertEqual(answer.status, 401)
        self.assertIn('error="invalid_token"', answer.error)

    def test_the_own_certificate_without_a_proof_is_refused(self):
        with self.mesh.connect("client") as connection:
            answer = connection.request(authorization=f"Bearer {self.mesh.token()}")
        self.assertEqual(answer.status, 401)
        self.assertIn('error="use_session_binding"', answer.error)

    def test_a_proof_of_another_connection_is_refused(self):
        token, identity = self.mesh.token(), self.mesh.identity("client")
        with self.mesh.connect("client") as first, self.mesh.connect("client") as second:
            proof = identity.proof(token, first.exporter)
            self.assertEqual(first.request(authorization=f"Bearer {token}", session_binding_proof=proof).status, 200)
            answer = second.request(authorization=f"Bearer {token}", session_binding_proof=proof)
        self.assertEqual(answer.status, 401)
        self.assertIn('error="invalid_proof"', answer.error)

    def test_on_every_worker_each_connection_has_bindings_of_its_own(self):
        """Connections are spread over the workers by the kernel: of twenty, one worker has all of them once in 500,000 runs."""
        for name in ("service", "client"):
            options = json.loads(self.mesh.pods[name].fetch("http://127.0.0.1:15000/server_info"))["command_line_options"]
            self.assertEqual(options["concurrency"], 2, name)
        token, identity = self.mesh.token(), self.mesh.identity("client")
        bearer, before = {"authorization": f"Bearer {token}"}, None
        with contextlib.ExitStack() as open_ones:
            for _ in range(20):
                connection = open_ones.enter_context(self.mesh.connect("client"))
                if before:
                    self.assertEqual(connection.request(**bearer, session_binding_proof=before).status, 401)
                before = identity.proof(token, connection.exporter)
                self.assertEqual([connection.request(**bearer, session_binding_proof=before).status for _ in range(2)], [200, 200])

    def test_a_token_somewhere_else_than_in_authorization_is_refused(self):
        token = self.mesh.token()
        with self.mesh.connect("client") as connection:
            self.assertEqual(connection.request(x_token=token).status, 401)
            self.assertEqual(connection.request(path=f"/orders?access_token={token}").status, 401)

    def test_plain_text_is_refused(self):
        with self.mesh.cluster.namespace.entered():
            opened = socket.create_connection((mesh.ADDRESSES["service"], 8080), 20)
        with opened, self.assertRaises((ConnectionError, OSError)):
            opened.sendall(f"GET / HTTP/1.1\r\nhost: {mesh.HOST}\r\nauthorization: Bearer {self.mesh.token()}\r\n\r\n".encode())
            direct.read_answer(lambda: opened.recv(65536))

    def test_no_certificate_and_a_certificate_of_another_authority_end_the_connection(self):
        pki = self.mesh.directory / "pki"
        stranger = direct.Identity(pki / "client.pem", pki / "client.key")
        for identity in (None, stranger):
            with self.subTest(identity=identity), self.assertRaises((ConnectionError, SSL.Error, OSError)):
                address = (mesh.ADDRESSES["service"], 8080)
                with direct.Connection(self.mesh.cluster.namespace, address, identity) as connection:
                    connection.request(authorization=f"Bearer {self.mesh.token()}")


class Configuration(unittest.TestCase):
    """What istiod made of the manifests, read from Envoy."""

    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        cls.mesh.ask(cls.mesh.token())

    def inbound(self):
        """The filter chains of the service's HTTP port, TLS ones."""
        listeners = self.mesh.configuration()["ListenersConfigDump"]["dynamic_listeners"]
        (inbound,) = [one["active_state"]["listener"] for one in listeners if one["name"] == "virtualInbound"]
        return [one for one in inbound["filter_chains"] if one["filter_chain_match"].get("destination_port") == 8080]

    def test_filters_are_in_the_only_safe_order(self):
        (chain,) = [one for one in self.inbound() if one["filter_chain_match"].get("transport_protocol") == "tls"]
        self.assertEqual(chain["transport_socket"]["name"], "tls_session_binding_module")
        names = [one["name"] for one in chain["filters"]]
        self.assertEqual(names[-2:], ["tls_session_binding_publish", "envoy.filters.network.http_connection_manager"])
        self.assertTrue(any("tls-session-binding-purge" in name for name in names[:-2]), names)
        names = [one["name"] for one in chain["filters"][-1]["typed_config"]["http_filters"]]
        (ours,) = [name for name in names if "tls-session-binding" in name]
        # Of the two filters rbac the first holds Istio's DENY policies and the second those that allow.
        wanted = ["envoy.filters.http.jwt_authn", ours, *["envoy.filters.http.rbac"] * 2]
        wanted += ["tls_session_binding_verdict", "envoy.filters.http.router"]
        self.assertEqual([name for name in names if name in wanted], wanted)
        self.assertEqual(names[names.index("envoy.filters.http.jwt_authn") + 1], ours)
        self.assertEqual(names[-2:], wanted[-2:])

    def test_no_chain_of_the_port_takes_plain_text(self):
        self.assertEqual({one["filter_chain_match"].get("transport_protocol") for one in self.inbound()}, {"tls"})

    def test_every_tls_chain_has_the_modules_socket(self):
        listeners = self.mesh.configuration()["ListenersConfigDump"]["dynamic_listeners"]
        for listener in listeners:
            for chain in listener["active_state"]["listener"].get("filter_chains", []):
                if listener["name"] == "virtualInbound" and chain["filter_chain_match"].get("transport_protocol") == "tls":
                    self.assertEqual(chain["transport_socket"]["name"], "tls_session_binding_module", chain.get("name"))

    def test_the_clients_cluster_has_socket_protocol_and_prover(self):
        clusters = self.mesh.configuration("client")["ClustersConfigDump"]["dynamic_active_clusters"]
        (cluster,) = [one["cluster"] for one in clusters if one["cluster"]["name"].startswith("outbound|8080||service.shop")]
        self.assertEqual(cluster["transport_socket"]["name"], "tls_session_binding_module")
        (options,) = cluster["typed_extension_protocol_options"].values()
        self.assertIn("http2_protocol_options", options["explicit_http_config"])
        self.assertEqual(options["http_filters"][0]["name"], "tls_session_binding_prover")
        self.assertEqual(cluster["circuit_breakers"]["thresholds"][0]["max_retries"], 1024)

    def test_the_clients_route_sends_a_refused_proof_once_more(self):
        routes = self.mesh.configuration("client")["RoutesConfigDump"]["dynamic_route_configs"]
        found = [host for one in routes for host in one["route_config"].get("virtual_hosts", []) if host["name"] == mesh.HOST]
        policy = found[0]["routes"][0]["route"]["retry_policy"]
        self.assertIn("retriable-headers", policy["retry_on"])
        self.assertEqual(policy["num_retries"], 1)
        self.assertIn("www-authenticate", [one["name"] for one in policy["retriable_headers"]])

    def test_a_closed_connections_bindings_are_purged_in_the_plugins_shared_vm(self):
        token, identity = self.mesh.token(), self.mesh.identity("client")
        before = self.purged()
        with self.mesh.connect("client") as connection:
            proof = identity.proof(token, connection.exporter)
            self.assertEqual(connection.request(authorization=f"Bearer {token}", session_binding_proof=proof).status, 200)
        stack.until(lambda: self.purged() > before, "the purge", 30)

    def purged(self):
        return value(self.mesh.statistics(), "session_binding_cache_purged")


def value(statistics, name):
    lines = [line for line in statistics.splitlines() if line.startswith(name) and not line.startswith("#")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


if __name__ == "__main__":
    unittest.main()

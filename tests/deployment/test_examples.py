"""The clients under `examples/`, under load, against the shipped ingress."""

import concurrent.futures
import json
import re
import subprocess
import sys
import tempfile
import threading
import unittest
from unittest import mock

import requests
from urllib3.util import Retry

import stack
from test_proxy import Relay, Service

EXAMPLES = stack.ROOT / "examples"
GUIDE = stack.ROOT / "docs/client-authors-guide.md"
sys.path.insert(0, str(EXAMPLES / "python"))
import session_binding  # noqa: E402

THREADS = 20
REQUESTS = 20
PER_CONNECTION = 7
TOKENS = 5
LIMIT = 120


class Examples(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        cls.demo = stack.Demo(enter(tempfile.TemporaryDirectory()))
        bootstrap = stack.with_service(stack.shipped("ingress.yaml", cls.demo.directory), enter(stack.serve(Service)))
        stack.connection_manager(bootstrap)["common_http_protocol_options"]["max_requests_per_connection"] = PER_CONNECTION
        cls.ingress = stack.listener_port(enter(stack.envoy(bootstrap, cls.demo.directory)), "ingress")
        cls.tokens = [cls.demo.token(subject=f"user{number}") for number in range(TOKENS)]

    def setUp(self):
        self.relay = Relay(self.ingress)
        self.addCleanup(self.relay.close)
        self.url = f"https://127.0.0.1:{self.relay.own_port}/mirror"

    def cut_under_load(self):
        """Cuts all connections once, when there were many; there will be more."""

        def cut():
            stack.until(lambda: self.relay.taken > 2 * THREADS, "connections", LIMIT)
            self.relay.cut()

        thread = threading.Thread(target=cut)
        thread.start()
        self.addCleanup(thread.join)

    def session(self, client="client", **options):
        pki = self.demo.pki
        files = (pki(f"{client}.pem"), pki(f"{client}.key"), pki("ca.pem"))
        adapter = session_binding.SessionBinding(*files, server_name="service.demo", **options)
        session = self.enterContext(requests.Session())
        session.mount("https://", adapter)
        return session

    def ask(self, session, token, body=None):
        """The answer; what a cut connection lost is repeated, as an application does."""
        headers = {"authorization": f"Bearer {token}"}
        for left in reversed(range(10)):
            try:
                answer = session.request("POST" if body else "GET", self.url, headers=headers, data=body, timeout=60)
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                if not left:
                    raise
            else:
                if answer.status_code == 200:
                    self.assertEqual(answer.text, body or "")
                return answer

    def recorded(self):
        """What is signed from here on: hash of the token and exporter value of each proof."""
        signed, sign = [], session_binding.Binding.sign

        def record(binding, claims):
            signed.append((claims["ath"], claims["ekm"]))
            return sign(binding, claims)

        self.enterContext(mock.patch.object(session_binding.Binding, "sign", record))
        return signed

    def once_per_token_and_connection(self, signed):
        self.assertEqual(len(signed), len(set(map(tuple, signed))))
        connections = {ekm for _, ekm in signed}
        self.assertGreaterEqual(len(connections), THREADS * REQUESTS // PER_CONNECTION)
        self.assertLessEqual(len(connections), self.relay.taken)

    def test_the_adapter_signs_once_per_token_and_connection_and_every_request_passes(self):
        signed = self.recorded()
        session = self.session(pool_maxsize=THREADS, max_retries=Retry(5))
        self.cut_under_load()

        def requests_of(first):
            for number in range(first, first + REQUESTS):
                body = f"body {number}" if number % 2 else None
                yield self.ask(session, self.tokens[number % TOKENS], body).status_code

        with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
            statuses = sum(pool.map(lambda first: list(requests_of(first)), range(THREADS)), [])
        self.assertEqual(statuses, [200] * THREADS * REQUESTS)
        self.once_per_token_and_connection(signed)

    def test_the_adapter_mends_a_refused_proof_with_one_new_one(self):
        signed, session, clock = self.recorded(), self.session(), session_binding.time.time
        for body in (None, "body"):
            with self.subTest(body=body), mock.patch.object(session_binding.time, "time", lambda: clock() - 3600):
                refused = self.ask(session, self.tokens[0], body)
                self.assertEqual((refused.status_code, len(signed)), (401, 2))
            self.assertEqual(self.ask(session, self.tokens[0], body).status_code, 200)
            self.assertEqual(self.ask(session, self.tokens[0], body).status_code, 200)
            self.assertEqual(len(signed), 3)
            signed.clear()
            session = self.session()

    def test_with_the_adapter_the_proof_of_another_connection_and_another_certificate_are_refused(self):
        session = self.session()
        self.assertEqual(self.ask(session, self.tokens[0]).status_code, 200)
        proof = session_binding.Binding.proof
        stolen = []
        with mock.patch.object(session_binding.Binding, "proof", lambda *given: stolen.append(proof(*given)) or stolen[-1]):
            self.assertEqual(self.ask(session, self.tokens[0]).status_code, 200)
        with mock.patch.object(session_binding.Binding, "proof", lambda *_: stolen[0]):
            refused = self.ask(self.session(), self.tokens[0])
        self.assertEqual(refused.status_code, 401)
        self.assertIn('error="invalid_proof"', refused.headers["www-authenticate"])
        self.assertEqual(self.ask(self.session("thief"), self.tokens[0]).status_code, 401)

    def test_the_adapter_trusts_its_own_authorities_alone_and_only_the_service_they_name(self):
        session = self.session()
        session.verify = False
        session.get_adapter(self.url).authorities = str(stack.Demo(self.enterContext(tempfile.TemporaryDirectory())).pki("ca.pem"))
        with self.assertRaises(requests.exceptions.SSLError):
            session.get(self.url, timeout=30)
        session = self.session()
        session.get_adapter(self.url).poolmanager.connection_pool_kw.update(server_hostname="other.demo", assert_hostname="other.demo")
        with self.assertRaises(requests.exceptions.SSLError):
            session.get(self.url, timeout=30)

    def test_nodes_agent_signs_once_per_token_and_connection_and_every_request_passes(self):
        self.cut_under_load()
        command = ["node", stack.HERE / "proxy/agent_load.mjs", self.relay.own_port, self.demo.pki(""), *self.tokens]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=LIMIT)
        self.assertEqual(run.returncode, 0, run.stderr)
        told = json.loads(run.stdout)
        self.assertEqual(told["load"]["statuses"], [200] * THREADS * REQUESTS)
        self.once_per_token_and_connection(told["load"]["signed"])
        with self.subTest("a refused proof is mended with one new one"):
            self.assertEqual(told["refreshed"]["statuses"], [200, 200])
            first, second = told["refreshed"]["signed"]
            self.assertEqual(first, second)
        self.assertEqual(told["stolen"], 401)
        self.assertIn("no proof can be added", told["composed"])

    def test_what_the_guide_shows_stands_in_the_examples(self):
        shown = re.findall(r"<!-- from (\S+) -->\n```\w+\n(.*?)```", GUIDE.read_text(), re.DOTALL)
        self.assertEqual([name for name, _ in shown], ["examples/python/session_binding.py", "examples/node/agent.mjs"])
        for name, part in shown:
            self.assertIn(part, (stack.ROOT / name).read_text(), name)


if __name__ == "__main__":
    unittest.main()

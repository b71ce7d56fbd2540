"""`session-binding proxy` between clients of others' making and the shipped ingress."""

import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import httpx
import requests

import stack

TOKENS = 20
AT_ONCE = 100
HERE = pathlib.Path(__file__).resolve().parent


class Service(stack.Echo):
    """Tells what it got; `/slow` takes its time, `/events` sends one event after the other, `/mirror` gives the body back."""

    def handle(self):
        with contextlib.suppress(OSError):  # of connections that are cut
            super().handle()

    def do_GET(self):
        if self.path.startswith("/socket"):
            return self.switch()
        if self.path.startswith("/events"):
            return self.events()
        if self.path.startswith("/slow"):
            time.sleep(2)
        length = int(self.headers.get("content-length", 0))
        body = self.rfile.read(length)
        if self.headers.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        if self.path.startswith("/mirror"):
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            return self.wfile.write(body)
        return super().do_GET()

    do_POST = do_GET

    def chunk(self):
        data = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return data

    def events(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.5)
        self.close_connection = True

    def switch(self):
        """Echoes what comes after the switch, in capitals."""
        self.send_response(101)
        self.send_header("connection", "upgrade")
        self.send_header("upgrade", "websocket")
        self.end_headers()
        self.wfile.flush()
        while data := self.connection.recv(4096):
            self.connection.sendall(data.upper())
        self.close_connection = True


class Relay:
    """Passes connections on to a port until they are cut."""

    def __init__(self, port):
        self.port, self.open, self.taken = port, [], 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.own_port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.port))
                self.taken += 1
                self.open += [near, far]
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self.copy, args=ends, daemon=True).start()

    def copy(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def cut(self):
        ends, self.open = self.open, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self):
        self.listener.close()
        self.cut()


class Proxy:
    """A running proxy: where it listens, what it wrote."""

    def __init__(self, process, log, address, metrics):
        self.process, self.log, self.address, self.metrics_at = process, log, address, metrics

    @property
    def port(self):
        return int(self.address.rsplit(":", 1)[1])

    @property
    def url(self):
        return f"http://{self.address}"

    def lines(self):
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def observed(self, path):
        return stack.get(f"http://{self.metrics_at}{path}")


class ProxyTests(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        cls.demo = stack.Demo(enter(tempfile.TemporaryDirectory()))
        cls.service = enter(stack.serve(Service))
        bootstrap = stack.with_service(stack.shipped("ingress.yaml", cls.demo.directory), cls.service)
        manager = stack.connection_manager(bootstrap)
        manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]
        cls.ingress = stack.listener_port(enter(stack.envoy(bootstrap, cls.demo.directory)), "ingress")
        cls.tokens = [cls.demo.token(subject=f"user{number}") for number in range(TOKENS)]

    @contextlib.contextmanager
    def proxy(self, *options, listen="127.0.0.1:0", port=None, client="client", ca=None):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        log = directory / "proxy.log"
        pki = self.demo.pki
        command = [stack.COMMAND, "proxy", "--listen", listen, "--upstream", "https://service.demo", "--metrics", "127.0.0.1:0"]
        command += ["--connect", f"127.0.0.1:{port or self.ingress}", "--cacert", ca or pki("ca.pem")]
        if "--cert" not in options:
            command += ["--cert", pki(f"{client}.pem"), "--key", pki(f"{client}.key")]
        with stack.process(*command, *options, log=log) as process:
            place = r"listening on (\S+)\n.*metrics on (\S+)\n"
            found = stack.until(lambda: re.search(place, log.read_text(), re.DOTALL), "the proxy")
            yield Proxy(process, log, *found.groups())

    def ask(self, proxy, path="/orders", token=None, **headers):
        """Status and body of a GET."""
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(proxy.url + path, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    def test_curl_gets_200_over_http1_and_http2_and_the_service_sees_no_proof(self):
        for version in ("--http1.1", "--http2-prior-knowledge"):
            for options in ((), ("--http1",), ("--per-request",)):
                with self.subTest(version=version, options=options), self.proxy(*options) as proxy:
                    command = ["curl", "--silent", "--show-error", "--fail", version, "-H", f"authorization: Bearer {self.tokens[0]}"]
                    command += ["-H", "session-binding-proof: forged", f"{proxy.url}/orders"]
                    for _ in range(2):
                        run = subprocess.run(command, capture_output=True, text=True, timeout=30)
                        self.assertEqual(run.returncode, 0, run.stderr + proxy.log.read_text())
                        seen = json.loads(run.stdout)
                        self.assertEqual(seen["host"], "service.demo")
                        self.assertNotIn("session-binding-proof", seen)
                    proofs = [line["proof"] for line in proxy.lines()]
                    self.assertEqual(proofs, ["made", "made" if "--per-request" in options else "reused"])

    def test_a_unix_socket_serves_its_owner(self):
        path = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "proxy.sock")
        token = path.with_name("token")
        token.write_text(self.tokens[0] + "\n")
        for _ in range(2):
            with self.proxy("--token-file", token, listen=f"unix:{path}"):
                self.assertEqual(path.stat().st_mode & 0o777, 0o600)
                command = ["curl", "--silent", "--fail", "--unix-socket", path, "http://anything/orders"]
                self.assertEqual(subprocess.run(command, capture_output=True, timeout=30).returncode, 0)
            self.assertFalse(path.exists())

    def parallel(self, ask):
        """Statuses of 100 requests at once with 20 tokens."""
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(ask, range(AT_ONCE)))

    def test_pools_of_requests_and_httpx_carry_100_parallel_requests_with_20_tokens(self):
        def answers(ask):
            for number, answer in enumerate(self.parallel(ask)):
                self.assertEqual(answer.status_code, 200, answer.text)
                self.assertEqual(answer.json()["authorization"], f"Bearer {self.tokens[number % TOKENS]}")

        def arguments(proxy, number):
            return f"{proxy.url}/orders?n={number}", {"authorization": f"Bearer {self.tokens[number % TOKENS]}"}

        for options in ((), ("--http1",)):
            with self.subTest(options=options), self.proxy(*options) as proxy:
                session = self.enterContext(requests.Session())
                answers(lambda number: session.get(arguments(proxy, number)[0], headers=arguments(proxy, number)[1], timeout=30))
                for mode in ({"http2": False}, {"http1": False, "http2": True}):
                    client = self.enterContext(httpx.Client(timeout=30, **mode))
                    answers(lambda number: client.post(arguments(proxy, number)[0], headers=arguments(proxy, number)[1], json={}))
                lines = stack.until(lambda: len(proxy.lines()) == 3 * AT_ONCE and proxy.lines(), "the access lines")
                made = sum(line["proof"] == "made" for line in lines)
                connections = {line["connection"] for line in lines}
                self.assertLessEqual(made, TOKENS * len(connections))
                self.assertLessEqual(len(connections), 16)

    def test_nodes_fetch_carries_100_parallel_requests_with_20_tokens(self):
        with self.proxy() as proxy:
            command = ["node", HERE / "proxy/clients.mjs", proxy.port, AT_ONCE, *self.tokens]
            run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60)
            self.assertEqual(run.stdout.strip(), json.dumps({"200": AT_ONCE}, separators=(",", ":")), run.stderr)

    def test_a_connection_that_dies_under_its_requests_loses_none_that_can_be_repeated(self):
        relay = Relay(self.ingress)
        self.addCleanup(relay.close)
        for options in ((), ("--http1", "--max-connections", AT_ONCE)):
            with self.subTest(options=options), self.proxy(*options, port=relay.own_port) as proxy:
                self.assertEqual(self.ask(proxy, token=self.tokens[0])[0], 200)
                cut = threading.Timer(1, relay.cut)
                cut.start()
                statuses = self.parallel(lambda number: self.ask(proxy, "/slow", self.tokens[number % TOKENS])[0])
                self.assertEqual(set(statuses), {200}, proxy.log.read_text()[-3000:])
                self.assertEqual(self.ask(proxy, token=self.tokens[0])[0], 200)

    def test_a_request_that_may_have_been_done_is_not_sent_again(self):
        relay = Relay(self.ingress)
        self.addCleanup(relay.close)
        with self.proxy(port=relay.own_port) as proxy:
            threading.Timer(1, relay.cut).start()
            headers = {"authorization": f"Bearer {self.tokens[0]}"}
            answer = requests.post(f"{proxy.url}/slow", headers=headers, data="x", timeout=30)
            self.assertEqual((answer.status_code, answer.json()["error"]), (502, "exchange_failed"))

    def test_after_a_rotation_of_certificate_and_token_every_request_passes(self):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        files = {name: directory / name for name in ("cert", "key", "token")}

        def put(client):
            for name, source in (("cert", f"{client}.pem"), ("key", f"{client}.key")):
                beside = directory / "beside"
                beside.write_bytes(self.demo.pki(source).read_bytes())
                beside.replace(files[name])
            (directory / "beside").write_text(self.demo.token(client=client))
            (directory / "beside").replace(files["token"])

        put("client")
        options = ("--cert", files["cert"], "--key", files["key"], "--token-file", files["token"])
        with self.proxy(*options) as proxy:
            statuses, stop = [], threading.Event()

            def load():
                while not stop.is_set():
                    began = time.monotonic()
                    statuses.append((began, self.ask(proxy)[0]))

            threads = [threading.Thread(target=load) for _ in range(4)]
            for thread in threads:
                thread.start()
            for client in ("client-p384", "client-rsa", "client"):
                time.sleep(1)
                put(client)
                done = time.monotonic()
                time.sleep(1)
                later = [status for began, status in statuses if began > done]
                self.assertGreater(len(later), 10)
                self.assertEqual(set(later), {200}, client)
            stop.set()
            for thread in threads:
                thread.join()
            self.assertLessEqual({status for _, status in statuses}, {200, 401})
            files["cert"].write_text("not PEM")
            stack.until(lambda: "the old files stay in use" in proxy.log.read_text(), "the proxy's word")
            self.assertEqual(self.ask(proxy)[0], 200)
            self.assertIn("files_refused 1", proxy.observed("/metrics"))

    def test_streams_pass_as_they_come_and_large_bodies_whole(self):
        with self.proxy() as proxy:
            headers = {"authorization": f"Bearer {self.tokens[0]}"}
            with httpx.stream("GET", f"{proxy.url}/events", headers=headers, timeout=30) as answer:
                times = [(time.monotonic(), line) for line in answer.iter_lines() if line]
            self.assertEqual([line for _, line in times], ["data: 0", "data: 1", "data: 2"])
            self.assertGreater(times[-1][0] - times[0][0], 0.8)
            body = os.urandom(10 << 20)
            for data in (body, (body[at : at + 65536] for at in range(0, len(body), 65536))):
                answer = requests.post(f"{proxy.url}/mirror", headers=headers, data=data, timeout=60)
                self.assertTrue(answer.content == body)

    def test_an_upgrade_becomes_a_tunnel(self):
        for options in ((), ("--http1",)):
            with self.subTest(options=options), self.proxy(*options) as proxy:
                with socket.create_connection(("127.0.0.1", proxy.port), 10) as tunnel:
                    head = f"GET /socket HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.tokens[0]}\r\n"
                    tunnel.sendall(f"{head}Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n".encode())
                    answer = tunnel.recv(65536).decode()
                    self.assertTrue(answer.startswith("HTTP/1.1 101"), answer)
                    for word in (b"one", b"two"):
                        tunnel.sendall(word)
                        self.assertEqual(tunnel.recv(65536), word.upper())
                self.assertEqual(self.ask(proxy, token=self.tokens[0])[0], 200)

    def test_its_own_faults_are_never_401(self):
        directory = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        other = stack.Demo(directory / "other")
        closed = stack.free_port()
        silent = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(silent.close)
        quiet = ("--idle-timeout", "1")
        for options, changes, path, expected in (
            ((), {"port": closed}, "/", (502, "connection_failed")),
            ((), {"ca": other.pki("ca.pem")}, "/", (502, "connection_failed")),
            ((), {"port": silent.getsockname()[1]}, "/", (504, "connection_timed_out")),
            (quiet, {}, "/slow", (504, "response_timed_out")),
            (("--token-file", directory / "absent"), {}, "/", (503, "token_unavailable")),
            (("--allow-path", "/a"), {}, "/b", (403, "path_not_allowed")),
        ):
            with self.subTest(expected=expected), self.proxy(*options, **changes) as proxy:
                token = None if "--token-file" in options else self.tokens[0]
                status, body = self.ask(proxy, path, token)
                self.assertEqual((status, json.loads(body)["error"]), expected)
                self.assertIn(f'faults_total{{fault="{expected[1]}"}} 1', proxy.observed("/metrics"))

    def test_with_a_token_file_web_pages_are_refused(self):
        token = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()), "token")
        token.write_text(self.tokens[0])
        with self.proxy("--token-file", token) as proxy:
            self.assertEqual(self.ask(proxy)[0], 200)
            for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"}):
                self.assertEqual(self.ask(proxy, **headers)[0], 403, headers)

    def test_the_services_own_refusals_pass_as_they_are(self):
        with self.proxy(client="thief") as proxy:
            status, _ = self.ask(proxy, token=self.tokens[0])
            self.assertEqual(status, 401)
            connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
            connection.request("GET", "/", headers={"authorization": f"Bearer {self.tokens[0]}"})
            self.assertIn('error="invalid_token"', connection.getresponse().headers["www-authenticate"])
            connection.close()
            self.assertEqual(self.ask(proxy)[0], 401)

    def test_it_listens_on_loopback_only_unless_told_otherwise(self):
        pki = self.demo.pki
        command = [stack.COMMAND, "proxy", "--listen", "0.0.0.0:0", "--upstream", "https://service.demo", "--cert", pki("client.pem")]
        command += ["--key", pki("client.key"), "--cacert", pki("ca.pem")]
        run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=10)
        self.assertEqual(run.returncode, 2)
        self.assertIn("--listen-anywhere", run.stderr)
        with self.proxy("--listen-anywhere", listen="0.0.0.0:0") as proxy:
            self.assertTrue(proxy.address.startswith("0.0.0.0:"))

    def test_sigterm_lets_requests_end_and_takes_no_more(self):
        with self.proxy() as proxy:
            with concurrent.futures.ThreadPoolExecutor() as pool:
                slow = pool.submit(self.ask, proxy, "/slow", self.tokens[0])
                stack.until(lambda: "requests_under_way 1" in proxy.observed("/metrics"), "the request")
                self.assertTrue(json.loads(proxy.observed("/status"))["ready"])
                proxy.process.send_signal(signal.SIGTERM)
                time.sleep(0.3)
                with self.assertRaises(OSError):
                    self.ask(proxy)
                self.assertEqual(slow.result()[0], 200)
            self.assertEqual(proxy.process.wait(10), 0)

    def test_it_writes_no_secret(self):
        with self.proxy() as proxy:
            self.ask(proxy, f"/orders?access_token={self.tokens[0]}", self.tokens[1], Cookie=self.tokens[2])
            self.ask(proxy, "/orders", self.tokens[3], Referer=f"https://x/?{self.tokens[4]}")
            stack.until(lambda: len(proxy.lines()) == 2, "the access lines")
            written = proxy.log.read_text() + proxy.observed("/metrics") + proxy.observed("/status")
            for token in self.tokens[:5]:
                self.assertNotIn(token.split(".")[2], written)


if __name__ == "__main__":
    unittest.main()

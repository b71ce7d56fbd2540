"""Processes of a test: Envoy, an echo service, others. All listen on 127.0.0.1 and end with the test."""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVOY = os.environ.get("ENVOY", ROOT / "target/envoy/bin/envoy")
WASM = "target/wasm32-wasip1/release/tls_session_binding.wasm"
COMMAND = ROOT / "target/debug/session-binding"
START_LIMIT = 30


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def until(ask, what, limit=START_LIMIT):
    """The first true answer of `ask`; anything it raises counts as no answer."""
    deadline, last = time.monotonic() + limit, None
    while time.monotonic() < deadline:
        try:
            if answer := ask():
                return answer
        except Exception as error:  # noqa: BLE001 - the last one is told
            last = error
        time.sleep(0.1)
    raise AssertionError(f"{what}: not within {limit} s ({last})")


def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def process(*command, log, **options):
    """A process that is stopped at the end; its output is in the file `log`."""
    with open(log, "ab") as output:
        child = subprocess.Popen([str(one) for one in command], stdout=output, stderr=output, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Echo(http.server.BaseHTTPRequestHandler):
    """Answers with the headers it got."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, json.dumps({name.lower(): value for name, value in self.headers.items()}))

    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in (headers | {"content-length": str(len(body.encode()))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Takes many connections at once: 5 may wait by default, and the others' proxy answers 503."""

    request_queue_size = 256


@contextlib.contextmanager
def serve(handler):
    """An HTTP server in this process; yields its port."""
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


class Demo:
    """A directory with the demonstration's certificates and the authorization server's key."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        session_binding("pki", self.directory / "pki", "--as", self.directory / "as")

    def pki(self, name):
        return self.directory / "pki" / name

    def token(self, *flags, client="client", **changes):
        arguments = {"issuer": "https://as.demo", "audience": "https://service.demo", "subject": "alice"} | changes
        options = [part for name, value in arguments.items() for part in (f"--{name}", value)]
        cert = self.pki(f"{client}.pem")
        return session_binding("token", "--key", self.directory / "as/key.pem", "--cert", cert, *options, *flags).strip()

    def request(self, port, token, *options, client="client", path="/orders"):
        """Runs the client command; its exit status is 0 when every answer was 2xx."""
        files = {"--cert": f"{client}.pem", "--key": f"{client}.key", "--cacert": "ca.pem"}
        arguments = [part for option, name in files.items() for part in (option, self.pki(name))]
        return subprocess.run(
            [COMMAND, "request", f"https://service.demo{path}", "--connect", f"127.0.0.1:{port}", *arguments]
            + ["--token", token, "--verbose", *options],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip


def session_binding(*arguments):
    command = [str(COMMAND), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def shipped(name, directory):
    """A shipped bootstrap file with the demonstration's files in `directory`, on free ports."""
    text = (ROOT / "envoy" / name).read_text().replace("target/demo/", f"{directory}/")
    return yaml.safe_load(re.sub(r"port_value: (8443|9901)\b", "port_value: 0", text))


def connection_manager(bootstrap):
    """The configuration of the first listener's HTTP connection manager."""
    (chain,) = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
    return chain["filters"][-1]["typed_config"]


def http_filters(bootstrap):
    """The configurations of its HTTP filters, by name."""
    return {one["name"]: one["typed_config"] for one in connection_manager(bootstrap)["http_filters"]}


def cluster(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"name": name, "connect_timeout": "2s", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def claims(token):
    """The claims of a JWT, unverified."""
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def with_service(bootstrap, port):
    """The bootstrap with its service at this port."""
    return json.loads(json.dumps(bootstrap).replace('"port_value": 8080', f'"port_value": {port}'))


def environment():
    modules = ROOT / "target/debug"
    return os.environ | {"ENVOY_DYNAMIC_MODULES_SEARCH_PATH": str(modules)}


def validate(bootstrap, binary=ENVOY):
    """What Envoy says against a bootstrap; empty when it accepts it."""
    with tempfile.TemporaryDirectory() as directory:
        config = pathlib.Path(directory, "bootstrap.json")
        config.write_text(json.dumps(bootstrap))
        run = subprocess.run(
            [str(binary), "--mode", "validate", "--config-path", str(config)],
            cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        return "" if run.returncode == 0 else run.stderr


@contextlib.contextmanager
def envoy(bootstrap, directory, *options, binary=ENVOY):
    """A running Envoy; yields its administration URL."""
    config = pathlib.Path(directory, "bootstrap.json")
    address = pathlib.Path(directory, "admin")
    config.write_text(json.dumps(bootstrap))
    log = pathlib.Path(directory, "envoy.log")
    arguments = ["--config-path", config, "--admin-address-path", address, "--disable-hot-restart"]
    arguments += ["--concurrency", "2", "--log-level", "warning", *options]
    with process(binary, *arguments, log=log, cwd=ROOT, env=environment()):
        try:
            # The file is there before the address is in it.
            admin = "http://" + until(lambda: address.read_text().strip(), "Envoy's administration address")
            until(lambda: get(f"{admin}/ready").strip() == "LIVE", "Envoy's readiness")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{log.read_text()[-4000:]}") from None
        yield admin


def listener_port(admin, name):
    listeners = json.loads(get(f"{admin}/listeners?format=json"))["listener_statuses"]
    (found,) = [one for one in listeners if one["name"] == name]
    return found["local_address"]["socket_address"]["port_value"]


def stat(admin, name):
    """The sum of the statistics whose name ends so."""
    lines = [line.split(": ") for line in get(f"{admin}/stats").splitlines()]
    return sum(int(line[1]) for line in lines if line[0].endswith(name) and line[1].isdigit())

"""Dashboard and alerts: a real Prometheus scrapes real Envoys under the demonstration's load.

Only times differ from what is shipped: windows of minutes are seconds here, and `for:` is left out.
"""

import contextlib
import datetime
import json
import math
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.parse

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

import stack

MONITORING = stack.ROOT / "envoy/monitoring"
PROMETHEUS = stack.ROOT / "target/prometheus/usr/bin"
WINDOW = "15s"
LIFE = 90  # of the certificate that is not renewed
# No proxy of this test has a revocation list or a file system that hangs: alerts.test.yaml has them.
OVER_TIME = {"SessionBindingFilesStalled", "SessionBindingRevocationListEnding"}
OBSERVING = {"rules": [{"name": "observed", "path": {"prefix": "/observed"}, "mode": "observe"}]}
NO_HEADERS = """
    fd_write random_get clock_time_get environ_sizes_get environ_get proc_exit proxy_log proxy_get_property
    proxy_set_property proxy_get_buffer_bytes proxy_define_metric proxy_increment_metric proxy_record_metric
    proxy_get_shared_data proxy_set_shared_data proxy_call_foreign_function proxy_send_local_response
    proxy_get_current_time_nanoseconds proxy_set_tick_period_milliseconds proxy_on_tick proxy_on_context_create proxy_on_vm_start proxy_on_configure
    proxy_on_request_headers proxy_on_response_headers proxy_on_done proxy_on_log proxy_on_delete
""".split()


class Proxy:
    """One Envoy of a scenario: what differs from `envoy/ingress.yaml`, and how it is asked."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory, name)
        self.directory.mkdir()
        self.demo = stack.Demo(self.directory)
        self.token = self.demo.token()
        self.bootstrap = stack.shipped("ingress.yaml", self.directory)
        self.bootstrap |= yaml.safe_load((MONITORING / "stats.yaml").read_text())
        (self.chain,) = self.bootstrap["static_resources"]["listeners"][0]["filter_chains"]
        self.http_filters = self.chain["filters"][-1]["typed_config"]["http_filters"]

    @contextlib.contextmanager
    def running(self, service):
        with stack.envoy(stack.with_service(self.bootstrap, service), self.directory) as admin:
            self.admin = admin.removeprefix("http://")
            self.port = stack.listener_port(admin, "ingress")
            yield self

    def ask(self, *options, client="client"):
        return self.demo.request(self.port, self.token, "--repeat", "5", *options, client=client)

    @property
    def wasm(self):
        (found,) = [one["typed_config"]["config"] for one in self.http_filters if one["name"] == "tls_session_binding"]
        return found

    def without_publisher(self):
        self.chain["filters"] = [one for one in self.chain["filters"] if not one["name"].endswith("publish")]
        return self

    def without_filter(self):
        """TLS is ended for binding, and nothing binds."""
        self.chain["filters"] = self.chain["filters"][1:]
        self.http_filters[:] = [one for one in self.http_filters if one["name"] != "tls_session_binding"]
        return self

    def trapping(self):
        """Without leave to read headers the SDK panics, which no request can make it do."""
        self.chain["filters"] = self.chain["filters"][1:]
        self.wasm["capability_restriction_config"] = {"allowed_capabilities": {name: {} for name in NO_HEADERS}}
        return self

    def not_started_again(self):
        self.wasm["failure_policy"] = "FAIL_CLOSED"
        return self

    def awaiting_its_key(self):
        config = self.chain["transport_socket"]["typed_config"]["transport_socket_config"]
        config["value"] = config["value"].replace('"peer"', '"await_files": true, "peer"').replace("server.key", "absent.key")
        return self

    def observing(self):
        self.wasm["configuration"]["value"] = json.dumps(OBSERVING)
        return self

    def with_certificate_ending_soon(self):
        pki = self.demo.pki
        old = x509.load_pem_x509_certificate(pki("server.pem").read_bytes())
        issuer = x509.load_pem_x509_certificate(pki("ca.pem").read_bytes())
        key = serialization.load_pem_private_key(pki("ca.key").read_bytes(), None)
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=LIFE)
        builder = x509.CertificateBuilder(issuer.subject, old.subject, old.public_key(), 7, old.not_valid_before_utc, end)
        for extension in old.extensions:
            builder = builder.add_extension(extension.value, extension.critical)
        renewed = builder.sign(key, hashes.SHA256())
        pki("server.pem").write_bytes(renewed.public_bytes(serialization.Encoding.PEM))
        return self


class Prometheus:
    """Scrapes the proxies, each as the instance of its name, and evaluates the alerts."""

    def __init__(self, directory, proxies):
        self.directory = pathlib.Path(directory, "prometheus")
        self.directory.mkdir()
        self.port = stack.free_port()
        rules = re.sub(r"\[\d+m\]", f"[{WINDOW}]", (MONITORING / "alerts.yaml").read_text())
        rules = re.sub(r"offset \d+m", f"offset {WINDOW}", rules).replace("[1d:1m]", f"[{LIFE}s:1s]")
        (self.directory / "alerts.yaml").write_text(re.sub(r"\n +for: \w+", "", rules))
        targets = [{"targets": [proxy.admin], "labels": {"instance": name}} for name, proxy in proxies.items()]
        scrape = {"job_name": "envoy", "metrics_path": "/stats/prometheus", "static_configs": targets}
        own = {"targets": [f"127.0.0.1:{self.port}"], "labels": {"instance": "prometheus"}}
        itself = {"job_name": "prometheus", "static_configs": [own]}
        times = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config = {"global": times, "rule_files": ["alerts.yaml"], "scrape_configs": [scrape, itself]}
        (self.directory / "prometheus.yaml").write_text(yaml.safe_dump(config))

    @contextlib.contextmanager
    def running(self):
        options = ["--config.file=prometheus.yaml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{self.port}"]
        log = self.directory / "log"
        with stack.process(PROMETHEUS / "prometheus", *options, log=log, cwd=self.directory):
            stack.until(lambda: self.values('up == 1'), "scrapes")
            yield self

    def get(self, path):
        return json.loads(stack.get(f"http://127.0.0.1:{self.port}/api/v1/{path}"))["data"]

    def values(self, query):
        """The numbers that a query gives; what is not a number does not count."""
        results = self.get("query?" + urllib.parse.urlencode({"query": query}))["result"]
        values = [float(one["value"][1]) for one in results]
        return [value for value in values if not math.isnan(value)]

    def firing(self):
        alerts = self.get("alerts")["alerts"]
        return {(one["labels"]["alertname"], one["labels"].get("instance")) for one in alerts if one["state"] == "firing"}


class Monitoring(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        directory = enter(tempfile.TemporaryDirectory())
        service = enter(stack.serve(stack.Echo))
        cls.proxies = {
            "healthy": Proxy(directory, "healthy"),
            "attacked": Proxy(directory, "attacked").observing(),
            "unwired": Proxy(directory, "unwired").without_publisher(),
            "bare": Proxy(directory, "bare").without_filter(),
            "trapping": Proxy(directory, "trapping").trapping(),
            "down": Proxy(directory, "down").trapping().not_started_again(),
            "awaiting": Proxy(directory, "awaiting").awaiting_its_key(),
            "ending": Proxy(directory, "ending").with_certificate_ending_soon(),
        }
        for proxy in cls.proxies.values():
            enter(proxy.running(service))
        cls.prometheus = enter(Prometheus(directory, cls.proxies).running())
        cls.stop = threading.Event()
        cls.addClassCleanup(cls.stop.set)
        threading.Thread(target=cls.load, daemon=True).start()

    @classmethod
    def load(cls):
        """What happens on each proxy, again and again until the end."""
        while not cls.stop.is_set():
            attacked, unwired = cls.proxies["attacked"], cls.proxies["unwired"]
            cls.proxies["healthy"].ask()
            attacked.ask("--per-request")
            attacked.ask("--no-proof")
            attacked.ask(client="thief")
            attacked.demo.request(attacked.port, attacked.token, "--no-proof", path="/observed/orders")
            unwired.ask()
            cls.proxies["trapping"].ask()
            cls.proxies["down"].ask()
            cls.stop.wait(0.5)

    def test_promtool_accepts_the_rules(self):
        command = [PROMETHEUS / "promtool", "check", "rules", MONITORING / "alerts.yaml"]
        self.assertEqual(subprocess.run(command, capture_output=True).returncode, 0)

    def test_every_query_of_the_dashboard_returns_data(self):
        for panel in json.loads((MONITORING / "dashboard.json").read_text())["panels"]:
            for target in panel["targets"]:
                query = target["expr"].replace("$instance", "healthy").replace("$__rate_interval", WINDOW)
                with self.subTest(panel=panel["title"], query=query):
                    stack.until(lambda query=query: self.prometheus.values(query), "data")

    def test_every_alert_fires_in_its_scenario(self):
        expected = {
            ("SessionBindingCannotVerify", "unwired"),
            ("SessionBindingHostIncomplete", "unwired"),
            ("SessionBindingAbsent", "bare"),
            ("SessionBindingTokenMisused", "attacked"),
            ("SessionBindingRefusalsHigh", "attacked"),
            ("SessionBindingWouldRefuse", "attacked"),
            ("SessionBindingCacheIneffective", "attacked"),
            ("SessionBindingPluginTrapped", "trapping"),
            ("SessionBindingVerifierDown", "down"),
            ("SessionBindingFilesAwaited", "awaiting"),
            ("SessionBindingCertificateEnding", "ending"),
        }
        groups = yaml.safe_load((MONITORING / "alerts.yaml").read_text())["groups"]
        self.assertEqual({name for name, _ in expected} | OVER_TIME, {rule["alert"] for group in groups for rule in group["rules"]})
        seen = set()
        for wanted in sorted(expected):
            with self.subTest(alert=wanted):
                stack.until(lambda wanted=wanted: seen.update(self.prometheus.firing()) or wanted in seen, "the alert", LIFE + 30)
        self.assertEqual({alert for alert in seen if alert[1] in ("healthy", "prometheus")}, set())

    def test_each_alert_over_time(self):
        """Hours in a moment: what is silent in a healthy mesh, the first theft, certificates of any life."""
        directory = self.enterContext(tempfile.TemporaryDirectory())
        for name in (MONITORING / "alerts.yaml", stack.HERE / "alerts.test.yaml"):
            shutil.copy(name, directory)
        command = [PROMETHEUS / "promtool", "test", "rules", "alerts.test.yaml"]
        run = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)


if __name__ == "__main__":
    unittest.main()

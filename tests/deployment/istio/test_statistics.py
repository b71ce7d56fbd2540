"""The names of statistics and alerts: a real Prometheus scrapes both sidecars as Istio's annotations say."""

import json
import re
import unittest
import urllib.parse

import yaml

import stack
from istio import mesh

PROMETHEUS = stack.ROOT / "target/prometheus/usr/bin/prometheus"
ALERTS = stack.ROOT / "envoy/monitoring/alerts.yaml"
WHERE = f"{mesh.clusters.MIDDLE}:9090"
# A metric, and not a label, which is compared with something.
NAME = r"\b(?:envoy|session_binding)_\w+\b(?!\(|[!=])"
# These are there after the first of their kind, not before.
LATER = re.compile(r"envoy_wasm_vm_reload|^up$")


class Statistics(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.mesh = mesh.running()
        cls.mesh.ask(cls.mesh.token())
        cls.mesh.steal(cls.mesh.token())
        directory = cls.mesh.directory / "prometheus"
        directory.mkdir()
        targets = [{"targets": [f"{mesh.ADDRESSES[name]}:15090"], "labels": {"instance": name}} for name in ("service", "client")]
        scrape = {"job_name": "mesh", "metrics_path": "/stats/prometheus", "static_configs": targets}
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": [scrape]}
        config["rule_files"] = [str(ALERTS)]
        directory.joinpath("prometheus.yaml").write_text(yaml.safe_dump(config))
        options = ["--config.file=prometheus.yaml", "--storage.tsdb.path=data", f"--web.listen-address={WHERE}"]
        run = cls.mesh.cluster.namespace.start(PROMETHEUS, *options, log=directory / "log", cwd=directory)
        cls.enterClassContext(run)
        stack.until(lambda: len(cls.query("up == 1")) == 2, "scrapes of both sidecars", 60)

    @classmethod
    def query(cls, text):
        """The series that a query gives: labels and value."""
        answer = cls.mesh.cluster.fetch(f"http://{WHERE}/api/v1/query?" + urllib.parse.urlencode({"query": text}))
        return [(one["metric"], float(one["value"][1])) for one in json.loads(answer)["data"]["result"]]

    def test_every_name_in_the_alerts_is_one_that_the_mesh_shows(self):
        rules = [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"] if "expr" in rule]
        names = {name for rule in rules for name in re.findall(NAME, rule["expr"])}
        patterns = {pattern for rule in rules for pattern in re.findall(r'__name__=~"([^"]+)"', rule["expr"])}
        for name in names:
            if not LATER.search(name) and not any(name in pattern for pattern in patterns):
                with self.subTest(name):
                    self.assertTrue(self.query(f"{{__name__=\"{name}\"}}"))
        for pattern in patterns:
            with self.subTest(pattern):
                self.assertTrue(self.query(f'{{__name__=~"{pattern}"}}'))

    def test_a_theft_is_counted_with_its_reason(self):
        self.assertTrue(self.query('session_binding_refused{instance="service", reason="certificate_not_confirmed", rule="default"} > 0'))

    def test_the_end_of_a_client_only_sidecars_certificate_is_seen(self):
        names = "envoy_(cluster_)?dynamicmodulescustom_tls_session_binding_upstream_certificate_expires_at"
        self.assertTrue(self.query(f'{{__name__=~"{names}", instance="client"}} > time()'))

    def test_a_failed_handshake_of_a_client_has_its_failure_as_label(self):
        self.assertTrue(self.query('{__name__=~"envoy_.*handshakes_failed", instance="service", failure!=""}'))


if __name__ == "__main__":
    unittest.main()

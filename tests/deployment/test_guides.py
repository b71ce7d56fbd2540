"""The guides' snippets, run as they stand; and their links."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import yaml

import stack

CLIENTS = stack.ROOT / "docs/client-authors-guide.md"
OPERATORS = stack.ROOT / "docs/operators-guide.md"
SNIPPET = re.compile(r"<!-- run by tests/deployment/test_guides\.py -->\n```(\w+)\n(.*?)```", re.DOTALL)
EXAMPLE = stack.ROOT / "client/examples/request.rs"
CARGO = ["cargo", "run", "--quiet", "--locked", "--package", "tls-session-binding-client", "--example", EXAMPLE.stem, "--"]
RUN = {"python": [sys.executable, "{file}"], "bash": ["bash", "{file}"], "rust": CARGO, "go": ["go", "run", "{file}"]}


class Guides(unittest.TestCase):
    def test_every_snippet_passes_with_its_certificate_and_no_other(self):
        self.assertEqual(list(self.snippets()), ["python", "bash", "rust", "go"])
        for language in ("python", "bash", "rust"):
            self.passes_with_its_certificate_and_no_other(language)

    def test_the_rust_snippet_is_an_example_of_the_library(self):
        self.assertEqual(self.snippets()["rust"], EXAMPLE.read_text())

    def test_the_go_snippet_passes_with_its_certificate_and_no_other(self):
        if not os.environ.get("GO"):
            print("\n\n*** The Go snippet is NOT run here: `make guide-in-go` runs it. ***\n", file=sys.stderr)
            self.skipTest("needs go")
        self.passes_with_its_certificate_and_no_other("go")

    def snippets(self):
        return dict(SNIPPET.findall(CLIENTS.read_text()))

    def passes_with_its_certificate_and_no_other(self, language):
        demo = stack.Demo(self.enterContext(tempfile.TemporaryDirectory()))
        service = self.enterContext(stack.serve(stack.Echo))
        bootstrap = stack.with_service(stack.shipped("ingress.yaml", demo.directory), service)
        admin = self.enterContext(stack.envoy(bootstrap, demo.directory))
        port, token = stack.listener_port(admin, "ingress"), demo.token()
        for client, status in (("client", "200 OK"), ("thief", "401 Unauthorized")):
            with self.subTest(language=language, client=client):
                answer = self.run_snippet(language, demo, port, token, client)
                self.assertTrue(answer.startswith(f"HTTP/1.1 {status}"), answer)
                self.assertNotIn("session-binding-proof", answer.lower())

    def test_the_operators_examples_of_rules_and_access_log_work(self):
        examples = dict(SNIPPET.findall(OPERATORS.read_text()))
        demo = stack.Demo(self.enterContext(tempfile.TemporaryDirectory()))
        bootstrap = stack.shipped("ingress.yaml", demo.directory)
        stack.http_filters(bootstrap)["tls_session_binding"]["config"]["configuration"]["value"] = examples["json"]
        (log,) = stack.connection_manager(bootstrap)["access_log"]
        log["typed_config"]["log_format"] = yaml.safe_load(examples["yaml"])
        bootstrap = stack.with_service(bootstrap, self.enterContext(stack.serve(stack.Echo)))
        admin = self.enterContext(stack.envoy(bootstrap, demo.directory, "--file-flush-interval-msec", "100"))
        port, token = stack.listener_port(admin, "ingress"), demo.token()

        self.assertEqual(demo.request(port, token, path="/payments/1").returncode, 1)
        self.assertEqual(demo.request(port, token, "--per-request", path="/payments/1").returncode, 0)
        self.assertEqual(demo.request(port, token, "--no-proof", path="/healthz").returncode, 0)
        lines = stack.until(lambda: self.records(demo, 4), "the access log")
        facts = {(one["status"], one["rule"], one["verdict"], one["reason"]) for one in lines}
        self.assertIn((200, "payments", "session_bound", None), facts)
        self.assertIn((401, "payments", "refused", "proof_claim_missing"), facts)
        self.assertIn((200, "health", "observed", "proof_missing"), facts)

    def records(self, demo, count):
        lines = pathlib.Path(demo.directory, "envoy.log").read_text().splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return found if len(found) >= count else None

    def test_every_link_of_the_documents_leads_somewhere(self):
        documents = [*stack.ROOT.glob("*.md"), *stack.ROOT.glob("docs/*.md")]
        for document in documents:
            prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.DOTALL | re.MULTILINE)
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
                if not target.startswith("https://"):
                    self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")

    def run_snippet(self, language, demo, port, token, client):
        file = pathlib.Path(demo.directory, f"snippet.{language}")
        file.write_text(self.snippets()[language])
        files = [demo.pki(name) for name in (f"{client}.pem", f"{client}.key", "ca.pem")]
        command = [str(word).format(file=file) for word in RUN[language]]
        arguments = ["service.demo", port, *files, token]
        run = subprocess.run([*command, *map(str, arguments)], cwd=stack.ROOT, capture_output=True, text=True, timeout=300)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout


if __name__ == "__main__":
    unittest.main()

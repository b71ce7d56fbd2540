"""The guides' snippets, run as they stand; and their links."""

import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

import stack

GUIDE = stack.ROOT / "docs/client-authors-guide.md"
SNIPPET = re.compile(r"<!-- run by tests/mesh/test_guides\.py -->\n```(\w+)\n(.*?)```", re.DOTALL)
INTERPRETERS = {"python": sys.executable, "bash": "bash"}


class Guides(unittest.TestCase):
    def test_every_snippet_passes_with_its_certificate_and_no_other(self):
        snippets = SNIPPET.findall(GUIDE.read_text())
        self.assertEqual([language for language, _ in snippets], ["python", "bash"])
        demo = stack.Demo(self.enterContext(tempfile.TemporaryDirectory()))
        service = self.enterContext(stack.serve(stack.Echo))
        bootstrap = stack.with_service(stack.shipped("ingress.yaml", demo.directory), service)
        admin = self.enterContext(stack.envoy(bootstrap, demo.directory))
        port, token = stack.listener_port(admin, "ingress"), demo.token()
        for language, source in snippets:
            for client, status in (("client", "200 OK"), ("thief", "401 Unauthorized")):
                with self.subTest(language=language, client=client):
                    answer = self.run_snippet(language, source, demo, port, token, client)
                    self.assertTrue(answer.startswith(f"HTTP/1.1 {status}"), answer)
                    self.assertNotIn("session-binding-proof", answer)

    def test_every_link_of_the_documents_leads_somewhere(self):
        documents = [*stack.ROOT.glob("*.md"), *stack.ROOT.glob("docs/*.md")]
        for document in documents:
            for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
                if not target.startswith("https://"):
                    self.assertTrue((document.parent / target).exists(), f"{document.name}: {target}")

    def run_snippet(self, language, source, demo, port, token, client):
        file = pathlib.Path(demo.directory, f"snippet.{language}")
        file.write_text(source)
        files = [demo.pki(name) for name in (f"{client}.pem", f"{client}.key", "ca.pem")]
        command = [INTERPRETERS[language], file, "service.demo", str(port), *files, token]
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=60)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout


if __name__ == "__main__":
    unittest.main()

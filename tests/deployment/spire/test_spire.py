"""The verifier with certificates of a real SPIRE: rotation under traffic, two trust domains, files that change."""

import json
import pathlib
import signal
import subprocess
import tempfile
import time
import unittest

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import stack
from spire.domain import Domain

VERIFIER, CLIENT = 41001, 41002


class Spire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        enter = cls.enterClassContext
        cls.directory = pathlib.Path(enter(tempfile.TemporaryDirectory()))
        cls.directory.chmod(0o755)
        cls.ours, cls.partner = Domain(cls.directory, "a.demo"), Domain(cls.directory, "b.demo")
        enter(cls.ours.server())
        enter(cls.partner.server())
        enter(cls.ours.agent())
        cls.verifier, cls.helper = enter(cls.ours.helper("/verifier", VERIFIER, "-dns", "service.demo"))
        cls.client, _ = enter(cls.ours.helper("/client", CLIENT))
        (cls.directory / "b.pem").write_text(cls.partner.bundle())
        cls.demo = stack.Demo(cls.directory / "demo")
        service = enter(stack.serve(stack.Echo))
        # The files of the helper may come later than Envoy: `await_files`.
        cls.admin = enter(stack.envoy(stack.with_service(cls.bootstrap(), service), cls.demo.directory))
        cls.port = stack.listener_port(cls.admin, "ingress")
        stack.until(lambda: all((files / "bundle.pem").exists() for files in (cls.verifier, cls.client)), "files", 60)
        stack.until(lambda: cls.ask(cls.client) == 0, "an admitted request", 60)

    @classmethod
    def bootstrap(cls):
        bootstrap = stack.shipped("ingress.yaml", cls.demo.directory)
        (chain,) = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
        domains = {"a.demo": str(cls.verifier / "bundle.pem"), "b.demo": str(cls.directory / "b.pem")}
        allowed = ["spiffe://a.demo/client", "spiffe://b.demo/partner"]
        socket = {
            "identity": {"certificate_chain": str(cls.verifier / "svid.pem"), "private_key": str(cls.verifier / "key.pem")},
            "peer": {"trust_domains": domains, "allow": {"spiffe_ids": allowed}},
            "tls": {"versions": ["1.3"]},
            "await_files": True,
        }
        chain["transport_socket"]["typed_config"]["transport_socket_config"]["value"] = json.dumps(socket)
        return bootstrap

    @classmethod
    def ask(cls, files):
        """The exit status of a request with a token for the certificate that is in `files` at this moment."""
        own = pathlib.Path(tempfile.mkdtemp(dir=cls.directory))
        # The helper writes in place: a copy between two of its writes is of no use to anybody.
        stack.until(lambda: cls.copied(files, own), "a pair of files that fit", 10)
        audience = ("--issuer", "https://as.demo", "--audience", "https://service.demo", "--subject", "alice")
        token = stack.session_binding("token", "--key", cls.demo.directory / "as/key.pem", "--cert", own / "svid.pem", *audience).strip()
        pair = ["--cert", own / "svid.pem", "--key", own / "key.pem", "--cacert", cls.verifier / "bundle.pem"]
        command = [stack.COMMAND, "request", "https://service.demo/orders", "--connect", f"127.0.0.1:{cls.port}", *pair]
        done = subprocess.run([*map(str, command), "--token", token, "--verbose"], capture_output=True, text=True, timeout=60)
        cls.last = done.stdout + done.stderr
        return done.returncode

    @staticmethod
    def copied(files, own):
        for name in ("svid.pem", "key.pem"):
            (own / name).write_bytes((files / name).read_bytes())
        key = load_pem_private_key((own / "key.pem").read_bytes(), None)
        return key.public_key() == x509.load_pem_x509_certificate((own / "svid.pem").read_bytes()).public_key()

    def serial(self, files):
        return x509.load_pem_x509_certificate((files / "svid.pem").read_bytes()).serial_number

    def test_a_leaf_of_the_other_domains_authority_with_our_id_is_refused(self):
        self.assertEqual(self.ask(self.partner.forge(self.directory / "forged", "spiffe://a.demo/client")), 2, self.last)

    def test_the_partners_own_id_is_admitted_where_it_is_listed_and_no_other(self):
        self.assertEqual(self.ask(self.partner.mint(self.directory / "partner", "/partner")), 0, self.last)
        self.assertEqual(self.ask(self.partner.mint(self.directory / "other", "/other")), 2, self.last)

    def test_a_leaf_that_may_sign_certificates_is_refused(self):
        plain = self.ours.forge(self.directory / "plain", "spiffe://a.demo/client")
        self.assertEqual(self.ask(plain), 0, self.last)
        signer = self.ours.forge(self.directory / "signer", "spiffe://a.demo/client", may_sign=True)
        self.assertEqual(self.ask(signer), 2, self.last)

    def test_a_withdrawn_bundle_closes_its_own_domain_alone(self):
        partner = self.partner.mint(self.directory / "withdrawn", "/partner")
        bundle = self.directory / "b.pem"
        kept = bundle.read_text()
        try:
            bundle.write_text(self.ours.bundle())
            stack.until(lambda: self.ask(partner) == 2, "the end of the partner", 20)
            self.assertEqual(self.ask(self.client), 0, self.last)
        finally:
            bundle.write_text(kept)
        stack.until(lambda: self.ask(partner) == 0, "the partner's return", 20)

    def test_files_that_are_cut_or_empty_change_nothing(self):
        # While the helper stands still nobody writes the right files again.
        self.helper.send_signal(signal.SIGSTOP)
        file = self.verifier / "svid.pem"
        kept = file.read_bytes()
        try:
            for content in (b"", kept[: len(kept) // 2]):
                file.write_bytes(content)
                time.sleep(3)
                self.assertEqual(self.ask(self.client), 0, self.last)
        finally:
            file.write_bytes(kept)
            self.helper.send_signal(signal.SIGCONT)

    def test_new_connections_are_good_over_four_rotations(self):
        rotations, wrong, count, last = 0, [], 0, self.serial(self.verifier)
        end = time.monotonic() + 240
        while rotations < 4 and time.monotonic() < end:
            count += 1
            if self.ask(self.client):
                wrong.append(self.last)
            try:
                now = self.serial(self.verifier)
            except ValueError:
                continue  # the helper is writing
            rotations, last = rotations + (now != last), now
            time.sleep(0.5)
        self.assertEqual((wrong, rotations), ([], 4), f"of {count}")


if __name__ == "__main__":
    unittest.main()

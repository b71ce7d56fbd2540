"""The verifier with certificates of a real SPIRE: rotation under traffic, two trust domains, files that change."""

import contextlib
import json
import pathlib
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import stack
from spire.domain import Domain

VERIFIER, CLIENT = 41001, 41002
OURS, PARTNERS, SERVICE = "spiffe://a.demo/client", "spiffe://b.demo/partner", "spiffe://a.demo/verifier"
ALLOWED = [OURS, PARTNERS]
# A leaf, who signs it, its IDs, and whether it is admitted: by the module and by stock Envoy's validator alike.
LEAVES = [
    ("ours", "ours", [OURS], {}, True),
    ("the partner's own", "partner", [PARTNERS], {}, True),
    ("another of the partner", "partner", ["spiffe://b.demo/other"], {}, False),
    ("another of ours", "ours", ["spiffe://a.demo/other"], {}, False),
    ("our ID by the partner's authority", "partner", [OURS], {}, False),
    ("the partner's ID by our authority", "ours", [PARTNERS], {}, False),
    ("an ID of no trust domain of ours", "ours", ["spiffe://c.demo/client"], {}, False),
    ("no ID", "ours", [], {}, False),
    ("our domain as the beginning of another", "partner", ["spiffe://a.demo.b.demo/client"], {}, False),
    ("a leaf that may sign certificates", "ours", [OURS], {"usages": ["key_cert_sign"]}, False),
    ("a leaf that may sign revocation lists", "ours", [OURS], {"usages": ["crl_sign"]}, False),
    ("an authority", "ours", [OURS], {"authority": True}, False),
]
TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
SPIFFE, DOWNSTREAM = f"{TLS}.SPIFFECertValidatorConfig", f"{TLS}.DownstreamTlsContext"


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
        cls.client, cls.client_helper = enter(cls.ours.helper("/client", CLIENT))
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
        socket = {
            "identity": {"certificate_chain": str(cls.verifier / "svid.pem"), "private_key": str(cls.verifier / "key.pem")},
            "peer": {"trust_domains": domains, "allow": {"spiffe_ids": ALLOWED}},
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
        token = cls.token(own)
        # From the server: the helper writes its file in place.
        (own / "ca.pem").write_text(cls.ours.bundle())
        pair = ["--cert", own / "svid.pem", "--key", own / "key.pem", "--cacert", own / "ca.pem"]
        command = [stack.COMMAND, "request", "https://service.demo/orders", "--connect", f"127.0.0.1:{cls.port}", *pair]
        done = subprocess.run([*map(str, command), "--token", token, "--verbose"], capture_output=True, text=True, timeout=60)
        cls.last = done.stdout + done.stderr
        return done.returncode

    @classmethod
    def token(cls, own):
        audience = ("--issuer", "https://as.demo", "--audience", "https://service.demo", "--subject", "alice")
        return stack.session_binding("token", "--key", cls.demo.directory / "as/key.pem", "--cert", own / "svid.pem", *audience).strip()

    @staticmethod
    def copied(files, own):
        for name in ("svid.pem", "key.pem"):
            (own / name).write_bytes((files / name).read_bytes())
        key = load_pem_private_key((own / "key.pem").read_bytes(), None)
        return key.public_key() == x509.load_pem_x509_certificate((own / "svid.pem").read_bytes()).public_key()

    def serial(self, files):
        return x509.load_pem_x509_certificate((files / "svid.pem").read_bytes()).serial_number

    def stock(self):
        """A listener with Envoy's own TLS and its SPIFFE validator: the same bundles, the same list of IDs."""
        domains = {"a.demo": self.ours.bundle(), "b.demo": self.partner.bundle()}
        validator = {"trust_domains": [{"name": name, "trust_bundle": {"inline_string": pem}} for name, pem in domains.items()]}
        context = {
            "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": one}} for one in ALLOWED],
            "custom_validator_config": {"name": "envoy.tls.cert_validator.spiffe", "typed_config": {"@type": SPIFFE} | validator},
        }
        pair = {"certificate_chain": {"filename": str(self.demo.pki("server.pem"))}, "private_key": {"filename": str(self.demo.pki("server.key"))}}
        tls = {"tls_certificates": [pair], "validation_context": context, "tls_params": {"tls_minimum_protocol_version": "TLSv1_3"}}
        bootstrap = stack.shipped("ingress.yaml", self.demo.directory)
        (chain,) = bootstrap["static_resources"]["listeners"][0]["filter_chains"]
        chain["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": DOWNSTREAM, "common_tls_context": tls, "require_client_certificate": True},
        }
        manager = chain["filters"][-1]
        routes = [{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]
        manager["typed_config"]["route_config"] = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}
        manager["typed_config"]["http_filters"] = [one for one in manager["typed_config"]["http_filters"] if one["name"] == "envoy.filters.http.router"]
        chain["filters"] = [manager]
        return bootstrap

    def test_the_module_and_stock_envoys_validator_judge_every_leaf_alike(self):
        directory = self.directory / "stock"
        directory.mkdir()
        with stack.envoy(self.stock(), directory) as admin:
            port = stack.listener_port(admin, "ingress")
            for number, (what, domain, identities, options, right) in enumerate(LEAVES):
                leaf = getattr(self, domain).forge(directory / str(number), *identities, **options)
                line = ["curl", "--silent", "--insecure", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}"]
                line += ["--cert", leaf / "svid.pem", "--key", leaf / "key.pem", f"https://127.0.0.1:{port}/"]
                status = subprocess.run(list(map(str, line)), capture_output=True, text=True, timeout=60).stdout
                with self.subTest(leaf=what):
                    self.assertEqual((self.ask(leaf), status), (0, "200") if right else (2, "000"), self.last)

    def test_the_partners_own_id_is_admitted_where_the_partners_server_made_it(self):
        self.assertEqual(self.ask(self.partner.mint(self.directory / "partner", "/partner")), 0, self.last)
        self.assertEqual(self.ask(self.partner.mint(self.directory / "other", "/other")), 2, self.last)

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
        kept = {name: (self.verifier / name).read_bytes() for name in ("svid.pem", "key.pem", "bundle.pem")}
        try:
            for name, content in kept.items():
                for wrong in (b"", content[: len(content) // 2]):
                    (self.verifier / name).write_bytes(wrong)
                    time.sleep(1.5)  # the module looks four times a second
                    with self.subTest(file=name, length=len(wrong)):
                        self.assertEqual(self.ask(self.client), 0, self.last)
                (self.verifier / name).write_bytes(content)
        finally:
            for name, content in kept.items():
                (self.verifier / name).write_bytes(content)
            self.helper.send_signal(signal.SIGCONT)

    def test_a_helper_that_stands_still_past_the_expiry_ends_it_and_its_return_mends_it(self):
        helpers = (self.helper, self.client_helper)
        for helper in helpers:
            helper.send_signal(signal.SIGSTOP)
        try:
            stack.until(lambda: self.ask(self.client) == 2, "the end of an expired certificate", 90)
        finally:
            for helper in helpers:
                helper.send_signal(signal.SIGCONT)
        stack.until(lambda: self.ask(self.client) == 0, "the return of the helpers", 60)

    def test_new_connections_and_the_clients_sidecar_are_good_over_four_rotations_and_a_change_of_the_authority(self):
        rotations, wrong, count, last = 0, [], 0, self.serial(self.verifier)
        with self.sidecar() as port:
            stop, told = threading.Event(), []
            application = threading.Thread(target=self.application, args=(port, stop, told))
            change = threading.Thread(target=self.change_of_authority, args=(told,))
            application.start()
            change.start()
            try:
                end = time.monotonic() + 240
                while (rotations < 4 or change.is_alive()) and time.monotonic() < end:
                    count += 1
                    if self.ask(self.client):
                        wrong.append(self.last)
                    try:
                        now = self.serial(self.verifier)
                    except ValueError:
                        continue  # the helper is writing
                    rotations, last = rotations + (now != last), now
                    time.sleep(0.5)
            finally:
                stop.set()
                application.join(60)
                change.join(60)
        self.assertEqual(wrong, [], f"of {count}")
        self.assertGreaterEqual(rotations, 4)
        self.assertEqual([one for one in told if isinstance(one, str)], ["another authority"])
        lives = [one for one in told if not isinstance(one, str)]
        # Of each token the first request is admitted, and what is refused is refused after the change of the certificate
        # and before the application has its new token.
        self.assertEqual([life for life in lives if life[0] != 200 or sorted(life) != life or {*life} - {200, 401}], [])
        self.assertGreaterEqual(len(lives), 4)

    @contextlib.contextmanager
    def sidecar(self):
        """The shipped configuration of a client's sidecar, with the files of the client's helper."""
        directory = self.directory / "sidecar"
        directory.mkdir()
        text = (stack.ROOT / "envoy/egress.yaml").read_text()
        for port, own in {8443: self.port, 8081: 0, 9902: 0}.items():
            text = text.replace(f"port_value: {port}", f"port_value: {own}")
        bootstrap = yaml.safe_load(text)
        (cluster,) = bootstrap["static_resources"]["clusters"]
        config = cluster["transport_socket"]["typed_config"]["transport_socket_config"]
        own = {
            "identity": {"certificate_chain": str(self.client / "svid.pem"), "private_key": str(self.client / "key.pem")},
            "peer": {"trust_domains": {"a.demo": str(self.client / "bundle.pem")}, "allow": {"spiffe_ids": [SERVICE]}},
            "await_files": True,
        }
        config["value"] = json.dumps(json.loads(config["value"]) | own)
        with stack.envoy(bootstrap, directory) as admin:
            yield stack.listener_port(admin, "egress")

    def application(self, port, stop, told):
        """Asks without a pause. It has its new token seconds after each change of the certificate, when the sidecar has
        long taken up the files; an authorization server needs such a time, too."""
        while not stop.is_set():
            own, life = pathlib.Path(tempfile.mkdtemp(dir=self.directory)), []
            stack.until(lambda own=own: self.copied(self.client, own), "a pair of files that fit", 10)
            token, changed = self.token(own), None
            while not stop.is_set() and (changed is None or time.monotonic() < changed + 4):
                life.append(status(port, token))
                if changed is None and (self.client / "svid.pem").read_bytes() != (own / "svid.pem").read_bytes():
                    changed = time.monotonic()
                time.sleep(0.02)
            if life:
                told.append(life)

    def change_of_authority(self, told):
        """As an operator does it: prepare, activate, wait for the new certificates, taint and revoke the old one."""
        try:
            before = self.bundled(self.verifier)
            new = self.ours.authority("prepare")["prepared_authority"]["authority_id"]
            for files in (self.verifier, self.client):
                stack.until(lambda files=files: self.bundled(files) > before, "the prepared authority in the bundle", 60)
            old = self.ours.authority("show")["active"]["authority_id"]
            self.ours.authority("activate", "-authorityID", new)
            for files in (self.verifier, self.client):
                serial = self.serial(files)
                stack.until(lambda files=files, serial=serial: self.serial(files) != serial, "a certificate of the new authority", 60)
            # A certificate that was asked for before the activation may have come after it.
            time.sleep(5)
            self.ours.authority("taint", "-authorityID", old)
            self.ours.authority("revoke", "-authorityID", old)
            stack.until(lambda: self.bundled(self.verifier) == before, "the end of the old authority", 60)
            told.append("another authority")
        except Exception as error:  # noqa: BLE001 - the test tells it
            told.append(f"{error!r}")

    @staticmethod
    def bundled(files):
        return len(x509.load_pem_x509_certificates((files / "bundle.pem").read_bytes()))


def status(port, token):
    try:
        stack.get(f"http://127.0.0.1:{port}/orders", Authorization=f"Bearer {token}")
        return 200
    except urllib.error.HTTPError as error:
        return error.code


if __name__ == "__main__":
    unittest.main()

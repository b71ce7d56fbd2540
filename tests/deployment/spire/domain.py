"""Real SPIRE: a server of a trust domain, its agent, and a spiffe-helper for each workload; all on 127.0.0.1."""

import base64
import contextlib
import datetime
import json
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import sandbox
import stack

SERVER = """
server {
  bind_address = "127.0.0.1"
  bind_port = "PORT"
  socket_path = "DIRECTORY/server.sock"
  trust_domain = "DOMAIN"
  data_dir = "DIRECTORY/server"
  log_level = "WARN"
  default_x509_svid_ttl = "60s"
  ca_ttl = "8m"
}
plugins {
  DataStore "sql" { plugin_data { database_type = "sqlite3", connection_string = "DIRECTORY/server/data.sqlite3" } }
  KeyManager "disk" { plugin_data { keys_path = "DIRECTORY/server/keys.json" } }
  NodeAttestor "join_token" { plugin_data {} }
}
"""
AGENT = """
agent {
  data_dir = "DIRECTORY/agent"
  log_level = "WARN"
  server_address = "127.0.0.1"
  server_port = "PORT"
  socket_path = "DIRECTORY/agent.sock"
  trust_bundle_path = "DIRECTORY/bootstrap.pem"
  trust_domain = "DOMAIN"
}
plugins {
  NodeAttestor "join_token" { plugin_data {} }
  KeyManager "memory" { plugin_data {} }
  WorkloadAttestor "unix" { plugin_data {} }
}
"""
HELPER = """
agent_address = "DIRECTORY/agent.sock"
daemon_mode = true
cert_dir = "FILES"
svid_file_name = "svid.pem"
svid_key_file_name = "key.pem"
svid_bundle_file_name = "bundle.pem"
"""
USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign",
    "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip


class Domain:
    """One trust domain."""

    def __init__(self, directory, name):
        self.directory, self.name = directory / name, name
        (self.directory / "server").mkdir(parents=True)
        (self.directory / "agent").mkdir()
        self.port, self.agent_id = stack.free_port(), None

    def text(self, template, **more):
        values = {"DIRECTORY": str(self.directory), "DOMAIN": self.name, "PORT": str(self.port)} | more
        for name, value in values.items():
            template = template.replace(name, value)
        return template

    def ask(self, *command):
        """What the server's own command says."""
        line = [sandbox.program("spire-server"), *command, "-socketPath", self.directory / "server.sock"]
        done = subprocess.run([str(part) for part in line], capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise AssertionError(f"{command}: {done.stdout}{done.stderr}")
        return done.stdout

    def bundle(self):
        return self.ask("bundle", "show", "-format", "pem")

    def authority(self, *command):
        """What the server says of one of its authorities: `show`, `prepare`, `activate`, `taint`, `revoke`."""
        return json.loads(self.ask("localauthority", "x509", *command, "-output", "json"))

    @contextlib.contextmanager
    def server(self):
        file = self.directory / "server.conf"
        file.write_text(self.text(SERVER))
        with stack.process(sandbox.program("spire-server"), "run", "-config", file, log=self.directory / "server.log"):
            stack.until(lambda: "BEGIN" in self.bundle(), f"the server of {self.name}", 60)
            yield self

    @contextlib.contextmanager
    def agent(self):
        file = self.directory / "agent.conf"
        file.write_text(self.text(AGENT))
        (self.directory / "bootstrap.pem").write_text(self.bundle())
        token = self.ask("token", "generate", "-output", "json")
        token = json.loads(token)["value"]
        self.agent_id = f"spiffe://{self.name}/spire/agent/join_token/{token}"
        arguments = ["run", "-config", file, "-joinToken", token]
        with stack.process(sandbox.program("spire-agent"), *arguments, log=self.directory / "agent.log"):
            stack.until(lambda: (self.directory / "agent.sock").exists(), f"the agent of {self.name}", 60)
            yield self

    @contextlib.contextmanager
    def helper(self, path, user, *options):
        """A workload's helper under the workload's own user; yields the folder of its files and the process."""
        entry = ["-parentID", self.agent_id, "-spiffeID", f"spiffe://{self.name}{path}", "-selector", f"unix:uid:{user}"]
        self.ask("entry", "create", *entry, *options)
        files = self.directory / f"files-{user}"
        files.mkdir()
        subprocess.run(["chown", str(user), files], check=True, timeout=10)
        configuration = self.directory / f"helper-{user}.conf"
        configuration.write_text(self.text(HELPER, FILES=str(files)))
        command = ["setpriv", f"--reuid={user}", "--clear-groups", sandbox.program("spiffe-helper"), "-config", configuration]
        with stack.process(*command, log=self.directory / f"helper-{user}.log") as process:
            yield files, process

    def mint(self, folder, path):
        """A certificate of this server's authority for one of its own IDs."""
        folder.mkdir()
        self.ask("x509", "mint", "-spiffeID", f"spiffe://{self.name}{path}", "-ttl", "5m", "-write", folder)
        return folder

    def forge(self, folder, *identities, authority=False, usages=()):
        """A certificate that the same authority signs for any IDs at all, as one who holds its key can."""
        folder.mkdir()
        issuer = x509.load_pem_x509_certificates(self.bundle().encode())[-1]
        keys = json.loads((self.directory / "server/keys.json").read_text())["keys"].values()
        keys = [serialization.load_der_private_key(base64.b64decode(key), None) for key in keys]
        (signer,) = [key for key in keys if key.public_key() == issuer.public_key()]
        key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateBuilder(issuer.subject, x509.Name([]), key.public_key(), x509.random_serial_number())
        builder = builder.not_valid_before(now - datetime.timedelta(seconds=10)).not_valid_after(now + datetime.timedelta(minutes=3))
        if identities:
            names = [x509.UniformResourceIdentifier(one) for one in identities]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), True)
        builder = builder.add_extension(x509.BasicConstraints(authority, None), True)
        builder = builder.add_extension(x509.KeyUsage(**{name: name in ("digital_signature", *usages) for name in USAGES}), True)
        leaf = builder.sign(signer, hashes.SHA256())
        pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        (folder / "svid.pem").write_bytes(leaf.public_bytes(pem))
        (folder / "key.pem").write_bytes(key.private_bytes(pem, pkcs8, serialization.NoEncryption()))
        return folder

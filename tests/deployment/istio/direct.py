"""A client with a certificate of its own and no sidecar: TLS and proofs of others' making (OpenSSL), HTTP by hand."""

import base64
import contextlib
import dataclasses
import select
import socket

from OpenSSL import SSL

import stack

LABEL = b"EXPORTER-oauth-tls-session-bound"
LIMIT = 20


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: str

    @property
    def error(self):
        return self.headers.get("www-authenticate", "")


class Connection:
    """One connection to a verifier. Whose server it is does not matter here, so nothing looks at its certificate."""

    def __init__(self, namespace, address, identity=None, name=None, alpn=b"http/1.1"):
        context = SSL.Context(SSL.TLS_METHOD)
        if identity:
            context.use_certificate_chain_file(str(identity.certificate))
            context.use_privatekey_file(str(identity.key))
        context.set_alpn_protos([alpn])
        with namespace.entered():
            self.socket = socket.create_connection(address, LIMIT)
        self.socket.settimeout(None)
        self.tls = SSL.Connection(context, self.socket)
        self.tls.set_connect_state()
        if name:
            self.tls.set_tlsext_host_name(name.encode())
        try:
            self.retry(self.tls.do_handshake)
        except BaseException:
            self.socket.close()
            raise

    def retry(self, call, *arguments):
        """OpenSSL's calls on a socket that blocks, bounded in time."""
        self.socket.setblocking(False)
        while True:
            try:
                return call(*arguments)
            except SSL.WantReadError:
                ready = select.select([self.socket], [], [], LIMIT)[0]
            except SSL.WantWriteError:
                ready = select.select([], [self.socket], [], LIMIT)[1]
            if not ready:
                raise TimeoutError(f"{call.__name__}: nothing within {LIMIT} s")

    @property
    def exporter(self):
        value = self.tls.export_keying_material(LABEL, 32, b"")
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    def request(self, path="/orders", host="service.shop.svc.cluster.local:8080", **headers):
        lines = [f"GET {path} HTTP/1.1", f"host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        self.retry(self.tls.sendall, ("\r\n".join(lines) + "\r\n\r\n").encode())
        return read_answer(self.read)

    def read(self):
        try:
            return self.retry(self.tls.recv, 65536)
        except (SSL.ZeroReturnError, SSL.SysCallError):
            return b""

    def close(self):
        with contextlib.suppress(Exception):
            self.tls.shutdown()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_answer(read):
    """One HTTP/1.1 answer; its body as far as a length tells, or as it came with the head."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = read()
        if not more:
            raise ConnectionError(f"ended after {data!r}")
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, value = line.split(":", 1)
        headers[name.lower()] = ", ".join(filter(None, [headers.get(name.lower()), value.strip()]))
    length = int(headers.get("content-length", 0))
    while len(body) < length:
        body += read()
    return Answer(int(first.split()[1]), headers, body.decode(errors="replace"))


@dataclasses.dataclass
class Identity:
    """Files of a certificate and its key."""

    certificate: object
    key: object

    def proof(self, token, exporter, *options):
        files = ["--cert", self.certificate, "--key", self.key]
        return stack.session_binding("proof", *files, "--token", token, "--exporter", exporter, *options).strip()

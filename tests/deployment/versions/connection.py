"""A connection as a TLS terminator of the verifier's own trust boundary makes it: facts in the PROXY protocol v2."""

import base64
import http.client
import secrets
import socket
import ssl

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = bytes([127, 0, 0, 1, 127, 0, 0, 1, 0x30, 0x39, 0x20, 0xFB])
EXPORTER, CLIENT_CERTIFICATE = 0xE0, 0xE1


def header(*facts):
    body = ADDRESSES + b"".join(bytes([kind]) + len(value).to_bytes(2, "big") + value for kind, value in facts)
    return SIGNATURE + bytes([0x21, 0x11]) + len(body).to_bytes(2, "big") + body


class Connection:
    """One connection of a client; `client` None is a terminator that says nothing of it."""

    def __init__(self, port, demo, client="client"):
        self.exporter = base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        facts = []
        if client:
            certificate = base64.b64encode(ssl.PEM_cert_to_DER_cert(demo.pki(f"{client}.pem").read_text()))
            facts = [(EXPORTER, self.exporter.encode()), (CLIENT_CERTIFICATE, certificate)]
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.http.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.http.sock.sendall(header(*facts))

    def ask(self, token=None, *proofs, path="/orders"):
        """Status and, of a refusal, the error that WWW-Authenticate names."""
        self.http.putrequest("GET", path, skip_host=True)
        self.http.putheader("host", "service.demo")
        if token:
            self.http.putheader("authorization", f"Bearer {token}")
        for proof in proofs:
            self.http.putheader("session-binding-proof", proof)
        self.http.endheaders()
        answer = self.http.getresponse()
        answer.read()
        challenge = answer.headers.get("www-authenticate", "")
        return answer.status, challenge.partition('error="')[2].partition('"')[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.close()

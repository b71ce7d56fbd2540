"""An adapter for `requests` that sends TLS-session-bound tokens with their proofs.

    session = requests.Session()
    session.mount("https://service.example/", SessionBinding("client.pem", "client.key", "ca.pem"))
    session.get("https://service.example/orders", headers={"Authorization": f"Bearer {token}"})

Needs requests, urllib3 2, pyOpenSSL and PyJWT with cryptography.
"""

import base64
import hashlib
import re
import ssl
import time

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPSConnectionPool
from urllib3.connection import HTTPSConnection
from urllib3.contrib.pyopenssl import PyOpenSSLContext

LABEL = b"EXPORTER-oauth-tls-session-bound"
HEADER = "Session-Binding-Proof"
NEW = "new"  # asks the connection for a proof that it has not sent yet; never leaves the process
PROOFS_KEPT = 256


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def algorithm(key):
    match key:
        case ec.EllipticCurvePrivateKey():
            return {256: "ES256", 384: "ES384"}[key.curve.key_size]
        case ed25519.Ed25519PrivateKey():
            return "EdDSA"
        case rsa.RSAPrivateKey():
            return "RS256"
    raise ValueError("the key is neither P-256, P-384, Ed25519 nor RSA")


class Binding:
    """What a connection's proofs are made of, and those made."""

    def __init__(self, connection, key):
        certificate = connection.get_certificate().to_cryptography()
        if certificate.public_key() != key.public_key():
            raise ssl.SSLError("certificate and key do not belong together: they are being replaced")
        self.key, self.kept = key, {}
        self.thumbprint = base64url(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
        self.ekm = base64url(connection.export_keying_material(LABEL, 32, b""))

    def proof(self, token, new=False):
        ath = base64url(hashlib.sha256(token.encode("ascii")).digest())
        if new or ath not in self.kept:
            if len(self.kept) >= PROOFS_KEPT:
                self.kept.clear()
            self.kept[ath] = self.sign({"ath": ath, "ekm": self.ekm, "iat": int(time.time())})
        return self.kept[ath]

    def sign(self, claims):
        headers = {"typ": "tls-binding-proof+jwt", "x5t#S256": self.thumbprint}
        return jwt.encode(claims, self.key, algorithm=algorithm(self.key), headers=headers)


class BoundConnection(HTTPSConnection):
    """Adds the proof here, where the connection is known. A pool lends a connection to one thread at a time."""

    def connect(self):
        certificate, key = self.identity
        # A context for each connection: urllib3 changes it while connecting, and the files may have been renewed.
        self.ssl_context = PyOpenSSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.ssl_context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.ssl_context.load_cert_chain(certificate, key)
        super().connect()
        try:
            with open(key, "rb") as file:
                self.binding = Binding(self.sock.connection, load_pem_private_key(file.read(), None))
        except BaseException:
            self.close()
            raise

    def request(self, method, url, body=None, headers=None, **options):
        headers = HTTPHeaderDict(headers or {})
        new = headers.pop(HEADER, None) == NEW
        if self.sock is None:  # the service closed it after the last response
            self.connect()
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            headers[HEADER] = self.binding.proof(token.strip(), new)
        super().request(method, url, body=body, headers=headers, **options)


class SessionBinding(HTTPAdapter):
    """Files: the client's certificate chain and key, the authorities that the service is trusted by.

    `server_name` is whom the service's certificate names, if that is not the URL's host. Further options are those of
    `HTTPAdapter`: a retry (`max_retries`) gets the proof of the connection that it takes.
    """

    def __init__(self, certificate, key, authorities, server_name=None, **options):
        connection = type("Connection", (BoundConnection,), {"identity": (str(certificate), str(key))})
        self.pools = {"https": type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": connection})}
        self.authorities = str(authorities)
        self.names = {"server_hostname": server_name, "assert_hostname": server_name} if server_name else {}
        super().__init__(**options)

    def init_poolmanager(self, *arguments, **options):
        super().init_poolmanager(*arguments, **options, **self.names)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def proxy_manager_for(self, proxy, **options):
        raise ValueError("a request with a proof goes to its service without a proxy")

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        # The adapter's own authorities and certificate, whatever session and environment say.
        options = {"stream": stream, "timeout": timeout, "verify": self.authorities, "cert": None, "proxies": proxies}
        answer = super().send(request, **options)
        if asks_for_new_proof(answer) and isinstance(request.body, (bytes, str, type(None))):
            answer.content  # noqa: B018 - read, so that the connection goes back to its pool
            again = request.copy()
            again.headers[HEADER] = NEW
            answer = super().send(again, **options)
        return answer


def asks_for_new_proof(answer):
    challenge = answer.headers.get("WWW-Authenticate", "")
    found = {name.lower(): quoted or bare for name, quoted, bare in PARAMETER.findall(challenge)}
    refused = answer.status_code == 401 and found.get("error") == "invalid_proof"
    return refused and found.get("mend", "proof") == "proof"


PARAMETER = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')

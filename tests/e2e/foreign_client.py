"""A client that shares no code with this project: pyOpenSSL for TLS, PyJWT for the proof.

Sends its proof on the connection that it is for, then on another one, and prints the two answers:
a status and the WWW-Authenticate header each, as JSON.

Arguments: port, directory of the certificates, TLS version (1.3, 1.2, 1.2-without-ems), access token.
"""

import base64
import hashlib
import json
import socket
import sys
import time

import jwt
from OpenSSL import SSL, crypto

LABEL = b"EXPORTER-oauth-tls-session-bound"
TIMEOUT = 10
NO_EXTENDED_MASTER_SECRET = 1  # SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def connect(port, pki, tls):
    version = SSL.TLS1_3_VERSION if tls == "1.3" else SSL.TLS1_2_VERSION
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    context.use_certificate_file(f"{pki}/client.pem")
    context.use_privatekey_file(f"{pki}/client.key")
    context.load_verify_locations(f"{pki}/ca.pem")
    context.set_verify(SSL.VERIFY_PEER)
    if tls == "1.2-without-ems":
        context.set_options(NO_EXTENDED_MASTER_SECRET)
    context.set_alpn_protos([b"http/1.1"])
    tcp = socket.create_connection(("127.0.0.1", port), TIMEOUT)
    tcp.settimeout(None)
    connection = SSL.Connection(context, tcp)
    connection.set_tlsext_host_name(b"service.demo")
    connection.set_connect_state()
    connection.do_handshake()
    return connection


def make_proof(connection, pki, token):
    with open(f"{pki}/client.pem", "rb") as file:
        certificate = crypto.load_certificate(crypto.FILETYPE_PEM, file.read())
    with open(f"{pki}/client.key", "rb") as file:
        key = file.read()
    der = crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)
    claims = {
        "ath": base64url(hashlib.sha256(token.encode()).digest()),
        "ekm": base64url(connection.export_keying_material(LABEL, 32, b"")),
        "iat": int(time.time()),
    }
    thumbprint = base64url(hashlib.sha256(der).digest())
    headers = {"typ": "tls-binding-proof+jwt", "x5t#S256": thumbprint}
    return jwt.encode(claims, key, algorithm="ES256", headers=headers)


def ask(connection, token, proof):
    lines = [
        "GET /orders HTTP/1.1",
        "Host: service.demo",
        f"Authorization: Bearer {token}",
        f"Session-Binding-Proof: {proof}",
        "Connection: close",
    ]
    connection.sendall("\r\n".join([*lines, "", ""]).encode())
    answer = b""
    try:
        while chunk := connection.recv(65536):
            answer += chunk
    except (SSL.ZeroReturnError, SSL.SysCallError):
        pass
    head = answer.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:])
    return [int(head[0].split()[1]), headers.get("www-authenticate", "")]


def main():
    port, pki, tls, token = sys.argv[1:]
    first = connect(int(port), pki, tls)
    second = connect(int(port), pki, tls)
    proof = make_proof(first, pki, token)
    print(json.dumps({"own": ask(first, token, proof), "other": ask(second, token, proof)}))


main()

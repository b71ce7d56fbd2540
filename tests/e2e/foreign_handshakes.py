"""Handshakes that OpenSSL offers and rustls does not do; prints what came of one, as one word.

Arguments: port, directory of the certificates, and
- renegotiation: a second handshake on a TLS 1.2 connection (pyOpenSSL),
- post-handshake: no certificate at first, one afterwards, as TLS 1.3 allows if the server asks (the standard library).
"""

import socket
import ssl
import sys

from OpenSSL import SSL

TIMEOUT = 10
REQUEST = b"GET /orders HTTP/1.1\r\nHost: service.demo\r\nConnection: close\r\n\r\n"


def tcp(port):
    return socket.create_connection(("127.0.0.1", port), TIMEOUT)


def renegotiate(port, pki):
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.use_certificate_file(f"{pki}/client.pem")
    context.use_privatekey_file(f"{pki}/client.key")
    context.load_verify_locations(f"{pki}/ca.pem")
    context.set_verify(SSL.VERIFY_PEER)
    stream = tcp(port)
    stream.settimeout(None)
    connection = SSL.Connection(context, stream)
    connection.set_tlsext_host_name(b"service.demo")
    connection.set_connect_state()
    connection.do_handshake()
    assert connection.renegotiate()
    try:
        connection.do_handshake()
    except SSL.Error:
        return "refused"
    return "renegotiated" if connection.total_renegotiations() and not connection.renegotiate_pending() else "ignored"


def authenticate_afterwards(port, pki):
    context = ssl.create_default_context(cafile=f"{pki}/ca.pem")
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.post_handshake_auth = True
    try:
        connection = context.wrap_socket(tcp(port), server_hostname="service.demo")
        context.load_cert_chain(f"{pki}/client.pem", f"{pki}/client.key")
        connection.sendall(REQUEST)
        return "answered" if connection.recv(1) else "refused"
    except (ssl.SSLError, ConnectionError):
        return "refused"


def main():
    port, pki, what = sys.argv[1:]
    act = {"renegotiation": renegotiate, "post-handshake": authenticate_afterwards}[what]
    print(act(int(port), pki))


main()

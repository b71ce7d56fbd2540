"""An independent hostile client (tlslite-ng) against a listener with the module's transport socket.

usage: hostile.py PORT CERTIFICATE KEY

The listener accepts TLS 1.2 and 1.3 and this certificate (P-256). After every attack an honest
client must be served; the exit status is 0 if every attack ends as it should.
"""

import socket
import struct
import sys

from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey
from tlslite.constants import ContentType
from tlslite.errors import TLSAbruptCloseError, TLSAlert, TLSError
from tlslite.messages import ApplicationData, Message

PORT, CERTIFICATE, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ENDED = (TLSAlert, TLSAbruptCloseError, TLSError, OSError)


def connect(record_size=None, **options):
    """A finished handshake, or the exception that ended it."""
    settings = HandshakeSettings()
    # tlslite-ng compresses its certificate unasked, which RFC 8879 forbids.
    settings.certificate_compression_send = []
    for name, value in options.items():
        setattr(settings, name, value)
    certificate = X509()
    certificate.parse(open(CERTIFICATE).read())
    key = parsePEMKey(open(KEY).read(), private=True)
    raw = socket.create_connection(("127.0.0.1", PORT), 5)
    raw.settimeout(5)
    connection = TLSConnection(raw)
    if record_size:
        connection.recordSize = record_size
    connection.handshakeClientCert(X509CertChain([certificate]), key, settings=settings)
    return connection


def request(connection):
    connection.write(b"GET /direct HTTP/1.1\r\nhost: service.demo\r\nconnection: close\r\n\r\n")
    answer = b""
    while not answer.startswith(b"HTTP/1.1 ") or len(answer) < 12:
        chunk = connection.read(max=4096)
        if not chunk:
            break
        answer += chunk
    return answer[:12]


def version(number, **options):
    return dict(minVersion=number, maxVersion=number, **options)


def must_fail(attack):
    """The attack ends in an alert or a closed connection, and never in an answer."""
    try:
        return attack() or b""
    except ENDED as end:
        return f"ended: {end}".encode()


def raw(payload):
    with socket.create_connection(("127.0.0.1", PORT), 5) as connection:
        connection.settimeout(5)
        connection.sendall(payload)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(64)
    return b"ended: alert" if answer[:1] in (b"", b"\x15") else answer


def send_raw_record(connection, kind, payload):
    for _ in connection._recordLayer.sendRecord(Message(kind, bytearray(payload))):
        pass


def oversized_record():
    connection = connect()
    connection._recordLayer.send_record_limit = 2**16
    send_raw_record(connection, ContentType.application_data, bytes(2**14 + 1))
    return connection.read(max=64)


def empty_records(count):
    connection = connect()
    for _ in range(count):
        send_raw_record(connection, ContentType.application_data, b"")
    return request(connection)


def key_updates():
    connection = connect(**version((3, 4)))
    for _ in range(200):
        for _ in connection.send_keyupdate_request(1):
            pass
    return request(connection)


def renegotiation():
    connection = connect(**version((3, 3)))
    hello = bytearray(b"\x01\x00\x00\x2b\x03\x03") + bytes(32) + b"\x00\x00\x02\xc0\x2b\x01\x00\x00\x00"
    send_raw_record(connection, ContentType.handshake, hello)
    return request(connection)


def unknown_content():
    connection = connect()
    send_raw_record(connection, 99, b"x")
    return connection.read(max=64)


ATTACKS = {
    "TLS 1.2 without extended master secret": lambda: request(
        connect(**version((3, 3), useExtendedMasterSecret=False))),
    "TLS 1.1": lambda: request(connect(minVersion=(3, 1), maxVersion=(3, 2))),
    "a record over 2^14": oversized_record,
    "an unknown content type": unknown_content,
    "a flood of KeyUpdate": key_updates,
    "a flood of empty records": lambda: empty_records(2000),
    "renegotiation": renegotiation,
    "plain HTTP": lambda: raw(b"GET / HTTP/1.1\r\n\r\n"),
    "half a ClientHello": lambda: raw(bytes.fromhex("1603010200010001fc0303")),
    "a record of 2^16": lambda: raw(b"\x16\x03\x01\xff\xff" + bytes(70000)),
    "another version": lambda: raw(b"\x16\x09\x09" + struct.pack("!H", 64) + bytes(64)),
}
HONEST = {
    "TLS 1.3": lambda: request(connect(**version((3, 4)))),
    "TLS 1.2": lambda: request(connect(**version((3, 3)))),
    "records of 16 bytes": lambda: request(connect(record_size=16)),
    "a few empty records": lambda: empty_records(8),
}


def main():
    failed = 0
    for name, attack in ATTACKS.items():
        ended = must_fail(attack)
        served = request(connect())
        good = not ended.startswith(b"HTTP/1.1 2") and served.startswith(b"HTTP/1.1 2")
        failed += not good
        print("ok  " if good else "FAIL", name, "-", ended.decode(errors="replace"))
    for name, client in HONEST.items():
        served = must_fail(client)
        good = served.startswith(b"HTTP/1.1 2")
        failed += not good
        print("ok  " if good else "FAIL", name, "-", served.decode(errors="replace"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

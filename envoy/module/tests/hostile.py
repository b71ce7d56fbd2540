"""An independent hostile client (tlslite-ng) against a listener with the module's transport socket.

usage: hostile.py PORT CERTIFICATE KEY

The listener accepts TLS 1.2 and 1.3 and this certificate (P-256), and answers over HTTP. An attack must
never be answered, and an honest client must be after each; the exit status is 0 if all is so.
`make hostile` runs this against a real Envoy.
"""

import socket
import struct
import sys
import time

from tlslite.api import HandshakeSettings, TLSConnection, X509, X509CertChain, parsePEMKey
from tlslite.constants import ContentType
from tlslite.errors import TLSAbruptCloseError, TLSAlert, TLSError
from tlslite.messages import ApplicationData, Message

PORT, CERTIFICATE, KEY = int(sys.argv[1]), sys.argv[2], sys.argv[3]
ENDED = (TLSAlert, TLSAbruptCloseError, TLSError, OSError)


class Wire:
    """A socket that sends the parts that `change` makes of what is written."""

    def __init__(self, raw, change):
        self.raw, self.change = raw, change

    def send(self, data):
        self.sendall(data)
        return len(data)

    def sendall(self, data):
        for part in self.change(bytes(data)):
            self.raw.sendall(part)

    def __getattr__(self, name):
        return getattr(self.raw, name)


def connect(record_size=None, change=lambda data: [data], **options):
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
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection = TLSConnection(Wire(raw, change))
    if record_size:
        connection.recordSize = record_size
    connection.handshakeClientCert(X509CertChain([certificate]), key, settings=settings)
    return connection


def request(connection):
    connection.write(b"GET / HTTP/1.1\r\nhost: service.demo\r\nconnection: close\r\n\r\n")
    answer = b""
    while not answer.startswith(b"HTTP/1.1 ") or len(answer) < 12:
        chunk = connection.read(max=4096)
        if not chunk:
            break
        answer += chunk
    return answer[:12]


def answered(received):
    return received.startswith(b"HTTP/1.1 ")


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


def bytewise(data):
    for byte in data:
        time.sleep(0.0005)
        yield bytes([byte])


def after_handshake(change, writes=1):
    """What comes of a request whose records the network changes."""
    connection = connect()
    connection.sock.socket.change = change
    for _ in range(writes - 1):
        connection.write(b"GET / HTTP/1.1\r\n")
    return request(connection)


def swapped():
    """Two records, the second one first."""
    held = []

    def swap(data):
        held.append(data)
        return held[::-1] if len(held) == 2 else []

    return after_handshake(swap, writes=2)


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
    "records in another order": swapped,
    "every record twice": lambda: after_handshake(lambda data: [data + data]),
    "a record with its end cut off": lambda: after_handshake(lambda data: [data[:-1]]),
    "a changed byte": lambda: after_handshake(lambda data: [data[:-1] + bytes([data[-1] ^ 1])]),
    "the handshake twice": lambda: request(connect(change=lambda data: [data, data])),
    "plain HTTP": lambda: raw(b"GET / HTTP/1.1\r\n\r\n"),
    "half a ClientHello": lambda: raw(bytes.fromhex("1603010200010001fc0303")),
    "a record of 2^16": lambda: raw(b"\x16\x03\x01\xff\xff" + bytes(70000)),
    "another version": lambda: raw(b"\x16\x09\x09" + struct.pack("!H", 64) + bytes(64)),
}
HONEST = {
    "TLS 1.3": lambda: request(connect(**version((3, 4)))),
    "TLS 1.2": lambda: request(connect(**version((3, 3)))),
    "records of 16 bytes": lambda: request(connect(record_size=16)),
    "every byte in a segment of its own": lambda: request(connect(change=bytewise)),
    "a few empty records": lambda: empty_records(8),
}


def main():
    failed = 0
    for name, attack in ATTACKS.items():
        ended = must_fail(attack)
        served = request(connect())
        good = not answered(ended) and answered(served)
        failed += not good
        print("ok  " if good else "FAIL", name, "-", ended.decode(errors="replace"))
    for name, client in HONEST.items():
        served = must_fail(client)
        good = answered(served)
        failed += not good
        print("ok  " if good else "FAIL", name, "-", served.decode(errors="replace"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

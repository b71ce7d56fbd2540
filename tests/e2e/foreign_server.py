"""A server of others' making (Python's ssl, OpenSSL) that ends its connections as badly as it is asked to.

Usage: foreign_server.py CERTIFICATE KEY CA. Prints its port. The path of a request says how the response is framed and
how the connection ends: /length/fin, /chunked/reset, /close/forged, ..; with /half/ in front only a half is sent.
"""

import socket
import ssl
import struct
import sys
import threading

BODY = b"0123456789" * 10
# Frames of HTTP/2: SETTINGS and its acknowledgement.
SETTINGS, SETTINGS_DONE = b"\0\0\0\4\0\0\0\0\0", b"\0\0\0\4\1\0\0\0\0"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Connection:
    """TLS over memory, so that ciphertext leaves in the pieces that the test wants."""

    def __init__(self, context, plain):
        self.plain = plain
        # Otherwise a reset throws away what waits for an acknowledgement.
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.call(self.tls.do_handshake)

    def call(self, function, *arguments):
        while True:
            try:
                return function(*arguments)
            except ssl.SSLWantReadError:
                self.plain.sendall(self.outgoing.read())
                received = self.plain.recv(65536)
                if not received:
                    raise ConnectionError("the client has gone")
                self.incoming.write(received)

    def read(self):
        return self.call(self.tls.read, 65536)

    def finish(self, response, end):
        """All that is left to send, and the end, in one segment."""
        self.tls.write(response)
        last = self.outgoing.read()
        if end == "notify":
            try:
                self.tls.unwrap()
            except ssl.SSLWantReadError:
                pass
            last += self.outgoing.read()
        if end == "forged":
            last += b"\x17\x03\x03\x00\x20" + b"\7" * 32
        self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        self.plain.sendall(last)
        if end == "reset":
            self.plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)
            self.plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.plain.close()


def http1(connection):
    request = b""
    while b"\r\n\r\n" not in request:
        request += connection.read()
    path = request.split(b" ")[1].decode()
    half, framing, end = path.startswith("/half"), *path.split("/")[-2:]
    head = b"HTTP/1.1 200 OK\r\n"
    body = BODY[: len(BODY) // 2] if half else BODY
    if framing == "length":
        response = head + b"content-length: %d\r\n\r\n" % len(BODY) + body
    elif framing == "chunked":
        response = head + b"transfer-encoding: chunked\r\n\r\n%x\r\n" % len(BODY) + body
        response += b"" if half else b"\r\n0\r\n\r\n"
    else:
        response = head + b"\r\n" + body
    connection.finish(response, end)


def http2(connection):
    received = b""
    while len(received) < len(PREFACE):
        received += connection.read()
    received = received[len(PREFACE) :]
    connection.tls.write(SETTINGS + SETTINGS_DONE)
    while True:
        while len(received) < 9 or len(received) < 9 + int.from_bytes(received[:3], "big"):
            received += connection.read()
        length, kind, stream = int.from_bytes(received[:3], "big"), received[3], received[5:9]
        path, received = received[9 : 9 + length], received[9 + length :]
        if kind == 1:
            break
    # The path is Huffman-coded, so the way to end is the server's argument.
    end, half = sys.argv[4], len(sys.argv) > 5
    response = b"\0\0\1\1\4" + stream + b"\x88"
    body = BODY[: len(BODY) // 2] if half else BODY
    response += len(body).to_bytes(3, "big") + bytes([0, 0 if half else 1]) + stream + body
    connection.finish(response, end)


def serve(context, plain):
    try:
        connection = Connection(context, plain)
        http2(connection) if connection.tls.selected_alpn_protocol() == "h2" else http1(connection)
    except (OSError, ssl.SSLError):
        plain.close()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[1], sys.argv[2])
    context.load_verify_locations(sys.argv[3])
    context.verify_mode = ssl.CERT_REQUIRED
    context.set_alpn_protocols(["h2", "http/1.1"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            plain, _ = listener.accept()
            threading.Thread(target=serve, args=(context, plain), daemon=True).start()


main()

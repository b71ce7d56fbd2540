"""The service behind the verifier, and every application of the tests: an echo over HTTP/1.1 on the port it is given.

/events is an event stream, an upgrade to `websocket` echoes frames as they come, everything else is answered with the
request's headers.
"""

import base64
import hashlib
import http.server
import json
import sys
import time

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.headers.get("upgrade", "").lower() == "websocket":
            self.echo_frames()
        elif self.path.startswith("/events"):
            self.send_events()
        else:
            body = json.dumps({"path": self.path, "headers": {name.lower(): text for name, text in self.headers.items()}})
            self.answer(body.encode())

    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers.get("content-length", 0))))

    def answer(self, body):
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def send_events(self):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(3):
            self.wfile.write(f"data: {number}\n\n".encode())
            self.wfile.flush()
            time.sleep(0.5)
        self.close_connection = True

    def echo_frames(self):
        accept = hashlib.sha1((self.headers["sec-websocket-key"] + MAGIC).encode()).digest()
        self.send_response(101)
        for name, value in {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": base64.b64encode(accept).decode()}.items():
            self.send_header(name, value)
        self.end_headers()
        while sent := self.connection.recv(65536):
            self.connection.sendall(sent)
        self.close_connection = True

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[1])), Service).serve_forever()

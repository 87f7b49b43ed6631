"""A WebSocket client that is small enough to be seen through, and may be wrong on purpose."""

import socket
import ssl
import struct

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
TIMEOUT = 60


class Refused(Exception):
    """The answer was no 101."""


def stream(address, tls=False):
    raw = socket.create_connection(address, TIMEOUT)
    if not tls:
        return raw
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context.wrap_socket(raw)


class Client:
    def __init__(self, address, path="/echo", tls=False, headers=()):
        self.stream = stream(address, tls)
        lines = [
            f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade",
            f"Sec-WebSocket-Key: {KEY}", "Sec-WebSocket-Version: 13", *headers,
        ]  # fmt: skip
        self.stream.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self.reader = self.stream.makefile("rb")
        status = self.reader.readline()
        if b" 101 " not in status:
            raise Refused(status.decode().strip())
        while self.reader.readline().strip():
            pass

    def send(self, first, payload=b""):
        """A frame of up to 125 bytes, masked with zeros."""
        self.stream.sendall(bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload)

    def receive(self):
        """The first byte of a frame and its payload; nothing at the end of the stream."""
        head = self.reader.read(2)
        if len(head) < 2:
            return None
        size = head[1]
        if size == 126:
            (size,) = struct.unpack(">H", self.reader.read(2))
        return head[0], self.reader.read(size)

    def echo(self, text):
        """Whether the echo came, and not the server's Close, which is answered."""
        self.send(0x81, text)
        frame = self.receive()
        if frame and frame[0] == 0x88:
            self.send(0x88, frame[1])
            return False
        assert frame == (0x81, text), frame
        return True

    def close(self, code=1000):
        self.send(0x88, struct.pack(">H", code))
        frame = self.receive()
        self.end()
        return frame

    def end(self):
        self.reader.close()
        self.stream.close()

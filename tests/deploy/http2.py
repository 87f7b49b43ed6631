"""A blocking client for WebSockets over HTTP/2 (RFC 8441).

One `Http2` is one TLS connection and any number of WebSockets within it, each a
stream that an extended CONNECT opens. `h2` makes and reads the HTTP/2 frames,
`wsproto` the WebSocket frames in their payload.
"""

import select
import socket
import time

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage
from wsproto.extensions import PerMessageDeflate

TIMEOUT = 60  # seconds, for whatever is waited for


class Refused(Exception):
    """The answer to CONNECT was this status, and not 200."""


class Http2:
    def __init__(self, port, tls, source="127.0.0.1"):
        tls.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", port), TIMEOUT, (source, 0))
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(raw, server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2", "the server chose no HTTP/2"
        self.authority = f"localhost:{port}"
        self.h2 = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
        self.streams = {}
        self.h2.initiate_connection()
        self.flush()
        # RFC 8441 §3: CONNECT may be extended only once the server has said so.
        while not self.h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL):
            self.pump()

    def websocket(self, path="/", headers=(), compress=False):
        return Http2WebSocket(self, path, headers, compress)

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def pump(self):
        """Waits for more from the server, and hands it to its streams."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("the server closed the HTTP/2 connection")
        for event in self.h2.receive_data(data):
            if isinstance(event, ConnectionTerminated):
                raise ConnectionError(f"GOAWAY, error {event.error_code}")
            stream = self.streams.get(getattr(event, "stream_id", None))
            if isinstance(event, ResponseReceived):
                answer = dict(event.headers)
                stream.status = int(answer[":status"])
                stream.agree(answer.get("sec-websocket-extensions"))
            elif isinstance(event, DataReceived):
                self.h2.acknowledge_received_data(
                    event.flow_controlled_length, event.stream_id
                )
                if event.data:  # END_STREAM may come with no more than itself
                    stream.frames.receive_data(event.data)
                    stream.events.extend(stream.frames.events())
            elif isinstance(event, StreamEnded):
                stream.ended = "END_STREAM"
            elif isinstance(event, StreamReset):
                # After END_STREAM: the server has no use for the client's half either.
                stream.ended = stream.ended or f"RST_STREAM, error {event.error_code}"
        self.flush()


class Http2WebSocket:
    """One WebSocket: a stream that stays open in both directions."""

    def __init__(self, http2, path, headers, compress):
        self.http2 = http2
        self.deflate = PerMessageDeflate() if compress else None
        self.frames = self.extensions = None
        self.events = []
        self.status = self.ended = None
        self.id = http2.h2.get_next_available_stream_id()
        http2.streams[self.id] = self
        if compress:
            offer = f"{self.deflate.name}; {self.deflate.offer()}"
            headers = [*headers, ("sec-websocket-extensions", offer)]
        # RFC 8441 §4 and §5: no Upgrade, Connection or Sec-WebSocket-Key here.
        http2.h2.send_headers(
            self.id,
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "https"),
                (":path", path),
                (":authority", http2.authority),
                ("sec-websocket-version", "13"),
                *headers,
            ],
        )
        http2.flush()
        while self.status is None:
            self.check()
            http2.pump()
        if self.status != 200:
            raise Refused(self.status)

    def agree(self, extensions):
        """The answer to CONNECT has come, with these extensions."""
        self.extensions = extensions
        if extensions and self.deflate:
            self.deflate.finalize(extensions)
        self.frames = Connection(ConnectionType.CLIENT, [self.deflate] if extensions else [])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Cuts the whole connection, if the WebSocket was not closed."""
        if not self.ended:
            self.http2.socket.close()

    def check(self):
        if self.ended:
            raise ConnectionError(f"the stream is at its end: {self.ended}")

    def write(self, event):
        """Sends a frame, as the windows of HTTP/2 let it pass."""
        h2 = self.http2.h2
        data = memoryview(self.frames.send(event))
        while data:
            size = min(h2.local_flow_control_window(self.id), h2.max_outbound_frame_size)
            if size <= 0:
                self.check()
                self.http2.pump()
                continue
            h2.send_data(self.id, bytes(data[:size]))
            self.http2.flush()
            data = data[size:]

    def next(self):
        """The next frame that is not a Ping; those are answered, until our Close is out."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            while not self.events:
                self.check()
                self.http2.pump()
            if not isinstance(event := self.events.pop(0), Ping):
                return event
            # Behind our Close nothing may follow (RFC 6455 §5.5.1).
            if self.frames.state is ConnectionState.OPEN:
                self.write(event.response())
            # Each Ping is a sign of life, and not what is waited for.
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing but Pings within {TIMEOUT} s")

    def send(self, message):
        """A text, bytes, or a list of texts: a fragment each."""
        if isinstance(message, bytes):
            return self.write(BytesMessage(message))
        parts = message if isinstance(message, list) else [message]
        for left, part in reversed(list(enumerate(reversed(parts)))):
            self.write(TextMessage(part, message_finished=left == 0))

    def recv(self):
        parts = []
        while True:
            event = self.next()
            if not isinstance(event, (TextMessage, BytesMessage)):
                raise ConnectionError(f"{event} in place of a message")
            parts.append(event.data)
            if event.message_finished:
                return parts[0][:0].join(parts)

    def ping(self, payload):
        self.write(Ping(payload))
        event = self.next()
        assert isinstance(event, Pong), f"{event} in place of a Pong"
        return bytes(event.payload)

    def idle(self, seconds):
        """Says nothing but Pongs, and hears nothing but Pings."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.check()
            if select.select([self.http2.socket], [], [], left)[0]:
                self.http2.pump()
            for event in self.events:
                assert isinstance(event, Ping), f"{event} in place of a Ping"
                self.write(event.response())
            self.events.clear()

    def close(self, code, reason):
        """Closes, sees the stream to its end, and returns what the server's Close said."""
        self.write(CloseConnection(code, reason))
        event = self.next()
        assert isinstance(event, CloseConnection), f"{event} in place of a Close"
        while not self.ended:
            self.http2.pump()
        # RFC 8441 §5: an orderly end of the TCP connection is END_STREAM.
        assert self.ended == "END_STREAM", f"the stream ended with {self.ended}"
        return event.code, event.reason

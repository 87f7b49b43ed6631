"""How many messages a second go from a member to another: in one process, and through Redis."""

import socket
import struct
import threading
import time

from room import handshake

MESSAGES = 100_000
PAYLOAD = 100  # bytes
BLOCK = 500  # messages in one write
WINDOW = 5_000  # messages that may be on their way: less than a member's queue holds


def join(port, room):
    member = socket.create_connection(("127.0.0.1", port))
    member.settimeout(60)
    member.sendall(handshake(room))
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += member.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    # It is in its room once a Ping is answered.
    member.sendall(b"\x89\x80" + bytes(4))
    pong = member.recv(1) + member.recv(1)
    assert pong == b"\x8a\x00", pong
    return member


def read_all(member, received, index, changed):
    """Reads all frames of a server, and tells how many there were."""
    total = 0
    buffer = bytearray(1 << 20)
    while total < MESSAGES * (2 + PAYLOAD):
        got = member.recv_into(buffer)
        assert got, "the connection was closed"
        total += got
        with changed:
            received[index] = total // (2 + PAYLOAD)
            changed.notify_all()


def measure(sending, receiving, redis=None):
    """Messages a second, from the first that is sent to the last that is received."""
    sender, receiver = join(sending, "speed"), join(receiving, "speed")
    if redis:
        redis.wait_for_subscribers("barews:room:speed", 2)
    # A mask of zeros changes nothing.
    frame = struct.pack("!BB4x", 0x82, 0x80 | PAYLOAD) + b"x" * PAYLOAD
    received, changed = [0, 0], threading.Condition()
    readers = [
        threading.Thread(target=read_all, args=(member, received, index, changed))
        for index, member in enumerate((sender, receiver))
    ]
    for reader in readers:
        reader.start()
    start = time.monotonic()
    for sent in range(0, MESSAGES, BLOCK):
        with changed:
            on = changed.wait_for(lambda: sent - min(received) <= WINDOW, 60)
        assert on, f"only {received} of {sent} messages came"
        sender.sendall(frame * BLOCK)
    for reader in readers:
        reader.join(60)
    seconds = time.monotonic() - start
    assert received == [MESSAGES, MESSAGES], "not all came"
    sender.close()
    receiver.close()
    if redis:
        redis.wait_for_subscribers("barews:room:speed", 0)
    return MESSAGES / seconds

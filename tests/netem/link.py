#!/usr/bin/env python3
"""A bad link to oneself, for a kernel without netem.

    link.py DELAY LOSS      seconds and a fraction, for each packet in each direction

Makes a tun device with the address 10.9.0.1, in a network namespace of its own if its caller is
prudent. What is sent to 10.9.0.2 comes back DELAY later as if from there, unless it is lost: the
two addresses change places, which no checksum notices. So both ends of a TCP connection to
10.9.0.2 are on this machine, and each of their packets goes this way. Prints a line when it is up.
"""

import collections
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
NAME = "bad0"


def device():
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH", NAME.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "address", "add", "10.9.0.1/24", "dev", NAME], check=True)
    subprocess.run(["ip", "link", "set", NAME, "up"], check=True)
    return tun


def main(delay, loss):
    tun = device()
    print("up", flush=True)
    under_way = collections.deque()  # (when it is due, packet), the oldest first
    while True:
        wait = max(0, under_way[0][0] - time.monotonic()) if under_way else None
        if select.select([tun], [], [], wait)[0]:
            packet = os.read(tun, 65536)
            # IPv4 only; its addresses are the bytes from 12 to 20.
            if packet[0] >> 4 == 4 and random.random() >= loss:
                packet = packet[:12] + packet[16:20] + packet[12:16] + packet[20:]
                under_way.append((time.monotonic() + delay, packet))
        while under_way and under_way[0][0] <= time.monotonic():
            os.write(tun, under_way.popleft()[1])


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))

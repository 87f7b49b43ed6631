"""What is checked, each with processes of its own: see `run`."""

import asyncio
import os
import signal
import time
from pathlib import Path

from redis_server import encode
from room import TIMEOUT, Member, Stuck, check_all, check_losses, check_order
from speed import MESSAGES, measure
from stack import free_ports

QUEUE = 256 << 10  # bytes, for those who are to run out of it


async def eventually(what, condition, timeout=60):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"after {timeout} s still not so: {what}"
        await asyncio.sleep(0.05)


async def pair(stack, redis, *options):
    """Two processes on one Redis, and HAProxy before them."""
    for name in "ab":
        stack.barews(name, "--backplane", redis.url, *options)
    if "haproxy" not in stack.ports:
        stack.certificate()
        stack.haproxy("a", "b", "130s")
    await eventually("both are connected", lambda: all(map(stack.is_connected, "ab")))
    await eventually("HAProxy knows both", lambda: all(
        stack.haproxy_server(name)["status"] == "UP" for name in "ab"))  # fmt: skip


async def both(stack, room, count=2, processes="ab", prefix=""):
    """So many members on each of these processes."""
    members = [await Member.join(stack, f"{prefix}{p}{i}", room, p)
               for i in range(count) for p in processes]  # fmt: skip
    # The handshake is answered before the process is subscribed.
    if all(map(stack.is_connected, processes)):
        stack.servers[-1].wait_for_subscribers(f"barews:room:{room}", len(processes))
    return members


async def settle(members, quiet=1.5):
    """Waits until nothing has come to anybody for a while."""
    await eventually("it is quiet", lambda: all(
        time.monotonic() - member.latest > quiet for member in members))  # fmt: skip


async def losses(stack, members, before):
    """Waits until all that is under way has come or is told to be lost; how many each process has missed."""
    await settle(members)
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            return check_losses(stack, members, before)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(0.2)


async def order(stack):
    """Everybody has the messages of all, in one order, by way of HAProxy."""
    redis = stack.redis()
    await pair(stack, redis)
    members = [await Member.join(stack, f"m{i}", "tea") for i in range(8)]
    processes = {member.process for member in members}
    assert processes == {"a", "b"}, processes
    redis.wait_for_subscribers("barews:room:tea", 2)
    await asyncio.gather(*(member.send(500) for member in members))
    for member in members:
        await member.wait("all messages", lambda m=member: len(m.order) == 8 * 500)
    check_all(members)
    assert all(member.order == members[0].order for member in members), "two orders"
    # Another room has none of it, nor this one after all have left.
    other = await Member.join(stack, "other", "coffee", "a")
    await other.send()
    await other.wait("its own message", lambda: other.order)
    assert other.order == [("other", 1)]
    for member in members:
        await member.leave()
    redis.wait_for_subscribers("barews:room:tea", 0)
    again = await both(stack, "tea", 1, prefix="again-")
    await again[0].send(3)
    for member in again:
        await member.wait("the messages of the new ones", lambda m=member: len(m.order) == 3)
    check_all(again)
    for name in "ab":
        assert stack.lost(name, "in") == stack.lost(name, "out") == 0
        assert stack.metric(name, "backplane_ignored_messages_total") == 0
        assert 0 < stack.metric(name, "backplane_round_trip_seconds") < TIMEOUT
    # What A has published is what B has received, and the other way round, but for that of others.
    await eventually("all is counted", lambda: sum(
        stack.metric(p, "backplane_published_messages_total") for p in "ab") == 8 * 500 + 1 + 3)  # fmt: skip


async def outage(stack, members, redis, down, rate=200):
    """Everybody talks, and Redis is killed meanwhile and comes back."""
    stop = asyncio.Event()

    async def talk(member):
        while not stop.is_set():
            await member.send(pause=1 / rate)

    talking = [asyncio.create_task(talk(member)) for member in members]
    await asyncio.sleep(1)
    redis.kill()
    await eventually("both see it", lambda: not any(map(stack.is_connected, "ab")))
    # Members of one process have each other all the same.
    first, second = [member for member in members if member.process == "a"][:2]
    marker = second.sent
    await first.wait("its neighbour", lambda: first.numbers()[second.name][-1] > marker)
    await asyncio.sleep(down)
    redis.start()
    await eventually("both are back", lambda: all(map(stack.is_connected, "ab")))
    await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*talking)


async def killed(stack):
    """Redis is killed under load: who stays, what is kept, and that all that is not is told."""
    redis = stack.redis()
    await pair(stack, redis)
    members = await both(stack, "tea")
    before = {name: stack.lost(name, "in") for name in "ab"}
    await outage(stack, members, redis, 1)
    missed = await losses(stack, members, before)
    for name in "ab":
        assert stack.lost(name, "out") == 0, "there was room for all"
        await eventually(f"the log of {name} tells the losses", lambda n=name: (
            stack.told_losses(n) == [stack.lost(n, "in"), stack.lost(n, "out")]))  # fmt: skip
        assert "rooms are local until it is back" in stack.log(name)
        assert "back after" in stack.log(name)
        assert stack.metric(name, "backplane_reconnects_total") == 1
        await eventually("nothing is queued", lambda n=name: (
            stack.metric(n, "backplane_queue_messages") == stack.metric(n, "backplane_queue_bytes") == 0))  # fmt: skip
    assert all(member.close_code() is None for member in members), "somebody was cut"
    sent = sum(member.sent for member in members)
    print(f"  of {sent} messages, each to two processes, lost: {missed}")


async def overflow(stack):
    """The same, with a queue that does not hold what is sent meanwhile."""
    redis = stack.redis()
    await pair(stack, redis, "--backplane-queue", str(QUEUE), "--max-message", "64K")
    members = await both(stack, "tea")
    before = {name: stack.lost(name, "in") for name in "ab"}
    padding = "x" * 2000

    async def talk(member):
        for _ in range(400):
            await member.send(padding=padding)
            await asyncio.sleep(0.002)

    await asyncio.gather(*(talk(member) for member in members))
    redis.kill()
    await eventually("both see it", lambda: not any(map(stack.is_connected, "ab")))
    await asyncio.gather(*(talk(member) for member in members))
    for name in "ab":
        await eventually("there is no room for more", lambda n=name: stack.lost(n, "out") > 0)
        assert stack.metric(name, "backplane_queue_bytes") <= QUEUE
    redis.start()
    await eventually("both are back", lambda: all(map(stack.is_connected, "ab")))
    # The last messages are among those that were lost: only a mark tells of them.
    missed = await losses(stack, members, before)
    for name, other in ("ab", "ba"):
        assert missed[name] >= stack.lost(other, "out") > 0
        await eventually(f"the log of {name} tells the losses", lambda n=name: (
            stack.told_losses(n) == [stack.lost(n, "in"), stack.lost(n, "out")]))  # fmt: skip
    assert all(member.close_code() is None for member in members), "somebody was cut"
    print(f"  of {sum(member.sent for member in members)} messages lost: {missed}")


async def frozen(stack):
    """Redis does not answer for some seconds: memory is bounded, and neighbours are heard."""
    redis = stack.redis()
    await pair(stack, redis, "--backplane-queue", "512K", "--max-message", "64K")
    members = await both(stack, "tea")
    before = {name: stack.lost(name, "in") for name in "ab"}
    rss = {name: stack.rss(name) for name in "ab"}
    stop = asyncio.Event()
    padding = "x" * 1000

    async def talk(member):
        while not stop.is_set():
            await member.send(padding=padding)
            await asyncio.sleep(0.004)

    talking = [asyncio.create_task(talk(member)) for member in members]
    await asyncio.sleep(0.5)
    os.kill(redis.process.pid, signal.SIGSTOP)
    start = time.monotonic()
    await eventually("both see it", lambda: not any(map(stack.is_connected, "ab")))
    noticed = time.monotonic() - start
    # Nobody is held up by it any more: the neighbour's next message is there at once.
    first, second = [member for member in members if member.process == "a"][:2]
    marker = second.sent + 20
    await first.wait("its neighbour", lambda: first.numbers()[second.name][-1] > marker)
    longest = 0
    while time.monotonic() - start < 7:
        for name in "ab":
            longest = max(longest, stack.metric(name, "backplane_queue_bytes"))
            assert longest <= 512 << 10
            grown = stack.rss(name) - rss[name]
            assert grown < 48 << 20, f"{name} has grown by {grown} bytes"
        await asyncio.sleep(0.1)
    os.kill(redis.process.pid, signal.SIGCONT)
    await eventually("both are back", lambda: all(map(stack.is_connected, "ab")))
    await asyncio.sleep(0.5)
    stop.set()
    await asyncio.gather(*talking)
    missed = await losses(stack, members, before)
    assert all(member.close_code() is None for member in members), "somebody was cut"
    print(f"  noticed after {noticed:.1f} s, at most {longest / 1e6:.1f} MB queued, lost: {missed}")


async def cut(stack):
    """Redis closes the connections, as it does with slow subscribers: what was missed is counted."""
    redis = stack.redis()
    await pair(stack, redis)
    members = await both(stack, "tea")
    before = {name: stack.lost(name, "in") for name in "ab"}
    stop = asyncio.Event()

    async def talk(member):
        while not stop.is_set():
            await member.send(pause=0.002)

    talking = [asyncio.create_task(talk(member)) for member in members]
    for count in range(1, 4):
        await asyncio.sleep(0.5)
        redis.command("CLIENT", "KILL", "TYPE", "pubsub")
        # Who is not back yet would be spared the next time.
        await eventually("both are back", lambda n=count: all(
            stack.metric(name, "backplane_reconnects_total") == n for name in "ab"))  # fmt: skip
        redis.wait_for_subscribers("barews:room:tea", 2)
    await asyncio.sleep(1)
    stop.set()
    await asyncio.gather(*talking)
    missed = await losses(stack, members, before)
    for name in "ab":
        assert stack.metric(name, "backplane_reconnects_total") == 3
        await eventually(f"the log of {name} tells the losses", lambda n=name: (
            stack.told_losses(n) == [stack.lost(n, "in"), stack.lost(n, "out")]))  # fmt: skip
    print(f"  of {sum(member.sent for member in members)} messages lost: {missed}")


async def process_killed(stack):
    """A barews process dies under load: the others do not notice, and its clients come again."""
    redis = stack.redis()
    await pair(stack, redis)
    members = await both(stack, "tea")
    staying = [member for member in members if member.process == "a"]
    talking = [asyncio.create_task(member.send(400, 0.005)) for member in staying]
    await asyncio.sleep(0.5)
    stack.kill("b")
    for member in members:
        if member.process == "b":
            await asyncio.wait_for(member.task, TIMEOUT)
    # HAProxy sends them to the other one.
    again = await Member.join(stack, "again", "tea")
    assert again.process == "a"
    await again.send(10)
    await asyncio.gather(*talking)
    for member in staying:
        await member.wait("all of those who stay", lambda m=member: (
            all(m.numbers()[s.name][-1:] == [s.sent] for s in [*staying, again])))  # fmt: skip
    check_all(staying[:2])
    assert stack.lost("a", "in") == 0
    stack.barews("b", "--backplane", redis.url)
    late = await Member.join(stack, "late", "tea", "b")
    redis.wait_for_subscribers("barews:room:tea", 2)
    await staying[0].send()
    await late.wait("what comes now", lambda: late.order)
    assert late.order == [(staying[0].name, staying[0].sent)]
    assert stack.lost("b", "in") == 0, "what came before is not lost"


async def slow_member(stack):
    """One who does not read is cut, and nobody waits for it."""
    redis = stack.redis()
    await pair(stack, redis, "--write-timeout", "1s")
    members = await both(stack, "tea", 1)
    stuck = Stuck(stack.ports["b"], "tea")
    padding = "x" * 10_000
    longest = 0
    for _ in range(1_000):
        start = time.monotonic()
        await members[0].send(padding=padding)
        for member in members:
            await member.wait("the message", lambda m=member: (
                m.numbers()[members[0].name][-1:] == [members[0].sent]))  # fmt: skip
        longest = max(longest, time.monotonic() - start)
    check_order(members)
    # Its queue is full, or else it has not taken a write.
    await eventually("it is cut", lambda: stack.metric("b", "connections") == 1)
    await eventually("the log tells why", lambda: (
        " 1013" in stack.log("b") or "not taken in time" in stack.log("b")))  # fmt: skip
    stuck.close()
    print(f"  the others waited for {longest * 1000:.0f} ms at most")


async def garbage(stack):
    """What strangers publish to the channels is ignored and counted."""
    redis = stack.redis()
    await pair(stack, redis, "--max-message", "64K")
    members = await both(stack, "tea", 1)
    header = bytes([1, 1]) + bytes(8) + bytes(7) + b"\1" + bytes(7) + b"\1"
    assert len(header) == 26
    strange = [
        b"", b"\0", b"hello", b"\xff" * 100, header[:-1], bytes(range(256)) * 300,
        header + b"\xff",  # no UTF-8
        bytes([2]) + header[1:], bytes([1, 9]) + header[2:],
        header[:18] + bytes(8) + b"number 0", header[:18] + b"\xff" * 8 + b"too far",
        header + b"x" * (64 << 10) + b"y",  # longer than any message
        bytes([1, 3]) + header[2:] + b"a mark with a payload",
    ]  # fmt: skip
    for payload in strange:
        redis.command("PUBLISH", "barews:room:tea", payload)
    redis.command("PUBLISH", "barews:room:\xff\xfe", b"to nobody")
    for name in "ab":
        await eventually("all is counted", lambda n=name: (
            stack.metric(n, "backplane_ignored_messages_total") == len(strange)))  # fmt: skip
    # A very long one, which fills buffers on the way.
    redis.command("PUBLISH", "barews:room:tea", b"z" * (8 << 20))
    # What is well formed is a message, whoever has sent it.
    redis.command("PUBLISH", "barews:room:tea", header + b"stranger 1")
    await members[0].send()
    for member in members:
        await member.wait("the messages", lambda m=member: len(m.order) == 2)
        assert member.order == [("stranger", 1), (members[0].name, 1)], member.order
    # A flood of it, in one go.
    conn_bytes = encode("PUBLISH", "barews:room:tea", b"\x01\x01junk") * 20_000
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port, limit=1 << 20)
    writer.write(conn_bytes)
    await writer.drain()
    await members[1].send()
    for member in members:
        await member.wait("the next message", lambda m=member: len(m.order) == 3)
    writer.close()


async def refused(stack):
    """What Redis says no to, and what happens if it is not there."""
    redis = stack.redis("--requirepass", "s3cret", "--maxclients", "60")

    async def fails(url, why):
        process = await asyncio.create_subprocess_exec(
            stack.server, "127.0.0.1:0", "--backplane", url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(process.communicate(), TIMEOUT)
        out = out.decode()
        assert process.returncode == 2 and why in out, (process.returncode, out)
        assert "wr0ng" not in out and "listening" not in out, out

    at = f"127.0.0.1:{redis.port}"
    await fails(f"redis://{at}", "NOAUTH")
    await fails(f"redis://:wr0ng@{at}", "does not know this user or password")
    await fails(f"redis://user:wr0ng@{at}", "does not know this user or password")
    await fails("http://user:wr0ng@a", "is not redis://")
    # It is not there at the start: rooms are local, and what is said is kept.
    (port,) = free_ports(1)
    late = f"redis://:s3cret@127.0.0.1:{port}"
    for name in "ab":
        stack.barews(name, "--backplane", late)
        await eventually("it is told", lambda n=name: "until it can be reached" in stack.log(n))
        assert "s3cret" not in stack.log(name), stack.log(name)
    members = await both(stack, "tea", 2)
    await members[0].send(5)
    await members[2].wait("its neighbour", lambda: len(members[2].order) == 5)
    assert members[1].order == []
    redis.kill()
    redis.port = port
    redis.start()
    await eventually("both are connected", lambda: all(map(stack.is_connected, "ab")))
    # Whoever was there first may have sent them before the other was.
    await members[1].send(2)
    for member in members:
        await member.wait("what came last", lambda m=member: (
            m.numbers()[members[1].name] == [1, 2]))  # fmt: skip
    check_order(members)
    # It has another password from now on, and lets nobody in.
    before = {name: stack.lost(name, "in") for name in "ab"}
    auth = encode("AUTH", "s3cret") + encode("CONFIG", "SET", "requirepass", "other")
    reader, writer = await asyncio.open_connection("127.0.0.1", redis.port)
    writer.write(auth + encode("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"))
    for name in "ab":
        await eventually("it is told", lambda n=name: "does not know this user" in stack.log(n))
    await members[0].send(3)
    await members[2].wait("its neighbour", lambda: (
        members[2].numbers()[members[0].name][-3:] == [6, 7, 8]))  # fmt: skip
    writer.write(encode("CONFIG", "SET", "requirepass", "s3cret"))
    await eventually("both are back", lambda: all(map(stack.is_connected, "ab")))
    writer.close()
    await settle(members)
    assert stack.log("a").count("does not know this user or password") == 1, "it is told once, not at each attempt"
    for name in "ab":
        assert stack.lost(name, "in") >= before[name]


async def example(stack):
    """examples/scale_out.rs: two processes of it, and a member on each."""
    redis = stack.redis()
    program = Path(os.environ["EXAMPLES"]) / "scale_out"
    for name in ("first", "second"):
        (port,) = free_ports(1)
        process = stack.spawn(name, program, f"127.0.0.1:{port}", redis.url)
        stack.ready(process, port)
        stack.ports[name] = port
    await eventually("both listen to Redis", lambda: (
        redis.command("CLIENT", "LIST", "TYPE", "pubsub").count(b" psub=1 ") == 2))  # fmt: skip
    members = [await Member.join(stack, name, "tea", name) for name in ("first", "second")]
    other = await Member.join(stack, "other", "coffee", "second")
    await asyncio.gather(*(member.send(200) for member in members))
    await other.send()
    for member in members:
        await member.wait("all messages", lambda m=member: len(m.order) == 2 * 200)
    check_all(members)
    assert members[0].order == members[1].order, "two orders"
    await other.wait("its own", lambda: other.order)
    assert other.order == [("other", 1)]
    redis.kill()
    # It says so and ends, as its head says.
    await asyncio.wait_for(asyncio.gather(*(member.task for member in members)), TIMEOUT)
    await eventually("it says why", lambda: "redis: " in stack.log("first"))


async def encrypted(stack):
    """rediss://: both processes trust a certificate by the system's variable, and another one not."""
    certificate, key = stack.end_entity()
    (port,) = free_ports(1)
    redis = stack.redis("--tls-port", str(port), "--tls-cert-file", certificate,
                        "--tls-key-file", key, "--tls-auth-clients", "no")  # fmt: skip
    url = f"rediss://localhost:{port}"
    os.environ["SSL_CERT_FILE"] = str(certificate)
    try:
        for name in "ab":
            stack.barews(name, "--backplane", url)
    finally:
        del os.environ["SSL_CERT_FILE"]
    await eventually("both are connected", lambda: all(map(stack.is_connected, "ab")))
    members = await both(stack, "tea")
    await asyncio.gather(*(member.send(200) for member in members))
    for member in members:
        await member.wait("all messages", lambda m=member: len(m.order) == 4 * 200)
    check_all(members)
    stack.kill("b")
    stack.barews("b", "--backplane", url)
    assert not stack.is_connected("b")
    # What is told first, that or the address, is chance.
    await eventually("it is told why", lambda: any(
        "certificate" in line for line in stack.log("b").splitlines()[-2:]))  # fmt: skip


async def speed(stack):
    """Messages of 100 bytes a second, from one member to another who is slower for the way."""
    redis = stack.redis()
    stack.barews("a")
    alone = max(measure(stack.ports["a"], stack.ports["a"]) for _ in range(3))
    stack.kill("a")
    for name in "ab":
        stack.barews(name, "--backplane", redis.url)
    through = max(measure(stack.ports["a"], stack.ports["b"], redis) for _ in range(3))
    trip = stack.metric("a", "backplane_round_trip_seconds")
    assert stack.lost("b", "in") == stack.lost("a", "out") == 0
    assert stack.metric("b", "backplane_received_messages_total") == 3 * MESSAGES
    assert through > 5_000, through
    print(f"  in one process {alone:,.0f} a second, through Redis to another {through:,.0f}; "
          f"a round trip takes {trip * 1e3:.2f} ms")  # fmt: skip


CHECKS = [
    order, killed, overflow, frozen, cut, process_killed, slow_member, garbage, refused,
    example, encrypted, speed,
]  # fmt: skip

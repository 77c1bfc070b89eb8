"""Many peers, peers that go, peers that say nothing more: counted, noticed, and nothing leaks."""

import os
import select
import signal
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import uuid

import pytest
import zmq
from support.broker import Broker, ack_of, say, stats_of
from support.peer import Peer, pack, unpack
from support.system import System, descriptors, eventually, free_port_base, memory

TOPIC = "core.event.other"
BODY = {"requester_id": "bhiv_core", "event_type": "other"}


class Crowd:
    """Many peers in one process: each with a PUSH and an inbox SUB of its own connections."""

    def __init__(self, broker, count):
        self.context = zmq.Context(io_threads=1)
        self.context.set(zmq.MAX_SOCKETS, 3 * count + 100)
        self.poller = zmq.Poller()
        self.members = []
        for n in range(count):
            inbox = f"_inbox.crowd{n}.{uuid.uuid4().hex}"
            push, sub = self.context.socket(zmq.PUSH), self.context.socket(zmq.SUB)
            for each in (push, sub):
                each.setsockopt(zmq.LINGER, 0)
                each.setsockopt(zmq.RECONNECT_IVL, 50)
            push.connect(broker.ingress)
            sub.connect(broker.egress)
            sub.subscribe(inbox.encode())
            self.poller.register(sub, zmq.POLLIN)
            self.members.append((push, sub, inbox))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.context.destroy(linger=0)

    def hear(self, wanted, timeout=60):
        """Waits until each member heard a message whose header `wanted` fits, and returns them."""
        end = time.monotonic() + timeout
        heard = {}
        while len(heard) < len(self.members):
            assert time.monotonic() < end, f"{len(heard)} of {len(self.members)} heard it"
            for sub, _ in self.poller.poll(1000):
                while sub.poll(0):
                    _, header, body = sub.recv_multipart()
                    if wanted(unpack(header)):
                        heard[sub] = unpack(body)
        return heard

    def welcomed(self):
        return self.hear(lambda header: header.get("re") == "welcome")

    def say(self, topic, body, **header):
        for n, (push, _, inbox) in enumerate(self.members):
            push.send_multipart([topic.encode(), pack({"id": f"{n}-{uuid.uuid4().hex}", "reply_to": inbox,
                                                       "source": f"crowd{n}", **header}), pack(body)])


@pytest.fixture
def tcp(bhiv, tmp_path):
    """A broker whose peers come by tcp, as from another machine."""
    base = free_port_base()
    broker = Broker(bhiv, tmp_path / "d", ("--bus-in", str(base + 50), "--bus-out", str(base + 51)))
    broker.ports = base + 50, base + 51
    with broker:
        yield broker


def test_answers_to_peers_that_have_gone_are_counted_and_leak_nothing(bhiv, tmp_path, long):
    count = 12_500 if long else 3_000
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        used = []
        for number in range(8):
            for n in range(count):
                peer.send(TOPIC, BODY, ack=True, reply_to=f"_inbox.gone{number}.{n}")
                if n % 200 == 199:
                    ack_of(peer, TOPIC, BODY)  # a disk that is slow for a moment lets none gather
            used.append(memory(broker.program.pid))
        assert stats_of(peer)["orphans"] == 8 * count
        assert used[-1] < max(used[:4]) + (1 << 20), used


def test_a_thousand_peers_asking_at_once_get_every_answer(bhiv, tmp_path, long):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bucket,karma")) as system, \
            Crowd(system, 1000) as crowd:
        crowd.welcomed()
        for _ in range(10 if long else 2):
            crowd.say("req.bucket.stats", {})
            for answer in crowd.hear(lambda header: "re" in header).values():
                assert answer["stats"]["total_events"] >= 0, answer
            crowd.say(TOPIC, BODY, ack=True)
            seqs = [ack["seq"] for ack in crowd.hear(lambda header: "re" in header).values()]
            assert len(set(seqs)) == 1000


def test_who_connects_during_a_restart_of_the_broker_gets_every_answer(bhiv, tmp_path, long):
    with Broker(bhiv, tmp_path / "d") as broker:
        for _ in range(20 if long else 4):
            broker.kill()
            starting = threading.Timer(0.01, broker.start)
            starting.start()
            with Crowd(broker, 50) as crowd:
                crowd.welcomed()
                crowd.say(TOPIC, BODY, ack=True)
                assert len(crowd.hear(lambda header: "re" in header)) == 50
            starting.join()


def test_a_thousand_connections_leave_nothing_behind(tcp, long):
    """And 5,000 with --long. libzmq looks through all inboxes for each that goes: that takes seconds."""
    with Peer(tcp.ingress, tcp.egress) as peer:
        def stats():
            return say(peer, "$bus.stats", {}, timeout=60)[1]

        pid = tcp.program.pid
        with Crowd(tcp, 10) as crowd:
            crowd.welcomed()
        eventually(lambda: stats()["inboxes"] == 1)
        before, used = descriptors(pid), memory(pid)
        for _ in range(4 if long else 3):
            with Crowd(tcp, 2500 if long else 500) as crowd:
                crowd.welcomed()
                assert stats()["inboxes"] == len(crowd.members) + 1
                assert descriptors(pid) >= before + 2 * len(crowd.members)
            eventually(lambda: descriptors(pid) <= before + 2, 60, 0.1, "its descriptors back")
            eventually(lambda: stats()["inboxes"] == 1, 60, what="the inboxes gone")
            eventually(lambda: memory(pid) < used + (8 << 20), 60, 0.1,
                       f"memory back to {used}")
        assert stats()["connections"] <= 10


def test_connects_and_disconnects_leave_nothing_behind(tcp, long):
    """Some in the middle of the handshake, some with garbage."""
    with Peer(tcp.ingress, tcp.egress) as peer:
        pid = tcp.program.pid
        before, used = descriptors(pid), None
        said = (b"", b"\xff\0\0\0\0\0\0\0\1\x7f", b"GET / HTTP/1.1\r\n\r\n", bytes(64), b"\xff" * 200)
        for n in range(100_000 if long else 3000):
            with socket.create_connection(("127.0.0.1", tcp.ports[n % 2])) as raw:
                raw.sendall(said[n % len(said)])
            if n == 1000:
                used = memory(pid)
            if n % 500 == 0:
                stats_of(peer)
        eventually(lambda: descriptors(pid) <= before + 2, 30, 0.1, "its descriptors back")
        assert memory(pid) < used + (8 << 20)
        assert ack_of(peer, TOPIC, BODY)["seq"] == 1


def test_running_out_of_descriptors_is_survived(bhiv, tmp_path):
    """With 1,024 of them: those who are in are served, and others come in when some have gone.

    libzmq ends the process where it has none left for an ipc connection: it must not come to that.
    """
    wrapped = tmp_path / "bhiv"
    wrapped.write_text(f"#!/bin/sh\nulimit -n 1024\nexec {bhiv} \"$@\"\n")
    wrapped.chmod(0o755)
    with Broker(str(wrapped), tmp_path / "d") as broker, broker.peer() as peer:
        with Crowd(broker, 0) as crowd:
            crowd.context.set(zmq.MAX_SOCKETS, 4000)
            for _ in range(1500):
                push = crowd.context.socket(zmq.PUSH)
                push.setsockopt(zmq.LINGER, 0)
                push.setsockopt(zmq.RECONNECT_IVL, 200)
                push.connect(broker.ingress)
                crowd.members.append((push, None, None))  # kept, or Python closes it
            eventually(lambda: stats_of(peer)["connections_refused"] >= 500, 20, 0.1, "the limit")
            for _ in range(20):
                ack_of(peer, TOPIC, BODY)
            assert broker.program.process.poll() is None
        with broker.peer("late", timeout=20) as late:
            assert ack_of(late, TOPIC, BODY)["seq"] == 21


def test_a_service_that_goes_silent_is_noticed_and_gets_no_more_requests(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,karma")) as system, \
            Peer(system.ingress, system.egress) as peer:
        peer.subscribe("$bus.peer.", settle=False)
        assert peer.ask("req.karma.health", {})[0]["status"] == "success"
        eventually(lambda: "karma" in [each["service"] for each in peer.ask("$bus.peers", {})[1]["peers"]],
                   what="its hello")
        pid = system.kill("karma", signal.SIGSTOP)
        begun = time.monotonic()
        try:
            topic, body = None, {}
            while (topic, body.get("service")) != ("$bus.peer.down", "karma"):
                heard = peer.hear(15)
                assert heard, "nobody noticed"
                topic, _, body = heard
            assert time.monotonic() - begun < 15
            header, answer = peer.ask("req.karma.health", {})
            assert answer["error_code"] == "NO_RESPONDERS"
            assert time.monotonic() - begun < 15
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: peer.ask("req.karma.health", {})[0]["status"] == "success", 15, 0.1,
                   "it to be back")


GREETING = b"\xff" + bytes(7) + b"\x01\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)


def test_a_connection_that_goes_silent_is_closed_within_15_seconds(tcp):
    """One before its handshake, one in the middle of it, one after it."""
    ready = b"\x04\x26\x05READY" + b"\x0bSocket-Type" + b"\0\0\0\x04PUSH" + b"\x08Identity" + bytes(4)
    ready = ready[:1] + bytes([len(ready) - 2]) + ready[2:]
    quiet = [socket.create_connection(("127.0.0.1", tcp.ports[0])) for _ in range(3)]
    quiet[1].sendall(GREETING)
    quiet[2].sendall(GREETING + ready)
    with Peer(tcp.ingress, tcp.egress) as peer:
        begun = time.monotonic()
        stats_of(peer)
        for each in quiet:
            each.setblocking(False)
        left = list(quiet)
        while left:
            wait = begun + 15 - time.monotonic()
            assert wait > 0, f"{len(left)} are still there"
            for each in select.select(left, [], [], wait)[0]:
                try:
                    if each.recv(4096) == b"":
                        left.remove(each)
                except ConnectionResetError:
                    left.remove(each)
        assert ack_of(peer, TOPIC, BODY)["seq"] == 1


def zmtp_push(connection):
    """Shakes hands as a PUSH that speaks ZMTP 3.1, which has PING."""
    connection.sendall(GREETING.replace(b"\x03\x00", b"\x03\x01"))
    ready = b"\x05READY" + b"\x0bSocket-Type" + b"\0\0\0\x04PUSH"
    connection.sendall(b"\x04" + bytes([len(ready)]) + ready)
    read = b""
    while b"READY" not in read:
        piece = connection.recv(4096)
        assert piece, "it does not shake hands"
        read += piece


def zmtp_connect(broker, door):
    """A connection to the broker's ingress that has shaken hands."""
    if door == "ipc":
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(broker.ingress.removeprefix("ipc://"))
    else:
        connection = socket.create_connection(("127.0.0.1", broker.ports[0]))
        reset = struct.pack("ii", 1, 0)  # as of a process that was killed: no goodbye
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    connection.settimeout(10)
    zmtp_push(connection)
    return connection


@pytest.mark.parametrize("door", ["ipc", "tcp"])
@pytest.mark.parametrize("paused", [False, True], ids=["running", "paused"])
def test_pings_that_were_read_ahead_of_a_hangup_stop_nobody(tcp, door, paused):
    """More than the broker's queue holds, with PINGs between, and the connection is gone.

    libzmq would answer them on a connection that it knows to be broken, and abort: runtime/hangup.h.
    `paused`: it finds all of that at once, and the end with it.
    """
    message = b"\x01\x01a" + b"\x01\x01" + pack({}) + b"\x00\x01" + pack(None)
    flood = (3 * message + b"\x04\x07\x04PING\x00\x00") * 900
    with Peer(tcp.ingress, tcp.egress) as peer:
        before = descriptors(tcp.program.pid)
        for _ in range(20 if paused else 5):
            with zmtp_connect(tcp, door) as connection:
                if paused:
                    tcp.program.signal(signal.SIGSTOP)
                for _ in range(1 if paused else 500):
                    connection.sendall(flood)
            tcp.program.signal(signal.SIGCONT)
            stats_of(peer)
        assert ack_of(peer, TOPIC, BODY)["seq"] == 1
        eventually(lambda: descriptors(tcp.program.pid) <= before, 20, 0.1, "the connections' end")


def test_a_peer_killed_in_mid_sentence_leaves_nothing_behind(bhiv, tmp_path):
    """SIGKILL of whole processes that publish, ask and subscribe."""
    script = textwrap.dedent("""
        import sys
        sys.path.insert(0, sys.argv[1])
        from support.peer import Peer
        peer = Peer(sys.argv[2], sys.argv[3])
        peer.subscribe("core.")
        print("up", flush=True)
        while True:
            for _ in range(100):
                peer.send("core.event.other", {"requester_id": "bhiv_core"}, ack=True, reply_to=peer.inbox)
            peer.ask("$bus.peers", {})
    """)
    tests = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        before = descriptors(broker.program.pid)
        for _ in range(5):
            child = subprocess.Popen([sys.executable, "-c", script, tests, broker.ingress, broker.egress],
                                     stdout=subprocess.PIPE)
            assert child.stdout.readline() == b"up\n"
            head = stats_of(peer)["head"]
            eventually(lambda head=head: stats_of(peer)["head"] > head + 200)
            child.kill()
            child.wait()
            child.stdout.close()
        eventually(lambda: stats_of(peer)["inboxes"] == 1, what="the inboxes gone")
        eventually(lambda: descriptors(broker.program.pid) <= before + 2)
        seqs = [header["seq"] for _, header, _ in peer.fetch_all()]
        assert seqs == list(range(1, len(seqs) + 1)) and len(seqs) > 1000


def test_an_inbox_of_another_is_not_for_hearing(bhiv, tmp_path):
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer("owner") as owner, broker.peer() as peer:
        spy = peer._socket(zmq.SUB, broker.egress)
        refused = stats_of(peer)["subscriptions_refused"]
        for prefix in ("_", "_inbox", "_inbox.", "_inbox.owner", "_inbox.owner.", "$", "$bus.",
                       owner.inbox[:-1], owner.inbox + "0"):
            spy.subscribe(prefix.encode())
        spy.subscribe(b"")
        eventually(lambda: stats_of(peer)["subscriptions_refused"] >= refused + 8)
        ack_of(owner, TOPIC, BODY)
        say(owner, "$bus.stats", {})
        heard = []
        assert spy.poll(10_000)
        while spy.poll(200):
            heard.append(spy.recv_multipart()[0])
        assert heard == [TOPIC.encode()]

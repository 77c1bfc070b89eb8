"""A subscriber that does not read costs the others nothing and the broker little; it can tell after.

Shortened unless --long: then 1,000,000 messages of 1 KiB, as the guarantee says.
"""

import json
import os
import select
import signal
import subprocess
import threading
import time

import pytest
import zmq
from support.broker import Broker, stats_of
from support.load import Publisher
from support.peer import unpack
from support.system import eventually, memory

MEMORY_MAX = 64 << 20
HELD_MEMORY_MAX = 400 << 20  # HELD_MAX of broker/held.h, what is small, and the rest of the broker


def hear_all(peer, until, timeout=20):
    """The seqs that came live, up to `until`, and the gaps that `prev` shows: (after, before)."""
    seqs, gaps, last = [], [], 0
    while last < until:
        heard = peer.hear(timeout)
        assert heard, f"nothing came after {last}"
        header = heard[1]
        if header["prev"] != last:
            gaps.append((last, header["prev"]))
        last = header["seq"]
        seqs.append(last)
    return seqs, gaps


def test_a_subscriber_that_stops_reading_costs_nobody_else_anything(bhiv, tmp_path, long):
    count = 1_000_000 if long else 60_000
    with Broker(bhiv, tmp_path / "d") as broker, \
            broker.peer("slow") as slow, broker.peer("quick") as quick:
        slow.subscribe("core.event.")
        slow.topic_sub.setsockopt(zmq.RCVHWM, 1000)
        quick.topic_sub = quick._socket(zmq.SUB, broker.egress)
        quick.topic_sub.setsockopt(zmq.RCVHWM, 0)
        quick.subscribe("core.event.")
        load = Publisher(broker.ingress, broker.egress, count=count, window=1000, pad=800)
        load.start()
        peak, quicks = 0, []
        while len(quicks) < count:  # the quick one reads all that is published, as it comes
            assert load.error is None, load.error
            heard = quick.hear(20)
            assert heard, "the quick one heard no more"
            quicks.append(heard[1]["seq"])
            if len(quicks) % 1000 == 0:
                peak = max(peak, memory(broker.program.pid))
        load.join(30)
        assert quicks == list(range(1, count + 1)), "the quick one missed something"
        print(f"the broker's own memory at its peak: {peak >> 20} MiB")
        assert peak < MEMORY_MAX
        # The slow one wakes: what it missed it can tell, and fetch.
        last = load.acked[max(load.acked, key=load.acked.get)]
        after = Publisher(broker.ingress, broker.egress, count=10**9, window=10, name="after")
        after.start()
        seqs, gaps = hear_all(slow, last + 1)
        after.halt.set()
        after.join(10)
        assert gaps, "it missed nothing: it was not slow"
        missed = {seq for after, before in gaps for seq in range(after + 1, before + 1)}
        assert missed | set(seqs) >= set(range(1, last + 1)) and not missed & set(seqs)
        fetched = [header["seq"] for _, header, _ in slow.fetch_all(["core.event."], gaps[0][0] + 1)]
        assert missed <= set(fetched)


def test_a_subscriber_that_is_stopped_loses_only_its_own(bhiv, tmp_path, long):
    """A process under SIGSTOP: its kernel buffers fill, the broker's bound holds, `bhiv sub` says so."""
    count = 300_000 if long else 50_000
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        heard = open(tmp_path / "heard", "w", encoding="utf-8")
        said = open(tmp_path / "said", "w", encoding="utf-8")
        before = stats_of(peer)["subscriptions"]
        sub = subprocess.Popen([bhiv, "sub", "core.event.", "--dir", str(tmp_path / "d"),
                                "--format", "json"], stdout=heard, stderr=said)
        try:
            eventually(lambda: stats_of(peer)["subscriptions"] >= before + 2, what="its subscription")
            sub.send_signal(signal.SIGSTOP)
            load = Publisher(broker.ingress, broker.egress, count=count, window=1000, pad=800)
            load.start()
            peak = 0
            while load.is_alive():
                peak = max(peak, memory(broker.program.pid))
                load.join(0.05)
            assert load.error is None and len(load.acked) == count
            assert peak < MEMORY_MAX
            sub.send_signal(signal.SIGCONT)
            more = Publisher(broker.ingress, broker.egress, count=10**9, window=10, name="after")
            more.start()
            eventually(lambda: "missed" in (tmp_path / "said").read_text(), 30,
                       what="the word of what was missed")
            more.halt.set()
            more.join(10)
        finally:
            sub.kill()
            sub.wait()
            heard.close()
            said.close()
        lines = [json.loads(line) for line in (tmp_path / "heard").read_text().splitlines()[:-1]]
        assert 0 < len(lines) < count
        seqs = [line["header"]["seq"] for line in lines]
        assert seqs == sorted(set(seqs)), "out of order or doubled"


@pytest.mark.parametrize("dies", [False, True], ids=["broker lives", "broker is killed"])
def test_a_tool_whose_output_nobody_reads_goes_on_when_it_is_read(bhiv, tmp_path, dies):
    """`bhiv sub | less` under a flood, and back after a while: libzmq reads for it no more.

    With heartbeats libzmq would abort after 2 s or 6: docs/adr/0018.
    """
    with Broker(bhiv, tmp_path / "d") as broker:
        with broker.peer() as peer, open(tmp_path / "said", "wb") as said:
            before = stats_of(peer)["subscriptions"]
            sub = subprocess.Popen([bhiv, "sub", "any.flood", "--dir", str(tmp_path / "d"), "--format",
                                    "json"], stdout=subprocess.PIPE, stderr=said)
            eventually(lambda: stats_of(peer)["subscriptions"] >= before + 2, what="its subscription")
            for n in range(120_000):
                peer.send("any.flood", {"n": n, "pad": "x" * 100})
                if n % 1000 == 0:
                    stats_of(peer)
            if dies:
                broker.kill()
                broker.start()
                peer.wait_welcome()
            end = os.pidfd_open(sub.pid)
            assert not select.select([end], [], [], 9)[0], (tmp_path / "said").read_text()
            os.close(end)
            last = threading.Event()
            lines = []

            def read():
                for line in sub.stdout:
                    lines.append(line)
                    if b'"last"' in line:
                        last.set()

            reader = threading.Thread(target=read, daemon=True)
            reader.start()

            def heard():
                peer.send("any.flood", {"n": "last"})
                return last.wait(0.1) or sub.poll() is not None

            eventually(heard, 30, 0, "what is said now")
            assert sub.poll() is None, (tmp_path / "said").read_text()
            sub.terminate()
            assert sub.wait(10) in (0, 130, 143)
            reader.join(10)
        numbers = [n for n in (json.loads(line)["body"]["n"] for line in lines[:-1]) if n != "last"]
        assert numbers == sorted(set(numbers)) and len(numbers) > 1000


def test_a_subscriber_that_joins_with_from_gets_everything(bhiv, tmp_path):
    """Several at random moments of a running load: each has every event, once, in order."""
    with Broker(bhiv, tmp_path / "d") as broker:
        load = Publisher(broker.ingress, broker.egress, count=12000, window=300)
        load.start()
        subs = []
        for n in range(4):
            eventually(lambda n=n: len(load.acked) >= n * 2500)
            subs.append(subprocess.Popen(
                [bhiv, "sub", "core.event.", "--from", "1", "--count", "12000", "--format", "json",
                 "--dir", str(tmp_path / "d")], stdout=subprocess.PIPE, text=True))
        load.join(60)
        assert load.error is None
        for sub in subs:
            out, _ = sub.communicate(timeout=60)
            assert sub.returncode == 0
            seqs = [json.loads(line)["header"]["seq"] for line in out.splitlines()]
            assert seqs == list(range(1, 12001))


def test_answers_come_while_topics_are_busy(bhiv, tmp_path):
    """The inbox has a socket of its own: 50,000 fan-out messages cost none of 100 acks."""
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer, broker.peer("noise") as noise:
        peer.subscribe("htm.")
        idents = []
        for n in range(50_000):
            noise.send("htm.noise", {"n": n, "pad": "x" * 200})
            if n % 500 == 0:
                idents.append(peer.send("core.event.other", {"requester_id": "bhiv_core"},
                                        reply_to=peer.inbox, ack=True))
        for ident in idents:
            assert peer.answer(ident)[0]["status"] == "success"


def test_a_peer_that_reads_no_answers_loses_only_them(bhiv, tmp_path):
    """It asks and asks, and reads nothing: bounded, and the others are served."""
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer("deaf") as deaf, broker.peer() as peer:
        for n in range(100_000):
            deaf.send("$bus.peers", {}, reply_to=deaf.inbox)
            if n % 10_000 == 0:
                begun = time.monotonic()
                stats_of(peer)
                assert time.monotonic() - begun < 2
                assert memory(broker.program.pid) < MEMORY_MAX
        eventually(lambda: stats_of(peer)["in"]["bus"]["messages"] > 100_000, 30, 0.1)
        assert memory(broker.program.pid) < MEMORY_MAX
        header = unpack(deaf.inbox_sub.recv_multipart()[1])
        assert header.get("re")


def stop_reading(peer, endpoint, *prefixes):
    """A SUB that takes nothing: beside what the kernel has room for it all stays at the broker."""
    lazy = peer.context.socket(zmq.SUB)
    lazy.setsockopt(zmq.LINGER, 0)
    lazy.setsockopt(zmq.RCVHWM, 1)
    lazy.setsockopt(zmq.RCVBUF, 4096)
    lazy.connect(endpoint)
    for prefix in prefixes:
        lazy.subscribe(prefix)
    return lazy


def held_back(peer, subscriptions):
    """Waits until the broker has so many subscriptions."""
    eventually(lambda: stats_of(peer)["subscriptions"] >= subscriptions, what="the subscriptions")


def test_an_inbox_that_is_not_read_is_cut_before_it_costs_much(bhiv, tmp_path):
    """400 pages of 3 MiB for one that reads none: bounded, cut, and the others are served all along."""
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer("quick") as quick:
        for _ in range(4):
            quick.publish("core.event.big", {"requester_id": "bhiv_core", "x": "y" * 1_000_000})
        quick.publish("core.event.small", {"requester_id": "bhiv_core"})
        lazy = stop_reading(quick, broker.egress, b"_inbox.lazy.1")
        assert lazy.poll(10_000), "no welcome"
        peak = slowest = 0
        for n in range(400):
            quick.send("$bus.fetch", {"consumer": f"lazy-{n}", "from": 1, "max_bytes": 3 << 20},
                       reply_to="_inbox.lazy.1")
            if n % 4 == 3:
                begun = time.monotonic()
                stats = stats_of(quick)
                page = quick.fetch(start=5)  # small ones are served however much is held
                slowest = max(slowest, time.monotonic() - begun)
                assert len(page["records"]) == 1
                peak = max(peak, memory(broker.program.pid))
        eventually(lambda: stats_of(quick)["connections_clogged"] >= 1, what="the cut")
        stats = stats_of(quick)
        print(f"peak {peak >> 20} MiB, slowest {slowest:.3f} s, refused {stats['refused']}")
        assert peak < HELD_MEMORY_MAX and slowest < 2
        # It comes back by itself, and so does the memory.
        assert lazy.recv_multipart()[0] == b"_inbox.lazy.1"
        eventually(lambda: memory(broker.program.pid) < MEMORY_MAX, what="the memory back")
        assert "connection_clogged" in broker.log_path.read_text()


def test_who_reads_slowly_is_not_cut_and_who_does_not_is(bhiv, tmp_path):
    """200 MB live: one reads a message in 50 ms, one none. The one gets all, the other is cut."""
    count = 1000
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        before = stats_of(peer)["subscriptions"]
        slow = stop_reading(peer, broker.egress, b"live.")
        stuck = stop_reading(peer, broker.egress, b"live.")
        held_back(peer, before + 2)
        for n in range(count):
            peer.send("live.big", {"n": n, "x": "y" * 200_000})
        heard = []
        end = time.monotonic() + 4  # as long as it takes to judge, several times
        while time.monotonic() < end or stats_of(peer)["connections_clogged"] == 0:
            assert time.monotonic() < end + 20, "nobody is cut"
            assert slow.poll(10_000), f"it was cut, after {len(heard)}: {stats_of(peer)}"
            heard.append(unpack(slow.recv_multipart()[2])["n"])
            peer.inbox_sub.poll(50)  # nothing comes: this is its slowness
        assert len(heard) < count / 2, "it was not slow"
        while len(heard) < count and slow.poll(10_000):
            heard.append(unpack(slow.recv_multipart()[2])["n"])
        assert heard == list(range(count))
        stats = stats_of(peer)
        assert stats["connections_clogged"] == 1 and stats["held_dropped"] == 0
        stuck.close()


def test_large_messages_to_who_does_not_read_are_bounded_in_bytes(bhiv, tmp_path):
    """600 MB live for three that read nothing: bounded, all three cut, what is journaled is all there."""
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        before = stats_of(peer)["subscriptions"]
        lazy = [stop_reading(peer, broker.egress, b"live.", b"core.") for _ in range(3)]
        held_back(peer, before + 6)
        peak, idents = 0, []
        for n in range(3000):
            peer.send("live.big", {"n": n, "x": "y" * 200_000})
            if n % 20 == 0:  # nothing waits for the disk: who is cut for the time it takes drops nothing
                idents.append(peer.send("core.event.small", {"requester_id": "bhiv_core", "n": n}, ack=True,
                                        reply_to=peer.inbox))
                peak = max(peak, memory(broker.program.pid))
        for ident in idents:
            assert peer.answer(ident, 60)[0]["status"] == "success"
        eventually(lambda: stats_of(peer)["connections_clogged"] >= 3, what="the cuts")
        stats = stats_of(peer)
        print(f"peak {peak >> 20} MiB, {stats['held_dropped']} dropped")
        assert peak < HELD_MEMORY_MAX
        assert stats["held_dropped"] > 0
        ns = [event["n"] for _, _, event in peer.fetch_all(["core.event."])]
        assert ns == list(range(0, 3000, 20))
        for each in lazy:
            each.close()

"""A subscriber that does not read costs the others nothing and the broker little; it can tell after.

Shortened unless --long: then 1,000,000 messages of 1 KiB, as the guarantee says.
"""

import json
import signal
import subprocess
import time

import zmq
from support.broker import Broker, stats_of
from support.load import Publisher
from support.peer import unpack
from support.system import eventually, memory

MEMORY_MAX = 64 << 20


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

"""Out of memory at each n-th allocation: a clean error or a clean end, and nothing half written."""

import random
import signal

import pytest
from support.broker import Broker
from support.checker import check
from support.faults import FAIL, MALLOC
from support.load import Publisher
from support.peer import Peer
from support.system import System, eventually

CLEAN = (0, -signal.SIGABRT)  # an assertion's end is one: nothing was written after it


def body(n):
    return {"requester_id": "bhiv_core", "event_type": "rl_outcome", "n": n, "pad": "x" * 3000}


@pytest.mark.parametrize("what", ["publish", "batch", "fetch", "join"])
def test_the_broker_without_memory_writes_nothing_by_halves(bhiv, tmp_path, faults, long, what):
    page = faults("broker")
    truth, acked, n, ended = {}, {}, 0, 0
    broker = Broker(bhiv, tmp_path / "d", env=page.env)
    broker.start()
    for start in range(1, 151 if long else 9):
        peer = broker.peer("short")
        page.arm(MALLOC, FAIL, start=start, count=1)
        n += 1
        try:
            if what == "join":
                Peer(broker.ingress, broker.egress, timeout=0.3).close(linger=0)
            elif what == "fetch":
                peer.fetch(start=1, max=5, timeout=0.3)
            else:
                ident = f"{what}-{n}"
                truth[ident] = n
                topic, message, more = "core.event.rl_outcome", body(n), {"ack": True}
                if what == "batch":
                    topic, message = "$bus.batch", [["core.event.rl_outcome", {"id": ident}, body(n)]]
                    more = {}
                header, ack = peer.ask(topic, message, 0.3, id=ident, **more)
                if header["status"] == "success":
                    acked[ident] = ack["seq"]
                else:
                    assert ack["error_code"] in ("IO_ERROR", "JOURNAL_FULL", "BUSY"), ack
        except (TimeoutError, AssertionError):
            pass  # no answer: it ended, or what was lost is said again by who wants it
        page.ops = 0
        peer.close(linger=0)
        if broker.program.process.poll() is None:
            try:  # it lives: then it serves
                with broker.peer("after", timeout=15) as after:
                    after.publish("core.event.other", {"requester_id": "bhiv_core"}, timeout=15)
                continue
            except (TimeoutError, AssertionError):
                assert broker.program.process.poll() is not None, f"it hangs after {start}"
        status = broker.program.process.wait()
        # Where libzmq asked for the memory, how it ends is its own; what is on the disk is ours.
        assert status in CLEAN or page.foreign, f"{status} at allocation {start}"
        broker.program.close()
        ended += 1
        broker.start()
    with broker.peer() as peer:
        journal = [(header["seq"], header["id"], event) for _, header, event in peer.fetch_all()]
    assert [seq for seq, _, _ in journal] == list(range(1, len(journal) + 1))
    seqs = {ident: seq for seq, ident, _ in journal}
    assert len(seqs) == len(journal) and {ident: seqs.get(ident) for ident in acked} == acked
    assert all(event == body(truth[ident]) for _, ident, event in journal if ident in truth)
    print(f"it ended {ended} times")
    assert broker.stop() == 0


@pytest.mark.parametrize("part", ["bucket", "karma"])
def test_a_service_without_memory_applies_nothing_by_halves(bhiv, tmp_path, faults, long, part):
    page = faults(part)
    dice = random.Random(20261120)
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace"), env=page.env) as system:
        load = Publisher(system.ingress, system.egress, count=10**9, window=20)
        load.start()
        for _ in range(60 if long else 4):
            page.arm(MALLOC, FAIL, start=dice.randrange(1, 400), count=1)

            def fails():
                page.only_pid = system.restarted(part, 0)  # whoever is the part by now
                return page.failed

            eventually(fails, 60, 0.005, "a failure")
            page.clear()
            before = len(load.acked)
            eventually(lambda before=before: load.error or len(load.acked) > before + 50)
        load.halt.set()
        load.join(30)
        assert load.error is None
        check(system, load.acked)

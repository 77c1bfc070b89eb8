"""A disk that is full or fails: an error to whoever asked, and nothing else; it goes on by itself."""

import errno
import random

import pytest
import requests
from support.broker import Broker, ack_of, error_of, say, stats_of
from support.checker import check
from support.faults import FAIL, SHORT, SYNC, WRITE
from support.load import Publisher
from support.peer import Peer
from support.system import System, eventually

TOPIC = "core.event.rl_outcome"
PADDING = "x" * 900


def body(n):
    return {"requester_id": "bhiv_core", "event_type": "rl_outcome", "n": n, "pad": PADDING}


def health(system, name):
    with Peer(system.ingress, system.egress, source="health") as peer:
        header, answer = peer.ask(f"req.{name}.health", {}, timeout=5)
        assert header["status"] == "success", answer
        return {**answer, "head": peer.welcome["head"]}


FAULTS = {
    "no_space_to_write": (WRITE, FAIL, errno.ENOSPC),
    "no_space_to_flush": (SYNC, FAIL, errno.ENOSPC),
    "write_fails": (WRITE, FAIL, errno.EIO),
    "flush_fails": (SYNC, FAIL, errno.EIO),
    "write_is_short": (WRITE, SHORT, 0),
    "over_quota": (WRITE, FAIL, errno.EDQUOT),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_failing_disk_is_an_error_to_the_publisher_and_passes(bhiv, tmp_path, faults, long, fault):
    """From the n-th call on, for some calls: each message is journaled once, when it is told so."""
    ops, action, code = FAULTS[fault]
    page = faults("broker")
    dice = random.Random(20261120)
    starts = range(1, 201) if long else (1, 2, 3, 5, 8, 20)
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker, broker.peer() as peer:
        pid = broker.program.pid
        truth, errors, n = {}, 0, 0
        for start in starts:
            size = dice.randrange(9) * 512
            page.arm(ops, action, code, start, count=dice.randrange(1, 6), size=size)
            done = 0
            while done < 3 or not page.failed:
                n += 1
                ident = f"{fault}-{n}"
                while True:  # tried again under the same pseq until it is durable
                    header, answer = say(peer, TOPIC, body(n), id=ident, ack=True, pseq=n,
                                         pstream=peer.stream)
                    if header["status"] == "success":
                        break
                    errors += 1
                    assert answer["error_code"] in ("JOURNAL_FULL", "IO_ERROR"), answer
                truth[ident] = (answer["seq"], n)
                done += 1
            page.clear()
        assert errors > 0 and broker.program.pid == pid
        journal = {header["id"]: (header["seq"], event["n"])
                   for _, header, event in peer.fetch_all()}
        assert journal == truth
        assert stats_of(peer)["head"] == len(truth)
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:  # and it is on the disk
        assert {header["id"]: (header["seq"], event["n"])
                for _, header, event in peer.fetch_all()} == truth


def test_a_broker_whose_disk_is_gone_serves_all_that_needs_none(bhiv, tmp_path, faults):
    page = faults("broker")
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker, \
            broker.peer() as peer, broker.peer("listener") as listener:
        listener.subscribe("htm.")
        for n in range(20):
            ack_of(peer, TOPIC, body(n))
        page.arm(WRITE | SYNC, FAIL, errno.EIO)
        for _ in range(3):
            assert error_of(peer, TOPIC, body(0), ack=True)["error_code"] == "IO_ERROR"
        peer.send("htm.beat", {"n": 1})
        assert listener.hear()[2] == {"n": 1}
        assert [event["n"] for _, _, event in peer.fetch_all()] == list(range(20))
        page.clear()
        assert ack_of(peer, TOPIC, body(20))["seq"] == 21


def test_a_full_journal_says_so_and_still_serves(bhiv, tmp_path):
    args = ("--bus-in", "0", "--bus-out", "0", "--journal-bytes", "2m")
    with Broker(bhiv, tmp_path / "d", args) as broker, broker.peer() as peer:
        n = 0
        while True:
            header, answer = say(peer, TOPIC, body(n), ack=True)
            if header["status"] == "error":
                break
            n += 1
        assert answer["error_code"] == "JOURNAL_FULL" and answer["retry_after"] > 0
        assert n > 500
        assert error_of(peer, "$bus.batch", [[TOPIC, {}, body(0)]] * 3)["error_code"] == "JOURNAL_FULL"
        assert [event["n"] for _, _, event in peer.fetch_all()] == list(range(n))
        peer.fetch("keeper", start=n, ack=n)  # what consumers say is kept all the same
        assert say(peer, "$bus.forget", {"consumer": "keeper"})[0]["status"] == "success"
        assert broker.stop() == 0
        broker.args[-1] = "8m"  # a larger one has room
        broker.start()
        peer.wait_welcome()
        assert ack_of(peer, TOPIC, body(n))["seq"] == n + 1


def test_a_full_journal_that_may_let_go_makes_room_by_itself(bhiv, tmp_path):
    args = ("--bus-in", "0", "--bus-out", "0", "--journal-bytes", "2m", "--retention-bytes", "256k")
    with Broker(bhiv, tmp_path / "d", args) as broker, broker.peer() as peer:
        peer.fetch("reader", start=0, ack=1)  # holds back what it has not read
        n = 0
        while say(peer, TOPIC, body(n), ack=True)[0]["status"] == "success":
            n += 1
        peer.fetch("reader", start=n + 1, ack=n + 1)
        eventually(lambda: say(peer, TOPIC, body(n), ack=True)[0]["status"] == "success",
                   what="room in the journal")
        for more in range(3 * n):  # and again and again
            header, answer = say(peer, TOPIC, body(more), ack=True)
            if header["status"] == "error":
                assert answer["error_code"] == "JOURNAL_FULL"
                peer.fetch("reader", start=0, ack=n + more)
                eventually(lambda: say(peer, TOPIC, body(n), ack=True)[0]["status"] == "success",
                           what="room in the journal")
        assert stats_of(peer)["first"] > n


@pytest.mark.parametrize("part, fault", [*(("bucket", fault) for fault in FAULTS),
                                         ("karma", "no_space_to_write"), ("karma", "flush_fails")])
def test_a_service_whose_disk_fails_falls_behind_and_catches_up(
        bhiv, tmp_path, faults, long, part, fault):
    ops, action, code = FAULTS[fault]
    page = faults(part)
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace"), env=page.env) as system:
        pids = {name: system.pid(name) for name in system.names()}
        load = Publisher(system.ingress, system.egress, count=10**9, window=20)
        load.start()
        for start in (range(1, 30) if long else (2,)):
            page.arm(ops, action, code, start, size=1024)
            eventually(lambda: page.failed, 60, what="a failure")
            before = len(load.acked)  # the bus does not wait for it
            eventually(lambda before=before: load.error or len(load.acked) > before + 200)
            place = health(system, part)["cursor"]
            eventually(lambda: health(system, part)["head"] > place + 100, what="it to lag")
            # Between two tries it looks well for a moment.
            assert eventually(lambda: health(system, part)["status"] == "degraded")
            assert health(system, part)["cursor"] == place
            page.clear()
        load.halt.set()
        load.join(30)
        assert load.error is None
        check(system, load.acked)
        assert {name: system.pid(name) for name in system.names()} == pids, "a part was restarted"


def test_a_service_whose_store_is_full_loses_nothing(bhiv, tmp_path):
    env = {"BHIV_STORE_BYTES": "1m"}
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace"), env=env) as system:
        pid = system.pid("bucket")
        first, load = (Publisher(system.ingress, system.egress, count=count) for count in (10, 4000))
        first.start()
        first.join(60)
        eventually(lambda: health(system, "bucket")["lag"] == 0, what="the first ones taken")
        load.start()
        load.join(60)
        assert len(first.acked) == 10 and len(load.acked) == 4000
        eventually(lambda: health(system, "bucket")["status"] == "degraded")
        found = health(system, "bucket")
        assert found["cursor"] < 4000
        assert found["storage"]["bytes"] <= found["storage"]["quota"] == 1 << 20
        with Peer(system.ingress, system.egress) as peer:  # what it has it still gives
            header, answer = peer.ask("req.bucket.events", {"limit": 10})
            assert header["status"] == "success" and answer["showing"] == 10, answer
        assert system.pid("bucket") == pid
        assert system.stop() == 0
        system.env["BHIV_STORE_BYTES"] = "64m"
        system.start()
        check(system, first.acked | load.acked)
        assert system.stop() == 0


@pytest.mark.parametrize("code, answer", [(errno.ENOSPC, 507), (errno.EIO, 504)])
def test_a_failing_journal_is_an_error_over_http_and_not_ready(bhiv, tmp_path, faults, code, answer):
    page = faults("broker")
    with System(bhiv, tmp_path / "d", env=page.env) as system:
        def ready():
            return requests.get(system.url("bucket", "/readyz"), timeout=5).status_code

        def write(key):
            return requests.post(system.url("bucket", "/core/write-event"), timeout=10, json={
                "requester_id": "bhiv_core", "event_data": {"event_type": "other", "key": key}})

        eventually(lambda: ready() == 200)
        assert write(1).status_code == 200
        page.arm(WRITE | SYNC, FAIL, code)
        refused = write(2)
        assert refused.status_code == answer, refused.text
        assert refused.json()["error_code"] in ("JOURNAL_FULL", "TIMEOUT")
        eventually(lambda: ready() == 503, what="it to be not ready")
        health = requests.get(system.url("bucket", "/health"), timeout=5)
        assert health.status_code == 200
        page.clear()
        eventually(lambda: ready() == 200, what="it to be ready")
        assert write(3).status_code == 200

        def keys():
            events = requests.get(system.url("bucket", "/core/events"), timeout=5).json()["events"]
            return [event["key"] for event in events]

        # What was refused is not there; of what timed out nobody said whether, but at most once.
        legal = ([1, 3],) if answer == 507 else ([1, 3], [1, 2, 3])
        assert eventually(lambda: 3 in keys() and keys()) in legal

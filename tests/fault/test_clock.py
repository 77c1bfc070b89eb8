"""A wall clock that is stepped: seq, order and `at` do not care, and nothing is forgotten early."""

import time

from support.broker import Broker, ack_of, say, stats_of
from support.bucket import Bucket
from support.checker import check
from support.load import Publisher
from support.peer import Peer
from support.system import System, eventually

HOUR = 3600 * 1_000_000
YEAR = 365 * 24 * HOUR
TOPIC = "core.event.rl_outcome"


def body(n):
    return {"requester_id": "bhiv_core", "event_type": "rl_outcome", "n": n}


def test_a_clock_stepped_while_it_runs_moves_nothing(bhiv, tmp_path, faults):
    page = faults("broker")
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker, broker.peer() as peer:
        begun = time.time() * 1e6
        last = 0
        for step in (0, -HOUR, YEAR, -YEAR, 40 * YEAR, 0):
            page.clock_us = step
            for n in range(5):
                at = ack_of(peer, TOPIC, body(n))["at"]
                assert last <= at, "the journal's clock went back"
                last = at
        assert begun - 1e6 < last < time.time() * 1e6 + 1e6, "a stepped wall clock moved it"
        assert [header["seq"] for _, header, _ in peer.fetch_all()] == list(range(1, 31))


def test_a_start_before_the_last_record_goes_on_from_that(bhiv, tmp_path, faults):
    page = faults("broker")
    with Broker(bhiv, tmp_path / "d", env=page.env) as broker:
        with broker.peer() as peer:
            first = ack_of(peer, TOPIC, body(1))["at"]
        broker.stop()
        page.clock_us = -YEAR
        broker.start()
        with broker.peer() as peer:
            second = ack_of(peer, TOPIC, body(2))["at"]
            assert first <= second < first + HOUR


def test_a_start_a_year_ahead_raises_an_alarm_and_forgets_nothing(bhiv, tmp_path, faults):
    """Retention by age waits for the owner; a stream whose window is in flight is not doubled."""
    page = faults("broker")
    args = ("--bus-in", "0", "--bus-out", "0", "--retention", "48h")
    with Broker(bhiv, tmp_path / "d", args, env=page.env) as broker, broker.peer() as peer:
        for n in range(1, 21):
            peer.publish(TOPIC, body(n))
        peer.fetch("reader", start=21, ack=21)  # all of it may go, by what was read
        broker.stop()
        page.clock_us = YEAR
        broker.start()
        peer.wait_welcome()
        assert "clock_jumped" in broker.log_path.read_text()
        # Those who read the journal are told in it, before anything else is said.
        topic, header, fact = next(peer.fetch_all(start=21))
        assert (topic, header["seq"], header["source"]) == ("governance.clock.ahead", 21, "$bus")
        assert fact["ahead_seconds"] == (fact["now"] - fact["last"]) // 1_000_000
        assert abs(fact["ahead_seconds"] - YEAR / 1e6) < 60
        other = ack_of(peer, TOPIC, body(0), source="another")
        assert other["seq"] == 22 and other["at"] > time.time() * 1e6 + YEAR / 2
        # What was sent before and not acknowledged is sent again: it is known.
        peer.pseq = 19
        assert peer.publish(TOPIC, body(20))["duplicate"] is True
        # A sweep comes once a second: two of them have passed when the counters say so.
        first = stats_of(peer)["uptime_ms"]
        eventually(lambda: stats_of(peer)["uptime_ms"] > first + 2500, 10, 0.2, "two sweeps")
        assert stats_of(peer)["first"] == 1
        assert [event["n"] for _, _, event in list(peer.fetch_all(start=0))[:20]] == list(range(1, 21))


def test_a_system_under_a_jumping_clock_loses_and_doubles_nothing(bhiv, tmp_path, faults):
    page = faults("none")
    with System(bhiv, tmp_path / "d", env=page.env) as system:
        load = Publisher(system.ingress, system.egress, count=10**9, window=100)
        load.start()
        for step in (-HOUR, YEAR, 0, -YEAR):
            page.clock_us = step
            before = len(load.acked)
            eventually(lambda before=before: load.error or len(load.acked) > before + 300)
            pid = system.kill("bucket")
            system.restarted("bucket", pid)
        load.halt.set()
        load.join(30)
        assert load.error is None
        check(system, load.acked)


def test_a_clock_stepped_while_it_runs_takes_no_answer(bhiv, tmp_path, faults):
    """Who asked is answered at once, however far the wall clock is from the broker's anchor."""
    page = faults("none")
    with System(bhiv, tmp_path / "d", ("--dev", "--only", "broker,karma"), page.env) as system, \
            Peer(system.ingress, system.egress) as peer:
        life = {"user_id": "u", "action": "completing_lessons", "role": "learner"}
        for step in (0, HOUR, -HOUR, YEAR, 0):
            page.clock_us = step
            header, answer = peer.ask("karma.life_event", life, timeout=4)
            assert header["status"] == "success" and answer["user_id"] == "u", answer
        # Nor does a broker that starts by the stepped clock, or by the right one again.
        for step in (HOUR, 0):
            page.clock_us = step
            pid = system.kill("broker")
            system.restarted("broker", pid)
            peer.wait_welcome()
            page.clock_us = HOUR - step
            eventually(lambda: peer.ask("req.karma.health")[0]["status"] == "success")
            header, answer = peer.ask("karma.life_event", life, timeout=4)
            assert header["status"] == "success" and answer["user_id"] == "u", answer


def test_a_stepped_clock_does_not_shut_the_owner_out(bhiv, tmp_path, faults):
    """A signature must be near the journal's time, which a stepped wall clock does not move."""
    page = faults("none")
    with System(bhiv, tmp_path / "d", env=page.env) as system, Bucket(system) as bucket:
        hold = {"artifact_id": bucket.put(), "product": "gurukul", "reason": "r"}
        for step in (0, HOUR, -HOUR, YEAR, 0):
            page.clock_us = step
            for is_held in (True, False):
                answer = bucket.as_owner("POST", "/bucket/legal-hold", {**hold, "hold": is_held})
                assert answer.status_code == 200, answer.text


def test_a_message_says_the_journals_time_and_the_publishers(bhiv, tmp_path, faults):
    """`time` is anybody's word, for people; nothing is computed from it."""
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        for claimed in (1, 2**53, 2**63 - 1):
            header, answer = say(peer, TOPIC, body(1), ack=True, time=claimed)
            assert header["status"] == "success", answer
        records = list(peer.fetch_all())
        assert [header["time"] for _, header, _ in records] == [1, 2**53, 2**63 - 1]
        assert all(abs(header["at"] - time.time() * 1e6) < 60e6 for _, header, _ in records)

"""The task queue on a real bus: who gets what when, and what becomes of it (docs/grace.md).

Each test has a handler of its own in one system; at the end the whole journal is held to the checker's model.
"""

import copy
import json
import random
import time
import uuid

import pytest
from support.htm import (
    PYTHON, QUEUE, Hand, becomes, enqueue, facts, ready, settled, status_of, task_of, words_of,
)
from support.htm_checker import FILTERS, Checker, check
from support.peer import Peer
from support.system import ROOT_EXAMPLES, Program, System, eventually

SETTINGS = {"BHIV_HTM_BACKOFF_SECONDS": "0.1", "BHIV_HTM_LOSSES_MAX": "3"}


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    with System(bhiv, tmp_path_factory.mktemp("h") / "d", args=QUEUE, env=SETTINGS) as running:
        ready(running)
        yield running


@pytest.fixture(scope="module", name="peer")
def fixture_peer(system):
    with Peer(system.ingress, system.egress, source="py_htm") as peer:
        yield peer


@pytest.fixture(name="handler")
def fixture_handler():
    return "h" + uuid.uuid4().hex[:12]


def seconds_between(first, last):
    return (last["at"] - first["at"]) / 1e6


def of(peer, task_id, topic):
    """Header and body of what was said on this topic of one task, in order."""
    return [(header, body) for found, header, body in facts(peer, topic) if body.get("task_id") == task_id]


# --- One task ------------------------------------------------------------------------------------


def test_a_task_is_handed_out_done_and_told_in_its_own_trace(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        said = enqueue(peer, "resize", handler=handler, priority="high", context={"a": [1, {"b": None}]},
                       sla_seconds=60, lease_seconds=7, trace_id="t-" + handler)
        task = hand.take()
        assert {key: task[key] for key in ("task_id", "task_type", "handler", "priority", "context", "worker",
                                           "attempt", "lease_seconds", "sla_seconds", "trace_id")} == {
            "task_id": said["task_id"], "task_type": "resize", "handler": handler, "priority": "high",
            "context": {"a": [1, {"b": None}]}, "worker": handler, "attempt": 1, "lease_seconds": 7,
            "sla_seconds": 60, "trace_id": "t-" + handler}
        assert task_of(peer, said["task_id"])["status"] == "running"
        hand.complete(task, status="success", answer=42)
        kept = becomes(peer, said["task_id"], "completed")
    assert kept["result"] == {"status": "success", "answer": 42} and kept["worker"] == handler
    settled(peer)
    assert [topic for topic, _ in words_of(peer, said["task_id"])] == ["task.started", "task.completed", "task.done"]
    for topic in ("task.started", "task.done"):
        [(header, body)] = of(peer, said["task_id"], topic)
        assert header["trace_id"] == "t-" + handler and header["source"] == "htm"
    assert body["sla_met"] is True and body["attempts"] == 1 and body["result"] == kept["result"]


def test_an_intent_becomes_the_task_that_it_means(system, peer, handler):
    details = {"metric": "boot_time_ms", "action": "run_diagnostics"}
    with Hand(system, handler, "self_healing") as hand:
        ack = peer.publish("layer3.intent.task", {"intent": "remediate_drift", "issue_type": "boot", "details": details,
                                                  "priority": "high", "sla_seconds": 3600}, trace_id="t-" + handler)
        task = hand.take()
        assert task["task_id"] == f"task_{ack['seq']}" and task["trace_id"] == "t-" + handler
        assert task["task_type"] == "run_diagnostics" and task["priority"] == "high" and task["sla_seconds"] == 3600
        assert task["context"] == {**details, "issue_type": "boot", "intent": "remediate_drift"}
        hand.complete(task, status="success")
        becomes(peer, task["task_id"], "completed")
    settled(peer)
    [(header, done)] = of(peer, task["task_id"], "task.done")
    assert (done["intent"], done["issue_type"], header["trace_id"]) == ("remediate_drift", "boot", "t-" + handler)


def test_a_delayed_task_waits_its_time(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        said = enqueue(peer, handler=handler, delay_seconds=0.4)
        now = enqueue(peer, handler=handler, priority="low")
        first = hand.take()
        assert first["task_id"] == now["task_id"], "a delayed task holds nobody up"
        hand.complete(first)
        hand.complete(hand.take())
    settled(peer)
    [(asked, _)] = [(header, body) for _, header, body in facts(peer, "task.enqueue")
                    if header["seq"] == task_seq(said)]
    [(_, started)] = of(peer, said["task_id"], "task.started")
    assert 0.4 <= (started["at"] - asked["at"]) / 1e6 < 1.4


def task_seq(said):
    return int(said["task_id"].split("_")[1])


# --- Order ---------------------------------------------------------------------------------------


def test_priority_then_deadline_then_arrival_decide_who_is_first(system, peer, handler):
    asked = [("low", 10), ("normal", 900), ("normal", 100), ("high", 500), ("critical", 800), ("critical", 300),
             ("normal", 100), ("low", 5)]
    names = [enqueue(peer, handler=handler, priority=priority, sla_seconds=sla)["task_id"] for priority, sla in asked]
    with Hand(system, handler, handler) as hand:
        got = []
        for _ in names:
            task = hand.take()
            got.append(task["task_id"])
            hand.complete(task)
    assert got == [names[i] for i in (5, 4, 3, 2, 6, 1, 7, 0)]


def test_a_later_task_of_higher_priority_overtakes_and_that_is_counted(system, peer, handler):
    before = status_of(peer)["statistics"]["overtakes"]
    low = enqueue(peer, handler=handler, priority="low")["task_id"]
    high = enqueue(peer, handler=handler, priority="critical")["task_id"]
    with Hand(system, handler, handler) as hand:
        first = hand.take()
        assert first["task_id"] == high
        hand.complete(first)
        second = hand.take()
        assert second["task_id"] == low
        hand.complete(second)
        becomes(peer, low, "completed")
    settled(peer)
    [(_, started)] = of(peer, high, "task.started")
    assert started["overtook"] == 1 and status_of(peer)["statistics"]["overtakes"] == before + 1


def test_who_has_most_free_slots_is_handed_the_next(system, peer, handler):
    with Hand(system, handler + "a", handler, slots=1) as small, Hand(system, handler + "b", handler, slots=3) as large:
        names = [enqueue(peer, handler=handler)["task_id"] for _ in range(5)]
        # b has 3 free, then 2, then both have 1: by name.
        taken = [large.take(), large.take(), small.take(), large.take()]
        assert [task["task_id"] for task in taken] == names[:4]
        assert small.takes_nothing() and large.takes_nothing(), "no slot is free"
        small.complete(taken[2])
        last = small.take()
        assert last["task_id"] == names[4]
        small.complete(last)
        for task in (taken[0], taken[1], taken[3]):
            large.complete(task)
        for name in names:
            becomes(peer, name, "completed")


def test_slots_that_are_reserved_are_for_the_urgent_alone(system, peer, handler):
    peer.publish("task.order", {"reserve": 50, "reason": "a test"})
    try:
        with Hand(system, handler, handler, slots=4) as hand:
            names = [enqueue(peer, handler=handler)["task_id"] for _ in range(3)]
            normal = [hand.take(), hand.take()]
            assert [task["task_id"] for task in normal] == names[:2] and hand.takes_nothing()
            high = [enqueue(peer, handler=handler, priority="high")["task_id"] for _ in range(2)]
            urgent = [hand.take(), hand.take()]
            assert [task["task_id"] for task in urgent] == high
            hand.complete(normal[0])
            last = hand.take()
            assert last["task_id"] == names[2]
            for task in [*urgent, normal[1], last]:
                hand.complete(task)
                becomes(peer, task["task_id"], "completed")
    finally:
        peer.publish("task.order", {"reserve": 0, "reason": "a test is over"})


# --- Leases and workers --------------------------------------------------------------------------


def test_a_silent_workers_lease_lapses_and_the_task_is_handed_out_anew(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, lease_seconds=1.5)["task_id"]
        first, second = hand.take(), hand.take()
        assert (first["attempt"], second["attempt"]) == (1, 2) and second["task_id"] == name
        hand.complete(second)
        becomes(peer, name, "completed")
    settled(peer)
    (_, started), (_, again) = of(peer, name, "task.started")
    assert 1.5 <= (again["at"] - started["at"]) / 1e6 < 3.5
    [(_, retry)] = of(peer, name, "task.retry")
    assert retry["reason"] == "lapsed" and retry["delay_seconds"] == 0


def test_a_lease_that_is_renewed_outlasts_itself_and_the_job_runs_once(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, lease_seconds=1)["task_id"]
        task = hand.take()
        end = time.monotonic() + 2.5
        while time.monotonic() < end:
            hand.renew(task)
            assert hand.takes_nothing(0.15)
        hand.complete(task)
        becomes(peer, name, "completed")
    settled(peer)
    assert len(of(peer, name, "task.started")) == 1 and not of(peer, name, "task.retry")


def test_a_renewal_by_somebody_else_or_of_another_attempt_renews_nothing(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, lease_seconds=1.5)["task_id"]
        task = hand.take()
        for wrong in ({"attempt": 2}, {"worker": "another"}):
            peer.publish("task.renew", {"task_id": name, "attempt": 1, "worker": handler, **wrong})
        assert hand.take()["attempt"] == 2
        hand.complete(task)  # late, and yet it counts
        assert becomes(peer, name, "completed")["attempts"] == 2


def test_a_worker_that_says_bye_leaves_its_task_to_another_at_once(system, peer, handler):
    name = enqueue(peer, handler=handler)["task_id"]
    with Hand(system, handler + "a", handler) as first:
        assert first.take()["task_id"] == name
        with Hand(system, handler + "b", handler) as second:
            first.__exit__()
            task = second.take(10)
            assert (task["task_id"], task["attempt"]) == (name, 2)
            second.complete(task)
            becomes(peer, name, "completed")
    settled(peer)
    [(_, retry)] = of(peer, name, "task.retry")
    assert retry["reason"] == "gone"


def test_a_killed_workers_task_goes_to_another_long_before_its_lease(system, peer, handler, tmp_path):
    code = (f"import sys, threading; sys.path.insert(0, {str(ROOT_EXAMPLES)!r}); import worker; "
            f"worker.Worker(sys.argv[1], {{sys.argv[2]: lambda task: threading.Event().wait()}}).run()")
    env = {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress}
    program = Program([PYTHON, "-c", code, handler + "a", handler], env=env, log=tmp_path / "worker.log")
    try:
        name = enqueue(peer, handler=handler, lease_seconds=60)["task_id"]
        assert becomes(peer, name, "running")["worker"] == handler + "a"
        with Hand(system, handler + "b", handler) as second:
            program.kill()
            task = second.take(15)  # the broker misses three beats
            assert (task["task_id"], task["attempt"]) == (name, 2)
            second.complete(task)
            becomes(peer, name, "completed")
    finally:
        program.kill()


def test_a_worker_under_the_same_name_takes_what_its_predecessor_left(system, peer, handler):
    with Hand(system, handler, handler) as first:
        name = enqueue(peer, handler=handler, lease_seconds=60)["task_id"]
        assert first.take()["attempt"] == 1
        with Hand(system, handler, handler) as second:
            task = second.take()
            assert (task["task_id"], task["attempt"]) == (name, 2)
            second.complete(task)
            becomes(peer, name, "completed")


def test_a_worker_that_says_ready_again_keeps_what_it_has(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler)["task_id"]
        task = hand.take()
        hand.ready(slots=2)
        other = enqueue(peer, handler=handler)["task_id"]
        assert other in (hand.take()["task_id"], hand.take()["task_id"])
        hand.complete(task)
        hand.complete({"task_id": other, "attempt": 1})
        for each in (name, other):
            assert becomes(peer, each, "completed")["attempts"] == 1


def test_a_worker_that_was_deaf_for_a_while_is_handed_what_it_has_once_more(system, peer, handler):
    with Hand(system, handler, handler, slots=2) as hand:
        names = [enqueue(peer, handler=handler, lease_seconds=60)["task_id"] for _ in range(2)]
        before = [hand.take(), hand.take()]
        hand.ready()
        again = [hand.take(), hand.take()]
        assert sorted(task["task_id"] for task in again) == sorted(names)
        assert {task["attempt"] for task in before + again} == {1}
        for task in again:
            hand.complete(task)
            assert becomes(peer, task["task_id"], "completed")["attempts"] == 1


def test_a_task_that_is_lost_too_often_is_a_dead_letter(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, lease_seconds=0.1)["task_id"]
        assert [hand.take()["attempt"] for _ in range(3)] == [1, 2, 3]  # BHIV_HTM_LOSSES_MAX
        dead = becomes(peer, name, "dead")
    assert dead["reason"] and dead["attempts"] == 3
    settled(peer)
    [(_, done)] = of(peer, name, "task.done")
    assert done["status"] == "dead" and done["reason"] == dead["reason"] and done["sla_met"] is False


# --- Failures ------------------------------------------------------------------------------------


def test_a_failed_task_is_tried_again_later_each_time_and_then_dead(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, max_retries=2)["task_id"]
        for attempt in (1, 2, 3):
            task = hand.take()
            assert task["attempt"] == attempt
            hand.fail(task, f"broken {attempt}")
        dead = becomes(peer, name, "dead")
    assert "broken 3" in dead["reason"]
    settled(peer)
    retries = of(peer, name, "task.retry")
    assert [(body["reason"], body["error"], body["delay_seconds"]) for _, body in retries] == [
        ("failed", "broken 1", 0.1), ("failed", "broken 2", 0.2)]
    starts = [body["at"] for _, body in of(peer, name, "task.started")]
    failures = [header["at"] for _, header, body in facts(peer, "task.failed") if body["task_id"] == name]
    waits = [(start - failure) / 1e6 for failure, start in zip(failures, starts[1:])]
    assert 0.1 <= waits[0] < 1.1 and 0.2 <= waits[1] < 1.2, waits


@pytest.mark.parametrize("priority,tries", [("critical", 4), ("high", 2), ("normal", 2), ("low", 2)])
def test_how_often_it_is_tried_goes_by_its_priority(system, peer, handler, priority, tries):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, priority=priority)["task_id"]
        for _ in range(tries):
            hand.fail(hand.take())
        assert becomes(peer, name, "dead")["attempts"] == tries


def test_what_must_not_be_tried_again_is_dead_at_once_and_lives_again_when_told(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, priority="critical")["task_id"]
        hand.fail(hand.take(), "no such file", retry=False)
        assert "no such file" in becomes(peer, name, "dead")["reason"]
        header, said = peer.ask("task.requeue", {"task_id": name}, ack=False)
        assert header["status"] == "success", said
        hand.fail(hand.take(), "once more")  # its retries are counted anew
        hand.complete(hand.take())
        assert becomes(peer, name, "completed")["attempts"] == 3
    settled(peer)
    assert [body["status"] for _, body in of(peer, name, "task.done")] == ["dead", "completed"]


def test_a_failure_of_an_attempt_that_is_over_changes_nothing(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, lease_seconds=1.5, max_retries=0)["task_id"]
        first, second = hand.take(), hand.take()
        hand.renew(second)
        hand.fail(first, "too late")
        hand.complete(second)
        assert becomes(peer, name, "completed")["attempts"] == 2


# --- Completed, and cancelled --------------------------------------------------------------------


def test_the_first_completion_counts_and_no_other(system, peer, handler):
    before = status_of(peer)["statistics"]["duplicates"]
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler)["task_id"]
        task = hand.take()
        hand.complete(task, n=1)
        becomes(peer, name, "completed")
        hand.complete(task, n=2)
        hand.fail(task)
        peer.publish("task.completed", {"task_id": "of-nobody", "result": {}})
        settled(peer)
    assert task_of(peer, name)["result"] == {"n": 1}
    [(_, done)] = of(peer, name, "task.done")
    assert done["result"] == {"n": 1}
    assert status_of(peer)["statistics"]["duplicates"] > before


def test_a_late_completion_counts_while_the_task_runs_elsewhere(system, peer, handler):
    with Hand(system, handler + "a", handler) as first, Hand(system, handler + "b", handler) as second:
        name = enqueue(peer, handler=handler)["task_id"]
        early = first.take()
        second.peer.publish("task.worker.gone", {"worker": handler + "a"})  # so that b gets it
        late = second.take()
        assert late["attempt"] == 2
        first.complete(early, by="a")
        assert becomes(peer, name, "completed")["result"] == {"by": "a"}
        second.complete(late, by="b")
        settled(peer)
        assert task_of(peer, name)["result"] == {"by": "a"} and len(of(peer, name, "task.done")) == 1
        other = enqueue(peer, handler=handler)["task_id"]
        second.complete(second.take())
        becomes(peer, other, "completed")


def test_a_cancelled_task_is_not_handed_out_and_what_a_running_one_brings_is_ignored(system, peer, handler):
    waiting = enqueue(peer, handler=handler)["task_id"]
    assert peer.ask("task.cancel", {"task_id": waiting, "reason": "no more"}, ack=False)[0]["status"] == "success"
    assert task_of(peer, waiting)["status"] == "cancelled"
    with Hand(system, handler, handler) as hand:
        running = enqueue(peer, handler=handler)["task_id"]
        task = hand.take()
        assert task["task_id"] == running
        assert peer.ask("task.cancel", {"task_id": running}, ack=False)[0]["status"] == "success"
        hand.complete(task, n=1)
        settled(peer)
        kept = task_of(peer, running)
        assert kept["status"] == "cancelled" and not kept.get("result")
        last = enqueue(peer, handler=handler)["task_id"]
        hand.complete(hand.take())
        becomes(peer, last, "completed")
    for name in (waiting, running):
        [(_, done)] = of(peer, name, "task.done")
        assert done["status"] == "cancelled" and done["reason"]


# --- Deadlines -----------------------------------------------------------------------------------


def test_a_deadline_that_nears_raises_warns_and_is_breached_each_once(system, peer, handler):
    name = enqueue(peer, handler=handler, priority="low", sla_seconds=1.5)["task_id"]
    settled(peer)
    topics = ["task.escalated", "task.escalated", "task.sla.breached", "task.sla.warning"]
    said = lambda: [topic for topic, _ in words_of(peer, name)]
    eventually(lambda: sorted(said()) == topics, 10, 0.05, "all that is to be said")
    [(high, up), (critical, upper)] = of(peer, name, "task.escalated")
    assert (up["from"], up["to"], upper["from"], upper["to"]) == ("low", "high", "high", "critical")
    [(_, warning)], [(_, breach)] = of(peer, name, "task.sla.warning"), of(peer, name, "task.sla.breached")
    for seconds, share in ((1.5 - up["left_seconds"], 0.5), (1.5 - upper["left_seconds"], 0.8),
                           (warning["elapsed_seconds"], 0.8), (breach["elapsed_seconds"], 1.0)):
        assert 1.5 * share <= seconds < 1.5 * share + 1, (seconds, share)
    assert breach["status"] == "waiting" and breach["sla_seconds"] == 1.5
    with Hand(system, handler, handler) as hand:
        task = hand.take()
        assert task["priority"] == "critical"
        hand.complete(task)
        becomes(peer, name, "completed")
    settled(peer)
    [(_, done)] = of(peer, name, "task.done")
    assert done["sla_met"] is False and sorted(said()).count("task.sla.breached") == 1


def test_a_running_task_is_warned_of_and_not_raised(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler, priority="low", sla_seconds=0.5)["task_id"]
        task = hand.take()
        eventually(lambda: of(peer, name, "task.sla.breached"), what="the breach")
        assert not of(peer, name, "task.escalated")
        [(_, breach)] = of(peer, name, "task.sla.breached")
        assert breach["status"] == "running" and breach["priority"] == "low"
        hand.complete(task)
        becomes(peer, name, "completed")


# --- Governance and pressure ---------------------------------------------------------------------


def test_behind_the_gate_an_intent_waits_for_its_verdict(system, peer, handler):
    intend = lambda **more: peer.publish("layer3.intent.task", {"intent": "x", "handler": handler, **more})["seq"]
    decide = lambda seq, allowed, **more: peer.answer(peer.send("governance.verdict", {
        "intent_seq": seq, "intent": "x", "allowed": allowed, "rule": "a_test", **more},
        source="kernel-governance", reply_to=peer.inbox, ack=True), ack=True)
    with Hand(system, handler, handler, slots=3) as hand:
        peer.publish("governance.gate", {"on": True})
        try:
            good, bad = intend(), intend()
            settled(peer)
            assert {task_of(peer, f"task_{seq}")["status"] for seq in (good, bad)} == {"held"}
            direct = enqueue(peer, handler=handler)["task_id"]
            assert hand.take()["task_id"] == direct, "the gate is for intents alone"
            decide(bad, False, reason="not allowed here")
            decide(good, True)
            assert hand.take()["task_id"] == f"task_{good}"
            denied = becomes(peer, f"task_{bad}", "cancelled")
            assert "not allowed here" in denied["reason"]
            decide(bad, True)  # too late
            settled(peer)
            assert task_of(peer, f"task_{bad}")["status"] == "cancelled"
        finally:
            peer.publish("governance.gate", {"on": False})
        straight = intend()
        assert hand.take()["task_id"] == f"task_{straight}"
        for name in (direct, f"task_{good}", f"task_{straight}"):
            hand.complete({"task_id": name, "attempt": 1})
            becomes(peer, name, "completed")


def telemetry(peer, cpu, memory=10.0):
    peer.send("layer2.telemetry.stream", {
        "metrics_count": 2, "recent_events": [], "timestamp": "2026-01-01T00:00:00Z", "processes": [],
        "host": {"cpu_percent": cpu, "memory_percent": memory}})


@pytest.mark.parametrize("cpu,memory", [(95.0, 10.0), (10.0, 90.0)])
def test_on_a_strained_machine_the_urgent_has_three_quarters_of_the_slots(system, peer, handler, cpu, memory):
    strained = lambda: [body["strained"] for _, _, body in facts(peer, "task.pressure")]
    before = len(strained())
    with Hand(system, handler, handler, slots=4) as hand:
        telemetry(peer, cpu, memory)
        telemetry(peer, 10.0)  # once is not enough
        telemetry(peer, cpu, memory)
        telemetry(peer, cpu, memory)
        eventually(lambda: strained()[before:] == [True], what="the machine to be strained")
        settled(peer)
        first, normal = (enqueue(peer, handler=handler)["task_id"] for _ in range(2))
        other = hand.take()
        assert other["task_id"] == first and hand.takes_nothing()  # one goes on, whatever the machine does
        high = enqueue(peer, handler=handler, priority="high")["task_id"]
        urgent = hand.take()
        assert urgent["task_id"] == high
        telemetry(peer, 10.0)
        telemetry(peer, 10.0)
        task = hand.take()
        assert task["task_id"] == normal and strained()[before:] == [True, False]
        for each in (other, urgent, task):
            hand.complete(each)
            becomes(peer, each["task_id"], "completed")


# --- Restarts ------------------------------------------------------------------------------------


def test_a_queue_that_is_killed_goes_on_where_it_was(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=QUEUE) as system:
        ready(system)
        with Peer(system.ingress, system.egress, source="py_htm") as peer, Hand(system, "w", "h", slots=2) as hand:
            names = [enqueue(peer, handler="h")["task_id"] for _ in range(4)]
            before = [hand.take(), hand.take()]
            pid = system.kill("htm")
            hand.complete(before[0], n=1)  # while nobody hears it
            system.restarted("htm", pid)
            handed = set()
            while len(handed) < 3:  # the same lease may be said more than once
                task = hand.take(15)
                if task["task_id"] not in handed:
                    hand.complete(task)
                handed.add(task["task_id"])
                assert task["attempt"] == 1, "a restart costs no attempt"
            assert before[1]["task_id"] in handed and handed == set(names[1:])
            for name in names:
                assert becomes(peer, name, "completed")["attempts"] == 1
            settled(peer)
            check(peer)


def test_made_anew_from_the_journal_the_queue_is_the_same(system, peer):
    settled(peer)
    kept = peer.ask("req.htm.state_hash", {}, timeout=20)[1]
    made = system.run("htm", "--rebuild", timeout=60)
    assert made.returncode == 0 and kept["state_hash"] in made.stdout, (kept, made.stdout, made.stderr)


def test_many_tasks_of_many_kinds_are_each_done_once_in_order(system, peer, handler):
    """Random load on a few slots; the checker below sees every start of it."""
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    kinds = [handler + "a", handler + "b"]
    names = [enqueue(peer, handler=dice.choice(kinds), priority=dice.choice(["critical", "high", "normal", "low"]),
                     sla_seconds=dice.choice([5, 60, 600]), max_retries=dice.choice([0, 1, 3]))["task_id"]
             for _ in range(60)]
    with Hand(system, handler + "x", *kinds, slots=3) as hand:
        over = lambda: all(task_of(peer, name)["status"] in ("completed", "dead") for name in names)
        while not over():
            try:
                task = hand.take(0.5)
            except AssertionError:
                continue
            if dice.random() < 0.25:
                hand.fail(task, retry=dice.random() < 0.8)
            else:
                hand.complete(task)


def test_all_of_this_was_as_the_model_says_and_the_model_notices_what_is_not(system, peer):
    settled(peer)
    records = [tuple(record) for record in peer.fetch_all(FILTERS)]
    counts = Checker(records).run(all_over=False)
    assert counts["completed"] > 0 and counts["task.retry"] > 0 and counts["overtakes"] > 0, counts
    for tamper in (twice_done, other_worker, later_first, early_lapse, no_reason, other_result, lost_start):
        changed = tamper(copy.deepcopy(records))
        with pytest.raises(AssertionError):
            Checker(changed).run(all_over=False)


def position(records, topic, fits=lambda body: True):
    return next(i for i, (found, _, body) in enumerate(records) if found == topic and fits(body))


def twice_done(records):
    topic, header, body = records[position(records, "task.done")]
    header = {**header, "cause": [header["cause"][0], header["cause"][1] + 1000]}
    return records + [(topic, header, body)]


def other_worker(records):
    records[position(records, "task.started")][2]["worker"] = "somebody"
    return records


def later_first(records):
    """Of two that waited, the one that came later starts first: they exchange their names."""
    at = position(records, "task.started", lambda body: body["overtook"] > 0)
    handler = records[at][2]["handler"]
    other = next(i for i in range(at + 1, len(records)) if records[i][0] == "task.started" and
                 records[i][2]["handler"] == handler and records[i][2]["task_id"] != records[at][2]["task_id"])
    first, second = records[at][2], records[other][2]
    first["task_id"], second["task_id"] = second["task_id"], first["task_id"]
    return records


def early_lapse(records):
    at = position(records, "task.retry", lambda body: body["reason"] == "failed")
    records[at][2]["reason"] = "lapsed"
    return records


def no_reason(records):
    del records[position(records, "task.done", lambda body: body["status"] == "dead")][2]["reason"]
    return records


def other_result(records):
    at = position(records, "task.done", lambda body: body["status"] == "completed" and body.get("result"))
    records[at][2]["result"] = json.loads(json.dumps({"made": "up"}))
    return records


def lost_start(records):
    del records[position(records, "task.started")]
    return records

"""The brain in a real system with HTM and governance: drift, intent, task, result, and what was learned."""

import json
import math
import subprocess
import uuid

import pytest
from support.htm import Hand, enqueue
from support.htm import settled as htm_settled
from support.peer import Peer
from support.system import System, eventually

PARTS = ("--dev", "--only", "broker,htm,brain,kernel-governance,bridge")
QUIET = {"BHIV_BRAIN_DRILLS": "false"}
FAST = {**QUIET, "BHIV_BRAIN_COOLDOWN_SECONDS": "0.05"}
BOOT = "boot_performance_degradation"


def trace():
    return "t-" + uuid.uuid4().hex


class World:
    """A system, a peer of it, and what was said in it."""

    def __init__(self, bhiv, folder, env):
        self.system = System(bhiv, folder, PARTS, env)

    def __enter__(self):
        self.system.__enter__()
        self.peer = Peer(self.system.ingress, self.system.egress, source="py_brain")
        for part in ("brain", "htm", "kernel-governance"):
            eventually(lambda part=part: self.peer.ask(f"req.{part}.health")[0]["status"] == "success", what=part)
        # The gate is said at governance's start: from here on intents wait for it.
        eventually(lambda: self.facts("governance.gate"), what="the gate")
        return self

    def __exit__(self, *exc):
        self.peer.close()
        self.system.__exit__(*exc)

    def facts(self, prefix, of=None):
        """The journal's records that begin so, of one trace: header and body."""
        return [(header, body) for _, header, body in self.peer.fetch_all([prefix])
                if of is None or header.get("trace_id") == of]

    def fact(self, prefix, of, count=1):
        """Waits for so many of them, and returns the last one's body."""
        found = eventually(lambda: (found := self.facts(prefix, of)) and len(found) >= count and found,
                           what=f"{count} {prefix} of {of}")
        assert len(found) == count, found
        return found[-1][1]

    def ask(self, operation, body=None):
        header, answer = self.peer.ask(f"req.brain.{operation}", body or {})
        assert header["status"] == "success", answer
        return answer

    def settled(self):
        """Waits until the brain has applied the journal and said all that follows from it."""
        def is_so():
            head = self.peer.ask("$bus.stats", {})[1]["head"]
            header, health = self.peer.ask("req.brain.health")
            return header["status"] == "success" and health["outbox"] == 0 and health["cursor"] == head and \
                self.peer.ask("$bus.stats", {})[1]["head"] == head
        eventually(is_so, what="the brain to settle")

    def drill(self, of, suite="boot", **summary):
        return self.peer.publish(f"stress.{suite}.completed", {
            "test_id": f"{suite}_stress_20260101_000000", "suite": suite, "passed": True, "summary": summary,
            "started_at": "2026-01-01T00:00:00Z", "completed_at": "2026-01-01T00:00:01Z"}, trace_id=of)

    def issue(self, name):
        return next((row for row in self.ask("status")["issues"] if row["issue_type"] == name), None)

    def cooled(self):
        """Waits until nothing is open, and every cooldown is over."""
        def is_so():
            status = self.ask("status")
            return status["open"] == []
        eventually(is_so, what="nothing to be open")


@pytest.fixture(name="world")
def fixture_world(bhiv, tmp_path):
    with World(bhiv, tmp_path / "d", FAST) as world:
        yield world


def remedied(world, hand, of, action, boot=400, **result):
    """One whole loop: a bad drill, the intent, the task in a worker's hands, its end, what was learned."""
    def acted():
        world.drill(of, avg_boot_time=boot, components={"karma": 30.0, "bucket": 200.5, "broker": 900.0})
        world.settled()
        return [body for _, body in world.facts("brain.drift", of) if body["acted"]]
    drift = eventually(acted, what="a drift that is acted on")[-1]  # the last cooldown may not be over yet
    intent = world.facts("layer3.intent.task", of)[-1][1]
    assert intent["task_type"] == action, (intent, drift)
    task = hand.take()
    assert task["task_type"] == action and task["trace_id"] == of
    hand.complete(task, **result)
    learned = world.fact("brain.learned", of)
    eventually(lambda: world.ask("status")["open"] == [], what="the remediation to be over")
    return drift, intent, learned


# --- The seed ------------------------------------------------------------------------------------


def test_drift_becomes_the_seeds_intent_a_task_and_a_lesson(world):
    with Hand(world.system, "healer", "self_healing") as hand:
        for boot in (300, 299.9, 300.0):
            of = trace()
            world.drill(of, avg_boot_time=boot)
            world.settled()
            assert world.facts("brain.drift", of) == [] and world.facts("layer3.intent.", of) == []
        of = trace()
        seq = world.drill(of, avg_boot_time=301)["seq"]
        drift = world.fact("brain.drift", of)
        reason = drift.pop("reason")
        assert drift == {"metric": "boot_time_ms", "issue_type": BOOT, "current": 301.0, "baseline": 200.0,
                         "threshold": 300.0, "detector": "constant", "samples": 0, "observed": seq, "depth": 0,
                         "acted": True}
        assert "301 ms" in reason and "run_diagnostics" in reason
        assert world.fact("layer3.intent.task", of) == {
            "intent": "remediate_drift", "issue_type": BOOT,
            "details": {"metric": "boot_time_ms", "current": 301.0, "baseline": 200.0, "action": "run_diagnostics",
                        "depth": 0},
            "priority": "high", "sla_seconds": 3600.0, "reasoning": "Boot time exceeded threshold",
            "created_by": "agentic_brain_auto", "task_type": "run_diagnostics", "handler": "self_healing"}
        # HTM -> execution, the seed's second message.
        task = hand.take()
        assert task["task_type"] == "run_diagnostics" and task["priority"] == "high" and task["trace_id"] == of
        assert task["context"]["issue_type"] == BOOT and task["context"]["metric"] == "boot_time_ms"
        assert world.facts("brain.learned", of) == []
        # Execution -> brain, the seed's third.
        hand.complete(task, status="success", issue_resolved=True)
        learned = world.fact("brain.learned", of)
        done = world.fact("task.done", of)
        score = 0.5 * 1 + 0.3 * 0.5 + 0.2 / (1 + done["run_us"] / 60e6)
        assert math.isclose(learned.pop("score"), score, abs_tol=1e-12)
        assert learned == {"key": "self_healing_run_diagnostics", "issue_type": BOOT, "task_id": task["task_id"],
                           "success": True, "before": 0.5, "samples": 1, "advice": "keep"}
        # And what was said is what is shown.
        listed = world.ask("drifts", {"limit": 5})
        assert listed["count"] == 1 and listed["drifts"][0]["trace_id"] == of
        assert listed["drifts"][0]["metric"] == "boot_time_ms" and listed["drifts"][0]["reason"] == reason
        status = world.ask("status")
        assert status["drift_count"] == 1 and status["open"] == [] and status["drifts"] == listed["drifts"]
        assert [row["key"] for row in world.ask("scores")["scores"]] == ["self_healing_run_diagnostics"]
        assert status["recommendations"] == ["self_healing_run_diagnostics"]


def test_it_prefers_what_worked_explores_where_nothing_did_and_says_why(world):
    with Hand(world.system, "healer", "self_healing") as hand:
        why = world.ask("why", {"issue_type": BOOT})
        assert why["choice"] == "run_diagnostics" and "nothing was tried yet" in why["why"]
        assert [row["action"] for row in why["candidates"]] == ["run_diagnostics", "restart_peer"]
        assert all(row["score"] == 0.5 and row["samples"] == 0 for row in why["candidates"])
        remedied(world, hand, trace(), "run_diagnostics", issue_resolved=False)
        # It did not help: another is explored, of the part that took longest to start.
        drift, intent, _ = remedied(world, hand, trace(), "restart_peer", issue_resolved=True, quality_score=0.9)
        assert "explored, because the best so far, run_diagnostics, scores 0.35 over 1 task" in drift["reason"]
        assert intent["details"]["part"] == "bucket"
        # That one worked: it is what comes next, whatever stands first in the table.
        drift, intent, _ = remedied(world, hand, trace(), "restart_peer", issue_resolved=True, quality_score=0.9)
        words = "restart_peer: worked best for boot_performance_degradation so far, scoring 0.97 over 1 task"
        assert words in drift["reason"]
        assert intent["reasoning"] == "Boot time exceeded threshold; " + words
        why = world.ask("why", {"issue_type": BOOT})
        assert why["choice"] == "restart_peer" and "0.97 over 2 tasks" in why["why"]


def test_what_is_no_drill_is_refused_or_left_alone(world):
    of = trace()
    world.peer.publish("stress.boot.completed", {"summary": 5}, trace_id=of)
    world.peer.publish("stress.boot.progress", {"summary": {"avg_boot_time": 900}}, trace_id=of)
    world.peer.publish("stress.boot.completed", {"test_id": "x", "summary": {"avg_boot_time": "900"}}, trace_id=of)
    world.settled()
    assert world.facts("brain.", of) == []
    # As the originals sent it: no more than an id and a summary.
    world.peer.publish("stress.boot.completed", {"test_id": "x", "summary": {"avg_boot_time": 900}}, trace_id=of)
    assert world.fact("brain.drift", of)["current"] == 900.0


def test_two_fast_drifts_are_one_remediation_and_its_own_drill_is_one_deeper(world):
    with Hand(world.system, "healer", "self_healing") as hand:
        of = trace()
        world.drill(of, avg_boot_time=400)
        task = hand.take()
        world.drill(of, avg_boot_time=500)  # what the remediation itself measures
        drift = world.fact("brain.drift", of, count=2)
        assert drift["depth"] == 1 and drift["acted"] is False
        assert "an intent for this issue is still open" in drift["reason"]
        hand.complete(task, issue_resolved=False)
        assert world.fact("task.done", of)["result"] == {"issue_resolved": False}
        assert len(world.facts("layer3.intent.task", of)) == 1


def test_a_remediation_that_causes_drift_is_no_storm(world):
    """Each one ends, and what it did shows as drift on its own trace, and on that of the other."""
    with Hand(world.system, "healer", "self_healing", slots=4) as hand:
        mine = trace()
        bad = {BOOT: {"avg_boot_time": 900}, "trust_degradation": {"avg_trust_score": 0.1}}

        def handed():
            """Ends what was handed out; how often that was."""
            ended = 0
            while (heard := hand.peer.hear(0.05)) is not None:
                if heard[0].startswith("task.execute.") and heard[2]["worker"] == hand.name:
                    hand.complete(heard[2], issue_resolved=False)
                    ended += 1
            return ended

        rounds = 30
        ended = 0
        for number in range(rounds):
            world.drill(mine, **bad[BOOT if number % 2 else "trust_degradation"])
            world.settled()
            ended += handed()
        drifts = [body for _, body in world.facts("brain.drift", mine)]
        assert len(drifts) == rounds, "each is told"
        assert [body["depth"] for body in drifts if body["acted"]] == [0, 1, 2] and ended == 3
        assert all(body["depth"] == 3 for body in drifts[-5:]) and "in a row as are allowed" in drifts[-1]["reason"]


# --- Other intents -------------------------------------------------------------------------------


def test_anomalies_broken_promises_and_documents_bring_their_intents(world):
    with Hand(world.system, "lib", "librarian", slots=20) as librarian, \
            Hand(world.system, "healer", "self_healing", slots=20):
        of = trace()
        world.peer.publish("hunter.anomaly.detected", {
            "anomalies": [{"type": "high_cpu", "value": 97.0, "threshold": 90, "severity": "high"},
                          {"type": "high_memory", "value": 91.0, "threshold": 85, "severity": "high"}],
            "timestamp": "2026-01-01T00:00:00Z"}, trace_id=of)
        world.fact("layer3.intent.task", of, count=2)
        assert [(body["intent"], body["issue_type"], body["priority"], body["handler"], body["task_type"])
                for _, body in world.facts("layer3.intent.task", of)] == [
            ("investigate_anomalies", "high_cpu", "high", "self_healing", "run_diagnostics"),
            ("investigate_anomalies", "high_memory", "high", "self_healing", "run_diagnostics")]

        def ingested(**result):
            """One document through the queue: its intents."""
            of = trace()
            enqueue(world.peer, "ingest_document", handler="librarian", trace_id=of)
            while (task := librarian.take())["task_type"] != "ingest_document":
                librarian.complete(task)
            librarian.complete(task, status="success", **result)
            world.fact("brain.learned", of)
            world.settled()
            return {body["intent"]: body["priority"] for _, body in world.facts("layer3.intent.task", of)}

        assert ingested(quality_score=0.9, trust_score=0.9) == {}
        assert ingested(quality_score=0.65, trust_score=0.9) == {"reprocess_low_quality": "low"}
        for _ in range(2):
            assert ingested(trust_score=0.6) == {}
        assert ingested(trust_score=0.6) == {"audit_external_feeds": "normal"}
        for _ in range(4):
            assert ingested() == {}
        assert ingested() == {"index_new_documents": "normal"}
        of = trace()
        world.drill(of, suite="ingestion", avg_trust_score=0.75)
        assert world.fact("layer3.intent.task", of)["intent"] == "improve_trust_scores"
        of = trace()
        world.drill(of, suite="htm", sla_breaches=2, sla_compliance_rate=0.97)
        assert world.fact("layer3.intent.task", of)["issue_type"] == "sla_breach"
        # Governance let each of them run.
        verdicts = eventually(lambda: (all_of := world.facts("governance.verdict")) and
                              len(all_of) == len(world.facts("layer3.intent.task")) and all_of, what="verdicts")
        assert all(body["allowed"] for _, body in verdicts), verdicts


def test_a_full_queue_brings_optimize_retrieval_once(world):
    for _ in range(12):
        enqueue(world.peer, "t", handler="nobody")
    found = eventually(lambda: [body for _, body in world.facts("layer3.intent.task")
                                if body["intent"] == "optimize_retrieval"], what="the intent")
    assert [(body["priority"], body["details"]) for body in found] == [("low", {"queued": 12, "running": 0})]
    observed = [body for _, body in world.facts("brain.observation") if body["kind"] == "queue"]
    assert observed == [{"kind": "queue", "values": {"queued": 12, "running": 0}}]


def test_telemetry_is_journaled_before_it_counts(world):
    summary = {"cpu_percent": {"min": 1, "mean": 12.5, "max": 90}, "load1": {"min": 1, "mean": 2, "max": 3}}

    def said():
        world.peer.send("layer3.telemetry.stream", {"metrics_buffer_size": 6, "log_buffer_size": 0,
                                                    "timestamp": "2026-01-01T00:00:00Z", "summary": summary})
        return world.facts("brain.observation")
    first = eventually(said, every=0.2, what="an observation")[0][1]
    assert first == {"kind": "telemetry", "values": {"cpu_percent": 12.5}}
    learned = eventually(lambda: [row for row in world.ask("status")["learned"] if row["metric"] == "cpu_percent"],
                         what="the metric")
    assert learned[0]["last"] == 12.5 and learned[0]["samples"] >= 1 and learned[0]["source"] == "telemetry"


# --- Drills --------------------------------------------------------------------------------------


def drills(world):
    return [(header, body) for header, body in world.facts("layer3.intent.task")
            if body["intent"] == "proactive_stress_test"]


def test_while_the_queue_is_light_drills_are_run_one_after_the_other(bhiv, tmp_path):
    env = {"BHIV_BRAIN_DRILL_SECONDS": "0.5"}
    with World(bhiv, tmp_path / "d", env) as world, Hand(world.system, "runner", "stress_runner") as hand:
        for number in range(3):
            task = hand.take()
            assert task["task_type"] == "run_stress_drill" and task["priority"] == "low"
            said = drills(world)
            assert len(said) == number + 1, "one at a time"
            assert said[-1][1] == {
                "intent": "proactive_stress_test", "task_type": "run_stress_drill", "handler": "stress_runner",
                "priority": "low", "sla_seconds": 86400.0,
                "reasoning": "Queue light, opportunistic stress testing", "created_by": "agentic_brain_auto"}
            assert said[-1][0]["trace_id"] == task["trace_id"]
            # One that is open holds the next back: several times its turn, nothing comes.
            assert hand.takes_nothing(1.5) and len(drills(world)) == number + 1
            hand.complete(task, status="success")
        world.settled()
        assert world.ask("status")["drills"]["asked"] >= 3
        clocks = world.facts("brain.clock")
        assert all(body["queued"] + body["running"] < 5 for _, body in clocks)


def test_while_five_tasks_wait_no_drill_is_asked_for(bhiv, tmp_path):
    env = {"BHIV_BRAIN_DRILL_SECONDS": "5"}
    with World(bhiv, tmp_path / "d", env) as world:
        world.peer.subscribe("layer3.intent.task")
        tasks = [enqueue(world.peer, "t", handler="nobody")["task_id"] for _ in range(5)]
        assert world.peer.hear(8) is None and drills(world) == []
        assert world.ask("status")["queue"]["queued"] == 5
        header, body = world.peer.ask("task.cancel", {"task_id": tasks[0]}, ack=False)
        assert header["status"] == "success", body
        heard = world.peer.hear(10)
        assert heard is not None and heard[2]["intent"] == "proactive_stress_test"


def test_drills_can_be_switched_off(bhiv, tmp_path):
    env = {"BHIV_BRAIN_DRILL_SECONDS": "0.1", "BHIV_BRAIN_DRILLS": "off"}
    with World(bhiv, tmp_path / "d", env) as world:
        world.peer.subscribe("layer3.intent.task")
        assert world.peer.hear(2.5) is None
        assert world.ask("status")["config"]["drills"] is False


# --- What a crash leaves, and what the journal makes ------------------------------------------------


def rebuilt(world):
    argv = [world.system.bhiv, "brain", "--rebuild", "--dir", str(world.system.folder)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_killed_in_the_midst_it_doubles_nothing_loses_nothing_and_is_what_the_journal_makes(world):
    keys = {"avg_boot_time": 900, "avg_trust_score": 0.1, "avg_quality_score": 0.2, "sla_compliance_rate": 0.3}
    bad = {}
    with Hand(world.system, "healer", "self_healing", slots=8) as hand:
        for number in range(60):
            key = list(keys)[number % len(keys)]
            of = trace()
            bad[world.drill(of, **{key: keys[key]})["seq"]] = of
            if number % 12 == 5:
                pid = world.system.kill("brain")
                world.system.restarted("brain", pid)
            while (heard := hand.peer.hear(0.01)) is not None:
                if heard[0].startswith("task.execute.") and heard[2]["worker"] == hand.name:
                    hand.complete(heard[2], issue_resolved=True)
        eventually(lambda: world.peer.ask("req.brain.health")[0]["status"] == "success", what="the brain")
        htm_settled(world.peer)
        world.settled()
    drifts = world.facts("brain.drift")
    assert sorted(body["observed"] for _, body in drifts) == sorted(bad), "each bad drill, once"
    assert all(header["trace_id"] == bad[body["observed"]] for header, body in drifts)
    intents = world.facts("layer3.intent.task")
    acted = [bad[body["observed"]] for _, body in drifts if body["acted"]]
    assert sorted(header["trace_id"] for header, _ in intents) == sorted(acted), "an intent for each, and no other"
    assert len(acted) >= 4
    ends = [body for _, body in world.facts("task.done") if body["status"] in ("completed", "dead")]
    assert sorted(body["task_id"] for body in ends) == \
        sorted(body["task_id"] for _, body in world.facts("brain.learned")), "each end taught once"
    live = world.peer.ask("req.brain.state_hash")[1]
    made = rebuilt(world)
    assert made["state_hash"] == live["state_hash"] and made["rules_version"] == live["rules_version"]
    assert world.ask("status")["drift_count"] == len(bad)


def test_settings_that_cannot_be_are_refused_at_the_start(bhiv, tmp_path):
    done = subprocess.run([bhiv, "brain", "--dir", str(tmp_path / "d")], capture_output=True, text=True, timeout=30,
                          env={"BHIV_BRAIN_DRILL_SECONDS": "soon"}, check=False)
    assert done.returncode == 78 and "BHIV_BRAIN_DRILL_SECONDS" in done.stderr

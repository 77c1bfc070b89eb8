"""The three autonomous loops of the seed, unattended, on a real `bhiv up`, in accelerated time.

What the tests do themselves is what the world does: a setting is flipped, a drill is run as the
night does it. Everything after that is the system's own, and GET /trace/{trace_id} shows it.
"""

import uuid

import pytest
import requests
from support.healing import QUICK, SlowFile, boot_drill, calm, done, good_drill
from support.peer import Peer
from support.system import System, eventually

FAST = {"BHIV_BRAIN_DRILLS": "false", "BHIV_BRAIN_COOLDOWN_SECONDS": "0.1"}
BOOT = "boot_performance_degradation"


class World:
    """A whole system with its brain, and a peer that only looks."""

    def __init__(self, bhiv, folder, env):
        # A busy machine is an anomaly, and its diagnostics would teach the brain beside what is tested.
        self.system = System(bhiv, folder, env={"BHIV_ANOMALY_SECONDS": "3600", **env})

    def __enter__(self):
        self.system.__enter__()
        self.peer = Peer(self.system.ingress, self.system.egress)
        for part in ("brain", "htm", "kernel-governance", "kernel-self_healing", "supervisor"):
            eventually(lambda part=part: self.ask(f"req.{part}.health").get("status") == "healthy", what=part)
        eventually(lambda: self.facts("governance.gate"), what="the gate")
        self.conf = self.system.folder / "drill.conf"
        return self

    def __exit__(self, *exc):
        self.peer.close()
        self.system.__exit__(*exc)

    def ask(self, topic, body=None):
        return self.peer.ask(topic, body or {})[1]

    def facts(self, prefix, trace=None):
        """The journal's records that begin so, of one trace: topic, header, body."""
        return [(topic, header, body) for topic, header, body in self.peer.fetch_all([prefix])
                if trace is None or header.get("trace_id") == trace]

    def fact(self, prefix, trace, timeout=60):
        """Waits for the first of them: its body."""
        return eventually(lambda: self.facts(prefix, trace), timeout, 0.05, f"{prefix} in {trace}")[0][2]

    def story(self, trace):
        """The trace as GET /trace/{trace_id} shows it: its steps, once nothing is missing any more."""
        def whole():
            tree = requests.get(self.system.url("console", f"/trace/{trace}"), timeout=10).json()
            steps = tree.get("steps", [])
            return steps if any(step["what"] == "brain.learned" for step in steps) else None
        return eventually(whole, 20, 0.1, "the whole trace")


def order_of(steps, *whats):
    """Each is a step of the trace, and they came in this order."""
    seqs = []
    for what in whats:
        found = [step["seq"] for step in steps if step["what"] == what and step["seq"] > (seqs[-1] if seqs else 0)]
        assert found, (what, [(step["what"], step["seq"]) for step in steps])
        seqs.append(found[0])
    return seqs


def regression(world, slow):
    """Somebody flips a setting: what drills start is slow from here on."""
    world.conf.write_text(f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n")


def test_loops_1_and_2_a_slow_boot_is_seen_mended_learned_from_and_the_next_drill_passes(bhiv, tmp_path):
    trace = "night-" + uuid.uuid4().hex
    with World(bhiv, tmp_path / "d", FAST) as world, SlowFile(tmp_path / "agents.json", delay=0.7) as slow:
        world.conf.write_text(QUICK)
        good_drill(world.system, world.peer)
        before = world.ask("req.brain.why", {"issue_type": BOOT})
        regression(world, slow)

        failed = boot_drill(world.system, "--cycles", "1", trace=trace)
        assert failed["passed"] is False and failed["summary"]["avg_boot_time"] > 700

        # From here on nobody does anything.
        drift = world.fact("brain.drift", trace)
        assert drift["issue_type"] == BOOT and drift["metric"] == "boot_time_ms" and drift["acted"] is True
        assert drift["current"] == pytest.approx(failed["summary"]["avg_boot_time"])
        intent = world.fact("layer3.intent.task", trace)
        assert intent["intent"] == "remediate_drift" and intent["priority"] == "high"
        assert intent["issue_type"] == BOOT and intent["sla_seconds"] == 3600
        assert intent["created_by"] == "agentic_brain_auto" and intent["reasoning"]
        assert intent["details"]["action"] == "run_diagnostics" and intent["details"]["depth"] == 0
        verdict = world.fact("governance.verdict", trace)
        assert verdict["allowed"] is True and verdict["intent"] == "remediate_drift"
        started = world.fact("task.started", trace)
        assert started["priority"] == "high" and started["worker"] == "kernel-self_healing"
        assert started["task_type"] == "run_diagnostics"
        word = done(world.peer, started["task_id"])
        assert word["status"] == "completed" and word["sla_met"] is True and word["attempts"] == 1
        result = word["result"]
        assert result["boot_ms_before"] > 700 > 300 >= result["boot_ms_after"], result
        assert result["issue_resolved"] is True
        assert any(finding.startswith("part core takes") for finding in result["findings"]), result
        assert world.conf.read_text() == QUICK, "the cause is gone"
        learned = world.fact("brain.learned", trace)
        assert learned["success"] is True and learned["key"] == "self_healing_run_diagnostics"
        assert learned["score"] > learned["before"] and learned["issue_type"] == BOOT

        # One trace, from the drill that failed to the one that validated the fix, and what it taught.
        steps = world.story(trace)
        seqs = order_of(steps, "stress.boot.completed", "brain.drift", "layer3.intent.task", "governance.verdict",
                        "task.started", "stress.boot.completed", "stress.boot.completed", "task.completed",
                        "task.done", "brain.learned")
        assert seqs == sorted(seqs)
        drills = [body for _, _, body in world.facts("stress.boot.", trace)]
        assert [drill["passed"] for drill in drills] == [False, False, True]
        acted = [body for _, _, body in world.facts("brain.drift", trace) if body["acted"]]
        assert len(acted) == 1, "a remediation's own measurements cause no remediation"

        # The next night: nothing is left of it, and the brain would do the same again, and says why.
        calm(world.system)
        for night in range(5):  # a machine that is busy in that moment is one more regression
            following = f"next-{night}-{trace}"
            again = boot_drill(world.system, "--cycles", "1", trace=following)
            world.fact("stress.boot.completed", following)
            eventually(lambda: world.ask("req.brain.health").get("lag") == 0, what="the brain to have taken it")
            if again["passed"]:
                break
            eventually(lambda: world.ask("req.brain.status")["open"] == [], 60, what="nothing open")
        assert again["passed"] is True and again["summary"]["avg_boot_time"] <= 300
        assert not world.facts("brain.drift", following)
        why = world.ask("req.brain.why", {"issue_type": BOOT})
        assert why != before
        assert "run_diagnostics" in str(why)


def test_loop_1_a_remedy_that_does_not_help_is_given_up_for_another(bhiv, tmp_path):
    """The brain adjusts: what failed for an issue is not tried for ever."""
    with World(bhiv, tmp_path / "d", FAST) as world, SlowFile(tmp_path / "agents.json") as slow:
        regression(world, slow)
        good_drill(world.system, world.peer)
        slow.delay = 0.7  # no setting is to blame: run_diagnostics cannot mend this
        actions = []
        for night in range(6):
            trace = f"night-{night}-{uuid.uuid4().hex}"
            assert boot_drill(world.system, "--cycles", "1", trace=trace)["passed"] is False
            intent = eventually(lambda trace=trace: world.facts("layer3.intent.task", trace) or
                                (world.facts("brain.drift", trace) and
                                 not world.facts("brain.drift", trace)[0][2]["acted"]), 20)
            if intent is True:
                continue  # held back, and said why: the issue cools down
            learned = world.fact("brain.learned", trace)
            actions.append((intent[0][2]["details"]["action"], learned["success"], learned["score"]))
            if len({action for action, _, _ in actions}) > 1:
                break
        assert actions[0][0] == "run_diagnostics" and actions[0][1] is False, actions
        assert actions[0][2] < 0.5, "a failure lowers the score"
        assert actions[-1][0] == "restart_peer", actions


def test_loop_3_an_idle_system_tests_itself(bhiv, tmp_path):
    env = {"BHIV_BRAIN_DRILLS": "true", "BHIV_BRAIN_DRILL_SECONDS": "1.5", "BHIV_BRAIN_COOLDOWN_SECONDS": "3600"}
    with World(bhiv, tmp_path / "d", env) as world:
        def drill_intents():
            return [(header, body) for _, header, body in world.facts("layer3.intent.task")
                    if body["intent"] == "proactive_stress_test"]

        header, intent = eventually(drill_intents, 30, 0.1, "a proactive drill")[0]
        assert intent["task_type"] == "run_stress_drill" and intent["handler"] == "stress_runner"
        assert intent["priority"] == "low" and intent["sla_seconds"] == 86400
        assert intent["reasoning"] == "Queue light, opportunistic stress testing"
        trace = header["trace_id"]
        started = world.fact("task.started", trace)
        assert started["priority"] == "low" and started["worker"] == "kernel-self_healing"
        word = done(world.peer, started["task_id"])
        assert word["status"] == "completed" and word["intent"] == "proactive_stress_test", word
        drill = world.fact("stress.", trace)
        assert word["result"]["test_id"] == drill["test_id"]
        learned = world.fact("brain.learned", trace)
        assert learned["key"] == "stress_runner_run_stress_drill" and learned["success"] is True
        order_of(world.story(trace), "layer3.intent.task", "governance.verdict", "task.started",
                 f"stress.{drill['suite']}.completed", "task.completed", "task.done", "brain.learned")

        # And again, one at a time, another suite each.
        eventually(lambda: len({topic for topic, header, _ in world.facts("stress.")}) >= 2, 120, 0.2,
                   "a drill of another suite")
        open_now = 0
        for topic, _, body in world.peer.fetch_all(["task.started", "task.done"]):
            if body["task_type"] == "run_stress_drill":
                open_now += 1 if topic == "task.started" else -1
                assert open_now <= 1, "two drills at once"

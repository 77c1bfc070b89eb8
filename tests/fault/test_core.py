"""Core killed, and everything around it: what it learned is a function of the journal, and no task is
counted twice."""

import json
import os
import random
import signal
import subprocess
import threading
import time

import requests
from support.agents import Agent, available, get, learned, task
from support.peer import Peer
from support.system import eventually

ROUNDS = 5


def outcomes(system):
    """task_id -> how many records of each event there are of it."""
    counted = {}
    with Peer(system.ingress, system.egress, source="looker") as peer:
        for topic, _, body in peer.fetch_all(filters=("core.event.", "karma.life_event")):
            ident = body.get("task_id") or body["context"]["task_id"]
            counted.setdefault(ident, []).append(topic.split(".")[-1])
    return counted


def settled(system):
    def caught_up():
        with Peer(system.ingress, system.egress, source="looker") as peer:
            header, body = peer.ask("req.core.health", {})
            head = peer.ask("$bus.stats", {})[1]["head"]
            return header["status"] == "success" and body["cursor"] >= head

    eventually(caught_up, what="Core caught up")


def state_hash(system):
    with Peer(system.ingress, system.egress, source="looker") as peer:
        return peer.ask("req.core.state_hash", {})[1]["state_hash"]


def rebuilt(bhiv, system):
    done = subprocess.run([bhiv, "core", "--rebuild", "--dir", str(system.folder)], capture_output=True,
                          text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["state_hash"]


class Load(threading.Thread):
    """Tasks, one after another, until told to stop; what is answered is noted."""

    def __init__(self, system, number):
        super().__init__(daemon=True)
        self.system, self.number, self.answered, self.unanswered = system, number, {}, set()
        self.stopping = threading.Event()

    def run(self):
        i = 0
        while not self.stopping.is_set():
            ident = f"task-{self.number}-{i}"
            i += 1
            try:
                answer = requests.post(self.system.url("core", "/handle_task"), timeout=3,
                                       json={"agent": "text_agent", "input": f"words {i}", "task_id": ident})
            except requests.RequestException:
                answer = None
            if answer is not None and answer.status_code == 200:
                self.answered[ident] = answer.json()["status"]
            else:
                self.unanswered.add(ident)  # it may have been done all the same


def run_load(system, disturb):
    loads = [Load(system, number) for number in range(4)]
    for load in loads:
        load.start()
    try:
        disturb()
    finally:
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join(20)
    answered = {ident: status for load in loads for ident, status in load.answered.items()}
    return answered, set().union(*(load.unanswered for load in loads))


def agreed(system):
    """The outcomes in the journal, once Core has learned each of them, and each once.

    Asked again until it is so: a request that was given up may still be worked on."""

    def equal():
        settled(system)
        counted = outcomes(system)
        total = get(system, "/rl/stats").json()["total_tasks"]
        same = total == len(counted) == learned(system)["text_agent"]["count"]
        return counted if same else None

    return eventually(equal, every=0.3, what="as many outcomes learned as there are")


SUCCESS = ["agent_result", "life_event", "rl_outcome"]


def test_no_task_is_counted_twice_and_none_by_half_when_core_is_killed(bhiv, system):
    chance = random.Random(5)

    def kill():
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.1, 0.5))  # the moment is the test's, not waited for
            pid = system.kill("core")
            system.restarted("core", pid)
            eventually(lambda: get(system, "/rl/stats").ok, what="Core answers again")

    answered, unanswered = run_load(system, kill)
    assert len(answered) > 10, "it was busy"
    counted = agreed(system)
    for ident, events in counted.items():
        assert sorted(events) == SUCCESS, (ident, events)  # all of it or nothing
    assert set(counted) <= set(answered) | unanswered
    # An answer does not wait for the journal: a kill may cost the outcomes that were on their way,
    # a handful a kill, and never more.
    lost = set(answered) - set(counted)
    assert len(lost) <= 4 * ROUNDS * 2, len(lost)
    assert state_hash(system) == rebuilt(bhiv, system)


def test_no_outcome_is_lost_when_the_broker_is_killed(bhiv, system):
    chance = random.Random(6)

    def kill():
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.1, 0.5))  # as above
            pid = system.kill("broker")
            system.restarted("broker", pid)
            eventually(lambda: get(system, "/rl/stats").ok, what="Core answers again")

    answered, unanswered = run_load(system, kill)
    # Core sends again what the broker did not confirm.
    eventually(lambda: get(system, "/rl/stats").json()["total_tasks"] >= len(answered),
               timeout=30, what="all outcomes applied")
    counted = agreed(system)
    assert set(answered) <= set(counted) <= set(answered) | unanswered
    for ident, events in counted.items():
        assert sorted(events) == SUCCESS, (ident, events)
    assert state_hash(system) == rebuilt(bhiv, system)


def test_what_was_learned_and_answered_is_there_after_a_kill(system):
    done = [task(system, "text_agent", f"some words {i}", user_id="u") for i in range(20)]
    eventually(lambda: learned(system)["text_agent"]["count"] == 20, what="all learned")
    requests.post(system.url("core", "/feedback"), json={"task_id": done[0]["task_id"], "reward": 5}, timeout=10)
    before, stats = learned(system), get(system, "/rl/stats").json()
    pid = system.kill("core")
    system.restarted("core", pid)
    eventually(lambda: get(system, "/rl/stats").ok, what="Core answers again")
    assert learned(system) == before and get(system, "/rl/stats").json() == stats
    for body in done:
        kept = get(system, f"/tasks/{body['task_id']}").json()
        assert kept["agent_output"] == body["agent_output"] and kept["status"] == "success"
    assert get(system, f"/tasks/{done[0]['task_id']}").json()["feedback"] == 5


def test_an_agent_that_is_killed_costs_its_task_an_error_within_seconds(system):
    """No bye: the broker misses its beats."""
    agent = Agent(system, "doomed", None)
    agent.__enter__()
    with Peer(system.ingress, system.egress, source="asker") as peer:
        ident = peer.send("req.core.handle_task", {"agent": "doomed", "input": "x"}, reply_to=peer.inbox)
        eventually(lambda: agent.asked, what="the agent asked")
        agent._take = lambda peer: time.sleep(0.05)  # from now on it hears nothing
        agent.stopping.set()
        start = time.monotonic()
        _, body = peer.answer(ident, timeout=15)
    assert body["status"] == "error" and "has gone" in body["agent_output"]["error"]
    assert time.monotonic() - start < 8
    agent.__exit__()
    assert not available(system, "doomed")
    assert task(system, "text_agent")["status"] == "success"


def test_core_stops_while_agents_work(system):
    """SIGTERM ends it at once; who waits is told."""
    with Agent(system, "slow", None) as agent:
        with Peer(system.ingress, system.egress, source="asker") as peer:
            idents = [peer.send("req.core.handle_task", {"agent": "slow", "input": "x"}, reply_to=peer.inbox)
                      for _ in range(50)]
            eventually(lambda: len(agent.asked) == 50, what="the agent asked")
            pid = system.pid("core")
            os.kill(pid, signal.SIGTERM)
            for ident in idents:
                header, body = peer.answer(ident, timeout=10)
                assert header["status"] == "error" and body["error_code"] == "ABORTED"
            system.restarted("core", pid)
    assert eventually(lambda: get(system, "/rl/stats").ok, what="Core answers again")

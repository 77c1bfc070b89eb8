"""SIGKILL of workers and of the task queue under load: every task exactly one last word, at most one attempt at a
time, the right order at each start (rows 14 and 15 of what is survived)."""

import itertools
import json
import os
import random
import select
import subprocess
import time

import pytest
from support.htm import Crew, Load, QUEUE, ready, settled, status_of
from support.htm_checker import check
from support.peer import Peer
from support.system import Program, System, eventually

HANDLERS = ["resize", "index", "mail"]
PRIORITIES = ["critical", "high", "normal", "low"]
PARTS = (*QUEUE[:-1], QUEUE[-1] + ",htm,bridge")  # the queue itself is started here, without its supervisor's patience


class Queue:
    """HTM as a process of the test's own, that is killed and started again at once."""

    def __init__(self, bhiv, system, log):
        self.argv, self.log, self.program = [bhiv, "htm", "--dir", str(system.folder)], log, None
        self.env = {"BHIV_HTM_BACKOFF_SECONDS": "0.05", "BHIV_HTM_LOSSES_MAX": "100"}

    def start(self, wait=False):
        self.program = Program(self.argv, env=self.env, log=self.log, ready=wait)

    def kill(self):
        self.program.kill()

    def __enter__(self):
        self.start(wait=True)
        return self

    def __exit__(self, *exc):
        self.program.kill()


def some(dice, count):
    """Tasks of every kind; some fail once or twice before they can be done."""
    for _ in range(count):
        fails = dice.choice([0] * 18 + [1, 2])
        yield {"handler": dice.choice(HANDLERS), "priority": dice.choice(PRIORITIES), "context": {"fail": fails},
               "max_retries": 3, "sla_seconds": dice.choice([60, 600, 3600])}


def kill_one(crew, queue, dice, number):
    """A worker, or every fourth time the queue, at a random moment from now; it is started again at once."""
    victim = queue.program if number % 4 == 1 else crew.programs[name := dice.choice(sorted(crew.programs))]
    gone = os.pidfd_open(victim.pid)
    select.select([gone], [], [], dice.random() * 0.2)
    os.close(gone)
    if victim is queue.program:
        queue.kill()
        queue.start()
    else:
        crew.kill(name)
        crew.start(name, wait=False)


def over(peer, count):
    """Waits until so many tasks are over."""
    def so_many():
        try:
            statistics = status_of(peer)["statistics"]
        except (AssertionError, TimeoutError):
            return False  # the queue is being started again
        return statistics["tasks_completed"] + statistics["tasks_failed"] == count
    eventually(so_many, 600, 0.2, f"{count} tasks to be over")


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


@pytest.mark.parametrize("kills", [0, 12], ids=["undisturbed", "killed"])
def test_of_many_tasks_each_is_done_once_in_order(bhiv, tmp_path, long, kills):
    dice = random.Random(seed := random.randrange(1 << 30))
    print("seed", seed)
    count, kills = (100_000, kills * 5) if long else (10_000, kills)
    with System(bhiv, tmp_path / "d", args=PARTS) as system, Queue(bhiv, system, tmp_path / "htm.log") as queue:
        with Peer(system.ingress, system.egress, source="py_load", timeout=30) as peer:
            ready(system)
            with Crew(system, 8, HANDLERS) as crew:
                began = time.monotonic()
                load, tasks = Load(peer), some(dice, count)
                for number in range(kills):
                    load.put(itertools.islice(tasks, count // (kills + 1)))
                    kill_one(crew, queue, dice, number)
                load.put(tasks)
                over(peer, count)
                seconds = time.monotonic() - began
                settled(peer, 60)
                checker = check(peer)
            print(f"{count} tasks over in {seconds:.1f} s: {count / seconds:.0f}/s, {dict(checker.counts)}; dispatch us "
                  f"p50 {percentile(checker.dispatch_us, .5)} p99 {percentile(checker.dispatch_us, .99)}")
            assert checker.counts["completed"] == count, "none failed oftener than it may"
            assert not kills or checker.counts["lost"], "a kill took no work with it: it shows nothing"
            kept = peer.ask("req.htm.state_hash", {}, timeout=60)[1]
            rebuilt = system.run("htm", "--rebuild", timeout=300)
            assert kept["state_hash"] in rebuilt.stdout, (kept, rebuilt.stdout, rebuilt.stderr)


def test_a_queue_that_is_killed_over_and_over_loses_nothing(bhiv, tmp_path, long):
    """From before it has caught up to well in its work."""
    dice = random.Random(seed := random.randrange(1 << 30))
    print("seed", seed)
    count, kills = (20_000, 100) if long else (3_000, 15)
    with System(bhiv, tmp_path / "d", args=PARTS) as system, Queue(bhiv, system, tmp_path / "htm.log") as queue:
        with Peer(system.ingress, system.egress, source="py_load", timeout=30) as peer, Crew(system, 3, HANDLERS):
            load = Load(peer)
            for _ in range(kills):
                load.put(some(dice, count // kills))
                gone = os.pidfd_open(queue.program.pid)
                select.select([gone], [], [], dice.random() * 0.2)
                os.close(gone)
                queue.kill()
                queue.start()
            over(peer, count // kills * kills)
            settled(peer, 60)
            assert check(peer).counts["completed"] == count // kills * kills


def test_a_broker_that_is_killed_loses_no_task(bhiv, tmp_path):
    dice = random.Random(seed := random.randrange(1 << 30))
    print("seed", seed)
    with System(bhiv, tmp_path / "d", args=PARTS) as system, Queue(bhiv, system, tmp_path / "htm.log"):
        with Crew(system, 3, HANDLERS):
            for number in range(3):
                with Peer(system.ingress, system.egress, source="py_load", timeout=30) as peer:
                    Load(peer, f"round{number}-").put(some(dice, 500))
                pid = system.kill("broker")
                system.restarted("broker", pid)
            with Peer(system.ingress, system.egress, source="py_load", timeout=30) as peer:
                over(peer, 1500)
                settled(peer, 60)
                assert check(peer).counts["completed"] == 1500


def test_a_hundred_thousand_tasks_keep_their_order_while_workers_are_killed(bhiv, tmp_path):
    """As a person would run it: the drill's own checker reads the whole history, and says what broke."""
    done = subprocess.run([bhiv, "stress", "htm", "--tasks", "100000", "--workers", "8", "--kill", "50",
                           "--dir", str(tmp_path / "nobody")], cwd=tmp_path, capture_output=True, text=True,
                          timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)["summary"]
    assert (summary["total_tasks"], summary["completed"] + summary["failed"]) == (100_000, 100_000)
    assert summary["workers_killed"] == 50 and summary["retries_worker_gone"] > 0
    assert summary["order_violations"] == 0 and summary["duplicates_ignored"] == summary["duplicates_sent"] > 0

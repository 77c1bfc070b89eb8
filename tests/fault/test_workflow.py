"""SIGKILL of the Workflow Executor while it acts: no effect twice, every accepted workflow ends, and
is told once (docs/originals.md 4; row 37 of what is survived)."""

import collections
import os
import random
import select
import threading
import uuid

import pytest
import requests
from support.outside import HttpServer, SmtpServer, ai_answer, whatsapp_answer
from support.peer import Peer
from support.system import Program, System, eventually
from support.workflow import body_of, get, journaled, settled

USER = "u-all"


class Crowd(threading.Thread):
    """Publishes workflows one after the other, each durable before the next few; half are mails."""

    def __init__(self, system, count):
        super().__init__(daemon=True)
        self.system = system
        self.count = count
        self.accepted = {}  # trace -> action, recipient or prompt
        self.goal = 0  # how many may be accepted by now
        self.changed = threading.Condition()
        self.halt = False
        self.error = None

    def allow(self, goal):
        with self.changed:
            self.goal = min(goal, self.count)
            self.changed.notify()

    def run(self):
        try:
            with Peer(self.system.ingress, self.system.egress, source="py_crowd", timeout=30) as peer:
                for number in range(self.count):
                    with self.changed:
                        self.changed.wait_for(lambda n=number: n < self.goal or self.halt)
                    if self.halt:
                        return
                    self.publish(peer, number)
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def publish(self, peer, number):
        trace = f"crowd-{number}"
        kind = ("email", "email", "whatsapp", "ai", "task", "email")[number % 6]
        target = f"n{number}@example.org" if kind == "email" else f"n{number}"
        payload = {"email": {"recipient": target, "subject": "s", "body": "b"},
                   "whatsapp": {"recipient": target, "message": "m"}, "ai": {"prompt": target},
                   "task": {"title": target}}[kind]
        self.say(peer, body_of(kind, trace, user_id=USER, **payload), number + 1)
        self.accepted[trace] = (kind, target)

    @staticmethod
    def say(peer, body, pseq):
        """Until it is durable: what a broker that was killed has lost is said again, as the same."""
        ident = str(uuid.uuid4())
        for _ in range(30):
            peer.send("workflow.execute", body, id=ident, ack=True, pseq=pseq, pstream=peer.stream,
                      reply_to=peer.inbox)
            try:
                header, ack = peer.answer(ident, 1, ack=True)
            except TimeoutError:
                continue
            assert header["status"] == "success", ack
            return
        raise TimeoutError("never durable")


def ended(system, count):
    """How the executions ended by trace, once all have."""
    def all_of_them():
        stats = get(system, "/api/workflow/stats").json().get("executions", {})
        return stats.get("total") == count and stats["queued"] == stats["started"] == 0
    eventually(all_of_them, 120, 0.1, "every execution to end")


def check(system, crowd, smtp, whatsapp, ai):
    """What the servers saw against what was accepted and what is told of it."""
    count = len(crowd.accepted)
    ended(system, count)
    with Peer(system.ingress, system.egress, source="py_check") as peer:
        health = lambda name: peer.ask(f"req.{name}.health", {})[1]  # an error while it is away
        eventually(lambda: health("workflow").get("outbox") == 0 and health("bucket").get("lag") == 0 and
                   health("karma").get("lag") == 0, 60, 0.1, "everybody to have heard")
        events = [body for header, body in journaled(peer, "core.event.workflow_execution")]
        lives = [body for header, body in journaled(peer, "karma.life_event")]
        started = collections.Counter(body["execution"] for header, body in journaled(peer, "workflow.started"))
        kept = peer.ask("req.workflow.state_hash", {})[1]
    seen = collections.Counter()
    for sender, recipients, mail, raw in smtp.mails:
        seen.update(recipients)
    seen.update(request["body"]["to"] for request in whatsapp.requests)
    seen.update(request["body"]["messages"][0]["content"] for request in ai.requests)
    assert not [target for target, times in seen.items() if times > 1], "something happened twice"

    told = {event["trace_id"]: event for event in events}
    assert len(events) == len(told) == count and set(told) == set(crowd.accepted)
    assert collections.Counter(life["context"]["trace_id"] for life in lives) == \
        collections.Counter(dict.fromkeys(crowd.accepted, 1))
    interrupted = 0
    for trace, (kind, target) in crowd.accepted.items():
        outcome = told[trace]["execution_result"]
        if outcome["success"]:
            assert kind == "task" or seen[target] == 1, (trace, outcome)
        else:
            assert outcome["error_code"] == "execution_interrupted", (trace, outcome)
            assert kind != "task" and outcome["was_sent"] is True
            interrupted += 1
    assert max(started.values()) <= 2, "asked for by every process that there was"
    # Bucket and Karma, by their own word.
    stats = requests.get(system.url("bucket", "/core/stats"), timeout=10).json()["stats"]
    assert stats["by_type"]["workflow_execution"] == count
    profile = requests.get(system.url("karma", f"/api/v1/karma/{USER}"), timeout=10).json()
    assert profile["action_stats"]["total_actions"] == count
    rebuilt = system.run("workflow", "--rebuild", timeout=60)
    assert kept["state_hash"] in rebuilt.stdout, (kept, rebuilt.stdout, rebuilt.stderr)
    return interrupted


def test_killing_the_executor_at_random_does_nothing_twice_and_loses_nothing(bhiv, tmp_path, long):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    count, kills = (1000, 200) if long else (300, 20)
    slow = lambda answer: lambda request: (threading.Event().wait(dice.random() * 0.02), answer(request))[1]
    with SmtpServer() as smtp, HttpServer(slow(whatsapp_answer)) as whatsapp, HttpServer(slow(ai_answer)) as ai:
        env = {"BHIV_SMTP_URL": smtp.url, "BHIV_WHATSAPP_URL": whatsapp.url, "BHIV_WHATSAPP_PHONE_ID": "1",
               "BHIV_AI_URL": ai.url, "WORKFLOW_TIMEOUT": "20"}
        with System(bhiv, tmp_path / "d", args=("--dev", "--without", "core,workflow")) as system:
            def start():
                """Without its supervisor, which would wait longer before each start."""
                return Program([bhiv, "workflow", "--dir", str(system.folder)], env=env,
                               log=tmp_path / "workflow.log", ready=False)

            crowd = Crowd(system, count)
            crowd.start()
            for number in range(1, kills + 1):
                crowd.allow(count * number // kills)
                executor = start()
                # At a random moment of its life: from before it has caught up to well in its work.
                gone = os.pidfd_open(executor.pid)
                select.select([gone], [], [], dice.random() * 0.2)
                executor.kill()
                os.close(gone)
            crowd.allow(count)
            executor = start()
            try:
                crowd.join(120)
                assert not crowd.is_alive() and crowd.error is None, crowd.error
                assert len(crowd.accepted) == count
                settled(system)
                interrupted = check(system, crowd, smtp, whatsapp, ai)
                print("interrupted", interrupted, "of", count)
                assert interrupted < count * 5 // 6, "nothing was ever finished"
            finally:
                assert executor.stop() == 0


@pytest.mark.parametrize("part", ["broker", "bucket", "karma"])
def test_killing_a_part_beside_the_executor_does_nothing_twice_and_loses_nothing(bhiv, tmp_path, part):
    with SmtpServer() as smtp, HttpServer(whatsapp_answer) as whatsapp, HttpServer(ai_answer) as ai:
        env = {"BHIV_SMTP_URL": smtp.url, "BHIV_WHATSAPP_URL": whatsapp.url, "BHIV_WHATSAPP_PHONE_ID": "1",
               "BHIV_AI_URL": ai.url, "WORKFLOW_TIMEOUT": "20"}
        with System(bhiv, tmp_path / "d", args=("--dev", "--without", "core"), env=env) as system:
            settled(system)
            crowd = Crowd(system, 120)
            crowd.start()
            for number in range(1, 4):
                crowd.allow(40 * number)
                eventually(lambda n=number: len(crowd.accepted) >= 40 * n - 20 or crowd.error, 60)
                pid = system.kill(part)
                system.restarted(part, pid)
            crowd.join(120)
            assert not crowd.is_alive() and crowd.error is None, crowd.error
            settled(system)
            assert check(system, crowd, smtp, whatsapp, ai) == 0, "the executor itself was never killed"

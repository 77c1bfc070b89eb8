"""Agents for Core, as peers in threads of the test, and Core over HTTP.

An agent is written only from docs/protocol.md: it says hello as agent.<name>, beats, and answers
req.agent.<name>. What it answers is the test's: a dict; None hangs; a callable is asked each time.
"""

import threading
import time
import uuid

import requests
from support.peer import Peer
from support.system import eventually


class Agent:
    def __init__(self, system, name, answer, wait=True):
        self.system, self.name, self.answer = system, name, answer
        self.instance = uuid.uuid4().hex
        self.asked = []  # (header, body)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.wait = wait

    def __enter__(self):
        self.thread.start()
        if self.wait:
            eventually(lambda: available(self.system, self.name), what=f"agent {self.name} known to Core")
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.thread.join(10)

    def _run(self):
        with Peer(self.system.ingress, self.system.egress, source=f"agent_{self.name}") as peer:
            me = {"service": f"agent.{self.name}", "instance": self.instance, "inbox": peer.inbox}
            peer.ask("$bus.hello", me)
            beat = time.monotonic()
            while not self.stopping.is_set():
                if time.monotonic() - beat > 0.8:
                    peer.send("$bus.beat", me)
                    beat = time.monotonic()
                self._take(peer)
            peer.send("$bus.bye", {"instance": self.instance})

    def _take(self, peer):
        if not peer.heard and peer._read(0.1) is None:
            return
        header, body = peer.heard.popleft()
        if "topic" not in header:
            return
        self.asked.append((header, body))
        answer = self.answer(body) if callable(self.answer) else self.answer
        if answer is not None:
            peer.send(header["reply_to"], answer, re=header["id"], status="success")


def available(system, name):
    agents = get(system, "/agents").json()["agents"]
    return any(agent["agent_id"] == name and agent["available"] for agent in agents)


def get(system, path, port="core"):
    return requests.get(system.url(port, path), timeout=30)


def task(system, agent="auto", text="a few words", headers=None, timeout=60, **more):
    """POST /handle_task: the answer's body, which is 200 whatever came of it."""
    answer = requests.post(system.url("core", "/handle_task"), timeout=timeout, headers=headers,
                           json={"agent": agent, "input": text, **more})
    assert answer.status_code == 200, answer.text
    return answer.json()


def kept(system, task_id):
    """The task as the store has it: with its place in the journal."""

    def applied():
        answer = get(system, f"/tasks/{task_id}")
        return answer.json() if answer.ok and "seq" in answer.json() else None

    return eventually(applied, what=f"the outcome of {task_id} applied")


def learned(system):
    """What the selector learned: agent_id -> its row."""
    return {row["agent_id"]: row for row in get(system, "/rl/stats").json()["agents"]}

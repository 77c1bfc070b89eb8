"""A recorded load: publishers that keep every ack, so that a checker can hold the bus to its word."""

import threading
import time
import uuid
from collections import OrderedDict

import msgpack
import requests
import zmq

from .peer import pack


class Publisher(threading.Thread):
    """Publishes events with an ack each, a window, and `pseq`; survives whatever dies.

    `acked` maps each id to the seq of its ack. What was not acknowledged at the end stands in
    `unknown`: it may be in the journal or not, but at most once.
    """

    def __init__(self, ingress, egress, count, window=1000, users=7, name="load", batch=1,
                 stall=2.0, pad=0):
        super().__init__(daemon=True, name=name)
        self.endpoints = ingress, egress
        self.count, self.window, self.users, self.batch = count, window, users, batch
        self.stream = uuid.uuid4().hex
        self.acked = {}
        self.flight = OrderedDict()  # pseq -> (id, frames), in order
        self.by_id = {}
        self.next = 1
        self.stall = stall  # seconds without an ack after which all in flight is said again
        self.pad = "x" * pad
        self.longest = 0  # seconds between two acks
        self.resends = 0
        self.duplicates = 0
        self.error = None
        self.halt = threading.Event()

    def event(self, n):
        return {
            "requester_id": "bhiv_core",
            "event_type": "agent_result",
            "agent_id": f"agent_{n % 3}",
            "user_id": f"{self.name}_user_{n % self.users}",
            "task_id": f"{self.name}-{n}",
            "result": {"status": 200 if n % 5 else 500},
            **({"pad": self.pad} if self.pad else {}),
        }

    def run(self):
        try:
            self._run()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _make(self, pseq):
        ident = str(uuid.uuid4())
        header = {"id": ident, "source": self.name, "reply_to": self.inbox, "ack": True,
                  "pstream": self.stream, "pseq": pseq, "trace_id": f"trace-{self.name}"}
        frames = [b"core.event.agent_result", pack(header), pack(self.event(pseq))]
        self.flight[pseq] = (ident, frames)
        self.by_id[ident] = pseq

    def _resend(self, first):
        for pseq, (_, frames) in self.flight.items():
            if pseq >= first:
                self.push.send_multipart(frames)
                self.resends += 1

    def _run(self):
        context = zmq.Context()
        self.inbox = f"_inbox.{self.name}.{uuid.uuid4().hex}"
        self.push = context.socket(zmq.PUSH)
        sub = context.socket(zmq.SUB)
        for socket in (self.push, sub):
            socket.setsockopt(zmq.SNDHWM, 50000)
            socket.setsockopt(zmq.RCVHWM, 50000)
            socket.setsockopt(zmq.LINGER, 0)
            socket.setsockopt(zmq.RECONNECT_IVL, 20)
            socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        self.push.connect(self.endpoints[0])
        sub.connect(self.endpoints[1])
        sub.subscribe(self.inbox.encode())
        welcome = False
        waiting = 0  # the pseq that a go-back was done for
        moved = time.monotonic()
        while len(self.acked) < self.count and not self.halt.is_set():
            while welcome and self.next <= self.count and len(self.flight) < self.window:
                self._make(self.next)
                self.push.send_multipart(self.flight[self.next][1])
                self.next += 1
            if not sub.poll(min(200, self.stall * 1000)):
                if welcome and self.flight and time.monotonic() - moved > self.stall:
                    self._resend(0)  # nothing moves: ask again
                    moved = time.monotonic()
                continue
            _, header, body = sub.recv_multipart()
            header, body = msgpack.unpackb(header), msgpack.unpackb(body)
            if header.get("re") == "welcome":
                self._resend(0)
                welcome, waiting, moved = True, 0, time.monotonic()
            elif header.get("source") != "$bus":
                continue  # what a command's owner made of it: not the broker's word
            elif header["status"] == "success":
                pseq = self.by_id.get(header["re"])
                if pseq in self.flight:
                    self.duplicates += bool(body["duplicate"])
                    self.acked[header["re"]] = body["seq"]
                    del self.flight[pseq]
                    now = time.monotonic()
                    self.longest = max(self.longest, now - moved)
                    moved, waiting = now, 0
            elif body["error_code"] == "PSEQ_GAP":
                expected = body["details"]["expected"]
                if expected != waiting:
                    waiting = expected
                    self._resend(expected)
            elif body["error_code"] in ("BUSY", "JOURNAL_FULL"):
                time.sleep(0.05)  # its own retry_after would be a second: the load goes on sooner
                waiting = 0
                self._resend(0)
            else:
                raise AssertionError(body)
        self.unknown = {ident for ident, _ in self.flight.values()}
        context.destroy(linger=0)


class Writer(threading.Thread):
    """Writes events by HTTP, one after the other; every 200 is a promise."""

    def __init__(self, url, name="http", idempotent=False, token=None):
        super().__init__(daemon=True, name=name)
        self.url = url
        self.token = token
        self.idempotent = idempotent
        self.acked = {}  # event_id -> seq
        self.failures = 0
        self.longest = 0  # seconds that a write took, whatever became of it
        self.halt = threading.Event()

    def run(self):
        session = requests.Session()
        n = 0
        while not self.halt.is_set():
            n += 1
            event = {"event_type": "rl_outcome", "agent_id": "http_agent", "reward": 1 if n % 2 else -1,
                     "user_id": f"{self.name}_user", "task_id": f"{self.name}-{n}"}
            begun = time.monotonic()
            headers = {"Idempotency-Key": f"{self.name}-{n}"} if self.idempotent else {}
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            try:
                answer = session.post(self.url, json={"requester_id": "bhiv_core", "event_data": event},
                                      headers=headers, timeout=8)
                if answer.status_code == 200:
                    self.acked[answer.json()["event_id"]] = answer.json()["seq"]
                else:
                    self.failures += 1
            except (requests.RequestException, ValueError):
                self.failures += 1
                session = requests.Session()
            self.longest = max(self.longest, time.monotonic() - begun)

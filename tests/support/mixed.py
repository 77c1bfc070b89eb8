"""A load of every operation of Bucket, and a model of what the journal makes of it.

The model is written from docs/contract.md: what is refused and why, what is kept and how large it
is. It knows only the operations that this load makes.
"""

import random
import threading
import time
import uuid
from collections import OrderedDict

import msgpack
import zmq

from .owner import sign
from .peer import pack

PRODUCTS = ("ai_assistant", "ai_avatar", "gurukul", "enforcement")
READS = ("bucket.context.read", "bucket.artifact_read", "bucket.metadata_query")
STALL = 2.0  # seconds without an answer after which an operation is said again


class Mixed(threading.Thread):
    """Says `count` operations, `window` at a time, each again until it is answered.

    `answers` maps each id to the answer's status and body. `heads` is for the test: checkpoints that
    were taken while the load ran.
    """

    def __init__(self, system, count, window=100, name="mixed", owner=False, seed=None):
        super().__init__(daemon=True, name=name)
        self.system, self.count, self.window, self.owner = system, count, window, owner
        self.dice = random.Random(seed)
        self.answers = {}
        self.flight = OrderedDict()  # id -> [frames, when it was said last]
        self.made = 0
        self.written = []  # (product, artifact_id) that it asked to keep
        self.signed_at = 0
        self.again = 0
        self.error = None
        self.halt = threading.Event()

    # --- What is said ---

    def _artifact(self):
        if self.written and self.dice.randrange(8) > 0:
            return self.dice.choice(self.written)
        return self.dice.choice(PRODUCTS), "never-written"

    def write(self):
        if self.written and self.dice.randrange(12) == 0:
            product, name = self.dice.choice(self.written)  # a duplicate
        else:
            product, name = self.dice.choice(PRODUCTS), f"{self.name}-{self.made}"
            self.written.append((product, name))
        body = {"artifact_id": name,
                "content": {"n": self.made, "text": "x" * self.dice.randrange(300)},
                "metadata": {"product": product, "created_by": self.name,
                             "tags": [f"t{self.dice.randrange(5)}"]}}
        return "bucket.artifact_write", body

    def read(self):
        product, name = self._artifact()
        if self.dice.randrange(6) == 0:
            product = self.dice.choice(PRODUCTS)
        return "bucket.artifact_read", {"artifact_id": name, "product": product,
                                        "requester_id": f"reader-{self.dice.randrange(40)}"}

    def query(self):
        return "bucket.metadata_query", {"product": self.dice.choice(PRODUCTS),
                                         "filters": {"limit": 3, "tags": ["t1"]}}

    def append(self):
        return "bucket.audit_append", {"event_type": "query", "product": self.dice.choice(PRODUCTS),
                                       "details": {"n": self.made}}

    def event(self):
        who = "somebody" if self.dice.randrange(20) == 0 else "bhiv_core"
        return "core.event.note", {"requester_id": who, "event_type": "note",
                                   "agent_id": f"agent-{self.dice.randrange(5)}", "n": self.made}

    def context(self):
        return "bucket.context.read", {"agent_id": "agent-1", "requester_id": "bhiv_core"}

    def refused(self):
        body = self.dice.choice((
            {"action": "update_artifact", "artifact_id": "x"},
            {"action": "delete_artifact", "artifact_id": "x"},
            {"action": "write_artifact", "priority": "urgent"},
            {"action": "no_such_thing"},
            {"channel": "metadata_query"},
        ))
        return "bucket.request", {**body, "requester_id": f"villain-{self.dice.randrange(40)}"}

    def command(self):
        product, name = self._artifact()
        body = {"artifact_id": name, "product": product, "reason": "a test"}
        topic = "bucket.deletion.approve"
        if self.dice.randrange(2):
            topic = "bucket.legal_hold"
            body["hold"] = bool(self.dice.randrange(2))
        self.signed_at = max(self.signed_at + 1, time.time_ns() // 1000)
        return topic, sign(self.system.owner_token, topic, body, self.signed_at)

    def _make(self):
        kinds = ([self.write] * 6 + [self.command] * 4 if self.owner else
                 [self.write] * 30 + [self.read] * 15 + [self.query] * 5 + [self.append] * 10 +
                 [self.event] * 25 + [self.context] * 5 + [self.refused] * 10)
        self.made += 1
        topic, body = self.dice.choice(kinds)()
        ident = str(uuid.uuid4())
        header = {"id": ident, "source": self.name, "reply_to": self.inbox,
                  "trace_id": f"trace-{self.name}-{self.made}"}
        if topic.startswith("core.event."):
            header["idem"] = ident  # an event is answered only so
        self.flight[ident] = [[topic.encode(), pack(header), pack(body)], 0]
        self._say(ident)

    # --- Saying it ---

    def _say(self, ident):
        self.flight[ident][1] = time.monotonic()
        self.push.send_multipart(self.flight[ident][0])

    def _say_again(self, since):
        for ident, (_, said) in list(self.flight.items()):
            if said < since:
                self.again += 1
                self._say(ident)

    def _hear(self, header, body):
        ident = header.get("re")
        if header.get("status") == "error" and body["error_code"] in ("BUSY", "JOURNAL_FULL"):
            return  # said again in a while
        answer = header["status"], body
        if ident in self.answers:  # an answer to a repeat
            return
        if self.flight.pop(ident, None):
            self.answers[ident] = answer

    def _open(self):
        context = zmq.Context()
        self.inbox = f"_inbox.{self.name}.{uuid.uuid4().hex}"
        self.push, sub = context.socket(zmq.PUSH), context.socket(zmq.SUB)
        for socket in (self.push, sub):
            for option, value in ((zmq.SNDHWM, 50000), (zmq.RCVHWM, 50000), (zmq.LINGER, 0),
                                  (zmq.RECONNECT_IVL, 20), (zmq.RECONNECT_IVL_MAX, 200)):
                socket.setsockopt(option, value)
        self.push.connect(self.system.ingress)
        sub.connect(self.system.egress)
        sub.subscribe(self.inbox.encode())
        return context, sub

    def run(self):
        try:
            self._run()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def _run(self):
        context, sub = self._open()
        welcome = False
        while len(self.answers) < self.count and not self.halt.is_set():
            while welcome and self.made < self.count and len(self.flight) < self.window:
                self._make()
            if sub.poll(100):
                _, header, body = sub.recv_multipart()
                header, body = msgpack.unpackb(header), msgpack.unpackb(body)
                if header.get("re") == "welcome":
                    welcome = True
                    self._say_again(time.monotonic())
                else:
                    self._hear(header, body)
            if welcome:
                self._say_again(time.monotonic() - STALL)
        context.destroy(linger=0)


class Model:
    """What Bucket is to make of the journal: its entries, its artifacts, record by record."""

    def __init__(self):
        self.seen = set()  # (source, id) of what was applied
        self.artifacts = {}  # (product, artifact_id) -> [bytes, is held, is removed]
        self.entries = {}  # seq -> (operation, error_code or None): each operation's first entry
        self.events = []  # seqs of stored events
        self.signed_at = 0

    def apply(self, topic, header, body):
        if topic not in READS:
            if (header["source"], header["id"]) in self.seen:
                return
            self.seen.add((header["source"], header["id"]))
        made = self._decide(topic, header, body)
        if made:
            self.entries[header["seq"]] = made

    def _decide(self, topic, header, body):
        if topic.startswith("core.event."):
            if body["requester_id"] != "bhiv_core":
                return "write-event", "UNAUTHORIZED_ACCESS"
            self.events.append(header["seq"])
            return "write-event", None
        decide = {
            "bucket.artifact_write": self._write,
            "bucket.artifact_read": self._read,
            "bucket.metadata_query": lambda body: ("metadata_query", None),
            "bucket.audit_append": lambda body: ("audit_append", None),
            "bucket.context.read": lambda body: ("read-context", None),
            "bucket.request": self._request,
            "bucket.legal_hold": self._hold,
            "bucket.deletion.approve": self._delete,
            "bucket.config": lambda body: ("config", None),
        }.get(topic)
        return decide(body) if decide else None

    def _write(self, body):
        key = body["metadata"]["product"], body["artifact_id"]
        if key in self.artifacts:
            return "artifact_write", "DUPLICATE_ARTIFACT_ID"
        size = len(pack(body["content"])) + len(pack(body["metadata"]))
        self.artifacts[key] = [size, False, False]
        return "artifact_write", None

    def _read(self, body):
        found = self.artifacts.get((body["product"], body["artifact_id"]))
        there = found is not None and not found[2]
        return "artifact_read", None if there else "ARTIFACT_NOT_FOUND"

    def _request(self, body):
        action = body.get("action")
        if "priority" in body:
            return "request", "NO_PRIORITY_BYPASS"
        if action == "update_artifact":
            return "request", "IMMUTABLE_ARTIFACT"
        if action == "delete_artifact":
            return "request", "UNAUTHORIZED_DELETION"
        if action == "no_such_thing":
            return "request", "GOVERNANCE_VIOLATION"
        return "metadata_query", "VALIDATION_FAILED"  # it names no product

    def _is_owner(self, body):
        if body["signed_at"] <= self.signed_at:
            return False
        self.signed_at = body["signed_at"]
        return True

    def _hold(self, body):
        if not self._is_owner(body):
            return "legal_hold", "UNAUTHORIZED_ACCESS"
        found = self.artifacts.get((body["product"], body["artifact_id"]))
        if found is None or found[2]:
            return "legal_hold", "ARTIFACT_NOT_FOUND"
        found[1] = body["hold"]
        return "legal_hold", None

    def _delete(self, body):
        if not self._is_owner(body):
            return "deletion_approve", "UNAUTHORIZED_ACCESS"
        found = self.artifacts.get((body["product"], body["artifact_id"]))
        if found is None or found[2]:
            return "deletion_approve", "ARTIFACT_NOT_FOUND"
        if found[1]:
            return "deletion_approve", "LEGAL_HOLD"
        found[2] = True
        return "deletion_approve", None

    def used(self, product):
        """Bytes and count of what is kept of a product."""
        sizes = [size for (of, _), (size, _, removed) in self.artifacts.items()
                 if of == product and not removed]
        return sum(sizes), len(sizes)

"""The task queue for its tests: helpers, a worker that does as it is told, and one that is fast.

What the queue did is held to its word by htm_checker.py, from the journal alone.
"""

import collections
import importlib.util
import json
import signal
import sys
import threading
import time
import uuid

import msgpack
import requests
import zmq

if __package__:
    from .peer import Peer
    from .system import ROOT_EXAMPLES, Program, eventually
else:  # as a program: a fast worker
    import pathlib

    ROOT_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "examples"

PYTHON = "/usr/bin/python3"
QUEUE = ("--dev", "--without", "bucket,karma,workflow,core,brain,kernels")  # broker, htm and bridge alone


def call(system, method, path, body=None, **options):
    return requests.request(method, system.url("console", path), json=body, timeout=30, **options)


def ready(system):
    """Waits until the queue answers."""
    with Peer(system.ingress, system.egress, source="py_ready") as peer:
        eventually(lambda: peer.ask("req.htm.status", {})[0]["status"] == "success", what="the queue")


def enqueue(peer, task_type="t", **fields):
    """One task; fields as task.enqueue has them. Returns what the queue said."""
    trace = {"trace_id": fields.pop("trace_id")} if "trace_id" in fields else {}
    header, body = peer.ask("task.enqueue", {"task_type": task_type, **fields}, ack=False, **trace)
    assert header["status"] == "success", body
    return body


def task_of(peer, task_id):
    header, body = peer.ask("req.htm.task", {"task_id": task_id})
    assert header["status"] == "success", body
    return body


def status_of(peer):
    header, body = peer.ask("req.htm.status", {})
    assert header["status"] == "success", body
    return body


def becomes(peer, task_id, status, timeout=20):
    """Waits until the task is so, and returns it."""
    return eventually(lambda: (task := task_of(peer, task_id))["status"] == status and task, timeout,
                      what=f"{task_id} to be {status}")


def settled(peer, timeout=30):
    """Waits until the queue has applied the journal and said all that follows from it."""
    def is_so():
        head = peer.ask("$bus.stats", {})[1]["head"]
        header, health = peer.ask("req.htm.health", {})
        return header["status"] == "success" and health["outbox"] == 0 and health["lag"] == 0 and \
            peer.ask("$bus.stats", {})[1]["head"] == head
    eventually(is_so, timeout, what="the queue to settle")


def facts(peer, *prefixes, start=1):
    """The journal's records that begin so: topic, header, body."""
    return [tuple(record) for record in peer.fetch_all(list(prefixes), start)]


def words_of(peer, task_id, start=1):
    """What was said of one task, by topic, in order."""
    return [(topic, body) for topic, _, body in facts(peer, "task.", start=start) if body.get("task_id") == task_id]


class Hand:
    """A worker that does nothing by itself: the test takes its tasks and says what came of them."""

    def __init__(self, system, name, *handlers, slots=1, hello=True):
        self.peer = Peer(system.ingress, system.egress, source=f"worker_{name}")
        self.name, self.handlers, self.slots = name, handlers, slots
        self.instance = uuid.uuid4().hex if hello else None
        self.beating = None
        self.waiting = collections.deque()
        for handler in handlers:
            self.peer.subscribe(f"task.execute.{handler}")
        if hello:
            me = {"service": f"worker.{name}", "instance": self.instance, "inbox": self.peer.inbox, "version": "1"}
            assert self.peer.ask("$bus.hello", me)[0]["status"] == "success"
            self.halt = threading.Event()
            self.beating = threading.Thread(target=self._beat, args=(system.ingress, me), daemon=True)
            self.beating.start()
        self.ready()

    def _beat(self, ingress, me):
        """With a socket of its own, while the test is busy elsewhere."""
        with zmq.Context() as context, context.socket(zmq.PUSH) as push:
            push.linger = 500
            push.connect(ingress)
            while not self.halt.wait(0.5):
                push.send_multipart([b"$bus.beat", msgpack.packb({"id": str(uuid.uuid4()), "source": self.peer.source}),
                                     msgpack.packb(me)])

    def ready(self, **change):
        said = {"worker": self.name, "handlers": list(self.handlers), "slots": self.slots, **change}
        if self.instance:
            said["instance"] = self.instance
        return self.peer.publish("task.worker.ready", said)

    def take(self, timeout=10):
        """The next task that is handed to this worker."""
        end = time.monotonic() + timeout
        while not self.waiting:
            heard = self.peer.hear(end - time.monotonic())
            assert heard is not None, f"nothing was handed to {self.name}"
            topic, header, body = heard
            if topic.startswith("task.execute.") and body["worker"] == self.name:
                self.waiting.append({**body, "trace_id": header.get("trace_id")})
        return self.waiting.popleft()

    def takes_nothing(self, seconds=0.3):
        """For what must not come: nothing is handed to it for a while."""
        heard = self.peer.hear(seconds)
        while heard is not None and heard[2]["worker"] != self.name:
            heard = self.peer.hear(seconds)
        return heard is None and not self.waiting

    def _said(self, task):
        return {"task_id": task["task_id"], "attempt": task["attempt"], "worker": self.name}

    def complete(self, task, **result):
        return self.peer.publish("task.completed", {**self._said(task), "result": result})

    def fail(self, task, error="it broke", **more):
        return self.peer.publish("task.failed", {**self._said(task), "error": error, **more})

    def renew(self, task):
        return self.peer.publish("task.renew", self._said(task))

    def vanish(self):
        """As a process does that is killed: the broker misses its beats."""
        if self.beating:
            self.halt.set()
            self.beating.join()
            self.beating = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.beating:
            self.peer.send("$bus.bye", {"instance": self.instance})
            self.vanish()
        self.peer.close()


def example():
    """scripts/examples/worker.py as a module."""
    spec = importlib.util.spec_from_file_location("worker", ROOT_EXAMPLES / "worker.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- A fast worker ------------------------------------------------------------------------------

CHUNK_MAX = 500  # ends of tasks in one batch
RESEND_S = 1.0


class Fast(example().Worker):
    """Does each task at once, and tells the ends in batches; context.fail has so many attempts fail."""

    def __init__(self, name, handlers, slots, ingress, egress):
        super().__init__(name, dict.fromkeys(handlers), 0, ingress, egress)
        self.slots = slots
        self.ends = []
        self.over = {}  # task_id -> its end, once done: never done twice by this process

    def take(self, header, task):
        if task["worker"] != self.name:
            return
        said = {"task_id": task["task_id"], "attempt": task["attempt"], "worker": self.name}
        if task["attempt"] <= task["context"].get("fail", 0):
            self.ends.append(["task.failed", {**said, "error": "as asked"}])
        else:
            self.ends.append(["task.completed", {**said, "result": {"status": "success"}}])

    def tick(self, now):
        super().tick(now)
        while self.ends:
            chunk, self.ends = self.ends[:CHUNK_MAX], self.ends[CHUNK_MAX:]
            self.say("$bus.batch", [[topic, {"id": str(uuid.uuid4()), "source": self.source}, body]
                                    for topic, body in chunk])


class Crew:
    """Fast workers, each a process; they may be killed, and are started again under the same names."""

    def __init__(self, system, count, handlers, slots=64):
        self.system, self.handlers, self.slots = system, list(handlers), slots
        self.programs = {}
        for number in range(count):
            self.start(f"w{number}", wait=False)
        for program in self.programs.values():
            assert program.read_line(60).startswith("ready")

    def start(self, name, wait=True):
        argv = [PYTHON, __file__, name, str(self.slots), self.system.ingress, self.system.egress, *self.handlers]
        self.programs[name] = Program(argv, ready=wait, log=self.system.folder.parent / f"{name}.log")

    def kill(self, name):
        self.programs[name].kill()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for program in self.programs.values():
            program.kill()


class Load:
    """Puts many tasks into the queue, in batches, and keeps their names."""

    def __init__(self, peer, prefix="n"):
        self.peer, self.prefix, self.count = peer, prefix, 0
        self.names = []

    def put(self, tasks, chunk=500):
        """`tasks`: the fields of each. Until they are durable, whatever is killed meanwhile."""
        batch = []
        for fields in tasks:
            self.count += 1
            name = f"{self.prefix}{self.count}"
            self.names.append(name)
            batch.append(["task.enqueue", {"id": f"{self.prefix}-{self.count}", "source": self.peer.source},
                          {"task_id": name, "task_type": "t", **fields}])
            if len(batch) == chunk:
                self._send(batch)
                batch = []
        if batch:
            self._send(batch)

    def _send(self, batch):
        header, body = self.peer.ask("$bus.batch", batch, timeout=30)
        assert header["status"] == "success", body


def main():
    name, slots, ingress, egress, *handlers = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    Fast(name, handlers, int(slots), ingress, egress).run()


if __name__ == "__main__":
    main()

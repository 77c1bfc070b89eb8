#!/usr/bin/env python3
"""A worker for the task queue, in Python. Needs only pyzmq and msgpack.

    worker.py [NAME [HANDLER…]]      takes tasks for its handlers (words); then:
    bhiv htm enqueue count '{"text":"one two three"}' --handler words --wait

The queue (HTM) hears of it by task.worker.ready, and hands it task.execute.<handler>: at most SLOTS at once. It
answers each with task.completed or task.failed, until that is durable. While a task goes on its lease is renewed;
should this process die, the broker sees it go, and its tasks go to others at once. The same attempt handed out
twice is one job: one that is done is told again, not done again. Many workers may share a handler.

As a module: Worker(name, {handler: function}).run(). A function gets the task, {task_id, task_type, handler,
priority, context, attempt, …}, and returns what came of it; raises Failed(why) where it could not.
"""

import collections
import os
import queue
import signal
import sys
import threading
import time
import uuid

import msgpack
import zmq
import zmq.auth


def endpoint(variable, leaf, otherwise):
    """Where the bus is: as told, else the socket in BHIV_DIR where there is one, else local tcp."""
    path = os.path.join(os.environ.get("BHIV_DIR", ""), leaf)
    found = f"ipc://{path}" if "BHIV_DIR" in os.environ and os.path.exists(path) else otherwise
    return os.environ.get(variable, found)


def secure(socket, where):
    """Over tcp by the certificate that BHIV_CERT names (NAME.cert_secret, with broker.cert beside it), where it does."""
    cert = os.environ.get("BHIV_CERT", "")
    if cert and where.startswith("tcp://"):
        broker = os.path.join(os.path.dirname(cert), "broker.cert")
        try:
            socket.curve_publickey, socket.curve_secretkey = zmq.auth.load_certificate(cert)
            socket.curve_serverkey = zmq.auth.load_certificate(broker)[0]
        except (OSError, TypeError, ValueError) as error:
            sys.exit(f"BHIV_CERT names a file NAME.cert_secret, with broker.cert beside it: {error}")
    return socket


def whoami(otherwise):
    """Our certificate's name, which is then also our inbox's, or `otherwise`."""
    return os.path.basename(os.environ.get("BHIV_CERT", "")).split(".")[0] or otherwise


class Failed(Exception):
    """The task could not be done. `retry`: whether another attempt may do better."""

    def __init__(self, why, retry=True):
        super().__init__(why)
        self.retry = retry


class Worker:
    RESEND_S = 2.0  # without an ack: the same message again, which counts once
    TOLD_MAX = 1000  # tasks that are over, and remembered: far more than can be handed out anew

    def __init__(self, name, handlers, slots=4, ingress=None, egress=None):
        self.name, self.handlers, self.slots = whoami(name), dict(handlers), slots
        self.source = whoami(f"worker_{name}")
        self.instance = uuid.uuid4().hex
        self.inbox = f"_inbox.{self.source}.{self.instance}"
        self.listening = f"htm.listening.{self.name}.{self.instance}"
        self.context = zmq.Context()
        egress = egress or endpoint("BHIV_EGRESS", "bus.out", "tcp://127.0.0.1:5551")
        self.answers, self.topics = (self._connect(zmq.SUB, egress) for _ in range(2))
        self.push = self._connect(zmq.PUSH, ingress or endpoint("BHIV_INGRESS", "bus.in", "tcp://127.0.0.1:5550"))
        self.answers.subscribe(self.inbox.encode())
        self.unanswered = collections.OrderedDict()  # id -> (when it was sent, topic, header, body)
        self.open = {}  # task_id -> (its attempt, when to renew, how often)
        self.told = collections.OrderedDict()  # task_id -> (its attempt, and what was said of it)
        self.is_welcome = self.hears = self.is_ready = False
        self.stopping = threading.Event()  # set: it says goodbye, and `run` returns
        # Tasks are worked on by threads, and this one alone speaks with the bus: beats and renewals must go on.
        self.todo = queue.SimpleQueue()
        self.done = self.context.socket(zmq.PULL)
        self.done.bind("inproc://done")
        for _ in range(slots):
            threading.Thread(target=self._work, daemon=True).start()

    def _connect(self, kind, where):
        socket = self.context.socket(kind)
        socket.set_hwm(20000)
        secure(socket, where).connect(where)
        return socket

    # --- Saying ---

    def send(self, topic, body, **header):
        header = {"id": str(uuid.uuid4()), "source": self.source, **header}
        self.push.send_multipart([topic.encode(), msgpack.packb(header), msgpack.packb(body)])
        return header

    def say(self, topic, body, **header):
        """Until it is durable: the same again, by the same id, while nobody confirms it."""
        header = self.send(topic, body, ack=True, reply_to=self.inbox, **header)
        self.unanswered[header["id"]] = (time.monotonic(), topic, header, body)

    def introduce(self, topic, **header):
        me = {"service": f"worker.{self.name}", "instance": self.instance, "inbox": self.inbox, "version": "1",
              "pid": os.getpid()}
        self.send(topic, me, **header)

    def announce(self):
        """Only once it hears: what is handed to a worker that does not yet would wait for the end of its lease."""
        self.say("task.worker.ready", {"worker": self.name, "instance": self.instance,
                                       "handlers": sorted(self.handlers), "slots": self.slots})

    # --- Tasks ---

    def _work(self):
        wake = self.context.socket(zmq.PUSH)
        wake.connect("inproc://done")
        while (job := self.todo.get()) is not None:
            trace, task = job
            said = {"task_id": task["task_id"], "attempt": task["attempt"], "worker": self.name}
            try:
                topic, said["result"] = "task.completed", self.handlers[task["handler"]](task)
            except Exception as error:  # our own defect costs this task an attempt, and nothing else
                topic, said["error"] = "task.failed", f"{type(error).__name__}: {error}"[:1000]
                said["retry"] = getattr(error, "retry", True)
            wake.send(msgpack.packb([topic, said, trace]))
        wake.close()

    def take(self, header, task):
        if task["worker"] != self.name or task["handler"] not in self.handlers:
            return  # another's
        task_id, attempt = task["task_id"], task["attempt"]
        before, topic, said, trace = self.told.get(task_id, (0, "", None, None))
        if topic == "task.completed" or before == attempt:
            self.say(topic, said, **trace)  # done is done, whatever attempt this is
        elif self.open.get(task_id, (0,))[0] != attempt:
            every = task["lease_seconds"] / 3
            self.open[task_id] = (attempt, time.monotonic() + every, every)
            self.todo.put(({"trace_id": header["trace_id"]} if "trace_id" in header else {}, task))

    def finish(self, topic, said, trace):
        task_id, attempt = said["task_id"], said["attempt"]
        if self.open.get(task_id, (0,))[0] == attempt:
            del self.open[task_id]
        self.told[task_id] = (attempt, topic, said, trace)
        while len(self.told) > self.TOLD_MAX:
            self.told.popitem(last=False)
        self.say(topic, said, **trace)

    # --- Hearing ---

    def hear_answer(self, header, body):
        if header.get("re") == "welcome":  # the broker is there, or there anew
            self.is_welcome, self.hears = True, False
            self.introduce("$bus.hello", reply_to=self.inbox)
            for topic in [self.listening, "task.worker.gone", *(f"task.execute.{each}" for each in self.handlers)]:
                self.topics.subscribe(topic.encode())
            for ident, (_, *message) in self.unanswered.items():
                self.unanswered[ident] = (0, *message)
        elif header.get("ack") or header.get("status") == "error":
            _, topic, *_ = self.unanswered.pop(header.get("re"), (0, ""))
            if header["status"] == "error":
                print(f"{topic} was refused: {body}", file=sys.stderr)
            elif topic == "task.worker.ready" and not self.is_ready:
                self.is_ready = True
                print(f"ready worker.{self.name}", flush=True)

    def hear_topic(self, topic, header, body):
        if topic == self.listening and not self.hears:
            self.hears = True
            self.announce()
        elif topic == "task.worker.gone" and body.get("instance") == self.instance and self.hears:
            self.announce()  # somebody was hasty: we are here
        elif topic.startswith("task.execute.") and header.get("source") == "htm":
            self.take(header, body)

    def tick(self, now):
        """A few times a second: what is due."""
        if self.is_welcome and not self.hears:
            self.send(self.listening, None)
        if self.is_welcome and now >= self.beat:
            self.beat = now + 1
            self.introduce("$bus.beat")
        for task_id, (attempt, when, every) in list(self.open.items()):
            if now >= when:
                self.open[task_id] = (attempt, now + every, every)
                self.say("task.renew", {"task_id": task_id, "attempt": attempt, "worker": self.name})
        for ident, (when, topic, header, body) in list(self.unanswered.items()):
            if self.is_welcome and now >= when + self.RESEND_S:
                self.unanswered[ident] = (now, topic, header, body)
                self.send(topic, body, **header)

    def run(self):
        """Until Ctrl-C or SIGTERM. Then what it has in hand goes to others."""
        self.beat = 0.0
        poller = zmq.Poller()
        for socket in (self.answers, self.topics, self.done):
            poller.register(socket, zmq.POLLIN)
        while not self.stopping.is_set():
            woken = dict(poller.poll(50))
            while self.done in woken and self.done.poll(0):
                self.finish(*msgpack.unpackb(self.done.recv()))
            while self.answers in woken and self.answers.poll(0):
                _, header, body = self.answers.recv_multipart()
                self.hear_answer(msgpack.unpackb(header), msgpack.unpackb(body))
            while self.topics in woken and self.topics.poll(0):
                topic, header, body = self.topics.recv_multipart()
                self.hear_topic(topic.decode(), msgpack.unpackb(header), msgpack.unpackb(body))
            self.tick(time.monotonic())
        for _ in range(self.slots):
            self.todo.put(None)
        self.send("task.worker.gone", {"worker": self.name, "instance": self.instance, "reason": "it was stopped"})
        self.send("$bus.bye", {"instance": self.instance})
        self.context.destroy(linger=500)


def count_words(task):
    """The work itself: what it makes of a task. Put yours here."""
    text = task["context"].get("text")
    if not isinstance(text, str):
        raise Failed("the context has no text", retry=False)
    return {"status": "success", "words": len(text.split()), "attempt": task["attempt"]}


if __name__ == "__main__":
    words = sys.argv[1:] or ["counter"]
    worker = Worker(words[0], {handler: count_words for handler in words[1:] or ["words"]})
    # A flag, because an exception that a signal raises can be lost, in a finalizer say.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stopping.set())
    worker.run()

#!/usr/bin/env python3
"""An agent for Core, in Python. Needs only pyzmq and msgpack.

    agent.py [NAME]                  answers req.agent.NAME (reverser); then, through Core:
    curl -d '{"agent":"reverser","input":"one two three"}' http://127.0.0.1:8002/handle_task

Core finds it because it says hello as agent.NAME, and asks it with {task_id, input, input_type, tags, …, context?}.
An answer has a `result` and a `status` (200: it went well), and may have `keywords` or `sources`, which count for
the reward that Core's selector learns from, and `requires_workflow` with `workflow_payload`, where something is
to be done in the world. Many may run under one name: each task goes to one of them.
"""

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


INGRESS = endpoint("BHIV_INGRESS", "bus.in", "tcp://127.0.0.1:5550")
EGRESS = endpoint("BHIV_EGRESS", "bus.out", "tcp://127.0.0.1:5551")

name = sys.argv[1] if len(sys.argv) > 1 else "reverser"
instance = uuid.uuid4().hex
source = whoami(f"agent_{name}")
inbox = f"_inbox.{source}.{instance}"
# Ended by SIGTERM or Ctrl-C it says bye, and Core knows at once that it has gone. A flag, because an exception
# that a signal raises can be lost, in a finalizer say.
stopping = threading.Event()
for number in (signal.SIGTERM, signal.SIGINT):
    signal.signal(number, lambda *_: stopping.set())


def work(task):
    """The agent itself: what it makes of a task. Put yours here."""
    words = task["input"].split()
    answer = {"result": " ".join(reversed(words)), "keywords": sorted(set(words))[:3], "status": 200}
    if "task" in task.get("tags", []):  # a wish for something to be done: Core asks the Workflow Executor
        answer.update(requires_workflow=True, workflow_action_type="task",
                      workflow_payload={"title": task["input"], "description": f"asked for by task {task['task_id']}"})
    return answer


context = zmq.Context()
answers = context.socket(zmq.SUB)
secure(answers, EGRESS).connect(EGRESS)
answers.subscribe(inbox.encode())
push = context.socket(zmq.PUSH)
secure(push, INGRESS).connect(INGRESS)


def send(topic, body, **header):
    push.send_multipart([topic.encode(), msgpack.packb({"source": source, **header}), msgpack.packb(body)])


def say(topic):
    me = {"service": f"agent.{name}", "instance": instance, "inbox": inbox, "version": "1", "pid": os.getpid()}
    asks = {"reply_to": inbox} if topic == "$bus.hello" else {}
    send(topic, me, id=str(uuid.uuid4()), **asks)


# Beats must go on while a task is worked on, or the broker takes us for dead after three seconds: so a thread
# works, and this one alone speaks with the bus. A socket between the two wakes it.
todo = queue.SimpleQueue()
done = context.socket(zmq.PULL)
done.bind("inproc://done")


def worker():
    wake = context.socket(zmq.PUSH)
    wake.connect("inproc://done")
    while (job := todo.get()) is not None:
        header, task = job
        try:
            answer = work(task)
        except Exception as error:  # our own defect costs this task an error, and nothing else
            answer = {"error": f"{type(error).__name__}: {error}", "status": 500}
        wake.send(msgpack.packb([header, answer]))
    wake.close()


thread = threading.Thread(target=worker, daemon=True)
thread.start()
poller = zmq.Poller()
poller.register(answers, zmq.POLLIN)
poller.register(done, zmq.POLLIN)
ready = False
beat = 0.0
while not stopping.is_set():
    if ready and time.monotonic() - beat >= 1:
        say("$bus.beat")
        beat = time.monotonic()
    woken = dict(poller.poll(500))
    if done in woken:
        header, answer = msgpack.unpackb(done.recv())
        trace = {"trace_id": header["trace_id"]} if "trace_id" in header else {}
        send(header["reply_to"], answer, re=header["id"], status="success", **trace)
    if answers not in woken:
        continue
    _, header, body = answers.recv_multipart()
    header, body = msgpack.unpackb(header), msgpack.unpackb(body)
    if header.get("re") == "welcome":  # the broker is there, or there anew
        say("$bus.hello")
    elif "topic" in header and "reply_to" in header:
        todo.put((header, body))
    elif header.get("status") == "error":  # to the hello
        print(f"agent.{name} was refused: {body}", file=sys.stderr, flush=True)
    elif not ready:
        ready = True  # the hello's answer
        print(f"ready agent.{name}", flush=True)
todo.put(None)
send("$bus.bye", {"instance": instance}, id=str(uuid.uuid4()))
context.destroy(linger=500)

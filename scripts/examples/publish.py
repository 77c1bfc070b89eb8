#!/usr/bin/env python3
"""Publishes one event and waits until it is durable. Needs only pyzmq and msgpack.

    publish.py [TOPIC [JSON]]        BHIV_DIR, or BHIV_INGRESS and BHIV_EGRESS, name another bus

An ack means that the event is in the journal: whatever dies next, it will be stored and applied.
The pseq makes a repeated send harmless: the broker answers it as a duplicate.
"""

import json
import os
import sys
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

topic = sys.argv[1] if len(sys.argv) > 1 else "core.event.agent_result"
event = (
    json.loads(sys.argv[2])
    if len(sys.argv) > 2
    else {
        "requester_id": "bhiv_core",
        "event_type": "agent_result",
        "agent_id": "edumentor_agent",
        "user_id": "example_user",
        "result": {"status": 200},
    }
)

context = zmq.Context()
push = context.socket(zmq.PUSH)
secure(push, INGRESS).connect(INGRESS)
answers = context.socket(zmq.SUB)
secure(answers, EGRESS).connect(EGRESS)
me = whoami("example")
inbox = f"_inbox.{me}.{uuid.uuid4().hex}"
answers.subscribe(inbox.encode())


def answer(re):
    while answers.poll(5000):
        _, header, body = answers.recv_multipart()
        header = msgpack.unpackb(header)
        if header.get("re") == re:
            return header, msgpack.unpackb(body)
    sys.exit(f"publish.py: nobody answers at {EGRESS}")


answer("welcome")  # from here on no answer is lost
ident = str(uuid.uuid4())
header = {
    "id": ident,
    "source": me,
    "reply_to": inbox,
    "ack": True,
    "pstream": uuid.uuid4().hex,
    "pseq": 1,
}
push.send_multipart([topic.encode(), msgpack.packb(header), msgpack.packb(event)])
head, body = answer(ident)
print(json.dumps({"id": ident, **body}))
context.destroy(linger=500)
sys.exit(0 if head["status"] == "success" else 1)

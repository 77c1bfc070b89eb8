#!/usr/bin/env python3
"""A service: answers requests for req.<name>.*, in any number of instances. Needs only pyzmq and msgpack.

    service.py [NAME]                then:  bhiv req req.NAME.upper '{"text":"hello"}'

It says hello (and a beat each second), gets each request on its inbox, with the asked topic in the header,
and sends the answer to the asker's reply_to.
"""

import os
import sys
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

name = sys.argv[1] if len(sys.argv) > 1 else "agent.translator"
started = time.monotonic()
context = zmq.Context()
push = context.socket(zmq.PUSH)
secure(push, INGRESS).connect(INGRESS)
heard = context.socket(zmq.SUB)
secure(heard, EGRESS).connect(EGRESS)
instance = uuid.uuid4().hex
source = whoami("service_py")
inbox = f"_inbox.{source}.{instance}"
heard.subscribe(inbox.encode())
me = {"service": name, "instance": instance, "inbox": inbox, "version": "1", "pid": os.getpid()}


def say(topic, header, body):
    header = {"id": str(uuid.uuid4()), "source": source, **header}
    push.send_multipart([topic.encode(), msgpack.packb(header), msgpack.packb(body)])


ready = False
told = False
beat = 0.0
try:
    while True:
        if ready and time.monotonic() - beat >= 1:
            say("$bus.beat", {}, me)
            beat = time.monotonic()
        if not heard.poll(200):
            if not (ready or told) and time.monotonic() - started >= 1:
                print(f"service.py: waiting for the broker at {EGRESS}", file=sys.stderr)
                told = True
            continue
        _, header, body = heard.recv_multipart()
        header, body = msgpack.unpackb(header), msgpack.unpackb(body)
        if header.get("re") == "welcome":
            me["boot_ms"] = (time.monotonic() - started) * 1000
            say("$bus.hello", {"reply_to": inbox}, me)
        elif "topic" in header and "reply_to" in header:
            answer = {"re": header["id"], "status": "success"}
            if "trace_id" in header:
                answer["trace_id"] = header["trace_id"]
            say(header["reply_to"], answer, {"text": str(body.get("text", "")).upper(), "by": instance})
        elif header.get("status") == "error":  # to the hello
            print(f"{name} was refused: {body}", file=sys.stderr, flush=True)
            told = True
        elif not ready:
            ready = True  # the hello's answer
            print(f"ready {name}", flush=True)
except KeyboardInterrupt:
    say("$bus.bye", {}, {"instance": instance})
    context.destroy(linger=500)

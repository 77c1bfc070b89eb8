#!/usr/bin/env python3
"""A consumer that loses nothing and does nothing twice. Needs only pyzmq and msgpack.

    fetch.py CURSOR_FILE [PREFIX…]   goes on where it stopped, then waits for more; --once stops at the head

It reads the journal from its cursor. Here an effect is a printed line; a real consumer keeps the cursor in
the same transaction as its effects, and then has exactly-once processing, whatever is killed.
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

words = [word for word in sys.argv[1:] if word != "--once"]
once = "--once" in sys.argv
if not words:
    sys.exit(__doc__)
cursor_file, filters = words[0], words[1:]
cursor = {"from": 1, "epoch": None}
if os.path.exists(cursor_file):
    with open(cursor_file, encoding="utf-8") as file:
        cursor = json.load(file)

context = zmq.Context()
push = context.socket(zmq.PUSH)
secure(push, INGRESS).connect(INGRESS)
answers = context.socket(zmq.SUB)
secure(answers, EGRESS).connect(EGRESS)
me = whoami("fetch_py")
inbox = f"_inbox.{me}.{uuid.uuid4().hex}"
answers.subscribe(inbox.encode())


def next_answer(ident):
    """The answer to `ident`, or a welcome (the broker is new: ask again), or None after 8 s."""
    while answers.poll(8000):
        _, header, body = answers.recv_multipart()
        header = msgpack.unpackb(header)
        if header.get("re") in (ident, "welcome"):
            return header, msgpack.unpackb(body)
    return None


while next_answer("welcome") is None:
    print(f"fetch.py: waiting for the broker at {EGRESS}", file=sys.stderr)
try:
    while True:
        ident = str(uuid.uuid4())
        header = {"id": ident, "source": me, "reply_to": inbox}
        ask = {"consumer": me, "filters": filters, "from": cursor["from"], "max": 500,
               "wait_ms": 0 if once else 5000}
        push.send_multipart([b"$bus.fetch", msgpack.packb(header), msgpack.packb(ask)])
        got = next_answer(ident)
        if got is None or got[0]["re"] != ident:
            continue
        head, page = got
        if head["status"] != "success":
            sys.exit(f"fetch.py: {page['error_code']}: {page['message']} (the cursor is in {cursor_file})")
        if cursor["epoch"] not in (None, page["epoch"]):
            sys.exit(f"fetch.py: this is another journal than the one that the cursor in {cursor_file} belongs to")
        for topic, record, body in page["records"]:
            print(json.dumps({"seq": record["seq"], "topic": topic, "body": body}), flush=True)
        cursor = {"from": page["next"], "epoch": page["epoch"]}
        with open(cursor_file + ".new", "w", encoding="utf-8") as file:
            json.dump(cursor, file)
        os.replace(cursor_file + ".new", cursor_file)
        if once and page["next"] > page["head"]:
            break
except KeyboardInterrupt:
    pass
context.destroy(linger=0)

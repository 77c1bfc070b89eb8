#!/usr/bin/env python3
"""Keeps an artifact and reads it back, over the bus. Needs only pyzmq and msgpack.

    artifact.py [PRODUCT [ARTIFACT_ID]]     prints both replies: a write_confirmation, a read_response

A command's reply comes when Bucket applied and audited it. Lost one? Send the same message again, with the same id:
it is done once, and answered with the first reply. A refusal is a reply too: error_message, with its audit_id.
"""

import hashlib
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

product = sys.argv[1] if len(sys.argv) > 1 else "gurukul"
artifact_id = sys.argv[2] if len(sys.argv) > 2 else f"example-{uuid.uuid4().hex}"

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
            return msgpack.unpackb(body)
    sys.exit(f"artifact.py: nobody answers at {EGRESS}")


def ask(channel, body):
    ident = str(uuid.uuid4())
    header = {"id": ident, "source": me, "reply_to": inbox}
    push.send_multipart([f"bucket.{channel}".encode(), msgpack.packb(header), msgpack.packb(body)])
    reply = answer(ident)
    print(json.dumps(reply))
    return reply


answer("welcome")  # from here on no answer is lost
content = {"title": "Fractions", "pages": [1, 2]}
kept = ask("artifact_write", {"artifact_id": artifact_id, "content": content,
                              "metadata": {"product": product, "created_by": "example", "tags": ["maths"]}})
read = ask("artifact_read", {"artifact_id": artifact_id, "product": product, "requester_id": "example"})
context.destroy(linger=500)
# The checksum is that of the bytes that were sent: nobody has to be believed.
same = kept.get("checksum") == "sha256:" + hashlib.sha256(msgpack.packb(content)).hexdigest()
sys.exit(0 if same and read.get("content") == content else 1)

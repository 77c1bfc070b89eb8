#!/usr/bin/env python3
"""Prints live messages as JSON lines. Needs only pyzmq and msgpack.

    subscribe.py [PREFIX…]           a ZeroMQ prefix, e.g. core.event.   (all topics where none is given)

Live means: what this process is too slow for is gone. `prev` in a journaled message's header names the
journaled message before it with the same first token; where it is not the one seen last, something was
missed, and fetch.py gets it.
"""

import json
import os
import sys

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


EGRESS = endpoint("BHIV_EGRESS", "bus.out", "tcp://127.0.0.1:5551")

sub = zmq.Context().socket(zmq.SUB)
secure(sub, EGRESS).connect(EGRESS)
for prefix in sys.argv[1:] or [""]:
    sub.subscribe(prefix.encode())
last = {}
try:
    while True:
        topic, header, body = sub.recv_multipart()
        topic, header = topic.decode(), msgpack.unpackb(header)
        family = topic.split(".")[0]
        if family in last and "prev" in header and header["prev"] > last[family]:
            print(f"subscribe.py: missed something after seq {last[family]}", file=sys.stderr)
        if "seq" in header:
            last[family] = header["seq"]
        print(json.dumps({"topic": topic, "header": header, "body": msgpack.unpackb(body)}), flush=True)
except KeyboardInterrupt:
    pass

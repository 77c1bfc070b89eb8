"""A peer of the bus, written only from docs/protocol.md: pyzmq and msgpack, nothing of this project."""

import time
import uuid
from collections import deque

import msgpack
import zmq


def pack(value):
    return msgpack.packb(value, use_bin_type=True)


def unpack(data):
    return msgpack.unpackb(data, raw=False, strict_map_key=False)


class Peer:
    def __init__(self, ingress, egress, source="py_test", welcome=True, timeout=10):
        self.context = zmq.Context()
        self.source = source
        self.ingress, self.egress = ingress, egress
        self.inbox = f"_inbox.{source}.{uuid.uuid4().hex}"
        self.push = self._socket(zmq.PUSH, ingress)
        self.inbox_sub = self._socket(zmq.SUB, egress)
        self.inbox_sub.subscribe(self.inbox.encode())
        self.topic_sub = None
        self.stream = uuid.uuid4().hex
        self.pseq = 0
        self.heard = deque()  # answers not yet asked for
        self.welcome = None
        self.welcomes = 0
        if welcome:
            self.wait_welcome(timeout)

    def _socket(self, kind, endpoint):
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.LINGER, 500)
        socket.setsockopt(zmq.SNDTIMEO, 60000)  # a broker that reads no more fails the test
        socket.setsockopt(zmq.SNDHWM, 20000)
        socket.setsockopt(zmq.RCVHWM, 20000)
        socket.setsockopt(zmq.RECONNECT_IVL, 20)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, 200)
        socket.connect(endpoint)
        return socket

    def close(self, linger=500):
        self.context.destroy(linger=linger)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    def wait_welcome(self, timeout=10):
        before = self.welcomes
        end = time.monotonic() + timeout
        while self.welcomes == before:
            left = end - time.monotonic()
            assert left > 0, "no welcome"
            self._read(left)
        return self.welcome

    def _read(self, timeout):
        """Takes one message from the inbox, or none in time."""
        if not self.inbox_sub.poll(max(0, int(timeout * 1000))):
            return None
        _, header, body = self.inbox_sub.recv_multipart()
        header, body = unpack(header), unpack(body)
        if header.get("re") == "welcome":
            self.welcome = body
            self.welcomes += 1
            return None
        self.heard.append((header, body))
        return header, body

    def send(self, topic, body=None, **header):
        """One message; header keys as keywords. Returns its id."""
        header.setdefault("id", str(uuid.uuid4()))
        header.setdefault("source", self.source)
        self.push.send_multipart(
            [topic.encode() if isinstance(topic, str) else topic, pack(header), pack(body)]
        )
        return header["id"]

    def send_raw(self, *frames):
        self.push.send_multipart(list(frames))

    def answer(self, ident, timeout=10, ack=None):
        """The answer to `ident`: its header and body. `ack`: only an ack, or only a reply."""
        end = time.monotonic() + timeout
        while True:
            for i, (header, body) in enumerate(self.heard):
                if header.get("re") == ident and (ack is None or bool(header.get("ack")) == ack):
                    del self.heard[i]
                    return header, body
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no answer to {ident}")
            self._read(left)

    def ask(self, topic, body=None, timeout=10, ack=None, **header):
        """Sends with reply_to and waits for the answer."""
        ident = self.send(topic, body, reply_to=self.inbox, **header)
        return self.answer(ident, timeout, ack)

    def publish(self, topic, body, timeout=10, **header):
        """Publishes with the next pseq and waits until it is durable. Returns the ack's body."""
        self.pseq += 1
        header = {"ack": True, "pseq": self.pseq, "pstream": self.stream, **header}
        ident = self.send(topic, body, reply_to=self.inbox, **header)
        got, ack = self.answer(ident, timeout, ack=True)
        assert got["status"] == "success", ack
        return ack

    def fetch(self, consumer="py", filters=(), start=0, timeout=10, **more):
        header, body = self.ask(
            "$bus.fetch", {"consumer": consumer, "filters": list(filters), "from": start, **more},
            timeout,
        )
        assert header["status"] == "success", body
        return body

    def fetch_all(self, filters=(), start=1, consumer=None):
        """Every record that matches, to the head, one after the other."""
        consumer = consumer or "all-" + uuid.uuid4().hex[:8]
        while True:
            page = self.fetch(consumer, filters, start, max=2000)
            yield from page["records"]
            start = page["next"]
            if start > page["head"]:
                return

    def subscribe(self, prefix, settle=True):
        """Subscribes to a prefix. `settle`: waits until the broker is known to have it."""
        if self.topic_sub is None:
            self.topic_sub = self._socket(zmq.SUB, self.egress)
        self.topic_sub.subscribe(prefix.encode())
        if settle:
            # The broker takes subscriptions in order: a probe on the same socket comes after it.
            probe = f"probe.{uuid.uuid4().hex}"
            self.topic_sub.subscribe(probe.encode())
            end = time.monotonic() + 10
            early = []
            while True:
                assert time.monotonic() < end, "the subscription did not take effect"
                self.send(probe, None)
                if self.topic_sub.poll(20):
                    frames = self.topic_sub.recv_multipart()
                    if frames[0] == probe.encode():
                        break
                    early.append(frames)
            self.topic_sub.unsubscribe(probe.encode())
            self.early = deque(early)

    def hear(self, timeout=10, probes=False):
        """The next message on the topics: topic, header, body; None in time."""
        end = time.monotonic() + timeout
        while True:
            if getattr(self, "early", None):
                frames = self.early.popleft()
            else:
                left = end - time.monotonic()
                if left <= 0 or not self.topic_sub.poll(int(left * 1000)):
                    return None
                frames = self.topic_sub.recv_multipart()
            if not probes and frames[0].startswith(b"probe."):
                continue
            return frames[0].decode(), unpack(frames[1]), unpack(frames[2])

"""Artifacts over the bus, and an independent model of what Bucket must answer about them."""

import hashlib
from collections import deque
from datetime import datetime, timezone

from .owner import sign
from .peer import pack

PRODUCTS = ("ai_assistant", "ai_avatar", "gurukul", "enforcement")
NOT_FOUND = "Artifact does not exist or access denied"


def command(peer, topic, body, timeout=20, **header):
    """A journaled command: sends it, and returns its reply's header and body."""
    return peer.answer(send(peer, topic, body, **header), timeout, ack=False)


def send(peer, topic, body, **header):
    peer.pseq += 1
    header = {"pseq": peer.pseq, "pstream": peer.stream, **header}
    return peer.send(topic, body, reply_to=peer.inbox, **header)


def all_of(peer, commands, window=200, timeout=30):
    """Sends (topic, body) after (topic, body), `window` at a time; yields each answer's body."""
    waiting = deque()
    for topic, body in commands:
        waiting.append(send(peer, topic, body))
        if len(waiting) == window:
            yield peer.answer(waiting.popleft(), timeout, ack=False)[1]
    while waiting:
        yield peer.answer(waiting.popleft(), timeout, ack=False)[1]


def write_body(product, artifact_id, content=None, **metadata):
    return {"channel": "artifact_write", "artifact_id": artifact_id, "content": content or {},
            "metadata": {"product": product, "created_by": "tester", **metadata}}


def write(peer, product, artifact_id, content=None, **metadata):
    return command(peer, "bucket.artifact_write", write_body(product, artifact_id, content, **metadata))[1]


def read(peer, product, artifact_id):
    return command(peer, "bucket.artifact_read", {"product": product, "artifact_id": artifact_id})[1]


def query(peer, product, **filters):
    return command(peer, "bucket.metadata_query", {"product": product, "filters": filters})[1]


def owner(peer, token, topic, body, signed_at=None):
    return command(peer, topic, sign(token, topic, body, signed_at))[1]


def every(peer, product, **filters):
    """All artifacts of a product that match, page by page."""
    cursor = {}
    while True:
        page = query(peer, product, limit=1000, **filters, **cursor)
        assert page["status"] == "success", page
        yield from page["artifacts"]
        if page["next_cursor"] is None:
            return
        cursor = {"cursor": page["next_cursor"]}


def quota(peer, product):
    header, answer = peer.ask("req.bucket.quota", {"product": product})
    assert header["status"] == "success", answer
    return answer


def checksum(content):
    """What Bucket says of a content: SHA-256 of its msgpack, in the smallest encodings."""
    return "sha256:" + hashlib.sha256(pack(content)).hexdigest()


def size(content, metadata):
    """What an artifact takes of its product's quota."""
    return len(pack(content)) + len(pack(metadata))


def time_of(text):
    """An answer's time, in microseconds."""
    whole = datetime.fromisoformat(text.replace("Z", "+00:00"))
    since = whole - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return (since.days * 86400 + since.seconds) * 1_000_000 + since.microseconds


class Model:
    """What was written, by product; what a read and a query must say."""

    def __init__(self):
        self.kept = {product: {} for product in PRODUCTS}  # id -> content, metadata, created_at

    def written(self, body, answer):
        product, ident = body["metadata"]["product"], body["artifact_id"]
        if ident in self.kept[product]:
            assert answer["error_code"] == "DUPLICATE_ARTIFACT_ID", answer
            return
        assert answer["status"] == "success", answer
        assert answer["checksum"] == checksum(body["content"])
        self.kept[product][ident] = (body["content"], body["metadata"], answer["stored_at"])

    def was_read(self, product, ident, answer):
        if ident not in self.kept[product]:
            assert answer["error_code"] == "ARTIFACT_NOT_FOUND", answer
            assert answer["message"] == NOT_FOUND
            return
        content, metadata, created_at = self.kept[product][ident]
        assert pack(answer["content"]) == pack(content)
        assert pack(answer["metadata"]) == pack(metadata)
        assert answer["created_at"] == created_at

    def matching(self, product, tags=(), created_after=None, created_before=None, **_):
        """The ids that match, in the order of their writing."""
        after = time_of(created_after) if created_after else -1
        before = time_of(created_before) if created_before else 2**63
        return [ident for ident, (_, metadata, at) in self.kept[product].items()
                if set(tags) <= set(metadata.get("tags", ())) and after < time_of(at) < before]

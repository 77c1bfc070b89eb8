"""Bucket's doors, for the contract tests: the same request through each of them, the same answer.

A door takes a channel and a body and gives (error_code or None, answer). HTTP's own fields (`error`,
`detail`, `trace_id`) and the bus's own (`channel`) are left in: who wants to compare takes `common`.
"""

import json
import time
import uuid

import requests
from support.peer import Peer
from support.system import eventually

PRODUCTS = ("ai_assistant", "ai_avatar", "gurukul", "enforcement")
CHANNELS = ("artifact_write", "artifact_read", "metadata_query", "audit_append")
PATHS = {
    "artifact_write": ("POST", "/bucket/artifact/write"),
    "artifact_read": ("GET", "/bucket/artifact/read"),
    "metadata_query": ("POST", "/bucket/artifact/query"),
    "audit_append": ("POST", "/bucket/audit/append"),
}
ACTIONS = {
    "artifact_write": "write_artifact",
    "artifact_read": "read_artifact",
    "metadata_query": "query_metadata",
    "audit_append": "append_audit",
}
OUTPUTS = {
    "artifact_write": "write_confirmation",
    "artifact_read": "read_response",
    "metadata_query": "query_results",
    "audit_append": "audit_log",
}
STATUS = {  # of every error that Bucket's doors may answer
    "DUPLICATE_ARTIFACT_ID": 409,
    "ARTIFACT_NOT_FOUND": 404,
    "UNAUTHORIZED_ACCESS": 403,
    "QUOTA_EXCEEDED": 507,
    "RATE_LIMIT_EXCEEDED": 429,
    "VALIDATION_FAILED": 422,
    "GOVERNANCE_VIOLATION": 403,
    "IMMUTABLE_ARTIFACT": 403,
    "UNAUTHORIZED_DELETION": 403,
    "SCHEMA_LOCKED": 403,
    "VALIDATION_REQUIRED": 403,
    "NO_PRIORITY_BYPASS": 403,
}
DOORS = ("http", "alias", "request", "action", "bus", "bus_request")


def name(kind="a"):
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def artifact(artifact_id=None, product="gurukul", **metadata):
    return {
        "artifact_id": artifact_id or name(),
        "content": {"text": "hello"},
        "metadata": {"product": product, "created_by": "bhiv_core", **metadata},
    }


def good(channel, product="gurukul"):
    """A request of the channel that is well-formed (a read's artifact may not be there)."""
    return {
        "artifact_write": artifact(product=product),
        "artifact_read": {"artifact_id": name(), "product": product},
        "metadata_query": {"product": product, "filters": {"limit": 1}},
        "audit_append": {"event_type": "read", "product": product, "details": {"why": "test"}},
    }[channel]


class Bucket:
    """One system's Bucket, by all its doors. A context, for the peer's sake."""

    def __init__(self, system):
        self.system = system
        self._peer = None

    def __enter__(self):
        self.ready()
        return self

    def __exit__(self, *exc):
        if self._peer is not None:
            self._peer.close()

    def ready(self):
        eventually(lambda: self.call("GET", "/readyz").status_code == 200, what="Bucket is ready")
        return self

    @property
    def peer(self):
        if self._peer is None:
            self._peer = Peer(self.system.ingress, self.system.egress)
        return self._peer

    def call(self, method, path, body=None, port="bucket", **options):
        return requests.request(method, self.system.url(port, path), json=body, timeout=10, **options)

    def get(self, path, **options):
        answer = self.call("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def as_owner(self, method, path, body, **headers):
        headers = {"Authorization": f"Bearer {self.system.owner_token}", **headers}
        return self.call(method, path, body, headers=headers)

    # --- The doors ---

    def by_http(self, channel, body, prefix="", **options):
        method, path = PATHS[channel]
        if method == "GET":
            return self.call(method, prefix + path, params=body, **options)
        return self.call(method, prefix + path, body, **options)

    def by_bus(self, topic, body, **header):
        header, answer = self.peer.ask(topic, body, ack=False, **header)
        assert (header["status"] == "error") == (answer["status"] == "error"), (header, answer)
        return answer

    def through(self, door, channel, body):
        """(error_code or None, answer) of the request through that door."""
        if door in ("bus", "bus_request"):
            topic = f"bucket.{channel}" if door == "bus" else "bucket.request"
            answer = self.by_bus(topic, body if door == "bus" else {"channel": channel, **body})
            output = OUTPUTS[channel] if answer["status"] == "success" else "error_message"
            assert answer["channel"] == output, answer
        else:
            if door in ("request", "action"):
                named = {"channel": channel} if door == "request" else {"action": ACTIONS[channel]}
                response = self.call("POST", "/bucket/request", {**named, **body})
            else:
                response = self.by_http(channel, body, "/v1" if door == "alias" else "")
            answer = response.json()
            code = answer.get("error_code")
            assert response.status_code == (STATUS[code] if code else 200), response.text
            assert "channel" not in answer
            if code:
                assert answer["error"] == code and answer["detail"] == answer["message"]
                assert answer["trace_id"] == response.headers["X-Trace-Id"]
        code = answer.get("error_code")
        assert answer["status"] == ("error" if code else "success"), answer
        return code, answer

    def put(self, body=None, **metadata):
        """Keeps an artifact, and returns its id."""
        body = body or artifact(**metadata)
        code, answer = self.through("http", "artifact_write", body)
        assert code is None, answer
        return body["artifact_id"]

    # --- The audit log ---

    def entry(self, audit_id):
        found = self.get(f"/bucket/audit/entry/{audit_id}")
        assert found["audit_id"] == audit_id
        return found["entry"]

    def receipt(self, audit_id):
        answer = self.call("GET", f"/bucket/audit/receipt/{audit_id}")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Content-Type"].startswith("text/plain")
        answer.encoding = "utf-8"
        return answer.text

    @property
    def vkey(self):
        return self.peer.ask("req.bucket.audit_checkpoint", {})[1]["vkey"]

    def head(self):
        return self.peer.ask("$bus.stats", {})[1]["head"]

    def journaled(self, prefix, start=1):
        """Everything of a topic that is in the journal."""
        return [record for record in self.peer.fetch_all([prefix], start) if record[0] == prefix]


def common(answer):
    """The answer without what belongs to one door, one place in the journal, or one moment."""
    own = ("error", "detail", "trace_id", "channel", "audit_id", "timestamp", "stored_at", "logged_at",
           "retention_until", "accessed_at", "query_time_ms", "leaf_index", "entry_hash", "escalation")
    return {key: value for key, value in answer.items() if key not in own}


def raw_json(response):
    """The body with its numbers as they were written and its pairs in their order."""
    return json.loads(response.text, parse_float=lambda text: f"f{text}", parse_int=lambda text: f"i{text}",
                      object_pairs_hook=list)


def took(call):
    """Seconds that a call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start

"""Calls to the Workflow Executor, and what they leave behind, for its tests."""

import uuid

import requests
from support.system import eventually


def body_of(action, trace=None, **payload):
    return {"trace_id": trace or "t-" + uuid.uuid4().hex, "decision": "workflow",
            "data": {"workflow_type": "workflow", "payload": {"action_type": action, **payload}}}


def post(system, body, **options):
    return requests.post(system.url("workflow", "/api/workflow/execute"), json=body, timeout=30, **options)


def get(system, path, **params):
    return requests.get(system.url("workflow", path), params=params, timeout=10)


def run(system, action, trace=None, **payload):
    """Executes, and returns the answer's body."""
    answer = post(system, body_of(action, trace, **payload))
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert set(said) == {"trace_id", "status", "execution_result"}, said
    result = said["execution_result"]
    assert result["success"] == (said["status"] == "success") and result["trace_id"] == said["trace_id"]
    assert result["timestamp"].endswith("Z")
    return said


def result(system, action, trace=None, **payload):
    return run(system, action, trace, **payload)["execution_result"]


def events_of(system, trace):
    answer = requests.get(system.url("bucket", "/core/events"),
                          params={"trace_id": trace, "event_type": "workflow_execution"}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["events"]


def event_of(system, trace):
    """The one event in Bucket, once it is there."""
    events = eventually(lambda: events_of(system, trace), what=f"the event of {trace}")
    assert len(events) == 1, events
    return events[0]


def settled(system):
    for port in ("karma", "bucket", "workflow"):
        eventually(lambda port=port: requests.get(system.url(port, "/readyz"), timeout=10).status_code == 200,
                   what=port)


def head(peer):
    """The journal's head."""
    return peer.ask("$bus.stats", {})[1]["head"]


def journaled(peer, prefix, start=1):
    """Every record whose topic begins so: header and body."""
    return [(header, body) for _, header, body in peer.fetch_all([prefix], start)]

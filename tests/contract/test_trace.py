"""GET /trace/{trace_id} as a contract: its shape, its refusals, its limits; docs/contract.md section 8."""

import concurrent.futures
import datetime
import re
import urllib.parse
import uuid

import pytest
import requests
from support.peer import Peer
from support.system import System, eventually

KINDS = {"http", "agent", "effect", "karma", "event", "bus"}
STATES = {"answered", "absent", "late", "failed"}
TYPES = {"step": int, "depth": int, "kind": str, "what": str, "source": str, "at": str, "offset_ms": float,
         "duration_ms": float, "status": str, "http_status": int, "seq": int, "cause": list, "parent": int,
         "parent_by": str, "about": dict, "karma": dict, "audit": list, "known_by": str}
ALWAYS = {"step", "depth", "kind", "what", "source", "at", "offset_ms"}


@pytest.fixture(scope="module", name="console")
def fixture_console(shared_system):
    def ask(trace_id, method="GET", **more):
        path = "/trace/" + urllib.parse.quote(trace_id, safe="")
        return requests.request(method, shared_system.url("console", path), timeout=10, **more)

    return ask


@pytest.fixture(scope="module", name="known")
def fixture_known(shared_system):
    """A trace that there is something of."""
    trace_id = uuid.uuid4().hex
    answer = requests.post(shared_system.url("bucket", "/core/write-event"), timeout=10, json={
        "requester_id": "bhiv_core", "event_data": {"event_type": "agent_result", "agent_id": "edu", "user_id": "asha",
                                                    "trace_id": trace_id, "result": {"status": 200}}})
    assert answer.status_code == 200 and answer.headers["X-Trace-Id"] == trace_id
    return trace_id


def test_the_answer_has_its_shape(console, known):
    answer = console(known)
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/json")
    tree = answer.json()
    assert list(tree) == ["trace_id", "began_at", "ended_at", "duration_ms", "count", "truncated", "trimmed",
                          "steps", "journal", "sources"]
    assert tree["trace_id"] == known and tree["truncated"] is False and tree["trimmed"] is False
    assert set(tree["journal"]) == {"first", "head", "damaged"}
    assert [source["source"] for source in tree["sources"]] == [
        "journal", "bucket", "workflow", "bridge", "audit", "karma"]
    assert all(source["state"] in STATES for source in tree["sources"])
    assert tree["steps"]
    for step in tree["steps"]:
        assert ALWAYS <= set(step) <= set(TYPES), step
        assert all(isinstance(value, TYPES[key]) for key, value in step.items()), step
        assert step["kind"] in KINDS and step["at"].endswith("Z")
        datetime.datetime.fromisoformat(step["at"])


def test_the_document_says_what_is_answered(shared_system, known, console):
    document = requests.get(shared_system.url("console", "/openapi.json"), timeout=10).json()
    row = document["paths"]["/trace/{trace_id}"]["get"]
    assert row["operationId"] == "trace"
    assert [(one["name"], one["in"], one["required"]) for one in row["parameters"]][0] == ("trace_id", "path", True)
    assert console(known).status_code == 200


def test_a_slash_at_the_end_and_head_work(shared_system, known, console):
    assert requests.get(shared_system.url("console", f"/trace/{known}/"), timeout=10).status_code == 200
    answer = console(known, "HEAD")
    assert answer.status_code == 200 and answer.content == b""


def test_a_trace_that_nobody_knows_is_404_and_says_who_was_asked(console):
    answer = console("nobody-knows-this")
    assert answer.status_code == 404
    body = answer.json()
    assert body["error_code"] == "NOT_FOUND" and body["details"]["trace_id"] == "nobody-knows-this"
    assert body["details"]["steps"] == [] and len(body["details"]["sources"]) == 6
    assert body["details"]["journal"]["first"] == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_405(console, known, method):
    answer = console(known, method)
    assert answer.status_code == 405 and "GET" in answer.headers["Allow"]


def test_it_is_served_on_the_consoles_port_alone(shared_system, known):
    for port in ("karma", "bucket", "core", "workflow"):
        assert requests.get(shared_system.url(port, f"/trace/{known}"), timeout=10).status_code == 404


@pytest.mark.parametrize("trace_id", ["x" * 128, "with space", "per%cent", "a/b", "ünïcode", "'quotes\"", "+&=?#"])
def test_any_trace_id_that_a_peer_may_use_is_found(shared_system, console, trace_id):
    mark = uuid.uuid4().hex[:8]
    trace_id = (trace_id + mark)[-128:]
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        peer.publish("stress.drill", {"n": 1}, trace_id=trace_id)
    answer = console(trace_id)
    assert answer.status_code == 200, answer.text
    assert answer.json()["trace_id"] == trace_id and answer.json()["count"] == 1


@pytest.mark.parametrize("trace_id", ["x" * 129, "%ff", "%00"])
def test_what_can_be_no_trace_id_is_422(shared_system, trace_id):
    answer = requests.get(shared_system.url("console", f"/trace/{trace_id}"), timeout=10)
    assert answer.status_code in (400, 422), answer.text


def test_a_trace_is_found_that_only_the_body_of_an_event_names(shared_system, console):
    """A peer of the bus may name the trace in its event alone: Bucket knows it by that."""
    trace_id = uuid.uuid4().hex
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        ack = peer.publish("core.event.note", {"requester_id": "bhiv_core", "event_type": "note",
                                               "trace_id": trace_id})
        seq = ack["seq"]
        assert peer.ask("req.bucket.queue", {"seq": seq})[0]["status"] == "success"

    def tree():
        answer = console(trace_id)
        return answer.json() if answer.status_code == 200 else None

    step, = eventually(tree, what="the event in Bucket")["steps"]
    assert step["seq"] == seq and step["known_by"] == "bucket" and step["what"] == "core.event.note"


def test_content_is_never_shown(shared_system, console):
    trace_id = uuid.uuid4().hex
    requests.post(shared_system.url("bucket", "/core/write-event"), timeout=10, json={
        "requester_id": "bhiv_core", "trace_id": trace_id,
        "event_data": {"event_type": "agent_result", "agent_id": "edu", "result": {"text": "a-secret-word"},
                       "input": "a-secret-word", "note": "a-secret-word"}})
    answer = console(trace_id)
    assert answer.status_code == 200 and "a-secret-word" not in answer.text


def test_a_crowd_that_asks_at_once_is_answered_or_told_to_come_again(console, known):
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda _: console(known), range(300)))
    states = {answer.status_code for answer in answers}
    assert 200 in states and states <= {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["error_code"] == "BUSY" and answer.headers["Retry-After"]
    assert console(known).status_code == 200, "what was refused left nothing behind"


def test_without_a_broker_it_is_503_at_once(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "bridge")) as alone:
        answer = requests.get(alone.url("console", "/trace/any"), timeout=10)
        assert answer.status_code == 503 and answer.json()["error_code"] == "SERVICE_UNAVAILABLE"
        assert answer.elapsed.total_seconds() < 1


def test_the_console_leads_to_it(shared_system):
    page = requests.get(shared_system.url("console", "/"), timeout=10).text
    script = requests.get(shared_system.url("console", "/trace.js"), timeout=10)
    assert script.headers["Content-Type"].startswith("text/javascript")
    ids = set(re.findall(r'id="([a-z]+)"', page))
    used = set(re.findall(r"getElementById\('([a-z]+)'\)", script.text))
    assert used == {"story", "json", "trace", "follow"} and used <= ids
    assert "'/trace/'" in script.text and "innerHTML" not in script.text
    rows = requests.get(shared_system.url("console", "/console.js"), timeout=10).text
    assert "'#trace=' + encodeURIComponent(event.traceid)" in rows and "record.trace_id" in rows

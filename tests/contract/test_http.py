"""The HTTP contract on the real system: every operation, every error shape, every refusal.

Framing and slow clients are in test_http_framing.py, streams in test_http_stream.py.
"""

import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import uuid

import pytest
import requests
from support.peer import Peer
from support.system import System, eventually

PORTS = ("karma", "bucket", "core", "workflow", "console")
EVENT = {"requester_id": "bhiv_core", "event_data": {"event_type": "agent_result", "agent_id": "a1"}}
LIFE = {"type": "life_event", "data": {"user_id": "http_user", "action": "completing_lessons", "role": "learner"}}
ARTIFACT = {
    "artifact_id": uuid.uuid4().hex, "content": {}, "metadata": {"product": "gurukul", "created_by": "bhiv_core"}}
PACKET = {
    "user_id": "http_user", "session_id": "s1", "system_type": "gurukul", "role": "student",
    "timestamp": "2026-01-19T10:00:05Z", "cognitive_state": "DEEP_FOCUS", "active_seconds": 5.0, "idle_seconds": 0.0,
    "away_seconds": 0.0, "focus_score": 90, "raw_signals": {"keystroke_count": 3},
}
VERBS = ("artifact_put", "artifact_patch", "artifact_delete")
HEX = re.compile(r"[0-9a-f]{32}")

# What exercises each operation: method, path, JSON body, status without any credential.
EVERYWHERE = {
    "health": ("GET", "/health", None, 200),
    "healthz": ("GET", "/healthz", None, 200),
    "readyz": ("GET", "/readyz", None, 200),
    "metrics": ("GET", "/metrics", None, 200),
    "openapi": ("GET", "/openapi.json", None, 200),
    "status": ("GET", "/status", None, 200),
}
INDEX = {"index": ("GET", "/", None, 200)}
OPERATIONS = {
    "karma": {
        **EVERYWHERE,
        **INDEX,
        "karma_event": ("POST", "/v1/event/", LIFE, 200),
        "karma_log_action": ("POST", "/v1/log-action/", LIFE["data"], 200),
        "karma_appeal": ("POST", "/v1/appeal/", {"user_id": "http_user", "action": "theft"}, 200),
        "karma_appeal_status": ("GET", "/v1/appeal/status/http_user", None, 200),
        "karma_atonement": ("POST", "/v1/atonement/submit", {
            "user_id": "http_user", "plan_id": "none", "atonement_type": "Jap", "amount": 1}, 400),
        "karma_atonement_plans": ("GET", "/v1/atonement/plans/http_user", None, 200),
        "karma_death_event": ("POST", "/v1/death/event", {"user_id": "http_user"}, 200),
        "karma_stats_user": ("GET", "/v1/stats/user/http_user", None, 200),
        "karma_stats_system": ("GET", "/v1/stats/system", None, 200),
        "karma_balance": ("GET", "/view-balance/http_user", None, 200),
        "karma_redeem": ("POST", "/redeem/", {
            "user_id": "http_user", "token_type": "SevaPoints", "amount": 1000000}, 400),
        "karma_agent": ("GET", "/api/v1/karma/agent/nobody", None, 404),
        "karma_trends": ("GET", "/api/v1/analytics/karma_trends?weeks=4", None, 200),
        "karma_metrics_live": ("GET", "/api/v1/analytics/metrics/live", None, 200),
        "karma_profile": ("GET", "/api/v1/karma/http_user", None, 200),
        "karma_replay": ("GET", "/api/v1/karma/http_user/replay", None, 200),
        "karma_policy": ("GET", "/policy/", None, 200),
        "karma_queue": ("GET", "/karma/queue/1", None, 200),
        "test_create_user": ("POST", "/v1/test/create-user", {"user_id": "made"}, 200),
        "test_delete_user": ("DELETE", "/v1/test/delete-user/made", None, 200),
        "test_fix_timestamps": ("POST", "/v1/test/fix-timestamps", None, 200),
    },
    "bucket": {
        **EVERYWHERE,
        **INDEX,
        "write_event": ("POST", "/core/write-event", EVENT, 200),
        "workflow_write_event": (
            "POST", "/workflow/write-event", {**EVENT, "requester_id": "workflow_executor"}, 200),
        "events": ("GET", "/core/events?limit=5", None, 200),
        "stats": ("GET", "/core/stats", None, 200),
        "read_context": ("GET", "/core/read-context?agent_id=a1&requester_id=bhiv_core", None, 200),
        "karma_forwarding": ("PUT", "/core/karma-forwarding", {"enabled": True}, 401),
        "bucket_queue": ("GET", "/bucket/queue/1", None, 200),
        "artifact_write": ("POST", "/bucket/artifact/write", ARTIFACT, 200),
        "artifact_read": ("GET", "/bucket/artifact/read?artifact_id=none&product=gurukul", None, 404),
        "metadata_query": ("POST", "/bucket/artifact/query", {"product": "gurukul"}, 200),
        "audit_append": ("POST", "/bucket/audit/append", {
            "event_type": "read", "product": "gurukul", "details": {}}, 200),
        "bucket_request": ("POST", "/bucket/request", {"channel": "metadata_query", "product": "gurukul"}, 200),
        "artifact_put": ("PUT", "/bucket/artifact/http", None, 403),
        "artifact_patch": ("PATCH", "/bucket/artifact/http", {"content": {}}, 403),
        "artifact_delete": ("DELETE", "/bucket/artifact/http", None, 403),
        "legal_hold": ("POST", "/bucket/legal-hold", {}, 401),
        "deletion_approve": ("POST", "/bucket/deletion/approve", {}, 401),
        "retention_resume": ("POST", "/bucket/retention/resume", {}, 401),
        "quota": ("GET", "/bucket/quota?product=gurukul", None, 200),
        "audit_log": ("GET", "/bucket/audit/log", None, 200),
        "audit_entry": ("GET", "/bucket/audit/entry/audit_0", None, 404),
        "audit_checkpoint": ("GET", "/bucket/audit/checkpoint", None, 200),
        "audit_inclusion": ("GET", "/bucket/audit/proof/inclusion?audit_id=audit_0", None, 404),
        "audit_consistency": ("GET", "/bucket/audit/proof/consistency?from=0", None, 200),
        "audit_receipt": ("GET", "/bucket/audit/receipt/audit_0", None, 404),
        "prana_ingest": ("POST", "/bucket/prana/ingest", PACKET, 200),
        "prana_packets": ("GET", "/bucket/prana/packets", None, 200),
        "prana_stats": ("GET", "/bucket/prana/stats", None, 200),
        "prana_user": ("GET", "/bucket/prana/user/http_user", None, 200),
        "violations": ("GET", "/governance/violations", None, 200),
        "threats": ("GET", "/governance/threats", None, 200),
        "contract": ("GET", "/bucket/contract", None, 200),
        "sla": ("GET", "/bucket/sla", None, 200),
    },
    "core": {
        **EVERYWHERE,
        **INDEX,
        "handle_task": ("POST", "/handle_task", {"agent": "text_agent", "input": "One sentence."}, 200),
        "handle_multi_task": ("POST", "/handle_multi_task", {"files": [{"data": "One sentence."}]}, 200),
        "query_kb": ("POST", "/query-kb", {"query": "nothing of the kind"}, 200),
        "core_task": ("GET", "/tasks/of-nobody", None, 404),
        "core_feedback": ("POST", "/feedback", {"task_id": "of-nobody", "reward": 1}, 404),
        "rl_stats": ("GET", "/rl/stats", None, 200),
        "agents": ("GET", "/agents", None, 200),
        "core_config": ("GET", "/config", None, 200),
        "core_queue": ("GET", "/core/queue/1", None, 200),
    },
    "workflow": {
        **EVERYWHERE,
        **INDEX,
        "workflow_execute": ("POST", "/api/workflow/execute", {"trace_id": "http", "decision": "workflow", "data": {
            "workflow_type": "workflow", "payload": {"action_type": "task", "title": "http"}}}, 200),
        "workflow_executions": ("GET", "/api/workflow/executions?limit=1", None, 200),
        "workflow_status": ("GET", "/api/workflow/status/nothing", None, 404),
        "workflow_stats": ("GET", "/api/workflow/stats", None, 200),
        "workflow_tasks": ("GET", "/api/workflow/tasks", None, 200),
        "workflow_task": ("GET", "/api/workflow/tasks/task_ffffffff", None, 404),
        "workflow_task_complete": ("POST", "/api/workflow/tasks/task_ffffffff/complete", {}, 404),
        "workflow_queue": ("GET", "/workflow/queue/1", None, 200),
    },
    "console": {
        **EVERYWHERE,
        "console": ("GET", "/", None, 200),
        "console_script": ("GET", "/console.js", None, 200),
        "trace_script": ("GET", "/trace.js", None, 200),
        "trace": ("GET", "/trace/of-nobody", None, 404),
        "prana_script": ("GET", "/prana.js", None, 200),
        "console_style": ("GET", "/console.css", None, 200),
        "events_stream": ("GET", "/events/stream", None, 200),
        "bus_publish": ("POST", "/bus/publish", {"topic": "agent.note", "data": {}}, 200),
        "bus_events": ("GET", "/bus/events", None, 200),
        "bus_stats": ("GET", "/bus/stats", None, 200),
        "bus_peers": ("GET", "/bus/peers", None, 200),
        "bus_topics": ("GET", "/bus/topics", None, 200),
        "core_queue": ("GET", "/core/queue/1", None, 200),
        "kb_add": ("POST", "/kb/documents", {"document_id": "http", "text": "A sentence to be found."}, 200),
        "kb_documents": ("GET", "/kb/documents?limit=1", None, 200),
        "kb_show": ("GET", "/kb/documents/of-nobody", None, 404),
        "kb_remove": ("DELETE", "/kb/documents/of-nobody", None, 404),
        "htm_status": ("GET", "/htm/status", None, 200),
        "htm_tasks": ("GET", "/htm/tasks?status=dead&limit=1", None, 200),
        "htm_enqueue": ("POST", "/htm/tasks", {"task_type": "t", "handler": "nobody"}, 200),
        "htm_task": ("GET", "/htm/tasks/of-nobody", None, 404),
        "htm_delete": ("DELETE", "/htm/tasks/of-nobody", None, 404),
        "htm_cancel": ("POST", "/htm/tasks/of-nobody/cancel", {"reason": "r"}, 404),
        "htm_requeue": ("POST", "/htm/tasks/of-nobody/requeue", None, 404),
        "htm_workers": ("GET", "/htm/workers", None, 200),
        "htm_queue": ("GET", "/htm/queue/1", None, 200),
        "brain_status": ("GET", "/brain/status", None, 200),
        "brain_drifts": ("GET", "/brain/drifts?limit=1", None, 200),
        "brain_why": ("GET", "/brain/why?issue_type=trust_degradation", None, 200),
        "brain_scores": ("GET", "/brain/scores", None, 200),
        "kernels": ("GET", "/grace/kernels", None, 200),
    },
}
CASES = [(port, name) for port, rows in OPERATIONS.items() for name in rows]


def call(system, port, method, path, body=None, **options):
    return requests.request(method, system.url(port, path), json=body, timeout=10, **options)


def write(system, body=None, **options):
    return call(system, "bucket", "POST", "/core/write-event", body or EVENT, **options)


@pytest.fixture(scope="module", autouse=True)
def fixture_settled(shared_system):
    """The user that the table reads is there, and so are the services."""
    for port in ("bucket", "karma", "core", "workflow"):
        eventually(lambda port=port: call(shared_system, port, "GET", "/readyz").status_code == 200, what=port)
    assert call(shared_system, "karma", "POST", "/v1/event/", LIFE).status_code == 200


# --- Every row of the table ----------------------------------------------------------------------


@pytest.mark.parametrize("port", PORTS)
def test_every_operation_of_the_document_is_exercised_here(shared_system, port):
    document = call(shared_system, port, "GET", "/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    served = {row["operationId"] for path in document["paths"].values() for row in path.values()}
    assert served == set(OPERATIONS[port])


@pytest.mark.parametrize("port,name", CASES)
def test_an_operation_answers_as_the_table_says(shared_system, port, name):
    method, path, body, status = OPERATIONS[port][name]
    expected = status if isinstance(status, int) else status.get(port, 200)
    with call(shared_system, port, method, path, body, stream=True) as answer:
        assert answer.status_code == expected, answer.text
        assert answer.headers["X-Trace-Id"]
        assert "Access-Control-Allow-Origin" not in answer.headers
        if answer.headers["Content-Type"] == "application/json":
            assert answer.text.endswith("}\n")


@pytest.mark.parametrize("port,name", CASES)
def test_a_trailing_slash_never_matters(shared_system, port, name):
    method, path, _, _ = OPERATIONS[port][name]
    bare, _, query = path.partition("?")
    other = bare.rstrip("/") if bare.endswith("/") and bare != "/" else bare + "/"
    answer = call(shared_system, port, "OPTIONS", other + ("?" + query if query else ""))
    assert answer.status_code == 204
    assert method in answer.headers["Allow"].split(", ")
    assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")


@pytest.mark.parametrize("port,name", CASES)
def test_a_wrong_method_is_405_with_allow_and_an_unknown_path_404(shared_system, port, name):
    method, path, _, _ = OPERATIONS[port][name]
    wrong = call(shared_system, port, "POST" if name in VERBS else "PATCH", path)
    assert wrong.status_code == 405 and wrong.json()["error_code"] == "METHOD_NOT_ALLOWED"
    assert method in wrong.headers["Allow"].split(", ")
    missing = call(shared_system, port, method, "/nothing" + path)
    assert missing.status_code == 404 and missing.json()["error_code"] == "NOT_FOUND"


@pytest.mark.parametrize("port", PORTS)
def test_head_is_get_without_a_body(shared_system, port):
    answer = call(shared_system, port, "HEAD", "/health")
    assert answer.status_code == 200 and answer.content == b""
    assert int(answer.headers["Content-Length"]) > 0


# --- Web pages -----------------------------------------------------------------------------------

OURS = ["http://localhost:3000", "http://127.0.0.1:1", "http://[::1]:8080"]
STRANGE = ["http://evil.example", "null", "http://localhost.evil.example", "https://evil.example:8080"]


@pytest.mark.parametrize("origin", OURS)
@pytest.mark.parametrize("port", PORTS)
def test_a_page_of_this_machine_may_ask(shared_system, port, origin):
    for method in ("GET", "HEAD", "OPTIONS"):
        answer = call(shared_system, port, method, "/health", headers={"Origin": origin})
        assert answer.status_code in (200, 204)
        assert answer.headers["Access-Control-Allow-Origin"] == origin
        assert answer.headers["Vary"] == "Origin"
        assert "X-Trace-Id" in answer.headers["Access-Control-Expose-Headers"]


@pytest.mark.parametrize("origin", OURS)
def test_a_page_of_this_machine_may_write(shared_system, origin):
    answer = write(shared_system, headers={"Origin": origin})
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == origin


@pytest.mark.parametrize("origin", STRANGE)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_a_page_from_elsewhere_writes_nothing(shared_system, method, origin):
    mark = uuid.uuid4().hex
    body = {"requester_id": "bhiv_core", "event_data": {"event_type": "forged", "mark": mark}}
    before = write(shared_system).json()["seq"]
    answer = call(shared_system, "bucket", method, "/core/write-event", body, headers={"Origin": origin})
    assert answer.status_code == 403 and answer.json()["error_code"] == "FORBIDDEN"
    assert "Origin" in answer.json()["message"]
    assert not [name for name in answer.headers if name.startswith("Access-Control-")]
    behind = write(shared_system).json()["seq"]
    page = call(shared_system, "console", "GET", f"/bus/events?from={before}&limit=1000")
    assert behind in [event["seq"] for event in page.json()["events"]] and mark not in page.text


@pytest.mark.parametrize("origin", STRANGE)
def test_a_page_from_elsewhere_may_read_no_answer(shared_system, origin):
    for path in ("/bus/events", "/events/stream", "/nothing"):
        with call(shared_system, "console", "GET", path, headers={"Origin": origin}, stream=True) as answer:
            assert not [name for name in answer.headers if name.startswith("Access-Control-")], path
            assert answer.headers["Vary"] == "Origin"


def test_where_anybody_may_come_any_host_does_and_pages_of_that_host(bhiv, tmp_path):
    env = {"BHIV_ALLOW_ANONYMOUS": "1"}
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge"), env=env) as system:
        eventually(lambda: call(system, "console", "GET", "/readyz").status_code == 200, what="the broker")
        status = lambda origin: write(
            system, headers={"Host": "bus.example:8001", **({"Origin": origin} if origin else {})}).status_code
        assert status(None) == status("http://bus.example:8080") == status("http://localhost") == 200
        assert status("http://evil.example") == status("null") == 403


# --- Traces --------------------------------------------------------------------------------------


def test_the_bodys_trace_id_wins_over_the_headers(shared_system):
    parent = f"00-{'ab' * 16}-{'cd' * 8}-01"
    headers = {"X-Trace-Id": "from-header", "traceparent": parent}
    in_body = write(shared_system, {**EVENT, "trace_id": "from-body"}, headers=headers)
    assert in_body.headers["X-Trace-Id"] == "from-body"
    assert write(shared_system, headers=headers).headers["X-Trace-Id"] == "from-header"
    assert write(shared_system, headers={"traceparent": parent}).headers["X-Trace-Id"] == "ab" * 16
    assert HEX.fullmatch(write(shared_system).headers["X-Trace-Id"])


def test_an_illegal_trace_id_is_replaced(shared_system):
    for bad in ('has"quote', "x" * 129, "has space"):
        answer = call(shared_system, "bucket", "GET", "/healthz", headers={"X-Trace-Id": bad})
        assert HEX.fullmatch(answer.headers["X-Trace-Id"])


def test_a_trace_id_reaches_the_journal_and_the_stored_event(shared_system):
    trace = uuid.uuid4().hex
    seq = write(shared_system, headers={"X-Trace-Id": trace}).json()["seq"]
    page = call(shared_system, "console", "GET", f"/bus/events?from={seq}&limit=1").json()
    assert page["events"][0]["trace_id"] == trace
    stored = eventually(lambda: call(shared_system, "bucket", "GET", f"/core/events?trace_id={trace}").json()["events"])
    assert [event["seq"] for event in stored] == [seq] and stored[0]["trace_id"] == trace


# --- Errors --------------------------------------------------------------------------------------


def test_bucket_errors_have_the_common_shape(shared_system):
    answer = write(shared_system, {"requester_id": "bhiv_core"})
    body = answer.json()
    assert answer.status_code == 422
    assert body["status"] == "error" and body["error_code"] == body["error"] == "VALIDATION_FAILED"
    assert body["detail"] == body["message"] == "event_data: is required"
    assert body["details"] == [{"field": "event_data", "problem": "is required"}]
    assert body["trace_id"] == answer.headers["X-Trace-Id"]


def test_karma_errors_have_karmas_shape(shared_system):
    answer = call(shared_system, "karma", "GET", "/api/v1/karma/nobody")
    body = answer.json()
    assert answer.status_code == 404
    assert body["status"] == "error" and body["error_code"] == "USER_NOT_FOUND"
    assert body["error"] == {"code": 404, "message": "User not found"}
    assert body["path"] == "/api/v1/karma/nobody" and body["timestamp"].endswith("Z")
    assert body["trace_id"] == answer.headers["X-Trace-Id"]


@pytest.mark.parametrize(
    "text",
    ["{", "", '{"a":1,"a":2}', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":1e400}', '{"a":9223372036854775808}',
     "[" * 30 + "]" * 30, '{"a":1} x'],
)
def test_json_that_is_not_taken_is_400_and_nothing_at_all_is_422(shared_system, text):
    answer = requests.post(shared_system.url("bucket", "/core/write-event"), data=text.encode(), timeout=10)
    if text == "":
        assert answer.status_code == 422
        assert [row["field"] for row in answer.json()["details"]] == ["requester_id", "event_data"]
    else:
        assert answer.status_code == 400 and answer.json()["error_code"] == "MALFORMED_JSON"


def test_a_body_that_is_no_object_is_422(shared_system):
    answer = requests.post(shared_system.url("karma", "/v1/event/"), data=b"[]", timeout=10)
    assert answer.status_code == 422 and answer.json()["error_code"] == "VALIDATION_FAILED"


def test_query_parameters_are_checked(shared_system):
    def problems(query):
        answer = call(shared_system, "bucket", "GET", "/core/events?" + query)
        assert answer.status_code == 422, query
        return {row["field"] for row in answer.json()["details"]}

    assert problems("limit=0") == problems("limit=1001") == problems("limit=x") == {"limit"}
    assert problems("limit=5&limit=6") == {"limit"}
    assert problems("agent_id=%01") == problems("agent_id=%ff") == problems("agent_id=") == {"agent_id"}
    assert problems("limt=5") == {"limt"} and problems("limit=5&%00=1".replace("%00", "a%20b")) == {"a%20b"}


@pytest.mark.parametrize("query,message", [
    ("limit=0", "limit: must be 1 to 1000"), ("limit=1001", "limit: must be 1 to 1000"),
    ("limit=x", "limit: must be an integer"), ("after_seq=-1", "after_seq: must be 0 or more"),
    ("agent_id=" + "a" * 256, "agent_id: is too long: at most 255 bytes"),
    ("limt=5", "limt: is no parameter of this endpoint"),
])
def test_the_message_says_what_is_wrong_and_what_is_allowed(shared_system, query, message):
    body = call(shared_system, "bucket", "GET", "/core/events?" + query).json()
    assert body["message"] == message
    assert "%s: %s" % (body["details"][0]["field"], body["details"][0]["problem"]) == message


def test_a_segment_keeps_its_encoded_slash(shared_system):
    user = {"type": "life_event", "data": {"user_id": "a/b ü", "action": "cheat", "role": "learner"}}
    assert call(shared_system, "karma", "POST", "/v1/event", user).status_code == 200
    profile = call(shared_system, "karma", "GET", "/api/v1/karma/a%2Fb%20%C3%BC")
    assert profile.status_code == 200 and profile.json()["user_id"] == "a/b ü"


# --- Writing events ------------------------------------------------------------------------------


def test_a_written_event_is_durable_then_stored_flat(shared_system):
    data = {"event_type": "rl_outcome", "agent_id": "flat", "requester_id": "somebody else", "reward": 1.0}
    answer = write(shared_system, {"requester_id": "bhiv_core", "event_data": data}).json()
    assert answer["success"] is True and answer["message"] == "Event received"
    find = lambda: call(shared_system, "bucket", "GET", f"/core/events?after_seq={answer['seq'] - 1}&agent_id=flat")
    event = eventually(lambda: find().json()["events"])[0]
    assert event["event_id"] == answer["event_id"] and event["seq"] == answer["seq"]
    assert event["requester_id"] == "bhiv_core" and event["reward"] == 1.0
    assert isinstance(event["reward"], float)


@pytest.mark.parametrize("kind,topic", [
    ("agent_result", "core.event.agent_result"), ("with space", "core.event.other"),
    ("a.b", "core.event.other"), ("x" * 244, "core.event." + "x" * 244), ("x" * 245, "core.event.other"),
    ("ünï", "core.event.other"),
])
def test_the_topic_follows_the_type_where_that_is_one_token(shared_system, kind, topic):
    seq = write(shared_system, {"requester_id": "bhiv_core", "event_data": {"event_type": kind}}).json()["seq"]
    record = call(shared_system, "console", "GET", f"/bus/events?from={seq}&limit=1").json()["events"][0]
    assert record["topic"] == topic and record["data"]["event_type"] == kind


@pytest.mark.parametrize("path,requester", [
    ("/core/write-event", "mallory"), ("/workflow/write-event", "bhiv_core"),
])
def test_a_stranger_may_not_write_and_the_attempt_is_journaled(shared_system, path, requester):
    answer = call(shared_system, "bucket", "POST", path, {**EVENT, "requester_id": requester})
    body = answer.json()
    assert answer.status_code == 403 and body["error_code"] == "UNAUTHORIZED_ACCESS"
    assert body["success"] is False and body["message"] == "Unauthorized requester"
    seq = int(body["audit_id"].removeprefix("audit_"))
    record = call(shared_system, "console", "GET", f"/bus/events?from={seq}&limit=1").json()["events"][0]
    assert record["topic"] == "bucket.refused" and record["data"]["requester_id"] == requester


def test_only_core_may_read_a_context(shared_system):
    refused = call(shared_system, "bucket", "GET", "/core/read-context?agent_id=a1&requester_id=karma")
    assert refused.status_code == 403 and "audit_id" in refused.json()
    missing = call(shared_system, "bucket", "GET", "/core/read-context?agent_id=a1")
    assert missing.status_code == 422
    unknown = call(shared_system, "bucket", "GET", "/core/read-context?agent_id=none&requester_id=bhiv_core")
    assert unknown.json().items() >= {"success": True, "context": None}.items()
    assert unknown.json()["decision"] == "allowed" and unknown.json()["audit_id"]


def test_workflow_executor_writes_and_reads_nothing(shared_system):
    headers = {"X-Requester-Id": "workflow_executor"}
    for port, path in (("karma", "/api/v1/karma/http_user"), ("karma", "/policy"), ("bucket", "/core/events")):
        assert call(shared_system, port, "GET", path, headers=headers).status_code == 403, path
    assert call(shared_system, "karma", "GET", "/policy?requester_id=workflow_executor").status_code == 403
    assert call(shared_system, "karma", "POST", "/v1/event/", LIFE, headers=headers).status_code == 200
    assert call(shared_system, "bucket", "GET", "/core/events?requester_id=workflow_executor").status_code == 200


@pytest.mark.parametrize("data", [{}, {"event_type": 5}, {"event_type": ""}, {"event_type": "x" * 256}])
def test_an_event_that_bucket_would_not_keep_is_refused_at_the_door(shared_system, data):
    answer = write(shared_system, {"requester_id": "bhiv_core", "event_data": data})
    assert answer.status_code == 422
    assert [row["field"] for row in answer.json()["details"]] == ["event_data.event_type"]


def test_the_rest_of_an_event_is_free(shared_system):
    data = {"event_type": "free", "agent_id": 42, "trace_id": ["x"], "user_id": None, "marker": uuid.uuid4().hex}
    seq = write(shared_system, {"requester_id": "bhiv_core", "event_data": data}).json()["seq"]
    find = lambda: call(shared_system, "bucket", "GET", f"/core/events?after_seq={seq - 1}&event_type=free")
    event = eventually(lambda: find().json()["events"])[0]
    assert event["agent_id"] == 42 and event["marker"] == data["marker"]


# --- Idempotency ---------------------------------------------------------------------------------


@pytest.mark.parametrize("port,path,body", [
    ("bucket", "/core/write-event", EVENT), ("karma", "/v1/event/", LIFE),
])
def test_the_same_key_gets_the_first_answer_and_another_body_422(shared_system, port, path, body):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = call(shared_system, port, "POST", path, body, headers=headers)
    again = call(shared_system, port, "POST", path, body, headers=headers)
    assert first.status_code == again.status_code == 200
    without_time = lambda answer: {key: value for key, value in answer.json().items() if key != "timestamp"}
    assert without_time(first) == without_time(again)
    changed = json.loads(json.dumps(body).replace("agent_result", "other").replace("learner", "guru"))
    other = call(shared_system, port, "POST", path, changed, headers=headers)
    assert other.status_code == 422 and other.json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_a_bad_idempotency_key_is_422(shared_system, key):
    answer = write(shared_system, headers={"Idempotency-Key": key})
    assert answer.status_code == 422 and answer.json()["details"][0]["field"] == "Idempotency-Key"


# --- Karma ---------------------------------------------------------------------------------------


def test_a_life_event_moves_karma_and_says_where_it_went(shared_system):
    user = uuid.uuid4().hex
    event = {"type": "life_event", "timestamp": "2026-01-30T12:00:00+05:30", "source": "test",
             "data": {"user_id": user, "action": "completing_lessons", "role": "user", "context": {"a": [1]}}}
    answer = call(shared_system, "karma", "POST", "/v1/event/", event).json()
    assert answer["status"] == "success" and answer["event_type"] == "life_event"
    assert answer["message"] == "Life event logged successfully"
    assert answer["timestamp"] == "2026-01-30T06:30:00.000000Z"
    assert answer["routing_info"] == {"internal_endpoint": "/v1/karma/log-action", "mapped_from": "life_event"}
    assert answer["data"]["merit_score"] == 5.0
    profile = call(shared_system, "karma", "GET", f"/api/v1/karma/{user}").json()
    assert profile["balances"]["DharmaPoints"] == 5.0
    assert call(shared_system, "karma", "GET", f"/api/v1/karma/{user}/replay").json()["matches"] is True


@pytest.mark.parametrize("body,status,message", [
    ({"type": "foo", "data": {}}, 400, "Invalid event type: foo. Valid types: life_event, atonement, appeal, "
     "death_event, stats_request"),
    ({"type": "life_event", "data": {"user_id": "u"}}, 400, "life_event requires user_id, action, and role in data"),
    ({"type": "life_event", "data": {"user_id": "u", "action": "juggling", "role": "learner"}}, 400, "Invalid action."),
    ({"type": "life_event"}, 422, "data: is required"),
    ({"type": 1, "data": {}}, 422, "type: must be a string"),
    ({**LIFE, "timestamp": "yesterday"}, 422, "timestamp: is no RFC 3339 time"),
    ({"type": "life_event", "data": {**LIFE["data"], "context": 5}}, 422, "context: must be a map or a string"),
    ({"type": "appeal", "data": {}}, 400, "appeal requires user_id and action in data"),
])
def test_karma_refuses_with_the_originals_words(shared_system, body, status, message):
    answer = call(shared_system, "karma", "POST", "/v1/event/", body)
    assert answer.status_code == status and answer.json()["error"] == {"code": status, "message": message}


def test_test_users_are_made_once_and_removed(shared_system):
    user = {"user_id": uuid.uuid4().hex, "role": "seva"}
    made = {"success": True, **user, "message": "Test user created successfully"}
    assert call(shared_system, "karma", "POST", "/v1/test/create-user", user).json() == made
    assert call(shared_system, "karma", "POST", "/v1/test/create-user", {**user, "role": "guru"}).json() == made
    path = f"/v1/test/delete-user/{user['user_id']}"
    assert call(shared_system, "karma", "DELETE", path).json() == {"success": True, "deleted_count": 1}
    assert call(shared_system, "karma", "DELETE", path).json() == {"success": False, "deleted_count": 0}
    fixed = call(shared_system, "karma", "POST", "/v1/test/fix-timestamps").json()
    assert fixed == {"success": True, "fixed_count": 0, "message": "Fixed 0 users"}


# --- Owner operations ----------------------------------------------------------------------------


def test_the_toggle_is_the_owners(shared_system):
    def toggle(enabled, token=None, path="/core/karma-forwarding"):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return call(shared_system, "bucket", "PUT", path, {"enabled": enabled}, headers=headers)

    refused = toggle(False)
    assert refused.status_code == 401 and "Bearer" in refused.headers["WWW-Authenticate"]
    assert "Authorization: Bearer" in refused.json()["message"] and "owner.token" in refused.json()["message"]
    wrong = toggle(False, "0" * 64)
    assert wrong.status_code == 403 and "audit_id" in wrong.json()
    for enabled in (False, True):
        answer = toggle(enabled, shared_system.owner_token)
        assert answer.status_code == 200 and answer.json()["enabled"] is enabled
        stats = call(shared_system, "bucket", "GET", "/core/stats").json()
        assert stats["karma_forwarding"]["enabled"] is enabled


def test_what_is_the_owners_may_not_be_published_past_it(shared_system):
    body = {"topic": "bucket.forwarding.set", "data": {"enabled": False}}
    assert call(shared_system, "console", "POST", "/bus/publish", body).status_code == 401


# --- Health --------------------------------------------------------------------------------------


def test_health_has_its_own_block_on_every_port(shared_system):
    health = {port: call(shared_system, port, "GET", "/health").json() for port in PORTS}
    for port in PORTS:
        assert {"status", "service", "version", "uptime_seconds", "broker"} <= set(health[port])
        assert health[port]["broker"]["connected"] is True
    assert {row["status"] for row in health.values()} == {"healthy"}
    assert {"core_integration", "prana_telemetry", "governance", "storage"} <= set(health["bucket"])
    assert set(health["bucket"]["core_integration"]) == {"status", "events_received", "agents_tracked"}
    assert call(shared_system, "workflow", "GET", "/healthz").json() == {
        "status": "ok", "service": "workflow-executor"}


def test_status_names_five_services_and_their_links(shared_system):
    ask = lambda: call(shared_system, "core", "GET", "/status").json()
    status = eventually(lambda: (said := ask())["status"] == "healthy" and said, what="all five to be healthy")
    assert set(status["services"]) == {"core", "bucket", "karma", "workflow", "grace"}
    links = {(row["from"], row["to"]): row["status"] for row in status["links"]}
    assert set(links.values()) == {"active"} and {("workflow", "karma"), ("grace", "core")} <= set(links)
    assert {row["state"] for row in status["services"].values()} == {"up"}
    grace = status["services"]["grace"]
    assert (grace["htm"], grace["brain"], grace["kernels_up"]) == ("up", "up", 7)


def test_metrics_are_prometheus_text_by_route(shared_system):
    text = call(shared_system, "console", "GET", "/metrics").text
    assert re.search(r'bhiv_http_requests_total\{port="bucket",method="POST",route="/core/write-event",'
                     r'status="200"\} \d+', text)
    assert "http_user" not in text  # a pattern, never a path
    for line in text.splitlines():
        assert line.startswith("#") or re.fullmatch(r'[a-z_]+(\{[^}]*(\{[a-z_]+\}[^}]*)*\})? \S+', line), line


@pytest.mark.parametrize("port", ["bucket", "karma"])
def test_a_place_that_the_journal_has_not_reached_is_not_queued(shared_system, port):
    seq = write(shared_system).json()["seq"]
    assert call(shared_system, port, "GET", f"/{port}/queue/{seq}").status_code == 200
    for beyond in (seq + 100000, 2**63 - 1):
        answer = call(shared_system, port, "GET", f"/{port}/queue/{beyond}")
        assert answer.status_code == 404 and answer.json()["error_code"] == "NOT_FOUND", answer.text


def test_a_place_that_somebody_else_took_is_known_at_once(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        for _ in range(20):
            seq = peer.publish("core.event.other", {"requester_id": "bhiv_core", "event_type": "q"})["seq"]
            assert call(shared_system, "bucket", "GET", f"/bucket/queue/{seq}").status_code == 200


def test_the_versioned_aliases_answer_the_same(shared_system):
    for path in ("/bucket/contract", "/bucket/queue/1"):
        plain = call(shared_system, "bucket", "GET", path)
        assert call(shared_system, "bucket", "GET", "/v1" + path).json() == plain.json()
    assert call(shared_system, "karma", "GET", "/v1/bucket/contract").status_code == 404


# --- The console's port --------------------------------------------------------------------------


def test_publishing_answers_its_place_in_the_journal(shared_system):
    body = {"topic": "agent.note", "data": {"x": [1, 2.0]}, "trace_id": "t-publish"}
    answer = call(shared_system, "console", "POST", "/bus/publish", body).json()
    assert answer["status"] == "success" and answer["trace_id"] == "t-publish" and answer["seq"] > 0
    page = call(shared_system, "console", "GET", f"/bus/events?from={answer['seq']}&topic=agent.*&limit=1").json()
    assert page["events"][0]["id"] == answer["id"] and page["events"][0]["data"] == {"x": [1, 2.0]}
    live = call(shared_system, "console", "POST", "/bus/publish", {"topic": "some.thing", "data": {}}).json()
    assert live["seq"] == 0


@pytest.mark.parametrize("topic", ["req.bucket.stats", "$bus.stats", "_inbox.a.b", "a..b", "a b", "a."])
def test_only_application_topics_are_published(shared_system, topic):
    answer = call(shared_system, "console", "POST", "/bus/publish", {"topic": topic, "data": {}})
    assert answer.status_code == 400 and answer.json()["error_code"] == "INVALID_TOPIC"


def test_pages_of_the_journal_join_without_a_gap(shared_system):
    whole = call(shared_system, "console", "GET", "/bus/events?limit=1000").json()
    seqs, at = [], 0
    while True:
        page = call(shared_system, "console", "GET", f"/bus/events?from={at}&limit=3").json()
        seqs += [event["seq"] for event in page["events"]]
        at = page["next"]
        if at > page["head"]:
            break
    assert seqs[: whole["count"]] == [event["seq"] for event in whole["events"]]
    ahead = call(shared_system, "console", "GET", "/bus/events?from=999999999")
    assert ahead.status_code == 409 and ahead.json()["error_code"] == "AHEAD"


def test_the_page_allows_nothing_from_elsewhere(shared_system):
    page = call(shared_system, "console", "GET", "/")
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "<script>" not in page.text and "style=" not in page.text
    for path in re.findall(r'(?:href|src)="(/[^"]*)"', page.text):
        assert call(shared_system, "console", "GET", path).status_code == 200, path


def test_the_page_shows_what_was_said_before_it_was_opened_and_can_be_held(shared_system):
    page = call(shared_system, "console", "GET", "/").text
    script = call(shared_system, "console", "GET", "/console.js").text
    ids = set(re.findall(r'id="([a-z]+)"', page))
    assert set(re.findall(r"getElementById\('([a-z]+)'\)", script)) <= ids and "pause" in ids
    for path in re.findall(r"'(/[a-z/]+)\?", script):
        assert call(shared_system, "console", "GET", path, stream=True).status_code == 200, path
    assert "/bus/events" in script and "error.message" in script and "innerHTML" not in script


def resolve(document, schema):
    return document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema


TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}


@pytest.mark.parametrize("port,name", [
    *((port, "health") for port in PORTS), ("bucket", "write_event"), ("bucket", "workflow_write_event"),
    ("bucket", "events"), ("console", "status"), ("console", "bus_publish"), ("console", "bus_events"),
    ("bucket", "karma_forwarding"), ("karma", "error"),
    *(("karma", name) for name in OPERATIONS["karma"] if name.startswith(("karma_", "test_"))
      and OPERATIONS["karma"][name][3] == 200 and name != "karma_queue"),
])
def test_the_document_says_what_is_answered(shared_system, port, name):
    document = call(shared_system, port, "GET", "/openapi.json").json()
    method, path, body, _ = OPERATIONS[port].get(name, ("GET", "/api/v1/karma/nobody", None, 404))
    answer = call(shared_system, port, method, path, body)
    rows = [row for by_method in document["paths"].values() for row in by_method.values()]
    row = next(row for row in rows if row["operationId"] == ("karma_profile" if name == "error" else name))
    said = row["responses"]["200" if answer.status_code == 200 else "default"]
    schema = resolve(document, said["content"]["application/json"]["schema"])
    given = answer.json()
    assert set(schema["required"]) == set(schema["properties"]) <= set(given)
    for field, kind in schema["properties"].items():
        assert given[field] is None or isinstance(given[field], TYPES[kind["type"]]), field


# --- Without the others --------------------------------------------------------------------------


def test_an_open_bus_without_dev_has_limits_and_no_test_helpers(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=()) as system:
        refused = call(system, "karma", "POST", "/v1/test/create-user", {"user_id": "u"})
        assert refused.status_code == 403 and refused.json()["error_code"] == "FORBIDDEN"
        simulated = {**LIFE, "data": {**LIFE["data"], "effective_at": "2030-01-01T00:00:00Z"}}
        assert call(system, "karma", "POST", "/v1/event/", simulated).status_code == 403
        answer = call(system, "bucket", "GET", "/core/events")
        assert answer.headers["RateLimit-Limit"] == "5000"
        assert int(answer.headers["RateLimit-Remaining"]) < 10000 and int(answer.headers["RateLimit-Reset"]) >= 0
        with requests.Session() as session:
            flood = [session.put(system.url("bucket", "/core/karma-forwarding"), data=b"{}", timeout=10)
                     for _ in range(3000)]
        limited = [answer for answer in flood if answer.status_code == 429]
        assert {answer.status_code for answer in flood} <= {401, 429}
        for answer in limited:
            assert int(answer.headers["Retry-After"]) >= 1
            assert answer.json()["error_code"] == "RATE_LIMIT_EXCEEDED"


def test_events_are_durable_with_bucket_away_and_commands_are_queued(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,karma,bridge")) as system:
        eventually(lambda: call(system, "karma", "GET", "/readyz").status_code == 200, what="karma")
        assert call(system, "bucket", "GET", "/health").json()["status"] == "unhealthy"
        assert call(system, "bucket", "GET", "/readyz").status_code == 503
        seq = write(system).json()["seq"]
        assert seq > 0
        stats = call(system, "bucket", "GET", "/core/stats")
        assert stats.status_code == 503 and stats.json()["error_code"] == "SERVICE_UNAVAILABLE"
        read = call(system, "bucket", "GET", "/core/read-context?agent_id=a1&requester_id=bhiv_core")
        assert read.status_code == 504 and read.json()["error_code"] == "TIMEOUT"
        keyed = write(system, headers={"Idempotency-Key": "later"})
        assert keyed.status_code == 202
        queued = keyed.json()
        assert queued["queued"] is True and queued["status"] == "accepted" and queued["seq"] > seq
        assert queued["queue"] == f"/bucket/queue/{queued['seq']}"
        assert call(system, "bucket", "GET", queued["queue"]).status_code == 503


def test_a_write_that_nobody_confirms_says_how_to_repeat_it(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bucket,bridge")) as system:
        eventually(lambda: call(system, "bucket", "GET", "/readyz").status_code == 200, what="bucket")
        event = {"requester_id": "bhiv_core", "event_data": {"event_type": "late", "agent_id": "late"}}
        answers = {}

        def say(key):
            body = event if key else EVENT
            answers[key] = write(system, body, headers={"Idempotency-Key": key} if key else {})

        system.kill("broker", signal.SIGSTOP)
        try:
            threads = [threading.Thread(target=say, args=(key,)) for key in (None, "k")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            system.kill("broker", signal.SIGCONT)
        assert {answer.status_code for answer in answers.values()} == {504}
        said = {key: answer.json()["message"] for key, answer in answers.items()}
        assert "may still be written; repeat it with the same Idempotency-Key" in said["k"]
        assert "may still be written; send an Idempotency-Key to make a repeat safe" in said[None]
        again = lambda: write(system, event, headers={"Idempotency-Key": "k"})
        eventually(lambda: again().status_code == 200, what="the repeat")
        assert again().json()["success"] is True
        assert call(system, "bucket", "GET", "/core/events?agent_id=late").json()["count"] == 1


def test_a_damaged_record_is_named_and_can_be_read_past(bhiv, tmp_path):
    mark = uuid.uuid4().hex
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        eventually(lambda: call(system, "console", "GET", "/readyz").status_code == 200, what="the broker")
        bodies = [{"n": 1}, {"mark": mark}, {"n": 3}]
        seqs = [call(system, "console", "POST", "/bus/publish", {"topic": "agent.note", "data": body}).json()["seq"]
                for body in bodies]
        system.stop()
        flip(tmp_path / "d", mark.encode())
        system.start()
        eventually(lambda: call(system, "console", "GET", "/readyz").status_code == 200, what="the broker")
        answer = call(system, "console", "GET", f"/bus/events?from={seqs[1]}")
        assert answer.status_code == 500 and answer.json()["error_code"] == "INTEGRITY_ERROR"
        assert answer.json()["details"] == {"seq": seqs[1]} and str(seqs[1]) in answer.json()["message"]
        before = call(system, "console", "GET", f"/bus/events?from={seqs[0]}").json()
        assert [event["seq"] for event in before["events"]] == [seqs[0]] and before["next"] == seqs[1]
        assert before["head"] == seqs[2]
        rest = call(system, "console", "GET", f"/bus/events?from={seqs[1] + 1}").json()["events"]
        assert [event["seq"] for event in rest] == [seqs[2]]
        with call(system, "console", "GET", "/events/stream?topic=agent.>&from=1", stream=True) as stream:
            lines = stream.iter_lines()
            said = []
            while f"id: {seqs[2]}".encode() not in said:
                said.append(next(lines))
        at = said.index(b"event: dropped")
        assert said[at - 1] == f"id: {seqs[1]}".encode()
        assert json.loads(said[at + 1].removeprefix(b"data: ")) == {"reason": "damaged", "count": 1, "seq": seqs[1]}
        assert f"id: {seqs[0]}".encode() in said[:at]


def flip(folder, text):
    """Changes a bit of `text` wherever it is kept under the folder."""
    found = 0
    for path in folder.rglob("*.mdb"):
        data = bytearray(path.read_bytes())
        at = data.find(text)
        while at >= 0:
            data[at] ^= 1
            found += 1
            at = data.find(text)
        path.write_bytes(data)
    assert found > 0


def test_without_a_broker_nothing_is_sent_and_that_is_said(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "bridge")) as system:
        question = call(system, "bucket", "GET", "/core/stats")
        assert question.status_code == 503 and question.json()["error_code"] == "SERVICE_UNAVAILABLE"
        answer = write(system)
        assert answer.status_code == 503 and "nothing was sent" in answer.json()["message"]
        health = call(system, "console", "GET", "/health").json()
        assert health["broker"]["connected"] is False and health["status"] == "unhealthy"
        with call(system, "console", "GET", "/events/stream", stream=True) as stream:
            assert stream.status_code == 200  # an EventSource gives up on an error: it waits here
            assert next(stream.iter_lines()) == b"retry: 1000"


def test_an_event_of_the_bus_and_one_of_http_are_the_same(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        seq = peer.publish("core.event.twin", {"requester_id": "bhiv_core", "event_type": "twin", "n": 1})["seq"]
    other = write(shared_system, {"requester_id": "bhiv_core", "event_data": {"event_type": "twin", "n": 1}}).json()
    records = [call(shared_system, "console", "GET", f"/bus/events?from={at}&limit=1").json()["events"][0]
               for at in (seq, other["seq"])]
    assert records[0]["data"] == records[1]["data"] and records[0]["topic"] == records[1]["topic"]


# --- The process ---------------------------------------------------------------------------------


def bridge(bhiv, folder, *args):
    """`bhiv bridge` alone, which ends by itself: its exit status and what it said."""
    done = subprocess.run([bhiv, "bridge", "--dir", str(folder), *args], capture_output=True, text=True,
                          timeout=20, check=False)
    return done.returncode, done.stderr


def test_it_serves_nobody_beyond_loopback_without_being_told_to(bhiv, tmp_path):
    status, words = bridge(bhiv, tmp_path / "d", "--http-bind", "0.0.0.0")
    assert status == 78 and "BHIV_ALLOW_ANONYMOUS" in words


def test_a_port_in_use_is_named(bhiv, tmp_path):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        status, words = bridge(bhiv, tmp_path / "d", "--karma-port", "0", "--bucket-port", str(port))
    assert status == 75 and str(port) in words


def test_what_is_being_handled_is_finished_before_the_end(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        eventually(lambda: call(system, "console", "GET", "/readyz").status_code == 200, what="the broker")
        answers = []
        keyed = {"Idempotency-Key": "at the end"}  # waits for Bucket, which is not there
        thread = threading.Thread(target=lambda: answers.append(write(system, headers=keyed)))
        thread.start()
        eventually(lambda: call(system, "console", "GET", "/bus/stats").json()["head"] == 1, what="the event")
        pid = os.pidfd_open(system.pid("bridge"))
        system.kill("bridge", signal.SIGTERM)
        thread.join()
        assert select.select([pid], [], [], 10)[0], "the bridge did not stop"
        os.close(pid)
    assert answers[0].status_code == 202 and answers[0].json()["seq"] == 1

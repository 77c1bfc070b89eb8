"""The Workflow Executor's part of the HTTP contract (docs/contract.md section 7), and the same by
the bus. What its adapters do with real servers is in tests/integration/test_workflow.py."""

import uuid

import pytest
import requests
from support.peer import Peer
from support.system import eventually
from support.workflow import (
    body_of, event_of, events_of, get, head, journaled, post, result, run, settled,
)

# What each action must have, in the order in which it is looked for.
NEEDS = {
    "task": [("title", "missing_task_title")],
    "whatsapp": [("recipient", "missing_recipient"), ("message", "missing_message")],
    "email": [("recipient", "missing_recipient"), ("subject", "missing_subject"), ("body", "missing_body")],
    "ai": [("prompt", "missing_prompt")],
}
WHOLE = {
    "task": {"title": "Review code"},
    "whatsapp": {"recipient": "+919999999999", "message": "Your lesson is ready"},
    "email": {"recipient": "ann@example.org", "subject": "Hello", "body": "Text"},
    "ai": {"prompt": "What is dharma?"},
}


@pytest.fixture(scope="module", autouse=True)
def fixture_settled(shared_system):
    settled(shared_system)


@pytest.fixture(name="peer", scope="module")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="py_workflow") as peer:
        yield peer


@pytest.fixture(name="trace")
def fixture_trace():
    return "trace-" + uuid.uuid4().hex


@pytest.fixture(name="unwritten")
def fixture_unwritten(shared_system, peer):
    """Nothing of what the test asks for is journaled."""
    before = head(peer)
    yield
    said = journaled(peer, "workflow.", before + 1)
    assert said == [], said


def refused(answer, status, code, message=None, field=None):
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert body["status"] == "error" and body["error_code"] == code == body["error"], body
    assert body["detail"] == body["message"]
    if message is not None:
        assert body["message"] == message
    if field is not None:
        assert [row["field"] for row in body["details"]] == [field], body
    assert body["trace_id"] == answer.headers["X-Trace-Id"]


# --- The request ---------------------------------------------------------------------------------


def test_the_seeds_first_example_works_as_written(shared_system):
    body = {"trace_id": "task_123", "decision": "workflow",
            "data": {"workflow_type": "workflow",
                     "payload": {"action_type": "task", "user_id": "user123", "title": "Review code",
                                 "description": "Review authentication module"}}}
    answer = post(shared_system, body)
    assert answer.status_code == 200 and answer.headers["X-Trace-Id"] == "task_123"
    said = answer.json()
    assert said["trace_id"] == "task_123" and said["status"] == "success"
    made = said["execution_result"]
    assert made["success"] is True and made["task_status"] == "CREATED" and made["trace_id"] == "task_123"
    assert made["reference"] == "local://tasks/" + made["task_id"] and made["task_id"].startswith("task_")
    assert made["created_at"].endswith("Z") and made["timestamp"].endswith("Z")
    task = get(shared_system, "/api/workflow/tasks/" + made["task_id"]).json()
    assert task["title"] == "Review code" and task["description"] == "Review authentication module"
    assert task["user_id"] == "user123" and task["trace_id"] == "task_123"


@pytest.mark.parametrize("decision", ["respond", "task", "insight", "fallback"])
@pytest.mark.parametrize("data", [None, {"workflow_type": "workflow", "payload": {"action_type": "task"}}])
def test_another_decision_is_skipped(shared_system, unwritten, decision, data):
    body = {"trace_id": "t-skip", "decision": decision}
    answer = post(shared_system, body if data is None else {**body, "data": data})
    assert answer.status_code == 200
    assert answer.json() == {"trace_id": "t-skip", "status": "skipped", "reason": "decision_not_workflow"}


@pytest.mark.parametrize("decision", ["Workflow", "execute", "workflow ", "x", "respond,workflow"])
def test_an_unknown_decision_is_422(shared_system, unwritten, decision):
    refused(post(shared_system, {**body_of("task", title="x"), "decision": decision}),
            422, "VALIDATION_FAILED", field="decision")


@pytest.mark.parametrize("change,field", [
    ({"decision": None}, "decision"), ({"decision": 5}, "decision"), ({"decision": ""}, "decision"),
    ({"data": "x"}, "data"), ({"data": []}, "data"), ({"trace_id": 5}, "trace_id"),
    ({"trace_id": "t" * 129}, "trace_id"), ({"data": {"payload": {"action_type": "task"}}}, "workflow_type"),
    ({"data": {"workflow_type": "other", "payload": {"action_type": "task"}}}, "workflow_type"),
    ({"data": {"workflow_type": "workflow", "payload": "x"}}, "payload"),
    ({"data": {"workflow_type": "workflow", "payload": {"action_type": "task", "user_id": 5}}}, "user_id"),
    ({"data": {"workflow_type": "workflow", "payload": {"action_type": "task", "execution_id": ""}}}, "execution_id"),
])
def test_a_field_of_the_wrong_shape_is_422_and_named(shared_system, unwritten, change, field):
    body = {**body_of("task", title="x"), **change}
    refused(post(shared_system, body), 422, "VALIDATION_FAILED", field=field)


@pytest.mark.parametrize("data", [
    "absent", None, {"workflow_type": "workflow"}, {"workflow_type": "workflow", "payload": {}},
    {"workflow_type": "workflow", "payload": None},
])
def test_without_a_payload_it_is_400_in_the_originals_words(shared_system, unwritten, data):
    body = {"trace_id": "t", "decision": "workflow", "data": data}
    if data == "absent":
        del body["data"]
    answer = post(shared_system, body)
    refused(answer, 400, "INVALID_REQUEST", "missing_workflow_payload")
    assert answer.json()["detail"] == "missing_workflow_payload"


def test_without_a_trace_one_is_made_and_said(shared_system):
    body = body_of("task", title="x")
    del body["trace_id"]
    answer = post(shared_system, body)
    assert answer.json()["trace_id"] == answer.headers["X-Trace-Id"] != ""
    named = post(shared_system, body, headers={"X-Trace-Id": "mine-" + uuid.uuid4().hex})
    assert named.json()["trace_id"] == named.headers["X-Trace-Id"]
    assert named.json()["trace_id"].startswith("mine-")


# --- The action ----------------------------------------------------------------------------------


@pytest.mark.parametrize("payload,code", [
    ({"title": "x"}, "missing_action_type"), ({"action_type": "", "title": "x"}, "missing_action_type"),
    ({"action_type": None, "title": "x"}, "missing_action_type"),
    ({"action_type": "reminder"}, "unsupported_action_type"), ({"action_type": "Task"}, "unsupported_action_type"),
    ({"action_type": 5}, "unsupported_action_type"), ({"action_type": "x" * 5000}, "unsupported_action_type"),
])
def test_an_action_that_is_none_fails_and_is_told(shared_system, trace, payload, code):
    body = {"trace_id": trace, "decision": "workflow", "data": {"workflow_type": "workflow", "payload": payload}}
    answer = post(shared_system, body)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said["status"] == "failed" and said["execution_result"]["error_code"] == code
    assert said["execution_result"]["success"] is False and said["execution_result"]["message"]
    if code == "unsupported_action_type" and isinstance(payload["action_type"], str):
        assert said["execution_result"]["message"].startswith(f"action_type '{payload['action_type'][:64]}'")
    event = event_of(shared_system, trace)
    assert event["status"] == "failed" and event["execution_result"] == said["execution_result"]


@pytest.mark.parametrize("action", NEEDS)
def test_a_missing_field_fails_by_its_name_in_their_order(shared_system, action):
    missing = dict(WHOLE[action])
    for field, code in NEEDS[action]:
        for nothing in ("", None, 5, [], "absent"):
            payload = {**missing, field: nothing}
            if nothing == "absent":
                del payload[field]
            assert result(shared_system, action, **payload)["error_code"] == code
    for field, code in NEEDS[action]:  # of several that are missing the first is said
        assert result(shared_system, action, **missing | {f: "" for f, _ in NEEDS[action]})["error_code"] == \
            NEEDS[action][0][1]


@pytest.mark.parametrize("action", NEEDS)
def test_content_stands_in_for_the_last_field_and_phone_for_the_recipient(shared_system, action):
    payload = dict(WHOLE[action])
    last = NEEDS[action][-1][0]
    payload["content"] = payload.pop(last)
    if action == "whatsapp":
        payload["phone"] = payload.pop("recipient")
    said = result(shared_system, action, **payload)
    if action == "task":
        assert said["success"] is True
        assert get(shared_system, "/api/workflow/tasks/" + said["task_id"]).json()["title"] == payload["content"]
    else:
        assert said["error_code"] == "adapter_not_configured"


@pytest.mark.parametrize("action", ["whatsapp", "email", "ai"])
def test_an_adapter_without_a_server_fails_and_never_pretends(shared_system, trace, action):
    said = run(shared_system, action, trace, **WHOLE[action])
    assert said["status"] == "failed"
    assert said["execution_result"]["error_code"] == "adapter_not_configured"
    assert said["execution_result"]["was_sent"] is False
    assert event_of(shared_system, trace)["status"] == "failed"


@pytest.mark.parametrize("payload,code", [
    ({"action_type": "email", "recipient": r, "subject": "s", "body": "b"}, "invalid_recipient")
    for r in ("ann", "ann@", "@example.org", "a@b@c", "ann@example.org\r\nBcc: eve@example.org", "a b@example.org",
              "ann@example.org,eve@example.org", "Ann <ann@example.org>", "-oQ/tmp@example.org", "a@" + "x" * 300)
] + [
    ({"action_type": "email", "recipient": "a@b", "subject": "s" * 999, "body": "b"}, "invalid_subject"),
    ({"action_type": "whatsapp", "recipient": "+49\r\n1", "message": "m"}, "invalid_recipient"),
    ({"action_type": "whatsapp", "recipient": "1" * 65, "message": "m"}, "invalid_recipient"),
    ({"action_type": "whatsapp", "recipient": "1", "message": "m" * 16385}, "invalid_message"),
    ({"action_type": "task", "title": "t" * 4097}, "invalid_task_title"),
    ({"action_type": "task", "title": "t", "description": "d" * 262145}, "invalid_task_description"),
    ({"action_type": "ai", "prompt": "p" * 262145}, "invalid_prompt"),
])
def test_a_value_that_no_server_could_take_fails_before_it_is_asked(shared_system, payload, code):
    body = {"trace_id": "t-" + uuid.uuid4().hex, "decision": "workflow",
            "data": {"workflow_type": "workflow", "payload": payload}}
    said = post(shared_system, body).json()["execution_result"]
    assert said["error_code"] == code and said["was_sent"] is False


# --- Once ----------------------------------------------------------------------------------------


def test_the_same_key_and_payload_again_is_the_first_result_and_no_second_act(shared_system, trace):
    payload = {"title": "once", "metadata": {"n": 1}}
    first = run(shared_system, "task", trace, **payload)
    assert run(shared_system, "task", trace, **payload) == first
    turned = run(shared_system, "task", trace, **dict(reversed(payload.items())))
    assert turned == first, "the order of the keys is none of the payload"
    assert run(shared_system, "task", trace, execution_id="2", **payload) != first
    tasks = [task for task in get(shared_system, "/api/workflow/tasks", limit=1000).json()["tasks"]
             if task["trace_id"] == trace]
    assert len(tasks) == 2
    assert len(eventually(lambda: len(events_of(shared_system, trace)) == 2 and events_of(shared_system, trace))) == 2


def test_the_same_key_with_another_payload_is_409(shared_system, trace):
    run(shared_system, "task", trace, title="one")
    for payload in ({"title": "two"}, {"title": "one", "more": 1}, {"title": "one", "user_id": "u"}):
        refused(post(shared_system, body_of("task", trace, **payload)), 409, "DUPLICATE_EXECUTION")
    run(shared_system, "task", trace, title="two", execution_id="b")
    refused(post(shared_system, body_of("task", trace, title="one", execution_id="b")), 409, "DUPLICATE_EXECUTION")
    assert len(get(shared_system, "/api/workflow/executions", trace_id=trace).json()["executions"]) == 2


def test_a_failure_is_a_result_too(shared_system, trace):
    first = run(shared_system, "email", trace, recipient="a@b", subject="s")
    assert run(shared_system, "email", trace, recipient="a@b", subject="s") == first


def test_the_parts_of_a_key_do_not_run_into_each_other(shared_system):
    base = uuid.uuid4().hex
    one = run(shared_system, "task", base + "a", title="x", execution_id="b")
    assert run(shared_system, "task", base, title="x", execution_id="ab") != one
    assert run(shared_system, "task", base + "ab", title="x") != one


def test_an_idempotency_key_gives_the_first_answer_again(shared_system, trace):
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    body = body_of("task", trace, title="x")
    first = post(shared_system, body, headers=headers).json()
    assert post(shared_system, body, headers=headers).json() == first
    refused(post(shared_system, body_of("task", trace, title="y"), headers=headers), 422, "IDEMPOTENCY_KEY_REUSED")


# --- What it leaves ------------------------------------------------------------------------------


def test_each_execution_is_one_event_in_bucket_and_one_in_karma(shared_system, peer, trace):
    user = "u-" + uuid.uuid4().hex
    before = head(peer)
    said = run(shared_system, "task", trace, title="x", user_id=user, metadata={"api_key": "k-1", "deep": [{"Password": 1}]})
    run(shared_system, "whatsapp", trace, execution_id="2", recipient="1", message="m", user_id=user)
    events = {event["status"]: event for event in
              eventually(lambda: len(events_of(shared_system, trace)) == 2 and events_of(shared_system, trace))}
    event = events["success"]
    assert event["requester_id"] == "workflow_executor" and event["trace_id"] == trace
    assert event["action_type"] == "task" and event["execution_result"] == said["execution_result"]
    assert event["user_id"] == user and event["karma"] == "direct" and event["timestamp"].endswith("Z")
    assert event["metadata"] == {"action_type": "task", "title": "x", "user_id": user,
                                 "metadata": {"api_key": "[redacted]", "deep": [{"Password": "[redacted]"}]}}
    assert events["failed"]["execution_id"] == "2"
    profile = eventually(lambda: (lambda p: p.get("action_stats", {}).get("total_actions") == 2 and p)(
        requests.get(shared_system.url("karma", f"/api/v1/karma/{user}"), timeout=10).json()))
    assert profile["balances"]["SevaPoints"] == pytest.approx(0.5, abs=1e-6)  # +1, -0.5
    lives = [body for header, body in journaled(peer, "karma.life_event", before + 1) if body["user_id"] == user]
    assert [life["action"] for life in lives] == ["workflow_success", "workflow_failure"]
    assert lives[0] == {**lives[0], "role": "user", "note": "Workflow execution: task", "source": "workflow_executor",
                        "context": {"trace_id": trace, "action_type": "task", "source": "workflow_executor"}}
    made = [header for header, body in journaled(peer, "workflow.task.created", before + 1) if body["trace_id"] == trace]
    assert len(made) == 1 and made[0]["trace_id"] == trace and made[0]["source"] == "workflow_executor"


def test_without_a_user_the_karma_is_the_systems(shared_system, peer, trace):
    before = head(peer)
    run(shared_system, "task", trace, title="x")
    event_of(shared_system, trace)
    lives = [body for header, body in journaled(peer, "karma.life_event", before + 1)
             if body["context"]["trace_id"] == trace]
    assert [life["user_id"] for life in lives] == ["system"]


# --- What can be read ----------------------------------------------------------------------------


def test_executions_are_listed_the_latest_first_and_by_trace_and_status(shared_system, trace):
    for i in range(3):
        run(shared_system, "task", trace, title="x", execution_id=str(i))
    run(shared_system, "ai", trace, prompt="x", execution_id="3")
    rows = get(shared_system, "/api/workflow/executions", trace_id=trace).json()
    assert [row["execution_id"] for row in rows["executions"]] == ["3", "2", "1", "0"] and rows["count"] == 4
    row = rows["executions"][0]
    assert row["status"] == "failed" and row["action_type"] == "ai" and row["trace_id"] == trace
    assert row["requested_at"] <= row["started_at"] <= row["finished_at"] and row["duration_ms"] >= 0
    assert "payload" not in row
    only = get(shared_system, "/api/workflow/executions", trace_id=trace, status="success", limit=2).json()
    assert [row["execution_id"] for row in only["executions"]] == ["2", "1"]
    newest = get(shared_system, "/api/workflow/executions", limit=1).json()["executions"]
    assert [row["trace_id"] for row in newest] == [trace]
    assert get(shared_system, "/api/workflow/executions", status="failed", limit=1).json()["count"] == 1
    assert get(shared_system, "/api/workflow/executions", status="queued").json()["executions"] == []
    refused(get(shared_system, "/api/workflow/executions", limit=0), 422, "VALIDATION_FAILED", field="limit")


def test_the_status_of_a_trace_has_its_executions_and_the_latest_result(shared_system, trace):
    refused(get(shared_system, "/api/workflow/status/" + trace), 404, "NOT_FOUND")
    run(shared_system, "task", trace, title="x", token="secret")
    last = run(shared_system, "ai", trace, prompt="x", execution_id="2")
    said = get(shared_system, "/api/workflow/status/" + trace).json()
    assert said["trace_id"] == trace and said["status"] == "failed"
    assert said["execution_result"] == last["execution_result"]
    assert [row["action_type"] for row in said["executions"]] == ["ai", "task"]
    assert said["executions"][1]["payload"] == {"action_type": "task", "title": "x", "token": "[redacted]"}


def test_tasks_are_listed_shown_and_completed(shared_system):
    user = "u-" + uuid.uuid4().hex
    ids = [result(shared_system, "task", title=f"n{i}", user_id=user)["task_id"] for i in range(3)]
    listed = get(shared_system, "/api/workflow/tasks", user_id=user).json()
    assert [task["task_id"] for task in listed["tasks"]] == ids[::-1] and listed["count"] == 3
    done = requests.post(shared_system.url("workflow", f"/api/workflow/tasks/{ids[1]}/complete"),
                         json={"note": "well"}, timeout=10)
    assert done.status_code == 200, done.text
    assert done.json()["task_status"] == "COMPLETED" and done.json()["note"] == "well"
    assert done.json()["completed_at"] >= done.json()["created_at"]
    again = requests.post(shared_system.url("workflow", f"/api/workflow/tasks/{ids[1]}/complete"), json={}, timeout=10)
    assert again.json() == done.json() == get(shared_system, "/api/workflow/tasks/" + ids[1]).json()
    by_status = {status: [task["task_id"] for task in get(
        shared_system, "/api/workflow/tasks", user_id=user, status=status).json()["tasks"]]
        for status in ("CREATED", "COMPLETED")}
    assert by_status == {"CREATED": [ids[2], ids[0]], "COMPLETED": [ids[1]]}
    for unknown in ("task_ffffffff", "task_", "x", ids[0] + "0", "task_-0000001", "task_0x000001"):
        refused(get(shared_system, "/api/workflow/tasks/" + unknown), 404, "NOT_FOUND")
        refused(requests.post(shared_system.url("workflow", f"/api/workflow/tasks/{unknown}/complete"), json={},
                              timeout=10), 404, "NOT_FOUND")


def test_healthz_is_the_originals_and_health_counts(shared_system):
    said = get(shared_system, "/healthz").json()
    assert said["status"] == "ok" and said["service"] == "workflow-executor"
    run(shared_system, "task", title="x")
    block = eventually(lambda: get(shared_system, "/health").json()["executions"]["total"] and
                       get(shared_system, "/health").json()["executions"])
    assert {"total", "queued", "started", "tasks", "ended"} == set(block)


def test_executions_are_metrics_by_action_status_and_duration(shared_system):
    def counted():
        rows = get(shared_system, "/api/workflow/stats").json()["executions"]["ended"]
        return {(row["action"], row["status"]): row for row in rows}

    before = counted()
    run(shared_system, "task", title="x")
    run(shared_system, "nothing")
    after = counted()
    for key in (("task", "success"), ("other", "failed")):
        assert after[key]["count"] == before.get(key, {"count": 0})["count"] + 1
        assert after[key]["buckets"][-1]["count"] <= after[key]["count"]
        assert [row["le"] for row in after[key]["buckets"]] == sorted(row["le"] for row in after[key]["buckets"])
    text = eventually(lambda: (lambda t: f'bhiv_workflow_seconds_count{{action="task",status="success"}} '
                               f'{after[("task", "success")]["count"]}' in t and t)(
        requests.get(shared_system.url("console", "/metrics"), timeout=10).text))
    assert 'bhiv_workflow_seconds_bucket{action="other",status="failed",le="+Inf"}' in text
    assert 'bhiv_workflow_open{state="queued"} 0' in text


# --- By the bus ----------------------------------------------------------------------------------


def command(peer, body, **header):
    return peer.ask("workflow.execute", body, ack=False, **header)


def test_the_bus_is_answered_as_http_is(shared_system, peer, trace):
    header, body = command(peer, body_of("task", trace, title="x"))
    assert header["status"] == "success" and body == run(shared_system, "task", trace, title="x")
    header, body = command(peer, {"decision": "respond"}, trace_id=trace)
    assert body == {"trace_id": trace, "status": "skipped", "reason": "decision_not_workflow"}
    for bad, code in [({"decision": "x"}, "VALIDATION_FAILED"), ({"decision": "workflow"}, "INVALID_REQUEST"),
                      ({"decision": "workflow", "data": {"workflow_type": "y"}}, "VALIDATION_FAILED"),
                      ({}, "VALIDATION_FAILED"), (body_of("task", trace, title="y"), "DUPLICATE_EXECUTION")]:
        header, body = command(peer, bad)
        assert header["status"] == "error" and body["error_code"] == code, body


def test_a_trace_may_stand_in_the_body_the_payload_or_the_message(peer):
    for place in ("body", "payload", "header"):
        trace, more = f"{place}-{uuid.uuid4().hex}", {}
        asked = body_of("task", trace, title="x")
        if place != "body":
            del asked["trace_id"]
        if place == "payload":
            asked["data"]["payload"]["trace_id"] = trace
        if place == "header":
            more["trace_id"] = trace
        header, body = command(peer, asked, **more)
        assert body["trace_id"] == trace and body["status"] == "success", body
    header, body = command(peer, {k: v for k, v in asked.items() if k != "trace_id"})
    assert body["status"] == "failed" and body["execution_result"]["error_code"] == "missing_trace_id"
    assert body["trace_id"] is None


def test_nobody_else_says_what_became_of_an_execution(shared_system, peer, trace):
    run(shared_system, "task", trace, title="x")
    before = get(shared_system, "/api/workflow/executions", trace_id=trace).json()["executions"]
    refusals = peer.ask("req.workflow.health", {})[1]["refused"]
    peer.publish("workflow.started", {"execution": before[0]["seq"], "boot": "mine"})
    peer.publish("workflow.finished", {"execution": before[0]["seq"], "boot": "mine", "success": False,
                                       "result": {"success": False}, "duration_us": 1})
    eventually(lambda: peer.ask("req.workflow.health", {})[1]["refused"] == refusals + 2)
    assert get(shared_system, "/api/workflow/executions", trace_id=trace).json()["executions"] == before


def test_a_deep_and_a_large_payload_are_taken_or_refused_and_answered(shared_system, trace):
    deep = {}
    for _ in range(15):
        deep = {"x": deep}
    assert run(shared_system, "task", trace, title="x", metadata=deep)["status"] == "success"
    assert event_of(shared_system, trace)["metadata"]["metadata"] == deep
    large = trace + "-large"
    assert run(shared_system, "task", large, title="x", metadata="m" * 950_000)["status"] == "success"
    assert event_of(shared_system, large)["metadata"] == {"omitted": "it is too large"}
    assert get(shared_system, "/api/workflow/status/" + large).status_code == 200
    refused(post(shared_system, body_of("task", title="x", metadata="m" * (1 << 20))), 413, "PAYLOAD_TOO_LARGE")

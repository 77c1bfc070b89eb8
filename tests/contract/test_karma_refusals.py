"""The same for what Karma refuses, does once, and does for whom; on the bus as over HTTP."""

import json
import uuid

import pytest
import requests
from support.karma import (  # its fixtures are used by name
    COMMANDS, QUESTIONS, act, assert_error, call, event, good, plan_of, profile, fixture_settled,
    fixture_peer, fixture_user, fixture_unmoved,
)
from support.peer import Peer
from support.system import System, eventually


# --- Bad input of every kind ---------------------------------------------------------------------

BAD_JSON = ["{", '{"a":1,"a":2}', '{"a":NaN}', '{"a":Infinity}', '{"a":"\\ud800"}', '{"a":1e400}',
            '{"a":9223372036854775808}', '{"a":' + "[" * 30 + "]" * 30 + "}", '{"a":1} x', '{"user_id":"\x01"}', "\xff"]
DOORS = {"event": "/v1/event/", **{name: row[0] for name, row in COMMANDS.items()}}


@pytest.mark.parametrize("path", DOORS.values(), ids=DOORS)
def test_json_that_is_none_is_400_and_changes_nothing(shared_system, unmoved, path):
    for text in BAD_JSON:
        answer = requests.post(shared_system.url("karma", path), data=text.encode("latin-1"), timeout=10)
        assert_error(answer, 400, "MALFORMED_JSON")
    for text in ("[]", '"text"', "5", "null"):
        answer = requests.post(shared_system.url("karma", path), data=text, timeout=10)
        assert_error(answer, 422, "VALIDATION_FAILED")
    large = requests.post(shared_system.url("karma", path), data=b'{"user_id":"' + b"x" * (1 << 20) + b'"}', timeout=10)
    assert_error(large, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_field_missing_or_wrong_is_422_and_named(shared_system, unmoved, peer, name):
    path, topic, body, needs = COMMANDS[name]
    body = {"user_id": "wrong", **body}
    assert_error(call(shared_system, "POST", path, {}), 422, "VALIDATION_FAILED", fields=needs)
    for field in needs:
        without = {key: value for key, value in body.items() if key != field}
        answer = call(shared_system, "POST", path, without)
        assert_error(answer, 422, "VALIDATION_FAILED", f"{field}: is required", [field])
        wrong = (None, [], {}, True, "1") if field == "amount" else (None, [], {}, True, 5, 5.5, "", "x" * 600)
        for bad in wrong:
            assert_error(call(shared_system, "POST", path, {**body, field: bad}), 422, "VALIDATION_FAILED", fields=[field])
            header, answer = peer.ask(topic, {**body, field: bad}, ack=False)
            assert header["status"] == "error" and answer["error_code"] == "VALIDATION_FAILED", (field, bad)
            assert {row["field"] for row in answer["details"]} == {field}


@pytest.mark.parametrize("name,field,bads", [
    ("log_action", "note", (5, [], "x" * 4097)), ("log_action", "context", (5, [], True, "x" * 65537)),
    ("log_action", "metadata", (5, "text", [])), ("log_action", "source", (5, "x" * 101)),
    ("log_action", "effective_at", (5, "today", "")), ("log_action", "affected_user_id", (5, "", "x" * 256)),
    ("appeal", "context", (5, [])), ("atonement", "proof_text", (5, "x" * 4097)),
    ("atonement", "tx_hash", (5, "x" * 256)), ("death_event", "effective_at", ("never",)),
    ("log_action", "timestamp", ("yesterday", 5)),
])
def test_a_wrong_field_that_is_not_needed_is_422_too(shared_system, unmoved, name, field, bads):
    path, _, body, _ = COMMANDS[name]
    for bad in bads:
        answer = call(shared_system, "POST", path, {"user_id": "wrong", **body, field: bad})
        assert_error(answer, 422, "VALIDATION_FAILED", fields=[field])


@pytest.mark.parametrize("path", [*DOORS.values(), *(path.format("u") for path in QUESTIONS.values())])
def test_a_wrong_method_is_405_and_says_the_right_one(shared_system, unmoved, path):
    right = "POST" if path in DOORS.values() else "GET"
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {right}:
        answer = call(shared_system, method, path)
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
        assert right in answer.headers["Allow"].split(", ")


# --- Once and again ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_with_a_key_is_done_once(shared_system, user, name):
    act(shared_system, user, "selfless_service")
    path, _, body, _ = COMMANDS[name]
    body = {"user_id": user, **body}
    if name == "atonement":
        body["plan_id"] = plan_of(shared_system, user)["plan_id"]
    if name == "redeem":
        body["token_type"] = "PunyaTokens"
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    first = call(shared_system, "POST", path, body, headers=headers)
    after = profile(shared_system, user)
    assert good(call(shared_system, "POST", path, body, headers=headers)) == good(first)
    assert profile(shared_system, user) == after
    changed = call(shared_system, "POST", path, {**body, "user_id": user + "-2"}, headers=headers)
    assert_error(changed, 422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_on_the_bus_is_answered_as_over_http(shared_system, peer, name):
    path, topic, body, _ = COMMANDS[name]
    answers = []
    for who in ("twin-a-" + uuid.uuid4().hex, "twin-b-" + uuid.uuid4().hex):
        act(shared_system, who, "completing_lessons", effective_at="2026-01-01T00:00:00Z")
        said = {"user_id": who, **body, "effective_at": "2026-01-02T00:00:00Z"}
        if name == "atonement":
            said["plan_id"] = good(call(shared_system, "POST", "/v1/appeal/", {
                "user_id": who, "action": "theft", "effective_at": "2026-01-01T00:00:00Z"}))["plan"]["plan_id"]
        if not answers:
            answer = good(call(shared_system, "POST", path, said))
        else:
            header, answer = peer.ask(topic, said, ack=False)
            assert header["status"] == "success", answer
        answers.append(json.loads(json.dumps(answer).replace(who, "twin")))
    assert answers[0] == answers[1]


def test_what_moves_karma_is_told_live(shared_system, peer, user):
    with Peer(shared_system.ingress, shared_system.egress, source="py_live") as listener:
        listener.subscribe("karma.out.changed")
        act(shared_system, user, "selfless_service")
        topic, _, told = listener.hear()
    assert topic == "karma.out.changed" and told["user_id"] == user and told["token"] == "PunyaTokens"
    assert (told["delta"], told["merit_score"], told["role"], told["role_changed"]) == (25.0, 75.0, "volunteer", True)


# --- Who may -------------------------------------------------------------------------------------


def as_executor(system, method, path, body, how):
    headers = {"X-Requester-Id": "workflow_executor"} if how == "header" else {}
    if how in ("requester_id", "source"):
        body = {**(body or {}), how: "workflow_executor"}
    if how == "query":
        path += ("&" if "?" in path else "?") + "requester_id=workflow_executor"
    return call(system, method, path, body, headers=headers)


@pytest.mark.parametrize("how", ["header", "query", "requester_id", "source"])
@pytest.mark.parametrize("name", COMMANDS)
def test_workflow_executor_uses_the_one_door_and_no_other(shared_system, unmoved, name, how):
    path, _, body, _ = COMMANDS[name]
    answer = as_executor(shared_system, "POST", path, {"user_id": "wf", **body}, how)
    assert_error(answer, 403, "UNAUTHORIZED_ACCESS", "Unauthorized requester")
    seq = int(answer.json()["audit_id"].removeprefix("audit_"))
    page = requests.get(shared_system.url("console", f"/bus/events?from={seq}&limit=1"), timeout=10).json()
    assert page["events"][0]["topic"] == "bucket.refused"
    assert page["events"][0]["data"]["requester_id"] == "workflow_executor"


@pytest.mark.parametrize("how", ["header", "query"])
@pytest.mark.parametrize("name", QUESTIONS)
def test_workflow_executor_reads_nothing(shared_system, unmoved, name, how):
    answer = as_executor(shared_system, "GET", QUESTIONS[name].format("u"), None, how)
    assert_error(answer, 403, "UNAUTHORIZED_ACCESS", "Unauthorized requester")


@pytest.mark.parametrize("how", ["header", "requester_id", "source"])
def test_workflow_executor_writes_through_the_door_and_reads_nothing_there(shared_system, user, how):
    body = {"type": "life_event", "data": {"user_id": user, "action": "workflow_success", "role": "user"}}
    assert good(as_executor(shared_system, "POST", "/v1/event/", body, how))["data"]["merit_score"] == 1.2
    question = {"type": "stats_request", "data": {"user_id": user}}
    assert_error(as_executor(shared_system, "POST", "/v1/event/", question, how), 403, "UNAUTHORIZED_ACCESS")


def test_simulated_time_needs_the_test_helpers(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=()) as system:
        eventually(lambda: call(system, "GET", "/readyz").status_code == 200, what="karma")
        act(system, "u")
        before = profile(system, "u")
        for path, _, body, _ in COMMANDS.values():
            body = {"user_id": "u", **body, "effective_at": "2030-01-01T00:00:00Z"}
            assert_error(call(system, "POST", path, body), 403, "FORBIDDEN")
        late = {"user_id": "u", "effective_at": "2030-01-01T00:00:00Z"}
        assert_error(event(system, "death_event", late), 403, "FORBIDDEN")
        for method, path in (("POST", "create-user"), ("DELETE", "delete-user/u"), ("POST", "fix-timestamps")):
            body = {"user_id": "u"} if method == "POST" else None
            assert_error(call(system, method, "/v1/test/" + path, body), 403, "FORBIDDEN")
        assert profile(system, "u") == before


# --- Without Karma -------------------------------------------------------------------------------


def test_without_karma_questions_are_503_and_commands_wait_for_it(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        eventually(lambda: requests.get(system.url("console", "/readyz"), timeout=10).status_code == 200, what="broker")
        for path in QUESTIONS.values():
            assert_error(call(system, "GET", path.format("u")), 503, "SERVICE_UNAVAILABLE")
        assert_error(event(system, "stats_request", {"user_id": "u"}), 503, "SERVICE_UNAVAILABLE")
        queued = call(system, "POST", "/v1/log-action/", {"user_id": "u", "action": "cheat", "role": "learner"})
        assert queued.status_code == 202
        assert queued.json()["queued"] is True and queued.json()["queue"] == f"/karma/queue/{queued.json()['seq']}"

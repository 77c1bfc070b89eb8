"""What nobody may ask of Bucket: six refusals, the governance violations, seven codes, every door.

CONTRACT section 3 and the seed's "Explicit Non-Capabilities".
"""

import json
import re

import pytest
import requests
from support import audit_verifier
from support.bucket import CHANNELS, DOORS, PATHS, STATUS, Bucket, artifact, good, name
from support.system import eventually

WORDS = {  # word: error code, violation, whether a key of the name trips it too
    "update_artifact": ("IMMUTABLE_ARTIFACT", "attempted_mutation", False),
    "delete_artifact": ("UNAUTHORIZED_DELETION", "attempted_deletion", False),
    "add_field": ("SCHEMA_LOCKED", "attempted_schema_change", True),
    "remove_field": ("SCHEMA_LOCKED", "attempted_schema_change", True),
    "modify_field": ("SCHEMA_LOCKED", "attempted_schema_change", True),
    "schema_change": ("SCHEMA_LOCKED", "attempted_schema_change", True),
    "bypass_validation": ("VALIDATION_REQUIRED", "attempted_validation_bypass", True),
    "priority": ("NO_PRIORITY_BYPASS", "attempted_priority_bypass", True),
    "urgency": ("NO_PRIORITY_BYPASS", "attempted_priority_bypass", True),
    "bypass_governance": ("GOVERNANCE_VIOLATION", "attempted_governance_bypass", True),
    "emergency_override": ("GOVERNANCE_VIOLATION", "attempted_governance_bypass", True),
    "skip_audit": ("GOVERNANCE_VIOLATION", "attempted_audit_bypass", True),
    "hide_operation": ("GOVERNANCE_VIOLATION", "attempted_audit_bypass", True),
    "direct_db_access": ("GOVERNANCE_VIOLATION", "attempted_direct_access", True),
    "raw_query": ("GOVERNANCE_VIOLATION", "attempted_direct_access", True),
}
KEYS = [word for word, row in WORDS.items() if row[2]]
SEED = [  # the seed's six examples, word for word
    ({"action": "update_artifact", "artifact_id": "123", "new_content": {}},
     "IMMUTABLE_ARTIFACT", "Artifacts cannot be modified"),
    ({"action": "delete_artifact", "artifact_id": "123"},
     "UNAUTHORIZED_DELETION", "Deletion requires Owner approval"),
    ({"action": "add_field", "field_name": "custom"}, "SCHEMA_LOCKED", "Schema changes require Owner approval"),
    ({"action": "write_artifact", "bypass_validation": True}, "VALIDATION_REQUIRED", "Validation cannot be bypassed"),
    ({"action": "read_artifact", "product": "gurukul", "requesting_product": "ai_assistant"},
     "UNAUTHORIZED_ACCESS", "Cross-product access denied"),
    ({"action": "write_artifact", "priority": "urgent"}, "NO_PRIORITY_BYPASS", "All requests processed in order"),
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


def assert_refused(bucket, answer, code, violation, who=None):
    """The answer of a violation, its entry in the audit log, and its record."""
    assert answer["status"] == "error" and answer["error_code"] == code, answer
    assert answer["decision"] == "refused" and answer["rule"]
    assert answer["violation_type"] == violation and answer["action_taken"] == "REJECTED"
    assert TIME.fullmatch(answer["timestamp"])
    entry = bucket.entry(answer["audit_id"])
    assert entry["event_type"] == "error" and entry["decision"] == "refused"
    assert entry["error_code"] == code and entry["severity"] in ("WARNING", "ERROR")
    assert who is None or entry["requester_id"] == who
    recorded = bucket.get("/governance/violations")["violations"]
    assert [row["violation_type"] for row in recorded if row["audit_id"] == answer["audit_id"]] == [violation]


# --- The words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("row", range(len(SEED)))
@pytest.mark.parametrize("door", ("http", "bus"))
def test_the_seeds_examples_are_answered_as_the_seed_says(bucket, row, door):
    body, code, message = SEED[row]
    body = {**body, "requester_id": name("m")}
    if door == "http":
        response = bucket.call("POST", "/bucket/request", body)
        assert response.status_code == 403, response.text
        answer = response.json()
        assert answer["error"] == code
    else:
        answer = bucket.by_bus("bucket.request", body)
        assert answer["channel"] == "error_message"
    assert answer["message"] == message
    assert_refused(bucket, answer, code, answer["violation_type"], body["requester_id"])


@pytest.mark.parametrize("word", WORDS)
def test_a_word_as_the_action_or_channel_is_refused_at_the_one_door(bucket, word):
    code, violation, _ = WORDS[word]
    for key in ("action", "channel"):
        body = {key: word, "requester_id": name("m")}
        response = bucket.call("POST", "/bucket/request", body)
        assert response.status_code == 403
        assert_refused(bucket, response.json(), code, violation, body["requester_id"])
        assert_refused(bucket, bucket.by_bus("bucket.request", body), code, violation, body["requester_id"])


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("word", KEYS)
def test_a_word_as_a_key_is_refused_at_every_door(bucket, word, door):
    code, violation, _ = WORDS[word]
    for channel in CHANNELS:
        who = name("m")
        body = {**good(channel), "requester_id": who, word: "false"}
        refused, answer = bucket.through(door, channel, body)
        assert refused == code, answer
    assert_refused(bucket, answer, code, violation, who)


@pytest.mark.parametrize("door", ("http", "request", "bus"))
def test_a_word_is_found_at_any_depth_but_not_in_what_is_the_callers_own(bucket, door):
    deep = artifact(extra={"list": [1, {"raw_query": None}]})
    assert bucket.through(door, "artifact_write", deep)[0] == "GOVERNANCE_VIOLATION"
    own = artifact(tags=["priority", "skip_audit"])
    own["content"] = {word: {"requesting_product": "x"} for word in WORDS}
    assert bucket.through(door, "artifact_write", own)[0] is None
    entry = {**good("audit_append"), "details": {word: True for word in WORDS}}
    assert bucket.through(door, "audit_append", entry)[0] is None


def test_a_word_in_the_query_is_refused_too(bucket):
    for method, path in (PATHS["artifact_write"], PATHS["metadata_query"], ("POST", "/bucket/request")):
        body = {**artifact(), "product": "gurukul", "action": "write_artifact"}
        answer = bucket.call(method, f"{path}?urgency=1", body)
        assert answer.status_code == 403 and answer.json()["error_code"] == "NO_PRIORITY_BYPASS"
    answer = bucket.call("GET", "/bucket/artifact/read?artifact_id=a&product=gurukul&skip_audit=")
    assert answer.json()["error_code"] == "GOVERNANCE_VIOLATION"


def test_a_refusal_comes_before_the_shape(bucket):
    for door in ("http", "request", "bus"):
        code, answer = bucket.through(door, "artifact_write", {"bypass_validation": True})
        assert code == "VALIDATION_REQUIRED", answer


@pytest.mark.parametrize("body", [{}, {"channel": "shell"}, {"action": "drop"}, {"channel": 7}, {"action": None},
                                  {"channel": "write_artifact"}, {"channel": "artifact_write "}])
def test_an_unknown_channel_is_a_governance_violation(bucket, body):
    body = {**body, "requester_id": name("m")}
    response = bucket.call("POST", "/bucket/request", body)
    assert response.status_code == 403
    assert_refused(bucket, response.json(), "GOVERNANCE_VIOLATION", "attempted_unknown_channel", body["requester_id"])
    assert_refused(bucket, bucket.by_bus("bucket.request", body), "GOVERNANCE_VIOLATION",
                   "attempted_unknown_channel", body["requester_id"])


# --- The verbs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", ("", "/v1"))
@pytest.mark.parametrize("method,word", [("PUT", "update_artifact"), ("PATCH", "update_artifact"),
                                         ("DELETE", "delete_artifact")])
def test_the_verbs_on_an_artifact_are_refused(bucket, method, word, prefix):
    artifact_id, who = bucket.put(), name("m")
    path = f"{prefix}/bucket/artifact/{artifact_id}"
    for options in ({"body": {"content": {}, "requester_id": who}}, {"path": f"{path}?requester_id={who}"}):
        answer = bucket.call(method, options.get("path", path), options.get("body"))
        assert answer.status_code == 403
        assert_refused(bucket, answer.json(), WORDS[word][0], WORDS[word][1], who)
        assert bucket.entry(answer.json()["audit_id"])["subject"] == artifact_id
    read = bucket.through("http", "artifact_read", {"artifact_id": artifact_id, "product": "gurukul"})
    assert read[0] is None and read[1]["content"] == {"text": "hello"}


@pytest.mark.parametrize("data", [b"", b"{", b"[1,2]", b"\xff\xfe", b"7", b'{"requester_id":7}'])
def test_a_verb_is_refused_whatever_it_carries(bucket, data):

    answer = requests.put(bucket.system.url("bucket", "/bucket/artifact/x"), data=data, timeout=10)
    assert answer.status_code == 403 and answer.json()["error_code"] == "IMMUTABLE_ARTIFACT"


def test_the_allowed_methods_are_named(bucket):
    answer = bucket.call("POST", "/bucket/artifact/some-id", {})
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "PUT, DELETE, PATCH, OPTIONS"


# --- Products ------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("channel", CHANNELS)
def test_a_request_that_names_two_products_is_refused(bucket, channel, door):
    who = name("m")
    body = {**good(channel), "requester_id": who, "requesting_product": "ai_assistant"}
    code, answer = bucket.through(door, channel, body)
    assert code == "UNAUTHORIZED_ACCESS" and answer["message"] == "Cross-product access denied"
    assert_refused(bucket, answer, code, "attempted_cross_product_access", who)
    same = {**good(channel), "requesting_product": "gurukul"}
    code, _ = bucket.through(door, channel, same)
    assert code == ("ARTIFACT_NOT_FOUND" if channel == "artifact_read" else None)


def test_a_product_in_the_query_is_held_against_the_bodys(bucket):
    for channel in ("artifact_write", "metadata_query", "audit_append"):
        method, path = PATHS[channel]
        for field in ("requesting_product", "product"):
            who = name("m")
            body = {**good(channel), "requester_id": who}
            answer = bucket.call(method, f"{path}?{field}=ai_assistant", body)
            assert answer.status_code == 403, answer.text
            assert_refused(bucket, answer.json(), "UNAUTHORIZED_ACCESS", "attempted_cross_product_access", who)
            answer = bucket.call(method, f"{path}?{field}=gurukul", {**good(channel), "requester_id": who})
            assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("door", ("http", "request", "bus", "bus_request"))
def test_a_write_names_one_product_alone(bucket, door):
    code, _ = bucket.through(door, "artifact_write", {**artifact(), "product": "ai_avatar"})
    assert code == "UNAUTHORIZED_ACCESS"
    assert bucket.through(door, "artifact_write", {**artifact(), "product": "gurukul"})[0] is None


# --- Requesters ----------------------------------------------------------------------------------


def test_a_stranger_writes_no_event_and_reads_no_context(bucket):
    who = name("m")
    body = {"requester_id": who, "event_data": {"event_type": "x"}}
    refused = [bucket.call("POST", "/core/write-event", body),
               bucket.call("GET", f"/core/read-context?agent_id=a&requester_id={who}")]
    for answer in refused:
        assert answer.status_code == 403 and answer.json()["success"] is False
        assert answer.json()["message"] == "Unauthorized requester"
        assert_refused(bucket, answer.json(), "UNAUTHORIZED_ACCESS", "unauthorized_requester", who)
    answer = bucket.peer.ask("core.event.x", {"requester_id": who}, ack=False, idem=name())[1]
    assert answer["error_code"] == "UNAUTHORIZED_ACCESS"
    answer = bucket.by_bus("bucket.context.read", {"agent_id": "a", "requester_id": who})
    assert_refused(bucket, answer, "UNAUTHORIZED_ACCESS", "unauthorized_requester", who)


def test_workflow_executor_writes_and_reads_nothing(bucket):
    body = {"requester_id": "workflow_executor"}
    assert bucket.through("http", "artifact_write", {**artifact(), **body})[0] is None
    assert bucket.through("request", "audit_append", {**good("audit_append"), **body})[0] is None
    for door in DOORS:
        for channel in ("artifact_read", "metadata_query"):
            assert bucket.through(door, channel, {**good(channel), **body})[0] == "UNAUTHORIZED_ACCESS"
    header, _ = bucket.peer.ask("bucket.artifact_read", good("artifact_read"), ack=False, source="workflow_executor")
    assert header["status"] == "error"
    for path in ("/bucket/audit/log", "/bucket/quota", "/governance/threats", "/bucket/audit/checkpoint"):
        answer = bucket.call("GET", f"{path}?requester_id=workflow_executor")
        assert answer.status_code == 403, path
        answer = bucket.call("GET", path, headers={"X-Requester-Id": "workflow_executor"})
        assert answer.status_code == 403, path


# --- Proof ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("door", ("http", "bus", "verb"))
def test_a_refusal_is_proved_by_a_receipt(bucket, door):
    if door == "verb":
        answer = bucket.call("DELETE", "/bucket/artifact/a1").json()
    else:
        answer = bucket.through(door, "artifact_write", {**artifact(), "priority": 1})[1]
    leaf, index = audit_verifier.verify_receipt(bucket.receipt(answer["audit_id"]), bucket.vkey)
    assert answer["audit_id"].encode() in leaf and b"refused" in leaf
    assert bucket.get(f"/bucket/audit/entry/{answer['audit_id']}")["leaf_index"] == index


def test_the_same_key_gets_the_first_refusal_again(bucket):
    body, headers = {**artifact(), "priority": 1}, {"Idempotency-Key": name("key")}
    first, again = (bucket.by_http("artifact_write", body, headers=headers) for _ in range(2))
    assert first.status_code == again.status_code == 403
    assert first.json()["audit_id"] == again.json()["audit_id"]


def test_a_read_keeps_no_answer_for_its_key(bucket):
    """A key is for what changes state: else each page that is read would lie in the store for a day."""
    headers = {"Idempotency-Key": name("key")}
    queries = [good("metadata_query"), good("metadata_query"), {"product": "enforcement"}]
    answers = [bucket.by_http("metadata_query", query, headers=headers) for query in queries]
    assert [answer.status_code for answer in answers] == [200] * 3, answers[-1].text
    assert len({answer.json()["audit_id"] for answer in answers}) == 3


def test_a_key_that_was_used_before_hides_no_violation(bucket):
    """Else whoever sends one used key with everything would never be escalated."""
    who, headers = name("m"), {"Idempotency-Key": name("key")}
    body = {**artifact(), "requester_id": who}
    assert bucket.by_http("artifact_write", body, headers=headers).status_code == 200
    words = ("priority", "urgency", "skip_audit", "raw_query", "add_field")
    answers = [bucket.by_http("artifact_write", {**body, word: 1}, headers=headers) for word in words]
    assert {answer.status_code for answer in answers} == {422}
    assert {answer.json()["error_code"] for answer in answers} == {"IDEMPOTENCY_KEY_REUSED"}
    answers += [bucket.peer.ask("bucket.artifact_write", {**body, "priority": at}, ack=False, idem=f"{who} k")
                for at in range(2)]
    recorded = bucket.get("/governance/violations")["by_requester"][who]
    assert recorded == len(words) + 2
    told = answers[-1][1]
    assert told["escalation"] == "ADVISOR_NOTIFIED" and told["error_code"] == "IDEMPOTENCY_KEY_REUSED"


def test_a_refusal_without_bucket_is_answered_and_recorded_later(system):
    with Bucket(system) as bucket:
        pid = system.kill("bucket")
        answer = bucket.call("PUT", "/bucket/artifact/a1?requester_id=m")
        assert answer.status_code == 403, answer.text
        answer = answer.json()
        assert answer["error_code"] == "IMMUTABLE_ARTIFACT" and answer["decision"] == "refused"
        system.restarted("bucket", pid)
        eventually(lambda: bucket.call("GET", f"/bucket/audit/entry/{answer['audit_id']}").status_code == 200)
        assert bucket.entry(answer["audit_id"])["error_code"] == "IMMUTABLE_ARTIFACT"


# --- The seven codes -----------------------------------------------------------------------------


@pytest.mark.parametrize("door", ("http", "request", "bus", "bus_request"))
def test_the_codes_of_the_seed_come_through_every_door(bucket, door):
    there = bucket.put()
    cases = {
        "DUPLICATE_ARTIFACT_ID": ("artifact_write", artifact(there)),
        "ARTIFACT_NOT_FOUND": ("artifact_read", good("artifact_read")),
        "UNAUTHORIZED_ACCESS": ("artifact_read", {**good("artifact_read"), "requesting_product": "enforcement"}),
        "VALIDATION_FAILED": ("metadata_query", {"product": "gurukul", "filters": {"limit": 1001}}),
        "GOVERNANCE_VIOLATION": ("audit_append", {**good("audit_append"), "hide_operation": 1}),
    }
    for code, (channel, body) in cases.items():
        assert bucket.through(door, channel, body)[0] == code
    # QUOTA_EXCEEDED and RATE_LIMIT_EXCEEDED: test_bucket_limits.py
    assert set(cases) | {"QUOTA_EXCEEDED", "RATE_LIMIT_EXCEEDED"} < set(STATUS)


def test_what_is_told_of_a_refusal_is_bounded(bucket):
    """bucket.refused may come from anybody on the bus."""
    base = {"requester_id": "m", "operation": "x", "error_code": "FORBIDDEN"}
    for change in ({"operation": "x" * 65}, {"operation": ""}, {"error_code": "y" * 65}, {"violation": "v" * 65},
                   {"requester_id": "r" * 256}, {"details": "d" * 70000}, {"subject": "s" * 256},
                   {"error_code": "IO_ERROR"}, {"error_code": "STORE_FULL"}, {"error_code": "nothing"}):
        answer = bucket.by_bus("bucket.refused", {**base, **change})
        assert answer["error_code"] == "VALIDATION_FAILED", change
    told = bucket.peer.ask("bucket.refused", {**base, "violation": "new\nline\x00", "subject": "\x1b[31m"}, ack=False)
    assert told[0]["status"] == "success" and told[1]["error_code"] == "FORBIDDEN"
    assert json.dumps(bucket.entry(told[1]["audit_id"]))

"""The Core-Bucket contract's four channels, through every door: CONTRACT section 3.

Refusals are in test_bucket_refusals.py, the owner's operations and the audit reads in
test_bucket_owner.py, limits in test_bucket_limits.py.
"""

import base64
import hashlib
import json
import re
import signal
import statistics
import threading

import pytest
import requests
from support.bucket import (
    ACTIONS, CHANNELS, DOORS, PRODUCTS, Bucket, artifact, common, good, name, raw_json, took)
from support.system import eventually

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


# --- artifact_write ------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_write_is_confirmed_and_proved(bucket, door):
    body = artifact(retention_days=30, tags=["a", "b"])
    code, answer = bucket.through(door, "artifact_write", body)
    assert code is None
    assert answer["artifact_id"] == body["artifact_id"]
    assert TIME.fullmatch(answer["stored_at"]) and TIME.fullmatch(answer["retention_until"])
    assert answer["stored_at"] < answer["retention_until"]
    assert CHECKSUM.fullmatch(answer["checksum"])
    assert body["artifact_id"] in answer["storage_location"]
    assert answer["decision"] == "allowed" and answer["rule"]
    entry = bucket.entry(answer["audit_id"])
    assert entry["event_type"] == "write" and entry["operation"] == "artifact_write"
    assert entry["decision"] == "allowed" and entry["subject"] == body["artifact_id"]
    assert entry["product"] == "gurukul" and entry["requester_id"] == "bhiv_core"
    assert bucket.receipt(answer["audit_id"]).startswith("c2sp.org/tlog-proof@v1\n")


@pytest.mark.parametrize("door", DOORS)
def test_an_artifact_id_is_unique_in_its_product(bucket, door):
    body = artifact()
    assert bucket.through(door, "artifact_write", body)[0] is None
    code, answer = bucket.through(door, "artifact_write", {**body, "content": {"other": 1}})
    assert code == "DUPLICATE_ARTIFACT_ID" and answer["message"] == "Artifact ID already exists"
    assert answer["decision"] == "refused" and "violation_type" not in answer
    assert bucket.entry(answer["audit_id"])["error_code"] == code
    elsewhere = artifact(body["artifact_id"], product="ai_avatar")
    assert bucket.through(door, "artifact_write", elsewhere)[0] is None
    read = {"artifact_id": body["artifact_id"], "product": "gurukul"}
    assert bucket.through(door, "artifact_read", read)[1]["content"] == body["content"]


def test_eight_racers_for_one_id_have_one_winner(bucket):
    body, codes = artifact(), []
    threads = [threading.Thread(target=lambda: codes.append(bucket.by_http("artifact_write", body).status_code))
               for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200] + [409] * 7


def test_the_retention_is_ninety_days_unless_it_is_said(bucket):
    def kept_for(**metadata):
        answer = bucket.through("http", "artifact_write", artifact(**metadata))[1]
        stored = bucket.get("/bucket/audit/entry/" + answer["audit_id"])["entry"]
        return (stored["details"]["retention_until"] - stored["at"]) / 86_400_000_000

    assert kept_for() == 90 and kept_for(retention_days=1) == 1 and kept_for(retention_days=2555) == 2555


# --- artifact_read -------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_read_answers_the_artifact_and_where_it_comes_from(bucket, door):
    body = artifact(tags=["x"], note="kept")
    written = bucket.through("http", "artifact_write", body)[1]
    request = {"artifact_id": body["artifact_id"], "product": "gurukul", "requester_id": "reader"}
    code, answer = bucket.through(door, "artifact_read", request)
    assert code is None
    assert answer["artifact_id"] == body["artifact_id"] and answer["content"] == body["content"]
    assert answer["metadata"] == body["metadata"] and answer["checksum"] == written["checksum"]
    assert answer["created_at"] == written["stored_at"] <= answer["accessed_at"]
    provenance = answer["provenance"]
    assert provenance["requester_id"] == "bhiv_core" and provenance["audit_id"] == written["audit_id"]
    assert provenance["checksum"] == written["checksum"] and provenance["trace_id"]
    assert f"audit_{provenance['seq']}" == written["audit_id"]
    entry = bucket.entry(answer["audit_id"])
    assert entry["event_type"] == "read" and entry["requester_id"] == "reader"


CONTENT = (
    '{"z":1,"a":[1.0,-0.0,1e300,5e-324,0.1,1.0e15,123456789012345680.0],"max":9223372036854775807,'
    '"min":-9223372036854775808,"nested":{"b":{"c":{"d":[[],{},null,true,false]}}},"":"","\\u00e9\\ud83d\\ude00":'
    '"\\t\\"\\\\\\u2028","2":2,"1":1}'
)


def test_content_comes_back_exactly_as_it_went_in(bucket):
    artifact_id = name()
    raw = '{"artifact_id":"%s","content":%s,"metadata":{"product":"gurukul","created_by":"c","f":2.0}}' % (
        artifact_id, CONTENT)

    answer = requests.post(bucket.system.url("bucket", "/bucket/artifact/write"), data=raw.encode(), timeout=10)
    assert answer.status_code == 200, answer.text
    read = bucket.by_http("artifact_read", {"artifact_id": artifact_id, "product": "gurukul"})
    pairs = dict(raw_json(read))
    wanted = json.loads(raw, parse_float=lambda text: f"f{text}", parse_int=lambda text: f"i{text}",
                        object_pairs_hook=list)

    def numbers(value):
        """Floats by their value (and sign), the rest as it stands."""
        if isinstance(value, str) and re.fullmatch(r"f-?[\d.]+([eE][+-]?\d+)?", value):
            return float(value[1:]).hex()
        if isinstance(value, (list, tuple)):
            return [numbers(part) for part in value]
        return value

    assert numbers(pairs["content"]) == numbers(dict(wanted)["content"])
    assert numbers(pairs["metadata"]) == numbers(dict(wanted)["metadata"])


@pytest.mark.parametrize("door", DOORS)
def test_a_read_with_the_wrong_product_is_as_if_it_were_not_there(bucket, door):
    there = bucket.put(product="enforcement")
    wrong = bucket.through(door, "artifact_read", {"artifact_id": there, "product": "gurukul"})
    missing = bucket.through(door, "artifact_read", {"artifact_id": name(), "product": "gurukul"})
    assert wrong[0] == missing[0] == "ARTIFACT_NOT_FOUND"
    assert wrong[1]["message"] == "Artifact does not exist or access denied"
    assert common(wrong[1]) == common(missing[1]) and wrong[1].keys() == missing[1].keys()
    entries = [bucket.entry(answer["audit_id"]) for _, answer in (wrong, missing)]
    for entry in entries:
        for key in ("audit_id", "seq", "at", "trace_id", "subject"):
            entry.pop(key, None)
    assert entries[0] == entries[1]


def test_a_read_of_anothers_artifact_takes_as_long_as_of_none(bucket):
    there = [bucket.put(product="enforcement") for _ in range(4)]
    times = {"there": [], "missing": []}
    for i in range(120):
        ids = {"there": there[i % 4], "missing": name()}
        for kind, artifact_id in sorted(ids.items(), reverse=i % 2 == 0):
            params = {"artifact_id": artifact_id, "product": "gurukul", "requester_id": name("r")}
            times[kind].append(took(lambda params=params: bucket.by_http("artifact_read", params)))
    there, missing = (statistics.median(times[kind]) for kind in ("there", "missing"))
    assert abs(there - missing) < max(0.5 * min(there, missing), 0.002), (there, missing)


def test_a_wrong_product_is_a_violation_that_only_governance_sees(bucket):
    who, there = name("spy"), bucket.put(product="enforcement")
    code, answer = bucket.through(
        "http", "artifact_read", {"artifact_id": there, "product": "gurukul", "requester_id": who})
    assert code == "ARTIFACT_NOT_FOUND" and "violation_type" not in answer
    violations = bucket.get("/governance/violations")["violations"]
    assert [row["violation_type"] for row in violations if row["requester_id"] == who] == [
        "attempted_cross_product_access"]


# --- metadata_query ------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_a_query_finds_by_tags_and_pages_through(bucket, door):
    tag = name("t")
    ids = [bucket.put(tags=[tag, f"n{i}"]) for i in range(5)]
    bucket.put(product="ai_avatar", tags=[tag])
    found, cursor = [], None
    while True:
        filters = {"tags": [tag], "limit": 2, **({"cursor": cursor} if cursor else {})}
        code, answer = bucket.through(door, "metadata_query", {"product": "gurukul", "filters": filters})
        assert code is None
        assert answer["total"] == 5 and answer["returned"] == len(answer["artifacts"]) <= 2
        assert isinstance(answer["query_time_ms"], int) and answer["query_time_ms"] < 10_000
        found += answer["artifacts"]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert sorted(row["artifact_id"] for row in found) == sorted(ids)
    for row in found:
        assert row["metadata"]["product"] == "gurukul" and TIME.fullmatch(row["created_at"])
        assert "content" not in row
    both = {"product": "gurukul", "filters": {"tags": [tag, "n3"]}}
    assert [row["artifact_id"] for row in bucket.through(door, "metadata_query", both)[1]["artifacts"]] == [ids[3]]
    entry = bucket.entry(answer["audit_id"])
    assert entry["event_type"] == "query" and entry["operation"] == "metadata_query"


def test_a_query_finds_by_time(bucket):
    tag = name("t")
    times = []
    for _ in range(3):
        body = artifact(tags=[tag])
        times.append(bucket.through("http", "artifact_write", body)[1]["stored_at"])

    def total(**filters):
        answer = bucket.through("http", "metadata_query", {"product": "gurukul", "filters": {"tags": [tag], **filters}})
        return answer[1]["total"]

    assert total() == 3
    assert total(created_after=times[0]) == 2 and total(created_before=times[2]) == 2
    assert total(created_after=times[0], created_before=times[2]) == 1
    assert total(created_after="2020-01-01T00:00:00+05:30") == 3
    assert total(created_before="2020-01-01T00:00:00Z") == 0


# --- audit_append --------------------------------------------------------------------------------


@pytest.mark.parametrize("door", DOORS)
def test_an_entry_is_appended_and_its_place_told(bucket, door):
    body = {"event_type": "escalation", "product": "ai_avatar", "details": {"why": name()},
            "severity": "CRITICAL", "requester_id": "auditor"}
    code, answer = bucket.through(door, "audit_append", body)
    assert code is None and TIME.fullmatch(answer["logged_at"])
    found = bucket.get(f"/bucket/audit/entry/{answer['audit_id']}")
    leaf = base64.b64decode(found["leaf"])
    assert found["leaf_index"] == answer["leaf_index"]
    assert base64.b64decode(answer["entry_hash"]) == hashlib.sha256(b"\0" + leaf).digest()
    entry = found["entry"]
    assert entry["event_type"] == "escalation" and entry["severity"] == "CRITICAL"
    assert entry["requester_id"] == "auditor" and entry["product"] == "ai_avatar"
    assert body["details"]["why"] in json.dumps(entry["details"])


def test_the_severity_is_info_unless_it_is_said(bucket):
    answer = bucket.through("http", "audit_append", good("audit_append"))[1]
    assert bucket.entry(answer["audit_id"])["severity"] == "INFO"


# --- Every channel -------------------------------------------------------------------------------

BAD = {
    "artifact_write": [
        ("artifact_id", {"artifact_id": ""}), ("artifact_id", {"artifact_id": 7}),
        ("artifact_id", {"artifact_id": "x" * 256}), ("artifact_id", {"artifact_id": "a\nb"}),
        ("content", {"content": [1]}), ("content", {"content": None}),
        ("metadata", {"metadata": "x"}),
        ("metadata.product", {"metadata": {"product": "Gurukul", "created_by": "c"}}),
        ("metadata.product", {"metadata": {"created_by": "c"}}),
        ("metadata.created_by", {"metadata": {"product": "gurukul"}}),
        ("metadata.retention_days", {"metadata": {"product": "gurukul", "created_by": "c", "retention_days": 0}}),
        ("metadata.retention_days", {"metadata": {"product": "gurukul", "created_by": "c", "retention_days": 2556}}),
        ("metadata.retention_days", {"metadata": {"product": "gurukul", "created_by": "c", "retention_days": "90"}}),
        ("metadata.tags", {"metadata": {"product": "gurukul", "created_by": "c", "tags": "x"}}),
        ("metadata.tags", {"metadata": {"product": "gurukul", "created_by": "c", "tags": [1]}}),
        ("metadata.tags", {"metadata": {"product": "gurukul", "created_by": "c", "tags": ["t"] * 0 + [""]}}),
        ("requester_id", {"requester_id": "r" * 65}),
    ],
    "artifact_read": [
        ("artifact_id", {"artifact_id": ""}), ("product", {"product": "nobody"}),
    ],
    "metadata_query": [
        ("product", {"product": "gurukul "}), ("product", {"product": None}),
        ("filters", {"filters": []}),
        ("filters.limit", {"filters": {"limit": 0}}), ("filters.limit", {"filters": {"limit": 1001}}),
        ("filters.limit", {"filters": {"limit": "10"}}),
        ("filters.created_after", {"filters": {"created_after": "yesterday"}}),
        ("filters.created_before", {"filters": {"created_before": 5}}),
        ("filters.tags", {"filters": {"tags": "a"}}),
        ("filters.cursor", {"filters": {"cursor": "no such cursor"}}),
    ],
    "audit_append": [
        ("event_type", {"event_type": "delete"}), ("event_type", {"event_type": None}),
        ("product", {"product": "x"}), ("details", {"details": "x"}),
        ("severity", {"severity": "info"}), ("severity", {"severity": "FATAL"}),
    ],
}
BAD_CASES = [(channel, i) for channel, rows in BAD.items() for i in range(len(rows))]


@pytest.mark.parametrize("door", ("http", "request", "bus"))
@pytest.mark.parametrize("channel,row", BAD_CASES)
def test_what_is_malformed_is_named(bucket, channel, row, door):
    field, change = BAD[channel][row]
    if door == "http" and channel == "artifact_read" and change == {"artifact_id": 7}:
        pytest.skip("a parameter is text")
    code, answer = bucket.through(door, channel, {**good(channel), **change})
    assert code == "VALIDATION_FAILED", answer
    assert field in [problem["field"] for problem in answer["details"]], answer
    assert "violation_type" not in answer


@pytest.mark.parametrize("channel", CHANNELS)
def test_a_missing_field_is_named(bucket, channel):
    for door in ("http", "bus"):
        code, answer = bucket.through(door, channel, {})
        named = {problem["field"] for problem in answer["details"]}
        assert code == "VALIDATION_FAILED"
        assert {key for key in good(channel) if key != "filters"} <= named, answer


def test_what_is_malformed_leaves_no_trace_over_http_and_an_entry_over_the_bus(bucket):
    before = bucket.head()
    for channel in CHANNELS:
        assert bucket.through("http", channel, {})[0] == "VALIDATION_FAILED"
        assert bucket.through("action", channel, {})[0] == "VALIDATION_FAILED"
    said = [topic for topic, header, _ in bucket.peer.fetch_all([""], before + 1)
            if header["source"] == "bhiv_bridge"]
    assert said == []
    answer = bucket.through("bus", "artifact_write", {})[1]
    assert bucket.entry(answer["audit_id"])["error_code"] == "VALIDATION_FAILED"


def test_an_unknown_parameter_is_named(bucket):
    answer = bucket.by_http("artifact_read", {"artifact_id": "a", "product": "gurukul", "produkt": 1})
    assert answer.status_code == 422 and answer.json()["details"][0]["field"] == "produkt"


@pytest.mark.parametrize("channel", CHANNELS)
def test_every_door_answers_alike(bucket, channel):
    body = good(channel)
    if channel == "artifact_read":
        body["artifact_id"] = bucket.put()
    answers = []
    for door in DOORS:
        if channel == "artifact_write":
            body["artifact_id"] = name()
        code, answer = bucket.through(door, channel, body)
        assert code is None, answer
        answer = common(answer)
        answer.pop("artifact_id", None), answer.pop("storage_location", None)
        if channel == "metadata_query":
            answer = sorted(answer)
        answers.append(answer)
    assert all(answer == answers[0] for answer in answers), answers


@pytest.mark.parametrize("door", ("http", "bus"))
def test_a_trace_reaches_the_entry_and_the_artifact(bucket, door):
    trace, body = name("trace"), artifact()
    if door == "http":
        answer = bucket.by_http("artifact_write", body, headers={"X-Trace-Id": trace})
        assert answer.headers["X-Trace-Id"] == trace
        answer = answer.json()
    else:
        answer = bucket.by_bus("bucket.artifact_write", body, trace_id=trace)
    assert bucket.entry(answer["audit_id"])["trace_id"] == trace
    read = bucket.through(door, "artifact_read", {"artifact_id": body["artifact_id"], "product": "gurukul"})[1]
    assert read["provenance"]["trace_id"] == trace


def test_who_asks_is_the_requester_else_the_creator_else_anonymous(bucket):
    def requester(channel, body):
        return bucket.entry(bucket.through("http", channel, body)[1]["audit_id"])["requester_id"]

    assert requester("artifact_write", {**artifact(), "requester_id": "r"}) == "r"
    assert requester("artifact_write", artifact()) == "bhiv_core"
    assert requester("metadata_query", good("metadata_query")) == "anonymous"


# --- Idempotency ---------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/bucket/artifact/write", "/bucket/request"])
def test_the_same_key_gets_the_first_answer_and_another_body_422(bucket, path):
    body, headers = {"action": ACTIONS["artifact_write"], **artifact()}, {"Idempotency-Key": name("key")}
    first = bucket.call("POST", path, body, headers=headers)
    again = bucket.call("POST", path, body, headers=headers)
    assert first.status_code == 200 and first.json() == again.json()
    other = bucket.call("POST", path, {**body, "content": {}}, headers=headers)
    assert other.status_code == 422 and other.json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"


def test_two_racing_keys_write_once_and_both_are_told_so(bucket):
    for _ in range(20):
        body, headers, answers = artifact(), {"Idempotency-Key": name("key")}, []
        threads = [threading.Thread(target=lambda: answers.append(
            bucket.by_http("artifact_write", body, headers=headers))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [answer.status_code for answer in answers] == [200, 200], [a.text for a in answers]
        assert answers[0].json() == answers[1].json()


# --- Output channels -----------------------------------------------------------------------------


def test_every_output_channel_is_heard_live_without_content(bucket):
    bucket.peer.subscribe("bucket.out.")
    body = artifact(product="ai_avatar")
    assert bucket.through("http", "artifact_write", body)[0] is None
    read = {"artifact_id": body["artifact_id"], "product": "ai_avatar"}
    assert bucket.through("http", "artifact_read", read)[0] is None
    assert bucket.through("http", "metadata_query", good("metadata_query", "ai_avatar"))[0] is None
    assert bucket.through("http", "audit_append", good("audit_append", "ai_avatar"))[0] is None
    assert bucket.through("http", "artifact_write", body)[0] == "DUPLICATE_ARTIFACT_ID"
    heard = {}
    wanted = {f"bucket.out.{channel}.ai_avatar" for channel in (
        "write_confirmation", "read_response", "query_results", "audit_log", "error_message")}
    while not wanted <= heard.keys():
        message = bucket.peer.hear()
        assert message is not None, f"not heard: {wanted - heard.keys()}"
        heard[message[0]] = message[2]
    for topic in wanted:
        assert heard[topic]["channel"] == topic.split(".")[2]
        assert "content" not in heard[topic] and "artifacts" not in heard[topic]
    assert heard["bucket.out.query_results.ai_avatar"]["total"] >= 1
    assert heard["bucket.out.error_message.ai_avatar"]["error_code"] == "DUPLICATE_ARTIFACT_ID"


# --- Versions, and what is late ------------------------------------------------------------------


def test_the_contract_says_its_version_and_how_long_notice_is(bucket):
    contract = bucket.get("/bucket/contract")
    assert contract["version"] == "1.0" and contract["status"] == "active" and contract["notice_days"] == 90
    assert bucket.get("/v1/bucket/contract") == contract


def test_a_write_that_bucket_is_late_for_is_queued_and_a_read_times_out(system):
    with Bucket(system) as bucket:
        kept = bucket.put()
        system.kill("bucket", signal.SIGSTOP)
        body, answers = artifact(), {}
        threads = [
            threading.Thread(target=lambda: answers.update(write=bucket.by_http("artifact_write", body))),
            threading.Thread(target=lambda: answers.update(read=bucket.by_http(
                "artifact_read", {"artifact_id": kept, "product": "gurukul"}))),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers["read"].status_code == 504 and answers["read"].json()["error_code"] == "TIMEOUT"
        queued = answers["write"].json()
        assert answers["write"].status_code == 202 and queued["status"] == "accepted" and queued["queued"] is True
        system.kill("bucket", signal.SIGCONT)
        bucket.ready()
        done = eventually(lambda: (state := bucket.get(f"/bucket/queue/{queued['seq']}"))["state"] != "queued" and state)
        assert done["state"] == "applied" and done["result"]["artifact_id"] == body["artifact_id"]


@pytest.mark.parametrize("product", PRODUCTS)
def test_every_product_has_room_of_its_own(bucket, product):
    bucket.put(product=product)
    quota = bucket.get(f"/bucket/quota?product={product}")
    assert quota["product"] == product and quota["used_bytes"] > 0 and quota["artifacts"] > 0
    assert quota["quota_bytes"] == {
        "ai_assistant": 400, "ai_avatar": 300, "gurukul": 200, "enforcement": 100}[product] * 10**9

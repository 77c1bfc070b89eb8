"""The examples of the Core-Bucket contract as its authors wrote them, by HTTP and by the bus.

`{...}` stands for some object there; the six refusals are in test_bucket_refusals.py.
"""

import pytest
from support.bucket import Bucket, name

SOME = {"note": "some object", "numbers": [1, 2.5, 2**53 + 1]}
OUTPUTS = {  # "Output Channels Core May Receive": the fields of each, and their types
    "write_confirmation": {"artifact_id": str, "status": str, "stored_at": str, "retention_until": str,
                           "storage_location": str},
    "read_response": {"artifact_id": str, "content": dict, "metadata": dict, "created_at": str, "accessed_at": str},
    "query_results": {"artifacts": list, "total": int, "returned": int, "query_time_ms": int},
    "error_message": {"error_code": str, "message": str},
    "audit_log": {"audit_id": str, "event_type": str, "timestamp": str, "product": str, "details": dict},
}


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


def written(artifact_id):
    return {"artifact_id": artifact_id, "content": SOME,
            "metadata": {"product": "ai_assistant", "created_by": "core", "retention_days": 90}}


def test_the_api_reference_works_as_it_is_printed(bucket):
    artifact_id = name("artifact")
    write = bucket.call("POST", "/bucket/artifact/write", written(artifact_id))
    assert write.status_code == 200
    assert write.json().items() >= {"status": "success", "artifact_id": artifact_id}.items()
    assert write.json()["stored_at"].endswith("Z") and write.json()["retention_until"].endswith("Z")

    read = bucket.get(f"/bucket/artifact/read?artifact_id={artifact_id}&product=ai_assistant")
    assert read["status"] == "success" and read["artifact_id"] == artifact_id
    assert read["content"] == SOME and read["metadata"] == written(artifact_id)["metadata"]

    query = bucket.call("POST", "/bucket/artifact/query", {
        "product": "ai_assistant", "filters": {"created_after": "2025-01-01T00:00:00Z", "limit": 100}}).json()
    assert query["status"] == "success" and query["total"] >= query["returned"] >= 1
    assert all({"artifact_id", "metadata", "created_at"} <= set(row) for row in query["artifacts"])

    append = bucket.call("POST", "/bucket/audit/append", {
        "event_type": "read", "product": "ai_assistant", "details": SOME}).json()
    assert append["status"] == "success" and append["audit_id"].startswith("audit_") and append["logged_at"]


def test_the_input_channels_answer_in_the_output_channels(bucket):
    artifact_id = name("artifact")
    asked = [
        ("artifact_write", written(artifact_id), "write_confirmation"),
        ("artifact_write", written(artifact_id), "error_message"),
        ("artifact_read", {"artifact_id": artifact_id, "product": "ai_assistant"}, "read_response"),
        ("metadata_query", {"product": "ai_assistant", "filters": {
            "created_after": "2025-01-28T10:30:00Z", "created_before": "2125-01-28T10:30:00Z", "tags": [],
            "limit": 1000}}, "query_results"),
        ("audit_append", {"event_type": "escalation", "product": "ai_assistant", "details": SOME,
                          "severity": "INFO"}, "audit_log"),
    ]
    for channel, body, output in asked:
        answer = bucket.by_bus(f"bucket.{channel}", {"channel": channel, **body})
        assert answer["channel"] == output, answer
        for field, kind in OUTPUTS[output].items():
            assert isinstance(answer[field], kind), (output, field)


def test_a_fourth_violation_in_an_hour_is_answered_as_failure_handling_says(bucket):
    body = {"action": "update_artifact", "artifact_id": "123", "requester_id": name("core")}
    answers = [bucket.call("POST", "/bucket/request", body).json() for _ in range(4)]
    for answer in answers:
        assert answer["violation_type"] == "attempted_mutation" and answer["action_taken"] == "REJECTED"
        assert answer["timestamp"].endswith("Z")
    assert [answer.get("escalation") for answer in answers] == [None, None, None, "ADVISOR_NOTIFIED"]

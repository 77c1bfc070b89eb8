"""Violations, counted and escalated: once a window, across restarts, by whichever door they came."""

import pytest
from support.bucket import Bucket, artifact, good, name
from support.system import System, eventually


@pytest.fixture(name="bucket")
def fixture_bucket(system):
    with Bucket(system) as bucket:
        yield bucket


def escalations(bucket, who):
    return [body for _, _, body in bucket.journaled("governance.escalation") if body["requester_id"] == who]


def attempts(bucket, who):
    """The same requester's violations, each through another door; the answers in their order."""
    yield bucket.call("PUT", f"/bucket/artifact/a?requester_id={who}").json()
    yield bucket.by_bus("bucket.request", {"action": "delete_artifact", "requester_id": who})
    yield bucket.through("http", "artifact_write", {**artifact(), "priority": 1, "requester_id": who})[1]
    yield bucket.call("POST", "/core/write-event", {"requester_id": who, "event_data": {"event_type": "x"}}).json()
    yield bucket.by_bus("bucket.audit_append", {**good("audit_append"), "raw_query": 1, "requester_id": who})


def test_the_fourth_violation_is_told_to_the_advisor_whatever_the_doors(bucket):
    who = name("m")
    answers = list(attempts(bucket, who))
    assert [answer.get("escalation") for answer in answers] == [None] * 3 + ["ADVISOR_NOTIFIED"] * 2
    said = eventually(lambda: escalations(bucket, who))
    assert len(said) == 1 and said[0]["more_than"] == 3 and said[0]["window_seconds"] == 3600
    assert said[0]["audit_id"] == answers[3]["audit_id"]
    entries = bucket.get("/bucket/audit/log?event_type=escalation")["entries"]
    mine = [entry for entry in entries if entry["requester_id"] == who]
    assert len(mine) == 1 and mine[0]["severity"] == "CRITICAL"
    assert mine[0]["audit_id"] == answers[3]["audit_id"] + ".1"


def test_one_escalation_a_window_across_restarts(system, bucket):
    who = name("m")
    for _ in range(4):
        for answer in attempts(bucket, who):
            last = answer
        pid = system.kill("bucket")
        system.restarted("bucket", pid)
        bucket.ready()
    assert last["escalation"] == "ADVISOR_NOTIFIED"
    # Said after everything else that Bucket had to say: nothing is still on its way behind it.
    other = name("n")
    list(attempts(bucket, other))
    assert len(eventually(lambda: escalations(bucket, other))) == 1
    assert len(escalations(bucket, who)) == 1
    mine = [row for row in bucket.get("/governance/violations")["violations"] if row["requester_id"] == who]
    assert len(mine) == 20


def test_what_is_hidden_escalates_but_never_shows(bucket):
    who, there = name("m"), bucket.put(product="enforcement")
    read = {"artifact_id": there, "product": "gurukul", "requester_id": who}
    for _ in range(5):
        code, answer = bucket.through("http", "artifact_read", read)
        assert code == "ARTIFACT_NOT_FOUND" and "escalation" not in answer and "violation_type" not in answer
    assert len(eventually(lambda: escalations(bucket, who))) == 1
    answer = bucket.call("PUT", f"/bucket/artifact/a?requester_id={who}").json()
    assert "escalation" not in answer, "or it would tell that those artifacts exist"


def test_the_advisor_gets_a_mail_through_workflow(bhiv, tmp_path):
    env = {"BHIV_ADVISOR_EMAIL": "vijay@example.org"}
    with System(bhiv, tmp_path / "d", env=env) as system, Bucket(system) as bucket:
        for requester in ("m1", "m2"):
            for answer in attempts(bucket, requester):
                last = answer
        mails = eventually(lambda: (found := bucket.journaled("workflow.execute")) and len(found) == 2 and found)
        payloads = [body["data"]["payload"] for _, _, body in mails]
        for (_, header, body), payload in zip(mails, payloads, strict=True):
            assert body["decision"] == "workflow" and body["data"]["workflow_type"] == "workflow"
            assert body["trace_id"] == payload["trace_id"] and header["source"] == "bhiv_bucket"
            assert payload["action_type"] == "email" and payload["recipient"] == "vijay@example.org"
            assert payload["subject"] and payload["body"]
        assert len({payload["execution_id"] for payload in payloads}) == 2
        assert "m1" in payloads[0]["body"] and last["escalation"] == "ADVISOR_NOTIFIED"


def test_violations_are_counted_by_type_and_requester(bucket):
    for _ in attempts(bucket, "m"):
        pass
    report = bucket.get("/governance/violations?hours=1")
    assert report["hours"] == 1 and report["total"] == 5 and report["by_requester"] == {"m": 5}
    assert report["by_type"] == {
        "attempted_mutation": 1, "attempted_deletion": 1, "attempted_priority_bypass": 1,
        "unauthorized_requester": 1, "attempted_direct_access": 1}
    newest = report["violations"][0]
    assert newest["violation_type"] == "attempted_direct_access" and newest["action_taken"] == "REJECTED"
    assert newest["threat"] == "T6_AI_ESCALATION" and newest["product"] == "gurukul"
    assert bucket.get("/governance/violations?hours=24&now=2000-01-01T00:00:00Z")["total"] == 5
    assert bucket.get("/governance/violations?hours=24&now=2100-01-01T00:00:00Z")["total"] == 0
    for query in ("hours=0", "hours=169", "hours=x", "days=1"):
        assert bucket.call("GET", f"/governance/violations?{query}").status_code == 422


def test_threats_have_live_counters(bucket):
    before = {row["threat"]: row["blocked"] for row in bucket.get("/governance/threats")["threats"]}
    assert set(before) == {f"T{number}" for number in range(1, 11)} and not any(before.values())
    list(attempts(bucket, "m"))
    duplicate = artifact()
    for _ in range(2):
        bucket.through("http", "artifact_write", duplicate)
    bucket.through("http", "artifact_read", {**good("artifact_read"), "requesting_product": "ai_avatar"})
    after = {row["threat"]: row for row in bucket.get("/governance/threats")["threats"]}
    met = {threat: row["blocked"] for threat, row in after.items() if row["blocked"]}
    assert met == {"T2": 1, "T4": 1, "T6": 3, "T7": 1, "T9": 1}
    assert after["T7"]["id"] == "T7_CROSS_PRODUCT_CONTAMINATION" and after["T7"]["also"] == "T9_CROSS_PRODUCT_LEAK"
    assert after["T7"]["severity"] == "HIGH" and after["T7"]["last"]


def test_an_event_is_followed_to_karma(bucket):
    """The sample that behavioural tracking is measured by."""
    event = {"requester_id": "bhiv_core", "event_data": {"event_type": "agent_result", "agent_id": "a"}}

    def tracked():
        assert bucket.call("POST", "/core/write-event", event).status_code == 200
        return bucket.get("/bucket/sla")["sla"]["behavioural_tracking_under_500ms"].get("samples")

    assert eventually(tracked) >= 1

"""The owner's operations, and what everybody may read of the audit log: CONTRACT sections 3 and 9."""

import base64

import pytest
from support import audit_verifier, owner
from support.bucket import Bucket, artifact, good, name

HOLD = {"product": "gurukul", "hold": True, "reason": "a court asked for it"}
DELETE = {"product": "gurukul", "reason": "its author asked for it"}
OPERATIONS = {
    "bucket.legal_hold": ("POST", "/bucket/legal-hold", {**HOLD, "artifact_id": "a"}),
    "bucket.deletion.approve": ("POST", "/bucket/deletion/approve", {**DELETE, "artifact_id": "a"}),
    "bucket.retention.resume": ("POST", "/bucket/retention/resume", {"reason": "the clock is right"}),
    "bucket.forwarding.set": ("PUT", "/core/karma-forwarding", {"enabled": True}),
}


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


@pytest.mark.parametrize("topic", OPERATIONS)
def test_only_the_owners_credential_opens_the_owners_doors(bucket, topic):
    method, path, body = OPERATIONS[topic]
    answer = bucket.call(method, path, body)
    assert answer.status_code == 401 and answer.json()["error_code"] == "UNAUTHENTICATED"
    assert "Bearer" in answer.headers["WWW-Authenticate"]
    for token in ("wrong", bucket.system.owner_token[:-1], bucket.system.owner_token + "x"):
        answer = bucket.call(method, path, body, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403 and answer.json()["error_code"] == "UNAUTHORIZED_ACCESS"
        assert bucket.entry(answer.json()["audit_id"])["error_code"] == "UNAUTHORIZED_ACCESS"


@pytest.mark.parametrize("topic", OPERATIONS)
def test_the_bus_takes_the_owners_commands_signed_and_once(bucket, topic):
    body = OPERATIONS[topic][2]
    token = bucket.system.owner_token
    signed = owner.sign(token, topic, body)
    forged = [body, {**body, "signed_at": 1, "signature": "A" * 88}, {**signed, "more": 1},
              owner.sign("another token", topic, body), owner.sign(token, "bucket.other", body),
              owner.sign(token, topic, body, signed_at=1)]
    for attempt in forged:
        answer = bucket.by_bus(topic, attempt)
        assert answer["error_code"] == "UNAUTHORIZED_ACCESS", attempt
        assert answer["violation_type"] == "attempted_owner_operation"
    assert bucket.peer.ask(topic, signed, ack=False)[1].get("error_code") in (None, "ARTIFACT_NOT_FOUND")
    again = bucket.by_bus(topic, signed)
    assert again["error_code"] == "UNAUTHORIZED_ACCESS", "a replay"


@pytest.mark.parametrize("topic", OPERATIONS)
def test_the_console_says_nothing_for_the_owner_without_his_credential(bucket, topic):
    for said in (topic, topic + ".more"):
        publish = {"topic": said, "data": OPERATIONS[topic][2]}
        assert bucket.call("POST", "/bus/publish", publish, port="console").status_code == 401
        answer = bucket.call("POST", "/bus/publish", publish, port="console", headers={"Authorization": "Bearer x"})
        assert answer.status_code == 403


def test_a_held_artifact_is_not_deleted_until_it_is_let_go(bucket):
    artifact_id = bucket.put()
    held = bucket.as_owner("POST", "/bucket/legal-hold", {**HOLD, "artifact_id": artifact_id})
    assert held.status_code == 200 and held.json()["hold"] is True, held.text
    entry = bucket.entry(held.json()["audit_id"])
    assert entry["event_type"] == "owner" and entry["subject"] == artifact_id
    refused = bucket.as_owner("POST", "/bucket/deletion/approve", {**DELETE, "artifact_id": artifact_id})
    assert refused.status_code == 409 and refused.json()["error_code"] == "LEGAL_HOLD"
    let_go = bucket.as_owner("POST", "/bucket/legal-hold", {**HOLD, "artifact_id": artifact_id, "hold": False})
    assert let_go.status_code == 200 and let_go.json()["hold"] is False
    deleted = bucket.as_owner("POST", "/bucket/deletion/approve", {**DELETE, "artifact_id": artifact_id})
    assert deleted.status_code == 200, deleted.text
    assert bucket.through("http", "artifact_read", {"artifact_id": artifact_id, "product": "gurukul"})[0] == \
        "ARTIFACT_NOT_FOUND"
    again = bucket.through("http", "artifact_write", artifact(artifact_id))
    assert again[0] == "DUPLICATE_ARTIFACT_ID", "a tombstone keeps the id"
    tombstone = bucket.entry(deleted.json()["audit_id"])
    assert len(tombstone["content_hash"]) == 64 and DELETE["reason"] in str(tombstone)


def test_a_repeated_key_signs_anew_and_acts_once(bucket):
    artifact_id, headers = bucket.put(), {"Idempotency-Key": name("key")}
    body = {**DELETE, "artifact_id": artifact_id}
    first, again = (bucket.as_owner("POST", "/bucket/deletion/approve", body, **headers) for _ in range(2))
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    other = bucket.as_owner("POST", "/bucket/deletion/approve", {**body, "reason": "another"}, **headers)
    assert other.status_code == 422 and other.json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize("change,field", [({"product": "x"}, "product"), ({"reason": ""}, "reason"),
                                          ({"hold": 1}, "hold"), ({"artifact_id": None}, "artifact_id")])
def test_what_is_malformed_is_named(bucket, change, field):
    answer = bucket.as_owner("POST", "/bucket/legal-hold", {**HOLD, "artifact_id": "a", **change})
    assert answer.status_code == 422 and answer.json()["details"][0]["field"] == field


def test_a_refusal_holds_for_the_owner_too(bucket):
    answer = bucket.as_owner("POST", "/bucket/legal-hold", {**HOLD, "artifact_id": "a", "skip_audit": True})
    assert answer.status_code == 403 and answer.json()["error_code"] == "GOVERNANCE_VIOLATION"


def test_nothing_of_the_token_is_in_the_journal(bucket):
    assert bucket.as_owner("PUT", "/core/karma-forwarding", {"enabled": True}).status_code == 200
    token = bucket.system.owner_token
    assert not any(token in str(record) for record in bucket.peer.fetch_all([""]))


# --- The audit log -------------------------------------------------------------------------------


def test_the_log_is_listed_filtered_and_paged(bucket):
    mark = name()
    for severity in ("WARNING", "ERROR", "WARNING"):
        body = {"event_type": "query", "product": "enforcement", "details": {"mark": mark}, "severity": severity}
        assert bucket.through("http", "audit_append", body)[0] is None
    page = bucket.get("/bucket/audit/log?product=enforcement&severity=WARNING&limit=2")
    assert page["count"] == len(page["entries"]) == 2
    assert all(entry["severity"] == "WARNING" and mark in str(entry) for entry in page["entries"])
    first = page["entries"][0]["leaf_index"]
    rest = bucket.get(f"/bucket/audit/log?product=enforcement&after={first}&limit=1000")["entries"]
    assert [entry["severity"] for entry in rest] == ["ERROR", "WARNING"]
    kinds = bucket.get("/bucket/audit/log?event_type=query&product=enforcement")["entries"]
    assert {entry["event_type"] for entry in kinds} == {"query"}
    for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("after=-2", "after"), ("what=1", "what")):
        answer = bucket.call("GET", f"/bucket/audit/log?{query}")
        assert answer.status_code == 422 and answer.json()["details"][0]["field"] == field


def test_an_entry_that_is_not_there_is_404(bucket):
    for path in ("entry/audit_99999999", "receipt/audit_99999999", "entry/x", "proof/inclusion?audit_id=audit_0"):
        answer = bucket.call("GET", f"/bucket/audit/{path}")
        assert answer.status_code == 404 and answer.json()["error_code"] == "AUDIT_ENTRY_NOT_FOUND", path


def test_checkpoint_and_proofs_verify_with_code_of_nobodys_here(bucket):
    answer = bucket.call("GET", "/bucket/audit/checkpoint")
    answer.encoding = "utf-8"
    assert answer.headers["Content-Type"].startswith("text/plain")
    old_size, old_root = audit_verifier.open_checkpoint(answer.text, bucket.vkey)
    written = bucket.through("http", "artifact_write", good("artifact_write"))[1]
    answer = bucket.call("GET", "/bucket/audit/checkpoint")
    answer.encoding = "utf-8"
    size, root = audit_verifier.open_checkpoint(answer.text, bucket.vkey)
    assert size > old_size, "a checkpoint covers everything answered before"
    proof = bucket.get(f"/bucket/audit/proof/inclusion?audit_id={written['audit_id']}&tree_size={size}")
    leaf = base64.b64decode(bucket.get(f"/bucket/audit/entry/{written['audit_id']}")["leaf"])
    path = [base64.b64decode(node) for node in proof["path"]]
    assert audit_verifier.root_of(
        proof["leaf_index"], size, audit_verifier.sha(b"\0" + leaf), path) == root
    consistency = bucket.get(f"/bucket/audit/proof/consistency?from={old_size}&to={size}")
    assert consistency["from"] == old_size and consistency["to"] == size and consistency["path"]
    assert old_root != root


@pytest.mark.parametrize("path", ["proof/inclusion?audit_id=audit_3&tree_size=0",
                                  "proof/consistency?to=1", "proof/consistency?from=x"])
def test_a_bad_proof_request_is_422(bucket, path):
    assert bucket.call("GET", f"/bucket/audit/{path}").status_code == 422

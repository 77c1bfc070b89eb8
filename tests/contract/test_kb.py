"""The knowledge base's endpoints on the console's port, and Core's /query-kb: shapes, refusals, limits. CONTRACT
sections 6 and 8."""

import hashlib
import json
import uuid

import pytest
import requests
from support.system import eventually

TEXT = "Karma is action. What one does returns."


@pytest.fixture(scope="module", name="system")
def fixture_system(shared_system):
    eventually(lambda: requests.get(shared_system.url("core", "/readyz"), timeout=10).status_code == 200, what="Core")
    return shared_system


def documents(system, path="", **options):
    return system.url("console", "/kb/documents") + path


def add(system, body, **options):
    return requests.post(documents(system), json=body, timeout=30, **options)


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == "error" and body["error_code"] == code == body["error"]
    assert body["message"] == body["detail"] and body["trace_id"] == answer.headers["X-Trace-Id"]
    return body


def fresh():
    return f"doc-{uuid.uuid4()}"


# --- Shapes --------------------------------------------------------------------------------------


def test_post_adds_and_answers_what_it_made_of_it(system):
    name = fresh()
    answer = add(system, {"document_id": name, "text": TEXT, "title": "T", "book": "B", "type": "t", "version": "1",
                          "source": "here", "quality_score": 0.5, "trust_score": 1})
    assert answer.status_code == 200
    assert answer.json() == {"status": "success", "document_id": name, "action": "added", "part": 1, "parts": 1,
                             "chunks": 1, "sha256": hashlib.sha256(TEXT.encode()).hexdigest()}
    assert add(system, {"document_id": name, "text": TEXT}).json()["action"] == "updated"
    assert add(system, {"document_id": name, "text": TEXT}).json()["action"] == "unchanged"
    assert add(system, {"document_id": name, "text": TEXT + " More."}).json()["action"] == "replaced"


def test_get_lists_in_pages_and_shows_one(system):
    names = sorted(f"page/{fresh()}" for _ in range(5))
    for name in names:
        assert add(system, {"document_id": name, "text": TEXT, "version": "7"}).status_code == 200
    page = requests.get(documents(system), params={"limit": 2, "after": "page/"}, timeout=10).json()
    assert [row["document_id"] for row in page["documents"]] == names[:2]
    assert page["count"] == 2 and page["next"] == names[1] and page["damaged"] == 0
    assert page["totals"]["documents"] >= 5
    row = page["documents"][0]
    assert set(row) == {"document_id", "title", "book", "type", "version", "source", "quality_score", "trust_score",
                        "parts", "parts_missing", "chunks", "words", "bytes", "sha256", "added_at", "updated_at",
                        "seq"}
    assert row["title"] == row["document_id"] and row["version"] == "7" and row["book"] is None
    assert row["words"] == 7 and row["bytes"] == len(TEXT) and row["chunks"] == 1
    shown = requests.get(documents(system, "/" + names[0].replace("/", "%2F")), timeout=10).json()
    assert shown["documents"] == [row]


def test_delete_takes_a_document_away(system):
    name = f"a b/ü {fresh()}"
    assert add(system, {"document_id": name, "text": TEXT}).status_code == 200
    path = "/" + requests.utils.quote(name, safe="")
    gone = requests.delete(documents(system, path), timeout=30)
    assert gone.status_code == 200
    assert gone.json() == {"status": "success", "document_id": name, "action": "removed", "chunks": 1}
    refused(requests.delete(documents(system, path), timeout=30), 404, "NOT_FOUND")
    refused(requests.get(documents(system, path), timeout=30), 404, "NOT_FOUND")


def test_query_kb_answers_as_the_originals_did_and_cites_its_sources(system):
    name = fresh()
    assert add(system, {"document_id": name, "text": "Saffron grows in Kashmir.", "book": "Spices"}).status_code == 200
    answer = requests.post(system.url("core", "/query-kb"), timeout=30,
                           json={"query": "Where does saffron grow?", "filters": {"book": "spices"}}).json()
    assert answer["status"] == "success" and uuid.UUID(answer["task_id"])
    output = answer["agent_output"]
    assert output["response"] == "Saffron grows in Kashmir."
    assert output["status"] == 200 and output["endpoint"] == "knowledge_agent"
    assert output["query"] == "Where does saffron grow?" and output["query_id"] == answer["task_id"]
    source, = output["sources"]
    assert source["document_id"] == name and source["book"] == "Spices" and source["chunks"] == [1]
    result, = output["knowledge_base_results"]
    assert result["text"] == "Saffron grows in Kashmir." and result["score"] == source["score"] > 0
    assert result["offset"] == 0 and result["length"] == 25 and result["chunk"] == 1
    metadata = output["metadata"]
    assert metadata["retriever"] == "bm25" and metadata["total_results"] == 1
    assert metadata["tags"] == ["semantic_search"]
    assert set(output) >= {"response", "query_id", "query", "sources", "metadata", "timestamp", "status", "model",
                           "knowledge_base_results", "endpoint"}


# --- Refusals and limits -------------------------------------------------------------------------


@pytest.mark.parametrize("body, field", [
    ({"text": "x"}, "document_id"),
    ({"document_id": "a"}, "text"),
    ({"document_id": "", "text": "x"}, "document_id"),
    ({"document_id": "a" * 129, "text": "x"}, "document_id"),
    ({"document_id": "a\u0001", "text": "x"}, "document_id"),
    ({"document_id": "a", "text": ""}, "text"),
    ({"document_id": "a", "text": "--"}, "text"),
    ({"document_id": "a", "text": 7}, "text"),
    ({"document_id": "a", "text": "x", "book": 1}, "book"),
    ({"document_id": "a", "text": "x", "quality_score": 1.5}, "quality_score"),
    ({"document_id": "a", "text": "x", "part": 2}, "part"),
    ({"document_id": "a", "text": "x", "part": 0}, "part"),
    ({"document_id": "a", "text": "x", "parts": 65}, "parts"),
])
def test_a_field_that_is_wrong_is_422_and_named(system, body, field):
    details = refused(add(system, body), 422, "VALIDATION_FAILED")["details"]
    assert field in [detail["field"] for detail in details]


def test_a_text_up_to_the_bodys_limit_is_taken_and_one_over_it_is_413(system):
    name = fresh()
    text = ("A line of text that is long enough. " * 30_000)[:1_040_000]
    answer = add(system, {"document_id": name, "text": text})
    assert answer.status_code == 200 and answer.json()["chunks"] > 2000
    row, = requests.get(documents(system, "/" + name), timeout=10).json()["documents"]
    assert row["bytes"] == 1_040_000
    refused(add(system, {"document_id": name, "text": "x " * 600_000}), 413, "PAYLOAD_TOO_LARGE")
    assert requests.delete(documents(system, "/" + name), timeout=30).status_code == 200


def test_a_long_text_can_come_in_parts(system):
    name = fresh()
    for part in (1, 2, 3):
        body = {"document_id": name, "text": f"This is part{part}of{name[4:12]} of it.", "part": part, "parts": 3}
        assert add(system, body).json()["action"] == "added"
    row, = requests.get(documents(system, "/" + name), timeout=10).json()["documents"]
    assert row["parts"] == 3 and row["parts_missing"] == 0 and row["chunks"] == 3 and row["sha256"] is None


def test_what_is_no_json_and_what_is_no_method_are_refused(system):
    answer = requests.post(documents(system), data=b"{", timeout=10, headers={"Content-Type": "application/json"})
    refused(answer, 400, "MALFORMED_JSON")
    answer = requests.put(documents(system), json={}, timeout=10)
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))
    details = refused(requests.get(documents(system), params={"limit": 0}, timeout=10), 422, "VALIDATION_FAILED")
    assert details["details"][0]["field"] == "limit"


def test_an_idempotency_key_gets_the_first_answer_again(system):
    name, key = fresh(), str(uuid.uuid4())
    body = {"document_id": name, "text": TEXT}
    first = add(system, body, headers={"Idempotency-Key": key})
    again = add(system, body, headers={"Idempotency-Key": key})
    assert first.json()["action"] == "added" and again.json() == first.json()
    other = add(system, {**body, "text": "Other."}, headers={"Idempotency-Key": key})
    refused(other, 422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize("filters", [{"author": "x"}, {"book": 7}, {"book": "--"}])
def test_a_filter_that_is_none_fails_the_task_and_says_why(system, filters):
    answer = requests.post(system.url("core", "/query-kb"), timeout=30, json={"query": "x", "filters": filters})
    assert answer.status_code in (200, 422), answer.text
    assert answer.json()["status"] == "error"
    assert any(word in json.dumps(answer.json()) for word in ("may have book", "texts as values", "letters or digits"))

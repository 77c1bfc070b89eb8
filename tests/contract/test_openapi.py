"""Bucket's openapi.json says what its endpoints really take and answer: each is asked as it says, and otherwise."""

import re

import pytest
from support.bucket import Bucket, artifact, name

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list}
PACKET = {"user_id": "u", "session_id": "s", "system_type": "gurukul", "role": "student",
          "timestamp": "2026-01-01T00:00:05Z", "cognitive_state": "ON_TASK", "active_seconds": 5, "idle_seconds": 0,
          "away_seconds": 0, "focus_score": 80, "raw_signals": {}}
EVENT = {"requester_id": "bhiv_core", "event_data": {"event_type": "openapi"}}
OWNED = {"artifact_id": "", "product": "gurukul", "reason": "openapi"}
BODIES = {  # what each operation is well asked with; "" is an artifact that is made for it
    "write_event": EVENT,
    "workflow_write_event": {**EVENT, "requester_id": "workflow_executor"},
    "karma_forwarding": {"enabled": True},
    "artifact_write": None,
    "metadata_query": {"product": "gurukul", "filters": {"limit": 1, "tags": ["a"]}},
    "audit_append": {"event_type": "read", "product": "gurukul", "details": {"a": 1}, "severity": "INFO"},
    "bucket_request": {"channel": "metadata_query", "product": "gurukul"},
    "legal_hold": {**OWNED, "hold": False},
    "deletion_approve": OWNED,
    "retention_resume": {"reason": "openapi"},
    "prana_ingest": PACKET,
}
PARAMS = {
    "read_context": {"agent_id": "a1", "requester_id": "bhiv_core"},
    "artifact_read": {"artifact_id": "", "product": "gurukul"},
    "audit_inclusion": {"audit_id": "audit"},
    "audit_consistency": {"from": 1},
    "audit_entry": {"audit_id": "audit"},
    "audit_receipt": {"audit_id": "audit"},
    "bucket_queue": {"seq": 1},
    "prana_user": {"user_id": "u"},
}
REFUSED = ("artifact_put", "artifact_patch", "artifact_delete")
TWO_PRODUCTS = "requesting_product"  # whatever stands there is refused before the shape is looked at


@pytest.fixture(scope="module", name="bucket")
def fixture_bucket(shared_system):
    with Bucket(shared_system) as bucket:
        yield bucket


@pytest.fixture(scope="module", name="operations")
def fixture_operations(bucket):
    """By name: (method, path, what the document says of it)."""
    document = bucket.get("/openapi.json")
    schemas = document["components"]["schemas"]
    found = {row["operationId"]: (method.upper(), path, row)
             for path, methods in document["paths"].items() for method, row in methods.items()}
    for _, _, row in found.values():
        schema = row["responses"]["default"]["content"]["application/json"]["schema"]
        row["error"] = schemas[schema["$ref"].rsplit("/", 1)[1]]
    return found


def fits(schema, value, at="$"):
    """What is wrong with the value, by the part of JSON Schema that the document uses."""
    if "oneOf" in schema:
        return None if sum(fits(one, value) is None for one in schema["oneOf"]) == 1 else f"{at}: not one of them"
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(isinstance(value, TYPES[kind]) and (kind == "boolean") == isinstance(value, bool)
                         for kind in kinds):
        return f"{at}: {value!r} is no {kinds}"
    missing = [field for field in schema.get("required", []) if field not in value]
    if missing:
        return f"{at}: without {missing}"
    inside = (fits(schema["properties"][field], value[field], f"{at}.{field}")
              for field in schema.get("properties", {}) if field in value)
    return next((problem for problem in inside if problem), None)


def ask(bucket, operations, operation, body=None, params=None):
    method, path, row = operations[operation]
    params = dict(params or {})
    path = re.sub(r"\{(\w+)\}", lambda found: str(params.pop(found[1], "none")), path)
    if "security" in row:
        return bucket.as_owner(method, path, body)
    return bucket.call(method, path, body, params=params)


def made(bucket, asked):
    """The same, of an artifact or an audit entry that is there."""
    if asked is None:
        return artifact(tags=["a"])
    asked = dict(asked)
    if asked.get("artifact_id") == "":
        asked["artifact_id"] = bucket.put()
    if asked.get("audit_id") == "audit":
        asked["audit_id"] = bucket.through("http", "artifact_write", artifact())[1]["audit_id"]
    return asked


def test_every_operation_takes_and_answers_what_the_document_says(bucket, operations):
    for operation, (_, _, row) in operations.items():
        body = made(bucket, BODIES[operation]) if operation in BODIES else None
        params = made(bucket, PARAMS.get(operation, {}))
        assert (body is not None) == ("requestBody" in row), operation
        if body is not None:
            assert row["requestBody"]["required"]
            assert fits(row["requestBody"]["content"]["application/json"]["schema"], body) is None, operation
        listed = {parameter["name"] for parameter in row.get("parameters", [])}
        assert set(params) <= listed, operation
        answer = ask(bucket, operations, operation, body, params)
        assert answer.status_code == (403 if operation in REFUSED else 200), (operation, answer.text)
        if operation in REFUSED:
            assert fits(row["error"], answer.json()) is None and "200" not in row["responses"]
            continue
        for kind, content in row["responses"]["200"].get("content", {}).items():
            assert answer.headers["Content-Type"].startswith(kind), operation
            value = answer.json() if kind == "application/json" else answer.text
            assert fits(content["schema"], value) is None, (operation, fits(content["schema"], value))


def changes(schema, body):
    """(field, body) for each field left out that is needed, and each of a type that it is not."""
    for field, kind in schema["properties"].items():
        if field in schema["required"]:
            yield field, {key: value for key, value in body.items() if key != field}
        if kind.get("type") in TYPES and field != TWO_PRODUCTS:
            yield field, {**body, field: [] if kind["type"] != "array" else "text"}
        for inner, changed in changes(kind, body[field]) if "properties" in kind and field in body else ():
            yield f"{field}.{inner}", {**body, field: changed}


@pytest.mark.parametrize("operation", [operation for operation in BODIES if operation != "bucket_request"])
def test_what_a_body_must_be_is_checked_as_the_document_says(bucket, operations, operation):
    schema = operations[operation][2]["requestBody"]["content"]["application/json"]["schema"]
    schema = schema["oneOf"][1] if "oneOf" in schema else schema
    body, tried = made(bucket, BODIES[operation]), 0
    for field, changed in changes(schema, body):
        if changed.get("artifact_id"):
            changed["artifact_id"] = name()
        answer = ask(bucket, operations, operation, changed)
        assert answer.status_code == 422, (field, answer.text)
        told = [problem["field"] for problem in answer.json()["details"]]
        assert any(one == field or field.startswith(one + ".") for one in told), (field, told)
        assert fits(operations[operation][2]["error"], answer.json()) is None
        tried += 1
    assert tried >= 1


def test_parameters_are_checked_as_the_document_says(bucket, operations):
    for operation, (_, path, row) in operations.items():
        asked = made(bucket, PARAMS.get(operation, {}))
        for parameter in row.get("parameters", []) if operation not in REFUSED else []:
            field, schema = parameter["name"], parameter["schema"]
            if parameter["required"] and parameter["in"] == "query":
                without = {key: value for key, value in asked.items() if key != field}
                assert ask(bucket, operations, operation, params=without).status_code == 422, (operation, field)
            if schema["type"] == "integer" and f"{{{field}}}" not in path:
                for wrong in ("one", schema["minimum"] - 1):
                    answer = ask(bucket, operations, operation, params={**asked, field: wrong})
                    assert answer.status_code == 422, (operation, field, wrong)
        if "parameters" in row and operation not in REFUSED:
            answer = ask(bucket, operations, operation, params={**asked, "no_such": "1"})
            assert answer.status_code == 422, operation


def test_a_command_may_be_answered_202_and_a_question_is_not(operations):
    queued = {operation for operation, (_, _, row) in operations.items() if "202" in row["responses"]}
    assert queued == set(BODIES) - {"metadata_query"}

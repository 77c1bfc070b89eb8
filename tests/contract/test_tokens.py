"""Bearer tokens: who is let in, whom a request may speak for, and what it is shown. CONTRACT sections 1 and 9."""

import concurrent.futures
import json
import os
import pathlib
import re
import resource
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
from support import stopwatch
from support.bucket import artifact, name
from support.peer import Peer
from support.system import eventually, free_port_base
from support.tokens import WRONG, Guarded, people

PORTS = ("karma", "bucket", "core", "workflow", "console")
FREE = ("/health", "/healthz", "/readyz")
REFUSED_TO_ALL = ("IMMUTABLE_ARTIFACT", "UNAUTHORIZED_DELETION", "GOVERNANCE_VIOLATION", "UNAUTHORIZED_ACCESS")


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    with Guarded(bhiv, tmp_path_factory.mktemp("t") / "d") as running:
        running.people = people(running.ready())
        yield running


@pytest.fixture(scope="module", name="who")
def fixture_who(system):
    return system.people


def routes(system, token):
    """(port, method, path) of every endpoint, by the documents that the ports show."""
    for port in PORTS:
        document = system.call(token, "GET", "/openapi.json", port=port)
        assert document.status_code == 200
        for path, methods in document.json()["paths"].items():
            for method in methods:
                if method in ("get", "post", "put", "patch", "delete"):
                    yield port, method.upper(), path.replace("{", "").replace("}", "")


def plain(answer):
    """The body without what is of this one request."""
    return {key: value for key, value in answer.json().items()
            if key not in ("trace_id", "path", "timestamp", "error")}


# --- Who is let in -------------------------------------------------------------------------------


def test_every_endpoint_asks_for_a_token_but_those_of_health(system, who):
    asked = list(routes(system, who.owner))
    assert len(asked) > 90
    for port, method, path in asked:
        answer = requests.request(method, system.url(port, path), timeout=15)
        if path in FREE:
            assert answer.status_code in (200, 503), (port, method, path)
            continue
        assert answer.status_code == 401, (port, method, path, answer.text)
        assert answer.json()["error_code"] == "UNAUTHENTICATED"
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("kind", ["wrong", "expired", "revoked", "other product", "other requester", "right", "owner"])
def test_every_endpoint_knows_every_identity(system, who, kind):
    token, params, status = {
        "wrong": (who.core[:-1] + "x", None, {401}), "expired": (who.expired, None, {401}),
        "revoked": (who.revoked, None, {401}), "other product": (who.core, {"product": "ai_avatar"}, {403}),
        "other requester": (who.core, {"requester_id": "agent_other"}, {403}),
        "right": (who.core, None, None), "owner": (who.owner, None, None)}[kind]
    for port, method, path in routes(system, who.owner):
        if path.startswith(("/events/stream", "/v1/test/")):
            path += "?from=x" if status is None else ""  # else it has no end
        answer = system.call(token, method, path, port=port, params=params)
        allowed = {200, 503} if path in FREE else status
        assert answer.status_code in allowed if allowed else answer.status_code not in (401, 429, 500), \
            (port, method, path, answer.text)
        if kind == "owner" and answer.status_code == 403:  # what nobody may is not his either
            assert answer.json()["error_code"] in REFUSED_TO_ALL, (port, method, path, answer.text)


def test_a_body_that_nobody_vouches_for_is_not_kept(system):
    answer = requests.post(system.url("bucket", "/bucket/audit/append"), data=b"x" * 1000000, timeout=15)
    assert answer.status_code == 401
    answer = requests.post(system.url("bucket", "/bucket/audit/append"), data=b"x" * (1 << 21), timeout=15)
    assert answer.status_code == 413


def test_whatever_is_wrong_with_a_token_the_words_are_the_same(system, who):
    bad = {"expired": f"Bearer {who.expired}", "revoked": f"Bearer {who.revoked}",
           "cut": f"Bearer {who.core[:-1]}", "longer": f"Bearer {who.core}0",
           "another secret": f"Bearer {who.core[:-4]}{'0000' if who.core[-4:] != '0000' else '1111'}", **WRONG}
    said = []
    for kind, header in bad.items():
        answer = requests.get(system.url("bucket", "/core/stats"), timeout=15,
                              headers={"Authorization": header} if header is not None else {})
        assert answer.status_code == 401, kind
        said.append((plain(answer), answer.headers["WWW-Authenticate"]))
    assert all(one == said[0] for one in said), said


@pytest.mark.parametrize("person", ["core", "both", "other", "owner"])
def test_a_good_token_lets_in(system, who, person):
    for port in PORTS:
        answer = system.call(getattr(who, person), "GET", "/openapi.json", port=port)
        assert answer.status_code == 200
    assert system.call(getattr(who, person), "GET", "/core/stats").status_code == 200


def test_a_browser_may_send_the_token_as_a_password(system, who):
    url = system.url("console", "/")
    told = requests.get(url, timeout=15)
    assert told.status_code == 401 and "Basic" in told.headers["WWW-Authenticate"]
    for token, status in ((who.core, 200), (system.owner_token, 200), (who.revoked, 401), ("", 401), ("x" * 600, 401)):
        assert requests.get(url, auth=("anybody", token), timeout=15).status_code == status
    answer = requests.get(url, headers={"Authorization": "Basic ?"}, timeout=15)
    assert answer.status_code == 401


def test_the_owners_credential_lets_in_as_the_owner(system):
    body = {"enabled": True}
    assert system.call(system.owner_token, "GET", "/core/stats").status_code == 200
    assert system.call(system.owner_token, "PUT", "/core/karma-forwarding", body).status_code == 200


def test_the_owners_operations_are_refused_to_everybody_else(system, who):
    hold = {"artifact_id": "a", "product": "gurukul", "hold": True, "reason": "a court asked for it"}
    for person, status in (("core", 403), ("other", 403), ("executor", 403), ("owner", 404)):
        answer = system.call(getattr(who, person), "POST", "/bucket/legal-hold", hold)
        assert answer.status_code == status, (person, answer.text)


def test_a_token_is_good_at_once_and_refused_at_once(system):
    token = system.token("bhiv_core")
    for _ in range(3):
        assert system.call(token, "GET", "/core/stats").status_code == 200
    system.revoke(token)
    assert system.call(token, "GET", "/core/stats").status_code == 401


def test_a_token_ends_with_its_time(system):
    token = system.token("bhiv_core", expires="1500ms")
    assert system.call(token, "GET", "/core/stats").status_code == 200
    eventually(lambda: system.call(token, "GET", "/core/stats").status_code == 401, 10, what="it is over")


def test_a_damaged_file_lets_in_nobody_but_the_owner(bhiv, tmp_path):
    with Guarded(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        token, file = system.token("bhiv_core"), system.folder / "tokens"
        assert system.call(token, "GET", "/openapi.json").status_code == 200
        whole = file.read_text()
        file.write_text(whole + "{\n")
        assert system.call(token, "GET", "/openapi.json").status_code == 401
        assert system.call(system.owner_token, "GET", "/openapi.json").status_code == 200
        file.write_text(whole)
        assert system.call(token, "GET", "/openapi.json").status_code == 200
        file.chmod(0o644)
        assert system.call(token, "GET", "/openapi.json").status_code == 401


def test_a_file_that_could_not_be_opened_is_read_when_it_can_be(bhiv, tmp_path):
    with Guarded(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        first, pid = system.token("bhiv_core"), system.pid("bridge")
        with requests.Session() as session:  # its connection is there before the descriptors are gone

            def status(token):
                return session.get(system.url("bucket", "/openapi.json"), timeout=15,
                                   headers={"Authorization": f"Bearer {token}"}).status_code

            assert status(first) == 200
            used = {int(fd) for fd in os.listdir(f"/proc/{pid}/fd")}
            free = min(set(range(max(used) + 2)) - used)  # what it would be given next
            limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[1]))
            second = system.token("bhiv_core")
            assert status(second) == status(first) == 401
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
            assert status(second) == status(first) == 200
        assert system.log_path.read_text(errors="replace").count("tokens_unreadable") == 1


@pytest.mark.parametrize("kind", ["fifo", "folder", "endless", "loop", "too many", "absent", "empty"])
def test_whatever_stands_in_the_files_place_lets_in_nobody_but_the_owner(bhiv, tmp_path, kind):
    with Guarded(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        token, file, kept = system.token("bhiv_core"), system.folder / "tokens", tmp_path / "kept"
        assert system.call(token, "GET", "/openapi.json").status_code == 200
        file.rename(kept)
        line = json.loads(kept.read_text().splitlines()[0])
        many = (json.dumps({**line, "id": f"{i:012x}", "hash": f"{i:064x}"}) + "\n" for i in range(10000))
        {"fifo": lambda: os.mkfifo(file, 0o600), "folder": file.mkdir, "absent": lambda: None,
         "endless": lambda: file.symlink_to("/dev/zero"), "loop": lambda: file.symlink_to(file),
         "empty": lambda: file.touch(0o600),
         "too many": lambda: (file.touch(0o600), file.write_text(kept.read_text() + "".join(many)))}[kind]()
        assert system.call(token, "GET", "/openapi.json").status_code == 401
        assert system.call(system.owner_token, "GET", "/openapi.json").status_code == 200
        if kind == "folder":
            file.rmdir()
        kept.replace(file)
        assert system.call(token, "GET", "/openapi.json").status_code == 200


# --- Whom it may speak for -----------------------------------------------------------------------

EVENT = {"event_type": "note", "text": "hello"}
HOLD = {"event_type": "read", "details": {"why": "test"}}


def asks(product, requester):
    """(operation, method, path, port, body, params) of what names a product or a requester."""
    who = {"requester_id": requester} if requester else {}
    of = {"product": product} if product else {}
    return [
        ("artifact_write", "POST", "/bucket/artifact/write", "bucket",
         {**artifact(product=product or "gurukul", created_by=requester or "bhiv_core"), **who}, None),
        ("artifact_read", "GET", "/bucket/artifact/read", "bucket", None,
         {"artifact_id": "none", "product": product or "gurukul", **who}),
        ("metadata_query", "POST", "/bucket/artifact/query", "bucket",
         {"product": product or "gurukul", "filters": {"limit": 1}, **who}, None),
        ("audit_append", "POST", "/bucket/audit/append", "bucket",
         {**HOLD, "product": product or "gurukul", **who}, None),
        ("bucket_request", "POST", "/bucket/request", "bucket",
         {**HOLD, "channel": "audit_append", "product": product or "gurukul", **who}, None),
        ("write_event", "POST", "/core/write-event", "bucket", {"event_data": {**EVENT, **of}, **who}, None),
        ("events", "GET", "/core/events", "bucket", None, {"limit": 1, **who}),
        ("bus_publish", "POST", "/bus/publish", "console",
         {"topic": "core.event.note", "data": {**EVENT, **of, "requester_id": requester or "bhiv_core"}}, None),
        ("audit_log", "GET", "/bucket/audit/log", "bucket", None, {"limit": 1, **of, **who}),
        ("quota", "GET", "/bucket/quota", "bucket", None, {**of, **who}),
        ("stats", "GET", "/core/stats?requester_id=" + (requester or "bhiv_core"), "bucket", None, None),
    ]


def names_product(operation):
    return operation not in ("events", "stats")


@pytest.mark.parametrize("product,requester,right", [
    ("gurukul", "bhiv_core", True), ("gurukul", None, True), ("ai_avatar", "bhiv_core", False),
    ("gurukul", "agent_other", False), ("ai_avatar", None, False), ("nonsense", None, False)])
def test_requester_and_product_are_held_against_the_identity(system, who, product, requester, right):
    for operation, method, path, port, body, params in asks(product, requester):
        answer = system.call(who.core, method, path, body, port, params=params)
        is_right = right or (requester in (None, "bhiv_core") and not names_product(operation))
        if is_right:
            assert answer.status_code in (200, 404), (operation, answer.status_code, answer.text)
            continue
        assert answer.status_code == 403, (operation, answer.status_code, answer.text)
        told = answer.json()
        assert told["error_code"] == "UNAUTHORIZED_ACCESS" and told["decision"] == "refused"
        found = system.call(who.owner, "GET", f"/bucket/audit/entry/{told['audit_id']}").json()["entry"]
        assert found["requester_id"] == "bhiv_core", "the identity, not what it claimed"
        assert found["details"]["token"] == who.core.split("_")[1]


@pytest.mark.parametrize("method,path,body,headers", [
    ("POST", "/bucket/artifact/write", artifact(created_by="somebody"), {}),
    ("POST", "/bucket/artifact/write", {**artifact(), "requesting_product": "ai_avatar"}, {}),
    ("GET", "/core/stats", None, {"X-Requester-Id": "agent_other"}),
    ("GET", "/core/events?requester%5Fid=agent_other", None, {}),
    ("GET", "/core/events?requester_id=agent%5Fother", None, {}),
    ("GET", "/core/events?requester_id=bhiv_core&requester_id=agent_other", None, {}),
    ("GET", "/bucket/audit/log?product=gurukul&product=ai_avatar", None, {}),
])
def test_no_spelling_slips_past(system, who, method, path, body, headers):
    answer = system.call(who.core, method, path, body, headers=headers)
    assert answer.status_code == 403, answer.text


def test_the_identity_is_the_requester_where_the_body_names_none(system, who):
    mark = name()
    body = artifact(mark, created_by="bhiv_core")
    assert system.call(who.core, "POST", "/bucket/artifact/write", body).status_code == 200
    read = system.call(who.core, "GET", f"/bucket/artifact/read?artifact_id={mark}&product=gurukul").json()
    assert read["provenance"]["requester_id"] == "bhiv_core"
    event = {"event_data": {**EVENT, "mark": mark}}
    assert system.call(who.core, "POST", "/core/write-event", event).status_code == 200
    assert system.call(who.other, "POST", "/core/write-event", event).status_code == 403
    found = [one for one in system.call(who.core, "GET", "/core/events").json()["events"] if one.get("mark") == mark]
    assert [one["requester_id"] for one in found] == ["bhiv_core"]


@pytest.mark.parametrize("product,status", [
    ("AI_AVATAR", 403), ("ai_avatar ", 403), (" ai_avatar", 403), ("\u0430i_avatar", 403), ("ai_avatar\u200b", 403),
    ("ai\u005favatar", 403), ("../ai_avatar", 403), ("", 403), ("*", 403), ("gurukul,ai_avatar", 403),
    (["ai_avatar"], 422), ({"a": 1}, 422), (1, 422), (None, 422)])
def test_no_spelling_of_a_product_slips_past(system, who, product, status):
    body = {**HOLD, "product": product}
    assert system.call(who.core, "POST", "/bucket/audit/append", body).status_code == status
    assert system.call(who.core, "POST", "/bucket/request", {**body, "channel": "audit_append"}).status_code == status


@pytest.mark.parametrize("path", [
    "/healthz/../core/stats", "/healthz/%2e%2e/core/stats", "/healthz%2f..%2fcore%2fstats", "/core/%73tats",
    "//core/stats", "/core//stats", "/CORE/stats", "/core/stats;a=1", "/core/stats%2f", "/./core/stats"])
def test_no_spelling_of_a_path_goes_round_the_door(system, path):
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", system.base + 1), timeout=15) as sock:
        sock.sendall(request.encode())
        assert sock.makefile("rb").readline().split()[1] in (b"401", b"404")


def test_two_identities_on_one_connection_are_two(system, who):
    def ask(token, more=""):
        who_asks = f"Authorization: Bearer {token}\r\n" if token else ""
        return f"GET /bucket/quota HTTP/1.1\r\nHost: localhost\r\n{who_asks}{more}\r\n"

    with socket.create_connection(("127.0.0.1", system.base + 1), timeout=15) as sock:
        sock.sendall((ask(who.core) + ask(who.other) + ask(None) + ask(who.revoked)
                      + ask(who.owner, "Connection: close\r\n")).encode())
        told = sock.makefile("rb").read()
    assert re.findall(rb"HTTP/1.1 (\d+)", told) == [b"200", b"200", b"401", b"401", b"200"]
    assert re.findall(rb'"product":"(\w+)"', told)[:2] == [b"gurukul", b"ai_avatar"]


def test_a_requester_that_is_null_is_the_identity_and_nobody_else(system, who):
    body = {**HOLD, "product": "gurukul", "requester_id": None}
    wrote = system.call(who.core, "POST", "/bucket/audit/append", body).json()
    entry = system.call(who.owner, "GET", f"/bucket/audit/entry/{wrote['audit_id']}").json()["entry"]
    assert entry["requester_id"] == "bhiv_core"
    posed = {**artifact(created_by="workflow_executor"), "requester_id": None}
    for path, body, port in (("/bucket/artifact/write", posed, "bucket"),
                             ("/bucket/request", {**posed, "channel": "artifact_write"}, "bucket"),
                             ("/bus/publish", {"topic": "bucket.artifact_write", "data": posed}, "console")):
        answer = system.call(who.core, "POST", path, body, port)
        assert answer.status_code == 403, (path, answer.text)


@pytest.mark.parametrize("handler,status", [("self_healing", 403), ("hunter", 403), ("stress_runner", 403), ("rev", 200)])
def test_what_acts_on_the_system_is_enqueued_by_the_owner_alone(system, who, handler, status):
    task = {"task_type": "restart_peer", "handler": handler, "context": {"part": "none"}}
    said = {"topic": "task.enqueue", "data": task}
    assert system.call(who.core, "POST", "/htm/tasks", task, "console").status_code == status
    assert system.call(who.core, "POST", "/bus/publish", said, "console").status_code == status
    assert system.call(who.owner, "POST", "/htm/tasks", task, "console").status_code == 200


def test_a_task_is_cancelled_and_requeued_by_who_enqueued_it(system, who):
    def enqueue():
        task = {"task_type": "anything", "handler": "nobody_has_this"}
        return system.call(who.core, "POST", "/htm/tasks", task, "console").json()["task_id"]

    for method, path in (("DELETE", ""), ("POST", "/cancel"), ("POST", "/requeue")):
        task = enqueue()
        body = {} if path == "/cancel" else None
        for spelling in (task, task.replace("_", "%5F")):
            theirs = system.call(who.other, method, f"/htm/tasks/{spelling}{path}", body, "console")
            absent = system.call(who.other, method, f"/htm/tasks/task_999999999{path}", body, "console")
            assert theirs.status_code == absent.status_code == 404 and plain(theirs) == plain(absent)
        assert system.call(who.core, "GET", f"/htm/tasks/{task}", port="console").json()["status"] == "waiting"
        answer = system.call(who.core, method, f"/htm/tasks/{task}{path}", body, "console")
        assert answer.status_code == (409 if path == "/requeue" else 200), answer.text
    for topic in ("task.cancel", "task.requeue"):
        said = {"topic": topic, "data": {"task_id": enqueue()}}
        assert system.call(who.other, "POST", "/bus/publish", said, "console").status_code == 403


def test_the_executor_reads_nothing_of_bucket_whatever_it_claims(system, who):
    for path in ("/core/events", "/core/stats", "/bucket/audit/log"):
        assert system.call(who.executor, "GET", path).status_code == 403
    event = {"event_data": {"event_type": "workflow_execution"}}
    assert system.call(who.executor, "POST", "/workflow/write-event", event).status_code == 200
    reads_none = system.token("workflow_executor", "gurukul")
    kept = {**HOLD, "product": "gurukul"}
    for token in (who.core, reads_none):
        assert system.call(token, "POST", "/bucket/audit/append", kept).status_code == 200
    asked = "/bus/events?topic=bucket.audit_append&limit=1000"
    assert system.call(who.core, "GET", asked, port="console").json()["count"] > 0
    assert system.call(reads_none, "GET", asked, port="console").json()["count"] == 0


@pytest.mark.parametrize("topic,status", [
    ("core.event.note", 200), ("agent.note", 200), ("mine.note", 200), ("bucket.refused", 403),
    ("karma.config", 403), ("bucket.out.audit_log.gurukul", 403), ("governance.escalation", 403),
    ("workflow.finished", 403), ("bucket.legal_hold", 403), ("crypto.key.created", 403)])
def test_what_services_say_is_said_by_nobody_else(system, who, topic, status):
    body = {"topic": topic, "data": {**EVENT, "requester_id": "bhiv_core"}}
    answer = system.call(who.core, "POST", "/bus/publish", body, "console")
    assert answer.status_code == status, answer.text


def test_an_idempotency_key_belongs_to_its_identity(system, who):
    key, body = {"Idempotency-Key": name("key")}, {"user_id": name("u"), "action": "cheat", "role": "learner"}
    first = system.call(who.core, "POST", "/v1/log-action", body, "karma", headers=key)
    again = system.call(who.core, "POST", "/v1/log-action", body, "karma", headers=key)
    theirs = system.call(who.other, "POST", "/v1/log-action", body, "karma", headers=key)
    assert first.status_code == again.status_code == theirs.status_code == 200
    assert first.json() == again.json() != theirs.json()


# --- What it is shown ----------------------------------------------------------------------------


@pytest.fixture(scope="module", name="kept")
def fixture_kept(system, who):
    """An artifact, an audit entry and an event each, of gurukul's core and of ai_avatar's other."""
    kept = {}
    for person, product in (("core", "gurukul"), ("other", "ai_avatar")):
        token, mark, trace = getattr(who, person), name(person), name("trace")
        role = {"core": "bhiv_core", "other": "agent_other"}[person]
        options = {"headers": {"X-Trace-Id": trace}}
        wrote = system.call(token, "POST", "/bucket/artifact/write",
                            artifact(mark, product, created_by=role), **options)
        assert wrote.status_code == 200, wrote.text
        said = system.call(token, "POST", "/bus/publish", {"topic": "agent.note", "data": {"mark": mark}},
                           "console", **options)
        assert said.status_code == 200, said.text
        entry = system.call(who.owner, "GET", f"/bucket/audit/entry/{wrote.json()['audit_id']}").json()["entry"]
        kept[person] = {"mark": mark, "trace": trace, "audit_id": wrote.json()["audit_id"],
                        "seq": entry["seq"], "note": said.json()["seq"]}
    return kept


def test_the_journals_pages_show_an_identity_its_own(system, who, kept):
    def marks(token):
        first = min(kept[person]["seq"] for person in kept)
        page = system.call(token, "GET", f"/bus/events?from={first}&limit=1000", port="console").json()
        assert page["count"] == len(page["events"])
        return {person for person in kept for event in page["events"] if kept[person]["mark"] in str(event)}

    assert marks(who.core) == {"core"} and marks(who.both) == {"core", "other"}
    assert marks(who.other) == {"other"} and marks(who.owner) == {"core", "other"}


@pytest.mark.parametrize("path,port", [
    ("/bucket/audit/entry/{audit_id}", "bucket"), ("/bucket/audit/receipt/{audit_id}", "bucket"),
    ("/bucket/audit/proof/inclusion?audit_id={audit_id}", "bucket"), ("/trace/{trace}", "console"),
    ("/bucket/queue/{seq}", "bucket"),
    ("/bucket/artifact/read?artifact_id={mark}&product=ai_avatar", "bucket")])
def test_what_is_somebody_elses_is_answered_as_if_it_were_not_there(system, who, kept, path, port):
    absent = {"audit_id": "audit_999999999", "trace": name("trace"), "seq": 999999999, "mark": name()}
    theirs = system.call(who.core, "GET", path.format(**kept["other"]), port=port)
    nothing = system.call(who.core, "GET", path.format(**absent), port=port)
    assert theirs.status_code == nothing.status_code in (403, 404), (theirs.text, nothing.text)

    def shape(answer, of):
        told = {key: value for key, value in plain(answer).items()
                if key not in ("audit_id", "details", "escalation")}
        text = json.dumps(told)
        for known in of.values():
            text = text.replace(str(known), "?")
        return text

    assert shape(theirs, kept["other"]) == shape(nothing, absent)
    assert system.call(who.other, "GET", path.format(**kept["other"]), port=port).status_code == 200
    assert system.call(who.owner, "GET", path.format(**kept["other"]), port=port).status_code == 200


@pytest.mark.parametrize("spelling", ["{:021d}", "{:022d}", "%30{}", "{}?seq=1", "{}?requester_id=bhiv_core", "+{}"])
def test_no_spelling_of_a_place_in_the_journal_slips_past(system, who, kept, spelling):
    for port, path in (("bucket", "/bucket/queue/"), ("karma", "/karma/queue/"), ("core", "/core/queue/"),
                       ("workflow", "/workflow/queue/"), ("console", "/htm/queue/")):
        answer = system.call(who.core, "GET", path + spelling.format(kept["other"]["seq"]), port=port)
        assert answer.status_code in (404, 422), (path, answer.text)


def test_events_of_another_product_are_not_listed_to_the_same_requester(system, who):
    second, marks = system.token("bhiv_core", "ai_avatar"), {}
    for token, product in ((who.core, "gurukul"), (second, "ai_avatar")):
        marks[product] = name(product)
        event = {"event_data": {**EVENT, "product": product, "trace_id": marks[product]}}
        told = {"X-Trace-Id": marks[product]}
        assert system.call(token, "POST", "/core/write-event", event, headers=told).status_code == 200

    def page(token, **params):
        return system.call(token, "GET", "/core/events", params={"limit": 1000, **params}).json()

    eventually(lambda: len(page(who.owner, trace_id=marks["ai_avatar"])["events"]) == 1, what="it is kept")
    eventually(lambda: marks["gurukul"] in str(page(who.core)), what="its own is listed")
    shown = page(who.core)
    assert marks["ai_avatar"] not in str(shown)
    assert shown["count"] == shown["showing"] == len(shown["events"]), "nor counted"
    assert page(who.core, trace_id=marks["ai_avatar"])["events"] == []
    assert marks["ai_avatar"] in str(page(second)) and marks["gurukul"] not in str(page(second))
    story = system.call(who.core, "GET", f"/trace/{marks['ai_avatar']}", port="console")
    assert story.status_code == 404, story.text


@pytest.mark.parametrize("path,port", [("/bucket/audit/entry/{audit_id}", "bucket"),
                                       ("/bucket/audit/receipt/{audit_id}", "bucket"),
                                       ("/bucket/queue/{seq}", "bucket")])
def test_what_is_there_takes_as_long_to_refuse_as_what_is_not(system, who, kept, path, port):
    absent = {"audit_id": "audit_999999999", "seq": 999999999}

    def read(of):
        assert system.call(who.core, "GET", path.format(**of), port=port).status_code == 404

    assert 0.4 < stopwatch.ratio(lambda: read(kept["other"]), lambda: read(absent)) < 2.5


def test_audit_entries_violations_and_quotas_are_sifted(system, who, kept):
    for token, product, role in ((who.core, "gurukul", "bhiv_core"), (who.other, "ai_avatar", "agent_other")):
        page = system.call(token, "GET", "/bucket/audit/log?limit=1000").json()
        assert page["count"] == len(page["entries"]) > 0
        for entry in page["entries"]:
            assert entry["product"] == product if "product" in entry else entry["requester_id"] == role
        told = system.call(token, "GET", "/governance/violations?hours=1").json()
        assert "by_requester" not in told and told["count"] == len(told["violations"])
        for one in told["violations"]:
            assert one["product"] == product if one.get("product") else one["requester_id"] == role
        quotas = system.call(token, "GET", "/bucket/quota").json()
        assert [one["product"] for one in quotas["products"]] == [product] and "total" not in quotas
    assert len(system.call(who.owner, "GET", "/bucket/quota").json()["products"]) == 4


def test_a_trace_shows_an_identity_its_own_steps(system, who):
    trace = name("trace")
    for token, product, role in ((who.core, "gurukul", "bhiv_core"), (who.other, "ai_avatar", "agent_other")):
        wrote = system.call(token, "POST", "/bucket/artifact/write", artifact(name(role), product, created_by=role),
                            headers={"X-Trace-Id": trace})
        assert wrote.status_code == 200
    shown = {person: system.call(getattr(who, person), "GET", f"/trace/{trace}", port="console").text
             for person in ("core", "other", "owner")}
    assert "agent_other" not in shown["core"] and "bhiv_core" in shown["core"]
    assert "bhiv_core-" not in shown["other"] and "agent_other" in shown["other"]
    assert "agent_other" in shown["owner"] and "bhiv_core" in shown["owner"]


def lines_of(system, token, path):
    """A stream's lines, with how to close it."""
    answer = system.call(token, "GET", path, port="console", stream=True)
    assert answer.status_code == 200, answer.text
    return answer, answer.iter_lines(chunk_size=1)


@pytest.mark.parametrize("topic", ["agent.>", "bucket.out.>", "mine.>"])
def test_a_stream_shows_an_identity_its_own(system, who, topic):
    marks = {"other": name("other"), "core": name("core")}

    def say(person, product):
        token, mark = getattr(who, person), {"mark": marks[person]}
        if topic.startswith("bucket"):
            body = {**HOLD, "product": product, "details": mark}
            assert system.call(token, "POST", "/bucket/audit/append", body).status_code == 200
        else:
            body = {"topic": topic[:-1] + "note", "data": mark}
            assert system.call(token, "POST", "/bus/publish", body, "console").status_code == 200

    def say_all():  # again and again: what is only live is heard from when the stream listens
        while not heard.is_set():
            say("other", "ai_avatar")
            say("core", "gurukul")
            heard.wait(0.05)

    heard, seen = threading.Event(), ""
    answer, lines = lines_of(system, who.core, f"/events/stream?topic={topic}")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        saying = pool.submit(say_all)
        try:
            for line in lines:
                seen += line.decode()
                if seen.count(marks["core"]) >= 3:
                    break
        finally:
            heard.set()
            answer.close()
        saying.result()
    assert marks["other"] not in seen


def test_a_stream_ends_when_its_token_is_revoked(system):
    token = system.token("bhiv_core")
    answer, lines = lines_of(system, token, "/events/stream?topic=agent.>")
    next(lines)
    system.revoke(token)
    ended = time.monotonic() + 10
    for _ in lines:
        assert time.monotonic() < ended, "it goes on"
    answer.close()


def test_one_identity_cannot_have_all_the_streams(system, who):
    path, watcher = "/events/stream?topic=agent.>", system.token("watcher")
    held = [lines_of(system, watcher, path)[0] for _ in range(20)]
    refused = system.call(watcher, "GET", path, port="console")
    assert refused.status_code == 503 and refused.json()["error_code"] == "BUSY", refused.text
    lines_of(system, who.other, path)[0].close()
    for answer in held:
        answer.close()


# --- Audit, floods, secrets ----------------------------------------------------------------------


def test_a_flood_without_a_token_is_one_entry_a_minute(system, who):
    before = len(denials(system, who))
    for _ in range(50):
        assert requests.get(system.url("bucket", "/core/stats"), timeout=15).status_code == 401
    after = denials(system, who)
    assert 1 <= len(after) and len(after) - before <= 1
    assert all(one["error_code"] == "UNAUTHENTICATED" for one in after)


def denials(system, who):
    entries = system.call(who.owner, "GET", "/bucket/audit/log?limit=1000&after=-1").json()["entries"]
    return [one for one in entries if one.get("error_code") == "UNAUTHENTICATED"]


def test_ten_thousand_paths_ids_and_topics_make_no_metric_more(system, who):
    mark, head = name("odd"), f"Host: localhost\r\nAuthorization: Bearer {who.core}\r\n"

    def ask(i):
        body = json.dumps({"topic": f"{mark}.t{i}", "data": {}})
        yield f"GET /{mark}/{i} HTTP/1.1\r\n{head}\r\n"
        yield f"GET /htm/tasks/{mark}-{i} HTTP/1.1\r\n{head}\r\n"
        yield f"GET /bus/events?topic={mark}.{i} HTTP/1.1\r\n{head}\r\n"
        yield f"POST /bus/publish HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"

    def ask_all(numbers):
        with socket.create_connection(("127.0.0.1", system.base + 80), timeout=60) as sock:
            answers = sock.makefile("rb")
            for i in numbers:
                sock.sendall("".join(ask(i)).encode())
                for _ in range(4):
                    lines = list(iter(answers.readline, b"\r\n"))
                    assert lines[0].split()[1] in (b"200", b"404"), lines[0]
                    answers.read(int(re.search(rb"(?i)content-length: (\d+)", b"".join(lines))[1]))

    def shown():
        return [system.call(who.owner, "GET", path, port="console").text for path in ("/metrics", "/bus/stats")]

    ask_all(range(1))
    before = shown()
    ask_all(range(1, 2500))
    after = shown()
    assert not any(mark in text for text in after)
    assert after[0].count("\n") - before[0].count("\n") < 100 and len(after[1]) < len(before[1]) + 1000


def test_what_is_sent_makes_no_line_of_the_log(system, who):
    evil, sent = "EVIL\n2026-01-01T00:00:00.000000Z error up forged\x1b[31m", "EVIL%0aforged%1b%5b31m"
    for port, path in (("bucket", "/bucket/audit/entry/"), ("core", "/tasks/"), ("console", "/trace/"),
                       ("console", "/htm/tasks/"), ("console", "/bus/events?topic="), ("karma", "/view-balance/")):
        assert system.call(who.core, "GET", path + sent, port=port).status_code in (404, 422)
    for port, path, body in (
            ("console", "/htm/tasks", {"task_type": evil, "handler": evil}),
            ("console", "/kb/documents", {"document_id": evil, "text": evil}),
            ("karma", "/v1/log-action", {"user_id": evil, "action": evil, "role": evil}),
            ("bucket", "/bucket/audit/append", {**HOLD, "event_type": evil, "product": evil, "requester_id": evil})):
        assert system.call(who.core, "POST", path, body, port).status_code in (400, 403, 422), path
    for key in ("X-Trace-Id", "X-Requester-Id", "Idempotency-Key", "Authorization"):
        request = f"POST /core/write-event HTTP/1.1\r\nHost: a\r\n{key}: EVIL\x1b[31m\r\nContent-Length: 0\r\n\r\n"
        with socket.create_connection(("127.0.0.1", system.base + 1), timeout=15) as sock:
            sock.sendall(request.encode())
            assert sock.makefile("rb").readline().split()[1] == b"400"
    log = system.log_path.read_text(errors="replace")
    assert "\x1b" not in log and not any(line.endswith("forged") for line in log.splitlines())


def test_nothing_of_a_token_is_told_anywhere(system, who):
    tokens = [getattr(who, person) for person in vars(who)] + [system.owner_token]
    secrets = [token.rsplit("_", 1)[-1] for token in tokens]
    system.call(who.core, "GET", f"/core/stats?requester_id={who.core}")
    said = [system.log_path.read_text(errors="replace"), (system.folder / "tokens").read_text()]
    for port in PORTS:
        for path in ("/metrics", "/health", "/status", "/openapi.json", "/nothing"):
            said.append(system.call(who.core, "GET", path, port=port).text)
    said.append(system.call(who.core, "GET", "/config", port="core").text)
    for part in system.names():
        said.append(pathlib.Path(f"/proc/{system.pid(part)}/cmdline").read_bytes().decode())
        said.append(pathlib.Path(f"/proc/{system.pid(part)}/environ").read_bytes().decode())
    with Peer(system.ingress, system.egress) as peer:
        said += [str(record) for record in peer.fetch_all([""])]
    for secret in secrets:
        assert not any(secret in text for text in said)
    assert (system.folder / "tokens").stat().st_mode & 0o777 == 0o600


def test_a_known_id_takes_as_long_as_an_unknown_one(system, who):
    known = who.core[:-4] + ("0000" if who.core[-4:] != "0000" else "1111")
    unknown = f"bhiv_{'0' * 12}_{'0' * 64}"
    with requests.Session() as session:
        def ask(token):
            answer = session.get(system.url("bucket", "/openapi.json"), timeout=15,
                                 headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401

        assert 0.5 < stopwatch.ratio(lambda: ask(known), lambda: ask(unknown), 600) < 2


# --- Limits --------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="limited")
def fixture_limited(bhiv, tmp_path_factory):
    with Guarded(bhiv, tmp_path_factory.mktemp("l") / "d", args=()) as running:
        yield running.ready()


def statuses_of(system, header, method, path, body, count):
    """The statuses of so many requests on one connection, as fast as they are answered."""
    request = (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{header}Content-Length: {len(body)}\r\n\r\n"
               + body).encode()
    seen = []
    with socket.create_connection(("127.0.0.1", system.base + 1), timeout=15) as sock, \
            sock.makefile("rb") as answers:
        while len(seen) < count:
            some = min(20, count - len(seen))
            sock.sendall(request * some)
            for _ in range(some):
                lines = list(iter(answers.readline, b"\r\n"))
                seen.append(int(lines[0].split()[1]))
                answers.read(int(re.search(rb"(?i)content-length: (\d+)", b"".join(lines))[1]))
    return seen


def test_an_identity_has_its_own_limit_beside_that_of_its_address(limited):
    core, other = limited.token("bhiv_core"), limited.token("agent_other")
    first = limited.call(core, "GET", "/openapi.json").headers
    assert first["RateLimit-Limit"] == "5000" and int(first["RateLimit-Remaining"]) >= 9900
    seen = statuses_of(limited, f"Authorization: Bearer {core}\r\n", "POST", "/core/write-event", "{}", 8000)
    assert set(seen) == {422, 429}, "what is malformed costs too"
    spent = limited.call(core, "POST", "/core/write-event", {})
    assert spent.status_code in (422, 429)
    assert limited.call(other, "GET", "/openapi.json").status_code == 200


@pytest.mark.parametrize("method,path,body", [
    ("POST", "/bucket/audit/append", {**HOLD, "product": "ai_avatar"}),
    ("DELETE", "/bucket/artifact/any", {}),
    ("POST", "/bucket/request", {"channel": "none"}),
    ("PUT", "/core/karma-forwarding", {"enabled": True})])
def test_refusals_are_audited_up_to_a_limit(limited, method, path, body):
    token = limited.token(name("refused"))
    start = time.monotonic()
    body = json.dumps(body)

    def some(_):
        return statuses_of(limited, f"Authorization: Bearer {token}\r\n", method, path, body, 40)

    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        seen = [status for part in pool.map(some, range(10)) for status in part]
    assert set(seen) == {403, 429}
    assert seen.count(403) <= 41 + 20 * (time.monotonic() - start)


def test_strangers_are_slowed_down_and_take_nothing_from_others(limited):
    token = limited.token("calm_one")
    seen = statuses_of(limited, "", "GET", "/core/stats", "", 8000)
    assert set(seen) == {401, 429}
    assert limited.call(token, "GET", "/openapi.json").status_code == 200
    assert limited.call(token, "POST", "/bucket/audit/append", {}).status_code == 422


def test_connections_of_one_address_are_bounded(bhiv, tmp_path):
    env = {"BHIV_ADDRESS_CONNECTIONS": "5"}
    with Guarded(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge"), env=env) as system:
        held = [socket.create_connection(("127.0.0.1", system.base + 1)) for _ in range(5)]
        for one in held:
            one.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 200")
        with socket.create_connection(("127.0.0.1", system.base + 1)) as more:
            more.settimeout(10)
            try:
                more.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert more.recv(4096) == b"", "the sixth is closed"
            except ConnectionError:
                pass
        held.pop().close()
        eventually(lambda: alive(system), 10, what="there is room again")
        for one in held:
            one.close()


def alive(system):
    try:
        return requests.get(system.url("bucket", "/healthz"), timeout=5).status_code == 200
    except requests.ConnectionError:
        return False


# --- TLS and starting ----------------------------------------------------------------------------


@pytest.fixture(scope="module", name="pem")
def fixture_pem(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pem")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    key.chmod(0o600)
    return cert, key


def test_the_bridge_speaks_tls(bhiv, tmp_path, pem):
    cert, key = pem
    env = {"BHIV_TLS_CERT": str(cert), "BHIV_TLS_KEY": str(key)}
    with Guarded(bhiv, tmp_path / "d", env=env) as system:
        url = f"https://127.0.0.1:{system.base + 1}"
        ready = eventually(lambda: requests.get(url + "/readyz", verify=str(cert), timeout=5).status_code == 200)
        assert ready
        assert requests.get(url + "/core/stats", verify=str(cert), timeout=5).status_code == 401
        headers = {"Authorization": f"Bearer {system.token('bhiv_core')}"}
        with requests.Session() as session:
            options = {"headers": headers, "verify": str(cert), "timeout": 10}
            for _ in range(20):
                body = {**artifact(created_by="bhiv_core"), "content": {"text": "x" * 300000}}
                wrote = session.post(url + "/bucket/artifact/write", json=body, **options)
                assert wrote.status_code == 200, wrote.text
                of = {"artifact_id": body["artifact_id"], "product": "gurukul"}
                read = session.get(url + "/bucket/artifact/read", params=of, **options)
                assert len(read.json()["content"]["text"]) == 300000
            big = session.post(url + "/bucket/audit/append", data=b"x" * (1 << 21), **options)
            assert big.status_code == 413 and big.json()["error_code"] == "PAYLOAD_TOO_LARGE"
        console = f"https://127.0.0.1:{system.base + 80}"
        with requests.get(console + "/events/stream?topic=agent.>&from=1", stream=True, **options) as stream:
            lines = stream.iter_lines(chunk_size=1)
            next(lines)
            for mark in (name("one"), name("two")):
                said = requests.post(console + "/bus/publish", **options,
                                     json={"topic": "agent.note", "data": {"mark": mark}})
                assert said.status_code == 200, said.text
                assert any(mark in line.decode() for line in lines), mark
        old = subprocess.run(["openssl", "s_client", "-connect", url[8:], "-tls1_1"], stdin=subprocess.DEVNULL,
                             capture_output=True, timeout=20, check=False)
        assert b"Cipher is (NONE)" in old.stdout
        with pytest.raises(requests.RequestException):
            requests.get(url.replace("https", "http") + "/healthz", timeout=5)


def test_who_does_not_finish_its_handshake_is_cut(bhiv, tmp_path, pem):
    env = {"BHIV_TLS_CERT": str(pem[0]), "BHIV_TLS_KEY": str(pem[1]), "BHIV_REQUEST_TIMEOUT": "300ms"}
    with Guarded(bhiv, tmp_path / "d", ("--dev", "--only", "broker,bridge"), env) as system:
        with socket.create_connection(("127.0.0.1", system.base + 1)) as slow:
            slow.settimeout(15)
            slow.sendall(b"\x16\x03\x01")
            try:
                assert slow.recv(4096) == b""
            except ConnectionError:
                pass


def test_slow_crowds_under_tls_are_cut_and_delay_nobody(bhiv, tmp_path, pem):
    env = {"BHIV_TLS_CERT": str(pem[0]), "BHIV_TLS_KEY": str(pem[1]), "BHIV_REQUEST_TIMEOUT": "2s"}
    context = ssl.create_default_context(cafile=pem[0])
    with Guarded(bhiv, tmp_path / "d", ("--dev", "--only", "broker,bridge"), env) as system:
        at, crowd = ("127.0.0.1", system.base + 1), []
        for i in range(150):
            sock = socket.create_connection(at, timeout=15)
            if i % 3 == 0:  # a handshake, and half a request
                sock = context.wrap_socket(sock, server_hostname="127.0.0.1")
                sock.sendall(b"GET /healthz HTTP/1.1\r\nHo")
            else:  # half a handshake, or none
                sock.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" if i % 3 == 1 else os.urandom(64))
            crowd.append(sock)
        for _ in range(5):
            start = time.monotonic()
            answer = requests.get(f"https://127.0.0.1:{at[1]}/healthz", verify=str(pem[0]), timeout=15)
            assert answer.status_code == 200 and time.monotonic() - start < 2
        for sock in crowd:
            with sock:
                try:
                    while sock.recv(4096):  # 408, or nothing; then its end
                        pass
                except OSError as error:
                    assert not isinstance(error, TimeoutError), "it is still open"


@pytest.mark.parametrize("kind", ["alone", "absent", "no certificate", "open key", "another key"])
def test_a_certificate_that_cannot_be_used_is_said_at_start(bhiv, tmp_path, pem, kind):
    cert, key = pem
    other = tmp_path / "other.pem"
    args = {"alone": ["--tls-cert", str(cert)],
            "absent": ["--tls-cert", str(cert), "--tls-key", str(tmp_path / "absent")],
            "no certificate": ["--tls-cert", str(key), "--tls-key", str(key)],
            "open key": ["--tls-cert", str(cert), "--tls-key", str(other)],
            "another key": ["--tls-cert", str(cert), "--tls-key", str(other)]}[kind]
    if kind == "open key":
        other.write_text(key.read_text())
        other.chmod(0o644)
    else:
        subprocess.run(["openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-out", str(other)], check=True, capture_output=True)
        other.chmod(0o600)
    done = start_bridge(bhiv, tmp_path, *args)
    assert done.returncode == 78, done.stderr
    assert "bhiv bridge:" in done.stderr and "PRIVATE" not in done.stderr


def start_bridge(bhiv, folder, *args):
    """A bridge that is expected not to start."""
    off = [f"--{port}-port=0" for port in PORTS[1:]]
    return subprocess.run([bhiv, "bridge", "--dir", str(folder / "d"), f"--karma-port={free_port_base()}", *off, *args],
                          capture_output=True, text=True, timeout=20, check=False, env={"PATH": os.environ["PATH"]})


def test_only_with_tokens_is_anything_but_loopback_listened_to(bhiv, tmp_path):
    done = start_bridge(bhiv, tmp_path, "--http-bind=0.0.0.0")
    assert done.returncode == 78 and "BHIV_ALLOW_ANONYMOUS" in done.stderr
    (tmp_path / "d" / "tokens").write_text("nonsense\n")
    (tmp_path / "d" / "tokens").chmod(0o600)
    done = start_bridge(bhiv, tmp_path, "--secure")
    assert done.returncode == 78 and "tokens" in done.stderr


def test_where_no_tokens_are_asked_for_everything_is_as_it_was(shared_system):
    answer = requests.get(shared_system.url("bucket", "/core/stats"), timeout=10,
                          headers={"Authorization": "Bearer nonsense"})
    assert answer.status_code == 200


# --- bhiv token ----------------------------------------------------------------------------------


def token_verb(bhiv, folder, *words):
    return subprocess.run([bhiv, "token", words[0], "--dir", str(folder), *words[1:]], capture_output=True,
                          text=True, timeout=30, check=False)


def test_a_token_is_shown_once_listed_without_it_and_revoked_by_its_id(bhiv, tmp_path):
    made = token_verb(bhiv, tmp_path, "create", "--role", "a", "--product", "gurukul", "--expires", "30d")
    token = made.stdout.split()[-1]
    assert made.returncode == 0 and re.fullmatch(r"bhiv_[0-9a-f]{12}_[0-9a-f]{64}", token)
    listed = token_verb(bhiv, tmp_path, "list")
    row = json.loads(listed.stdout)
    assert row["id"] == token[5:17] and row["role"] == "a" and row["products"] == ["gurukul"]
    assert row["state"] == "good" and "hash" not in row and token[18:] not in listed.stdout + made.stderr
    assert token[18:] not in (tmp_path / "tokens").read_text()
    assert token_verb(bhiv, tmp_path, "revoke", row["id"]).returncode == 0
    assert json.loads(token_verb(bhiv, tmp_path, "list").stdout)["state"] == "revoked"
    unknown = token_verb(bhiv, tmp_path, "revoke", token)
    assert unknown.returncode == 66 and token not in unknown.stderr, "a whole token is not said again"


@pytest.mark.parametrize("words", [
    ["create"], ["create", "--role", "a"], ["create", "--role", "a b", "--product", "gurukul"],
    ["create", "--role", "a", "--product", "milk"], ["create", "--role", "a", "--product", ""],
    ["create", "--role", "a", "--product", "gurukul", "--expires", "soon"], ["revoke"], ["forget"]])
def test_what_cannot_be_done_is_said_and_leaves_no_token(bhiv, tmp_path, words):
    done = token_verb(bhiv, tmp_path, *words)
    assert done.returncode == 64 and done.stderr
    assert not (tmp_path / "tokens").exists()


def test_a_file_that_is_not_ours_alone_or_damaged_is_refused(bhiv, tmp_path):
    assert token_verb(bhiv, tmp_path, "create", "--role", "owner").returncode == 0
    file = tmp_path / "tokens"
    file.chmod(0o640)
    assert token_verb(bhiv, tmp_path, "list").returncode == 78
    file.chmod(0o600)
    file.write_text(file.read_text() + "{}\n")
    bad = token_verb(bhiv, tmp_path, "create", "--role", "owner")
    assert bad.returncode == 65 and "line 2" in bad.stderr


def test_tokens_made_at_once_are_all_kept(bhiv, tmp_path):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda i: token_verb(bhiv, tmp_path, "create", "--role", f"r{i}", "--product", "all"),
                             range(24)))
    assert all(done.returncode == 0 for done in made)
    rows = [json.loads(line) for line in token_verb(bhiv, tmp_path, "list").stdout.splitlines()]
    assert {row["role"] for row in rows} == {f"r{i}" for i in range(24)}
    assert (tmp_path / "tokens").stat().st_mode & 0o777 == 0o600

"""The Workflow Executor with servers outside: mails, messages and AI calls that really happen, once."""

import base64
import email.utils
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import uuid

import pytest
import requests
from support.outside import Certificate, HttpServer, SmtpServer, ai_answer, free_port, whatsapp_answer
from support.peer import Peer
from support.system import System, eventually
from support.workflow import body_of, event_of, get, journaled, post, result, run, settled

TOKEN = "EAAJB-whatsapp-token-4711"
KEY = "sk-ai-key-4711"
PASSWORD = "smtp-password-4711"
SEED_1 = {"trace_id": "task_123", "decision": "workflow",
          "data": {"workflow_type": "workflow",
                   "payload": {"action_type": "task", "user_id": "user123", "title": "Review code",
                               "description": "Review authentication module"}}}
SEED_2 = {"trace_id": "notif_456", "decision": "workflow",
          "data": {"workflow_type": "workflow",
                   "payload": {"action_type": "whatsapp", "user_id": "user123", "phone": "+91XXXXXXXXXX",
                               "message": "Your lesson is ready"}}}


class World:
    """A system and the servers that it acts on."""

    def __init__(self, bhiv, folder, smtp, whatsapp, ai, env=None):
        self.smtp, self.whatsapp, self.ai = smtp, whatsapp, ai
        self.system = System(bhiv, folder, env={
            "BHIV_SMTP_URL": smtp.url, "BHIV_SMTP_FROM": "bus@example.org",
            "BHIV_WHATSAPP_URL": whatsapp.url + "/v19.0/", "BHIV_WHATSAPP_PHONE_ID": "106540352242922",
            "BHIV_WHATSAPP_TOKEN": TOKEN,
            "BHIV_AI_URL": ai.url + "/v1", "BHIV_AI_MODEL": "test-model", "BHIV_AI_KEY": KEY, **(env or {})})


@pytest.fixture(name="make")
def fixture_make(bhiv, tmp_path):
    """Makes worlds; their servers and systems end with the test."""
    made = []

    def make(smtp=None, env=None, name="d"):
        smtp = smtp or SmtpServer()
        world = World(bhiv, tmp_path / name, smtp, HttpServer(whatsapp_answer), HttpServer(ai_answer), env)
        made.append(world)
        for part in (world.smtp, world.whatsapp, world.ai, world.system):
            part.__enter__()
        settled(world.system)
        return world

    yield make
    for world in made:
        for part in (world.system, world.ai, world.whatsapp, world.smtp):
            part.__exit__(None, None, None)


@pytest.fixture(name="world", scope="module")
def fixture_world(bhiv, tmp_path_factory):
    with SmtpServer() as smtp, HttpServer(whatsapp_answer) as whatsapp, HttpServer(ai_answer) as ai:
        world = World(bhiv, tmp_path_factory.mktemp("w") / "d", smtp, whatsapp, ai)
        with world.system as system:
            settled(system)
            yield world


@pytest.fixture(autouse=True)
def fixture_answers(request):
    """Servers answer well again after each test."""
    yield
    if "world" in request.fixturenames:
        world = request.getfixturevalue("world")
        world.whatsapp.answer, world.ai.answer = whatsapp_answer, ai_answer


def mail(world, recipient, **more):
    return result(world.system, "email", recipient=recipient, **{"subject": "Hello", "body": "Text", **more})


def someone():
    return f"u{uuid.uuid4().hex}@example.org"


# --- The seeds' examples -------------------------------------------------------------------------


def test_the_seeds_examples_work_as_written(world):
    first = post(world.system, SEED_1).json()
    assert first["trace_id"] == "task_123" and first["status"] == "success"
    second = post(world.system, SEED_2).json()
    assert second["trace_id"] == "notif_456" and second["status"] == "success", second
    sent = second["execution_result"]
    assert sent["recipient"] == "+91XXXXXXXXXX" and sent["message"] == "Your lesson is ready"
    assert sent["status"] == "SENT" and sent["sent_at"].endswith("Z") and sent["was_sent"] is True
    assert sent["whatsapp_message_id"] == "wamid.HBgLMTY1MDUwNzY1MjAVAgARGBI5QTNDQTVCM0Q0Q0Q2RTY3RTcA"
    for trace, action in (("task_123", "task"), ("notif_456", "whatsapp")):
        event = event_of(world.system, trace)
        assert event["action_type"] == action and event["status"] == "success" and event["user_id"] == "user123"


# --- WhatsApp and AI: what is asked --------------------------------------------------------------


def test_a_whatsapp_message_is_asked_for_as_the_cloud_api_documents_it(world):
    before = len(world.whatsapp.requests)
    said = result(world.system, "whatsapp", recipient="+4915112345678", message="Grüße \"quoted\"\n😀")
    assert said["success"] is True
    asked = world.whatsapp.requests[before:]
    assert len(asked) == 1
    assert asked[0]["path"] == "/v19.0/106540352242922/messages"
    assert asked[0]["headers"]["Authorization"] == "Bearer " + TOKEN
    assert asked[0]["headers"]["Content-Type"] == "application/json"
    assert asked[0]["body"] == {
        "messaging_product": "whatsapp", "recipient_type": "individual", "to": "+4915112345678",
        "type": "text", "text": {"preview_url": False, "body": "Grüße \"quoted\"\n😀"}}


def test_an_ai_call_is_a_chat_completion(world):
    before = len(world.ai.requests)
    said = result(world.system, "ai", prompt="What is dharma?")
    assert said["success"] is True and said["response"] == "You said: What is dharma?"
    assert said["request_id"] == "chatcmpl-123" and said["prompt"] == "What is dharma?"
    assert said["health"] == "OK" and said["model"] == "test-model" and said["requested_at"].endswith("Z")
    asked = world.ai.requests[before:]
    assert len(asked) == 1 and asked[0]["path"] == "/v1/chat/completions"
    assert asked[0]["headers"]["Authorization"] == "Bearer " + KEY
    assert asked[0]["body"] == {"model": "test-model", "stream": False,
                                "messages": [{"role": "user", "content": "What is dharma?"}]}


# --- WhatsApp and AI: what can be answered -------------------------------------------------------

ACTIONS = {"whatsapp": {"recipient": "1", "message": "m"}, "ai": {"prompt": "p"}}


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("answer,code,was_sent", [
    ((400, {"error": {"message": "(#131009) Parameter value is not valid", "code": 131009}}), "adapter_rejected", False),
    ((401, {"error": "bad token"}), "adapter_rejected", False),
    ((429, b"slow down"), "adapter_rejected", False),
    ((307, b""), "adapter_rejected", False),
    ((500, b"\x00\x01\xff<html>" + b"x" * 5000), "adapter_rejected", True),
    ((503, b""), "adapter_rejected", True),
    ((200, b""), "invalid_adapter_response", True),
    ((200, b"not JSON"), "invalid_adapter_response", True),
    ((200, b'{"id": "x"'), "invalid_adapter_response", True),
    ((200, b'{"a":1,"a":2}'), "invalid_adapter_response", True),
    ((200, b"[" * 100_000), "invalid_adapter_response", True),
    ((200, []), "invalid_adapter_response", True),
    ((200, {"messages": [], "choices": []}), "invalid_adapter_response", True),
    ((200, {"messages": {}, "choices": {}}), "invalid_adapter_response", True),
    ((200, {"messages": [5], "choices": [5]}), "invalid_adapter_response", True),
    ((200, {"messages": [{"id": 5}], "choices": [{"message": {"content": None}}]}), "invalid_adapter_response", True),
    ((200, b"x" * 3_000_000), "invalid_adapter_response", True),
    ("reset", "adapter_unreachable", True),
])
def test_whatever_a_server_answers_is_a_result(world, action, answer, code, was_sent):
    world.whatsapp.answer = world.ai.answer = answer
    said = result(world.system, action, **ACTIONS[action])
    assert said["success"] is False and said["error_code"] == code and said["message"], said
    assert said["was_sent"] is was_sent
    if code == "adapter_rejected":
        assert said["status_code"] == answer[0]
        assert len(said["excerpt"].encode()) <= 400 and "\x00" not in said["excerpt"]
        if isinstance(answer[1], dict):
            assert said["excerpt"] == json.dumps(answer[1])
    world.whatsapp.answer, world.ai.answer = whatsapp_answer, ai_answer
    assert result(world.system, action, **ACTIONS[action])["success"] is True


def test_a_server_that_says_secrets_back_does_not_get_them_into_results(world):
    world.whatsapp.answer = world.ai.answer = lambda request: (403, request["headers"]["Authorization"].encode())
    for action in ACTIONS:
        assert result(world.system, action, **ACTIONS[action])["excerpt"] == "Bearer *"


def test_nobody_listening_is_unreachable_and_nothing_was_sent(make):
    world = make(env={"BHIV_AI_URL": f"http://127.0.0.1:{free_port()}/v1",
                      "BHIV_SMTP_URL": f"smtp://127.0.0.1:{free_port()}"})
    for action, payload in (("ai", {"prompt": "p"}), ("email", {"recipient": "a@b", "subject": "s", "body": "b"})):
        said = result(world.system, action, **payload)
        assert said["error_code"] == "adapter_unreachable" and said["was_sent"] is False, said


# --- Mails ---------------------------------------------------------------------------------------


def test_a_mail_arrives_with_our_headers_and_the_results_id(world):
    recipient = someone()
    trace = "t-" + uuid.uuid4().hex
    said = result(world.system, "email", trace, recipient=recipient, subject="Your lesson", body="It is ready.\n")
    assert said["success"] is True and said["status"] == "SENT" and said["recipient"] == recipient
    assert said["subject"] == "Your lesson" and said["was_sent"] is True
    (sender, recipients, got, raw), = world.smtp.to(recipient)
    assert sender == "bus@example.org" and recipients == [recipient]
    assert got["From"] == "bus@example.org" and got["To"] == recipient and got["Subject"] == "Your lesson"
    assert got["Message-ID"] == f"<{said['message_id']}>" and got["X-Trace-Id"] == trace
    assert got.get_content() == "It is ready.\n" and got.get_content_type() == "text/plain"
    date = email.utils.parsedate_to_datetime(got["Date"])
    assert abs(date.timestamp() - time.time()) < 60
    assert not [defect for part in got.walk() for defect in part.defects]


@pytest.mark.parametrize("subject", [
    "Grüße an alle 😀", "x" * 998, "ü" * 400, "=?UTF-8?B?ZXZpbA==?=", " spaced ", "tab\tbed", "a" * 61,
    "你好，世界" * 30,
])
@pytest.mark.parametrize("body", ["plain", "Zeile 1\r\n.\r\n..zwei\nünï 😀\n", "x" * 100_000])
def test_any_text_arrives_as_it_was(world, subject, body):
    recipient = someone()
    assert mail(world, recipient, subject=subject, body=body)["success"] is True
    (_, _, got, raw), = world.smtp.to(recipient)
    assert got["Subject"] == subject.replace("\t", " ")
    assert base64.b64decode(got.get_payload()).decode() == body
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"") and b"\r" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\u2028", "\x0b"])
def test_nothing_in_a_subject_becomes_a_header(world, end):
    recipient = someone()
    said = mail(world, recipient, subject=f"Hello{end}Bcc: eve@example.org{end}{end}<script>")
    assert said["success"] is True
    (_, recipients, got, raw), = world.smtp.to(recipient)
    assert recipients == [recipient] and got["Bcc"] is None
    assert set(got.keys()) == {"From", "To", "Subject", "Date", "Message-ID", "X-Trace-Id", "Auto-Submitted",
                               "MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    assert "Bcc: eve@example.org" in got["Subject"] and got.get_payload().strip() == base64.b64encode(b"Text").decode()


def test_a_trace_that_could_not_stand_in_a_header_stands_in_none(world):
    for trace in ("ünï-" + uuid.uuid4().hex, f"a\r\nBcc: eve@example.org {uuid.uuid4().hex}"):
        recipient = someone()
        body = body_of("email", "x", recipient=recipient, subject="s", body="b")
        with Peer(world.system.ingress, world.system.egress, source="py_trace") as peer:
            _, said = peer.ask("workflow.execute", {**body, "trace_id": trace}, ack=False)
        assert said["status"] == "success", said
        (_, _, got, _), = world.smtp.to(recipient)
        assert got["X-Trace-Id"] is None and got["Bcc"] is None


def test_a_server_that_refuses_a_mail_is_told_with_its_words(world):
    for table in (world.smtp.refuse_rcpt, world.smtp.refuse_data):
        recipient = someone()
        table[recipient] = "550 5.1.1 no such user here"
        said = mail(world, recipient)
        assert said["error_code"] == "adapter_rejected" and said["status_code"] == 550, said
        assert said["was_sent"] is False and world.smtp.to(recipient) == []


def test_an_smtp_server_that_goes_in_the_middle_may_have_taken_it(make):
    """It breaks off after the text, before its word."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        peer, _ = listener.accept()
        stream = peer.makefile("rwb")
        stream.write(b"220 hi\r\n")
        stream.flush()
        for line in stream:
            if line.startswith(b"DATA"):
                stream.write(b"354 go\r\n")
                stream.flush()
                while stream.readline() != b".\r\n":
                    pass
                break
            stream.write(b"250 ok\r\n")
            stream.flush()
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        stream.close()
        peer.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    world = make(env={"BHIV_SMTP_URL": f"smtp://127.0.0.1:{listener.getsockname()[1]}"})
    said = mail(world, "a@b")
    assert said["error_code"] == "adapter_unreachable" and said["was_sent"] is True, said
    thread.join(10)
    listener.close()


def test_starttls_and_a_login_are_used_and_a_wrong_one_is_told(make, tmp_path):
    certificate = Certificate(tmp_path)
    login = {"BHIV_SMTP_USER": "bus", "BHIV_SMTP_PASSWORD": PASSWORD}
    trusted = {"SSL_CERT_FILE": str(certificate.path)}
    good = make(SmtpServer(certificate, ("bus", PASSWORD)), {**login, **trusted}, "good")
    said = mail(good, "a@b")
    assert said["success"] is True, said
    assert good.smtp.sessions == [(True, "bus")]
    for name, env, code in [("wrong", {**login, **trusted, "BHIV_SMTP_PASSWORD": "wrong-4711"}, "adapter_rejected"),
                            ("untrusted", login, "adapter_unreachable")]:
        bad = make(SmtpServer(certificate, ("bus", PASSWORD)), env, name)
        said = mail(bad, "a@b")
        assert said["error_code"] == code and said["was_sent"] is False, (name, said)
        assert bad.smtp.mails == []


def test_a_login_never_goes_over_an_open_line(make):
    world = make(env={"BHIV_SMTP_USER": "bus", "BHIV_SMTP_PASSWORD": PASSWORD})
    said = mail(world, "a@b")
    assert said["success"] is False and said["was_sent"] is False and world.smtp.mails == []


# --- Time ----------------------------------------------------------------------------------------


def test_each_adapter_has_its_own_timeout_and_two_seconds_without_one(make):
    world = make(env={"WORKFLOW_TIMEOUT_AI": "0.3"})
    world.whatsapp.answer = world.ai.answer = None
    took = {}
    for action, payload in ACTIONS.items():
        began = time.monotonic()
        said = result(world.system, action, **payload)
        took[action] = time.monotonic() - began
        assert said["error_code"] == "adapter_timeout" and said["was_sent"] is True, said
    assert 0.25 < took["ai"] < 1.5 and 1.9 < took["whatsapp"] < 4, took


def test_a_slow_adapter_holds_up_no_other(make):
    """More AI calls than run at once, none of which is answered: everything else goes on."""
    world = make(env={"WORKFLOW_TIMEOUT_AI": "60"})
    world.ai.answer = None
    with Peer(world.system.ingress, world.system.egress, source="py_slow") as peer:
        for i in range(100):
            peer.publish("workflow.execute", body_of("ai", prompt=f"p{i}"))
    eventually(lambda: len(world.ai.requests) == 32, what="as many AI calls as run at once")
    began = time.monotonic()
    assert result(world.system, "task", title="x")["success"] is True
    assert mail(world, "a@b")["success"] is True
    assert result(world.system, "whatsapp", recipient="1", message="m")["success"] is True
    assert time.monotonic() - began < 2
    stats = get(world.system, "/api/workflow/stats").json()["executions"]
    assert stats["started"] == 32 and stats["queued"] == 68
    world.ai.answer = ai_answer
    world.ai.release.set()  # those that hang break off, the others are answered

    def over():
        now = get(world.system, "/api/workflow/stats").json()["executions"]
        return now["started"] == now["queued"] == 0

    eventually(over, 30, what="all calls over")
    rows = {(row["action"], row["status"]): row["count"]
            for row in get(world.system, "/api/workflow/stats").json()["executions"]["ended"]}
    assert rows[("ai", "success")] + rows[("ai", "failed")] == 100 and rows[("ai", "failed")] == 32


def test_what_takes_over_five_seconds_is_accepted_and_its_queue_says_the_result(make):
    world = make(env={"WORKFLOW_TIMEOUT_AI": "30"})
    world.ai.answer = None
    body = body_of("ai", prompt="p")
    began = time.monotonic()
    answer = post(world.system, body)
    assert answer.status_code == 202 and 4.5 < time.monotonic() - began < 8, answer.text
    said = answer.json()
    assert said["status"] == "accepted" and said["queued"] is True and said["trace_id"] == body["trace_id"]
    assert said["queue"] == f"/workflow/queue/{said['seq']}"
    assert get(world.system, said["queue"]).json()["state"] == "queued"
    assert get(world.system, "/api/workflow/status/" + body["trace_id"]).json()["status"] == "started"
    world.ai.answer = ai_answer
    world.ai.release.set()
    done = eventually(lambda: (lambda a: a["state"] == "applied" and a)(get(world.system, said["queue"]).json()))
    assert done["result"]["trace_id"] == body["trace_id"] and done["result"]["status"] == "failed"
    assert done["result"]["execution_result"]["error_code"] == "adapter_unreachable"


def test_repeats_while_it_acts_wait_for_the_one_act(make):
    world = make(env={"WORKFLOW_TIMEOUT": "20"})
    gate = threading.Event()
    world.ai.answer = lambda request: (gate.wait(20), ai_answer(request))[1]
    body = body_of("ai", prompt="p")
    key = {"Idempotency-Key": uuid.uuid4().hex}
    answers = []
    threads = [threading.Thread(target=lambda headers=headers: answers.append(post(world.system, body, headers=headers)))
               for headers in ({}, {}, key, key, {"Idempotency-Key": uuid.uuid4().hex})]
    for thread in threads:
        thread.start()
    eventually(lambda: (lambda h: h["applied"] + h["duplicates"] >= 7)(get(world.system, "/health").json()),
               what="all of them to be applied")
    other = post(world.system, {**body, "data": {**body["data"], "payload": {**body["data"]["payload"], "x": 1}}})
    assert other.status_code == 409
    gate.set()
    for thread in threads:
        thread.join(20)
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len({answer.text for answer in answers}) == 1 and answers[0].json()["status"] == "success"
    assert len(world.ai.requests) == 1
    event_of(world.system, body["trace_id"])


# --- Crashes and rebuilds ------------------------------------------------------------------------


def test_what_a_crash_interrupted_is_told_so_and_not_done_again(make):
    world = make(env={"WORKFLOW_TIMEOUT": "60"})
    world.ai.answer = None
    body = body_of("ai", prompt="p", user_id="u-crash")
    with Peer(world.system.ingress, world.system.egress, source="py_crash") as peer:
        ident = peer.send("workflow.execute", body, reply_to=peer.inbox)
        eventually(lambda: len(world.ai.requests) == 1, what="the act")
        pid = world.system.kill("workflow")
        world.system.restarted("workflow", pid)
        header, said = peer.answer(ident, 15)
        assert header["status"] == "success" and said["status"] == "failed"
        assert said["execution_result"]["error_code"] == "execution_interrupted"
        assert said["execution_result"]["was_sent"] is True
        assert post(world.system, body).json() == said
        started = journaled(peer, "workflow.started")
        finished = journaled(peer, "workflow.finished")
    assert len(started) == 1 and len(finished) == 1
    assert started[0][1]["boot"] != finished[0][1]["boot"], "another process found it"
    assert len(world.ai.requests) == 1
    assert event_of(world.system, body["trace_id"])["execution_result"]["error_code"] == "execution_interrupted"
    profile = eventually(lambda: (got := requests.get(world.system.url("karma", "/api/v1/karma/u-crash"),
                                                      timeout=10)).ok and got.json(), what="karma of it")
    assert profile["action_stats"]["total_actions"] == 1


def test_a_stop_waits_for_what_is_under_way(make):
    world = make(env={"WORKFLOW_TIMEOUT": "60"})
    gate = threading.Event()
    world.ai.answer = lambda request: (gate.wait(20), ai_answer(request))[1]
    answers = []
    asking = threading.Thread(target=lambda: answers.append(result(world.system, "ai", prompt="p")))
    asking.start()
    eventually(lambda: len(world.ai.requests) == 1, what="the act")
    pid = world.system.pid("workflow")
    os.kill(pid, signal.SIGTERM)
    eventually(lambda: "workflow stopping signal=15 waits=1" in world.system.log_path.read_text())
    gate.set()
    asking.join(20)
    assert answers[0]["success"] is True
    eventually(lambda: "workflow stopped status=0" in world.system.log_path.read_text(), 5)


def test_what_was_queued_while_nobody_was_there_is_done_by_who_comes(make):
    world = make()
    os.kill(world.system.pid("workflow"), signal.SIGSTOP)
    bodies = [body_of("email", recipient=f"queued{i}@example.org", subject="s", body="b") for i in range(5)]
    with Peer(world.system.ingress, world.system.egress, source="py_queue") as peer:
        for body in bodies:
            peer.publish("workflow.execute", body)
        pid = world.system.kill("workflow")
        world.system.restarted("workflow", pid)
    eventually(lambda: len(world.smtp.mails) == 5)
    for body in bodies:
        assert event_of(world.system, body["trace_id"])["status"] == "success"
    assert len(world.smtp.mails) == 5


def test_a_rebuild_makes_the_same_state_and_does_nothing(make):
    world = make()
    run(world.system, "task", title="x")
    assert mail(world, "a@b")["success"] is True
    result(world.system, "whatsapp", recipient="1", message="m")
    result(world.system, "ai")
    run(world.system, "nothing")
    asked = (len(world.smtp.mails), len(world.whatsapp.requests), len(world.ai.requests))
    with Peer(world.system.ingress, world.system.egress, source="py_rebuild") as peer:
        def said():
            return [header["seq"] for _, header, _ in peer.fetch_all() if header["source"] == "workflow_executor"]
        eventually(lambda: (lambda h: h["lag"] == h["outbox"] == 0)(peer.ask("req.workflow.health", {})[1]))
        before = said()
        kept = peer.ask("req.workflow.state_hash", {})[1]
        rebuilt = json.loads(world.system.run("workflow", "--rebuild").stdout)
        assert rebuilt["state_hash"] == kept["state_hash"] and rebuilt["cursor"] >= kept["cursor"]
        assert said() == before
    assert (len(world.smtp.mails), len(world.whatsapp.requests), len(world.ai.requests)) == asked == (1, 1, 0)


def test_a_store_that_was_lost_is_made_again_and_nothing_is_done_twice(make):
    world = make()
    body = body_of("email", recipient="once@example.org", subject="s", body="b")
    first = post(world.system, body).json()
    event_of(world.system, body["trace_id"])
    world.system.stop()
    for path in (world.system.folder / "workflow").iterdir():
        path.unlink()
    world.system.start()
    settled(world.system)
    assert eventually(lambda: (lambda a: a.status_code == 200 and a.json())(post(world.system, body))) == first
    assert len(world.smtp.mails) == 1
    event_of(world.system, body["trace_id"])


# --- Configuration -------------------------------------------------------------------------------


def test_switches_decide_who_is_told_and_whether_anything_is_done(make):
    quiet = make(env={"WORKFLOW_EVENTS_ENABLED": "false", "WORKFLOW_BEHAVIORAL_TRACKING": "False"}, name="quiet")
    assert mail(quiet, "a@b")["success"] is True
    off = make(env={"ENABLE_WORKFLOW_EXECUTION": "false"}, name="off")
    answer = post(off.system, body_of("email", recipient="a@b", subject="s", body="b"))
    assert answer.status_code == 403 and answer.json()["error_code"] == "FORBIDDEN", answer.text
    assert off.smtp.mails == []
    for world, count in ((quiet, 1), (off, 0)):
        with Peer(world.system.ingress, world.system.egress, source="py_switch") as peer:
            assert len(journaled(peer, "workflow.finished")) == count
            assert journaled(peer, "core.event.workflow_execution") == journaled(peer, "karma.life_event") == []


def test_the_executors_url_is_ignored_with_a_warning(make):
    world = make(env={"WORKFLOW_EXECUTOR_URL": "http://localhost:8003"})
    assert run(world.system, "task", title="x")["status"] == "success"
    assert "variable_ignored variable=WORKFLOW_EXECUTOR_URL" in world.system.log_path.read_text()


@pytest.mark.parametrize("name,value", [
    ("WORKFLOW_TIMEOUT", "two"), ("WORKFLOW_TIMEOUT", "0"), ("WORKFLOW_TIMEOUT_AI", "601"), ("WORKFLOW_TIMEOUT", "nan"),
    ("ENABLE_WORKFLOW_EXECUTION", "maybe"), ("BHIV_SMTP_URL", "127.0.0.1:25"), ("BHIV_SMTP_URL", "http://x"),
    ("BHIV_SMTP_URL", "smtp://user:" + PASSWORD + "@host"), ("BHIV_AI_URL", "ftp://x"), ("BHIV_WHATSAPP_PHONE_ID", "1/2"),
    ("BHIV_SMTP_FROM", "nobody"), ("BHIV_SMTP_FROM", "A <a@b>"), ("BHIV_AI_KEY", "a\nb"),
])
def test_a_variable_that_cannot_be_read_is_named_and_nothing_starts(bhiv, tmp_path, name, value):
    done = subprocess.run([bhiv, "workflow", "--dir", str(tmp_path / "d")], env={**os.environ, name: value},
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78, done
    assert "config_refused variable=" in done.stderr and PASSWORD not in done.stderr
    assert name in done.stderr


def test_secrets_are_in_no_log_no_journal_and_no_answer(make, tmp_path):
    certificate = Certificate(tmp_path)
    world = make(SmtpServer(certificate, ("bus", PASSWORD)),
                 {"BHIV_SMTP_USER": "bus", "BHIV_SMTP_PASSWORD": PASSWORD, "BHIV_LOG_LEVEL": "debug",
                  "SSL_CERT_FILE": str(certificate.path)})
    traces = []
    for answer in (None, "reset", lambda request: (500, request["headers"]["Authorization"].encode())):
        world.whatsapp.answer = world.ai.answer = answer
        for action, payload in ACTIONS.items():
            traces.append(run(world.system, action, **payload)["trace_id"])
    world.whatsapp.answer, world.ai.answer = whatsapp_answer, ai_answer
    for action, payload in (*ACTIONS.items(), ("email", {"recipient": "a@b", "subject": "s", "body": "b"})):
        said = run(world.system, action, **payload)
        assert said["status"] == "success", said
        traces.append(said["trace_id"])
    for trace in traces:
        event_of(world.system, trace)
    seen = world.system.log_path.read_text()
    seen += "".join(get(world.system, "/api/workflow/status/" + trace).text for trace in traces)
    seen += get(world.system, "/health").text + get(world.system, "/metrics").text
    with Peer(world.system.ingress, world.system.egress, source="py_secret") as peer:
        seen += str(list(peer.fetch_all()))
    world.system.stop()
    for path in world.system.folder.rglob("*"):
        if path.is_file() and path.suffix == ".mdb":
            seen += path.read_bytes().decode("latin-1")
    for secret in (TOKEN, KEY, PASSWORD, base64.b64encode(PASSWORD.encode()).decode()):
        assert secret not in seen
    world.system.start()


# --- bhiv workflow -------------------------------------------------------------------------------


def bhiv_workflow(world, *args):
    return subprocess.run([world.system.bhiv, "workflow", *args], capture_output=True, text=True, timeout=60,
                          check=False, env={**os.environ, "BHIV_DIR": str(world.system.folder)})


def test_bhiv_workflow_runs_lists_shows_and_completes(world):
    done = bhiv_workflow(world, "run", "task", '{"title":"From the shell"}', "--user", "sh", "--trace", "t-shell")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert made["trace_id"] == "t-shell" and made["status"] == "success"
    again = bhiv_workflow(world, "run", "task", '{"title":"From the shell"}', "--user", "sh", "--trace", "t-shell")
    assert json.loads(again.stdout) == made
    other = bhiv_workflow(world, "run", "task", '{"title":"Another"}', "--trace", "t-shell")
    assert other.returncode == 1 and "DUPLICATE_EXECUTION" in other.stderr
    second = bhiv_workflow(world, "run", "task", '{"title":"Another"}', "--trace", "t-shell", "--execution", "2")
    assert second.returncode == 0 and json.loads(second.stdout)["execution_result"] != made["execution_result"]
    failed = bhiv_workflow(world, "run", "email", '{"recipient":"a@b"}')
    assert failed.returncode == 1 and json.loads(failed.stdout)["execution_result"]["error_code"] == "missing_subject"
    rows = [json.loads(line) for line in bhiv_workflow(world, "list", "--trace", "t-shell").stdout.splitlines()]
    assert [row.get("execution_id") for row in rows] == ["2", None]
    table = bhiv_workflow(world, "list", "--format", "line", "-n", "1").stdout.splitlines()
    assert table[0].split() == ["SEQ", "TRACE", "ACTION", "STATUS", "REQUESTED", "ERROR"]
    assert "missing_subject" in table[1] and len(table) == 2
    shown = json.loads(bhiv_workflow(world, "show", "t-shell").stdout)
    assert shown["executions"][1]["payload"] == {"action_type": "task", "title": "From the shell", "user_id": "sh"}
    assert bhiv_workflow(world, "show", "t-none").returncode == 66
    task = made["execution_result"]["task_id"]
    listed = [json.loads(line) for line in bhiv_workflow(world, "tasks", "--user", "sh").stdout.splitlines()]
    assert [row["task_id"] for row in listed] == [task]
    completed = bhiv_workflow(world, "complete", task, "--note", "well")
    assert completed.returncode == 0 and json.loads(completed.stdout)["task_status"] == "COMPLETED"
    assert bhiv_workflow(world, "complete", "task_ffffffff").returncode == 66
    assert "COMPLETED" in bhiv_workflow(world, "tasks", "--format", "line", "--status", "COMPLETED").stdout


@pytest.mark.parametrize("args,status", [
    (["run"], 64), (["run", "task", "[]"], 65), (["run", "task", "{"], 65), (["run", "task", "{}", "--trace", "t" * 129], 65),
    (["list", "--limit", "0"], 64), (["fly"], 64), (["complete"], 64),
])
def test_bhiv_workflow_says_what_is_wrong(world, args, status):
    done = bhiv_workflow(world, *args)
    assert done.returncode == status and done.stderr and not done.stdout, done


@pytest.mark.parametrize("verb", ["run", "list", "show", "tasks", "complete"])
def test_each_verb_has_help(world, verb):
    done = bhiv_workflow(world, verb, "--help")
    assert done.returncode == 0 and re.search(rf"Usage: bhiv workflow {verb}", done.stdout), done.stdout

"""Core's endpoints: shapes, refusals, limits. CONTRACT section 6."""

import os
import re
import signal
import threading
import time
import uuid

import pytest
import requests
from support.agents import Agent, get, kept, learned, task
from support.peer import Peer
from support.system import eventually

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module", name="system")
def fixture_system(shared_system):
    return shared_system


def post(system, path, body, **options):
    return requests.post(system.url("core", path), json=body, timeout=30, **options)


def refused(answer, status, code):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["status"] == "error" and body["error_code"] == code == body["error"]
    assert body["message"] == body["detail"] and body["trace_id"] == answer.headers["X-Trace-Id"]
    return body


# --- Shapes --------------------------------------------------------------------------------------


def test_handle_task_answers_the_three_fields(system):
    answer = post(system, "/handle_task", {"agent": "auto", "input": "one two"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "success" and uuid.UUID(body["task_id"])
    assert body["agent_output"]["status"] == 200 and body["agent_output"]["result"] == "one two"
    assert body["agent_id"] == "text_agent" and "workflow" not in body


def test_handle_task_takes_all_of_the_originals_fields(system):
    body = post(system, "/handle_task/", {
        "agent": "edumentor_agent", "input": "one two", "pdf_path": "", "input_type": "text", "retries": 3,
        "fallback_model": "edumentor_agent", "tags": []}).json()
    assert body["status"] == "success" and body["agent_id"] == "text_agent", "an unknown name: the selector"


def test_a_task_that_fails_is_200(system):
    answer = post(system, "/handle_task", {"agent": "auto", "input": "x", "input_type": "audio"})
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "error" and body["agent_output"]["status"] == 500
    assert body["agent_output"]["error"].startswith("Task processing failed: ")


def test_query_kb_answers_as_a_task(system):
    body = post(system, "/query-kb", {"query": "what is it"}).json()
    assert body["status"] == "success" and body["agent_id"] == "knowledge_agent"
    assert body["agent_output"]["status"] in (200, 404) and isinstance(body["agent_output"]["sources"], list)
    named = post(system, "/query-kb", {"query": "what is it", "task_id": "kb-1", "tags": ["semantic_search"]}).json()
    assert named["task_id"] == "kb-1"


def test_handle_multi_task_answers_the_originals_fields(system):
    body = post(system, "/handle_multi_task", {"files": [{"data": "a b", "path": "a.txt", "type": "text"}],
                                               "agent": "text_agent", "task_type": "summary", "tags": ["x"]}).json()
    assert uuid.UUID(body["multi_task_id"]) and TIME.fullmatch(body["timestamp"])
    assert (body["total_files"], body["successful_files"], body["failed_files"]) == (1, 1, 0)
    assert body["total_processing_time"] >= body["average_time_per_file"] > 0
    row = body["results"][0]
    assert (row["file_index"], row["filename"], row["status"]) == (0, "a.txt", "success")
    assert row["result"]["result"] == "a b"


def test_rl_stats_has_a_row_for_each_agent(system):
    task(system, "text_agent")
    row = eventually(lambda: (got := learned(system)["text_agent"])["count"] and got, what="an outcome")
    assert set(row) >= {"agent_id", "count", "average_reward", "confidence"}
    body = get(system, "/rl/stats").json()
    assert 0.05 <= body["epsilon"] <= 0.2 and set(body["epsilon_by_input"]) == {"text", "pdf", "image", "audio"}


def test_agents_and_config_show_who_there_is(system):
    agents = {agent["agent_id"]: agent for agent in get(system, "/agents").json()["agents"]}
    assert agents["text_agent"]["available"] and agents["text_agent"]["input_types"] == ["text"]
    assert agents["knowledge_agent"]["tags"] == ["semantic_search", "knowledge_base", "vedabase"]
    config = get(system, "/config").json()
    assert {agent["agent_id"] for agent in config["agents"]} == set(agents)
    assert config["timeouts_s"] == {"text": 120, "pdf": 150, "image": 180, "audio": 240}
    assert TIME.fullmatch(config["timestamp"])


def test_health_has_cores_own_block(system):
    body = eventually(lambda: (got := get(system, "/health").json()) and "metrics" in got and got, what="a block")
    assert body["service"] == "core" and body["services"]["available_agents"] >= 1
    assert set(body["metrics"]) >= {"total_requests", "successful_requests", "failed_requests",
                                    "success_rate_percent"}


def test_a_task_can_be_read_again(system):
    first = task(system, "text_agent", "read me again", user_id="reader")
    now = get(system, f"/tasks/{first['task_id']}")  # at once, applied or not
    assert now.status_code == 200 and now.json()["agent_output"] == first["agent_output"]
    stored = kept(system, first["task_id"])
    assert stored["agent_output"] == first["agent_output"] and stored["user_id"] == "reader"
    assert stored["reward"] > 1 and TIME.fullmatch(stored["finished_at"])
    assert len(stored["trace_id"]) > 0
    refused(get(system, "/tasks/none"), 404, "NOT_FOUND")


def test_feedback_is_a_command(system):
    ident = task(system, "text_agent")["task_id"]
    answer = post(system, "/feedback", {"task_id": ident, "reward": 0.5})  # at once: it comes after the outcome
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["task_id"] == ident and body["reward"] == 0.5 and body["status"] == "success"
    refused(post(system, "/feedback", {"task_id": "none", "reward": 1}), 404, "NOT_FOUND")
    refused(post(system, "/feedback", {"task_id": ident, "reward": 11}), 422, "VALIDATION_FAILED")
    refused(post(system, "/feedback", {"task_id": ident}), 422, "VALIDATION_FAILED")
    refused(post(system, "/feedback", {"task_id": ident, "reward": "much"}), 422, "VALIDATION_FAILED")


def test_a_command_can_be_looked_up(system):
    with Peer(system.ingress, system.egress, source="looker") as peer:
        ack = peer.publish("core.feedback", {"task_id": "none", "reward": 1})
    answer = eventually(lambda: (got := get(system, f"/core/queue/{ack['seq']}").json())["state"] != "queued" and got,
                        what="a decision")
    assert answer["state"] == "refused" and answer["result"]["error_code"] == "NOT_FOUND"


# --- Refusals ------------------------------------------------------------------------------------

BAD = [
    ("/handle_task", {}, "agent"),
    ("/handle_task", {"agent": "auto"}, "input"),
    ("/handle_task", {"agent": "auto", "input": ""}, "input"),
    ("/handle_task", {"agent": "auto", "input": 7}, "input"),
    ("/handle_task", {"agent": "", "input": "x"}, "agent"),
    ("/handle_task", {"agent": "a" * 65, "input": "x"}, "agent"),
    ("/handle_task", {"agent": "auto", "input": "x", "input_type": "smell"}, "input_type"),
    ("/handle_task", {"agent": "auto", "input": "x", "tags": "a,b"}, "tags"),
    ("/handle_task", {"agent": "auto", "input": "x", "tags": [1]}, "tags"),
    ("/handle_task", {"agent": "auto", "input": "x", "tags": ["t"] * 33}, "tags"),
    ("/handle_task", {"agent": "auto", "input": "x", "retries": -1}, "retries"),
    ("/handle_task", {"agent": "auto", "input": "x", "retries": 11}, "retries"),
    ("/handle_task", {"agent": "auto", "input": "x", "task_id": "t" * 65}, "task_id"),
    ("/handle_task", {"agent": "auto", "input": "x" * 524289}, "input"),
    ("/handle_multi_task", {}, "files"),
    ("/handle_multi_task", {"files": []}, "files"),
    ("/handle_multi_task", {"files": [{}]}, "files"),
    ("/handle_multi_task", {"files": [{"data": "x"}] * 65}, "files"),
    ("/handle_multi_task", {"files": [{"data": "x", "type": "smell"}]}, "input_type"),
    ("/query-kb", {}, "query"),
    ("/query-kb", {"query": ""}, "query"),
    ("/query-kb", {"query": "x", "limit": 0}, "limit"),
]


@pytest.mark.parametrize("path, body, field", BAD)
def test_what_makes_no_sense_is_422_and_says_where(system, path, body, field):
    answer = refused(post(system, path, body), 422, "VALIDATION_FAILED")
    assert field in [detail["field"] for detail in answer["details"]]


def test_what_is_no_json_is_400(system):
    answer = requests.post(system.url("core", "/handle_task"), data=b"{", timeout=10)
    refused(answer, 400, "MALFORMED_JSON")


def test_a_task_id_is_given_once(system):
    body = {"agent": "text_agent", "input": "mine", "task_id": "given-once"}
    first = post(system, "/handle_task", body).json()
    assert post(system, "/handle_task", body).json() == first
    refused(post(system, "/handle_task", {**body, "input": "other"}), 409, "CONFLICT")


def test_a_wrong_method_is_405(system):
    answer = get(system, "/handle_task")
    assert answer.status_code == 405 and "POST" in answer.headers["Allow"]


def test_the_same_over_the_bus(system):
    with Peer(system.ingress, system.egress, source="asker") as peer:
        header, body = peer.ask("req.core.handle_task", {"agent": "auto", "input": "one"}, trace_id="bus-trace")
        assert header["status"] == "success" and header["trace_id"] == "bus-trace"
        assert body["status"] == "success" and kept(system, body["task_id"])["trace_id"] == "bus-trace"
        _, body = peer.ask("req.core.handle_task", {"agent": "auto", "input": "one"})
        assert kept(system, body["task_id"])["trace_id"] == body["task_id"], "a trace of its own"
        header, body = peer.ask("req.core.handle_task", {"agent": "auto"})
        assert header["status"] == "error" and body["error_code"] == "VALIDATION_FAILED"
        for name in ("agents", "config", "rl_stats", "health"):
            assert peer.ask(f"req.core.{name}", {})[0]["status"] == "success"


def test_the_largest_input_is_answered(system):
    text = ("word " * 110000)[:524288]
    body = task(system, "text_agent", text)
    assert body["status"] == "success" and body["agent_output"]["words"] > 100000
    assert kept(system, body["task_id"])["agent_output"] == body["agent_output"]


def test_an_agent_is_asked_with_what_the_contract_says(system):
    with Agent(system, "curious", {"response": "yes", "sources": ["a", "b"]}) as agent:
        body = task(system, "curious", "what?", tags=["t1"], pdf_path="/p.pdf", user_id="nobody-known")
        assert body["agent_output"]["response"] == "yes"
        header, asked = agent.asked[0]
        assert header["topic"] == "req.agent.curious"
        assert asked["input"] == "what?" and asked["input_type"] == "text" and asked["task_id"] == body["task_id"]
        assert asked["tags"] == ["t1"] and asked["pdf_path"] == "/p.pdf" and asked["user_id"] == "nobody-known"
        assert kept(system, body["task_id"])["reward"] == pytest.approx(1 + 0.5 / 100 + 0.2)


# --- Not there -----------------------------------------------------------------------------------


def test_core_down_is_503_at_once(system):
    pid = system.pid("core")
    os.kill(pid, signal.SIGSTOP)
    try:
        # Stopped, it is gone for the broker after three missed beats.
        eventually(lambda: get(system, "/rl/stats").status_code == 503, what="its absence noticed")
        start = time.monotonic()
        for path, body in (("/handle_task", {"agent": "auto", "input": "x"}), ("/query-kb", {"query": "x"}),
                           ("/handle_multi_task", {"files": [{"data": "x"}]})):
            refused(post(system, path, body), 503, "SERVICE_UNAVAILABLE")
        for path in ("/rl/stats", "/agents", "/config", "/tasks/x"):
            refused(get(system, path), 503, "SERVICE_UNAVAILABLE")
        assert time.monotonic() - start < 3
        answer = post(system, "/feedback", {"task_id": "x", "reward": 1})
        assert answer.status_code == 202 and answer.json()["queue"].startswith("/core/queue/")
    finally:
        os.kill(pid, signal.SIGCONT)
    queue = answer.json()["queue"]
    assert eventually(lambda: (got := get(system, queue)).ok and got.json()["state"] == "refused",
                      what="the command decided")


@pytest.mark.parametrize("path, body", [
    ("/handle_task", {"agent": "patient", "input": "x"}),
    ("/handle_multi_task", {"files": [{"data": "x"}], "agent": "patient"}),
])
def test_who_waits_is_told_when_core_is_killed(system, path, body):
    with Agent(system, "patient", None) as agent:
        answers = []
        waiter = threading.Thread(target=lambda: answers.append(post(system, path, body)))
        waiter.start()
        eventually(lambda: agent.asked, what="the agent asked")
        waiter.join(4)
        assert waiter.is_alive(), "nothing is wrong yet"
        pid = system.kill("core")
        system.restarted("core", pid)
        waiter.join(20)
    answer = refused(answers[0], 503, "SERVICE_UNAVAILABLE")
    assert "went away" in answer["message"] and answer["task_id"]
    eventually(lambda: get(system, "/rl/stats").ok, what="Core answers again")

"""Core with everything around it: the seeds' flows, agents good and bad, what it learns and keeps."""

import json
import os
import random
import signal
import statistics
import subprocess
import time

import pytest
import requests
from support.agents import Agent, available, get, kept, learned, task
from support.outside import HttpServer, ai_answer
from support.peer import Peer
from support.system import ROOT_EXAMPLES, Program, System, eventually

PYTHON = "/usr/bin/python3"


def records(system, *filters):
    with Peer(system.ingress, system.egress, source="looker") as peer:
        return list(peer.fetch_all(filters=filters))


def of_trace(system, trace, *filters):
    return [(topic, header, body) for topic, header, body in records(system, *filters)
            if header.get("trace_id") == trace]


# --- The seeds' flows ----------------------------------------------------------------------------


def test_one_trace_goes_from_the_task_through_bucket_audit_and_karma(system):
    """Seed 000, flows 1 and 2."""
    trace = "trace-" + os.urandom(6).hex()
    answer = requests.post(system.url("core", "/handle_task"), timeout=30, headers={"X-Trace-Id": trace},
                           json={"agent": "auto", "input": "Rain fell on the hill.", "user_id": "user123"})
    assert answer.status_code == 200 and answer.headers["X-Trace-Id"] == trace
    body = answer.json()
    assert body["status"] == "success" and body["agent_output"]["status"] == 200
    task_id, agent = body["task_id"], body["agent_id"]

    def stored():
        events = get(system, f"/core/events?trace_id={trace}", "bucket").json()["events"]
        return events if len(events) == 2 else None

    outcome, result = eventually(stored, what="the two events in Bucket")
    assert (outcome["event_type"], result["event_type"]) == ("rl_outcome", "agent_result")
    for event in (outcome, result):
        assert event["trace_id"] == trace and event["user_id"] == "user123"
        assert event["agent_id"] == agent and event["task_id"] == task_id
        assert event["requester_id"] == "bhiv_core"
    assert outcome["reward"] >= 1 and outcome["metadata"]["input_type"] == "text"
    assert result["result"] == body["agent_output"]

    entries = get(system, "/bucket/audit/log?limit=1000", "bucket").json()["entries"]
    audited = {entry["subject"] for entry in entries if entry.get("trace_id") == trace}
    assert {outcome["event_id"], result["event_id"]} <= audited

    # Karma was told by Core, once: Bucket forwards neither of the two.
    told = of_trace(system, trace, "karma.life_event")
    assert len(told) == 1 and told[0][1]["source"] == "bhiv_core"
    assert told[0][2]["action"] == "agent_success" and told[0][2]["context"]["agent_id"] == agent
    profile = eventually(lambda: (got := get(system, "/api/v1/karma/user123", "karma")).ok and got.json(),
                         what="karma of the user")
    assert profile["balances"]["DharmaPoints"] == 1 and profile["action_stats"]["total_actions"] == 1
    seen = eventually(lambda: (got := get(system, f"/api/v1/karma/agent/{agent}", "karma")).ok and got.json(),
                      what="karma of the agent")
    assert seen["successes"] == 1


def test_a_failed_task_is_told_once_and_costs_karma(system):
    with Agent(system, "broken", {"status": 500, "error": "no"}):
        trace = "trace-" + os.urandom(6).hex()
        body = task(system, "broken", headers={"X-Trace-Id": trace}, user_id="unlucky")
    assert body["status"] == "error" and body["agent_output"]["status"] == 500
    assert "status 500: no" in body["agent_output"]["error"]
    events = eventually(lambda: get(system, f"/core/events?trace_id={trace}", "bucket").json()["events"],
                        what="the event in Bucket")
    assert [event["event_type"] for event in events] == ["task_error"]
    assert events[0]["agent_id"] == "broken" and events[0]["user_id"] == "unlucky"
    profile = eventually(lambda: (got := get(system, "/api/v1/karma/unlucky", "karma")).ok and got.json(),
                         what="karma of the user")
    assert profile["balances"]["DharmaPoints"] == -0.5
    assert kept(system, body["task_id"])["status"] == "error"


def test_a_task_becomes_a_workflow_under_the_same_trace(system):
    """Seed 002, example 1, as Core's part of it."""
    asked = {"result": "I will have it reviewed", "requires_workflow": True, "workflow_action_type": "task",
             "workflow_payload": {"title": "Review code", "description": "Review authentication module"}}
    trace = "task_" + os.urandom(4).hex()
    with Agent(system, "edumentor_agent", asked):
        body = task(system, "edumentor_agent", "Create a task to review code",
                    headers={"X-Trace-Id": trace}, user_id="user123")
    assert body["workflow"] == {"trace_id": trace, "status": "requested"}
    sent = eventually(lambda: of_trace(system, trace, "workflow.execute"), what="the workflow asked for")
    assert len(sent) == 1 and sent[0][1]["source"] == "bhiv_core"
    payload = sent[0][2]["data"]["payload"]
    assert payload["title"] == "Review code" and payload["action_type"] == "task"
    assert payload["user_id"] == "user123" and payload["trace_id"] == trace

    def finished():
        workflow = kept(system, body["task_id"]).get("workflow", {})
        return workflow if workflow.get("status") not in (None, "requested") else None

    workflow = eventually(finished, what="the outcome of the workflow at the task")
    assert workflow["status"] == "success" and workflow["trace_id"] == trace
    assert workflow["result"]["task_status"] == "CREATED"
    events = get(system, f"/core/events?trace_id={trace}", "bucket").json()["events"]
    assert sorted(event["event_type"] for event in events)[:2] == ["agent_result", "rl_outcome"]


# --- Alone ---------------------------------------------------------------------------------------


def median_ms(system, count=60):
    times = []
    for i in range(count):
        start = time.monotonic()
        assert task(system, "text_agent", f"words {i}", user_id="u")["status"] == "success"
        times.append((time.monotonic() - start) * 1000)
    return statistics.median(times)


def test_core_answers_in_the_same_time_without_bucket_karma_and_workflow(bhiv, tmp_path):
    with System(bhiv, tmp_path / "all") as all_of_it:
        together = median_ms(all_of_it)
    with System(bhiv, tmp_path / "alone", args=("--dev", "--without", "bucket,karma,workflow,grace")) as alone:
        assert alone.names() == ["bridge", "broker", "core"]
        lonely = median_ms(alone)
        body = task(alone, "auto", "still learned from")
        assert kept(alone, body["task_id"])["reward"] > 1
        with Agent(alone, "one", {"result": "done"}):  # one that would be given context
            start = time.monotonic()
            assert task(alone, "one", user_id="u")["agent_output"]["result"] == "done"
            assert time.monotonic() - start < 1.5, "it waited for who is not there"
    assert lonely < 5 * together + 5, (lonely, together)


def test_an_agent_is_given_what_is_known_and_waits_two_seconds_at_most(system):
    with Agent(system, "one", {"result": "done"}) as agent:
        task(system, "one", user_id="known")  # makes karma and events
        eventually(lambda: get(system, "/api/v1/karma/known", "karma").ok, what="karma")
        eventually(lambda: get(system, "/core/events?agent_id=one", "bucket").json()["events"], what="events")
        task(system, "one", user_id="known")
        context = agent.asked[-1][1]["context"]
        assert context["karma"]["user_id"] == "known" and context["karma"]["merit_score"] == 1
        assert context["bucket"]["context"]["event_count"] >= 2
        task(system, "one")
        assert "context" not in agent.asked[-1][1], "nobody's task"

        pid = system.pid("bucket")
        os.kill(pid, signal.SIGSTOP)
        try:
            start = time.monotonic()
            assert task(system, "one", user_id="known")["status"] == "success"
            assert 1.5 < time.monotonic() - start < 5
            assert "bucket" not in agent.asked[-1][1]["context"] and "karma" in agent.asked[-1][1]["context"]
            start = time.monotonic()
            task(system, "one", user_id="known")
            assert time.monotonic() - start < 1.5, "the next one waits for it no more"
        finally:
            os.kill(pid, signal.SIGCONT)
    told = records(system, "governance.service_failure")
    assert len(told) == 1
    assert told[0][2]["service_failure"] == "write_timeout" and told[0][2]["escalation"] == "EXECUTOR_NOTIFIED"
    assert told[0][2]["sla_violated"] == "5_second_response_time" and told[0][2]["timestamp"].endswith("Z")


# --- Bad agents ----------------------------------------------------------------------------------

LIES = [
    {}, [], "just text", 7, {"result": None}, {"result": "x", "status": "200"}, {"result": "x", "status": 9},
    {"result": "x", "keywords": "no list"}, {"result": b"\x00\xff"}, {"result": float("nan")}, {1: "result"},
    {"result": "x", "workflow_payload": [1]}, {"result": "x" * 700000},
]


def test_an_agent_that_lies_costs_one_task_an_error_and_nothing_else(system):
    lies = iter(LIES)
    with Agent(system, "liar", lambda body: next(lies)) as agent:
        for lie in LIES:
            body = task(system, "liar")
            assert body["status"] == "error" and body["agent_id"] == "liar", lie
            assert body["agent_output"]["status"] == 500 and body["agent_output"]["error"]
        assert len(agent.asked) == len(LIES)
    assert task(system, "text_agent")["status"] == "success"
    row = eventually(lambda: (got := learned(system).get("liar", {})).get("count") == len(LIES) and got,
                     what="all lies learned")
    assert row["average_reward"] == 0 and row["failures"] == len(LIES)


def test_an_agent_that_dies_costs_its_task_an_error_at_once(system):
    with Agent(system, "mortal", None) as agent:  # takes the task, and never answers
        with Peer(system.ingress, system.egress, source="asker") as peer:
            ident = peer.send("req.core.handle_task", {"agent": "mortal", "input": "x", "task_id": "t-mortal"},
                              reply_to=peer.inbox)
            eventually(lambda: agent.asked, what="the agent asked")
            assert get(system, "/tasks/t-mortal").json()["status"] == "running"
            agent.stopping.set()  # it says bye
            header, body = peer.answer(ident, timeout=10)
    assert header["status"] == "success" and body["status"] == "error"
    assert "has gone" in body["agent_output"]["error"]
    assert not available(system, "mortal")


@pytest.mark.parametrize("wanted", ["auto", "leaver"])
def test_an_agent_that_has_just_left_costs_its_task_nothing(system, wanted):
    overtaken = 0
    for turn in range(10):
        with Peer(system.ingress, system.egress, source="leaver") as peer:
            peer.ask("$bus.hello", {"service": "agent.leaver", "instance": f"{wanted}-{turn}", "inbox": peer.inbox})
            eventually(lambda: available(system, "leaver"), what="the agent known to Core")
            # At once after each other: Core is asked before it can know who has left.
            peer.send("$bus.bye", {"instance": f"{wanted}-{turn}"})
            ident = peer.send("req.core.handle_task", {"agent": wanted, "input": "x"}, reply_to=peer.inbox)
            header, body = peer.answer(ident, timeout=10)
        assert header["status"] == "success" and body["status"] == "success", body
        assert body["agent_id"] == "text_agent"
        attempts = kept(system, body["task_id"]).get("attempts", [])
        assert attempts in ([], [{"agent_id": "leaver", "error": "the agent is not there", "asked": False}])
        overtaken += len(attempts)
    assert overtaken > 0, "Core always knew: the test no longer tests"


def test_an_agent_that_hangs_costs_its_task_its_own_time(bhiv, tmp_path):
    agents = tmp_path / "agents.json"
    agents.write_text(json.dumps({"agents": [{"id": "sleeper", "timeout_ms": 400}]}))
    with System(bhiv, tmp_path / "d", env={"BHIV_CORE_AGENTS": str(agents)}) as system:
        with Agent(system, "sleeper", None):
            start = time.monotonic()
            body = task(system, "sleeper")
            assert body["status"] == "error" and "in time" in body["agent_output"]["error"]
            assert 0.3 < time.monotonic() - start < 5
            body = task(system, "sleeper", retries=1)  # the caller wants another one then
            assert body["status"] == "success" and body["agent_id"] == "text_agent"
        stored = kept(system, body["task_id"])
        assert [attempt["agent_id"] for attempt in stored["attempts"]] == ["sleeper"]
        assert stored["agent_output"] == body["agent_output"]


# --- Selection -----------------------------------------------------------------------------------


def test_the_selector_comes_to_prefer_the_best_of_three_agents(bhiv, tmp_path):
    """Over the bus: 2,000 tasks for auto; the best agent has over 80 % of the last 500."""
    chance = random.Random(11)
    qualities = {"poor": 0.3, "best": 0.9, "fair": 0.6}

    def quality(rate):
        words = "every answer of this agent has the same twenty words or so and they are of no other use at all"
        return lambda body: {"result": words} if chance.random() < rate else {"status": 500}

    with System(bhiv, tmp_path / "d", env={"BHIV_CORE_SEED": "4"}) as system:
        agents = [Agent(system, name, quality(rate)) for name, rate in qualities.items()]
        for agent in agents:
            agent.__enter__()
        chosen = []
        try:
            with Peer(system.ingress, system.egress, source="asker") as peer:
                for i in range(2000):
                    _, body = peer.ask("req.core.handle_task", {"agent": "auto", "input": f"task {i}"}, timeout=30)
                    chosen.append(body["agent_id"])
        finally:
            for agent in agents:
                agent.stopping.set()
            for agent in agents:
                agent.__exit__()
        assert set(chosen) == set(qualities), "and nobody on standby"
        assert chosen[-500:].count("best") > 400, {name: chosen[-500:].count(name) for name in qualities}
        rows = eventually(lambda: sum(row["count"] for row in learned(system).values()) == 2000 and learned(system),
                          what="all outcomes applied")
        assert rows["best"]["average_reward"] > rows["fair"]["average_reward"] > rows["poor"]["average_reward"]
        stats = get(system, "/rl/stats").json()
        assert stats["total_tasks"] == 2000 and stats["epsilon"] == 0.05
        assert rows["best"]["confidence"] > 0.9


def test_feedback_moves_what_was_learned(system):
    ids = [task(system, "text_agent", f"words {i}")["task_id"] for i in range(2)]
    for ident in ids:
        kept(system, ident)
    before = learned(system)["text_agent"]
    said = requests.post(system.url("core", "/feedback"), json={"task_id": ids[0], "reward": -2}, timeout=10)
    assert said.status_code == 200, said.text
    answer = said.json()
    after = learned(system)["text_agent"]
    assert after["count"] == before["count"] == 2 and after["feedbacks"] == 1
    change = (-2 - answer["previous"]) / 2
    assert after["average_reward"] == pytest.approx(before["average_reward"] + change)
    assert answer["average_reward"] == after["average_reward"]
    assert kept(system, ids[0])["feedback"] == -2


# --- Agents behind HTTP --------------------------------------------------------------------------


@pytest.fixture(name="behind_http")
def fixture_behind_http(bhiv, tmp_path):
    with HttpServer(ai_answer) as server:
        env = {"BHIV_AI_URL": server.url + "/v1", "BHIV_AI_MODEL": "small-model", "BHIV_AI_KEY": "sk-very-secret",
               "BHIV_LOG_LEVEL": "debug"}
        with System(bhiv, tmp_path / "d", env=env) as system:
            yield system, server


def test_an_openai_compatible_endpoint_is_an_agent(behind_http):
    system, server = behind_http
    body = task(system, "ai_agent", "hello there", user_id="u")
    assert body["status"] == "success" and body["agent_output"]["result"] == "You said: hello there"
    assert body["agent_output"]["usage"]["total_tokens"] == 21
    asked = server.requests[-1]
    assert asked["path"] == "/v1/chat/completions" and asked["headers"]["Authorization"] == "Bearer sk-very-secret"
    assert asked["body"]["model"] == "small-model"
    assert asked["body"]["messages"][-1] == {"role": "user", "content": "hello there"}
    assert task(system, "auto")["agent_id"] == "ai_agent", "those on standby come after it"
    # The key is nowhere but in the request.
    for path in ("/config", "/agents", "/health"):
        assert "sk-very-secret" not in get(system, path).text
    assert "sk-very-secret" not in system.log_path.read_text()
    assert not any("sk-very-secret" in str(record) for record in records(system))


BAD = [
    (500, {"error": "sk-very-secret is no good"}), (200, b"no json"), (200, {}), (200, {"choices": []}),
    (200, {"choices": [{"message": {"content": 7}}]}), (200, b'{"choices":[' + b" " * 800000 + b"]}"),
    (401, {"error": {"message": "Incorrect API key provided: sk-very-secret"}}), (302, {}), "reset",
    (200, b'{"choices":[{"message":{"content":"' + b"x" * 700000 + b'"}}]}'), (200, b"[" * 5000),
]


def test_a_server_that_fails_costs_one_task_an_error(behind_http):
    system, server = behind_http
    for bad in BAD:
        server.answer = bad
        body = task(system, "ai_agent")
        assert body["status"] == "error", bad if isinstance(bad, str) else bad[0]
        assert "sk-very-secret" not in json.dumps(body)
    server.answer = ai_answer
    assert task(system, "ai_agent")["status"] == "success"


def test_a_server_that_hangs_holds_up_nobody(bhiv, tmp_path):
    agents = tmp_path / "agents.json"
    with HttpServer(None) as server:
        agents.write_text(json.dumps({"agents": [{
            "id": "slow", "kind": "http", "url": server.url + "/v1", "model": "m", "timeout_ms": 1500}]}))
        with System(bhiv, tmp_path / "d", env={"BHIV_CORE_AGENTS": str(agents)}) as system:
            with Peer(system.ingress, system.egress, source="asker") as peer:
                idents = [peer.send("req.core.handle_task", {"agent": "slow", "input": "x"}, reply_to=peer.inbox)
                          for _ in range(20)]
                start = time.monotonic()
                assert task(system, "text_agent")["status"] == "success"
                assert time.monotonic() - start < 1
                for ident in idents:
                    _, body = peer.answer(ident, timeout=10)
                    assert body["status"] == "error" and "slow" == body["agent_id"]


# --- The example, the configuration, several at once ---------------------------------------------


def test_the_example_agent_works_as_it_says(system):
    argv = [PYTHON, str(ROOT_EXAMPLES / "agent.py")]
    agent = Program(argv, env={"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress})
    try:
        assert agent.line == "ready agent.reverser"
        eventually(lambda: available(system, "reverser"), what="the agent known to Core")
        assert task(system, "reverser", "one two three")["agent_output"]["result"] == "three two one"
        body = task(system, "reverser", "review the code", tags=["task"])
        assert body["workflow"]["status"] == "requested"
    finally:
        assert agent.stop() == 0
    eventually(lambda: not available(system, "reverser"), what="the agent gone")


@pytest.mark.parametrize("text, said", [
    ('{"agents":[{"id":"a"},{"id":"b","enabeld":true}]}', "row=2"),
    ('{"agents":[{"id":"auto"}]}', "row=1"),
    ('{"agents":[{"id":"a","input_types":["smell"]}]}', "field=input_types"),
    ("not json", "problem="),
])
def test_core_does_not_start_with_a_bad_file_of_agents(bhiv, tmp_path, text, said):
    path = tmp_path / "agents.json"
    path.write_text(text)
    done = subprocess.run([bhiv, "core", "--dir", str(tmp_path / "d")], capture_output=True, text=True,
                          env={**os.environ, "BHIV_CORE_AGENTS": str(path)}, timeout=30, check=False)
    assert done.returncode == 78, done.stderr
    assert "agents_refused" in done.stderr and said in done.stderr
    done = subprocess.run([bhiv, "core", "--dir", str(tmp_path / "d"), "--core-agents", str(path)],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78 and said in done.stderr


def test_many_files_are_many_tasks(system):
    files = [{"data": f"text number {i}", "type": "text"} for i in range(20)]
    files.insert(3, {"path": "/somewhere/a.pdf", "type": "pdf"})
    answer = requests.post(system.url("core", "/handle_multi_task"), timeout=30,
                           json={"files": files, "agent": "text_agent"}).json()
    assert answer["total_files"] == 21 and answer["successful_files"] == 20 and answer["failed_files"] == 1
    assert [row["file_index"] for row in answer["results"]] == list(range(21))
    assert answer["results"][0]["result"]["result"] == "text number 0"
    assert answer["results"][3]["filename"] == "/somewhere/a.pdf" and answer["results"][3]["status"] == "error"
    for row in (answer["results"][1], answer["results"][3]):
        assert kept(system, row["task_id"])["status"] == row["status"]
    eventually(lambda: learned(system).get("text_agent", {}).get("count") == 20, what="all of them learned")


def test_a_repeat_under_the_same_key_is_the_same_task(system):
    def ask(text, key):
        return requests.post(system.url("core", "/handle_task"), timeout=10, headers={"Idempotency-Key": key},
                             json={"agent": "text_agent", "input": text})

    first = ask("some words", "k1").json()
    assert ask("some words", "k1").json() == first
    kept(system, first["task_id"])
    assert ask("some words", "k1").json() == first
    other = ask("other words", "k1")
    assert other.status_code == 422 and other.json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"
    second = ask("other words", "k2").json()
    assert second["task_id"] != first["task_id"]
    kept(system, second["task_id"])
    assert len(records(system, "core.event.rl_outcome")) == 2

"""GET /trace/{trace_id} and `bhiv trace`: one tree over HTTP, bus, agents, effects, karma and audit."""

import base64
import concurrent.futures
import json
import os
import subprocess
import time
import uuid

import pytest
import requests
from support.agents import available
from support.broker import Broker
from support.peer import Peer
from support.system import System, eventually


def trace_of(system, trace_id, **params):
    return requests.get(system.url("console", f"/trace/{trace_id}"), params=params, timeout=10)


def whole(system, trace_id, ends):
    """The tree, once `ends` says that everything has arrived. All sources answered."""

    def ask():
        answer = trace_of(system, trace_id)
        tree = answer.json() if answer.status_code == 200 else None
        return tree if tree is not None and ends(tree["steps"]) else None

    tree = eventually(ask, what=f"the whole trace {trace_id}")
    states = {source["source"]: source["state"] for source in tree["sources"]}
    assert states == dict.fromkeys(["journal", "bucket", "workflow", "bridge", "audit", "karma"], "answered")
    check(tree)
    return tree


def check(tree):
    """What every tree is: parents before children, times that fit, counts that are true."""
    steps = tree["steps"]
    assert tree["count"] == len(steps)
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    for step in steps:
        parent = step.get("parent")
        if parent is None:
            assert step["depth"] == 0
            continue
        assert parent < step["step"]
        assert step["depth"] == steps[parent - 1]["depth"] + 1
        if "cause" in step and step["parent_by"] == "cause":
            assert steps[parent - 1]["seq"] == step["cause"][0]
    for parent in {step.get("parent") for step in steps}:
        times = [step["at"] for step in steps if step.get("parent") == parent]
        assert times == sorted(times), "siblings are in the order of time"
    assert min(step["at"] for step in steps) == tree["began_at"]
    assert min(step["offset_ms"] for step in steps) == 0


def find(steps, what, **more):
    found = [step for step in steps if step["what"] == what
             and all(step.get(key) == value for key, value in more.items())]
    assert len(found) == 1, (what, more, [step["what"] for step in steps])
    return found[0]


def parent_of(steps, step):
    return steps[step["parent"] - 1]


def write_event(system, trace_id, event_type="agent_result", **data):
    answer = requests.post(system.url("bucket", "/core/write-event"), timeout=10, json={
        "requester_id": "bhiv_core", "trace_id": trace_id,
        "event_data": {"event_type": event_type, "agent_id": "edu", "user_id": "asha", **data}})
    assert answer.status_code == 200, answer.text
    return answer.json()["seq"]


def audited(system, step):
    """Each place that the step names is where the log has that entry."""
    for place in step["audit"]:
        entry = requests.get(system.url("bucket", f"/bucket/audit/entry/{place['audit_id']}"), timeout=10).json()
        assert entry["leaf_index"] == place["leaf_index"]
        assert entry["entry"]["seq"] == step["seq"]
        assert entry["entry"]["decision"] == place["decision"]
    return step["audit"]


def test_an_event_is_followed_from_its_request_to_karma_and_the_audit_log(shared_system):
    trace_id = uuid.uuid4().hex
    seq = write_event(shared_system, trace_id, result={"status": 200})
    steps = whole(shared_system, trace_id, lambda steps: any("karma" in step for step in steps))["steps"]
    assert [(step["kind"], step["depth"]) for step in steps] == [("http", 0), ("event", 1), ("karma", 2)]
    request, event, life = steps
    assert request["what"] == "POST /core/write-event" and request["http_status"] == 200
    assert request["duration_ms"] > 0 and request["seq"] == seq
    assert event["what"] == "core.event.agent_result" and event["parent_by"] == "seq"
    assert len(audited(shared_system, event)) == 1
    assert life["parent_by"] == "cause" and life["cause"] == [seq, 0]
    assert life["status"] == "applied" and life["karma"]["action"] == "agent_success"
    assert life["karma"]["token"] == "DharmaPoints" and life["karma"]["reward"] == 1.0


def test_a_refusal_is_a_step_with_its_place_in_the_audit_log(shared_system):
    trace_id = uuid.uuid4().hex
    answer = requests.delete(shared_system.url("bucket", "/bucket/artifact/none?product=gurukul"),
                             headers={"X-Trace-Id": trace_id}, timeout=10)
    assert answer.status_code == 403
    steps = whole(shared_system, trace_id, lambda steps: any("audit" in step for step in steps))["steps"]
    request, refusal = steps
    assert request["http_status"] == 403
    assert refusal["what"] == "bucket.refused" and parent_of(steps, refusal) is request
    place, = audited(shared_system, refusal)
    assert place["decision"] == "refused" and place["error_code"] == "UNAUTHORIZED_DELETION"
    assert place["audit_id"] == answer.json()["audit_id"]


def test_requests_that_change_nothing_are_steps_too(shared_system):
    trace_id = uuid.uuid4().hex
    bad = requests.post(shared_system.url("bucket", "/bucket/artifact/write"), json={"product": "gurukul"},
                        headers={"X-Trace-Id": trace_id}, timeout=10)
    assert bad.status_code == 422
    requests.get(shared_system.url("bucket", "/core/events?limit=1"), headers={"X-Trace-Id": trace_id}, timeout=10)
    requests.get(shared_system.url("bucket", "/health"), headers={"X-Trace-Id": trace_id}, timeout=10)
    tree = trace_of(shared_system, trace_id).json()
    check(tree)
    assert [(step["what"], step["http_status"]) for step in tree["steps"]] == [
        ("POST /bucket/artifact/write", 422), ("GET /core/events", 200)], "what polls is left out"


def test_a_workflow_is_followed_to_its_effect_and_what_it_tells(shared_system):
    trace_id = uuid.uuid4().hex
    answer = requests.post(shared_system.url("workflow", "/api/workflow/execute"), timeout=10, json={
        "trace_id": trace_id, "decision": "workflow",
        "data": {"workflow_type": "workflow",
                 "payload": {"action_type": "task", "title": "learn", "user_id": "ben"}}})
    assert answer.json()["status"] == "success", answer.text
    steps = whole(shared_system, trace_id, lambda steps: any("karma" in step for step in steps)
                  and any("audit" in step for step in steps))["steps"]
    effect = find(steps, "workflow.execute")
    assert effect["kind"] == "effect" and effect["status"] == "success"
    assert parent_of(steps, effect)["what"] == "POST /api/workflow/execute"
    for what in ("workflow.task.created", "core.event.workflow_execution", "karma.life_event"):
        assert find(steps, what)["parent_by"] == "cause"
    assert len(audited(shared_system, find(steps, "core.event.workflow_execution"))) == 1
    assert find(steps, "karma.life_event")["karma"]["action"] == "workflow_success"


def test_a_task_is_followed_over_agent_workflow_bucket_and_karma(shared_system):
    """The seeds' flow: handle_task, an agent that wants a workflow, the task adapter, Bucket, Karma."""
    trace_id = uuid.uuid4().hex
    with Peer(shared_system.ingress, shared_system.egress, source="py_agent") as agent:
        worker = Agent(agent, "flow_agent")
        eventually(lambda: available(shared_system, "flow_agent"), what="the agent known to Core")
        answer = worker.during(lambda: requests.post(
            shared_system.url("core", "/handle_task"), timeout=20, headers={"X-Trace-Id": trace_id},
            json={"agent": "flow_agent", "input": "make it so", "user_id": "cid"}))
    assert answer.json()["status"] == "success", answer.text
    steps = whole(shared_system, trace_id, lambda steps: sum("karma" in step for step in steps) == 2
                  and sum("audit" in step for step in steps) >= 3)["steps"]
    request = find(steps, "POST /handle_task")
    worked = find(steps, "flow_agent")
    assert worked["kind"] == "agent" and worked["status"] == "success" and parent_of(steps, worked) is request
    for what in ("core.event.rl_outcome", "core.event.agent_result"):
        step = find(steps, what)
        assert parent_of(steps, step) is worked and len(audited(shared_system, step)) == 1
    effect = find(steps, "workflow.execute")
    assert parent_of(steps, effect) is worked and effect["status"] == "success"
    told = find(steps, "core.event.workflow_execution")
    assert parent_of(steps, told) is effect and len(audited(shared_system, told)) == 1
    assert {step["karma"]["action"] for step in steps if "karma" in step} == {"agent_success", "workflow_success"}


class Agent:
    """A peer that answers req.agent.<id>, and wants a task made of each."""

    def __init__(self, peer, name):
        self.peer = peer
        self.hello = {"service": f"agent.{name}", "instance": uuid.uuid4().hex, "inbox": peer.inbox,
                      "version": "1", "pid": os.getpid(), "boot_ms": 1.0}
        assert peer.ask("$bus.hello", self.hello)[0]["status"] == "success"

    def during(self, act):
        """Answers what is asked while `act` is done, in a thread; returns what that returned."""
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            done = pool.submit(act)
            while not done.done():
                self.peer.send("$bus.beat", self.hello)
                self.answer_next()
            self.peer.send("$bus.bye", {"instance": self.hello["instance"]})
            return done.result()

    def answer_next(self):
        if not self.peer.heard:
            self.peer._read(0.2)
        while self.peer.heard:
            header, _ = self.peer.heard.popleft()
            if "topic" in header:
                self.peer.send(header["reply_to"], {
                    "result": "done", "status": 200, "requires_workflow": True, "workflow_action_type": "task",
                    "workflow_payload": {"title": "made by an agent"}}, re=header["id"], status="success")


# --- What cannot be had --------------------------------------------------------------------------


def test_services_that_are_absent_are_named_and_the_journal_is_told_all_the_same(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker,bridge")) as system:
        with Peer(system.ingress, system.egress) as peer:
            peer.publish("core.event.note", {"requester_id": "bhiv_core", "event_type": "note"}, trace_id="alone")
        tree = trace_of(system, "alone").json()
        check(tree)
        assert [step["what"] for step in tree["steps"]] == ["core.event.note"]
        states = {source["source"]: source["state"] for source in tree["sources"]}
        assert states == {"journal": "answered", "bridge": "answered", "bucket": "absent", "workflow": "absent",
                          "audit": "absent", "karma": "absent"}
        done = system.run("trace", "alone", "--format", "tree")
        assert done.returncode == 0 and "core.event.note" in done.stdout
        for name in ("bucket", "workflow", "audit", "karma"):
            assert f"bhiv: {name} is absent" in done.stderr


def test_a_service_that_hangs_costs_half_a_second_and_its_own_part(system):
    trace_id = uuid.uuid4().hex
    write_event(system, trace_id)
    whole(system, trace_id, lambda steps: any("karma" in step for step in steps))
    system.kill("karma", 19)  # SIGSTOP
    try:
        began = time.monotonic()
        tree = trace_of(system, trace_id).json()
        took = time.monotonic() - began
    finally:
        system.kill("karma", 18)
    check(tree)
    states = {source["source"]: source["state"] for source in tree["sources"]}
    assert states.pop("karma") in ("late", "absent")  # after three seconds the broker takes it for gone
    assert set(states.values()) == {"answered"}
    assert any("audit" in step for step in tree["steps"])
    assert took < 3, took


def test_a_trace_of_yesterday_is_found_after_everything_was_killed_and_much_was_said_since(system):
    old = uuid.uuid4().hex
    seq = write_event(system, old, result={"status": 200})
    whole(system, old, lambda steps: any("karma" in step for step in steps))
    with Peer(system.ingress, system.egress) as peer:
        for _ in range(6):
            batch = [["stress.drill", {"trace_id": f"other-{i}"}, {"n": i}] for i in range(700)]
            assert peer.ask("$bus.batch", batch)[0]["status"] == "success"
    system.kill_all()
    system.start()
    tree = whole(system, old, lambda steps: all("audit" in step or "karma" in step for step in steps))
    assert [step["what"] for step in tree["steps"]] == ["core.event.agent_result", "karma.life_event"], \
        "requests are not journaled, and the bridge that had them is gone"
    assert tree["steps"][0]["seq"] == seq


def test_more_steps_than_are_shown_are_said_to_be_cut(system):
    with Peer(system.ingress, system.egress) as peer:
        for _ in range(3):
            batch = [["stress.drill", {"trace_id": "much"}, {"n": i}] for i in range(700)]
            assert peer.ask("$bus.batch", batch)[0]["status"] == "success"
    tree = trace_of(system, "much").json()
    check(tree)
    assert tree["count"] == 2000 and tree["truncated"] is True
    done = system.run("trace", "much", "--format", "json")
    head, *steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert head["truncated"] is True and len(steps) == 2000
    assert "more steps than are shown" in done.stderr


def test_what_was_trimmed_is_told_by_those_who_keep_it_and_said_to_be_trimmed(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", env={"BHIV_RETENTION_BYTES": "200000"}) as system:
        old = uuid.uuid4().hex
        seq = write_event(system, old, result={"status": 200})
        whole(system, old, lambda steps: any("karma" in step for step in steps))
        with Peer(system.ingress, system.egress) as peer:

            def push_out():
                batch = [["stress.drill", {}, {"text": "x" * 500}] for i in range(500)]
                assert peer.ask("$bus.batch", batch)[0]["status"] == "success"
                return peer.ask("$bus.stats", {})[1]["first"] > seq + 1

            eventually(push_out, timeout=40, every=0.2, what="the old records gone")
        tree = trace_of(system, old).json()
        check(tree)
        event = find(tree["steps"], "core.event.agent_result")
        assert event["known_by"] == "bucket" and event["seq"] == seq and tree["trimmed"] is True
        assert tree["journal"]["first"] > seq
        assert len(audited(system, event)) == 1
        done = system.run("trace", old, "--format", "tree")
        assert "was trimmed" in done.stderr and "(known by bucket alone)" in done.stdout


# --- The program ---------------------------------------------------------------------------------


def test_the_program_draws_the_tree_that_http_answers(shared_system):
    trace_id = uuid.uuid4().hex
    write_event(shared_system, trace_id, result={"status": 200})
    tree = whole(shared_system, trace_id, lambda steps: any("karma" in step for step in steps))
    done = shared_system.run("trace", trace_id)
    assert done.returncode == 0 and done.stderr == ""
    head, *steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps == tree["steps"]
    assert head == {key: value for key, value in tree.items() if key != "steps"}
    argv = [shared_system.bhiv, "trace", "--dir", str(shared_system.folder), trace_id, "--format", "tree"]
    for locale, branch in (("C.UTF-8", "└─ "), ("C", "`- ")):
        drawn = subprocess.run(argv, capture_output=True, timeout=30, check=True,
                               env={**os.environ, "LC_ALL": locale}).stdout.decode()
        title, blank, request, event, life = drawn.splitlines()
        assert title.startswith(f"trace {trace_id}: 3 steps in ") and blank == ""
        assert "+0.000 ms  POST /core/write-event 200 (" in request
        assert f" ms  {branch}core.event.agent_result #" in event and "[audit_" in event
        assert f" ms     {branch}karma.life_event applied #" in life and "DharmaPoints+1" in life


def test_the_program_works_without_a_bridge(bhiv, tmp_path):
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        peer.publish("core.event.note", {"requester_id": "bhiv_core", "event_type": "note"}, trace_id="t")
        argv = [bhiv, "trace", "t", "--dir", str(broker.folder)]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        head, step = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0 and head["count"] == 1 and step["what"] == "core.event.note"
        assert "bhiv: bridge is absent" in done.stderr


@pytest.mark.parametrize("argv, status", [
    (["no-such-trace"], 66), ([""], 65), (["x" * 129], 65), ([], 64), (["t", "--format", "line"], 64)])
def test_the_program_says_what_is_wrong(shared_system, argv, status):
    done = shared_system.run("trace", *argv)
    assert done.returncode == status and done.stdout == "" and done.stderr != ""


def test_control_bytes_of_a_peer_reach_no_terminal(shared_system):
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        peer.publish("core.event.note", {"requester_id": "bhiv_core", "event_type": "note",
                                         "agent_id": "\x1b]0;evil\x07\n"}, trace_id="evil")
    done = shared_system.run("trace", "evil", "--format", "tree")
    assert done.returncode == 0
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout
    assert len(done.stdout.splitlines()) <= 4


# --- On the bus ----------------------------------------------------------------------------------


def test_a_fetch_may_ask_for_one_trace_alone(bhiv, tmp_path):
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer:
        wanted = []
        for i in range(1500):
            ack = peer.send("stress.drill" if i % 2 else "core.event.x", {"n": i}, trace_id=f"t{i % 50}")
            assert ack
            if i % 50 == 7:
                wanted.append(i)
        eventually(lambda: peer.ask("$bus.stats", {})[1]["head"] == 1500, what="all journaled")
        for start in (0, 1, 700):
            page = peer.fetch(start=start, trace_id="t7", max=2000)
            assert [body["n"] for _, _, body in page["records"]] == [n for n in wanted if n + 1 >= start]
            assert page["next"] == 1501
        assert peer.fetch(filters=["core."], trace_id="t7", max=2000)["records"] == []
        assert peer.fetch(trace_id="nobody's", max=2000)["records"] == []
        broker.kill()
        broker.start()
        peer.wait_welcome()
        page = peer.fetch(trace_id="t7", max=2000)
        assert [body["n"] for _, _, body in page["records"]] == wanted
        header, _ = peer.ask("$bus.fetch", {"consumer": "c", "trace_id": ""})
        assert header["status"] == "error"


def test_a_parked_fetch_for_a_trace_wakes_for_it_alone(bhiv, tmp_path):
    with Broker(bhiv, tmp_path / "d") as broker, broker.peer() as peer, broker.peer("other") as other:
        ident = peer.send("$bus.fetch", {"consumer": "c", "trace_id": "mine", "from": 1, "wait_ms": 20000},
                          reply_to=peer.inbox)
        other.publish("core.event.x", {"n": 1}, trace_id="theirs")
        other.publish("core.event.x", {"n": 2}, trace_id="mine")
        found, start = [], None
        while not found:
            _, page = peer.answer(ident)
            found += [body["n"] for _, _, body in page["records"]]
            start = page["next"]
            if not found:
                ident = peer.send("$bus.fetch", {"consumer": "c", "trace_id": "mine", "from": start,
                                                 "wait_ms": 20000}, reply_to=peer.inbox)
        assert found == [2]


def test_a_page_of_the_journal_may_be_of_one_trace_alone(shared_system):
    trace_id = uuid.uuid4().hex
    seq = write_event(shared_system, trace_id)
    whole(shared_system, trace_id, lambda steps: any("karma" in step for step in steps))
    url = shared_system.url("console", "/bus/events")
    page = requests.get(url, params={"trace_id": trace_id}, timeout=10).json()
    assert [event["topic"] for event in page["events"]] == ["core.event.agent_result", "karma.life_event"]
    page = requests.get(url, params={"trace_id": trace_id, "topic": "karma.>"}, timeout=10).json()
    assert [event["topic"] for event in page["events"]] == ["karma.life_event"] and page["events"][0]["seq"] > seq


def test_audit_places_are_proved_by_their_leaves(shared_system):
    """The position that a step names is the one that an inclusion proof is for."""
    trace_id = uuid.uuid4().hex
    write_event(shared_system, trace_id)
    tree = whole(shared_system, trace_id, lambda steps: any("audit" in step for step in steps))
    place = find(tree["steps"], "core.event.agent_result")["audit"][0]
    proof = requests.get(shared_system.url("bucket", "/bucket/audit/proof/inclusion"),
                         params={"audit_id": place["audit_id"]}, timeout=10).json()
    assert proof["leaf_index"] == place["leaf_index"]
    assert all(len(base64.b64decode(node)) == 32 for node in proof["path"])

"""What Grace shows and takes on the console's port: /htm/*, /brain/*, /grace/* (docs/contract.md section 8)."""

import os
import re
import signal
import uuid

import pytest
import requests
from support.htm import Hand, call, ready
from support.system import System, eventually

KERNELS = ["infrastructure", "governance", "memory", "librarian", "verification", "self_healing", "code"]
SLA_S = {"critical": 300, "high": 1800, "normal": 14400, "low": 86400}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


@pytest.fixture(scope="module", autouse=True)
def fixture_ready(shared_system):
    ready(shared_system)
    eventually(lambda: call(shared_system, "GET", "/brain/status").status_code == 200, what="the brain")


@pytest.fixture(name="handler")
def fixture_handler():
    """Of nobody else."""
    return "h" + uuid.uuid4().hex[:12]


def put(system, handler, **fields):
    answer = call(system, "POST", "/htm/tasks", {"task_type": "t", "handler": handler, **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def task_of(system, task_id):
    answer = call(system, "GET", f"/htm/tasks/{task_id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def refused(answer, status, code, field=None):
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert body["status"] == "error" and body["error_code"] == code == body["error"], body
    assert body["detail"] == body["message"] and body["trace_id"] == answer.headers["X-Trace-Id"]
    if field is not None:
        assert [row["field"] for row in body["details"]] == [field], body


# --- Tasks ---------------------------------------------------------------------------------------


def test_a_task_is_put_in_and_shown_as_it_was_asked_for(shared_system, handler):
    context = {"file": "a.png", "deep": {"n": [1, 2.5, None, True]}}
    answer = call(shared_system, "POST", "/htm/tasks", {
        "task_type": "resize", "handler": handler, "priority": "high", "context": context, "sla_seconds": 60,
        "trace_id": "t-grace-1"})
    said = answer.json()
    assert answer.status_code == 200 and answer.headers["X-Trace-Id"] == "t-grace-1"
    assert said["status"] == "waiting" and said["task_id"].startswith("task_")
    task = task_of(shared_system, said["task_id"])
    assert (task["task_type"], task["handler"], task["priority"]) == ("resize", handler, "high")
    assert task["context"] == context and task["trace_id"] == "t-grace-1" and task["attempts"] == 0
    assert task["status"] == "waiting" and task["sla_seconds"] == 60
    assert TIME.fullmatch(task["created_at"]) and TIME.fullmatch(task["deadline"])
    assert call(shared_system, "DELETE", f"/htm/tasks/{said['task_id']}").status_code == 200


@pytest.mark.parametrize("given,priority", [(None, "normal"), ("critical", "critical"), ("high", "high"),
                                            ("low", "low"), ("urgent", "normal"), ("", "normal")])
def test_what_is_not_said_has_its_default(shared_system, handler, given, priority):
    said = put(shared_system, handler, **({} if given is None else {"priority": given}))
    task = task_of(shared_system, said["task_id"])
    assert task["priority"] == priority and task["sla_seconds"] == SLA_S[priority] and task.get("context", {}) == {}
    call(shared_system, "DELETE", f"/htm/tasks/{said['task_id']}")


def test_without_a_handler_it_is_for_an_unknown_one(shared_system):
    said = call(shared_system, "POST", "/htm/tasks", {"task_type": "t"}).json()
    assert task_of(shared_system, said["task_id"])["handler"] == "unknown"
    call(shared_system, "DELETE", f"/htm/tasks/{said['task_id']}")


@pytest.mark.parametrize("change,field", [
    ({"task_type": None}, "task_type"), ({"task_type": ""}, "task_type"), ({"task_type": "t" * 65}, "task_type"),
    ({"task_type": 5}, "task_type"), ({"task_id": ""}, "task_id"), ({"task_id": "t" * 65}, "task_id"),
    ({"priority": 5}, "priority"), ({"priority": "p" * 17}, "priority"), ({"context": "x"}, "context"),
    ({"context": []}, "context"), ({"sla_seconds": "1"}, "sla_seconds"), ({"sla_seconds": 0}, "sla_seconds"),
    ({"sla_seconds": -1}, "sla_seconds"), ({"lease_seconds": 0.04}, "lease_seconds"),
    ({"lease_seconds": 86401}, "lease_seconds"), ({"max_retries": 21}, "max_retries"),
    ({"max_retries": -1}, "max_retries"), ({"max_retries": 1.5}, "max_retries"),
    ({"delay_seconds": -1}, "delay_seconds"), ({"requester_id": "r" * 65}, "requester_id"),
    ({"handler": ""}, "handler"), ({"handler": "a.b"}, "handler"), ({"handler": "a b"}, "handler"),
])
def test_a_field_of_the_wrong_shape_is_422_and_named(shared_system, change, field):
    refused(call(shared_system, "POST", "/htm/tasks", {"task_type": "t", "handler": "nobody", **change}),
            422, "VALIDATION_FAILED", field)


def test_a_context_over_its_limit_is_refused(shared_system, handler):
    fits = {"text": "x" * (256 * 1024 - 100)}
    said = put(shared_system, handler, context=fits)
    assert task_of(shared_system, said["task_id"])["context"] == fits
    call(shared_system, "DELETE", f"/htm/tasks/{said['task_id']}")
    answer = call(shared_system, "POST", "/htm/tasks", {"task_type": "t", "context": {"text": "x" * (256 * 1024)}})
    refused(answer, 422, "VALIDATION_FAILED", "context")


def test_the_same_name_again_is_the_same_task_and_another_task_by_it_is_refused(shared_system, handler):
    name = "named-" + uuid.uuid4().hex
    first = put(shared_system, handler, task_id=name, context={"a": 1})
    again = put(shared_system, handler, task_id=name, context={"a": 1})
    assert first["task_id"] == again["task_id"] == name
    listed = call(shared_system, "GET", f"/htm/tasks?handler={handler}").json()["tasks"]
    assert [task["task_id"] for task in listed] == [name]
    other = call(shared_system, "POST", "/htm/tasks", {
        "task_type": "t", "handler": handler, "task_id": name, "context": {"a": 2}})
    refused(other, 409, "CONFLICT")
    call(shared_system, "DELETE", f"/htm/tasks/{name}")


def test_an_idempotency_key_makes_a_repeat_safe(shared_system, handler):
    key = {"Idempotency-Key": uuid.uuid4().hex}
    body = {"task_type": "t", "handler": handler}
    first, again = (call(shared_system, "POST", "/htm/tasks", body, headers=key) for _ in range(2))
    assert first.status_code == again.status_code == 200 and first.json() == again.json()
    listed = call(shared_system, "GET", f"/htm/tasks?handler={handler}").json()["tasks"]
    assert len(listed) == 1
    other = call(shared_system, "POST", "/htm/tasks", {**body, "task_type": "u"}, headers=key)
    refused(other, 422, "IDEMPOTENCY_KEY_REUSED")
    call(shared_system, "DELETE", f"/htm/tasks/{first.json()['task_id']}")


# --- Lists ---------------------------------------------------------------------------------------


def test_waiting_tasks_are_listed_as_they_would_start(shared_system, handler):
    order = [("low", 50), ("normal", 1000), ("normal", 100), ("critical", 200), ("high", 10), ("normal", 100)]
    names = [put(shared_system, handler, priority=priority, sla_seconds=sla)["task_id"] for priority, sla in order]
    listed = call(shared_system, "GET", f"/htm/tasks?handler={handler}&status=waiting").json()["tasks"]
    assert [task["task_id"] for task in listed] == [names[i] for i in (3, 4, 2, 5, 1, 0)]
    limited = call(shared_system, "GET", f"/htm/tasks?handler={handler}&status=waiting&limit=2").json()["tasks"]
    assert limited == listed[:2]
    for name in names:
        call(shared_system, "DELETE", f"/htm/tasks/{name}")
    gone = call(shared_system, "GET", f"/htm/tasks?handler={handler}&status=cancelled").json()["tasks"]
    assert [task["task_id"] for task in gone] == names[::-1], "the latest first"
    assert call(shared_system, "GET", f"/htm/tasks?handler={handler}").json()["tasks"] == []


@pytest.mark.parametrize("query,field", [("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
                                         ("status=sleeping", "status"), ("status=" + "s" * 17, "status"),
                                         ("handler=" + "h" * 65, "handler"), ("no_such=1", "no_such")])
def test_a_parameter_of_the_wrong_shape_is_422_and_named(shared_system, query, field):
    refused(call(shared_system, "GET", f"/htm/tasks?{query}"), 422, "VALIDATION_FAILED", field)


@pytest.mark.parametrize("method,path", [
    ("GET", "/htm/tasks/of-nobody"), ("DELETE", "/htm/tasks/of-nobody"), ("POST", "/htm/tasks/of-nobody/cancel"),
    ("POST", "/htm/tasks/of-nobody/requeue")])
def test_a_task_that_is_not_there_is_404(shared_system, method, path):
    answer = call(shared_system, method, path)
    assert answer.status_code == 404 and answer.json()["error_code"].endswith("NOT_FOUND"), answer.text


# --- Cancelling, and dead letters ----------------------------------------------------------------


@pytest.mark.parametrize("how", ["post", "delete", "delete with a query"])
def test_a_waiting_task_can_be_cancelled_with_a_reason(shared_system, handler, how):
    name = put(shared_system, handler)["task_id"]
    if how == "post":
        answer = call(shared_system, "POST", f"/htm/tasks/{name}/cancel", {"reason": "no more"})
    elif how == "delete":
        answer = call(shared_system, "DELETE", f"/htm/tasks/{name}")
    else:
        answer = call(shared_system, "DELETE", f"/htm/tasks/{name}?reason=no%20more")
    assert answer.status_code == 200, answer.text
    task = task_of(shared_system, name)
    assert task["status"] == "cancelled" and (task["reason"] == "no more" or how == "delete")
    refused(call(shared_system, "POST", f"/htm/tasks/{name}/cancel", {"reason": 5}), 422, "VALIDATION_FAILED", "reason")
    refused(call(shared_system, "POST", f"/htm/tasks/{name}/requeue"), 409, "CONFLICT")


def test_a_dead_letter_has_its_reason_and_goes_back_when_told_to(shared_system, handler):
    with Hand(shared_system, handler, handler) as hand:
        name = put(shared_system, handler)["task_id"]
        hand.fail(hand.take(), "the disk is on fire", retry=False)
        dead = eventually(lambda: (task := task_of(shared_system, name))["status"] == "dead" and task)
        assert "the disk is on fire" in dead["reason"]
        listed = call(shared_system, "GET", f"/htm/tasks?status=dead&handler={handler}").json()["tasks"]
        assert [task["task_id"] for task in listed] == [name]
        assert call(shared_system, "POST", f"/htm/tasks/{name}/requeue").status_code == 200
        again = hand.take()
        assert again["task_id"] == name
        hand.complete(again, status="success", answer=42)
        done = eventually(lambda: (task := task_of(shared_system, name))["status"] == "completed" and task)
        assert done["result"] == {"status": "success", "answer": 42} and done["worker"] == handler
        refused(call(shared_system, "POST", f"/htm/tasks/{name}/requeue"), 409, "CONFLICT")


# --- The queue -----------------------------------------------------------------------------------


def test_workers_are_shown_with_what_they_can_do_and_have_in_hand(shared_system, handler):
    with Hand(shared_system, handler, handler, handler + "b", slots=3) as hand:
        name = put(shared_system, handler)["task_id"]
        task = hand.take()
        rows = {row["worker"]: row for row in call(shared_system, "GET", "/htm/workers").json()["workers"]}
        row = rows[handler]
        assert row["handlers"] == [handler, handler + "b"] and row["slots"] == 3 and row["busy"] == 1
        assert row["instance"] == hand.instance
        running = call(shared_system, "GET", "/htm/status").json()["running_tasks"]
        assert name in [each["task_id"] for each in running]
        hand.complete(task)
    eventually(lambda: handler not in [row["worker"] for row in
                                       call(shared_system, "GET", "/htm/workers").json()["workers"]],
               what="the worker that said bye to be forgotten")


def test_the_status_says_how_full_and_how_fast_the_queue_is(shared_system, handler):
    before = call(shared_system, "GET", "/htm/status").json()
    name = put(shared_system, handler, priority="low")["task_id"]
    after = call(shared_system, "GET", "/htm/status").json()
    assert set(after["queue_sizes"]) == {"critical", "high", "normal", "low", "running", "held"}
    assert after["queue_sizes"]["low"] == before["queue_sizes"]["low"] + 1
    assert after["statistics"]["tasks_queued"] == before["statistics"]["tasks_queued"] + 1
    assert {"tasks_queued", "tasks_completed", "tasks_failed", "tasks_cancelled", "retries", "lapsed", "gone",
            "escalations", "sla_warnings", "sla_breaches", "duplicates", "overtakes"} <= set(after["statistics"])
    assert {"system_health", "running_tasks", "recent_completed", "workers"} <= set(after)
    call(shared_system, "DELETE", f"/htm/tasks/{name}")
    last = call(shared_system, "GET", "/htm/status").json()
    assert last["statistics"]["tasks_cancelled"] == after["statistics"]["tasks_cancelled"] + 1


def test_a_task_for_a_queue_that_is_down_is_202_and_decided_later(bhiv, tmp_path):
    args = ("--dev", "--without", "bucket,karma,workflow,core,brain,kernels")
    with System(bhiv, tmp_path / "d", args=args) as system:
        ready(system)
        os.kill(system.pid("htm"), signal.SIGSTOP)
        answer = call(system, "POST", "/htm/tasks", {"task_type": "t"})
        said = answer.json()
        os.kill(system.pid("htm"), signal.SIGCONT)
        assert answer.status_code == 202, answer.text
        assert said["status"] == "accepted" and said["queued"] is True and said["queue"] == f"/htm/queue/{said['seq']}"
        decided = lambda: (state := call(system, "GET", said["queue"]).json()).get("state") == "applied" and state
        eventually(decided, what="the task to be decided")
        assert task_of(system, f"task_{said['seq']}")["status"] == "waiting"


def test_metrics_have_the_queue_and_the_kernels(shared_system, handler):
    name = put(shared_system, handler)["task_id"]

    def figures():
        text = call(shared_system, "GET", "/metrics").text
        return dict(line.rsplit(" ", 1) for line in text.splitlines() if re.match(r"bhiv_(htm|kernel)_", line))

    eventually(lambda: float(figures().get('bhiv_htm_tasks{queue="normal"}', 0)) >= 1, what="the waiting task")
    found = figures()
    assert float(found['bhiv_htm_total{what="tasks_queued"}']) >= 1
    assert {name for name in KERNELS if found[f'bhiv_kernel_up{{kernel="{name}"}}'] == "1"} == set(KERNELS)
    call(shared_system, "DELETE", f"/htm/tasks/{name}")


# --- The brain -----------------------------------------------------------------------------------


def test_the_brain_shows_what_it_holds_things_against(shared_system):
    status = call(shared_system, "GET", "/brain/status").json()
    assert "baselines" in status, status
    assert call(shared_system, "GET", "/brain/drifts").json()["drifts"] == []
    assert isinstance(call(shared_system, "GET", "/brain/scores").json()["scores"], list)


def test_the_brain_says_why(shared_system):
    why = call(shared_system, "GET", "/brain/why?issue_type=boot_performance_degradation").json()
    assert "run_diagnostics" in str(why), why
    refused(call(shared_system, "GET", "/brain/why"), 422, "VALIDATION_FAILED", "issue_type")
    refused(call(shared_system, "GET", "/brain/drifts?limit=1001"), 422, "VALIDATION_FAILED", "limit")


# --- The kernels ---------------------------------------------------------------------------------


def test_all_seven_kernels_are_named_with_their_start(shared_system):
    said = eventually(lambda: (said := call(shared_system, "GET", "/grace/kernels").json())["up"] == 7 and said)
    assert said["count"] == 7 and [row["name"] for row in said["kernels"]] == KERNELS
    for row in said["kernels"]:
        assert set(row) == {"name", "state", "boot_ms", "since", "version", "does"}
        assert row["state"] == "up" and row["boot_ms"] > 0 and TIME.fullmatch(row["since"]) and row["version"]


def test_a_kernel_that_was_killed_is_up_again_since_later(shared_system):
    def memory():
        rows = call(shared_system, "GET", "/grace/kernels").json()["kernels"]
        return next(row for row in rows if row["name"] == "memory")

    before = memory()
    pid = shared_system.kill("kernel-memory")
    shared_system.restarted("kernel-memory", pid)
    eventually(lambda: (row := memory())["state"] == "up" and row["since"] > before["since"], what="the kernel again")


def test_without_grace_the_others_are_ready_and_it_is_said_to_be_absent(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "grace")) as system:
        for port in ("core", "bucket", "karma", "workflow", "console"):
            eventually(lambda port=port: requests.get(system.url(port, "/readyz"), timeout=10).status_code == 200,
                       what=f"{port} to be ready")
        rows = call(system, "GET", "/grace/kernels").json()
        assert rows["up"] == 0 and {row["state"] for row in rows["kernels"]} == {"down"}
        assert {row["since"] for row in rows["kernels"]} == {None} == {row["boot_ms"] for row in rows["kernels"]}
        status = call(system, "GET", "/status").json()
        assert status["services"]["grace"] == {"status": "unhealthy", "state": "absent", "lag": None, "htm": "absent",
                                               "brain": "absent", "kernels_up": 0}
        assert status["status"] == "degraded" and status["services"]["core"]["state"] == "up"
        for path in ("/htm/status", "/htm/tasks", "/htm/workers", "/brain/status", "/brain/drifts"):
            refused(call(system, "GET", path), 503, "SERVICE_UNAVAILABLE")


def test_without_the_kernels_grace_is_there_in_part(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "kernels")) as system:
        ready(system)
        grace = lambda: call(system, "GET", "/status").json()["services"]["grace"]
        said = eventually(lambda: (row := grace())["brain"] == row["htm"] == "up" and row)
        assert (said["status"], said["state"], said["kernels_up"]) == ("degraded", "partial", 0)

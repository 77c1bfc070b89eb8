"""`bhiv htm VERB` and `bhiv brain VERB`, and scripts/examples/worker.py: what they print, and how they end."""

import json
import os
import pty
import select
import signal
import subprocess
import uuid

import pytest
from support.broker import Broker
from support.htm import PYTHON, QUEUE, Hand, becomes, enqueue, ready, task_of
from support.peer import Peer
from support.system import ROOT_EXAMPLES, Program, System, eventually


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    args = ("--dev", "--without", "bucket,karma,workflow,core,kernels")
    with System(bhiv, tmp_path_factory.mktemp("c") / "d", args=args) as running:
        ready(running)
        yield running


@pytest.fixture(scope="module", name="peer")
def fixture_peer(system):
    with Peer(system.ingress, system.egress, source="py_htm") as peer:
        yield peer


@pytest.fixture(name="handler")
def fixture_handler():
    return "h" + uuid.uuid4().hex[:12]


def lines(done):
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def on_terminal(system, *args):
    """What it prints where standard output is a terminal."""
    master, slave = pty.openpty()
    with subprocess.Popen([system.bhiv, *args], stdin=subprocess.DEVNULL, stdout=slave,
                          env={**os.environ, "BHIV_DIR": str(system.folder), "NO_COLOR": "1"}) as process:
        os.close(slave)
        text = b""
        while select.select([master], [], [], 20)[0]:
            try:
                text += os.read(master, 4096)
            except OSError:
                break
        assert process.wait(20) == 0
    os.close(master)
    return text.decode().replace("\r\n", "\n")


class Waiting:
    """`bhiv htm enqueue … --wait`, going on."""

    def __init__(self, system, *args):
        self.process = subprocess.Popen(
            [system.bhiv, "htm", "enqueue", "--dir", str(system.folder), "--wait", *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, timeout=20):
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


# --- enqueue -------------------------------------------------------------------------------------


def test_enqueue_says_everything_about_a_task(system, peer, handler):
    [said] = lines(system.run("htm", "enqueue", "resize", '{"file":"a.png"}', "--handler", handler, "--priority", "high",
                              "--sla", "2m", "--lease", "500ms", "--retries", "0", "--delay", "1h", "--id", handler,
                              "--trace", "t-" + handler))
    assert said["task_id"] == handler and said["status"] == "waiting"
    [asked] = [(header, body) for topic, header, body in peer.fetch_all(["task.enqueue"])
               if body.get("task_id") == handler]
    header, body = asked
    assert header["trace_id"] == "t-" + handler
    assert {key: value for key, value in body.items() if value is not None} == {
        "task_type": "resize", "context": {"file": "a.png"}, "handler": handler, "priority": "high", "sla_seconds": 120,
        "lease_seconds": 0.5, "max_retries": 0, "delay_seconds": 3600, "task_id": handler}
    assert system.run("htm", "cancel", handler).returncode == 0


def test_enqueue_reads_its_context_from_standard_input(system, peer, handler):
    [said] = lines(system.run("htm", "enqueue", "t", "-", "--handler", handler, stdin='{"a": [1, null]}'))
    assert task_of(peer, said["task_id"])["context"] == {"a": [1, None]}
    system.run("htm", "cancel", said["task_id"])


@pytest.mark.parametrize("end,status,word", [("complete", 0, "completed"), ("fail", 1, "dead"), ("cancel", 1, "cancelled")])
def test_enqueue_waits_for_what_comes_of_it(system, peer, handler, end, status, word):
    with Hand(system, handler, handler) as hand, Waiting(system, "t", "--handler", handler) as waiting:
        task = hand.take()
        if end == "complete":
            hand.complete(task, answer=42)
        elif end == "fail":
            hand.fail(task, "it is broken", retry=False)
        else:
            peer.ask("task.cancel", {"task_id": task["task_id"], "reason": "no more"}, ack=False)
        ended, out, err = waiting.end()
        said = json.loads(out)
        assert (ended, said["status"], err) == (status, word, "") and said["task_id"] == task["task_id"]
        assert said.get("result") == ({"answer": 42} if end == "complete" else None)


def test_enqueue_waits_no_longer_than_it_is_told(system, handler):
    done = system.run("htm", "enqueue", "t", "--handler", handler, "--wait", "--within", "200ms")
    assert done.returncode == 124 and done.stdout == "" and "not over yet" in done.stderr
    task_id = done.stderr.split(": ")[1].split(" ")[0]
    assert system.run("htm", "cancel", task_id).returncode == 0


def test_enqueue_of_a_task_that_is_over_says_so_at_once(system, handler):
    with Hand(system, handler, handler) as hand, Waiting(system, "t", "--handler", handler, "--id", handler) as waiting:
        hand.complete(hand.take(), n=1)
        assert waiting.end()[0] == 0
    again = system.run("htm", "enqueue", "t", "--handler", handler, "--id", handler, "--wait", "--within", "5s")
    assert again.returncode == 0 and json.loads(again.stdout)["result"] == {"n": 1}, again.stderr


def test_enqueue_waits_through_a_restart_of_the_queue(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=QUEUE) as system:
        ready(system)
        os.kill(system.pid("htm"), signal.SIGSTOP)
        with Waiting(system, "t", "--handler", "h", "--timeout", "1s") as waiting:
            with Peer(system.ingress, system.egress, source="py_htm") as peer:
                eventually(lambda: list(peer.fetch_all(["task.enqueue"])), what="the task in the journal")
                pid = system.kill("htm")
                system.restarted("htm", pid)
                with Hand(system, "w", "h") as hand:
                    hand.complete(hand.take(20), n=1)
                    ended, out, err = waiting.end()
                    assert ended == 0 and json.loads(out)["result"] == {"n": 1}, err


@pytest.mark.parametrize("args,status", [
    ((), 64), (("t", "{}", "more"), 64), (("t", "--retries", "21"), 64), (("t", "--retries", "x"), 64),
    (("t", "--sla", "soon"), 64), (("t", "[]"), 65), (("t", "{"), 65), (("t", "--priority", "urgent"), 64),
    (("t", "--id", "i" * 65), 65), (("t", "--lease", "1ms"), 65)])
def test_enqueue_refuses_what_makes_no_sense(system, args, status):
    done = system.run("htm", "enqueue", *args)
    assert done.returncode == status and done.stdout == "" and done.stderr.startswith("bhiv"), done


# --- Looking, cancelling, putting back -----------------------------------------------------------


def test_list_show_and_cancel(system, peer, handler):
    low = enqueue(peer, handler=handler, priority="low", context={"a": 1})["task_id"]
    high = enqueue(peer, handler=handler, priority="high")["task_id"]
    assert [task["task_id"] for task in lines(system.run("htm", "list", "--handler", handler))] == [high, low]
    assert len(lines(system.run("htm", "list", "--handler", handler, "-n", "1"))) == 1
    table = on_terminal(system, "htm", "list", "--handler", handler).splitlines()
    assert table[0].split() == ["TASK", "STATUS", "PRIORITY", "HANDLER", "TYPE", "TRIES", "DEADLINE", "WORKER"]
    assert table[1].split()[:3] == [high, "waiting", "high"] and len(table) == 3
    [shown] = lines(system.run("htm", "show", low))
    assert shown["context"] == {"a": 1} and shown["priority"] == "low"
    [said] = lines(system.run("htm", "cancel", low, "--reason", "no more"))
    assert said["task_id"] == low and task_of(peer, low)["reason"] == "no more"
    assert [task["task_id"] for task in lines(system.run("htm", "list", "-s", "cancelled", "--handler", handler))] == [low]
    system.run("htm", "cancel", high)


@pytest.mark.parametrize("args", [("show", "of-nobody"), ("cancel", "of-nobody"), ("dead", "--requeue", "of-nobody")])
def test_a_task_that_is_not_there_is_exit_66(system, args):
    done = system.run("htm", *args)
    assert done.returncode == 66 and done.stdout == "" and "NOT_FOUND" in done.stderr, done


def test_dead_letters_are_listed_with_their_reason_and_put_back(system, peer, handler):
    with Hand(system, handler, handler) as hand:
        name = enqueue(peer, handler=handler)["task_id"]
        hand.fail(hand.take(), "the disk is on fire", retry=False)
        becomes(peer, name, "dead")
        [dead] = lines(system.run("htm", "dead", "--handler", handler))
        assert dead["task_id"] == name and "the disk is on fire" in dead["reason"]
        assert "the disk is on fire" in on_terminal(system, "htm", "dead", "--handler", handler)
        [said] = lines(system.run("htm", "dead", "--requeue", name))
        assert said["task_id"] == name
        hand.complete(hand.take())
        becomes(peer, name, "completed")
        assert lines(system.run("htm", "dead", "--handler", handler)) == []


def test_workers_and_status(system, handler):
    with Hand(system, handler, handler, slots=3):
        rows = {row["worker"]: row for row in lines(system.run("htm", "workers"))}
        assert rows[handler]["handlers"] == [handler] and rows[handler]["slots"] == 3
        table = on_terminal(system, "htm", "workers").splitlines()
        assert table[0].split() == ["WORKER", "SLOTS", "BUSY", "HEARD", "HANDLERS"]
        assert any(line.split()[:3] == [handler, "3", "0"] and "-" not in line.split() for line in table), table
        [status] = lines(system.run("htm", "status"))
        assert "queue_sizes" in status and handler in str(status["workers"])


def test_without_a_queue_the_verbs_say_that_nobody_answers(bhiv, tmp_path):
    with Broker(bhiv, tmp_path) as broker:
        for args in (("htm", "list"), ("htm", "status"), ("brain", "status"), ("brain", "drifts")):
            done = subprocess.run([bhiv, *args, "--ingress", broker.ingress, "--egress", broker.egress],
                                  capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 69 and done.stdout == "" and "NO_RESPONDERS" in done.stderr, done


# --- The brain -----------------------------------------------------------------------------------


def test_the_brains_verbs_print_what_it_answers(system):
    eventually(lambda: system.run("brain", "status").returncode == 0, what="the brain")
    [status] = lines(system.run("brain", "status"))
    assert "baselines" in status
    assert lines(system.run("brain", "drifts")) == [] and isinstance(lines(system.run("brain", "scores")), list)
    [why] = lines(system.run("brain", "why", "boot_performance_degradation"))
    assert "run_diagnostics" in str(why)
    assert system.run("brain", "why").returncode == 64


# --- The example ---------------------------------------------------------------------------------


def worker(system, *args, log=None):
    env = {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress}
    return Program([PYTHON, str(ROOT_EXAMPLES / "worker.py"), *args], env=env, log=log)


def test_the_example_worker_does_tasks_and_says_why_it_cannot(system, handler, tmp_path):
    program = worker(system, handler, handler, log=tmp_path / "worker.log")
    try:
        assert program.line == f"ready worker.{handler}"
        done = system.run("htm", "enqueue", "count", '{"text":"one two three"}', "--handler", handler, "--wait")
        assert done.returncode == 0 and json.loads(done.stdout)["result"]["words"] == 3, done.stderr
        done = system.run("htm", "enqueue", "count", "{}", "--handler", handler, "--wait")
        said = json.loads(done.stdout)
        assert done.returncode == 1 and said["status"] == "dead" and "no text" in said["reason"]
        assert said["attempts"] == 1, "it said that trying again is no use"
        assert program.stop() in (0, -signal.SIGTERM)
        eventually(lambda: handler not in [row["worker"] for row in lines(system.run("htm", "workers"))],
                   what="the worker that was stopped to be forgotten")
    finally:
        program.kill()


def test_the_example_worker_lives_through_a_restart_of_the_broker_and_of_the_queue(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=QUEUE) as system:
        ready(system)
        program = worker(system, "counter", "words", log=tmp_path / "worker.log")
        try:
            for part in ("broker", "htm"):
                pid = system.kill(part)
                system.restarted(part, pid)
                done = system.run("htm", "enqueue", "count", '{"text":"one two"}', "--handler", "words", "--wait",
                                  "--within", "20s", "--timeout", "10s", timeout=60)
                assert done.returncode == 0 and json.loads(done.stdout)["result"]["words"] == 2, (part, done.stderr)
        finally:
            program.kill()


def test_the_example_worker_renews_what_takes_longer_than_its_lease(system, peer, handler, tmp_path):
    code = (f"import sys, threading; sys.path.insert(0, {str(ROOT_EXAMPLES)!r}); import worker; "
            f"worker.Worker(sys.argv[1], {{sys.argv[1]: lambda task: "
            f"threading.Event().wait(2.0) or {{'status': 'success'}}}}).run()")
    env = {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress}
    program = Program([PYTHON, "-c", code, handler], env=env, log=tmp_path / "worker.log")
    try:
        name = enqueue(peer, handler=handler, lease_seconds=0.8)["task_id"]
        assert becomes(peer, name, "completed")["attempts"] == 1
    finally:
        program.kill()

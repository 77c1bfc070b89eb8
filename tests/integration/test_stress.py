"""`bhiv stress`: the drills' files, figures, gates and exit codes; and that nothing is left of them."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import subprocess
import tempfile

import pytest
from support.broker import Broker
from support.system import System, eventually

KERNELS = {"infrastructure", "governance", "memory", "librarian", "verification", "self_healing", "code"}
PARTS = {"broker", "bucket", "karma", "workflow", "core", "htm", "brain", "bridge",
         *(f"kernel-{name}" for name in KERNELS)}
SUMMARY = {  # the originals' fields (reference/originals.md 6.6): none is left unfilled
    "boot": {"total_boots", "successful_boots", "failed_boots", "avg_boot_time", "watchdog_triggers",
             "self_heal_activations"},
    "ingestion": {"total_jobs", "successful", "failed", "avg_extract_ms", "avg_chunk_ms", "total_chunks",
                  "avg_trust_score", "avg_quality_score", "drift_detected"},
    "htm": {"total_tasks", "completed", "failed", "sla_breaches", "preemptions", "sub_agents_spawned",
            "avg_dispatch_latency_ms", "avg_queue_depth", "sla_compliance_rate"},
}
SLOW = "1h"  # a gate that no machine misses: these tests are of the drill, not of this machine
TIMEOUT = 240


class Drills:
    """Runs drills in a folder of their own; sees what they leave where instances live."""

    def __init__(self, bhiv, folder, scratch):
        self.bhiv, self.folder, self.scratch = bhiv, folder, scratch
        self.logs = folder / "logs"
        self.dir = folder / "d"  # of a system that does not run
        self.dir.mkdir()
        self.env = {**{name: value for name, value in os.environ.items() if not name.startswith("BHIV_")},
                    "TMPDIR": str(scratch)}
        self.env.update({name: value for name, value in os.environ.items() if "SAN_OPTIONS" in name})

    def argv(self, *words, at=None):
        return [self.bhiv, "stress", *words, "--dir", str(at or self.dir), "--logs", str(self.logs),
                "--format", "json"]

    def run(self, *words, at=None):
        done = subprocess.run(self.argv(*words, at=at), cwd=self.folder, env=self.env, text=True,
                              capture_output=True, timeout=TIMEOUT, check=False)
        assert os.listdir(self.scratch) == [], "an instance's folder was left"
        return done

    def files(self, suite):
        return sorted(path.name for path in (self.logs / suite).iterdir())

    def result(self, suite):
        """The only result of a suite, as its file has it."""
        pattern = "*.json" if suite == "ingestion" else "*_summary.json"
        (path,) = (self.logs / suite).glob(pattern)
        result = json.loads(path.read_text())
        assert set(result["summary"]) >= SUMMARY[suite]
        assert None not in result["summary"].values()
        assert path.name.startswith(result["test_id"])
        assert result["started_at"] < result["completed_at"]
        return result

    def events(self, suite):
        (path,) = (self.logs / suite).glob("*.jsonl")
        events = [json.loads(line) for line in path.read_text().splitlines()]
        for event in events:
            assert {"test_id", "timestamp", "event_type", "message"} <= set(event)
            assert event["test_id"] == path.stem
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["timestamp"])
        assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
        return events


@pytest.fixture
def drills(bhiv, tmp_path):
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="bhiv-"))  # short: the instances' sockets are below it
    yield Drills(bhiv, tmp_path, scratch)
    shutil.rmtree(scratch, ignore_errors=True)


def kinds(events):
    return [event["event_type"] for event in events]


def of_kind(events, kind):
    return [event for event in events if event["event_type"] == kind]


# --- Boot ---------------------------------------------------------------------------------------


def test_boot_measures_every_part_and_brings_back_what_it_broke(drills):
    done = drills.run("boot", "--cycles", "2", "--max-boot", SLOW)
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    result, events = drills.result("boot"), drills.events("boot")
    assert re.fullmatch(r"boot_stress_\d{8}_\d{6}", result["test_id"])
    assert drills.files("boot") == [f"{result['test_id']}.jsonl", f"{result['test_id']}_summary.json"]
    assert printed["summary"] == result["summary"] and printed["passed"] is True
    assert kinds(events) == [
        "stress.run.started",
        "boot.cycle.started", "boot.cycle.completed", "boot.cycle.started", "boot.cycle.completed",
        "stress.kill_process.test", "stress.config_corruption.test", "stress.run.completed"]
    assert events[0]["cycles"] == result["cycles"] == 2
    assert events[-1]["summary"] == result["summary"]

    boots = [boot["boot_duration_ms"] for boot in result["boot_results"]]
    for number, boot in enumerate(result["boot_results"], 1):
        assert boot["cycle"] == number and boot["status"] == "success" and boot["anomalies"] == []
        assert set(boot["kernels_activated"]) == KERNELS
        assert set(boot["components"]) == PARTS
        # a part is started after `bhiv up` itself, and its time is in whole milliseconds
        assert 0 < max(boot["components"].values()) <= boot["boot_duration_ms"] + 1
    for event, boot in zip(of_kind(events, "boot.cycle.completed"), result["boot_results"], strict=True):
        assert event["kernels"] == 7 and event["duration_ms"] == boot["boot_duration_ms"]
    summary = result["summary"]
    assert summary["total_boots"] == summary["successful_boots"] == 2 and summary["failed_boots"] == 0
    assert summary["avg_boot_time"] == pytest.approx(sum(boots) / 2)
    assert summary["max_boot_time"] == max(boots)

    killed, spoiled = result["failure_tests"]
    assert (killed["test"], spoiled["test"]) == ("kill_process", "config_corruption")
    assert killed["status"] == spoiled["status"] == "passed"
    assert killed["watchdog_expected"] is True and spoiled["self_heal_expected"] is True
    assert {target["component"] for target in killed["targets"]} == {"kernel-memory", "bucket"}
    assert all(target["pid_before"] != target["pid_after"] for target in killed["targets"])
    assert summary["watchdog_triggers"] == killed["watchdog_triggers"] == 2
    assert summary["self_heal_activations"] == 1
    assert any("restored the drill.conf" in action for action in spoiled["result"]["actions"])


def test_a_boot_over_its_gate_is_exit_status_1(drills):
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", "1ms")
    assert done.returncode == 1
    assert "a boot takes" in done.stderr and "over 1" in done.stderr
    result = drills.result("boot")
    assert result["passed"] is False and result["summary"]["failed_boots"] == 0
    assert result["failure_tests"] == [] and json.loads(done.stdout)["passed"] is False


def test_instances_get_the_settings_of_drill_conf(drills):
    (drills.dir / "drill.conf").write_text("# fewer\n\n  BHIV_WITHOUT=kernels,bridge \n")
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW)
    assert done.returncode == 0, done.stderr
    left = {part for part in PARTS if not part.startswith("kernel-")} - {"bridge"}
    assert set(drills.result("boot")["summary"]["components"]) == left


@pytest.mark.parametrize("line", ["no setting", "PATH=/nowhere", "BHIV_=1", "=BHIV_X"])
def test_a_boot_with_a_broken_drill_conf_fails_and_is_counted(drills, line):
    (drills.dir / "drill.conf").write_text(f"# fine\n{line}\n")
    done = drills.run("boot", "--cycles", "2", "--no-failures")
    assert done.returncode == 1 and "drill.conf:2:" in done.stderr
    result = drills.result("boot")
    assert result["summary"]["failed_boots"] == 2 and result["summary"]["successful_boots"] == 0
    assert [boot["status"] for boot in result["boot_results"]] == ["failed", "failed"]
    assert [boot["anomalies"][0]["kernel"] for boot in result["boot_results"]] == ["system", "system"]
    failed = of_kind(drills.events("boot"), "boot.cycle.failed")
    assert [event["cycle"] for event in failed] == [1, 2] and all(event["error"] for event in failed)


def test_a_pipe_that_nobody_writes_to_keeps_no_drill_waiting(drills):
    os.mkfifo(drills.dir / "drill.conf")
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW)
    assert done.returncode == 0, done.stderr
    assert set(drills.result("boot")["summary"]["components"]) == set(PARTS)


def test_what_does_not_come_back_fails_the_drill_and_its_log_is_kept(drills):
    """A kernel that is not there cannot be killed, nor start again."""
    (drills.dir / "drill.conf").write_text("BHIV_WITHOUT=kernel-memory\n")
    done = drills.run("boot", "--cycles", "1", "--max-boot", SLOW)
    assert done.returncode == 1 and "1 of the failure tests failed" in done.stderr
    result = drills.result("boot")
    (boot,), (killed, spoiled) = result["boot_results"], result["failure_tests"]
    assert boot["status"] == "success" and set(boot["kernels_activated"]) == KERNELS - {"memory"}
    assert boot["anomalies"] == [{"kernel": "memory", "error": "NOT_STARTED"}]
    assert killed["status"] == "failed" and "kernel-memory" in killed["error"]
    assert killed["watchdog_triggers"] == 1, "of Bucket"
    assert spoiled["status"] == "passed"
    assert "part_died part=bucket signal=9" in (drills.logs / "boot" / f"{result['test_id']}.log").read_text()


# --- Ingestion ----------------------------------------------------------------------------------


def test_ingestion_has_documents_of_three_sizes_taken_and_measured(drills):
    done = drills.run("ingestion", "--docs", "6")
    assert done.returncode == 0, done.stderr
    result = drills.result("ingestion")
    assert re.fullmatch(r"ingest_stress_\d{8}_\d{6}", result["test_id"])
    assert drills.files("ingestion") == [f"{result['test_id']}.json"]
    jobs, summary = result["jobs"], result["summary"]
    limits = {"small": (100, 500), "medium": (500, 2000), "large": (2000, 10000)}
    assert [job["file"].split("_")[2] for job in jobs] == 2 * ["small.txt", "medium.txt", "large.txt"]
    for job in jobs:
        low, high = limits[job["file"].split("_")[2].removesuffix(".txt")]
        words = job["words"]
        assert low <= words <= high
        # chunks of 1,000 words, each 800 behind the one before
        assert job["chunks_created"] == 1 + max(0, -(-(words - 1000) // 800))
        assert job["quality_score"] == pytest.approx(0.8 if words > 2000 else 1.0)
        assert job["trust_score"] == pytest.approx(0.9)
        assert job["extract_latency_ms"] > 0 and job["chunk_latency_ms"] > 0
        assert job["started_at"] < job["completed_at"]
    assert summary["total_jobs"] == summary["successful"] == 6 and summary["failed"] == 0
    assert summary["total_chunks"] == sum(job["chunks_created"] for job in jobs)
    for field, of in (("avg_trust_score", "trust_score"), ("avg_quality_score", "quality_score"),
                      ("avg_extract_ms", "extract_latency_ms"), ("avg_chunk_ms", "chunk_latency_ms")):
        assert summary[field] == pytest.approx(sum(job[of] for job in jobs) / 6)
    assert summary["drift_detected"] is (summary["avg_extract_ms"] > 750)


def test_ingestion_below_its_gate_is_exit_status_1(drills):
    done = drills.run("ingestion", "--docs", "1", "--min-score", "95")
    assert done.returncode == 1 and "average trust is 0.9" in done.stderr
    assert drills.result("ingestion")["passed"] is False


def test_the_same_seed_makes_the_same_documents(drills):
    def words(seed):
        shutil.rmtree(drills.logs, ignore_errors=True)
        assert drills.run("ingestion", "--docs", "3", "--seed", seed).returncode == 0
        return [job["words"] for job in drills.result("ingestion")["jobs"]]

    first = words("7")
    assert words("7") == first and words("8") != first


# --- HTM ----------------------------------------------------------------------------------------


def test_htm_measures_a_load_with_killed_workers_and_checks_its_history(drills):
    done = drills.run("htm", "--tasks", "400", "--workers", "3", "--slots", "4", "--work", "5ms",
                      "--kill", "2")
    assert done.returncode == 0, done.stderr
    result, events = drills.result("htm"), drills.events("htm")
    assert re.fullmatch(r"htm_stress_\d{8}_\d{6}", result["test_id"])
    assert drills.files("htm") == [f"{result['test_id']}.jsonl", f"{result['test_id']}_summary.json"]
    summary = result["summary"]
    assert summary["total_tasks"] == summary["completed"] == 400 and summary["failed"] == 0
    assert summary["order_violations"] == 0 and result["first_violation"] == ""
    assert summary["workers_killed"] == 2 and summary["sub_agents_spawned"] == 5
    assert summary["starts"] == 400 + summary["retries"]
    assert summary["preemptions"] > 0, "half of the tasks wait before there is a worker"
    assert summary["duplicates_sent"] == summary["duplicates_ignored"] == 20
    assert summary["sla_breaches"] == 0 and summary["sla_compliance_rate"] == 1
    assert 0 < summary["p50_dispatch_latency_ms"] <= summary["p99_dispatch_latency_ms"]
    assert summary["tasks_per_second"] > 0
    samples = of_kind(events, "htm.load.sample")
    assert samples and all(sample["queue_depth"] >= sample["running"] for sample in samples)
    assert summary["avg_queue_depth"] == pytest.approx(
        sum(sample["queue_depth"] for sample in samples) / len(samples))
    assert [event["sent"] for event in of_kind(events, "test.duplicate.event")] == [20]
    assert kinds(events)[0] == "stress.run.started" and kinds(events)[-1] == "stress.run.completed"


def test_htm_with_late_tasks_is_exit_status_1(drills):
    words = ["htm", "--tasks", "6", "--workers", "1", "--slots", "6", "--work", "80ms", "--sla", "20ms"]
    done = drills.run(*words)
    assert done.returncode == 1 and "6 SLA breaches, over 0" in done.stderr
    summary = drills.result("htm")["summary"]
    assert summary["sla_breaches"] == 6 and summary["sla_compliance_rate"] == 0
    assert summary["completed"] == 6
    assert drills.run(*words, "--max-breaches", "6").returncode == 0


# --- The checker --------------------------------------------------------------------------------


class Story:
    """A history of a queue, as it would be recorded, told by hand."""

    def __init__(self, peer):
        self.peer, self.seq = peer, {}
        self.ready = self.say("task.worker.ready", worker="w", handlers=["h"], slots=1)["seq"]

    def say(self, topic, said_for=None, **body):
        header = {"cause": [said_for, 0]} if said_for else {}
        return self.peer.publish(topic, body, **header)

    def task(self, name, priority="normal", sla=100.0):
        ack = self.say("task.enqueue", task_id=name, task_type="t", handler="h", priority=priority,
                       sla_seconds=sla)
        self.seq[name] = ack
        return ack["seq"]

    def start(self, name, cause, attempt=1, worker="w"):
        self.say("task.started", cause, task_id=name, task_type="t", handler="h", priority="normal",
                 worker=worker, attempt=attempt, at=self.seq[name]["at"], cause=cause, queued_us=0,
                 dispatch_us=0, overtook=0)

    def complete(self, name):
        return self.say("task.completed", task_id=name, attempt=1, worker="w")["seq"]

    def done(self, name, cause, status="completed", **more):
        self.say("task.done", cause, task_id=name, task_type="t", handler="h", priority="normal",
                 status=status, attempts=1, queued_us=0, run_us=0, sla_seconds=100.0,
                 sla_met=status == "completed", **more)


def good(story):
    """One that waits for the slot, and a better one that comes later: the better one is next."""
    first = story.task("a")
    story.start("a", first)
    story.task("b", "low")
    story.task("c", "critical")
    for name, follower in (("a", "c"), ("c", "b"), ("b", None)):
        done = story.complete(name)
        story.done(name, done)
        if follower:
            story.start(follower, done)


def late_news(story):
    """A better one whose record is behind the decision's cause did not exist for it."""
    first = story.task("a")
    story.task("c", "critical")  # journaled before the queue's own record is
    story.start("a", first)
    done = story.complete("a")
    story.done("a", done)
    story.start("c", done)
    story.done("c", story.complete("c"))


def wrong_priority(story):
    story.task("a", "low")
    last = story.task("b", "high")
    story.start("a", last)
    done = story.complete("a")
    story.done("a", done)
    story.start("b", done)
    story.done("b", story.complete("b"))


def wrong_deadline(story):
    story.task("a", sla=100.0)
    last = story.task("b", sla=50.0)
    story.start("a", last)
    done = story.complete("a")
    story.done("a", done)
    story.start("b", done)
    story.done("b", story.complete("b"))


def too_many_slots(story):
    story.start("a", story.task("a"))
    story.start("b", story.task("b"))
    for name in ("a", "b"):
        story.done(name, story.complete(name))


def dead_worker(story):
    gone = story.say("task.worker.gone", worker="w")["seq"]
    story.task("a")
    story.start("a", gone + 1)
    story.done("a", story.complete("a"))


def twice_at_once(story):
    first = story.task("a")
    story.start("a", first)
    story.start("a", first, attempt=2)
    story.done("a", story.complete("a"))


def over_twice(story):
    first = story.task("a")
    story.start("a", first)
    done = story.complete("a")
    story.done("a", done)
    story.done("a", done)


def without_a_word(story):
    first = story.task("a")
    story.start("a", first)
    story.done("a", first)


def dead_without_reason(story):
    first = story.task("a")
    story.start("a", first)
    story.done("a", first, status="dead", reason="")


def never_over(story):
    story.start("a", story.task("a"))


@pytest.mark.parametrize("tell, fault", [
    (good, None),
    (late_news, None),
    (wrong_priority, "a was started before b"),
    (wrong_deadline, "a was started before b"),
    (too_many_slots, "no free slot"),
    (dead_worker, "not there"),
    (twice_at_once, "while it did not wait"),
    (over_twice, "a second time"),
    (without_a_word, "without a worker's word"),
    (dead_without_reason, "without a reason"),
    (never_over, "never over"),
])
def test_the_checker_knows_a_good_history_from_a_bad_one(bhiv, tmp_path, tell, fault):
    with Broker(bhiv, tmp_path / "d") as broker:
        with broker.peer() as peer:
            tell(Story(peer))
        done = subprocess.run([bhiv, "stress-check", "--dir", str(broker.folder)], capture_output=True,
                              text=True, timeout=30, check=False)
    found = json.loads(done.stdout)
    if fault is None:
        assert done.returncode == 0 and found["violations"] == 0, done.stderr
        assert found["completed"] == found["tasks"] == found["starts"] > 0
    else:
        assert done.returncode == 1 and fault in done.stderr, done.stderr
        assert found["violations"] >= 1


# --- All, and who is told -----------------------------------------------------------------------


def test_all_runs_the_three_and_sums_them_up(drills):
    done = drills.run("all", "--cycles", "1", "--docs", "2", "--tasks", "20", "--max-boot", SLOW)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    summed = json.loads(line)
    assert set(summed) == {"boot", "ingestion", "htm", "passed"} and summed["passed"] is True
    for suite in SUMMARY:
        assert summed[suite]["summary"] == drills.result(suite)["summary"]


def test_all_goes_on_after_a_failed_drill_and_fails(drills):
    done = drills.run("all", "--cycles", "1", "--docs", "1", "--tasks", "5", "--max-boot", SLOW,
                      "--min-score", "99")
    summed = json.loads(done.stdout)
    assert done.returncode == 1 and summed["passed"] is False
    assert [summed[suite]["passed"] for suite in ("boot", "ingestion", "htm")] == [True, False, True]


def test_the_bus_of_the_folder_is_told_of_the_result(drills, bhiv, tmp_path):
    with System(bhiv, drills.scratch / "s", args=["--only", "broker"]) as system:
        done = subprocess.run(
            drills.argv("htm", "--tasks", "5", "--workers", "1", "--trace", "trace-of-drill",
                        at=system.folder),
            cwd=tmp_path, env=drills.env, text=True, capture_output=True, timeout=TIMEOUT, check=False)
        assert done.returncode == 0, done.stderr
        told = subprocess.run(
            [bhiv, "tail", "--dir", str(system.folder), "--format", "json", "stress.>"], capture_output=True, text=True, timeout=30, check=False)
    (record,) = [json.loads(line) for line in told.stdout.splitlines()]
    result = drills.result("htm")
    assert record["topic"] == "stress.htm.completed"
    assert record["header"]["trace_id"] == "trace-of-drill"
    assert record["body"]["test_id"] == result["test_id"] and record["body"]["suite"] == "htm"
    assert record["body"]["summary"] == result["summary"] and record["body"]["passed"] is True
    assert record["body"]["started_at"] == result["started_at"]


def test_without_a_bus_it_says_so_and_succeeds(drills):
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW)
    assert done.returncode == 0 and "no bus is there" in done.stderr


def test_each_drill_makes_the_dashboard_anew(drills):
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW)
    assert done.returncode == 0
    assert drills.result("boot")["test_id"] in (drills.logs / "stress_dashboard.html").read_text()


def test_on_a_terminal_it_shows_how_far_it_is(drills):
    master, slave = pty.openpty()
    done = subprocess.run(drills.argv("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW),
                          cwd=drills.folder, env=drills.env, stdout=subprocess.DEVNULL, stderr=slave,
                          timeout=TIMEOUT, check=False)
    os.close(slave)
    shown = os.read(master, 65536).decode()
    os.close(master)
    assert done.returncode == 0
    assert re.search(r"\r.*boot \[\.+\] 0/1 starting the whole system", shown)
    assert shown.index("\r\x1b[K", shown.index("0/1")) > 0, "it is taken away again"


def test_an_instance_is_the_drills_whatever_our_environment_says(drills):
    drills.env.update({"BHIV_ONLY": "broker", "BHIV_HTTP_BIND": "192.0.2.1", "BHIV_LOG_LEVEL": "error",
                       "BHIV_INGRESS": "tcp://127.0.0.1:1", "BHIV_EGRESS": "tcp://127.0.0.1:1"})
    done = drills.run("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW)
    assert done.returncode == 0, done.stderr
    assert set(drills.result("boot")["summary"]["components"]) == PARTS


# --- Ends ---------------------------------------------------------------------------------------


def processes_with(text):
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if text.encode() in path.read_bytes():
                found.append(path.parent.name)
    return found


@pytest.mark.parametrize("words, when", [
    (("boot", "--cycles", "500"), "boot.cycle.completed"),
    (("htm", "--tasks", "100000", "--work", "50ms", "--workers", "2", "--slots", "2"), "htm.load.sample"),
])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_drill_leaves_nothing_behind(drills, words, when, number):
    drill = subprocess.Popen(drills.argv(*words), cwd=drills.folder, env=drills.env,
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
    try:
        eventually(lambda: any(when in path.read_text() for path in drills.logs.glob("*/*.jsonl")),
                   timeout=60, what=when)
        os.killpg(drill.pid, number)  # as Ctrl-C does: its instance is in a group of its own
        _, said = drill.communicate(timeout=30)
    finally:
        if drill.poll() is None:
            drill.kill()
            drill.wait()
    assert drill.returncode == 130, said
    assert os.listdir(drills.scratch) == []
    assert processes_with(str(drills.scratch)) == []
    assert not list(drills.logs.glob("*/*_summary.json")), "an interrupted drill has no result"


def test_a_killed_drill_leaves_no_process(drills):
    drill = subprocess.Popen(drills.argv("htm", "--tasks", "100000", "--work", "50ms", "--workers", "2"),
                             cwd=drills.folder, env=drills.env, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: any("htm.load.sample" in path.read_text()
                               for path in drills.logs.glob("htm/*.jsonl")), timeout=60)
    finally:
        drill.kill()
        drill.wait()
    eventually(lambda: processes_with(str(drills.scratch)) == [], what="its processes gone")


def test_what_a_killed_drill_left_is_removed_by_a_later_one(drills):
    old, young, other = (drills.scratch / name for name in ("bhiv-drill-old", "bhiv-drill-new", "mine"))
    for folder in (old, young, other):
        (folder / "run").mkdir(parents=True)
        (folder / "run" / "broker.pid").write_text("1")
    held = drills.scratch / "bhiv-drill-held"
    held.mkdir()
    for folder in (old, other, held):
        os.utime(folder, (1, 1))
    lock = os.open(held, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    done = subprocess.run(drills.argv("boot", "--cycles", "1", "--no-failures", "--max-boot", SLOW),
                          cwd=drills.folder, env=drills.env, capture_output=True, timeout=TIMEOUT,
                          check=False)
    os.close(lock)
    assert done.returncode == 0
    assert sorted(path.name for path in drills.scratch.iterdir()) == ["bhiv-drill-held", "bhiv-drill-new",
                                                                     "mine"]
    assert (other / "run" / "broker.pid").exists()


def test_a_drill_without_a_name_says_which_there_are(bhiv, tmp_path):
    done = subprocess.run([bhiv, "stress"], cwd=tmp_path, capture_output=True, text=True, timeout=10,
                          check=False)
    assert done.returncode == 64 and "boot, ingestion, htm, all" in done.stderr

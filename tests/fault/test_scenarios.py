"""`bhiv stress faults`: each scenario is a test, and what does not happen as it should is reported."""

import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import time

import pytest
from support.peer import Peer
from support.system import System, eventually

SCENARIOS = ("kill_process", "pause_process", "signals", "flood_topic", "spam_refused", "corrupt_page",
             "fill_disk", "flip_config", "cut_network", "skew_clock", "block_heartbeats", "multi_fault",
             "cpu_stress", "memory_stress", "systemd")
# What CI, which runs as root with scripts/setup --test behind it, may not skip.
ALWAYS_AS_ROOT = set(SCENARIOS) - {"systemd"}


@pytest.fixture
def temporary():
    """Where the private systems live, all of this test alone; the path of a socket is short."""
    with tempfile.TemporaryDirectory(prefix="bf-", dir="/tmp") as path:
        yield pathlib.Path(path)


class Drill:
    """One run of the verb, and what it left."""

    def __init__(self, bhiv, folder, temporary, *args, timeout=110):
        self.logs = folder / "logs"
        argv = [bhiv, "stress", "faults", "--logs", str(self.logs), "--report", str(folder / "report.html"),
                *args]
        if "--dir" not in args:
            argv += ["--dir", str(folder / "nowhere")]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                              cwd=folder, env={**os.environ, "TMPDIR": str(temporary)})
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        print(self.err)
        for path in sorted(self.logs.glob("faults/*_summary.json")):
            self.summary = json.loads(path.read_text())
            log = path.with_name(path.name.replace("_summary.json", ".jsonl"))
            self.lines = [json.loads(line) for line in log.read_text().splitlines()]

    def only(self):
        [row] = self.summary["scenarios"]
        return row


def leftovers(folder):
    """Processes whose command names the folder."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            pass  # it has just ended
    return found


def test_every_scenario_is_listed_and_tested(bhiv):
    done = subprocess.run([bhiv, "stress", "faults", "--list", "--format", "json"], capture_output=True,
                          text=True, timeout=10, check=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert tuple(row["scenario"] for row in rows) == SCENARIOS
    for row in rows:
        assert row["done"] and row["expected"] and 0 < row["within_ms"] <= 60000, row


@pytest.mark.parametrize("name", SCENARIOS)
def test_what_should_happen_happens_in_time(bhiv, tmp_path, temporary, name):
    drill = Drill(bhiv, tmp_path, temporary, "--scenario", name)
    row = drill.only()
    if row["status"] == "skipped":
        assert row["reason"], "skipped, and does not say why"
        must = os.geteuid() == 0 and name in ALWAYS_AS_ROOT and "AddressSanitizer" not in row["reason"]
        assert not must, row["reason"]
        assert drill.status == 0 and drill.summary["summary"]["passed"] == 0
        pytest.skip(row["reason"])
    assert (drill.status, row["status"]) == (0, "passed"), row
    assert row["scenario"] == name and row["checks"] >= 5 and row["misses"] == 0
    assert 0 < row["took_ms"] <= row["within_ms"]
    kinds = [line["event_type"] for line in drill.lines]
    assert kinds[0] == "stress.run.started" and kinds[-1] == "stress.run.completed"
    assert "fault.injected" in kinds, "nothing was done"
    assert kinds.count("fault.check") == row["checks"]
    assert {line["test_id"] for line in drill.lines} == {drill.summary["test_id"]}
    assert re.fullmatch(r"faults_stress_\d{8}_\d{6}", drill.summary["test_id"])
    if name != "flip_config":  # whose events are published before
        assert row["figures"]["acked"] > 200
    assert row["figures"]["lost"] == row["figures"]["doubled"] == 0
    assert not leftovers(temporary) and not list(temporary.iterdir())


def test_what_does_not_happen_in_time_is_reported(bhiv, tmp_path, temporary):
    """Nothing comes back within a thousandth of a second, or is missed so soon."""
    drill = Drill(bhiv, tmp_path, temporary, "--scenario", "kill_process,block_heartbeats", "--within", "1ms")
    assert drill.status == 1
    assert "2 of 2 scenarios failed" in drill.err
    for row in drill.summary["scenarios"]:
        assert row["status"] == "failed" and row["misses"] > 0 and row["within_ms"] == 1, row
        assert row["took_ms"] > 1 and "at most 1" in row["reason"], row
    assert drill.summary["passed"] is False
    assert drill.summary["summary"]["failed"] == drill.summary["summary"]["total_scenarios"] == 2
    missed = [line for line in drill.lines if line["event_type"] == "fault.check" and not line["holds"]]
    assert len(missed) == sum(row["misses"] for row in drill.summary["scenarios"])
    # What does not depend on time held all the same.
    assert all(row["figures"]["lost"] == 0 for row in drill.summary["scenarios"])


def test_what_cannot_be_done_here_is_skipped_and_not_passed(bhiv, tmp_path, temporary):
    """Without `ip` there is no cable to be pulled."""
    tools = tmp_path / "bin"
    tools.mkdir()
    before = os.environ["PATH"]
    os.environ["PATH"] = str(tools)
    try:
        drill = Drill(bhiv, tmp_path, temporary, "--scenario", "cut_network")
    finally:
        os.environ["PATH"] = before
    row = drill.only()
    assert drill.status == 0 and row["status"] == "skipped" and row["reason"], row
    assert drill.summary["summary"] | {"passed": 0, "failed": 0, "skipped": 1} == drill.summary["summary"]
    assert "skipped" in drill.err and row["reason"] in drill.err


def test_the_bus_is_told(bhiv, tmp_path, temporary):
    with System(bhiv, tmp_path / "d", args=("--only", "broker")) as system, \
            Peer(system.ingress, system.egress) as peer:
        drill = Drill(bhiv, tmp_path, temporary, "--scenario", "spam_refused", "--dir", str(system.folder),
                      "--trace", "trace-drill")
        assert drill.status == 0
        [(topic, header, body)] = list(peer.fetch_all(["stress."]))
        assert topic == "stress.faults.completed" and header["trace_id"] == "trace-drill"
        assert body["test_id"] == drill.summary["test_id"] and body["passed"] is True
        assert body["summary"]["passed"] == 1


def test_a_name_that_is_none_is_told(bhiv, tmp_path, temporary):
    drill = Drill(bhiv, tmp_path, temporary, "--scenario", "kill_process,meteor")
    assert drill.status == 64 and "meteor" in drill.err and "fill_disk" in drill.err
    assert not drill.logs.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("name", ["cut_network", "fill_disk", "block_heartbeats"])
def test_who_interrupts_it_finds_nothing_left(bhiv, tmp_path, temporary, number, name):
    """Processes, mounts, links and (unless it was SIGKILL) folders are gone with it."""
    mounts = pathlib.Path("/proc/self/mountinfo").read_text()
    links = sorted(os.listdir("/sys/class/net"))
    argv = [bhiv, "stress", "faults", "--scenario", name, "--logs", str(tmp_path / "logs"), "--dir",
            str(tmp_path / "nowhere")]
    program = subprocess.Popen(argv, env={**os.environ, "TMPDIR": str(temporary)},
                               stderr=subprocess.PIPE, text=True)
    try:
        def log():
            found = list(tmp_path.glob("logs/faults/*.jsonl"))
            return found[0].read_text() if found else ""

        eventually(lambda: "fault.injected" in log() or program.poll() is not None, 30,
                   what="something to interrupt")
        if program.poll() is not None:
            assert "skipped" in program.stderr.read()
            pytest.skip("this machine cannot")
        assert list(temporary.iterdir())
        program.send_signal(number)
        begun = time.monotonic()
        status = program.wait(10)
        assert time.monotonic() - begun < 8
        assert status == (-signal.SIGKILL if number == signal.SIGKILL else 130)
        eventually(lambda: not leftovers(temporary), 5, what="the end of its processes")
        assert number == signal.SIGKILL or not list(temporary.iterdir())
        assert pathlib.Path("/proc/self/mountinfo").read_text() == mounts
        assert sorted(os.listdir("/sys/class/net")) == links
    finally:
        program.kill()
        program.wait()
        program.stderr.close()

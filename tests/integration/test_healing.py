"""The self_healing kernel: its playbooks do what they say, once, and say honestly what came of it."""

import json
import os
import select
import signal
import subprocess

import pytest
from support.healing import QUICK, SlowFile, boot_drill, children_of, done, good_drill, hand_in, heal
from support.peer import Peer
from support.system import Program, System, eventually

QUIET = {"BHIV_BRAIN_DRILLS": "false", "BHIV_BRAIN_COOLDOWN_SECONDS": "3600"}


@pytest.fixture(name="system")
def fixture_system(bhiv, tmp_path):
    # Without the brain: it would answer each drill with tasks of its own.
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "brain"), env=QUIET) as system:
        yield system


@pytest.fixture(name="peer")
def fixture_peer(system):
    with Peer(system.ingress, system.egress) as peer:
        yield peer


def facts(peer, *prefixes):
    return [(topic, header, body) for topic, header, body in peer.fetch_all(list(prefixes))]


def ended(fd, timeout=10):
    return bool(select.select([fd], [], [], timeout)[0])


# --- run_diagnostics ----------------------------------------------------------------------------


def test_diagnostics_find_a_whole_system_healthy(peer):
    result = heal(peer, "t1", "run_diagnostics")
    assert result["issue_resolved"] is True and result["status"] == "success"
    assert any("services answer and are healthy" in finding for finding in result["findings"]), result
    assert result["playbook"] == "run_diagnostics" and result["actions"] == []


def test_diagnostics_name_what_hangs_and_what_died(system, peer):
    system.restarted("workflow", system.kill("workflow"))
    pid = system.pid("karma")
    os.kill(pid, signal.SIGSTOP)
    try:
        result = heal(peer, "t1", "run_diagnostics")
    finally:
        os.kill(pid, signal.SIGCONT)
    assert result["issue_resolved"] is False and result["status"] == "failed"
    assert any(finding.startswith("karma does not answer") for finding in result["findings"]), result
    assert "workflow was started again 1 times" in result["findings"]


# --- restart_peer -------------------------------------------------------------------------------


def test_a_part_that_hangs_is_restarted_and_answers_again(system, peer):
    pid = system.pid("karma")
    os.kill(pid, signal.SIGSTOP)
    result = heal(peer, "t1", "restart_peer", {"part": "karma", "reason": "it hangs"})
    assert result["issue_resolved"] is True
    assert system.pid("karma") != pid
    assert any(f"process {pid} became {system.pid('karma')}" in action for action in result["actions"]), result
    log = system.log_path.read_text()
    assert 'reason="it hangs"' in log and "part_kill part=karma" in log
    _, header, started = facts(peer, "healing.started")[0]
    assert header["trace_id"] == "trace-t1"
    assert started["task_id"] == "t1" and started["part"] == "karma"


@pytest.mark.parametrize("context, reason", [
    ({"part": "broker"}, "neither the broker nor"),
    ({"part": "kernel-self_healing"}, "neither the broker nor"),
    ({}, "needs `part`"),
])
def test_a_restart_that_would_end_itself_is_a_dead_letter_that_says_so(system, peer, context, reason):
    before = system.pid("broker"), system.pid("kernel-self_healing")
    hand_in(peer, "t1", "restart_peer", context)
    word = done(peer, "t1")
    assert word["status"] == "dead" and reason in word["reason"]
    assert word["attempts"] == 1
    assert (system.pid("broker"), system.pid("kernel-self_healing")) == before


def test_a_part_that_is_not_there_is_not_restarted(peer):
    result = heal(peer, "t1", "restart_peer", {"part": "nobody"})
    assert result["issue_resolved"] is False
    assert any("did not restart nobody: NOT_FOUND" in finding for finding in result["findings"]), result


def test_a_restart_that_a_crash_interrupted_is_looked_at_and_not_repeated(system, peer):
    pid = system.pid("karma")
    os.kill(pid, signal.SIGSTOP)  # the supervisor waits for it, 5 s
    hand_in(peer, "t1", "restart_peer", {"part": "karma"})
    eventually(lambda: "part_restart_asked part=karma" in system.log_path.read_text(), what="the restart asked for")
    system.restarted("kernel-self_healing", system.kill("kernel-self_healing"))
    word = done(peer, "t1")
    assert word["status"] == "completed" and word["attempts"] == 2, word
    assert any("it is not repeated" in finding for finding in word["result"]["findings"]), word
    assert word["result"]["issue_resolved"] is True, "karma is healthy again all the same"
    assert system.pid("karma") != pid
    assert system.log_path.read_text().count("part_restart_asked part=karma") == 1
    boots = [body["boot"] for _, _, body in facts(peer, "healing.started")]
    assert len(boots) == 2 and boots[0] != boots[1]


def test_where_there_is_no_supervisor_it_says_so(bhiv, tmp_path):
    folder = str(tmp_path / "d")
    parts = [Program([bhiv, *words, "--dir", folder], log=tmp_path / "log")
             for words in (["broker", "--bus-in", "0", "--bus-out", "0"], ["htm"], ["karma"],
                           ["kernel", "self_healing"])]
    try:
        with Peer(f"ipc://{folder}/bus.in", f"ipc://{folder}/bus.out") as peer:
            eventually(lambda: peer.ask("req.karma.health", {})[0]["status"] == "success")
            result = heal(peer, "t1", "restart_peer", {"part": "karma"})
            assert result["issue_resolved"] is False and result["actions"] == []
            assert any("no supervisor is on this bus" in finding for finding in result["findings"]), result
            assert parts[2].process.poll() is None
            result = heal(peer, "t2", "run_diagnostics")
            assert result["issue_resolved"] is True
            assert any("no supervisor is on this bus" in finding for finding in result["findings"]), result
    finally:
        for part in reversed(parts):
            part.stop()


# --- reprocess_low_quality ----------------------------------------------------------------------


def test_documents_of_low_quality_are_mended_by_the_librarian(peer):
    words = ("governed", "messages", "between", "agents", "travel", "through", "brokers", "whose", "journals",
             "remember", "everything", "acknowledged")
    text = " ".join(f"{word}{i}" for i in range(6) for word in words)
    spaced = "  ".join(" ".join(word) for word in text.split())  # letters apart: no words
    header, answer = peer.ask("req.kernel-librarian.ingest", {"document_id": "bad", "text": spaced, "source": "filesystem"},
                              timeout=30)
    assert header["status"] == "success" and answer["quality_score"] == 0.8, answer
    result = heal(peer, "t1", "reprocess_low_quality")
    assert result["issue_resolved"] is True and result["quality_score"] == 1.0, result
    assert result["actions"] == ["the librarian tried 1 documents: 1 mended, 0 joined into others, 0 as they were, "
                                 "0 failed"]
    mended = [(header.get("trace_id"), body) for _, header, body in facts(peer, "kb.ingested")][-1]
    assert mended[0] == "trace-t1" and mended[1]["document_id"] == "bad" and mended[1]["before"] == 0.8


def test_where_nothing_is_kept_to_be_mended_the_issue_stays(peer):
    result = heal(peer, "t1", "reprocess_low_quality")
    assert result["issue_resolved"] is False and "quality_score" not in result
    assert any("no document of low quality" in finding for finding in result["findings"]), result


# --- optimize_htm_scheduling, and names that nobody knows ---------------------------------------


def test_the_queues_order_is_set_from_the_queue(peer):
    for i in range(8):
        hand_in(peer, f"wait-{i}", "t", handler="nobody", priority="high" if i < 2 else "low")
    result = heal(peer, "t1", "optimize_htm_scheduling")
    _, header, order = facts(peer, "task.order")[-1]
    assert header["trace_id"] == "trace-t1"
    assert order["reserve"] == 25 and order["escalate_percent"] == 70, order
    assert result["findings"][0].startswith("2 urgent and 6 other tasks wait")
    assert result["issue_resolved"] is True


@pytest.mark.parametrize("handler", ["self_healing", "hunter", "stress_runner"])
def test_what_has_no_playbook_is_a_dead_letter_at_once(peer, handler):
    hand_in(peer, "t1", "no_such_thing", handler=handler, priority="critical")
    word = done(peer, "t1")
    assert word["status"] == "dead" and word["attempts"] == 1 and "no playbook" in word["reason"]


# --- Drills -------------------------------------------------------------------------------------


def test_a_drill_tells_the_running_bus_in_the_tasks_trace(system, peer):
    result = heal(peer, "t1", "run_stress_drill", {"suite": "boot"}, handler="stress_runner")
    topic, header, drill = facts(peer, "stress.")[0]
    assert topic == "stress.boot.completed" and header["trace_id"] == "trace-t1"
    assert drill["test_id"] == result["test_id"] and drill["passed"] == result["passed"]
    assert result["avg_boot_time"] == pytest.approx(drill["summary"]["avg_boot_time"])
    assert "issue_resolved" not in result, "a drill mends nothing"
    assert (system.folder / "logs" / "stress" / "boot" / f"{drill['test_id']}_summary.json").exists()


def test_a_drill_of_no_suite_is_a_dead_letter(peer):
    hand_in(peer, "t1", "run_stress_drill", {"suite": "nothing"}, handler="stress_runner")
    word = done(peer, "t1")
    assert word["status"] == "dead" and "boot, ingestion and htm" in word["reason"]


def drill_in_flight(system, peer, task_id="t1"):
    """Begins a long drill; the processes below the kernel, once its private system is there."""
    kernel = system.pid("kernel-self_healing")
    hand_in(peer, task_id, "run_stress_drill", {"suite": "boot"}, handler="stress_runner", priority="critical")
    return eventually(lambda: (below := children_of(kernel)) and len(below) > 10 and below, 30, what="a drill")


def test_a_drill_dies_with_its_kernel_and_its_task_is_done_by_the_next(system, peer):
    fds = []
    for pid in drill_in_flight(system, peer):
        try:
            fds.append(os.pidfd_open(pid))
        except ProcessLookupError:
            pass
    system.kill("kernel-self_healing")
    for fd in fds:
        assert ended(fd), "something of the drill outlived the kernel"
        os.close(fd)
    word = done(peer, "t1")
    assert word["status"] == "completed" and word["attempts"] == 2


def test_a_kernel_that_is_told_to_stop_stops_its_drill_first(system, peer):
    fds = [os.pidfd_open(pid) for pid in drill_in_flight(system, peer)[:2]]
    pid = system.kill("kernel-self_healing", signal.SIGTERM)
    system.restarted("kernel-self_healing", pid)
    for fd in fds:
        assert ended(fd)
        os.close(fd)
    assert done(peer, "t1")["status"] == "completed"


def test_a_lease_much_shorter_than_a_drill_is_renewed(bhiv, tmp_path):
    env = {**QUIET, "BHIV_HTM_LEASE_SECONDS": "0.5"}
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "brain"), env=env) as system, \
            Peer(system.ingress, system.egress) as peer:
        with SlowFile(tmp_path / "agents.json", delay=0.6) as slow:  # each boot takes as long
            (system.folder / "drill.conf").write_text(f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n")
            heal(peer, "t1", "run_stress_drill", {"suite": "boot"}, handler="stress_runner")
        word = done(peer, "t1")
        assert word["attempts"] == 1 and word["run_us"] > 600_000, word
        assert facts(peer, "task.renew") and not facts(peer, "task.retry")


# --- Slow boots ---------------------------------------------------------------------------------


def test_the_settings_of_a_good_drill_are_kept_and_only_of_a_good_one(system, peer, tmp_path):
    conf = system.folder / "drill.conf"
    conf.write_text(QUICK)
    good_drill(system, peer)
    with SlowFile(tmp_path / "agents.json", delay=0.6) as slow:
        conf.write_text(f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n")
        assert boot_drill(system, "--cycles", "1")["summary"]["avg_boot_time"] > 600
    eventually(lambda: peer.ask("req.kernel-self_healing.report", {})[1]["drills"]["boot"]["avg_boot_time"] > 600,
               what="the drill taken")
    assert (system.folder / "drill.conf.good").read_text() == QUICK
    assert (system.folder / "drill.conf.good").stat().st_mode & 0o777 == 0o600


def test_diagnostics_restore_the_setting_that_made_boots_slow(system, peer, tmp_path):
    conf = system.folder / "drill.conf"
    conf.write_text(QUICK)
    good_drill(system, peer)
    with SlowFile(tmp_path / "agents.json", delay=0.6) as slow:
        bad = f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n"
        conf.write_text(bad)
        result = heal(peer, "t1", "run_diagnostics", {"issue_type": "boot_performance_degradation"})
    assert conf.read_text() == QUICK
    assert (system.folder / "drill.conf.rejected").read_text() == bad
    assert result["boot_ms_before"] > 600 > result["boot_ms_after"]
    assert result["issue_resolved"] is (result["boot_ms_after"] <= 300)
    assert any(finding.startswith("part core takes") for finding in result["findings"]), result
    assert "drill.conf: BHIV_CORE_AGENTS is not as in the last good boot drill" in result["findings"]
    assert not any(str(slow.path) in note for note in result["findings"] + result["actions"]), "a value may be a secret"
    traces = {header.get("trace_id") for _, header, _ in facts(peer, "stress.boot.")}
    assert "trace-t1" in traces


def test_a_change_that_is_not_the_cause_is_put_back(system, peer, tmp_path):
    conf = system.folder / "drill.conf"
    with SlowFile(tmp_path / "agents.json") as slow:
        conf.write_text(f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n")
        good_drill(system, peer)
        slow.delay = 0.8  # the storage, not the setting
        changed = f"{QUICK}BHIV_CORE_AGENTS={slow.path}\nBHIV_CORE_SEED=9\n"
        conf.write_text(changed)
        result = heal(peer, "t1", "run_diagnostics", {"issue_type": "boot_performance_degradation"})
    assert result["issue_resolved"] is False
    assert conf.read_text() == changed
    assert any("it is not the cause" in action for action in result["actions"]), result


def test_settings_with_which_nothing_starts_are_restored_too(system, peer):
    conf = system.folder / "drill.conf"
    conf.write_text(QUICK)
    good_drill(system, peer)
    conf.write_text("this is no setting\n")
    result = heal(peer, "t1", "run_diagnostics", {"issue_type": "boot_performance_degradation"})
    assert conf.read_text() == QUICK
    assert "boot_ms_before" not in result and result["boot_ms_after"] > 0


def test_without_a_good_drill_there_is_nothing_to_go_back_to(system, peer, tmp_path):
    conf = system.folder / "drill.conf"
    with SlowFile(tmp_path / "agents.json", delay=0.6) as slow:
        text = f"{QUICK}BHIV_CORE_AGENTS={slow.path}\n"
        conf.write_text(text)
        result = heal(peer, "t1", "run_diagnostics", {"issue_type": "boot_performance_degradation"})
    assert result["issue_resolved"] is False and conf.read_text() == text
    assert any("nothing to go back to" in finding for finding in result["findings"]), result


# --- The journal --------------------------------------------------------------------------------


def test_a_rebuild_comes_to_the_live_state_and_heals_nothing(system, peer):
    heal(peer, "t1", "restart_peer", {"part": "karma"})
    (system.folder / "drill.conf").write_text(QUICK)
    boot_drill(system, "--cycles", "1")
    eventually(lambda: peer.ask("req.kernel-self_healing.report", {})[1]["drills"], what="the drill taken")
    before = system.log_path.read_text().count("part_restart_asked")
    ran = subprocess.run([system.bhiv, "kernel", "self_healing", "--rebuild", "--dir", str(system.folder)],
                         capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    live = peer.ask("req.kernel-self_healing.state_hash", {})[1]
    assert json.loads(ran.stdout)["state_hash"] == live["state_hash"]
    assert json.loads(ran.stdout)["applied"] >= 2
    assert system.log_path.read_text().count("part_restart_asked") == before

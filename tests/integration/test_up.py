"""`bhiv up`: what it starts, keeps running, and leaves behind. docs/contract.md sections 9 and 10."""

import os
import select
import signal
import socket
import stat
import subprocess
import time
import urllib.request

import pytest
from support.peer import Peer
from support.system import Program, System, eventually, free_port_base

KERNELS = [f"kernel-{name}" for name in ("code", "governance", "infrastructure", "librarian", "memory",
                                         "self_healing", "verification")]
PARTS = ["brain", "bridge", "broker", "bucket", "core", "htm", "karma", *KERNELS, "workflow"]


def up(bhiv, folder, *args, env=None, timeout=30):
    """Runs `bhiv up` where it is to end by itself."""
    argv = [bhiv, "up", "--dir", str(folder), "--port-base", str(free_port_base()), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False,
                          env={**os.environ, **(env or {})})


def parent_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("PPid:"))


def ended(fd, timeout=10):
    """Whether the process behind a pidfd ends in time."""
    return bool(select.select([fd], [], [], timeout)[0])


# --- Ready --------------------------------------------------------------------------------------


def test_one_line_says_where_the_console_is_when_all_are_ready(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        assert system.up.line == f"ready http://127.0.0.1:{system.base + 80}"
        for name in ("karma", "bucket", "core", "workflow", "console"):
            with urllib.request.urlopen(system.url(name, "/healthz"), timeout=5) as answer:
                assert answer.status == 200
        pid = system.kill("karma")
        system.restarted("karma", pid)
        eventually(lambda: "karma" in system.names())
        system.up.signal(signal.SIGTERM)
        assert system.up.process.stdout.read() == b"", "one line, and nothing after restarts"


def test_the_bus_has_the_ports_behind_the_base_and_the_sockets_in_the_folder(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=()) as system:
        assert stat.S_ISSOCK((system.folder / "bus.in").stat().st_mode)
        assert stat.S_ISSOCK((system.folder / "bus.out").stat().st_mode)
        asked = subprocess.run(
            [bhiv, "peers", "--ingress", system.ingress, "--egress", system.egress],
            capture_output=True, text=True, timeout=30, check=False)
        assert asked.returncode == 0, asked.stderr


def test_without_a_bridge_it_says_where_the_bus_is(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker"]) as system:
        assert system.up.line == f"ready {system.ingress}"
        assert system.names() == ["broker"]


def test_it_hints_at_what_works_with_its_own_ports_and_folder(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", env={"BHIV_HINTS": "1"}) as system:
        hints = eventually(lambda: system.log_path.read_text().partition("In another shell:\n")[2])
        printed = [line.strip() for line in hints.splitlines() if line.startswith("    ")]
        assert any(f"--dir {system.folder}" in line for line in printed)
        for line in printed:
            if line.startswith("curl"):
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=30,
                                      check=False)
                assert done.returncode == 0 and done.stdout.startswith("{"), line
            elif "stats" in line:
                assert subprocess.run(["bash", "-c", line], capture_output=True, timeout=30,
                                      check=False).returncode == 0, line
        assert sum(line.startswith("curl") for line in printed) == 2


def test_no_hints_go_into_a_log_file(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker"]) as system:
        system.stop()
        assert "In another shell" not in system.log_path.read_text()


@pytest.mark.parametrize("args, names", [
    ((), PARTS),
    (("--only", "broker,bucket"), ["broker", "bucket"]),
    (("--without", "karma"), [part for part in PARTS if part != "karma"]),
    (("--without", "grace"), ["bridge", "broker", "bucket", "core", "karma", "workflow"]),
    (("--without", "kernels"), [part for part in PARTS if part not in KERNELS]),
    (("--only", "broker,grace"), ["brain", "broker", "htm", *KERNELS]),
    (("--only", "broker,karma", "--without", "karma"), ["broker"]),
])
def test_only_and_without_choose_the_parts(bhiv, tmp_path, args, names):
    with System(bhiv, tmp_path / "d", args=args) as system:
        assert system.names() == names
        for name in names:
            assert parent_of(system.pid(name)) == system.up.pid


# --- The folder ---------------------------------------------------------------------------------


def test_the_folder_is_private_and_the_owners_token_is_written_once(bhiv, tmp_path):
    folder = tmp_path / "d"
    with System(bhiv, folder, args=["--only", "broker"]) as system:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        token = folder / "owner.token"
        assert stat.S_IMODE(token.stat().st_mode) == 0o600
        first = system.owner_token
        assert len(first) == 64 and int(first, 16) >= 0
        system.stop()
        assert system.names() == [], "no process id outlives its process"
        system.start()
        assert system.owner_token == first


def test_a_second_up_in_the_same_folder_is_told_to_try_again(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker"]) as system:
        before = system.pid("broker")
        second = up(bhiv, system.folder)
        assert second.returncode == 75 and "already" in second.stderr
        assert second.stdout == ""
        assert system.pid("broker") == before


def test_a_folder_too_long_for_a_socket_is_a_clear_error(bhiv, tmp_path):
    refused = up(bhiv, tmp_path / ("x" * 100))
    assert refused.returncode == 78 and "107" in refused.stderr
    assert list(tmp_path.iterdir()) == [], "what is refused leaves nothing behind"


# --- Dying --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARTS)
def test_what_is_killed_is_started_again(bhiv, tmp_path, name):
    with System(bhiv, tmp_path / "d") as system:
        pid = system.kill(name)
        system.restarted(name, pid)
        log = eventually(lambda: f"part_died part={name} signal=9" in system.log_path.read_text())
        assert log

        def answers():
            return system.run("req", "req.bucket.health").returncode == 0

        eventually(answers, what="the system whole again")


def test_the_first_death_costs_no_wait_and_quick_ones_back_off(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker"]) as system:
        for _ in range(4):
            system.restarted("broker", system.kill("broker"))
        waits = [line.split("wait_ms=")[1].split()[0]
                 for line in system.log_path.read_text().splitlines() if "part_restart" in line]
        assert waits == ["0", "100", "200", "400"]


def test_killing_up_leaves_no_orphan_and_the_next_up_starts_at_once(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d").start()
    fds = [os.pidfd_open(system.pid(name)) for name in PARTS]
    system.up.kill()
    for name, fd in zip(PARTS, fds):
        assert ended(fd), f"{name} outlived its supervisor"
        os.close(fd)
    with system:
        assert system.names() == PARTS


def test_an_up_that_follows_a_killed_one_waits_for_what_is_left_of_it(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d").start()
    for _ in range(5):
        system.up.kill()
        system.start()  # at once: its parts may not be gone, and hold ports and stores
    assert system.stop() == 0


def test_a_stopped_up_that_is_killed_leaves_no_orphan_either(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d", args=["--only", "broker"]).start()
    fd = os.pidfd_open(system.pid("broker"))
    system.up.signal(signal.SIGSTOP)
    system.up.signal(signal.SIGKILL)
    assert ended(fd)
    os.close(fd)
    system.up.kill()


# --- Stopping -----------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_asked_to_stop_it_stops_all_in_order_and_exits_0(bhiv, tmp_path, number):
    system = System(bhiv, tmp_path / "d").start()
    fds = [os.pidfd_open(system.pid(name)) for name in PARTS]
    system.up.signal(number)
    assert system.up.process.wait(15) == 0
    for fd in fds:
        assert ended(fd, 0)
        os.close(fd)
    system.up.close()
    log = system.log_path.read_text()
    assert "part_kill" not in log, "each stopped by itself"
    assert log.rindex("bucket stopped") < log.rindex("broker stopped"), "the broker is the last"


def test_a_stop_that_is_repeated_at_once_kills_nothing(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d").start()
    system.up.signal(signal.SIGTERM)
    system.up.signal(signal.SIGINT)  # another number: the kernel cannot merge the two
    assert system.up.process.wait(15) == 0
    system.up.close()
    assert "part_kill" not in system.log_path.read_text()


def test_a_stop_that_is_asked_for_again_later_kills_what_hangs(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d", args=["--only", "broker"]).start()
    os.kill(system.pid("broker"), signal.SIGSTOP)
    fd = os.pidfd_open(system.up.pid)
    begun = time.monotonic()
    system.up.signal(signal.SIGTERM)
    eventually(lambda: ended(fd, 0) or system.up.signal(signal.SIGTERM), 4, every=0.1)
    assert 1 <= time.monotonic() - begun < 4, "after a second, and before the five it would wait"
    os.close(fd)
    assert system.up.process.wait(15) == 0
    system.up.close()


def test_a_part_that_does_not_stop_is_killed_in_the_end(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d", args=["--only", "broker"]).start()
    os.kill(system.pid("broker"), signal.SIGSTOP)
    assert system.stop() == 0
    assert "part_kill part=broker" in system.log_path.read_text()


# --- Refusing -----------------------------------------------------------------------------------


def test_serving_anonymously_beyond_loopback_is_refused_at_once(bhiv, tmp_path):
    refused = up(bhiv, tmp_path / "d", "--http-bind", "0.0.0.0")
    assert refused.returncode == 78
    assert "BHIV_ALLOW_ANONYMOUS" in refused.stderr
    assert not (tmp_path / "d").exists()


def test_beyond_loopback_is_served_where_that_is_asked_for(bhiv, tmp_path):
    env = {"BHIV_ALLOW_ANONYMOUS": "1"}
    with System(bhiv, tmp_path / "d", args=["--http-bind", "0.0.0.0"], env=env) as system:
        assert system.up.line == f"ready http://0.0.0.0:{system.base + 80}"


@pytest.mark.parametrize("args", [
    ("--only", "nobody"),
    ("--without", "broker,bucket,karma,workflow,core,grace,bridge"),
    ("--port-base", "65500"),
    ("--no-such-flag",),
    ("word",),
])
def test_a_wrong_command_line_is_64(bhiv, tmp_path, args):
    assert up(bhiv, tmp_path / "d", *args).returncode == 64


@pytest.mark.parametrize("offset", [0, 2, 51, 80])
def test_a_port_that_is_taken_is_named_in_one_sentence_and_nothing_is_started(bhiv, tmp_path, offset):
    base = free_port_base()
    with socket.socket() as held:
        held.bind(("127.0.0.1", base + offset))
        held.listen()
        refused = up(bhiv, tmp_path / "d", "--port-base", str(base))
    assert refused.returncode == 75 and refused.stdout == ""
    assert refused.stderr.splitlines()[-1] == (
        f"bhiv: port {base + offset} is taken: is another bhiv up running? try --port-base 9000")
    assert "part_" not in refused.stderr


def test_a_port_that_a_part_finds_taken_ends_up_with_75_and_stops_the_others(bhiv, tmp_path):
    with System(bhiv, tmp_path / "a", args=["--only", "broker"]) as first:
        argv = [bhiv, "up", "--dir", str(tmp_path / "b"), "--port-base", str(first.base)]
        second = Program(argv, log=tmp_path / "b.log", ready=False)
        assert second.process.wait(20) == 75
        assert second.process.stdout.read() == b""
        second.close()
        assert list((tmp_path / "b" / "run").glob("*.pid")) == []


def test_a_store_that_is_held_ends_up_with_75(bhiv, tmp_path):
    folder = tmp_path / "d"
    alone = Program([bhiv, "broker", "--dir", str(folder), "--bus-bind", ""],
                    log=tmp_path / "alone.log")
    try:
        assert up(bhiv, folder, "--only", "broker").returncode == 75
    finally:
        alone.stop()


# --- On the bus ---------------------------------------------------------------------------------


def supervised(system, operation, body=None, timeout=30):
    with Peer(system.ingress, system.egress) as peer:
        supervisor_there(peer)
        header, answer = peer.ask(f"req.supervisor.{operation}", body or {}, timeout=timeout)
        return header["status"], answer


def supervisor_there(peer):
    """It joins the bus like any peer, and `ready` does not wait for that."""
    eventually(lambda: peer.ask("req.supervisor.health", {})[0]["status"] == "success",
               what="the supervisor on the bus")


def test_the_supervisor_tells_every_part_as_it_is(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        status, answer = supervised(system, "parts")
        assert status == "success"
        told = {part["part"]: part for part in answer["parts"]}
        assert sorted(told) == PARTS
        for name, part in told.items():
            assert part["pid"] == system.pid(name)
            assert part["state"] == "ready" and part["restarts"] == 0
            assert 0 < part["boot_ms"] < 20000
        before = system.kill("karma")
        system.restarted("karma", before)
        eventually(lambda: {part["part"]: part["restarts"] for part in supervised(system, "parts")[1]["parts"]}
                   ["karma"] == 1)
        status, health = supervised(system, "health")
        assert status == "success" and health["service"] == "supervisor"


def test_a_restart_on_request_is_answered_when_the_part_is_ready_again(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        before = system.pid("karma")
        fd = os.pidfd_open(before)
        status, answer = supervised(system, "restart", {"part": "karma", "reason": "a test"})
        assert status == "success", answer
        assert ended(fd, 0), "the old process is gone before the answer"
        os.close(fd)
        assert answer["part"] == "karma" and answer["pid_before"] == before
        assert answer["pid"] == system.pid("karma") != before
        assert answer["boot_ms"] > 0
        assert system.run("req", "req.karma.health").returncode == 0
        log = system.log_path.read_text()
        assert "part_restart_asked part=karma" in log and 'reason="a test"' in log
        assert "part_kill" not in log
        # Asked for, it is no crash: the next one does not wait either.
        for _ in range(3):
            before = system.pid("karma")
            assert supervised(system, "restart", {"part": "karma"})[0] == "success"
            assert system.pid("karma") != before
        waits = [line for line in system.log_path.read_text().splitlines() if "part_restart " in line]
        assert waits == [], "no restart of a crash was planned"


def test_a_part_that_does_not_stop_on_request_is_killed_and_started_again(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker,karma"]) as system:
        before = system.pid("karma")
        os.kill(before, signal.SIGSTOP)
        status, answer = supervised(system, "restart", {"part": "karma"})
        assert status == "success" and answer["pid"] != before
        assert "part_kill part=karma" in system.log_path.read_text()


@pytest.mark.parametrize("body, error", [
    ({"part": "broker"}, "FORBIDDEN"),
    ({"part": "nobody"}, "NOT_FOUND"),
    ({"part": "bridge"}, "NOT_FOUND"),  # exists, but was not started here
    ({}, "VALIDATION_FAILED"),
    ({"part": 7}, "VALIDATION_FAILED"),
])
def test_a_restart_that_makes_no_sense_is_refused_and_touches_nothing(bhiv, tmp_path, body, error):
    with System(bhiv, tmp_path / "d", args=["--only", "broker,karma"]) as system:
        before = system.pid("broker"), system.pid("karma")
        status, answer = supervised(system, "restart", body)
        assert status == "error" and answer["error_code"] == error
        assert (system.pid("broker"), system.pid("karma")) == before


def test_a_second_request_while_a_part_is_on_its_way_is_a_conflict(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker,karma"]) as system:
        os.kill(system.pid("karma"), signal.SIGSTOP)  # so that the first takes a while
        with Peer(system.ingress, system.egress) as peer:
            supervisor_there(peer)
            first = peer.send("req.supervisor.restart", {"part": "karma"}, reply_to=peer.inbox)
            header, answer = peer.ask("req.supervisor.restart", {"part": "karma"})
            assert header["status"] == "error" and answer["error_code"] == "CONFLICT"
            header, answer = peer.answer(first, 30)
            assert header["status"] == "success" and answer["pid"] == system.pid("karma")


def test_without_a_broker_up_starts_restarts_and_stops_as_ever(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "karma"]) as system:
        system.restarted("karma", system.kill("karma"))
        begun = time.monotonic()
        assert system.stop() == 0
        assert time.monotonic() - begun < 4
        assert "part_kill" not in system.log_path.read_text()


def test_a_stopped_broker_does_not_keep_up_from_its_work(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker,karma"]) as system:
        os.kill(system.pid("broker"), signal.SIGSTOP)
        system.restarted("karma", system.kill("karma"))
        os.kill(system.pid("broker"), signal.SIGCONT)
        assert supervised(system, "parts")[0] == "success"


def test_the_supervisor_is_back_on_the_bus_after_the_broker_was_killed(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=["--only", "broker,karma"]) as system:
        system.restarted("broker", system.kill("broker"))
        assert supervised(system, "parts")[0] == "success"
        assert supervised(system, "restart", {"part": "karma"})[0] == "success"

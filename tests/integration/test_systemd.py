"""The shipped systemd unit, and the readiness protocol that it relies on."""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import pytest
from support.system import Program, free_port_base

UNIT = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "bhiv.service"

needs_analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")


@pytest.fixture(name="unit")
def fixture_unit(bhiv, tmp_path):
    """The unit with the program where it is here: systemd-analyze looks for it."""
    path = tmp_path / "bhiv.service"
    path.write_text(UNIT.read_text().replace("/usr/local/bin/bhiv", str(pathlib.Path(bhiv).resolve())))
    return path


def analyze(*args):
    return subprocess.run(["systemd-analyze", *args], capture_output=True, text=True, timeout=60, check=False)


@needs_analyze
def test_the_unit_has_no_mistake_that_systemd_finds(unit):
    done = analyze("verify", "--man=no", str(unit))
    assert done.returncode == 0 and done.stderr == "", done.stderr
    broken = unit.with_name("broken.service")
    broken.write_text(unit.read_text().replace("Restart=always", "Restart=sometimes"))
    assert "sometimes" in analyze("verify", "--man=no", str(broken)).stderr, "it looks at all"


@needs_analyze
def test_the_unit_leaves_little_to_be_exposed(unit):
    done = analyze("security", "--offline=yes", "--threshold=20", str(unit))  # 2.0 of 10
    assert done.returncode == 0, done.stdout


def test_the_command_of_the_unit_is_one_that_the_program_takes(bhiv, tmp_path):
    command = re.search(r"^ExecStart=(.*)$", UNIT.read_text(), re.MULTILINE)[1].split()
    assert command[0] == "/usr/local/bin/bhiv"
    argv = [bhiv, *command[1:]]
    argv[argv.index("/var/lib/bhiv")] = str(tmp_path / "d")
    system = Program(argv + ["--port-base", str(free_port_base())], log=tmp_path / "log")
    assert system.stop() == 0


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told_when_all_are_ready_and_when_they_stop(bhiv, tmp_path, abstract):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = f"\0bhiv-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
        manager.bind(name)
        manager.settimeout(30)
        argv = [bhiv, "up", "--dir", str(tmp_path / "d"), "--port-base", str(free_port_base()),
                "--only", "broker,karma"]
        up = Program(argv, env={"NOTIFY_SOCKET": name.replace("\0", "@")}, log=tmp_path / "log")
        assert manager.recv(100) == b"READY=1"
        up.signal(signal.SIGTERM)
        assert manager.recv(100) == b"STOPPING=1"
        assert up.stop() == 0
        manager.settimeout(0)
        with pytest.raises(BlockingIOError):
            manager.recv(100)


def test_a_manager_that_does_not_listen_changes_nothing(bhiv, tmp_path):
    argv = [bhiv, "up", "--dir", str(tmp_path / "d"), "--port-base", str(free_port_base()), "--only", "broker"]
    up = Program(argv, env={"NOTIFY_SOCKET": str(tmp_path / "nobody")}, log=tmp_path / "log")
    assert up.stop() == 0

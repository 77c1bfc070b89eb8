"""The first five minutes of the README work as printed, against a fresh system on other ports.

A printed command succeeds, or says `# 403` and is refused. What it writes under /tmp goes elsewhere.
"""

import os
import pathlib
import re
import shlex
import subprocess

import pytest
from support.system import Program, eventually

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
ENDLESS = ("curl -sN", "bhiv sub", "subscribe.py", "service.py", "agent.py", "worker.py")
EVENT = '{"requester_id": "bhiv_core", "event_data": {"event_type": "readme", "agent_id": "a"}}'


def printed():
    """The commands of the section, whole: a line goes on in the next where a quote is open."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## The first five minutes")[1].split("\n## ")[0]
    found, command = [], ""
    for line in section.splitlines():
        if not line.startswith("    ") or (not command and line.strip().startswith("#")):
            continue
        command += ("\n" if command else "") + line[4:]
        try:
            shlex.split(command, comments=True)
        except ValueError:
            continue
        if not command.startswith("alias "):
            found.append(command)
        command = ""
    assert not command, f"never ends: {command}"
    return found


COMMANDS = printed()


@pytest.fixture(name="shell", scope="module")
def fixture_shell(shared_system, tmp_path_factory):
    """What makes of a printed command one for this system: other ports, another place for a file."""
    system = shared_system
    ports = {"8000": "karma", "8001": "bucket", "8002": "core", "8003": "workflow", "8080": "console"}
    folder = tmp_path_factory.mktemp("readme")
    env = {"BHIV_DIR": str(system.folder), "BHIV_INGRESS": system.ingress,
           "BHIV_EGRESS": system.egress}

    def make(command):
        command = command.replace("/tmp/", f"{folder}/")
        for port, name in ports.items():
            command = command.replace(f"localhost:{port}", system.url(name, "")[len("http://"):])
        command = re.sub(r"\bbhiv (?=[a-z])", f"{pathlib.Path(system.bhiv).resolve()} ", command)
        return ["bash", "-ec", "exec " * (";" not in command) + command], env

    return make


def run(shell, command):
    argv, env = shell(command)
    return subprocess.run(argv, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True,
                          timeout=30, check=False)


def test_the_section_is_read():
    assert len(COMMANDS) >= 12
    assert sum(any(word in command for word in ENDLESS) for command in COMMANDS) == len(ENDLESS)


@pytest.mark.parametrize("command", [c for c in COMMANDS if not any(word in c for word in ENDLESS)])
def test_a_printed_command_works(shell, command):
    def works():
        done = run(shell, command)
        assert done.returncode == 0, f"{done.stdout} {done.stderr}"
        # What Bucket tells Karma arrives a moment after the answer, as the README says.
        is_refused, is_kept = done.stdout.startswith('{"status":"error"'), "> /tmp/" in command
        return (done.stdout or is_kept) and is_refused == ("# 403" in command)

    assert eventually(works, 10, what=command)


@pytest.mark.parametrize("command", [c for c in COMMANDS if any(w in c for w in ENDLESS[:3])])
def test_a_printed_subscriber_hears(shell, command):
    argv, env = shell(command)
    program = Program(argv, env={**env, "PYTHONUNBUFFERED": "1"}, ready=False)
    os.set_blocking(program.process.stdout.fileno(), False)
    heard = b""

    def event_was_heard():
        nonlocal heard
        run(shell, f"curl -s localhost:8001/core/write-event -d '{EVENT}'")
        heard += program.process.stdout.read() or b""
        return b"core.event.readme" in heard

    try:
        eventually(event_was_heard, what=command)
    finally:
        program.kill()


@pytest.mark.parametrize("script,asked,answer", [
    ("service.py", r"bhiv req .*", '"HI"'), ("agent.py", r"curl .*", '"two one"'),
    ("worker.py", r"bhiv htm .*", '"words":3')])
def test_the_printed_service_answers(shell, script, asked, answer):
    command = next(c for c in COMMANDS if script in c)
    argv, env = shell(command)
    asked = re.search(asked, command)[0]
    program = Program(argv, env=env)
    try:
        # Core takes a moment to hear of an agent.
        assert eventually(lambda: answer in run(shell, asked).stdout, what=command)
    finally:
        program.kill()

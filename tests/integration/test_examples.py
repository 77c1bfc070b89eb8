"""The examples are peers written only from docs/protocol.md: that they work is a test of the page."""

import json
import os
import signal
import subprocess

import pytest
from support.peer import Peer
from support.system import ROOT_EXAMPLES, Program, eventually

PYTHON = "/usr/bin/python3"


def environment(system):
    return {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress}


def run(system, name, *args, timeout=30):
    return subprocess.run(
        [PYTHON, str(ROOT_EXAMPLES / name), *args],
        env={**os.environ, **environment(system)},
        capture_output=True, text=True, timeout=timeout, check=False,
    )


def test_publish_prints_a_durable_ack(shared_system):
    done = run(shared_system, "publish.py")
    assert done.returncode == 0, done.stderr
    ack = json.loads(done.stdout)
    assert ack["seq"] > 0 and ack["duplicate"] is False


def test_fetch_goes_on_from_its_cursor(shared_system, tmp_path):
    cursor = str(tmp_path / "cursor")
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        event = {"requester_id": "bhiv_core", "event_type": "fetched", "n": 1}
        first = peer.publish("core.event.fetched", event)["seq"]
        done = run(shared_system, "fetch.py", cursor, "core.event.fetched", "--once")
        assert done.returncode == 0, done.stderr
        assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [first]
        second = peer.publish("core.event.fetched", {**event, "n": 2})["seq"]
    done = run(shared_system, "fetch.py", cursor, "core.event.fetched", "--once")
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [second]


def test_subscribe_prints_what_is_published(shared_system):
    watcher = Program([PYTHON, str(ROOT_EXAMPLES / "subscribe.py"), "core.event."],
                      env=environment(shared_system), ready=False)
    try:
        with Peer(shared_system.ingress, shared_system.egress) as peer:
            event = {"requester_id": "bhiv_core", "event_type": "seen"}

            # A fresh subscription is deaf for a moment: publish until it hears.
            def heard():
                peer.publish("core.event.seen", event)
                try:
                    return watcher.read_line(0.5)
                except AssertionError:
                    return None

            line = eventually(heard, 15, what="the subscriber's line")
        assert json.loads(line)["body"] == event
    finally:
        watcher.kill()


def test_service_answers_requests_in_any_number_of_instances(shared_system):
    programs = [
        Program([PYTHON, str(ROOT_EXAMPLES / "service.py"), "agent.translator"],
                env=environment(shared_system))
        for _ in range(2)
    ]
    try:
        with Peer(shared_system.ingress, shared_system.egress) as peer:
            answers = [peer.ask("req.agent.translator.upper", {"text": "hello"}) for _ in range(4)]
            assert all(body["text"] == "HELLO" for _, body in answers)
            assert len({body["by"] for _, body in answers}) == 2, "handed to both in turn"
            programs[0].signal(signal.SIGKILL)
            # Three missed beats and it is gone; until then its requests time out at the asker.

            def only_the_other():
                _, body = peer.ask("$bus.peers", {})
                names = [row for row in body["peers"] if row["service"] == "agent.translator"]
                return len(names) == 1

            eventually(only_the_other, 15, what="the dead instance is forgotten")
            assert peer.ask("req.agent.translator.upper", {"text": "still"})[1]["text"] == "STILL"
    finally:
        for program in programs:
            program.kill()


def test_a_service_without_a_broker_says_that_it_waits(tmp_path):
    words = tmp_path / "words"
    program = Program([PYTHON, str(ROOT_EXAMPLES / "service.py")], ready=False, log=words,
                      env={"BHIV_INGRESS": f"ipc://{tmp_path}/in", "BHIV_EGRESS": f"ipc://{tmp_path}/out"})
    try:
        eventually(lambda: f"waiting for the broker at ipc://{tmp_path}/out" in words.read_text())
    finally:
        program.kill()


def test_a_folder_is_enough_to_find_the_bus(shared_system):
    env = {key: value for key, value in os.environ.items() if key not in environment(shared_system)}
    done = subprocess.run([PYTHON, str(ROOT_EXAMPLES / "publish.py")], capture_output=True, text=True,
                          env={**env, "BHIV_DIR": str(shared_system.folder)}, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_fetch_names_the_cursor_that_belongs_to_another_journal(shared_system, tmp_path):
    cursor = tmp_path / "cursor"
    cursor.write_text(json.dumps({"from": 1, "epoch": "another"}))
    done = run(shared_system, "fetch.py", str(cursor), "--once")
    assert done.returncode == 1 and "another journal" in done.stderr and str(cursor) in done.stderr
    cursor.write_text(json.dumps({"from": 10**9, "epoch": None}))
    done = run(shared_system, "fetch.py", str(cursor), "--once")
    assert done.returncode == 1 and "AHEAD" in done.stderr and str(cursor) in done.stderr


@pytest.mark.parametrize("name", ["publish.sh"])
def test_shell_example_runs_as_printed(shared_system, name):
    done = subprocess.run(
        ["bash", str(ROOT_EXAMPLES / name)],
        env={**os.environ, "BHIV_BUCKET_PORT": str(shared_system.base + 1),
             "BHIV_KARMA_PORT": str(shared_system.base)},
        capture_output=True, text=True, timeout=60, check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"merit_score"' in done.stdout


def test_an_artifact_is_kept_and_read_and_its_id_taken(shared_system):
    done = run(shared_system, "artifact.py", "gurukul", "an-example")
    assert done.returncode == 0, done.stderr
    kept, read = (json.loads(line) for line in done.stdout.splitlines())
    assert kept["channel"] == "write_confirmation" and read["channel"] == "read_response"
    again = run(shared_system, "artifact.py", "gurukul", "an-example")
    refused = json.loads(again.stdout.splitlines()[0])
    assert again.returncode == 1 and refused["error_code"] == "DUPLICATE_ARTIFACT_ID" and refused["audit_id"]


def test_a_receipt_and_an_export_verify_without_the_program(shared_system, tmp_path):
    def bhiv(*args):
        return shared_system.run(*args).stdout

    kept = json.loads(run(shared_system, "artifact.py").stdout.splitlines()[0])
    key, receipt, export = (tmp_path / leaf for leaf in ("log.vkey", "receipt", "export"))
    key.write_text(bhiv("keys", "export-public"))
    receipt.write_text(bhiv("audit", "receipt", kept["audit_id"]))
    export.write_text(bhiv("audit", "export"))
    for file in (receipt, export):
        good = run(shared_system, "verify.py", str(file), str(key))
        assert good.returncode == 0 and good.stdout.startswith("good: "), good.stderr
        text = file.read_text()
        place = text.index("checkpoint") + 40 if file == export else text.index("\n\n") + 5
        other = "A" if text[place] != "A" else "B"
        file.write_text(text[:place] + other + text[place + 1:])
        assert run(shared_system, "verify.py", str(file), str(key)).returncode == 1

"""`bhiv <service> --rebuild`: the state is a function of the journal, and looking does not touch it."""

import json
import subprocess

import pytest
from support.broker import Broker, ack_of, stats_of
from support.checker import key_announced
from support.load import Publisher
from support.peer import Peer
from support.system import System, eventually

TOPIC = "core.event.rl_outcome"


def rebuild(bhiv, name, folder, *args, timeout=60):
    argv = [bhiv, name, "--rebuild", "--dir", str(folder), *args]
    return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)


def loaded(system, count=3000):
    load = Publisher(system.ingress, system.egress, count, window=200)
    load.start()
    load.join(120)
    assert load.error is None and len(load.acked) == count
    with Peer(system.ingress, system.egress, source="bhiv_core") as peer:
        # What is refused changes no state, and an answer that is kept is no part of it.
        for action in ("completing_lessons", "no_such_action", "cheat"):
            body = {"user_id": "u-1", "action": action, "role": "learner"}
            peer.ask("karma.life_event", body, timeout=10)
    key_announced(system)


def state_hash(peer, name):
    header, answer = peer.ask(f"req.{name}.state_hash")
    assert header["status"] == "success", answer
    return answer


def consumers(stats):
    return sorted(consumer["consumer"] for consumer in stats["consumers"])


@pytest.fixture
def system(bhiv, tmp_path):
    """Without Grace, which says and reads things of its own accord."""
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "grace")) as running:
        yield running


@pytest.mark.parametrize("name", ["bucket", "karma"])
def test_a_rebuild_comes_to_the_live_state_and_leaves_no_trace(bhiv, system, name):
    loaded(system)
    with Peer(system.ingress, system.egress, source="looker") as peer:
        before = stats_of(peer)
        peers = peer.ask("$bus.peers")[1]["peers"]
        live = state_hash(peer, name)
        done = rebuild(bhiv, name, system.folder)
        assert done.returncode == 0, done.stderr
        said = json.loads(done.stdout)
        after = stats_of(peer)
        records = list(peer.fetch_all(start=before["head"] + 1))
        assert records == [], "it said something"
        assert state_hash(peer, name)["state_hash"] == live["state_hash"]
        assert peer.ask("$bus.peers")[1]["peers"] == peers
    assert said["service"] == name
    assert said["state_hash"] == live["state_hash"]
    assert said["rules_version"] == live["rules_version"]
    assert said["cursor"] == after["head"] >= live["cursor"]
    assert said["applied"] > 0 and said["refused"] >= 0
    assert consumers(after) == consumers(before)
    assert not (system.folder / f"{name}.rebuild").exists()


@pytest.mark.parametrize("name", ["bucket", "karma"])
def test_a_state_that_is_not_the_journals_is_told_by_its_hash(bhiv, tmp_path, name):
    """Two systems of different journals: were the hash of anything else, they could agree."""
    hashes = set()
    for n in (1, 2):
        folder = tmp_path / f"d{n}"
        with Broker(bhiv, folder) as broker, broker.peer("bhiv_core") as peer:
            for user in range(n):
                ack_of(peer, TOPIC, {"requester_id": "bhiv_core", "event_type": "rl_outcome"})
                body = {"user_id": f"u{user}", "action": "completing_lessons", "role": "learner"}
                ack_of(peer, "karma.life_event", body)
            first, second = (rebuild(bhiv, name, folder) for _ in range(2))
            assert first.returncode == 0, first.stderr
            assert first.stdout == second.stdout, "it is the journal's alone"
            hashes.add(json.loads(first.stdout)["state_hash"])
    assert len(hashes) == 2


def test_a_rebuild_without_a_broker_ends_with_69(bhiv, tmp_path):
    done = rebuild(bhiv, "karma", tmp_path / "d")
    assert (done.returncode, done.stdout) == (69, ""), done.stderr
    assert "no_broker" in done.stderr
    assert not (tmp_path / "d" / "karma.rebuild").exists()


def test_a_rebuild_from_a_trimmed_journal_ends_with_78(bhiv, tmp_path):
    args = ("--bus-in", "0", "--bus-out", "0", "--retention-bytes", "4k")
    with Broker(bhiv, tmp_path / "d", args) as broker, broker.peer() as peer:
        ack_of(peer, "$bus.batch", [[TOPIC, {}, {"requester_id": "a"}]] * 1000)
        eventually(lambda: stats_of(peer)["first"] > 1)
        done = rebuild(bhiv, "bucket", tmp_path / "d")
    assert (done.returncode, done.stdout) == (78, ""), done.stderr
    assert "TRIMMED" in done.stderr

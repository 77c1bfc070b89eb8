"""Each container is killed in turn under acknowledged writes by HTTP and by CURVE: nothing is lost, nothing is doubled."""

import json
import os
import select
import signal
from collections import Counter
from types import SimpleNamespace

import pytest
from support.compose import PARTS, Outsider, Publisher
from support.load import Writer
from support.system import eventually

MORE_ACKS = 30


@pytest.fixture(scope="module", name="load")
def fixture_load(compose, tmp_path_factory):
    """One writer with a token and one peer with an agent's certificate, from the first kill to the last."""
    assert compose.owner("keys", "cert", "agent_kill").returncode == 0
    peer = Outsider(compose, tmp_path_factory.mktemp("kill")).take("agent_kill")
    eventually(lambda: peer.run("agent_kill", "pub", "agent.kill.first", "{}").returncode == 0, 30, 0.2, "it is let in")
    token = compose.make_token("-r", "bhiv_core", "-p", "gurukul", "-e", "1d")
    load = SimpleNamespace(http=Writer(compose.url("bucket", "/core/write-event"), name="dock", token=token),
                           curve=Publisher(peer, "agent_kill", "agent.kill.fact"), killed=[])
    for one in (load.http, load.curve):
        one.start()
    yield load
    for one in (load.http, load.curve):
        one.halt.set()
        one.join(70)


def more_acks(load, what):
    before = len(load.http.acked), len(load.curve.acked)
    eventually(lambda: len(load.http.acked) > before[0] + MORE_ACKS and len(load.curve.acked) > before[1] + MORE_ACKS, 60,
               what=f"acknowledgements {what}")


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_is_killed_comes_back_under_load(compose, load, part):
    more_acks(load, "before the kill")
    begun = compose.inspect(part, "{{.State.StartedAt}}")
    # The engine does not restart what its own kill ended: kill the process inside instead.
    pid = int(compose.inspect(part, "{{.State.Pid}}"))
    end = os.pidfd_open(pid)
    os.kill(pid, signal.SIGKILL)
    assert select.select([end], [], [], 10)[0], f"{part} survived SIGKILL"
    os.close(end)
    eventually(lambda: compose.inspect(part, "{{.State.StartedAt}}") != begun, 30, 0.2, f"{part} started again")
    eventually(lambda: compose.works(part), 60, 0.2, f"{part} works again")
    more_acks(load, "after the kill")
    load.killed.append(part)


def test_what_was_acknowledged_is_there_once_and_audited_once(compose, load):
    for one in (load.http, load.curve):
        one.halt.set()
        one.join(70)
    assert load.killed == list(PARTS)
    assert load.curve.status == 0, load.curve.error
    eventually(lambda: set(load.http.acked) <= set(compose.events("http_agent")), 30, 0.5, "every acknowledged event stored")
    stored = compose.events("http_agent")
    assert all(stored[ident] == seq for ident, seq in load.http.acked.items())
    assert len(stored) <= len(load.http.acked) + load.http.failures

    rows = compose.exec("broker", "bhiv", "sub", "agent.kill.fact", "--from", "0", "-n", str(len(load.curve.acked)), "--format",
                        "json").stdout.splitlines()
    journal = [json.loads(row) for row in rows]
    assert {row["header"]["id"]: row["header"]["seq"] for row in journal} == load.curve.acked
    assert [row["body"]["n"] for row in journal] == list(range(1, load.curve.said + 1))
    assert {row["header"]["source"] for row in journal} == {"agent_kill"}

    def entries():
        count = Counter(row["audit_id"] for row in compose.audited())
        return count if all(count[f"audit_{seq}"] for seq in stored.values()) else None

    count = eventually(entries, 30, 0.5, "every stored event audited")
    assert {count[f"audit_{seq}"] for seq in stored.values()} == {1}
    verified = compose.owner("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr

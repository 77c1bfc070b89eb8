"""SIGKILL of anything, at any moment: what was acknowledged is stored exactly once, karma follows."""

import os
import random
import select
import signal
import subprocess

import pytest
from support.broker import Broker
from support.checker import check
from support.faults import DIE, WRITE
from support.load import Publisher, Writer
from support.system import System, eventually

PARTS = ("broker", "bucket", "karma", "bridge")


def start_load(system, count=200000):
    publisher = Publisher(system.ingress, system.egress, count=count, window=1000)
    writer = Writer(system.url("bucket", "/core/write-event"))
    publisher.start()
    writer.start()
    return publisher, writer


def stop_load(publisher, writer):
    publisher.halt.set()
    writer.halt.set()
    publisher.join(30)
    writer.join(30)
    assert not publisher.is_alive() and not writer.is_alive()
    assert publisher.error is None, publisher.error
    return {**publisher.acked, **writer.acked}


def progress(load, more=1500):
    """Waits until the load has got so many further acks."""
    before = len(load[0].acked)
    eventually(lambda: len(load[0].acked) >= before + more or load[0].error or not load[0].is_alive(),
               60, what="progress of the load")
    assert load[0].error is None, load[0].error


@pytest.mark.parametrize("part", PARTS)
def test_killing_a_part_loses_and_doubles_nothing(system, part):
    load = start_load(system)
    for _ in range(2):
        progress(load)
        pid = system.kill(part)
        system.restarted(part, pid)
    progress(load)
    counted = check(system, stop_load(*load))
    assert counted["events"] >= 4500
    if part in ("bucket", "karma"):  # nobody waits for a service to be back
        assert load[0].longest < 5 and load[1].longest < 5, [each.longest for each in load]
        assert load[1].failures == 0


def test_killing_up_itself_leaves_no_orphan_and_loses_nothing(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        load = start_load(system)
        for _ in range(2):
            progress(load)
            system.kill_all()
            system.start()
        progress(load)
        counted = check(system, stop_load(*load))
        assert counted["events"] >= 4500
        assert system.stop() == 0


def test_parts_end_with_up_itself_and_the_next_one_takes_over(bhiv, tmp_path):
    """SIGKILL of `bhiv up` alone: its parts go too, by themselves, and nothing is lost."""
    with System(bhiv, tmp_path / "d") as system:
        load = start_load(system)
        for _ in range(2):
            progress(load)
            ends = [os.pidfd_open(system.pid(name)) for name in system.names()]
            system.up.kill()
            for end in ends:
                assert select.select([end], [], [], 5)[0], "a part outlived bhiv up"
                os.close(end)
            system.start()
        progress(load)
        check(system, stop_load(*load))
        assert system.stop() == 0


def test_killing_at_random_alone_and_in_groups_loses_and_doubles_nothing(bhiv, tmp_path, long):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    with System(bhiv, tmp_path / "d") as system:
        load = start_load(system)
        for _ in range(50 if long else 6):
            progress(load, dice.randrange(50, 800))
            if dice.randrange(6) == 0:
                system.kill_all()
                system.start()
                continue
            group = dice.sample(PARTS, dice.randrange(1, len(PARTS) + 1))
            pids = {part: system.restarted(part, 0) for part in group}
            for pid in pids.values():
                os.kill(pid, signal.SIGKILL)
            for part, pid in pids.items():
                system.restarted(part, pid)
        progress(load)
        check(system, stop_load(*load))
        assert system.stop() == 0


def test_killing_the_broker_under_four_publishers_loses_and_doubles_nothing(bhiv, tmp_path, long):
    """At random points; each publisher's own order holds, and nobody's seq has a gap."""
    dice = random.Random(20261120)
    count = 25_000 if long else 4000
    with Broker(bhiv, tmp_path / "d") as broker:
        loads = [Publisher(broker.ingress, broker.egress, count=count, name=f"load{n}")
                 for n in range(4)]
        for load in loads:
            load.start()
        rounds = 50 if long else 8
        for round_ in range(rounds):
            goal = 4 * count * (round_ + dice.random()) / (rounds + 1)
            eventually(lambda goal=goal: sum(len(load.acked) for load in loads) >= goal or
                       any(load.error for load in loads), 120, 0.001, "acks")
            broker.kill()
            broker.start()
        for load in loads:
            load.join(120)
            assert load.error is None and len(load.acked) == count, load.error
        with broker.peer() as peer:
            journal = list(peer.fetch_all())
    assert [header["seq"] for _, header, _ in journal] == list(range(1, 4 * count + 1))
    for load in loads:
        own = [header for _, header, _ in journal if header["source"] == load.name]
        assert [header["pseq"] for header in own] == list(range(1, count + 1))
        assert {header["id"]: header["seq"] for header in own} == load.acked


def test_a_backup_killed_in_the_middle_pins_nothing(bhiv, tmp_path, faults):
    """It dies inside its read transaction; what is rewritten after does not pile up."""
    page = faults("../backup/karma")
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge")) as system:
        def write(count, name):
            load = Publisher(system.ingress, system.egress, count=count, window=5, name=name)
            load.start()
            load.join(60)
            check(system, load.acked)

        def backup(to, env=None):
            return subprocess.run([bhiv, "backup", str(tmp_path / to), "--dir", str(tmp_path / "d")],
                                  env={**os.environ, **(env or {})}, capture_output=True, timeout=60,
                                  check=False)

        write(500, "before")
        page.arm(WRITE, DIE)
        done = backup("backup", page.env)
        assert done.returncode == -signal.SIGKILL and page.died == 1, done
        eventually(lambda: "karma readers_reaped" in system.log_path.read_text(), 15, 0.1,
                   "its slot to be cleared")
        write(3000, "after")
        assert backup("whole").returncode == 0
        live = (tmp_path / "whole/karma/data.mdb").stat().st_size
        used = (tmp_path / "d/karma/data.mdb").stat().st_size
        assert used < 2 * live, (used, live)

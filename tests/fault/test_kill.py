"""SIGKILL of anything, at any moment: what was acknowledged is stored exactly once, karma follows."""

import random

import pytest
from support.checker import check
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


def test_killing_up_itself_leaves_no_orphan_and_loses_nothing(bhiv, tmp_path):
    system = System(bhiv, tmp_path / "d")
    system.start()
    load = start_load(system)
    for _ in range(2):
        progress(load)
        system.kill_all()
        system.start()
    progress(load)
    counted = check(system, stop_load(*load))
    assert counted["events"] >= 4500
    assert system.stop() == 0


def test_killing_at_random_loses_and_doubles_nothing(bhiv, tmp_path):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    system = System(bhiv, tmp_path / "d")
    system.start()
    load = start_load(system)
    for _ in range(12):
        progress(load, dice.randrange(50, 800))
        part = dice.choice(PARTS)
        pid = system.kill(part)
        system.restarted(part, pid)
    progress(load)
    check(system, stop_load(*load))
    assert system.stop() == 0

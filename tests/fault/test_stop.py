"""SIGTERM under load, twice, and a SIGSTOP of each part: nobody hangs, nothing acknowledged is lost."""

import os
import signal
import time

import pytest
from support.checker import check
from support.load import Publisher, Writer
from support.system import System, eventually

PARTS = ("broker", "bucket", "karma", "bridge")


def start_load(system):
    load = [Publisher(system.ingress, system.egress, count=10**9, window=1000),
            Writer(system.url("bucket", "/core/write-event"))]
    for each in load:
        each.start()
    return load


def acked(load):
    acks = {}
    for each in load:
        each.halt.set()
        each.join(30)
        assert not each.is_alive()
        acks.update(each.acked)
    assert load[0].error is None, load[0].error
    return acks


def progress(load, more=500):
    before = len(load[0].acked)
    eventually(lambda: load[0].error or len(load[0].acked) >= before + more, 60, what="acks")


def test_sigterm_under_load_ends_everything_in_five_seconds(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        load = start_load(system)
        for _ in range(2):  # and again after the next start
            progress(load, 1500)
            begun = time.monotonic()
            pids = [system.pid(name) for name in system.names()]
            system.up.signal(signal.SIGTERM)
            system.up.signal(signal.SIGTERM)  # an impatient person
            assert system.up.process.wait(10) == 0
            assert time.monotonic() - begun < 5
            assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")], "a part was left behind"
            system.up.close()
            system.start()
        progress(load)
        assert check(system, acked(load))["events"] >= 3500
        assert system.stop() == 0


@pytest.mark.parametrize("part", PARTS)
def test_sigterm_of_one_part_is_a_restart_of_it(system, part):
    load = start_load(system)
    progress(load)
    begun = time.monotonic()
    pid = system.kill(part, signal.SIGTERM)
    system.restarted(part, pid)
    assert time.monotonic() - begun < 5
    progress(load)
    check(system, acked(load))


@pytest.mark.parametrize("part", PARTS)
def test_a_part_that_stands_still_for_a_while_goes_on_where_it_was(system, long, part):
    """SIGSTOP for 5 s (a blink unless --long): the others notice, and nothing is lost or doubled."""
    load = start_load(system)
    progress(load)
    pid = system.kill(part, signal.SIGSTOP)
    begun = time.monotonic()
    if part != "broker":
        progress(load)  # who publishes is not held up by a service
    time.sleep(max(0, (5 if long else 1) - (time.monotonic() - begun)))
    os.kill(pid, signal.SIGCONT)
    progress(load)
    assert system.pid(part) == pid
    check(system, acked(load))


def test_the_bridge_stops_cleanly_while_clients_keep_asking(system):
    writers = [Writer(system.url("bucket", "/core/write-event"), name=f"w{n}") for n in range(8)]
    for writer in writers:
        writer.start()
    try:
        for _ in range(5):
            eventually(lambda: all(len(w.acked) > 20 for w in writers), 20, what="writes")
            for writer in writers:
                writer.acked.clear()
            pid = system.kill("bridge", signal.SIGTERM)
            system.restarted("bridge", pid)
    finally:
        for writer in writers:
            writer.halt.set()
        for writer in writers:
            writer.join(20)
    ends = [line for line in system.log_path.read_text().splitlines()
            if "part_died part=bridge" in line]
    assert len(ends) == 5 and all("status=0" in line for line in ends), ends

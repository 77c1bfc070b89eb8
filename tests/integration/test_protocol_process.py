"""The broker as a process: killed, stopped, started twice, short of descriptors, room or memory."""

import os
import resource
import socket
import subprocess
import threading
import time

import pytest
from support.broker import Broker, ack_of, error_of, handed, say, stats_of
from support.peer import Peer
from support.sanitizers import more
from support.system import eventually, free_port_base


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "d"


def publish_window(peer, numbers, kill_after=None, kill=None):
    """Sends these pseqs until each is acked, as docs/protocol.md section 5 has it: in order, from the
    expected one on after a gap, again what is unanswered after a later welcome."""
    left = list(numbers)
    acked = 0
    while left:
        pending = {}
        for n in left[:1000]:
            header = {"ack": True, "pseq": n, "pstream": peer.stream, "reply_to": peer.inbox}
            pending[peer.send("core.event.window", {"n": n}, id=f"w{n}", **header)] = n
        welcomes = peer.welcomes
        while pending and peer.welcomes == welcomes:
            if kill_after is not None and acked >= kill_after:
                kill_after = None
                kill()
                continue  # with a later welcome: what is unanswered is sent again
            assert peer.heard or peer.inbox_sub.poll(30000), f"silence; {len(left)} left"
            if not peer.heard:
                peer._read(0)
                continue
            header, body = peer.heard.popleft()
            n = pending.pop(header["re"], None)
            if n is None:
                continue
            if header["status"] == "success":
                left.remove(n)
                acked += 1
            else:
                assert body["error_code"] in ("PSEQ_GAP", "BUSY"), body


def window_of(peer):
    records = [r for r in peer.fetch_all(["core.event.window"]) if r[1]["pstream"] == peer.stream]
    return [record[2]["n"] for record in records]


def test_a_window_survives_sigkill_and_is_applied_once(bhiv, folder):
    with Broker(bhiv, folder) as broker, broker.peer() as peer:
        def kill():
            broker.kill()
            broker.start()
            peer.wait_welcome()  # before it nothing that wants an answer is sent

        for turn in range(4):
            numbers = range(1 + turn * 3000, 1 + (turn + 1) * 3000)
            publish_window(peer, numbers, kill_after=700 * turn + 1, kill=kill)
        assert window_of(peer) == list(range(1, 12001))
        seqs = [record[1]["seq"] for record in peer.fetch_all()]
        assert seqs == list(range(1, len(seqs) + 1))


def test_a_restart_keeps_the_journal_and_is_another_boot(bhiv, folder):
    with Broker(bhiv, folder) as broker:
        with broker.peer() as peer:
            first = ack_of(peer, "core.event.x", {"n": 1}, pseq=1, pstream=peer.stream)
            ack_of(peer, "$bus.batch", [["core.x", {}, 1], ["core.x", {}, 2]], pseq=2, pstream=peer.stream)
            before = peer.welcome
            stream = peer.stream
        assert broker.stop() == 0
        broker.start()
        with broker.peer() as peer:
            assert peer.welcome["epoch"] == before["epoch"]
            assert peer.welcome["boot"] != before["boot"] and peer.welcome["head"] == 3
            again = ack_of(peer, "core.event.x", {"n": 1}, pseq=1, pstream=stream)
            assert again == {**first, "duplicate": True}
            body = {"instance": "i", "pstream": stream}
            assert say(peer, "$bus.hello", body)[1]["pseq"] == 2
            assert ack_of(peer, "core.event.x", {})["seq"] == 4


def test_sigterm_answers_what_was_taken_and_exits_0(bhiv, folder):
    with Broker(bhiv, folder) as broker, broker.peer() as peer:
        for n in range(1, 5001):
            header = {"ack": True, "pseq": n, "pstream": peer.stream, "reply_to": peer.inbox}
            peer.send("core.event.window", {"n": n}, **header)
        assert handed(peer)[0]["status"] == "success"
        started = time.monotonic()
        assert broker.stop() == 0
        assert time.monotonic() - started < 5
        acked = 1
        while peer._read(0.5):
            acked += 1
        broker.start()
        with broker.peer() as reader:
            reader.stream = peer.stream
            kept = window_of(reader)
        assert kept == list(range(1, len(kept) + 1)) and len(kept) >= acked


def test_peers_on_tcp_and_on_ipc_hear_each_other(bhiv, folder):
    base = free_port_base()
    with Broker(bhiv, folder, ("--bus-in", str(base), "--bus-out", str(base + 1))) as broker:
        tcp = Peer(f"tcp://127.0.0.1:{base}", f"tcp://127.0.0.1:{base + 1}", "on_tcp")
        with tcp, broker.peer() as ipc:
            tcp.subscribe("core.event.")
            ack = ack_of(ipc, "core.event.x", {"n": 1})
            assert tcp.hear()[1]["seq"] == ack["seq"]
            assert ack_of(tcp, "core.event.x", {"n": 2})["seq"] == ack["seq"] + 1
            assert [record[1]["source"] for record in tcp.fetch_all()] == ["py_test", "on_tcp"]


def test_one_consumer_more_than_may_be_known_is_refused(bhiv, folder):
    with Broker(bhiv, folder) as broker, broker.peer() as peer:
        ack_of(peer, "core.event.x", {})
        for n in range(1024):
            peer.fetch(f"c{n}", [], 1, ack=1, max=1)
        eventually(lambda: len(stats_of(peer)["consumers"]) == 1024)
        body = error_of(peer, "$bus.fetch", {"consumer": "more", "from": 1, "ack": 1})
        assert body["error_code"] == "STORE_FULL"
        assert peer.fetch("more", [], 1)["records"]  # who does not ack is not kept
        assert peer.fetch("c5", [], 1, ack=2, max=1)["records"]
        assert say(peer, "$bus.forget", {"consumer": "c7"})[1] == {}
        peer.fetch("more", [], 1, ack=1, max=1)
        eventually(lambda: "more" in {c["consumer"] for c in stats_of(peer)["consumers"]})


# --- What keeps it from starting ----------------------------------------------------------------


def exit_of(bhiv, *args):
    ended = subprocess.run(
        [bhiv, "broker", *args], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
    )
    assert "ready" not in ended.stdout
    return ended.returncode, ended.stderr


def test_a_second_broker_on_the_same_journal_exits_75(bhiv, folder):
    with Broker(bhiv, folder) as broker, broker.peer() as peer:
        status, stderr = exit_of(bhiv, "--dir", str(folder), "--bus-in", "0", "--bus-out", "0")
        assert status == 75 and str(folder) in stderr
        assert ack_of(peer, "core.event.x", {})["seq"] == 1  # the first one is not disturbed


def test_an_address_in_use_exits_75_and_is_named(bhiv, folder):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = str(held.getsockname()[1])
        status, stderr = exit_of(bhiv, "--dir", str(folder), "--bus-in", port, "--bus-out", "0")
        assert status == 75 and f"127.0.0.1:{port}" in stderr


def test_tcp_beyond_loopback_is_refused(bhiv, folder):
    args = ("--dir", str(folder), "--bus-bind", "0.0.0.0", "--bus-in", "1", "--bus-out", "2")
    status, stderr = exit_of(bhiv, *args)
    assert status not in (0, 69, 74, 75) and "0.0.0.0" in stderr


# --- Limits -------------------------------------------------------------------------------------


def cpu_seconds(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_more_connections_than_descriptors_are_refused_without_harm(bhiv, folder, tmp_path):
    short = tmp_path / "short"
    short.write_text(f'#!/bin/sh\nulimit -n 1024\nexec "{bhiv}" "$@"\n')
    short.chmod(0o755)
    with Broker(str(short), folder) as broker, broker.peer() as peer:
        held = []
        while len(held) < 700:  # half of the descriptors are for connections
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            try:
                sock.connect(str(folder / "bus.in"))
            except OSError:
                sock.close()
                break
            held.append(sock)
        eventually(lambda: stats_of(peer)["connections_refused"] > 0)
        before = cpu_seconds(broker.program.pid)
        head = stats_of(peer)["head"]
        assert peer.fetch("waits", ["core.never."], head + 1, wait_ms=1000)["records"] == []
        assert cpu_seconds(broker.program.pid) - before < 0.5, "it spins"
        assert ack_of(peer, "core.event.x", {})["seq"] > 0
        for sock in held:
            sock.close()
        with broker.peer("late", timeout=20) as late:
            assert ack_of(late, "core.event.x", {})["seq"] > 0


def test_too_much_pending_is_busy_and_the_rest_flows(bhiv, folder):
    with Broker(bhiv, folder, ("--bus-in", "0", "--bus-out", "0", "--pending-bytes", "8m")) as broker:
        with broker.peer("flood") as flood, broker.peer() as peer:
            stop = threading.Event()
            body = {"d": "x" * 1_000_000}

            def send():
                while not stop.is_set():
                    flood.send("core.event.big", body, ack=True, reply_to=flood.inbox)

            sender = threading.Thread(target=send)
            sender.start()
            try:
                busy = eventually(lambda: stats_of(peer)["refused"].get("BUSY", 0), timeout=60)
                assert busy > 0
                assert ack_of(peer, "any.live", {})["seq"] == 0
            finally:
                stop.set()
                sender.join()
            while True:
                header, body = handed(flood)
                if header["status"] == "error":
                    break
            assert body["error_code"] == "BUSY" and body["retry_after"] >= 1
            assert stats_of(peer)["pending_bytes"] <= 8 << 20


def test_retention_never_passes_a_known_consumer(bhiv, folder):
    args = ("--bus-in", "0", "--bus-out", "0", "--retention-bytes", "64k")
    with Broker(bhiv, folder, args) as broker:
        with broker.peer() as peer:
            for _ in range(4):
                messages = [["core.event.x", {}, {"d": "x" * 1000}]] * 100
                head = ack_of(peer, "$bus.batch", messages)["seq"]
                # Its ack is in the journal with it: 100 KB are kept, although 64 are to be.
                peer.fetch("slow", [], 3, ack=3, max=1)
            eventually(lambda: stats_of(peer)["first"] == 3)
        broker.kill()
        broker.start()
        with broker.peer() as peer:
            eventually(lambda: stats_of(peer)["first"] == 3)
            assert len(peer.fetch("slow", [], 3, max=1000)["records"]) == head - 2
            peer.fetch("slow", [], head, ack=head, max=1)
            first = eventually(lambda: (s := stats_of(peer))["first"] > 300 and s["first"])
            assert stats_of(peer)["bytes"] < 80 << 10
            body = error_of(peer, "$bus.fetch", {"consumer": "x", "from": 3})
            assert body["error_code"] == "TRIMMED" and body["details"]["first"] == first
            assert peer.fetch("x", [], 0, max=1)["records"][0][1]["seq"] == first


def test_retention_keeps_up_with_a_journal_that_is_much_too_large(bhiv, folder):
    with Broker(bhiv, folder, ("--bus-in", "0", "--bus-out", "0")) as broker, broker.peer() as peer:
        for _ in range(10):
            head = ack_of(peer, "$bus.batch", [["core.event.x", {}, {}]] * 10000)["seq"]
    args = ("--bus-in", "0", "--bus-out", "0", "--retention-bytes", "4k")
    with Broker(bhiv, folder, args) as broker, broker.peer() as peer:
        # A trim takes 10,000 records; one a second would need ten.
        eventually(lambda: stats_of(peer)["first"] > head - 100, timeout=5)


def test_a_subscriber_that_stops_reading_costs_a_bounded_amount(bhiv, folder):
    program = open(bhiv, "rb").read()
    # What a sanitizer keeps of each allocation, and of what was freed, would count.
    times = 4 if b"__tsan_init" in program else 2 if b"__asan_init" in program else 1
    env = more("ASAN_OPTIONS", "quarantine_size_mb=1")
    with (
        Broker(bhiv, folder, env=env) as broker,
        broker.peer() as peer,
        broker.peer("stopped") as stopped,
    ):
        stopped.subscribe("any.flood")
        body = {"d": "x" * 1000}

        def resident():
            for line in open(f"/proc/{broker.program.pid}/status"):
                if line.startswith("VmRSS"):
                    return int(line.split()[1]) * 1024
            return 0

        def flow(count):
            for n in range(count):
                peer.send("any.flood", body)
                if n % 1000 == 0:
                    stats_of(peer)

        flow(1000)
        before = resident()
        flow(80000)
        grown = resident() - before
        assert grown < times * 64 << 20, f"{grown >> 20} MiB"
        stopped.close()


def test_the_soft_limit_of_descriptors_is_raised(bhiv, folder, tmp_path):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard <= 256:
        pytest.fail("this machine allows too few descriptors to tell")
    short = tmp_path / "soft"
    short.write_text(f'#!/bin/sh\nulimit -S -n 200\nexec "{bhiv}" "$@"\n')
    short.chmod(0o755)
    with Broker(str(short), folder) as broker:
        for line in open(f"/proc/{broker.program.pid}/limits"):
            if line.startswith("Max open files"):
                assert int(line.split()[3]) == hard

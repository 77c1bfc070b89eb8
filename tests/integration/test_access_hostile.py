"""Peers with a certificate that do not keep to the rules by which libraries speak: what they can do to others."""

import contextlib
import os
import signal

import pytest
import zmq
from support.broker import ack_of, error_of, say, stats_of
from support.secure import CurvePeer, SecureBroker, make_cert
from support.system import eventually

NAMES = ("agent_x", "bhiv_karma", "brain", "nobody", "owner")


@pytest.fixture(scope="module")
def bus(bhiv, tmp_path_factory):
    with SecureBroker(bhiv, tmp_path_factory.mktemp("sec-hostile") / "d", names=NAMES) as broker:
        yield broker


def refused(bus, name, reason):
    with bus.peer("py_owner") as trusted:
        rows = stats_of(trusted)["access"]["refused"]
    return sum(row["count"] for row in rows if (row["name"], row["reason"]) == (name, reason))


@contextlib.contextmanager
def upstream(bus, name):
    """An XSUB: what it sends goes up as it is."""
    with CurvePeer(bus, name) as peer:
        socket = peer._socket(zmq.XSUB, bus.tcp_out)
        socket.linger = 0
        yield socket


def test_who_asked_for_anothers_inbox_and_goes_does_not_end_it(bus):
    with bus.curve("owner") as victim:
        before = refused(bus, "nobody", "inbox")
        closed = stats_of(victim)["connections_closed"]
        with upstream(bus, "nobody") as socket:
            for inbox in (victim.inbox, "_inbox.owner.not_there"):
                socket.send(b"\x01" + inbox.encode())
            eventually(lambda: refused(bus, "nobody", "inbox") >= before + 2)
        with bus.peer("py_owner") as trusted:
            eventually(lambda: stats_of(trusted)["connections_closed"] >= closed + 3)
        assert stats_of(victim)["head"] >= 0  # it is still answered


def test_an_inbox_ends_with_its_last_connection(bus):
    with bus.peer("py_owner") as trusted:
        before = stats_of(trusted)["inboxes"]
        with upstream(bus, "owner") as one, upstream(bus, "owner") as two:
            for socket in (one, two):
                socket.send(b"\x01_inbox.owner.shared")
                socket.send(b"\x01_inbox.owner.shared")
                assert socket.poll(10000)
            during = stats_of(trusted)["inboxes"]
        assert during == before + 3  # each has one of its own, too
        eventually(lambda: stats_of(trusted)["inboxes"] == before)


def test_one_name_leaves_room_for_the_inboxes_of_others(bus):
    with CurvePeer(bus, "nobody") as peer, bus.peer("py_owner") as trusted:
        sockets = [peer._socket(zmq.SUB, bus.tcp_out) for _ in range(3)]
        for i, socket in enumerate(sockets):
            for n in range(500):
                socket.subscribe(f"_inbox.nobody.{i}x{n:03d}".encode())
        eventually(lambda: stats_of(trusted)["subscriptions_refused"] >= 400)
        assert stats_of(trusted)["inboxes"] < 1100
        with bus.curve("owner") as other:
            assert stats_of(other)["inboxes"] > 1024


HELLO = {"version": "1", "pid": 1, "boot_ms": 1.0}


def test_one_name_leaves_room_for_the_instances_of_others(bus):
    with bus.curve("agent_x") as peer, bus.curve("bhiv_karma") as other, bus.peer("py_owner") as trusted:
        for n in range(600):
            peer.send("$bus.beat", {"instance": f"agent_x-{n}", "inbox": peer.inbox, **HELLO})
        error = error_of(peer, "$bus.hello", {"instance": "agent_x-more", "inbox": peer.inbox, **HELLO})
        assert error["error_code"] == "BUSY"
        assert stats_of(trusted)["peers"] <= 520
        hello = {"service": "karma", "instance": "karma-1", "inbox": other.inbox, **HELLO}
        assert say(other, "$bus.hello", hello)[0]["status"] == "success"
        again = {"instance": "agent_x-0", "inbox": peer.inbox, **HELLO}
        assert say(peer, "$bus.hello", again)[0]["status"] == "success"


def test_a_name_without_a_row_is_not_told_of_as_a_peer(bus):
    with bus.curve("nobody") as peer, bus.peer("py_owner") as trusted:
        hello = {"instance": "nobody-1", "inbox": peer.inbox, **HELLO}
        assert error_of(peer, "$bus.hello", hello)["error_code"] == "UNAUTHORIZED_ACCESS"
        assert "nobody" not in [p["source"] for p in say(trusted, "$bus.peers", {})[1]["peers"]]


@pytest.mark.parametrize("source", ["owner", "$bus"])
def test_what_a_batch_claims_inside_is_replaced_counted_and_told(bus, source):
    with bus.curve("agent_x") as peer, bus.peer("py_owner") as trusted:
        before = stats_of(trusted)["access"]["sources_replaced"]
        sources, stamps = refused(bus, "agent_x", "source"), refused(bus, "agent_x", "stamp")
        claims = {"source": source, "seq": 5, "at": 7, "prev": 1}
        done = ack_of(peer, "$bus.batch", [["agent.x", claims, {}], ["agent.x", {"source": "agent_x"}, {}]])
        records = trusted.fetch("py", ["agent."], done["first"])["records"]
        assert [r[1]["source"] for r in records] == ["agent_x", "agent_x"]
        assert [r[1]["seq"] for r in records] == [done["first"], done["first"] + 1]
        assert stats_of(trusted)["access"]["sources_replaced"] == before + 1
        assert refused(bus, "agent_x", "source") == sources + 1
        assert refused(bus, "agent_x", "stamp") == stamps + 1


def test_nobody_but_the_broker_welcomes(bus):
    with bus.curve("agent_x") as peer, bus.curve("owner") as victim:
        before = stats_of(victim)["refused"].get("MALFORMED_MESSAGE", 0)
        peer.send(victim.inbox, {"epoch": "e", "boot": "b", "head": 9}, re="welcome", status="success")
        eventually(lambda: stats_of(victim)["refused"].get("MALFORMED_MESSAGE", 0) > before)
        assert victim.welcomes == 1


def test_a_consumer_that_is_kept_is_ones_own_and_no_uuid_helps(bus):
    name = "ears-0190b0c5-0000-7000-8000-000000000001"
    with bus.curve("owner") as keeper, bus.curve("brain") as peer:
        ack_of(keeper, "brain.x", {})
        body = {"consumer": name, "filters": ["brain."], "from": 1}
        assert say(peer, "$bus.fetch", body)[0]["status"] == "success"  # a cursor of its own
        for topic, more in (("$bus.fetch", {**body, "ack": 1}), ("$bus.forget", {"consumer": name})):
            assert error_of(peer, topic, more)["error_code"] == "UNAUTHORIZED_ACCESS"
        assert say(peer, "$bus.fetch", {**body, "consumer": "brain-2", "ack": 1})[0]["status"] == "success"


def test_a_pipe_in_place_of_the_access_file_is_told_and_nobody_waits(bhiv, tmp_path):
    with SecureBroker(bhiv, tmp_path / "d", names=["owner"]) as broker, broker.curve("owner") as peer:
        os.mkfifo(broker.folder / "access.zpl")
        broker.program.signal(signal.SIGHUP)
        eventually(lambda: "access_not_loaded" in broker.log_path.read_text())
        assert stats_of(peer)["head"] >= 0


def test_whatever_lies_among_the_certificates_the_broker_serves_on(bhiv, tmp_path):
    with SecureBroker(bhiv, tmp_path / "d", names=["owner", "agent_x"]) as broker, broker.curve("owner") as peer:
        certs = broker.folder / "certs"
        text = (certs / "agent_x.cert").read_text()
        (certs / "agent_x copy.cert").write_text(text)
        (certs / "agent_x.cert.bak").write_text(text)
        (certs / "aaa.cert").write_text(text.replace("agent_x", "aaa"))  # the same key by another name
        (certs / "garbage.cert").write_bytes(bytes(range(256)) * 40)
        with open(certs / "huge.cert", "wb") as huge:
            huge.truncate(1 << 40)
        os.mkfifo(certs / "pipe.cert")
        os.symlink("/dev/zero", certs / "endless.cert")
        (certs / "folder.cert").mkdir()
        assert make_cert(bhiv, broker.folder, "agent_y")[0] == 0
        eventually(lambda: (broker.folder / "gate" / "agent_y.cert").exists(), what="it was let in")
        with broker.curve("agent_y") as other:
            ack_of(other, "agent.answer", {"said": "hello"})
        assert stats_of(peer)["head"] >= 1
        assert {path.name for path in (broker.folder / "gate").iterdir()} <= {
            f"{name}.cert" for name in ("broker", "owner", "agent_x", "aaa", "agent_y")}
    assert not (tmp_path / "d" / "gate").exists()


def test_a_key_of_idempotency_is_ones_own(bus):
    before = refused(bus, "agent_x", "identity")
    body = {"user_id": "u-1", "action": "completing_lessons", "role": "learner"}
    with bus.curve("agent_x") as peer:
        for idem in ("bhiv_core|k-1", "agent_x", "agent_xy|k", "|k"):
            assert error_of(peer, "agent.answer", {}, idem=idem, ack=True)["error_code"] == "UNAUTHORIZED_ACCESS"
            inner = [["agent.answer", {"idem": idem}, {}]]
            assert error_of(peer, "$bus.batch", inner, ack=True)["error_code"] == "UNAUTHORIZED_ACCESS"
        assert ack_of(peer, "agent.answer", {}, idem="agent_x|k-1")["seq"] > 0
        assert ack_of(peer, "$bus.batch", [["agent.answer", {"idem": "agent_x|k-2"}, {}]])["count"] == 1
    with bus.curve("owner") as owner:
        assert ack_of(owner, "karma.life_event", body, idem="bhiv_core|k-1")["seq"] > 0
    assert refused(bus, "agent_x", "identity") == before + 4

"""Peers with a certificate that do not keep to the rules by which libraries speak: what they can do to others."""

import contextlib

import pytest
import zmq
from support.broker import ack_of, error_of, say, stats_of
from support.secure import CurvePeer, SecureBroker
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

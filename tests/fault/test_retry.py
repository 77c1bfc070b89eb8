"""Retried publishes, requests and batches are applied once; a message lost in mid-window is missed.

A proxy of raw sockets stands between the peer and the broker, and drops what the test says.
"""

import random
import threading

import pytest
import zmq
from support.broker import Broker, ack_of, error_of, say
from support.load import Publisher
from support.owner import sign
from support.peer import Peer, unpack
from support.system import System, eventually

TOPIC = "core.event.rl_outcome"


def body(n):
    return {"requester_id": "bhiv_core", "event_type": "rl_outcome", "n": n}


class Proxy:
    """PULL and XPUB before, PUSH and SUB behind; `drop_up` and `drop_down` look at each message."""

    def __init__(self, folder, broker, drop_up=None, drop_down=None):
        self.drop_up = drop_up or (lambda frames: False)
        self.drop_down = drop_down or (lambda frames: False)
        self.dropped = 0
        self.context = zmq.Context()
        self.ingress = f"ipc://{folder}/proxy.in"
        self.egress = f"ipc://{folder}/proxy.out"
        self.ready = threading.Event()
        self.halt = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(broker,), daemon=True)
        self.thread.start()
        assert self.ready.wait(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.halt.set()
        self.thread.join(10)
        self.context.destroy(linger=0)

    def _socket(self, kind, bind=None, connect=None):
        socket = self.context.socket(kind)
        socket.setsockopt(zmq.SNDHWM, 50000)
        socket.setsockopt(zmq.RCVHWM, 50000)
        if bind:
            socket.bind(bind)
        else:
            socket.connect(connect)
        return socket

    def _run(self, broker):
        pull = self._socket(zmq.PULL, bind=self.ingress)
        push = self._socket(zmq.PUSH, connect=broker.ingress)
        xpub = self._socket(zmq.XPUB, bind=self.egress)
        sub = self._socket(zmq.SUB, connect=broker.egress)
        poller = zmq.Poller()
        for socket in (pull, xpub, sub):
            poller.register(socket, zmq.POLLIN)
        self.ready.set()
        while not self.halt.is_set():
            for socket, _ in poller.poll(50):
                frames = socket.recv_multipart()
                if socket is xpub:
                    (sub.subscribe if frames[0][0] else sub.unsubscribe)(frames[0][1:])
                    continue
                up = socket is pull
                if (self.drop_up if up else self.drop_down)(frames):
                    self.dropped += 1
                else:
                    (push if up else xpub).send_multipart(frames)


class First:
    """Drops the first `count` messages that fit."""

    def __init__(self, count, fits):
        self.left, self.fits = count, fits

    def __call__(self, frames):
        if self.left and self.fits(frames):
            self.left -= 1
            return True
        return False


def is_ack(frames):
    return unpack(frames[1]).get("ack") is True


def until_answered(peer, topic, message, ident, **header):
    """Says the same, again and again, until an answer comes."""
    tries = 0
    while True:
        tries += 1
        peer.send(topic, message, id=ident, reply_to=peer.inbox, **header)
        try:
            return (*peer.answer(ident, 0.15), tries)
        except TimeoutError:
            assert tries < 50


@pytest.fixture
def broker(bhiv, tmp_path):
    with Broker(bhiv, tmp_path / "d") as running:
        yield running


def test_a_publish_whose_acks_were_lost_is_journaled_once(broker, tmp_path):
    with Proxy(tmp_path, broker, drop_down=First(2, is_ack)) as proxy, \
            Peer(proxy.ingress, proxy.egress) as peer:
        header, ack, tries = until_answered(peer, TOPIC, body(1), "x-1", ack=True, pseq=1,
                                            pstream=peer.stream)
        assert (header["status"], tries, proxy.dropped) == ("success", 3, 2)
        assert ack["seq"] == 1 and ack["duplicate"] is True
        journal = list(peer.fetch_all())
        assert [(header["id"], header["at"]) for _, header, _ in journal] == [("x-1", ack["at"])]


def test_a_batch_whose_acks_were_lost_is_journaled_once(broker, tmp_path):
    batch = [[TOPIC, {"id": f"b-{n}"}, body(n)] for n in range(100)]
    with Proxy(tmp_path, broker, drop_down=First(3, is_ack)) as proxy, \
            Peer(proxy.ingress, proxy.egress) as peer:
        _, ack, tries = until_answered(peer, "$bus.batch", batch, "batch-1", ack=True, pseq=1,
                                       pstream=peer.stream)
        assert tries == 4
        assert ack.pop("at") > 0 and ack == {"first": 1, "seq": 100, "count": 100, "duplicate": True}
        assert [header["id"] for _, header, _ in peer.fetch_all()] == [f"b-{n}" for n in range(100)]


def test_a_message_lost_in_mid_window_is_never_skipped(broker, tmp_path):
    """The one that was lost is named, and those behind it were refused: nothing stands out of order."""
    lost = First(1, lambda frames: unpack(frames[1]).get("pseq") == 4)
    with Proxy(tmp_path, broker, drop_up=lost) as proxy, \
            Peer(proxy.ingress, proxy.egress) as peer:
        idents = [peer.send(TOPIC, body(n), reply_to=peer.inbox, ack=True, pseq=n,
                            pstream=peer.stream) for n in range(1, 11)]
        answers = [None if n == 4 else peer.answer(ident)[1] for n, ident in enumerate(idents, 1)]
        assert [answer["seq"] for answer in answers[:3]] == [1, 2, 3]
        for answer in answers[4:]:
            assert answer["error_code"] == "PSEQ_GAP" and answer["details"] == {"expected": 4}
        for n, ident in enumerate(idents[3:], 4):  # sent again from there
            assert until_answered(peer, TOPIC, body(n), ident, ack=True, pseq=n,
                                  pstream=peer.stream)[1]["seq"] == n
        assert [event["n"] for _, _, event in peer.fetch_all()] == list(range(1, 11))


def test_a_network_that_drops_everything_now_and_then_loses_and_doubles_nothing(
        broker, tmp_path, long):
    dice = random.Random(20261120)
    count = 50000 if long else 3000
    chance = lambda frames: len(frames) == 3 and dice.random() < 0.02  # noqa: E731
    keeps_welcome = lambda frames: chance(frames) and unpack(frames[1]).get("re") != "welcome"  # noqa: E731
    with Proxy(tmp_path, broker, drop_up=chance, drop_down=keeps_welcome) as proxy:
        load = Publisher(proxy.ingress, proxy.egress, count=count, window=200, stall=0.1)
        load.start()
        load.join(120)
        assert load.error is None and len(load.acked) == count
        assert proxy.dropped > count / 50 and load.duplicates > 0
    with broker.peer() as peer:
        journal = list(peer.fetch_all())
        assert [header["pseq"] for _, header, _ in journal] == list(range(1, count + 1))
        seqs = {header["id"]: header["seq"] for _, header, _ in journal}
        # A duplicate's ack may say 0 where 8,192 of its stream came after it.
        assert seqs == {ident: seq or seqs[ident] for ident, seq in load.acked.items()}


def test_a_broker_killed_in_mid_window_is_told_the_rest_again(broker):
    load = Publisher(broker.ingress, broker.egress, count=6000, window=1000)
    load.start()
    for goal in (500, 2500, 4500):
        eventually(lambda goal=goal: load.error or len(load.acked) > goal, 60, 0.001)
        broker.kill()
        broker.start()
    load.join(60)
    assert load.error is None and len(load.acked) == 6000 and load.resends > 0
    with broker.peer() as peer:
        assert [header["pseq"] for _, header, _ in peer.fetch_all()] == list(range(1, 6001))


# --- With the services behind --------------------------------------------------------------------

@pytest.fixture(scope="module")
def system(bhiv, tmp_path_factory):
    where = tmp_path_factory.mktemp("retry") / "d"
    with System(bhiv, where, args=("--dev", "--without", "bridge")) as running:
        yield running


def health(peer, name):
    return peer.ask(f"req.{name}.health", {})[1]


def test_a_command_whose_reply_was_lost_is_applied_once_and_answered_again(system, tmp_path):
    with Proxy(tmp_path, system, drop_down=First(2, lambda frames: "re" in unpack(frames[1]) and
                                                 unpack(frames[1]).get("source") == "bhiv_bucket")) as proxy, \
            Peer(proxy.ingress, proxy.egress) as peer, Peer(system.ingress, system.egress) as direct:
        before = health(direct, "bucket")
        topic = "bucket.forwarding.set"
        body = sign(system.owner_token, topic, {"enabled": True})
        header, answer, tries = until_answered(peer, topic, body, "set-1")
        assert header["status"] == "success" and answer["enabled"] is True, answer
        assert tries == 3
        after = health(direct, "bucket")
        assert after["applied"] == before["applied"] + 1
        assert after["duplicates"] == before["duplicates"] + 2


def test_a_request_whose_reply_was_lost_is_asked_again(system, tmp_path):
    with Proxy(tmp_path, system, drop_down=First(2, lambda frames: "re" in unpack(frames[1]) and
                                                 unpack(frames[1])["re"] == "ask-1")) as proxy, \
            Peer(proxy.ingress, proxy.egress) as peer:
        header, answer, tries = until_answered(peer, "req.bucket.stats", {}, "ask-1")
        assert header["status"] == "success" and "total_events" in answer["stats"] and tries == 3


def test_one_id_published_from_8_places_at_once_is_stored_once(system):
    """Without pseq the journal takes it 8 times; whoever reduces it takes it once, karma too."""
    event = {"requester_id": "bhiv_core", "event_type": "agent_result", "user_id": "racer",
             "agent_id": "racer", "result": {"status": 200}}
    peers = [Peer(system.ingress, system.egress, source="racing") for _ in range(8)]
    for peer in peers:
        peer.send("core.event.agent_result", event, id="one-id", reply_to=peer.inbox, ack=True)
    seqs = {peer.answer("one-id")[1]["seq"] for peer in peers}
    assert len(seqs) == 8

    def settled():
        header, answer = peers[0].ask("req.bucket.events", {"agent_id": "racer"})
        assert header["status"] == "success", answer
        head = health(peers[0], "bucket")
        return head["cursor"] >= max(seqs) and not head["outbox"] and answer

    stored = eventually(settled)
    assert stored["count"] == 1 and stored["events"][0]["seq"] == min(seqs)

    def moved():
        header, profile = peers[0].ask("req.karma.profile", {"user_id": "racer"})
        return header["status"] == "success" and profile

    assert eventually(moved)["action_stats"]["total_actions"] == 1
    for peer in peers:
        peer.close()


def test_the_same_id_of_another_source_is_another_message(system):
    event = {"requester_id": "bhiv_core", "event_type": "other", "agent_id": "two_sources"}
    with Peer(system.ingress, system.egress, source="one") as one, \
            Peer(system.ingress, system.egress, source="two") as two:
        seqs = [ack_of(peer, "core.event.other", event, id="same")["seq"] for peer in (one, two)]
        eventually(lambda: health(one, "bucket")["cursor"] >= max(seqs))
        assert one.ask("req.bucket.events", {"agent_id": "two_sources"})[1]["count"] == 2


def test_a_key_used_again_with_another_body_is_refused(system):
    event = {"requester_id": "bhiv_core", "event_type": "other", "agent_id": "keyed"}
    with Peer(system.ingress, system.egress) as peer:
        def write(event, ident):
            _, ack = say(peer, "core.event.other", event, id=ident, ack=True, idem="caller/key-1")
            return ack["seq"], peer.answer(ident, ack=False)

        first = write(event, "key-1")[1]
        assert first[0]["status"] == "success", first
        assert write(event, "key-2")[1][1] == first[1], "the first answer again"
        again = write({**event, "more": 1}, "key-3")[1]
        assert again[1]["error_code"] == "IDEMPOTENCY_KEY_REUSED", again
        assert peer.ask("req.bucket.events", {"agent_id": "keyed"})[1]["count"] == 1


def test_a_gap_is_named_even_to_one_who_never_spoke_before(broker):
    with broker.peer() as peer:
        for pseq in (2, 2**32, 2**53, 2**63 - 1):
            refusal = error_of(peer, TOPIC, body(1), ack=True, pseq=pseq, pstream=peer.stream)
            assert refusal["error_code"] == "PSEQ_GAP" and refusal["details"] == {"expected": 1}

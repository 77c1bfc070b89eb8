"""Bucket over the bus: events, context, the toggle, refusals; what follows in Karma."""

import time
import uuid
from collections import deque

import pytest
from support.checker import settled
from support.owner import sign
from support.peer import Peer
from support.system import eventually


@pytest.fixture(name="peer")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        yield peer


def ask(peer, operation, body=None):
    header, answer = peer.ask(f"req.bucket.{operation}", body or {})
    assert header["status"] == "success", answer
    return answer


def command(peer, topic, body, **header):
    """A journaled command: its ack, then its reply."""
    peer.pseq += 1
    ident = peer.send(topic, body, reply_to=peer.inbox, ack=True, pseq=peer.pseq, pstream=peer.stream, **header)
    ack_header, ack = peer.answer(ident, ack=True)
    assert ack_header["status"] == "success", ack
    return (ack["seq"], *peer.answer(ident, ack=False))


def stored(peer, seq, **filters):
    """The event stored from `seq`, once Bucket has applied it."""
    def find():
        page = ask(peer, "events", {"after_seq": seq - 1, "limit": 1, **filters})
        return page["events"][0] if page["events"] and page["events"][0]["seq"] == seq else None
    return eventually(find, what="the stored event")


def test_an_event_is_stored_flat_with_its_envelope_first(peer):
    body = {"requester_id": "bhiv_core", "event_type": "flat", "z": 1, "a": [1.5, None], "seq": 99}
    ack = peer.publish("core.event.flat", body, trace_id="trace-flat", id="flat-1")
    event = stored(peer, ack["seq"])
    assert list(event)[:4] == ["seq", "event_id", "timestamp", "requester_id"]
    assert event["seq"] == ack["seq"] and event["event_id"] == "flat-1"
    assert event["trace_id"] == "trace-flat" and event["event_type"] == "flat"
    assert (event["z"], event["a"]) == (1, [1.5, None])
    assert event["timestamp"].endswith("Z")


def test_the_tellers_own_time_wins_and_the_buses_is_kept(peer):
    body = {"requester_id": "bhiv_core", "event_type": "timed", "timestamp": "2025-01-30T10:00:00"}
    event = stored(peer, peer.publish("core.event.timed", body)["seq"])
    assert event["timestamp"] == "2025-01-30T10:00:00"
    assert event["received_at"].endswith("Z")


def test_the_deepest_event_that_the_bus_takes_can_be_listed(peer):
    """A list of events is deeper than its events: one of them must not hide the rest."""
    deep = None
    for _ in range(23):
        deep = [deep]
    ack = peer.publish("core.event.deepest", {"requester_id": "bhiv_core", "deep": deep})
    assert stored(peer, ack["seq"], event_type="deepest")["deep"] == deep


def test_two_ids_are_one_only_where_id_and_source_are_the_same(peer):
    """An id is any text: a NUL in it joins no two messages."""
    body = {"requester_id": "bhiv_core", "event_type": "joined"}
    for ident, source in (("joined", "a\0b"), ("joined\0a", "b"), ("joined", "a\0b")):
        ident = peer.send("core.event.joined", body, id=ident, source=source, ack=True,
                          reply_to=peer.inbox)
        last = peer.answer(ident, ack=True)[1]["seq"]
    eventually(lambda: ask(peer, "health")["cursor"] >= last, what="all three applied")
    assert ask(peer, "events", {"event_type": "joined"})["count"] == 2


def test_a_flood_of_questions_takes_no_service_away(peer, shared_system):
    """Each takes milliseconds, and the beat is due in between: it stays known to the broker."""
    body = {"requester_id": "bhiv_core", "event_type": "heavy", "x": "y" * 200000}
    for _ in range(16):
        last = peer.publish("core.event.heavy", body)["seq"]
    eventually(lambda: ask(peer, "health")["cursor"] >= last, what="all applied")
    with Peer(shared_system.ingress, shared_system.egress, source="flood") as flood:
        asked = [flood.send("req.bucket.events", {"event_type": "heavy", "limit": 1000},
                            reply_to=flood.inbox) for _ in range(600)]
        flood.heard = deque(maxlen=1)  # 3 MiB each
        known = []
        deadline = time.monotonic() + 60
        while not known or not flood.heard or flood.heard[-1][0]["re"] != asked[-1]:
            assert time.monotonic() < deadline, len(flood.heard)
            known.append({each["service"] for each in peer.ask("$bus.peers", {})[1]["peers"]})
            while flood._read(0):
                pass
    assert all("bucket" in services for services in known)


def test_the_type_comes_from_the_topic_where_the_body_has_none(peer):
    ack = peer.publish("core.event.from_topic", {"requester_id": "bhiv_core"})
    assert stored(peer, ack["seq"])["event_type"] == "from_topic"


def test_filters_page_and_count(peer):
    agent, trace = "agent_" + uuid.uuid4().hex, uuid.uuid4().hex
    seqs = [
        peer.publish(f"core.event.{kind}", {"requester_id": "bhiv_core", "agent_id": agent, "n": n},
                     trace_id=trace)["seq"]
        for n, kind in enumerate(["page_a", "page_b", "page_a", "page_b", "page_a"])
    ]
    stored(peer, seqs[-1])
    page = ask(peer, "events", {"agent_id": agent, "limit": 2})
    assert [event["seq"] for event in page["events"]] == seqs[-2:], "the last ones, oldest first"
    assert (page["count"], page["showing"], page["next"]) == (5, 2, seqs[-1])
    first = ask(peer, "events", {"agent_id": agent, "limit": 2, "after_seq": 0})
    assert [event["seq"] for event in first["events"]] == seqs[:2]
    then = ask(peer, "events", {"agent_id": agent, "limit": 9, "after_seq": first["next"]})
    assert [event["seq"] for event in then["events"]] == seqs[2:]
    both = ask(peer, "events", {"agent_id": agent, "event_type": "page_a"})
    assert [event["seq"] for event in both["events"]] == seqs[0::2] and both["count"] == 3
    assert ask(peer, "events", {"trace_id": trace})["count"] == 5
    assert ask(peer, "events", {"agent_id": agent, "requester_id": "nobody"})["count"] == 0
    header, error = peer.ask("req.bucket.events", {"limit": 1001})
    assert header["status"] == "error" and error["error_code"] == "VALIDATION_FAILED"
    assert error["details"][0]["field"] == "limit"


def test_a_context_tells_the_last_types_once_each(peer):
    agent = "agent_" + uuid.uuid4().hex
    for kind in ["one", "two", "one"]:
        peer.publish(f"core.event.{kind}", {"requester_id": "bhiv_core", "agent_id": agent})
    body = {"agent_id": agent, "requester_id": "bhiv_core"}
    _, header, answer = command(peer, "bucket.context.read", body)
    assert header["status"] == "success"
    assert answer["context"]["event_count"] == 3
    assert sorted(answer["context"]["recent_event_types"]) == ["one", "two"]
    _, _, answer = command(peer, "bucket.context.read", {**body, "agent_id": "never_seen"})
    assert answer["success"] is True and answer["context"] is None
    assert answer["decision"] == "allowed" and answer["audit_id"].startswith("audit_")


def test_a_wrong_requester_is_refused_and_kept(peer):
    before = ask(peer, "health")["governance"]["refused"]
    body = {"agent_id": "a", "requester_id": "somebody"}
    _, header, answer = command(peer, "bucket.context.read", body)
    assert header["status"] == "error" and answer["error_code"] == "UNAUTHORIZED_ACCESS"
    seq = peer.publish("core.event.note", {"requester_id": "somebody"})["seq"]
    eventually(lambda: ask(peer, "health")["governance"]["refused"] == before + 2, what="two refusals")
    page = ask(peer, "events", {"after_seq": seq - 1})
    assert all(event["seq"] != seq for event in page["events"]), "a refused event is not stored"


def test_odd_fields_do_not_stop_the_reducer(peer):
    odd = {"requester_id": "bhiv_core", "agent_id": 7, "user_id": {"a": 1}, "timestamp": None,
           "result": "fine", "reward": "much", "karma": 3, "trace_id": ["x"]}
    event = stored(peer, peer.publish("core.event.agent_result", odd)["seq"])
    assert event["agent_id"] == 7 and event["user_id"] == {"a": 1}


@pytest.mark.parametrize("kind,more,action", [
    ("agent_result", {"result": {"status": 200}}, "agent_success"),
    ("agent_result", {"result": {"status": 500}}, "agent_failure"),
    ("agent_result", {}, "agent_failure"),
    ("rl_outcome", {"reward": 0.5}, "learning_success"),
    ("rl_outcome", {"reward": 0}, "learning_adjustment"),
    ("anything", {}, "agent_execution"),
])
def test_each_event_becomes_one_life_event(peer, kind, more, action):
    body = {"requester_id": "bhiv_core", "agent_id": "ag", "user_id": "u1", "event_type": kind, **more}
    seq = peer.publish(f"core.event.{kind}", body, trace_id="tr-" + kind)["seq"]

    def told():
        return [record for record in peer.fetch_all(["karma.life_event"], seq)
                if record[1]["cause"] == [seq, 0]]

    records = eventually(told, what="the life event")
    assert len(records) == 1
    _, header, life = records[0]
    assert header["source"] == "bhiv_bucket" and header["trace_id"] == "tr-" + kind
    assert (life["user_id"], life["action"], life["source"]) == ("u1", action, "bhiv_bucket")


def toggle(system, peer, enabled):
    """As the owner, who alone may."""
    topic = "bucket.forwarding.set"
    _, header, answer = command(peer, topic, sign(system.owner_token, topic, {"enabled": enabled}))
    assert header["status"] == "success" and answer["enabled"] is enabled, answer


def test_nobody_but_the_owner_sets_the_toggle(shared_system, peer):
    _, header, answer = command(peer, "bucket.forwarding.set", {"enabled": False})
    assert header["status"] == "error" and answer["error_code"] == "UNAUTHORIZED_ACCESS"
    forged = sign("not the token", "bucket.forwarding.set", {"enabled": False})
    _, header, answer = command(peer, "bucket.forwarding.set", forged)
    assert header["status"] == "error" and answer["error_code"] == "UNAUTHORIZED_ACCESS"
    good = sign(shared_system.owner_token, "bucket.forwarding.set", {"enabled": True})
    _, header, answer = command(peer, "bucket.forwarding.set", good)
    assert header["status"] == "success", answer
    _, header, answer = command(peer, "bucket.forwarding.set", good)
    assert header["status"] == "error", "the same command again is an old one"
    assert ask(peer, "stats")["karma_forwarding"]["enabled"] is True


def test_what_is_told_directly_or_while_off_is_never_told_later(shared_system, peer):
    body = {"requester_id": "bhiv_core", "user_id": "toggled", "event_type": "note"}
    first = peer.publish("core.event.note", {**body, "karma": "direct"})["seq"]
    toggle(shared_system, peer, False)
    peer.publish("core.event.note", body)
    toggle(shared_system, peer, True)
    last = peer.publish("core.event.note", body)["seq"]
    settled(shared_system)
    causes = [header["cause"][0] for _, header, life in peer.fetch_all(["karma.life_event"], first)
              if life["user_id"] == "toggled"]
    assert causes == [last]
    stats = ask(peer, "stats")["karma_forwarding"]
    assert stats["enabled"] is True and stats["skipped"] >= 1 and stats["direct"] >= 1

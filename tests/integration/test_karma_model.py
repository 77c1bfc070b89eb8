"""Karma against an independent model of its rules: random lives over years, to the last bit."""

import random
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from support.peer import Peer
from support.system import eventually

from karma_model import ACTIONS, COLUMNS, DAY, ROLES, WINDOW, Model

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
GAPS = [0, 1, 1_000_000, 3_600_000_000, DAY // 3, DAY, 9 * DAY, 29 * DAY, WINDOW, WINDOW + 1,
        100 * DAY, 366 * DAY, -5 * DAY]
WEIGHTS = [8, 4, 8, 8, 8, 6, 4, 3, 2, 2, 1, 1, 1]


def text_of(at, offset=0):
    """Microseconds as RFC 3339, with a random but equal way of saying it."""
    zone = timezone(timedelta(minutes=offset))
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).isoformat()


def life(rng, user_id, events):
    """One random history: (user, action, role, at)."""
    at = START + rng.randrange(400 * DAY)
    actions = list(ACTIONS)
    cheater = rng.random() < 0.3
    for _ in range(events):
        action = "cheat" if cheater and rng.random() < 0.4 else rng.choice(actions)
        role = rng.choice([name for name, _ in ROLES] + ["user", "student", "employee"])
        yield user_id, action, role, at
        at += rng.choices(GAPS, WEIGHTS)[0]


def mixed(lives, rng):
    """One order for all: users change at random, each one's events stay in their order."""
    turns = [n for n, events in enumerate(lives) for _ in events]
    rng.shuffle(turns)
    rest = [iter(events) for events in lives]
    return [next(rest[n]) for n in turns]


def message(event, rng):
    user_id, action, role, at = event
    return {"user_id": user_id, "action": action, "role": role,
            "effective_at": text_of(at, rng.choice([0, 0, 330, -480]))}


@pytest.fixture(name="peer")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        yield peer


def ask(peer, operation, body):
    header, answer = peer.ask(f"req.karma.{operation}", body)
    assert header["status"] == "success", answer
    return answer


def act(peer, body):
    """One life event as a command; what Karma replies."""
    header, answer = peer.ask("karma.life_event", body, ack=False)
    assert header["status"] == "success", answer
    return answer


def applied(peer, seq):
    """Waits until Karma's cursor is past `seq`."""
    eventually(lambda: ask(peer, "health", {})["cursor"] >= seq, what="Karma at the head")


def assert_profile(peer, model, user_id):
    profile = ask(peer, "profile", {"user_id": user_id})
    expected = model.profile(user_id)
    profile["guidance"] = [row["type"] for row in profile.pop("corrective_guidance")]
    assert {key: profile[key] for key in expected} == expected
    assert profile["last_updated"].startswith(text_of(model.users[user_id].clock)[:19])
    replay = ask(peer, "replay", {"user_id": user_id})
    assert replay["matches"] is True and replay["state_hash"] == profile["state_hash"]
    assert replay["events"] == expected["action_stats"]["total_actions"]


# This test comes first: it needs the Q-table as a fresh system has it.
def test_random_lives_come_out_as_in_the_model_to_the_last_bit(peer):
    rng = random.Random(20260101)
    model = Model()
    lives = [list(life(rng, f"m{n}-{uuid.uuid4().hex[:6]}", rng.randrange(1, 25)))
             for n in range(200)]
    told = mixed(lives, rng)
    last = 0
    for start in range(0, len(told), 500):
        batch = [
            ["karma.life_event", {"id": str(uuid.uuid4()), "source": "model"}, message(event, rng)]
            for event in told[start:start + 500]
        ]
        header, ack = peer.ask("$bus.batch", batch)
        assert header["status"] == "success", ack
        last = ack["seq"]
    for user_id, action, role, at in told:
        model.apply(user_id, action, role, at)
    applied(peer, last)
    for events in lives:
        assert_profile(peer, model, events[0][0])
    policy = ask(peer, "policy", {})
    assert policy["q"] == model.q
    assert policy["Q_shape"] == [len(ROLES), len(COLUMNS)]
    assert policy["best_policy"] == {
        name: COLUMNS[row.index(max(row))] for (name, _), row in zip(ROLES, model.q)
    }


def test_every_action_answers_as_in_the_model(peer):
    rng = random.Random(7)
    model = Model()
    user_id = "every-" + uuid.uuid4().hex[:8]
    at = START
    for action in list(ACTIONS) + ["cheat"] * 8 + ["selfless_service"] * 10:
        event = (user_id, action, "student", at)
        answer = act(peer, {**message(event, rng), "note": action})
        assert answer == model.apply(*event, note=action)
        at += 3 * DAY
    assert_profile(peer, model, user_id)


@pytest.mark.parametrize("said", [
    "2028-02-29T12:00:00", "2028-02-29T12:00:00Z", "2028-02-29T17:30:00+05:30",
    "2028-02-29 12:00:00.000000Z",
])
def test_a_leap_day_is_one_moment_however_it_is_said(peer, said):
    user_id = "leap-" + uuid.uuid4().hex[:8]
    act(peer, {"user_id": user_id, "action": "helping_peers", "role": "user",
               "effective_at": "2028-02-28T12:00:00Z"})
    act(peer, {"user_id": user_id, "action": "user_activity", "role": "user", "effective_at": said})
    profile = ask(peer, "profile", {"user_id": user_id})
    assert profile["balances"]["SevaPoints"] == 10.0 * (1.0 - 0.0005)
    assert profile["last_updated"] == "2028-02-29T12:00:00.000000Z"


def test_what_is_refused_changes_nothing(peer):
    user_id = "refused-" + uuid.uuid4().hex[:8]
    good = {"user_id": user_id, "action": "cheat", "role": "user"}
    act(peer, good)
    before = ask(peer, "profile", {"user_id": user_id})
    for change, code in [
        ({"action": "levitate"}, "INVALID_REQUEST"),
        ({"action": ""}, "VALIDATION_FAILED"),
        ({"role": None}, "VALIDATION_FAILED"),
        ({"effective_at": "2026-02-30T00:00:00Z"}, "VALIDATION_FAILED"),
        ({"context": 5}, "VALIDATION_FAILED"),
    ]:
        header, answer = peer.ask("karma.life_event", {**good, **change}, ack=False)
        assert (header["status"], answer["error_code"]) == ("error", code), change
    assert ask(peer, "profile", {"user_id": user_id}) == before


def test_nobody_is_not_found(peer):
    for operation in ("profile", "replay"):
        header, answer = peer.ask(f"req.karma.{operation}", {"user_id": "nobody"})
        assert (header["status"], answer["error_code"]) == ("error", "USER_NOT_FOUND")


def test_a_change_is_told_live(peer):
    user_id = "live-" + uuid.uuid4().hex[:8]
    peer.subscribe("karma.out.changed")
    act(peer, {"user_id": user_id, "action": "selfless_service", "role": "user"})
    while True:
        heard = peer.hear()
        assert heard is not None, "nothing was told"
        topic, _, body = heard
        if body["user_id"] == user_id:
            break
    assert topic == "karma.out.changed"
    seq = body.pop("seq")
    assert seq > 0
    assert body == {"user_id": user_id, "action": "selfless_service", "token": "PunyaTokens",
                    "delta": 25.0, "merit_score": 75.0, "role": "volunteer", "role_changed": True}

"""Karma against an independent model of its rules: random lives over years, to the last bit."""

import random
import uuid
from datetime import datetime, timedelta, timezone

import pytest
from support.karma_model import ACTIONS, COLUMNS, DAY, PRACTICES, ROLES, WINDOW, WRONGS, Model, Refused
from support.peer import Peer
from support.system import eventually

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
GAPS = [0, 1, 1_000_000, 3_600_000_000, DAY // 3, DAY, 9 * DAY, 29 * DAY, WINDOW, WINDOW + 1,
        100 * DAY, 366 * DAY, -5 * DAY]
WEIGHTS = [8, 4, 8, 8, 8, 6, 4, 3, 2, 2, 1, 1, 1]
WORDS = [name for name, _ in ROLES] + ["user", "student", "employee"]
HISTORIES = 10_000
TOKENS = ["DharmaPoints", "SevaPoints", "PunyaTokens"]


def text_of(at, offset=0):
    """Microseconds as RFC 3339, with a random but equal way of saying it."""
    zone = timezone(timedelta(minutes=offset))
    return (EPOCH + timedelta(microseconds=at)).astimezone(zone).isoformat()


def deed(rng, user_id, cheater):
    action = "cheat" if cheater and rng.random() < 0.4 else rng.choice(list(ACTIONS))
    body = {"user_id": user_id, "action": action, "role": rng.choice(WORDS)}
    if rng.random() < 0.3:
        body["affected_user_id"] = rng.choice([user_id, "another"])
    return "karma.life_event", body


def submission(rng, user_id, plans):
    """For a plan of the user's, practice after practice; or for one that is not there, of a kind
    that is none, of an amount that is none, without a hash."""
    number = rng.randrange(len(plans))
    wrong, turns = plans[number]
    plans[number] = wrong, turns + 1
    body = {"user_id": user_id, "plan_id": f"{user_id}_{wrong}_{number}",
            "atonement_type": PRACTICES[turns % 4],
            "amount": rng.choice([10008] * 12 + [0.5, 108.25, 1008, 54])}
    if rng.random() < 0.95:
        body["tx_hash"] = "0x1"
    if rng.random() < 0.1:
        body |= rng.choice([{"plan_id": f"{user_id}_{wrong}_{len(plans)}"}, {"amount": 0},
                            {"atonement_type": "Fast"}, {"plan_id": f"another_{wrong}_0"}])
    return "karma.atonement", body


def life(rng, user_id, events):
    """One random history: (topic, body, at). Some of it is to be refused."""
    at = START + rng.randrange(400 * DAY)
    cheater = rng.random() < 0.3
    penitent = rng.random() < 0.4
    plans = []
    for n in range(events):
        chance = rng.random()
        if n == 0 or chance < (0.35 if penitent else 0.8):
            command = deed(rng, user_id, cheater)
        elif not plans or chance < 0.39:
            plans.append((rng.choice(list(WRONGS)), 0))
            command = "karma.appeal", {"user_id": user_id, "action": plans[-1][0]}
        elif chance < 0.9:
            command = submission(rng, user_id, plans)
        elif chance < 0.97:
            command = "karma.redeem", {"user_id": user_id, "token_type": rng.choice(TOKENS),
                                       "amount": rng.choice([0.1, 2.5, 7, 24.999, 100])}
        else:
            command = "karma.death_event", {"user_id": user_id}
        yield *command, at
        at += rng.choices(GAPS, WEIGHTS)[0]


def mixed(lives, rng):
    """One order for all: users change at random, each one's events stay in their order."""
    turns = [n for n, events in enumerate(lives) for _ in events]
    rng.shuffle(turns)
    rest = [iter(events) for events in lives]
    return [next(rest[n]) for n in turns]


def message(body, at, rng):
    return {**body, "effective_at": text_of(at, rng.choice([0, 0, 330, -480]))}


def tell(peer, told, rng):
    """Publishes the commands in this order; returns the last one's seq."""
    last = 0
    for start in range(0, len(told), 2000):
        batch = [
            [topic, {"id": str(uuid.uuid4()), "source": "model"}, message(body, at, rng)]
            for topic, body, at in told[start:start + 2000]
        ]
        header, ack = peer.ask("$bus.batch", batch)
        assert header["status"] == "success", ack
        last = ack["seq"]
    return last


def follow(model, told):
    """The model's way through the same commands. Returns how many it refused."""
    refused = 0
    for topic, body, at in told:
        try:
            model.apply(topic, {key: value for key, value in body.items()}, at)
        except Refused:
            refused += 1
    return refused


@pytest.fixture(name="peer")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        yield peer


def ask(peer, operation, body):
    header, answer = peer.ask(f"req.karma.{operation}", body)
    assert header["status"] == "success", answer
    return answer


def ask_many(peer, operation, bodies, window=200):
    """The same question many times, so many of them on their way at once; answers in order."""
    flight = []
    for body in bodies:
        flight.append(peer.send(f"req.karma.{operation}", body, reply_to=peer.inbox))
        if len(flight) == window:
            yield peer.answer(flight.pop(0))[1]
    for ident in flight:
        yield peer.answer(ident)[1]


def act(peer, topic, body):
    """One command; what Karma replies."""
    header, answer = peer.ask(topic, body, ack=False)
    assert header["status"] == "success", answer
    return answer


def applied(peer, seq):
    """Waits until Karma's cursor is past `seq`."""
    eventually(lambda: ask(peer, "health", {})["cursor"] >= seq, 60, what="Karma at the head")


def assert_profile(profile, expected):
    profile["guidance"] = [row["type"] for row in profile.pop("corrective_guidance")]
    assert {key: profile[key] for key in expected} == expected


# This test comes first: it needs the Q-table and the sums as a fresh system has them.
def test_random_lives_come_out_as_in_the_model_to_the_last_bit(peer):
    rng = random.Random(20260101)
    model = Model()
    lives = [list(life(rng, f"m{n}", rng.choice([1, 2, 3, 5, 8, 13, 25, 40])))
             for n in range(HISTORIES)]
    told = mixed(lives, rng)
    last = tell(peer, told, rng)
    refused = follow(model, told)
    assert 0 < refused < len(told) / 3
    assert sum(user.completed() for user in model.users.values()) > 500
    assert sum(user.lives for user in model.users.values()) > 500
    applied(peer, last)
    assert ask(peer, "stats_system", {})["system_stats"]["total_events"] == model.events

    users = [{"user_id": user_id} for user_id in model.users]
    for profile in ask_many(peer, "profile", users):
        assert_profile(profile, model.profile(profile["user_id"]))
    for body, replay in zip(users, ask_many(peer, "replay", users)):
        assert replay["matches"] is True, body
        assert replay["state_hash"] == model.users[body["user_id"]].state_hash()

    policy = ask(peer, "policy", {})
    assert policy["q"] == model.q
    assert policy["Q_shape"] == [len(ROLES), len(COLUMNS)]
    assert policy["best_policy"] == {
        name: COLUMNS[row.index(max(row))] for (name, _), row in zip(ROLES, model.q)
    }
    for by in ("merit", "net", "PaapTokens", "Rnanubandhan", *TOKENS):
        top = ask(peer, "top", {"by": by, "limit": 1000})["users"]
        assert [(row["user_id"], row["value"]) for row in top] == model.top(by, 1000), by
    assert_weeks(peer, model)


def assert_weeks(peer, model):
    """Each week that there was, to the last bit."""
    for monday in sorted(model.weeks)[-52:]:
        answer = ask(peer, "trends", {"weeks": 1, "now": text_of(monday + 7 * DAY - 1)})
        (row,) = answer["data"]["dharma_seva_trends"]["trends"]
        assert row["week_start"] == text_of(monday)[:19] + ".000000Z"
        assert [row[key] for key in ("event_count", "dharma_points", "seva_points", "paap_tokens",
                                     "punya_tokens")] == model.weeks[monday]
        (row,) = answer["data"]["paap_punya_trends"]["trends"]
        count, _, _, paap, punya = model.weeks[monday]
        assert (row["event_count"], row["paap_total"], row["punya_total"]) == (count, paap, punya)
        assert row["paap_ratio"] == (paap / (paap + punya) if paap + punya > 0 else 0)
        assert row["paap_punya_ratio"] == (paap / punya if punya > 0 else 0)


def test_every_action_answers_as_in_the_model(peer):
    rng = random.Random(7)
    model = Model()
    user_id = "every-" + uuid.uuid4().hex[:8]
    at = START
    for action in list(ACTIONS) + ["cheat"] * 8 + ["selfless_service"] * 10:
        body = {"user_id": user_id, "action": action, "role": "student", "note": action}
        answer = act(peer, "karma.life_event", message(body, at, rng))
        assert answer == model.life_event(at, **body)
        at += 3 * DAY
    profile = ask(peer, "profile", {"user_id": user_id})
    assert_profile(profile, model.profile(user_id))
    assert profile["last_updated"].startswith(text_of(model.users[user_id].clock)[:19])


def assert_answer(topic, answer, expected):
    """What the service answers says what the model's says."""
    if topic in ("karma.appeal", "karma.atonement"):
        plan = answer["plan"]
        assert plan["plan_id"] == expected["plan_id"]
        assert plan["severity_class"] == expected["class"]
        assert plan["requirements"] == expected["requirements"]
        assert plan["progress"] == expected["progress"]
        assert plan["proof_count"] == expected["proofs"]
        assert plan["status"] == ("completed" if expected["completed"] else "pending")
    else:
        expected = dict(expected)
        owed = expected.pop("owed", None)
        assert {key: answer[key] for key in expected} == expected
        relation = answer.get("rnanubandhan_relationship")
        assert (relation and relation["amount"]) == owed


def test_every_command_answers_and_refuses_as_in_the_model(peer):
    rng = random.Random(8)
    model = Model()
    run = uuid.uuid4().hex[:6]
    told = mixed([list(life(rng, f"c{n}-{run}", 20)) for n in range(40)], rng)
    codes = set()
    for topic, body, at in told:
        header, answer = peer.ask(topic, message(body, at, rng), ack=False)
        try:
            expected = model.apply(topic, body, at)
        except Refused as refusal:
            codes.add(str(refusal))
            assert (header["status"], answer["error_code"]) == ("error", str(refusal)), body
            continue
        assert header["status"] == "success", (body, answer)
        assert_answer(topic, answer, expected)
    assert codes == {"INVALID_REQUEST", "VALIDATION_FAILED", "CONFLICT"}


@pytest.mark.parametrize("said", [
    "2028-02-29T12:00:00", "2028-02-29T12:00:00Z", "2028-02-29T17:30:00+05:30",
    "2028-02-29 12:00:00.000000Z",
])
def test_a_leap_day_is_one_moment_however_it_is_said(peer, said):
    user_id = "leap-" + uuid.uuid4().hex[:8]
    act(peer, "karma.life_event", {"user_id": user_id, "action": "helping_peers", "role": "user",
                                   "effective_at": "2028-02-28T12:00:00Z"})
    act(peer, "karma.life_event", {"user_id": user_id, "action": "user_activity", "role": "user",
                                   "effective_at": said})
    profile = ask(peer, "profile", {"user_id": user_id})
    assert profile["balances"]["SevaPoints"] == 10.0 * (1.0 - 0.0005)
    assert profile["last_updated"] == "2028-02-29T12:00:00.000000Z"


@pytest.mark.parametrize("said", [
    "1999-12-31T23:59:59", "2099-01-01T00:00:00Z", "2028-02-29T00:00:00+14:00", "2026-01-01 00:00:00",
])
def test_a_timestamp_is_the_callers_own_and_moves_nothing(peer, said):
    """Past, future, naive, with an offset: karma goes by the journal's time."""
    user_id = "own-" + uuid.uuid4().hex[:8]
    act(peer, "karma.life_event", {"user_id": user_id, "action": "helping_peers", "role": "user"})
    before = ask(peer, "profile", {"user_id": user_id})
    act(peer, "karma.life_event", {"user_id": user_id, "action": "user_activity", "role": "user",
                                   "timestamp": said})
    after = ask(peer, "profile", {"user_id": user_id})
    assert after["last_updated"][:13] == before["last_updated"][:13] or \
        after["last_updated"] > before["last_updated"]
    assert after["balances"]["SevaPoints"] == pytest.approx(10.0, abs=1e-3)
    assert after["last_updated"][:4] not in ("1999", "2099")
    assert ask(peer, "replay", {"user_id": user_id})["matches"] is True


def test_what_is_refused_changes_nothing(peer):
    user_id = "refused-" + uuid.uuid4().hex[:8]
    good = {"user_id": user_id, "action": "cheat", "role": "user"}
    act(peer, "karma.life_event", good)
    before = ask(peer, "profile", {"user_id": user_id})
    for change, code in [
        ({"action": "levitate"}, "INVALID_REQUEST"),
        ({"action": ""}, "VALIDATION_FAILED"),
        ({"role": None}, "VALIDATION_FAILED"),
        ({"effective_at": "2026-02-30T00:00:00Z"}, "VALIDATION_FAILED"),
        ({"timestamp": "2026-02-30T00:00:00Z"}, "VALIDATION_FAILED"),
        ({"timestamp": 1767225600}, "VALIDATION_FAILED"),
        ({"context": 5}, "VALIDATION_FAILED"),
    ]:
        header, answer = peer.ask("karma.life_event", {**good, **change}, ack=False)
        assert (header["status"], answer["error_code"]) == ("error", code), change
    assert ask(peer, "profile", {"user_id": user_id}) == before


def test_nobody_is_not_found(peer):
    for operation in ("profile", "replay", "balance", "stats_user", "appeal_status",
                      "atonement_plans"):
        header, answer = peer.ask(f"req.karma.{operation}", {"user_id": "nobody"})
        assert (header["status"], answer["error_code"]) == ("error", "USER_NOT_FOUND"), operation
    header, answer = peer.ask("req.karma.agent", {"agent_id": "nobody"})
    assert (header["status"], answer["error_code"]) == ("error", "NOT_FOUND")


def test_every_move_is_told_live(peer):
    user_id = "live-" + uuid.uuid4().hex[:8]
    peer.subscribe("karma.out.changed")
    life_event = {"user_id": user_id, "role": "user"}
    for topic, body in [
        ("karma.life_event", {**life_event, "action": "selfless_service"}),
        ("karma.life_event", {**life_event, "action": "cheat", "affected_user_id": "x"}),
        ("karma.appeal", {"user_id": user_id, "action": "false_speech"}),
        *(("karma.atonement", {"user_id": user_id, "plan_id": f"{user_id}_false_speech_0",
                               "atonement_type": practice, "amount": 108, "tx_hash": "0x1"})
          for practice in PRACTICES),
        ("karma.redeem", {"user_id": user_id, "token_type": "PunyaTokens", "amount": 5}),
        ("karma.death_event", {"user_id": user_id}),
    ]:
        act(peer, topic, body)
    told = []
    while not told or told[-1]["action"] != "death" or told[-1]["token"] != "PaapTokens":
        heard = peer.hear()
        assert heard is not None, told
        topic, _, body = heard
        if body["user_id"] == user_id:
            assert topic == "karma.out.changed" and body.pop("seq") > 0
            told.append(body)
    assert told[0] == {"user_id": user_id, "action": "selfless_service", "token": "PunyaTokens",
                       "delta": 25.0, "merit_score": 75.0, "role": "volunteer",
                       "role_changed": True}
    assert [(each["action"], each["token"], each.get("class")) for each in told] == [
        ("selfless_service", "PunyaTokens", None),
        ("cheat", "DharmaPoints", None),
        ("cheat", "Rnanubandhan", "medium"),
        ("atonement", "PaapTokens", "minor"),
        ("redeem", "PunyaTokens", None),
        ("death", "DharmaPoints", None),
        ("death", "PunyaTokens", None),
        ("death", "PaapTokens", "minor"),
    ]
    balances = ask(peer, "balance", {"user_id": user_id})["balances"]
    moved = sum(each["delta"] for each in told if each["token"] == "PunyaTokens")
    assert balances["PunyaTokens"] == pytest.approx(moved, abs=1e-6)

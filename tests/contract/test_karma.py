"""Karma's part of the HTTP contract (docs/contract.md section 5): its door, actions and users.

The numbers of the rules are those of docs/originals.md; whole histories are in
tests/integration/test_karma_model.py.
"""

from datetime import datetime, timezone

import pytest
from support.karma import (  # its fixtures are used by name
    ABOUT_A_USER, COMMANDS, DAY, HEX64, KINDS, QUESTIONS, TIME, TYPES, act, assert_error, call, event, good,
    plan_of, profile, fixture_settled, fixture_peer, fixture_user, fixture_unmoved,
)


# --- The one door --------------------------------------------------------------------------------


def test_the_door_takes_every_kind_and_says_where_it_went(shared_system, user):
    act(shared_system, user)
    plan = plan_of(shared_system, user)
    data = {
        "life_event": {"user_id": user, "action": "helping_peers", "role": "learner", "note": "n"},
        "appeal": {"user_id": user, "action": "false_speech", "context": {"why": "sorry"}},
        "atonement": {"user_id": user, "plan_id": plan["plan_id"], "atonement_type": "Jap", "amount": 8},
        "stats_request": {"user_id": user},
        "death_event": {"user_id": user},
    }
    said = {
        "life_event": ("Life event logged successfully", "/v1/karma/log-action"),
        "appeal": ("Appeal submitted successfully", "/v1/karma/appeal"),
        "atonement": ("Atonement submitted successfully", "/v1/karma/atonement/submit"),
        "stats_request": ("User statistics retrieved successfully", "/v1/karma/stats/{user_id}"),
        "death_event": ("Death event processed successfully (threshold not reached)", "/v1/karma/death/event"),
    }
    for kind, body in data.items():
        answer = good(event(shared_system, kind, body, timestamp="2024-02-29T23:59:59-01:00", source="test"))
        assert set(answer) == {"status", "event_type", "message", "data", "timestamp", "routing_info"}
        assert answer["status"] == "success" and answer["event_type"] == kind
        assert answer["timestamp"] == "2024-03-01T00:59:59.000000Z"
        message, endpoint = said[kind]
        assert answer["message"] == message
        more = {"threshold_reached": False} if kind == "death_event" else {}
        assert answer["routing_info"] == {"internal_endpoint": endpoint, "mapped_from": kind, **more}
        assert answer["data"], kind
    assert answer["data"]["user_id"] == user


def test_without_a_time_the_door_says_now(shared_system, user):
    before = datetime.now(timezone.utc)
    act(shared_system, user)
    said = good(event(shared_system, "stats_request", {"user_id": user}))["timestamp"]
    assert before - DAY < datetime.fromisoformat(said.replace("Z", "+00:00")) < before + DAY


@pytest.mark.parametrize("given,said", [
    ("2026-01-30T12:00:00", "2026-01-30T12:00:00.000000Z"), ("2026-01-30T12:00:00Z", "2026-01-30T12:00:00.000000Z"),
    ("2026-01-30T12:00:00.5+05:30", "2026-01-30T06:30:00.500000Z"),
    ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"), ("2999-12-31T23:59:59Z", "2999-12-31T23:59:59.000000Z"),
])
def test_an_events_own_time_may_be_any_and_moves_nothing(shared_system, user, given, said):
    body = {"user_id": user, "action": "completing_lessons", "role": "learner"}
    answer = good(event(shared_system, "life_event", body, timestamp=given))
    assert answer["timestamp"] == said and answer["data"]["merit_score"] == 5.0
    assert profile(shared_system, user)["last_updated"] < "2900"


@pytest.mark.parametrize("given", ["yesterday", "2026-02-29T00:00:00Z", "2026-01-30", "", 5, "2026-01-30T25:00:00Z"])
def test_a_time_that_is_none_is_422(shared_system, unmoved, given):
    body = {"user_id": "u", "action": "completing_lessons", "role": "learner"}
    assert_error(event(shared_system, "life_event", body, timestamp=given), 422, "VALIDATION_FAILED", fields=["timestamp"])


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_missing_from_data_is_400_with_the_originals_words(shared_system, unmoved, kind):
    needs, words = KINDS[kind]
    assert_error(event(shared_system, kind, {}), 400, "INVALID_REQUEST", f"{kind} requires {words} in data")
    whole = {"user_id": "u", "plan_id": "p", "atonement_type": "Jap", "amount": 1, "action": "cheat", "role": "learner"}
    for key in needs:
        data = {name: value for name, value in whole.items() if name in needs and name != key}
        answer = event(shared_system, kind, data)
        named = key if kind == "atonement" else words
        assert_error(answer, 400, "INVALID_REQUEST", f"{kind} requires {named} in data")


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_the_wrong_type_in_data_is_422_and_named(shared_system, unmoved, kind):
    whole = {"user_id": "u", "plan_id": "p", "atonement_type": "Jap", "amount": 1, "action": "cheat", "role": "learner"}
    data = {name: whole[name] for name in KINDS[kind][0]}
    for key in data:
        for bad in (None, [], {}, "" if key != "amount" else "1", True):
            answer = event(shared_system, kind, {**data, key: bad})
            assert_error(answer, 422, "VALIDATION_FAILED", fields=[key])


@pytest.mark.parametrize("kind", ["", "x" * 65])
def test_a_type_without_a_name_is_422(shared_system, unmoved, kind):
    assert_error(event(shared_system, kind, {}), 422, "VALIDATION_FAILED", fields=["type"])


@pytest.mark.parametrize("kind", ["life-event", "LIFE_EVENT", "karma", "ünï", "life_event "])
def test_another_type_is_400_and_the_types_are_named(shared_system, unmoved, kind):
    answer = event(shared_system, kind, {"user_id": "u"})
    assert_error(answer, 400, "INVALID_REQUEST", f"Invalid event type: {kind}. Valid types: {TYPES}")


@pytest.mark.parametrize("body,fields", [
    ({}, ["type", "data"]), ({"type": "life_event"}, ["data"]), ({"data": {}}, ["type"]),
    ({"type": 5, "data": {}}, ["type"]), ({"type": "life_event", "data": []}, ["data"]),
    ({"type": "life_event", "data": "x"}, ["data"]), ({"type": "life_event", "data": {}, "source": "s" * 101}, ["source"]),
])
def test_a_key_missing_from_the_body_is_422(shared_system, unmoved, body, fields):
    assert_error(call(shared_system, "POST", "/v1/event/", body), 422, "VALIDATION_FAILED", fields=fields)


# --- Actions -------------------------------------------------------------------------------------

FLOW = "action -> intent -> merit -> reward_tier -> redemption"
CHEAT_FLOW = "action -> intent -> penalty_level -> punishment -> role_adjustment"


@pytest.mark.parametrize("action,merit,token,tier,role", [
    ("completing_lessons", 5.0, "DharmaPoints", "low", "learner"),
    ("helping_peers", 12.0, "SevaPoints", "medium", "learner"),
    ("solving_doubts", 9.6, "SevaPoints", "medium", "learner"),
    ("selfless_service", 75.0, "PunyaTokens", "high", "volunteer"),
])
def test_an_action_is_answered_with_the_originals_vector(shared_system, user, action, merit, token, tier, role):
    answer = act(shared_system, user, action, note="a note")
    assert answer == {"user_id": user, "action": action, "current_role": role, "predicted_next_role": role,
                      "merit_score": pytest.approx(merit, abs=1e-9), "reward_token": token, "reward_tier": tier,
                      "action_flow": FLOW, "note": "a note"}


def test_log_action_answers_what_the_door_has_as_data(shared_system, user):
    body = {"user_id": user, "action": "cheat", "role": "learner"}
    logged = good(call(shared_system, "POST", "/v1/log-action/", body))
    assert logged == {"user_id": user, "action": "cheat", "current_role": "learner", "predicted_next_role": "learner",
                      "merit_score": -2.0, "penalty_token": "DharmaPoints", "penalty_value": -2.0,
                      "penalty_level": 1, "penalty_name": "first_offense", "cheats_in_period": 1,
                      "action_flow": CHEAT_FLOW, "note": None}
    other = user + "-2"
    assert good(event(shared_system, "life_event", {**body, "user_id": other}))["data"] == {**logged, "user_id": other}


def test_the_cheat_ladder_is_climbed(shared_system, user):
    answers = [act(shared_system, user, "cheat") for _ in range(7)]
    assert [answer["penalty_value"] for answer in answers] == [-2.0, -5.0, -10.0, -20.0, -40.0, -100.0, -100.0]
    assert [answer["penalty_name"] for answer in answers] == [
        "first_offense", "second_offense", "third_offense", "fourth_offense", "fifth_offense", "repeat_offender",
        "repeat_offender"]
    assert [answer["cheats_in_period"] for answer in answers] == list(range(1, 8))
    assert profile(shared_system, user)["merit_score"] == -277.0


def test_a_cheat_that_harmed_somebody_makes_a_debt(shared_system, user):
    answer = act(shared_system, user, "cheat", affected_user_id=user + "-victim", relationship_description="copied")
    relation = answer["rnanubandhan_relationship"]
    assert relation["debtor_id"] == user and relation["receiver_id"] == user + "-victim"
    assert relation["severity"] == "medium" and relation["amount"] == 1.0
    assert relation["description"] == "copied"
    debts = profile(shared_system, user)["balances"]["Rnanubandhan"]
    assert debts == {"minor": 0.0, "medium": 1.0, "major": 0.0}


@pytest.mark.parametrize("action,token,delta", [
    ("agent_success", "DharmaPoints", 1.0), ("agent_failure", "DharmaPoints", -0.5),
    ("agent_execution", None, 0.0), ("learning_success", "DharmaPoints", 2.0),
    ("learning_adjustment", "DharmaPoints", 0.0), ("workflow_success", "SevaPoints", 1.0),
    ("workflow_failure", "SevaPoints", -0.5), ("workflow_failed", "SevaPoints", -0.5),
    ("deep_focus_learning", "DharmaPoints", 1.0), ("active_engagement", "DharmaPoints", 0.5),
    ("contemplative_learning", "DharmaPoints", 0.5), ("passive_state", None, 0.0),
    ("attention_drift", "DharmaPoints", -0.25), ("disengagement", None, 0.0),
    ("task_avoidance", "DharmaPoints", -0.5), ("user_activity", None, 0.0),
])
def test_the_services_actions_are_taken_and_counted(shared_system, user, action, token, delta):
    answer = act(shared_system, user, action, role="user", context={"agent_id": "a"}, metadata={"m": 1})
    assert answer["reward_token"] == token
    told = profile(shared_system, user)
    balances = {name: value for name, value in told["balances"].items() if isinstance(value, float) and value != 0}
    assert balances == ({token: delta} if delta else {})
    assert told["action_stats"]["total_actions"] == 1


@pytest.mark.parametrize("context", ["text", "", {"deep": {"a": [1, None]}}, {}])
def test_a_context_may_be_an_object_or_a_string(shared_system, user, context):
    assert act(shared_system, user, context=context)["merit_score"] == 5.0
    assert good(event(shared_system, "life_event", {"user_id": user, "action": "cheat", "role": "x",
                                                    "context": context}))["data"]["penalty_level"] == 1


@pytest.mark.parametrize("role", ["user", "student", "employee", "learner", "guru", "ॐ"])
def test_any_role_is_recorded_and_the_ladder_counts(shared_system, user, role):
    assert act(shared_system, user, role=role)["current_role"] == "learner"


@pytest.mark.parametrize("action", ["juggling", "CHEAT", "completing lessons", "harm_others"])
def test_an_unknown_action_is_400(shared_system, unmoved, action):
    body = {"user_id": "u", "action": action, "role": "learner"}
    assert_error(call(shared_system, "POST", "/v1/log-action/", body), 400, "INVALID_REQUEST", "Invalid action.")
    assert_error(event(shared_system, "life_event", body), 400, "INVALID_REQUEST", "Invalid action.")


# --- A user --------------------------------------------------------------------------------------


def test_a_profile_has_the_originals_fields_and_a_hash(shared_system, user):
    act(shared_system, user, "selfless_service")
    told = profile(shared_system, user)
    assert set(told) == {
        "user_id", "role", "merit_score", "paap_score", "net_karma", "weighted_karma_score", "balances",
        "action_stats", "corrective_guidance", "module_scores", "last_updated", "state_hash"}
    assert (told["role"], told["merit_score"], told["paap_score"], told["net_karma"]) == ("volunteer", 75.0, 0.0, 75.0)
    assert told["balances"] == {
        "DharmaPoints": 0.0, "SevaPoints": 0.0, "PunyaTokens": 25.0,
        "PaapTokens": {"minor": 0.0, "medium": 0.0, "maha": 0.0}, "DridhaKarma": 0.0, "AdridhaKarma": 0.0,
        "SanchitaKarma": 0.0, "PrarabdhaKarma": 0.0, "Rnanubandhan": {"minor": 0.0, "medium": 0.0, "major": 0.0}}
    assert told["action_stats"] == {"total_actions": 1, "pending_atonements": 0, "completed_atonements": 0}
    assert told["module_scores"] == {"finance": 50.0, "insightflow": 0.0, "gurukul": 0.0, "game": 37.5}
    assert told["corrective_guidance"] == []
    assert TIME.fullmatch(told["last_updated"]) and HEX64.fullmatch(told["state_hash"])


def test_guidance_is_given_to_who_did_little(shared_system, user):
    act(shared_system, user)
    guidance = profile(shared_system, user)["corrective_guidance"]
    assert [(row["type"], row["priority"]) for row in guidance] == [("engagement_suggested", "medium")]
    assert guidance[0]["message"]


def test_a_balance_is_the_profiles(shared_system, user):
    act(shared_system, user, "helping_peers")
    told = profile(shared_system, user)
    balance = good(call(shared_system, "GET", f"/view-balance/{user}"))
    assert balance["user_id"] == user and balance["role"] == "learner"
    assert balance["merit_score"] == told["merit_score"] == 12.0 and balance["balances"] == told["balances"]


def test_a_users_statistics(shared_system, user):
    act(shared_system, user, "helping_peers")
    act(shared_system, user, "cheat")
    told = profile(shared_system, user)
    stats = good(call(shared_system, "GET", f"/v1/stats/user/{user}/"))
    assert stats["status"] == "success"
    for field in ("user_id", "role", "merit_score", "paap_score", "net_karma", "balances"):
        assert stats[field] == told[field], field
    assert stats["action_stats"]["total_actions"] == 2
    assert stats["token_attributes"]
    assert good(event(shared_system, "stats_request", {"user_id": user}))["data"] == stats


@pytest.mark.parametrize("name", ["profile", "replay", "stats", "balance", "appeals", "plans"])
def test_a_user_that_is_not_known_is_404(shared_system, unmoved, user, name):
    answer = call(shared_system, "GET", ABOUT_A_USER[name].format(user))
    assert_error(answer, 404, "USER_NOT_FOUND", "User not found")


@pytest.mark.parametrize("name", ["appeal", "death_event", "redeem"])
def test_what_needs_a_known_user_is_404_for_another(shared_system, unmoved, peer, user, name):
    path, topic, body, _ = COMMANDS[name]
    body = {"user_id": user, **body}
    assert_error(call(shared_system, "POST", path, body), 404, "USER_NOT_FOUND", "User not found")
    header, answer = peer.ask(topic, body, ack=False)
    assert header["status"] == "error" and answer["error_code"] == "USER_NOT_FOUND"
    if name in KINDS:
        assert_error(event(shared_system, name, body), 404, "USER_NOT_FOUND", "User not found")


def test_statistics_of_an_unknown_user_are_404_through_the_door_too(shared_system, unmoved, user):
    assert_error(event(shared_system, "stats_request", {"user_id": user}), 404, "USER_NOT_FOUND", "User not found")


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_user_id_is_percent_encoded_utf8_of_255_bytes(shared_system, unmoved, name):
    if "{}" not in QUESTIONS[name]:
        return
    for bad in ("%ff", "%01", "a" * 256, "%C3%BC" * 128):
        answer = call(shared_system, "GET", QUESTIONS[name].format(bad))
        assert answer.status_code == 422 and answer.json()["error_code"] == "VALIDATION_FAILED", bad

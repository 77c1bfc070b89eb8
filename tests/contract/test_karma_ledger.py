"""The same for what Karma keeps: atonement, death, redeeming, replay, agents, what was learned, analytics."""

import uuid
from datetime import datetime, timedelta, timezone

import pytest
import requests
from support.karma import (  # its fixtures are used by name
    COLUMNS, COMMANDS, MINOR, ROLES, TIME, act, assert_error, atone, call, event, good, plan_of, profile,
    fixture_settled, fixture_peer, fixture_user, fixture_unmoved,
)
from support.system import eventually


# --- Appeals and atonement -----------------------------------------------------------------------


@pytest.mark.parametrize("action,severity", [
    ("cheat", "medium"), ("disrespect_guru", "medium"), ("break_promise", "minor"), ("harm_others", "maha"),
    ("false_speech", "minor"), ("theft", "medium"), ("violence", "maha"),
])
def test_an_appeal_makes_a_plan_of_its_class(shared_system, user, action, severity):
    requirements = {"minor": MINOR, "medium": {"Jap": 1008, "Tap": 3, "Bhakti": 3, "Daan": 50},
                    "maha": {"Jap": 10008, "Tap": 7, "Bhakti": 7, "Daan": 100}}[severity]
    act(shared_system, user)
    answer = good(call(shared_system, "POST", "/v1/appeal/", {"user_id": user, "action": action, "context": "sorry"}))
    assert answer["status"] == "success" and answer["message"]
    plan = answer["plan"]
    assert plan["user_id"] == user and plan["paap_action"] == action and plan["severity_class"] == severity
    assert plan["status"] == "pending" and plan["requirements"] == requirements
    assert plan["progress"] == {"Jap": 0, "Tap": 0, "Bhakti": 0, "Daan": 0} and plan["proofs"] == []
    assert plan["plan_id"] == f"{user}_{action}_0" and TIME.fullmatch(plan["created_at"])
    assert plan_of(shared_system, user, action)["plan_id"] == f"{user}_{action}_1"


@pytest.mark.parametrize("action", ["completing_lessons", "nothing", "agent_failure"])
def test_an_appeal_for_what_is_no_wrong_is_400(shared_system, user, peer, action):
    act(shared_system, user)
    before = profile(shared_system, user)
    body = {"user_id": user, "action": action}
    assert call(shared_system, "POST", "/v1/appeal/", body).status_code == 400
    assert_error(event(shared_system, "appeal", body), 400, "INVALID_REQUEST")
    assert peer.ask("karma.appeal", body, ack=False)[1]["error_code"] == "INVALID_REQUEST"
    assert profile(shared_system, user) == before


def test_a_plan_is_completed_part_by_part(shared_system, user):
    act(shared_system, user)
    plan_id = plan_of(shared_system, user)["plan_id"]
    assert profile(shared_system, user)["action_stats"]["pending_atonements"] == 1
    status = good(call(shared_system, "GET", f"/v1/appeal/status/{user}"))
    assert [plan["plan_id"] for plan in status["pending_plans"]] == [plan_id] and status["completed_plans"] == []

    first = good(atone(shared_system, user, plan_id, "Jap", 100, proof_text="counted"))
    assert first["status"] == "success" and first["plan"]["progress"]["Jap"] == 100
    assert first["plan"]["status"] == "pending" and first["plan"]["proofs"][0]["text"] == "counted"
    for kind, amount, more in (("Jap", 8, {}), ("Tap", 1, {}), ("Bhakti", 1, {})):
        assert good(atone(shared_system, user, plan_id, kind, amount, **more))["plan"]["status"] == "pending"
    last = good(atone(shared_system, user, plan_id, "Daan", 10.5, tx_hash="0xabc"))["plan"]
    assert last["status"] == "completed" and last["progress"] == {"Jap": 108, "Tap": 1, "Bhakti": 1, "Daan": 10.5}
    assert last["proofs"][-1]["tx_hash"] == "0xabc" and len(last["proofs"]) == last["proof_count"] == 5

    status = good(call(shared_system, "GET", f"/v1/appeal/status/{user}"))
    assert status["pending_plans"] == [] and [plan["plan_id"] for plan in status["completed_plans"]] == [plan_id]
    told = profile(shared_system, user)
    assert told["action_stats"]["completed_atonements"] == 1 and told["action_stats"]["pending_atonements"] == 0
    assert told["balances"]["PaapTokens"] == {"minor": 2.0, "medium": 0.0, "maha": 0.0}
    assert (told["paap_score"], told["net_karma"]) == (2.0, 3.0)
    assert good(call(shared_system, "GET", f"/api/v1/karma/{user}/replay"))["matches"] is True


def test_plans_are_listed_the_oldest_first(shared_system, user):
    act(shared_system, user)
    made = [plan_of(shared_system, user, action)["plan_id"] for action in ("theft", "violence", "theft")]
    listed = good(call(shared_system, "GET", f"/v1/atonement/plans/{user}/"))
    assert listed["status"] == "success" and listed["user_id"] == user and listed["count"] == 3
    assert [plan["plan_id"] for plan in listed["plans"]] == made and listed["next"] is None
    page = good(call(shared_system, "GET", f"/v1/atonement/plans/{user}?limit=2"))
    assert [plan["plan_id"] for plan in page["plans"]] == made[:2] and page["count"] == 3
    rest = good(call(shared_system, "GET", f"/v1/atonement/plans/{user}?after={page['next']}"))
    assert [plan["plan_id"] for plan in rest["plans"]] == made[2:]


@pytest.mark.parametrize("change,message", [
    ({"plan_id": "none"}, "Atonement plan not found"), ({"user_id": "nobody"}, "Atonement plan not found"), ({"atonement_type": "Yoga"}, "Invalid atonement type"),
    ({"atonement_type": "jap"}, "Invalid atonement type"),
    ({"atonement_type": "Daan"}, "Transaction hash required for Daan"),
    ({"atonement_type": "Daan", "tx_hash": ""}, "Transaction hash required for Daan"),
])
def test_an_atonement_is_refused_with_the_originals_words(shared_system, peer, user, change, message):
    act(shared_system, user)
    plan_id = plan_of(shared_system, user)["plan_id"]
    before = peer.ask("req.karma.state_hash", {})[1]["state_hash"]
    body = {"user_id": user, "plan_id": plan_id, "atonement_type": "Jap", "amount": 1, **change}
    assert_error(call(shared_system, "POST", "/v1/atonement/submit", body), 400, "INVALID_REQUEST", message)
    assert_error(event(shared_system, "atonement", body), 400, "INVALID_REQUEST", message)
    header, answer = peer.ask("karma.atonement", body, ack=False)
    assert header["status"] == "error" and answer["message"] == message
    assert peer.ask("req.karma.state_hash", {})[1]["state_hash"] == before


def test_a_plan_is_its_users_alone_and_is_completed_once(shared_system, user):
    act(shared_system, user)
    act(shared_system, user + "-2")
    plan_id = plan_of(shared_system, user)["plan_id"]
    assert_error(atone(shared_system, user + "-2", plan_id, "Jap", 1), 400, "INVALID_REQUEST", "Atonement plan not found")
    for kind, amount in MINOR.items():
        last = good(atone(shared_system, user, plan_id, kind, amount, tx_hash="t"))
    assert last["plan"]["status"] == "completed"
    before = profile(shared_system, user)
    assert_error(atone(shared_system, user, plan_id, "Jap", 1), 409, "CONFLICT")
    assert profile(shared_system, user) == before


@pytest.mark.parametrize("amount", [0, -1, -0.5, 1e300, 10**18])
@pytest.mark.parametrize("name", ["atonement", "redeem"])
def test_an_amount_is_above_0_and_has_a_limit(shared_system, peer, user, name, amount):
    act(shared_system, user)
    path, topic, body, _ = COMMANDS[name]
    body = {"user_id": user, **body, "amount": amount}
    if name == "atonement":
        body["plan_id"] = plan_of(shared_system, user)["plan_id"]
    before = peer.ask("req.karma.state_hash", {})[1]["state_hash"]
    assert_error(call(shared_system, "POST", path, body), 422, "VALIDATION_FAILED", fields=["amount"])
    assert peer.ask(topic, body, ack=False)[1]["error_code"] == "VALIDATION_FAILED"
    assert peer.ask("req.karma.state_hash", {})[1]["state_hash"] == before


# --- Death ---------------------------------------------------------------------------------------


def test_a_death_says_the_loka_and_what_is_carried_over(shared_system, user):
    act(shared_system, user, "selfless_service")
    act(shared_system, user, "selfless_service")
    answer = good(call(shared_system, "POST", "/v1/death/event", {"user_id": user}))
    assert answer["status"] == "success" and answer["user_id"] == user
    assert answer["loka"] == "Mrityuloka" and answer["description"] and answer["threshold_reached"] is False
    assert answer["carryover"]["carryover_punya"] == pytest.approx(15.0, abs=1e-6)  # a little decays
    assert answer["carryover"]["starting_level"] == "volunteer"
    assert set(answer["paap_tokens_status"]) >= {"minor", "medium", "maha"}
    assert profile(shared_system, user)["balances"]["PunyaTokens"] == pytest.approx(15.0, abs=1e-6)
    assert good(call(shared_system, "GET", f"/api/v1/karma/{user}/replay"))["matches"] is True


@pytest.mark.parametrize("deeds,loka", [
    ({"selfless_service": 7}, "Swarga"), ({"completing_lessons": 1}, "Mrityuloka"), ({"cheat": 5}, "Antarloka"),
    ({"cheat": 7}, "Naraka"),
])
def test_the_loka_is_by_net_karma(shared_system, user, deeds, loka):
    for action, count in deeds.items():
        for _ in range(count):
            act(shared_system, user, action)
    answer = good(event(shared_system, "death_event", {"user_id": user}))
    assert answer["data"]["loka"] == loka
    assert answer["routing_info"]["threshold_reached"] is answer["data"]["threshold_reached"]


# --- Redeeming -----------------------------------------------------------------------------------


def test_tokens_are_spent_and_the_rest_is_said(shared_system, user):
    act(shared_system, user, "selfless_service")
    answer = good(call(shared_system, "POST", "/redeem/", {"user_id": user, "token_type": "PunyaTokens", "amount": 10.5}))
    told = profile(shared_system, user)
    assert answer["remaining"] == told["balances"]["PunyaTokens"] == pytest.approx(14.5, abs=1e-6)  # a little decays
    assert answer["message"] and answer["user_id"] == user and answer["token_type"] == "PunyaTokens"
    assert told["merit_score"] == pytest.approx(43.5, abs=1e-6) and told["role"] == "learner"
    assert good(call(shared_system, "GET", f"/api/v1/karma/{user}/replay"))["matches"] is True


@pytest.mark.parametrize("token,amount,message", [
    ("GoldCoins", 1, "Invalid token type"), ("PaapTokens", 1, "Invalid token type"),
    ("dharmapoints", 1, "Invalid token type"), ("DharmaPoints", 5.001, "Insufficient balance"),
    ("SevaPoints", 1, "Insufficient balance"),
])
def test_what_is_not_there_cannot_be_redeemed(shared_system, peer, user, token, amount, message):
    act(shared_system, user)
    before = peer.ask("req.karma.state_hash", {})[1]["state_hash"]
    body = {"user_id": user, "token_type": token, "amount": amount}
    assert_error(call(shared_system, "POST", "/redeem/", body), 400, "INVALID_REQUEST", message)
    assert peer.ask("karma.redeem", body, ack=False)[1]["message"] == message
    assert peer.ask("req.karma.state_hash", {})[1]["state_hash"] == before


# --- Replay, agents, all together ----------------------------------------------------------------


def test_a_replay_gives_the_same_hash(shared_system, user):
    for action in COLUMNS:
        act(shared_system, user, action)
    answer = good(call(shared_system, "GET", f"/api/v1/karma/{user}/replay"))
    assert answer["matches"] is True and answer["events"] == 5
    assert answer["state_hash"] == profile(shared_system, user)["state_hash"]


def test_a_long_replay_leaves_out_what_comes_after_it(shared_system, peer, user):
    life_event = ["karma.life_event", {}, {"user_id": user, "action": "helping_peers", "role": "learner"}]
    header, _ = peer.ask("$bus.batch", [life_event] * 10_000)
    assert header["status"] == "success"

    def total():
        answer = call(shared_system, "GET", f"/api/v1/karma/{user}")
        return answer.json()["action_stats"]["total_actions"] if answer.ok else 0

    eventually(lambda: total() == 10_000, what="10,000 applied")
    kept = profile(shared_system, user)["state_hash"]
    late = [peer.send("req.karma.replay", {"user_id": user}, reply_to=peer.inbox) for _ in range(8)]
    peer.send("karma.life_event", life_event[2])
    for ident in late:
        header, answer = peer.answer(ident)
        assert header["status"] == "success", answer
        assert (answer["matches"], answer["events"], answer["state_hash"]) == (True, 10_000, kept)
    eventually(lambda: total() == 10_001, what="the one more")
    again = good(call(shared_system, "GET", f"/api/v1/karma/{user}/replay"))
    assert (again["matches"], again["events"]) == (True, 10_001)


def test_a_replay_until_a_time_shows_what_was_then(shared_system, user):
    times = ["2025-01-01T00:00:00Z", "2025-01-02T00:00:00Z", "2025-01-03T00:00:00Z"]
    hashes = []
    for time in times:
        act(shared_system, user, effective_at=time)
        hashes.append(profile(shared_system, user)["state_hash"])
    path = f"/api/v1/karma/{user}/replay?until="
    for count, time in enumerate(times, 1):
        answer = good(call(shared_system, "GET", path + time))
        assert answer["events"] == count and answer["state_hash"] == hashes[count - 1]
        assert answer["merit_score"] == 5.0 * count
    assert good(call(shared_system, "GET", path + "2025-01-02T12:00:00%2B05:30"))["events"] == 2
    assert_error(call(shared_system, "GET", path + "2024-12-31T00:00:00Z"), 404, "USER_NOT_FOUND")
    assert_error(call(shared_system, "GET", path + "then"), 422, "VALIDATION_FAILED", fields=["until"])
    assert_error(call(shared_system, "GET", path), 422, "VALIDATION_FAILED", fields=["until"])


def test_an_agent_is_known_by_how_it_did(shared_system, user):
    agent = "agent-" + uuid.uuid4().hex
    assert call(shared_system, "GET", f"/api/v1/karma/agent/{agent}").status_code == 404
    for action in ("agent_success", "agent_success", "agent_failure", "agent_execution"):
        act(shared_system, user, action, context={"agent_id": agent})
    answer = good(call(shared_system, "GET", f"/api/v1/karma/agent/{agent}"))
    assert answer["agent_id"] == agent and answer["successes"] == 2 and answer["failures"] == 1
    assert answer["rate"] == pytest.approx(2 / 3, abs=1e-9)
    assert answer["last"]["action"] == "agent_execution" and TIME.fullmatch(answer["last"]["at"])


def test_an_agents_events_that_bucket_stores_are_counted(shared_system):
    agent = "agent-" + uuid.uuid4().hex
    data = {"event_type": "agent_result", "agent_id": agent, "result": {"status": 200}}
    body = {"requester_id": "bhiv_core", "event_data": data}
    written = requests.post(shared_system.url("bucket", "/core/write-event"), json=body, timeout=10)
    assert written.status_code == 200
    found = lambda: call(shared_system, "GET", f"/api/v1/karma/agent/{agent}")
    eventually(lambda: found().status_code == 200, what="the forwarded event")
    assert found().json()["successes"] == 1


def test_the_policy_is_the_best_of_a_table_of_4_by_5(shared_system):
    answer = good(call(shared_system, "GET", "/policy/"))
    assert answer["Q_shape"] == [4, 5] and [len(row) for row in answer["q"]] == [5] * 4
    assert list(answer["best_policy"]) == list(ROLES)
    for role, row in zip(ROLES, answer["q"]):
        assert answer["best_policy"][role] == COLUMNS[row.index(max(row))]


def test_the_q_table_learns_as_the_originals_vectors_say_and_comes_back(system):
    eventually(lambda: call(system, "GET", "/readyz").status_code == 200, what="karma")
    q = lambda: good(call(system, "GET", "/policy/"))["q"]
    assert q() == [[0.0] * 5] * 4
    act(system, "one")
    assert q()[0][0] == pytest.approx(0.75, abs=1e-9)
    act(system, "one")
    assert q()[0][0] == pytest.approx(1.48875, abs=1e-9)
    act(system, "one", "helping_peers")
    assert q()[0][1] == pytest.approx(1.70098125, abs=1e-9)
    act(system, "two", "selfless_service")
    assert q()[0][3] == pytest.approx(3.75, abs=1e-9)
    before = q()
    system.stop()
    system.start()
    eventually(lambda: call(system, "GET", "/readyz").status_code == 200, what="karma")
    assert q() == before


def test_the_system_is_counted(shared_system, user):
    count = lambda: good(call(shared_system, "GET", "/v1/stats/system"))
    before = count()
    assert before["status"] == "success"
    act(shared_system, user)
    plan_of(shared_system, user)
    good(call(shared_system, "POST", "/redeem/", {"user_id": user, "token_type": "DharmaPoints", "amount": 1}))
    good(call(shared_system, "POST", "/v1/death/event", {"user_id": user}))
    after = count()["system_stats"]
    moved = {key: after[key] - value for key, value in before["system_stats"].items() if isinstance(value, int)}
    assert (moved["total_users"], moved["total_appeals"], moved["pending_atonements"]) == (1, 1, 1)
    assert moved["total_actions"] == 2, "the action and the redemption"
    assert (moved["total_redemptions"], moved["total_deaths"], moved["completed_atonements"]) == (1, 1, 0)


# --- Analytics -----------------------------------------------------------------------------------

WEEKLY = {
    "dharma_seva_trends": {"week_start", "dharma_points", "seva_points", "paap_tokens", "punya_tokens", "event_count"},
    "paap_punya_trends": {"week_start", "paap_total", "punya_total", "event_count", "paap_ratio", "punya_ratio",
                          "paap_punya_ratio"},
}


def trends(system, query="", prefix="/api/v1"):
    return call(system, "GET", f"{prefix}/analytics/karma_trends{query}")


def test_trends_are_real_sums_by_week(system):
    eventually(lambda: call(system, "GET", "/readyz").status_code == 200, what="karma")
    now = datetime.now(timezone.utc)
    monday = (now - timedelta(days=now.weekday())).replace(hour=0, minute=0, second=0, microsecond=0)
    text = lambda at: at.isoformat().replace("+00:00", "Z")
    for weeks, action in ((0, "completing_lessons"), (1, "helping_peers"), (1, "selfless_service"), (3, "cheat"),
                          (30, "completing_lessons")):
        act(system, "trendy", action, effective_at=text(monday - timedelta(weeks=weeks)))
    answer = good(trends(system))
    assert answer["status"] == "success" and set(answer["data"]) == set(WEEKLY)
    for name, fields in WEEKLY.items():
        trend = answer["data"][name]
        assert trend["period"] == "4 weeks"
        assert TIME.fullmatch(trend["start_date"]) and TIME.fullmatch(trend["end_date"])
        assert all(set(week) == fields for week in trend["trends"]), trend
        assert [week["event_count"] for week in trend["trends"]] == [1, 2, 1], "the oldest first"
    weeks = answer["data"]["dharma_seva_trends"]["trends"]
    assert [(week["dharma_points"], week["seva_points"], week["punya_tokens"]) for week in weeks] == [
        (-2.0, 0.0, 0.0), (0.0, 10.0, 25.0), (5.0, 0.0, 0.0)]
    assert [week["week_start"][:10] for week in weeks] == [
        (monday - timedelta(weeks=back)).date().isoformat() for back in (3, 1, 0)]
    punya = answer["data"]["paap_punya_trends"]["trends"][1]
    assert (punya["punya_total"], punya["paap_total"], punya["punya_ratio"], punya["paap_ratio"],
            punya["paap_punya_ratio"]) == (25.0, 0.0, 1.0, 0.0, 0.0)
    all_of = good(trends(system, "?weeks=52"))["data"]["dharma_seva_trends"]
    assert all_of["period"] == "52 weeks" and sum(week["event_count"] for week in all_of["trends"]) == 5
    one = good(trends(system, "?weeks=1"))["data"]["dharma_seva_trends"]["trends"]
    assert [week["event_count"] for week in one] == [1]


def test_analytics_are_served_under_the_originals_doubled_prefix_too(shared_system, user):
    act(shared_system, user)
    for query in ("", "?weeks=52", "?weeks=1&"):
        once, twice = trends(shared_system, query), trends(shared_system, query, "/api/v1/api/v1")
        sums = [good(answer)["data"]["dharma_seva_trends"]["trends"] for answer in (once, twice)]
        assert sums[0] == sums[1] != []
    assert set(good(call(shared_system, "GET", "/api/v1/api/v1/analytics/metrics/live/"))) == set(
        good(call(shared_system, "GET", "/api/v1/analytics/metrics/live")))
    assert call(shared_system, "POST", "/api/v1/api/v1/analytics/karma_trends").status_code == 405
    assert call(shared_system, "GET", f"/api/v1/api/v1/karma/{user}").status_code == 404


@pytest.mark.parametrize("weeks", ["0", "53", "-1", "x", "1.5", "", "99999999999999999999"])
def test_weeks_are_1_to_52(shared_system, unmoved, weeks):
    for prefix in ("/api/v1", "/api/v1/api/v1"):
        answer = trends(shared_system, f"?weeks={weeks}", prefix)
        assert_error(answer, 422, "VALIDATION_FAILED", fields=["weeks"])


@pytest.mark.parametrize("path", ["/api/v1/analytics/karma_trends", "/api/v1/analytics/metrics/live"])
def test_another_now_may_be_said(shared_system, unmoved, path):
    assert call(shared_system, "GET", path + "?now=2020-02-29T00:00:00Z").status_code == 200
    assert_error(call(shared_system, "GET", path + "?now=soon"), 422, "VALIDATION_FAILED", fields=["now"])
    assert_error(call(shared_system, "GET", path + "?when=now"), 422, "VALIDATION_FAILED", fields=["when"])


def test_live_metrics_count_the_last_day(shared_system, user):
    live = lambda: good(call(shared_system, "GET", "/api/v1/analytics/metrics/live"))
    before = live()
    act(shared_system, user, "helping_peers")
    after = live()
    for field in ("timestamp", "total_users", "events_last_24h", "dharma_points_last_24h", "seva_points_last_24h",
                  "paap_tokens_last_24h", "punya_tokens_last_24h", "average_net_karma_sample", "health_status"):
        assert field in after, field
    assert TIME.fullmatch(after["timestamp"])
    assert after["total_users"] - before["total_users"] == 1
    assert after["events_last_24h"] - before["events_last_24h"] == 1
    assert after["seva_points_last_24h"] - before["seva_points_last_24h"] == pytest.approx(10.0, abs=1e-9)
    assert isinstance(after["average_net_karma_sample"], float)

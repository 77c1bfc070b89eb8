"""PRANA (docs/contract.md section 4): every row over HTTP, and ingest over the bus from Python."""

import copy
import uuid

import pytest
import requests
from support.peer import Peer
from support.system import eventually

STATES = {  # docs/originals.md section 5, and docs/contract.md section 5: what each moves
    "DEEP_FOCUS": ("deep_focus_learning", 1.0),
    "ON_TASK": ("active_engagement", 0.5),
    "THINKING": ("contemplative_learning", 0.5),
    "IDLE": ("passive_state", 0.0),
    "DISTRACTED": ("attention_drift", -0.25),
    "AWAY": ("disengagement", 0.0),
    "OFF_TASK": ("task_avoidance", -0.5),
}
PACKET = {
    "user_id": "u",
    "session_id": "s-1",
    "lesson_id": "l-1",
    "task_id": None,
    "system_type": "gurukul",
    "role": "student",
    "timestamp": "2026-01-01T12:00:05.000Z",
    "cognitive_state": "ON_TASK",
    "active_seconds": 4.5,
    "idle_seconds": 0.5,
    "away_seconds": 0.0,
    "focus_score": 68,
    "raw_signals": {"mouse_velocity": 12.5, "tab_visible": True, "keystroke_count": 3},
}
MISSING = object()


def user():
    return f"u-{uuid.uuid4().hex[:12]}"


def packet(**changed):
    made = {**copy.deepcopy(PACKET), **changed}
    return {key: value for key, value in made.items() if value is not MISSING}


@pytest.fixture(name="http")
def fixture_http(shared_system):
    class Http:
        system = shared_system

        def post(self, body, **options):
            url = shared_system.url("bucket", "/bucket/prana/ingest")
            return requests.post(url, json=body, timeout=10, **options)

        def get(self, path, port="bucket", **params):
            return requests.get(shared_system.url(port, path), params=params, timeout=10)

        def json(self, path, port="bucket", **params):
            answer = self.get(path, port, **params)
            assert answer.status_code == 200, answer.text
            return answer.json()

        def person(self, user_id, count):
            """A person's packets, once there are so many: an answer means durable, not applied."""
            return eventually(
                lambda: (said := self.json(f"/bucket/prana/user/{user_id}"))["count"] >= count and said,
                what=f"{count} packets of {user_id}")

        def karma(self, user_id):
            answer = self.get(f"/api/v1/karma/{user_id}", "karma")
            return answer.json() if answer.status_code == 200 else None

    Http = Http()
    eventually(lambda: Http.get("/readyz").status_code == 200, what="Bucket is ready")
    eventually(lambda: Http.get("/readyz", "karma").status_code == 200, what="Karma is ready")
    return Http


@pytest.fixture(name="peer")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        yield peer


def test_a_packet_is_received_and_comes_back_as_it_was_sent(http):
    who = user()
    answer = http.post(packet(user_id=who))
    assert answer.status_code == 200, answer.text
    assert answer.json()["success"] is True and answer.json()["message"] == "Packet received"
    said = http.person(who, 1)
    assert set(said) == {"user_id", "packets", "count", "analytics"}
    kept = said["packets"][0]
    assert {key: kept[key] for key in PACKET} == packet(user_id=who)
    assert list(kept["raw_signals"]) == list(PACKET["raw_signals"])
    assert kept["received_at"].endswith("Z") and kept["trace_id"] == answer.headers["X-Trace-Id"]


def test_lesson_and_task_are_optional(http):
    who = user()
    assert http.post(packet(user_id=who, lesson_id=MISSING, task_id=MISSING)).status_code == 200
    kept = http.person(who, 1)["packets"][0]
    assert kept["lesson_id"] is None and kept["task_id"] is None


@pytest.mark.parametrize(("field", "value"), [
    ("user_id", MISSING), ("user_id", None), ("user_id", ""), ("user_id", 7),
    ("session_id", MISSING), ("system_type", "moodle"), ("system_type", MISSING),
    ("role", "teacher"), ("role", MISSING), ("timestamp", "noon"), ("timestamp", MISSING),
    ("cognitive_state", "on_task"), ("cognitive_state", "SLEEPING"), ("cognitive_state", None),
    ("active_seconds", -0.1), ("active_seconds", 5.5), ("active_seconds", "4"),
    ("idle_seconds", 6), ("away_seconds", MISSING), ("focus_score", 101), ("focus_score", -1),
    ("focus_score", 68.5), ("raw_signals", MISSING), ("raw_signals", []),
])
def test_what_is_no_packet_is_422_and_names_the_field(http, field, value):
    who = user()
    body = packet(**{"user_id": who, field: value})
    answer = http.post(body)
    assert answer.status_code == 422, answer.text
    said = answer.json()
    assert said["error_code"] == "VALIDATION_FAILED"
    assert field in [detail["field"] for detail in said["details"]]
    assert http.json(f"/bucket/prana/user/{who}")["count"] == 0


def test_several_come_at_once_and_stay_in_order(http):
    who = user()
    answer = http.post({"packets": [packet(user_id=who, focus_score=n) for n in range(100)]})
    assert answer.status_code == 200 and answer.json()["message"] == "Packet received", answer.text
    said = http.person(who, 100)
    assert [kept["focus_score"] for kept in said["packets"]] == list(range(100))


@pytest.mark.parametrize("count", [0, 101])
def test_none_or_too_many_at_once_are_422(http, count):
    answer = http.post({"packets": [packet() for _ in range(count)]})
    assert answer.status_code == 422 and answer.json()["details"][0]["field"] == "packets"


def test_one_bad_packet_of_several_is_named_and_none_is_kept(http):
    who = user()
    body = {"packets": [packet(user_id=who), packet(user_id=who), packet(user_id=who, role="x")]}
    answer = http.post(body)
    assert answer.status_code == 422, answer.text
    assert answer.json()["details"][0]["field"] == "packets[2].role"
    assert http.post(packet(user_id=who)).status_code == 200
    assert http.person(who, 1)["count"] == 1


@pytest.mark.parametrize("several", [False, True])
def test_an_idempotency_key_makes_a_repeat_harmless(http, several):
    who, key = user(), uuid.uuid4().hex
    body = packet(user_id=who)
    body = {"packets": [body, body]} if several else body
    first, second = (http.post(body, headers={"Idempotency-Key": key}) for _ in range(2))
    assert first.status_code == second.status_code == 200, second.text
    assert first.json() == second.json()
    other = http.post(packet(user_id=who, focus_score=1), headers={"Idempotency-Key": key})
    assert other.status_code == 422 and other.json()["error_code"] == "IDEMPOTENCY_KEY_REUSED"
    assert http.person(who, 1)["count"] == (2 if several else 1)


def test_packets_are_listed_by_person_and_system_oldest_first(http):
    one, two = user(), user()
    for n, (who, system) in enumerate([(one, "gurukul"), (two, "ems"), (one, "ems"), (one, "gurukul")]):
        assert http.post(packet(user_id=who, system_type=system, focus_score=n)).status_code == 200
    http.person(one, 3)
    said = http.json("/bucket/prana/packets", user_id=one)
    assert (said["count"], said["showing"]) == (3, 3)
    assert [kept["focus_score"] for kept in said["packets"]] == [0, 2, 3]
    said = http.json("/bucket/prana/packets", user_id=one, limit=2)
    assert (said["count"], said["showing"]) == (3, 2)
    assert [kept["focus_score"] for kept in said["packets"]] == [2, 3]
    said = http.json("/bucket/prana/packets", user_id=one, system_type="ems")
    assert (said["count"], said["showing"]) == (1, 1)
    said = http.json("/bucket/prana/packets", system_type="ems", limit=1)
    assert said["showing"] == 1 and said["packets"][0]["focus_score"] == 2
    total = http.json("/bucket/prana/stats")["stats"]["total_packets"]
    assert http.json("/bucket/prana/packets")["count"] == total


@pytest.mark.parametrize("params", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}, {"system_type": "moodle"}])
def test_a_list_that_nobody_can_mean_is_422(http, params):
    answer = http.get("/bucket/prana/packets", **params)
    assert answer.status_code == 422, answer.text


def test_stats_count_packets_people_and_systems(http):
    before = http.json("/bucket/prana/stats")
    who = user()
    for system in ("ems", "gurukul", "ems"):
        assert http.post(packet(user_id=who, system_type=system)).status_code == 200
    http.person(who, 3)
    after = http.json("/bucket/prana/stats")
    assert after["telemetry_status"] == "active"
    stats, old = after["stats"], before["stats"]
    assert stats["total_packets"] == old["total_packets"] + 3
    assert stats["unique_users"] == old["unique_users"] + 1
    assert stats["systems"]["ems"] == old["systems"]["ems"] + 2
    assert stats["systems"]["gurukul"] == old["systems"]["gurukul"] + 1
    assert who in stats["tracked_users"]
    telemetry = eventually(  # the bridge asks for it now and then
        lambda: (said := http.json("/health").get("prana_telemetry"))
        and said["packets_received"] == stats["total_packets"] and said, what="the health")
    assert telemetry["status"] == "active" and telemetry["systems"] == stats["systems"]
    assert telemetry["users_tracked"] == stats["unique_users"]


def test_a_person_is_summed_up(http):
    who = user()
    for state, score in (("THINKING", 65), ("ON_TASK", 70), ("THINKING", 66)):
        assert http.post(packet(user_id=who, cognitive_state=state, focus_score=score)).status_code == 200
    said = http.person(who, 3)
    assert said["analytics"] == {
        "average_focus_score": 67.0,
        "state_distribution": {"THINKING": 2, "ON_TASK": 1},
        "most_common_state": "THINKING",
    }
    assert len(http.json(f"/bucket/prana/user/{who}", limit=1)["packets"]) == 1


def test_nobody_is_an_empty_answer(http):
    said = http.json(f"/bucket/prana/user/{user()}")
    assert said["packets"] == [] and said["count"] == 0
    assert said["analytics"]["most_common_state"] is None


@pytest.mark.parametrize("state", STATES)
def test_each_state_moves_karma_once_by_its_action(http, peer, state):
    who = user()
    action, moved = STATES[state]
    assert http.post(packet(user_id=who, cognitive_state=state)).status_code == 200
    profile = eventually(lambda: http.karma(who), what="karma")
    assert profile["balances"]["DharmaPoints"] == pytest.approx(moved, abs=1e-9)
    events = [body for _, _, body in peer.fetch_all(["karma.life_event"])
              if body["user_id"] == who]
    assert [event["action"] for event in events] == [action]
    assert events[0]["source"] == "prana_bucket" and events[0]["role"] == "student"


def test_the_toggle_of_the_forwarding_holds_packets_back_too(http):
    owner = {"Authorization": f"Bearer {http.system.owner_token}"}
    toggle = http.system.url("bucket", "/core/karma-forwarding")
    silent, told = user(), user()
    assert requests.put(toggle, json={"enabled": False}, headers=owner, timeout=10).status_code == 200
    try:
        assert http.post(packet(user_id=silent)).status_code == 200
        http.person(silent, 1)
    finally:
        assert requests.put(toggle, json={"enabled": True}, headers=owner, timeout=10).status_code == 200
    assert http.post(packet(user_id=told)).status_code == 200
    eventually(lambda: http.karma(told), what="karma of who was told")
    assert http.karma(silent) is None


def test_a_page_on_another_port_may_send_packets(http):
    url = http.system.url("bucket", "/bucket/prana/ingest")
    page = {"Origin": "http://127.0.0.1:3000", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key,x-client-timestamp"}
    answer = requests.options(url, headers=page, timeout=10)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "http://127.0.0.1:3000"
    allowed = answer.headers["Access-Control-Allow-Headers"].lower()
    assert all(name in allowed for name in ("content-type", "idempotency-key", "x-client-timestamp"))
    assert "POST" in answer.headers["Access-Control-Allow-Methods"]


def test_the_script_is_served_by_the_console_port(http):
    answer = http.get("/prana.js", "console")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"].startswith("text/javascript")
    assert "Prana" in answer.text


# --- Over the bus ---


def test_a_packet_over_the_bus_is_kept_and_told(http, peer):
    who = user()
    header, body = peer.ask("prana.packet", packet(user_id=who), idem=f"k-{who}", ack=False)
    assert header["status"] == "success", body
    assert body["success"] is True and body["message"] == "Packet received" and body["audit_id"]
    assert http.person(who, 1)["packets"][0]["user_id"] == who
    assert eventually(lambda: http.karma(who), what="karma")["balances"]["DharmaPoints"] == 0.5


def test_several_over_the_bus_are_kept_all_or_none(http, peer):
    who = user()
    several = {"packets": [packet(user_id=who), packet(user_id=who, cognitive_state="NO")]}
    header, body = peer.ask("prana.packets", several, idem=f"k1-{who}", ack=False)
    assert header["status"] == "error" and body["error_code"] == "VALIDATION_FAILED", body
    several["packets"][1]["cognitive_state"] = "IDLE"
    header, body = peer.ask("prana.packets", several, idem=f"k2-{who}", ack=False)
    assert header["status"] == "success" and body["count"] == 2, body
    assert http.person(who, 2)["count"] == 2


def test_a_packet_over_the_bus_that_is_none_is_refused(peer):
    header, body = peer.ask("prana.packet", packet(role="teacher"), idem=user(), ack=False)
    assert header["status"] == "error" and body["error_code"] == "VALIDATION_FAILED"
    assert body["details"][0]["field"] == "role"


def test_questions_over_the_bus_answer_as_over_http(http, peer):
    who = user()
    assert http.post(packet(user_id=who)).status_code == 200
    said = http.person(who, 1)
    assert peer.ask("req.bucket.prana_user", {"user_id": who}, ack=False)[1] == said
    listed = peer.ask("req.bucket.prana_packets", {"user_id": who}, ack=False)[1]
    assert listed == http.json("/bucket/prana/packets", user_id=who)
    stats = peer.ask("req.bucket.prana_stats", {}, ack=False)[1]
    assert stats == http.json("/bucket/prana/stats")

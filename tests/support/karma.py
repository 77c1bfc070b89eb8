"""Karma over HTTP and on the bus, for the contract tests: what there is, calls, fixtures.

A module that imports the fixtures (`from support.karma import *`) has them.
"""

import re
import uuid
from datetime import timedelta

import pytest
import requests
from support.peer import Peer
from support.system import eventually

HEX64 = re.compile(r"[0-9a-f]{64}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
TYPES = "life_event, atonement, appeal, death_event, stats_request"
ROLES = ("learner", "volunteer", "seva", "guru")
COLUMNS = ("completing_lessons", "helping_peers", "solving_doubts", "selfless_service", "cheat")
MINOR = {"Jap": 108, "Tap": 1, "Bhakti": 1, "Daan": 10}
DAY = timedelta(days=1)

# The commands: path, topic, a body that is right but for its user's history, what it needs.
COMMANDS = {
    "log_action": ("/v1/log-action/", "karma.life_event",
                   {"action": "completing_lessons", "role": "learner"}, ("user_id", "action", "role")),
    "appeal": ("/v1/appeal/", "karma.appeal", {"action": "break_promise"}, ("user_id", "action")),
    "atonement": ("/v1/atonement/submit", "karma.atonement",
                  {"plan_id": "none", "atonement_type": "Jap", "amount": 1},
                  ("user_id", "plan_id", "atonement_type", "amount")),
    "death_event": ("/v1/death/event", "karma.death_event", {}, ("user_id",)),
    "redeem": ("/redeem/", "karma.redeem", {"token_type": "DharmaPoints", "amount": 1},
               ("user_id", "token_type", "amount")),
}
# The questions about one user.
ABOUT_A_USER = {
    "profile": "/api/v1/karma/{}", "replay": "/api/v1/karma/{}/replay", "stats": "/v1/stats/user/{}",
    "balance": "/view-balance/{}", "appeals": "/v1/appeal/status/{}", "plans": "/v1/atonement/plans/{}",
}
QUESTIONS = {
    **ABOUT_A_USER, "agent": "/api/v1/karma/agent/{}", "system": "/v1/stats/system", "policy": "/policy/",
    "trends": "/api/v1/analytics/karma_trends", "live": "/api/v1/analytics/metrics/live",
}
# The door's kinds: what `data` must have, and what is said where the first or all of it is missing.
KINDS = {
    "life_event": (("user_id", "action", "role"), "user_id, action, and role"),
    "atonement": (("user_id", "plan_id", "atonement_type", "amount"), "user_id"),
    "appeal": (("user_id", "action"), "user_id and action"),
    "death_event": (("user_id",), "user_id"),
    "stats_request": (("user_id",), "user_id"),
}


def call(system, method, path, body=None, **options):
    return requests.request(method, system.url("karma", path), json=body, timeout=10, **options)


def good(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()


def act(system, user, action="completing_lessons", **more):
    return good(call(system, "POST", "/v1/log-action/", {"user_id": user, "action": action, "role": "learner", **more}))


def event(system, kind, data, **more):
    return call(system, "POST", "/v1/event/", {"type": kind, "data": data, **more})


def profile(system, user):
    return good(call(system, "GET", f"/api/v1/karma/{user}"))


def plan_of(system, user, action="break_promise"):
    return good(call(system, "POST", "/v1/appeal/", {"user_id": user, "action": action}))["plan"]


def atone(system, user, plan_id, kind, amount, **more):
    return call(system, "POST", "/v1/atonement/submit",
                {"user_id": user, "plan_id": plan_id, "atonement_type": kind, "amount": amount, **more})


@pytest.fixture(scope="module", autouse=True)
def fixture_settled(shared_system):
    for port in ("karma", "bucket"):
        eventually(lambda port=port: requests.get(shared_system.url(port, "/readyz"), timeout=10).status_code == 200,
                   what=port)


@pytest.fixture(name="peer", scope="module")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="py_karma") as peer:
        yield peer


@pytest.fixture(name="user")
def fixture_user():
    return "u-" + uuid.uuid4().hex


@pytest.fixture(name="unmoved")
def fixture_unmoved(peer):
    """The state of Karma is the same after the test as before it."""
    ask = lambda: peer.ask("req.karma.state_hash", {})[1]["state_hash"]
    before = ask()
    assert HEX64.fullmatch(before)
    yield
    assert ask() == before, "Karma's state has changed"


def assert_error(answer, status, code, message=None, fields=None):
    """Karma's envelope, whole."""
    body = answer.json()
    assert answer.status_code == status, answer.text
    assert body["status"] == "error" and body["error_code"] == code, body
    assert body["error"]["code"] == status and set(body["error"]) == {"code", "message"}
    assert TIME.fullmatch(body["timestamp"]) and body["trace_id"] == answer.headers["X-Trace-Id"]
    assert body["path"].rstrip("/") in answer.request.url
    if message is not None:
        assert body["error"]["message"] == message
    if fields is not None:
        assert {row["field"] for row in body["details"]} == set(fields), body
        assert all(row["problem"] for row in body["details"])

"""What stays: through `down` and `up`, through another run of `owner`, and from a release whose bus was open."""

import hashlib
import json

import pytest
from support.compose import Compose, low_port_base
from support.system import eventually

KEPT = ("owner", "certs", "bus", "broker-keys", "karma-keys", "bridge-keys")


def kept(compose):
    """The digest of every certificate, token and key, by volume and name. What runs beside them is no matter."""
    found = {}
    for name in KEPT:
        text = compose.volume(name, "sh", "-c", "cd /volume && find . -type f '(' -name '*.cert*' -o -name '*.token' -o "
                              "-name tokens -o -name bucket.key ')' -exec sha256sum {} +")
        found[name] = sorted(text.splitlines())
        assert found[name], name
    return found


def facts(compose):
    stats = compose.ask("GET", "bucket", "/core/stats").json()
    return stats["stats"]["total_events"], len(compose.audited())


def karma(compose):
    return compose.ask("GET", "karma", "/api/v1/karma/stay").json().get("merit_score")


def test_running_owner_again_changes_nothing(compose):
    before = kept(compose), [compose.inspect("broker", "{{.State.StartedAt}}"), compose.inspect("bridge", "{{.State.StartedAt}}")]
    compose.run("up", "-d", "owner")
    said = compose.owner("keys", "init")
    assert said.returncode == 0 and said.stdout.startswith("kept"), said
    after = kept(compose), [compose.inspect("broker", "{{.State.StartedAt}}"), compose.inspect("bridge", "{{.State.StartedAt}}")]
    assert after == before


def test_down_and_up_keep_certificates_tokens_and_data(compose):
    wrote = compose.ask("POST", "bucket", "/core/write-event", json={"requester_id": "bhiv_core", "event_data": {
        "event_type": "agent_result", "agent_id": "stay", "user_id": "stay", "result": {"status": 200}}})
    assert wrote.status_code == 200, wrote.text
    eventually(lambda: karma(compose) == 1.0, what="karma of what stays")
    before = kept(compose)
    events, entries = facts(compose)
    compose.run("down", "--timeout", "10")
    compose.up()
    assert kept(compose) == before and karma(compose) == 1.0
    now = facts(compose)
    assert now[0] == events and now[1] >= entries
    verified = compose.owner("audit", "verify")
    assert verified.returncode == 0, verified.stdout + verified.stderr


@pytest.fixture(scope="module", name="older")
def fixture_older(image):
    """The parts that keep most, as they ran before there were certificates: one volume for all, HTTP without tokens."""
    base = low_port_base()
    ports = {"karma": base, "bucket": base + 1, "core": base + 2, "workflow": base + 3, "console": base + 80}
    older = Compose(image, file="tests/docker/open.yml", ports=ports)
    try:
        older.up("broker", "bucket", "karma", "bridge")
        yield older
    finally:
        Compose(image, project=older.project, ports=ports).end()


def test_the_volumes_of_an_open_release_go_on_behind_certificates(older, image):
    event = {"event_type": "agent_result", "agent_id": "older", "user_id": "dock", "result": {"status": 200}}
    for _ in range(20):
        wrote = older.ask("POST", "bucket", "/core/write-event", json={"requester_id": "bhiv_core", "event_data": event})
        assert wrote.status_code == 200, wrote.text
    stored = older.events("older")
    head = json.loads(older.exec("bucket", "bhiv", "req", "req.bucket.audit_checkpoint", "{}", "--format", "json").stdout)
    key = hashlib.sha256(head["vkey"].encode()).digest()
    entries = len(older.audited())
    older.run("down", "--timeout", "10")

    newer = Compose(image, project=older.project, ports=older.ports)
    newer.up("broker", "bucket", "karma", "bridge")
    assert newer.ask("GET", "bucket", "/core/stats").status_code == 401
    newer.token = newer.make_token("-r", "owner", "-e", "1d")
    assert newer.events("older") == stored
    assert len(newer.audited()) >= entries
    head = json.loads(newer.exec("broker", "bhiv", "req", "req.bucket.audit_checkpoint", "{}", "--format", "json").stdout)
    assert hashlib.sha256(head["vkey"].encode()).digest() == key
    assert newer.ask("GET", "karma", "/api/v1/karma/dock").json()["merit_score"] == 20.0
    assert newer.owner("audit", "verify").returncode == 0
    wrote = newer.ask("POST", "bucket", "/core/write-event", json={"requester_id": "bhiv_core", "event_data": event})
    assert wrote.status_code == 200, wrote.text

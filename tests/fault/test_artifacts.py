"""Artifacts under faults: quotas across a crash, holds across sweeps and clocks, damaged records."""

import os
import random
import threading

import pytest
from support.artifacts import (NOT_FOUND, all_of, command, every, owner, query, quota, read, send,
                               size, write, write_body)
from support.peer import Peer
from support.system import System, eventually

PARTS = ("--dev", "--only", "broker,bucket")
HOUR = 3600 * 1_000_000
DAY = 24 * HOUR


def entries(peer, **filters):
    """Every audit entry that matches, oldest first; there are no more than a page of them."""
    header, answer = peer.ask("req.bucket.audit_log", {"limit": 1000, **filters})
    assert header["status"] == "success" and len(answer["entries"]) < 1000, answer
    return answer["entries"]


# --- Quotas ----------------------------------------------------------------------------------------


def real_size(peer, product):
    """What is kept, read one by one: how many, and how many bytes they take."""
    rows = [row["artifact_id"] for row in every(peer, product)]
    asked = (("bucket.artifact_read", {"product": product, "artifact_id": ident}) for ident in rows)
    return len(rows), sum(size(answer["content"], answer["metadata"])
                          for answer in all_of(peer, asked, window=100))


@pytest.mark.parametrize("crash", [("bucket",), ("broker", "bucket")])
def test_a_quota_holds_through_64_writers_and_a_crash(bhiv, tmp_path, crash):
    """Row 32: never over, and the counter is the real size."""
    quota_bytes = 400_000
    env = {"BHIV_BUCKET_QUOTAS": f"gurukul={quota_bytes}"}
    rng = random.Random(32)
    with System(bhiv, tmp_path / "d", args=PARTS, env=env) as system:
        with Peer(system.ingress, system.egress, source="filler") as peer:
            eventually(lambda: quota(peer, "gurukul")["quota_bytes"] == quota_bytes)
            used = n = 0
            while used < quota_bytes * 0.999 - 1200:
                body = write_body("gurukul", f"fill-{n}", {"x": "y" * 1000})
                assert command(peer, "bucket.artifact_write", body)[1]["status"] == "success"
                used, n = quota(peer, "gurukul")["used_bytes"], n + 1
        halt = threading.Event()
        peers = [Peer(system.ingress, system.egress, source=f"writer_{n}") for n in range(64)]
        answered = {}
        bodies = [[write_body("gurukul", f"{n}-{i}", {"x": "y" * rng.randrange(60)}) for i in range(200)]
                  for n in range(64)]

        def writing(n):
            for body in bodies[n]:
                ident = send(peers[n], "bucket.artifact_write", body, id=f"m-{body['artifact_id']}")
                while not halt.is_set():
                    try:
                        answered[body["artifact_id"]] = peers[n].answer(ident, 0.5, ack=False)[1]
                        break
                    except TimeoutError:
                        continue
                if halt.is_set():
                    return

        threads = [threading.Thread(target=writing, args=(n,)) for n in range(64)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(answered) > 100, 60, what="the writers are at it")
        pids = {part: system.kill(part) for part in crash}
        for part, pid in pids.items():
            system.restarted(part, pid)
        halt.set()
        for thread in threads:
            thread.join(30)
        for peer in peers:
            peer.close(linger=0)
        with Peer(system.ingress, system.egress, source="judge") as peer:
            eventually(lambda: peer.ask("req.bucket.health")[0]["status"] == "success")
            last = max(header["seq"] for _, header, _ in peer.fetch_all(["bucket."]))
            eventually(lambda: peer.ask("req.bucket.health")[1]["cursor"] >= last)
            use = quota(peer, "gurukul")
            assert use["used_bytes"] <= quota_bytes
            assert (use["artifacts"], use["used_bytes"]) == real_size(peer, "gurukul")
            for ident, answer in answered.items():
                got = read(peer, "gurukul", ident)
                assert (got["status"] == "success") == (answer["status"] == "success"), (answer, got)
            assert {answer.get("error_code") for answer in answered.values()} <= {None, "QUOTA_EXCEEDED"}
            refused = [answer for answer in answered.values() if answer["status"] == "error"]
            assert refused and use["used_bytes"] > quota_bytes - 200, "the quota was not reached"


# --- Time ------------------------------------------------------------------------------------------


class Clocked:
    """A system whose wall clock is stepped, each time with a broker that starts by it."""

    def __init__(self, system, peer, page):
        self.system, self.peer, self.page = system, peer, page

    def step(self, by_us):
        self.page.clock_us = self.page.clock_us + by_us
        pid = self.system.kill("broker")
        self.system.restarted("broker", pid)
        self.peer.wait_welcome()
        self.ready()

    def ready(self):
        def answers():
            try:
                return self.peer.ask("req.bucket.health", timeout=2)[0]["status"] == "success"
            except TimeoutError:
                return False
        eventually(answers, 30, what="Bucket answers")

    def now(self):
        """The journal's time."""
        return self.peer.publish("core.event.now", {"requester_id": "bhiv_core"})["at"]

    def own(self, topic, body):
        return owner(self.peer, self.system.owner_token, topic, body, self.now())

    def is_there(self, ident):
        answer = read(self.peer, "gurukul", ident)
        assert answer["status"] == "success" or answer["message"] == NOT_FOUND, answer
        return answer["status"] == "success"


@pytest.fixture(name="clocked")
def fixture_clocked(bhiv, tmp_path, faults):
    page = faults("none")
    with System(bhiv, tmp_path / "d", PARTS, page.env) as system, \
            Peer(system.ingress, system.egress, source="bhiv_core") as peer:
        yield Clocked(system, peer, page)


def test_what_is_held_stays_through_ten_sweeps_and_the_rest_goes(clocked):
    """Row 31, and nothing goes early: by a clock that goes on 23 hours at a time."""
    peer = clocked.peer
    write(peer, "gurukul", "held", {"keep": 1}, retention_days=1)
    write(peer, "gurukul", "long", {"keep": 1}, retention_days=2555)
    held = clocked.own("bucket.legal_hold", {"artifact_id": "held", "product": "gurukul", "hold": True,
                                             "reason": "a court"})
    assert held["status"] == "success", held
    before = quota(peer, "gurukul")
    write(peer, "gurukul", "short-0", {"n": 0}, retention_days=1)
    for n in range(11):
        clocked.step(23 * HOUR)
        assert clocked.is_there(f"short-{n}"), "removed early"
        if n > 0:
            eventually(lambda n=n: not clocked.is_there(f"short-{n - 1}"), 30, 0.2, "a sweep")
        assert clocked.is_there("held") and clocked.is_there("long")
        write(peer, "gurukul", f"short-{n + 1}", {"n": n}, retention_days=1)
    assert quota(peer, "gurukul")["artifacts"] == before["artifacts"] + 2
    swept = entries(peer, event_type="retention")
    assert [entry["subject"] for entry in swept if entry["rule"] == "retention_expired"] == [
        f"short-{n}" for n in range(10)]
    for entry in swept:
        if entry["rule"] == "retention_expired":
            assert entry["details"]["retention_until"] < entry["at"]
            assert entry["details"]["removed"] is True and len(entry["content_hash"]) == 64
    kept = [entry for entry in swept if entry["rule"] == "legal_hold"]
    assert [entry["subject"] for entry in kept] == ["held"], "decided once, not at every sweep"
    sweeps = sum(1 for _ in peer.fetch_all(["bucket.sweep"]))
    assert 10 <= sweeps <= 12, "a sweep is said when something is due, and once"
    gone = clocked.own("bucket.deletion.approve", {"artifact_id": "held", "product": "gurukul",
                                                   "reason": "r"})
    assert gone["error_code"] == "LEGAL_HOLD"
    clocked.own("bucket.legal_hold", {"artifact_id": "held", "product": "gurukul", "hold": False,
                                      "reason": "settled"})
    eventually(lambda: not clocked.is_there("held"), 30, 0.2, "the sweep after the hold")
    assert clocked.is_there("long")


def test_after_the_clock_jumped_nothing_goes_until_the_owner_says_so(clocked):
    peer = clocked.peer
    write(peer, "gurukul", "short", retention_days=1)
    clocked.step(400 * DAY)
    first = clocked.now()
    health = peer.ask("req.bucket.health")[1]["governance"]
    assert health["sweeps"] != "on", health
    # Two ticks have come and gone when the journal's clock has gone on by more than two seconds.
    eventually(lambda: clocked.now() > first + 2_500_000, 20, 0.2, "two ticks")
    assert clocked.is_there("short")
    assert not list(peer.fetch_all(["bucket.sweep"]))
    answer = clocked.own("bucket.retention.resume", {"reason": "it was off for a year"})
    assert answer["status"] == "success" and answer["was_held"] is True, answer
    eventually(lambda: not clocked.is_there("short"), 30, 0.2, "a sweep")
    rules = [entry["rule"] for entry in entries(peer, event_type="retention")]
    assert rules == ["sweeps_wait_for_owner", "retention_expired"]


# --- Damage ----------------------------------------------------------------------------------------


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def places(path, mark):
    """Where the bytes stand in the file."""
    data = path.read_bytes()
    found, at = [], data.find(mark)
    while at >= 0:
        found.append(at)
        at = data.find(mark, at + 1)
    return found


def test_a_flipped_byte_of_a_content_is_an_error_and_never_served(bhiv, tmp_path):
    """Row 5: told to who asks, to the log, the audit log and the journal; the rest is served."""
    folder = tmp_path / "d"
    marks = {n: os.urandom(24).hex() for n in range(40)}
    damaged = set(range(0, 40, 4))
    with System(bhiv, folder, args=PARTS) as system, \
            Peer(system.ingress, system.egress) as peer:
        for n, mark in marks.items():
            write(peer, "gurukul", f"a-{n}", {"mark": mark}, tags=["t"])
    path = folder / "bucket" / "data.mdb"
    for n in damaged:
        found = places(path, marks[n].encode())
        assert found, "the mark is in the store"
        for at in found:  # older copies of the page, too
            flip(path, at + 7)
    with System(bhiv, folder, args=PARTS) as system, \
            Peer(system.ingress, system.egress) as peer:
        eventually(lambda: peer.ask("req.bucket.health")[0]["status"] == "success")
        for n, mark in marks.items():
            answer = read(peer, "gurukul", f"a-{n}")
            if n in damaged:
                assert answer["error_code"] == "INTEGRITY_ERROR", answer
                assert "content" not in answer and mark not in str(answer)
            else:
                assert answer["content"] == {"mark": mark}
        assert query(peer, "gurukul", tags=["t"])["returned"] == 40
        assert write(peer, "gurukul", "after", tags=["t"])["status"] == "success"
        critical = entries(peer, severity="CRITICAL")
        assert {entry["subject"] for entry in critical} == {f"a-{n}" for n in damaged}
        facts = [body for _, _, body in peer.fetch_all(["governance.integrity"])]
        assert {fact["artifact_id"] for fact in facts} == {f"a-{n}" for n in damaged}
        assert system.log_path.read_text().count("artifact_damaged") == len(damaged)


def test_a_flipped_byte_of_a_record_hides_that_artifact_alone(bhiv, tmp_path):
    folder = tmp_path / "d"
    marks = {n: os.urandom(24).hex() for n in range(20)}
    with System(bhiv, folder, args=PARTS) as system, \
            Peer(system.ingress, system.egress) as peer:
        for n, mark in marks.items():
            write(peer, "gurukul", f"a-{n}", {"n": n}, tags=["t"], mark=mark)
    path = folder / "bucket" / "data.mdb"
    for at in places(path, marks[7].encode()):
        flip(path, at)
    with System(bhiv, folder, args=PARTS) as system, \
            Peer(system.ingress, system.egress) as peer:
        eventually(lambda: peer.ask("req.bucket.health")[0]["status"] == "success")
        answer = query(peer, "gurukul", tags=["t"])
        assert [row["artifact_id"] for row in answer["artifacts"]] == [
            f"a-{n}" for n in range(20) if n != 7]
        assert answer["damaged"] == 1
        assert read(peer, "gurukul", "a-7")["error_code"] == "INTEGRITY_ERROR"
        assert read(peer, "gurukul", "a-8")["content"] == {"n": 8}
        assert write(peer, "gurukul", "a-7")["error_code"] == "DUPLICATE_ARTIFACT_ID"
        body = {"artifact_id": "a-7", "product": "gurukul", "reason": "it is damaged"}
        refused = owner(peer, system.owner_token, "bucket.deletion.approve", body)
        assert refused["error_code"] == "INTEGRITY_ERROR", refused


# --- Room ------------------------------------------------------------------------------------------


def test_a_full_store_refuses_artifacts_while_deletions_holds_and_reads_go_on(bhiv, tmp_path):
    """Row 7: refused before it is full; what makes room still works, and room is used again."""
    env = {"BHIV_STORE_BYTES": "16m", "BHIV_OWNER_EMAIL": "owner@example.org"}
    content = {"x": "y" * 20000}
    with System(bhiv, tmp_path / "d", args=PARTS, env=env) as system, \
            Peer(system.ingress, system.egress) as peer:
        def health():
            return peer.ask("req.bucket.health")[1]

        def fill(name):
            """Writes until it is refused; not faster than a tick can see it coming."""
            for n in range(2000):
                answer = write(peer, "gurukul", f"{name}-{n}", content)
                if answer["status"] == "error":
                    return n, answer
                if n % 20 == 19 and health()["storage"]["bytes"] > 0.8 * 16 * 2**20:
                    seen = health()["uptime_seconds"]
                    eventually(lambda seen=seen: health()["uptime_seconds"] > seen + 1, 10, 0.1, "a tick")
            raise AssertionError("it never was full")

        count, refused = fill("a")
        assert refused["error_code"] == "STORE_FULL" and refused["rule"] == "store_full", refused
        assert count > 300 and health()["status"] == "healthy"
        assert read(peer, "gurukul", "a-0")["content"] == content
        hold = {"artifact_id": "a-0", "product": "gurukul", "hold": True, "reason": "r"}
        assert owner(peer, system.owner_token, "bucket.legal_hold", hold)["status"] == "success"
        assert write(peer, "ai_avatar", "b")["error_code"] == "STORE_FULL"
        for n in range(1, count // 3):
            body = {"artifact_id": f"a-{n}", "product": "gurukul", "reason": "room"}
            assert owner(peer, system.owner_token, "bucket.deletion.approve", body)["status"] == "success"
        eventually(lambda: health()["governance"]["writes"] == "on", what="room again")
        again, refused = fill("c")
        assert again > 50 and refused["error_code"] == "STORE_FULL"
        use = quota(peer, "gurukul")
        assert (use["artifacts"], use["used_bytes"]) == real_size(peer, "gurukul")
        rules = [entry["rule"] for entry in entries(peer, event_type="governance")
                 if entry["operation"] == "storage"]
        assert rules == ["store_full", "store_has_room", "store_full"]
        system.stop()
        system.env["BHIV_STORE_BYTES"] = "64m"
        system.start()
        peer.wait_welcome()
        eventually(lambda: health()["governance"]["writes"] == "on", what="a larger store")
        assert write(peer, "gurukul", "after", content)["status"] == "success"

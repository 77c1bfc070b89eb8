"""Artifacts over the bus: the channels' shapes and errors, round trips, races, isolation."""

import random
import statistics
import threading
import time
import uuid

import pytest
from support.artifacts import (NOT_FOUND, PRODUCTS, Model, all_of, checksum, command, every, owner,
                               query, quota, read, send, size, time_of, write, write_body)
from support.owner import sign
from support.peer import Peer, pack
from support.system import System, eventually

PARTS = ("--dev", "--only", "broker,bucket")


@pytest.fixture(name="system", scope="module")
def fixture_system(bhiv, tmp_path_factory):
    with System(bhiv, tmp_path_factory.mktemp("artifacts") / "d", args=PARTS) as running:
        yield running


@pytest.fixture(name="peer")
def fixture_peer(system):
    with Peer(system.ingress, system.egress, source="bhiv_core") as peer:
        yield peer


def fresh(prefix="a"):
    return f"{prefix}-{uuid.uuid4().hex}"


def entry_of(peer, audit_id):
    header, answer = peer.ask("req.bucket.audit_entry", {"audit_id": audit_id})
    assert header["status"] == "success", answer
    return answer["entry"]


# --- The contract's shapes -------------------------------------------------------------------------


def test_a_write_is_confirmed_as_the_contract_says(peer):
    ident = fresh()
    answer = write(peer, "ai_assistant", ident, {"a": 1}, retention_days=90)
    assert list(answer) == ["channel", "status", "artifact_id", "stored_at", "retention_until",
                            "storage_location", "checksum", "decision", "rule", "audit_id"]
    assert answer["channel"] == "write_confirmation" and answer["artifact_id"] == ident
    assert answer["storage_location"] == f"bucket://ai_assistant/{ident}"
    assert answer["checksum"] == checksum({"a": 1})
    days = time_of(answer["retention_until"]) - time_of(answer["stored_at"])
    assert days == 90 * 86400 * 1_000_000
    entry = entry_of(peer, answer["audit_id"])
    assert (entry["event_type"], entry["operation"], entry["subject"], entry["product"]) == (
        "write", "artifact_write", ident, "ai_assistant")
    assert "sha256:" + entry["content_hash"] == answer["checksum"]
    assert entry["requester_id"] == "tester"


def test_a_read_tells_where_it_comes_from(peer):
    ident = fresh()
    wrote = command(peer, "bucket.artifact_write", write_body("gurukul", ident, {"a": 1}),
                    trace_id="trace-7")[1]
    answer = read(peer, "gurukul", ident)
    assert answer["channel"] == "read_response" and answer["created_at"] == wrote["stored_at"]
    assert answer["metadata"] == {"product": "gurukul", "created_by": "tester"}
    assert time_of(answer["accessed_at"]) >= time_of(answer["created_at"])
    assert answer["provenance"] == {
        "requester_id": "tester", "trace_id": "trace-7",
        "seq": int(wrote["audit_id"].removeprefix("audit_")), "checksum": wrote["checksum"],
        "audit_id": wrote["audit_id"]}
    entry = entry_of(peer, answer["audit_id"])
    assert (entry["event_type"], entry["subject"]) == ("read", ident)


def test_a_query_answers_a_page_and_says_what_there_is(peer):
    tag = fresh("tag")
    for n in range(5):
        write(peer, "gurukul", f"{tag}-{n}", {"n": n}, tags=["x", tag])
    answer = query(peer, "gurukul", tags=[tag, "x"], limit=2)
    assert list(answer) == ["channel", "status", "artifacts", "total", "returned", "query_time_ms",
                            "next_cursor", "decision", "rule", "audit_id"]
    assert answer["channel"] == "query_results"
    assert (answer["total"], answer["returned"]) == (5, 2)
    assert isinstance(answer["query_time_ms"], int) and 0 <= answer["query_time_ms"] < 1000
    assert [list(row) for row in answer["artifacts"]] == [["artifact_id", "metadata", "created_at"]] * 2
    assert [row["artifact_id"] for row in every(peer, "gurukul", tags=[tag])] == [
        f"{tag}-{n}" for n in range(5)]
    entry = entry_of(peer, answer["audit_id"])
    assert entry["details"] == {"filters": {"tags": [tag, "x"], "limit": 2}, "returned": 2, "total": 5}


def test_every_error_of_a_channel_is_audited_and_says_so(peer):
    ident = fresh()
    write(peer, "gurukul", ident)
    cases = [
        (write(peer, "gurukul", ident), "DUPLICATE_ARTIFACT_ID", "Artifact ID already exists"),
        (read(peer, "gurukul", fresh()), "ARTIFACT_NOT_FOUND", NOT_FOUND),
        (query(peer, "gurukul", limit=1001), "VALIDATION_FAILED", None),
        (write(peer, "everybody", ident), "VALIDATION_FAILED", None),
        (write(peer, "gurukul", "a\nb"), "VALIDATION_FAILED", None),
        (write(peer, "gurukul", fresh(), tags=["x"] * 33), "VALIDATION_FAILED", None),
        (query(peer, "gurukul", cursor="0" * 32), "VALIDATION_FAILED", None),
    ]
    for answer, code, message in cases:
        assert answer["channel"] == "error_message" and answer["status"] == "error"
        assert answer["error_code"] == code, answer
        assert answer["decision"] == "refused" and answer["rule"]
        assert message is None or answer["message"] == message
        assert entry_of(peer, answer["audit_id"])["error_code"] == code
    assert cases[2][0]["details"] == [{"field": "filters.limit", "problem": "is out of range"}]


def test_the_monitors_hear_of_everything_but_the_content(peer):
    ident, secret = fresh(), uuid.uuid4().hex
    peer.subscribe("bucket.out.")
    write(peer, "enforcement", ident, {"secret": secret})
    read(peer, "enforcement", ident)
    query(peer, "enforcement", limit=1)
    read(peer, "enforcement", fresh())
    heard = [peer.hear() for _ in range(4)]
    assert [topic for topic, _, _ in heard] == [
        f"bucket.out.{channel}.enforcement"
        for channel in ("write_confirmation", "read_response", "query_results", "error_message")]
    assert all(body["channel"] == topic.split(".")[2] for topic, _, body in heard)
    assert secret.encode() not in pack([body for _, _, body in heard])
    assert heard[1][2]["artifact_id"] == ident and heard[2][2]["returned"] == 1


# --- Round trips -----------------------------------------------------------------------------------

NASTY = {
    "z": 1, "a": 2, "": "empty key", "big": 2**63 - 1, "small": -(2**63), "just": 2**53 + 1,
    "floats": [1e-320, 0.1, -0.0, 0.0, 1.0, 5e-324, 1.7976931348623157e308, 2.0**53, -1e22],
    "unicode": "\u00e9 e\u0301 \U0001f600 \u202e \ufffd \x7f \t\n\u2028",
    "deep": {"l": [[[[{"m": {"n": [None, True, False, {}, []]}}]]]]},
    "keys": {str(n): n for n in range(20, 0, -1)},
    "channel": "artifact_read", "priority": "urgent", "bypass_validation": True, "product": "x",
    "text": "x" * 70000,
}


def test_content_comes_back_byte_for_byte(peer):
    ident = fresh()
    metadata = {"zeta": -0.0, "alpha": [1e-320], "tags": ["t", "\u00e9"], "nested": {"b": 1, "a": 2}}
    wrote = write(peer, "ai_avatar", ident, NASTY, **metadata)
    assert wrote["checksum"] == checksum(NASTY)
    answer = read(peer, "ai_avatar", ident)
    assert pack(answer["content"]) == pack(NASTY)
    assert pack(answer["metadata"]) == pack({"product": "ai_avatar", "created_by": "tester", **metadata})
    row = query(peer, "ai_avatar", tags=["\u00e9"])["artifacts"][0]
    assert pack(row["metadata"]) == pack(answer["metadata"])


def test_random_content_comes_back_byte_for_byte(peer):
    rng = random.Random(4)

    def value(depth):
        kind = rng.randrange(8 if depth < 8 else 6)
        if kind == 0:
            return rng.choice([None, True, False])
        if kind == 1:
            return rng.randrange(-(2**63), 2**63)
        if kind == 2:
            return rng.randrange(-200, 300)
        if kind == 3:
            return rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)
        if kind in (4, 5):
            return "".join(chr(rng.choice([65, 0x20, 0x7f, 0xe9, 0x4e2d, 0x1f600])) for _ in range(rng.randrange(40)))
        if kind == 6:
            return [value(depth + 1) for _ in range(rng.randrange(5))]
        return {f"{rng.randrange(100)}": value(depth + 1) for _ in range(rng.randrange(20))}

    contents = [{"v": value(0)} for _ in range(300)]
    name = fresh()
    list(all_of(peer, (("bucket.artifact_write", write_body("ai_avatar", f"{name}-{n}", content))
                       for n, content in enumerate(contents))))
    answers = all_of(peer, (("bucket.artifact_read", {"product": "ai_avatar", "artifact_id": f"{name}-{n}"})
                            for n in range(len(contents))))
    for answer, content in zip(answers, contents):
        assert pack(answer["content"]) == pack(content)


def test_an_artifact_of_nearly_a_mebibyte_is_kept(peer):
    ident = fresh()
    content = {"text": "x" * (1024 * 1024 - 400)}
    assert write(peer, "gurukul", ident, content)["status"] == "success"
    assert read(peer, "gurukul", ident)["content"] == content


def test_pages_are_cut_where_they_would_be_too_large(peer):
    tag = fresh("tag")
    answers = all_of(peer, (("bucket.artifact_write",
                             write_body("gurukul", f"{tag}-{n:03}", {}, tags=[tag], words="x" * 60000))
                            for n in range(120)), window=10)
    assert all(answer["status"] == "success" for answer in answers)
    first = query(peer, "gurukul", tags=[tag], limit=1000)
    assert first["total"] == 120 and 40 < first["returned"] < 60 and first["next_cursor"]
    assert [row["artifact_id"] for row in every(peer, "gurukul", tags=[tag])] == [
        f"{tag}-{n:03}" for n in range(120)]


def test_a_total_above_ten_thousand_is_a_lower_bound_and_says_so(peer):
    tag = fresh("tag")
    answers = list(all_of(peer, (("bucket.artifact_write", write_body("enforcement", f"{tag}-{n}", {}, tags=[tag]))
                                 for n in range(10_002)), window=2000))
    after = answers[0]["stored_at"]  # everything but the first, or its whole batch
    answer = query(peer, "enforcement", tags=[tag], limit=1, created_before="9999-01-01T00:00:00Z")
    assert (answer["total"], answer["total_is_lower_bound"]) == (10_000, True)
    exact = query(peer, "enforcement", tags=[tag], limit=1)
    assert exact["total"] == 10_002 and "total_is_lower_bound" not in exact
    late = query(peer, "enforcement", tags=[tag], limit=1, created_after=answers[5000]["stored_at"])
    expected = sum(1 for each in answers if each["stored_at"] > answers[5000]["stored_at"])
    assert late["total"] == expected and "total_is_lower_bound" not in late
    assert after <= answers[-1]["stored_at"]


# --- Races -----------------------------------------------------------------------------------------


def together(count, work):
    """Runs work(n) in `count` threads at once and returns what each returned."""
    results, errors = [None] * count, []
    gate = threading.Barrier(count)

    def run(n):
        try:
            gate.wait(30)
            results[n] = work(n)
        except Exception as error:  # noqa: BLE001 - told below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(90)
    assert not errors, errors
    return results


def test_of_eight_racers_for_an_id_one_wins(system):
    """Row 17: for each of 500 ids, one success and seven duplicates; the winner's content stays."""
    name = fresh()
    peers = [Peer(system.ingress, system.egress, source=f"racer_{n}") for n in range(8)]

    def race(n):
        return list(all_of(peers[n], (
            ("bucket.artifact_write", write_body("gurukul", f"{name}-{i}", {"by": n}))
            for i in range(500)), window=50))

    results = together(8, race)
    reads = list(all_of(peers[0], (("bucket.artifact_read", {"product": "gurukul", "artifact_id": f"{name}-{i}"})
                                   for i in range(500))))
    for i in range(500):
        won = [n for n in range(8) if results[n][i]["status"] == "success"]
        assert len(won) == 1, [results[n][i] for n in range(8)]
        lost = [results[n][i]["error_code"] for n in range(8) if n != won[0]]
        assert lost == ["DUPLICATE_ARTIFACT_ID"] * 7
        assert reads[i]["content"] == {"by": won[0]}
    for peer in peers:
        peer.close()


def test_one_message_from_eight_places_is_one_write(system, peer):
    """Row 16: the same id from the same source is the same message, wherever it comes from."""
    before = quota(peer, "gurukul")["artifacts"]
    peers = [Peer(system.ingress, system.egress, source="eight") for _ in range(8)]
    message, ident = fresh("m"), fresh()

    def publish(n):
        asked = peers[n].send("bucket.artifact_write", write_body("gurukul", ident, {"a": 1}), id=message,
                              reply_to=peers[n].inbox)
        return peers[n].answer(asked, 20, ack=False)[1]

    answers = together(8, publish)
    assert all(answer == answers[0] for answer in answers) and answers[0]["status"] == "success"
    assert quota(peer, "gurukul")["artifacts"] == before + 1
    for each in peers:
        each.close()


def test_a_repeat_with_its_idempotency_key_is_one_write(peer):
    ident, key = fresh(), fresh("key")
    body = write_body("gurukul", ident, {"a": 1})
    first = command(peer, "bucket.artifact_write", body, idem=key)[1]
    assert command(peer, "bucket.artifact_write", body, idem=key)[1] == first
    other = command(peer, "bucket.artifact_write", {**body, "content": {"a": 2}}, idem=key)[1]
    assert other["error_code"] == "IDEMPOTENCY_KEY_REUSED"
    assert read(peer, "gurukul", ident)["content"] == {"a": 1}


# --- Isolation -------------------------------------------------------------------------------------


def strip(answer):
    """An answer without what differs from answer to answer."""
    return {key: value for key, value in answer.items() if key not in ("audit_id", "timestamp")}


def test_a_wrong_product_is_answered_as_an_id_that_nobody_has(peer):
    """Row 28: the same answer and the same entry, whoever holds the id; counted all the same."""
    idents = {product: fresh() for product in PRODUCTS}
    for product, ident in idents.items():
        write(peer, product, ident, {"of": product})
    for holder in PRODUCTS:
        for asker in PRODUCTS:
            who = fresh("who")[:40]  # of its own each time: no window fills
            absent, hidden = (
                command(peer, "bucket.artifact_read",
                        {"product": asker, "artifact_id": ident, "requester_id": who})[1]
                for ident in (fresh(), idents[holder]))
            if holder == asker:
                assert hidden["content"] == {"of": holder}
                continue
            assert strip(hidden) == strip(absent)
            assert hidden["error_code"] == "ARTIFACT_NOT_FOUND" and hidden["message"] == NOT_FOUND
            entries = [entry_of(peer, answer["audit_id"]) for answer in (absent, hidden)]
            for entry in entries:
                for key in ("audit_id", "seq", "at", "subject", "trace_id", "id"):
                    entry.pop(key, None)
            assert entries[0] == entries[1]


def test_many_wrong_products_in_a_row_are_answered_no_differently(peer):
    """What is hidden stays hidden beyond the third, where a violation would be escalated."""
    ident = fresh()
    write(peer, "gurukul", ident)
    answers = {}
    for name, asked in (("absent", fresh()), ("hidden", ident)):
        answers[name] = [strip(command(peer, "bucket.artifact_read", {
            "product": "ai_avatar", "artifact_id": asked, "requester_id": f"{name}-prober"})[1])
            for _ in range(6)]
    assert answers["hidden"] == answers["absent"]
    violations = peer.ask("req.bucket.violations", {"hours": 1})[1]
    assert "hidden-prober" in str(violations) and "absent-prober" not in str(violations)


def test_how_long_it_takes_tells_nothing(peer):
    """Row 28: medians of 200 reads each, taken in turns; a product's secret is not a stopwatch away."""
    ident = fresh()
    write(peer, "gurukul", ident, {"text": "x" * 100000})
    took = {"absent": [], "hidden": []}
    for n in range(200):
        for name, asked in (("absent", fresh()), ("hidden", ident)):
            body = {"product": "ai_avatar", "artifact_id": asked, "requester_id": f"timer-{n % 20}"}
            start = time.perf_counter()
            command(peer, "bucket.artifact_read", body)
            took[name].append(time.perf_counter() - start)
    absent, hidden = (statistics.median(took[name]) for name in ("absent", "hidden"))
    assert hidden < 1.5 * absent + 0.001 and absent < 1.5 * hidden + 0.001, (absent, hidden)


class Requests:
    """Random requests of four products that use the same ids and tags, and what must come of them."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.model = Model()
        self.name = fresh()
        self.marks = {product: f"secret-of-{product}-{uuid.uuid4().hex}" for product in PRODUCTS}
        self.times = []

    def next(self):
        rng = self.rng
        product = rng.choice(PRODUCTS)
        ident = f"{self.name}-{rng.randrange(120)}"
        kind = rng.random()
        if kind < 0.3:
            tags = rng.sample(["red", "green", "blue", self.name], rng.randrange(5))
            content = {"mark": self.marks[product], "n": rng.randrange(2**40)}
            return "bucket.artifact_write", write_body(
                product, ident, content, tags=tags, mark=self.marks[product])
        if kind < 0.6:
            return "bucket.artifact_read", {"product": product, "artifact_id": ident}
        if kind < 0.65:
            return "bucket.artifact_read", {"product": product, "artifact_id": ident,
                                            "requesting_product": rng.choice(PRODUCTS)}
        filters = {"tags": [self.name, *rng.sample(["red", "green", "blue"], rng.randrange(3))],
                   "limit": rng.choice([1, 3, 10, 1000])}
        if self.times and rng.random() < 0.5:
            filters["created_after"] = rng.choice(self.times)
        if self.times and rng.random() < 0.5:
            filters["created_before"] = rng.choice(self.times)
        return "bucket.metadata_query", {"product": product, "filters": filters}

    def judge(self, topic, body, answer):
        product = body.get("product") or body["metadata"]["product"]
        said = pack(answer)
        for other in PRODUCTS:
            assert other == product or self.marks[other].encode() not in said, (body, answer)
        if topic == "bucket.artifact_write":
            self.model.written(body, answer)
            self.times.extend([answer["stored_at"]] if answer["status"] == "success" else [])
        elif body.get("requesting_product", product) != product:
            assert answer["error_code"] == "UNAUTHORIZED_ACCESS", answer
        elif topic == "bucket.artifact_read":
            self.model.was_read(product, body["artifact_id"], answer)
        else:
            self.judge_query(product, body["filters"], answer)

    def judge_query(self, product, filters, answer):
        after, before = filters.get("created_after"), filters.get("created_before")
        if after and before and time_of(after) >= time_of(before):
            assert answer["error_code"] == "VALIDATION_FAILED"
            return
        expected = self.model.matching(product, **filters)
        got = [row["artifact_id"] for row in answer["artifacts"]]
        assert got == expected[: filters["limit"]], (filters, got, expected)
        assert (answer["total"], answer["returned"]) == (len(expected), len(got))
        assert (answer["next_cursor"] is not None) == (len(got) < len(expected))


def test_no_answer_has_anothers_data(peer):
    """A property over 5,000 random requests of four products, against an independent model."""
    requests = Requests(seed=28)
    for _ in range(50):
        block = [requests.next() for _ in range(100)]
        for (topic, body), answer in zip(block, all_of(peer, block, window=100)):
            requests.judge(topic, body, answer)
    kept = sum(len(kept) for kept in requests.model.kept.values())
    assert kept > 300, "the requests were no test"


def test_the_quota_is_what_the_artifacts_take(peer):
    """Whatever the other tests left: the counter is the sum over what is there."""
    for product in PRODUCTS:
        rows = {row["artifact_id"]: row["metadata"] for row in every(peer, product)}
        asked = (("bucket.artifact_read", {"product": product, "artifact_id": ident}) for ident in rows)
        total = 0
        for answer in all_of(peer, asked, window=100):
            assert answer["metadata"] == rows[answer["artifact_id"]]
            total += size(answer["content"], answer["metadata"])
        use = quota(peer, product)
        assert (use["artifacts"], use["used_bytes"]) == (len(rows), total)


# --- The owner -------------------------------------------------------------------------------------


def test_only_the_owner_holds_and_deletes(system, peer):
    ident = fresh()
    content = {"a": "b"}
    before = quota(peer, "gurukul")["used_bytes"]
    write(peer, "gurukul", ident, content)
    metadata = {"product": "gurukul", "created_by": "tester"}
    assert quota(peer, "gurukul")["used_bytes"] == before + size(content, metadata)
    body = {"artifact_id": ident, "product": "gurukul", "hold": True, "reason": "a court"}
    assert command(peer, "bucket.legal_hold", body)[1]["error_code"] == "UNAUTHORIZED_ACCESS"
    wrong = owner(peer, "not the token", "bucket.legal_hold", body)
    assert wrong["error_code"] == "UNAUTHORIZED_ACCESS"
    held = owner(peer, system.owner_token, "bucket.legal_hold", body)
    assert held["status"] == "success" and held["hold"] is True, held
    gone = {"artifact_id": ident, "product": "gurukul", "reason": "asked for"}
    refused = owner(peer, system.owner_token, "bucket.deletion.approve", gone)
    assert refused["error_code"] == "LEGAL_HOLD"
    owner(peer, system.owner_token, "bucket.legal_hold", {**body, "hold": False})
    deleted = owner(peer, system.owner_token, "bucket.deletion.approve", gone)
    assert deleted["status"] == "success", deleted
    entry = entry_of(peer, deleted["audit_id"])
    assert entry["event_type"] == "owner" and entry["details"]["reason"] == "asked for"
    assert "sha256:" + entry["content_hash"] == checksum(content)
    assert entry["details"]["legal_hold"] is False and entry["details"]["removed"] is True
    assert read(peer, "gurukul", ident)["error_code"] == "ARTIFACT_NOT_FOUND"
    assert write(peer, "gurukul", ident)["error_code"] == "DUPLICATE_ARTIFACT_ID"
    assert quota(peer, "gurukul")["used_bytes"] == before


def test_an_owners_command_works_once(system, peer):
    """Whoever saw it in the journal cannot say it again."""
    ident = fresh()
    write(peer, "gurukul", ident)
    body = {"artifact_id": ident, "product": "gurukul", "hold": True, "reason": "a court"}
    signed = sign(system.owner_token, "bucket.legal_hold", body)
    assert command(peer, "bucket.legal_hold", signed)[1]["status"] == "success"
    assert command(peer, "bucket.legal_hold", signed)[1]["error_code"] == "UNAUTHORIZED_ACCESS"
    moved = sign(system.owner_token, "bucket.legal_hold", body)
    answer = command(peer, "bucket.legal_hold", {**moved, "hold": False})[1]
    assert answer["error_code"] == "UNAUTHORIZED_ACCESS"


def test_a_small_quota_warns_once_and_refuses_to_the_byte(bhiv, tmp_path):
    env = {"BHIV_BUCKET_QUOTAS": "gurukul=10KB", "BHIV_OWNER_EMAIL": "owner@example.org"}
    with System(bhiv, tmp_path / "d", args=PARTS, env=env) as system, \
            Peer(system.ingress, system.egress) as peer:
        eventually(lambda: quota(peer, "gurukul")["quota_bytes"] == 10_000, what="the configuration")
        each = size({"x": "y" * 900}, {"product": "gurukul", "created_by": "tester"})
        answers = [write(peer, "gurukul", f"a-{n}", {"x": "y" * 900}) for n in range(12)]
        fits = 10_000 // each
        assert [answer["status"] for answer in answers] == ["success"] * fits + ["error"] * (12 - fits)
        assert answers[-1]["error_code"] == "QUOTA_EXCEEDED"
        assert answers[-1]["details"] == {"product": "gurukul", "quota_bytes": 10_000,
                                          "used_bytes": fits * each, "needed_bytes": each}
        assert quota(peer, "gurukul")["status"] == "warning"
        warnings = list(peer.fetch_all(["governance.quota_warning"]))
        assert len(warnings) == 1 and warnings[0][2]["used_bytes"] >= 9000
        mails = [body for topic, _, body in peer.fetch_all(["workflow."]) if "90 %" in str(body)]
        assert len(mails) == 1
        assert write(peer, "ai_avatar", "a-1")["status"] == "success"


def test_what_is_sent_in_one_go_is_applied_in_its_order(peer):
    """A read behind its write sees it, within one page of the journal, too."""
    name = fresh()
    asked = []
    for n in range(50):
        asked.append(send(peer, "bucket.artifact_write", write_body("gurukul", f"{name}-{n}", {"n": n})))
        asked.append(send(peer, "bucket.artifact_read", {"product": "gurukul", "artifact_id": f"{name}-{n}"}))
    answers = [peer.answer(ident, 20, ack=False)[1] for ident in asked]
    assert [answer["content"]["n"] for answer in answers[1::2]] == list(range(50))

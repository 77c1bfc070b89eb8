"""The kernels that keep: governance, memory and librarian, in a whole running system."""

import hashlib
import json
import os
import random
import signal
import subprocess
import uuid

import pytest
from support.peer import Peer
from support.system import System, eventually

KERNELS = ("kernel-governance", "kernel-memory", "kernel-librarian")


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    # Without the brain: it would ask for documents to be mended as soon as a bad one comes in. And a
    # machine that is busy with tests is no reason for the queue to hold tasks back.
    env = {"BHIV_HTM_STRAINED_CPU": "1000", "BHIV_HTM_STRAINED_MEMORY": "1000"}
    folder = tmp_path_factory.mktemp("keep") / "d"
    with System(bhiv, folder, args=("--dev", "--without", "brain"), env=env) as running:
        yield running


@pytest.fixture(name="peer")
def fixture_peer(system):
    with Peer(system.ingress, system.egress, source="py_keep") as peer:
        for name in (*KERNELS, "core", "htm"):
            eventually(lambda n=name: peer.ask(f"req.{n}.health", {})[0]["status"] == "success", what=name)
        eventually(lambda: ask(peer, "req.kernel-governance.rules")["gate"]["on"], what="the gate")
        yield peer


def ask(peer, topic, body=None, status="success", timeout=30, **header):
    got, answer = peer.ask(topic, body or {}, timeout, **header)
    assert got["status"] == status, (topic, answer)
    return answer


def records(peer, *filters, start=1):
    return [(topic, header, body) for topic, header, body in peer.fetch_all(filters, start)]


def found(peer, topic, fits, timeout=30):
    """The first record of the topic that fits, once it is in the journal: its header and body."""

    def look():
        return next(((h, b) for t, h, b in records(peer, topic) if t == topic and fits(h, b)), None)

    return eventually(look, timeout, 0.1, what=f"a {topic}")


def intend(peer, intent, trace_id=None, **fields):
    """Says an intent; returns its seq and trace."""
    trace_id = trace_id or f"trace-{uuid.uuid4().hex[:12]}"
    return peer.publish("layer3.intent.task", {"intent": intent, **fields}, trace_id=trace_id)["seq"], trace_id


def enqueue(peer, task_type, context, handler="librarian", trace_id=None, **fields):
    task_id = f"keep-{uuid.uuid4().hex[:12]}"
    body = {"task_id": task_id, "task_type": task_type, "handler": handler, "context": context, **fields}
    peer.publish("task.enqueue", body, trace_id=trace_id or f"trace-{task_id}")
    return task_id


def done(peer, task_id, timeout=30):
    return found(peer, "task.done", lambda _, body: body["task_id"] == task_id, timeout)[1]


def verdict(peer, seq):
    header, body = found(peer, "governance.verdict", lambda _, b: b["intent_seq"] == seq)
    return header, body


# --- An independent model of the librarian's figures ------------------------------------------------


def model(text, source=None):
    """What the originals' rules make of a text that needs no cleaning."""
    words = text.split()
    letters = sum(len(word) for word in words)
    quality = 10 - 3 * (len(words) < 50) - 2 * (len(words) > 2000) - 2 * (letters < 4 * max(1, len(words)))
    trust = 8 + (source == "filesystem") - 2 * (source == "external") - 2 * (len(text) < 100)
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    chunks, start = [], 0
    while start < len(words):
        name = hashlib.sha256(f"{sha256}:{len(chunks)}".encode()).hexdigest()[:12]
        chunks.append(f"chunk_{name}")
        if start + 1000 >= len(words):
            break
        start += 800
    good = quality >= 6 and trust >= 7
    return {"status": "completed" if good else "rejected", "sha256": sha256, "words": len(words),
            "chunk_ids": chunks if good else [], "chunks_created": len(chunks) if good else 0,
            "quality_score": quality / 10, "trust_score": trust / 10, "document_id": f"doc_{sha256[:16]}"}


def prose(seed, words, least=4, most=9):
    chance = random.Random(seed)
    letters = "abcdefghijklmnopqrstuvwxyzāéß"
    return " ".join("".join(chance.choices(letters, k=chance.randint(least, most))) for _ in range(words))


def ingest(peer, text, **fields):
    return ask(peer, "req.kernel-librarian.ingest", {"text": text, **fields})


def documents(peer, **asked):
    return ask(peer, "req.kernel-librarian.documents", asked)["documents"]


def in_core(peer, document_id):
    header, answer = peer.ask("req.core.documents", {"document_id": document_id}, 10)
    return answer["documents"][0] if header["status"] == "success" else None


# --- Governance -------------------------------------------------------------------------------------


def test_an_allowed_intent_runs_and_its_verdict_names_the_rule_in_its_own_trace(peer):
    seq, trace = intend(peer, "recall", handler="memory", context={"issue_type": "boot_performance_degradation"})
    header, said = verdict(peer, seq)
    assert said == {"intent_seq": seq, "intent": "recall", "allowed": True, "rule": "allowed",
                    "reason": "no rule is broken: what was done before about something like this"}
    assert header["trace_id"] == trace
    over = done(peer, f"task_{seq}")
    assert (over["status"], over["worker"], over["intent"]) == ("completed", "kernel-memory", "recall")
    assert over["result"]["status"] == "completed"
    eventually(lambda: ask(peer, "req.kernel-governance.health")["open"] == 0, what="nothing is open")


@pytest.mark.parametrize("intent,rule,reason", [
    ({"intent": "make_coffee"}, "known_intent", "governance knows no intent make_coffee"),
    ({"intent": "proactive_stress_test", "handler": "stress_runner"}, "may_ask",
     "proactive_stress_test is the brain's to ask for, not py_keep's"),
    ({"intent": "remediate_drift", "task_type": "restart_peer", "details": {"part": "broker"}}, "restart_part",
     "restart_peer may not restart the broker: "),
    ({"intent": "remediate_drift", "task_type": "run_diagnostics", "details": {"depth": 4}}, "depth_max",
     "a remediation may follow 3 others, not 4"),
])
def test_a_denied_intent_is_cancelled_with_the_reason(system, peer, intent, rule, reason):
    broker = system.pid("broker")
    seq, trace = intend(peer, **intent)
    header, said = verdict(peer, seq)
    assert (said["allowed"], said["rule"], header["trace_id"]) == (False, rule, trace)
    assert said["reason"].startswith(reason)
    over = done(peer, f"task_{seq}")
    assert (over["status"], over["attempts"]) == ("cancelled", 0)
    assert reason in over["reason"]
    kept = ask(peer, "req.kernel-governance.verdicts", {"allowed": False, "limit": 1})["verdicts"][0]
    assert (kept["intent_seq"], kept["rule"], kept["source"], kept["trace_id"]) == (seq, rule, "py_keep", trace)
    assert system.pid("broker") == broker


def test_intents_wait_while_governance_is_away_and_go_on_when_it_is_back(system, peer):
    pid = system.kill("kernel-governance", signal.SIGSTOP)
    good, _ = intend(peer, "recall", handler="memory", context={})
    bad, _ = intend(peer, "make_coffee")

    def states():
        tasks = [peer.ask("req.htm.task", {"task_id": f"task_{seq}"})[1] for seq in (good, bad)]
        return [task.get("status", task.get("task", {}).get("status")) for task in tasks]

    eventually(lambda: states() == ["held", "held"], what="both are held")
    system.kill("kernel-governance")
    system.restarted("kernel-governance", pid)
    assert done(peer, f"task_{good}")["status"] == "completed"
    assert done(peer, f"task_{bad}")["status"] == "cancelled"
    gates = [body for _, _, body in records(peer, "governance.gate")]
    assert len(gates) == 1, "said once, whatever became of it"


# --- The librarian ----------------------------------------------------------------------------------


def test_a_document_goes_through_the_queue_to_core_and_is_found(system, peer):
    text = ("The lighthouse keeper of Vizagapatam counted seventeen ships before dawn. " + prose(1, 80) + ".")
    task = enqueue(peer, "ingest_document", {"document_id": "light/1", "title": "The keeper", "text": text,
                                             "source": "filesystem"}, trace_id="trace-light")
    over = done(peer, task)
    want = {**model(text, "filesystem"), "document_id": "light/1", "action": "added", "sections": 1, "reason": None}
    assert over["status"] == "completed"
    got = over["result"]
    assert {key: got[key] for key in want} == want
    assert set(got["stages"]) == {"extract_ms", "chunk_ms", "quality_ms", "trust_ms", "store_ms"}
    assert got["stages"]["store_ms"] > 0 and got["duration_seconds"] > 0
    query = subprocess.run([system.bhiv, "kb", "query", "lighthouse keeper ships"], capture_output=True, check=True,
                           env={**os.environ, "BHIV_DIR": str(system.folder)}, timeout=30)
    best = json.loads(query.stdout)["knowledge_base_results"][0]
    assert best["document_id"] == "light/1"
    kept = in_core(peer, "light/1")
    assert (kept["quality_score"], kept["trust_score"], kept["source"]) == (1.0, 0.9, "filesystem")
    told = [(t, h.get("trace_id")) for t, h, b in records(peer, "kb.") if b.get("document_id") == "light/1"]
    assert told == [("kb.document", "trace-light"), ("kb.ingested", "trace-light")]


def test_the_same_text_is_taken_in_once_under_whatever_name(peer):
    text = prose(2, 60)
    first = ingest(peer, text)
    assert first["status"] == "completed"
    for body in ({}, {"document_id": "another", "title": "Another"}, {"text": f"\ufeff{text}\r\n\x00"}):
        again = ask(peer, "req.kernel-librarian.ingest", {"text": text, **body})
        assert (again["status"], again["duplicate_of"]) == ("duplicate", first["document_id"])
        assert (again["sha256"], again["chunks_created"]) == (first["sha256"], 0)
    assert sum(b.get("text") == text for _, _, b in records(peer, "kb.document")) == 1
    assert in_core(peer, "another") is None


def test_another_text_takes_the_place_of_the_one_before_it_and_a_bad_one_does_not(peer):
    first, second = prose(40, 60), prose(41, 60)
    assert ingest(peer, first, document_id="same/1")["action"] == "added"
    assert ingest(peer, second, document_id="same/1")["action"] == "replaced"
    bad = ingest(peer, "x y z", document_id="same/1")
    assert (bad["status"], bad["document_id"]) == ("rejected", "same/1")
    row, = documents(peer, document_id="same/1")
    assert (row["status"], row["sha256"]) == ("accepted", hashlib.sha256(second.encode()).hexdigest())
    assert in_core(peer, "same/1")["sha256"] == row["sha256"]
    assert ingest(peer, second)["status"] == "duplicate"
    assert ingest(peer, first, document_id="same/1")["action"] == "replaced", "no longer known"


def test_what_the_knowledge_base_refuses_is_rejected_in_its_words(peer):
    text = " ".join("-----" for _ in range(60))
    got = ingest(peer, text)
    assert (got["status"], got["quality_score"]) == ("rejected", 1.0)
    assert got["reason"].startswith("the knowledge base refuses it: ")


def test_two_of_the_same_at_the_same_time_are_one(peer):
    text = prose(3, 60)
    idents = [peer.send("req.kernel-librarian.ingest", {"text": text, "document_id": f"race-{i}"},
                        reply_to=peer.inbox) for i in range(8)]
    answers = [peer.answer(ident)[1] for ident in idents]
    assert sorted(answer["status"] for answer in answers) == ["completed"] + ["duplicate"] * 7
    assert sum(b.get("text") == text for _, _, b in records(peer, "kb.document")) == 1


@pytest.mark.parametrize("text,source,reason", [
    ("a b c", None, "its quality is 0.50, below 0.6: 3 words"),
    (prose(4, 49, 1, 3), None, "its quality is 0.50, below 0.6: 49 words"),
    ("", None, "its quality is 0.50, below 0.6: 0 words"),
    (prose(5, 10), None, "its trust is 0.6, below 0.7: "),
    (prose(6, 100), "external", "its trust is 0.6, below 0.7: "),
])
def test_a_bad_document_is_rejected_with_the_reason(peer, text, source, reason):
    fields = {"source": source} if source else {}
    want = model(text, source)
    task = enqueue(peer, "ingest_document", {"text": text, **fields})
    over = done(peer, task)
    assert over["status"] == "completed", "the work is done: to try again would not help"
    got = over["result"]
    assert got["status"] == "rejected" and got["reason"].startswith(reason)
    assert {key: got[key] for key in want} == want
    assert in_core(peer, got["document_id"]) is None
    assert ingest(peer, text, **fields)["status"] == "rejected"
    assert sum(b["sha256"] == want["sha256"] for _, _, b in records(peer, "kb.ingested")) == 1


def test_its_figures_are_those_of_an_independent_model(peer):
    chance = random.Random(7)
    for _ in range(25):
        words = chance.choice([1, 20, 49, 50, 51, 999, 1000, 1001, 1800, 1801, 2000, 2001, 4321])
        least, most = chance.choice([(1, 4), (3, 5), (4, 9)])
        source = chance.choice([None, "filesystem", "external", "upload"])
        text = prose(chance.random(), words, least, most)
        got = ingest(peer, text, **({"source": source} if source else {}))
        want = model(text, source)
        assert {key: got[key] for key in want} == want


def test_what_is_no_document_or_no_known_task_fails_for_good(peer):
    for task_type, context in (("ingest_document", {}), ("ingest_document", {"text": 7}), ("shelve", {})):
        over = done(peer, enqueue(peer, task_type, context))
        assert (over["status"], over["attempts"]) == ("dead", 1)
    assert done(peer, enqueue(peer, "forget", {}, handler="memory"))["status"] == "dead"
    header, answer = peer.ask("req.kernel-librarian.ingest", {"text": prose(8, 60), "document_id": "two\nlines"})
    assert (header["status"], answer["error_code"]) == ("error", "VALIDATION_FAILED")


def test_documents_of_low_quality_are_really_mended(peer):
    base = ask(peer, "req.kernel-librarian.reprocess")  # what the tests before left
    spaced = "  ".join(" ".join(word) for word in prose(9, 60).split())
    long = prose(10, 4100)
    pieces = [f"piece {i}: " + prose(f"piece{i}", 30) for i in range(3)]
    hopeless = prose(11, 120, 1, 3)
    assert ingest(peer, spaced, document_id="low/spaced")["quality_score"] == 0.8
    assert ingest(peer, long, document_id="low/long")["quality_score"] == 0.8
    assert ingest(peer, hopeless, document_id="low/hopeless")["quality_score"] == 0.8
    for i, piece in enumerate(pieces):
        assert ingest(peer, piece, document_id=f"low/piece-{i}", title="Pieces")["quality_score"] == 0.7
    assert {row["document_id"] for row in documents(peer, low=True) if row["document_id"].startswith("low/")} == {
        "low/spaced", "low/long", "low/hopeless", "low/piece-0", "low/piece-1", "low/piece-2"}

    over = done(peer, enqueue(peer, "reprocess_low_quality", {"limit": 100}, trace_id="trace-mend"))
    result = over["result"]
    shown = {row["document_id"]: (row["status"], row["before"], row["after"]) for row in result["documents"]}
    joined_text = "\n\n".join(pieces[:2])
    joined = f"doc_{hashlib.sha256(joined_text.encode()).hexdigest()[:16]}"
    assert shown == {"low/spaced": ("mended", 0.8, 1.0), "low/long": ("mended", 0.8, 1.0),
                     "low/hopeless": ("unchanged", 0.8, 0.8), joined: ("joined", 0.7, 1.0),
                     "low/piece-2": ("unchanged", 0.7, 0.7)}
    assert (result["tried"], result["mended"], result["joined"], result["unchanged"], result["failed"]) == (
        6, 4, 2, 2, 0)
    assert result["quality_before"] == pytest.approx((3 * 0.8 + 3 * 0.7) / 6)
    assert result["quality_score"] == pytest.approx((4 * 1.0 + 0.8 + 0.7) / 6)
    assert result["issue_resolved"] is True
    assert base["status"] == "completed"

    # Core has what was made of them, and no more what was joined.
    parts = in_core(peer, "low/long")
    assert parts["parts"] > 1 and parts["parts_missing"] == 0 and parts["quality_score"] == 1.0
    assert in_core(peer, joined)["quality_score"] == 1.0
    assert in_core(peer, "low/piece-0") is None and in_core(peer, "low/piece-1") is None
    assert in_core(peer, "low/piece-2") is not None
    row, = documents(peer, document_id="low/spaced")
    assert (row["quality_before"], row["quality_score"], row["words"]) == (0.8, 1.0, 60)
    fact = [b for _, h, b in records(peer, "kb.ingested") if b["document_id"] == "low/spaced"][-1]
    assert fact["steps"] == ["joined spaced letters"]

    # And not again: neither what was mended nor what could not be.
    again = ask(peer, "req.kernel-librarian.reprocess")
    assert (again["tried"], again["issue_resolved"]) == (0, False)
    for text in (*pieces, spaced, long, joined_text):
        assert ingest(peer, text)["status"] == "duplicate"

    # A fragment that came alone finds company later.
    assert ingest(peer, "late " + prose(12, 30), document_id="low/piece-3", title="Pieces")["status"] == "completed"
    later = ask(peer, "req.kernel-librarian.reprocess")
    assert (later["tried"], later["joined"]) == (2, 2)
    assert in_core(peer, "low/piece-2") is None


def test_files_in_the_folder_are_taken_in_once(system, peer):
    folder = system.folder / "documents"
    folder.mkdir()
    (folder / "a.txt").write_text(prose(20, 70))
    (folder / "b.md").write_text(prose(21, 70))
    (folder / "copy.txt").write_text(prose(20, 70))
    (folder / "latin.txt").write_bytes(b"caf\xe9 " * 60)
    (folder / "short.txt").write_text("no")
    (folder / "link.txt").symlink_to("/etc/passwd")
    (folder / ".hidden").write_text(prose(22, 70))
    os.mkfifo(folder / "pipe")
    seq, _ = intend(peer, "index_new_documents", handler="librarian")
    result = done(peer, f"task_{seq}")["result"]
    assert (result["documents_seen"], result["taken_in"], result["duplicates"], result["rejected"]) == (7, 2, 1, 4)
    assert (result["quality_score"], result["trust_score"], result["chunks_created"]) == (1.0, 0.9, 2)
    shown = {row["document_id"]: (row["status"], row["reason"]) for row in result["documents"]}
    assert shown == {
        "documents/a.txt": ("completed", None), "documents/b.md": ("completed", None),
        "documents/copy.txt": ("duplicate", None), "documents/latin.txt": ("rejected", "it is not UTF-8"),
        "documents/short.txt": ("rejected", None), "documents/link.txt": ("rejected", "it cannot be opened"),
        "documents/pipe": ("rejected", "it is no regular file")}
    assert in_core(peer, "documents/a.txt")["source"] == "filesystem"
    again = done(peer, enqueue(peer, "index_new_documents", {}))["result"]
    assert (again["taken_in"], again["duplicates"]) == (0, 3)


def test_a_folder_of_more_files_than_one_go_takes_is_seen_whole(system, peer):
    folder = system.folder / "documents"
    folder.mkdir(exist_ok=True)
    for file in folder.iterdir():
        file.unlink()
    for number in range(1001):
        (folder / f"{number:04}.txt").write_text("no")  # too short: looked at each time anew
    (folder / "last.txt").write_text(prose(90, 70))
    seen = []
    for _ in range(3):
        seq, _ = intend(peer, "index_new_documents", handler="librarian")
        result = done(peer, f"task_{seq}", 60)["result"]
        seen.append((result["documents_seen"], result["taken_in"], result["documents"][0]["document_id"]))
    assert seen == [(1000, 0, "documents/0000.txt"), (2, 1, "documents/1000.txt"), (1000, 0, "documents/0000.txt")]
    for file in folder.iterdir():
        file.unlink()



def test_what_is_removed_from_core_may_come_again(system, peer):
    text = prose(30, 60)
    first = ingest(peer, text, document_id="gone/1")
    assert ask(peer, "kb.remove", {"document_id": "gone/1"}, ack=False)["status"] == "success"
    eventually(lambda: not [r for r in documents(peer) if r["document_id"] == "gone/1"], what="it is forgotten")
    again = ingest(peer, text, document_id="gone/1")
    assert (first["status"], again["status"], again["action"]) == ("completed", "completed", "added")


def test_an_answer_of_core_that_was_lost_is_asked_for_not_said_again(system, peer):
    text = prose(31, 60)
    system.kill("core", signal.SIGSTOP)
    try:
        ident = peer.send("req.kernel-librarian.ingest", {"text": text, "document_id": "lost/1"}, reply_to=peer.inbox)
        with pytest.raises(TimeoutError):  # longer than Core's answer is waited for
            peer.answer(ident, 6)
    finally:
        system.kill("core", signal.SIGCONT)
    header, answer = peer.answer(ident, 30)
    assert (header["status"], answer["status"]) == ("success", "completed")
    assert sum(b.get("text") == text for _, _, b in records(peer, "kb.document")) == 1
    assert in_core(peer, "lost/1") is not None


@pytest.mark.parametrize("victim", ["kernel-librarian", "core", "broker", "htm"])
def test_whoever_is_killed_no_document_is_doubled_and_none_lost(system, peer, victim):
    texts = {f"kill/{victim}/{i}": prose(f"{victim}{i}", 60 + i) for i in range(60)}
    before = len(documents(peer, limit=1000))
    tasks = []
    for i, (name, text) in enumerate(texts.items()):
        tasks.append(enqueue(peer, "ingest_document", {"document_id": name, "text": text}, max_retries=20))
        if i % 15 == 7:
            pid = system.kill(victim)
            system.restarted(victim, pid)
            if victim == "broker":
                peer.wait_welcome()  # what is sent before is lost with the connection
    for task in tasks:
        over = done(peer, task, 60)
        assert over["status"] == "completed" and over["result"]["status"] in ("completed", "duplicate"), over
    for name, text in texts.items():
        kept = in_core(peer, name)
        assert kept["sha256"] == hashlib.sha256(text.encode()).hexdigest()
    rows = documents(peer, limit=1000)
    assert len(rows) == before + len(texts)
    assert len({row["sha256"] for row in rows}) == len(rows)


def test_a_librarian_that_is_told_to_stop_leaves_what_is_open_to_its_next(system, peer):
    ask(peer, "req.kernel-librarian.reprocess")  # what the tests before left
    for i in range(4):
        ingest(peer, f"left {i} " + prose(f"left{i}", 20), title="Left", document_id=f"left/{i}")
    system.kill("core", signal.SIGSTOP)
    try:
        whole = enqueue(peer, "ingest_document", {"text": prose(98, 60), "document_id": "left/whole"})
        mend = enqueue(peer, "reprocess_low_quality", {})
        eventually(lambda: ask(peer, "req.kernel-librarian.health")["documents"]["under_way"] == 2, what="both")
        pid = system.kill("kernel-librarian", signal.SIGTERM)
        system.restarted("kernel-librarian", pid)
    finally:
        system.kill("core", signal.SIGCONT)
    assert done(peer, whole, 60)["result"]["status"] == "completed"
    result = done(peer, mend, 60)["result"]
    assert (result["tried"], result["joined"]) == (4, 3)
    joined = result["documents"][0]["document_id"]
    assert in_core(peer, joined)["parts"] == 1
    assert [in_core(peer, f"left/{i}") is None for i in range(4)] == [True, True, True, False]
    stops = [line for line in system.log_path.read_text().splitlines() if "kernel-librarian stopped" in line]
    assert "status=0" in stops[-1]


# --- Memory -----------------------------------------------------------------------------------------


def test_an_episode_is_recalled_by_its_issue_and_by_its_trace(peer):
    issue = f"issue_{uuid.uuid4().hex[:8]}"
    seq, trace = intend(peer, "reprocess_low_quality", handler="librarian", priority="low", issue_type=issue,
                        details={"metric": "chunk_quality", "current": 0.6}, reasoning="quality fell")
    done(peer, f"task_{seq}")

    def by(**asked):
        episodes = ask(peer, "req.kernel-memory.recall", asked)["episodes"]
        return episodes if episodes and "ended_at" in episodes[0] else None

    episode, = eventually(lambda: by(issue_type=issue), what="the episode")
    assert by(trace_id=trace) == [episode]
    assert (episode["episode"], episode["task_id"], episode["trace_id"]) == (seq, f"task_{seq}", trace)
    assert (episode["intent"], episode["task_type"], episode["handler"]) == (
        "reprocess_low_quality", "reprocess_low_quality", "librarian")
    assert (episode["status"], episode["worker"], episode["attempts"]) == ("completed", "kernel-librarian", 1)
    assert (episode["reasoning"], episode["details"]["metric"]) == ("quality fell", "chunk_quality")
    assert episode["asked_at"] <= episode["started_at"] <= episode["ended_at"]
    quality = episode.get("quality_score", 0.5)
    want = 0.5 * episode["success"] + 0.3 * quality + 0.2 / (1 + episode["run_seconds"] / 60)
    assert episode["score"] == pytest.approx(want, abs=1e-12)

    over = done(peer, enqueue(peer, "recall", {"issue_type": issue}, handler="memory"))
    assert over["result"]["recall"]["episodes"] == [episode]


@pytest.mark.parametrize("name", KERNELS)
def test_a_rebuild_from_the_journal_comes_to_the_live_state(system, peer, name):
    def once():
        live = ask(peer, f"req.{name}.state_hash")
        run = subprocess.run([system.bhiv, "kernel", name.removeprefix("kernel-"), "--rebuild", "--dir",
                              str(system.folder)], capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        return json.loads(run.stdout)["state_hash"] == live["state_hash"]

    eventually(once, 30, what="the same state hash")

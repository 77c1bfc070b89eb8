"""The knowledge base in a running system: `bhiv kb`, what Core answers from it, and a rebuild."""

import json
import os
import pathlib
import random
import subprocess
import time

import pytest
import requests
from support.peer import Peer
from support.system import System, eventually

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
GITA = """Karma yoga is the path of action. One acts without attachment to the fruits of action.

Knowledge burns all karma to ashes, as a fire burns wood. The ātman neither slays nor is slain.
"""


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    with System(bhiv, tmp_path_factory.mktemp("kb") / "d") as running:
        with Peer(running.ingress, running.egress, source="py_kb") as peer:
            eventually(lambda: peer.ask("req.core.health", {})[0]["status"] == "success", what="Core")
        yield running


def kb(system, *args, stdin=None, timeout=60, cwd=None):
    return subprocess.run([system.bhiv, "kb", *args], capture_output=True, timeout=timeout, check=False, cwd=cwd,
                          input=stdin, env={**os.environ, "BHIV_DIR": str(system.folder)})


def values(done, status=0):
    assert done.returncode == status, done.stderr.decode()
    assert done.stderr == b""
    return [json.loads(line) for line in done.stdout.splitlines()]


def said(done, status):
    """What it says on standard error, when it ends with `status`."""
    assert done.returncode == status, done.stderr.decode()
    return done.stderr.decode()


# --- add -----------------------------------------------------------------------------------------


def test_a_file_is_added_found_replaced_and_removed(system, tmp_path):
    path = tmp_path / "gita.txt"
    path.write_text(GITA)
    added, = values(kb(system, "add", "gita.txt", "--version", "1", cwd=tmp_path))
    assert added == {"document_id": "gita.txt", "file": "gita.txt", "action": "added", "parts": 1, "chunks": 1,
                     "bytes": len(GITA.encode())}
    answer, = values(kb(system, "query", "What burns karma? @book:gita"))
    assert "Knowledge burns all karma to ashes, as a fire burns wood." in answer["response"]
    result = answer["knowledge_base_results"][0]
    assert (result["document_id"], result["book"], result["type"], result["version"]) == (
        "gita.txt", "gita", "txt", "1")
    start = result["offset"]
    assert GITA.encode()[start:start + result["length"]].decode() == result["text"]

    assert values(kb(system, "add", "gita.txt", "--version", "1", cwd=tmp_path))[0]["action"] == "unchanged"
    assert values(kb(system, "add", "gita.txt", "--version", "2", cwd=tmp_path))[0]["action"] == "updated"
    path.write_text("Another text about rivers.")
    assert values(kb(system, "add", "./gita.txt", "--version", "2", cwd=tmp_path))[0]["action"] == "replaced"
    assert values(kb(system, "query", "burns @book:gita"), 1)[0]["status"] == 404
    assert values(kb(system, "show", "gita.txt"))[0]["version"] == "2"
    assert values(kb(system, "remove", "gita.txt"))[0]["action"] == "removed"
    assert values(kb(system, "query", "rivers @book:gita"), 1)[0]["knowledge_base_results"] == []


def test_many_files_are_added_and_listed_in_the_order_of_their_ids(system):
    files = sorted(path.name for path in DOCS.glob("*.md"))
    added = values(kb(system, "add", "--version", "list", *reversed(files), cwd=DOCS))
    assert [row["document_id"] for row in added] == files[::-1]
    listed = [row["document_id"] for row in values(kb(system, "list")) if row["version"] == "list"]
    assert listed == files
    first = kb(system, "list", "--limit", "2")
    assert first.returncode == 0 and b"there are more: --after" in first.stderr
    page = [json.loads(line)["document_id"] for line in first.stdout.splitlines()]
    rest = [row["document_id"] for row in values(kb(system, "list", "--after", page[-1]))]
    assert page + rest == [row["document_id"] for row in values(kb(system, "list"))]


def test_a_book_of_three_mebibytes_is_added_in_parts_and_every_page_of_it_is_found(system, tmp_path):
    rng = random.Random(1)
    words = ["river", "mountain", "duty", "action", "knowledge", "mind", "fire", "ātman", "silence", "king"]
    lines = [f"Verse {i} speaks of mark{i}x and {' '.join(rng.choices(words, k=8))}.\n" for i in range(40_000)]
    text = "".join(lines)
    path = tmp_path / "book.txt"
    path.write_text(text)
    assert len(text.encode()) > 3 * 1024 * 1024
    added, = values(kb(system, "add", str(path), "--id", "book"))
    assert added["action"] == "added" and added["parts"] > 10
    raw = text.encode()
    for i in [0, 39_999, *rng.sample(range(40_000), 15)]:
        answer, = values(kb(system, "query", f"mark{i}x", "--limit", "1"))
        result, = answer["knowledge_base_results"]
        assert raw[result["offset"]:result["offset"] + result["length"]].decode() == result["text"]
        assert f"mark{i}x" in result["text"]
        assert f"Verse {i} speaks of mark{i}x" in answer["response"] or f"mark{i}x" in answer["response"]
    assert values(kb(system, "add", str(path), "--id", "book"))[0]["action"] == "unchanged"
    shown, = values(kb(system, "show", "book"))
    assert shown["bytes"] == len(raw) and shown["parts_missing"] == 0 and shown["chunks"] == added["chunks"]
    # A shorter version leaves nothing of the longer one.
    path.write_text("".join(lines[:100]))
    assert values(kb(system, "add", str(path), "--id", "book"))[0]["parts"] == 1
    assert values(kb(system, "query", "mark39999x"), 1)[0]["status"] == 404
    values(kb(system, "remove", "book"))


def test_what_is_no_text_is_said_and_the_rest_is_added(system, tmp_path):
    (tmp_path / "good.txt").write_text("\ufeffA good text about bamboo.")
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.4\n\xff\xfe")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "dots.txt").write_bytes(b"...")
    (tmp_path / "long.txt").write_bytes(b"word " * (13 * 1024 * 1024 // 5))
    names = ["a.pdf", "latin.txt", "nul.txt", "empty.txt", "dots.txt", "long.txt", "missing.txt", "good.txt"]
    done = kb(system, "add", *names, cwd=tmp_path)
    errors = said(done, 65)
    assert [json.loads(line)["document_id"] for line in done.stdout.splitlines()] == ["good.txt"]
    for expected in ("a.pdf is no UTF-8 text from byte 9 on (a PDF: see pdftotext)",
                     "latin.txt is no UTF-8 text from byte 3 on (see iconv)",
                     "nul.txt is no text: it has NUL bytes", "empty.txt is empty",
                     "dots.txt: part 1 of 1 was not added", "long.txt is over 12 MiB: cut it into several files",
                     "cannot read missing.txt: No such file"):
        assert expected in errors
    assert values(kb(system, "query", "bamboo"))[0]["knowledge_base_results"][0]["text"].startswith("A good")


def test_standard_input_is_a_document_with_an_id(system):
    assert "needs an --id" in said(kb(system, "add", "-", stdin=b"text"), 64)
    added, = values(kb(system, "add", "-", "--id", "notes.md", stdin=b"Notes about saffron."))
    assert added["document_id"] == "notes.md"
    result = values(kb(system, "query", "saffron", "--type", "md", "--book", "notes"))[0]
    assert result["knowledge_base_results"][0]["source"] is None


def test_usage_is_said_with_the_statuses_of_the_contract(system):
    assert "add, list, show, remove or query" in said(kb(system), 64)
    said(kb(system, "add"), 64)
    said(kb(system, "query"), 64)
    assert "--id is for one file" in said(kb(system, "add", "a", "b", "--id", "x"), 64)
    assert "no document has this id" in said(kb(system, "show", "nothing"), 66)
    assert "was not removed" in said(kb(system, "remove", "nothing"), 66)
    assert "VALIDATION_FAILED" in said(kb(system, "query", "x", "--book", "--"), 65)


def test_a_terminal_gets_tables_and_a_page(system):
    values(kb(system, "add", "-", "--id", "line.txt", "--book", "Lines", stdin=b"Quicksilver runs. It is heavy."))
    table = kb(system, "list", "--format", "line").stdout.decode().splitlines()
    assert table[0].split() == ["DOCUMENT", "BOOK", "TYPE", "VERSION", "PASSAGES", "BYTES", "CHANGED"]
    assert any(line.split()[:5] == ["line.txt", "Lines", "txt", "-", "1"] for line in table)
    page = kb(system, "query", "quicksilver", "--format", "line").stdout.decode()
    assert page.startswith("Quicksilver runs.\n\n[1] line.txt, passage 1, byte 0, score ")
    assert page.endswith("\n    Quicksilver runs. It is heavy.\n")
    assert kb(system, "remove", "line.txt", "--format", "line").stdout == b"removed   line.txt: 1 passages\n"


# --- Core ----------------------------------------------------------------------------------------


def test_knowledge_agent_answers_from_what_was_added(system):
    values(kb(system, "add", "-", "--id", "moon.txt", "--book", "Sky", stdin=b"The moon of Jupiter called Europa has ice."))
    answer = requests.post(system.url("core", "/handle_task"), timeout=30, json={
        "agent": "knowledge_agent", "input": "Which moon has ice? @book:sky"}).json()
    assert answer["status"] == "success"
    output = answer["agent_output"]
    assert "Europa has ice" in json.dumps(output)
    assert "moon.txt" in json.dumps(output)


def test_health_counts_what_there_is(system):
    listed = values(kb(system, "list", "--limit", "1000"))
    counted = {"documents": len(listed), **{key: sum(row[key] for row in listed) for key in ("chunks", "words", "bytes")}}

    def shown():  # the bridge asks once in a while
        return requests.get(system.url("core", "/health"), timeout=10).json().get("knowledge_base") == counted

    eventually(shown, what="the counts of the knowledge base")


def test_a_rebuild_has_the_same_state(system):
    def states():
        done = subprocess.run([system.bhiv, "req", "req.core.state_hash", "--dir", str(system.folder)],
                              capture_output=True, text=True, timeout=30, check=True)
        rebuilt = subprocess.run([system.bhiv, "core", "--rebuild", "--dir", str(system.folder)],
                                 capture_output=True, text=True, timeout=120, check=True)
        live, again = json.loads(done.stdout), json.loads(rebuilt.stdout)
        live = live.get("body", live)
        return live["cursor"] <= again["cursor"] and live["state_hash"] == again["state_hash"]

    eventually(states, timeout=120, every=0.2, what="the same state hash")


def test_a_killed_core_has_every_document_it_answered_for_and_no_half_of_one(system, tmp_path):
    started = time.monotonic()
    acknowledged = []
    for i in range(12):
        path = tmp_path / f"kill{i}.txt"
        path.write_text(f"Document number{i}kill speaks. " * (200 * (i + 1)))
        pid = system.pid("core")
        with subprocess.Popen([system.bhiv, "kb", "add", str(path), "--id", path.name], stdout=subprocess.PIPE,
                              env={**os.environ, "BHIV_DIR": str(system.folder)}) as adding:
            if i % 3 == 0:
                system.kill("core")
                system.restarted("core", pid)
            out, _ = adding.communicate(timeout=60)
            if adding.returncode == 0:
                acknowledged.append((path.name, json.loads(out)["chunks"]))
    assert len(acknowledged) == 12, "a command is kept by the journal while Core is away"
    listed = {row["document_id"]: row["chunks"] for row in values(kb(system, "list", "--limit", "1000"))}
    assert [(name, listed[name]) for name, _ in acknowledged] == acknowledged
    assert time.monotonic() - started < 120

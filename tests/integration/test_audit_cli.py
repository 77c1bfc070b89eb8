"""`bhiv audit`: what it shows of a log that grows, what it proves, and what it finds.

Everything that a program of ours says is good is verified by support/audit_verifier.py as well,
which shares no code with it; and the forgers here make their files with that.
"""

import base64
import json
import shutil
import subprocess

import msgpack
import pytest
import requests
from support import audit_verifier, ed25519
from support.checker import key_announced
from support.peer import Peer
from support.system import System, eventually

NAME = "forger.example/log"
SEED = bytes(range(32))


# --- A log with something of everything ------------------------------------------------------------

def write(system, ident, product="gurukul", **metadata):
    body = {"artifact_id": ident, "content": {"text": f"of {ident}", "n": 1.5},
            "metadata": {"product": product, "created_by": "tester", **metadata}}
    return requests.post(system.url("bucket", "/bucket/artifact/write"), json=body, timeout=10)


def read(system, ident, product):
    return requests.get(system.url("bucket", "/bucket/artifact/read"),
                        params={"artifact_id": ident, "product": product}, timeout=10)


def change(system, ident):
    return requests.put(system.url("bucket", f"/bucket/artifact/{ident}"),
                        json={"product": "gurukul"}, timeout=10)


def fill(system, prefix, count=5):
    """Operations of each kind; returns the audit_ids of the allowed and of the refused ones."""
    allowed, refused = [], []
    for i in range(count):
        answer = write(system, f"{prefix}-{i}", product=("gurukul", "ai_avatar")[i % 2])
        assert answer.status_code == 200, answer.text
        allowed.append(answer.json()["audit_id"])
    for answer in (change(system, f"{prefix}-0"), write(system, f"{prefix}-0"),
                   read(system, f"{prefix}-0", "enforcement")):
        assert answer.status_code in (403, 404, 409), answer.text
        refused.append(answer.json()["audit_id"])
    answer = read(system, f"{prefix}-0", "gurukul")
    assert answer.status_code == 200, answer.text
    allowed.append(answer.json()["audit_id"])
    return allowed, refused


@pytest.fixture(name="filled", scope="module")
def fixture_filled(shared_system):
    shared_system.allowed, shared_system.refused = fill(shared_system, "first")
    key_announced(shared_system)
    return shared_system


@pytest.fixture(name="vkey", scope="module")
def fixture_vkey(filled, tmp_path_factory):
    """The log's public key, in a file, as somebody outside has it."""
    path = tmp_path_factory.mktemp("k") / "log.vkey"
    with Peer(filled.ingress, filled.egress) as peer:
        path.write_text(peer.ask("req.bucket.audit_checkpoint", {})[1]["vkey"] + "\n")
    return path


def good(system, *args, status=0):
    done = system.run("audit", *args)
    assert done.returncode == status, (args, done.stdout, done.stderr)
    return done.stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def offline(bhiv, *args):
    """A verb without a bus: its exit status, its problems, its verdict."""
    done = subprocess.run([bhiv, "audit", *map(str, args), "--format", "json"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode in (0, 1), (args, done.stdout, done.stderr)
    *problems, verdict = lines(done.stdout)
    assert verdict["good"] == (done.returncode == 0) == (not problems)
    assert verdict["problems"] == len(problems)
    return done.returncode, problems, verdict


# --- Looking ---------------------------------------------------------------------------------------

def test_the_log_lists_its_entries_in_their_order_and_by_filters(filled):
    everything = lines(good(filled, "log", "--limit", "1000"))
    indexes = [entry["leaf_index"] for entry in everything]
    assert indexes == list(range(len(everything)))
    ids = {entry["audit_id"]: entry for entry in everything}
    for audit_id in filled.allowed:
        assert ids[audit_id]["decision"] == "allowed"
    for audit_id in filled.refused:
        assert ids[audit_id]["decision"] == "refused" and ids[audit_id]["rule"]
    for flag, key, word in (("--product", "product", "ai_avatar"), ("--event-type", "event_type", "write"),
                            ("--severity", "severity", "WARNING")):
        some = lines(good(filled, "log", flag, word, "--limit", "1000"))
        assert some == [entry for entry in everything if entry.get(key) == word] and some
    after = lines(good(filled, "log", "--after", "2", "--limit", "3"))
    assert [entry["leaf_index"] for entry in after] == [3, 4, 5]
    last = lines(good(filled, "log", "--limit", "2"))
    assert last == everything[-2:]


def test_the_log_is_a_table_for_a_person(filled):
    table = good(filled, "log", "--format", "line").splitlines()
    assert table[0].split() == ["LEAF", "AUDIT", "ID", "TIME", "OPERATION", "PRODUCT", "REQUESTER",
                                "DECISION", "SUBJECT"]
    assert any("refused" in row and "first-0" in row for row in table[1:])


def test_an_entry_is_shown_with_the_bytes_of_its_leaf(filled):
    audit_id = filled.refused[0]
    shown = json.loads(good(filled, "show", audit_id))
    leaf = base64.b64decode(shown["leaf"])
    assert msgpack.unpackb(leaf) == shown["entry"] and shown["entry"]["audit_id"] == audit_id
    assert audit_verifier.sha(b"\0" + leaf) == base64.b64decode(shown["leaf_hash"])
    sheet = good(filled, "show", audit_id, "--format", "line")
    assert "refused" in sheet and audit_id in sheet and shown["leaf_hash"] in sheet


@pytest.mark.parametrize("words", [("audit", "log"), ("audit", "export"), ("audit", "verify"), ("keys", "list")])
def test_a_full_stdout_is_said_whatever_was_asked(filled, bhiv, words):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([bhiv, *words, "--dir", str(filled.folder)], stdout=full, stderr=subprocess.PIPE,
                              text=True, timeout=20, check=False)
    assert done.returncode == 74 and "cannot write to stdout" in done.stderr


def test_what_is_not_there_is_said(filled, tmp_path):
    for verb in ("show", "receipt"):
        done = filled.run("audit", verb, "audit_999999")
        assert done.returncode != 0 and "AUDIT_ENTRY_NOT_FOUND" in done.stderr, done
    done = filled.run("audit", "verify", "--since", str(tmp_path / "none"))
    assert done.returncode == 66, done
    for args in (["verify-receipt", "x"], ["verify-export", "x"], ["nonsense"], [],
                 ["log", "--after", "x"], ["verify", "--key", "no+such+key"]):
        done = filled.run("audit", *args)
        assert done.returncode == 64, (args, done)


# --- Receipts --------------------------------------------------------------------------------------

def test_receipts_of_allowed_and_refused_operations_verify_by_two_programs(filled, bhiv, vkey, tmp_path):
    for decision, ids in (("allowed", filled.allowed), ("refused", filled.refused)):
        for audit_id in ids:
            text = good(filled, "receipt", audit_id)
            leaf, index = audit_verifier.verify_receipt(text, vkey.read_text().strip())
            entry = msgpack.unpackb(leaf)
            assert (entry["audit_id"], entry["decision"]) == (audit_id, decision)
            path = tmp_path / "r.tlog-proof"
            path.write_text(text)
            status, _, verdict = offline(bhiv, "verify-receipt", path, "--key", vkey)
            assert status == 0 and verdict["entry"] == entry and verdict["leaf_index"] == index


def mutations(text):
    """Receipts with one thing changed: what, and the text."""
    head, note = text.split("\n\n", 1)
    rows = head.split("\n")
    path = rows[3:]
    assert len(path) >= 3
    for i in range(len(path) - 1):
        swapped = [*path[:i], path[i + 1], path[i], *path[i + 2:]]
        yield f"path {i} swapped", "\n".join([*rows[:3], *swapped]) + "\n\n" + note
    middle = len(path) // 2
    yield "middle gone", "\n".join([*rows[:3], *path[:middle], *path[middle + 1:]]) + "\n\n" + note
    yield "middle doubled", "\n".join([*rows[:3], *path[:middle + 1], *path[middle:]]) + "\n\n" + note
    index = int(rows[2].split()[1])
    for other in (index + 1, index ^ 2, index + (1 << 40)):
        yield f"index {other}", "\n".join([*rows[:2], f"index {other}", *path]) + "\n\n" + note
    yield "no entry", "\n".join([rows[0], *rows[2:]]) + "\n\n" + note
    for at in range(0, len(text), 11):
        letter = "A" if text[at] != "A" else "B"
        yield f"letter {at}", text[:at] + letter + text[at + 1:]
    for at in range(0, len(text), 97):
        yield f"cut at {at}", text[:at]


def test_a_receipt_with_anything_changed_is_refused_by_two_programs(filled, bhiv, vkey, tmp_path):
    """A proof's middle node swapped, among the rest."""
    text = good(filled, "receipt", filled.refused[0])
    path = tmp_path / "r"
    for what, changed in mutations(text):
        path.write_text(changed)
        status, problems, _ = offline(bhiv, "verify-receipt", path, "--key", vkey)
        assert status == 1 and problems, what
        with pytest.raises((AssertionError, ValueError, IndexError, StopIteration)):
            audit_verifier.verify_receipt(changed, vkey.read_text().strip())
            pytest.fail(f"the other verifier took it: {what}")


def test_a_receipt_of_another_log_is_none_of_this_one(filled, bhiv, vkey, tmp_path):
    path = tmp_path / "r"
    path.write_text(good(filled, "receipt", filled.allowed[0]))
    stranger = tmp_path / "k"
    stranger.write_text("# nobody's\n\n" + vkey_of(NAME, SEED) + "\n")
    assert offline(bhiv, "verify-receipt", path, "--key", stranger)[0] == 1
    assert offline(bhiv, "verify-receipt", path, "--key", vkey_of(NAME, SEED))[0] == 1
    both = tmp_path / "both"
    both.write_text(stranger.read_text() + vkey.read_text())
    assert offline(bhiv, "verify-receipt", path, "--key", both)[0] == 0


# --- Checkpoints and the running log ---------------------------------------------------------------

def test_the_running_log_verifies_from_every_older_checkpoint(filled, vkey, tmp_path):
    kept = tmp_path / "checkpoints"
    kept.write_text(good(filled, "checkpoint"))
    size, _ = audit_verifier.open_checkpoint(kept.read_text(), vkey.read_text().strip())
    for round_ in range(3):
        fill(filled, f"more-{round_}", 2)
        for key in ([], ["--key", str(vkey)]):
            verdict = json.loads(good(filled, "verify", "--since", str(kept), *key))
            assert verdict["good"] and verdict["since"] == size and verdict["first_bad"] is None
            assert verdict["checked"] == verdict["entries"] > size
            assert verdict["key"] == ("given" if key else "told by Bucket itself")
        with open(kept, "a", encoding="utf-8") as out:  # one behind the other
            out.write(good(filled, "checkpoint"))
    said = good(filled, "verify", "--since", str(kept), "--format", "line").splitlines()
    assert said[-1] == "good"


def test_a_checkpoint_that_the_log_never_signed_is_named(filled, vkey, tmp_path):
    path = tmp_path / "c"
    note = good(filled, "checkpoint")
    size, root = audit_verifier.open_checkpoint(note, vkey.read_text().strip())
    for changed in (note.replace(f"\n{size}\n", f"\n{size - 1}\n"), "", "nothing\n", note[:-20],
                    sign_head(NAME, SEED, size, root)):
        path.write_text(changed)
        done = filled.run("audit", "verify", "--since", str(path), "--format", "line")
        assert done.returncode == 1 and "checkpoint 1" in done.stdout, (changed, done)
    done = filled.run("audit", "verify", "--key", vkey_of(NAME, SEED))
    assert done.returncode == 1 and "signature" in done.stdout, done


# --- Exports ---------------------------------------------------------------------------------------

def vkey_of(name, seed):
    key = b"\1" + ed25519.public(seed)
    key_id = audit_verifier.sha(name.encode() + b"\n" + key)[:4]
    return f"{name}+{key_id.hex()}+{base64.b64encode(key).decode()}"


def sign_head(name, seed, size, root):
    text = f"{name}\n{size}\n{base64.b64encode(root).decode()}\n"
    key_id = bytes.fromhex(vkey_of(name, seed)[len(name) + 1:][:8])
    blob = base64.b64encode(key_id + ed25519.sign(seed, text.encode())).decode()
    return f"{text}\n— {name} {blob}\n"


def leaf_hash(leaf):
    return audit_verifier.sha(b"\0" + leaf)


def dump(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def line_of(leaves, index):
    """An entry's line, as an honest log of these leaves has it."""
    root = audit_verifier.mth([leaf_hash(leaf) for leaf in leaves[:index + 1]])
    texts = [base64.b64encode(data).decode() for data in (leaves[index], leaf_hash(leaves[index]), root)]
    return dump({"leaf_index": index, "leaf": texts[0], "hash": texts[1], "root": texts[2],
                 "entry": msgpack.unpackb(leaves[index])})


def honest(leaves, name=NAME, seed=SEED):
    note = sign_head(name, seed, len(leaves), audit_verifier.mth([leaf_hash(leaf) for leaf in leaves]))
    first = dump({"export": "bhiv-audit-export@v1", "vkey": vkey_of(name, seed),
                  "tree_size": len(leaves), "checkpoint": note})
    last = dump({"count": len(leaves), "checkpoint": note})
    return [first, *(line_of(leaves, i) for i in range(len(leaves))), last]


def leaf_of(i, word="good"):
    return msgpack.packb({"v": 1, "audit_id": f"audit_{i + 2}", "seq": i + 2, "word": f"{word} ü\n{i}"})


LEAVES = [leaf_of(i) for i in range(23)]
HONEST = honest(LEAVES)


@pytest.fixture(name="judge")
def fixture_judge(bhiv, tmp_path):
    """Verifies an export with our program and the other one; they must agree."""
    def judge(rows, *args, key=vkey_of(NAME, SEED)):
        path = tmp_path / "e.jsonl"
        path.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
        status, problems, verdict = offline(bhiv, "verify-export", path, "--key", key, *args)
        if status == 0:
            assert len(audit_verifier.verify_export(rows, key)) == verdict["checked"]
        return verdict["first_bad"] if status else "good", problems
    return judge


def test_an_export_verifies_offline_with_the_public_key_alone(filled, bhiv, vkey, tmp_path):
    rows = good(filled, "export").splitlines()
    path = tmp_path / "elsewhere.jsonl"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    status, _, verdict = offline(bhiv, "verify-export", path, "--key", vkey)
    assert status == 0 and verdict["checked"] == verdict["entries"] == len(rows) - 2
    leaves = audit_verifier.verify_export(rows, vkey.read_text().strip())
    listed = lines(good(filled, "log", "--limit", "1000"))
    entries = [json.loads(row)["entry"] for row in rows[1:-1]]
    assert [msgpack.unpackb(leaf) for leaf in leaves] == entries
    assert [entry["audit_id"] for entry in listed][:len(entries)] == [e["audit_id"] for e in entries]
    for row, entry in enumerate(map(json.loads, rows[1:-1])):
        assert entry["leaf_index"] == row
        root = audit_verifier.mth([leaf_hash(leaf) for leaf in leaves[:row + 1]])
        assert base64.b64decode(entry["root"]) == root
    piped = subprocess.run([bhiv, "audit", "verify-export", "-", "--key", str(vkey)], text=True,
                           input=path.read_text(encoding="utf-8"), capture_output=True, check=False)
    assert piped.returncode == 0, piped


def test_an_export_that_was_written_by_another_program_verifies(judge):
    assert judge(HONEST) == ("good", [])
    assert judge(honest([])) == ("good", [])
    assert judge(honest(LEAVES[:1])) == ("good", [])


def edited(index, **fields):
    rows = list(HONEST)
    rows[index + 1] = dump({**json.loads(rows[index + 1]), **fields})
    return rows


def encode(data):
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("index", [0, 1, 7, 8, 21, 22])
def test_an_edited_export_fails_at_the_entry_that_was_edited(judge, index):
    bad = leaf_of(index, "bad")
    entry = msgpack.unpackb(bad)
    for fields in ({"entry": entry}, {"leaf": encode(bad)}, {"leaf": encode(bad), "entry": entry},
                   {"hash": encode(leaf_hash(bad))}, {"root": encode(leaf_hash(bad))}, {"leaf": None},
                   {"leaf": "!"}, {"leaf": encode(bad), "hash": encode(leaf_hash(bad)), "entry": entry}):
        first, problems = judge(edited(index, **fields))
        assert first == index, (fields, problems)
    spaced = list(HONEST)
    spaced[index + 1] = spaced[index + 1].replace('"entry":', '"entry": ')
    assert judge(spaced)[0] == index


def test_a_reordered_export_fails_at_the_first_entry_out_of_order(judge):
    rows = list(HONEST)
    rows[6], rows[12] = rows[12], rows[6]
    assert judge(rows)[0] == 5
    renumbered = list(HONEST)
    for place, source in ((6, 12), (12, 6)):  # each under the other's number
        row = json.loads(HONEST[source])
        renumbered[place] = dump({**row, "leaf_index": place - 1})
    assert judge(renumbered)[0] == 5


def test_an_export_without_one_entry_or_with_one_twice_fails_there(judge):
    assert judge([*HONEST[:6], *HONEST[7:]])[0] == 5
    assert judge([*HONEST[:7], *HONEST[6:]])[0] == 6


def test_a_truncated_export_fails_at_the_first_entry_that_is_missing(judge):
    assert judge(HONEST[:-1])[0] is None  # all entries, and no end
    assert judge(HONEST[:-3])[0] == 21
    assert judge([*HONEST[:-3], HONEST[-1]])[0] == 21
    last = json.loads(HONEST[-1])
    assert judge([*HONEST[:-3], dump({**last, "count": 21})])[0] == 21
    assert judge([HONEST[0], HONEST[-1]])[0] == 0
    assert judge([HONEST[0]])[0] == 0
    assert judge([])[0] is None
    assert judge([*HONEST[:9], HONEST[9][:60]])[0] == 8
    assert judge([*HONEST, HONEST[-1]])[1] != []
    older = sign_head(NAME, SEED, 20, audit_verifier.mth([leaf_hash(leaf) for leaf in LEAVES[:20]]))
    first = dump({**json.loads(HONEST[0]), "tree_size": 20, "checkpoint": older})
    rows = [first, *HONEST[1:-1], dump({"count": 23, "checkpoint": older})]
    assert judge(rows)[0] == 20  # entries that nobody signed


def forked(at):
    return [*LEAVES[:at], *(leaf_of(i, "other") for i in range(at, len(LEAVES)))]


@pytest.fixture(name="kept")
def fixture_kept(tmp_path):
    """Older checkpoints of the honest log, at 4, 9 and 16 entries."""
    path = tmp_path / "kept"
    notes = [sign_head(NAME, SEED, size, audit_verifier.mth([leaf_hash(leaf) for leaf in LEAVES[:size]]))
             for size in (16, 4, 9)]
    path.write_text("".join(notes), encoding="utf-8")
    return path


def test_a_forked_export_that_the_key_did_not_sign_fails(judge, kept):
    rows = honest(forked(12))
    rows[0], rows[-1] = HONEST[0], HONEST[-1]  # every hash and root is right, but for the signed one
    assert judge(rows)[0] == 0
    assert judge(rows, "--since", kept)[0] == 9


@pytest.mark.parametrize("at", [0, 3, 4, 8, 9, 15])
def test_a_fork_that_is_signed_by_the_logs_own_key_fails_from_an_older_checkpoint(judge, kept, at):
    rows = honest(forked(at))
    assert judge(rows)[0] == "good"  # nothing in the file itself can show it
    first, problems = judge(rows, "--since", kept)
    assert first == max(size for size in (0, 4, 9, 16) if size <= at), problems


def test_a_log_that_was_cut_and_signed_again_fails_from_an_older_checkpoint(judge, kept):
    assert judge(honest(LEAVES[:15]))[0] == "good"
    assert judge(honest(LEAVES[:15]), "--since", kept)[0] == 15
    assert judge(honest(LEAVES[:16]), "--since", kept)[0] == "good"
    assert judge(HONEST, "--since", kept)[0] == "good"


def test_an_export_that_somebody_else_signed_fails(judge, kept):
    for leaves in (LEAVES, forked(5)):
        rows = honest(leaves, seed=bytes(32))
        assert judge(rows)[0] == 0
        assert judge(rows, "--since", kept)[0] == 0
    other = honest(LEAVES, name="another.example/log")
    assert judge(other)[0] == 0
    assert judge([HONEST[0], *other[1:]])[1] != []


def test_checkpoints_that_nobody_signed_vouch_for_nothing(judge, kept):
    kept.write_text(kept.read_text().replace("\n9\n", "\n8\n"))
    assert judge(HONEST, "--since", kept)[1] != []


# --- A system that is stopped ----------------------------------------------------------------------

@pytest.fixture(name="stopped")
def fixture_stopped(bhiv, tmp_path):
    """A system with some history, stopped; its checkpoint and key, kept outside."""
    system = System(bhiv, tmp_path / "d")
    with system:
        fill(system, "old")
        note = system.run("audit", "checkpoint").stdout
        with Peer(system.ingress, system.egress) as peer:
            vkey = peer.ask("req.bucket.audit_checkpoint", {})[1]["vkey"]
    (tmp_path / "kept").write_text(note, encoding="utf-8")
    return system, str(tmp_path / "kept"), vkey


def test_a_stopped_system_and_a_copy_of_its_store_verify_by_themselves(stopped, bhiv, tmp_path):
    system, kept, vkey = stopped
    copy = tmp_path / "copy"
    shutil.copytree(system.folder / "bucket", copy / "bucket")
    for folder in (system.folder, copy):
        for args in ([], ["--offline"], ["--since", kept, "--key", vkey]):
            status, problems, verdict = offline(bhiv, "verify", "--dir", folder, *args)
            assert status == 0, problems
            assert verdict["entries"] >= 9 and verdict["root"]
    done = system.run("audit", "verify", "--since", kept)
    assert done.returncode == 64 and "--key" in done.stderr
    done = system.run("audit", "verify", "--offline", "--dir", str(tmp_path))
    assert done.returncode == 66, done


def test_a_running_store_is_not_read_from_outside(filled):
    done = filled.run("audit", "verify", "--offline")
    assert done.returncode == 75 and "in use" in done.stderr


def test_a_store_that_was_set_back_and_went_another_way_is_found(stopped, bhiv, tmp_path):
    """The whole system's folder, key and all, taken back to an older copy: only what was kept tells."""
    system, kept, vkey = stopped
    older = tmp_path / "older"
    shutil.copytree(system.folder, older, ignore=shutil.ignore_patterns("bus.*", "run"))
    size = offline(bhiv, "verify", "--dir", older)[2]["entries"]
    with system:
        fill(system, "true")
        newer = tmp_path / "newer"
        newer.write_text(system.run("audit", "checkpoint").stdout, encoding="utf-8")
    cut = offline(bhiv, "verify", "--dir", older, "--since", newer, "--key", vkey)
    assert cut[0] == 1 and cut[2]["first_bad"] >= size, cut[1]
    with System(bhiv, older) as liar:
        before = json.loads(good(liar, "verify", "--since", kept))
        assert before["good"]
        fill(liar, "false", 8)
        assert json.loads(good(liar, "verify"))["good"]  # by itself it is in order
        done = liar.run("audit", "verify", "--since", str(newer), "--key", vkey)
        assert done.returncode == 1, done
        both = tmp_path / "both"
        both.write_text(newer.read_text() + (tmp_path / "kept").read_text(), encoding="utf-8")
        done = liar.run("audit", "verify", "--since", str(both))
        verdict = lines(done.stdout)[-1]
        kept_size = int((tmp_path / "kept").read_text().splitlines()[1])
        assert done.returncode == 1 and verdict["first_bad"] == kept_size, done.stdout


def test_checkpoints_of_before_a_rotation_verify_after_it(system, tmp_path):
    fill(system, "before")
    kept = tmp_path / "kept"
    kept.write_text(system.run("audit", "checkpoint").stdout)
    old = json.loads(system.run("keys", "list").stdout)["vkey"]
    eventually(lambda: system.run("keys", "rotate").returncode == 0, what="the rotation")
    eventually(lambda: json.loads(system.run("audit", "verify").stdout)["signed_by"] != old,
               what="the new key signs")
    verdict = json.loads(good(system, "verify", "--since", str(kept)))
    assert verdict["good"] and verdict["signed_by"] != old
    done = system.run("audit", "verify", "--key", old)
    assert done.returncode == 1

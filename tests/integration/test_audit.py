"""The audit log over the bus: every operation is in it, what it proves holds, nothing is hidden."""

import itertools
import json
import subprocess

import msgpack
import pytest
from support import audit_verifier as verifier
from support.checker import key_announced, settled
from support.owner import sign
from support.peer import Peer
from support.system import System, eventually

fresh = itertools.count()


@pytest.fixture(name="peer")
def fixture_peer(shared_system):
    with Peer(shared_system.ingress, shared_system.egress, source="bhiv_core") as peer:
        yield peer


def ask(peer, operation, **body):
    header, answer = peer.ask(f"req.bucket.{operation}", body)
    assert header["status"] == "success", (operation, body, answer)
    return answer


def command(peer, topic, body, **header):
    """A journaled command's reply: its header and body."""
    ident = peer.send(topic, body, reply_to=peer.inbox, **header)
    return peer.answer(ident, ack=False)


def write(peer, name=None, product="gurukul", **more):
    name = name or f"audited-{next(fresh)}"
    body = {"artifact_id": name, "content": {"n": 1.5, "name": name},
            "metadata": {"product": product, "created_by": "core"}, **more}
    return name, *command(peer, "bucket.artifact_write", body)


def entry_of(peer, answer):
    return ask(peer, "audit_entry", audit_id=answer["audit_id"])["entry"]


def all_leaves(peer):
    leaves, start = [], 0
    while True:
        page = ask(peer, "audit_leaves", **{"from": start})
        leaves += page["leaves"]
        start = page["next"]
        if start >= page["tree_size"]:
            return leaves


def verify_all(peer):
    """Every problem that Bucket finds in its own log."""
    bad, start = [], 0
    while True:
        page = ask(peer, "audit_verify", **{"from": start})
        bad += page["bad"]
        start = page["next"]
        if start >= page["tree_size"]:
            return bad


def head(peer):
    checkpoint = ask(peer, "audit_checkpoint")
    size, root = verifier.open_checkpoint(checkpoint["checkpoint"], checkpoint["vkey"])
    assert size == checkpoint["tree_size"] and root == verifier.decode(checkpoint["root"])
    return size, root


# --- Every operation -----------------------------------------------------------------------------

def an_event(peer, _):
    return command(peer, "core.event.note", {"requester_id": "bhiv_core"},
                   idem=f"audit-{next(fresh)}")


def a_stranger(peer, _):
    return command(peer, "core.event.note", {"requester_id": "somebody"},
                   idem=f"audit-{next(fresh)}")


def a_context(peer, _):
    return command(peer, "bucket.context.read", {"agent_id": "a", "requester_id": "bhiv_core"})


def a_stranger_reads(peer, _):
    return command(peer, "bucket.context.read", {"agent_id": "a", "requester_id": "somebody"})


def a_write(peer, _):
    return write(peer)[1:]


def a_duplicate(peer, _):
    name, *_ = write(peer)
    return write(peer, name)[1:]


def a_bypass(peer, _):
    return write(peer, priority="urgent")[1:]


def a_malformed_write(peer, _):
    return command(peer, "bucket.artifact_write", {"artifact_id": 7})


def a_read(peer, _):
    return command(peer, "bucket.artifact_read",
                   {"artifact_id": write(peer)[0], "product": "gurukul"})


def a_foreign_read(peer, _):
    return command(peer, "bucket.artifact_read",
                   {"artifact_id": write(peer)[0], "product": "enforcement"})


def a_query(peer, _):
    return command(peer, "bucket.metadata_query", {"product": "gurukul"})


def an_append(peer, _):
    return command(peer, "bucket.audit_append",
                   {"event_type": "read", "product": "gurukul", "details": {"x": 1}})


def a_hidden_append(peer, _):
    return command(peer, "bucket.audit_append",
                   {"event_type": "read", "product": "gurukul", "details": {}, "skip_audit": True})


def a_malformed_append(peer, _):
    return command(peer, "bucket.audit_append",
                   {"event_type": "gossip", "product": "gurukul", "details": {}})


def an_update(peer, _):
    return command(peer, "bucket.request", {"action": "update_artifact", "artifact_id": "x"})


def a_request(peer, _):
    return command(peer, "bucket.request", {"channel": "metadata_query", "product": "gurukul"})


def the_owner(peer, system, topic, body):
    return command(peer, topic, sign(system.owner_token, topic, body))


def a_toggle(peer, system):
    return the_owner(peer, system, "bucket.forwarding.set", {"enabled": True})


def a_strangers_toggle(peer, _):
    return command(peer, "bucket.forwarding.set", {"enabled": True})


def a_hold(peer, system):
    return the_owner(peer, system, "bucket.legal_hold",
                     {"artifact_id": write(peer)[0], "product": "gurukul", "hold": True,
                      "reason": "because"})


def a_deletion(peer, system):
    return the_owner(peer, system, "bucket.deletion.approve",
                     {"artifact_id": write(peer)[0], "product": "gurukul", "reason": "because"})


def a_strangers_deletion(peer, _):
    return command(peer, "bucket.deletion.approve",
                   {"artifact_id": write(peer)[0], "product": "gurukul", "reason": "because"})


@pytest.mark.parametrize("operate,event_type,operation,error", [
    (an_event, "write", "write-event", None),
    (a_stranger, None, "write-event", "UNAUTHORIZED_ACCESS"),
    (a_context, "read", "read-context", None),
    (a_stranger_reads, None, "read-context", "UNAUTHORIZED_ACCESS"),
    (a_write, "write", "artifact_write", None),
    (a_duplicate, None, "artifact_write", "DUPLICATE_ARTIFACT_ID"),
    (a_bypass, None, "artifact_write", "NO_PRIORITY_BYPASS"),
    (a_malformed_write, None, "artifact_write", "VALIDATION_FAILED"),
    (a_read, "read", "artifact_read", None),
    (a_foreign_read, None, "artifact_read", "ARTIFACT_NOT_FOUND"),
    (a_query, "query", "metadata_query", None),
    (an_append, "read", "audit_append", None),
    (a_hidden_append, None, "audit_append", "GOVERNANCE_VIOLATION"),
    (a_malformed_append, None, "audit_append", "VALIDATION_FAILED"),
    (an_update, None, "request", "IMMUTABLE_ARTIFACT"),
    (a_request, "query", "metadata_query", None),
    (a_toggle, "owner", "karma-forwarding", None),
    (a_strangers_toggle, None, "karma-forwarding", "UNAUTHORIZED_ACCESS"),
    (a_hold, "owner", "legal_hold", None),
    (a_deletion, "owner", "deletion_approve", None),
    (a_strangers_deletion, None, "deletion_approve", "UNAUTHORIZED_ACCESS"),
])
def test_every_operation_is_in_the_log_before_it_is_answered(shared_system, peer, operate, event_type,
                                                             operation, error):
    header, answer = operate(peer, shared_system)
    entry = entry_of(peer, answer)
    assert entry["operation"] == operation
    assert (answer["decision"], answer["rule"]) == (entry["decision"], entry["rule"])
    if error is None:
        assert header["status"] == "success" and entry["decision"] == "allowed"
        assert entry["event_type"] == event_type and "error_code" not in entry
    else:
        assert header["status"] == "error" and entry["decision"] == "refused"
        assert entry["error_code"] == answer["error_code"] == error
        assert entry["severity"] != "INFO"
    receipt = ask(peer, "audit_receipt", audit_id=answer["audit_id"])
    leaf, _ = verifier.verify_receipt(receipt["receipt"], receipt["vkey"])
    assert msgpack.unpackb(leaf) == entry


def test_an_append_is_answered_with_its_place_and_told_live(peer):
    peer.subscribe("bucket.out.audit_log.")
    header, answer = command(peer, "bucket.audit_append", {
        "event_type": "escalation", "product": "ai_avatar", "details": {"b": 1, "a": [2.0, None]},
        "severity": "CRITICAL", "requester_id": "core"}, trace_id="trace-append")
    assert header["status"] == "success"
    assert answer["channel"] == "audit_log" and answer["status"] == "success"
    told = eventually(peer.hear, what="the live entry")
    assert told[0] == "bucket.out.audit_log.ai_avatar" and told[2]["audit_id"] == answer["audit_id"]
    found = ask(peer, "audit_entry", audit_id=answer["audit_id"])
    assert found["leaf_index"] == answer["leaf_index"]
    assert found["leaf_hash"] == answer["entry_hash"]
    leaf = verifier.decode(found["leaf"])
    assert verifier.sha(b"\0" + leaf) == verifier.decode(found["leaf_hash"])
    entry = msgpack.unpackb(leaf)
    assert list(entry) == ["v", "audit_id", "seq", "at", "event_type", "operation", "product",
                           "requester_id", "source", "trace_id", "decision", "rule", "severity",
                           "details"]
    assert list(entry["details"]) == ["b", "a"] and entry["severity"] == "CRITICAL"
    assert (entry["requester_id"], entry["trace_id"]) == ("core", "trace-append")
    page = ask(peer, "audit_log", severity="CRITICAL", product="ai_avatar", limit=1)
    assert page["entries"][0]["audit_id"] == answer["audit_id"]
    assert page["entries"][0]["logged_at"] == answer["logged_at"]


def test_the_log_pages_from_its_first_entry_to_its_last(peer):
    for product in ("gurukul", "ai_avatar", "gurukul"):
        write(peer, product=product)
    size, _ = head(peer)
    seen, after = [], -1
    while True:
        page = ask(peer, "audit_log", after=after, limit=7)
        if page["count"] == 0:
            break
        seen += [entry["leaf_index"] for entry in page["entries"]]
        after = page["next"]
    assert seen[:size] == list(range(size))
    own = ask(peer, "audit_log", product="ai_avatar", limit=1000)["entries"]
    assert own and all(entry["product"] == "ai_avatar" for entry in own)


# --- Proofs --------------------------------------------------------------------------------------

def test_heads_and_proofs_hold_for_who_has_nothing_but_the_key(peer):
    older = head(peer)
    answers = [write(peer)[2] for _ in range(20)]
    size, root = head(peer)
    assert size >= older[0] + 20
    hashes = [verifier.sha(b"\0" + verifier.decode(leaf["leaf"])) for leaf in all_leaves(peer)]
    assert verifier.mth(hashes[:size]) == root and verifier.mth(hashes[:older[0]]) == older[1]
    for answer in answers:
        proof = ask(peer, "audit_inclusion", audit_id=answer["audit_id"], tree_size=size)
        path = [verifier.decode(each) for each in proof["path"]]
        leaf = hashes[proof["leaf_index"]]
        assert verifier.root_of(proof["leaf_index"], size, leaf, path) == root
    proof = ask(peer, "audit_consistency", **{"from": older[0], "to": size})
    assert (proof["from"], proof["to"]) == (older[0], size) and proof["path"]
    header, error = peer.ask("req.bucket.audit_consistency", {"from": size + 1000})
    assert header["status"] == "error" and error["error_code"] == "VALIDATION_FAILED"
    header, error = peer.ask("req.bucket.audit_entry", {"audit_id": "audit_999999999"})
    assert header["status"] == "error" and error["error_code"] == "AUDIT_ENTRY_NOT_FOUND"


def test_the_log_of_everything_above_verifies(peer):
    assert verify_all(peer) == []


def test_a_rebuild_makes_the_same_tree(shared_system, bhiv, peer):
    write(peer)
    key_announced(shared_system)
    done = subprocess.run([bhiv, "bucket", "--rebuild", "--dir", str(shared_system.folder)],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    live = ask(peer, "state_hash")
    size, root = head(peer)
    assert said["state_hash"] == live["state_hash"]
    assert (said["tree_size"], said["tree_root"]) == (size, root.hex())


# --- Damage --------------------------------------------------------------------------------------

def flip(folder, wanted, at):
    """Changes one byte of every copy of these bytes in Bucket's file."""
    path = folder / "bucket/data.mdb"
    data = bytearray(path.read_bytes())
    place = data.find(wanted)
    assert place >= 0
    while place >= 0:
        data[place + at] ^= 1
        place = data.find(wanted, place + 1)
    path.write_bytes(data)


def test_a_byte_changed_in_the_file_is_named_and_the_rest_is_served(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace")) as system:
        with Peer(system.ingress, system.egress, source="bhiv_core") as peer:
            answers = {}
            for n in range(20):
                name, _, answer = write(peer, f"a-{n}")
                answers[name] = ask(peer, "audit_entry", audit_id=answer["audit_id"])
            before = head(peer)
        settled(system)
        assert system.stop() == 0
        entry = answers["a-3"]
        flip(system.folder, verifier.decode(entry["leaf"]), 40)
        flip(system.folder, msgpack.packb({"n": 1.5, "name": "a-7"}), 6)
        # Two leaves of one node, away from the edge that the root is made of.
        even = next(n for n in (10, 11) if answers[f"a-{n}"]["leaf_index"] % 2 == 0)
        left, right = answers[f"a-{even}"], answers[f"a-{even + 1}"]
        assert right["leaf_index"] == left["leaf_index"] + 1
        flip(system.folder, verifier.sha(b"\1" + verifier.decode(left["leaf_hash"]) +
                                         verifier.decode(right["leaf_hash"])), 31)
        system.start()
        with Peer(system.ingress, system.egress, source="bhiv_core") as peer:
            bad = verify_all(peer)
            named = {each["leaf_index"] for each in bad}
            wanted = {entry["leaf_index"], answers["a-7"]["leaf_index"], right["leaf_index"]}
            assert named == wanted, bad
            header, error = command(peer, "bucket.artifact_read",
                                    {"artifact_id": "a-7", "product": "gurukul"})
            assert header["status"] == "error" and error["error_code"] == "INTEGRITY_ERROR"
            assert entry_of(peer, error)["severity"] == "CRITICAL"
            header, _ = command(peer, "bucket.artifact_read",
                                {"artifact_id": "a-8", "product": "gurukul"})
            assert header["status"] == "success"
            header, error = peer.ask("req.bucket.audit_entry", {"audit_id": entry["audit_id"]})
            assert header["status"] == "error" and error["error_code"] == "INTEGRITY_ERROR"
            size, root = head(peer)
            assert size > before[0]
            hashes = [verifier.decode(leaf["hash"]) for leaf in all_leaves(peer)][:size]
            assert verifier.mth(hashes[:before[0]]) == before[1]
            assert verifier.mth(hashes) == root

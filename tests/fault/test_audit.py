"""SIGKILL under every operation of Bucket: what was answered is there once, and in the audit log."""

import os
import random
import signal
from collections import Counter

import msgpack
from support import audit_verifier as verifier
from support.checker import settled
from support.mixed import PRODUCTS, Mixed, Model
from support.peer import Peer
from support.system import System, eventually

PARTS = ("broker", "bucket")


def ask(peer, operation, **body):
    header, answer = peer.ask(f"req.bucket.{operation}", body, timeout=30)
    assert header["status"] == "success", (operation, body, answer)
    return answer


def pages(peer, operation, of):
    """All that a paged question lists."""
    found, start = [], 0
    while True:
        page = ask(peer, operation, **{"from": start, "limit": 5000})
        found += page[of]
        start = page["next"]
        if start >= page["tree_size"]:
            return found


def head(peer):
    answer = ask(peer, "audit_checkpoint")
    return verifier.open_checkpoint(answer["checkpoint"], answer["vkey"])


def check_tree(peer, heads):
    """The log's entries: of the tree that every checkpoint was taken of, each whole."""
    size, root = head(peer)
    leaves = pages(peer, "audit_leaves", "leaves")[:size]
    assert len(leaves) == size
    bodies = [verifier.decode(leaf["leaf"]) for leaf in leaves]
    hashes = [verifier.sha(b"\0" + body) for body in bodies]
    assert hashes == [verifier.decode(leaf["hash"]) for leaf in leaves]
    assert verifier.mth(hashes) == root
    for older, kept in heads:
        assert older <= size and verifier.mth(hashes[:older]) == kept, "an older head does not fit"
    assert pages(peer, "audit_verify", "bad") == []
    entries = [msgpack.unpackb(body) for body in bodies]
    for index in random.sample(range(size), min(size, 50)):
        receipt = ask(peer, "audit_receipt", audit_id=entries[index]["audit_id"])
        assert verifier.verify_receipt(receipt["receipt"], receipt["vkey"]) == (bodies[index], index)
    return entries


def check_entries(entries, model):
    """One entry for each operation and none besides, but what follows from a refusal."""
    first = {entry["seq"]: entry for entry in entries if "." not in entry["audit_id"]}
    more = Counter(entry["event_type"] for entry in entries if "." in entry["audit_id"])
    assert set(more) <= {"escalation"}, more
    assert [entry["seq"] for entry in entries] == sorted(entry["seq"] for entry in entries)
    own = {seq for seq, entry in first.items() if entry["event_type"] == "key"}
    assert set(first) - own == set(model.entries)
    for seq, (operation, error) in model.entries.items():
        entry = first[seq]
        assert (entry["operation"], entry.get("error_code")) == (operation, error), entry
    assert len(first) == len(model.entries) + len(own)


def check_answers(loads, journal, entries):
    """What was answered is what the log says of the record that asked."""
    by_id = {entry["audit_id"]: entry for entry in entries}
    asked = {header["seq"]: header for _, header, _ in journal}
    for load in loads:
        for ident, (status, body) in load.answers.items():
            entry = by_id[body["audit_id"]]
            assert asked[entry["seq"]]["id"] == ident
            assert entry["decision"] == ("allowed" if status == "success" else "refused")
            assert entry.get("error_code") == body.get("error_code")


def check(system, loads, heads):
    settled(system)
    model = Model()
    with Peer(system.ingress, system.egress, source="checker") as peer:
        journal = list(peer.fetch_all())
        for topic, header, body in journal:
            model.apply(topic, header, body)
        entries = check_tree(peer, heads)
        check_entries(entries, model)
        check_answers(loads, journal, entries)
        for product in PRODUCTS:
            used = ask(peer, "quota", product=product)
            assert (used["used_bytes"], used["artifacts"]) == model.used(product), product
        assert ask(peer, "stats")["stats"]["total_events"] == len(model.events)
        causes = Counter(header["cause"][0] for topic, header, _ in journal
                         if topic == "karma.life_event")
        assert causes == Counter(model.events), "not one life event for each stored event"
    return len(model.entries)


def kill_some(system, dice):
    if dice.randrange(5) == 0:
        system.kill_all()
        system.start()
        return
    group = dice.sample(PARTS, dice.randrange(1, len(PARTS) + 1))
    pids = {part: system.restarted(part, 0) for part in group}
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    for part, pid in pids.items():
        system.restarted(part, pid)


def test_killing_under_every_operation_loses_doubles_and_hides_nothing(bhiv, tmp_path, long):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    count, kills = (100_000, 20) if long else (20_000, 5)
    with System(bhiv, tmp_path / "d", args=("--dev", "--without", "bridge,grace")) as system:
        loads = [Mixed(system, count * 97 // 200, name=f"mixed{n}", seed=seed + n) for n in range(2)]
        loads.append(Mixed(system, count * 6 // 200, 1, "owner", owner=True, seed=seed + 2))

        def answered():
            for load in loads:
                assert load.error is None, load.error
            return sum(len(load.answers) for load in loads)

        for load in loads:
            load.start()
        heads = []
        for round_ in range(kills):
            goal = count * 9 // 10 * (round_ + dice.random()) / kills
            eventually(lambda goal=goal: answered() >= goal, 600, 0.01, "answers")
            kill_some(system, dice)
            with Peer(system.ingress, system.egress, source="keeper", timeout=30) as peer:
                heads.append(eventually(lambda peer=peer: try_head(peer), 30, what="a checkpoint"))
        for load in loads:
            load.join(600 if long else 60)
            assert load.error is None and len(load.answers) == load.count, load.error
        assert check(system, loads, heads) >= count
        assert system.stop() == 0


def try_head(peer):
    """A checkpoint, unless Bucket is not there yet."""
    try:
        header, answer = peer.ask("req.bucket.audit_checkpoint", {}, timeout=1)
    except TimeoutError:
        return None
    if header["status"] != "success":
        return None
    return verifier.open_checkpoint(answer["checkpoint"], answer["vkey"])

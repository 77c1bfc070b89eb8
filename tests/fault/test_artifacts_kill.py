"""SIGKILL at random under mixed operations of Bucket: all that was answered is there, once, and proved.

The short run is 6 rounds of a few hundred operations each; `--long` is 20 of 5,000: 100,000 in all.
"""

import json
import random
import subprocess
import threading
import uuid

from support.artifacts import PRODUCTS, Model, all_of, checksum, every, quota, size, write_body
from support.peer import Peer
from support.system import System, eventually

PARTS = ("--dev", "--only", "broker,bucket")
WORKERS = 4


class Worker(threading.Thread):
    """Does one operation after the other, each said again under its id until it is answered."""

    def __init__(self, system, number, seed):
        super().__init__(daemon=True)
        self.peer = Peer(system.ingress, system.egress, source=f"worker_{number}")
        self.name_ = f"w{number}-{seed}"
        self.rng = random.Random(seed * 100 + number)
        self.done = []  # (topic, body, answer)
        self.written = []
        self.halt = threading.Event()
        self.error = None

    def operation(self):
        rng = self.rng
        product = rng.choice(PRODUCTS)
        kind = rng.random()
        if kind < 0.4 or not self.written:
            # Of one id in five there is already an artifact, or soon will be.
            ident = f"shared-{rng.randrange(40)}" if rng.random() < 0.2 else f"{self.name_}-{len(self.done)}"
            content = {"by": self.name_, "n": len(self.done), "x": "y" * rng.randrange(300)}
            return "bucket.artifact_write", write_body(product, ident, content, tags=["kill"])
        if kind < 0.7:
            product, ident = rng.choice(self.written)
            if rng.random() < 0.2:
                product = rng.choice(PRODUCTS)
            return "bucket.artifact_read", {"product": product, "artifact_id": ident}
        if kind < 0.8:
            return "bucket.metadata_query", {"product": product, "filters": {"tags": ["kill"], "limit": 3}}
        if kind < 0.95:
            return "bucket.audit_append", {"event_type": "read", "product": product, "details": {"n": 1}}
        return "bucket.request", {"action": "update_artifact", "artifact_id": "x", "product": product,
                                  "requester_id": f"{self.name_}-{len(self.done)}"}

    def ask(self, topic, body):
        """A reply that was lost comes again for the id, in a record of its own: so under a new pseq."""
        self.peer.pseq += 1
        header = {"id": str(uuid.uuid4()), "pstream": self.peer.stream}
        while not self.halt.is_set():
            ident = self.peer.send(topic, body, reply_to=self.peer.inbox, pseq=self.peer.pseq, **header)
            try:
                answer = self.peer.answer(ident, 1.0, ack=False)[1]
            except TimeoutError:
                self.peer.pseq += 1
                continue
            if answer.get("error_code") == "PSEQ_GAP":
                self.peer.pseq = answer["details"]["expected"]
            elif answer.get("error_code") != "BUSY":
                return answer
        return None

    def run(self):
        try:
            while not self.halt.is_set():
                topic, body = self.operation()
                answer = self.ask(topic, body)
                if answer is None:
                    return
                self.done.append((topic, body, answer))
                if topic == "bucket.artifact_write" and answer["status"] == "success":
                    self.written.append((body["metadata"]["product"], body["artifact_id"]))
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def kill_under_load(system, rng, seed, operations, kills):
    """Runs the workers until they did so many operations, killing parts meanwhile."""
    workers = [Worker(system, n, seed) for n in range(WORKERS)]
    for worker in workers:
        worker.start()

    def count():
        errors = [worker.error for worker in workers if worker.error]
        assert not errors, errors
        return sum(len(worker.done) for worker in workers)

    for n in range(kills):
        goal = operations * (n + 1) // (kills + 1) + rng.randrange(operations // (kills + 1))
        eventually(lambda goal=goal: count() >= goal, 600, what=f"{goal} operations")
        part = rng.choice(["bucket", "bucket", "broker"])
        system.restarted(part, system.kill(part), timeout=60)
    eventually(lambda: count() >= operations, 600, what=f"{operations} operations")
    # Each may leave the operation open that it is at.
    for worker in workers:
        worker.halt.set()
    for worker in workers:
        worker.join(30)
        worker.peer.close(linger=0)
    return [done for worker in workers for done in worker.done]


def judge(system, done, open_max):
    """Everything that was answered against everything that is there, but for what was left open."""
    kept = {}  # product, id -> content, metadata
    for topic, body, answer in done:
        if topic == "bucket.artifact_write" and answer["status"] == "success":
            key = body["metadata"]["product"], body["artifact_id"]
            assert key not in kept, f"two were told that they wrote {key}"
            assert answer["checksum"] == checksum(body["content"])
            kept[key] = body["content"], body["metadata"]
    with Peer(system.ingress, system.egress, source="judge") as peer:
        wait_applied(peer)
        for product in PRODUCTS:
            open_max -= judge_product(peer, product, kept)
        assert open_max >= 0, "more is there than was answered or left open"
        judge_log(peer, done)
    return kept


def wait_applied(peer):
    last = max(header["seq"] for _, header, _ in peer.fetch_all(["bucket.", "crypto."]))

    def applied():
        try:
            return peer.ask("req.bucket.health", timeout=2)[1].get("cursor", 0) >= last
        except TimeoutError:
            return False

    eventually(applied, 60, what="all applied")


def judge_product(peer, product, kept):
    """Returns how many are there that nobody was told of."""
    mine = {ident: each for (of, ident), each in kept.items() if of == product}
    found = [row["artifact_id"] for row in every(peer, product)]
    assert len(found) == len(set(found))
    assert set(mine) <= set(found), (len(found), len(mine))
    total = 0
    asked = (("bucket.artifact_read", {"product": product, "artifact_id": ident}) for ident in found)
    for ident, answer in zip(found, all_of(peer, asked, window=100)):
        assert answer["status"] == "success", answer
        if ident in mine:
            assert (answer["content"], answer["metadata"]) == mine[ident]
        total += size(answer["content"], answer["metadata"])
    use = quota(peer, product)
    assert (use["artifacts"], use["used_bytes"]) == (len(found), total)
    return len(set(found) - set(mine))


def judge_log(peer, done):
    """Every answer names an entry of the log that says the same of it; the log proves itself."""
    asked = {}
    ids = [answer["audit_id"] for _, _, answer in done]
    for start in range(0, len(ids), 500):
        for ident in ids[start:start + 500]:
            asked[ident] = peer.send("req.bucket.audit_entry", {"audit_id": ident}, reply_to=peer.inbox)
        for ident in ids[start:start + 500]:
            if ident in asked:
                entry = peer.answer(asked[ident], 30)[1]["entry"]
                assert entry["audit_id"] == ident
                asked[ident] = entry
    for topic, _, answer in done:
        entry = asked[answer["audit_id"]]
        assert entry["decision"] == answer["decision"], (entry, answer)
        assert entry.get("error_code") == answer.get("error_code")
        if topic == "bucket.artifact_write" and answer["status"] == "success":
            assert answer["checksum"] == "sha256:" + entry["content_hash"]
            assert entry["subject"] == answer["artifact_id"]
    place = 0
    while True:
        page = peer.ask("req.bucket.audit_verify", {"from": place, "limit": 10000}, timeout=60)[1]
        assert page["bad"] == [], page["bad"][:3]
        place = page["next"]
        if place >= page["tree_size"]:
            break
    health = peer.ask("req.bucket.health")[1]["governance"]
    assert health["damaged"] == 0


def judge_rebuild(bhiv, system):
    """The same journal in an empty folder makes the same state and the same tree."""
    with Peer(system.ingress, system.egress, source="judge") as peer:
        live = peer.ask("req.bucket.state_hash")[1]
        checkpoint = peer.ask("req.bucket.audit_checkpoint", {})[1]
    argv = [bhiv, "bucket", "--rebuild", "--dir", str(system.folder), "--ingress", system.ingress,
            "--egress", system.egress]
    made = subprocess.run(argv, capture_output=True, text=True, timeout=600, check=False)
    assert made.returncode == 0, made.stderr
    rebuilt = json.loads(made.stdout)
    assert rebuilt["tree_size"] == checkpoint["tree_size"]
    assert rebuilt["state_hash"] == live["state_hash"]


def test_killed_at_random_bucket_keeps_what_it_answered_once_and_proves_it(bhiv, tmp_path, long):
    rng = random.Random(20)
    rounds, operations = (20, 5000) if long else (3, 500)
    done = []
    with System(bhiv, tmp_path / "d", args=PARTS) as system:
        for n in range(rounds):
            done += kill_under_load(system, rng, n, operations, kills=1 if long else 2)
        kept = judge(system, done, rounds * WORKERS)
        assert len(kept) > rounds * operations // 4
        kinds = {(topic, answer.get("error_code")) for topic, _, answer in done}
        assert ("bucket.artifact_write", "DUPLICATE_ARTIFACT_ID") in kinds
        assert ("bucket.artifact_read", "ARTIFACT_NOT_FOUND") in kinds
        assert ("bucket.request", "IMMUTABLE_ARTIFACT") in kinds
        judge_rebuild(bhiv, system)


def test_the_model_finds_a_wrong_answer():
    """The judge itself: it must not pass what it is there to find."""
    model = Model()
    body = write_body("gurukul", "a", {"n": 1})
    right = {"status": "success", "checksum": checksum({"n": 1}), "stored_at": "2026-01-01T00:00:00.000000Z"}
    model.written(body, right)
    for check in (lambda: model.written(body, right),
                  lambda: model.was_read("gurukul", "a", {"content": {"n": 2}, "metadata": body["metadata"]}),
                  lambda: model.was_read("ai_avatar", "a", {"error_code": "ARTIFACT_NOT_FOUND", "message": "?"})):
        try:
            check()
        except (AssertionError, KeyError):
            continue
        raise AssertionError("a wrong answer was passed")

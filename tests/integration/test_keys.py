"""Bucket's signing keys, from outside: `bhiv keys`, req.crypto, restarts, rotations, refusals."""

import base64
import hashlib
import json
import os
import signal
import subprocess

import pytest
from support import ed25519, owner
from support.peer import Peer
from support.system import Program, System, eventually

ARGS = ("--dev", "--only", "broker,bucket")


@pytest.fixture(name="system")
def fixture_system(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d", args=ARGS) as running:
        known(running)
        yield running


def known(system):
    """Waits until the active key is known to the journal, and returns it."""
    return eventually(
        lambda: [key for key in keys(system, "list") if key["state"] == "active"],
        what="the key is known")[0]


def bhiv_keys(system, *args, stdin=None):
    return system.run("keys", *args, stdin=stdin)


def keys(system, *args, stdin=None):
    """What a verb printed, a JSON value a line."""
    done = bhiv_keys(system, *args, stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def signs_well(vkey, data_hash, signature):
    """The signature verified by RFC 8032 in Python, from what the manual says is signed."""
    public = base64.b64decode(vkey.split("+", 2)[2])[1:]
    signed = b"bhiv-signature-v1\n" + data_hash.encode()
    return ed25519.verify(public, signed, base64.b64decode(signature))


def test_there_is_one_active_key_and_its_public_half_is_exported(system):
    [key] = keys(system, "list")
    assert key["state"] == "active" and key["algorithm"] == "Ed25519" and key["uses"] == 0
    assert key["name"] == "bhiv.bucket/audit/" + key["key_id"][4:12]
    exported = bhiv_keys(system, "export-public").stdout
    assert exported == key["vkey"] + "\n"
    name, key_id, public = key["vkey"].split("+", 2)
    public = base64.b64decode(public)
    assert name == key["name"] and public[0] == 1 and len(public) == 33
    assert hashlib.sha256(name.encode() + b"\n" + public).hexdigest()[:8] == key_id
    assert hashlib.sha256(public[1:]).hexdigest()[:16] == key["key_id"][4:]
    assert keys(system, "show", key["key_id"]) == keys(system, "show") == [key]
    assert (system.folder / "bucket.key").stat().st_mode & 0o777 == 0o600


def test_a_table_is_printed_for_a_terminal_and_no_secret_anywhere(system):
    done = bhiv_keys(system, "list", "--format", "line")
    assert done.returncode == 0 and done.stdout.split("\n")[0].split()[:2] == ["KEY", "STATE"]
    secret = (system.folder / "bucket.key").read_text().strip()
    assert secret not in done.stdout and secret not in system.log_path.read_text()


def test_a_file_is_signed_and_verified(system, tmp_path):
    report = tmp_path / "report"
    report.write_bytes(bytes(range(256)) * 1000)
    [made] = keys(system, "sign", str(report))
    assert made["data_hash"] == hashlib.sha256(report.read_bytes()).hexdigest()
    assert signs_well(made["vkey"], made["data_hash"], made["signature"])
    [verdict] = keys(system, "verify", str(report), "--signature", made["signature"])
    assert verdict["valid"] is True and verdict["key_id"] == made["key_id"]
    [verdict] = eventually(
        lambda: (done := bhiv_keys(system, "verify", str(report), "--signature-id", made["signature_id"]))
        .returncode == 0 and [json.loads(done.stdout)], what="the signature is kept")
    assert verdict["created_at"] == made["created_at"] and verdict["requester_id"] == "bhiv_cli"
    report.write_bytes(b"something else")
    done = bhiv_keys(system, "verify", str(report), "--signature-id", made["signature_id"])
    assert done.returncode == 1 and json.loads(done.stdout)["valid"] is False


def test_standard_input_is_signed_and_a_terminal_gets_the_signature_alone(system):
    done = bhiv_keys(system, "sign", "--format", "line", stdin="hello\n")
    signature = done.stdout.strip()
    assert done.returncode == 0 and len(base64.b64decode(signature)) == 64
    assert bhiv_keys(system, "verify", "-", "--signature", signature, stdin="hello\n").returncode == 0
    assert bhiv_keys(system, "verify", "-", "--signature", signature, stdin="hullo\n").returncode == 1


@pytest.mark.parametrize(("args", "status"), [
    (["show", "key_0000000000000000"], 66),
    (["export-public", "key_0000000000000000"], 66),
    (["sign", "no/such/file"], 66),
    (["verify", "-"], 64),
    (["verify", "-", "--signature", "AAAA", "--signature-id", "x"], 64),
    (["verify", "-", "--signature-id", "sig_none"], 66),
    (["verify", "-", "--signature", "AAAA"], 65),
    (["frobnicate"], 64),
    ([], 64),
])
def test_the_exit_status_says_what_was_wrong(system, args, status):
    done = bhiv_keys(system, *args, stdin="")
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stderr.startswith("bhiv:") and done.stdout == ""


def test_a_rotation_keeps_the_name_and_old_signatures_good(system):
    [before] = keys(system, "list")
    [signed] = keys(system, "sign", stdin="old")
    [rotated] = keys(system, "rotate")
    assert rotated["replaces"] == before["key_id"] and rotated["name"] == before["name"]

    def settled():
        listed = keys(system, "list")
        return [key["state"] for key in listed] == ["retired", "active"] and listed

    old, new = eventually(settled, what="the old key is retired")
    assert (old["key_id"], new["key_id"]) == (before["key_id"], rotated["key_id"])
    assert old["retired_at"] >= new["created_at"] and new["replaces"] == old["key_id"]
    assert bhiv_keys(system, "export-public", old["key_id"]).stdout.strip() == before["vkey"]
    assert bhiv_keys(system, "export-public").stdout.strip() == rotated["vkey"]
    for more in ([], ["--key", old["key_id"]]):
        args = ["verify", "-", "--signature", signed["signature"], *more]
        assert bhiv_keys(system, *args, stdin="old").returncode == 0
    args = ["verify", "-", "--signature", signed["signature"], "--key", new["key_id"]]
    assert bhiv_keys(system, *args, stdin="old").returncode == 1
    [again] = keys(system, "sign", stdin="new")
    assert again["key_id"] == new["key_id"] and signs_well(
        new["vkey"], again["data_hash"], again["signature"])


def test_only_the_owner_rotates_and_an_attempt_is_a_violation(system):
    with Peer(system.ingress, system.egress, source="mallory") as peer:
        for body in ({}, owner.sign("not the token", "req.crypto.rotate", {}),
                     owner.sign(system.owner_token, "req.crypto.sign", {}),
                     owner.sign(system.owner_token, "req.crypto.rotate", {}, signed_at=1)):
            header, answer = peer.ask("req.crypto.rotate", body, ack=False)
            assert header["status"] == "error", answer
            assert answer["error_code"] == "UNAUTHORIZED_ACCESS"
        tried = [body for topic, _, body in peer.fetch_all(["bucket.refused"])]
        assert len(tried) == 4 and {body["requester_id"] for body in tried} == {"mallory"}
        command = owner.sign(system.owner_token, "req.crypto.rotate", {})
        header, answer = peer.ask("req.crypto.rotate", command, ack=False)
        assert header["status"] == "success", answer
        eventually(lambda: known(system)["key_id"] == answer["key_id"], what="the new key")
        header, answer = peer.ask("req.crypto.rotate", command, ack=False)
        assert header["status"] == "error" and answer["error_code"] == "UNAUTHORIZED_ACCESS"
    (system.folder / "owner.token").unlink()
    assert bhiv_keys(system, "rotate").returncode == 77


def test_keys_signatures_and_counts_survive_a_restart(system):
    [signed] = keys(system, "sign", stdin="kept")
    before = keys(system, "show")[0]
    assert system.stop() == 0
    system.start()
    after = known(system)
    assert {**after, "last_used": None} == {**before, "last_used": None} and after["uses"] == 1
    args = ["verify", "-", "--signature-id", signed["signature_id"]]
    assert bhiv_keys(system, *args, stdin="kept").returncode == 0
    keys(system, "sign", stdin="more")
    assert keys(system, "show")[0]["uses"] == 2


def test_a_rotation_that_a_kill_follows_at_once_is_done_and_kept(system):
    for _ in range(3):
        [rotated] = keys(system, "rotate")
        pid = system.kill("bucket", signal.SIGKILL)
        system.restarted("bucket", pid)
        eventually(lambda: bhiv_keys(system, "list").returncode == 0, what="Bucket is back")
        assert eventually(lambda: known(system), what="a key")["key_id"] == rotated["key_id"]
        [signed] = eventually(
            lambda: (done := bhiv_keys(system, "sign", stdin="x")).returncode == 0
            and [json.loads(done.stdout)], what="it signs")
        assert signed["key_id"] == rotated["key_id"]


def test_what_keys_did_is_in_the_audit_log(system):
    keys(system, "sign", stdin="x")
    keys(system, "rotate")

    def entries():
        with Peer(system.ingress, system.egress) as peer:
            header, answer = peer.ask("req.bucket.audit_log", {"event_type": "key"}, ack=False)
            assert header["status"] == "success", answer
            said = [entry["operation"] for entry in answer["entries"]]
            return said if "crypto.key.retired" in said else None

    assert eventually(entries, what="the audit entries") == [
        "crypto.key.created", "crypto.signature", "crypto.key.created", "crypto.key.retired"]


def test_facts_about_keys_are_believed_from_bucket_alone(system):
    fact = {"key_id": "key_" + "0" * 16, "name": "mallory", "public_key": "A" * 43 + "="}
    with Peer(system.ingress, system.egress, source="mallory") as peer:
        peer.publish("crypto.key.created", fact)  # it is journaled, as anything may be

        def refused():
            answer = peer.ask("req.bucket.audit_log", {"limit": 1000}, ack=False)[1]
            return [entry for entry in answer["entries"] if entry["decision"] == "refused"]

        [entry] = eventually(refused, what="it is refused")
        assert entry["operation"] == "crypto.key.created" and entry["requester_id"] == "mallory"
    assert fact["key_id"] not in [key["key_id"] for key in keys(system, "list")]


# --- Starting with what does not fit ---


def bucket_alone(bhiv, folder, log, env):
    """`bhiv bucket` on a folder without a broker; its exit status and what it said."""
    with open(log, "wb") as out:
        done = subprocess.run([bhiv, "bucket", "--dir", str(folder)], stdout=subprocess.DEVNULL,
                              stderr=out, env={**os.environ, **env}, timeout=30, check=False)
    return done.returncode, log.read_text()


def once(bhiv, folder, log, env):
    program = Program([bhiv, "bucket", "--dir", str(folder)], env=env, log=log)
    assert program.stop() == 0


def test_a_wrong_passphrase_is_refused_by_name_and_the_right_one_works_again(bhiv, tmp_path):
    folder, log = tmp_path / "d", tmp_path / "log"
    right = {"BHIV_KEY_PASSPHRASE": "correct horse"}
    once(bhiv, folder, log, right)
    assert not (folder / "bucket.key").exists()
    for wrong in ({"BHIV_KEY_PASSPHRASE": "battery staple"}, {"BHIV_KEY_PASSPHRASE": ""}):
        status, said = bucket_alone(bhiv, folder, tmp_path / "wrong", wrong)
        assert status == 78 and "keys_locked" in said and "passphrase" in said, said
        assert "battery staple" not in said
    once(bhiv, folder, log, right)


def test_another_key_file_is_refused_and_none_makes_a_new_key(bhiv, tmp_path):
    folder, log = tmp_path / "d", tmp_path / "log"
    once(bhiv, folder, log, {})
    path = folder / "bucket.key"
    right = path.read_text()
    path.write_text("00" * 32 + "\n")
    status, said = bucket_alone(bhiv, folder, tmp_path / "wrong", {})
    assert status == 78 and "keys_locked" in said, said
    path.write_text(right)
    path.chmod(0o644)
    assert bucket_alone(bhiv, folder, tmp_path / "wrong", {})[0] == 78
    path.unlink()
    once(bhiv, folder, log, {})
    assert "keys_lost" in log.read_text() and path.read_text() != right


@pytest.mark.parametrize(("name", "value"), [
    ("BHIV_BUCKET_QUOTAS", "gurukul=lots"),
    ("BHIV_BUCKET_QUOTAS", "nobody=1GB"),
    ("BHIV_OWNER_EMAIL", "owner@example.org\nBcc: all@example.org"),
])
def test_a_configuration_that_cannot_be_read_is_named_and_refused(bhiv, tmp_path, name, value):
    status, said = bucket_alone(bhiv, tmp_path / "d", tmp_path / "log", {name: value})
    assert status == 78 and "config_refused" in said and name in said, said


def test_a_rebuild_beside_a_running_bucket_makes_no_key_of_its_own(system):
    before = (system.folder / "bucket.key").read_text()
    done = system.run("bucket", "--rebuild", "--ingress", f"ipc://{system.folder}/bus.in",
                      "--egress", f"ipc://{system.folder}/bus.out")
    assert done.returncode == 0, done.stderr
    assert (system.folder / "bucket.key").read_text() == before
    assert len(keys(system, "list")) == 1

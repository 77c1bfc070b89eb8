"""Secrets show nowhere: not in logs at debug level, errors, metrics, configuration, the journal or on
command lines; and no core dump would hold them."""

import base64
import os
import pathlib
import re
import subprocess

import pytest
import requests
from support.peer import Peer
from support.secure import SecureBroker, keys_of, make_cert
from support.system import Program, System
from support.tokens import Guarded

SETTINGS = {
    "BHIV_KEY_PASSPHRASE": "passphrase-6f1c2a7be09d",
    "BHIV_AI_URL": "http://127.0.0.1:9",
    "BHIV_AI_MODEL": "m",
    "BHIV_AI_KEY": "ai-key-90d1e5b2c7aa",
    "BHIV_SMTP_URL": "smtp://127.0.0.1:9",
    "BHIV_SMTP_FROM": "bus@example.org",
    "BHIV_SMTP_USER": "bus",
    "BHIV_SMTP_PASSWORD": "password-4b7c19e0f3d8",
    "BHIV_WHATSAPP_URL": "http://127.0.0.1:9",
    "BHIV_WHATSAPP_PHONE_ID": "1",
    "BHIV_WHATSAPP_TOKEN": "whatsapp-2e8a6d40b1c5",
}
SECRETS = [SETTINGS[f"BHIV_{name}"] for name in ("KEY_PASSPHRASE", "AI_KEY", "SMTP_PASSWORD", "WHATSAPP_TOKEN")]
PORTS = ("karma", "bucket", "core", "workflow", "console")


def limit_of_cores(pid):
    """(soft, hard) of a process, as words."""
    text = pathlib.Path(f"/proc/{pid}/limits").read_text()
    return re.search(r"Max core file size +(\S+) +(\S+)", text).groups()


def is_closed(pid):
    """Whether the kernel keeps its memory from others: what is its own in /proc is root's then."""
    return os.stat(f"/proc/{pid}/environ").st_uid == 0 if os.geteuid() != 0 else True


def forms(secret):
    """It, and it as it would stand in base64 and in hex."""
    yield secret
    yield base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]
    yield secret.encode().hex()


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    env = {**SETTINGS, "BHIV_LOG_LEVEL": "debug"}
    with Guarded(bhiv, tmp_path_factory.mktemp("s") / "d", env=env) as running:
        running.token_of_owner = running.token("owner")
        running.token_of_core = running.token("bhiv_core")
        yield running.ready()


def do_all_that_uses_them(system):
    """Calls out with every secret, and what goes wrong with it."""
    def execute(payload):
        body = {"trace_id": "t-secret", "decision": "workflow",
                "data": {"workflow_type": "workflow", "payload": {"user_id": "u", **payload}}}
        return system.call(system.token_of_owner, "POST", "/api/workflow/execute", body, port="workflow").text

    said = [execute({"action_type": "email", "recipient": "a@example.org", "subject": "s", "body": "b"}),
            execute({"action_type": "whatsapp", "phone": "+4912345", "message": "m"}),
            execute({"action_type": "ai", "prompt": "p"}),
            execute({"action_type": "nothing of ours"})]
    ask = {"agent": "openai_agent", "input": "x"}
    said.append(system.call(system.token_of_owner, "POST", "/handle_task", ask, port="core").text)
    said.append(requests.get(system.url("core", "/config"), timeout=15,
                             headers={"Authorization": f"Bearer {system.token_of_core}x"}).text)
    return said


def test_no_setting_token_or_key_is_told_anywhere(system):
    said = do_all_that_uses_them(system)
    for port in PORTS:
        paths = system.call(system.token_of_owner, "GET", "/openapi.json", port=port).json()["paths"]
        assert "/metrics" in paths
        for path, methods in paths.items():
            if "get" in methods and not path.endswith("/stream"):
                name = path.replace("{", "").replace("}", "")
                said.append(system.call(system.token_of_owner, "GET", name, port=port).text)
    said.append(system.call(system.token_of_owner, "GET", "/config", port="core").text)
    with Peer(system.ingress, system.egress) as peer:
        said += [str(record) for record in peer.fetch_all([""])]
        for service in ("core", "workflow", "bucket", "htm"):
            said.append(str(peer.ask(f"req.{service}.health", {})))
    assert len(said) > 60
    logged = system.log_path.read_text(errors="replace")
    assert " debug " in logged, "or the log was not at its most talkative"
    said.append(logged)
    for pid in [system.up.pid, *(system.pid(name) for name in system.names())]:
        said.append(pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode())
    secrets = [*SECRETS, (system.folder / "owner.token").read_text().strip(),
               *(token.rsplit("_", 1)[-1] for token in (system.token_of_owner, system.token_of_core))]
    for secret in secrets:
        for form in forms(secret):
            assert not any(form in text for text in said), form[:8]


def test_files_with_secrets_are_their_owners_alone(system):
    assert system.folder.stat().st_mode & 0o777 == 0o700
    for name in ("owner.token", "tokens"):
        assert (system.folder / name).stat().st_mode & 0o777 == 0o600
    assert not (system.folder / "bucket.key").exists(), "a passphrase stands in for it"


def test_parts_that_were_given_secrets_dump_no_core(system):
    for name in system.names():
        assert limit_of_cores(system.pid(name)) == ("0", "0"), name
        assert is_closed(system.pid(name)), name
    assert limit_of_cores(system.up.pid)[1] == "0"


def test_of_an_open_system_bucket_and_bridge_alone_hold_secrets(bhiv, tmp_path):
    """And the others may be looked into when they crash, or the test above would show nothing."""
    if limit_of_cores(os.getpid())[1] == "0":
        pytest.skip("nothing here may dump a core anyway")
    with System(bhiv, tmp_path / "d") as system:
        guarded = {name for name in system.names() if limit_of_cores(system.pid(name))[1] == "0"}
        assert guarded == {"bucket", "bridge"}


def test_a_broker_and_a_peer_with_certificates_dump_no_core_and_tell_no_key(bhiv, tmp_path):
    bus = SecureBroker(bhiv, tmp_path / "bus", names=["bhiv_karma", "owner"])
    bus.env = debug = {"BHIV_LOG_LEVEL": "debug"}
    log = tmp_path / "karma.log"
    words = [f"--ingress={bus.tcp_in}", f"--egress={bus.tcp_out}"]

    def karma(folder, certificate):
        return [bhiv, "karma", "--dir", str(tmp_path / folder), *words,
                f"--cert={bus.folder}/certs/{certificate}.cert_secret"]

    with bus:
        part = Program(karma("k", "bhiv_karma"), env=debug, log=log)
        try:
            for pid in (bus.program.pid, part.pid):
                assert limit_of_cores(pid) == ("0", "0") and is_closed(pid)
            refused = subprocess.run(karma("j", "owner"), capture_output=True, text=True, timeout=30, check=False)
            again = make_cert(bhiv, bus.folder, "bhiv_karma")
            assert refused.returncode == 78 and again[0] != 0
            said = [refused.stdout, refused.stderr, *again[1:]]
            said += [pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode() for pid in (bus.program.pid, part.pid)]
            with bus.peer("py_owner") as trusted:
                said += [str(trusted.ask("$bus.stats", {})), str(trusted.ask("$bus.peers", {}))]
                said += [str(record) for record in trusted.fetch_all([""])]
        finally:
            part.stop()
    said += [log.read_text(), bus.log_path.read_text()]
    for name in ("broker", "bhiv_karma", "owner"):
        key = keys_of(bus.folder, name)[1].decode()
        assert len(key) == 40 and not any(key in text for text in said)

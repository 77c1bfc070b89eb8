"""The whole system over tcp by certificates: each part does its work within its own row of the rules,
and what is refused is in Bucket's audit log."""

import hashlib
import json
import signal
import subprocess

import pytest
import requests
from contract.test_http import OPERATIONS
from support.broker import stats_of
from support.secure import SecureBroker, make_cert
from support.system import Program, eventually, free_port_base

PARTS = {
    "bucket": "bhiv_bucket",
    "karma": "bhiv_karma",
    "core": "bhiv_core",
    "workflow": "workflow_executor",
    "htm": "htm",
    "brain": "brain",
    **{
        f"kernel {name}": f"kernel-{name}"
        for name in ("infrastructure", "governance", "memory", "librarian", "verification", "self_healing", "code")
    },
    "bridge": "bhiv_bridge",
}


class SecureSystem:
    """Every part as a process of its own, which knows the bus by tcp and a certificate alone."""

    def __init__(self, bhiv, folder):
        self.bhiv, self.folder = bhiv, folder
        self.bus = SecureBroker(bhiv, folder / "bus", names=[*PARTS.values(), "owner", "monitor"])
        self.parts = []
        self.base = free_port_base()

    def words(self, certificate):
        return [
            f"--ingress={self.bus.tcp_in}",
            f"--egress={self.bus.tcp_out}",
            f"--cert={self.bus.folder}/certs/{certificate}.cert_secret",
        ]

    def __enter__(self):
        self.bus.start()
        for part, certificate in PARTS.items():
            argv = [self.bhiv, *part.split(), "--dir", str(self.folder / "state"), *self.words(certificate)]
            if part == "bridge":
                argv += [f"--{name}-port={self.base + i}" for i, name in enumerate(("karma", "bucket", "core", "workflow"))]
                argv += [f"--console-port={self.base + 80}"]
            self.parts.append(Program(argv, log=self.folder / f"{part.replace(' ', '-')}.log", ready=False))
        for program in self.parts:
            assert program.read_line(30).startswith("ready")
        with self.bus.peer("py_owner") as trusted:  # which a slow one says alone
            eventually(lambda: set(PARTS.values()) <= {row["source"] for row in
                                                       trusted.ask("$bus.peers", {})[1]["peers"]},
                       30, what="every part on the bus")
        return self

    def __exit__(self, *exc):
        for program in reversed(self.parts):
            program.stop()
        self.bus.__exit__(*exc)

    def tool(self, certificate, *words):
        return subprocess.run(
            [self.bhiv, *words, *self.words(certificate)], capture_output=True, text=True, timeout=60, check=False
        )

    def url(self, port, path):
        offset = {"karma": 0, "bucket": 1, "core": 2, "workflow": 3, "console": 80}[port]
        return f"http://127.0.0.1:{self.base + offset}{path}"

    def heard_of(self):
        """Whether every part is known to the bus, and telemetry went round."""
        with self.bus.peer("py_owner") as trusted:
            known = {row["source"] for row in trusted.ask("$bus.peers", {})[1]["peers"]}
            live = stats_of(trusted)["in"]["live"]["messages"]
        return set(PARTS.values()) <= known and live >= 10

    def refused(self):
        with self.bus.peer("py_owner") as trusted:
            return stats_of(trusted)["access"]["refused"]


@pytest.fixture(scope="module")
def secure(bhiv, tmp_path_factory):
    with SecureSystem(bhiv, tmp_path_factory.mktemp("sec-system")) as system:
        yield system


def test_every_part_does_its_work_within_its_row(secure):
    """All that HTTP serves, a task, a document, and the parts' own talk: nothing of it is refused."""
    for port, rows in OPERATIONS.items():
        for name, (method, path, body, _) in rows.items():
            if name == "events_stream":
                continue
            answer = requests.request(method, secure.url(port, path), json=body, timeout=20)
            assert answer.status_code < 500 or name in ("handle_task", "handle_multi_task"), (name, answer.text)
            assert "rules do not let" not in answer.text, name
    document = secure.folder / "document.md"
    document.write_text("# A bus\n\nIt carries people, and messages.\n")
    assert secure.tool("owner", "kb", "add", str(document)).returncode == 0
    done = secure.tool("owner", "htm", "enqueue", "memory_check", "{}", "--handler", "memory")
    assert done.returncode in (0, 1), done.stderr
    done = secure.tool("owner", "stats", "--format", "json")
    assert json.loads(done.stdout)["access"]["certificates"] == len(PARTS) + 3
    eventually(lambda: secure.heard_of(), timeout=30, what="a beat of each kernel's own work")
    assert secure.refused() == []


def test_a_tool_may_what_its_certificate_may(secure):
    assert secure.tool("owner", "pub", "core.event.x", '{"requester_id": "bhiv_core", "event_type": "x"}').returncode == 0
    done = secure.tool("monitor", "pub", "core.event.x", '{"requester_id": "bhiv_core", "event_type": "x"}')
    assert done.returncode == 77 and "UNAUTHORIZED_ACCESS" in done.stderr, (done.returncode, done.stderr)


def test_what_is_refused_is_in_the_audit_log(secure):
    secure.tool("monitor", "stats")

    def entry():
        done = secure.tool("owner", "audit", "log", "--format", "json")
        rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        return [row for row in rows if row.get("operation") == "governance.access" and row.get("requester_id") == "monitor"] or None

    row = eventually(entry, what="the audit entry")[0]
    assert row["decision"] == "refused" and row["error_code"] == "UNAUTHORIZED_ACCESS"
    assert row["details"]["reason"] in ("publish", "request")


# --- What changes who may do what ------------------------------------------------------------------


def changes(secure):
    """[(reason, name, details)] of the audit log's entries about changes."""
    done = secure.tool("owner", "audit", "log", "--format=json", "--event-type=governance", "--limit=1000")
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    rows = [row["details"] for row in rows if row["operation"] == "governance.access" and "kind" in row["details"]]
    return [(row["reason"], row["name"], row) for row in rows]


def changed(secure, reason, name, has=lambda row: True):
    """The details of the first such entry that has what is asked for, once it is there."""

    def find():
        return [row for *what, row in changes(secure) if what == [reason, name] and has(row)]

    return eventually(find, every=0.1, what=f"an entry: {reason} {name}")[0]


def test_the_audit_log_begins_with_who_is_known(secure):
    known = changed(secure, "certificates_known", "certs")
    assert known["count"] == len(PARTS) + 3 and len(known["hash"]) == 64
    rules = changed(secure, "rules_loaded", "access.zpl")
    assert rules["count"] == 0 and "hash" not in rules


def test_a_certificate_that_is_made_or_revoked_is_in_the_audit_log(secure):
    folder = secure.bus.folder
    assert make_cert(secure.bhiv, folder, "agent_new")[0] == 0
    assert changed(secure, "certificate_added", "agent_new")["count"] == 1
    (folder / "certs" / "agent_new.cert").unlink()
    (folder / "certs" / "agent_new.cert_secret").unlink()
    assert make_cert(secure.bhiv, folder, "agent_second")[0] == 0
    changed(secure, "certificate_added", "agent_second")
    assert make_cert(secure.bhiv, folder, "agent_second", "--revoke")[0] == 0
    changed(secure, "certificate_revoked", "agent_second")
    changed(secure, "certificate_revoked", "agent_new")


def test_rules_that_are_read_again_are_in_the_audit_log(secure):
    text = 'peer\n    name = "agent_*"\n    publish = "agent.>"\n'
    secure.bus.write_access(text)
    secure.bus.program.signal(signal.SIGHUP)
    digest = hashlib.sha256(text.encode()).hexdigest()
    row = changed(secure, "rules_loaded", "access.zpl", lambda row: row.get("hash") == digest)
    assert row["count"] == 1 and row["subject"] == "agent_*"
    secure.bus.write_access("nonsense\n")
    secure.bus.program.signal(signal.SIGHUP)
    changed(secure, "access_not_loaded", "access.zpl")
    (secure.bus.folder / "access.zpl").unlink()
    secure.bus.program.signal(signal.SIGHUP)
    changed(secure, "rules_loaded", "access.zpl", lambda row: row["count"] == 1 and "hash" not in row)


def make_token(secure, *words):
    done = subprocess.run(
        [secure.bhiv, "token", *words, "--dir", str(secure.folder / "tokens")],
        capture_output=True, text=True, timeout=20, check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1] if done.stdout else ""


def test_a_token_that_is_made_or_revoked_is_in_the_audit_log_without_its_secret(secure):
    base = free_port_base()
    tokens = secure.folder / "tokens"
    first = make_token(secure, "create", "--role=bhiv_core", "--product=gurukul")
    argv = [secure.bhiv, "bridge", "--dir", str(tokens), "--secure", *secure.words("bhiv_bridge")]
    argv += [f"--{name}-port=0" for name in ("karma", "bucket", "core", "workflow")] + [f"--console-port={base}"]
    with open(secure.folder / "bridge2.log", "wb") as log:
        bridge = Program(argv, log=log.name)
    try:
        known = changed(secure, "tokens_known", "tokens")
        assert known["count"] == 1
        assert known["hash"] == hashlib.sha256((tokens / "tokens").read_bytes()).hexdigest()
        token = make_token(secure, "create", "--role=agent_x", "--product=gurukul,ai_avatar", "--expires=1d")
        row = changed(secure, "token_added", "agent_x")
        ident, secret = token.split("_")[1:]
        assert row["subject"] == ident and row["products"] == "ai_avatar,gurukul" and row["expires_at"] > 0
        make_token(secure, "revoke", first.split("_")[1])
        assert changed(secure, "token_revoked", "bhiv_core")["subject"] == first.split("_")[1]
        (tokens / "tokens").write_text("nonsense\n")
        changed(secure, "tokens_not_loaded", "tokens")
        (tokens / "tokens").write_text("")
        assert changed(secure, "token_revoked", "agent_x")["subject"] == ident
        assert secret not in json.dumps(changes(secure))
    finally:
        bridge.stop()


def test_nobody_says_over_http_what_the_bridge_says_of_tokens(secure):
    said = {"kind": "changed", "name": "forged", "reason": "token_added", "count": 1}
    answer = requests.post(secure.url("console", "/bus/publish"), json={"topic": "governance.access", "data": said}, timeout=5)
    assert answer.status_code == 403, answer.text
    assert secure.tool("owner", "pub", "governance.access", json.dumps(said)).returncode == 0  # in the owner's own name
    assert make_cert(secure.bhiv, secure.bus.folder, "agent_later")[0] == 0
    changed(secure, "certificate_added", "agent_later")  # so both were seen
    assert "forged" not in [name for _, name, _ in changes(secure)]


def test_a_part_with_anothers_certificate_does_not_start(secure, bhiv):
    argv = [bhiv, "karma", "--dir", str(secure.folder / "other"), *secure.words("bhiv_core")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 78 and "speaks as bhiv_karma" in done.stderr


def test_a_part_whose_certificate_is_not_known_yet_comes_in_once_it_is(secure, bhiv, tmp_path):
    assert make_cert(bhiv, tmp_path, "agent_away")[0] == 0
    (tmp_path / "certs" / "broker.cert").write_text((secure.bus.folder / "certs" / "broker.cert").read_text())
    argv = [
        bhiv, "sub", "$bus.peer.>", "-n", "1", "--timeout=30s",
        f"--ingress={secure.bus.tcp_in}", f"--egress={secure.bus.tcp_out}", "--cert=agent_away", f"--dir={tmp_path}",
    ]
    with open(tmp_path / "said", "w") as said:
        waiting = subprocess.Popen(argv, stdout=said, stderr=subprocess.STDOUT)
    try:
        eventually(lambda: "certificate_refused" in (tmp_path / "said").read_text(), what="a word about it")
        (secure.bus.folder / "certs" / "agent_away.cert").write_text((tmp_path / "certs" / "agent_away.cert").read_text())

        def heard():
            with secure.bus.peer("py_owner") as trusted:
                trusted.ask("$bus.hello", {"service": "x.y", "instance": "i-away", "inbox": trusted.inbox})
                trusted.send("$bus.bye", {"instance": "i-away"})
            return waiting.poll() is not None

        eventually(heard, every=0.2, what="it hears")
        assert waiting.returncode == 0
    finally:
        if waiting.poll() is None:
            waiting.kill()
            waiting.wait()

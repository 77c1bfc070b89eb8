"""`bhiv up --secure`: certificates on tcp, tokens for HTTP, and the first five minutes as before."""

import os
import subprocess

import pytest
import requests
from support.secure import CurvePeer, make_cert
from support.system import ROOT_EXAMPLES, Program, System, eventually
from support.tokens import create, revoke

EVENT = {"requester_id": "bhiv_core", "event_data": {"event_type": "x", "agent_id": "a", "user_id": "secure_user"}}


class Secure(System):
    """`bhiv up --secure` and its bus over tcp."""

    tcp_in = property(lambda self: self.ingress)
    tcp_out = property(lambda self: self.egress)

    def tool(self, certificate, *words, env=None):
        argv = [self.bhiv, *words, "--dir", str(self.folder), "--ingress", self.ingress, "--egress", self.egress]
        argv += ["--cert", certificate] if certificate else []
        return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False,
                              env={**os.environ, **(env or {})})


def ask(system, token, path="/core/stats", body=None):
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return requests.request("GET" if body is None else "POST", system.url("bucket", path), json=body,
                            headers=headers, timeout=15)


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    with Secure(bhiv, tmp_path_factory.mktemp("sec") / "d", args=("--dev", "--secure")) as running:
        yield running


def test_it_says_how_to_make_a_token(system):
    eventually(lambda: "bhiv token create --dir" in system.log_path.read_text(), what="the hint")


def test_all_parts_run_and_secrets_are_ours_alone(system):
    assert len(system.names()) == 15
    for path in [*(system.folder / "certs").glob("*_secret"), system.folder / "owner.token"]:
        assert path.stat().st_mode & 0o077 == 0, path
    assert {"broker", "bhiv_karma", "owner", "monitor"} <= {path.stem for path in (system.folder / "certs").glob("*.cert")}
    assert not [path for path in (system.folder / "certs").iterdir() if path.is_dir()]


def test_http_asks_for_a_token_and_takes_it_at_once(system):
    assert ask(system, None).status_code == 401
    assert requests.get(system.url("bucket", "/health"), timeout=15).status_code == 200
    token = create(system.bhiv, system.folder, "bhiv_core")
    assert eventually(lambda: ask(system, token).status_code == 200, what="the token is known")
    assert ask(system, token, "/core/write-event", EVENT).status_code == 200
    assert ask(system, token, "/core/write-event", {**EVENT, "requester_id": "other"}).status_code == 403
    assert ask(system, system.owner_token).status_code == 200
    revoke(system.bhiv, system.folder, token)
    assert eventually(lambda: ask(system, token).status_code == 401, what="it is refused")


def test_tcp_asks_for_a_certificate_and_the_sockets_do_not(system):
    assert system.tool("owner", "stats").returncode == 0
    without = system.tool(None, "stats", "--timeout", "1s")
    assert without.returncode == 69 and "asks for --cert" in without.stderr
    assert system.tool("monitor", "pub", "core.event.x", '{"a": 1}').returncode == 77
    assert system.run("stats").returncode == 0


def test_who_is_revoked_is_cut(system):
    assert make_cert(system.bhiv, system.folder, "agent_cut")[0] == 0
    eventually(lambda: system.tool("agent_cut", "pub", "agent.cut.x", "{}").returncode == 0, what="it is let in")
    with CurvePeer(system, "agent_cut") as peer:
        keys = peer.keys
        assert make_cert(system.bhiv, system.folder, "agent_cut", "--revoke")[0] == 0

        def deaf():
            try:
                again = CurvePeer(system, "agent_cut", keys=keys, timeout=1)
            except Exception:  # pylint: disable=broad-except
                return True
            again.close()
            return False

        eventually(deaf, what="its key opens nothing")


def run_example(system, cert, example, *words):
    env = {**os.environ, "BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress, "BHIV_CERT": str(cert)}
    return subprocess.run(["/usr/bin/python3", str(ROOT_EXAMPLES / example), *words], env=env, capture_output=True,
                          text=True, timeout=30, check=False)


@pytest.mark.parametrize("example, words", [("publish.py", ()), ("artifact.py", ()), ("fetch.py", ("core.", "--once"))])
def test_an_example_speaks_by_a_certificate(system, tmp_path, example, words):
    words = (str(tmp_path / "cursor"), *words) if words else ()
    done = run_example(system, system.folder / "certs/owner.cert_secret", example, *words)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("leaf", ["nobody.cert_secret", "owner.cert"])
def test_an_example_says_which_file_it_needs(system, leaf):
    done = run_example(system, system.folder / "certs" / leaf, "publish.py")
    assert done.returncode == 1 and done.stderr.startswith("BHIV_CERT names a file NAME.cert_secret"), done.stderr


def test_an_example_that_may_not_serve_says_so_and_is_not_ready(system):
    assert make_cert(system.bhiv, system.folder, "worker_idle")[0] == 0
    env = {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress,
           "BHIV_CERT": str(system.folder / "certs/worker_idle.cert_secret")}
    peer = Program(["bash", "-c", f"exec /usr/bin/python3 {ROOT_EXAMPLES / 'service.py'} 2>&1"], env=env, ready=False)
    try:
        assert peer.read_line(30).startswith("agent.translator was refused: ")
    finally:
        peer.kill()


def test_a_tool_is_told_which_right_it_has_not(system):
    assert make_cert(system.bhiv, system.folder, "agent_told")[0] == 0
    eventually(lambda: system.tool("agent_told", "pub", "agent.told.x", "{}").returncode == 0, what="it is let in")
    for words, said in [(("pub", "core.event.x", "{}", "--ack"), "publish this"),
                        (("stats",), "request this"), (("tail",), "`fetch` covers")]:
        done = system.tool("agent_told", *words)
        assert done.returncode == 77 and said in done.stderr, done.stderr


def test_a_name_that_may_do_nothing_yet_is_told_so_with_its_certificate(bhiv, tmp_path):
    assert "may do nothing yet" in make_cert(bhiv, tmp_path, "dashboard")[2]
    (tmp_path / "access.zpl").write_text('peer\n    name = "display"\n    subscribe = "htm.>"\n')
    for name in ("display", "agent_any", "broker"):
        assert make_cert(bhiv, tmp_path, name)[2] == "", name


def test_a_mistake_in_tls_is_said_before_anything_runs(bhiv, tmp_path):
    argv = [bhiv, "up", "--dir", str(tmp_path / "d"), "--tls-cert", str(tmp_path / "nothing.pem")]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 78 and len(done.stderr.splitlines()) == 1 and "go together" in done.stderr
    done = subprocess.run([*argv, "--tls-key", str(tmp_path / "nothing.key")], capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 78 and len(done.stderr.splitlines()) == 1 and "nothing.pem" in done.stderr
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("example, cert, ready", [("worker.py", "worker_counter", "ready worker.worker_counter"),
                                                  ("agent.py", "agent_reverser", "ready agent.reverser")])
def test_a_peer_of_ones_own_works_by_its_certificate(system, example, cert, ready):
    assert make_cert(system.bhiv, system.folder, cert)[0] == 0
    env = {"BHIV_INGRESS": system.ingress, "BHIV_EGRESS": system.egress,
           "BHIV_CERT": str(system.folder / "certs" / f"{cert}.cert_secret")}
    peer = Program(["/usr/bin/python3", str(ROOT_EXAMPLES / example)], env=env)
    try:
        assert peer.line == ready
        if example == "worker.py":
            words = ("htm", "enqueue", "count", '{"text": "one two"}', "--handler", "words", "-p", "high", "--wait")
            done = system.tool("owner", *words)
            assert done.returncode == 0 and '"words":2' in done.stdout.replace(" ", ""), (done.stdout, done.stderr)
        else:
            def reversed_text():  # Core hears of an agent a moment after the broker has taken its hello
                return requests.post(system.url("core", "/handle_task"), json={"agent": "reverser", "input": "one two"},
                                     headers={"Authorization": f"Bearer {system.owner_token}"}, timeout=15).text

            eventually(lambda: "two one" in reversed_text(), what="its answer")
    finally:
        peer.stop()


def test_the_shell_example_takes_a_token(system):
    env = {**os.environ, "BHIV_HTTP_TOKEN": system.owner_token, "BHIV_BUCKET_PORT": str(system.base + 1),
           "BHIV_KARMA_PORT": str(system.base)}
    done = subprocess.run(["bash", str(ROOT_EXAMPLES / "publish.sh"), "127.0.0.1"], env=env, capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 0 and '"success":true' in done.stdout.replace(" ", ""), (done.stdout, done.stderr)
    assert "UNAUTHENTICATED" not in done.stdout


def test_a_second_start_makes_nothing_anew(bhiv, tmp_path):
    with Secure(bhiv, tmp_path / "d", args=("--dev", "--secure", "--only", "broker,bucket")) as system:
        folder = system.folder
        before = {path.name: path.read_bytes() for path in (folder / "certs").iterdir()}
        token = system.owner_token
        assert make_cert(bhiv, folder, "monitor", "--revoke")[0] == 0
        system.stop()
        system.start()
        after = {path.name: path.read_bytes() for path in (folder / "certs").iterdir()}
        assert after == {name: text for name, text in before.items() if not name.startswith("monitor.")}
        assert system.owner_token == token


def test_who_opens_what_was_secure_is_told(bhiv, tmp_path):
    with Secure(bhiv, tmp_path / "d", args=("--dev", "--secure", "--only", "broker")):
        pass
    with System(bhiv, tmp_path / "d", args=("--dev", "--only", "broker")) as system:
        eventually(lambda: "has certificates, but this is open" in system.log_path.read_text(), what="the warning")


def test_each_part_is_given_its_own_and_no_others(bhiv, tmp_path):
    for name in ("bhiv_bucket", "htm"):
        (tmp_path / "parts" / name).mkdir(parents=True)
    argv = [bhiv, "keys", "init", "--dir", str(tmp_path / "d"), "--parts", str(tmp_path / "parts")]
    for word in ("made", "kept"):
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0 and done.stdout.startswith(word), done.stderr
    found = {path.name for path in (tmp_path / "parts" / "htm").iterdir()}
    assert found == {"broker.cert", "htm.cert", "htm.cert_secret"}
    found = {path.name for path in (tmp_path / "parts" / "bhiv_bucket").iterdir()}
    assert found == {"broker.cert", "bhiv_bucket.cert", "bhiv_bucket.cert_secret", "owner.token"}
    assert make_cert(bhiv, tmp_path / "d", "htm", "--revoke")[0] == 0
    assert subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0
    assert {path.name for path in (tmp_path / "parts" / "htm").iterdir()} == {"broker.cert"}


def test_the_broker_is_given_public_halves_rules_and_its_own_secret_as_they_change(bhiv, tmp_path):
    folder, parts = tmp_path / "d", tmp_path / "parts"
    (parts / "broker").mkdir(parents=True)

    def held():
        return {path.name for path in (parts / "broker" / "certs").iterdir()}

    assert subprocess.run([bhiv, "keys", "init", "--dir", str(folder), "--parts", str(parts)], timeout=30, check=False,
                          stdout=subprocess.DEVNULL).returncode == 0
    made = held()
    assert {name for name in made if name.endswith("_secret")} == {"broker.cert_secret"} and len(made) >= 20
    (folder / "access.zpl").write_text("# " + "x" * 9000 + '\npeer\n    name = "agent_new"\n')
    assert make_cert(bhiv, folder, "agent_new", "--parts", str(parts))[0] == 0
    assert held() == made | {"agent_new.cert"}
    assert (parts / "broker" / "access.zpl").read_bytes() == (folder / "access.zpl").read_bytes()
    assert make_cert(bhiv, folder, "agent_new", "--revoke", "--parts", str(parts))[0] == 0
    (folder / "access.zpl").unlink()
    assert make_cert(bhiv, folder, "htm", "--revoke", "--parts", str(parts))[0] == 0
    assert held() == made - {"htm.cert"} and not (parts / "broker" / "access.zpl").exists()

"""`bhiv keys cert` and `--cert`: which names there are, and what is said of a file that is none."""

import re
import shutil
import subprocess

import pytest
from support.secure import SecureBroker, make_cert

TOOLS = {
    "pub": ["core.x", "{}"],
    "sub": ["core.>"],
    "req": ["req.karma.health"],
    "tail": [],
    "stats": [],
    "peers": [],
    "trace": ["t"],
    "bench": ["--against"],
    "audit": ["log"],
    "keys": ["list"],
    "kb": ["list"],
    "htm": ["status"],
    "brain": ["status"],
    "karma": [],
    "core": [],
    "bucket": [],
    "workflow": [],
    "kernel": ["memory"],
    "bridge": [],
}
SECRET = "k}EG-x[D2v9pWd<ThISpARTiSSECRET>n@Q0Fz+M"  # a line of a file that was cut off shows this


def run(bhiv, *words):
    return subprocess.run([bhiv, *words], capture_output=True, text=True, errors="replace", timeout=30, check=False)


@pytest.fixture(scope="module")
def folder(bhiv, tmp_path_factory):
    """A system's folder with certificates of its own, and beside them files that are none."""
    folder = tmp_path_factory.mktemp("certs")
    for name in ("broker", "owner"):
        assert make_cert(bhiv, folder, name)[0] == 0
    good = (folder / "certs" / "owner.cert_secret").read_bytes()
    for leaf, data in {
        "garbage": bytes(range(256)) * 8,
        "cut": f'metadata\n    name = "owner"\ncurve\n    secret-key = "{SECRET}'.encode(),
        "shared": good,
        "long": good + b"#" * 10000,
        "public": (folder / "certs" / "owner.cert").read_bytes(),
        "alone/owner": good,
        "wrong/owner": good,
    }.items():
        path = folder / "certs" / f"{leaf}.cert_secret"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        path.chmod(0o644 if leaf == "shared" else 0o600)
    (folder / "certs" / "wrong" / "broker.cert").write_bytes(bytes(range(256)))
    (folder / "certs" / "folder.cert_secret").mkdir(mode=0o700)
    return folder


BAD = {
    "nobody": "its .cert_secret is missing",
    "garbage": "it is no certificate",
    "cut": "it is no certificate",
    "long": "it is no certificate",
    "public": "it is no certificate",
    "folder": "it is no certificate",
    "shared": "chmod 600 it",
    "alone/owner": "no broker.cert",
    "wrong/owner": "the broker.cert beside it is no certificate",
}


def says(done, why):
    """Exit status 78, one line about it, and nothing of what is in the file."""
    assert done.returncode == 78, (done.returncode, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1 and why in done.stderr, done.stderr
    assert done.stderr[:-1].isprintable() and SECRET not in done.stderr


@pytest.mark.parametrize("leaf", BAD)
def test_what_is_wrong_with_a_certificate_is_one_sentence(bhiv, folder, leaf):
    cert = f"{folder}/certs/{leaf}.cert_secret"
    says(run(bhiv, "stats", "--dir", str(folder), "--cert", cert), BAD[leaf])
    if "/" not in leaf:
        says(run(bhiv, "stats", "--dir", str(folder), "--cert", leaf), BAD[leaf])


@pytest.mark.parametrize("tool", TOOLS)
@pytest.mark.parametrize("leaf", ["nobody", "cut"])
def test_every_tool_says_the_same(bhiv, folder, tmp_path, tool, leaf):
    cert = f"{folder}/certs/{leaf}.cert_secret"
    says(run(bhiv, tool, *TOOLS[tool], "--dir", str(tmp_path), "--cert", cert), BAD[leaf])


def test_every_tool_that_takes_a_certificate_is_in_the_table(bhiv):
    verbs = re.findall(r"^  ([a-z]+)  +\S", run(bhiv, "--help").stdout, re.M)
    taking = {verb for verb in verbs if "--cert=" in run(bhiv, verb, "--help").stdout}
    assert taking == set(TOOLS)


@pytest.fixture
def bus_of_another(bhiv, tmp_path_factory):
    with SecureBroker(bhiv, tmp_path_factory.mktemp("another")) as bus:
        yield bus


def test_a_certificate_of_another_system_is_named_where_the_broker_does_not_know_it(bhiv, bus_of_another, tmp_path):
    assert make_cert(bhiv, tmp_path, "owner")[0] == 0
    shutil.copy(bus_of_another.folder / "certs" / "broker.cert", tmp_path / "certs")
    place = [f"--ingress={bus_of_another.tcp_in}", f"--egress={bus_of_another.tcp_out}", "--cert=owner"]
    done = run(bhiv, "stats", "--dir", str(tmp_path), *place)
    assert done.returncode == 78 and "does not know this certificate of owner" in done.stderr
    (tmp_path / "certs" / "broker.cert").write_bytes((tmp_path / "certs" / "owner.cert").read_bytes())
    done = run(bhiv, "stats", "--dir", str(tmp_path), *place, "--timeout=1s")
    assert done.returncode == 69 and "is it the one of this broker.cert?" in done.stderr


@pytest.mark.parametrize("name", ["a", "0", "broker", "bhiv_bucket", "agent_x-1", "n" * 64])
def test_a_name_is_a_token_and_a_shipped_one_is_as_good(bhiv, tmp_path, name):
    status, said, _ = make_cert(bhiv, tmp_path, name)
    assert status == 0 and said == f"{tmp_path}/certs/{name}.cert\n"
    assert {path.name for path in (tmp_path / "certs").iterdir()} == {f"{name}.cert", f"{name}.cert_secret"}


@pytest.mark.parametrize("name", ["", "n" * 65, "a.b", "$bus", "_inbox", "-x", "a b", "../x", "a/b", "agent_*", "ä", "a\n"])
def test_another_is_refused_in_one_sentence_and_makes_nothing(bhiv, tmp_path, name):
    for more in ([], ["--revoke"]):
        done = run(bhiv, "keys", "cert", "--dir", str(tmp_path / "d"), *more, "--", name)
        assert done.returncode == 64 and done.stderr == (
            "bhiv: a name has 1 to 64 of A-Z a-z 0-9 _ -, and begins with no _ or -\n")
    assert not (tmp_path / "d").exists()


def test_who_has_none_cannot_lose_it_and_who_has_one_gets_no_second(bhiv, tmp_path):
    assert make_cert(bhiv, tmp_path, "a", "--revoke")[0] == 66
    assert make_cert(bhiv, tmp_path, "a")[0] == 0
    before = (tmp_path / "certs" / "a.cert_secret").read_bytes()
    assert make_cert(bhiv, tmp_path, "a")[0] == 1
    assert (tmp_path / "certs" / "a.cert_secret").read_bytes() == before


def test_a_broker_prints_nothing_of_a_certificate_that_is_none(bhiv, tmp_path):
    with SecureBroker(bhiv, tmp_path / "d") as bus:
        for half in ("cert", "cert_secret"):
            (bus.folder / "certs" / f"cut.{half}").write_text(f'curve\n    secret-key = "{SECRET}')
        assert make_cert(bhiv, bus.folder, "later")[0] == 0
        with bus.curve("later"):  # so the folder was read, by the broker and by zauth
            pass
        bus.stop()
        log = bus.log_path.read_text()
        assert "certificate_ignored" in log and "file=cut.cert" in log and SECRET not in log

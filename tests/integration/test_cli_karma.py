"""`bhiv karma show|top|replay|policy`: what they print, and what their exit status says."""

import json
import os
import pty
import re
import select
import subprocess
import uuid

import pytest
from support.broker import Broker
from support.peer import Peer
from support.system import System, eventually

ROLES = ["learner", "volunteer", "seva", "guru"]
VERBS = ["show", "top", "replay", "policy"]
# user -> its actions, a day apart; merit, net karma and tokens follow from docs/originals.md.
LIVES = {
    "ann": ["selfless_service", "selfless_service"],
    "bob": ["completing_lessons", "helping_peers", "cheat"],
    "cid": ["cheat", "cheat"],
}


@pytest.fixture(scope="module", name="system")
def fixture_system(bhiv, tmp_path_factory):
    with System(bhiv, tmp_path_factory.mktemp("k") / "d") as running:
        with Peer(running.ingress, running.egress, source="py_karma") as peer:
            eventually(lambda: peer.ask("req.karma.health", {})[0]["status"] == "success", what="Karma")
            for user, actions in LIVES.items():
                for day, action in enumerate(actions, 1):
                    header, answer = peer.ask("karma.life_event", {
                        "user_id": user, "action": action, "role": "learner",
                        "effective_at": f"2026-01-0{day}T00:00:00Z"}, ack=False)
                    assert header["status"] == "success", answer
        yield running


def karma(system, *args, env=None):
    return subprocess.run([system.bhiv, "karma", *args], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "BHIV_DIR": str(system.folder), **(env or {})})


def lines(done):
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def on_terminal(system, *args, env=None, status=0):
    """What it prints where standard output is a terminal."""
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    argv = [system.bhiv, "karma", *args]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE,
                          env={**environment, "BHIV_DIR": str(system.folder), **(env or {})}) as process:
        os.close(slave)
        text = b""
        while select.select([master], [], [], 20)[0]:
            try:
                piece = os.read(master, 65536)
            except OSError:
                break  # the other end is closed
            if not piece:
                break
            text += piece
        assert process.wait(20) == status, process.stderr.read()
    os.close(master)
    return text.decode().replace("\r\n", "\n")


def cells(table):
    """The rows of a table: each the cells between at least two spaces."""
    return [re.split(r" {2,}", line.strip()) for line in table.splitlines()]


# --- show ----------------------------------------------------------------------------------------


def test_show_prints_one_json_value_when_piped(system):
    [profile] = lines(karma(system, "show", "bob"))
    assert profile["user_id"] == "bob" and profile["merit_score"] == pytest.approx(15.0, abs=0.02)
    assert profile["balances"]["DharmaPoints"] == 3.0 and len(profile["state_hash"]) == 64


def test_show_draws_a_table_on_a_terminal(system):
    table = on_terminal(system, "show", "bob", env={"NO_COLOR": "1"})
    rows = dict(cells(table))
    assert cells(table)[0] == ["FIGURE", "VALUE"]
    assert rows["user_id"] == "bob" and rows["role"] == "learner"
    assert rows["balances DharmaPoints"] == "3" and rows["balances PaapTokens maha"] == "0"
    assert rows["action_stats total_actions"] == "3"
    [profile] = lines(karma(system, "show", "bob"))
    assert rows["state_hash"] == profile["state_hash"]
    assert float(rows["merit_score"]) == pytest.approx(profile["merit_score"], rel=1e-9)
    assert "\033[" in on_terminal(system, "show", "bob") and "\033[" not in table


def test_the_format_decides(system):
    assert karma(system, "show", "bob", "--format", "line").stdout.startswith("FIGURE")
    assert json.loads(on_terminal(system, "show", "bob", "--format", "json"))["user_id"] == "bob"
    assert karma(system, "show", "bob", "--format", "pretty").stdout.startswith("{\n")
    assert karma(system, "policy", "--format", "line").stdout.startswith("ACTION")
    assert karma(system, "show", "bob", "--format", "xml").returncode == 64


@pytest.mark.parametrize("verb", ["show", "replay"])
def test_a_user_that_karma_has_not_met_is_66(system, verb):
    done = karma(system, verb, "nobody-" + uuid.uuid4().hex)
    assert done.returncode == 66 and done.stdout == ""
    assert "USER_NOT_FOUND" in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("user", ["", "x" * 256])
@pytest.mark.parametrize("verb", ["show", "replay"])
def test_what_can_be_no_users_id_is_bad_data(system, verb, user):
    done = karma(system, verb, user)
    assert done.returncode == 65 and "1 to 255 bytes" in done.stderr


def test_a_user_may_be_called_like_a_flag(system):
    with Peer(system.ingress, system.egress, source="py_karma") as peer:
        peer.ask("karma.life_event", {"user_id": "--by ü", "action": "cheat", "role": "x"}, ack=False)
    [profile] = lines(karma(system, "show", "--", "--by ü"))
    assert profile["user_id"] == "--by ü"


# --- top -----------------------------------------------------------------------------------------


def top(system, *args):
    return [user for user in lines(karma(system, "top", *args)) if user["user_id"] in LIVES]


def test_top_is_a_user_a_line_the_highest_first(system):
    users = top(system, "--limit", "1000")
    assert [user["user_id"] for user in users] == ["ann", "bob", "cid"]
    assert [user["role"] for user in users] == ["volunteer", "learner", "learner"]
    assert users[2]["value"] == users[2]["merit_score"] == -7.0
    assert users[0]["value"] == pytest.approx(150.0, abs=0.05)
    assert users == top(system, "--by", "merit", "-n", "1000")


def test_top_by_net_and_by_a_token(system):
    assert [user["user_id"] for user in top(system, "--by", "net")] == ["ann", "bob", "cid"]
    seva = top(system, "--by", "SevaPoints")
    assert [user["user_id"] for user in seva] == ["bob"] and seva[0]["value"] == pytest.approx(10.0, abs=0.02)
    assert top(system, "--by", "token") == top(system, "--by", "DharmaPoints")
    assert karma(system, "top", env={"BHIV_BY": "SevaPoints"}).stdout == karma(system, "top", "--by", "SevaPoints").stdout


def test_top_has_a_limit(system):
    assert len(lines(karma(system, "top", "-n", "1"))) == 1
    assert karma(system, "top", "-n", "0").returncode == 64
    assert karma(system, "top", "-n", "1001").returncode == 64


def test_top_by_what_is_nothing_is_bad_data(system):
    done = karma(system, "top", "--by", "GoldCoins")
    assert done.returncode == 65 and done.stdout == ""
    assert 'VALIDATION_FAILED: "by: is neither merit nor net nor a token"' in done.stderr


def test_top_draws_a_table_on_a_terminal(system):
    table = cells(on_terminal(system, "top", env={"NO_COLOR": "1"}))
    assert table[0] == ["RANK", "USER", "ROLE", "VALUE", "MERIT", "NET"]
    assert table[1][:3] == ["1", "ann", "volunteer"] and [row[0] for row in table[1:]] == [
        str(rank) for rank in range(1, len(table))]


# --- replay --------------------------------------------------------------------------------------


def test_replay_compares_with_what_is_held(system):
    [answer] = lines(karma(system, "replay", "bob"))
    [profile] = lines(karma(system, "show", "bob"))
    assert answer["matches"] is True and answer["events"] == 3
    assert answer["state_hash"] == profile["state_hash"]
    rows = dict(cells(on_terminal(system, "replay", "bob", env={"NO_COLOR": "1"})))
    assert rows["matches"] == "true" and rows["events"] == "3"


def test_replay_until_shows_what_was_then(system):
    [answer] = lines(karma(system, "replay", "bob", "--until", "2026-01-01T12:00:00Z"))
    assert answer["events"] == 1 and answer["merit_score"] == 5.0 and "matches" not in answer
    [answer] = lines(karma(system, "replay", "bob", "-u", "2026-01-03T05:30:00+05:30"))
    assert answer["events"] == 3
    assert karma(system, "replay", "bob", "--until", "2020-01-01T00:00:00Z").returncode == 66


def test_a_time_that_is_none_is_a_usage_error(system):
    done = karma(system, "replay", "bob", "--until", "yesterday")
    assert done.returncode == 64 and "yesterday" in done.stderr


# --- policy --------------------------------------------------------------------------------------


def test_policy_is_the_answer_when_piped_and_drawn_on_a_terminal(system):
    [answer] = lines(karma(system, "policy"))
    assert answer["Q_shape"] == [4, 5]
    table = on_terminal(system, "policy", env={"NO_COLOR": "1"})
    rows = table.splitlines()
    assert re.split(r" {2,}", rows[0]) == ["ACTION", *ROLES] and len(rows) == 6
    assert max(len(row) for row in rows) <= 80, "a terminal has 80 columns"
    for column, row in enumerate(rows[1:]):
        action, *values = re.findall(r"\S+(?: \*)?", row)
        assert [float(value.rstrip(" *")) for value in values] == [
            round(q[column], 4) for q in answer["q"]], action
        starred = [role for role, value in zip(ROLES, values) if value.endswith("*")]
        assert starred == [role for role in ROLES if answer["best_policy"][role] == action]


# --- The verbs -----------------------------------------------------------------------------------


def test_flags_may_stand_before_the_verb_or_behind_it(system, tmp_path):
    nowhere = {"BHIV_DIR": str(tmp_path / "nothing")}
    folder = str(system.folder)
    for args in (("--dir", folder, "show", "bob"), (f"--dir={folder}", "show", "bob"), ("-d", folder, "show", "bob"),
                 (f"-d{folder}", "show", "bob"), ("show", "--dir", folder, "bob"), ("show", "bob", "--dir", folder),
                 ("--format", "json", "-d", folder, "show", "bob")):
        assert lines(karma(system, *args, env=nowhere))[0]["user_id"] == "bob", args


@pytest.mark.parametrize("args,said", [
    (("shwo", "bob"), "no verb `shwo` (show, top, replay, policy)"), (("--dir", "d", "bob"), "no verb `bob`"),
    (("show",), "USER"), (("show", "a", "b"), "b"), (("policy", "x"), "x"), (("top", "--nothing"), "nothing"),
])
def test_a_wrong_command_line_is_64_and_says_why(system, args, said):
    done = karma(system, *args)
    assert done.returncode == 64 and said in done.stderr and done.stdout == ""


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_and_a_page(bhiv, verb):
    run = lambda *words: subprocess.run([bhiv, *words], capture_output=True, text=True, timeout=10, check=False)
    done = run("karma", verb, "--help")
    assert done.returncode == 0 and done.stdout.startswith(f"Usage: bhiv karma {verb}")
    assert run("help", "karma", verb).stdout == done.stdout
    assert f"bhiv karma {verb}" in run("karma", "--help").stdout
    assert f"## `bhiv karma {verb}`" in run("docs", "commands").stdout
    for shell in ("bash", "zsh", "fish"):
        assert " ".join(VERBS) in run("completion", shell).stdout


def test_the_part_itself_still_takes_its_flags(bhiv, tmp_path):
    done = subprocess.run([bhiv, "karma", "--dir", str(tmp_path / "d"), "--store-bytes", "nonsense"],
                          capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 64 and "store-bytes" in done.stderr


def test_without_a_broker_or_without_karma_nobody_answers(bhiv, tmp_path):
    for verb in (("show", "u"), ("top",), ("replay", "u"), ("policy",)):
        done = subprocess.run([bhiv, "karma", *verb, "--ingress", f"ipc://{tmp_path}/in", "--egress",
                               f"ipc://{tmp_path}/out", "--timeout", "200ms"], capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode == 69 and done.stderr, verb
    with Broker(bhiv, tmp_path / "b") as broker:
        done = subprocess.run([bhiv, "karma", "policy", "--dir", str(broker.folder)], capture_output=True, text=True,
                              timeout=30, check=False)
        assert done.returncode == 69 and "NO_RESPONDERS" in done.stderr

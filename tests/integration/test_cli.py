"""The tools of `bhiv`: what they print, and what their exit status says. docs/contract.md section 10."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import threading
import time

import pytest
from support.broker import Broker
from support.system import Program, eventually

EVENT = "core.event.note"


@pytest.fixture(scope="module")
def broker(bhiv, tmp_path_factory):
    with Broker(bhiv, tmp_path_factory.mktemp("c") / "d") as running:
        yield running


@pytest.fixture
def own(bhiv, tmp_path):
    """A broker with a journal that nobody else writes to."""
    with Broker(bhiv, tmp_path / "d") as running:
        yield running


def tool(broker, *args, stdin="", timeout=30, env=None):
    """Runs `bhiv ARGS` on a broker."""
    return subprocess.run([broker.bhiv, *args], input=stdin, capture_output=True, text=True,
                          timeout=timeout, check=False,
                          env={**os.environ, "BHIV_DIR": str(broker.folder), **(env or {})})


def lines(done):
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Tool(Program):
    """A tool that goes on until it is stopped, by the end of the test at the latest."""

    running = []

    def __init__(self, broker, *args):
        self.words = broker.folder.parent / f"{args[0]}.stderr"
        super().__init__([broker.bhiv, *args, "--dir", str(broker.folder)], ready=False,
                         log=self.words)
        self.rest = b""
        Tool.running.append(self)

    def next(self, timeout=10):
        """The next line of its output, as JSON."""
        end = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = max(0.0, end - time.monotonic())
            fd = self.process.stdout.fileno()
            assert select.select([fd], [], [], left)[0], f"no line in {timeout} s"
            piece = os.read(fd, 65536)
            assert piece, f"it ended after {self.rest!r}"
            self.rest += piece
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def end(self, status=0):
        assert self.process.wait(10) == status
        self.close()


@pytest.fixture(autouse=True)
def no_tool_outlives_its_test():
    yield
    while Tool.running:
        Tool.running.pop().kill()


def listening(broker, *args):
    """Starts a tool, and waits until the broker counts its subscriptions: its inbox and one more."""
    before = lines(tool(broker, "stats"))[0]["subscriptions"]
    program = Tool(broker, *args)
    asked = iter(range(1, 10**6))  # each question has an inbox, too
    eventually(lambda: lines(tool(broker, "stats"))[0]["subscriptions"] - next(asked) - before >= 2)
    return program


# --- Publishing ---------------------------------------------------------------------------------


def test_an_ack_is_printed_for_each_message_in_the_order_of_the_journal(own):
    acks = lines(tool(own, "pub", EVENT, '{"a":1}', "--ack", "--count", "5"))
    assert [ack["seq"] for ack in acks] == [1, 2, 3, 4, 5]
    assert len({ack["id"] for ack in acks}) == 5
    records = lines(tool(own, "tail"))
    assert [record["header"]["id"] for record in records] == [ack["id"] for ack in acks]
    assert [record["header"]["at"] for record in records] == [ack["at"] for ack in acks]


def test_exit_0_means_durable_without_ack_as_well(own):
    done = tool(own, "pub", EVENT, stdin="".join(f'{{"n":{n}}}\n' for n in range(3000)))
    assert (done.returncode, done.stdout) == (0, "")
    records = lines(tool(own, "sub", EVENT, "--from", "1", "--count", "3000"))
    assert [record["body"]["n"] for record in records] == list(range(3000))


@pytest.mark.parametrize("flags", [("--batch",), ("--batch-size", "7")])
def test_batches_keep_order_and_each_message_has_its_ack(own, flags):
    stdin = "".join(f'{{"n":{n}}}\n' for n in range(250))
    acks = lines(tool(own, "pub", EVENT, "-", "--ack", *flags, "--trace", "t1", stdin=stdin))
    assert [ack["seq"] for ack in acks] == list(range(1, 251))
    records = lines(tool(own, "sub", EVENT, "--from", "1", "--count", "250"))
    assert [record["body"]["n"] for record in records] == list(range(250))
    assert [record["header"]["id"] for record in records] == [ack["id"] for ack in acks]
    assert {record["header"]["trace_id"] for record in records} == {"t1"}


def test_numbers_and_texts_arrive_exactly_as_they_were_written(broker):
    body = '{"i":9007199254740993,"f":1.0,"t":"\\u00e9\\n","n":null,"l":[true,{}]}'
    lines(tool(broker, "pub", "core.event.exact", body, "--source", "me"))
    done = tool(broker, "tail", "core.event.exact", "-n", "1")
    assert '"i":9007199254740993,"f":1.0,' in done.stdout
    record = lines(done)[0]
    assert record["body"] == json.loads(body)
    assert record["header"]["source"] == "me"


def test_a_bad_line_is_65_and_names_the_line_and_what_came_before_is_durable(own):
    done = tool(own, "pub", EVENT, "--ack", stdin='{"n":1}\n\n{"n":1,"n":2}\n{"n":3}\n')
    assert done.returncode == 65 and "line 3" in done.stderr
    assert [json.loads(line)["seq"] for line in done.stdout.splitlines()] == [1]


@pytest.mark.parametrize("args, status", [
    (("bad topic", "{}"), 65),
    (("req.bucket.health", "{}"), 64),
    (("$bus.stats", "{}"), 64),
    ((EVENT, "{oops"), 65),
    ((EVENT, "{}", "--source", "x" * 65), 65),
    ((EVENT, "{}", "--source", "a\033b"), 65),
    ((EVENT, '"' + "x" * (1024 * 1024) + '"'), None),  # too long for an argument at all
    (("bench.live", "{}", "--batch"), 64),
    ((), 64),
])
def test_what_cannot_be_published_is_refused(broker, args, status):
    if status is None:
        assert tool(broker, "pub", args[0], "-", stdin=args[1]).returncode == 65
    else:
        assert tool(broker, "pub", *args).returncode == status


def test_an_ack_of_a_live_message_says_that_nobody_keeps_it_and_it_is_said_once(own):
    done = tool(own, "pub", "layer2.telemetry.x", "{}", "--ack")
    ack = lines(done)[0]
    assert ack["seq"] == 0 and ack["kept"] is False
    assert done.stderr == "bhiv: layer2.telemetry.x is live: nobody keeps it\n"
    assert lines(tool(own, "stats"))[0]["in"]["live"]["messages"] == 1


def test_what_is_kept_is_acked_without_a_word_about_keeping(broker):
    done = tool(broker, "pub", EVENT, "{}", "--ack")
    assert "kept" not in lines(done)[0] and done.stderr == ""
    assert tool(broker, "pub", "layer2.telemetry.x", "{}").stderr == "", "no --ack, no terminal"


def test_live_messages_reach_the_broker_before_the_tool_ends(own):
    def taken():
        return lines(tool(own, "stats"))[0]["in"]["live"]["messages"]

    assert tool(own, "pub", "layer2.telemetry.x", '{"a":1}', "--count", "5000").returncode == 0
    assert taken() == 5000


def test_a_broker_that_is_killed_on_the_way_costs_nothing(own):
    count = 30000
    argv = [own.bhiv, "pub", EVENT, "--dir", str(own.folder), "--ack", "--timeout", "30s"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as pub:
        def feed():
            for n in range(count):
                pub.stdin.write(f'{{"n":{n}}}\n')
            pub.stdin.close()

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        assert pub.stdout.readline()
        own.kill()
        own.start()
        acks = 1 + sum(1 for _ in pub.stdout)
        assert pub.wait(60) == 0
        feeder.join(10)
    assert acks == count
    records = lines(tool(own, "sub", EVENT, "--from", "1", "--count", str(count)))
    assert [record["body"]["n"] for record in records] == list(range(count))


# --- Hearing ------------------------------------------------------------------------------------


def test_a_live_subscription_hears_what_fits_its_patterns_once(broker):
    sub = listening(broker, "sub", "core.event.*", "core.>", "--count", "2")
    tool(broker, "pub", "karma.note", "{}")
    tool(broker, "pub", "core.event.a", '{"n":1}')
    tool(broker, "pub", "core.x.y", '{"n":2}')
    assert [sub.next()["topic"] for _ in range(2)] == ["core.event.a", "core.x.y"]
    sub.end()


def test_a_live_reader_that_was_too_slow_is_told_what_it_missed_and_where(own):
    sub = listening(own, "sub", "core.event.")
    tool(own, "pub", "core.event.first", "{}")
    assert sub.next()["topic"] == "core.event.first"
    sub.signal(signal.SIGSTOP)
    assert tool(own, "pub", EVENT, '{"n":1}', "--count", "100000", "--batch", "--timeout", "30s").returncode == 0
    tool(own, "pub", "core.other", "{}")  # of the same family, and not subscribed to: no loss
    sub.signal(signal.SIGCONT)
    heard = []
    asked = 0
    while not heard or heard[-1]["topic"] != "core.event.last":
        if select.select([sub.process.stdout], [], [], 0)[0] or sub.rest:
            heard.append(sub.next())
        else:  # it has read what was queued: one more, that may come through
            asked += 1
            assert asked < 100 and sub.process.poll() is None, "nothing comes through any more"
            assert tool(own, "pub", "core.event.last", f'{{"n":{asked}}}').returncode == 0
    lost = 100000 + heard[-1]["body"]["n"] - len(heard)
    assert lost > 0, "nothing was lost: the test shows nothing"

    def told():
        words = sub.words.read_text()
        return sum(int(number) for number in re.findall(r"missed (\d+) between", words)) >= lost

    eventually(told, what="a word about what was missed")
    numbers = re.findall(r"missed (\d+) between (\d+) and (\d+); confirm with --from (\d+)",
                         sub.words.read_text())
    assert sum(int(number[0]) for number in numbers) == lost
    assert all(number[1] == number[3] for number in numbers)
    sub.signal(signal.SIGTERM)
    sub.end(130)


def test_what_was_lost_before_the_first_message_that_was_heard_is_told(own):
    sub = listening(own, "sub", "core.event.")
    begun = time.monotonic()
    eventually(lambda: time.monotonic() - begun > 0.3, what="the subscription settled")
    sub.signal(signal.SIGSTOP)
    own.kill()
    own.start()
    tool(own, "pub", "core.event.lost", "{}")  # its subscription is not back yet
    sub.signal(signal.SIGCONT)
    heard = []

    def hears():
        tool(own, "pub", "core.event.later", "{}")
        return select.select([sub.process.stdout], [], [], 0)[0]

    eventually(hears, what="the subscription is back")
    heard.append(sub.next())
    assert heard[0]["topic"] == "core.event.later"
    lost = heard[0]["header"]["seq"] - 1
    eventually(lambda: f"missed {lost} between 1 and {lost};" in sub.words.read_text(),
               what="a word about what was missed")


def test_a_subscription_that_begins_in_the_middle_has_missed_nothing(own):
    tool(own, "pub", EVENT, "{}", "--count", "10")
    sub = listening(own, "sub", "core.event.", "--count", "1")
    tool(own, "pub", EVENT, "{}")
    assert sub.next()["header"]["seq"] == 11
    sub.end()
    assert sub.words.read_text() == ""


def test_from_reads_the_journal_and_goes_on_with_live_ones(own):
    tool(own, "pub", EVENT, '{"n":1}', "--count", "3")
    sub = listening(own, "sub", ">", "--from", "2", "--count", "4")
    assert [sub.next()["header"]["seq"] for _ in range(2)] == [2, 3]
    tool(own, "pub", "layer2.telemetry.x", "{}", "--ack")
    assert "seq" not in sub.next()["header"]
    tool(own, "pub", EVENT, '{"n":4}')
    assert sub.next()["header"]["seq"] == 4
    sub.end()


def test_since_finds_the_first_record_at_or_after_a_time(own):
    tool(own, "pub", EVENT, '{"n":0}', "--count", "300")
    records = lines(tool(own, "sub", EVENT, "--from", "1", "--count", "300"))
    middle = records[150]["header"]["at"]
    expected = next(r["header"]["seq"] for r in records if r["header"]["at"] >= middle)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(middle // 10**6))
    found = lines(tool(own, "sub", EVENT, "--since", f"{text}.{middle % 10**6:06d}Z",
                       "--count", "1"))
    assert found[0]["header"]["seq"] == expected
    assert lines(tool(own, "sub", EVENT, "--since", "1h", "--count", "1"))[0]["header"]["seq"] == 1


def test_a_place_beyond_the_journal_is_66_and_no_time_is_65(broker):
    assert tool(broker, "sub", EVENT, "--from", "1000000").returncode == 66
    assert tool(broker, "sub", EVENT, "--since", "tomorrow").returncode == 65
    assert tool(broker, "sub", EVENT, "--since", "1h", "--from", "1").returncode == 64
    assert tool(broker, "sub", "core..x").returncode == 65


@pytest.mark.parametrize("pattern", ["$bus.", "$bus.>", "_inbox.", "$", "_x.>"])
def test_what_the_broker_lets_nobody_hear_is_65_at_once(broker, pattern):
    done = tool(broker, "sub", pattern)
    assert done.returncode == 65 and "$bus.peer." in done.stderr


def test_who_comes_and_goes_may_be_heard(own):
    sub = listening(own, "sub", "$bus.peer.>", "--count", "1")
    with own.peer() as peer:
        peer.ask("$bus.hello", {"service": "agent.short", "instance": "i1", "inbox": peer.inbox,
                                "version": "1", "pid": 1})
        assert sub.next()["topic"].startswith("$bus.peer.")
    sub.end()


def test_tail_prints_the_last_that_fit_and_follows(own):
    for n in range(30):
        topic = "karma.note" if n % 10 == 0 else EVENT
        tool(own, "pub", topic, f'{{"n":{n}}}')
    assert [r["body"]["n"] for r in lines(tool(own, "tail", "-n", "3"))] == [27, 28, 29]
    assert [r["body"]["n"] for r in lines(tool(own, "tail", "karma.", "-n", "2"))] == [10, 20]
    assert len(lines(tool(own, "tail", "-n", "100"))) == 30
    assert lines(tool(own, "tail", "hunter.>")) == []
    follow = Tool(own, "tail", "-f", "-n", "1", "karma.>")
    assert follow.next()["body"]["n"] == 20
    tool(own, "pub", EVENT, '{"n":30}')
    tool(own, "pub", "karma.note", '{"n":31}')
    assert follow.next()["body"]["n"] == 31
    follow.signal(signal.SIGINT)
    follow.end(130)


def test_a_reader_that_goes_away_ends_the_tool_without_a_word(own):
    tool(own, "pub", EVENT, '{"n":0}', "--count", "20000", "--batch")
    done = subprocess.run(
        f"{own.bhiv} sub '>' --from 1 --dir {own.folder} | head -n 2",
        shell=True, capture_output=True, text=True, timeout=30, check=False)
    assert len(done.stdout.splitlines()) == 2 and done.stderr == ""


@pytest.mark.parametrize("args", [("sub", ">"), ("sub", ">", "--from", "0"), ("tail", "-f"),
                                  ("stats", "--watch", "--interval", "1h")])
def test_a_reader_that_goes_away_ends_a_silent_tool_at_once(own, args):
    tool(own, "pub", EVENT, "{}")
    idle = Tool(own, *args)
    if args != ("sub", ">"):
        idle.next()  # it waits for more
    idle.process.stdout.close()
    assert idle.process.wait(10) == 0
    assert idle.words.read_text() == ""


# --- Asking -------------------------------------------------------------------------------------


def test_a_question_that_nobody_answers_is_69_and_its_error_is_on_stdout(broker):
    done = tool(broker, "req", "req.nobody.health")
    assert done.returncode == 69
    assert json.loads(done.stdout)["error_code"] == "NO_RESPONDERS"


def test_the_bus_itself_answers(broker):
    assert lines(tool(broker, "req", "$bus.peers")) == [{"peers": []}]
    assert lines(tool(broker, "peers")) == []
    stats = lines(tool(broker, "stats"))[0]
    assert stats["head"] >= 0 and "refused_total" in stats


def test_a_command_whose_owner_is_away_is_durable_and_124(broker):
    done = tool(broker, "req", "karma.life_event", "{}", "--timeout", "1s")
    assert done.returncode == 124 and re.search(r"journaled as \d+", done.stderr)


@pytest.mark.parametrize("topic, words", [
    ("layer2.telemetry.x", "nobody replies to layer2.telemetry.x"),
    ("core.note", "nobody replies to core.note"),
    (EVENT, f"nobody replies to {EVENT}"),
    ("karma.nosuch", "karma knows no command karma.nosuch"),
    ("bucket.nosuch.thing", "bucket knows no command"),
])
def test_asking_what_has_no_answer_is_65_and_nothing_is_journaled(own, topic, words):
    done = tool(own, "req", topic, "{}")
    assert done.returncode == 65 and words in done.stderr and "bhiv pub" in done.stderr
    assert lines(tool(own, "stats"))[0]["head"] == 0


def test_nobody_at_the_endpoint_is_69_and_says_which(bhiv, tmp_path):
    done = subprocess.run([bhiv, "peers", "--dir", str(tmp_path), "--timeout", "200ms"],
                          capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 69 and f"ipc://{tmp_path}/bus.in" in done.stderr
    assert "bhiv up" in done.stderr and "BHIV_DIR" in done.stderr


def test_half_a_bus_and_a_folder_too_long_are_78(bhiv, tmp_path):
    for args in (["--ingress", "tcp://127.0.0.1:1"], ["--dir", "/" + "x" * 120],
                 ["--ingress", "nonsense", "--egress", "nonsense"]):
        done = subprocess.run([bhiv, "peers", *args], capture_output=True, text=True, timeout=30,
                              check=False)
        assert done.returncode == 78, done.stderr


def test_an_environment_that_makes_no_sense_is_78(broker):
    assert tool(broker, "peers", env={"BHIV_TIMEOUT": "soon"}).returncode == 78


# --- Printing -----------------------------------------------------------------------------------


def on_terminal(broker, *args, env=None):
    """What a tool prints where standard output is a terminal."""
    master, slave = pty.openpty()
    argv = [broker.bhiv, *args, "--dir", str(broker.folder)]
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                          env={**environment, **(env or {})}) as process:
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
        assert process.wait(20) == 0, text
    os.close(master)
    return text.decode().replace("\r\n", "\n")


def test_a_terminal_gets_a_table_and_a_pipe_gets_json(broker):
    assert json.loads(tool(broker, "topics").stdout.splitlines()[0])["class"] == "journaled"
    table = on_terminal(broker, "stats", "--all")
    assert "VALUE" in table and re.search(r"^commits\.count +\d+$", table, re.M)
    assert on_terminal(broker, "stats", "--format", "json").startswith("{")


def test_stats_on_a_terminal_are_a_dozen_lines_with_what_matters_first(own):
    tool(own, "pub", EVENT, "{}", "--count", "7", "--ack")
    with own.peer() as peer:
        peer.ask("$bus.fetch", {"consumer": "reader", "filters": ["core."], "from": 3, "ack": 3,
                                "max": 1, "wait_ms": 0})
        table = on_terminal(own, "stats", env={"NO_COLOR": "1"})
    rows = table.splitlines()
    assert 10 <= len(rows) <= 16, table
    for row in (r"head +7", r"in, journaled +7", r"lag of reader +5", r"refused +0", r"pending +\d+ B",
                r"commit latency +p50 \d+\.\d\d ms, p99 \d+\.\d\d ms", r"journal state +ok"):
        assert re.search(f"^{row}$", table, re.M), (row, table)
    watched = own.bhiv, "stats", "--watch", "--interval", "100ms", "--format", "line"
    with subprocess.Popen([*watched, "--dir", str(own.folder)], stdout=subprocess.PIPE,
                          text=True) as watch:
        heads = (line for line in watch.stdout if line.startswith("head "))
        next(heads)
        assert re.fullmatch(r"head +7 +0\n", next(heads)), "nothing came: 0 a second"
        watch.kill()


def test_no_color_is_honoured(broker):
    tool(broker, "pub", EVENT, "{}")
    assert "\033[" in on_terminal(broker, "tail", "-n", "1")
    assert "\033[" not in on_terminal(broker, "tail", "-n", "1", env={"NO_COLOR": "1"})
    assert "\033[" in on_terminal(broker, "tail", "-n", "1", env={"NO_COLOR": ""})


def test_control_bytes_of_a_stranger_do_not_reach_the_terminal(broker):
    with broker.peer() as stranger:
        stranger.publish(EVENT, {"t": "\033[2J"}, source="a\033[31mb")
    plain = on_terminal(broker, "tail", "-n", "1", env={"NO_COLOR": "1"})
    assert "\033" not in plain and "a?[31mb" in plain


def test_the_formats_of_a_record(broker):
    tool(broker, "pub", "core.event.f", '{"a":[1]}', "--source", "s", "--trace", "t")
    line = tool(broker, "tail", "core.event.f", "-n", "1", "--format", "line").stdout
    assert re.fullmatch(r'\d+ \S+Z core\.event\.f s \{"a":\[1\]\}\n', line)
    pretty = tool(broker, "tail", "core.event.f", "-n", "1", "--format", "pretty").stdout
    assert " s trace t\n{\n  \"a\": [\n    1\n  ]\n}\n" in pretty
    assert tool(broker, "tail", "--format", "xml").returncode == 64


# --- Keeping ------------------------------------------------------------------------------------


def test_a_backup_of_a_running_system_restores_to_the_same_records(own, tmp_path):
    tool(own, "pub", EVENT, '{"n":1}', "--count", "500")
    expected = lines(tool(own, "sub", ">", "--from", "1", "--count", "500"))
    manifest = json.loads(tool(own, "backup", str(tmp_path / "copy")).stdout)
    assert manifest["stores"][-1]["name"] == "broker" and manifest["stores"][-1]["head"] == 500
    tool(own, "pub", EVENT, '{"n":2}')
    target = str(tmp_path / "new")
    assert tool(own, "restore", str(tmp_path / "copy"), "--dir", target).returncode == 0
    with Broker(own.bhiv, target) as restored:
        assert lines(tool(restored, "sub", ">", "--from", "1", "--count", "500")) == expected
        assert lines(tool(restored, "stats"))[0]["head"] == 500
    assert tool(own, "restore", str(tmp_path / "copy"), "--dir", target).returncode == 77


def test_long_work_says_on_a_terminal_what_it_is_at(own, tmp_path):
    tool(own, "pub", EVENT, "{}")
    shown = on_terminal(own, "backup", str(tmp_path / "copy"))
    assert "copying broker" in shown and "verifying the copy of broker\r\033[K" in shown
    own.stop()
    assert "checking broker\r\033[K" in on_terminal(own, "check")
    own.start()
    silent = tool(own, "backup", str(tmp_path / "other"))
    assert silent.returncode == 0 and silent.stderr == ""


def test_a_backup_goes_nowhere_but_into_an_empty_folder(own, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "kept").write_text("x")
    assert tool(own, "backup", str(tmp_path / "full")).returncode == 77
    assert (tmp_path / "full" / "kept").read_text() == "x"
    assert tool(own, "restore", str(tmp_path / "full"), "--dir",
                str(tmp_path / "n")).returncode == 66
    assert tool(own, "backup", str(tmp_path / "b"), "--dir",
                str(tmp_path / "nothing")).returncode == 66


def test_check_finds_the_byte_that_was_flipped(own, tmp_path):
    marker = "abcdefgh" * 16
    tool(own, "pub", EVENT, json.dumps({"text": marker}), "--count", "50")
    busy = tool(own, "check")
    assert busy.returncode == 75 and "stop it first, or check a backup" in busy.stderr
    own.stop()
    good = lines(tool(own, "check"))
    assert [store["status"] for store in good] == ["ok"] and good[0]["records"] >= 50
    data = own.folder / "broker" / "data.mdb"
    content = bytearray(data.read_bytes())
    where = [match.start() for match in re.finditer(marker.encode(), content)]
    for place in where:  # some of them on pages that are free again
        content[place] ^= 1
    data.write_bytes(content)
    bad = tool(own, "check")
    assert bad.returncode == 1
    report = json.loads(bad.stdout)
    assert report["bad"] == 50 and report["bad_table"] == "log"
    refused = tool(own, "backup", str(tmp_path / "copy"))
    assert refused.returncode == 1 and not (tmp_path / "copy" / "manifest.json").exists()
    data.write_bytes(b"\0" * len(content))
    assert tool(own, "check").returncode in (1, 74), "no store at all any more"


# --- The program --------------------------------------------------------------------------------


def bare(bhiv, *args):
    return subprocess.run([bhiv, *args], capture_output=True, text=True, timeout=30, check=False)


def verbs(bhiv):
    return re.findall(r"^  ([a-z]+)  +\S", bare(bhiv, "--help").stdout, re.M)


def test_every_verb_has_a_help_that_names_its_flags_and_their_twins(bhiv):
    assert len(verbs(bhiv)) >= 17
    for verb in verbs(bhiv):
        done = bare(bhiv, verb, "--help")
        assert done.returncode == 0 and f"bhiv {verb}" in done.stdout
        assert bare(bhiv, "help", verb).stdout == done.stdout
        page = re.sub(r"\s+", " ", done.stdout)
        for flag in re.findall(r"--([a-z][a-z-]+)[=\s]", page):
            if flag not in ("help", "usage", "version"):
                assert "BHIV_" + flag.upper().replace("-", "_") in page, (verb, flag)


@pytest.mark.parametrize("verb, flags", [
    ("keys cert", {"dir", "revoke"}), ("keys init", {"dir", "parts"}), ("token list", {"dir", "format"}),
    ("token create", {"dir", "role", "product", "expires"}), ("token revoke", {"dir"})])
def test_the_help_of_who_may_do_what_names_its_flags_and_their_twins(bhiv, verb, flags):
    page = bare(bhiv, *verb.split(), "--help").stdout
    named = set(re.findall(r"^  (?:-\w, |    )--([a-z][a-z-]+)", page, re.M)) - {"help", "usage"}
    assert flags <= named
    assert all("BHIV_" + flag.upper().replace("-", "_") in page for flag in named)


def test_no_verb_and_a_wrong_one_are_64(bhiv):
    assert bare(bhiv).returncode == 64
    wrong = bare(bhiv, "publish")
    assert wrong.returncode == 64 and "publish" in wrong.stderr and "mean" not in wrong.stderr
    assert bare(bhiv, "pub", "--no-such-flag").returncode == 64


@pytest.mark.parametrize("word, verb", [("pup", "pub"), ("stat", "stats"), ("chekc", "check"),
                                        ("restroe", "restore"), ("toppics", "topics")])
def test_a_mistyped_verb_is_answered_with_the_nearest(bhiv, word, verb):
    assert f"did you mean {verb}?" in bare(bhiv, word).stderr


@pytest.mark.parametrize("page", [("--help",), ("pub", "--help")])
def test_what_the_help_says_to_publish_bucket_takes(bhiv, page):
    text = " ".join(bare(bhiv, *page).stdout.split())
    body = json.loads(re.search(r"bhiv pub core\.event\.note --ack \\ '({.*?})'", text)[1])
    assert body["requester_id"] == "bhiv_core" and body["event_type"] == "note"


def test_the_version_is_the_same_everywhere(bhiv):
    version = json.loads(bare(bhiv, "version").stdout)["version"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", version)
    assert json.loads(bare(bhiv, "--version").stdout)["version"] == version


def test_the_shell_completes_verbs_flags_and_topics(bhiv, tmp_path):
    script = tmp_path / "bhiv.bash"
    script.write_text(bare(bhiv, "completion", "bash").stdout)

    def complete(*words):
        quoted = " ".join(f"'{word}'" for word in words)
        code = (f"source {script}; COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; _bhiv; "
                'printf "%s\\n" "${COMPREPLY[@]}"')
        return subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=30,
                              check=True).stdout.split()

    assert complete("bhiv", "u") == ["up"]
    assert complete("bhiv", "up", "--port") == ["--port-base"]
    assert "karma.life_event" in complete("bhiv", "pub", "karma.l")
    assert bare(bhiv, "completion", "zsh").stdout.startswith("#compdef bhiv")
    assert "complete -c bhiv" in bare(bhiv, "completion", "fish").stdout
    assert "complete -c bus" in bare(bhiv, "completion", "fish", "--name", "bus").stdout
    assert bare(bhiv, "completion", "fish", "--name", "a b").returncode == 64
    assert bare(bhiv, "completion", "csh").returncode == 64


def test_the_generated_pages_name_every_verb_topic_and_error(bhiv):
    commands = bare(bhiv, "docs", "commands").stdout
    assert all(f"## `bhiv {verb}`" in commands for verb in verbs(bhiv))
    assert "| `core.event.` | journaled | bucket |" in bare(bhiv, "docs", "topics").stdout
    assert "| `NO_RESPONDERS` | 503 | yes | 69 |" in bare(bhiv, "docs", "errors").stdout
    assert "## life_event" in bare(bhiv, "docs", "messages").stdout


@pytest.mark.parametrize("options, transport", [((), "ipc"), (("--secure",), "tcp with CURVE")])
def test_bench_prints_figures_beside_bare_ones(bhiv, tmp_path, options, transport):
    done = bare(bhiv, "bench", "--count", "2000", "--rounds", "1", "--scratch", str(tmp_path),
                "--format", "json", *options)
    assert done.returncode == 0, done.stderr
    machine, *figures = [json.loads(line) for line in done.stdout.splitlines()]
    assert machine["body_bytes"] == 256 and machine["rounds"] == 1
    assert machine["transport"] == transport
    assert done.stderr == "", "nothing stands between the figures"
    names = {figure["figure"] for figure in figures}
    assert {"durable_each", "durable_batch", "durable_last", "durable_one", "live",
            "live_latency_p50", "live_latency_p99", "live_latency_p999", "fan_out_1", "fan_out_4",
            "fetch", "restart_ready", "http", "http_p99", "start_ready", "start_memory"} <= names
    whole = [figure for figure in figures if figure["figure"].startswith(("http", "start"))]
    assert all(figure["bhiv"] > 0 for figure in figures)
    assert all(figure["bare"] > 0 for figure in figures if figure not in whole)
    assert all(figure["bare"] is None for figure in whole), "nothing bare to compare it with"
    assert list(tmp_path.iterdir()) == [], "it cleans up behind itself"


@pytest.mark.parametrize("words", [("--help",), ("topics",), ("version",)])
def test_a_full_stdout_is_an_io_error_and_said(bhiv, words):
    with open("/dev/full", "w", encoding="ascii") as full:
        done = subprocess.run([bhiv, *words], stdout=full, stderr=subprocess.PIPE, text=True,
                              timeout=10, check=False)
    assert done.returncode == 74
    assert "cannot write to stdout" in done.stderr

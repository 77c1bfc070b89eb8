"""docs/protocol.md sections 2, 3 and 5, said to the real broker: what a message is, what becomes of it."""

import struct
import uuid

import pytest
from support.broker import Broker, ack_of, error_of, handed, say, stats_of
from support.peer import pack

MIB = 1024 * 1024
BODY = pack({"n": 1})


@pytest.fixture(scope="module")
def broker(bhiv, tmp_path_factory):
    with Broker(bhiv, tmp_path_factory.mktemp("p") / "d") as running:
        yield running


@pytest.fixture
def peer(broker):
    with broker.peer() as connected:
        yield connected


def raw(peer, *frames):
    """Sends these frames, then asks for the counters: behind them in the same queue."""
    peer.send_raw(*frames)
    return stats_of(peer)


def header_of(peer, **keys):
    """A header that asks for an answer, and its id."""
    ident = str(uuid.uuid4())
    return ident, pack({"id": ident, "reply_to": peer.inbox, "source": "py_test", **keys})


def map_head(count):
    return bytes([0x80 | count])


def with_pair(peer, pair):
    """A header of three good pairs and one raw one."""
    ident = str(uuid.uuid4())
    good = pack({"id": ident, "reply_to": peer.inbox, "source": "py_test"})
    return ident, map_head(4) + good[1:] + pair


def refused(peer, ident, code):
    header, body = peer.answer(ident)
    assert header["status"] == "error", (header, body)
    assert body["error_code"] == code, body


def still_serves(peer):
    assert ack_of(peer, "core.event.after", {"n": 1})["seq"] > 0


# --- What is refused ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [2, 4, 5, 100])
def test_a_message_has_three_frames(peer, count):
    ident, header = header_of(peer)
    before = stats_of(peer)["refused"].get("MALFORMED_MESSAGE", 0)
    frames = [b"core.event.x", header, BODY] + [b"more"] * 97
    after = raw(peer, *frames[:count])["refused"]["MALFORMED_MESSAGE"]
    assert after == before + 1
    refused(peer, ident, "MALFORMED_MESSAGE")
    still_serves(peer)


def test_one_frame_is_counted_though_nobody_can_be_told(peer):
    before = stats_of(peer)["refused"].get("MALFORMED_MESSAGE", 0)
    assert raw(peer, b"core.event.x")["refused"]["MALFORMED_MESSAGE"] == before + 1


BAD_TOPICS = [
    b"", b".", b"..", b".a", b"a.", b"a..b", b"core.event.", b"a b", b"a/b", b"a\0b", b"a.*", b">",
    "caf\u00e9".encode(), b"\xff", b"core.$x", b"a" * 256, b"$", b"$bus", b"$bus.nothing",
    b"$other.x", b"_x", b"_other.a.b", b"_inbox.a", b"_inbox.a.b.c", b"$bus.peer.up",
]  # fmt: skip


@pytest.mark.parametrize("topic", BAD_TOPICS, ids=lambda topic: repr(topic[:20]))
def test_a_bad_topic_is_refused(peer, topic):
    ident, header = header_of(peer)
    before = stats_of(peer)["refused"].get("INVALID_TOPIC", 0)
    assert raw(peer, topic, header, BODY)["refused"]["INVALID_TOPIC"] == before + 1
    refused(peer, ident, "INVALID_TOPIC")


BAD_PAIRS = {
    "trace_id is no text": pack("trace_id") + pack(5),
    "trace_id is empty": pack("trace_id") + pack(""),
    "trace_id is over 128 bytes": pack("trace_id") + pack("x" * 129),
    "trace_id is no UTF-8": pack("trace_id") + b"\xa2\xff\xfe",
    "pstream is over 64 bytes": pack("pstream") + pack("x" * 65),
    "pseq is 0": pack("pseq") + pack(0),
    "pseq is negative": pack("pseq") + pack(-1),
    "pseq is a float": pack("pseq") + pack(1.0),
    "pseq is a text": pack("pseq") + pack("1"),
    "ack is a number": pack("ack") + pack(1),
    "ack is another text": pack("ack") + pack("first"),
    "ack last without pseq": pack("ack") + pack("last"),
    "time is a text": pack("time") + pack("now"),
    "cause is no pair": pack("cause") + pack([1, 2, 3]),
    "cause is a number": pack("cause") + pack(1),
    "idem is over its limit": pack("idem") + pack("x" * 385),
    "a key is no text": pack(7) + pack(7),
    "id stands twice": pack("id") + pack("other"),
    "source stands twice": pack("source") + pack("other"),
    "a value is cut off": pack("x") + b"\xd9\x20short",
    "a value claims 4 GiB": pack("x") + b"\xdb\xff\xff\xff\xff",
    "something follows the map": pack("x") + pack(1) + pack(2),
    "a value nests 100 deep": pack("x") + b"\x91" * 100 + b"\xc0",
    "over 4 KiB": pack("x") + pack("y" * 4096),
}


@pytest.mark.parametrize("what", BAD_PAIRS)
def test_a_bad_header_is_refused_and_told(peer, what):
    ident, header = with_pair(peer, BAD_PAIRS[what])
    before = stats_of(peer)["refused"].get("MALFORMED_MESSAGE", 0)
    after = raw(peer, b"core.event.x", header, BODY)
    assert after["refused"]["MALFORMED_MESSAGE"] == before + 1
    refused(peer, ident, "MALFORMED_MESSAGE")
    still_serves(peer)


UNANSWERABLE = {
    "empty": b"",
    "no map": pack([1, 2]),
    "nil": b"\xc0",
    "cut off": b"\x84\xa2id",
    "a map that claims 2^32 pairs": b"\xdf\xff\xff\xff\xff",
    "id is empty": pack({"id": ""}),
    "id is over 64 bytes": pack({"id": "x" * 65}),
    "id is a number": pack({"id": 1}),
    "source is over 64 bytes": pack({"source": "x" * 65}),
    "reply_to without id": pack({"reply_to": "_inbox.a.b"}),
    "reply_to is no inbox": pack({"id": "1", "reply_to": "core.event.x"}),
    "reply_to is over 128 bytes": pack({"id": "1", "reply_to": "_inbox.a." + "b" * 128}),
    "msgpack's unused byte": b"\xc1",
}


@pytest.mark.parametrize("what", UNANSWERABLE)
def test_a_header_without_a_way_back_is_counted(peer, what):
    before = stats_of(peer)
    after = raw(peer, b"core.event.x", UNANSWERABLE[what], BODY)
    assert after["refused"]["MALFORMED_MESSAGE"] == before["refused"].get("MALFORMED_MESSAGE", 0) + 1
    assert after["head"] == before["head"]
    still_serves(peer)


BAD_BODIES = {  # what: body
    "empty": b"",
    "two values": b"\x01\x02",
    "cut off": b"\x81\xa1n",
    "unused byte": b"\xc1",
    "an array that claims 16 million": b"\xdd\xff\x00\x00\x00",
    "a text that claims 4 GiB": b"\xdb\xff\xff\xff\xff",
    "25 deep": b"\x91" * 25 + b"\xc0",
    "100,000 deep": b"\x91" * 100000 + b"\xc0",
}
NOT_JSON = {
    "bin": pack({"n": b"x"}),
    "ext": pack({"n": 1})[:-1] + b"\xd4\x01\x00",
    "a key that is no text": b"\x81\x01\x01",
    "a key that stands twice": b"\x82\xa1n\x01\xa1n\x02",
    "a key that stands twice among many": b"\x8f"
    + b"".join(pack(f"k{i}") + b"\x01" for i in range(14))
    + pack("k7")
    + b"\x01",
    "NaN": b"\xcb" + struct.pack(">d", float("nan")),
    "infinity": b"\xcb" + struct.pack(">d", float("inf")),
    "float32 infinity": b"\xca" + struct.pack(">f", float("-inf")),
    "over int64": b"\xcf" + struct.pack(">Q", 2**63),
    "bad UTF-8": b"\xa2\xc3\x28",
    "a surrogate": b"\xa3\xed\xa0\x80",
    "an overlong form": b"\xa2\xc0\x80",
}


@pytest.mark.parametrize("topic", [b"core.event.x", b"any.live"])
@pytest.mark.parametrize("what", BAD_BODIES)
def test_a_bad_body_is_refused_on_every_topic(peer, what, topic):
    ident, header = header_of(peer)
    raw(peer, topic, header, BAD_BODIES[what])
    refused(peer, ident, "MALFORMED_MESSAGE")
    still_serves(peer)


@pytest.mark.parametrize("what", NOT_JSON)
def test_a_journaled_body_keeps_to_json_and_a_live_one_need_not(peer, what):
    ident, header = header_of(peer, ack=True)
    raw(peer, b"core.event.x", header, NOT_JSON[what])
    refused(peer, ident, "MALFORMED_MESSAGE")
    ident, header = header_of(peer, ack=True)
    raw(peer, b"any.live", header, NOT_JSON[what])
    assert peer.answer(ident)[0]["status"] == "success"


def test_a_body_over_1_mib_is_too_large(peer):
    for topic in ("core.event.x", "any.live", "req.some.thing", "$bus.stats"):
        body = error_of(peer, topic, "x" * MIB)
        assert body["error_code"] == "PAYLOAD_TOO_LARGE", topic
    still_serves(peer)


def test_a_frame_over_every_limit_costs_its_sender_the_connection_only(broker, peer):
    with broker.peer("huge") as huge:
        huge.send_raw(b"core.event.x", pack({}), b"\xc6" + struct.pack(">I", 8 * MIB) + bytes(8 * MIB))
        still_serves(peer)


def test_what_is_just_within_the_limits_is_taken(peer):
    size = MIB - len(pack({"d": ""})) - 4
    ack = ack_of(peer, "core.event.big", {"d": "x" * size})
    assert ack["seq"] > 0
    assert ack_of(peer, "core." + "a" * 250, {"n": 1})["seq"] == ack["seq"] + 1
    ident, header = header_of(peer, ack=True, x="")
    ident, header = header_of(peer, ack=True, x="y" * (4096 - len(header) - 2))
    assert len(header) == 4096
    raw(peer, b"core.event.x", header, b"\x91" * 24 + b"\xc0")
    assert peer.answer(ident)[1]["seq"] == ack["seq"] + 2
    assert ack_of(peer, "core.event.x", {"n": 1}, id="i" * 64, source="s" * 64)["seq"] > 0


def test_nobody_speaks_as_the_bus(peer):
    assert error_of(peer, "core.event.x", {}, source="$bus")["error_code"] == "UNAUTHORIZED_ACCESS"
    assert error_of(peer, "any.live", {}, source="$bus")["error_code"] == "UNAUTHORIZED_ACCESS"


# --- What becomes of a message ------------------------------------------------------------------


def test_a_journaled_message_is_acked_published_and_kept(peer):
    peer.subscribe("core.event.kept")
    ack = ack_of(peer, "core.event.kept", {"n": 1}, trace_id="t1", extra={"deep": [1, b"\x00"]})
    topic, header, body = peer.hear()
    assert (topic, body) == ("core.event.kept", {"n": 1})
    assert header["seq"] == ack["seq"] and header["at"] == ack["at"] and not ack["duplicate"]
    assert header["trace_id"] == "t1" and header["extra"] == {"deep": [1, b"\x00"]}
    page = peer.fetch(start=ack["seq"])
    assert page["records"][0] == [topic, header, body]


def test_the_broker_fills_in_what_was_left_out(peer):
    peer.subscribe("core.event.bare")
    peer.subscribe("any.bare")
    for topic in (b"core.event.bare", b"any.bare"):
        peer.send_raw(topic, pack({}), BODY)
        header = peer.hear()[1]
        assert uuid.UUID(header["id"]).version == 7
        assert header["time"] > 1_500_000_000_000_000


def test_a_peers_own_place_in_the_journal_is_dropped(peer):
    peer.subscribe("core.event.forged")
    peer.subscribe("any.forged")
    ack = ack_of(peer, "core.event.forged", {}, seq=10**9, at=5, prev=7, time=42)
    header = peer.hear()[1]
    assert (header["seq"], header["at"]) == (ack["seq"], ack["at"])
    assert header["prev"] < ack["seq"] and header["prev"] != 7 and header["time"] == 42
    peer.send("any.forged", {}, seq=10**9, at=5, prev=7)
    header = peer.hear()[1]
    assert not {"seq", "at", "prev"} & set(header)


def test_a_live_message_is_acked_with_seq_0_and_not_kept(peer):
    peer.subscribe("any.")
    head = stats_of(peer)["head"]
    assert ack_of(peer, "any.thing", {"n": 1}) == {"seq": 0, "at": 0, "duplicate": False}
    assert peer.hear()[0] == "any.thing"
    assert ack_of(peer, "bucket.out.event", {}) == {"seq": 0, "at": 0, "duplicate": False}
    assert ack_of(peer, "task.execute.x", {}) == {"seq": 0, "at": 0, "duplicate": False}
    assert stats_of(peer)["head"] == head


JOURNALED = (
    "core bucket prana karma workflow agent kb brain layer3.intent task governance crypto hunter stress"
).split()


@pytest.mark.parametrize("prefix", JOURNALED)
def test_every_journaled_prefix_is_journaled(peer, prefix):
    assert ack_of(peer, prefix + ".x", {})["seq"] > 0
    out = prefix.split(".")[0] + ".out.x"
    assert ack_of(peer, out, {})["seq"] == 0


def test_seq_has_no_gaps_and_at_never_goes_back(peer):
    acks = [ack_of(peer, "core.event.x", {"n": n}) for n in range(20)]
    assert [ack["seq"] for ack in acks] == list(range(acks[0]["seq"], acks[0]["seq"] + 20))
    assert [ack["at"] for ack in acks] == sorted(ack["at"] for ack in acks)


def test_prev_links_the_messages_of_a_first_token(peer):
    first = ack_of(peer, "crypto.a", {})["seq"]
    ack_of(peer, "hunter.a", {})
    second = ack_of(peer, "crypto.b", {})["seq"]
    records = peer.fetch(start=second)["records"]
    assert records[0][1]["prev"] == first
    everything = list(peer.fetch_all())
    last = {}
    for topic, header, _ in everything:
        token = topic.split(".")[0]
        assert header["prev"] == last.get(token, 0)
        last[token] = header["seq"]


def test_refusals_are_answered_though_no_ack_was_asked_for(peer):
    header, body = say(peer, "core.event.x", float("nan"))
    assert header["ack"] is True and body["error_code"] == "MALFORMED_MESSAGE"


# --- Exactly once -------------------------------------------------------------------------------


def test_a_repeated_pseq_is_a_duplicate_with_the_originals_place(peer):
    first = ack_of(peer, "core.event.x", {"n": 1}, pseq=1, pstream=peer.stream)
    again = ack_of(peer, "core.event.x", {"n": 1}, pseq=1, pstream=peer.stream)
    assert again == {**first, "duplicate": True}
    assert stats_of(peer)["head"] == first["seq"]


def test_a_gap_is_refused_and_uses_no_number(peer):
    stream = {"pstream": peer.stream}
    ack_of(peer, "core.event.x", {}, pseq=1, **stream)
    body = error_of(peer, "core.event.x", {}, ack=True, pseq=3, **stream)
    assert body["error_code"] == "PSEQ_GAP" and body["details"] == {"expected": 2}
    assert error_of(peer, "core.event.x", {}, pseq=5, pstream="fresh")["details"] == {"expected": 1}
    # A malformed one uses no number either.
    assert error_of(peer, "core.event.x", float("inf"), pseq=2, **stream)
    assert not ack_of(peer, "core.event.x", {}, pseq=2, **stream)["duplicate"]


def test_streams_are_of_their_source_and_of_their_name(peer):
    for keys in ({"source": "a"}, {"source": "b"}, {"source": "a", "pstream": "s"}):
        name = {**keys, "source": keys["source"] + peer.stream[:8]}
        assert not ack_of(peer, "core.event.x", {}, pseq=1, **name)["duplicate"]
        assert ack_of(peer, "core.event.x", {}, pseq=1, **name)["duplicate"]


def test_a_window_that_is_sent_twice_is_applied_once(peer):
    window = range(1, 1001)
    stream = peer.stream
    idents = []
    for _ in range(2):
        for n in window:
            header = {"pseq": n, "pstream": stream, "ack": True, "reply_to": peer.inbox}
            idents.append(peer.send("core.event.window", {"n": n}, **header))
    acks = [peer.answer(ident)[1] for ident in idents]
    assert [ack["duplicate"] for ack in acks] == [False] * 1000 + [True] * 1000
    assert [ack["seq"] for ack in acks[:1000]] == [ack["seq"] for ack in acks[1000:]]
    seen = [r[2]["n"] for r in peer.fetch_all(["core.event.window"]) if r[1]["pstream"] == stream]
    assert seen == list(window)


def test_a_message_lost_in_the_window_fails_those_behind_it(peer):
    idents = []
    for n in [1, 2, 4, 5]:
        header = {"pseq": n, "pstream": peer.stream, "ack": True, "reply_to": peer.inbox}
        idents.append(peer.send("core.event.x", {"n": n}, **header))
    answers = [peer.answer(ident) for ident in idents]
    assert [header["status"] for header, _ in answers] == ["success"] * 2 + ["error"] * 2
    assert [body["details"]["expected"] for _, body in answers[2:]] == [3, 3]


def test_ack_last_is_one_ack_for_all_up_to_it(peer):
    count = 2000
    before = stats_of(peer)["commits"]["count"]
    sent = {}
    for n in range(1, count + 1):
        header = {"pseq": n, "pstream": peer.stream, "ack": "last", "reply_to": peer.inbox}
        sent[peer.send("core.event.x", {"n": n}, **header)] = n
    acked = []
    while not acked or acked[-1] < count:
        header, body = handed(peer)
        assert header["status"] == "success" and header["ack"] is True, body
        acked.append(sent[header["re"]])
    commits = stats_of(peer)["commits"]["count"] - before
    assert acked == sorted(acked)
    assert len(acked) <= commits < count


def test_ack_last_tells_of_a_gap_behind_what_it_acks(peer):
    stream = {"pstream": peer.stream, "reply_to": peer.inbox, "ack": "last"}
    second = [peer.send("core.event.x", {}, pseq=n, **stream) for n in (1, 2)][1]
    fourth = peer.send("core.event.x", {}, pseq=4, **stream)
    header, body = peer.answer(fourth)
    assert header["status"] == "error" and body["details"] == {"expected": 3}
    assert peer.answer(second)[0]["status"] == "success"


# --- A batch ------------------------------------------------------------------------------------


def test_a_batch_has_one_ack_and_consecutive_places(peer):
    peer.subscribe("core.batch.")
    messages = [[f"core.batch.m{n}", {"id": f"b{n}", "x": n}, {"n": n}] for n in range(100)]
    ack = ack_of(peer, "$bus.batch", messages)
    assert ack["count"] == 100 and ack["seq"] == ack["first"] + 99 and not ack["duplicate"]
    heard = [peer.hear() for _ in range(100)]
    assert [header["seq"] for _, header, _ in heard] == list(range(ack["first"], ack["seq"] + 1))
    assert [(topic, header["x"], body) for topic, header, body in heard] == [
        (f"core.batch.m{n}", n, {"n": n}) for n in range(100)
    ]
    assert all(header["source"] == "py_test" for _, header, _ in heard)


def test_a_batch_that_is_sent_again_is_a_duplicate(peer):
    messages = [["core.x", {}, {"n": n}] for n in range(7)]
    ack_of(peer, "core.event.x", {}, pseq=1, pstream=peer.stream)
    first = ack_of(peer, "$bus.batch", messages, pseq=2, pstream=peer.stream)
    again = ack_of(peer, "$bus.batch", messages, pseq=2, pstream=peer.stream)
    assert again == {**first, "duplicate": True}
    body = error_of(peer, "$bus.batch", messages, pseq=4, pstream=peer.stream)
    assert body["error_code"] == "PSEQ_GAP" and body["details"] == {"expected": 3}


BAD_BATCHES = {
    "a live topic": (["any.live", {}, {}], "INVALID_TOPIC"),
    "an operation": (["$bus.stats", {}, {}], "INVALID_TOPIC"),
    "an inbox": (["_inbox.a.b", {"re": "1"}, {}], "INVALID_TOPIC"),
    "a request": (["req.a.b", {}, {}], "INVALID_TOPIC"),
    "an illegal topic": (["core..x", {}, {}], "INVALID_TOPIC"),
    "reply_to inside": (["core.x", {"id": "1", "reply_to": "_inbox.a.b"}, {}], "VALIDATION_FAILED"),
    "ack inside": (["core.x", {"ack": True}, {}], "VALIDATION_FAILED"),
    "pseq inside": (["core.x", {"pseq": 1}, {}], "VALIDATION_FAILED"),
    "a header that is no map": (["core.x", [], {}], "VALIDATION_FAILED"),
    "a body that is no JSON": (["core.x", {}, {"b": b"x"}], "VALIDATION_FAILED"),
    "two parts": (["core.x", {}], "VALIDATION_FAILED"),
    "no message": ("core.x", "VALIDATION_FAILED"),
}


@pytest.mark.parametrize("what", BAD_BATCHES)
def test_a_batch_is_refused_whole(peer, what):
    bad, code = BAD_BATCHES[what]
    head = stats_of(peer)["head"]
    body = error_of(peer, "$bus.batch", [["core.x", {}, {}], ["core.x", {}, {}], bad])
    assert body["error_code"] == code and body["details"]["index"] == 2, body
    assert stats_of(peer)["head"] == head


def test_an_empty_batch_and_one_that_is_none_are_refused(peer):
    for body in ([], {}, None, "x"):
        assert error_of(peer, "$bus.batch", body)["error_code"] == "VALIDATION_FAILED"
    assert error_of(peer, "$bus.batch", [["core.x", {}, 1]] * 10001)["error_code"] == "PAYLOAD_TOO_LARGE"


def test_a_batch_may_be_as_deep_inside_as_a_message_alone(peer):
    deep = None
    for _ in range(24):
        deep = [deep]
    assert ack_of(peer, "$bus.batch", [["core.x", {}, deep]])["count"] == 1
    assert error_of(peer, "$bus.batch", [["core.x", {}, [deep]]])["error_code"] == "VALIDATION_FAILED"

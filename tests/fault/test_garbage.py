"""Malformed messages of every kind: each is counted and told to whoever can be told, none is taken.

Shortened unless --long: then 100,000 of them. The broker and those who speak properly are unharmed.
"""

import itertools
import random
import socket
import struct
import time

import msgpack
import pytest
import zmq
from support.broker import Broker, ack_of, error_of, stats_of
from support.peer import pack
from support.system import eventually, free_port_base, memory

TOPIC = b"core.event.other"
BODY = {"requester_id": "bhiv_core", "event_type": "other"}
KIB = 1 << 10
MIB = 1 << 20


def nested(depth):
    return b"\x91" * depth + b"\xc0"


def header(**more):
    return pack({"source": "garbage", **more})


GOOD = header(), pack(BODY)

# What each rule of PROTOCOL.md section 2 refuses: name -> (frames, error code).
FRAMES = {
    "one_frame": ([TOPIC], "MALFORMED_MESSAGE"),
    "two_frames": ([TOPIC, GOOD[0]], "MALFORMED_MESSAGE"),
    "four_frames": ([TOPIC, *GOOD, b""], "MALFORMED_MESSAGE"),
    "a_thousand_frames": ([TOPIC, *GOOD] + [b"x"] * 1000, "MALFORMED_MESSAGE"),
    "empty_frames": ([b"", b"", b""], None),
    "an_envelope": ([b"", TOPIC, *GOOD], "MALFORMED_MESSAGE"),
}
TOPICS = {
    "empty": b"",
    "a_dot": b".",
    "dots": b"...",
    "an_empty_token": b"core..event",
    "a_dot_before": b".core.event",
    "a_dot_behind": b"core.event.",
    "dot_dot": b"core.event/../../etc/passwd",
    "percent_2e": b"core.%2e%2e.event",
    "a_slash": b"core/event",
    "a_star": b"core.event.*",
    "a_rest": b"core.>",
    "a_space": b"core.event. x",
    "a_newline": b"core.event\nx",
    "ansi": b"core.\x1b[31mevent",
    "a_nul": b"core.event\0x",
    "not_ascii": "core.événement".encode(),
    "a_look_alike": "core.еvent".encode(),  # its e is Cyrillic
    "full_width": "ｃore.event".encode(),
    "not_utf8": b"core.\xff\xfe",
    "256_bytes": b"core." + b"x" * 251,
    "64_kib": b"core." + b"x" * (64 * KIB),
    "the_bus_s_own": b"$bus.peer.up",
    "another_of_the_bus": b"$secret",
    "an_unknown_operation": b"$bus.nothing",
    "underscore": b"_private.topic",
    "no_inbox": b"_inbox",
    "half_an_inbox": b"_inbox.somebody",
    "an_inbox_with_a_dot": b"_inbox.somebody.",
}
HEADERS = {
    "empty": b"",
    "no_map": b"\xc0",
    "an_array": pack([1, 2]),
    "a_text": pack("header"),
    "cut_off": header()[:-1],
    "followed_by_more": header() + b"\xc0",
    "twice_the_same_key": b"\x82\xa6source\xa1a\xa6source\xa1b",
    "a_key_that_is_no_text": b"\x81\x01\xa1a",
    "not_utf8": b"\x81\xa6source\xa2\xff\xfe",
    "over_4_kib": header(pad="x" * 4 * KIB),
    "an_id_of_65": header(id="x" * 65),
    "an_empty_id": header(id=""),
    "an_id_that_is_no_text": header(id=7),
    "a_source_of_65": pack({"source": "x" * 65}),
    "a_pstream_of_65": header(pstream="x" * 65, pseq=1),
    "a_reply_to_of_129": header(id="x", reply_to="_inbox." + "x" * 122),
    "a_reply_to_without_id": header(reply_to="_inbox.a.b"),
    "a_reply_to_that_is_a_topic": header(id="x", reply_to="core.event.x"),
    "a_reply_to_that_is_a_prefix": header(id="x", reply_to="_inbox.a."),
    "a_trace_id_of_129": header(trace_id="x" * 129),
    "pseq_zero": header(pseq=0),
    "pseq_negative": header(pseq=-1),
    "pseq_a_float": header(pseq=1.0),
    "pseq_a_text": header(pseq="1"),
    "ack_a_number": header(ack=1, id="x", reply_to="_inbox.a.b"),
    "ack_another_word": header(ack="first", id="x", reply_to="_inbox.a.b"),
    "ack_last_without_pseq": header(ack="last", id="x", reply_to="_inbox.a.b"),
    "time_negative": header(time=-1),
    "cause_of_one": header(cause=[1]),
    "cause_of_texts": header(cause=["a", "b"]),
    "a_map_of_4_billion": b"\xdf\xff\xff\xff\xff",
    "a_text_of_4_billion": b"\x81\xa6source\xdb\xff\xff\xff\xff",
    "the_broker_s_name": pack({"source": "$bus"}),
    "nested_too_deep": b"\x81\xa1x" + nested(60),
    "never_used_c1": b"\x81\xa1x\xc1",
    # What nobody here reads is journaled with the rest: it must not stop those who read it.
    "an_unknown_text_that_is_not_utf8": b"\x81\xa1x\xa2\xff\xfe",
    "an_unknown_text_deeper": b"\x81\xa1x\x91\xa2\xff\xfe",
}
BODIES = {
    "empty": b"",
    "two_values": b"\xc0\xc0",
    "cut_off": pack(BODY)[:-1],
    "never_used_c1": b"\xc1",
    "25_deep": nested(25),
    "100,000_deep": nested(100_000),
    "over_1_mib": pack("x" * MIB),
    "an_array_of_4_billion": b"\xdd\xff\xff\xff\xff",
    "a_map_of_4_billion": b"\xdf\xff\xff\xff\xff",
    "a_bin_of_4_billion": b"\xc6\xff\xff\xff\xff",
    "a_text_of_4_billion": b"\xdb\xff\xff\xff\xff",
    "an_ext_of_4_billion": b"\xc9\xff\xff\xff\xff\x01",
    "an_array_that_asks_for_128_gib": b"\xdd\xff\x00\x00\x00",
    "a_bin": pack({"x": b"\x00"}),
    "an_ext": pack({"x": msgpack.ExtType(5, b"xy")}),
    "twice_the_same_key": b"\x82\xa1a\x01\xa1a\x02",
    "twice_deeper": b"\x81\xa1x\x82\xa1a\x01\xa1a\x02",
    "twice_the_same_key_otherwise_written": b"\x82\xa1a\x01\xd9\x01a\x02",
    "a_key_that_is_a_number": b"\x81\x01\x01",
    "a_key_that_is_nil": b"\x81\xc0\x01",
    "nan": b"\xcb\x7f\xf8" + bytes(6),
    "infinity": b"\xcb\x7f\xf0" + bytes(6),
    "infinity_of_32_bits": b"\xca\x7f\x80\x00\x00",
    "2^63": b"\xcf\x80" + bytes(7),
    "not_utf8": b"\xa2\xff\xfe",
    "overlong_utf8": b"\xa2\xc0\x80",
    "a_lone_surrogate": b"\xa3\xed\xa0\x80",
    "beyond_unicode": b"\xa4\xf4\x90\x80\x80",
}


@pytest.fixture(scope="module")
def broker(bhiv, tmp_path_factory):
    base = free_port_base()
    folder = tmp_path_factory.mktemp("garbage") / "d"
    ports = ("--bus-in", str(base + 50), "--bus-out", str(base + 51))
    with Broker(bhiv, folder, ports) as running:
        running.port = base + 50
        yield running


@pytest.fixture
def peer(broker):
    with broker.peer() as joined:
        yield joined


def head_and_refused(peer):
    stats = stats_of(peer)
    return stats["head"], stats["refused_total"]


def refused_one(peer, frames):
    """Sends it: it is counted as refused and nothing is journaled; the broker answers after it."""
    head, refused = head_and_refused(peer)
    peer.push.send_multipart(frames)
    assert head_and_refused(peer) == (head, refused + 1)


@pytest.mark.parametrize("name", FRAMES)
def test_a_message_of_other_frames_is_refused(peer, name):
    refused_one(peer, FRAMES[name][0])


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_that_is_none_is_refused(peer, name):
    refused_one(peer, [TOPICS[name], *GOOD])


@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_is_none_is_refused(peer, name):
    refused_one(peer, [TOPIC, HEADERS[name], GOOD[1]])


@pytest.mark.parametrize("name", BODIES)
def test_a_body_that_is_none_is_refused(peer, name):
    refused_one(peer, [TOPIC, GOOD[0], BODIES[name]])


@pytest.mark.parametrize("name", BODIES)
def test_a_batch_with_such_a_body_is_refused_whole(peer, name):
    head, _ = head_and_refused(peer)
    good = pack([TOPIC.decode(), {}, BODY])
    batch = b"\x93" + good + b"\x93" + pack(TOPIC.decode()) + pack({}) + BODIES[name] + good
    ident = f"batch-{name}"
    peer.push.send_multipart([b"$bus.batch", header(id=ident, reply_to=peer.inbox), batch])
    assert peer.answer(ident)[0]["status"] == "error"
    assert head_and_refused(peer)[0] == head


def test_who_can_be_told_is_told_and_what_is_wrong_is_named(peer):
    def told(topic, body, **more):
        return error_of(peer, topic, body, **more)

    assert told("core..event", BODY)["error_code"] == "INVALID_TOPIC"
    assert told("core.event.x", {"x": float("nan")})["error_code"] == "MALFORMED_MESSAGE"
    assert told("core.event.x", "x" * MIB)["error_code"] == "PAYLOAD_TOO_LARGE"
    assert told("$bus.nothing", {})["error_code"] == "INVALID_TOPIC"
    assert told("req.nobody.there", {})["error_code"] == "NO_RESPONDERS"
    assert told("$bus.fetch", {"consumer": "x", "filters": "no", "from": 0})["details"]
    assert told("core.event.x", BODY, ack=True, pseq=9, pstream="z")["error_code"] == "PSEQ_GAP"


@pytest.mark.parametrize("operation", ["hello", "beat", "bye", "fetch", "forget", "batch"])
def test_an_operation_of_the_bus_takes_no_garbage(peer, operation):
    """Its body is a value of every kind but the right one."""
    values = [None, True, 0, -1, 2**63 - 1, 1.5, "", "x" * 1000, [], [[]], {}, {"x": 1}, b"x",
              [[["a"]]], {"consumer": 7}, {"consumer": "x" * 1000}, {"instance": ""},
              {"consumer": "c", "filters": [""] * 40, "from": 1}, {"consumer": "c", "from": -1},
              {"consumer": "c", "filters": ["a"], "from": 1.5}, {"service": "..", "instance": "x"},
              {"service": "$bus", "instance": "x", "inbox": "_inbox.a.b"}, [["a", {}, {}]] * 2,
              [["core.event.x", {"pseq": 1}, {}]], [["core.event.x", {"reply_to": "x"}, {}]],
              [["htm.x", {}, {}]], [["core.event.x", {}]], [["core.event.x", {}, {}, {}]]]
    head, refused = head_and_refused(peer)
    for value in values:
        peer.push.send_multipart([f"$bus.{operation}".encode(), header(id="x", reply_to=peer.inbox),
                                  pack(value)])
    eventually(lambda: head_and_refused(peer)[1] >= refused + 20, 5, what="the refusals")
    assert head_and_refused(peer)[0] == head


def mutations(dice, count):
    """Messages that were right, with some bytes changed, cut, doubled or put between."""
    seeds = [[TOPIC, header(id="a", trace_id="t", time=1, cause=[1, 2]), pack({**BODY, "n": [1, {"a": 2.5}]})],
             [b"$bus.fetch", header(id="b", reply_to="_inbox.x.y"),
              pack({"consumer": "c", "filters": ["core."], "from": 1, "max": 5, "wait_ms": 0})],
             [b"$bus.hello", header(id="c"), pack({"service": "s", "instance": "i", "inbox": "_inbox.s.i",
                                                   "version": "1", "pid": 1, "boot_ms": 1.0})],
             [b"$bus.batch", header(id="d"), pack([[TOPIC.decode(), {}, BODY]] * 3)],
             [b"req.bucket.stats", header(id="e", reply_to="_inbox.x.y"), pack({})],
             [b"htm.beat", header(ack=True, id="f", reply_to="_inbox.x.y"), pack([1, "two", None])]]
    for _ in range(count):
        frames = list(dice.choice(seeds))
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(frames))
            data = bytearray(frames[at])
            place = dice.randrange(len(data) + 1)
            kind = dice.randrange(5)
            if kind == 0 and data:
                data[min(place, len(data) - 1)] = dice.randrange(256)
            elif kind == 1:
                del data[place:]
            elif kind == 2:
                data[place:place] = dice.randbytes(dice.randrange(1, 9))
            elif kind == 3:
                data += data[place:]
            elif data:
                data[min(place, len(data) - 1)] = dice.choice(b"\xc1\xdf\xdd\xdb\xc6\xc9\xff\x00\x7f\x80")
            frames[at] = bytes(data)
        yield frames


def test_a_flood_of_malformed_messages_is_counted_and_harms_nobody(broker, peer, long):
    count = 100_000 if long else 15_000
    dice = random.Random(20261120)
    kinds = [frames for frames, _ in FRAMES.values()]
    kinds += [[topic, *GOOD] for topic in TOPICS.values()]
    kinds += [[TOPIC, each, GOOD[1]] for each in HEADERS.values()]
    kinds += [[TOPIC, GOOD[0], each] for name, each in BODIES.items() if len(each) < 10_000]
    head, refused = head_and_refused(peer)
    with broker.peer("proper") as proper:
        used = None
        for n, frames in enumerate(itertools.islice(itertools.cycle(kinds), count)):
            peer.push.send_multipart(frames)
            if n % 1500 == 1499:
                begun = time.monotonic()
                ack_of(proper, TOPIC.decode(), BODY)
                assert time.monotonic() - begun < 5
                head += 1
                used = used or memory(broker.program.pid)
        assert head_and_refused(peer) == (head, refused + count)
        for frames in mutations(dice, count):
            peer.push.send_multipart(frames)
        assert stats_of(peer)["version"]
        assert ack_of(proper, TOPIC.decode(), BODY)["seq"] > head
    assert memory(broker.program.pid) < used + 16 * MIB
    # What was taken of the mutations is well-formed: every reader can read it.
    seqs = [header["seq"] for _, header, _ in peer.fetch_all()]
    assert seqs == list(range(1, len(seqs) + 1))
    assert broker.log_path.stat().st_size < MIB, "each of them was logged"


def test_a_length_bomb_is_refused_in_no_time_and_no_memory(broker, peer):
    before = memory(broker.program.pid)
    for name, each in BODIES.items():
        if "billion" in name or "128_gib" in name:
            rounds = []
            for _ in range(5):
                begun = time.monotonic()
                for _ in range(200):
                    peer.push.send_multipart([TOPIC, GOOD[0], each])
                stats_of(peer)
                rounds.append(time.monotonic() - begun)
            assert min(rounds) / 200 < 0.001, name
    assert memory(broker.program.pid) < before + MIB


def zmtp(port, kind=b"PUSH"):
    """A raw connection past its handshake."""
    raw = socket.create_connection(("127.0.0.1", port), timeout=5)
    raw.sendall(b"\xff" + bytes(7) + b"\x01\x7f" + b"\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32))
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    raw.sendall(bytes([4, len(ready)]) + ready)
    return raw


@pytest.mark.parametrize("length", [5 * MIB, 2**31, 2**40, 2**63 - 1, 2**64 - 1])
def test_a_frame_that_claims_to_be_huge_ends_its_connection(broker, peer, length):
    before = memory(broker.program.pid)
    with zmtp(broker.port) as raw:
        raw.sendall(b"\x02" + struct.pack(">Q", length) + b"x" * 1000)
        while raw.recv(4096):  # until it is closed
            pass
    ack_of(peer, TOPIC.decode(), BODY)
    assert memory(broker.program.pid) < before + MIB


def test_random_bytes_on_the_wire_harm_nobody(broker, peer, long):
    dice = random.Random(20261120)
    for _ in range(2000 if long else 100):
        try:
            with zmtp(broker.port, dice.choice([b"PUSH", b"SUB", b"DEALER", b"x" * 200])) as raw:
                raw.sendall(dice.randbytes(dice.randrange(1, 3000)))
        except OSError:
            pass  # it was shown the door before it was done
    assert ack_of(peer, TOPIC.decode(), BODY)["seq"] > 0


def test_garbage_up_the_way_out_costs_only_who_sends_it(broker, peer):
    """Only an XSUB can: what is no subscription is dropped, and others hear on."""
    peer.subscribe("htm.")
    bad = peer.context.socket(zmq.XSUB)
    bad.setsockopt(zmq.LINGER, 0)
    bad.connect(broker.egress)
    for n in range(2000):
        bad.send_multipart([b"", b"\x05x", b"\x01", b"\x01" + b"a" * 5000, b"\x00never", b"\x01\xff",
                            b"\x01_inbox.", b"\x01$bus.", b"\x02" * 100][n % 9:][:1])
    peer.send("htm.x", {"n": 1})
    assert peer.hear()[2] == {"n": 1}
    assert ack_of(peer, TOPIC.decode(), BODY)["seq"] > 0


def test_an_endless_multipart_is_one_message_to_count(broker, peer):
    """libzmq cannot bound it; what the bus says of one that ends is that it has too many frames."""
    head, refused = head_and_refused(peer)
    peer.push.send_multipart([TOPIC, *GOOD] + [b"x" * 1000] * 20_000)
    assert head_and_refused(peer) == (head, refused + 1)


def test_numbers_near_the_edges_come_back_exactly(broker, peer):
    numbers = [sign * (2**bits + off) for bits in (31, 32, 53, 62) for off in (-1, 0, 1)
               for sign in (1, -1)] + [2**63 - 1, -2**63, 0, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
    ack = ack_of(peer, "core.event.numbers", {**BODY, "numbers": numbers})
    record = peer.fetch(start=ack["seq"])["records"][0]
    assert record[2]["numbers"] == numbers
    assert [str(n) for n in record[2]["numbers"]] == [str(n) for n in numbers]  # -0.0 too


def test_a_fetch_from_anywhere_is_answered(peer):
    head = ack_of(peer, TOPIC.decode(), BODY)["seq"]
    for start in (2**32, 2**53, 2**63 - 1):
        assert error_of(peer, "$bus.fetch", {"consumer": "x", "filters": [], "from": start})[
            "error_code"] == "AHEAD"
    for more in ({"max": 1}, {"max_bytes": 1}, {"wait_ms": 0}):
        assert len(peer.fetch(start=head, **more)["records"]) == 1
    for more in ({"max": 0}, {"max_bytes": 0}, {"max": 2**63 - 1}, {"max": -1}, {"wait_ms": 2**40}):
        refusal = error_of(peer, "$bus.fetch", {"consumer": "x", "filters": [], "from": head, **more})
        assert refusal["error_code"] == "VALIDATION_FAILED"
        assert refusal["details"][0]["field"] == next(iter(more))

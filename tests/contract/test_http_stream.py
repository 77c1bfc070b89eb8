"""GET /events/stream: server-sent events as CloudEvents, live, resumed, slow and many."""

import json
import threading
import uuid

import pytest
import requests
from support.peer import Peer
from support.system import System, eventually


class Stream:
    """One EventSource, as far as these tests need one."""

    def __init__(self, system, topic=None, last=None, start=None):
        params = {key: value for key, value in (("topic", topic), ("from", start)) if value is not None}
        headers = {"Last-Event-ID": str(last)} if last is not None else {}
        self.answer = requests.get(
            system.url("console", "/events/stream"), params=params, headers=headers, stream=True, timeout=15)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["Content-Type"] == "text/event-stream"
        self.lines = self.answer.iter_lines()
        assert next(self.lines) == b"retry: 1000"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.answer.close()

    def next(self):
        """The next event: (name, id, data)."""
        name, ident, data = "message", None, None
        for line in self.lines:
            field, _, value = line.decode().partition(": ")
            if field == "event":
                name = value
            elif field == "id":
                ident = int(value)
            elif field == "data":
                data = json.loads(value)
            elif line == b"" and data is not None:
                return name, ident, data
        raise AssertionError("the stream ended")


def publish(system, topic, data, **more):
    answer = requests.post(
        system.url("console", "/bus/publish"), json={"topic": topic, "data": data, **more}, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def begin(system, stream, topic):
    """Publishes until the stream hears it: from here on it is listening."""
    mark = uuid.uuid4().hex
    stop = threading.Event()

    def say():
        while not stop.is_set():
            publish(system, topic, {"mark": mark})
            stop.wait(0.05)

    thread = threading.Thread(target=say)
    thread.start()
    try:
        event = stream.next()
    finally:
        stop.set()
        thread.join()
    end = publish(system, topic, {"end": mark})
    while event[2]["data"] != {"end": mark}:
        event = stream.next()
    return end["seq"]


def test_a_journaled_message_comes_as_a_cloud_event_with_its_place(shared_system):
    topic = "agent.t" + uuid.uuid4().hex
    with Stream(shared_system, topic) as stream:
        begin(shared_system, stream, topic)
        said = publish(shared_system, topic, {"n": 1, "x": 1.0, "text": "a\nb"}, trace_id="t1")
        name, ident, event = stream.next()
    assert name == "message" and ident == said["seq"]
    assert event["specversion"] == "1.0" and event["id"] == said["id"] and event["type"] == topic
    assert event["source"] == "bhiv_bridge" and event["time"] == said["at"]
    assert event["datacontenttype"] == "application/json" and event["data"] == {"n": 1, "x": 1.0, "text": "a\nb"}
    assert event["sequence"] == str(said["seq"]) and event["traceid"] == "t1"


def test_a_live_message_comes_without_a_place(shared_system):
    with Stream(shared_system, "some.>") as stream:
        begin(shared_system, stream, "some.thing.else")
        said = publish(shared_system, "some.where", {"n": 2})
        name, ident, event = stream.next()
    assert (name, ident, event["data"]) == ("message", None, {"n": 2})
    assert event["id"] == said["id"] and "sequence" not in event


@pytest.mark.parametrize("pattern,heard", [
    ("agent.*.{id}", ["agent.a.{id}"]), ("agent.b.{id}.>", ["agent.b.{id}.c"]),
    ("agent.b.{id}.", ["agent.b.{id}.c"]), ("bucket.out.{id}.>", ["bucket.out.{id}.x"]),
])
def test_a_pattern_chooses(shared_system, pattern, heard):
    ident = uuid.uuid4().hex
    topics = [f"agent.a.{ident}", f"agent.b.{ident}.c", f"bucket.out.{ident}.x", f"agent.a.b.{ident}x"]
    with Stream(shared_system, pattern.format(id=ident)) as stream:
        begin(shared_system, stream, heard[0].format(id=ident))
        for topic in topics:
            publish(shared_system, topic, {"to": topic})
        publish(shared_system, heard[0].format(id=ident), {"to": "the end"})
        got = []
        while got[-1:] != ["the end"]:
            got.append(stream.next()[2]["data"]["to"])
    assert got == [topic.format(id=ident) for topic in heard] + ["the end"]


def test_last_event_id_resumes_without_a_gap_and_goes_on_live(shared_system):
    topic = "agent.r" + uuid.uuid4().hex
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        seqs = [peer.publish(topic, {"n": n})["seq"] for n in range(50)]
        with Stream(shared_system, topic, last=seqs[9]) as stream:
            events = [stream.next() for _ in range(40)]
            assert [ident for _, ident, _ in events] == seqs[10:]
            assert [event["data"]["n"] for _, _, event in events] == list(range(10, 50))
            live = peer.publish(topic, {"n": 50})["seq"]
            assert stream.next()[1] == live


def test_a_stream_that_begins_in_the_middle_of_a_flood_misses_and_doubles_nothing(shared_system):
    topic = "agent.f" + uuid.uuid4().hex
    count = 3000
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        first = peer.publish(topic, {"n": 0})["seq"]
        thread = threading.Thread(target=lambda: [peer.publish(topic, {"n": n}) for n in range(1, count)])
        thread.start()
        with Stream(shared_system, topic, start=first) as stream:
            got = [stream.next()[2]["data"]["n"] for _ in range(count)]
        thread.join()
    assert got == list(range(count))


def test_a_client_that_does_not_read_is_late_and_not_short(shared_system):
    topic = "agent.s" + uuid.uuid4().hex
    fill = "x" * 20000
    count = 400  # 8 MB: more than the queue and the sockets hold
    with Peer(shared_system.ingress, shared_system.egress) as peer:
        first = peer.publish(topic, {"n": 0, "fill": fill})["seq"]
        with Stream(shared_system, topic, start=first) as stream:
            for n in range(1, count):
                peer.publish(topic, {"n": n, "fill": fill})
            got = [stream.next()[2]["data"]["n"] for _ in range(count)]
    assert got == list(range(count))


def test_live_messages_that_find_no_room_are_counted_and_the_client_is_told(shared_system):
    fill = "x" * 20000
    count = 2000  # 40 MB
    with Stream(shared_system, "flood.>") as stream:
        begin(shared_system, stream, "flood.begin")
        with Peer(shared_system.ingress, shared_system.egress) as peer:
            for n in range(count):
                peer.send("flood.x", {"n": n, "fill": fill})
                if n % 20 == 0:  # an ack now and then: the bus itself drops nothing
                    peer.publish("agent.pace", {})
        got, dropped = 0, 0
        while got + dropped < count:
            name, _, event = stream.next()
            if name == "dropped":
                assert event["reason"] == "slow" and event["count"] > 0
                dropped += event["count"]
            else:
                got += 1
        assert got + dropped == count and dropped > 0


@pytest.mark.parametrize("params,headers", [
    ({"topic": "a..b"}, {}), ({"topic": "$bus.>"}, {}), ({"topic": "_inbox.>"}, {}), ({"from": "-1"}, {}),
    ({}, {"Last-Event-ID": "abc"}), ({}, {"Last-Event-ID": "99999999999999999999"}),
])
def test_what_makes_no_stream_is_422(shared_system, params, headers):
    answer = requests.get(
        shared_system.url("console", "/events/stream"), params=params, headers=headers, timeout=10)
    assert answer.status_code == 422, answer.text


def test_a_place_beyond_the_journal_is_said_and_left(shared_system):
    topic = "agent.b" + uuid.uuid4().hex
    with Stream(shared_system, topic, last=10**9) as stream:
        assert stream.next()[::2] == ("dropped", {"reason": "ahead", "count": None})
        begin(shared_system, stream, topic)


def test_a_hundred_streams_are_served_and_one_more_is_told_so(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        streams = [Stream(system, "agent.>") for _ in range(100)]
        try:
            refused = requests.get(system.url("console", "/events/stream"), timeout=10)
            assert refused.status_code == 503 and refused.json()["error_code"] == "BUSY"
            seq = publish(system, "agent.all", {"n": 1})["seq"]
            assert all(stream.next()[1] == seq for stream in streams)
        finally:
            for stream in streams:
                stream.answer.close()

        def free():
            with requests.get(system.url("console", "/events/stream"), stream=True, timeout=10) as answer:
                return answer.status_code == 200

        # A closed client is noticed with the next thing that is said to it.
        eventually(lambda: publish(system, "agent.all", {"n": 2}) and free(), what="room again")


def test_streams_end_when_the_bridge_stops(bhiv, tmp_path):
    with System(bhiv, tmp_path / "d") as system:
        with Stream(system, ">") as stream:
            system.stop()
            assert [line for line in stream.lines if line.startswith(b"data")] == []


def test_a_stream_outlives_the_broker(bhiv, tmp_path):
    topic = "agent.o" + uuid.uuid4().hex
    with System(bhiv, tmp_path / "d") as system:
        with Stream(system, topic) as stream:
            begin(system, stream, topic)
            pid = system.kill("broker")
            system.restarted("broker", pid)
            said = eventually(lambda: try_publish(system, topic), what="the broker again")
            assert stream.next()[1] == said


def try_publish(system, topic):
    answer = requests.post(system.url("console", "/bus/publish"), json={"topic": topic, "data": {}}, timeout=10)
    return answer.json().get("seq") if answer.status_code == 200 else None

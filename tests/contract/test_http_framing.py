"""Requests that two parsers could read differently, and clients that take their time: raw sockets."""

import contextlib
import json
import re
import select
import socket
import time

import pytest
from support.system import System

HOST = b"Host: localhost\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\n" + HOST + b"\r\n"
BODY = json.dumps({"requester_id": "bhiv_core", "event_data": {"event_type": "framed"}}).encode()


def connect(system, port="bucket"):
    sock = socket.create_connection(("127.0.0.1", int(system.url(port).rsplit(":", 1)[1])), timeout=15)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock):
    """Everything until the server closes."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(65536):
            data += piece
    return data


def read_answer(sock, data=b""):
    """One answer with a Content-Length; the connection may stay open."""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        assert piece, data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    size = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
    while len(rest) < size:
        piece = sock.recv(65536)
        assert piece, data
        rest += piece
    return int(head.split()[1]), head, rest[:size]


def ask(system, request, port="bucket"):
    with connect(system, port) as sock:
        sock.sendall(request)
        return read_answer(sock)


def post(*lines, body=BODY):
    return b"POST /core/write-event HTTP/1.1\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


LENGTH = b"Content-Length: %d" % len(BODY)
MALFORMED = {
    "length and coding": post(b"Host: localhost", b"Content-Length: 3", b"Transfer-Encoding: chunked",
                              body=b"0\r\n\r\n" + SMUGGLED),
    "coding and length": post(b"Host: localhost", b"Transfer-Encoding: chunked", b"Content-Length: 3",
                              body=b"0\r\n\r\n" + SMUGGLED),
    "two lengths": post(b"Host: localhost", LENGTH, b"Content-Length: 0"),
    "the same length twice": post(b"Host: localhost", LENGTH, LENGTH),
    "two codings": post(b"Host: localhost", b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "an unknown coding": post(b"Host: localhost", b"Transfer-Encoding: gzip"),
    "a coding behind another": post(b"Host: localhost", b"Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "a coding in 1.0": b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: 127.0.0.1\r\n\r\n",
    "two origins": post(b"Host: localhost", LENGTH, b"Origin: http://localhost", b"Origin: http://a"),
    "two idempotency keys": post(b"Host: localhost", LENGTH, b"Idempotency-Key: 1", b"Idempotency-Key: 2"),
    "two requesters": post(b"Host: localhost", LENGTH, b"X-Requester-Id: a", b"X-Requester-Id: b"),
    "no host": b"GET /health HTTP/1.1\r\nX: y\r\n\r\n",
    "%00 in the path": b"GET /health%00b HTTP/1.1\r\n" + HOST + b"\r\n",
    "%00 in the query": b"GET /health?a=%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in the target": b"GET /health\0b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control byte in the target": b"GET /hea\x01lth HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\0b\r\n\r\n",
    "NUL at the end of a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\0\r\n\r\n",
    "NUL in a name": b"GET /health HTTP/1.1\r\n" + HOST + b"X\0Y: a\r\n\r\n",
    "a control byte in a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\x02b\r\n\r\n",
    "CR in a value": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\rb\r\n\r\n",
    "LF alone everywhere": b"GET /health HTTP/1.1\nHost: localhost\n\n",
    "LF alone behind the request line": b"GET /health HTTP/1.1\nHost: localhost\r\n\r\n",
    "LF alone behind a header": b"GET /health HTTP/1.1\r\nX: y\nHost: localhost\r\n\r\n",
    "LF alone behind the last header": b"GET /health HTTP/1.1\r\nHost: localhost\n\r\n",
    "LF alone at the end": b"GET /health HTTP/1.1\r\nHost: localhost\r\n\n",
    "a folded line": b"GET /health HTTP/1.1\r\n" + HOST + b"X: a\r\n b\r\n\r\n",
    "a blank before the colon": b"GET /health HTTP/1.1\r\n" + HOST + b"Content-Length : 0\r\n\r\n",
    "a blank in the target": b"GET /health b HTTP/1.1\r\n" + HOST + b"\r\n",
    "two blanks in the request line": b"GET  /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "a tab in the request line": b"GET\t/health HTTP/1.1\r\n" + HOST + b"\r\n",
    "no version": b"GET /health\r\n" + HOST + b"\r\n",
    "a version of its own": b"GET /health HTTP/9.9\r\n" + HOST + b"\r\n",
    "no name": b"GET /health HTTP/1.1\r\n" + HOST + b": y\r\n\r\n",
    "a plus in the length": post(b"Host: localhost", b"Content-Length: +5"),
    "hex as the length": post(b"Host: localhost", b"Content-Length: 0x5"),
    "a negative length": post(b"Host: localhost", b"Content-Length: -1"),
    "an empty length": post(b"Host: localhost", b"Content-Length:"),
    "a list as the length": post(b"Host: localhost", b"Content-Length: 5, 5"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_an_ambiguous_request_is_refused_and_nothing_behind_it_is_served(shared_system, name):
    with connect(shared_system) as sock:
        sock.sendall(MALFORMED[name] + SMUGGLED)
        answer = read_all(sock)
    # On a few of them libmicrohttpd itself closes without a word, or says its 400 twice.
    assert set(re.findall(rb"HTTP/1.1 (\d+) ", answer)) <= {b"400", b"505"}, answer


@pytest.mark.parametrize("name", ["length and coding", "two hosts", "LF alone everywhere", "NUL in a value"])
def test_a_refusal_has_the_shape_of_its_port(shared_system, name):
    for port in ("bucket", "karma"):
        with connect(shared_system, port) as sock:
            sock.sendall(MALFORMED[name])
            status, head, body = read_answer(sock)
        said = json.loads(body)
        assert status == 400 and b"Connection: close" in head and b"X-Trace-Id: " in head
        assert said["error_code"] == "MALFORMED_MESSAGE"
        assert (said["error"]["code"] == 400) if port == "karma" else (said["error"] == "MALFORMED_MESSAGE")


FINE = {
    "a plain one": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "1.0 without headers": (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
    "an empty header": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"X:\r\nY: \r\nZ: z\r\n\r\n", 200),
    "blanks around a value": (post(b"Host:   localhost", b"X: \ty \t", b"Content-Length: \t%d" % len(BODY)), 200),
    "cookies": (b"GET /healthz HTTP/1.1\r\n" + HOST + b"Cookie: a=b; c=d\r\nAccept: */*\r\n\r\n", 200),
    "a query": (b"GET /healthz?a=%20b&c HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "an absolute target": (b"GET http://a/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "an empty line first": (b"\r\nGET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200),
    "chunks": (post(b"Host: localhost", b"Transfer-Encoding: chunked",
                    body=b"%x\r\n%s\r\n%x;ext=1\r\n%s\r\n0\r\n\r\n" % (5, BODY[:5], len(BODY) - 5, BODY[5:])), 200),
    "a broken escape": (b"GET /core/events?agent_id=%zz HTTP/1.1\r\n" + HOST + b"\r\n", 422),
}


@pytest.mark.parametrize("name", FINE)
def test_a_legal_request_is_served(shared_system, name):
    request, expected = FINE[name]
    status, _, body = ask(shared_system, request)
    assert status == expected, body


def test_requests_in_a_row_are_answered_in_order_on_one_connection(shared_system):
    with connect(shared_system) as sock:
        sock.sendall(post(b"Host: localhost", LENGTH) + b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        data = b""
        while b'"service":"bucket"}' not in data:
            data += sock.recv(65536)
    assert data.index(b"Event received") < data.index(b'"status":"ok"')


def test_a_name_that_is_not_this_machines_is_refused_before_the_body_is_read(shared_system):
    with connect(shared_system) as sock:
        sock.sendall(post(b"Host: evil.example", b"Content-Length: 1000", body=b""))
        status, head, body = read_answer(sock)
    said = json.loads(body)
    assert status == 403 and b"Connection: close" in head
    assert said["error_code"] == "FORBIDDEN" and "localhost" in said["message"]


@pytest.mark.parametrize("host", [b"evil.example", b"evil.example:8001", b"localhost.evil.example", b"0.0.0.0", b""])
def test_reads_under_a_strange_name_are_refused_too(shared_system, host):
    assert ask(shared_system, b"GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n" % host)[0] == 403


@pytest.mark.parametrize("host", [b"localhost", b"LocalHost:1", b"127.0.0.1:80", b"127.1.2.3", b"[::1]:8001", b"[::1]"])
def test_every_name_of_loopback_is_taken(shared_system, host):
    assert ask(shared_system, b"GET /healthz HTTP/1.1\r\nHost: %s\r\n\r\n" % host)[0] == 200


# --- Sizes ---------------------------------------------------------------------------------------


def test_a_body_over_1_mib_is_refused_as_soon_as_its_length_says_so(shared_system):
    with connect(shared_system) as sock:
        sock.sendall(post(b"Host: localhost", b"Content-Length: 1048577", body=b""))
        status, _, body = read_answer(sock)
    assert status == 413 and json.loads(body)["error_code"] == "PAYLOAD_TOO_LARGE"


def test_a_body_of_unknown_length_is_refused_when_it_has_grown_too_large(shared_system):
    chunk = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with connect(shared_system) as sock:
        sock.sendall(post(b"Host: localhost", b"Transfer-Encoding: chunked", body=b""))
        for _ in range(17):
            sock.sendall(chunk)
        status, _, body = read_answer(sock)
    assert status == 413 and json.loads(body)["error_code"] == "PAYLOAD_TOO_LARGE"


def test_the_client_of_a_large_body_can_read_the_refusal(shared_system):
    with connect(shared_system) as sock:
        sock.sendall(post(b"Host: localhost", b"Content-Length: 4194304", body=b""))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(64):
                sock.sendall(b" " * 65536)  # all of it, before reading: a reset would lose the answer
        assert read_answer(sock)[0] == 413


def test_the_largest_body_is_taken_and_what_grows_beyond_it_is_413(shared_system):
    def event(size):
        head = b'{"requester_id":"bhiv_core","event_data":{"event_type":"large","fill":"'
        return head + b"x" * (size - len(head) - 3) + b'"}}'

    assert ask(shared_system, post(b"Host: localhost", b"Content-Length: 1048000", body=event(1048000)))[0] == 200
    floats = b'{"requester_id":"bhiv_core","event_data":{"event_type":"grows","a":[%s]}}' % b",".join([b"1.5"] * 200000)
    status, _, body = ask(shared_system, post(b"Host: localhost", b"Content-Length: %d" % len(floats), body=floats))
    assert status == 413 and json.loads(body)["error_code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize("lines", [[b"X: " + b"y" * 17000], [b"X%d: y" % i for i in range(101)]])
def test_headers_over_16_kib_or_100_lines_are_431(shared_system, lines):
    status, _, body = ask(shared_system, b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n".join(lines) + b"\r\n\r\n")
    assert status == 431 and json.loads(body)["error_code"] == "HEADERS_TOO_LARGE"


def test_15_kib_of_headers_are_fine(shared_system):
    lines = b"".join(b"X%d: %s\r\n" % (i, b"y" * 1000) for i in range(15))
    assert ask(shared_system, b"GET /healthz HTTP/1.1\r\n" + HOST + lines + b"\r\n")[0] == 200


# --- Time ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", name="hurried")
def fixture_hurried(bhiv, tmp_path_factory):
    """A system whose clients have one second to send a request."""
    with System(bhiv, tmp_path_factory.mktemp("t") / "d", env={"BHIV_REQUEST_TIMEOUT": "1s"}) as system:
        yield system


def drip(sock, data, every=0.05, longest=8.0):
    """Sends a byte at a time until the server has had enough; returns what it said and when."""
    start = time.monotonic()
    for byte in data:
        if select.select([sock], [], [], every)[0]:
            break
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.send(bytes([byte]))
        assert time.monotonic() - start < longest, "it never ended"
    return read_all(sock), time.monotonic() - start


@pytest.mark.parametrize("first,rest", [
    (b"", b"GET /" + b"a" * 500),
    (b"GET /healthz HTTP/1.1\r\nX: ", b"a" * 500),
    (post(b"Host: localhost", b"Content-Length: 1000", body=b""), b" " * 500),
    (post(b"Host: localhost", b"Transfer-Encoding: chunked", body=b"400\r\n"), b" " * 500),
    (b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n", b"GET /" + b"a" * 500),
], ids=["request line", "headers", "body", "chunk", "second request"])
def test_a_request_that_drips_is_cut_with_408(hurried, first, rest):
    with connect(hurried) as sock:
        sock.sendall(first)
        if first.endswith(HOST + b"\r\n"):
            assert read_answer(sock)[0] == 200
        answer, took = drip(sock, rest)
    assert answer.startswith(b"HTTP/1.1 408 "), answer
    assert 0.5 < took < 5
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error_code"] == "REQUEST_TIMEOUT"


def test_an_idle_connection_is_not_cut_by_that(hurried):
    with connect(hurried) as sock:
        assert not select.select([sock], [], [], 2)[0]
        sock.sendall(b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_answer(sock)[0] == 200


def test_many_slow_clients_hold_nobody_up(hurried):
    with contextlib.ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connect(hurried)).sendall(b"GET /hea")
        start = time.monotonic()
        assert ask(hurried, b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n")[0] == 200
        assert time.monotonic() - start < 1


def test_a_thousand_connections_are_served_the_next_waits_and_other_ports_do_not(hurried):
    ping = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(connect(hurried)) for _ in range(1000)]
        for sock in held:
            sock.sendall(ping)
        assert {read_answer(sock)[0] for sock in held} == {200}
        late = stack.enter_context(connect(hurried))
        late.sendall(ping)
        assert ask(hurried, ping, port="karma")[0] == 200
        assert not select.select([late], [], [], 0.2)[0]
        held[0].close()
        assert read_answer(late)[0] == 200

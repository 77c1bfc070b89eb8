"""Rows 22, 24 and 25 over HTTP: malformed requests in numbers, slow clients in crowds; others unaffected.

Shortened unless --long: then 10,000 malformed requests, and 500 slow clients of each kind.
"""

import random
import select
import socket
import time

import requests
from support.system import System, eventually

GOOD = (b"POST /core/write-event HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s")
BODY = b'{"requester_id":"bhiv_core","event_data":{"event_type":"note","n":[1,2.5,"x"],"o":{"a":null}}}'
NASTY = [b"\0", b"\n", b"\r", b"\r\n", b"\xff", b"%00", b"{", b"[" * 40, b'"', b"\\ud800", b"1e999",
         b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: b\r\n", b"-", b"9" * 30]


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS")) * 1024


def broken(dice):
    """A request that was right before a few of its bytes were changed."""
    data = bytearray(GOOD % (len(BODY), BODY))
    for _ in range(dice.randrange(1, 5)):
        at = dice.randrange(len(data))
        kind = dice.randrange(3)
        if kind == 0:
            data[at] = dice.randrange(256)
        elif kind == 1:
            del data[at:at + dice.randrange(1, 20)]
        else:
            data[at:at] = dice.choice(NASTY)
        if not data:
            data += b"\r\n"
    return bytes(data)


def statuses(address, requests_, wait=0.4):
    """Sends each on a connection of its own; the first status of each answer that comes in time.

    What is cut short gets none: the server rightly waits for the rest.
    """
    waiting, found = {}, []
    for data in requests_:
        sock = socket.create_connection(address)
        sock.sendall(data)
        waiting[sock.fileno()] = sock
    socks, end = list(waiting.values()), time.monotonic() + wait
    while waiting and (left := end - time.monotonic()) > 0:
        for sock in select.select(list(waiting.values()), [], [], left)[0]:
            del waiting[sock.fileno()]
            try:
                line = sock.recv(4096)[:12]
            except ConnectionError:
                continue
            if line.startswith(b"HTTP/1.1 "):
                found.append(int(line[9:12]))
    for sock in socks:
        sock.close()
    return found


def write(system):
    answer = requests.post(system.url("bucket", "/core/write-event"), timeout=5, json={
        "requester_id": "bhiv_core", "event_data": {"event_type": "after"}})
    return answer.status_code == 200


def test_malformed_requests_in_numbers_are_refused_and_harm_nobody(system, long):
    seed = random.randrange(1 << 30)
    print("seed", seed)
    dice = random.Random(seed)
    address = ("127.0.0.1", system.base + 1)
    assert write(system)
    pid, before = system.pid("bridge"), resident(system.pid("bridge"))
    seen = {}
    for _ in range(200 if long else 30):
        for status in statuses(address, [broken(dice) for _ in range(50)]):
            seen[status] = seen.get(status, 0) + 1
    print(seen)
    # 505 is right: a changed byte can ask for another version of HTTP.
    assert not [status for status in seen if status >= 500 and status != 505], seen
    assert seen.get(400, 0) > 100 and seen.get(422, 0) > 10, seen
    assert system.pid("bridge") == pid, "the bridge died"
    assert resident(pid) - before < 64 << 20
    assert write(system)
    counted = requests.get(system.url("bucket", "/metrics"), timeout=5).text
    assert 'status="400"' in counted and 'status="422"' in counted


def crowd(address, count, first):
    socks = []
    for _ in range(count):
        sock = socket.create_connection(address)
        sock.sendall(first)
        socks.append(sock)
    return socks


def test_slow_clients_in_crowds_are_cut_and_delay_nobody(bhiv, tmp_path, long):
    count = 500 if long else 120
    env = {"BHIV_REQUEST_TIMEOUT": "2s"}
    with System(bhiv, tmp_path / "d", env=env) as system:
        address = ("127.0.0.1", system.base + 1)
        assert write(system)
        heads = crowd(address, count, b"GET /health HTTP/1.1\r\nHost: local")
        bodies = crowd(address, count, b"POST /core/write-event HTTP/1.1\r\nHost: localhost\r\n"
                                       b"Content-Length: 5000\r\n\r\n{")
        start, slowest = time.monotonic(), 0.0
        open_ = {sock.fileno(): sock for sock in heads + bodies}
        while open_ and time.monotonic() - start < 15:
            asked = time.monotonic()
            assert write(system), "another client is served"
            slowest = max(slowest, time.monotonic() - asked)
            ready, _, _ = select.select(list(open_.values()), [], [], 0.05)
            for sock in ready:
                try:
                    piece = sock.recv(65536)
                except ConnectionError:
                    piece = b""
                if not piece:
                    del open_[sock.fileno()]
                    sock.close()
            for sock in list(open_.values())[:20]:
                try:
                    sock.send(b"x")  # a byte now and then does not buy more time
                except (ConnectionError, BrokenPipeError):
                    pass
        assert not open_, f"{len(open_)} slow clients were not cut"
        assert slowest < 1, slowest


def test_clients_that_never_read_their_answers_delay_nobody(system, long):
    count = 500 if long else 100
    for n in range(400):
        assert requests.post(system.url("bucket", "/core/write-event"), timeout=5, json={
            "requester_id": "bhiv_core",
            "event_data": {"event_type": "large", "n": n, "d": "x" * 2000}}).status_code == 200
    address = ("127.0.0.1", system.base + 1)
    pid = system.pid("bridge")
    socks = crowd(address, count, b"GET /core/events?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    try:
        for _ in range(50):
            asked = time.monotonic()
            assert write(system)
            assert time.monotonic() - asked < 2
        assert resident(pid) < 600 << 20
    finally:
        for sock in socks:
            sock.close()
    eventually(lambda: write(system), 10)
    assert system.pid("bridge") == pid

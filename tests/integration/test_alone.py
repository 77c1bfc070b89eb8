"""Parts in any order, and each without the others: who is there works, who is not is said."""

import itertools
import pathlib
import signal
import time

import pytest
import requests
from support.system import Program, eventually, free_port_base

PARTS = ("broker", "bucket", "karma", "bridge")


class Parts:
    """The parts as processes of their own, in one folder, as containers run them."""

    def __init__(self, bhiv, folder):
        self.bhiv, self.folder, self.running = bhiv, pathlib.Path(folder), {}
        self.base = free_port_base()
        self.args = {"broker": ["--bus-in", "0", "--bus-out", "0"], "bridge": [
            word for offset, name in enumerate(("karma", "bucket", "core", "workflow"))
            for word in (f"--{name}-port", str(self.base + offset))] + ["--console-port", "0"]}

    def start(self, name):
        self.running[name] = Program(
            [self.bhiv, name, "--dir", str(self.folder), *self.args.get(name, [])],
            log=self.folder.parent / f"{name}.log")

    def url(self, name, path):
        return f"http://127.0.0.1:{self.base + ('karma', 'bucket').index(name)}{path}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for program in self.running.values():
            program.kill()


@pytest.fixture(name="parts")
def fixture_parts(bhiv, tmp_path):
    with Parts(bhiv, tmp_path / "d") as parts:
        yield parts


def write(parts, user):
    event = {"event_type": "agent_result", "agent_id": "a", "user_id": user, "result": {"status": 200}}
    return requests.post(parts.url("bucket", "/core/write-event"), timeout=10,
                         json={"requester_id": "bhiv_core", "event_data": event})


# The broker in each place, and the services both ways round.
@pytest.mark.parametrize("order", [order for order in itertools.permutations(PARTS)
                                   if order.index("bridge") in (0, 3)],
                         ids="-".join)
def test_the_order_of_starting_does_not_matter(parts, order):
    for name in order:
        parts.start(name)
    eventually(lambda: write(parts, "ordered").status_code == 200, what="a durable event")
    profile = eventually(
        lambda: (got := requests.get(parts.url("karma", "/api/v1/karma/ordered"), timeout=10)).ok and got,
        what="karma of it").json()
    assert profile["action_stats"]["total_actions"] >= 1


@pytest.mark.parametrize("name", PARTS)
def test_a_part_runs_without_the_others_and_ends_when_asked(parts, name):
    parts.start(name)
    assert parts.running.pop(name).stop() == 0


@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGKILL])
def test_health_answers_within_100_ms_whatever_is_down(parts, number):
    for name in PARTS:
        parts.start(name)
    eventually(lambda: write(parts, "healthy").status_code == 200, what="a durable event")
    for name in ("karma", "bucket", "broker"):
        parts.running[name].signal(number)
        times = []
        for _ in range(9):
            start = time.monotonic()
            for port in ("karma", "bucket"):
                assert requests.get(parts.url(port, "/health"), timeout=10).status_code == 200
            times.append((time.monotonic() - start) / 2)
        assert sorted(times)[len(times) // 2] < 0.1, f"without {name}: {times}"

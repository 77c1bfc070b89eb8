"""What the fault tests share: the preloaded library, and programs that run under it."""

import os
import pathlib
import signal
import subprocess

import pytest
from support.faults import Faults


@pytest.fixture(scope="session")
def long(request):
    """Whether the tests run in their full length."""
    return request.config.getoption("--long")


@pytest.fixture(autouse=True)
def deadline(long):
    """No test of a fault may hang itself."""

    def late(number, frame):
        raise AssertionError("the test took too long")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(7200 if long else 120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def shim(bhiv, tmp_path_factory):
    """The library that is built beside the program under test, else one that is built now."""
    beside = pathlib.Path(bhiv).resolve().parent / "tests/fault/shim/libfault_shim.so"
    path = pathlib.Path(os.environ.get("FAULT_SHIM", beside))
    if path.exists():
        return path
    source = pathlib.Path(__file__).parent / "shim/fault_shim.c"
    path = tmp_path_factory.mktemp("shim") / "libfault_shim.so"
    subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O2", "-shared", "-fPIC", str(source),
                    "-o", str(path), "-lpthread"], check=True)
    return path


@pytest.fixture
def faults(shim, tmp_path):
    """Makes the faults of a folder below the system's: `faults ("broker")`."""
    made = []

    def make(folder, **more):
        made.append(Faults(shim, tmp_path / f"faults{len(made)}", tmp_path / "d" / folder, **more))
        return made[-1]

    yield make
    for each in made:
        each.clear()  # nobody is left waiting for a flush

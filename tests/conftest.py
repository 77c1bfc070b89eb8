"""Shared fixtures of the Python tests. BHIV names the program under test."""

import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading

import pytest

# What the fault tests kill on purpose leaves no core behind.
resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support import sanitizers  # noqa: E402
from support.system import System  # noqa: E402

REPORTS = os.environ.get("BHIV_SANITIZER_LOGS")
if REPORTS and "PYTEST_XDIST_WORKER" in os.environ:  # each worker reads of its own processes
    REPORTS = os.path.join(REPORTS, os.environ["PYTEST_XDIST_WORKER"])


def pytest_addoption(parser):
    parser.addoption("--docker", action="store_true", help="run the tests that need a Docker engine")
    parser.addoption("--long", action="store_true", help="run the fault tests in their full length")


def pytest_configure():
    if REPORTS:
        pathlib.Path(REPORTS).mkdir(parents=True, exist_ok=True)
        os.environ.update(sanitizers.environment(REPORTS))


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_teardown():
    """After every fixture that ends here: a process may say something when it ends."""
    outcome = yield
    outcome.get_result()
    said = sanitizers.take_reports(REPORTS) if REPORTS else ""
    if said:
        pytest.fail(f"a sanitizer says:\n{said[:8000]}", pytrace=False)


def children():
    """The processes that this one started and that are there: pid, and what each is and waits for."""
    there = subprocess.run(["ps", "-o", "pid,stat,etimes,wchan:20,args", "--cols", "200", "--no-headers",
                            "--ppid", str(os.getpid())],
                           capture_output=True, text=True, check=False, timeout=10).stdout
    return {int(line.split()[0]): line for line in there.splitlines() if "ps -o pid" not in line}


def end_children():
    """Of a test that waits for them although its time is over: on its way out, it may."""
    for pid, line in children().items():
        print("killed:", line, file=sys.stderr)
        os.kill(pid, signal.SIGKILL)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    limit = float(item.config.getvalue("timeout") or item.config.getini("timeout") or 0)
    late = threading.Timer(limit + 5, end_children)
    late.daemon = True
    if limit > 0:
        late.start()
    yield
    late.cancel()


def pytest_ignore_collect(collection_path, config):
    """The tests of docker/ are asked for by name, so that they are never silently skipped."""
    if "docker" in collection_path.parts and not config.getoption("--docker"):
        return True
    return None


def program():
    """The bhiv to test: $BHIV, else the newest of the usual build folders."""
    if "BHIV" in os.environ:
        return str(pathlib.Path(os.environ["BHIV"]).resolve())  # some tests run it elsewhere
    built = [ROOT / "build" / name / "bhiv" for name in ("release", "dev", "asan")]
    built = [path for path in built if path.exists()]
    if not built:
        pytest.exit("no bhiv is built: run scripts/test, or set BHIV", 2)
    return str(max(built, key=lambda path: path.stat().st_mtime))


@pytest.fixture(scope="session")
def bhiv():
    return program()


@pytest.fixture
def system(bhiv, tmp_path):
    """A whole running system, fresh, stopped after the test."""
    with System(bhiv, tmp_path / "d") as running:
        yield running


@pytest.fixture(scope="module")
def shared_system(bhiv, tmp_path_factory):
    """The same for a module whose tests do not disturb each other."""
    with System(bhiv, tmp_path_factory.mktemp("s") / "d") as running:
        yield running

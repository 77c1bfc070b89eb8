"""What sanitizers say of any process under test, however deep, fails the test that it ran in.

A report on stderr of a child of a child would be lost in a log: here each process writes its own to
a folder of its own, named by $BHIV_SANITIZER_LOGS, in which nothing else lies.
"""

import os
import pathlib

SUPPRESSIONS = pathlib.Path(__file__).resolve().parent / "tsan.supp"


def environment(folder):
    """For programs that are built with sanitizers; others do not look at it."""
    log = f"log_path={folder}/report"
    return {
        "ASAN_OPTIONS": f"{log}:detect_stack_use_after_return=1",
        "UBSAN_OPTIONS": f"{log}:print_stacktrace=1",
        "TSAN_OPTIONS": f"{log}:suppressions={SUPPRESSIONS}:history_size=4:atexit_sleep_ms=100",
    }


def more(name, option):
    """The variable `name` with one option more, for a test that needs it."""
    return {name: ":".join(filter(None, [os.environ.get(name), option]))}


def take_reports(folder):
    """What was said since the last call; the files are gone afterwards."""
    said = []
    for path in sorted(pathlib.Path(folder).iterdir()):
        said.append(path.read_text(errors="replace"))
        path.unlink()
    return "\n".join(said)

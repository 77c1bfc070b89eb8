"""What the tests of the autonomous loops share: a slow file, tasks that are waited for, drills."""

import json
import os
import pathlib
import subprocess
import threading

from .system import eventually


# Settings of a drill whose instance is quick to start on a busy machine too: few parts.
QUICK = "BHIV_ONLY=broker,core\n"


class SlowFile:
    """A file that takes `delay` seconds to be read: what a setting that names slow storage is like.

    A FIFO. Whoever opens it gets one of its own, so that two readers never share an answer.
    """

    def __init__(self, path, text='{"agents": []}', delay=0.0):
        self.path, self.text, self.delay = pathlib.Path(path), text.encode(), delay
        self.read = 0  # times
        self.halt = threading.Event()
        os.mkfifo(self.path)
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        while True:
            with open(self.path, "wb", buffering=0) as reader:  # waits for somebody to open it
                if self.halt.is_set():
                    return
                fresh = self.path.with_suffix(".next")
                os.mkfifo(fresh)
                os.rename(fresh, self.path)
                threading.Thread(target=self._answer, args=(os.dup(reader.fileno()),), daemon=True).start()

    def _answer(self, fd):
        try:
            self.halt.wait(self.delay)
            os.write(fd, self.text)
            self.read += 1
        except BrokenPipeError:
            pass  # whoever read it is gone
        finally:
            os.close(fd)

    def close(self):
        self.halt.set()
        with open(self.path, "rb", buffering=0, opener=lambda path, flags: os.open(path, flags | os.O_NONBLOCK)):
            self.thread.join(10)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


def hand_in(peer, task_id, task_type, context=None, handler="self_healing", **fields):
    """Puts a task into the queue, in a trace of its own: trace-<task_id>."""
    header, body = peer.ask("task.enqueue", {"task_id": task_id, "task_type": task_type, "handler": handler,
                                             "context": context or {}, **fields},
                            ack=False, trace_id=f"trace-{task_id}")
    assert header["status"] == "success", body


def done(peer, task_id, timeout=60):
    """Waits for the queue's last word on the task."""
    def over():
        return next((body for _, _, body in peer.fetch_all(["task.done"]) if body["task_id"] == task_id), None)
    return eventually(over, timeout, 0.05, f"{task_id} over")


def heal(peer, task_id, task_type, context=None, **fields):
    """A task from its beginning to its end; returns its result."""
    hand_in(peer, task_id, task_type, context, **fields)
    word = done(peer, task_id)
    assert word["status"] == "completed", word
    return word["result"]


def boot_drill(system, *args, trace=None, timeout=120, folder=None):
    """`bhiv stress boot` about this system, or about a `folder` without one; its result."""
    argv = [system.bhiv, "stress", "boot", "--dir", str(folder or system.folder), "--logs", str(system.folder / "logs"),
            "--no-failures", "--format", "json", *args]
    if trace:
        argv += ["--trace", trace]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=timeout, check=False)
    assert ran.returncode in (0, 1), ran.stderr
    return json.loads(ran.stdout)


def calm(system):
    """Waits for a machine on which boots are quick, by drills that no bus is told of: nobody learns from them."""
    aside = system.folder.parent / "aside"
    aside.mkdir(exist_ok=True)
    conf = system.folder / "drill.conf"
    (aside / "drill.conf").write_text(conf.read_text() if conf.exists() else "")

    def is_calm():
        return boot_drill(system, "--cycles", "2", folder=aside)["summary"]["avg_boot_time"] <= 200

    eventually(is_calm, 240, 0.5, "boots within 200 ms: the machine is too busy for this test")


def good_drill(system, peer):
    """A good drill, whose settings self_healing has kept: on a busy machine it may take several."""
    def is_good():
        return boot_drill(system, "--cycles", "1")["summary"]["avg_boot_time"] <= 300

    calm(system)
    eventually(is_good, 240, 0.5, "a boot within 300 ms: the machine is too busy for this test")
    conf = system.folder / "drill.conf"
    text = conf.read_text() if conf.exists() else ""
    eventually(lambda: (system.folder / "drill.conf.good").exists() and
               (system.folder / "drill.conf.good").read_text() == text, 10, what="the good settings kept")
    return peer.ask("req.kernel-self_healing.report", {})[1]["drills"]["boot"]


def children_of(pid):
    """All processes below this one."""
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = path.read_text().split()
        except OSError:
            continue  # it has just ended
        for child in children:
            found += [int(child), *children_of(int(child))]
    return found

"""Real processes under test: started, ready by their own word, stopped by their own process id.

Nothing here sleeps for an event that can be waited for: readiness is a line on a pipe, an end is a
pidfd, the rest is `eventually`, which asks again until a deadline.
"""

import os
import pathlib
import random
import select
import signal
import socket
import subprocess
import time

START_S = float(os.environ.get("BHIV_TEST_START_S", "30"))
ROOT_EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "scripts" / "examples"


def eventually(ask, timeout=20.0, every=0.02, what="the condition"):
    """Asks until the answer is true, and returns it. Fails with the last answer."""
    end = time.monotonic() + timeout
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come about in {timeout} s; last: {answer!r}")
        time.sleep(every)


# Each worker of pytest-xdist has ports of its own: between looking and binding there is a moment.
WORKER, WORKERS = (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]),
                   int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


# Below those that the kernel gives to whoever connects, which may be taken in that moment; and beside
# those of `bhiv stress`, which has the multiples of 100.
FIRST_OF_KERNEL = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
LAST_BASE = FIRST_OF_KERNEL - 100 if FIRST_OF_KERNEL > 22000 else 60000


def free_port_base():
    """A base N with all of N..N+3, N+50, N+51 and N+80 free on loopback."""
    for _ in range(200):
        base = random.randrange(20000 + 100 * WORKER, LAST_BASE, 100 * WORKERS) + random.choice((5, 10, 15))
        held = []
        try:
            for offset in (0, 1, 2, 3, 50, 51, 80):
                sock = socket.socket()
                held.append(sock)
                sock.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for sock in held:
                sock.close()
    raise AssertionError("no free ports")


class Program:
    """One program: started, waited for, killed, reaped."""

    def __init__(self, argv, env=None, log=None, ready=True, timeout=START_S):
        self.log = open(log, "ab") if log else None
        self.process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self.log,
            env={**os.environ, **(env or {})},
        )
        self.pid = self.process.pid
        self.line = None
        if ready:
            try:
                self.line = self.read_line(timeout)
                assert self.line.startswith("ready"), f"{argv}: said {self.line!r}, not ready"
            except AssertionError:
                self.kill()
                raise

    def read_line(self, timeout):
        end = time.monotonic() + timeout
        data = b""
        fd = self.process.stdout.fileno()
        while not data.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise AssertionError(f"no line in {timeout} s; so far {data!r}")
            piece = os.read(fd, 4096)
            if not piece:
                break
            data += piece
        return data.decode().strip()

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.close()

    def stop(self, timeout=15):
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("did not stop on SIGTERM") from None
        self.close()
        return status

    def close(self):
        if self.process.stdout:
            self.process.stdout.close()
        if self.log:
            self.log.close()
            self.log = None


class System:
    """`bhiv up` in a folder of its own, on free ports."""

    def __init__(self, bhiv, folder, args=("--dev",), env=None):
        self.bhiv = bhiv
        self.folder = pathlib.Path(folder)
        self.args = list(args)
        self.env = dict(env or {})
        self.base = free_port_base()
        self.up = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        if exc[0] is not None and self.log_path.exists():
            print(self.log_path.read_text(errors="replace")[-4000:])
        if self.up is not None:
            self.stop()

    @property
    def log_path(self):
        return self.folder.parent / (self.folder.name + ".log")

    def start(self):
        argv = [self.bhiv, "up", "--dir", str(self.folder), "--port-base", str(self.base), *self.args]
        self.up = Program(argv, env=self.env, log=self.log_path)
        return self

    def stop(self):
        up, self.up = self.up, None
        return up.stop()

    def pid(self, name):
        return int((self.folder / "run" / f"{name}.pid").read_text())

    def names(self):
        return sorted(path.stem for path in (self.folder / "run").glob("*.pid"))

    def kill(self, name, number=signal.SIGKILL):
        """Signals one part and waits, by its pidfd, until it has ended (for SIGKILL)."""
        pid = self.pid(name)
        fd = os.pidfd_open(pid)
        try:
            os.kill(pid, number)
            if number == signal.SIGKILL:
                assert select.select([fd], [], [], 10)[0], f"{name} survived SIGKILL"
        finally:
            os.close(fd)
        return pid

    def restarted(self, name, pid, timeout=15):
        """Waits until another process than `pid` is this part, and returns its pid."""

        def other():
            try:
                now = self.pid(name)
                return now if now != pid else 0
            except (FileNotFoundError, ValueError):
                return 0  # between the end of one and the start of the next

        return eventually(other, timeout, what=f"{name} restarted")

    def kill_all(self):
        """SIGKILL of everything at once, `bhiv up` first."""
        pids = [self.up.pid] + [self.pid(name) for name in self.names()]
        fds = []
        for pid in pids:
            try:
                fds.append(os.pidfd_open(pid))
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.up.kill()
        for fd in fds:
            assert select.select([fd], [], [], 10)[0]
            os.close(fd)
        self.up = None

    def url(self, name, path=""):
        offset = {"karma": 0, "bucket": 1, "core": 2, "workflow": 3, "console": 80}[name]
        return f"http://127.0.0.1:{self.base + offset}{path}"

    @property
    def ingress(self):
        return f"tcp://127.0.0.1:{self.base + 50}"

    @property
    def egress(self):
        return f"tcp://127.0.0.1:{self.base + 51}"

    @property
    def owner_token(self):
        return (self.folder / "owner.token").read_text().strip()

    def run(self, *args, stdin=None, timeout=30):
        """Runs `bhiv ARGS --dir …` and returns the completed process."""
        argv = [self.bhiv, args[0], "--dir", str(self.folder), *args[1:]]
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
        )


def memory(pid):
    """Bytes of the process's own memory: not the files that it maps."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no memory of {pid}")


def descriptors(pid):
    """How many descriptors the process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))

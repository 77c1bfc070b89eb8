"""docker-compose.yml, for real: a project of it on free ports, and peers in containers beside it."""

import json
import os
import pathlib
import subprocess
import threading
import uuid

import requests
from support.system import eventually, free_port_base

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KERNELS = tuple(f"kernel-{name}" for name in ("infrastructure", "governance", "memory", "librarian", "verification",
                                              "self_healing", "code"))
PARTS = ("broker", "bucket", "karma", "workflow", "core", "htm", "brain", *KERNELS, "bridge")
# What each speaks as; the broker's own certificate is the broker's.
NAMES = {"broker": "broker", "bucket": "bhiv_bucket", "karma": "bhiv_karma", "workflow": "workflow_executor",
         "core": "bhiv_core", "bridge": "bhiv_bridge", **{part: part for part in ("htm", "brain", *KERNELS)}}
UP_S = 120


def low_port_base():
    """Below the ports that the kernel gives to whoever connects: nobody takes one while containers are made."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    return eventually(lambda: next((base for base in (free_port_base(),) if base + 100 < first), None), what="low ports")


def docker(*args, check=True, timeout=60, **options):
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=timeout, check=False, **options)
    assert done.returncode == 0 or not check, (args, done.stdout, done.stderr)
    return done


def command():
    return ["docker", "compose"] if docker("compose", "version", check=False).returncode == 0 else ["docker-compose"]


class Compose:
    """One project. `file`: another than the one that is shipped."""

    def __init__(self, image, file="docker-compose.yml", project=None, ports=None):
        self.project = project or "bhivtest" + uuid.uuid4().hex[:8]
        self.image = image
        base = 0 if ports else low_port_base()
        self.ports = ports or {"karma": base, "bucket": base + 1, "core": base + 2, "workflow": base + 3, "console": base + 80}
        self.token = None
        self.env = {**os.environ, "BHIV_IMAGE": image,
                    **{f"BHIV_{name.upper()}_PORT": str(port) for name, port in self.ports.items()}}
        self.command = [*command(), "-f", str(ROOT / file), "-p", self.project]
        self.ids = {}

    def tool(self, *args, timeout=300, **options):
        return subprocess.run([*self.command, *args], cwd=ROOT, env=self.env, capture_output=True, text=True,
                              timeout=timeout, check=False, **options)

    def run(self, *args, timeout=300):
        done = self.tool(*args, timeout=timeout)
        assert done.returncode == 0, f"{args}: {done.stdout[-3000:]} {done.stderr[-3000:]}"
        return done.stdout

    def up(self, *services):
        """Up, and every part healthy."""
        self.run("up", "-d", *services, timeout=900)
        self.ids = {}
        for part in services or PARTS:
            eventually(lambda part=part: self.inspect(part, "{{.State.Health.Status}}") == "healthy", UP_S, 0.5,
                       f"{part} healthy")

    def end(self):
        """Down, volumes too, where an engine keeps a network whose containers were killed as well."""
        done = self.tool("down", "-v", "--timeout", "5")
        if done.returncode != 0:
            print(done.stderr[-1000:])
            volumes = docker("volume", "ls", "-q", "--filter", f"name={self.project}_").stdout.split()
            docker("volume", "rm", "-f", *volumes, check=False)

    def container(self, part):
        if part not in self.ids:
            self.ids[part] = self.run("ps", "-q", part).strip()
        return self.ids[part]

    def inspect(self, part, form="{{json .}}"):
        return docker("inspect", "-f", form, self.container(part)).stdout.strip()

    def exec(self, part, *args, check=True):
        return docker("exec", self.container(part), *args, check=check)

    def works(self, part):
        """Whether its health check would say so now."""
        test = json.loads(self.inspect(part, "{{json .Config.Healthcheck.Test}}"))
        return self.exec(part, *test[1:], check=False).returncode == 0

    def owner(self, *args):
        """A tool in the owner's container, which has his certificate."""
        return self.tool("run", "--rm", "-T", "owner", *args, timeout=60)

    def make_token(self, *args):
        made = self.owner("token", "create", *args)
        assert made.returncode == 0, made.stderr
        token = made.stdout.split()[-1]
        eventually(lambda: self.ask("GET", "bucket", "/core/stats", token=token).status_code != 401, what="the token is known")
        return token

    def url(self, name, path):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def ask(self, method, name, path, token="own", **options):
        token = self.token if token == "own" else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return requests.request(method, self.url(name, path), headers=headers, timeout=10, **options)

    def volume(self, name, *args):
        """Runs a program in a container that sees a volume of the project as /volume."""
        return docker("run", "--rm", "-v", f"{self.project}_{name}:/volume:ro", "--entrypoint", args[0], self.image,
                      *args[1:]).stdout

    def events(self, agent):
        """The stored events of an agent: {id: seq}."""
        found, after = {}, 0
        while True:
            page = self.ask("GET", "bucket", "/core/events",
                            params={"after_seq": after, "limit": 1000, "agent_id": agent}).json()
            for event in page["events"]:
                assert event["event_id"] not in found, "stored twice"
                found[event["event_id"]] = event["seq"]
            if page["showing"] == 0:
                return found
            after = page["next"]

    def audited(self):
        """Every entry of the audit log."""
        found, after = [], -1
        while True:
            page = self.ask("GET", "bucket", "/bucket/audit/log", params={"limit": 1000, "after": after}).json()
            found += page["entries"]
            if page["count"] == 0:
                return found
            after = page["next"]


class Outsider:
    """A peer in a container of its own on the project's network, with a folder of its own for its certificate."""

    def __init__(self, compose, folder):
        self.compose, self.folder = compose, pathlib.Path(folder)
        self.folder.mkdir(exist_ok=True)

    def take(self, name):
        """The two files, as the compose file says that a peer gets them."""
        for leaf in (f"{name}.cert_secret", "broker.cert"):
            done = self.compose.tool("run", "--rm", "-T", "--entrypoint", "cat", "owner", f"certs/{leaf}")
            assert done.returncode == 0, done.stderr
            (self.folder / leaf).touch(0o600)
            (self.folder / leaf).write_text(done.stdout)
        return self

    def argv(self, cert, *args):
        said = ["-e", f"BHIV_CERT=/keys/{cert}.cert_secret"] if cert else []
        return ["docker", "run", "--rm", "-i", "--network", f"{self.compose.project}_default", "--user", str(os.getuid()),
                "--cap-drop", "ALL", "-e", "BHIV_INGRESS=tcp://broker:5550", "-e", "BHIV_EGRESS=tcp://broker:5551", *said,
                "-e", "BHIV_DIR=/tmp", "-v", f"{self.folder}:/keys:ro", self.compose.image, *args]

    def run(self, cert, *args):
        return subprocess.run(self.argv(cert, *args), capture_output=True, text=True, timeout=60, check=False,
                              stdin=subprocess.DEVNULL)


class Publisher(threading.Thread):
    """Publishes one after the other, each when the one before was acknowledged; survives whatever dies."""

    def __init__(self, outsider, cert, topic):
        super().__init__(daemon=True)
        argv = outsider.argv(cert, "pub", topic, "-", "--ack", "--timeout", "60s")
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.acked = {}  # id -> seq
        self.said = 0
        self.status, self.error = None, ""
        self.halt = threading.Event()

    def run(self):
        while not self.halt.is_set():
            self.said += 1
            self.process.stdin.write(json.dumps({"n": self.said}) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
            if not line:
                break
            ack = json.loads(line)
            self.acked[ack["id"]] = ack["seq"]
        self.process.stdin.close()
        self.error = self.process.stderr.read()
        self.status = self.process.wait(60)

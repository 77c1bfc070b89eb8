"""docker compose, for real: build, up, curl, kill containers under load, nothing lost, down.

Runs only with --docker (scripts/test --docker): it needs an engine and a compose command.
"""

import json
import os
import pathlib
import shutil
import subprocess
import uuid

import pytest
import requests
from support.load import Writer
from support.system import eventually, free_port_base

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
KERNELS = tuple(f"kernel-{name}" for name in ("infrastructure", "governance", "memory", "librarian", "verification",
                                              "self_healing", "code"))
PARTS = ("broker", "bucket", "karma", "workflow", "core", "htm", "brain", *KERNELS, "bridge")


class Compose:
    def __init__(self):
        self.project = "bhivtest" + uuid.uuid4().hex[:8]
        self.token = None
        base = free_port_base()
        self.ports = {"karma": base, "bucket": base + 1, "core": base + 2, "workflow": base + 3,
                      "console": base + 80}
        self.env = {**os.environ, **{f"BHIV_{name.upper()}_PORT": str(port)
                                     for name, port in self.ports.items()}}
        have_v2 = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        self.command = ["docker", "compose"] if have_v2.returncode == 0 else ["docker-compose"]

    def run(self, *args, timeout=900):
        done = subprocess.run([*self.command, "-p", self.project, *args], cwd=ROOT, env=self.env,
                              capture_output=True, text=True, timeout=timeout, check=False)
        assert done.returncode == 0, f"{args}: {done.stdout[-3000:]} {done.stderr[-3000:]}"
        return done.stdout

    def container(self, part):
        return self.run("ps", "-q", part).strip()

    def inspect(self, part, form):
        return subprocess.run(["docker", "inspect", "-f", form, self.container(part)],
                              capture_output=True, text=True, check=True).stdout.strip()

    def url(self, name, path):
        return f"http://127.0.0.1:{self.ports[name]}{path}"

    def owner(self, *args, cert=None):
        """A tool in the owner's container, which has his certificate."""
        said = ["-e", f"BHIV_CERT={cert}"] if cert is not None else []
        return subprocess.run([*self.command, "-p", self.project, "run", "--rm", "-T", *said, "owner", *args], cwd=ROOT,
                              env=self.env, capture_output=True, text=True, timeout=60, check=False)

    def ask(self, method, name, path, **options):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        return requests.request(method, self.url(name, path), headers=headers, timeout=10, **options)


@pytest.fixture(scope="module", name="compose")
def fixture_compose():
    if shutil.which("docker") is None:
        pytest.fail("--docker was asked for and there is no docker")
    compose = Compose()
    try:
        compose.run("up", "--build", "-d")
        for part in PARTS:
            eventually(lambda part=part: compose.inspect(part, "{{.State.Health.Status}}") == "healthy",
                       90, 0.5, f"{part} healthy")
        made = compose.owner("token", "create", "-r", "owner", "-e", "1d")
        assert made.returncode == 0, made.stderr
        compose.token = made.stdout.split()[-1]
        eventually(lambda: compose.ask("GET", "bucket", "/core/stats").status_code == 200, what="the token is known")
        yield compose
        print(compose.run("logs", "--no-color", "--tail", "40"))
    finally:
        compose.run("down", "-v", "--timeout", "5")


def test_an_event_goes_from_curl_to_karma(compose):
    answer = compose.ask("POST", "bucket", "/core/write-event", json={
        "requester_id": "bhiv_core",
        "event_data": {"event_type": "agent_result", "agent_id": "a", "user_id": "dock",
                       "result": {"status": 200}}})
    assert answer.status_code == 200 and answer.json()["success"] is True, answer.text
    profile = eventually(
        lambda: compose.ask("GET", "karma", "/api/v1/karma/dock").json().get("merit_score"), 20, what="karma for dock")
    assert profile == 1.0


def test_containers_run_without_rights(compose):
    for part in PARTS:
        assert compose.inspect(part, "{{.HostConfig.ReadonlyRootfs}}") == "true"
        assert "ALL" in compose.inspect(part, "{{.HostConfig.CapDrop}}")
        assert compose.inspect(part, "{{.Config.User}}") == "bhiv"
        assert int(compose.inspect(part, "{{.HostConfig.Memory}}")) > 0
    for part in PARTS:
        ports = compose.inspect(part, "{{json .HostConfig.PortBindings}}")
        assert "0.0.0.0" not in ports and '"HostIp":""' not in ports


def test_http_asks_for_a_token_and_the_bus_for_a_certificate(compose):
    assert requests.get(compose.url("bucket", "/core/stats"), timeout=10).status_code == 401
    assert requests.get(compose.url("bucket", "/health"), timeout=10).status_code == 200
    assert compose.owner("stats", "--format", "json").returncode == 0
    assert compose.owner("stats", "--timeout", "2s", cert="").returncode == 69
    assert compose.owner("pub", "core.event.x", '{"a": 1}', cert="monitor").returncode == 77
    assert compose.owner("keys", "cert", "agent_dock").returncode == 0  # and the broker knows it within a second
    eventually(lambda: compose.owner("pub", "agent.dock.x", "{}", cert="agent_dock").returncode == 0, 30, 0.5,
               "the new name is let in")


def test_a_part_has_its_own_secret_and_no_other(compose):
    for part, names in (("karma", {"bhiv_karma"}), ("kernel-code", {"kernel-code"}), ("bridge", {"bhiv_bridge"})):
        found = compose.run("exec", "-T", part, "sh", "-c", "find / -xdev -name '*secret' 2>/dev/null; ls /keys; ls /var/lib/bhiv/certs")
        secrets = {word.split("/")[-1].removesuffix(".cert_secret") for word in found.split() if word.endswith("_secret")}
        assert secrets == names, found
        denied = subprocess.run([*compose.command, "-p", compose.project, "exec", "-T", part, "touch", "/keys/x"], cwd=ROOT,
                                env=compose.env, capture_output=True, text=True, timeout=60, check=False)
        assert denied.returncode != 0 and "Read-only" in denied.stderr, denied


def test_the_parts_do_their_work_within_their_rules(compose):
    refused = json.loads(compose.owner("stats", "--format", "json").stdout)["access"]["refused"]
    assert {row["name"] for row in refused if row.get("name")} <= {"monitor", "agent_dock"}, refused


def bhiv(compose, *args):
    """Runs bhiv inside the broker's container, where the bus's sockets are."""
    return compose.run("exec", "-T", "broker", "bhiv", *args)


def test_a_remediation_runs_in_its_container_and_is_honest_about_the_supervisor(compose):
    def task(task_id, task_type, context):
        bhiv(compose, "pub", "task.enqueue", json.dumps({
            "task_id": task_id, "task_type": task_type, "handler": "self_healing", "priority": "high",
            "context": context}))

        def done():
            found = json.loads(bhiv(compose, "req", "req.htm.tasks", json.dumps({"status": "completed"}),
                                    "--format", "json"))["tasks"]
            if all(one["task_id"] != task_id for one in found):
                return None
            return json.loads(bhiv(compose, "req", "req.htm.task", json.dumps({"task_id": task_id}),
                                   "--format", "json"))
        return eventually(done, 60, 0.5, f"{task_type} over")

    done = task("dock-1", "restart_peer", {"part": "karma"})
    assert done["status"] == "completed", done
    assert done["result"]["issue_resolved"] is False
    assert any("no supervisor" in finding for finding in done["result"]["findings"]), done
    done = task("dock-2", "run_stress_drill", {"suite": "boot"})
    assert done["status"] == "completed", done
    assert done["result"]["test_id"].startswith("boot_stress_"), done


@pytest.mark.parametrize("part", PARTS)
def test_killing_a_container_loses_and_doubles_nothing(compose, part):
    writer = Writer(compose.url("bucket", "/core/write-event"), name=f"dock_{part}", token=compose.token)
    writer.start()
    try:
        eventually(lambda: len(writer.acked) > 50, 20, what="acks before the kill")
        before = compose.inspect(part, "{{.State.StartedAt}}")
        # The engine does not restart what its own kill ended: kill the process inside instead.
        pid = compose.inspect(part, "{{.State.Pid}}")
        subprocess.run(["kill", "-9", pid], check=True)
        eventually(lambda: compose.inspect(part, "{{.State.StartedAt}}") != before, 30, 0.2,
                   f"{part} started again")
        count = len(writer.acked)
        eventually(lambda: len(writer.acked) > count + 50, 60, what="acks after the kill")
    finally:
        writer.halt.set()
        writer.join(20)

    def stored():
        found, after = {}, 0
        while True:
            page = compose.ask("GET", "bucket", "/core/events", params={
                "after_seq": after, "limit": 1000, "agent_id": "http_agent"}).json()
            for event in page["events"]:
                assert event["event_id"] not in found, "stored twice"
                found[event["event_id"]] = event["seq"]
            if page["showing"] == 0:
                return found
            after = page["next"]

    eventually(lambda: set(writer.acked) <= set(stored()), 30, 0.5, "every acknowledged event stored")
    found = stored()
    assert all(found[ident] == seq for ident, seq in writer.acked.items())

"""docker compose, for real: secure as it is shipped, each part with its own secret, tools as the file says.

Runs only with --docker (scripts/test --docker): it needs an engine and a compose command. The files here share one
project and run in the order of their names; none leaves anything that the next one minds.
"""

import json
import re
import subprocess
import tarfile
import threading
import time

import pytest
import requests
from support.compose import KERNELS, NAMES, PARTS, Outsider
from support.system import eventually

SECRET_KEY = re.compile(r'secret-key = "(.{40})"')
DATA = {part: {f"{part}-data": f"/var/lib/bhiv/{part}"} for part in PARTS if part != "bridge"}
KEYS = {"broker": {"broker-keys": "/var/lib/bhiv"}, "bucket": {"bus": "/var/lib/bhiv"},
        "bridge": {"bridge-keys": "/keys", "owner": "/var/lib/bhiv"},
        **{part: {f"{part}-keys": "/keys"} for part in ("karma", "workflow", "core", "htm", "brain", *KERNELS)}}
MORE = {"kernel-self_healing": {"drills": "/var/lib/bhiv/logs"}}


@pytest.fixture(scope="module", name="agent")
def fixture_agent(compose, tmp_path_factory):
    made = compose.owner("keys", "cert", "agent_dock")
    assert made.returncode == 0, made.stderr
    return Outsider(compose, tmp_path_factory.mktemp("agent")).take("agent_dock")


def refusals(compose):
    return {(row["requester_id"], row["details"]["reason"]) for row in compose.audited()
            if row["operation"] == "governance.access"}


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
        about = json.loads(compose.inspect(part))
        host = about["HostConfig"]
        assert host["ReadonlyRootfs"] is True and host["CapDrop"] == ["ALL"] and not host["CapAdd"], part
        assert about["Config"]["User"] == "bhiv" and host["Memory"] > 0 and host["PidsLimit"] > 0, part
        assert "no-new-privileges:true" in host["SecurityOpt"] and host["Privileged"] is False, part


def test_http_alone_is_published_and_on_loopback_alone(compose):
    for part in PARTS:
        published = compose.inspect(part, "{{json .HostConfig.PortBindings}}")
        bound = [one for row in (json.loads(published) or {}).values() for one in row]
        assert {one["HostIp"] for one in bound} == ({"127.0.0.1"} if part == "bridge" else set()), part
        assert {int(one["HostPort"]) for one in bound} == (set(compose.ports.values()) if part == "bridge" else set())
    gateway = compose.inspect("bridge", "{{range .NetworkSettings.Networks}}{{.Gateway}}{{end}}")
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://{gateway}:{compose.ports['bucket']}/health", timeout=5)
    assert requests.get(compose.url("bucket", "/health"), timeout=10).status_code == 200


def test_a_token_counts_at_once_and_no_more_once_it_is_revoked(compose):
    for port, path in (("karma", "/api/v1/karma/dock"), ("bucket", "/core/stats"), ("core", "/agents"),
                       ("workflow", "/api/workflow/stats"), ("console", "/")):
        assert compose.ask("GET", port, path, token=None).status_code == 401, (port, path)
    token = compose.make_token("-r", "bhiv_core", "-p", "gurukul", "-e", "30d")
    event = {"requester_id": "bhiv_core", "event_data": {"event_type": "note", "agent_id": "t"}}
    assert compose.ask("POST", "bucket", "/core/write-event", token=token, json=event).status_code == 200
    event["requester_id"] = "workflow_executor"
    assert compose.ask("POST", "bucket", "/core/write-event", token=token, json=event).status_code == 403
    assert token.split("_")[1] in compose.owner("token", "list").stdout
    assert compose.owner("token", "revoke", token.split("_")[1]).returncode == 0
    eventually(lambda: compose.ask("GET", "bucket", "/core/stats", token=token).status_code == 401, 3, 0.05, "the revocation")


def test_the_owners_tools_work_as_the_file_says(compose):
    stats = json.loads(compose.owner("stats", "--format", "json").stdout)
    assert stats["access"]["certificates"] >= len(NAMES) + 4
    heard = subprocess.Popen([*compose.command, "run", "--rm", "-T", "owner", "sub", "layer2.telemetry.dock", "-n", "1", "--format",
                              "json"], env=compose.env, stdout=subprocess.PIPE, text=True)
    reader = threading.Thread(target=heard.wait, daemon=True)
    reader.start()

    def said():
        compose.exec("broker", "bhiv", "pub", "layer2.telemetry.dock", '{"load": 1}')
        return heard.poll() is not None

    eventually(said, 30, 0.1, "somebody who hears")
    assert heard.returncode == 0 and json.loads(heard.stdout.read())["topic"] == "layer2.telemetry.dock"
    said = compose.owner("pub", "core.event.note", "--ack",
                         '{"requester_id": "bhiv_core", "event_type": "note", "agent_id": "tool"}')
    assert said.returncode == 0 and json.loads(said.stdout)["seq"] > 0, said.stderr
    for words in (("htm", "status"), ("brain", "status"), ("peers",), ("audit", "log"), ("tail", "-n", "1")):
        done = compose.owner(*words)
        assert done.returncode == 0 and done.stdout.strip(), (words, done.stderr)


def test_a_peer_with_a_certificate_may_what_its_row_says(compose, agent):
    eventually(lambda: agent.run("agent_dock", "pub", "agent.dock.fact", '{"n": 0}').returncode == 0, 30, 0.2, "it is let in")
    done = agent.run("agent_dock", "pub", "karma.life_event", "{}")
    assert done.returncode == 77 and "UNAUTHORIZED_ACCESS" in done.stderr, done
    eventually(lambda: ("agent_dock", "publish") in refusals(compose), 20, 0.2, "an audit entry")


def test_a_peer_with_no_certificate_or_with_a_strangers_stays_out_and_it_is_audited(compose, agent, tmp_path):
    before = [row for row in compose.audited() if row["operation"] == "governance.access"]
    assert agent.run(None, "stats", "--timeout", "2s").returncode == 69
    stranger = Outsider(compose, tmp_path)
    made = subprocess.run(["docker", "run", "--rm", "--user", "0", "-v", f"{tmp_path}:/d", compose.image, "keys", "cert", "owner",
                           "--dir", "/d"], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    secret = (tmp_path / "certs" / "owner.cert_secret").read_text()
    (tmp_path / "owner.cert_secret").touch(0o600)
    (tmp_path / "owner.cert_secret").write_text(secret)
    (tmp_path / "broker.cert").write_text((agent.folder / "broker.cert").read_text())
    told = stranger.run("owner", "stats", "--timeout", "20s")
    assert told.returncode == 78 and "does not know this certificate" in told.stderr, told

    def count():
        rows = [row for row in compose.audited() if row["operation"] == "governance.access"][len(before):]
        return sum(row["details"]["count"] for row in rows if row["details"]["reason"] == "certificate")

    eventually(lambda: count() >= 1, 70, 0.5, "audit entries of both")


def test_a_peer_with_anothers_certificate_is_nobody_but_that_other(compose, agent):
    done = agent.run("agent_dock", "karma")
    assert done.returncode == 78 and "speaks as bhiv_karma" in done.stderr, done
    said = agent.run("agent_dock", "pub", "agent.dock.claim", '{"n": 1}', "--source", "bhiv_core", "--ack")
    rows = compose.exec("broker", "bhiv", "tail", "agent.dock.claim", "-n", "10", "--format", "json").stdout.splitlines()
    assert [json.loads(row)["header"]["source"] for row in rows] == ["agent_dock"], (said, rows)


def test_a_revoked_peer_is_cut_at_once_and_it_is_audited(compose, tmp_path):
    assert compose.owner("keys", "cert", "agent_gone").returncode == 0
    gone = Outsider(compose, tmp_path).take("agent_gone")
    eventually(lambda: gone.run("agent_gone", "pub", "agent.gone.fact", "{}").returncode == 0, 30, 0.2, "it is let in")
    before = json.loads(compose.exec("broker", "bhiv", "stats", "--format", "json").stdout)["access"]
    assert compose.owner("keys", "cert", "agent_gone", "--revoke").returncode == 0
    eventually(lambda: json.loads(compose.exec("broker", "bhiv", "stats", "--format", "json").stdout)["access"]["certificates"]
               == before["certificates"] - 1, 5, 0.1, "the revocation")
    told = gone.run("agent_gone", "pub", "agent.gone.fact", "{}", "--timeout", "20s")
    assert told.returncode == 78 and "does not know this certificate" in told.stderr, told

    def refused():
        rows = json.loads(compose.exec("broker", "bhiv", "stats", "--format", "json").stdout)["access"]["refused"]
        return any(row["reason"] == "certificate" for row in rows)

    eventually(refused, 10, 0.2, "the count")
    eventually(lambda: any(reason == "certificate" for _, reason in refusals(compose)), 10, 0.2, "the audit entry")


def test_rules_of_ones_own_count_from_a_hangup_on(compose, agent):
    def put(text):
        done = compose.tool("run", "--rm", "-T", "--entrypoint", "sh", "owner", "-c", "cat > access.zpl", input=text)
        assert done.returncode == 0, done.stderr
        compose.run("up", "-d", "owner")
        compose.exec("broker", "bash", "-c", "kill -HUP 1")  # by the engine's kill it would not be restarted any more

    def may(topic):
        said = agent.run("agent_dock", "pub", topic, '{"requester_id": "bhiv_core", "event_type": "note", "agent_id": "r"}')
        assert said.returncode in (0, 77), said
        return said.returncode == 0

    assert may("agent.dock.fact") and not may("core.event.note")
    put('peer\n    name = "agent_dock"\n    publish = "core.event.note"\n')
    eventually(lambda: may("core.event.note"), 30, 0.2, "the new rules")
    assert not may("agent.dock.fact")
    put("")
    eventually(lambda: may("agent.dock.fact"), 30, 0.2, "the built-in rules")


def test_a_part_sees_its_own_volumes_and_its_own_secret_alone(compose):
    for part in PARTS:
        mounts = {row["Name"].removeprefix(compose.project + "_"): (row["Destination"], row["RW"])
                  for row in json.loads(compose.inspect(part, "{{json .Mounts}}")) if row["Type"] == "volume"}
        wanted = {**DATA.get(part, {}), **KEYS[part], **MORE.get(part, {})}
        assert {name: place for name, (place, _) in mounts.items()} == wanted, part
        if part not in ("broker", "bucket"):
            assert not any(mounts[name][1] for name in KEYS[part]), part
        found = compose.exec(part, "sh", "-c", "find / -xdev \\( -path /proc -o -path /sys \\) -prune -o -type f -print; "
                             "find /keys /var/lib/bhiv /parts -type f", check=False).stdout.split()
        leaves = {path.rsplit("/", 1)[-1] for path in found}
        assert {leaf for leaf in leaves if leaf.endswith("cert_secret")} == {f"{NAMES[part]}.cert_secret"}, part
        assert ("owner.token" in leaves) == (part in ("bucket", "bridge")), part
        assert ("tokens" in leaves) == (part == "bridge") and ("bucket.key" in leaves) == (part == "bucket"), part


def secrets_of(compose):
    """Every secret that there is, by what it is."""
    found = {f"key {n}": key for n, key in enumerate(SECRET_KEY.findall(
        compose.volume("certs", "sh", "-c", "cat /volume/*.cert_secret")))}
    assert len(found) >= len(NAMES) + 4
    found["owner.token"] = compose.volume("owner", "cat", "/volume/owner.token").strip()
    found["a token"] = compose.token.split("_")[-1]
    found["bucket.key"] = compose.volume("bus", "sh", "-c", "od -An -tx1 /volume/bucket.key | tr -d ' \\n'")
    assert all(len(secret) >= 32 for secret in found.values())
    return found


def test_no_secret_is_in_inspect_in_logs_or_in_the_image(compose, tmp_path):
    ids = compose.run("ps", "-aq").split()
    told = {"inspect": subprocess.run(["docker", "inspect", *ids, compose.image], capture_output=True, text=True, check=True).stdout,
            "logs": compose.run("logs", "--no-color"),
            "history": subprocess.run(["docker", "history", "--no-trunc", compose.image], capture_output=True, text=True,
                                      check=True).stdout}
    assert "broker_1" in told["logs"] or "broker-1" in told["logs"]
    for what, secret in secrets_of(compose).items():
        for where, text in told.items():
            assert secret not in text, f"{what} is in {where}"
    saved = tmp_path / "image.tar"
    subprocess.run(["docker", "save", "-o", str(saved), compose.image], check=True, timeout=120)
    seen = set()
    with tarfile.open(saved) as image:
        for layer in image:
            if layer.isfile() and layer.name.endswith("layer.tar"):
                with tarfile.open(fileobj=image.extractfile(layer)) as files:
                    seen |= {one.name for one in files if one.isfile()}
    assert "usr/local/bin/bhiv" in seen
    held = [name for name in seen if name.startswith(("var/lib/bhiv/", "keys/", "parts/", "src/"))
            or re.search(r"cert_secret$|owner\.token$|bucket\.key$|(^|/)\.env$", name)]
    assert held == []


def test_a_remediation_runs_in_its_container_and_is_honest_about_the_supervisor(compose):
    def bhiv(*args):
        return compose.exec("broker", "bhiv", *args).stdout  # where the bus's sockets are

    def task(task_id, task_type, context):
        bhiv("pub", "task.enqueue", json.dumps({
            "task_id": task_id, "task_type": task_type, "handler": "self_healing", "priority": "high",
            "context": context}))

        def done():
            found = json.loads(bhiv("req", "req.htm.tasks", json.dumps({"status": "completed"}), "--format", "json"))["tasks"]
            if all(one["task_id"] != task_id for one in found):
                return None
            return json.loads(bhiv("req", "req.htm.task", json.dumps({"task_id": task_id}), "--format", "json"))
        return eventually(done, 60, 0.5, f"{task_type} over")

    done = task("dock-1", "restart_peer", {"part": "karma"})
    assert done["status"] == "completed", done
    assert done["result"]["issue_resolved"] is False
    assert any("no supervisor" in finding for finding in done["result"]["findings"]), done
    done = task("dock-2", "run_stress_drill", {"suite": "boot"})
    assert done["status"] == "completed", done
    assert done["result"]["test_id"].startswith("boot_stress_"), done


def test_the_parts_do_their_work_within_their_rules(compose):
    """After all that the tests above had them do, a drill of self-healing's among it."""
    refused = json.loads(compose.exec("broker", "bhiv", "stats", "--format", "json").stdout)["access"]["refused"]
    assert {row["name"] for row in refused if row.get("name")} <= {"agent_dock", "agent_gone"}, refused


def test_what_http_takes_through_compose_is_printed(compose):
    """For the README: a figure, and no more than that every one of them was taken."""
    each, threads, statuses = 250, 8, []

    def write():
        session = requests.Session()
        session.headers["Authorization"] = f"Bearer {compose.token}"
        event = {"requester_id": "bhiv_core", "event_data": {"event_type": "note", "agent_id": "figure"}}
        statuses.extend(session.post(compose.url("bucket", "/core/write-event"), json=event, timeout=10).status_code
                        for _ in range(each))

    writers = [threading.Thread(target=write) for _ in range(threads)]
    begun = time.monotonic()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    taken = time.monotonic() - begun
    assert statuses == [200] * (each * threads)
    print(f"POST /core/write-event through compose with a token: {len(statuses) / taken:.0f} a second, {threads} connections")

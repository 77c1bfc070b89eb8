"""The kernels that watch: infrastructure, code, verification. docs/grace.md.

Time is accelerated by their settings. Figures are held against /proc as Python reads it; the audit log
is held by a log of the test's own where the real Bucket could not be made to lie.
"""

import base64
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import msgpack
import pytest
from support import audit_verifier, ed25519
from support.checker import key_announced, settled
from support.peer import Peer
from support.service import Service
from support.system import System, descriptors, eventually, memory

WITHOUT = ("--dev", "--without", "bridge,core,workflow,karma,brain,htm")
FAST = {
    "BHIV_TELEMETRY_SECONDS": "0.5",
    "BHIV_ANOMALY_SECONDS": "1",
    "BHIV_VERIFY_SECONDS": "0.2",
    "BHIV_CODE_SECONDS": "1",
    "BHIV_GONE_SECONDS": "1",
    # Others work on this machine too: what a test does not raise itself is no anomaly of its.
    "BHIV_ANOMALY_CPU": "100",
    "BHIV_ANOMALY_MEMORY": "100",
    "BHIV_ANOMALY_DISK": "100",
}


def watched(bhiv, tmp_path, args=WITHOUT, **env):
    return System(bhiv, tmp_path / "d", args=args, env={**FAST, **env})


def report(system, kernel, peer=None):
    if peer is None:
        with Peer(system.ingress, system.egress) as own:
            return report(system, kernel, own)
    try:
        header, body = peer.ask(f"req.kernel-{kernel}.report", {}, timeout=5)
    except TimeoutError:
        return None
    return body if header["status"] == "success" else None


def anomalies(system, kind=None):
    """What was said, from the journal: (record's header, body, anomaly)."""
    with Peer(system.ingress, system.egress) as peer:
        return [(header, body, each)
                for _, header, body in peer.fetch_all(["hunter.anomaly."])
                for each in body["anomalies"] if kind in (None, each["type"])]


def hear(peer, topic, timeout=20):
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        heard = peer.hear(timeout)
        if heard and heard[0] == topic:
            return heard[2]
    raise AssertionError(f"no {topic}")


# --- Figures: /proc as Python reads it -----------------------------------------------------------


def cpu_times():
    fields = [int(word) for word in pathlib.Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4], sum(fields)


def memory_percent():
    lines = dict(line.split(":") for line in pathlib.Path("/proc/meminfo").read_text().splitlines())
    total, free = (int(lines[name].split()[0]) for name in ("MemTotal", "MemAvailable"))
    return 100 * (total - free) / total


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def seconds_of(text):
    hours, minutes, seconds = re.search(r"T(\d+):(\d+):([\d.]+)Z", text).groups()
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_telemetry_comes_every_interval_with_figures_that_proc_confirms(bhiv, tmp_path):
    with watched(bhiv, tmp_path) as system, Peer(system.ingress, system.egress) as peer:
        peer.subscribe("layer")
        heard = [hear(peer, "layer2.telemetry.stream") for _ in range(5)]
        times = [seconds_of(each["timestamp"]) for each in heard]
        gaps = [(after - before) % 86400 for before, after in zip(times, times[1:])]
        assert min(gaps) > 0 and 1.4 < sum(gaps) < 8, gaps  # one that is late shortens the next
        last = heard[-1]
        disk = os.statvfs(system.folder)
        used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
        host = last["host"]
        assert abs(host["memory_percent"] - memory_percent()) < 10
        assert abs(host["disk_percent"] - 100 * used / (used + disk.f_bavail * disk.f_frsize)) < 1
        assert host["cpus"] == os.sysconf("SC_NPROCESSORS_ONLN") and host["name"] == os.uname().nodename
        assert 0 <= host["cpu_percent"] <= 100 and abs(host["load1"] - os.getloadavg()[0]) < 5
        processes = {each["service"]: each for each in last["processes"]}
        assert set(system.names()) <= set(processes), processes.keys()
        assert last["metrics_count"] == 8 + 8 * len(processes)
        for name in system.names():
            figures, pid = processes[name], system.pid(name)
            assert figures["pid"] == pid
            assert figures["threads"] == len(os.listdir(f"/proc/{pid}/task"))
            if os.access(f"/proc/{pid}/fd", os.R_OK):
                assert abs(figures["descriptors"] - descriptors(pid)) <= 3
            else:  # it holds secrets, and is closed to all but root
                assert figures["descriptors"] is None and name in ("bucket", "bridge")
            assert abs(figures["memory_bytes"] - memory(pid)) < 1_500_000 + memory(pid) // 4
            assert -0.03 < cpu_seconds(pid) - figures["cpu_seconds"] < 1
            assert 0 <= figures["cpu_percent"] <= 200
        assert last["bus"]["head"] > 0 and {"bucket", "kernel-code"} <= set(last["bus"]["lag"])
        assert last["bus"]["lag_max"] == max(last["bus"]["lag"].values())
        summed = hear(peer, "layer3.telemetry.stream")
        assert summed["metrics_buffer_size"] == 6 and summed["log_buffer_size"] >= 0
        assert {"cpu_percent", "memory_percent", "lag"} <= set(summed["summary"])
        for figures in summed["summary"].values():
            assert figures["min"] <= figures["mean"] <= figures["max"]
        assert not anomalies(system)


class Burner:
    """Processes that do nothing but take processor time."""

    def __init__(self, count):
        self.count = count

    def __enter__(self):
        self.all = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                    for _ in range(self.count)]
        return self

    def __exit__(self, *exc):
        for process in self.all:
            process.kill()
            process.wait()

    @property
    def pid(self):
        return self.all[0].pid


def test_a_busy_loop_raises_the_machines_share_and_its_own_and_is_said(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BHIV_ANOMALY_CPU="90") as system:
        with Peer(system.ingress, system.egress) as peer, Burner(os.cpu_count()) as burner:
            host = peer.ask("$bus.stats", {})[1]["host"]
            peer.subscribe("layer2.")
            with Service(system, "burner", pid=burner.pid, host=host):
                def share():
                    """The machine's and the burner's share by the kernel, and by us over that time."""
                    hear(peer, "layer2.telemetry.stream")
                    before, burned, at = cpu_times(), cpu_seconds(burner.pid), time.monotonic()
                    said = [hear(peer, "layer2.telemetry.stream") for _ in range(4)]
                    after, now = cpu_times(), time.monotonic()
                    own = [each["cpu_percent"] for one in said for each in one["processes"]
                           if each["pid"] == burner.pid]
                    return (sum(each["host"]["cpu_percent"] for each in said) / 4,
                            100 * (after[0] - before[0]) / (after[1] - before[1]),
                            sum(own) / max(len(own), 1),
                            100 * (cpu_seconds(burner.pid) - burned) / (now - at))

                eventually(lambda: any(each["service"] == "burner" for each in
                                       hear(peer, "layer2.telemetry.stream")["processes"]))
                machine, wanted, own, own_wanted = share()
                assert abs(machine - wanted) < 10 and machine > 80, (machine, wanted)
                assert abs(own - own_wanted) < 15 + own_wanted / 4, (own, own_wanted)
                said = eventually(lambda: anomalies(system, "high_cpu"))
            header, body, anomaly = said[0]
            assert header["source"] == body["kernel"] == "kernel-infrastructure"
            assert anomaly["value"] > anomaly["threshold"] == 90 and anomaly["severity"] == "high"
            assert body["snapshot"]["host"]["cpus"] == os.cpu_count()
        kept = report(system, "infrastructure")["anomalies"]
        assert {each["type"] for row in kept for each in row["anomalies"]} == {"high_cpu"}


def test_a_process_of_another_machine_is_not_looked_for_on_this_one(bhiv, tmp_path):
    with watched(bhiv, tmp_path) as system, Peer(system.ingress, system.egress) as peer:
        peer.subscribe("layer2.")
        with Service(system, "elsewhere", pid=os.getpid(), host="another-1"), \
                Service(system, "unknown", pid=os.getpid()):
            hear(peer, "layer2.telemetry.stream")
            for _ in range(2):
                pids = {each["pid"] for each in hear(peer, "layer2.telemetry.stream")["processes"]}
                assert os.getpid() not in pids and system.pid("bucket") in pids


def test_a_killed_kernel_comes_back_and_goes_on(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BHIV_ANOMALY_MEMORY="0") as system:
        with Peer(system.ingress, system.egress) as peer:
            eventually(lambda: anomalies(system, "high_memory"))
            before = eventually(lambda: report(system, "infrastructure", peer)["anomalies"])
            pid = system.kill("kernel-infrastructure")
            system.restarted("kernel-infrastructure", pid)
            peer.subscribe("layer2.")
            hear(peer, "layer2.telemetry.stream")
            again = eventually(lambda: report(system, "infrastructure", peer))
            seqs = [row["seq"] for row in again["anomalies"]]
            assert {row["seq"] for row in before} <= set(seqs) and seqs == sorted(seqs, reverse=True)
            eventually(lambda: report(system, "infrastructure", peer)["anomalies"][0]["seq"] > seqs[0])


def test_a_peer_that_falls_silent_is_missed_and_one_that_says_goodbye_is_not(bhiv, tmp_path):
    with watched(bhiv, tmp_path) as system:
        with Service(system, "polite"), Service(system, "worker.one", bye=False), \
                Service(system, "lost", bye=False):
            pass
        said = eventually(lambda: anomalies(system, "peer_gone"))
        assert all(each["what"].startswith("lost ") for _, _, each in said), said
        events = [each["what"] for each in report(system, "infrastructure")["recent_events"]]
        assert "polite left" in events and "lost fell silent" in events
        with Service(system, "lost"):  # it is back
            eventually(lambda: any(each["what"] == "lost is there"
                                   for each in report(system, "infrastructure")["recent_events"]))
            count = len(anomalies(system, "peer_gone"))
            looks = report(system, "infrastructure")["said"]["layer2"]
            eventually(lambda: report(system, "infrastructure")["said"]["layer2"] > looks + 6)
            assert len(anomalies(system, "peer_gone")) <= count + 1  # one was under way


def test_slas_that_break_are_said_as_their_share(bhiv, tmp_path):
    figures = {"sla_breaches": 0, "tasks_completed": 0, "tasks_failed": 0}

    def status(operation, _):
        if operation != "status":
            return "NOT_FOUND", None
        figures["sla_breaches"] += 3
        figures["tasks_completed"] += 8
        figures["tasks_failed"] += 4
        return None, {"statistics": dict(figures)}

    with watched(bhiv, tmp_path) as system, Service(system, "htm", status):
        _, _, said = eventually(lambda: anomalies(system, "sla_compliance_low"))[0]
        assert (said["value"], said["threshold"], said["severity"]) == (0.75, 0.9, "medium")


@pytest.mark.parametrize("kernel,variable", [("infrastructure", "BHIV_TELEMETRY_SECONDS"),
                                             ("code", "BHIV_CODE_SECONDS"),
                                             ("verification", "BHIV_VERIFY_SECONDS")])
def test_a_setting_that_makes_no_sense_is_refused(bhiv, tmp_path, kernel, variable):
    done = subprocess.run([bhiv, "kernel", kernel, "--dir", str(tmp_path)], capture_output=True,
                          text=True, timeout=30, check=False, env={**os.environ, variable: "soon"})
    assert done.returncode == 78 and f"config_refused variable={variable}" in done.stderr, done


# --- Code ----------------------------------------------------------------------------------------


def build_id(path):
    """The linker's build-id in the program's file."""
    data = pathlib.Path(path).read_bytes()
    place = data.find(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0")
    return data[place + 16:place + 36].hex() if place >= 0 else None


def test_all_parts_say_one_build_protocol_and_tables(bhiv, tmp_path):
    version = json.loads(subprocess.run([bhiv, "version", "--format", "json"], capture_output=True,
                                       text=True, check=True).stdout)
    assert version["build_id"] == (build_id(bhiv) or version["build_id"]) != ""
    with watched(bhiv, tmp_path, args=("--dev",)) as system:
        found = eventually(lambda: whole(report(system, "code"), system), 30)
        assert (found["status"], found["differing"]) == ("same", 0)
        for peer in found["peers"]:
            assert peer["build"] == found["build"] == version["build_id"], peer
        asked = {peer["service"]: peer for peer in found["peers"] if peer["schemas"]}
        assert {"broker", "bucket", "karma", "core", "workflow", "htm", "kernel-code"} <= set(asked)
        assert all((peer["schemas"], peer["protocol"]) == (version["schemas"], 1)
                   for peer in asked.values())
        assert not anomalies(system, "build_mismatch")
        with Peer(system.ingress, system.egress) as peer:
            health = peer.ask("req.karma.health", {})[1]
            assert (health["build"], health["protocol"], health["schemas"]) == (
                version["build_id"], 1, version["schemas"])



def whole(found, system):
    """The report, once it has every part with its tables."""
    asked = {peer["service"] for peer in found["peers"] if peer["schemas"]} if found else set()
    return found if set(system.names()) - {"bridge"} <= asked else None


def test_a_peer_of_another_version_or_with_other_tables_is_named(bhiv, tmp_path):
    def health(operation, _):
        return (None, {"schemas": "0123456789abcdef", "protocol": 2}) if operation == "health" else None

    with watched(bhiv, tmp_path) as system:
        assert not anomalies(system)
        with Service(system, "older", health, version="0.0.9"), \
                Service(system, "worker.other", version="7.7.7") as worker, \
                Service(system, "agent.other", version="7.7.7") as agent:
            _, body, said = eventually(lambda: anomalies(system, "build_mismatch"), 30)[0]
            assert body["kernel"] == "kernel-code" and said["what"].startswith("older (")
            assert said["severity"] == "critical" and "0.0.9" in said["what"]
            assert "protocol, schemas, version" in said["what"]

            def listed():
                found = {each["service"]: each for each in report(system, "code")["peers"]}
                return {"older", "worker.other", "agent.other"} <= set(found) and found

            rows = eventually(listed, what="all three looked at")
            assert rows["older"]["differs_in"] == ["protocol", "schemas", "version"]
            for name in ("worker.other", "agent.other"):
                assert rows[name]["differs_in"] == [] and not rows[name]["compared"]
            assert worker.asked == agent.asked == [], "what they are asked, they take for work"
        eventually(lambda: report(system, "code")["status"] == "same", 30)
        assert all("older" in each["what"] for _, _, each in anomalies(system, "build_mismatch"))


# --- Verification: the real Bucket ---------------------------------------------------------------


def verified(system, rounds=1):
    """Waits for this many more good rounds, and returns the report."""
    first = eventually(lambda: report(system, "verification"))["rounds"]

    def more():
        found = report(system, "verification")
        return found if found and found["rounds"] >= first + rounds and found["status"] != "starting" else None

    return eventually(more, 30)


def write_some(system, count):
    with Peer(system.ingress, system.egress, source="bhiv_core") as peer:
        for n in range(count):
            peer.publish("core.event.test", {"requester_id": "bhiv_core", "event_data": {
                "event_type": "test", "agent_id": "a", "n": n}})
    settled(system)


def flip(folder, wanted, at):
    """Changes one byte of every copy of these bytes in Bucket's file, behind its back."""
    path = folder / "bucket/data.mdb"
    data = bytearray(path.read_bytes())
    place = data.find(wanted)
    assert place >= 0
    while place >= 0:
        data[place + at] ^= 1
        place = data.find(wanted, place + 1)
    path.write_bytes(data)


BUS = ("--dev", "--only", "broker,bucket,karma,kernel-verification")


def test_the_witness_follows_the_log_and_goes_on_after_a_kill_from_what_it_kept(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BUS) as system:
        write_some(system, 5)
        before = verified(system, 2)
        assert before["status"] == "verified" and before["trust"].startswith("first use")
        pid = system.kill("kernel-verification")
        system.restarted("kernel-verification", pid)
        write_some(system, 5)
        after = verified(system, 2)
        assert after["status"] == "verified" and after["consistency_proofs"] >= 1
        assert after["trusted_since"] == before["trusted_since"] and after["keys"] == before["keys"]
        assert after["tree_size"] > before["tree_size"] >= 5 and after["heads_kept"] > before["heads_kept"]
        assert after["inclusion_proofs"] > 0 and after["sweeps"] > 0
        size, _ = audit_verifier.open_checkpoint(after["checkpoint"], after["keys"][0])
        assert size == after["tree_size"] and not anomalies(system)


def test_an_entry_that_was_altered_behind_buckets_back_is_named_until_it_is_right_again(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BUS) as system:
        write_some(system, 20)
        assert verified(system)["status"] == "verified"
        with Peer(system.ingress, system.egress) as peer:
            leaf = peer.ask("req.bucket.audit_leaves", {"from": 7, "limit": 1})[1]["leaves"][0]["leaf"]
        assert system.stop() == 0
        flip(system.folder, base64.b64decode(leaf), 40)
        system.start()
        header, body, said = eventually(lambda: anomalies(system, "audit_damaged"), 30)[0]
        assert header["source"] == body["kernel"] == "kernel-verification"
        assert said["severity"] == "critical" and said["what"].startswith("audit entry 7:"), said
        count = len(anomalies(system, "audit_damaged"))
        eventually(lambda: len(anomalies(system, "audit_damaged")) > count, 30, what="said again")
        found = report(system, "verification")
        assert found["status"] == "damaged" and {each["leaf_index"] for each in found["findings"]} == {7}
        assert system.stop() == 0
        flip(system.folder, base64.b64decode(leaf)[:40], 40)  # right again
        system.start()
        eventually(lambda: (report(system, "verification") or {}).get("status") == "verified", 30)


def test_a_bucket_that_lost_its_store_and_key_has_a_new_key_that_its_log_proves(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BUS) as system:
        write_some(system, 10)
        key_announced(system)
        before = verified(system, 2)
        assert system.stop() == 0
        for path in (system.folder / "bucket").glob("*.mdb"):
            path.unlink()
        system.start()
        after = eventually(lambda: one_with(report(system, "verification"), key_changes=1), 30)
        assert after["status"] == "verified" and after["tree_size"] > before["tree_size"]
        assert after["trusted_since"] == before["trusted_since"]
        assert after["keys"][:1] == before["keys"] and len(after["keys"]) == 2
        # Until its creation is in the log, a second later, it is nobody's.
        assert all("was never seen" in each["what"] for _, _, each in anomalies(system))


def test_a_rotated_key_is_taken_because_the_log_proves_it(bhiv, tmp_path):
    with watched(bhiv, tmp_path, BUS) as system:
        write_some(system, 3)
        before = verified(system, 2)
        eventually(lambda: system.run("keys", "rotate").returncode == 0)  # BUSY at first
        after = eventually(lambda: one_with(report(system, "verification"), key_changes=1), 30)
        assert after["status"] == "verified" and len(after["keys"]) == 2
        assert after["keys"][0] == before["keys"][0]
        audit_verifier.open_checkpoint(after["checkpoint"], after["keys"][1])
        assert not anomalies(system)


def one_with(found, **fields):
    return found if found and all(found[key] == value for key, value in fields.items()) else None


# --- Verification: a log that lies ---------------------------------------------------------------

class Log:
    """Bucket's audit log as a service of the test: whatever leaves and key it is given."""

    def __init__(self, leaves, seed=b"\1" * 32):
        self.name, self.leaves, self.seed = "test.example/log", leaves, seed
        self.lag = 0
        self.fails = {}  # operation -> error code

    def hashes(self, size=None):
        return [audit_verifier.sha(b"\0" + leaf) for leaf in self.leaves[:size]]

    def vkey(self):
        key = b"\1" + ed25519.public(self.seed)
        key_id = audit_verifier.sha(self.name.encode() + b"\n" + key)[:4]
        return f"{self.name}+{key_id.hex()}+{b64(key)}"

    def note(self):
        text = f"{self.name}\n{len(self.leaves)}\n{b64(audit_verifier.mth(self.hashes()))}\n"
        key_id = bytes.fromhex(self.vkey()[len(self.name) + 1:][:8])
        return f"{text}\n— {self.name} {b64(key_id + ed25519.sign(self.seed, text.encode()))}\n"

    def __call__(self, operation, body):
        if operation in self.fails:
            return self.fails[operation], None
        return getattr(self, operation)(body)

    def health(self, _):
        return None, {"lag": self.lag, "head": 9}

    def audit_checkpoint(self, _):
        return None, {"checkpoint": self.note(), "vkey": self.vkey(), "tree_size": len(self.leaves)}

    def audit_consistency(self, body):
        path = consistency(body["from"], self.hashes(body["to"]))
        return None, {"path": [b64(each) for each in path]}

    def audit_inclusion(self, body):
        index = int(body["audit_id"].split("_")[1])
        path = inclusion(index, self.hashes(body["tree_size"]))
        return None, {"leaf_index": index, "path": [b64(each) for each in path]}

    def audit_leaves(self, body):
        leaves = self.leaves[body["from"]:body["from"] + body["limit"]]
        return None, {"leaves": [{"leaf": b64(leaf), "hash": b64(audit_verifier.sha(b"\0" + leaf))}
                                 for leaf in leaves]}

    def audit_verify(self, body):
        return None, {"bad": [], "next": min(body["from"] + body["limit"], max(len(self.leaves), 1))}

    def audit_log(self, _):
        return None, {"entries": []}


def b64(data):
    return base64.b64encode(data).decode()


def inclusion(index, hashes):  # RFC 9162, 2.1.3.1
    if len(hashes) == 1:
        return []
    k = audit_verifier.split(len(hashes))
    if index < k:
        return inclusion(index, hashes[:k]) + [audit_verifier.mth(hashes[k:])]
    return inclusion(index - k, hashes[k:]) + [audit_verifier.mth(hashes[:k])]


def consistency(size, hashes, is_whole=True):  # 2.1.4.1
    if size == len(hashes):
        return [] if is_whole else [audit_verifier.mth(hashes)]
    k = audit_verifier.split(len(hashes))
    if size <= k:
        return consistency(size, hashes[:k], is_whole) + [audit_verifier.mth(hashes[k:])]
    return consistency(size - k, hashes[k:], False) + [audit_verifier.mth(hashes[:k])]


def leaf_of(index, word="good"):
    return msgpack.packb({"audit_id": f"audit_{index}", "word": word})


def leaves_of(size, odd=None):
    return [leaf_of(n, "odd" if n == odd else "good") for n in range(size)]


@pytest.fixture(name="liar")
def fixture_liar(bhiv, tmp_path):
    """A system whose Bucket is the test's; its witness has seen heads of 4, 9 and 16 entries."""
    only = ("--dev", "--only", "broker,kernel-verification")
    log = Log(leaves_of(4))
    with watched(bhiv, tmp_path, only) as system, Service(system, "bucket", log):
        for size in (4, 9, 16):
            log.leaves = leaves_of(size)
            eventually(lambda size=size: one_with(report(system, "verification"), tree_size=size), 30)
        good = verified(system, 2)
        assert (good["status"], good["heads_kept"]) == ("verified", 3), good
        yield system, log


def damage(system, words):
    """Waits until it says so (it may have met another part of the same lie first), and returns the report."""
    def said():
        return [each for _, _, each in anomalies(system, "audit_damaged") if words in each["what"]]

    assert {each["severity"] for each in eventually(said, 30, what=words)} == {"critical"}
    return report(system, "verification")


def test_an_honest_log_may_grow_by_any_number_of_entries(liar):
    system, log = liar
    for size in (17, 18, 31, 32, 33, 100):
        log.leaves = leaves_of(size)
        eventually(lambda size=size: one_with(report(system, "verification"), tree_size=size), 30)
    assert verified(system)["status"] == "verified" and not anomalies(system)


@pytest.mark.parametrize("odd,place", [(0, 0), (3, 0), (4, 4), (8, 4), (9, 9), (15, 9)])
def test_an_edited_log_is_found_and_the_place_is_narrowed_by_older_heads(liar, odd, place):
    system, log = liar
    log.leaves = leaves_of(20, odd)  # rewritten, and signed by its own key
    damage(system, "cannot prove that it is a longer form of the 16")

    def narrowed():
        found = report(system, "verification")
        return [each for each in found["findings"] if each["kind"] == "place"]

    assert [each["leaf_index"] for each in eventually(narrowed)] == [place]
    after = report(system, "verification")
    assert after["tree_size"] == 16 and after["status"] == "damaged", "it keeps to what was good"
    assert after["refused_checkpoint"] == log.note()
    log.leaves = leaves_of(20)
    eventually(lambda: one_with(report(system, "verification"), status="verified", tree_size=20), 30)


def test_a_log_that_was_cut_is_found(liar):
    system, log = liar
    log.leaves = leaves_of(12)
    assert damage(system, "has 12 entries, and 16 were signed before")["tree_size"] == 16


def test_a_log_that_is_still_being_read_again_is_not_one_that_was_cut(liar):
    system, log = liar
    log.lag = 4
    log.leaves = leaves_of(12)
    eventually(lambda: report(system, "verification")["behind"] >= 3, 30)
    log.leaves, log.lag = leaves_of(17), 0
    eventually(lambda: one_with(report(system, "verification"), tree_size=17), 30)
    assert not anomalies(system)


def test_a_fork_of_the_same_length_is_found(liar):
    system, log = liar
    log.leaves = leaves_of(16, 12)
    found = damage(system, "two heads of 16 entries are signed")
    assert found["checkpoint"] != found["refused_checkpoint"] == log.note(), "both are evidence"


def test_a_log_that_somebody_else_signs_is_found(liar):
    system, log = liar
    log.seed = b"\2" * 32
    log.leaves = leaves_of(17)
    assert len(damage(system, "was never seen")["keys"]) == 1


def test_another_log_with_another_key_is_found(liar):
    system, log = liar
    before = report(system, "verification")
    log.name, log.seed = "test.example/another", b"\2" * 32
    after = damage(system, "another log")
    assert after["keys"] == before["keys"] and after["trusted_since"] == before["trusted_since"]


def test_a_bad_signature_is_found(liar):
    system, log = liar
    real = log.note

    def forged():
        return real().replace(f"\n{len(log.leaves)}\n", f"\n{len(log.leaves) + 1}\n")

    log.note = forged
    damage(system, "signature")


def test_an_entry_that_is_shown_but_is_not_in_the_log_is_found_by_its_sample(liar):
    system, log = liar
    real = log.audit_leaves

    def audit_leaves(body):  # to who asks for one entry: another one than to who asks for all
        if body["limit"] > 1:
            return real(body)
        leaf = leaf_of(body["from"], "shown")
        return None, {"leaves": [{"leaf": b64(leaf), "hash": b64(audit_verifier.sha(b"\0" + leaf))}]}

    log.audit_leaves = audit_leaves
    found = damage(system, "cannot be proved to be in the log")
    assert {each["kind"] for each in found["findings"]} == {"inclusion"}
    log.audit_leaves = real
    eventually(lambda: one_with(report(system, "verification"), status="verified"), 30)


def test_what_was_found_is_known_after_a_kill(liar):
    system, log = liar
    log.leaves = leaves_of(16, 12)
    before = damage(system, "two heads")
    pid = system.kill("kernel-verification")
    log.fails["audit_checkpoint"] = "BUSY"  # it cannot learn it anew
    system.restarted("kernel-verification", pid)
    after = eventually(lambda: report(system, "verification"))
    assert after["status"] == "damaged" and after["checkpoint"] == before["checkpoint"]
    assert after["findings"][0]["first_at"] == before["findings"][0]["first_at"]
    count = len(anomalies(system, "audit_damaged"))
    eventually(lambda: len(anomalies(system, "audit_damaged")) > count, 30, what="said again")


def test_a_bucket_that_does_not_answer_is_no_verdict(liar):
    system, log = liar
    log.fails["audit_checkpoint"] = "BUSY"
    before = report(system, "verification")["unanswered"]
    eventually(lambda: report(system, "verification")["unanswered"] > before + 2)
    assert report(system, "verification")["status"] == "verified" and not anomalies(system)

"""The shipped unit under a real systemd: in namespaces of its own, on a copy of the file system.

systemd is the first process of a pid namespace. What it writes goes to memory (an overlay over /),
its network and its control groups are its own, and all of it ends with its last process.
"""

import json
import os
import pathlib
import shutil
import subprocess

import pytest
from support.system import eventually

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SYSTEMD = next((path for path in ("/lib/systemd/systemd", "/usr/lib/systemd/systemd")
                if os.access(path, os.X_OK)), None)

# Makes the root of the new system, and becomes its first process. $1: our folder, $2: systemd.
ENTER = r"""
set -e
mount --make-rprivate /
cd "$1"
mkdir ov
mount -t tmpfs tmpfs ov
mkdir ov/upper ov/work ov/root
r=$1/ov/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/ov/upper,workdir=$1/ov/work" "$r"
mount -t proc proc "$r/proc"
mount -t sysfs sysfs "$r/sys"
mount -t cgroup2 cgroup2 "$r/sys/fs/cgroup"
mount -t tmpfs tmpfs "$r/run"
mount -t tmpfs tmpfs "$r/tmp"
mount -t tmpfs tmpfs "$r/dev"
for node in null zero full random urandom tty; do
    mknod -m 666 "$r/dev/$node" c $(stat -c '0x%t 0x%T' "/dev/$node")
done
mkdir "$r/dev/pts" "$r/dev/shm" "$r/dev/mqueue" "$r/dev/hugepages"
mount -t devpts devpts "$r/dev/pts"
ln -s pts/ptmx "$r/dev/ptmx"
ln -s /proc/self/fd "$r/dev/fd"
mkdir -p "$r/run/systemd/system"
cp -r units/. "$r/run/systemd/system/"
mkdir -p "$r/mnt" "$r/usr/local/bin"
install -m 755 bhiv "$r/usr/local/bin/bhiv"
mount --bind out "$r/mnt"
touch ready
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    chroot "$r" "$2" --unit=bare.target --log-target=null --show-status=0
"""

# What is done in it: the unit as it is shipped, then the scenario.
WORK = r"""#!/bin/bash
show() { systemctl show --value --property="$1" bhiv.service; }
exec >/mnt/words 2>&1
systemctl start bhiv.service
echo "started $?"
echo "user $(ps -o user= -p "$(show MainPID)")"
/usr/local/bin/bhiv pub core.event.note --ack --dir /var/lib/bhiv \
    '{"requester_id":"bhiv_core","event_type":"note","text":"kept"}'
echo "published $?"
systemctl kill --signal=KILL --kill-whom=main bhiv.service
for _ in $(seq 200); do
    [[ $(show NRestarts) == 1 && $(show ActiveState) == active ]] && break
    sleep 0.05
done
echo "restarts $(show NRestarts) $(show ActiveState)"
echo "events $(/usr/local/bin/bhiv req req.bucket.events --dir /var/lib/bhiv | grep -c kept)"
systemctl stop bhiv.service
echo "stopped $? $(show Result)"
TMPDIR=/tmp /usr/local/bin/bhiv stress faults --scenario systemd --logs /mnt/logs --dir /tmp/nowhere \
    --report /mnt/report.html --unit /run/systemd/system/bhiv.service
echo "scenario $?"
"""

BARE = """[Unit]
DefaultDependencies=no
Wants=work.service
"""
WORKER = """[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
ExecStart=/mnt/work
"""
# Nothing else of a system is there that it could come after.
ALONE = """[Unit]
DefaultDependencies=no
After=
[Service]
StandardError=append:/mnt/log
StandardOutput=append:/mnt/log
"""


def control_groups():
    """Where the unified hierarchy is mounted."""
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        place, kind = line.split(" - ")
        if kind.startswith("cgroup2 "):
            return pathlib.Path(place.split()[4])
    return None


def prepare(folder, bhiv):
    units, out = folder / "units", folder / "out"
    out.mkdir()
    shutil.copy(bhiv, folder / "bhiv")
    (out / "work").write_text(WORK)
    (out / "work").chmod(0o755)
    out.chmod(0o777)  # the unit's own user may write its log
    for name in ("bhiv.service.d", "bhiv-fault-.service.d"):
        (units / name).mkdir(parents=True)
        (units / name / "alone.conf").write_text(ALONE)
    shutil.copy(ROOT / "scripts/bhiv.service", units)
    (units / "bare.target").write_text(BARE)
    (units / "work.service").write_text(WORKER)


@pytest.fixture(scope="module")
def done(bhiv, tmp_path_factory):
    """What was said in it, by line, and the folder that it wrote to."""
    groups = control_groups()
    if os.geteuid() != 0 or SYSTEMD is None or groups is None or not os.access(groups, os.W_OK):
        pytest.skip("needs root, systemd and a control group of its own")
    folder = tmp_path_factory.mktemp("systemd")
    prepare(folder, bhiv)
    group = groups / f"bhiv-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no control group: {error}")
    try:
        with open(folder / "said", "w", encoding="utf-8") as said:
            subprocess.run(
                ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec unshare --fork --pid --mount --uts '
                 '--ipc --net --cgroup --kill-child sh -c "$0" sh "$1" "$2"', ENTER, str(folder), SYSTEMD],
                stdout=said, stderr=said, timeout=90, check=False)
        if not (folder / "ready").exists():
            pytest.skip(f"no system of its own: {(folder / 'said').read_text()[-300:]}")
        words = (folder / "out/words").read_text()
        print(words)
        if (folder / "out/log").exists():
            print((folder / "out/log").read_text()[-3000:])
        yield words.splitlines(), folder / "out"
    finally:
        def removed():
            for path in sorted(group.rglob("*"), reverse=True):
                if path.is_dir():
                    path.rmdir()
            group.rmdir()
            return True

        def remove():
            try:
                return removed()
            except OSError:
                return False  # its last process is not quite gone

        eventually(remove, 10, 0.1, "the end of its control group")


def test_the_shipped_unit_starts_restarts_and_stops_as_it_is(done):
    lines, _ = done
    assert "started 0" in lines
    [user] = [line.split()[1] for line in lines if line.startswith("user ")]
    assert user not in ("root", "0"), "it does not run as a user of its own"
    assert "published 0" in lines
    assert "restarts 1 active" in lines
    assert "events 1" in lines, "what was acknowledged before the kill is there after it"
    assert "stopped 0 success" in lines


def test_the_scenario_passes_where_systemd_is_the_first_process(done):
    lines, out = done
    assert "scenario 0" in lines
    [summary] = [json.loads(path.read_text()) for path in out.glob("logs/faults/*_summary.json")]
    [row] = summary["scenarios"]
    assert row["scenario"] == "systemd" and row["status"] == "passed", row
    assert row["checks"] >= 5 and row["restarts"] == 1 and 0 < row["took_ms"] <= row["within_ms"]

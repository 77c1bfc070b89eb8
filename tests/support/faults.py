"""A disk, a clock and a memory that fail on demand: the test's side of fault/shim/fault_shim.h."""

import mmap
import struct

NAMES = (
    "ops", "action", "error", "start", "count", "bytes", "hold", "cut", "power", "seed", "clock_us",
    "only_pid", "writes", "syncs", "mallocs", "matched", "failed", "died", "waiting",
    "foreign",
)  # as in fault_page_t
SIZE = 4096
SECTOR = 512
WRITE, SYNC, MALLOC = 1, 2, 4
FAIL, SHORT, DIE = 0, 1, 2
STAYS, LOST, MIXED = 0, 1, 2


class Faults:
    """The faults of all programs that were started with `env`. `folder`: whose files may fail.

    Every number of the page is an attribute: `faults.syncs`, `faults.hold = 1`.
    """

    def __init__(self, shim, path, folder, power=STAYS):
        path.write_bytes(bytes(SIZE))
        with open(path, "r+b") as file:
            object.__setattr__(self, "page", mmap.mmap(file.fileno(), SIZE))
        object.__setattr__(self, "env", {
            "LD_PRELOAD": str(shim), "FAULT_PAGE": str(path), "FAULT_DIR": str(folder.resolve()),
        })
        self.power = power

    def __getattr__(self, name):
        return struct.unpack_from("q", self.page, NAMES.index(name) * 8)[0]

    def __setattr__(self, name, value):
        struct.pack_into("q", self.page, NAMES.index(name) * 8, value)

    def arm(self, ops, action=FAIL, error=0, start=1, count=0, size=0):
        """From the `start`-th further call of `ops` on, `count` calls (0: all) fail so."""
        self.ops = 0
        self.matched, self.failed, self.foreign = 0, 0, 0
        self.action, self.error, self.start, self.count, self.bytes = action, error, start, count, size
        self.ops = ops

    def clear(self):
        """Everything works from now on, and nothing dies."""
        self.ops, self.hold, self.cut = 0, 0, 0

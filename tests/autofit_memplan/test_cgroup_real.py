"""The kernel's own cgroup files of this process, read for real.

Nothing is changed on the machine unless MEMPLAN_TEST_CGROUP names a cgroup directory (version 1 or
2, with the memory controller given to its children) in which a child may be made for a moment.
"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from autofit_memplan._host_memory import (
    _NO_LIMIT_BYTES,
    _V1,
    _cgroup_directories,
    cgroup_accounts,
)

MIB, GIB = 2**20, 2**30
SPACIOUS = 64 * GIB


def memory_cgroup():
    """The directory and version of this process's own memory cgroup."""
    for directory, controller in _cgroup_directories(Path("/proc")):
        if (directory / controller.usage).exists():
            return directory, controller
    pytest.skip("this process is in no cgroup that accounts for memory (the root has no account)")


def test_the_kernel_agrees_that_this_process_is_in_there():
    directory, _ = memory_cgroup()
    assert os.getpid() in map(int, (directory / "cgroup.procs").read_text().split())


def test_the_tightest_limit_is_the_one_that_the_kernel_states():
    directory, controller = memory_cgroup()
    if controller is not _V1:
        pytest.skip("only version 1 states the tightest limit of the hierarchy")
    stat = dict(line.split() for line in (directory / "memory.stat").read_text().splitlines())
    stated = int(stat["hierarchical_memory_limit"])
    found = [account.lines[0].bytes for account in cgroup_accounts()[0]]
    assert min(found, default=_NO_LIMIT_BYTES) == min(stated, _NO_LIMIT_BYTES)


def test_what_the_process_holds_is_taken_off_once(tmp_path):
    """The kernel's usage of this very process, under a limit that only the test knows."""
    directory, controller = memory_cgroup()
    for name in (controller.usage, "memory.stat"):
        (tmp_path / name).symlink_to(directory / name)
    (tmp_path / controller.limits[0]).write_text(f"{SPACIOUS}\n")
    kind, member = ("cgroup", "4:memory:/") if controller is _V1 else ("cgroup2", "0::/")
    proc = tmp_path / "proc" / "self"
    proc.mkdir(parents=True)
    (proc / "mountinfo").write_text(f"30 22 0:26 / {tmp_path} rw - {kind} {kind} rw,memory\n")
    (proc / "cgroup").write_text(f"{member}\n")

    def left() -> int:
        (account,), _ = cgroup_accounts(tmp_path / "proc")
        assert account.lines[0].bytes == SPACIOUS
        return account.total_bytes

    n_bytes = 256 * MIB

    def taken() -> int:
        time.sleep(0.2)
        before = left()
        assert 0 < before < SPACIOUS - SPACIOUS // 20
        held = np.ones(n_bytes, np.uint8)
        after = left()
        del held
        return before - after

    # The account is that of all processes of the cgroup, those of other tests among them.
    assert median(taken() for _ in range(9)) == pytest.approx(n_bytes, rel=0.3)


PROBE = """
import os, sys
open(sys.argv[1], "w").write(str(os.getpid()))
from autofit_memplan._host_memory import cgroup_accounts
account = min(cgroup_accounts()[0], key=lambda account: account.total_bytes)
print(account.lines[0].bytes, account.total_bytes, flush=True)
held = bytearray(int(float(sys.argv[2]) * account.total_bytes))
print(len(held))
"""


@pytest.mark.parametrize("share", [0.9, 3.0])
def test_the_kernel_keeps_to_the_same_limit(share):
    """In a child cgroup of 1 GiB a process may take its budget; well above, the kernel kills it."""
    parent = os.environ.get("MEMPLAN_TEST_CGROUP")
    if not parent:
        pytest.skip("MEMPLAN_TEST_CGROUP names no cgroup in which a child may be made")
    child = Path(parent) / f"memplan-test-{os.getpid()}"
    try:
        child.mkdir()
    except OSError as error:
        pytest.skip(f"no child cgroup can be made: {error}")
    try:
        is_v1 = (child / "memory.limit_in_bytes").exists()
        (child / ("memory.limit_in_bytes" if is_v1 else "memory.max")).write_text(str(GIB))
        swap = child / ("memory.memsw.limit_in_bytes" if is_v1 else "memory.swap.max")
        if swap.exists():
            swap.write_text(str(GIB if is_v1 else 0))
        done = subprocess.run(
            [sys.executable, "-c", PROBE, child / "cgroup.procs", str(share)],
            capture_output=True,
            text=True,
            timeout=60,
        )
    finally:
        child.rmdir()
    limit, budget = map(int, done.stdout.split()[:2])
    assert limit == GIB
    assert 0.2 * GIB < budget < GIB - 512 * MIB
    assert done.returncode == (0 if share < 1 else -signal.SIGKILL)

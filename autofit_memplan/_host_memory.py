"""How much host memory is left to this process: psutil, cgroups v1 and v2, the address space.

What the process holds already is counted once in each account: available memory excludes it, a
cgroup's usage and the process's address space include it.

Sources: the kernel's ``admin-guide/cgroup-v2``, ``admin-guide/cgroup-v1/memory`` and
``proc(5)`` (``mountinfo``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from autofit_memplan._account import Account
from autofit_memplan.records import BudgetLine
from autofit_memplan.units import MIB

# Kept back on the host, of the memory that binds. XLA's CPU client has no pool with a cap: a
# compile takes a few hundred MB beside the program's own buffers, the garbage of Python and the C
# allocator moves by as much, and the kernel's out-of-memory killer gives no second chance.
_RESERVE_FLOOR_BYTES = 512 * MIB  # tracing and compiling a fit took 0.37 to 0.43 GiB
_RESERVE_DIVISOR = 20  # 5 %

# Version 1 writes "no limit" as the largest page-aligned 63-bit number.
_NO_LIMIT_BYTES = 1 << 60


class _Controller(NamedTuple):
    """The file names of one cgroup version's memory controller."""

    limits: tuple[str, ...]
    usage: str
    # First found counts. The cache of inactive files is given up before anything is killed.
    reclaimable: tuple[str, ...]


_V1 = _Controller(
    ("memory.limit_in_bytes",), "memory.usage_in_bytes", ("total_inactive_file", "inactive_file")
)
# memory.high kills nothing but stalls whoever is above it, which to a run looks like a hang.
_V2 = _Controller(("memory.max", "memory.high"), "memory.current", ("inactive_file",))


def host_accounts(proc_root: Path = Path("/proc")) -> tuple[list[Account], list[str]]:
    """Every account of the host memory left to this process, and what could not be read.

    Parameters
    ----------
    proc_root
        Where the kernel's process files are; another place in tests.

    Returns
    -------
    accounts, notes
        At least the account of available memory.
    """
    memory = psutil.virtual_memory()
    available = Account(
        "available memory",
        (
            BudgetLine(
                label="available memory", bytes=memory.available, source="psutil.virtual_memory"
            ),
            _reserve_line(memory.total),
        ),
    )
    cgroups, notes = cgroup_accounts(proc_root)
    return [available, *cgroups, *_address_space_accounts()], notes


def cgroup_accounts(proc_root: Path = Path("/proc")) -> tuple[list[Account], list[str]]:
    """One account for each cgroup, from this process's own up to the root, that has a limit.

    Limits nest: a parent's limit holds for all its children together, so each level counts.
    None is found on systems without cgroups.

    Returns
    -------
    accounts, notes
        A note for each limit whose usage could not be read.
    """
    accounts, notes = [], []
    for directory, controller in _cgroup_directories(proc_root):
        for name in controller.limits:
            limit = _read_int(directory / name)
            if limit is None or limit >= _NO_LIMIT_BYTES:
                continue
            usage = _read_int(directory / controller.usage)
            if usage is None:
                notes.append(
                    f"{directory / name}: limit found, but {controller.usage} cannot be read; "
                    "this limit is not counted"
                )
                continue
            cache = _reclaimable_bytes(directory / "memory.stat", controller)
            lines = (
                BudgetLine(label="cgroup limit", bytes=limit, source=str(directory / name)),
                BudgetLine(
                    label="in use in the cgroup",
                    bytes=-max(usage - cache, 0),
                    source=f"{controller.usage} less inactive_file",
                ),
                _reserve_line(limit),
            )
            accounts.append(Account(f"cgroup {directory / name}", lines))
    return accounts, notes


def _reserve_line(total_bytes: int) -> BudgetLine:
    reserve = max(_RESERVE_FLOOR_BYTES, total_bytes // _RESERVE_DIVISOR)
    return BudgetLine(label="reserve", bytes=-reserve, source="5 % of the total, at least 512 MiB")


def _address_space_accounts() -> list[Account]:
    """The account of ``ulimit -v`` where one is set (Linux; others do not enforce it)."""
    if not hasattr(psutil, "RLIMIT_AS"):
        return []
    process = psutil.Process()
    soft_limit, _ = process.rlimit(psutil.RLIMIT_AS)
    if soft_limit == psutil.RLIM_INFINITY:
        return []
    lines = (
        BudgetLine(label="address space limit", bytes=soft_limit, source="ulimit -v"),
        BudgetLine(
            label="address space in use",
            bytes=-process.memory_info().vms,
            source="psutil.Process.memory_info",
        ),
        _reserve_line(soft_limit),
    )
    return [Account("address space (ulimit -v)", lines)]


def _cgroup_directories(proc_root: Path) -> Iterator[tuple[Path, _Controller]]:
    """This process's memory cgroup directories and all their parents, of both versions."""
    try:
        # The names of mount points and cgroups may be of any encoding.
        mounts, memberships = (
            (proc_root / "self" / name).read_text(errors="surrogateescape").splitlines()
            for name in ("mountinfo", "cgroup")
        )
    except OSError:
        return
    paths: dict[str, str] = {}  # "" (version 2) or a controller's name -> path in its hierarchy
    for membership in memberships:
        _, names, path = membership.split(":", 2)
        paths.update(dict.fromkeys(names.split(","), path))

    for mount in mounts:
        before, _, after = mount.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind == "cgroup2" and "" in paths:
            path, controller = paths[""], _V2
        elif kind == "cgroup" and "memory" in options.split(",") and "memory" in paths:
            path, controller = paths["memory"], _V1
        else:
            continue
        root, mount_point = (_unescape(field) for field in before.split(" ")[3:5])
        top = Path(mount_point)
        # In a container the mount may show only a part of the hierarchy, this process's own. A
        # path outside that part ("/../..") cannot be walked: its nearest visible level is the top.
        inside = path == root or path.startswith(root.rstrip("/") + "/")
        parts = Path(path).relative_to(root).parts if inside and ".." not in path else ()
        for depth in range(len(parts), -1, -1):
            yield top.joinpath(*parts[:depth]), controller


def _unescape(field: str) -> str:
    """Undo mountinfo's octal escapes (a space is written as backslash 040)."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)


def _read_int(path: Path) -> int | None:
    """The number in a file; ``None`` for "max", or when it is missing or unreadable."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _reclaimable_bytes(path: Path, controller: _Controller) -> int:
    """Page cache that the kernel would drop; zero where unknown, which errs to the safe side."""
    try:
        fields = dict(line.split(" ", 1) for line in path.read_text().splitlines())
    except (OSError, ValueError):
        return 0
    return next((int(fields[key]) for key in controller.reclaimable if key in fields), 0)

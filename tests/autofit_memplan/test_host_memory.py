"""cgroup trees as kernels, Docker and Slurm lay them out, and this machine's own."""

import subprocess
import sys
from pathlib import Path

import jax
import psutil
import pytest

from autofit_memplan import budget as budget_module
from autofit_memplan import read_budget
from autofit_memplan._host_memory import cgroup_accounts, host_accounts

MIB = 2**20
GIB = 2**30
V1_NO_LIMIT = 9_223_372_036_854_771_712


class Tree:
    """Writes a /proc and the cgroup directories that it points to."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.proc = root / "proc"
        (self.proc / "self").mkdir(parents=True)
        self.mounts: list[str] = ["22 1 0:20 / /proc rw - proc proc rw"]

    def mount(self, kind: str, options: str, *, root: str = "/", at: str = "cgroup") -> Path:
        point = self.root / at
        point.mkdir(parents=True, exist_ok=True)
        escaped = str(point).replace(" ", "\\040")
        number = 30 + len(self.mounts)
        # The optional field (shared:9) comes in any number before the hyphen.
        self.mounts.append(
            f"{number} 22 0:26 {root} {escaped} rw,nosuid shared:9 - {kind} {kind} {options}"
        )
        return point

    def finish(self, memberships: str) -> Path:
        mounts = "\n".join(self.mounts) + "\n"
        (self.proc / "self" / "mountinfo").write_text(mounts, errors="surrogateescape")
        (self.proc / "self" / "cgroup").write_text(memberships)
        return self.proc


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


def v2(directory: Path, limit: int | str, usage: int, inactive_file: int, high="max") -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "memory.max").write_text(f"{limit}\n")
    (directory / "memory.high").write_text(f"{high}\n")
    (directory / "memory.current").write_text(f"{usage}\n")
    (directory / "memory.stat").write_text(
        f"anon {usage - inactive_file}\nfile {inactive_file}\ninactive_file {inactive_file}\n"
    )


def v1(directory: Path, limit: int, usage: int, inactive_file: int) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "memory.limit_in_bytes").write_text(f"{limit}\n")
    (directory / "memory.usage_in_bytes").write_text(f"{usage}\n")
    # The plain key is this level alone; the total_ key goes with the hierarchical usage.
    (directory / "memory.stat").write_text(
        f"cache 1\ninactive_file 0\ntotal_inactive_file {inactive_file}\n"
    )


def figures(account) -> list[int]:
    return [line.bytes for line in account.lines]


def test_v2_every_level_with_a_limit_counts(tree):
    top = tree.mount("cgroup2", "rw,nsdelegate")
    v2(top / "user.slice", 16 * GIB, 13 * GIB, 1 * GIB)
    v2(top / "user.slice" / "job", 12 * GIB, 3 * GIB, 2 * GIB)
    v2(top / "user.slice" / "job" / "step", "max", 3 * GIB, 2 * GIB)
    accounts, notes = cgroup_accounts(tree.finish("0::/user.slice/job/step\n"))
    assert notes == []
    job, user = accounts
    assert figures(job) == [12 * GIB, -1 * GIB, -(12 * GIB // 20)]
    assert figures(user) == [16 * GIB, -12 * GIB, -(16 * GIB // 20)]
    # The job has 7 GiB to its own limit, but its parent is the tighter one.
    assert user.total_bytes < job.total_bytes
    assert job.lines[0].source.endswith("user.slice/job/memory.max")


def test_v2_the_throttling_limit_counts_too(tree):
    top = tree.mount("cgroup2", "rw")
    v2(top / "job", 8 * GIB, 1 * GIB, 0, high=6 * GIB)
    accounts, _ = cgroup_accounts(tree.finish("0::/job\n"))
    assert [figures(a)[0] for a in accounts] == [8 * GIB, 6 * GIB]


def test_a_mount_point_of_another_encoding_hides_nothing(tree):
    tree.mounts.append("29 22 8:1 / /media/Donn\udce9es rw - ext4 /dev/sdb rw")
    top = tree.mount("cgroup2", "rw")
    v2(top / "job", 8 * GIB, 1 * GIB, 0)
    accounts, _ = cgroup_accounts(tree.finish("0::/job\n"))
    assert figures(accounts[0])[0] == 8 * GIB


def test_v1_beside_an_empty_v2_tree(tree):
    # The "hybrid" layout of systemd: the memory controller is on version 1.
    tree.mount("cgroup2", "rw", at="cgroup/unified")
    tree.mount("cgroup", "rw,cpu,cpuacct", at="cgroup/cpu")
    top = tree.mount("cgroup", "rw,memory", at="cgroup/memory")
    v1(top, V1_NO_LIMIT, 20 * GIB, 5 * GIB)
    v1(top / "slurm" / "job_7", 4 * GIB, 2 * GIB, 1 * GIB)
    proc = tree.finish("9:cpu,cpuacct:/\n4:memory:/slurm/job_7\n0::/init.scope\n")
    (account,), notes = cgroup_accounts(proc)
    assert figures(account) == [4 * GIB, -1 * GIB, -512 * MIB]
    assert notes == []


def test_v1_in_a_container_that_mounts_only_its_own_part(tree):
    # Docker without a cgroup namespace: the mount's root is this process's path.
    top = tree.mount("cgroup", "rw,memory", root="/docker/abc")
    v1(top, 2 * GIB, 1 * GIB, 0)
    (account,), _ = cgroup_accounts(tree.finish("4:memory:/docker/abc\n"))
    assert figures(account) == [2 * GIB, -1 * GIB, -512 * MIB]


def test_swap_does_not_count(tree):
    v2(tree.mount("cgroup2", "rw", at="new") / "a", 2 * GIB, 1 * GIB, 0)
    (tree.root / "new" / "a" / "memory.swap.max").write_text("max\n")
    (tree.root / "new" / "a" / "memory.swap.current").write_text("0\n")
    top = tree.mount("cgroup", "rw,memory", at="old")
    v1(top / "a", 2 * GIB, 1 * GIB, 0)
    (top / "a" / "memory.memsw.limit_in_bytes").write_text(f"{8 * GIB}\n")
    (top / "a" / "memory.memsw.usage_in_bytes").write_text(f"{1 * GIB}\n")
    accounts, _ = cgroup_accounts(tree.finish("4:memory:/a\n0::/a\n"))
    assert [account.total_bytes for account in accounts] == 2 * [1 * GIB - 512 * MIB]


@pytest.mark.parametrize("path", ["/../../other", "/elsewhere"])
def test_a_path_that_is_not_visible_falls_back_to_the_top(tree, path):
    top = tree.mount("cgroup2", "rw", root="/pod" if path == "/elsewhere" else "/")
    v2(top, 2 * GIB, 1 * GIB, 0)
    (account,), _ = cgroup_accounts(tree.finish(f"0::{path}\n"))
    assert figures(account)[0] == 2 * GIB


def test_mount_points_with_spaces(tmp_path):
    tree = Tree(tmp_path / "with space")
    top = tree.mount("cgroup2", "rw")
    v2(top / "a", 2 * GIB, 0, 0)
    accounts, _ = cgroup_accounts(tree.finish("0::/a\n"))
    assert len(accounts) == 1


def test_a_limit_without_a_readable_usage_is_said(tree):
    top = tree.mount("cgroup2", "rw")
    v2(top / "a", 2 * GIB, 0, 0)
    (top / "a" / "memory.current").unlink()
    accounts, notes = cgroup_accounts(tree.finish("0::/a\n"))
    assert accounts == []
    assert len(notes) == 1
    assert "memory.current cannot be read" in notes[0]


def test_without_statistics_the_cache_counts_as_used(tree):
    top = tree.mount("cgroup2", "rw")
    v2(top / "a", 4 * GIB, 3 * GIB, 2 * GIB)
    (top / "a" / "memory.stat").unlink()
    (account,), _ = cgroup_accounts(tree.finish("0::/a\n"))
    assert figures(account)[1] == -3 * GIB


def test_no_cgroups_at_all(tmp_path):
    assert cgroup_accounts(tmp_path) == ([], [])


def test_this_machine():
    accounts, _ = host_accounts()
    available = accounts[0]
    total = psutil.virtual_memory().total
    assert 0 < available.lines[0].bytes <= total
    if Path("/proc/meminfo").exists():  # the kernel's own estimate, in which swap has no part
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        kernel = int(fields["MemAvailable"].split()[0]) * 2**10
        assert available.lines[0].bytes == pytest.approx(kernel, rel=0.1)
    assert available.lines[1].bytes == -max(total // 20, 512 * MIB)
    cgroups = [account for account in accounts if account.name.startswith("cgroup ")]
    for account in cgroups:
        limit_file = Path(account.lines[0].source)
        assert int(limit_file.read_text()) == account.lines[0].bytes


def test_the_limit_of_a_cgroup_is_the_budget(tree, monkeypatch):
    job = tree.mount("cgroup2", "rw") / "job"
    v2(job, 2 * GIB, 512 * MIB, 0)
    proc = tree.finish("0::/job\n")
    monkeypatch.setattr(budget_module, "host_accounts", lambda: host_accounts(proc))
    budget = read_budget(jax.devices("cpu")[0])
    assert budget.limit_bytes == 2 * GIB - 512 * MIB - 512 * MIB, "what is used, and the reserve"
    assert budget.lines[0].source == f"{job}/memory.max"


def test_address_space_limit_of_a_real_process():
    if not hasattr(psutil, "RLIMIT_AS"):
        pytest.skip("this system has no per-process address space limit")
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30));"
        "from autofit_memplan._host_memory import host_accounts;"
        "a = host_accounts()[0][-1]; print(a.name, '|', [line.bytes for line in a.lines])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    name, _, lines = done.stdout.partition("|")
    limit, in_use, reserve = (int(n) for n in lines.strip(" []\n").split(","))
    assert name.startswith("address space")
    assert limit == 16 * 2**30
    assert -limit < in_use < -(10 * MIB)
    assert reserve == -(limit // 20)

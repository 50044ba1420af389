"""Budgets: the account adds up, the limit is honoured, bad input is refused."""

import types

import jax
import numpy as np
import psutil
import pytest

from autofit_memplan import budget as budget_module
from autofit_memplan._device_memory import LIBRARY_RESERVE_BYTES, WORKSPACE_BYTES
from autofit_memplan._nvml import CardReading
from autofit_memplan.budget import read_budget
from autofit_memplan.errors import BudgetError, LimitError
from autofit_memplan.records import BudgetLine

GIB = 2**30
LEFT = 56 * GIB - WORKSPACE_BYTES  # of the fake card, without limit=


@pytest.fixture
def cpu():
    return jax.devices("cpu")[0]


@pytest.fixture
def gpu(monkeypatch):
    """A stand-in for a JAX GPU device; ``card`` is what NVML would say."""
    device = types.SimpleNamespace(
        platform="gpu",
        device_kind="NVIDIA A100-SXM4-80GB",
        local_hardware_id=3,
        stats={"bytes_limit": 60 * GIB, "bytes_in_use": 4 * GIB, "pool_bytes": 60 * GIB},
        card=CardReading(19 * GIB, "NVML"),
        asked=[],
    )
    device.memory_stats = lambda: device.stats

    def read_card(ordinal):
        device.asked.append(ordinal)
        return device.card

    monkeypatch.setattr(budget_module, "read_card", read_card)
    return device


def add_up(budget) -> int:
    return sum(line.bytes for line in budget.lines if line.bytes is not None)


LIMITS = [None, 2**20, np.int64(2**20), "1 MiB", "0.5 GB", 0.25, np.float32(0.5), 1.0, "60%"]


@pytest.mark.parametrize("limit", [*LIMITS, "9000 TiB"])
def test_lines_add_up_and_have_sources(cpu, gpu, limit):
    for device in (cpu, gpu):
        budget = read_budget(device, limit=limit)
        assert add_up(budget) == budget.limit_bytes > 0
        assert all(line.source and line.label for line in budget.lines)
        assert type(budget).model_validate_json(budget.model_dump_json()) == budget


def test_the_cpu_budget_is_physical(cpu):
    budget = read_budget(cpu)
    assert budget.platform == "cpu"
    assert 0 < budget.limit_bytes < psutil.virtual_memory().total
    assert budget.largest_block_bytes is None


def test_the_default_device_is_jax_s():
    assert read_budget().device_kind == jax.devices()[0].device_kind


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        (40 * GIB, 40 * GIB),
        ("40 GiB", 40 * GIB),
        ("40GB", 40_000_000_000),
        (0.5, LEFT // 2),
        ("50 %", LEFT // 2),
        (1.0, LEFT),
        ("100%", LEFT),
        (None, LEFT),
    ],
)
def test_the_limit_is_honoured_and_shown(gpu, limit, expected):
    budget = read_budget(gpu, limit=limit)
    assert budget.limit_bytes == expected
    last = budget.lines[-1]
    if limit is None:
        assert last.source != "user"
    else:
        assert (last.source, last.bytes) == ("user", expected - LEFT)


def test_a_limit_above_what_is_there_cannot_create_memory(gpu):
    budget = read_budget(gpu, limit="70 GiB")
    assert budget.limit_bytes == LEFT
    assert budget.lines[-1] == BudgetLine(label="limit 70 GiB", bytes=0, source="user")
    assert any("limit 70 GiB is more than the 55.9 GiB" in note for note in budget.notes)


@pytest.mark.parametrize(
    "limit",
    [
        *(True, False, 0, -1, 0.0, -0.5, 1.5, float("nan"), float("inf")),
        *("0 GiB", "-1 GiB", "0%", "120%", "lots", "", "60 percent"),
        *([1], b"1 GiB", 1 + 0j),
    ],
)
def test_bad_limits_are_refused_with_the_value_and_the_forms(cpu, limit):
    with pytest.raises(LimitError, match="Give bytes as an int") as caught:
        read_budget(cpu, limit=limit)
    assert f"limit={limit!r}" in str(caught.value)


def test_a_bad_limit_is_refused_before_jax_is_asked(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: pytest.fail("JAX was asked"))
    with pytest.raises(LimitError):
        read_budget(limit="lots")


def test_the_smaller_account_binds_and_the_other_is_named(gpu, monkeypatch):
    monkeypatch.setenv("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    gpu.stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 0, "pool_bytes": 0}
    budget = read_budget(gpu)
    assert gpu.asked == [3]
    assert budget.limit_bytes == 19 * GIB - WORKSPACE_BYTES - LIBRARY_RESERVE_BYTES
    assert any("JAX's allocator (59.9 GiB left)" in note for note in budget.notes)


def test_unknown_figures_are_lines_without_bytes(gpu):
    gpu.card = CardReading(None, "NVML: unknown (Driver Not Loaded)")
    budget = read_budget(gpu)
    assert budget.limit_bytes == LEFT
    unknown = [line for line in budget.lines if line.bytes is None]
    assert [line.source for line in unknown] == ["NVML: unknown (Driver Not Loaded)"]


def test_nothing_known_needs_a_limit_in_bytes(gpu):
    def refuse():
        raise NotImplementedError("compile-only device")

    gpu.memory_stats = refuse
    gpu.card = CardReading(None, "NVML: unknown (x)")
    for limit in (None, 0.5):
        with pytest.raises(BudgetError, match=r"NVML: unknown \(x\).*Pass limit="):
            read_budget(gpu, limit=limit)
    budget = read_budget(gpu, limit="6 GiB")
    assert budget.limit_bytes == add_up(budget) == 6 * GIB
    assert any("taken as given" in note for note in budget.notes)


def test_a_full_device_is_an_error_with_its_account(gpu):
    gpu.stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 60 * GIB, "pool_bytes": 60 * GIB}
    with pytest.raises(BudgetError, match=r"allocator limit 60\.0 GiB, in use -60\.0 GiB"):
        read_budget(gpu)


def test_other_accelerators_are_not_asked_of_nvml(gpu):
    gpu.platform = "tpu"
    budget = read_budget(gpu)
    assert gpu.asked == []
    assert budget.limit_bytes == LEFT
    assert any("'tpu'" in note for note in budget.notes)


@pytest.mark.parametrize("device", ["gpu", 0])
def test_what_is_not_a_device_is_refused(device):
    with pytest.raises(BudgetError, match=r"not a JAX device.*jax\.devices"):
        read_budget(device)


@pytest.mark.parametrize(
    "limit",
    [2**63, -(10**5000), 10**5000, "8192 PiB"],
    ids=["smallest", "negative", "5,000 digits", "text"],
)
def test_a_limit_beyond_any_machine_is_refused(cpu, limit):
    with pytest.raises(LimitError, match="no machine"):
        read_budget(cpu, limit=limit)

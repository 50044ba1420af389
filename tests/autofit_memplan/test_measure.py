"""Measured peaks and speeds against arrays of known size."""

import multiprocessing
import time

import jax
import numpy as np
import pytest

from autofit_memplan.errors import LimitError, MeasureError
from autofit_memplan.excess import (
    NOISE_BYTES,
    excess_per_call,
    measured_excess,
)
from autofit_memplan.measure import Job, measure, peak_growth
from autofit_memplan.planner import plan_calls
from autofit_memplan.records import DeviceBudget
from autofit_memplan.specs import SpecError

MIB = 2**20

MODULE = """
import os
import time

import jax
import jax.numpy as jnp
import numpy as np

print("printed by the user's module")

def scattered(x):  # a matrix of 8 MiB that cannot be fused away
    rows = jnp.arange(2**10)
    matrix = jnp.zeros((2**10, 2**11), x.dtype).at[rows, 2 * rows].add(x[0])
    return jnp.sum(matrix @ jnp.cos(jnp.arange(2**11) * x[1]))

def on_the_host(x):  # 20 MiB of which XLA knows nothing
    def total(x):
        held = np.ones(x.size // 2 * 20 * 2**20, np.uint8)
        time.sleep(0.05)
        return x[..., 0] * held[0]

    return jax.pure_callback(
        total, jax.ShapeDtypeStruct((), x.dtype), x, vmap_method="broadcast_all"
    )

def vector(x):
    return x

def factory_that_dies():
    os._exit(9)
"""


@pytest.fixture(autouse=True)
def written(tmp_path, monkeypatch):
    (tmp_path / "measured_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def job(name="scattered", chunk_size=4, limit=None):
    return Job(f"measured_module:{name}", 2, "float32", limit, chunk_size)


def test_a_batch_is_predicted_measured_and_timed(capfd):
    budget, batch = measure(job())
    assert budget.platform == "cpu"
    assert batch.predicted_bytes >= 4 * 8 * MIB
    assert batch.measured_bytes == pytest.approx(batch.predicted_bytes, abs=5 * MIB)
    lower, median, upper = batch.wall_seconds
    assert 0 < lower <= median <= upper
    assert batch.evaluations_per_second == pytest.approx(4 / median)
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "printed by the user's module" in printed.err
    assert multiprocessing.active_children() == []


def test_a_batch_above_the_budget_is_not_run():
    budget, batch = measure(job(limit="20 MiB"))
    assert budget.limit_bytes == 20 * MIB < batch.predicted_bytes
    assert batch.measured_bytes is batch.wall_seconds is batch.evaluations_per_second is None
    assert batch.note == "not run: the budget is 20.0 MiB"


def test_the_processs_errors_arrive_as_they_are():
    with pytest.raises(SpecError, match="must return one floating-point number"):
        measure(job("vector"))
    with pytest.raises(LimitError, match="'much'"):
        measure(job(limit="much"))


def test_a_process_that_dies_is_a_note_and_no_measurement():
    budget, batch = measure(job("factory_that_dies"))
    assert budget is None
    assert batch.predicted_bytes is batch.measured_bytes is None
    assert "died" in batch.note
    with pytest.raises(MeasureError, match=r"batch of 2 was not measured: .*died"):
        measured_excess(job("factory_that_dies"))


def test_what_xla_does_not_see_is_the_excess():
    assert measured_excess(job("on_the_host")) == pytest.approx(20 * MIB, abs=NOISE_BYTES)


def test_a_plan_holds_the_excess_of_all_calls_made_at_once():
    budget = DeviceBudget(device_kind="cpu", platform="cpu", limit_bytes=36 * MIB)
    plan = plan_calls(lambda x: x[0], np.ones(2), 12, budget, cache=False, excess_bytes=5 * MIB)
    assert plan.calls.chunk_size == 6
    assert plan.calls.footprint.scratch_bytes == 30 * MIB
    assert plan.call.scratch_bytes == 5 * MIB
    assert plan.warnings == ("library scratch holds 5.0 MiB a call measured beyond XLA's figures",)


class Host:
    platform = "cpu"

    def memory_stats(self):
        return None


class WithoutAccount(Host):
    platform, device_kind = "gpu", "NVIDIA A100"


class Accelerator:
    """Whose allocator counts as XLA's does: a peak that never falls, and blocks of 256 bytes."""

    def __init__(self, limit=2**20):
        self.in_use, self.peak, self.limit = 1024, 4096, limit

    def memory_stats(self):
        return {
            "bytes_in_use": self.in_use,
            "peak_bytes_in_use": self.peak,
            "bytes_limit": self.limit,
        }

    def take(self, n_bytes):
        self.in_use += -(-n_bytes // 256) * 256
        self.peak = max(self.peak, self.in_use)


def test_the_growth_of_the_resident_set_is_what_an_array_takes():
    kept = []

    def run():
        kept.append(np.ones(64 * MIB, np.uint8))
        time.sleep(0.05)

    growth = peak_growth(Host(), run)
    assert growth.total_bytes == pytest.approx(64 * MIB, abs=4 * MIB)
    assert growth.own_bytes == pytest.approx(64 * MIB, abs=4 * MIB)


def test_pages_of_files_are_told_apart(tmp_path):
    """As those of libraries are, which are mapped in where they are first used."""
    path = tmp_path / "library"
    path.write_bytes(bytes(64 * MIB))
    mapped = np.memmap(path, mode="r")

    def run():
        mapped[:: 2**12].sum()
        time.sleep(0.05)

    growth = peak_growth(Host(), run)
    assert growth.total_bytes == pytest.approx(64 * MIB, abs=4 * MIB)
    assert growth.own_bytes < 4 * MIB


@pytest.mark.parametrize("taken", [0, 256, 2048, 5120])
def test_an_allocators_peak_counts_from_what_is_in_use(monkeypatch, taken):
    """Also where compiling took more: 4,096 bytes at once, of which 1,024 are left."""
    device, arrays = Accelerator(), []

    def put(array, where):
        where.take(array.nbytes)
        arrays.append(jax.numpy.asarray(array))
        return arrays[-1]

    monkeypatch.setattr(jax, "device_put", put)
    assert peak_growth(device, lambda: device.take(taken)).total_bytes == taken
    assert all(array.is_deleted() for array in arrays)


def test_what_would_be_missing_in_the_call_is_not_held(monkeypatch):
    monkeypatch.setattr(jax, "device_put", lambda *_: pytest.fail("held"))
    device = Accelerator(limit=20_000)
    growth = peak_growth(device, lambda: device.take(256))
    assert growth.total_bytes == 3072  # at most, by compiling


def test_a_gpu_without_an_account_is_not_measured_by_the_host_s():
    with pytest.raises(MeasureError, match="A100 keeps no account"):
        peak_growth(WithoutAccount(), lambda: None)


def test_the_watch_ends_with_a_run_that_fails():
    with pytest.raises(ZeroDivisionError):
        peak_growth(Host(), lambda: 1 / 0)


@pytest.mark.parametrize(
    ("measured", "excess"),
    [
        ({2: 20 * MIB, 6: 60 * MIB}, 0),
        ({2: 220 * MIB, 6: 260 * MIB}, 0),  # a workspace that does not grow
        ({2: 30 * MIB, 6: 90 * MIB}, 5 * MIB),
        ({2: 20 * MIB, 6: 60 * MIB + NOISE_BYTES}, 0),
        ({2: 10 * MIB, 6: 30 * MIB}, 0),  # less than predicted: the prediction stays
        ({2: 20 * MIB, 6: 70 * MIB + 1}, 10 * MIB // 4 + 1),  # rounded up
    ],
)
def test_the_excess_is_the_difference_of_the_slopes(measured, excess):
    assert excess_per_call({2: 20 * MIB, 6: 60 * MIB}, measured) == excess

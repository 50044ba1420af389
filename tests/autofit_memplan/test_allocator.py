"""What each of JAX's allocators is taken to hold, and the variables that set its share."""

import re
import types

import jax
import numpy as np
import pytest
from jaxlib import xla_client

from autofit_memplan._allocator import memory_fraction, read_allocator
from autofit_memplan._nvml import CardReading, unknown
from autofit_memplan.errors import BudgetError

GIB = 2**30
CARD = CardReading(70 * GIB, "NVML", 80 * GIB)
PREALLOCATE = "XLA_PYTHON_CLIENT_PREALLOCATE"
NAMES = ("XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION")


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """JAX's variables as the test sets them, and no others."""
    for name in (*NAMES, "XLA_PYTHON_CLIENT_ALLOCATOR", PREALLOCATE):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def device(stats):
    return types.SimpleNamespace(memory_stats=lambda: stats, local_hardware_id=0)


@pytest.mark.parametrize(
    "given", [{}, {NAMES[0]: ".3"}, {NAMES[1]: "0.9"}, {NAMES[0]: "1", NAMES[1]: ""}]
)
def test_the_share_is_the_one_that_jax_reads(environment, given):
    for name, text in given.items():
        environment.setenv(name, text)
    options = xla_client.generate_pjrt_gpu_plugin_options()
    # JAX leaves the default to XLA, whose documentation says 75 %.
    assert memory_fraction()[0] == options.get("memory_fraction", 0.75)


def test_both_names_are_refused_as_jax_refuses_them(environment):
    for name in NAMES:
        environment.setenv(name, "0.5")
    with pytest.raises(ValueError, match="specified together"):
        xla_client.generate_pjrt_gpu_plugin_options()
    with pytest.raises(BudgetError, match=f"both set, which JAX refuses. Unset {NAMES[1]}"):
        memory_fraction()


@pytest.mark.parametrize("text", ["75%", "0", "-0.5", "nan", "inf"])
def test_what_is_no_share_is_refused(environment, text):
    environment.setenv(NAMES[0], text)
    with pytest.raises(BudgetError, match=rf"^{NAMES[0]}='{text}' is not a share"):
        memory_fraction()


def test_every_allocator_that_jax_knows_is_known_here(environment):
    environment.setenv("XLA_PYTHON_CLIENT_ALLOCATOR", "none of them")
    with pytest.raises(ValueError, match="XLA_PYTHON_CLIENT_ALLOCATOR") as refusal:
        xla_client.generate_pjrt_gpu_plugin_options()
    names = re.findall(r'"(\w+)"', str(refusal.value))
    assert sorted(names) == ["bfc", "cuda_async", "default", "platform", "vmm"]


@pytest.mark.parametrize("key", ["bytes_limit", "bytes_in_use", "pool_bytes"])
@pytest.mark.parametrize("absent", [False, True])
def test_a_figure_that_is_not_stated_is_not_zero(key, absent):
    stats = {"bytes_limit": 60 * GIB, "bytes_in_use": GIB, "pool_bytes": 2 * GIB}
    expected = dict(stats) | {key: None}
    if absent:
        del stats[key]
    else:
        stats[key] = -1  # how JAX writes "unavailable"
    reading = read_allocator(device(stats), CARD)
    figures = (reading.limit, reading.in_use, reading.pool)
    assert [figure.bytes for figure in figures] == list(expected.values())


@pytest.mark.parametrize(
    ("pool", "free", "reach"),
    [
        (0, 1000, 1000),
        (0, 999, 900),
        (0, 729, 729),
        (0, 700, 656),
        (0, 0, 0),
        (400, 600, 1000),  # the next request is for all that is missing
        (400, 599, 400),
        (1000, 0, 1000),
    ],
)
@pytest.mark.parametrize("preallocates", [True, False])
def test_preallocation_backs_off_by_tenths_once(environment, preallocates, pool, free, reach):
    if not preallocates:
        environment.setenv(PREALLOCATE, "0")
    stats = {"bytes_limit": 1000, "bytes_in_use": 0, "pool_bytes": pool}
    reading = read_allocator(device(stats), CardReading(free, "NVML", 2000))
    assert reading.limit.bytes == (reach if preallocates else 1000)
    assert reading.is_taken_at_once is preallocates


def test_a_limit_of_zero_is_no_limit():
    stats = {"bytes_limit": 0, "bytes_in_use": 0, "pool_bytes": 0}
    assert read_allocator(device(stats), CARD).limit.bytes is None


def test_cuda_async_that_fell_back_to_bfc_is_bfc(environment):
    environment.setenv("XLA_PYTHON_CLIENT_ALLOCATOR", "cuda_async")
    stats = {"bytes_limit": 60 * GIB, "bytes_in_use": 0, "pool_bytes": 0}
    assert read_allocator(device(stats), CARD).limit.bytes == 60 * GIB


class Silent:
    """A device whose allocator gives no account; it is equal to the one that holds the arrays."""

    def __init__(self, real) -> None:
        self._real = real

    def __eq__(self, other):
        return other == self._real

    __hash__ = None

    def memory_stats(self):
        return None


def test_vmm_holds_what_the_live_arrays_hold():
    real = jax.devices()[0]
    before = read_allocator(Silent(real), CARD).in_use.bytes
    held = jax.device_put(np.ones((3, 1000), np.float32), real)
    assert read_allocator(Silent(real), CARD).in_use.bytes - before == held.nbytes == 12_000
    elsewhere = read_allocator(device(None), CARD)
    assert elsewhere.in_use.bytes == 0
    assert elsewhere.limit.bytes == 60 * GIB


def test_vmm_on_a_card_without_a_total_is_unknown():
    reading = read_allocator(device(None), unknown("x"))
    assert (reading.limit.bytes, reading.in_use.bytes, reading.pool.bytes) == (None, None, None)

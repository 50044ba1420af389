"""XLA's real GPU compiler on a machine without a GPU."""

import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import psutil
import pytest

from autofit_memplan import TargetError, _compile_only, chunked_vmap, plan_calls, read_budget
from autofit_memplan._portable import portable
from autofit_memplan.footprint import compile_program
from autofit_memplan.jaxprs import nbytes
from autofit_memplan.solver import larger
from autofit_memplan.targets import TARGETS

MIB, GIB = 2**20, 2**30

needs_plugin = pytest.mark.usefixtures("cuda_plugin")


X = jax.ShapeDtypeStruct((512,), "float32")


def matrix_sorted(x):
    return jnp.sort(jnp.outer(x, x), axis=0).sum()


def for_a100(fn, *args):
    return compile_program(fn, *args, platform="gpu", target="a100-sxm-80gb")


@needs_plugin
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_every_target_compiles(target):
    program = compile_program(matrix_sorted, X, platform="gpu", target=target.name)
    (sharding,) = jax.tree.leaves(program.executable.output_shardings)
    (device,) = sharding.device_set
    assert (device.platform, device.device_kind) == ("gpu", target.device_kind)
    assert program.footprint.temp_bytes >= 512 * 512 * 4


@needs_plugin
def test_the_figures_are_xla_s_to_the_byte():
    large = np.arange(3 * 2**18, dtype="float32").reshape(-1, 512)  # 3 MiB
    small = np.arange(512, dtype="float32")

    def fn(x):
        return matrix_sorted(x * small) + (large @ x).sum(), jnp.fft.fft(x).real

    program = for_a100(fn, X)
    stats, footprint = program.executable.memory_analysis(), program.footprint
    assert footprint.constant_bytes == large.nbytes + small.nbytes
    assert footprint.argument_bytes == X.size * 4
    of_xla = (
        stats.argument_size_in_bytes
        + stats.output_size_in_bytes
        - stats.alias_size_in_bytes
        + stats.temp_size_in_bytes
    )
    # The large constant is an argument of the executable, the small one is inside of it.
    assert footprint.scratch_bytes > 0
    assert footprint.total_bytes == of_xla + footprint.scratch_bytes + small.nbytes


@needs_plugin
def test_two_gigabytes_of_constants_are_counted_once_and_never_copied():
    constant = np.zeros(2**29, "float32")  # the system gives pages only to those who touch them
    inner = jax.jit(lambda x: (constant.reshape(-1, 512) @ x).sum())

    def fn(x):
        looped = jax.lax.scan(lambda total, _: (total + inner(x), None), 0.0, length=3)[0]
        return looped + jax.lax.cond(x[0] > 0, inner, lambda x: x.sum(), x)

    before = psutil.Process().memory_info().rss
    footprint = for_a100(fn, X).footprint
    assert footprint.constant_bytes == 2 * GIB
    assert footprint.argument_bytes == X.size * 4
    assert footprint.temp_bytes < GIB
    assert psutil.Process().memory_info().rss - before < GIB


def looked_up(values):
    return np.asarray(values)


def with_host_calls(x):
    jax.debug.print("first: {}", x[0])
    jax.debug.callback(lambda value: None, x)
    shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
    x = jax.pure_callback(looked_up, shape, x, vmap_method="sequential")
    x = jax.experimental.io_callback(looked_up, shape, x, ordered=True)
    looped = jax.lax.fori_loop(0, 3, lambda _, x: jax.pure_callback(looked_up, shape, x), x)
    return matrix_sorted(looped)


@needs_plugin
def test_host_calls_are_replaced_and_named():
    program = for_a100(with_host_calls, X)
    replaced = [text for text in program.warnings if "replaced by a stand-in" in text]
    assert [text.split(":")[0] for text in replaced] == [
        "debug_print",
        "debug_callback",
        "pure_callback of looked_up",
        "io_callback of looked_up",
    ]
    without = for_a100(matrix_sorted, X)
    assert not without.warnings
    # Its matrix is still there, and next to it what the stand-ins give.
    assert program.footprint.temp_bytes >= without.footprint.temp_bytes


def test_a_program_made_portable_is_the_same_program():
    """Every kind of nesting, with a constant at each depth; values against the function's own."""
    large = np.linspace(0.5, 1.5, 2**18, dtype="float32").reshape(-1, 512)
    inner = jax.jit(lambda x: (large * x).mean(0))
    custom = jax.custom_jvp(lambda x: inner(x))
    custom.defjvp(lambda primals, tangents: (custom(*primals), tangents[0]))

    def fn(x, n):
        x, means = jax.lax.scan(lambda x, s: (inner(x) * s, x.mean()), x, jnp.arange(3.0) + 1)
        x = jax.lax.while_loop(lambda x: inner(x).sum() < n, lambda x: custom(x) * 2, x)
        x = jax.lax.cond(x[0] > 0, lambda x: inner(x), lambda x: -x, x)
        x = x + jax.lax.switch(n, [lambda x: x, custom, lambda x: 2 * inner(x)], x)
        return jax.checkpoint(inner)(x), means

    x = np.linspace(0.1, 1, 512, dtype="float32")
    program = portable(jax.jit(fn).trace(x, 2).jaxpr)
    assert [nbytes(constant) for constant in program.constants] == [large.nbytes]
    results = jax.jit(program.fn)(program.constants, x, 2)
    for ours, theirs in zip(results, fn(x, 2), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    again = jax.make_jaxpr(program.fn)(program.constants, x, 2)
    assert not again.consts


@needs_plugin
def test_a_device_named_inside_the_function_is_no_silent_cpu_plan():
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])

    def fn(x):
        return jax.jit(matrix_sorted, out_shardings=here)(x)

    with pytest.raises(TargetError, match=r"not one for a100-sxm-80gb alone: .* platform CPU"):
        for_a100(fn, X)


# Plans


@needs_plugin
def test_the_chunk_is_the_largest_that_fits():
    limit = 5 * MIB
    plan = plan_calls(matrix_sorted, X, 20, read_budget(target="h100", limit=limit))
    chunk = plan.calls.chunk_size
    assert 1 < chunk < 20
    assert plan.calls.predicted_bytes <= limit
    assert plan.calls.compiles <= 4
    above = chunked_vmap(matrix_sorted, larger(20, chunk))
    stacked = jax.ShapeDtypeStruct((20, 512), "float32")
    program = compile_program(above, stacked, platform="gpu", target="h100")
    assert program.footprint.total_bytes > limit
    with pytest.raises(TargetError, match="h100-sxm, which is not here"):
        plan.executable("calls")


@needs_plugin
def test_memory_that_is_not_linear_in_the_batch_still_fits():
    def fn(x):
        return jnp.linalg.slogdet(jnp.outer(x, x) + jnp.eye(64))[1]

    def bytes_per_call(batch):
        shape = jax.ShapeDtypeStruct((batch, 64), "float32")
        return for_a100(jax.vmap(fn), shape).footprint.total_bytes / batch

    assert bytes_per_call(4) < 0.6 * bytes_per_call(2)
    limit = 1200 * 1024
    budget = read_budget(target="a100-sxm-80gb", limit=limit)
    plan = plan_calls(fn, jax.ShapeDtypeStruct((64,), "float32"), 60, budget)
    assert 1 < plan.calls.chunk_size < 60
    assert plan.calls.predicted_bytes <= limit


NSS_PLAN = """
import autofit, jax, json
from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit_memplan import plan_nss, read_budget
from benchmarks.likelihoods import dense_mapping
names = []
jax.monitoring.register_event_duration_secs_listener(lambda event, _, fun_name="", **__:
    names.append(fun_name) if event == "/jax/core/compile/backend_compile_duration" else None)
def plan(limit, chunk_size):
    return plan_nss(build_chunked_nss_algorithm, loglikelihood_fn=dense_mapping(1000, 200),
        logprior_fn=lambda x: 0.0 * x.sum(), n_dim=5, n_live=30, num_delete=10, num_inner_steps=5,
        budget=read_budget(target="a100-sxm-80gb", limit=limit), calls_held=1,
        chunk_size=chunk_size)
lanes, upstream = plan("10 MiB", "auto"), plan(None, None)
print(json.dumps({"call": lanes.call.model_dump(), "lanes": lanes.model_dump(),
    "upstream": upstream.model_dump(), "names": names}))
"""


@needs_plugin
def test_a_lane_of_the_step_holds_one_call_where_upstream_holds_two():
    run = subprocess.run(
        [sys.executable, "-c", NSS_PLAN], capture_output=True, text=True, timeout=200
    )
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    call = result["call"]["total_bytes"]
    init, step = result["lanes"]["programs"]
    assert call >= 1000 * 200 * 8
    assert step["chunk_size"] < 10 and init["chunk_size"] < 30
    assert step["footprint"]["temp_bytes"] <= 1.06 * step["chunk_size"] * call
    assert init["compiles"] + step["compiles"] <= 2 + 3
    upstream = result["upstream"]["programs"][1]
    assert upstream["footprint"]["temp_bytes"] >= 1.5 * 10 * call


# What is missing


@pytest.fixture
def without_topology(monkeypatch):
    """As it is where JAX has found no CUDA plugin."""

    def missing(target):
        raise NotImplementedError("topology not implemented for cuda")

    monkeypatch.setattr(_compile_only, "_topology", missing)
    _compile_only.compile_only_device.cache_clear()
    yield
    _compile_only.compile_only_device.cache_clear()


def test_without_the_plugin_the_error_says_what_to_install(monkeypatch, without_topology):
    monkeypatch.setattr(_compile_only, "entry_points", lambda group: ())
    with pytest.raises(
        TargetError, match=r"pip install 'jax\[cuda12-local\]' nvidia-cuda-nvcc-cu12"
    ):
        for_a100(matrix_sorted, X)


def test_a_plugin_that_refuses_is_named(monkeypatch, without_topology):
    class Entry:
        value = "jax_plugins.xla_cuda12"

        def load(self):
            raise OSError("wrong version")

    monkeypatch.setattr(_compile_only, "entry_points", lambda group: (Entry(),))
    with pytest.raises(TargetError, match=r"xla_cuda12\) does not start: wrong version.*PLATFORMS"):
        for_a100(matrix_sorted, X)


@needs_plugin
def test_without_an_assembler_the_error_says_so(monkeypatch):
    def no_ptxas(self, **_):
        raise jax.errors.JaxRuntimeError("UNAVAILABLE: Neither ptxas/nvlink nor nvjtlink")

    monkeypatch.setattr(jax.stages.Lowered, "compile", no_ptxas)
    with pytest.raises(TargetError, match=r"no assembler for a100-sxm-80gb.*nvidia-cuda-nvcc-cu12"):
        for_a100(matrix_sorted, X)

"""Footprints of programs whose memory is known, and compiler options that cannot hang."""

import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autofit_memplan import AnalysisUnavailableError
from autofit_memplan.compiler import compiler_options, protects_from_deadlock
from autofit_memplan.footprint import compile_program

FLOAT = 4


def sorted_product(x):
    # Sorting cannot be fused into the product, so one (n, n) matrix has to exist.
    return jnp.sort(jnp.outer(x, x), axis=0) @ x, x.sum()


def test_every_part_is_what_the_shapes_say():
    n = 512
    program = compile_program(sorted_product, jax.ShapeDtypeStruct((n,), "float32"), platform="cpu")
    footprint = program.footprint
    assert footprint.argument_bytes == n * FLOAT
    assert n * FLOAT + FLOAT <= footprint.output_bytes <= n * FLOAT + FLOAT + 64  # a tuple's table
    assert n * n * FLOAT <= footprint.temp_bytes <= 3 * n * n * FLOAT
    assert footprint.alias_bytes == footprint.constant_bytes == 0
    assert footprint.scratch_bytes == 2 * n * FLOAT  # two rows, for sorting
    xla = (footprint.argument_bytes, footprint.output_bytes, footprint.temp_bytes)
    assert footprint.total_bytes == sum(xla) + footprint.scratch_bytes
    assert footprint.compile_seconds > 0
    assert program.warnings == ()


def test_the_executable_runs_and_gives_the_right_values():
    x = np.linspace(0, 1, 512, dtype="float32")
    program = compile_program(sorted_product, x, platform="cpu")
    product, total = program.executable(x)
    np.testing.assert_allclose(product, np.sort(np.outer(x, x), axis=0) @ x, rtol=1e-4)
    np.testing.assert_allclose(total, x.sum(), rtol=1e-6)


def test_constants_are_added_to_what_xla_states():
    matrix = jnp.ones((256, 256))
    with_constant = compile_program(
        lambda x: (matrix * x).sum(1), jnp.ones(256), platform="cpu"
    ).footprint
    as_argument = compile_program(
        lambda m, x: (m * x).sum(1),
        jax.ShapeDtypeStruct((256, 256), "float32"),
        jnp.ones(256),
        platform="cpu",
    ).footprint
    assert with_constant.constant_bytes == 256 * 256 * FLOAT
    assert with_constant.argument_bytes == 256 * FLOAT
    assert with_constant.total_bytes == pytest.approx(as_argument.total_bytes, abs=64)


def test_numpy_arrays_closed_over_are_told_apart():
    arrays = [np.arange(size, dtype="float32") for size in (1000, 2000, 3000)]

    def fn(x):
        return sum((array * x).sum() for array in (*arrays, *arrays))

    footprint = compile_program(fn, 1.0, platform="cpu").footprint
    assert footprint.constant_bytes == 6000 * FLOAT


def test_library_scratch_is_asked_for_the_platform_planned_for():
    def footprint_for(platform):
        return compile_program(
            jnp.fft.fft, jnp.ones((4, 64), "complex64"), platform=platform
        ).footprint

    assert footprint_for("cpu").scratch_bytes == 64 * 8  # one line
    assert footprint_for("gpu").scratch_bytes > 2 * 4 * 64 * 8


def test_a_program_far_beyond_the_memory_is_analysed_and_warned_about():
    def fn(x):
        return jnp.sort(jnp.outer(x, x), axis=0).sum()

    program = compile_program(fn, jax.ShapeDtypeStruct((2**16,), "float32"), platform="cpu")
    assert program.footprint.temp_bytes >= 2**32 * FLOAT
    assert len(program.warnings) == 1


def test_a_backend_without_analysis_is_an_error(monkeypatch):
    monkeypatch.setattr(jax.stages.Compiled, "memory_analysis", lambda self: None)
    with pytest.raises(AnalysisUnavailableError, match="pass a chunk_size yourself"):
        compile_program(jnp.sin, 1.0, platform="cpu")


def test_other_platforms_need_no_options():
    assert compiler_options("gpu") == {}


HANGS_WITHOUT_THE_OPTION = """
import jax, jax.numpy as jnp
from autofit_memplan.footprint import compile_program
matrices = jnp.eye(128) * 4 + jnp.ones((8, 128, 128)) * 0.01
def body(carry, _):
    first, second = jnp.linalg.cholesky(matrices + carry), jnp.linalg.cholesky(matrices + 2 * carry)
    return carry + 1e-9 * (first.sum() + second.sum()), None
def fn(x):
    return jax.lax.scan(body, x, None, length=20)[0]
program = compile_program(fn, jax.ShapeDtypeStruct((), "float32"), platform="cpu").executable
for _ in range(50):
    program(jnp.float32(0)).block_until_ready()
print("ended")
"""


@pytest.mark.skipif(not protects_from_deadlock(), reason="this jaxlib has no such option")
def test_independent_batched_choleskys_end():
    run = subprocess.run(
        [sys.executable, "-c", HANGS_WITHOUT_THE_OPTION],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert run.stdout == "ended\n", run.stderr


@pytest.mark.skipif(jax.__version_info__[:2] != (0, 10), reason="known of jaxlib 0.10 alone")
def test_the_jaxlib_that_hangs_has_the_option():
    assert "xla_cpu_scheduler_type" in compiler_options("cpu")

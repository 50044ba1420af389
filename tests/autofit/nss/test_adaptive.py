"""Memory that runs out and values that are wrong: smaller chunks, and the same chain."""

import itertools
import json
import logging
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from elementwise import N_STEP, Elementwise, assert_same_bits, fit, recorded_samplings

import autofit as af
from autofit.non_linear.errors import EvidenceError, OutOfMemoryError
from autofit.non_linear.search.nest.nss._adaptive import AdaptiveProgram, is_out_of_memory
from autofit.non_linear.search.nest.nss._memory import Alternative, MemplanError, Plan

ON_THE_CARD = "INTERNAL: Failed to instantiate CUDA graph: CUDA_ERROR_OUT_OF_MEMORY: out of memory"
TEXTS = [
    "RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.",
    "RESOURCE_EXHAUSTED: Failed to allocate request for 2.99GiB (3206250496B) on device ordinal 0",
    ON_THE_CARD,
    "INTERNAL: Failed to load in-memory CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    "INTERNAL: jaxlib/gpu/solver_handle_pool.cc:37: operation gpusolverDnCreate(&handle) failed: "
    "cuSolver allocation failed",
    "INTERNAL: the library was not initialized: CUBLAS_STATUS_ALLOC_FAILED",
    "INTERNAL: RET_CHECK failure Failed to create cuFFT batched plan with scratch allocator",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_texts_of_a_device_without_memory_are_known(text):
    assert is_out_of_memory(jax.errors.JaxRuntimeError(text))
    assert not is_out_of_memory(ValueError(text)), "what a user's code says is another matter"


def test_other_errors_are_no_want_of_memory():
    illegal = "INTERNAL: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"
    assert not is_out_of_memory(jax.errors.JaxRuntimeError(illegal))
    assert is_out_of_memory(MemoryError())


class Planned:
    """A plan whose programs are functions: ``run(chunk_size, argument)``, out of memory at will."""

    def __init__(self, chunk_size, run, bytes_per_call=100):
        self._run, self.compiled = run, []
        self._program = SimpleNamespace(
            chunk_size=chunk_size, predicted_bytes=bytes_per_call * chunk_size
        )

    def program(self, name):
        return self._program

    def executable(self, name):
        return self.at_chunk(name, self._program.chunk_size).compile()

    def at_chunk(self, name, chunk_size):
        self.compiled.append(chunk_size)
        return Alternative(chunk_size, 0, True, lambda: lambda x: self._run(chunk_size, x))

    def release(self, name):
        pass


def adaptive(plan, limit_bytes=10**9, fault=lambda result, chunk_size: ""):
    def read_budget():
        if isinstance(limit_bytes, Exception):
            raise limit_bytes
        return SimpleNamespace(limit_bytes=limit_bytes)

    return AdaptiveProgram(plan, "step", read_budget, lambda result: result, fault)


def fails_above(chunk_size):
    def run(chunk, x):
        if chunk > chunk_size:
            raise jax.errors.JaxRuntimeError(ON_THE_CARD)
        return 2 * x

    return run


def test_ten_times_in_a_row():
    plan = Planned(2048, fails_above(2))
    program = adaptive(plan)
    assert program(21) == 42
    assert plan.compiled == [2048 >> i for i in range(11)]
    assert len(program.lowered) == 10 and "CUDA_ERROR_OUT_OF_MEMORY" in program.lowered[0]
    assert "2048 calls at once became 1024" in program.lowered[0]
    assert program(1) == 2 and len(plan.compiled) == 11, "it stays there"


def test_the_memory_that_is_free_says_how_far_down():
    plan = Planned(64, fails_above(5))
    assert adaptive(plan, limit_bytes=590)(1) == 2
    assert plan.compiled == [64, 5]


def test_nothing_left_at_all_is_no_other_error():
    """The budget cannot be read then, while a smaller chunk may still do."""
    plan = Planned(8, fails_above(4))
    assert adaptive(plan, limit_bytes=MemplanError("no memory is left"))(1) == 2
    assert plan.compiled == [8, 4]


def test_memory_may_run_out_while_the_program_is_compiled():
    plan, at_chunk = Planned(8, lambda chunk, x: 2 * x), Planned.at_chunk

    def compile_at(name, chunk_size):
        alternative = at_chunk(plan, name, chunk_size)
        if chunk_size > 2:
            raise jax.errors.JaxRuntimeError(TEXTS[0])
        return alternative

    plan.at_chunk = compile_at
    program = adaptive(plan)
    assert program(1) == 2 and plan.compiled == [8, 4, 2]


def test_memory_may_run_out_while_the_values_are_checked():
    def fault(result, chunk_size):
        if chunk_size > 4:
            raise jax.errors.JaxRuntimeError(TEXTS[1])
        return ""

    plan = Planned(8, lambda chunk, x: 2 * x)
    assert adaptive(plan, fault=fault)(1) == 2 and plan.compiled == [8, 4]


def test_at_one_call_the_error_is_clear():
    plan = Planned(4, fails_above(0))
    with pytest.raises(OutOfMemoryError, match=r"one likelihood call at a time \(INTERNAL: .*save"):
        adaptive(plan)(1)
    assert plan.compiled == [4, 2, 1]


@pytest.mark.parametrize(
    "text",
    [
        "INTERNAL: Failed to allocate 98697216 bytes for new constant",
        "INTERNAL: Attempting to perform BLAS operation using StreamExecutor without BLAS support",
        "INTERNAL: operation cublasCreate failed: CUBLAS_STATUS_NOT_INITIALIZED",
        "INTERNAL: operation gpusolverDnCreate(&handle) failed: cuSolver internal error",
    ],
)
def test_what_has_no_room_outside_the_pool_is_no_matter_of_chunks(text):
    def run(chunk, x):
        raise jax.errors.JaxRuntimeError(text)

    plan = Planned(4, run)
    with pytest.raises(
        OutOfMemoryError, match=r"closes over .*XLA_PYTHON_CLIENT_PREALLOCATE=false"
    ):
        adaptive(plan)(1)
    assert plan.compiled == [4]


def test_another_error_is_raised_as_it_is():
    def run(chunk, x):
        raise jax.errors.JaxRuntimeError("INTERNAL: CpuCallback error: ValueError: no such table")

    with pytest.raises(jax.errors.JaxRuntimeError, match="no such table"):
        adaptive(plan := Planned(4, run))(1)
    assert plan.compiled == [4]


def test_wrong_values_lead_back_to_a_chunk_that_was_right():
    plan = Planned(5, lambda chunk, x: 2 * x)
    asked = []

    def fault(result, chunk_size):
        asked.append(chunk_size)
        return "" if chunk_size <= 5 else "wrong"

    program = adaptive(plan, fault=fault)
    program(1)
    program.use(plan.at_chunk("step", 13))
    assert program(1) == 2 and program.chunk_size == 5
    assert plan.compiled == [5, 13], "its program is still there"
    program(1)
    assert asked == [5, 13], "asked once for each"


def on_trial(plan, chunk_size, **options):
    """A program that has run at its chunk size, with another one on trial."""
    program = adaptive(plan, **options)
    program(1)
    program.proven = program.chunk_size
    program.use(plan.at_chunk("step", chunk_size))
    return program


@pytest.mark.parametrize("tried", [3, 13])
def test_wrong_values_of_a_chunk_on_trial_cost_nothing_else(tried):
    plan = Planned(5, lambda chunk, x: 2 * x)
    program = on_trial(plan, tried, fault=lambda result, chunk: "wrong" if chunk != 5 else "")
    assert program(21) == 42 and program.chunk_size == 5
    assert plan.compiled == [5, tried] and program.lowered == []
    (said,) = program.refused
    assert said.startswith(
        f"step: wrong at {tried} calls at once, which were tried; it goes on at 5"
    )


def test_memory_that_runs_out_on_trial_costs_nothing_else():
    plan = Planned(5, fails_above(5))
    program = on_trial(plan, 13)
    assert program(21) == 42 and program.chunk_size == 5
    assert plan.compiled == [5, 13] and program.lowered == [] and len(program.refused) == 1


def test_another_error_on_trial_costs_nothing_else_either():
    def run(chunk, x):
        if chunk > 5:
            raise jax.errors.JaxRuntimeError("INTERNAL: CUFFT_INVALID_SIZE")
        return 2 * x

    program = on_trial(Planned(5, run), 13)
    assert program(21) == 42 and program.chunk_size == 5
    assert program.refused[0].startswith("step: INTERNAL: CUFFT_INVALID_SIZE at 13 calls at once")


@pytest.mark.parametrize("helps", [True, False])
def test_before_the_chunk_is_lowered_what_else_takes_memory_may_end(helps):
    waits = [True]
    most = [2]

    def hold_off():
        if not waits:
            return False
        most[0] = 5 if helps else 2
        return waits.pop()

    plan = Planned(5, lambda chunk, x: fails_above(most[0])(chunk, x))
    program = adaptive(plan)
    program.hold_off = hold_off
    assert program(21) == 42 and waits == []
    assert (program.chunk_size, len(program.lowered)) == ((5, 0) if helps else (2, 1))
    assert plan.compiled == ([5] if helps else [5, 2])


def test_what_looking_at_values_takes_is_told_apart():
    program = adaptive(Planned(5, lambda chunk, x: 2 * x), fault=lambda *_: time.sleep(0.05) or "")
    program(1)
    assert program.check_seconds >= 0.05
    program(1)
    assert program.check_seconds == 0.0


@pytest.mark.parametrize(("left", "ways"), [(2, 1), (1, 2)])
def test_memory_that_runs_out_for_the_proven_chunk_as_well_lowers_it(left, ways):
    most = [5]
    plan = Planned(5, lambda chunk, x: fails_above(most[0])(chunk, x))
    program = on_trial(plan, 13)
    most[0] = left
    assert program(21) == 42 and program.chunk_size == left
    assert len(program.refused) == 1 and "5 calls at once became 2" in program.lowered[0]
    assert len(program.lowered) == ways


# Whole fits


@pytest.fixture
def samplings(monkeypatch):
    return recorded_samplings(monkeypatch)


@pytest.fixture
def out_of_memory_at(monkeypatch):
    """``out_of_memory_at(name, calls)``: those calls of that program, counted from 1, fail."""
    wanted, counts = {}, {"init": itertools.count(1), "step": itertools.count(1)}
    executable, at_chunk = Plan.executable, Plan.at_chunk

    def failing(name, program):
        def run(*arguments):
            if next(counts[name]) in wanted.get(name, ()):
                raise jax.errors.JaxRuntimeError(ON_THE_CARD)
            return program(*arguments)

        return run if name in counts else program

    def alternative(self, name, chunk_size):
        found = at_chunk(self, name, chunk_size)
        return found._replace(compile=lambda: failing(name, found.compile()))

    monkeypatch.setattr(Plan, "executable", lambda self, n: failing(n, executable(self, n)))
    monkeypatch.setattr(Plan, "at_chunk", alternative)
    return wanted.__setitem__


@pytest.fixture(scope="module")
def undisturbed():
    return fit(chunk_size=N_STEP, scheduler="map")


@pytest.mark.parametrize(
    ("chunk_size", "name", "calls", "chunks"),
    [
        (N_STEP, "init", [1], ["4 calls at once became 2"]),
        (N_STEP, "step", [1], ["4 calls at once became 2"]),
        (N_STEP, "step", [3, 4], ["4 calls at once became 2", "2 calls at once became 1"]),
        ("auto", "step", [3, 4], ["4 calls at once became 2", "2 calls at once became 1"]),
    ],
    ids=["init", "first step", "on the way, twice", "twice, while a faster one is looked for"],
)
def test_out_of_memory_changes_the_chunk_and_not_the_chain(
    chunk_size, name, calls, chunks, out_of_memory_at, samplings, undisturbed, caplog
):
    out_of_memory_at(name, calls)
    with caplog.at_level(logging.INFO, "autofit"):
        result = fit(chunk_size=chunk_size, scheduler="map")
    said = samplings[0].lowered
    assert [text in line for text, line in zip(chunks, said, strict=True)] == [True] * len(chunks)
    for line in said:
        assert caplog.text.count(line) == 2, "when it happens, and in the report"
    assert_same_bits(result, undisturbed)


@pytest.mark.parametrize("chunk_size", [N_STEP, "auto"])
def test_without_memory_for_one_call_the_saved_state_goes_on(
    chunk_size, out_of_memory_at, undisturbed, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYAUTOFIT_OUTPUT", str(tmp_path))
    out_of_memory_at("step", range(4, 100))
    with pytest.raises(OutOfMemoryError, match="run the same script again"):
        fit(name="cut", chunk_size=chunk_size, scheduler="map")
    assert list(tmp_path.rglob("checkpoint")) and not list(tmp_path.rglob(".completed"))
    out_of_memory_at("step", ())
    result = fit(name="cut", chunk_size=chunk_size, scheduler="map")
    assert result.samples.samples_info["ended"] == "converged"
    assert_same_bits(result, undisturbed)


class WrongInBatches(Elementwise):
    """Right alone and in pairs; a larger batch has every value too high."""

    def log_likelihood_function(self, instance):
        right = super().log_likelihood_function

        @jax.custom_batching.custom_vmap
        def value(x0, x1):
            return right(SimpleNamespace(x0=x0, x1=x1))

        @value.def_vmap
        def batched(axis_size, in_batched, x0, x1):
            values = jax.vmap(lambda a, b: right(SimpleNamespace(x0=a, x1=b)))(x0, x1)
            return values + (10.0 if axis_size > 2 else 0.0), True

        return value(instance.x0, instance.x1)


def test_wrong_values_in_a_batch_lower_the_chunk(samplings):
    result = fit(WrongInBatches(), chunk_size=N_STEP, scheduler="map")
    (sampling,) = samplings
    assert [line.partition(":")[0] for line in sampling.lowered] == ["init", "step"]
    assert all("particles have another log likelihood" in line for line in sampling.lowered)
    assert all("4 calls at once became 2" in line for line in sampling.lowered)
    x = result.samples.parameters
    np.testing.assert_allclose(
        result.samples.log_likelihoods, -50.0 * (x**2).sum(axis=1), rtol=1e-9
    )


class Random(af.Analysis):
    def log_likelihood_function(self, instance):
        rng = np.random.default_rng(0)
        noise = jax.pure_callback(
            lambda x: np.asarray(rng.normal(), x.dtype),
            jax.ShapeDtypeStruct((), jnp.result_type(float)),
            instance.x0,
            vmap_method="sequential",
        )
        return noise - instance.x0**2 - instance.x1**2


def test_a_likelihood_that_is_random_ends_with_a_clear_error():
    with pytest.raises(EvidenceError, match=r"even one call at a time.*look for random numbers"):
        fit(Random(), chunk_size=2, scheduler="map")


def test_an_address_space_that_really_is_too_small():
    """XLA's own allocator refuses, in init and in the step, what was planned with more room."""
    script = Path(__file__).with_name("little_memory.py")
    process = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=240
    )
    assert process.returncode == 0, process.stderr
    report = json.loads(process.stdout.splitlines()[-1])
    assert report["planned"] == [8, 6]
    names = [line.partition(":")[0] for line in report["lowered"]]
    assert names[0] == "init" and names[-1] == "step"
    assert "RESOURCE_EXHAUSTED" in report["lowered"][0]
    assert "RESOURCE_EXHAUSTED" in report["lowered"][-1]
    assert report["same_bits"]

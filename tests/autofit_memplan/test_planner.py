"""Plans on real programs, with budgets made by hand."""

from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import live_covariance_factor

from autofit_memplan import (
    DeviceBudget,
    InfeasibleError,
    Plan,
    chunked_vmap,
    fast,
    plan_calls,
    plan_nss,
)
from autofit_memplan.footprint import compile_program
from autofit_memplan.remembered import Fastest
from autofit_memplan.solver import larger

MIB = 2**20
SIZE = 512  # a float32 matrix of this many rows and columns is 1 MiB


def budget_of(limit_bytes, **more):
    return DeviceBudget(device_kind="cpu", platform="cpu", limit_bytes=limit_bytes, **more)


def heavy(x):
    # Sorting cannot be fused away, so every call has its matrix in memory.
    grid = jnp.linspace(0.5, 1.5, SIZE)
    matrix = jnp.outer(grid, jnp.roll(grid, 3)) * (1 + 0.01 * x.sum())
    return -0.5 * (x**2).sum() - 1e-6 * jnp.sort(matrix, axis=0)[SIZE // 2].sum()


def heavy_by_numpy(x):
    grid = np.linspace(0.5, 1.5, SIZE)
    matrix = np.outer(grid, np.roll(grid, 3)) * (1 + 0.01 * x.sum())
    return -0.5 * (x**2).sum() - 1e-6 * np.sort(matrix, axis=0)[SIZE // 2].sum()


def certified(plan, name):
    """The total of XLA's own analysis of the executable that will run, and the scratch line."""
    analysis = plan.executable(name).memory_analysis()
    return (
        analysis.argument_size_in_bytes
        + analysis.output_size_in_bytes
        - analysis.alias_size_in_bytes
        + analysis.temp_size_in_bytes
        + plan.program(name).footprint.scratch_bytes
    )


# plan_calls

X = jax.ShapeDtypeStruct((3,), "float32")


@pytest.mark.parametrize("limit_mib", [4, 6, 12])
def test_the_chunk_fits_and_the_next_larger_does_not(limit_mib):
    n, limit = 20, limit_mib * MIB
    plan = plan_calls(heavy, X, n, budget_of(limit))
    chunk = plan.calls.chunk_size
    assert 1 < chunk < n
    assert plan.calls.predicted_bytes == certified(plan, "calls") <= limit
    assert plan.fits
    stacked = jax.ShapeDtypeStruct((n, 3), "float32")
    above = compile_program(chunked_vmap(heavy, larger(n, chunk)), stacked, platform="cpu")
    assert above.footprint.total_bytes > limit
    assert not plan.calls.unchunked.fits
    whole = compile_program(jax.vmap(heavy), stacked, platform="cpu").footprint.total_bytes
    assert plan.calls.unchunked.predicted_bytes == pytest.approx(whole, rel=0.1)


def test_the_certified_program_gives_the_right_values():
    xs = np.random.default_rng(0).standard_normal((7, 3)).astype("float32")
    plan = plan_calls(heavy, xs[0], 7, budget_of(5 * MIB))
    assert 1 < plan.calls.chunk_size < 7
    expected = [heavy_by_numpy(x.astype("float64")) for x in xs]
    np.testing.assert_allclose(plan.executable("calls")(xs), expected, rtol=1e-5)


def test_a_chunk_that_cannot_be_compiled_does_not_fit(monkeypatch):
    """A GPU tries kernels while it compiles, and may have no memory for that."""
    undisturbed = plan_calls(heavy, X, 20, budget_of(12 * MIB)).calls.chunk_size
    failed = []

    def failing(fn, *arguments, **options):
        if len(jax.tree.leaves(arguments)[0].shape) == 2 and not failed:
            failed.append(fn)
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: no memory to try kernels")
        return compile_program(fn, *arguments, **options)

    monkeypatch.setattr("autofit_memplan.planner.compile_program", failing)
    plan = plan_calls(heavy, X, 20, budget_of(12 * MIB))
    assert failed and 1 <= plan.calls.chunk_size < undisturbed
    assert plan.fits
    (note,) = [text for text in plan.warnings if "could not be compiled" in text]
    assert "calls at once" in note and "no memory to try kernels" in note
    failed.clear()
    with pytest.raises(jax.errors.JaxRuntimeError, match="to try kernels"):
        plan_calls(heavy, X, 20, budget_of(12 * MIB), 7)


def test_the_largest_free_block_limits_the_temporaries():
    plan = plan_calls(heavy, X, 20, budget_of(100 * MIB, largest_block_bytes=9 * MIB))
    assert 1 < plan.calls.chunk_size < 20
    assert plan.calls.footprint.temp_bytes <= 9 * MIB
    with pytest.raises(InfeasibleError, match=r"one block of one call needs .* largest free block"):
        plan_calls(heavy, X, 20, budget_of(100 * MIB, largest_block_bytes=MIB // 2))
    asked = plan_calls(heavy, X, 20, budget_of(100 * MIB, largest_block_bytes=9 * MIB), None)
    assert not asked.fits
    assert "in one block" in asked.warnings[0]


@pytest.mark.parametrize(("request_", "chunk"), [(4, 4), (9, 9), (1000, 20), (None, 20), (1, 1)])
def test_an_explicit_chunk_is_taken_and_certified_once(request_, chunk):
    plan = plan_calls(heavy, X, 20, budget_of(200 * MIB), request_)
    assert plan.calls.chunk_size == chunk
    assert plan.calls.compiles == 1
    assert plan.fits
    assert plan.calls.predicted_bytes == certified(plan, "calls")


def test_an_explicit_chunk_over_the_budget_is_a_warning():
    plan = plan_calls(heavy, X, 20, budget_of(8 * MIB), None)
    assert not plan.fits
    assert any("calls at the chunk size asked for, 20, needs" in text for text in plan.warnings)
    within = plan_calls(heavy, X, 20, budget_of(8 * MIB))
    assert not any("asked for" in text for text in within.warnings)


def test_one_call_that_does_not_fit_is_an_error_before_anything_runs():
    ran = []

    def fn(x):
        jax.debug.callback(lambda: ran.append(1))
        return heavy(x)

    before = {id(array) for array in jax.live_arrays()}
    with pytest.raises(InfeasibleError, match=r"one call needs 1\.0 MiB; the budget is 512\.0 KiB"):
        plan_calls(fn, X, 20, budget_of(MIB // 2))
    with pytest.raises(InfeasibleError) as raised:
        nss_plan(fn, budget_of(MIB // 2))
    assert raised.value.needed_bytes > raised.value.limit_bytes == MIB // 2
    assert {id(array) for array in jax.live_arrays()} <= before
    assert not ran


def test_a_batch_that_does_not_fit_by_ones_is_an_error_too():
    one = compile_program(heavy, X, platform="cpu").footprint.total_bytes
    with pytest.raises(InfeasibleError, match="calls, one call at a time, needs"):
        plan_calls(heavy, X, 2_000_000, budget_of(one + MIB))


def test_examples_may_be_trees_with_numbers_keys_and_nothing():
    def fn(tree):
        assert tree["nothing"] is None
        return tree["x"] * tree["scale"], jax.random.uniform(tree["key"]), tree["count"] + 1

    example = {"x": np.ones(3), "scale": 2.0, "count": 3, "nothing": None}
    plan = plan_calls(fn, example | {"key": jax.random.key(0)}, 5, budget_of(MIB), 2)
    stacked = {
        "x": jnp.ones((5, 3)),
        "scale": jnp.arange(5.0),
        "count": jnp.arange(5),
        "nothing": None,
        "key": jax.random.split(jax.random.key(1), 5),
    }
    x, noise, count = plan.executable("calls")(stacked)
    np.testing.assert_array_equal(x, np.arange(5.0)[:, None] * np.ones(3))
    np.testing.assert_array_equal(count, np.arange(5) + 1)
    np.testing.assert_array_equal(noise, jax.vmap(jax.random.uniform)(stacked["key"]))


def test_one_call_in_all():
    plan = plan_calls(heavy, X, 1, budget_of(10 * MIB))
    assert (plan.calls.chunk_size, plan.calls.waves) == (1, 1)
    assert plan.executable("calls")(jnp.zeros((1, 3))).shape == (1,)


@pytest.mark.parametrize(
    ("n", "chunk", "message"),
    [
        (0, "auto", "n=0"),
        (2.0, "auto", "n=2.0"),
        (5, 0, "chunk_size=0"),
        (5, True, "chunk_size=True"),
        (5, "Auto", "chunk_size='Auto'"),
    ],
)
def test_requests_that_make_no_sense_are_refused(n, chunk, message):
    with pytest.raises(ValueError, match=message):
        plan_calls(heavy, X, n, budget_of(MIB), chunk)


# plan_nss

N_LIVE, NUM_DELETE, N_DIM = 12, 6, 3


def chunked_chains(chunk_size):
    """blackjax's own update strategy with `chunked_vmap` in the place of its `jax.vmap`."""

    def strategy(constrained_step, num_inner_steps, num_delete):
        def update(rng_key, state, contour, **parameters):
            choice_key, sample_key = jax.random.split(rng_key)
            weights = (state.particles.loglikelihood > contour).astype(jnp.float32)
            start = jax.random.choice(
                choice_key, len(weights), (num_delete,), p=weights / weights.sum()
            )

            def chain(key, particle):
                def move(particle, key):
                    return constrained_step(key, particle, loglikelihood_0=contour, **parameters)

                return jax.lax.scan(move, particle, jax.random.split(key, num_inner_steps))

            particles, infos = chunked_vmap(chain, chunk_size)(
                jax.random.split(sample_key, num_delete),
                jax.tree.map(lambda x: x[start], state.particles),
            )
            birth = jnp.full_like(particles.loglikelihood_birth, contour)
            return particles._replace(loglikelihood_birth=birth), infos

        return update

    return strategy


def build(*, logprior_fn, loglikelihood_fn, num_inner_steps, num_delete, chunk_size):
    """blackjax's sampler in chunks, with the keywords that `plan_nss` uses."""
    algorithm = blackjax.nss(
        logprior_fn=logprior_fn,
        loglikelihood_fn=loglikelihood_fn,
        num_inner_steps=num_inner_steps,
        num_delete=num_delete,
        update_strategy=chunked_chains(chunk_size),
    )
    init_state = partial(
        init_state_strategy, logprior_fn=logprior_fn, loglikelihood_fn=loglikelihood_fn
    )

    def init(position, rng_key=None):
        return ns_init(
            position,
            init_state_fn=chunked_vmap(init_state, chunk_size),
            update_inner_kernel_params_fn=live_covariance_factor,
            rng_key=rng_key,
        )

    return blackjax.SamplingAlgorithm(init, algorithm.step)


def log_prior(x):
    return -0.5 * (x**2).sum() / 9


def nss_plan(loglikelihood, budget, chunk_size="auto", **more):
    return plan_nss(
        build,
        loglikelihood_fn=loglikelihood,
        logprior_fn=log_prior,
        n_dim=N_DIM,
        n_live=N_LIVE,
        num_delete=NUM_DELETE,
        num_inner_steps=2,
        budget=budget,
        chunk_size=chunk_size,
        **more,
    )


def light(x):
    return -0.5 * (x**2).sum()


def test_where_everything_fits_three_programs_are_compiled(compiled):
    def likelihood(x):  # a new one, for JAX remembers what it has compiled
        return light(x)

    plan = nss_plan(likelihood, budget_of(100 * MIB))
    assert sorted(compiled) == ["jit(init)", "jit(likelihood)", "jit(step_fn)"]
    assert (plan.init.chunk_size, plan.step.chunk_size) == (N_LIVE, NUM_DELETE)
    assert (plan.init.compiles, plan.step.compiles) == (1, 1)
    assert plan.init.unchunked.is_compiled
    assert plan.init.unchunked.fits


def test_the_programs_that_were_certified_are_those_that_run(compiled):
    plan = nss_plan(heavy, budget_of(5 * MIB))
    for name in ("init", "step"):
        assert plan.program(name).predicted_bytes == certified(plan, name) <= 5 * MIB
        assert plan.program(name).waves > 1
    assert compiled.count("jit(init)") == plan.init.compiles <= 4
    assert compiled.count("jit(step_fn)") == plan.step.compiles <= 4
    positions = np.random.default_rng(0).standard_normal((N_LIVE, N_DIM)).astype("float32")
    key = jax.random.key(0)
    compiled.clear()
    state = plan.executable("init")(positions, key)
    new_state, info = plan.executable("step")(key, state)
    assert not set(compiled) & {"jit(init)", "jit(step_fn)"}

    expected = [heavy_by_numpy(x.astype("float64")) for x in positions]
    np.testing.assert_allclose(state.particles.loglikelihood, expected, rtol=1e-4)
    upstream = blackjax.nss(
        logprior_fn=log_prior, loglikelihood_fn=heavy, num_inner_steps=2, num_delete=NUM_DELETE
    )
    theirs, their_info = jax.jit(upstream.step)(key, upstream.init(positions, rng_key=key))
    np.testing.assert_allclose(
        new_state.particles.loglikelihood, theirs.particles.loglikelihood, rtol=1e-4
    )
    np.testing.assert_allclose(
        info.particles.loglikelihood, their_info.particles.loglikelihood, rtol=1e-4
    )


def test_neither_init_nor_step_could_take_the_next_larger_chunk():
    plan = nss_plan(heavy, budget_of(5 * MIB))
    positions, key = jax.ShapeDtypeStruct((N_LIVE, N_DIM), "float32"), jax.random.key(0)

    def above(program):
        return build(
            logprior_fn=log_prior,
            loglikelihood_fn=heavy,
            num_inner_steps=2,
            num_delete=NUM_DELETE,
            chunk_size=larger(program.n, program.chunk_size),
        )

    init, step = above(plan.init).init, above(plan.step).step
    state = jax.eval_shape(init, positions, key)
    for program in (
        compile_program(init, positions, key, platform="cpu"),
        compile_program(step, key, state, platform="cpu"),
    ):
        assert program.footprint.total_bytes > 5 * MIB


@pytest.mark.parametrize("chunk", [3, None])
def test_explicit_chunks_are_certified_as_they_are(chunk):
    plan = nss_plan(heavy, budget_of(500 * MIB), chunk)
    assert plan.init.chunk_size == (chunk or N_LIVE)
    assert plan.step.chunk_size == (chunk or NUM_DELETE)
    assert (plan.init.compiles, plan.step.compiles) == (1, 1)


def test_the_caller_s_own_step_program_is_the_one_that_is_certified():
    def step_program(algorithm, chunk_size):
        def program(rng_key, state, times):
            return algorithm.step(rng_key, state)[0].particles.loglikelihood * times

        return program

    scalar = jax.ShapeDtypeStruct((), "float32")
    plan = nss_plan(light, budget_of(MIB), step_program=step_program, step_arguments=(scalar,))
    key = jax.random.key(0)
    state = plan.executable("init")(jnp.ones((N_LIVE, N_DIM)) * jnp.arange(12.0)[:, None], key)
    logls = plan.executable("step")(key, state, jnp.float32(2))
    assert logls.shape == (N_LIVE,)
    assert logls.max() <= 0


def test_plans_go_to_json_and_back():
    plan = nss_plan(light, budget_of(100 * MIB))
    assert Plan.model_validate_json(plan.model_dump_json()) == plan
    assert "fits" in str(plan.report())


def test_callbacks_are_in_the_plan_s_warnings():
    def fn(x):
        return jax.pure_callback(
            light, jax.ShapeDtypeStruct((), x.dtype), x, vmap_method="sequential"
        )

    plan = plan_calls(fn, X, 4, budget_of(MIB))
    assert [text for text in plan.warnings if "pure_callback" in text]


def test_memory_that_is_not_linear_in_the_batch_is_noted():
    # A loop over pairs carries about one more matrix than its two; a batch of all 20 does not.
    pairs, whole = (plan_calls(heavy, X, 20, budget_of(100 * MIB), chunk) for chunk in (2, None))
    assert pairs.calls.footprint.temp_bytes > 1.3 * 2 * pairs.call.temp_bytes
    assert [text for text in pairs.warnings if "memory is not linear in the batch" in text]
    assert whole.calls.footprint.temp_bytes < 1.2 * 20 * whole.call.temp_bytes
    assert whole.warnings == ()


def test_without_a_budget_the_machine_s_own_is_read():
    plan = plan_calls(light, X, 3)
    assert plan.budget.device_kind == jax.devices()[0].device_kind
    assert sum(line.bytes or 0 for line in plan.budget.lines) == plan.budget.limit_bytes


# Where the search begins, and other chunk sizes than the one that was chosen


def medium(x):
    """A call with 600 KiB of its own, of which a core's cache holds three."""
    grid = jnp.linspace(0.5, 1.5, SIZE)
    matrix = jnp.outer(grid[:300], jnp.roll(grid, 3)) * (1 + 0.01 * x.sum())
    return -0.5 * (x**2).sum() - 1e-6 * jnp.sort(matrix, axis=0)[150].sum()


@pytest.fixture
def one_core(monkeypatch):
    monkeypatch.setattr(fast, "usable_cores", lambda: 1)


def test_a_cpu_begins_with_what_its_cache_holds_and_compiles_nothing_larger(one_core, compiled):
    def likelihood(x):
        return medium(x)

    plan = nss_plan(likelihood, budget_of(100 * MIB), prefer_fast=True)
    assert (plan.step.chunk_size, plan.step.chosen_by) == (3, "CPU cache")
    assert plan.init.chosen_by == "CPU cache"
    assert compiled.count("jit(step_fn)") == plan.step.compiles == 1
    assert plan.step.predicted_bytes == certified(plan, "step")
    assert not plan.step.unchunked.is_compiled
    assert nss_plan(likelihood, budget_of(100 * MIB)).step.chosen_by == "memory"


def test_what_the_cache_holds_may_not_fit_the_budget(one_core):
    three = nss_plan(medium, budget_of(100 * MIB), prefer_fast=True).step.predicted_bytes
    plan = nss_plan(medium, budget_of(three - 1), prefer_fast=True)
    assert plan.fits and plan.step.chunk_size < 3
    assert plan.step.chosen_by == "memory"


def test_where_the_cache_holds_all_memory_has_the_word(one_core):
    plan = nss_plan(light, budget_of(100 * MIB), prefer_fast=True)
    assert (plan.step.chunk_size, plan.step.chosen_by) == (NUM_DELETE, "memory")
    assert (plan.init.chunk_size, plan.init.chosen_by) == (N_LIVE, "memory")


def test_the_chunk_that_was_fastest_is_taken_next_time():
    first = nss_plan(light, budget_of(100 * MIB), prefer_fast=True)
    first.remember("step", Fastest(chunk_size=2))
    again = nss_plan(light, budget_of(100 * MIB), prefer_fast=True)
    assert (again.step.chunk_size, again.step.chosen_by) == (2, "earlier run")
    assert again.init == first.init.model_copy(
        update={
            "compiles": 0,
            "cached": 1,
            "compile_seconds": 0.0,
            "footprint": again.init.footprint,
        }
    )
    plain = nss_plan(light, budget_of(100 * MIB))
    assert plain.step.chosen_by == "memory", "asked for the most that fits"
    asked = nss_plan(light, budget_of(100 * MIB), 3, prefer_fast=True)
    assert (asked.step.chunk_size, asked.step.chosen_by) == (3, "request")
    other = nss_plan(light, budget_of(100 * MIB), prefer_fast=True, calls_held=1)
    assert other.step.chosen_by == "memory", "another program"


def test_a_remembered_chunk_that_does_not_fit_now_is_not_taken():
    plan = nss_plan(heavy, budget_of(100 * MIB), prefer_fast=True)
    plan.remember("step", Fastest(chunk_size=5))
    tight = nss_plan(heavy, budget_of(4 * MIB), prefer_fast=True)
    assert tight.fits and tight.step.chunk_size < 5 and tight.step.chosen_by == "memory"


def test_without_the_plan_cache_nothing_is_remembered(plan_cache):
    plan = nss_plan(light, budget_of(100 * MIB), prefer_fast=True, cache=False)
    plan.remember("step", Fastest(chunk_size=2))
    assert not list(plan_cache.iterdir())


def test_the_same_program_at_another_chunk_size():
    plan = nss_plan(heavy, budget_of(8 * MIB), 2)
    other = plan.at_chunk("init", 3)
    assert other.chunk_size == 3 and other.fits
    analysis = other.compile().memory_analysis()
    temporaries = analysis.temp_size_in_bytes
    assert other.predicted_bytes >= temporaries > plan.init.footprint.temp_bytes
    positions = np.random.default_rng(0).standard_normal((N_LIVE, N_DIM)).astype("float32")
    state = other.compile()(positions, jax.random.key(0))
    expected = [heavy_by_numpy(x.astype("float64")) for x in positions]
    np.testing.assert_allclose(state.particles.loglikelihood, expected, rtol=1e-4)
    whole = plan.at_chunk("init", N_LIVE)
    assert not whole.fits and whole.predicted_bytes > 8 * MIB
    assert plan.init.chunk_size == 2, "the plan stays what it was"


def test_only_what_has_chunks_has_other_chunk_sizes():
    plan = plan_calls(light, X, 4, budget_of(MIB))
    assert plan.at_chunk("calls", 2).chunk_size == 2
    with pytest.raises(KeyError, match="has no chunks"):
        plan.at_chunk("call", 2)
    with pytest.raises(KeyError):
        Plan.model_validate_json(plan.model_dump_json()).at_chunk("calls", 2)


def test_what_was_fastest_in_little_memory_is_looked_for_again_in_more():
    tight = nss_plan(heavy, budget_of(4 * MIB), prefer_fast=True)
    tight.remember("step", Fastest(chunk_size=1))
    again = nss_plan(heavy, budget_of(4 * MIB), prefer_fast=True)
    assert (again.step.chunk_size, again.step.chosen_by) == (1, "earlier run")
    roomy = nss_plan(heavy, budget_of(100 * MIB), prefer_fast=True)
    assert roomy.step.chosen_by != "earlier run"

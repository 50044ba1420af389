"""The chunked algorithm makes the chains of `blackjax.nss`, bit for bit."""

from functools import partial

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import build_kernel

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._evaluations import CountedInfo, count_evaluations
from autofit.non_linear.search.nest.nss._lanes import make_lane_update_strategy

N_DIM, N_LIVE, NUM_DELETE, NUM_INNER_STEPS = 5, 20, 10, 10


def log_prior(x):
    return jnp.where(jnp.all(jnp.abs(x) < 10.0), 0.0, -jnp.inf).astype(x.dtype)


def log_likelihood(x):
    """A 5-D Gaussian, element by element."""
    return -0.5 * jnp.sum((x / jnp.arange(1, N_DIM + 1, dtype=x.dtype)) ** 2)


init_state = partial(init_state_strategy, logprior_fn=log_prior, loglikelihood_fn=log_likelihood)


def reference():
    return blackjax.nss(log_prior, log_likelihood, NUM_INNER_STEPS, NUM_DELETE)


def chunked(chunk_size, scheduler=None):
    return build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=log_likelihood,
        num_inner_steps=NUM_INNER_STEPS,
        num_delete=NUM_DELETE,
        chunk_size=chunk_size,
        scheduler=scheduler,
    )


def run(algorithm, dtype):
    """Init state, final state, dead points and slice infos of a whole run."""
    positions = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM), dtype, -10.0, 10.0)
    start = state = jax.jit(algorithm.init)(positions, jax.random.key(3))
    step = jax.jit(algorithm.step)
    key, infos = jax.random.key(7), []
    while not state.integrator.logZ_live - state.integrator.logZ < -3:
        key, step_key = jax.random.split(key)
        state, info = step(step_key, state)
        update_info = info.update_info
        if isinstance(update_info, CountedInfo):
            update_info = update_info.slice_info
        infos.append(info._replace(update_info=update_info))
    return start, state, infos


def assert_same_bits(left, right):
    for (path, a), b in zip(
        jax.tree_util.tree_leaves_with_path(left), jax.tree.leaves(right), strict=True
    ):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b, err_msg=jax.tree_util.keystr(path))


@pytest.fixture(scope="module", params=[jnp.float32, jnp.float64], ids=["float32", "float64"])
def upstream(request):
    # blackjax keeps float32 only where JAX's default is float32
    with jax.enable_x64(request.param == jnp.float64):
        yield request.param, run(reference(), request.param)


CHUNK_SIZES = [2, 3, 7, 10, (3, 4), (None, 2), (7, None)]


@pytest.mark.parametrize(
    "scheduler, chunk_size",
    [("lanes", 1), *((s, c) for s in ("lanes", "map") for c in CHUNK_SIZES)],
)
def test_same_bits_as_upstream(upstream, scheduler, chunk_size):
    """Live and dead points, birth contours, slice infos and evidence of a whole run."""
    dtype, expected = upstream
    assert_same_bits(run(chunked(chunk_size, scheduler), dtype), expected)


@pytest.fixture
def start():
    positions = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM), minval=-9.0, maxval=9.0)
    return jax.jit(reference().init)(positions, jax.random.key(0))


@pytest.mark.parametrize("scheduler", ["lanes", "map"])
def test_an_old_style_key_gives_the_chains_of_a_typed_one(start, scheduler):
    step = jax.jit(chunked(3, scheduler).step)
    assert_same_bits(step(jax.random.PRNGKey(7), start), step(jax.random.key(7), start))


@pytest.mark.parametrize("scheduler", ["lanes", "map"])
@pytest.mark.parametrize("kind", ["rbg", "unsafe_rbg"])
def test_a_key_whose_numbers_depend_on_the_batch_is_refused(start, scheduler, kind):
    with pytest.raises(ValueError, match=f"random numbers of {kind} keys"):
        chunked(3, scheduler).step(jax.random.key(7, impl=kind), start)


@pytest.mark.parametrize("lanes, depth", [(3, 1), (3, 4), (16, 1), (16, 2), (16, 3), (45, 6)])
def test_lanes_may_look_ahead(upstream, lanes, depth):
    """Also with more lanes than particles, and with proposals beyond those drawn ahead."""
    dtype, expected = upstream
    strategy = make_lane_update_strategy(init_state, lanes, depth=depth)
    step = build_kernel(init_state, NUM_INNER_STEPS, NUM_DELETE, update_strategy=strategy)
    algorithm = blackjax.SamplingAlgorithm(reference().init, step)
    assert_same_bits(run(algorithm, dtype), expected)


@pytest.mark.parametrize("chunk_size", [None, N_LIVE, 1000])
def test_without_chunks_it_is_upstream(upstream, chunk_size):
    dtype, expected = upstream
    assert_same_bits(run(chunked(chunk_size), dtype), expected)
    positions = jax.ShapeDtypeStruct((N_LIVE, N_DIM), dtype)
    key = jax.eval_shape(lambda: jax.random.key(0))

    def programs(algorithm):
        state = jax.eval_shape(algorithm.init, positions, key)
        init = jax.jit(algorithm.init).lower(positions, key)
        return init.as_text(), jax.jit(algorithm.step).lower(key, state).as_text()

    ours, theirs = programs(chunked(chunk_size)), programs(reference())
    assert _nameless(ours[0]) == _nameless(theirs[0])
    assert _nameless(ours[1]) == _nameless(theirs[1])


def test_one_particle_at_a_time_is_the_same_chain_up_to_rounding(upstream):
    dtype, (_, state, infos) = upstream
    alone = run(chunked(1, "map"), dtype)
    assert len(alone[2]) == len(infos)
    tolerance = 1e-4 if dtype == jnp.float32 else 1e-12
    np.testing.assert_allclose(alone[1].integrator.logZ, state.integrator.logZ, rtol=tolerance)


def test_positions_may_be_pytrees():
    def ll(position):
        return log_likelihood(jnp.concatenate([position["a"], position["b"][None]]))

    def lp(position):
        return log_prior(position["a"]) + log_prior(position["b"])

    flat = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM), minval=-9.0, maxval=9.0)
    positions = {"a": flat[:, :-1], "b": flat[:, -1]}

    def evidence(chunk_size):
        algorithm = build_chunked_nss_algorithm(
            logprior_fn=lp,
            loglikelihood_fn=ll,
            num_inner_steps=4,
            num_delete=NUM_DELETE,
            chunk_size=chunk_size,
        )
        state = jax.jit(algorithm.init)(positions, jax.random.key(0))
        state, _ = jax.jit(algorithm.step)(jax.random.key(2), state)
        return state

    assert_same_bits(evidence(3), evidence(None))


@pytest.fixture(scope="module")
def counting():
    """Evaluations as counted, and as a callback in the likelihood saw them, by chunk size."""
    calls = []

    def counted(x):
        jax.debug.callback(lambda _: calls.append(1), x[0])
        return log_likelihood(x)

    def count(chunk_size, scheduler):
        algorithm = build_chunked_nss_algorithm(
            logprior_fn=log_prior,
            loglikelihood_fn=counted,
            num_inner_steps=3,
            num_delete=NUM_DELETE,
            chunk_size=chunk_size,
            scheduler=scheduler,
        )
        positions = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM), minval=-9.0, maxval=9.0)
        state = jax.jit(algorithm.init)(positions, jax.random.key(0))
        jax.effects_barrier()
        calls.clear()
        _, info = jax.jit(algorithm.step)(jax.random.key(2), state)
        jax.block_until_ready(info)
        jax.effects_barrier()
        return jax.tree.map(int, count_evaluations(info.update_info, chunk_size)), len(calls)

    return count


@pytest.mark.parametrize("scheduler", ["lanes", "map"])
def test_evaluations_are_counted_exactly(counting, scheduler):
    """Against a likelihood that counts its own calls on the host, one by one."""
    (useful, total), called = counting(4, scheduler)
    assert useful < total == called
    alone, called_alone = counting(1, scheduler)
    assert alone.useful == alone.total == called_alone == useful


def test_lanes_evaluate_less_and_waste_less(counting):
    (map_useful, map_total), _ = counting(NUM_DELETE, "map")
    (lanes_useful, lanes_total), _ = counting(NUM_DELETE, "lanes")
    assert lanes_useful < map_useful  # bracket ends without a step-out left are not evaluated
    assert lanes_useful / lanes_total > map_useful / map_total


def test_idle_lanes_that_look_ahead_save_ticks(counting):
    """Twice as many lanes as particles: the extra half is not wasted, and the count is exact."""
    (useful, total), called = counting(NUM_DELETE, "lanes")
    (more_useful, more_total), more_called = counting(2 * NUM_DELETE, "lanes")
    assert total == called and more_total == more_called and useful == more_useful
    assert more_total / (2 * NUM_DELETE) < 0.75 * total / NUM_DELETE


def test_an_unknown_scheduler_is_refused():
    with pytest.raises(ValueError, match='must be "lanes" or "map", not \'waves\''):
        chunked(3, "waves")


def _nameless(text: str) -> str:
    """StableHLO without the module's name, which is the Python function's."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("module @"))

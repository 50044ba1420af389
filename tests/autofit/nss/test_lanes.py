"""Lanes with other caps, other moves and more lanes than particles: still upstream's chains."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import init_state_strategy
from blackjax.ns.nss import build_kernel, build_swig_kernel, live_covariance_factor, live_widths

from autofit.non_linear.search.nest.nss._lane_slots import assign_slots
from autofit.non_linear.search.nest.nss._lanes import make_lane_update_strategy
from autofit.non_linear.search.nest.nss._move_kinds import coordinate_sweeps

N_DIM, N_LIVE, NUM_DELETE, STEPS = 4, 30, 10, 4


def log_prior(x):
    return jnp.where(jnp.all(jnp.abs(x["a"]) < 10.0) & (jnp.abs(x["b"]) < 10.0), 0.0, -jnp.inf)


def log_likelihood(x):
    scale = jnp.arange(1.0, N_DIM)
    return -0.5 * jnp.sum((x["a"] / scale) ** 2) - 0.5 * (x["b"] / 5.0) ** 2


init_state = partial(init_state_strategy, logprior_fn=log_prior, loglikelihood_fn=log_likelihood)


def run(kernel, params_fn, n_steps):
    """Final state and all slice infos, as arrays."""
    flat = jax.random.uniform(jax.random.key(1), (N_LIVE, N_DIM), minval=-9.0, maxval=9.0)
    state = ns_init(
        {"a": flat[:, 1:], "b": flat[:, 0]},
        init_state_fn=jax.vmap(init_state),
        update_inner_kernel_params_fn=params_fn,
        rng_key=jax.random.key(2),
    )
    step, infos = jax.jit(kernel), []
    for key in jax.random.split(jax.random.key(3), n_steps):
        state, info = step(key, state)
        infos.append(getattr(info.update_info, "slice_info", info.update_info))
    return jax.tree.map(np.asarray, (state.particles, state.integrator, infos))


def assert_same_bits(ours, theirs):
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("caps", [{"max_steps": 1}, {"max_steps": 3, "max_shrinkage": 2}])
@pytest.mark.parametrize("lanes, depth", [(3, 2), (10, 4), (25, 3)])
def test_caps_are_upstreams(caps, lanes, depth):
    """No step-outs at all, and moves that end without a new point."""
    strategy = make_lane_update_strategy(init_state, lanes, depth=depth, **caps)
    ours = build_kernel(init_state, STEPS, NUM_DELETE, update_strategy=strategy, **caps)
    theirs = run(build_kernel(init_state, STEPS, NUM_DELETE, **caps), live_covariance_factor, 12)
    assert_same_bits(run(ours, live_covariance_factor, 12), theirs)
    if "max_shrinkage" in caps:
        assert not all(np.all(info.is_accepted) for info in theirs[-1])


@pytest.mark.parametrize("lanes", [3, 10, 25])
def test_coordinate_sweeps_are_nsswigs(lanes):
    strategy = make_lane_update_strategy(init_state, lanes, kind=coordinate_sweeps)
    ours = build_swig_kernel(init_state, STEPS, NUM_DELETE, update_strategy=strategy)
    theirs = build_swig_kernel(init_state, STEPS, NUM_DELETE)
    assert_same_bits(run(ours, live_widths, 12), run(theirs, live_widths, 12))


@pytest.mark.parametrize("active", [[0], [3], [0, 1, 2], [1, 4, 5, 6], list(range(8))])
def test_slots_are_dealt_out_in_turn(active):
    """Every slot to one candidate, first candidates first; none to idle lanes."""
    width, depth = 8, 3
    slots = assign_slots(jnp.zeros(width, bool).at[jnp.array(active)].set(True), depth)
    wanted = [(lane, ahead) for ahead in range(depth) for lane in active][:width]
    served = {(lane, ahead): slot for slot, (lane, ahead) in enumerate(wanted)}
    for slot, (lane, ahead) in enumerate(wanted):
        assert (int(slots.lane[slot]), int(slots.ahead[slot])) == (lane, ahead)
    for lane in range(width):
        for ahead in range(depth):
            assert slots.of_lane[lane, ahead] == served.get((lane, ahead), width)

"""blackjax's adaptive tempered SMC: all particles move at once, unless `batch_size` says less.

pip install blackjax
python docs/examples/with_blackjax_smc.py
"""

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.smc.resampling import systematic
from problem import HALF_WIDTH, N_DIM, log_likelihood, log_prior, show

import autofit_memplan as memplan

N_PARTICLES, STEP = 500, 0.15
walk = blackjax.additive_step_random_walk.build_kernel()


def move(key, state, log_density, scale):
    return walk(key, state, log_density, blackjax.mcmc.random_walk.normal(scale))


def chain(position):
    """What each particle of a batch holds: a chain that starts and moves, not a likelihood."""

    def log_density(x):
        return log_prior(x) + log_likelihood(x)

    state = blackjax.rmh.init(position, log_density)
    return move(jax.random.key(0), state, log_density, STEP * jnp.ones(N_DIM))


budget = memplan.read_budget(limit="4 MiB")
plan = memplan.plan_calls(chain, np.zeros(N_DIM), N_PARTICLES, budget)
# blackjax runs its batches by jax.lax.map, which compiles a remainder as a second copy. Full
# waves have none.
n_particles = plan.calls.waves * plan.calls.chunk_size

smc = blackjax.adaptive_tempered_smc(
    log_prior,
    log_likelihood,
    move,
    blackjax.rmh.init,
    mcmc_parameters={"scale": STEP * jnp.ones((1, N_DIM))},
    resampling_fn=systematic,
    target_ess=0.7,
    num_mcmc_steps=15,
    batch_size=plan.calls.chunk_size,
)
key, start_key = jax.random.split(jax.random.key(1))
state = smc.init(
    jax.random.uniform(start_key, (n_particles, N_DIM), minval=-HALF_WIDTH, maxval=HALF_WIDTH)
)
step, log_z, steps = jax.jit(smc.step), 0.0, 0
while state.tempering_param < 1:
    key, step_key = jax.random.split(key)
    state, info = step(step_key, state)
    log_z, steps = log_z + float(info.log_likelihood_increment), steps + 1
# Each step's mean weight has a relative variance of (1 / 0.7 - 1) / n_particles.
show(plan, log_z, np.sqrt(steps * (1 / 0.7 - 1) / n_particles))

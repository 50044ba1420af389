"""numpyro: a variational fit, and its importance weights, in batches of the plan's chunk.

pip install numpyro
python docs/examples/with_numpyro.py
"""

import jax
import numpy as np
import numpyro
from jax.scipy.special import logsumexp
from numpyro.infer import SVI, Trace_ELBO, autoguide
from problem import HALF_WIDTH, N_DIM, log_likelihood, show

import autofit_memplan as memplan

N_TRAIN, N_WEIGHTS = 32, 1000


def model():
    prior = numpyro.distributions.Uniform(-HALF_WIDTH, HALF_WIDTH).expand([N_DIM]).to_event(1)
    numpyro.factor("log_likelihood", log_likelihood(numpyro.sample("amplitudes", prior)))


guide = autoguide.AutoMultivariateNormal(model, init_scale=0.2)
optimiser, one_draw = numpyro.optim.Adam(0.05), Trace_ELBO()


def log_weight(params, key):
    """Of one draw from the guide."""
    return -one_draw.loss(key, params, model, guide)


# A draw in training holds what its gradient holds, so that is what is planned.
svi = SVI(model, guide, optimiser, one_draw)
params = svi.get_params(svi.init(jax.random.key(0)))
plan = memplan.plan_calls(
    lambda key: jax.value_and_grad(log_weight)(params, key),
    jax.random.key(0),
    N_TRAIN,
    memplan.read_budget(limit="2 MiB"),
)
chunk = plan.calls.chunk_size


def in_waves(fn, keys):
    # Reverse mode keeps the intermediates of all waves for the way back; jax.checkpoint makes
    # them anew, wave by wave.
    return memplan.chunked_vmap(jax.checkpoint(fn), chunk)(keys)


svi = SVI(model, guide, optimiser, Trace_ELBO(N_TRAIN, vectorize_particles=in_waves))
params = svi.run(jax.random.key(1), 200, progress_bar=False).params

# A weight alone holds no more than with its gradient, so the same chunk serves.
weigh = jax.jit(memplan.chunked_vmap(lambda key: log_weight(params, key), chunk))
log_weights = weigh(jax.random.split(jax.random.key(2), N_WEIGHTS))
log_z = logsumexp(log_weights) - np.log(N_WEIGHTS)
show(plan, log_z, np.std(np.exp(log_weights - log_z)) / np.sqrt(N_WEIGHTS))

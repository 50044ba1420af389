"""PyAutoFit's own NSS with a chunk size from the planner.

For an environment with PyAutoFit (Python 3.12 or newer) and without this project's `autofit`:

pip install autofit "blackjax>=1.7" && make wheels && pip install dist/autofit_memplan-*.whl
python docs/examples/pyautofit_nss.py
"""

import autofit as af  # before JAX, which it asks for double precision

# isort: split
import jax.numpy as jnp
import numpy as np

import autofit_memplan as memplan
from autofit.non_linear.search.nest.nss._chunked_nss import build_chunked_nss_algorithm

N_SAMPLES, SIGMA = 4096, 0.1
BLUR = np.exp(-0.5 * (np.fft.rfftfreq(N_SAMPLES) * N_SAMPLES / 40) ** 2)


class Blurred(af.Analysis):
    """A Gaussian profile seen through a blur that is applied in Fourier space."""

    def __init__(self):
        super().__init__(use_jax=True)
        self.x = np.linspace(0.0, 100.0, N_SAMPLES)
        noise = np.random.default_rng(1).normal(0.0, SIGMA, N_SAMPLES)
        self.data = np.asarray(self.model_data(af.ex.Gaussian(50.0, 25.0, 10.0))) + noise

    def model_data(self, gaussian):
        profile = gaussian.model_data_from(xvalues=jnp.asarray(self.x), xp=jnp)
        return jnp.fft.irfft(BLUR * jnp.fft.rfft(profile))

    def log_likelihood_function(self, instance, xp=jnp):
        return -0.5 * jnp.sum(((self.data - self.model_data(instance)) / SIGMA) ** 2)


model = af.Model(
    af.ex.Gaussian,
    centre=af.UniformPrior(lower_limit=0.0, upper_limit=100.0),
    normalization=af.UniformPrior(lower_limit=0.0, upper_limit=50.0),
    sigma=af.UniformPrior(lower_limit=1.0, upper_limit=30.0),
)
analysis = Blurred()
sizes = {"n_live": 100, "num_delete": 25}


def log_likelihood(vector):
    return analysis.log_likelihood_function(model.instance_from_vector(vector, xp=jnp))


def log_prior(vector):
    return sum(model.log_prior_list_from_vector(vector=vector, xp=jnp))


plan = memplan.plan_nss(
    build_chunked_nss_algorithm,
    loglikelihood_fn=log_likelihood,
    logprior_fn=log_prior,
    n_dim=model.prior_count,
    num_inner_steps=6,
    budget=memplan.read_budget(limit="2 MiB"),
    **sizes,
)
print(plan.report())
chunk = min(plan.init.chunk_size, plan.step.chunk_size)  # af.NSS takes one for both
print(f"init {plan.init.chunk_size}, step {plan.step.chunk_size}: chunk_size={chunk}")

search = af.NSS(num_mcmc_steps=6, chunk_size=chunk, **sizes)
result = search.fit(model=model, analysis=analysis)
print(result.instance.centre, result.samples.log_evidence)

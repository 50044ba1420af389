"""nautilus: a vectorised likelihood, called with `n_batch` points every time.

pip install nautilus-sampler
python docs/examples/with_nautilus.py
"""

import numpy as np
from nautilus import Prior, Sampler
from problem import HALF_WIDTH, N_DIM, log_likelihood, show

import autofit_memplan as memplan

N_BATCH = 96

plan = memplan.plan_calls(
    log_likelihood, np.zeros(N_DIM), N_BATCH, memplan.read_budget(limit="4 MiB")
)
evaluate = plan.executable("calls")  # compiled for N_BATCH points: there is no other batch to meet


def vectorised(points):
    return np.asarray(evaluate(points))


prior = Prior()
for i in range(N_DIM):
    prior.add_parameter(f"a{i}", dist=(-HALF_WIDTH, HALF_WIDTH))
# pass_dict=False: points come as one array, shape (n_batch, n_dim).
sampler = Sampler(
    prior,
    vectorised,
    n_live=400,
    n_networks=1,
    n_batch=N_BATCH,
    vectorized=True,
    pass_dict=False,
    seed=1,
)
sampler.run(n_eff=1000, discard_exploration=True)
show(plan, sampler.log_z, 1 / np.sqrt(sampler.n_eff))

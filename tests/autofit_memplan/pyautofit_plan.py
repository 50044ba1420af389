"""`plan_nss` on a builder made like PyAutoFit's, in a process without `autofit`.

PyAutoFit composes blackjax's slice step from its public parts and runs init and step in chunks by
`jax.lax.map(…, batch_size=…)`, whose remainder is a second copy of the likelihood.

Usage: python pyautofit_plan.py LIMIT_BYTES; prints JSON.
"""

import json
import sys
from functools import partial

sys.modules["autofit"] = None  # "import autofit" fails, whatever this environment holds

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from blackjax import SamplingAlgorithm  # noqa: E402
from blackjax.ns import adaptive, base, from_mcmc, nss  # noqa: E402

import autofit_memplan as memplan  # noqa: E402
from autofit_memplan.footprint import compile_program  # noqa: E402
from autofit_memplan.solver import larger  # noqa: E402

ROWS, N_DIM, N_LIVE, NUM_DELETE = 512, 3, 40, 10  # a float32 matrix of ROWS x ROWS is 1 MiB


def in_chunks(fn, chunk_size):
    if chunk_size is None:
        return jax.vmap(fn)
    return lambda *args: jax.lax.map(lambda one: fn(*one), args, batch_size=chunk_size)


def build_chunked_nss_algorithm(
    *, logprior_fn, loglikelihood_fn, num_inner_steps, num_delete, chunk_size
):
    init_state = partial(
        base.init_state_strategy, logprior_fn=logprior_fn, loglikelihood_fn=loglikelihood_fn
    )
    slice_kernel = nss.build_slice_kernel(
        interval=nss.stepping_out, max_expansions=10, max_shrinkage=100
    )
    move = nss.slice_constrained_step(init_state, slice_kernel, nss.covariance_proposal)

    def update(rng_key, state, contour, **parameters):
        choice_key, sample_key = jax.random.split(rng_key)
        above = (state.particles.loglikelihood > contour).astype(jnp.float32)
        chosen = jax.random.choice(choice_key, N_LIVE, (num_delete,), p=above / above.sum())
        start = jax.tree.map(lambda x: x[chosen], state.particles)

        def chain(key, particle):
            def body(particle, key):
                return move(key, particle, loglikelihood_0=contour, **parameters)

            return jax.lax.scan(body, particle, jax.random.split(key, num_inner_steps))

        keys = jax.random.split(sample_key, num_delete)
        at_once = None if chunk_size is None or chunk_size >= num_delete else chunk_size
        return in_chunks(chain, at_once)(keys, start)

    step = from_mcmc.build_adaptive_kernel(
        partial(from_mcmc.default_delete_fn, num_delete=num_delete),
        update,
        update_inner_kernel_params_fn=nss.live_covariance,
    )

    def init(position, rng_key=None):
        return adaptive.init(
            position,
            init_state_fn=in_chunks(init_state, chunk_size),
            update_inner_kernel_params_fn=nss.live_covariance,
            rng_key=rng_key,
        )

    return SamplingAlgorithm(init, step)


def log_likelihood(x):
    # Sorting cannot be fused away, so every call has its matrix in memory.
    grid = jnp.linspace(0.5, 1.5, ROWS)
    matrix = jnp.outer(grid, jnp.roll(grid, 3)) * (1 + 0.01 * x.sum())
    return -0.5 * (x**2).sum() - 1e-6 * jnp.sort(matrix, axis=0)[ROWS // 2].sum()


def log_prior(x):
    return -0.5 * (x**2).sum() / 9


problem = {
    "loglikelihood_fn": log_likelihood,
    "logprior_fn": log_prior,
    "num_inner_steps": 2,
    "num_delete": NUM_DELETE,
}
limit = int(sys.argv[1])
plan = memplan.plan_nss(
    build_chunked_nss_algorithm,
    **problem,
    n_dim=N_DIM,
    n_live=N_LIVE,
    budget=memplan.read_budget(limit=limit),
)

positions = np.random.default_rng(0).standard_normal((N_LIVE, N_DIM)).astype("float32")
key = jax.random.key(0)
state = plan.executable("init")(positions, key)
new_state, info = plan.executable("step")(key, state)


def above(program):
    """Bytes of the init or step with one wave fewer than the plan's."""
    algorithm = build_chunked_nss_algorithm(
        **problem, chunk_size=larger(program.n, program.chunk_size)
    )
    arguments = (positions, key) if program.name == "init" else (key, state)
    compiled = compile_program(getattr(algorithm, program.name), *arguments, platform="cpu")
    return compiled.footprint.total_bytes


print(
    json.dumps(
        {
            "front_end": [name for name in sys.modules if name.startswith("autofit.")],
            "plan": plan.model_dump(mode="json"),
            "above": {program.name: above(program) for program in plan.programs},
            "positions": positions.tolist(),
            "init": state.particles.loglikelihood.tolist(),
            "new": new_state.particles.loglikelihood.tolist(),
            "replaced": info.particles.loglikelihood.tolist(),
        }
    )
)

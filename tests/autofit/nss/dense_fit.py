"""A fit with a dense linear-algebra likelihood, to be run in a process of its own.

Without protection, jaxlib 0.10 hangs on it for ever on a two-thread CPU: each likelihood call has
a 128 x 128 Cholesky, and a vmapped slice step runs two batches of them at once.
"""

import sys

import jax.numpy as jnp

import autofit as af

SIZE, N_DIM = 128, 10


class Dense(af.Analysis):
    def log_likelihood_function(self, instance):
        x = jnp.stack([getattr(instance, f"x{i}") for i in range(N_DIM)])
        grid = jnp.linspace(0.0, 1.0, SIZE)
        distance = (grid[:, None] - grid[None, :]) ** 2
        scale = 0.1 + 0.01 * jnp.sum(jnp.cos(x))
        factor = jnp.linalg.cholesky(jnp.exp(-distance / scale**2) + 1e-3 * jnp.eye(SIZE))
        return -0.5 * jnp.sum(x**2) + 1e-3 * jnp.sum(jnp.log(jnp.diag(factor)))


def main(chunk_size: str, scheduler: str, max_iterations: str) -> None:
    model = af.Collection(**{f"x{i}": af.UniformPrior(-5.0, 5.0) for i in range(N_DIM)})
    search = af.NSS(
        n_live=200,
        num_mcmc_steps=4,
        num_delete=64,
        chunk_size=None if chunk_size == "None" else int(chunk_size),
        scheduler=None if scheduler == "None" else scheduler,
        max_iterations=int(max_iterations),
        silence=True,
    )
    result = search.fit(model=model, analysis=Dense())
    print("iterations", result.samples.samples_info["iterations"])


if __name__ == "__main__":
    main(*sys.argv[1:])

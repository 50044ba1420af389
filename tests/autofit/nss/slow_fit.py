"""A fit that takes a while, to be interrupted from outside."""

import jax
import jax.numpy as jnp
from problems import CorrelatedGaussian, cube

import autofit as af


class Slow(CorrelatedGaussian):
    def log_likelihood_function(self, instance):
        value = super().log_likelihood_function(instance)
        wasted = jax.lax.fori_loop(0, 20_000, lambda i, x: jnp.cos(x), value)
        return value + 0.0 * wasted


if __name__ == "__main__":
    search = af.NSS("slow", n_live=60, num_delete=20, num_mcmc_steps=10)
    search.fit(cube(5, 5.0), Slow())

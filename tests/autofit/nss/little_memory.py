"""A fit whose process may map no more memory once it is planned; prints what became of it."""

import json
import resource
from pathlib import Path

import jax.numpy as jnp
import numpy as np
from problems import cube

import autofit as af
from autofit.non_linear.search.nest.nss import search as search_module
from autofit.non_linear.search.nest.nss._sampling import Sampling

MIB = 2**20
CALL = 128 * MIB
ROOM = 5 * CALL


class Large(af.Analysis):
    """A scattered matrix of 128 MiB, multiplied by a vector: it has to exist in memory."""

    def log_likelihood_function(self, instance):
        rows = jnp.arange(CALL // 8 // 1024)
        matrix = jnp.zeros((len(rows), 1024)).at[rows, rows % 1024].add(instance.x0)
        image = matrix @ jnp.cos(jnp.arange(1024) * instance.x1)
        return -jnp.mean((image - 0.5) ** 2)


def mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


class Cramped(Sampling):
    """Lowers the limit of the address space when the plan is made."""

    def __init__(self, fitness, options, plan, read_budget):
        resource.setrlimit(resource.RLIMIT_AS, (mapped() + ROOM, resource.RLIM_INFINITY))
        super().__init__(fitness, options, plan, read_budget)
        made.append(self)


def fit() -> np.ndarray:
    search = af.NSS(
        n_live=8,
        num_delete=6,
        num_mcmc_steps=1,
        chunk_size="memory",
        scheduler="lanes",
        max_iterations=1,
        silence=True,
    )
    return search.fit(cube(2, 1.0), Large()).samples.parameters


if __name__ == "__main__":
    made: list[Sampling] = []
    roomy = fit()
    search_module.Sampling = Cramped
    cramped = fit()
    (sampling,) = made
    plan = sampling._plan
    report = {
        "planned": [plan.init.chunk_size, plan.step.chunk_size],
        "lowered": sampling.lowered,
        "same_bits": roomy.tobytes() == cramped.tobytes(),
    }
    print(json.dumps(report))

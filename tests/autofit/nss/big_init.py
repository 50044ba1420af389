"""Plan and run the init of a fit whose likelihood holds a 184 MB matrix; print measured memory.

The mapping matrix of a pixelised source, 15,361 image pixels x 1,500 source pixels in float64, is
really made, by a scatter, in every call; the arithmetic on it is kept cheap.
"""

import json
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import psutil

import autofit as af
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.search.nest.nss._sampling import Sampling

IMAGE_PIXELS, SOURCE_PIXELS = 15_361, 1_500


class Pixelised(af.Analysis):
    def __init__(self):
        super().__init__()
        self.source_pixel = jnp.asarray(
            np.random.default_rng(0).integers(0, SOURCE_PIXELS, IMAGE_PIXELS)
        )

    def log_likelihood_function(self, instance):
        rows = jnp.arange(IMAGE_PIXELS)
        mapping = jnp.zeros((IMAGE_PIXELS, SOURCE_PIXELS))
        mapping = mapping.at[rows, self.source_pixel].add(instance.flux)
        image = mapping @ jnp.cos(jnp.arange(SOURCE_PIXELS) * instance.scale)
        return -0.5 * jnp.mean((image - 1.0) ** 2)


class PeakResident:
    """Largest resident size of this process while the block runs, sampled every millisecond."""

    def __enter__(self):
        self._process, self._stop = psutil.Process(), threading.Event()
        self.bytes = self._process.memory_info().rss
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()

    def _watch(self):
        while not self._stop.is_set():
            self.bytes = max(self.bytes, self._process.memory_info().rss)
            time.sleep(1e-3)


def main(memory_limit: str) -> None:
    model = af.Collection(flux=af.UniformPrior(0.5, 2.0), scale=af.UniformPrior(0.0, 0.1))
    search = af.NSS(n_live=150, num_delete=50, chunk_size="memory", memory_limit=memory_limit)
    fitness = Fitness(model, Pixelised())
    before = psutil.Process().memory_info().rss
    plan = search._plan(fitness)
    planned = psutil.Process().memory_info().rss
    with PeakResident() as peak:
        run = Sampling(fitness, search.options, plan, search._budget).start()
        jax.block_until_ready(run.state)
    report = {
        "before": before,
        "planned": planned,
        "peak": peak.bytes,
        "call_bytes": plan.call.temp_bytes,
        "init": plan.init.model_dump(),
        "step": plan.step.model_dump(),
        "log_likelihoods": np.asarray(run.state.particles.loglikelihood).tolist(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])

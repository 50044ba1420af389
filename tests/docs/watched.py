"""Run an example with a likelihood that notes how many points it is given at once.

The host counts what is evaluated, not what is traced: the planner also compiles chunks that it
then finds too large.
"""

import json
import runpy
import sys
from collections import Counter
from pathlib import Path

import jax
import numpy as np

script = Path(sys.argv[1])
sys.path.insert(0, str(script.parent))
import problem  # noqa: E402

likelihood, widths = problem.log_likelihood, Counter()


def note(points):
    widths[int(np.prod(points.shape[:-1]))] += 1
    return np.zeros(points.shape, points.dtype)


def watched(amplitudes):
    point = jax.lax.stop_gradient(amplitudes)
    nothing = jax.pure_callback(note, point, point, vmap_method="expand_dims")
    return likelihood(amplitudes + nothing)


problem.log_likelihood = watched
runpy.run_path(str(script), run_name="__main__")
print(json.dumps(widths))

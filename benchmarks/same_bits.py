"""`python -m benchmarks.same_bits`: are the chains of lanes upstream's, in every last bit?

For Gaussians of 5, 10 and 20 dimensions, uncorrelated and correlated, in float32 and float64, every
number of particles and lanes takes some steps from the same live points with the same keys as
`blackjax.nss`. Live points, birth contours, slice infos and evidence are compared, bit by bit. The
useful share of the evaluations is counted along the way. Everything goes to `--output` as JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from rich.progress import track

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._evaluations import CountedInfo, count_evaluations
from benchmarks.machine import machine
from benchmarks.schedulers import log_prior

DIMS, CORRELATIONS, PARTICLES = (5, 10, 20), (0.0, 0.5, 0.9), (16, 50, 100)
LANES: tuple[int | None, ...] = (1, 3, 8, 16, None)
"""``None`` is as many lanes as particles."""


def gaussian(x: jax.Array, correlation: jax.Array) -> jax.Array:
    """Log of an equally correlated Gaussian of width 0.1, element by element and two sums."""
    n_dim = x.shape[-1]
    y = (x - 0.5) / 0.1
    common = correlation / (1.0 + (n_dim - 1) * correlation)
    return -0.5 * (jnp.sum(y * y) - common * jnp.sum(y) ** 2) / (1.0 - correlation)


def runner(n_dim: int, num_delete: int, steps: int, lanes: int | None, upstream: bool) -> Callable:
    """``run(correlation) -> final state, slice infos, evaluations`` of some steps, jitted."""

    def run(correlation):
        sizes = {"num_inner_steps": 2 * n_dim, "num_delete": num_delete}
        functions = {
            "logprior_fn": log_prior,
            "loglikelihood_fn": partial(gaussian, correlation=correlation),
        }
        if upstream:
            algorithm = blackjax.nss(**functions, **sizes)
        else:
            algorithm = build_chunked_nss_algorithm(
                **functions, **sizes, chunk_size=(None, lanes), scheduler="lanes"
            )
        positions = jax.random.uniform(jax.random.key(1), (2 * num_delete, n_dim))

        def step(state, key):
            state, info = algorithm.step(key, state)
            evaluations = count_evaluations(info.update_info, num_delete)
            if isinstance(info.update_info, CountedInfo):
                info = info._replace(update_info=info.update_info.slice_info)
            return state, (info, evaluations)

        keys = jax.random.split(jax.random.key(3), steps)
        state, (infos, evaluations) = jax.lax.scan(
            step, algorithm.init(positions, jax.random.key(2)), keys
        )
        return (state, infos), jax.tree.map(jnp.sum, evaluations)

    return jax.jit(run)


def compare(n_dim: int, num_delete: int, dtype: str, steps: int) -> list[dict]:
    """One row for each correlation and number of lanes."""
    upstream = runner(n_dim, num_delete, steps, None, upstream=True)
    correlations = [jnp.asarray(c, dtype) for c in CORRELATIONS]
    expected = [upstream(c) for c in correlations]
    rows = []
    for lanes in LANES:
        if lanes == num_delete:
            continue  # that is what None stands for
        ours = runner(n_dim, num_delete, steps, lanes, upstream=False)
        for correlation, (chains, evaluations) in zip(correlations, expected, strict=True):
            our_chains, our_evaluations = ours(correlation)
            pairs = zip(jax.tree.leaves(our_chains), jax.tree.leaves(chains), strict=True)
            rows.append(
                {
                    "n_dim": n_dim,
                    "correlation": round(float(correlation), 1),
                    "dtype": dtype,
                    "num_delete": num_delete,
                    "lanes": num_delete if lanes is None else lanes,
                    "same_bits": all(np.array_equal(a, b, equal_nan=True) for a, b in pairs),
                    "useful_share": float(our_evaluations.useful / our_evaluations.total),
                    "upstream_useful_share": float(evaluations.useful / evaluations.total),
                    "evaluations_skipped": float(1 - our_evaluations.useful / evaluations.useful),
                    "log_evidence": float(our_chains[0].integrator.logZ),
                    "upstream_log_evidence": float(chains[0].integrator.logZ),
                }
            )
    return rows


def summary(rows: list[dict]) -> str:
    """By number of lanes: how many cases had the same bits, and the useful shares."""
    text = []
    for lanes in LANES:
        some = [r for r in rows if (lanes or r["num_delete"]) == r["lanes"]]
        some = [r for r in some if (lanes is None) == (r["lanes"] == r["num_delete"])]
        same = sum(r["same_bits"] for r in some)
        lowest, highest = (f(r["useful_share"] for r in some) for f in (min, max))
        name = "as many as particles" if lanes is None else str(lanes)
        text.append(
            f"lanes {name:21} same bits {same} of {len(some)}  useful {lowest:.3f} to {highest:.3f}"
        )
    shares = [r["upstream_useful_share"] for r in rows]
    skipped = [r["evaluations_skipped"] for r in rows]
    text.append(f"upstream's useful share {min(shares):.3f} to {max(shares):.3f}")
    text.append(f"evaluations skipped {min(skipped):.3f} to {max(skipped):.3f}")
    return "\n".join(text)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.same_bits", description=__doc__)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    rows = []
    cases = list(itertools.product(("float32", "float64"), DIMS, PARTICLES))
    for dtype, n_dim, num_delete in track(cases, "comparing"):
        with jax.enable_x64(dtype == "float64"):
            rows += compare(n_dim, num_delete, dtype, options.steps)
    print(summary(rows))
    if options.output:
        options.output.write_text(json.dumps({"machine": machine(), "cases": rows}, indent=1))


if __name__ == "__main__":
    main()

"""`python -m benchmarks.compile_time`: seconds to compile one step of the lens, 16 of 50 at once.

Three ways to make a step in chunks: lanes, waves with a padded last one (this project's ``map``),
and waves by `jax.lax.map` with its ``batch_size``, which compiles the remainder (50 % 16 = 2) as
a second copy of the step. Interleaved, several times; medians, as ratios to `jax.lax.map`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from autofit.non_linear.search.nest.nss import _chunked_update, build_chunked_nss_algorithm
from autofit_memplan.footprint import compile_program
from benchmarks.machine import machine
from benchmarks.schedulers import lens, log_prior

N_LIVE, NUM_DELETE, CHUNK_SIZE = 150, 50, 16
WAYS = ("lanes", "map", "lax.map")


def with_remainder(fn, chunk_size: int):
    """What a step in chunks was before: `jax.lax.map`, remainder and all."""
    return lambda *xs: jax.lax.map(lambda x: fn(*x), xs, batch_size=chunk_size)


def compile_seconds(way: str, target: str | None) -> float:
    """Trace, lower and compile the step of the demo's lens in one of the three ways."""
    log_likelihood, n_dim = lens()
    algorithm = build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=log_likelihood,
        num_inner_steps=2 * n_dim,
        num_delete=NUM_DELETE,
        chunk_size=(None, CHUNK_SIZE),
        scheduler="lanes" if way == "lanes" else "map",
    )
    positions = jax.ShapeDtypeStruct((N_LIVE, n_dim), "float64")
    key = jax.eval_shape(lambda: jax.random.key(0))
    state = jax.eval_shape(algorithm.init, positions, key)
    padded = _chunked_update.chunked_vmap
    if way == "lax.map":
        _chunked_update.chunked_vmap = with_remainder
    try:
        platform = jax.default_backend() if target is None else "gpu"
        program = compile_program(algorithm.step, key, state, platform=platform, target=target)
    finally:
        _chunked_update.chunked_vmap = padded
    return program.footprint.compile_seconds


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.compile_time", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--target", help="compile for this GPU, see `memplan targets`")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    with jax.enable_x64(True):
        rounds = [
            {way: compile_seconds(way, options.target) for way in WAYS}
            for _ in range(options.repeats + 1)
        ][1:]  # the first round imports and warms up
    medians = {way: float(np.median([r[way] for r in rounds])) for way in WAYS}
    for way, seconds in medians.items():
        print(f"{way:8} {seconds:5.1f} s   {seconds / medians['lax.map']:.2f} of lax.map")
    if options.output:
        record = {"machine": machine(), "target": options.target, "rounds": rounds}
        options.output.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()

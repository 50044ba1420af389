"""One case of a sweep, in the process that is its own: predict the step's memory, then run it.

A case begins from live points whose likelihoods another process has evaluated, so that nothing
but the step itself has run in this one before its peak is measured. All cases of a cell begin from
the same points with the same keys: their chains are the same chains.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from blackjax.ns.adaptive import init as ns_init
from blackjax.ns.base import StateWithLogLikelihood
from blackjax.ns.nss import live_covariance_factor

from autofit.non_linear.search.nest.nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._block import CAPACITY, block_program
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit_memplan import DeviceBudget, TargetError, read_budget
from autofit_memplan.errors import MeasureError
from autofit_memplan.footprint import compile_program
from autofit_memplan.measure import peak_growth
from autofit_memplan.specs import Problem, load_problem
from autofit_memplan.units import format_bytes
from benchmarks.schedulers import LONG_SECONDS, log_prior, run
from benchmarks.sweep.records import HERE, Case, Outcome

MOST_ITERATIONS = 500
TERMINATION = -3.0


def evaluate_start(spec: str, n_live: int, path: Path, limit: str | None) -> float:
    """Draw `n_live` points of the unit cube, evaluate them one by one, and save both.

    Returns
    -------
    float
        Median seconds of a call.

    Raises
    ------
    MemoryError
        If one call does not fit the limit; none has run by then.
    """
    budget = read_budget(limit=limit)
    problem = load_problem(spec, None, "float64")
    positions = jax.random.uniform(jax.random.key(1), (n_live, problem.n_dim))
    program = compile_program(problem.function, positions[0], platform=jax.default_backend())
    if not budget.holds(program.footprint):
        one, most = map(format_bytes, (program.footprint.total_bytes, budget.limit_bytes))
        raise MemoryError(f"one call takes {one}, the budget is {most}")
    values, seconds = [], []
    for position in positions:
        start = time.perf_counter()
        values.append(float(program.executable(position)))
        seconds.append(time.perf_counter() - start)
    np.savez(path, positions=positions, log_likelihoods=values)
    return float(np.median(seconds))


def measure_case(case: Case, start: Path | None) -> Iterator[Outcome]:
    """Predict, measure and time one case: each outcome has what the one before it had, and more.

    Parameters
    ----------
    case
        What to measure.
    start
        File of `evaluate_start`; without it the step is only predicted.
    """
    budget = read_budget(limit=case.limit)
    problem = load_problem(case.spec, None, "float64")
    state = _shapes(case.n_live, problem.n_dim) if start is None else _state(start)
    key = jax.random.key(3)
    arguments = key, state, np.int32(CAPACITY)
    step = _step(case, problem)
    program = compile_program(step, *arguments, platform=budget.platform)
    outcome = Outcome(
        case=case,
        platform=budget.platform,
        budget_bytes=budget.limit_bytes,
        footprint=program.footprint,
    )
    yield outcome

    if not budget.holds(program.footprint):
        outcome = outcome.noted(f"not run: the budget is {format_bytes(budget.limit_bytes)}")
        yield outcome
    elif start is not None:
        for known in run_step(outcome, program.executable, state):
            yield (outcome := known)

    if case.target is not None:
        yield _with_target(outcome, step, arguments, budget)


def _state(path: Path) -> Any:
    """A sampler's state made of the live points of `evaluate_start`."""
    with np.load(path) as start:
        positions, values = jnp.asarray(start["positions"]), jnp.asarray(start["log_likelihoods"])
    return jax.block_until_ready(jax.jit(_begin)(positions, values))


def _shapes(n_live: int, n_dim: int) -> Any:
    """Those of such a state, of points that nobody has evaluated."""
    return jax.eval_shape(_begin, jnp.zeros((n_live, n_dim)), jnp.zeros(n_live))


def _begin(positions: jax.Array, values: jax.Array) -> Any:
    def known(positions: jax.Array) -> StateWithLogLikelihood:
        priors = jax.vmap(log_prior)(positions)
        return StateWithLogLikelihood(positions, priors, values, jnp.full_like(values, jnp.nan))

    return ns_init(
        positions, init_state_fn=known, update_inner_kernel_params_fn=live_covariance_factor
    )


def _step(case: Case, problem: Problem) -> Any:
    chunks = {} if case.scheduler == "upstream" else {"scheduler": case.scheduler}
    algorithm = build_chunked_nss_algorithm(
        logprior_fn=log_prior,
        loglikelihood_fn=problem.function,
        num_inner_steps=case.num_inner_steps,
        num_delete=case.num_delete,
        chunk_size=case.chunk_size if chunks else None,
        **chunks,
    )
    count = partial(count_evaluations, chunk_size=case.chunk_size)
    return block_program(algorithm, count, TERMINATION, case.num_delete)


def run_step(outcome: Outcome, executable: Any, state: Any) -> Iterator[Outcome]:
    """One iteration for the peak, which is then known whatever becomes of those for the time."""
    device, done = jax.devices()[0], []
    try:
        _start_libraries()
        growth = peak_growth(device, lambda: done.append(run(executable, state, 1)))
        [first] = done
        known = {
            "grown_bytes": growth.total_bytes,
            "own_grown_bytes": growth.own_bytes,
            "first_log_evidence": first["log_evidence"],
        }
        outcome = outcome.model_copy(update=known)
        yield outcome
        yield _timed(outcome, first, executable, state)
    except (RuntimeError, MeasureError) as error:  # those of JAX are RuntimeErrors, too
        yield outcome.noted(f"failed: {str(error).partition(chr(10))[0]}")


def _timed(outcome: Outcome, first: dict, executable: Any, state: Any) -> Outcome:
    """From the start again for `Case.seconds`, or once if it takes longer, but not minutes."""
    timed, wanted = first, outcome.case.seconds
    is_cold = not wanted or first["seconds"] >= max(wanted, LONG_SECONDS)
    if not is_cold:
        iterations = max(int(wanted / first["seconds"]), 1)
        timed = run(executable, state, min(iterations, MOST_ITERATIONS))
    figures = {name: timed[name] for name in ("iterations", "seconds", "useful", "total")}
    return outcome.model_copy(update={**figures, "is_cold": is_cold})


def _start_libraries() -> None:
    """Make the threads and buffers that a process makes at its first calls, whatever their size."""
    matrix = jnp.eye(64)
    jax.block_until_ready((jnp.fft.rfft2(matrix), jnp.linalg.cholesky(matrix), matrix @ matrix))


def _with_target(outcome: Outcome, step: Any, arguments: tuple, budget: DeviceBudget) -> Outcome:
    name = outcome.case.target
    target = budget.device_kind if name == HERE else name
    try:
        program = compile_program(step, *arguments, platform="gpu", target=target)
    except TargetError as error:
        return outcome.noted(f"no prediction without the GPU: {error}")
    return outcome.model_copy(update={"target_footprint": program.footprint})


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    what, *arguments = sys.argv[1:]
    if what == "start":
        spec, n_live, path, limit = arguments
        seconds = evaluate_start(spec, int(n_live), Path(path), limit or None)
        print(f'{{"call_seconds": {seconds}}}', flush=True)
    else:
        case, start = Case.model_validate_json(arguments[0]), arguments[1]
        for outcome in measure_case(case, Path(start) if start else None):
            print(outcome.model_dump_json(), flush=True)


if __name__ == "__main__":
    main()

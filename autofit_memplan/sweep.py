"""One batch size after another: what each is predicted to take, and what it takes."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence

from pydantic import BaseModel, ConfigDict

from autofit_memplan.budget import read_budget
from autofit_memplan.measure import Batch, Job, compile_batch, measure
from autofit_memplan.records import DeviceBudget
from autofit_memplan.specs import load_problem

_COLUMNS = (
    "chunk_size",
    "predicted_bytes",
    "measured_bytes",
    "evaluations_per_second",
    "wall_seconds_lower_quartile",
    "wall_seconds_median",
    "wall_seconds_upper_quartile",
    "repeats",
    "budget_bytes",
    "note",
)


class Sweep(BaseModel):
    """Batches of several sizes of one function on one device.

    Attributes
    ----------
    spec, dtype
        What was run, as the user named it, and its precision.
    target
        The GPU that was compiled for without being here; ``None`` for the device that is.
    budget
        Of the first process; ``None`` if none lived long enough to read it.
    batches
        In the order of their sizes.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    spec: str
    dtype: str
    target: str | None
    budget: DeviceBudget | None
    batches: tuple[Batch, ...]

    def to_csv(self) -> str:
        """One row per batch; an empty cell is a figure that there is not."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for batch in self.batches:
            writer.writerow(
                (
                    batch.chunk_size,
                    batch.predicted_bytes,
                    batch.measured_bytes,
                    batch.evaluations_per_second,
                    *(batch.wall_seconds or (None, None, None)),
                    batch.repeats,
                    self.budget and self.budget.limit_bytes,
                    batch.note,
                )
            )
        return text.getvalue()


def sweep_here(jobs: Sequence[Job], on_batch: Callable[[int], None]) -> Sweep:
    """Predict and measure batches on the device that is here, each in a fresh process.

    This process sets up no device: on a GPU, JAX would take most of the memory for it.

    Parameters
    ----------
    jobs
        At least one; they differ in their `Job.chunk_size` only.
    on_batch
        Told of each batch before it is begun.

    Raises
    ------
    MemplanError
        As `measure.measure`.
    """
    budgets, batches = [], []
    for job in jobs:
        on_batch(job.chunk_size)
        budget, batch = measure(job)
        budgets += [budget] if budget else []
        batches.append(batch)
    return _sweep(jobs[0], None, budgets[0] if budgets else None, batches)


def sweep_target(jobs: Sequence[Job], target: str, on_batch: Callable[[int], None]) -> Sweep:
    """As `sweep_here` for a GPU that is not here: predicted only."""
    budget = read_budget(target=target, limit=jobs[0].limit)
    problem = load_problem(jobs[0].spec, jobs[0].n_dim, jobs[0].dtype)
    batches = []
    for job in jobs:
        on_batch(job.chunk_size)
        program, fits = compile_batch(problem, job.chunk_size, budget)
        note = "" if fits else "does not fit"
        batches.append(Batch(chunk_size=job.chunk_size, footprint=program.footprint, note=note))
    return _sweep(jobs[0], target, budget, batches)


def _sweep(
    job: Job, target: str | None, budget: DeviceBudget | None, batches: Sequence[Batch]
) -> Sweep:
    return Sweep(
        spec=job.spec, dtype=job.dtype, target=target, budget=budget, batches=tuple(batches)
    )

"""What a process of a sweep is told, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, computed_field

from autofit_memplan import Footprint

Scheduler = Literal["upstream", "map", "lanes"]

HERE = "here"
"""As a target: the kind of GPU that is live in this process."""


class Case(BaseModel):
    """What a process is told.

    Attributes
    ----------
    spec
        The cell, as ``memplan plan`` reads it.
    scheduler, chunk_size, n_live, num_delete, num_inner_steps
        Of the step; ``"upstream"`` makes no chunks.
    seconds
        Of iterations to time, after a first one; that one counts if it alone takes longer.
    start
        File with the live points, see `sweep.case.evaluate_start`; without it the step is only
        predicted.
    limit
        Of the memory; what is free when not given.
    target
        A GPU to predict for, too, without running anything on it; or `HERE`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    spec: str
    scheduler: Scheduler
    chunk_size: int
    n_live: int
    num_delete: int
    num_inner_steps: int
    seconds: float
    start: Path | None = None
    limit: str | None = None
    target: str | None = None


class Outcome(BaseModel):
    """What is known of a case.

    Attributes
    ----------
    budget_bytes, footprint
        The limit, and the compiled step's own figures; ``None`` if the process did not get there.
    grown_bytes
        Measured in the first iteration, above the state before it, when arguments and constants
        are in place.
    first_log_evidence
        After the first iteration: the same for every scheduler and chunk, up to rounding.
    iterations, seconds, useful, total
        What was timed, and the likelihood evaluations in it.
    target_footprint
        The same step compiled for the target.
    note
        Why figures are missing, or how they are to be read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    case: Case
    budget_bytes: int | None = None
    footprint: Footprint | None = None
    grown_bytes: int | None = None
    first_log_evidence: float | None = None
    iterations: int | None = None
    seconds: float | None = None
    useful: int | None = None
    total: int | None = None
    target_footprint: Footprint | None = None
    note: str = ""

    @computed_field
    @property
    def predicted_bytes(self) -> int | None:
        return self.footprint and self.footprint.total_bytes

    @computed_field
    @property
    def measured_bytes(self) -> int | None:
        """What grew and what was there before: on the same footing as `predicted_bytes`."""
        if self.footprint is None or self.grown_bytes is None:
            return None
        return self.footprint.held_bytes + self.grown_bytes

    @computed_field
    @property
    def predicted_over_measured(self) -> float | None:
        if self.predicted_bytes is None or not self.measured_bytes:
            return None
        return self.predicted_bytes / self.measured_bytes

    @computed_field
    @property
    def useful_per_second(self) -> float | None:
        return self.useful / self.seconds if self.useful and self.seconds else None

    @computed_field
    @property
    def total_per_second(self) -> float | None:
        return self.total / self.seconds if self.total and self.seconds else None

    @computed_field
    @property
    def seconds_per_iteration(self) -> float | None:
        return self.seconds / self.iterations if self.seconds and self.iterations else None

    def noted(self, note: str) -> Outcome:
        """The same with one note more."""
        return self.model_copy(update={"note": "; ".join(filter(None, (self.note, note)))})

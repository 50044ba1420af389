"""What a process of a sweep is told, and what it says."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, computed_field, model_validator

from autofit_memplan import Footprint

Scheduler = Literal["upstream", "map", "lanes"]

HERE = "here"
"""As a target: the kind of GPU that is live in this process."""

COLD = "timed without warming up"
"""What is said of `Outcome.is_cold`, and was its note before there was the field."""


class Written(BaseModel):
    """A record that can be read as it was written: what it computes is not read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, record: Any) -> Any:
        if not isinstance(record, dict):
            return record
        return {k: v for k, v in record.items() if k not in cls.model_computed_fields}


class Sizes(Written):
    """What all cases of a sweep share.

    Attributes
    ----------
    num_delete
        Particles replaced by a step; there are four times as many live points.
    num_inner_steps
        Slice moves of each, enough to load the machine but too few to sample with. When not given,
        1 to 3 by the seconds of a call.
    seconds
        Of iterations that are timed in each case.
    timeout
        Seconds for each process.
    limit
        Of the memory, as text; what is free when not given.
    """

    num_delete: int = 16
    num_inner_steps: int | None = None
    seconds: float = 5.0
    timeout: float = 600.0
    limit: str | None = None

    @computed_field
    @property
    def n_live(self) -> int:
        return 4 * self.num_delete


class Case(BaseModel):
    """What a process is told.

    Attributes
    ----------
    spec
        The cell, as ``memplan plan`` reads it.
    scheduler, chunk_size, n_live, num_delete, num_inner_steps
        Of the step; ``"upstream"`` makes no chunks.
    seconds
        Of iterations to time after a first one, or of one that takes longer; if the first takes
        more than a minute, it is the one that counts.
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
    limit: str | None = None
    target: str | None = None

    @property
    def key(self) -> tuple[str, Scheduler, int]:
        """What tells it from the others of its sweep."""
        return self.spec, self.scheduler, self.chunk_size


class Outcome(BaseModel):
    """What is known of a case.

    Attributes
    ----------
    platform, budget_bytes, footprint
        What it was compiled for, the limit, and the compiled step's own figures; ``None`` if the
        process did not get there.
    grown_bytes
        Measured in the first iteration, above the state before it, when arguments and constants
        are in place.
    own_grown_bytes
        The same but for pages of files, such as library code.
    first_log_evidence
        After the first iteration: the same for every scheduler and chunk, up to rounding.
    iterations, seconds, useful, total
        What was timed, from the start of the chain, and the likelihood evaluations in it.
    is_cold
        Whether what was timed is the first iteration of the process.
    target_footprint
        The same step compiled for the target.
    note
        Why figures are missing, or how they are to be read.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    case: Case
    platform: str | None = None
    budget_bytes: int | None = None
    footprint: Footprint | None = None
    grown_bytes: int | None = None
    own_grown_bytes: int | None = None
    first_log_evidence: float | None = None
    iterations: int | None = None
    seconds: float | None = None
    useful: int | None = None
    total: int | None = None
    is_cold: bool = False
    target_footprint: Footprint | None = None
    note: str = ""

    @model_validator(mode="before")
    @classmethod
    def _cold_by_its_note(cls, record: Any) -> Any:
        """Older files say it there."""
        if not isinstance(record, dict) or "is_cold" in record:
            return record
        notes = str(record.get("note", "")).split("; ")
        others = "; ".join(note for note in notes if note != COLD)
        return {**record, "is_cold": COLD in notes, "note": others}

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
    def predicted_over_own(self) -> float | None:
        """Without pages of files, of which no compiler knows."""
        if self.footprint is None or self.own_grown_bytes is None:
            return None
        return self.footprint.total_bytes / (self.footprint.held_bytes + self.own_grown_bytes)

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
    def iterations_per_second(self) -> float | None:
        """What schedulers are compared by: their chains are the same, their counts are not."""
        return self.iterations / self.seconds if self.seconds and self.iterations else None

    def noted(self, note: str) -> Outcome:
        """The same with one note more."""
        return self.model_copy(update={"note": "; ".join(filter(None, (self.note, note)))})

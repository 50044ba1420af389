"""What a comparison of samplers is made of: jobs, fits, and the fits that there are not."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.samplers.outcome import Outcome
from benchmarks.samplers.settings import Settings


class Job(BaseModel):
    """What one child process does; `timeout` is in seconds, for each fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    sampler: str
    seeds: tuple[int, ...]
    settings: Settings
    timeout: float


class Fit(BaseModel):
    """One fit of one problem by one sampler; see `Outcome` for the figures."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    problem: str
    n_dim: int
    true_log_evidence: float | None
    sampler: str
    seed: int
    outcome: Outcome

    def record(self) -> dict[str, Any]:
        """For the JSON, with error and pull."""
        known = self.true_log_evidence is not None
        judged = {"error": self.error, "pull": self.pull} if known else {}
        return {**self.model_dump(exclude={"outcome"}), **self.outcome._asdict(), **judged}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Fit:
        """The fit that `record` was made of."""
        own = {name: record[name] for name in cls.model_fields if name != "outcome"}
        return cls(**own, outcome=Outcome(**{name: record[name] for name in Outcome._fields}))

    @property
    def error(self) -> float:
        """Found less true log evidence; NaN where that is not known."""
        truth = self.true_log_evidence
        return self.outcome.log_evidence - (np.nan if truth is None else truth)

    @property
    def pull(self) -> float:
        """Error in units of the stated one."""
        return self.error / self.outcome.log_evidence_error


class Missing(BaseModel):
    """Why there are fewer fits of a problem by a sampler than were asked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    problem: str
    sampler: str
    why: str

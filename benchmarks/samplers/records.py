"""What a comparison of samplers is made of: jobs, fits, and the fits that there are not."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, computed_field, model_validator

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

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, record: Any) -> Any:
        """As it was before it was written."""
        if not isinstance(record, dict):
            return record
        return {key: value for key, value in record.items() if key not in ("error", "pull")}

    @computed_field
    @property
    def error(self) -> float:
        """Found less true log evidence; NaN where that is not known."""
        truth = self.true_log_evidence
        return self.outcome.log_evidence - (math.nan if truth is None else truth)

    @computed_field
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

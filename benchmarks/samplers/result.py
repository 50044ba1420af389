"""The JSON of a comparison: what one run leaves, and the next goes on from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.machine import changed
from benchmarks.result_file import read_result, refuse_mixing
from benchmarks.samplers.records import Fit, Job, Missing
from benchmarks.samplers.settings import Settings


class Result(BaseModel):
    """All that was measured so far.

    Attributes
    ----------
    machine
        Device, versions and command of each run that contributed; see `benchmarks.machine`.
    settings
        Of all fits.
    missing, fits
        What there is not, and what there is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    machine: list[dict[str, Any]]
    settings: dict[str, Any]
    missing: list[Missing] = []
    fits: list[Fit] = []

    def going_on_from(self, path: Path) -> Result:
        """This, which is new, after what a file has.

        Raises
        ------
        ValueError
            If the file holds something else, or was measured elsewhere or with other settings.
        """
        old = read_result(Result, path, "result")
        was = Settings().model_dump() | old.settings  # what was no option yet had its default
        keys = was.keys() | self.settings.keys()
        others = sorted(k for k in keys if was.get(k) != self.settings.get(k))
        refuse_mixing(path, others + changed(old.machine, self.machine[-1]))
        return old.model_copy(update={"machine": old.machine + self.machine})

    def seeds_left(self, problem: str, sampler: str, seeds: range) -> tuple[int, ...]:
        """Those of `seeds` that have no fit."""
        pairs = [fit for fit in self.fits if (fit.problem, fit.sampler) == (problem, sampler)]
        return tuple(sorted(set(seeds) - {fit.seed for fit in pairs}))

    def after(self, job: Job, fits: list[Fit], why: str) -> Result:
        """With the fits of a job, and why there are not more of them, or ``""``."""
        pair = job.problem, job.sampler
        missing = [each for each in self.missing if (each.problem, each.sampler) != pair]
        if why:
            missing.append(Missing(problem=job.problem, sampler=job.sampler, why=why))
        return self.model_copy(update={"fits": self.fits + fits, "missing": missing})

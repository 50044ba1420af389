"""The JSON of a comparison: what one run leaves, and the next goes on from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from benchmarks.samplers.records import Fit, Job, Missing


class Results(BaseModel):
    """All that was measured so far.

    Attributes
    ----------
    machine
        Device and versions; see `benchmarks.machine`.
    commands
        Of every run that contributed.
    settings
        Of all fits.
    missing, fits
        What there is not, and what there is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: dict[str, Any]
    commands: list[str]
    settings: dict[str, Any]
    missing: list[Missing] = []
    fits: list[Fit] = []

    def going_on_from(self, path: Path) -> Results:
        """These, which are new, after those in a file.

        Raises
        ------
        ValueError
            If the file holds something else, or was measured elsewhere or with other settings.
        """
        try:
            record = json.loads(path.read_text())
            fits = [Fit.from_record(each) for each in record["fits"]]
            old = Results(**{**record, "fits": fits})
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{path} is no result to go on from ({type(error).__name__}); name another file"
            ) from error
        here = self._conditions()
        # what was not installed then may be now
        changed = [k for k, v in old._conditions().items() if v not in (None, here.get(k))]
        if changed:
            raise ValueError(
                f"{path} was measured with other {', '.join(changed)}; go on with the same, or "
                "name another file"
            )
        done = {"commands": old.commands + self.commands, "missing": old.missing, "fits": old.fits}
        return self.model_copy(update=done)

    def _conditions(self) -> dict[str, Any]:
        versions = self.machine.get("versions", {})
        return {**self.machine, **self.settings, **versions, "versions": None}

    def seeds_left(self, problem: str, sampler: str, seeds: range) -> tuple[int, ...]:
        """Those of `seeds` that have no fit."""
        pairs = [fit for fit in self.fits if (fit.problem, fit.sampler) == (problem, sampler)]
        return tuple(sorted(set(seeds) - {fit.seed for fit in pairs}))

    def after(self, job: Job, fits: list[Fit], why: str) -> Results:
        """With the fits of a job, and why there are not more of them, or ``""``."""
        pair = job.problem, job.sampler
        missing = [each for each in self.missing if (each.problem, each.sampler) != pair]
        if why:
            missing.append(Missing(problem=job.problem, sampler=job.sampler, why=why))
        return self.model_copy(update={"fits": self.fits + fits, "missing": missing})

    def write(self, path: Path) -> None:
        """All of it, or what was there stays."""
        record = {**self.model_dump(), "fits": [fit.record() for fit in self.fits]}
        part = path.with_suffix(".part")
        part.write_text(json.dumps(record, indent=1))
        part.replace(path)

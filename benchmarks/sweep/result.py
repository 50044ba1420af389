"""The file of a sweep: written after every case, and gone on from by the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, computed_field, field_validator

from benchmarks.sweep import report
from benchmarks.sweep.records import Outcome, Scheduler, Sizes


class Result(BaseModel):
    """What is known of a sweep.

    Attributes
    ----------
    machine
        Device, versions and command of each run that cases are of.
    sizes
        Of all cases, and the last run's timeout.
    cases
        Cell by cell, by scheduler and chunk size.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine: list[dict[str, Any]] = []
    sizes: Sizes
    cases: list[Outcome] = []

    @field_validator("machine", mode="before")
    @classmethod
    def _of_one_run(cls, machine: Any) -> Any:
        """A single run's may be there without the list."""
        return [machine] if isinstance(machine, dict) else machine

    @computed_field
    @property
    def summary(self) -> str:
        return report.summary(self.cases)

    @classmethod
    def begun(cls, path: Path | None, sizes: Sizes) -> Result:
        """What the file has, if there is one.

        Raises
        ------
        ValueError
            If the file is no sweep's, or one of other sizes.
        """
        if path is None or not path.exists():
            return cls(sizes=sizes)
        result = cls.model_validate_json(path.read_text())
        if result.sizes.model_copy(update={"timeout": sizes.timeout}) != sizes:
            raise ValueError(f"it has cases of {result.sizes}; give those, or another file")
        return result.model_copy(update={"sizes": sizes})

    def with_run(self, machine: dict[str, Any]) -> Result:
        """The same with the machine and the command of one run more."""
        return self.model_copy(update={"machine": [*self.machine, machine]})

    def with_case(self, outcome: Outcome) -> Result:
        """The same with one case more, or with a case that is better known."""
        cases = {each.case.key: each for each in self.cases} | {outcome.case.key: outcome}
        specs, schedulers = [spec for spec, *_ in cases], get_args(Scheduler)

        def place(key: tuple[str, Scheduler, int]) -> tuple[int, int, int]:
            return specs.index(key[0]), schedulers.index(key[1]), key[2]

        return self.model_copy(update={"cases": [cases[key] for key in sorted(cases, key=place)]})

    def write(self, path: Path) -> None:
        """All at once: whoever is interrupted leaves the file that was there."""
        beside = path.with_suffix(".part")
        beside.write_text(self.model_dump_json(indent=1))
        beside.replace(path)

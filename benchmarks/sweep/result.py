"""The file of a sweep: written after every case, and gone on from by the next run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

from pydantic import computed_field, field_validator

from benchmarks.machine import changed
from benchmarks.result_file import read_result, refuse_mixing
from benchmarks.sweep import report
from benchmarks.sweep.records import Outcome, Scheduler, Sizes, Written


class Result(Written):
    """What is known of a sweep.

    Attributes
    ----------
    machine
        Device, versions and command of each run that contributed; see `benchmarks.machine`.
    sizes
        Of all cases, and the last run's timeout.
    cases
        Cell by cell, by scheduler and chunk size.
    """

    machine: tuple[dict[str, Any], ...] = ()
    sizes: Sizes
    cases: tuple[Outcome, ...] = ()

    @field_validator("machine", mode="before")
    @classmethod
    def _of_one_run(cls, machine: Any) -> Any:
        """A single run's may be there without the list."""
        return [machine] if isinstance(machine, dict) else machine

    @computed_field
    @property
    def summary(self) -> str:
        return report.summary(self.cases)

    def going_on_from(self, path: Path) -> Result:
        """This, which is new, after what a file has.

        Raises
        ------
        ValueError
            If the file holds something else, or was measured elsewhere or at other sizes.
        """
        old = read_result(Result, path, "sweep")
        if old.sizes.model_copy(update={"timeout": self.sizes.timeout}) != self.sizes:
            raise ValueError(f"{path} has cases of {old.sizes}; give those, or another file")
        refuse_mixing(path, changed(old.machine, self.machine[-1]))
        known = {"machine": old.machine + self.machine, "cases": old.cases}
        return self.model_copy(update=known)

    def with_case(self, outcome: Outcome) -> Result:
        """The same with one case more, or with a case that is better known."""
        cases = {each.case.key: each for each in self.cases} | {outcome.case.key: outcome}
        specs, schedulers = [spec for spec, *_ in cases], get_args(Scheduler)

        def place(key: tuple[str, Scheduler, int]) -> tuple[int, int, int]:
            return specs.index(key[0]), schedulers.index(key[1]), key[2]

        ordered = tuple(cases[key] for key in sorted(cases, key=place))
        return self.model_copy(update={"cases": ordered})

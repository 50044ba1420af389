"""What the user sees while a run goes on: a live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
import math
import time

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from autofit.non_linear.search.nest.nss._run import Run

_LOG_EVERY_SECONDS = 15.0


class LiveProgress:
    """A rich progress bar; full when the remaining evidence is below the termination."""

    def __init__(self, console: Console, termination: float) -> None:
        self._termination = termination
        self._start: float | None = None
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=16),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
        )
        self._task = self._progress.add_task("compiling done, first iterations …", total=None)

    def __enter__(self) -> LiveProgress:
        self._progress.start()
        return self

    def __exit__(self, *exception) -> None:
        self._progress.stop()

    def __call__(self, run: Run, note: str) -> None:
        self._progress.update(self._task, description=_line(run, note))
        if not math.isfinite(run.remaining):  # no dead point has a likelihood yet
            return
        if self._start is None:
            self._start = max(run.remaining, self._termination + 1.0)
        self._progress.update(
            self._task,
            total=self._start - self._termination,
            completed=max(0.0, self._start - run.remaining),
        )


class LogProgress:
    """A log line now and then, for batch jobs and notebooks' logs."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._next = time.monotonic()

    def __enter__(self) -> LogProgress:
        return self

    def __exit__(self, *exception) -> None:
        pass

    def __call__(self, run: Run, note: str) -> None:
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _LOG_EVERY_SECONDS
            self._logger.info(_line(run, note))


def progress_for(
    console: Console, logger: logging.Logger, termination: float
) -> LiveProgress | LogProgress:
    """The live line where a terminal shows it, log lines otherwise."""
    if console.is_terminal and not console.quiet:
        return LiveProgress(console, termination)
    return LogProgress(logger)


def _line(run: Run, note: str) -> str:
    speed = run.total_evaluations / run.seconds if run.seconds else 0.0
    return (
        f"it {run.iterations}  log Z {run.log_evidence:.2f}  remaining {run.remaining:+.2f}  "
        f"{speed:,.0f} evals/s  {run.n_dead:,} dead  {note}"
    )

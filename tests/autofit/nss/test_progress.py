"""The live line of a run, on a terminal that is a text in memory."""

import io
import math
from types import SimpleNamespace

import pytest
from rich.console import Console

from autofit.non_linear.search.nest.nss._progress import LiveProgress


def run_at(iterations, remaining):
    return SimpleNamespace(
        iterations=iterations,
        remaining=remaining,
        log_evidence=-math.inf if math.isinf(remaining) else -5.0,
        total_evaluations=100 * iterations,
        seconds=1.0,
        n_dead=20 * iterations,
    )


@pytest.mark.parametrize("before", [[], [math.inf, math.inf], [math.nan]])
def test_it_fills_up_also_after_dead_points_without_a_likelihood(before):
    screen = io.StringIO()
    with LiveProgress(Console(file=screen, force_terminal=True, width=120), -3.0) as progress:
        for i, remaining in enumerate([*before, 17.0, 7.0, -3.5]):
            progress(run_at(i + 1, remaining), "chunk 4")
            progress._progress.refresh()
        (task,) = progress._progress.tasks
        assert (task.total, task.completed) == (20.0, 20.5)
    assert "remaining -3.50" in screen.getvalue() and "chunk 4" in screen.getvalue()

"""What a run leaves in its folder: saved states and pictures on the way, the result at the end."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from autofit.non_linear.fitness import Fitness
from autofit.non_linear.paths import AbstractPaths
from autofit.non_linear.result import Result
from autofit.non_linear.search.nest.nss import _checkpoint
from autofit.non_linear.search.nest.nss._options import require_int
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss.samples import samples_of

logger = logging.getLogger("autofit")


class Intervals(NamedTuple):
    """Iterations between two savings of the state, two pictures, and two full results.

    ``None`` is never. Anything else has to be a positive int.
    """

    checkpoint: int
    quick: int | None
    full: int | None

    def check(self) -> Intervals:
        """The same intervals, or an `OptionError`."""
        require_int("checkpoint_interval", self.checkpoint, least=1)
        for name, value in (("quick", self.quick), ("full", self.full)):
            if value is not None:
                require_int(f"iterations_per_{name}_update", value, least=1)
        return self


class RunOutput:
    """Writes what a run has to show; with null paths, nothing.

    Parameters
    ----------
    fitness
        The model and the analysis.
    paths
        The folder.
    info
        The user's own, kept with the samples.
    description
        What determines the chains, see `NSS.describe`.
    intervals
        When to write.
    """

    def __init__(
        self,
        fitness: Fitness,
        paths: AbstractPaths,
        info: dict[str, Any],
        description: dict[str, Any],
        intervals: Intervals,
    ) -> None:
        self._fitness, self._paths, self._info = fitness, paths, info
        self._fingerprint, self._intervals = description, intervals
        self._describe = jax.jit(fitness.describe)
        self._done = dict.fromkeys(Intervals._fields, 0)

    @property
    def _state_file(self) -> Path | None:
        folder = self._paths.files_path
        return None if folder is None else folder / "unfinished_run.npz"

    def resumed(self, run: Run) -> Run:
        """The unfinished run of the folder when there is one, else `run` as it is.

        The log likelihoods of the fresh live points are the fingerprint: they tell another
        dataset or another likelihood from the one that was interrupted.
        """
        live = np.asarray(run.state.particles.loglikelihood, np.float64)
        self._fingerprint = {
            **self._fingerprint,
            "log_likelihoods": [float(f"{value:.6e}") for value in live[:8]],
        }
        if self._state_file is None or not self._state_file.exists():
            return run
        run = _checkpoint.load(self._state_file, run, self._fingerprint)
        self._done = dict.fromkeys(self._done, run.iterations)
        logger.info("going on after iteration %d", run.iterations)
        return run

    def update(self, run: Run) -> None:
        """After a device call: save, draw and write what is due."""
        if self._paths.output_path is None:
            return
        if self._is_due("checkpoint", run):
            self._save_state(run)
        if self._is_due("full", run):
            result = self._result(run)
            result.save()
            self._visualize(result.instance, during_analysis=True)
        elif self._is_due("quick", run):
            self._visualize(self._best_instance(run), during_analysis=True)

    def finish(self, run: Run) -> Result:
        """Write the result; a converged fit is marked complete, another one can go on."""
        result = self._result(run)
        result.save()
        self._paths.save_text("search.summary", _summary(run))
        with _reported("save_results"):
            self._fitness.analysis.save_results(self._paths, result)
        if run.ended == "converged":
            self._visualize(result.instance, during_analysis=False)
            self._paths.mark_complete()
            if self._state_file is not None:
                self._state_file.unlink(missing_ok=True)
        else:
            self._save_state(run)
        return result

    def _is_due(self, what: str, run: Run) -> bool:
        interval = getattr(self._intervals, what)
        if interval is None or run.iterations < self._done[what] + interval:
            return False
        self._done[what] = run.iterations
        return True

    def _save_state(self, run: Run) -> None:
        if self._state_file is not None:
            _checkpoint.save(self._state_file, run, self._fingerprint)

    def _result(self, run: Run) -> Result:
        samples = samples_of(run, self._describe, self._fitness.model, self._info)
        return self._fitness.analysis.make_result(samples, self._fitness.model, self._paths)

    def _best_instance(self, run: Run) -> Any:
        best = int(np.argmax(np.asarray(run.state.particles.loglikelihood)))
        vectors, _ = self._describe(run.state.particles.position)
        return self._fitness.model.instance_from_vector(np.asarray(vectors)[best])

    def _visualize(self, instance: Any, during_analysis: bool) -> None:
        analysis = self._fitness.analysis
        if analysis.should_visualize(self._paths, during_analysis):
            with _reported("visualize"):
                analysis.visualize(self._paths, instance, during_analysis)


@contextmanager
def _reported(hook: str) -> Iterator[None]:
    """A user's hook that fails is reported; the samples of a long run are worth more than it."""
    try:
        yield
    except Exception as error:
        logger.exception("Analysis.%s failed", hook)
        warnings.warn(
            f"Analysis.{hook} failed with {type(error).__name__}: {error}. The samples are not "
            "touched by it; search.log has the traceback.",
            stacklevel=2,
        )


def _summary(run: Run) -> str:
    total = run.total_evaluations
    return "\n".join(
        f"{label:<32}{value}"
        for label, value in (
            ("Ended", run.ended),
            ("Iterations", f"{run.iterations:,}"),
            ("Dead points", f"{run.n_dead:,}"),
            ("Useful likelihood evaluations", f"{run.useful_evaluations:,}"),
            ("Total likelihood evaluations", f"{total:,}"),
            ("Useful share", f"{run.useful_share:.3f}"),
            ("Sampling time", f"{run.seconds:.1f} s"),
            ("Time per total evaluation", f"{1e3 * run.seconds / max(total, 1):.4f} ms"),
            ("", ""),
        )
    )

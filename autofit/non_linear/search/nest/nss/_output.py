"""What a run leaves in its folder: saved states and pictures on the way, the result at the end."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import jax
import numpy as np

from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.paths import AbstractPaths
from autofit.non_linear.result import Result
from autofit.non_linear.search.nest.nss._checkpoint import Checkpoint
from autofit.non_linear.search.nest.nss._intervals import Intervals
from autofit.non_linear.search.nest.nss._memory import lowest_precision
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss.samples import samples_of

logger = logging.getLogger("autofit")


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
        self._description, self._intervals = description, intervals
        self._describe = jax.jit(fitness.describe)
        self._done = dict.fromkeys(Intervals._fields, 0)
        self._saved_at = time.monotonic()  # which no clock jump can move
        self._checkpoint: Checkpoint | None = None
        self._failures: dict[str, str] = {}

    def resumed(self, run: Run) -> Run:
        """The unfinished run of the folder when there is one, else `run` as it is.

        Raises
        ------
        CheckpointError
            When there is one that cannot be gone on with, see `Checkpoint.load`.
        """
        if self._paths.files_path is None:
            return run
        folder = self._paths.files_path / "checkpoint"
        fitness = self._fitness
        precision = lowest_precision(fitness.jaxpr)
        self._checkpoint = Checkpoint(folder, run, self._description, fitness.model, precision)
        self._saved_at = time.monotonic()
        saved = self._checkpoint.load()
        if saved is None:
            return run
        self._done = dict.fromkeys(self._done, saved.iterations)
        logger.info("going on after iteration %d", saved.iterations)
        return saved

    def save(self, run: Run) -> None:
        """Save the state of `run` now, so that the same script goes on from here.

        To be called between two device calls, for any reason there is. A disk that is full or
        read-only is reported in the log, once for each kind of failure, and raises nothing.
        """
        self._saved_at = time.monotonic()
        self._done["checkpoint"] = run.iterations
        if self._checkpoint is not None:
            with self._tolerated("the state of the run"):
                self._checkpoint.save(run)

    def update(self, run: Run) -> None:
        """After a device call: save, draw and write what is due."""
        if self._paths.output_path is None:
            return
        seconds = self._intervals.seconds
        by_time = seconds is not None and time.monotonic() - self._saved_at >= seconds
        if by_time or self._is_due("checkpoint", run):
            self.save(run)
        if self._is_due("full", run):
            with self._tolerated("the results on the way"):
                result = self._result(run)
                result.save()
                self._visualize(lambda: result.instance, during_analysis=True)
        elif self._is_due("quick", run):
            self._visualize(lambda: self._best_instance(run), during_analysis=True)

    def finish(self, run: Run, chunk_sizes: dict[str, Any]) -> Result:
        """Write the result; a converged fit is marked complete, another one can go on.

        Parameters
        ----------
        run
            At its end.
        chunk_sizes
            Those that were tried, to be kept with the result; JSON-able.

        Warns
        -----
        UserWarning
            When something could not be written; the result is returned all the same.
        """
        self.save(run)  # the result may take long, and more memory
        result = self._result(run)
        with self._tolerated("the result"):
            result.save()
            self._paths.save_text("search.summary", _summary(run))
            self._paths.save_json("chunk_sizes", self._with_earlier_trials(chunk_sizes))
        with _reported("save_results"):
            self._fitness.analysis.save_results(self._paths, result)
        if run.is_finished:
            self._visualize(lambda: result.instance, during_analysis=False)
            with _reported("modify_after_fit"):
                self._fitness.analysis.modify_after_fit(self._paths, self._fitness.model, result)
            self._complete()
        if self._failures and not self._paths.is_complete:
            unwritten = "; ".join(f"{what} ({error})" for what, error in self._failures.items())
            warnings.warn(
                f"could not write {unwritten}. The result is complete in memory; make room in "
                f"{self._paths.output_path} and run the same script again.",
                stacklevel=2,
            )
        return result

    def _with_earlier_trials(self, chunk_sizes: dict[str, Any]) -> dict[str, Any]:
        """With those of before an interruption, after which nothing may be tried again."""
        trials = {}
        with suppress(OSError, ValueError, LookupError, TypeError):  # no such file, or no such JSON
            trials = {
                trial["chunk_size"]: trial
                for trial in self._paths.load_json("chunk_sizes")["trials"]
            }
        trials |= {trial["chunk_size"]: trial for trial in chunk_sizes["trials"]}
        return chunk_sizes | {"trials": [trials[size] for size in sorted(trials)]}

    def _complete(self) -> None:
        if "the result" in self._failures:
            return
        with self._tolerated("the mark of a complete fit"):
            self._paths.mark_complete()
        if self._checkpoint is not None and self._paths.is_complete:
            with self._tolerated("an empty folder in place of the saved state"):
                self._checkpoint.remove()

    @contextmanager
    def _tolerated(self, what: str) -> Iterator[None]:
        """A disk that does not work is reported, and what failed is tried again later."""
        try:
            yield
        except (OSError, CheckpointError) as error:  # the latter of a file that cannot be read
            failure = f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}"
            if self._failures.get(what) != failure:
                logger.warning(
                    "could not write %s to %s (%s). Sampling is not touched by it; it is tried "
                    "again at the next occasion.",
                    what,
                    self._paths.output_path,
                    failure,
                )
            self._failures[what] = failure
        else:
            if self._failures.pop(what, None):
                logger.info("%s could be written again", what)

    def _is_due(self, what: str, run: Run) -> bool:
        interval = getattr(self._intervals, what)
        if interval is None or run.iterations < self._done[what] + interval:
            return False
        self._done[what] = run.iterations
        return True

    def _result(self, run: Run) -> Result:
        samples = samples_of(run, self._describe, self._fitness.model, self._info)
        model, analysis = self._fitness.model, self._fitness.analysis
        with _reported("make_result"):
            return analysis.make_result(samples=samples, model=model, paths=self._paths)
        return Result(samples, model, analysis, self._paths)

    def _best_instance(self, run: Run) -> Any:
        best = int(np.argmax(np.asarray(run.state.particles.loglikelihood)))
        vectors, _ = self._describe(run.state.particles.position)
        return self._fitness.model.instance_from_vector(np.asarray(vectors)[best])

    def _visualize(self, best_instance: Callable[[], Any], during_analysis: bool) -> None:
        analysis = self._fitness.analysis
        with _reported("visualize"):
            if analysis.should_visualize(self._paths, during_analysis):
                analysis.visualize(self._paths, best_instance(), during_analysis)


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

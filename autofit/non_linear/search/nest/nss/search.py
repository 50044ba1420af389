"""`af.NSS`: nested slice sampling that fits its batches to the memory there is."""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack, suppress
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from rich.console import Console
from threadpoolctl import threadpool_limits

from autofit.mapper import AbstractPriorModel, identifier_for
from autofit.non_linear.analysis import Analysis
from autofit.non_linear.errors import EvidenceError
from autofit.non_linear.fitness import Fitness
from autofit.non_linear.paths import AbstractPaths, paths_for
from autofit.non_linear.result import Result
from autofit.non_linear.search.nest.nss._block import block_program
from autofit.non_linear.search.nest.nss._chunked_nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._evaluations import count_evaluations
from autofit.non_linear.search.nest.nss._intervals import Intervals
from autofit.non_linear.search.nest.nss._lock import folder_lock
from autofit.non_linear.search.nest.nss._memory import DeviceBudget, Plan, plan_nss, read_budget
from autofit.non_linear.search.nest.nss._options import Options, require_json
from autofit.non_linear.search.nest.nss._output import RunOutput
from autofit.non_linear.search.nest.nss._progress import progress_for
from autofit.non_linear.search.nest.nss._run import Run
from autofit.non_linear.search.nest.nss._sampling import Sampling
from autofit.non_linear.search.nest.nss._scheduler import scheduler_for
from autofit.non_linear.search.nest.nss._signals import Signals

logger = logging.getLogger("autofit")
logger.setLevel(logging.INFO)  # so that search.log has the progress of every run


class NSS:
    """Nested slice sampling (blackjax's), with init and step cut into chunks that fit the memory.

    Parameters
    ----------
    name, path_prefix, unique_tag
        Where the output goes, ``output/<path_prefix>/<unique_tag>/<name>/<identifier>/``; without
        name and prefix nothing is written.
    n_live
        Live points.
    num_mcmc_steps
        Slice moves per replaced point. The default is PyAutoFit's; an unbiased evidence needs at
        least ``max(5, 2 * n_dim)``, and fewer are warned about.
    num_delete
        Live points replaced per iteration, below `n_live`.
    chunk_size
        Points evaluated at once. ``"auto"``: what turns out to be the fastest while sampling,
        within the memory that is free. ``"memory"``: the most that fits. An int is taken as it is,
        ``None`` makes no chunks.
    memory_limit
        Most memory that a program of the fit may take on top of what the process holds already, as
        bytes, a text like ``"8 GiB"``, or a fraction of what is free; all of that when not given.
    termination
        The run ends when ``log Z_live - log Z`` is below it.
    max_iterations, max_seconds
        The run ends there at the latest, with the samples so far; seconds are of sampling alone,
        those before an interruption included.
    checkpoint_interval
        Iterations after which the state of the run is saved, for a named fit.
    checkpoint_seconds
        Wall time after which it is saved, if that comes first.
    iterations_per_quick_update
        Iterations after which `Analysis.visualize` is called.
    iterations_per_full_update
        Iterations after which samples and results so far are written, too.
    seed
        The same seed gives the same chains.
    silence
        Print nothing; `search.log` is written all the same.
    scheduler
        How a step works through its points in chunks: ``"lanes"`` (the default), where no chain
        waits for another, or ``"map"``, wave by wave. The chains are the same.
    number_of_cores, session
        PyAutoFit's, accepted and not used: the device is used as a whole, and results go to the
        folder alone.

    Raises
    ------
    OptionError
        For an option, or a combination, that cannot work.

    References
    ----------
    Yallup, Kroupa & Handley 2026, arXiv:2601.23252.
    """

    def __init__(
        self,
        name: str | None = None,
        path_prefix: str | os.PathLike[str] | None = None,
        unique_tag: str | None = None,
        n_live: int = 200,
        num_mcmc_steps: int = 5,
        num_delete: int = 50,
        chunk_size: int | str | None = None,
        termination: float = -3.0,
        checkpoint_interval: int | None = None,
        iterations_per_quick_update: int | None = None,
        iterations_per_full_update: int | None = None,
        number_of_cores: int = 1,
        seed: int = 42,
        silence: bool = False,
        session: Any = None,
        *,
        memory_limit: int | float | str | None = None,
        max_iterations: int | None = None,
        max_seconds: float | None = None,
        checkpoint_seconds: float | None = 60.0,
        scheduler: str | None = None,
    ) -> None:
        self.name, self.path_prefix, self.unique_tag = name, path_prefix, unique_tag
        self.memory_limit = memory_limit
        self.silence = silence
        self.intervals = Intervals(
            checkpoint=checkpoint_interval,
            quick=iterations_per_quick_update,
            full=iterations_per_full_update,
            seconds=checkpoint_seconds,
        ).check()
        self.options = Options(
            n_live=n_live,
            num_mcmc_steps=num_mcmc_steps,
            num_delete=num_delete,
            termination=termination,
            seed=seed,
            max_iterations=max_iterations,
            max_seconds=max_seconds,
            chunk_size=chunk_size,
            scheduler=scheduler,
        )
        if memory_limit is not None:
            read_budget(limit=memory_limit)  # refuse here and now what makes no sense

    def fit(
        self, model: AbstractPriorModel, analysis: Analysis, info: dict[str, Any] | None = None
    ) -> Result:
        """Sample the posterior of `model` given the data of `analysis`.

        A finished fit of the same model, options and folder is loaded; an unfinished one goes on
        where it was interrupted.

        Parameters
        ----------
        model
            The model, with priors.
        analysis
            Its `log_likelihood_function` is traced by JAX.
        info
            Names and what else is JSON-able, to keep with the samples.

        Returns
        -------
        The result; after Ctrl-C or at a cap, the one of the samples so far.

        Raises
        ------
        OptionError, NotTraceableError
            Before anything is compiled.
        InfeasibleError
            When not even one likelihood call fits the memory; before anything is allocated.
        OutOfMemoryError
            When the memory is gone later, even for one call at a time; the state is saved.
        EvidenceError
            When the likelihood gives values from which no evidence can be computed.
        CheckpointError
            When the folder holds an unfinished run of something else.
        FolderInUseError
            When another run works in the folder.

        Notes
        -----
        SIGTERM ends the run as Ctrl-C does, and then the process; SIGUSR1 saves the state.
        """
        model = analysis.modify_model(model)
        self.options.check_for(model.prior_count)
        require_json("info", info)
        paths = self._paths(model)
        # A request to save what has not begun must not end it, hence the signals.
        with Signals(stopping=False), ExitStack() as stack:
            if not paths.is_complete:  # any number of runs may load what is
                stack.enter_context(folder_lock(paths.output_path))
            if paths.is_complete:  # by now
                self._say(f"{paths.output_path} is complete: loading it, nothing is sampled")
                return analysis.make_result(
                    samples=paths.load_samples(model), model=model, paths=paths
                )
            analysis = analysis.modify_before_fit(paths=paths, model=model)
            fitness = Fitness(model, analysis)
            handler = paths.log_handler()
            logger.addHandler(handler)
            try:
                return self._fit(fitness, paths, info or {})
            finally:
                logger.removeHandler(handler)
                with suppress(OSError):  # what a full disk has not taken
                    handler.close()

    def _fit(self, fitness: Fitness, paths: AbstractPaths, info: dict[str, Any]) -> Result:
        model, analysis = fitness.model, fitness.analysis
        paths.save_model(model)
        paths.save_json("search", self.describe())
        analysis.save_attributes(paths)
        if analysis.should_visualize(paths):
            analysis.visualize_before_fit(paths, model)

        plan = self._plan(fitness)
        paths.save_json("memory_plan", plan.model_dump(mode="json"))
        self._say(plan.report())
        output = RunOutput(fitness, paths, info, self.describe(), self.intervals)
        sampling = Sampling(fitness, self.options, plan, self._budget)
        # XLA's threads call LAPACK side by side; with threads of its own as well, OpenBLAS crawls
        with threadpool_limits(limits=1, user_api="blas"):
            run = output.resumed(sampling.start())
            with Signals() as signals:
                self._sample(sampling, run, output, signals)
                result = output.finish(run, sampling.chunk_sizes())
                self._say(sampling.report(run))
                if not run.is_finished and paths.output_path is not None:
                    self._say(
                        f"The samples so far are in {paths.output_path}. Run the same script again "
                        "to go on from here."
                    )
        return result

    def _sample(self, sampling: Sampling, run: Run, output: RunOutput, signals: Signals) -> None:
        with progress_for(self._console, logger, self.options.termination) as progress:

            def after_call(run: Run, note: str) -> None:
                progress(run, note)
                output.update(run)

            try:
                sampling.go_on(run, after_call, output.save, signals)
            except EvidenceError:
                raise  # a state that leads nowhere replaces no saved one
            except Exception:
                output.save(run)
                raise

    def _plan(self, fitness: Fitness) -> Plan:
        """Plan the memory and compile init and step: the very programs that will run."""
        options = self.options
        scheduler, notes = scheduler_for(fitness.jaxpr, options)

        def step_program(algorithm, chunk_size):
            count = partial(count_evaluations, chunk_size=chunk_size)
            return block_program(algorithm, count, options.termination, options.num_delete)

        return plan_nss(
            partial(build_chunked_nss_algorithm, scheduler=scheduler),
            loglikelihood_fn=fitness.log_likelihood,
            logprior_fn=fitness.log_prior,
            n_dim=fitness.n_dim,
            n_live=options.n_live,
            num_delete=options.num_delete,
            num_inner_steps=options.num_mcmc_steps,
            budget=self._budget(),
            chunk_size="auto" if options.chunk_size == "memory" else options.chunk_size,
            prefer_fast=options.chunk_size == "auto",
            step_program=step_program,
            step_arguments=(jax.ShapeDtypeStruct((), jnp.int32),),
            calls_held=2 if scheduler == "map" else 1,
            notes=notes,
        )

    def _budget(self) -> DeviceBudget:
        return read_budget(limit=self.memory_limit)

    def _paths(self, model: AbstractPriorModel) -> AbstractPaths:
        identifier = identifier_for(model.to_dict(), self.describe(), self.unique_tag)
        return paths_for(self.name, self.path_prefix, self.unique_tag, identifier)

    def describe(self) -> dict[str, Any]:
        """What determines the chains; how they are cut into chunks does not."""
        description = asdict(self.options)
        for name in ("chunk_size", "max_iterations", "max_seconds", "scheduler"):
            del description[name]
        return {"class": "NSS", **description}

    @property
    def _console(self) -> Console:
        return Console(quiet=self.silence)

    def _say(self, what: Any) -> None:
        """Print for the user, and keep it in `search.log`."""
        self._console.print(what, highlight=False, markup=False)
        logger.info("%s", what)

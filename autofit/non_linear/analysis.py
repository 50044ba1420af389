"""What the user writes: the log-likelihood of a model instance, and what to draw and save."""

from __future__ import annotations

from typing import Any

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.paths import AbstractPaths
from autofit.non_linear.result import Result
from autofit.non_linear.samples import Samples


class Visualizer:
    """Drawing hooks of an analysis, kept apart from the likelihood so that they can be replaced.

    Subclass it, override what is wanted, and name the subclass in the analysis:
    `class Analysis(af.Analysis): Visualizer = MyVisualizer`. All methods are static and get the
    analysis as their first argument.
    """

    @staticmethod
    def should_visualize(paths: AbstractPaths, during_analysis: bool = True) -> bool:
        """Whether there is a folder to draw into, and a reason to draw.

        Parameters
        ----------
        paths
            Where the fit is written. Null paths have no folder, so nothing is drawn.
        during_analysis
            True for drawings made while the sampler runs: a finished fit does not repeat them.
        """
        if paths.output_path is None:
            return False
        return not (during_analysis and paths.is_complete)

    @staticmethod
    def visualize_before_fit(
        analysis: Analysis, paths: AbstractPaths, model: AbstractPriorModel
    ) -> None:
        """Draw what does not depend on a fit, for instance the data. Does nothing by default."""

    @staticmethod
    def visualize(
        analysis: Analysis, paths: AbstractPaths, instance: Any, during_analysis: bool
    ) -> None:
        """Draw the fit of one instance into `paths.image_path`. Does nothing by default."""


class Analysis:
    """Base class of an analysis: data, and the log-likelihood of a model instance given the data.

    Subclass it and override `log_likelihood_function`, written with `jax.numpy`: it is traced, so
    that many instances can be evaluated in one batch on the device.

    Parameters
    ----------
    use_jax
        PyAutoFit's, which must be true where it is given.

    Raises
    ------
    ValueError
        When `use_jax` is False: the samplers of this package have no NumPy path.
    """

    Result: type[Result] = Result
    Visualizer: type[Visualizer] = Visualizer

    def __init__(self, use_jax: bool = True) -> None:
        if not use_jax:
            raise ValueError(
                "use_jax=False was given, but the samplers of this package trace the likelihood "
                "with JAX. Write log_likelihood_function with jax.numpy and leave use_jax out."
            )

    def log_likelihood_function(self, instance: Any) -> Any:
        """Log-likelihood of one instance of the model.

        Parameters
        ----------
        instance
            An instance of the model, whose attributes are JAX scalars.

        Returns
        -------
        float or jax.Array
            A scalar. Minus infinity excludes the instance.

        Raises
        ------
        NotImplementedError
            Unless a subclass overrides it.
        """
        raise NotImplementedError(
            f"{type(self).__name__} has no log_likelihood_function. Define "
            "log_likelihood_function(self, instance) in the class, returning the log-likelihood "
            "of the instance as a JAX scalar."
        )

    def modify_model(self, model: AbstractPriorModel) -> AbstractPriorModel:
        """The model that is fitted in place of the one given; the same by default."""
        return model

    def modify_before_fit(self, paths: AbstractPaths, model: AbstractPriorModel) -> Analysis:
        """The analysis that is fitted in place of this one, which may change; itself by default.

        It is not called where a complete fit is loaded.
        """
        return self

    def modify_after_fit(
        self, paths: AbstractPaths, model: AbstractPriorModel, result: Result
    ) -> Analysis:
        """Called last, once a fit has converged, for instance to let go of memory.

        An interrupted fit can go on with the same analysis, and does not call it.
        """
        return self

    def should_visualize(self, paths: AbstractPaths, during_analysis: bool = True) -> bool:
        """Whether the drawing hooks are worth calling; see `Visualizer.should_visualize`."""
        return self.Visualizer.should_visualize(paths, during_analysis)

    def visualize_before_fit(self, paths: AbstractPaths, model: AbstractPriorModel) -> None:
        """Draw what does not depend on a fit; see `Visualizer.visualize_before_fit`."""
        self.Visualizer.visualize_before_fit(self, paths, model)

    def visualize(self, paths: AbstractPaths, instance: Any, during_analysis: bool) -> None:
        """Draw the fit of one instance; see `Visualizer.visualize`.

        Parameters
        ----------
        paths
            Where the fit is written; drawings belong in `paths.image_path`.
        instance
            The instance of highest log-likelihood so far.
        during_analysis
            True while the sampler runs, False for the final drawing.
        """
        self.Visualizer.visualize(self, paths, instance, during_analysis)

    def save_attributes(self, paths: AbstractPaths) -> None:
        """Save the data before the fit, with `paths.save_json` and its like. Nothing by default."""

    def save_results(self, paths: AbstractPaths, result: Result) -> None:
        """Save what follows from the result after the fit. Does nothing by default."""

    def make_result(
        self, samples: Samples, model: AbstractPriorModel, paths: AbstractPaths | None = None
    ) -> Result:
        """Build the result of a fit; name a subclass of `Result` in `Analysis.Result` to extend it.

        Parameters
        ----------
        samples
            The weighted samples of the fit.
        model
            The model that was fitted.
        paths
            Where the fit is written.
        """
        return self.Result(samples=samples, model=model, analysis=self, paths=paths)

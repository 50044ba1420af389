"""Bayesian fits with heavy JAX likelihoods: models, priors, analysis, and nested slice sampling."""

from autofit._environment import prefer_double_precision, refuse_beside_pyautofit

refuse_beside_pyautofit()
prefer_double_precision()

from autofit import example as ex  # noqa: E402
from autofit.mapper import (  # noqa: E402
    Collection,
    FitException,
    GaussianPrior,
    LogGaussianPrior,
    LogUniformPrior,
    Model,
    ModelInstance,
    Prior,
    TruncatedGaussianPrior,
    TuplePrior,
    UniformPrior,
)
from autofit.non_linear.analysis import Analysis, Visualizer  # noqa: E402
from autofit.non_linear.result import Result  # noqa: E402
from autofit.non_linear.samples import Samples  # noqa: E402
from autofit.non_linear.search.nest.nss import NSS  # noqa: E402

__all__ = [
    "NSS",
    "Analysis",
    "Collection",
    "FitException",
    "GaussianPrior",
    "LogGaussianPrior",
    "LogUniformPrior",
    "Model",
    "ModelInstance",
    "Prior",
    "Result",
    "Samples",
    "TruncatedGaussianPrior",
    "TuplePrior",
    "UniformPrior",
    "Visualizer",
    "ex",
]

"""Models and priors: the maps between the unit cube, the physical vector and an instance."""

from autofit.mapper.collection import Collection
from autofit.mapper.errors import (
    FitException,
    MapperError,
    ModelError,
    PriorLimitError,
    UnsetPriorError,
)
from autofit.mapper.gaussian import GaussianPrior, LogGaussianPrior
from autofit.mapper.identifier import identifier_for
from autofit.mapper.instance import ModelInstance
from autofit.mapper.model import Model
from autofit.mapper.prior import Prior
from autofit.mapper.prior_model import AbstractPriorModel
from autofit.mapper.truncated import TruncatedGaussianPrior
from autofit.mapper.tuple_prior import TuplePrior
from autofit.mapper.uniform import LogUniformPrior, UniformPrior

__all__ = [
    "AbstractPriorModel",
    "Collection",
    "FitException",
    "GaussianPrior",
    "LogGaussianPrior",
    "LogUniformPrior",
    "MapperError",
    "Model",
    "ModelError",
    "ModelInstance",
    "Prior",
    "PriorLimitError",
    "TruncatedGaussianPrior",
    "TuplePrior",
    "UniformPrior",
    "UnsetPriorError",
    "identifier_for",
]

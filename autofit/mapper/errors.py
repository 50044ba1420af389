"""Errors of model composition, each with the mistake, the value received and the remedy."""


class MapperError(Exception):
    """Base of every error that a prior or a model raises."""


class PriorLimitError(MapperError, ValueError):
    """A prior was given limits or a width that no distribution can have."""


class ModelError(MapperError, ValueError):
    """A model was composed, or a vector was passed to it, in a way that cannot be fitted."""


class UnsetPriorError(ModelError):
    """An argument of a model has neither a prior nor a value when a fit needs one."""


class FitException(MapperError):
    """A vector breaks an assertion of its model: the point is outside the allowed space."""

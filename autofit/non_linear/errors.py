"""Errors of a search: each with the mistake, the value received and the remedy."""


class SearchError(Exception):
    """Base of every error that a search raises on purpose."""


class OptionError(SearchError, ValueError):
    """An option of a search, or a combination of them, that cannot work."""


class NotTraceableError(SearchError, TypeError):
    """The log-likelihood function cannot be traced by JAX, or does not return one real number."""


class EvidenceError(SearchError, ArithmeticError):
    """The likelihood gave values from which no evidence can be computed."""


class CheckpointError(SearchError):
    """A saved state that does not belong to this fit or cannot be read."""


class FolderInUseError(SearchError):
    """Another run works in the output folder."""


class OutOfMemoryError(SearchError, MemoryError):
    """Not even one likelihood call at a time has the memory it needs."""

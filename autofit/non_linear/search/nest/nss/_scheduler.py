"""Which scheduler works through a step: lanes, but not for likelihoods that cost nothing."""

from __future__ import annotations

from jax.extend.core import ClosedJaxpr

from autofit.non_linear.search.nest.nss._memory import elements_computed
from autofit.non_linear.search.nest.nss._options import Options

TRIVIAL_ELEMENTS = 2_000
"""Below so many array elements a call costs about 1 us; see `scheduler_for`."""


def scheduler_for(jaxpr: ClosedJaxpr, options: Options) -> tuple[str | None, tuple[str, ...]]:
    """The scheduler of a fit, and what the plan should say about it.

    Lanes save half of the evaluations and cost some bookkeeping for each. For likelihoods of a few
    operations the bookkeeping is dearer: ``python -m benchmarks.schedulers --only gaussian``, and
    ``--only image``, where 840 elements lose and 8,130 gain.

    Parameters
    ----------
    jaxpr
        Of one call of the log likelihood.
    options
        A scheduler that the user names is taken; without chunks upstream's step is.
    """
    if options.scheduler is not None or options.chunk_size not in ("auto", "memory"):
        return options.scheduler, ()
    elements = elements_computed(jaxpr)
    if elements is None or elements >= TRIVIAL_ELEMENTS:
        return "lanes", ()
    note = (
        f"a call computes only {elements} array elements: upstream's step is used, for lanes would "
        "save less than their bookkeeping costs; scheduler='lanes' overrules"
    )
    return "map", (note,)

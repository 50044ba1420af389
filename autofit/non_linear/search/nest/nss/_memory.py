"""The one door to the planner: nothing else in `autofit` imports `autofit_memplan`."""

from autofit_memplan import (
    InfeasibleError,
    MemplanError,
    Plan,
    chunked_vmap,
    elements_computed,
    plan_nss,
    read_budget,
)
from autofit_memplan.solver import balance as balanced

__all__ = [
    "InfeasibleError",
    "MemplanError",
    "Plan",
    "balanced",
    "chunked_vmap",
    "elements_computed",
    "plan_nss",
    "read_budget",
]

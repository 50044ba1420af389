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

__all__ = [
    "InfeasibleError",
    "MemplanError",
    "Plan",
    "chunked_vmap",
    "elements_computed",
    "plan_nss",
    "read_budget",
]

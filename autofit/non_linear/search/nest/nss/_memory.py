"""The one door to the planner: nothing else in `autofit` imports `autofit_memplan`."""

from autofit_memplan import (
    DeviceBudget,
    InfeasibleError,
    MemplanError,
    Plan,
    chunked_vmap,
    elements_computed,
    lowest_precision,
    plan_nss,
    read_budget,
)
from autofit_memplan.compiler import compiler_options
from autofit_memplan.records import Alternative
from autofit_memplan.remembered import Fastest
from autofit_memplan.solver import balance as balanced
from autofit_memplan.solver import waves
from autofit_memplan.units import format_bytes

__all__ = [
    "Alternative",
    "DeviceBudget",
    "Fastest",
    "InfeasibleError",
    "MemplanError",
    "Plan",
    "balanced",
    "chunked_vmap",
    "compiler_options",
    "elements_computed",
    "format_bytes",
    "lowest_precision",
    "plan_nss",
    "read_budget",
    "waves",
]

"""A memory planner for JAX: how many calls may run at once, and what will that cost?"""

from autofit_memplan.budget import read_budget
from autofit_memplan.chunked import chunked_vmap
from autofit_memplan.errors import (
    AnalysisUnavailableError,
    BudgetError,
    InfeasibleError,
    LimitError,
    MemplanError,
    TargetError,
)
from autofit_memplan.jaxprs import elements_computed, lowest_precision
from autofit_memplan.planner import plan_calls, plan_nss
from autofit_memplan.records import DeviceBudget, Footprint, Plan, ProgramPlan

__all__ = [
    "AnalysisUnavailableError",
    "BudgetError",
    "DeviceBudget",
    "Footprint",
    "InfeasibleError",
    "LimitError",
    "MemplanError",
    "Plan",
    "ProgramPlan",
    "TargetError",
    "chunked_vmap",
    "elements_computed",
    "lowest_precision",
    "plan_calls",
    "plan_nss",
    "read_budget",
]

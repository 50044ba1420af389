"""Analysis, results and output of a fit; everything about a search but the sampler itself."""

from autofit.non_linear.analysis import Analysis, Visualizer
from autofit.non_linear.corner import corner
from autofit.non_linear.paths import AbstractPaths, DirectoryPaths, NullPaths, paths_for
from autofit.non_linear.result import Result
from autofit.non_linear.samples import Samples
from autofit.non_linear.samples_summary import SamplesSummary

__all__ = [
    "AbstractPaths",
    "Analysis",
    "DirectoryPaths",
    "NullPaths",
    "Result",
    "Samples",
    "SamplesSummary",
    "Visualizer",
    "corner",
    "paths_for",
]

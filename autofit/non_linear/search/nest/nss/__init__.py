"""Nested slice sampling."""

from autofit.non_linear.search.nest.nss._chunked_nss import build_chunked_nss_algorithm
from autofit.non_linear.search.nest.nss._chunked_update import make_chunked_update_strategy
from autofit.non_linear.search.nest.nss.search import NSS

__all__ = ["NSS", "build_chunked_nss_algorithm", "make_chunked_update_strategy"]

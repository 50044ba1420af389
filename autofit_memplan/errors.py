"""What can go wrong in planning. Every message gives the numbers and the remedy."""

from __future__ import annotations

from collections.abc import Iterable

from autofit_memplan.units import format_bytes

REMEDY = (
    "Reduce the mesh or the data, use float32, free memory, or raise the limit if one was given"
)


class MemplanError(Exception):
    """Base of every error that this package raises on purpose."""


class InfeasibleError(MemplanError):
    """The smallest program does not fit the budget.

    Build one with `InfeasibleError.compose`, which writes the message.

    Attributes
    ----------
    needed_bytes
        What the program needs.
    limit_bytes
        What the budget allows.
    """

    def __init__(self, message: str, needed_bytes: int, limit_bytes: int) -> None:
        # All three go to Exception.args, from which pickle rebuilds the error in a parent process.
        super().__init__(message, needed_bytes, limit_bytes)
        self.needed_bytes = needed_bytes
        self.limit_bytes = limit_bytes

    def __str__(self) -> str:
        return self.args[0]

    @classmethod
    def compose(
        cls,
        what: str,
        needed_bytes: int,
        limit_bytes: int,
        account: Iterable[tuple[str, int | None]] = (),
        remedy: str = REMEDY,
    ) -> InfeasibleError:
        """The error whose message says what is needed, what there is, and what to do.

        Parameters
        ----------
        what
            What does not fit, as the subject of a sentence: ``"one call"``.
        needed_bytes, limit_bytes
            Bytes needed and bytes allowed.
        account
            ``(label, signed bytes)`` of each line of the budget, to show where the limit comes
            from; lines without a figure, or of zero bytes, are left out.
        remedy
            What the user can do, one sentence without its full stop.
        """
        lines = [(label, n) for label, n in account if n]
        account_text = "".join(
            f"{' - ' if n < 0 else ' + ' if i else ''}{format_bytes(abs(n))} {label}"
            for i, (label, n) in enumerate(lines)
        )
        shown = f" ({account_text.strip()})" if lines else ""
        message = (
            f"{what} needs {format_bytes(needed_bytes)}; "
            f"the budget is {format_bytes(limit_bytes)}{shown}. {remedy}."
        )
        return cls(message, needed_bytes, limit_bytes)


class AnalysisUnavailableError(MemplanError):
    """XLA gave no memory analysis for a compiled program, so nothing can be planned on it."""


class BudgetError(MemplanError):
    """No usable memory budget could be read for a device."""


class LimitError(BudgetError, ValueError):
    """The ``limit`` that the user gave is not a size and not a fraction."""


class TargetError(MemplanError):
    """A compile-only target that cannot be used."""


class MeasureError(MemplanError):
    """A batch that was to be measured could not be run, or its memory not be read."""

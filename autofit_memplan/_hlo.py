"""Reading a compiled program's text: its calls of libraries, with their shapes.

XLA prints one instruction a line, in every computation: loops, branches and calls need no
descent. Large constants are not printed. The instructions of interest look like

    %fft.7 = c128[8,161,81]{2,1,0} fft(%x), fft_type=RFFT, fft_length={161,161}
    %lu.0 = (f64[8,64,64]{1,2,0}, s32[8,64]{1,0}, s32[8]{0}) custom-call(%x),
        custom_call_target="cusolver_getrf_ffi", operand_layout_constraints={f64[8,64,64]{1,2,0}}, …
"""

from __future__ import annotations

import bisect
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

_CALL = re.compile(
    r"^\s*(?:ROOT )?%\S+ = (\(.*?\)|\S+) (fft|custom-call|sort|dot)\((.*)", re.MULTILINE
)
_DEFINED = re.compile(r"^\s*(?:ROOT )?%(\S+) = (\w+\[[\d,]*\])", re.MULTILINE)
_PARAMETER = re.compile(r"^\s*%(\S+) = \S+ parameter\(", re.MULTILINE)
_COMPUTATION = re.compile(r"^(?:ENTRY )?%(\S+) \(", re.MULTILINE)
_GROUPED = re.compile(r'calls=%([^\s,]+)[^\n]*"kind":"__ynn_fusion"')
_BODY = re.compile(r"\bbody=%([^\s,]+)")
_NAMES = re.compile(r"%([^\s,)}]+)")
_AXIS = re.compile(r"dimensions=\{(\d+)\}")
_ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")
_LENGTHS = re.compile(r"fft_length=\{([\d,]*)\}")
_TARGET = re.compile(r'custom_call_target="([^"]*)"')
_OPERANDS = re.compile(r"operand_layout_constraints=\{((?:[^{}]|\{[^{}]*\})*)\}")


class Array(NamedTuple):
    """An array's type as XLA writes it: ``f64[8,64]``."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def itemsize(self) -> int:
        bits = re.search(r"\d+", self.dtype)  # pred has none
        return -(-int(bits[0]) // 8) if bits else 1

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.itemsize


class LibraryCall(NamedTuple):
    """One call of something that XLA did not compile itself, or may give to a library.

    Attributes
    ----------
    target
        ``"fft"``, ``"sort"``, ``"dot"``, or the name under which the called function is
        registered.
    results
        What it returns.
    operands
        What it takes, where the text says so: for the calls that JAX makes itself, and not for
        FFTs and XLA's own calls of cuBLAS and cuDNN. Of a product, what it takes from within the
        group of operations that it is in.
    is_grouped
        Whether it is in a group of operations that XLA for CPUs hands to YNNPACK as a whole.
    is_looped
        Whether it is in the body of a loop, or in what that calls.
    fft_lengths
        Lengths of the transformed axes, the last ones; empty if this is not an FFT.
    axis
        The sorted one; ``None`` if this is not a sort.
    attributes
        The rest of the line.
    """

    target: str
    results: tuple[Array, ...]
    operands: tuple[Array, ...]
    is_grouped: bool
    is_looped: bool
    fft_lengths: tuple[int, ...]
    axis: int | None
    attributes: str


def library_calls(text: str) -> Iterator[LibraryCall]:
    """FFTs, custom calls, sorts and products in a compiled program, in the order of its text."""
    defined, parameters = dict(_DEFINED.findall(text)), set(_PARAMETER.findall(text))
    grouped = set(_GROUPED.findall(text))
    computations = [(0, ""), *((m.start(), m[1]) for m in _COMPUTATION.finditer(text))]
    starts = [start for start, _ in computations]
    looped = _called_in_loops(text, computations)
    for found in _CALL.finditer(text):
        result, opcode, rest = found.groups()
        computation = computations[bisect.bisect(starts, found.start()) - 1][1]
        lengths, target, operands, axis = (
            pattern.search(rest) for pattern in (_LENGTHS, _TARGET, _OPERANDS, _AXIS)
        )
        taken = operands[1] if operands else ""
        if opcode == "dot":
            own = (name for name in _NAMES.findall(rest)[:2] if name not in parameters)
            taken = " ".join(defined.get(name, "") for name in own)
        yield LibraryCall(
            target=target[1] if target else opcode,
            results=_arrays(result),
            operands=_arrays(taken),
            is_grouped=computation in grouped,
            is_looped=computation in looped,
            fft_lengths=_integers(lengths[1] if lengths else ""),
            axis=int(axis[1]) if axis else None,
            attributes=rest,
        )


def _called_in_loops(text: str, computations: list[tuple[int, str]]) -> set[str]:
    ends = [start for start, _ in computations[1:]] + [len(text)]
    bodies = {name: text[start:end] for (start, name), end in zip(computations, ends, strict=True)}
    looped, waiting = set(), _BODY.findall(text)
    while waiting:
        name = waiting.pop()
        if name in bodies and name not in looped:
            looped.add(name)
            waiting += _NAMES.findall(bodies[name])
    return looped


def _arrays(text: str) -> tuple[Array, ...]:
    return tuple(Array(dtype, _integers(shape)) for dtype, shape in _ARRAY.findall(text))


def _integers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split(",") if number)

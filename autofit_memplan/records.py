"""What the planner measures and decides, as plain frozen records that go to JSON and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, PrivateAttr, computed_field

from autofit_memplan.errors import TargetError
from autofit_memplan.remembered import Fastest

if TYPE_CHECKING:
    from autofit_memplan.report import PlanReport


ChosenBy = Literal["memory", "request", "CPU cache", "earlier run", "unfinished search"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class BudgetLine(_Record):
    """One line of a budget's account.

    Attributes
    ----------
    label
        What these bytes are, e.g. ``"cgroup limit"`` or ``"reserve"``.
    bytes
        Signed: what adds to the budget is positive, what is taken off is negative. ``None``
        where the figure could not be had; it is then unknown, never zero.
    source
        Who says so, e.g. ``"NVML"``, ``"/sys/fs/cgroup/memory.max"``, ``"psutil"``, ``"user"``.
    """

    label: str
    bytes: int | None
    source: str


class DeviceBudget(_Record):
    """How many bytes a program may use on one device, and why.

    Attributes
    ----------
    device_kind
        As JAX names it, e.g. ``"cpu"`` or ``"NVIDIA A100-SXM4-80GB"``.
    platform
        ``"cpu"`` or ``"gpu"``.
    target
        Name of the compile-only target that it is for; ``None`` for a device of this machine.
    limit_bytes
        What one program's arguments, outputs, temporaries, constants and scratch may come to
        together, on top of what the process holds already.
    largest_block_bytes
        Upper bound on one contiguous temporary block, where the allocator tells it.
    lines
        The account that ends in ``limit_bytes``.
    notes
        Figures that could not be had and other things the user should know.
    """

    device_kind: str
    platform: str
    target: str | None = None
    limit_bytes: int
    largest_block_bytes: int | None = None
    lines: tuple[BudgetLine, ...] = ()
    notes: tuple[str, ...] = ()

    def demand(self, footprint: Footprint) -> int:
        """Bytes to hold against the limit: the total, or more where one block stands in the way.

        XLA allocates the temporaries of a program as one contiguous block. What they have above the
        largest block that is free counts as being above the limit.
        """
        block = self.largest_block_bytes
        if block is None or footprint.temp_bytes <= block:
            return footprint.total_bytes
        return max(footprint.total_bytes, self.limit_bytes + footprint.temp_bytes - block)

    def holds(self, footprint: Footprint) -> bool:
        """Whether a program with that footprint fits."""
        return self.demand(footprint) <= self.limit_bytes


class Footprint(_Record):
    """The device memory of one compiled program, as XLA's ``memory_analysis`` states it.

    ``constant_bytes`` (arrays closed over) and ``scratch_bytes`` (library work areas, modelled)
    are in none of XLA's own fields. ``from_cache`` says that nothing was compiled to know them;
    ``compile_seconds`` is zero then.
    """

    argument_bytes: int
    output_bytes: int
    alias_bytes: int
    temp_bytes: int
    constant_bytes: int
    scratch_bytes: int
    compile_seconds: float
    from_cache: bool = False

    @computed_field
    @property
    def total_bytes(self) -> int:
        """Arguments + outputs - aliased + temporaries + constants + scratch."""
        return (
            self.argument_bytes
            + self.output_bytes
            - self.alias_bytes
            + self.temp_bytes
            + self.constant_bytes
            + self.scratch_bytes
        )

    @property
    def held_bytes(self) -> int:
        """Arguments and constants: what is in place before the program runs."""
        return self.argument_bytes + self.constant_bytes


class Unchunked(_Record):
    """What a program would need with all its calls in one batch.

    ``is_compiled`` tells a figure read off a compiled program from one extrapolated along the
    measured bytes per call.
    """

    predicted_bytes: int
    fits: bool
    is_compiled: bool


class ProgramPlan(_Record):
    """One program (init, step, or a plain batch of calls) at its chosen chunk size.

    Attributes
    ----------
    name
        ``"init"``, ``"step"`` or ``"calls"``.
    n
        Calls (particles) that one execution has to make.
    chunk_size
        Calls made at once.
    chosen_by
        ``"memory"``: the most that fits. ``"request"``: as asked for. ``"CPU cache"``, ``"earlier
        run"``: fewer than fit, because they are likely or known to be faster. ``"unfinished
        search"``: the best that an earlier run had found, which left sizes to be tried.
    waves
        ``ceil(n / chunk_size)``.
    footprint
        Of the very executable that will run.
    predicted_bytes
        ``footprint.total_bytes``.
    budget_share
        ``predicted_bytes / limit_bytes``.
    unchunked
        The same program with ``chunk_size = n``.
    compiles
        Programs compiled to find this chunk, the chosen one included.
    compile_seconds
        Wall time of all of them.
    cached
        Programs whose figures came from the plan cache instead. The chosen one, if among them, is
        compiled when it is first asked for.
    """

    name: str
    n: int
    chunk_size: int
    waves: int
    footprint: Footprint
    predicted_bytes: int
    budget_share: float
    unchunked: Unchunked
    compiles: int
    compile_seconds: float
    cached: int = 0
    chosen_by: ChosenBy = "memory"


class Alternative(NamedTuple):
    """A program at another chunk size than the one that was chosen.

    Attributes
    ----------
    chunk_size
        Calls made at once.
    predicted_bytes
        Of the whole program.
    fits
        Whether they are within the plan's budget.
    compile
        Gives the executable; compiles at its first call where the figures came from the cache.
    """

    chunk_size: int
    predicted_bytes: int
    fits: bool
    compile: Callable[[], Any]


class Live(NamedTuple):
    """What rides along with a program's plan, in the process that made it.

    Attributes
    ----------
    compile
        Gives the executable that was certified.
    at_chunk
        Compiles the same program at another chunk size.
    remember, remembered
        Keep what is known of the fastest chunk size, and tell what was kept.
    """

    compile: Callable[[], Any]
    at_chunk: Callable[[int], Alternative] | None = None
    remember: Callable[[Fastest], None] | None = None
    remembered: Callable[[], Fastest | None] | None = None


class Plan(_Record):
    """The planner's answer. Compiled executables ride along but are not part of the record."""

    budget: DeviceBudget
    call: Footprint
    programs: tuple[ProgramPlan, ...]
    warnings: tuple[str, ...] = ()

    _live: dict[str, Live] = PrivateAttr(default_factory=dict)

    def program(self, name: str) -> ProgramPlan:
        """The program of that name.

        Raises
        ------
        KeyError
            When the plan has none.
        """
        for program in self.programs:
            if program.name == name:
                return program
        raise KeyError(f"no program {name!r} in this plan, only {[p.name for p in self.programs]}")

    @property
    def init(self) -> ProgramPlan:
        return self.program("init")

    @property
    def step(self) -> ProgramPlan:
        return self.program("step")

    @property
    def calls(self) -> ProgramPlan:
        return self.program("calls")

    @computed_field
    @property
    def fits(self) -> bool:
        """Whether every program's certified footprint is within the budget."""
        return all(self.budget.holds(p.footprint) for p in self.programs)

    def executable(self, name: str) -> Any:
        """The compiled program that was certified, ready to be called; only in this process.

        Where its figures came from the plan cache it is compiled now, once.

        Raises
        ------
        TargetError
            When the plan is for a GPU that is not here.
        KeyError
            When the plan has no such program, or was read from JSON.
        """
        if self.budget.target is not None:
            raise TargetError(
                f"this plan is for {self.budget.target}, which is not here, and nothing that was "
                "compiled for it can run. Plan with read_budget() where the program is to run."
            )
        return self._live[name].compile()

    def at_chunk(self, name: str, chunk_size: int) -> Alternative:
        """Compile the program of that name at another chunk size; only in this process.

        Raises
        ------
        KeyError
            When the plan has no such program, or was read from JSON.
        """
        at_chunk = self._live[name].at_chunk
        if at_chunk is None:
            raise KeyError(f"the program {name!r} has no chunks")
        return at_chunk(chunk_size)

    def release(self, name: str) -> None:
        """Let go of the executable of that program, and of the arrays it holds."""

        def compile_again() -> Any:
            return self.at_chunk(name, self.program(name).chunk_size).compile()

        self._live[name] = self._live[name]._replace(compile=compile_again)

    def remember(self, name: str, fastest: Fastest) -> None:
        """Keep in the plan cache what is known of the fastest chunk size, for ``prefer_fast``.

        Parameters
        ----------
        name
            Of the program.
        fastest
            What is known.
        """
        if keep := self._live[name].remember:
            keep(fastest)

    def remembered(self, name: str) -> Fastest | None:
        """What the plan cache has of the fastest chunk size by now; ``None`` for nothing."""
        tell = self._live[name].remembered
        return None if tell is None else tell()

    def __eq__(self, other: object) -> bool:
        """Same record: a plan read back from JSON equals the one that holds executables."""
        if not isinstance(other, Plan):
            return NotImplemented
        return self.model_dump() == other.model_dump()

    def report(self) -> PlanReport:
        """A rich renderable of the whole plan; ``print`` gives plain text."""
        from autofit_memplan.report import render

        return render(self)

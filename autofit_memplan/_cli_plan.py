"""`memplan plan`: a sampler's programs or plain calls, here or on GPUs that are elsewhere."""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import jax.numpy as jnp
from rich.text import Text

from autofit_memplan._cli_output import at_work, remark, rows, show, written
from autofit_memplan.budget import read_budget
from autofit_memplan.errors import InfeasibleError, MemplanError, TargetError
from autofit_memplan.excess import measured_excess
from autofit_memplan.measure import Job
from autofit_memplan.planner import plan_calls, plan_nss
from autofit_memplan.plots import draw_plans, require_matplotlib
from autofit_memplan.records import DeviceBudget, Plan
from autofit_memplan.specs import Problem, SpecError, load_problem, resolve, shown, value_at_example
from autofit_memplan.targets import TARGETS
from autofit_memplan.units import format_bytes

# By name: the planner knows no sampler.
_BUILDER = "autofit.non_linear.search.nest.nss._chunked_nss:build_chunked_nss_algorithm"

Planner = Callable[[DeviceBudget], Plan]
Say = Callable[[str], None]


class Answer(NamedTuple):
    """What came out for one GPU: a plan, or why there is none."""

    name: str
    plan: Plan | None
    problem: InfeasibleError | TargetError | None = None


def plan(options: argparse.Namespace) -> None:
    """Run the command.

    Raises
    ------
    InfeasibleError
        If it fits nowhere.
    TargetError
        If no GPU that was named can be compiled for.
    """
    if options.plot:
        require_matplotlib(options.plot)
    names = [target.name for target in TARGETS] if options.all_targets else options.target
    with at_work() as say:
        answers, notes = _elsewhere(options, names, say) if names else _here(options, say)
    for note in (f"{options.dtype}, to which JAX was switched (--dtype)", *notes):
        remark(note)
    _write(options, answers)
    problems = [answer.problem for answer in answers if answer.problem]
    if len(problems) == len(answers):
        too_small = [problem for problem in problems if isinstance(problem, InfeasibleError)]
        raise max(too_small, key=lambda it: it.limit_bytes) if too_small else problems[0]


def _here(options: argparse.Namespace, say: Say) -> tuple[list[Answer], list[str]]:
    notes, excess = [], 0
    if options.measure:
        say("measuring two small batches")
        excess = measured_excess(Job(options.spec, options.n_dim, options.dtype, options.limit, 0))
        notes.append(
            f"measured: each call in a batch takes {format_bytes(excess)} more than predicted"
            if excess
            else "measured: no call in a batch takes more than predicted"
        )
    say(f"loading {options.spec}")
    problem = load_problem(options.spec, options.n_dim, options.dtype)
    budget = read_budget(limit=options.limit)
    say(f"evaluating {options.spec} once")
    value = value_at_example(problem, budget)
    was = "not evaluated, for one call does not fit" if value is None else f"{value:.6g}"
    notes.append(f"value at {problem.origin}: {was}")
    say(f"planning for {budget.device_kind}")
    make_plan = _planner(options, problem, say, excess)
    try:
        return [Answer(budget.device_kind, make_plan(budget))], notes
    except InfeasibleError as error:
        return [Answer(budget.device_kind, None, error)], notes


def _elsewhere(
    options: argparse.Namespace, names: Sequence[str], say: Say
) -> tuple[list[Answer], list[str]]:
    say(f"loading {options.spec}")
    problem = load_problem(options.spec, options.n_dim, options.dtype)
    budgets = {name: read_budget(target=name, limit=options.limit) for name in names}
    answers = []
    for name, budget in budgets.items():
        where = f"{name} ({len(answers) + 1} of {len(budgets)})"
        say(f"planning for {where}")
        make_plan = _planner(options, problem, lambda text, where=where: say(f"{where}: {text}"))
        try:
            answers.append(Answer(name, make_plan(budget)))
        except (InfeasibleError, TargetError) as error:  # the others may do
            answers.append(Answer(name, None, error))
    return answers, [f"{options.spec} was not evaluated: the device is not here"]


def _planner(
    options: argparse.Namespace, problem: Problem, say: Say, excess_bytes: int = 0
) -> Planner:
    """What is asked for, as a function of the budget alone."""
    extra: Any = {"cache": not options.no_cache, "excess_bytes": excess_bytes}
    if options.n is not None:
        what = f"a batch of {options.spec}"
        make_plan = functools.partial(
            plan_calls, problem.function, problem.example, options.n, **extra
        )
    else:
        what = f"the sampler that {options.builder or _BUILDER} builds"
        make_plan = functools.partial(
            plan_nss,
            _told(_builder(options.builder), say),
            loglikelihood_fn=problem.function,
            logprior_fn=lambda position: jnp.zeros((), position.dtype),
            n_dim=problem.n_dim,
            n_live=options.n_live,
            num_delete=options.num_delete,
            num_inner_steps=options.num_inner_steps or max(5, 2 * problem.n_dim),
            **extra,
        )

    def planned(budget: DeviceBudget) -> Plan:
        try:
            return make_plan(budget=budget)
        except MemplanError:
            raise
        except Exception as error:  # whatever somebody else's function or builder raises
            raise SpecError(f"{what} cannot be planned: {shown(error)}") from error

    return planned


def _told(build_algorithm: Callable, say: Say) -> Callable:
    """The builder, with word of each program that is traced, just before it is compiled."""

    def build(*, chunk_size: int | None, **keywords: Any) -> SimpleNamespace:
        algorithm = build_algorithm(chunk_size=chunk_size, **keywords)

        def told(name: str) -> Callable:
            program = getattr(algorithm, name)

            @functools.wraps(program)
            def traced(*arguments: Any) -> Any:
                say(f"compiling {name}, chunk {chunk_size}")
                return program(*arguments)

            return traced

        return SimpleNamespace(init=told("init"), step=told("step"))

    return build


def _builder(spec: str | None) -> Callable:
    if spec:
        return resolve(spec)
    try:
        return resolve(_BUILDER)
    except SpecError as error:
        raise SpecError(
            "--n-live and --num-delete plan a sampler's programs, and autofit's sampler is not "
            f"here ({error}). Install autofit-nss, name your own with --builder, or plan plain "
            "calls with --n"
        ) from error


def _write(options: argparse.Namespace, answers: Sequence[Answer]) -> None:
    plans = {answer.name: answer.plan for answer in answers if answer.plan}
    if len(answers) > 1:
        for warning in dict.fromkeys(w for plan in plans.values() for w in plan.warnings):
            named = ", ".join(name for name, plan in plans.items() if warning in plan.warnings)
            remark(f"{named}: {warning}")
        _show_json(answers) if options.json else _show_table(answers)
    elif plans:
        (only,) = plans.values()
        print(only.model_dump_json(indent=1)) if options.json else show(only.report())
    if options.plot and plans:
        with written(options.plot):
            draw_plans(plans, options.plot)


def _show_json(answers: Sequence[Answer]) -> None:
    found = [
        {
            "target": answer.name,
            "plan": answer.plan and answer.plan.model_dump(mode="json"),
            "problem": answer.problem and str(answer.problem),
        }
        for answer in answers
    ]
    print(json.dumps(found, indent=1))


def _in_short(problem: InfeasibleError | TargetError | None, empty: list[str]) -> list[str | Text]:
    if isinstance(problem, InfeasibleError):
        needs = f"no, one call needs {format_bytes(problem.needed_bytes)}"
        return [format_bytes(problem.limit_bytes), *empty, Text(needs, "red")]
    return ["-", *empty, Text(f"not planned: {str(problem).partition('. ')[0]}", "red")]


def _show_table(answers: Sequence[Answer]) -> None:
    programs = next(([p.name for p in a.plan.programs] for a in answers if a.plan), [])
    columns = (f">{name}: {what}" for name in programs for what in ("chunk", "waves", "peak"))
    table = rows("GPU", ">budget", *columns, "fits")
    for answer in answers:
        if answer.plan:
            cells = [
                cell
                for p in answer.plan.programs
                for cell in (f"{p.chunk_size:,}", f"{p.waves:,}", format_bytes(p.predicted_bytes))
            ]
            budget = format_bytes(answer.plan.budget.limit_bytes)
            table.add_row(answer.name, budget, *cells, Text("yes", "green"))
        else:
            empty = ["-"] * 3 * len(programs)
            table.add_row(answer.name, *_in_short(answer.problem, empty))
    show(table)

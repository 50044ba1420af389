"""`memplan` on the command line: what is asked, who answers, and the exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from autofit_memplan.errors import InfeasibleError, MemplanError

SUCCESS, BAD_INPUT, INFEASIBLE, INTERRUPTED = 0, 2, 3, 130

_DESCRIPTION = """\
How many calls of a JAX function may run at once, and what will that cost?

exit codes: 0 success, 2 bad input, 3 it does not fit (on none of the GPUs asked for),
130 interrupted"""

_SPEC_HELP = (
    "a function of one vector, or a factory without arguments that returns (function, example); "
    "the module may lie in the current folder"
)

_DEVICES_EXAMPLES = """\
examples:
  memplan devices
  memplan devices --limit 60% --json"""

_TARGETS_EXAMPLES = """\
examples:
  memplan targets
  memplan plan likelihoods:dense --n-dim 5 --n 200 --target h100"""

_PLAN_EXAMPLES = """\
examples:
  memplan plan likelihoods:dense --n-dim 5 --n-live 150 --num-delete 50
  memplan plan likelihoods:dense --n-dim 5 --n 200 --limit "8 GiB" --json
  memplan plan likelihoods:with_example --n-live 150 --num-delete 50 --target a100-sxm-80gb
  memplan plan likelihoods:with_example --n 1000 --all-targets --plot targets.png

With --n-live and --num-delete the init and step of a nested slice sampler are planned, with a flat
prior; with --n, that many plain calls."""

_SWEEP_EXAMPLES = """\
examples:
  memplan sweep likelihoods:dense --n-dim 5 --chunks 1,2,4,8,16
  memplan sweep likelihoods:dense --n-dim 5 --csv sweep.csv --plot sweep.png
  memplan sweep likelihoods:dense --n-dim 5 --target h100 --json

Each batch is measured in a fresh process: its peak memory (GPU: of JAX's allocator; CPU: growth of
the resident set), then the time of several batches. With --target it is only predicted."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run `memplan` and return its exit code.

    Parameters
    ----------
    argv
        Arguments after the program's name; those of this process unless given.

    Raises
    ------
    SystemExit
        From the parser: code 0 after ``--help``, 2 for a wrong command line.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    if options.command == "plan":
        _check_plan_options(parser, options)
    try:
        _run(options)
    except InfeasibleError as error:
        print(f"memplan: does not fit: {error}", file=sys.stderr)
        return INFEASIBLE
    except MemplanError as error:
        print(f"memplan: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("memplan: interrupted", file=sys.stderr)
        return INTERRUPTED
    return SUCCESS


def _run(options: argparse.Namespace) -> None:
    _prepare(options)
    # Only now, when JAX's settings stand: a user's module is imported on their behalf.
    from autofit_memplan._cli_devices import show_devices, show_targets
    from autofit_memplan._cli_plan import plan
    from autofit_memplan._cli_sweep import sweep

    commands = {"devices": show_devices, "targets": show_targets, "plan": plan, "sweep": sweep}
    commands[options.command](options)


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("memplan", description=_DESCRIPTION, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, summary: str, examples: str) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            epilog=examples,
            formatter_class=formatter,
        )
        added.add_argument("--json", action="store_true", help="JSON on standard output")
        return added

    devices = command("devices", "the devices here, and their memory budgets", _DEVICES_EXAMPLES)
    _add_limit(devices)
    command("targets", "the GPUs that can be planned for without being here", _TARGETS_EXAMPLES)

    plan = command("plan", "the largest chunk sizes that fit", _PLAN_EXAMPLES)
    _add_problem(plan)
    wanted = plan.add_argument_group("what is to run")
    wanted.add_argument("--n", type=_count, metavar="N", help="plain calls")
    wanted.add_argument("--n-live", type=_count, metavar="N", help="live points of the sampler")
    wanted.add_argument("--num-delete", type=_count, metavar="M", help="replaced in each step")
    wanted.add_argument(
        "--num-inner-steps", type=_count, metavar="K", help="slice moves; max(5, 2 D) if left out"
    )
    wanted.add_argument(
        "--builder",
        metavar="MODULE:FUNCTION",
        help="of the sampler's algorithm, with the keywords of build_chunked_nss_algorithm; "
        "autofit's own if left out",
    )
    where = plan.add_argument_group("where")
    where.add_argument(
        "--target", action="append", metavar="T", help="a GPU that is not here; may be repeated"
    )
    where.add_argument("--all-targets", action="store_true", help="every GPU of `memplan targets`")
    _add_limit(where)
    plan.add_argument("--plot", type=_new_file, metavar="FILE", help="a picture of the plan")
    plan.add_argument("--no-cache", action="store_true", help="compile everything anew")
    plan.add_argument(
        "--measure",
        action="store_true",
        help="run two small batches first, and plan with the memory they take if it is more than "
        "was predicted",
    )

    sweep = command("sweep", "memory and speed of one batch after another", _SWEEP_EXAMPLES)
    _add_problem(sweep)
    sweep.add_argument(
        "--chunks",
        type=_counts,
        default=(1, 2, 4, 8, 16, 32),
        metavar="C,C,…",
        help="sizes of the batches; 1,2,4,8,16,32 if left out",
    )
    sweep.add_argument("--target", metavar="T", help="a GPU that is not here: predict only")
    _add_limit(sweep)
    sweep.add_argument("--csv", type=_new_file, metavar="FILE", help="the figures as a table")
    sweep.add_argument("--plot", type=_new_file, metavar="FILE", help="a picture of the figures")
    return parser


def _add_problem(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="MODULE:FUNCTION", help=_SPEC_HELP)
    parser.add_argument(
        "--n-dim", type=_count, metavar="D", help="length of the vector, if there is no example"
    )
    parser.add_argument(
        "--dtype",
        choices=("float64", "float32"),
        default="float64",
        help="precision; JAX is switched to it (default: %(default)s)",
    )


def _add_limit(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--limit", metavar="L", help='use no more than this: "8 GiB", "60%%", or bytes'
    )


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _counts(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part.strip()) for part in text.split(",")}))


def _new_file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {str(path.parent)!r} for {text!r}")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"no file can be written at {text!r}")
    return path


def _check_plan_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    of_sampler = (options.n_live, options.num_delete)
    if (options.n is None) == (None in of_sampler) or (options.n and any(of_sampler)):
        parser.error("pass either --n, or --n-live and --num-delete")
    if options.all_targets and options.target:
        parser.error("--all-targets names every --target already")
    if options.measure and (options.all_targets or options.target):
        parser.error("--measure runs the function here; it cannot go with a target")


def _prepare(options: argparse.Namespace) -> None:
    """The settings that JAX reads once, and the current folder on the path, as for `python -m`."""
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    is_double = getattr(options, "dtype", "float64") == "float64"
    # In the environment too: for the processes that measure, and because `import autofit` asks.
    os.environ["JAX_ENABLE_X64"] = str(int(is_double))
    is_elsewhere = getattr(options, "target", None) or getattr(options, "all_targets", False)

    import jax

    jax.config.update("jax_enable_x64", is_double)
    if is_elsewhere:  # the CUDA plug-in compiles without a GPU only if it is not asked to run
        jax.config.update("jax_platforms", "cpu")

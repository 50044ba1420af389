"""The commands, their exit codes, and what goes to which stream."""

import csv
import importlib.util
import json
import os
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

import jax
import pytest

from autofit_memplan import _cli_plan, cli
from autofit_memplan.errors import TargetError
from autofit_memplan.excess import NOISE_BYTES
from autofit_memplan.records import Plan
from autofit_memplan.sweep import Sweep
from autofit_memplan.targets import TARGETS

MIB, GIB = 2**20, 2**30
ROOT = Path(__file__).resolve().parents[2]

MODULE = """
import pathlib
import time
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np

from autofit_memplan import chunked_vmap

print("printed by the user's module")

def scattered(x, mib=4):  # a matrix of so many MiB that cannot be fused away
    rows = jnp.arange(mib * 2**7)
    matrix = jnp.zeros((mib * 2**7, 2**11), jnp.float32).at[rows, rows % 2**11].add(x[0])
    return jnp.sum(matrix @ jnp.cos(jnp.arange(2**11) * x[1]))

def with_example():
    return scattered, [0.1, 0.2, 0.3]

def large(x):
    return scattered(x, 20 * 2**10)

def nan(x):
    return jnp.log(-x[0])

def on_the_host(x):  # 20 MiB of which XLA knows nothing
    def total(x):
        held = np.ones(x.size // 2 * 20 * 2**20, np.uint8)
        time.sleep(0.05)
        return x[..., 0] * held[0]

    return jax.pure_callback(
        total, jax.ShapeDtypeStruct((), x.dtype), x, vmap_method="broadcast_all"
    )

def slow_factory():
    pathlib.Path("started").touch()
    time.sleep(60)

def build(*, logprior_fn, loglikelihood_fn, num_inner_steps, num_delete, chunk_size):
    every = chunked_vmap(lambda x: loglikelihood_fn(x) + logprior_fn(x), chunk_size)

    def step(key, state):
        moved = every(state[0][:num_delete] * num_inner_steps)
        return (state[0], state[1].at[:num_delete].set(moved)), moved

    return SimpleNamespace(init=lambda positions, key: (positions, every(positions)), step=step)

def fails_when_run(x):
    def fail(x):
        raise ValueError("there is no table for that")
    value = jax.ShapeDtypeStruct((), x.dtype)
    return jax.pure_callback(fail, value, x[0], vmap_method="sequential")

def alone_only(x):
    return jax.pure_callback(np.sum, jax.ShapeDtypeStruct((), x.dtype), x)

def failing_build(**keywords):
    raise KeyError("no such keyword")
"""

needs_gpu_compiler = pytest.mark.skipif(
    importlib.util.find_spec("jax_plugins.xla_cuda12") is None,
    reason="the CUDA plugin of JAX is not installed",
)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a module in it, and a process that looks as before afterwards."""
    (tmp_path / "cli_module.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "cli_module", None)
    del sys.modules["cli_module"]
    monkeypatch.setenv("JAX_ENABLE_X64", "0")
    monkeypatch.setenv("AUTOFIT_MEMPLAN_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def settings(monkeypatch):
    """What the command sets in JAX; not really set, for other tests share this process."""
    found = {}
    monkeypatch.setattr(jax.config, "update", found.__setitem__)
    return found


@pytest.fixture
def memplan(settings, capsys):
    """Run a command in single precision, and return exit code, output and error output."""

    def memplan(command):
        words = shlex.split(command)
        single = ["--dtype", "float32"] if words[0] in ("plan", "sweep") else []
        code = cli.main([*words, *single])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return memplan


def process(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "autofit_memplan", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_both_distributions_install_the_command():
    for folder in (ROOT, ROOT / "packaging" / "memplan"):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        entry = EntryPoint("memplan", project["scripts"]["memplan"], "console_scripts")
        assert entry.load() is cli.main


# Plans.


def test_a_plan_fills_the_limit(memplan):
    code, out, _ = memplan("plan cli_module:scattered --n-dim 2 --n 60 --limit '30 MiB' --json")
    plan = Plan.model_validate_json(out)
    assert code == cli.SUCCESS
    assert plan.calls.n == 60
    assert plan.calls.chunk_size == 7  # of 4 MiB each
    assert 28 * MIB <= plan.calls.predicted_bytes <= 30 * MIB


def test_a_plan_is_shown_and_what_was_assumed_is_said(memplan):
    code, out, err = memplan("plan cli_module:with_example --n 10")
    assert code == cli.SUCCESS
    assert out.startswith("Memory plan for cpu (cpu): fits\n")
    assert "printed by the user's module" in err and "printed by" not in out
    assert "float32" in err
    assert "value at the factory's example: " in err
    assert not any(line.endswith(" ") for line in out.splitlines())


def test_a_samplers_programs_are_planned_with_the_builder_named(memplan):
    code, out, _ = memplan(
        "plan cli_module:with_example --n-live 40 --num-delete 10 --builder cli_module:build "
        "--limit '20 MiB' --json"
    )
    plan = Plan.model_validate_json(out)
    assert code == cli.SUCCESS
    assert (plan.init.n, plan.step.n) == (40, 10)
    assert (plan.init.chunk_size, plan.step.chunk_size) == (4, 4)


def test_it_is_said_what_is_being_compiled():
    said = []
    namespace = {}
    exec(MODULE, namespace)
    build = _cli_plan._told(namespace["build"], said.append)
    keywords = {
        "logprior_fn": lambda x: 0.0,
        "loglikelihood_fn": lambda x: x[0],
        "num_inner_steps": 1,
        "num_delete": 2,
    }
    algorithm = build(**keywords, chunk_size=3)
    state = jax.eval_shape(algorithm.init, jax.ShapeDtypeStruct((6, 2), float), None)
    jax.eval_shape(algorithm.step, None, state)
    assert said == ["compiling init, chunk 3", "compiling step, chunk 3"]


def test_figures_come_from_the_cache_unless_refused(memplan):
    command = "plan cli_module:scattered --n-dim 2 --n 3 --json"
    assert Plan.model_validate_json(memplan(command)[1]).calls.cached == 0
    assert Plan.model_validate_json(memplan(command)[1]).calls.cached == 1
    assert Plan.model_validate_json(memplan(f"{command} --no-cache")[1]).calls.cached == 0


def test_a_plan_with_measured_memory_leaves_room(memplan):
    code, out, err = memplan(
        "plan cli_module:on_the_host --n-dim 2 --n 12 --limit '144 MiB' --measure --json"
    )
    plan = Plan.model_validate_json(out)
    assert code == cli.SUCCESS
    assert plan.calls.chunk_size == 6  # of 20 MiB each, that only the measurement shows
    assert plan.calls.footprint.scratch_bytes == pytest.approx(6 * 20 * MIB, abs=6 * NOISE_BYTES)
    assert any("a call measured beyond XLA's figures" in warning for warning in plan.warnings)
    assert "more than predicted" in err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("plan nowhere --n 3", ["not MODULE:FUNCTION"]),
        ("plan cli_module:nowhere --n-dim 2 --n 3", ["has no 'nowhere'"]),
        ("plan cli_module:scattered --n 3", ["--n-dim"]),
        ("plan cli_module:with_example --n-dim 2 --n 3", ["--n-dim 2", "3 dimensions"]),
        ("plan cli_module:nan --n-dim 2 --n 3", ["NaN at 0.5 in each of 2 dimensions"]),
        ("plan cli_module:with_example --n 3 --limit much", ["limit='much'"]),
        ("plan cli_module:with_example --n 3 --target voodoo", ["'voodoo'", "v100"]),
        ("plan cli_module:with_example --n 3 --plot plan.xyz", ["plan.xyz", ".png"]),
        (
            "plan cli_module:with_example --n-live 4 --num-delete 2 --builder cli_module:nothing",
            ["has no 'nothing'"],
        ),
        (
            "plan cli_module:with_example --n-live 4 --num-delete 2 "
            "--builder cli_module:failing_build",
            ["cli_module:failing_build", "KeyError: 'no such keyword'"],
        ),
        ("sweep cli_module:nowhere --n-dim 2", ["has no 'nowhere'"]),
    ],
)
def test_bad_input_is_2_and_says_why(memplan, command, words):
    code, out, err = memplan(command)
    assert code == cli.BAD_INPUT
    assert out == ""
    assert "memplan: error: " in err
    assert [word for word in words if word not in err] == []


def test_without_autofit_the_sampler_needs_a_builder(memplan, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("autofit.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "autofit", None)
    code, _, err = memplan("plan cli_module:with_example --n-live 4 --num-delete 2")
    assert code == cli.BAD_INPUT
    assert "Install autofit-nss" in err and "--builder" in err


def test_what_does_not_fit_is_3_with_the_numbers(memplan):
    code, out, err = memplan("plan cli_module:with_example --n 3 --limit '2 MiB'")
    assert (code, out) == (cli.INFEASIBLE, "")
    assert "one call needs 4.0 MiB; the budget is 2.0 MiB" in err
    assert "not evaluated" in err


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", "COMMAND"),
        ("plan m:f --n-dim 2", "--n, or --n-live and --num-delete"),
        ("plan m:f --n 3 --n-live 3 --num-delete 1", "--n, or --n-live and --num-delete"),
        ("plan m:f --n-live 3", "--n, or --n-live and --num-delete"),
        ("plan m:f --n 3 --num-delete 1", "--n, or --n-live and --num-delete"),
        ("plan m:f --n 0", "'0' is not a whole number of at least 1"),
        ("plan m:f --n 3 --all-targets --target v100", "--all-targets"),
        ("plan m:f --n 3 --measure --target v100", "--measure"),
        ("plan m:f --n 3 --plot nowhere/plan.png", "no folder 'nowhere'"),
        ("plan m:f --n 3 --plot /", "no file can be written at '/'"),
        ("plan m:f --n 3 --dtype float16", "float16"),
        ("sweep m:f --chunks 1,x", "'x' is not a whole number"),
    ],
)
def test_a_wrong_command_line_is_2(command, words, capsys, settings):
    with pytest.raises(SystemExit) as left:
        cli.main(shlex.split(command))
    assert left.value.code == cli.BAD_INPUT
    assert words in capsys.readouterr().err
    assert settings == {}  # refused before JAX is set up


# GPUs that are not here.


@needs_gpu_compiler
def test_several_targets_give_a_row_each(memplan, settings):
    command = "plan cli_module:with_example --n 9000 --target v100 --target h200 --no-cache"
    code, out, err = memplan(command)
    assert code == cli.SUCCESS
    assert settings["jax_platforms"] == "cpu"
    rows = {line.split()[0]: line.split() for line in out.splitlines() if line.endswith(" yes")}
    chunks = {name: int(cells[3].replace(",", "")) for name, cells in rows.items()}
    assert chunks.keys() == {"v100", "h200"}
    assert 0 < 2 * chunks["v100"] < chunks["h200"] == 9000
    assert "was not evaluated" in err


@needs_gpu_compiler
@pytest.mark.parametrize(("limit", "code"), [("100 GiB", cli.SUCCESS), ("15 GiB", cli.INFEASIBLE)])
def test_only_fitting_nowhere_is_3(memplan, limit, code):
    found, out, _ = memplan(
        "plan cli_module:large --n-dim 2 --n 4 --target v100 --target h200 --json "
        f"--limit '{limit}'"
    )
    answers = {answer["target"]: answer for answer in json.loads(out)}
    assert found == code
    assert list(answers) == ["v100", "h200"]
    assert answers["v100"]["plan"] is None
    assert "one call needs 20.0 GiB" in answers["v100"]["problem"]


@needs_gpu_compiler
@pytest.mark.parametrize("unknown", [{"v100"}, {"v100", "h200"}])
def test_a_gpu_that_the_assembler_does_not_know_hides_no_other(memplan, monkeypatch, unknown):
    plan_calls = _cli_plan.plan_calls

    def planned(function, example, n, budget, **options):
        if budget.target in unknown:
            raise TargetError(f"ptxas does not know {budget.target}. Take another one")
        return plan_calls(function, example, n, budget, **options)

    monkeypatch.setattr(_cli_plan, "plan_calls", planned)
    code, out, _ = memplan("plan cli_module:with_example --n 5 --target v100 --target h200")
    assert code == (cli.BAD_INPUT if "h200" in unknown else cli.SUCCESS)
    assert "not planned: ptxas does not know v100" in out
    assert ("yes" in out) == ("h200" not in unknown)


@needs_gpu_compiler
def test_all_targets_are_those_of_the_table(memplan, monkeypatch):
    monkeypatch.setattr(_cli_plan, "TARGETS", TARGETS[:2])
    _, out, _ = memplan("plan cli_module:with_example --n 5 --all-targets --json --no-cache")
    assert [answer["target"] for answer in json.loads(out)] == [t.name for t in TARGETS[:2]]


# Sweeps, devices, targets.


def test_a_sweep_measures_and_writes_what_it_found(memplan, here):
    code, out, err = memplan(
        "sweep cli_module:with_example --chunks 4,1 --limit '10 MiB' --json --csv s.csv "
        "--plot s.png"
    )
    assert code == cli.SUCCESS
    sweep = Sweep.model_validate_json(out)
    small, large = sweep.batches
    assert (small.chunk_size, large.chunk_size) == (1, 4)
    assert small.evaluations_per_second > 0
    assert large.measured_bytes is None  # 16 MiB are above the limit
    with (here / "s.csv").open() as file:
        first, second = csv.DictReader(file)
    assert int(first["measured_bytes"]) == small.measured_bytes
    assert int(first["budget_bytes"]) == 10 * MIB
    assert (second["measured_bytes"], second["note"]) == ("", large.note)
    assert (here / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "wrote s.csv" in err


def test_what_a_sweep_found_is_shown_also_where_it_cannot_be_written(memplan, here):
    (here / "s.csv").symlink_to("/dev/full")
    code, out, err = memplan("sweep cli_module:with_example --chunks 1 --csv s.csv")
    assert code == cli.BAD_INPUT
    assert "evaluations/s" in out and "No space left on device" in err


@pytest.mark.parametrize(
    ("what", "code", "words"),
    [
        ("cli_module:large --n-dim 2", cli.INFEASIBLE, "the smallest batch needs 20.0 GiB"),
        ("cli_module:fails_when_run --n-dim 2", cli.BAD_INPUT, "no batch could be measured"),
        ("cli_module:alone_only --n-dim 2", cli.BAD_INPUT, "fails in a batch: NotImplementedError"),
    ],
)
def test_a_sweep_of_nothing_says_so_by_its_code(memplan, what, code, words):
    found, out, err = memplan(f"sweep {what} --chunks 1 --limit '1 GiB'")
    assert found == code and words in err
    assert ("batch" in out) == ("alone_only" not in what)


def test_a_batch_that_cannot_be_made_is_no_traceback(memplan):
    code, _, err = memplan("plan cli_module:alone_only --n-dim 2 --n 3")
    assert code == cli.BAD_INPUT
    assert "a batch of cli_module:alone_only cannot be planned: NotImplementedError" in err


@needs_gpu_compiler
def test_a_sweep_for_a_target_is_predicted(memplan):
    code, out, _ = memplan("sweep cli_module:with_example --chunks 2,8 --target h100")
    assert code == cli.SUCCESS
    rows = [line.split() for line in out.splitlines()]
    assert ["batch", "predicted"] in rows
    assert rows[-1][0] == "8" and float(rows[-1][1]) >= 32


def test_devices_are_shown_with_their_budgets(memplan):
    code, out, _ = memplan("devices --json --limit '1 GiB'")
    first = json.loads(out)[0]
    assert code == cli.SUCCESS
    assert first["device"] == str(jax.devices()[0])
    assert first["budget"]["limit_bytes"] == GIB
    text = memplan("devices --limit '1 GiB'")[1]
    assert "limit 1 GiB" in text and "1.0 GiB" in text


def test_devices_of_another_platform_than_the_cpu_s_need_no_cpu(memplan, monkeypatch):
    local_devices = jax.local_devices

    def without_cpu(*arguments, backend=None):
        if backend == "cpu":
            raise RuntimeError("Unknown backend cpu")
        return local_devices()

    monkeypatch.setattr(jax, "local_devices", without_cpu)
    code, out, _ = memplan("devices")
    assert code == cli.SUCCESS and "budget" in out
    assert memplan("devices --limit nonsense")[0] == cli.BAD_INPUT


@pytest.mark.parametrize(
    "command", ["devices", "plan jax.numpy:sum --n-dim 2 --n 3", "sweep jax.numpy:sum --n-dim 2"]
)
def test_jax_that_does_not_start_is_said(command):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cuda"}
    words = [sys.executable, "-m", "autofit_memplan", *shlex.split(command)]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    if done.returncode == cli.SUCCESS:
        pytest.skip("there is a GPU here")
    assert done.returncode == cli.BAD_INPUT
    assert "memplan: error: JAX does not start" in done.stderr


def test_the_targets_are_those_of_the_table(memplan):
    code, out, _ = memplan("targets")
    assert code == cli.SUCCESS
    assert [line.split()[0] for line in out.splitlines()[2:]] == [t.name for t in TARGETS]
    listed = json.loads(memplan("targets --json")[1])
    assert [each["memory_bytes"] for each in listed] == [t.memory_bytes for t in TARGETS]


# Help, precision, streams and signals.


@pytest.mark.parametrize("command", ["devices", "targets", "plan", "sweep"])
def test_help_has_examples_and_they_parse(command, capsys):
    with pytest.raises(SystemExit) as left:
        cli.main([command, "--help"])
    assert left.value.code == cli.SUCCESS
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    examples = [line for line in lines if line.startswith("memplan ")]
    assert any(example.startswith(f"memplan {command}") for example in examples)
    for example in examples:
        cli._parser().parse_args(shlex.split(example)[1:])


def test_a_real_process_plans_autofits_sampler_in_double_precision_and_keeps_json_clean():
    sizes = ["--n-live", "6", "--num-delete", "2", "--num-inner-steps", "2", "--json"]
    run = process("plan", "cli_module:with_example", *sizes)
    out, err = run.communicate(timeout=100)
    assert run.returncode == cli.SUCCESS, err
    plan = Plan.model_validate_json(out)
    assert plan.call.argument_bytes == 3 * 8
    assert (plan.init.n, plan.step.n) == (6, 2)
    assert "printed by the user's module" in err


def test_control_c_is_130(here):
    run = process("plan", "cli_module:slow_factory", "--n", "2")
    while not (here / "started").exists():
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=30)
    assert (run.returncode, out) == (cli.INTERRUPTED, "")
    assert "memplan: interrupted" in err and "Traceback" not in err

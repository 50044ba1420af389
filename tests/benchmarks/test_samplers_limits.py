"""The comparison of samplers, cut short: time limits, going on from a file, what tables say."""

import io
import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.fresh_process import lines_from
from benchmarks.result_file import write_result
from benchmarks.samplers import command
from benchmarks.samplers.outcome import Outcome
from benchmarks.samplers.records import Fit, Job, Missing
from benchmarks.samplers.report import tables
from benchmarks.samplers.result import Result
from benchmarks.samplers.settings import XLA_FLAGS, Settings

ROOT = Path(__file__).parents[2]
MACHINE = {"device": "cpu", "versions": {"jax": "0.10", "jaxns": None}, "command": "second"}
STAND_IN = """
import time
from benchmarks.samplers import command, runs
from benchmarks.samplers.outcome import Outcome

def sampler(problem, settings):
    def fit(seed):
        time.sleep({seconds}[seed])
        return Outcome(0.0, 1.0, 1, 1, 1.0, 1.0, 1.0, (0.5,), (0.1,))
    return fit

runs.SAMPLERS["dynesty"] = sampler
command.main()
"""


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(ROOT)


def job(sampler="dynesty", timeout=1.0):
    return Job(
        problem="gaussian-5d",
        sampler=sampler,
        seeds=(1, 2, 3),
        settings=Settings(),
        timeout=timeout,
    )


def fit(seed=1, log_evidence=-10.0, sampler="dynesty", truth=-10.5):
    return Fit(
        problem="gaussian-5d",
        n_dim=2,
        true_log_evidence=truth,
        sampler=sampler,
        seed=seed,
        outcome=Outcome(log_evidence, 0.25, 100, None, 50.0, 1.0, 2.0, (0.5, 0.4), (0.1, 0.1)),
    )


def result(machine=MACHINE, **settings):
    return Result(machine=[machine], settings=Settings(**settings).model_dump())


@pytest.fixture
def written(tmp_path):
    """A file with one fit, and one that failed."""
    path = tmp_path / "samplers.json"
    first = result(MACHINE | {"command": "first"}).after(job(), [fit()], "")
    write_result(first.after(job("jaxns"), [], "no module"), path)
    return path


@pytest.mark.parametrize(
    ("timeout", "seconds", "seeds", "why"),
    (
        (2.0, {1: 0, 2: 60, 3: 0}, [1], "no fit within 2 s"),
        (50.0, {1: 0, 2: 0, 3: 0}, [1, 2, 3], ""),
    ),
)
def test_seeds_that_were_done_stay(tmp_path, monkeypatch, timeout, seconds, seeds, why):
    (tmp_path / "stand_in.py").write_text(STAND_IN.format(seconds=seconds))
    environment = {"PYTHONPATH": str(tmp_path)}

    def with_stand_in(module, *arguments, timeout, **_):
        return lines_from("stand_in", *arguments, timeout=timeout, environment=environment)

    monkeypatch.setattr(command, "lines_from", with_stand_in)
    fits, complaint = command.run_job(job(timeout=timeout))
    assert ([each.seed for each in fits], complaint) == (seeds, why)


def test_jaxns_is_compiled_as_the_others_are(monkeypatch):
    seen = []
    monkeypatch.setenv("XLA_FLAGS", "--xla_a=1")
    monkeypatch.setattr(
        command,
        "lines_from",
        lambda *_, environment, **__: (seen.append(environment), ([], "no"))[1],
    )
    for sampler in ("jaxns", "nautilus"):
        command.run_job(job(sampler))
    assert seen == [{"XLA_FLAGS": f"--xla_a=1 {XLA_FLAGS['jaxns']}"}, {}]


def test_the_parent_starts_no_device():
    program = "import sys, benchmarks.samplers.command; print('blackjax' in sys.modules)"
    run = partial(subprocess.run, check=True, capture_output=True, text=True)
    assert run([sys.executable, "-c", program]).stdout == "False\n"


def test_a_run_goes_on_from_a_file(written):
    installed = {**MACHINE, "versions": {"jax": "0.10", "jaxns": "3"}}
    on = result(installed).going_on_from(written)
    assert on.machine == [MACHINE | {"command": "first"}, installed]
    assert on.fits == [fit()]
    assert on.seeds_left("gaussian-5d", "dynesty", range(1, 4)) == (2, 3)
    assert on.seeds_left("gaussian-5d", "jaxns", range(1, 4)) == (1, 2, 3)
    assert [each.why for each in on.missing] == ["no module"]
    done = on.after(job("jaxns"), [fit(sampler="jaxns")], "")
    assert done.missing == []
    assert len(done.fits) == 2


@pytest.mark.parametrize(
    ("new", "what"),
    (
        (result(n_live=60, num_delete=5), "n_live, num_delete"),
        (result({"device": "gpu", "versions": {"jax": "0.11"}}, n_eff=9), "n_eff, device, jax"),
    ),
)
def test_what_was_measured_otherwise_is_not_mixed_in(written, new, what):
    with pytest.raises(ValueError, match=f"was measured with other {what};"):
        new.going_on_from(written)


@pytest.mark.parametrize(
    ("text", "reason"),
    (
        ("", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"fits": []}', r"machine\n *Field required"),
        ('{"fits": [{}]}', r"fits\.0\.outcome\n *Field required"),
    ),
)
def test_another_file_is_not_gone_on_from(tmp_path, text, reason):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)other\.json is no result to go on from.*{reason}"):
        result().going_on_from(path)


def test_figures_that_are_not_finite_are_written_and_read(tmp_path):
    path = tmp_path / "samplers.json"
    write_result(result().after(job(), [fit(1, -math.inf), fit(2, truth=None)], ""), path)
    for read in (json.loads, Result.model_validate_json):
        again = Result.model_validate(read(path.read_text()))
        assert [each.outcome.log_evidence for each in again.fits] == [-math.inf, -10.0]
        assert again.fits[0].error == -math.inf
        assert math.isnan(again.fits[1].pull)


def test_tables_show_the_spread_over_seeds_and_what_is_missing():
    fits = [fit(1, -10.0), fit(2, -11.0), fit(3, -12.0)]
    missing = [
        Missing(problem="gaussian-5d", sampler="dynesty", why="no fit within 9 s"),
        Missing(problem="gaussian-5d", sampler="jaxns", why="ValueError: [/b] of [red]"),
        Missing(problem="shells-5d", sampler="nautilus", why="no fit within 9 s"),
    ]
    out = io.StringIO()
    console = Console(file=out, width=250, markup=False)
    for table in tables(fits, missing):
        console.print(table)
    lines = out.getvalue().splitlines()
    row = next(line for line in lines if "dynesty" in line)
    assert "3 │ -11.000 ± 0.577 │   1.000 │  0.250 │" in row
    assert row.rstrip(" │").endswith("no fit within 9 s")
    assert any("jaxns" in line and "ValueError: [/b] of [red]" in line for line in lines)
    assert any("nautilus" in line and "no fit within 9 s" in line for line in lines)
    assert "shells-5d" in lines[next(i for i, s in enumerate(lines) if "nautilus" in s) - 4]


def test_one_seed_has_no_spread():
    [table] = tables([fit()])
    assert [next(iter(column.cells)) for column in table.columns][:5] == [
        *("dynesty", "1", "-10.000", "-", "0.250")
    ]

"""The disturbances of `benchmarks.faults`, a few of each kind."""

import json
import subprocess
import sys

import pytest

from benchmarks.faults import command as faults
from benchmarks.faults.fit import OPTIONS
from benchmarks.faults.process import PROGRAMS_VARIABLE, Outcome, Workshop


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch, pytestconfig):
    """Where `python -m benchmarks.…` finds its modules."""
    monkeypatch.chdir(pytestconfig.rootpath)


@pytest.fixture(scope="module", autouse=True)
def compiled_once(tmp_path_factory):
    """Programs, by the processes of all tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PROGRAMS_VARIABLE, str(tmp_path_factory.mktemp("programs")))
        yield


@pytest.mark.parametrize("name", ["kill", "sigterm", "corrupt"])
def test_a_disturbed_fit_gives_the_bits_of_one_left_alone(name):
    outcomes = faults.part(name, quick=True)
    assert sum(outcome.tried for outcome in outcomes) >= 2
    for outcome in outcomes:
        assert outcome.good == outcome.tried, outcome


def test_a_fit_that_fails_is_not_taken_for_one_that_ended_well(tmp_path):
    with Workshop(tmp_path, patience=100.0).fit(search={"n_live": OPTIONS["num_delete"]}) as fit:
        assert fit.end() == 1
        assert not fit.digest
        assert "OptionError" in fit.errors


def test_the_table_and_the_exit_status_tell_of_what_went_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("jax.config.update", lambda *_: None)
    results = {"kill": [Outcome(what="kill -9", tried=50, good=49)]}
    monkeypatch.setattr(faults, "part", lambda name, quick: results[name])
    output = tmp_path / "faults.json"
    output.write_text(json.dumps({"disk": "from before"}))
    command = ["benchmarks.faults", "--only", "kill", "--output", str(output)]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        faults.main()
    assert ended.value.code == 1
    assert "kill -9" in capsys.readouterr().out
    written = json.loads(output.read_text())
    assert written["disk"] == "from before"
    assert written["kill"]["outcomes"][0]["good"] == 49


def test_an_unknown_part_is_refused():
    command = [sys.executable, "-m", "benchmarks.faults", "--only", "kill,typo"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 2
    assert "there is no part typo" in run.stderr

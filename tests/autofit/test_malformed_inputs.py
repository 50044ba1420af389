"""Malformed input: documented errors only, and nothing that is read runs code of its author's."""

import ast
from pathlib import Path

import pytest
from hypothesis.errors import DeadlineExceeded

import autofit
import autofit_memplan
from benchmarks.faults import malformed as faults_malformed
from benchmarks.faults.malformed import SURFACES, attack

EXAMPLES = 125


@pytest.mark.parametrize("surface", SURFACES)
def test_malformed_input_gives_documented_errors_only(surface):
    counts = attack(surface, EXAMPLES)
    assert counts.total() >= EXAMPLES
    assert counts["refused"] > EXAMPLES / 2


def test_the_attack_finds_an_error_that_is_not_documented(monkeypatch):
    strategy, _, documented = SURFACES["memory limits"]

    def careless(limit):
        return limit + 1

    monkeypatch.setitem(SURFACES, "memory limits", (strategy, careless, documented))
    with pytest.raises(TypeError):
        attack("memory limits", 50)


def test_the_attack_finds_a_hang(monkeypatch):
    monkeypatch.setattr(faults_malformed, "_DEADLINE_MILLISECONDS", 1)
    strategy, _, documented = SURFACES["memory limits"]

    def slow(limit):
        sum(range(10**6))

    monkeypatch.setitem(SURFACES, "memory limits", (strategy, slow, documented))
    with pytest.raises(DeadlineExceeded):
        attack("memory limits", 5)


FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal"} | {
    "shelve",
    "yaml",
}
FORBIDDEN_CALLS = {"eval", "exec"}


def faults_of(source: str) -> list[str]:
    """Where a module could run code from a file that it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        else:
            names = []
        found += [name for name in names if name.partition(".")[0] in FORBIDDEN_MODULES]
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
                found.append(node.func.id)
            for keyword in node.keywords:
                is_off = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg == "allow_pickle" and not is_off:
                    found.append("allow_pickle")
    return found


@pytest.mark.parametrize("package", [autofit, autofit_memplan])
def test_no_module_reads_what_could_run_code(package):
    files = sorted(Path(package.__file__).parent.rglob("*.py"))
    assert len(files) > 20
    for path in files:
        assert faults_of(path.read_text(encoding="utf-8")) == [], path


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib.externals",
        "eval('1')",
        "numpy.load(path, allow_pickle=True)",
        "numpy.load(path, allow_pickle=flag)",
    ],
)
def test_the_search_finds_what_could(source):
    assert faults_of(source)
    assert not faults_of("numpy.load(path, allow_pickle=False)\nmodel.eval()")

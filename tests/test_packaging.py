"""Both wheels, built, looked into, and the planner's one installed where there is no `autofit`."""

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECTS = {"autofit-nss": ROOT, "autofit-memplan": ROOT / "packaging" / "memplan"}

PLAN_ALONE = """
import sys
sys.modules["autofit"] = None  # "import autofit" fails, whatever this environment holds

import json
import jax
import jax.numpy as jnp
import autofit_memplan as memplan

def outer_sum(x):
    return jnp.sin(x[:, None] * x[None, :]).sum()

fast = memplan.plan_calls(outer_sum, jnp.ones(50), 12, chunk_size=5)
print(json.dumps({
    "from": memplan.__file__,
    "is_double": jax.config.jax_enable_x64,
    "chunk_size": fast.calls.chunk_size,
    "values": fast.executable("calls")(jnp.ones((12, 50))).tolist(),
}))
"""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *arguments]
    run = subprocess.run(command, capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    """The wheel of each distribution, as `make wheels` builds them."""
    folder = tmp_path_factory.mktemp("wheels")
    # pip fetches the build backend unless it is there already.
    isolation = ["--no-build-isolation"] if find_spec("hatchling") else []
    pip("wheel", "--no-deps", *isolation, "--wheel-dir", str(folder), *map(str, PROJECTS.values()))
    found = {path.name.split("-")[0].replace("_", "-"): path for path in folder.glob("*.whl")}
    assert found.keys() == PROJECTS.keys()
    return found


def contents(wheel):
    """Files of a wheel less its metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name for name in names if ".dist-info/" not in name}


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


def sources(package):
    return {path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py")}


def projects():
    return [
        tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        for folder in PROJECTS.values()
    ]


def test_the_wheels_hold_their_packages_and_nothing_else(wheels):
    planner = sources("autofit_memplan")
    assert planner and contents(wheels["autofit-memplan"]) == planner
    assert contents(wheels["autofit-nss"]) == planner | sources("autofit")


def test_both_wheels_carry_the_licence(wheels):
    licence = (ROOT / "LICENSE").read_bytes()
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (n for n in archive.namelist() if n.endswith("/licenses/LICENSE"))
            assert archive.read(name) == licence
        assert metadata(wheel)["License-File"] == "LICENSE"


def test_versions_agree(wheels):
    both, planner = projects()
    for field in ("version", "requires-python", "license"):
        assert both[field] == planner[field]
    assert {metadata(wheel)["Version"] for wheel in wheels.values()} == {both["version"]}


def test_the_planner_asks_for_no_more_than_both_do():
    both, planner = projects()
    assert set(planner["dependencies"]) < set(both["dependencies"])
    assert not any("blackjax" in requirement for requirement in planner["dependencies"])
    extra = "optional-dependencies"
    assert planner[extra] == {"targets": both[extra]["targets"]}


def test_the_planner_works_alone(wheels, tmp_path):
    target = tmp_path / "target"
    wheel = str(wheels["autofit-memplan"])
    pip("install", "--no-deps", "--no-index", "--target", str(target), wheel)
    run = subprocess.run(
        [sys.executable, "-c", PLAN_ALONE],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert Path(report["from"]).is_relative_to(target)
    assert not report["is_double"]  # only `import autofit` asks for double precision
    assert report["chunk_size"] == 5  # taken as asked
    assert report["values"] == pytest.approx([2500 * 0.8414709848] * 12, rel=1e-5)  # sin(1)

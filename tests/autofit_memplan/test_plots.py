"""Pictures: what is written on them, and that they have no background of their own."""

import re

import pytest
from matplotlib.image import imread

from autofit_memplan import plots
from autofit_memplan.measure import Batch
from autofit_memplan.plots import PlotError, draw_plans, draw_sweep, require_matplotlib
from autofit_memplan.sweep import Sweep

GIB = 2**30


@pytest.fixture
def sweep(plan):
    def batch(chunk_size, **measured):
        temp_bytes = chunk_size * GIB
        footprint = plan.call.model_copy(update={"temp_bytes": temp_bytes})
        return Batch(chunk_size=chunk_size, footprint=footprint, **measured)

    return Sweep(
        spec="likelihoods:dense",
        dtype="float64",
        target=None,
        budget=plan.budget,
        batches=(
            batch(1, grown_bytes=GIB, wall_seconds=(0.9, 1.0, 1.2), repeats=3),
            batch(8, grown_bytes=9 * GIB, wall_seconds=(3.0, 4.0, 4.0), repeats=3),
            batch(64, note="not run"),
            Batch(chunk_size=128, note="died"),
        ),
    )


def words(path):
    """All text of an SVG picture; matplotlib writes each beside its outlines."""
    return re.findall(r"<!-- (.*?) -->", path.read_text())


def test_a_plans_picture_names_programs_parts_and_units(plan, tmp_path):
    path = tmp_path / "plan.svg"
    draw_plans({"a100": plan, "h100": plan}, path)
    found = words(path)
    for name in ("a100", "h100"):
        assert f"{name}  init, chunk 75" in found
        assert f"{name}  step, chunk 48" in found
    assert "predicted peak memory [GiB]" in found
    for label in ("temporaries", "constants", "library scratch", "budget"):
        assert found.count(label) == 1


def test_a_sweeps_picture_shows_memory_and_speed(sweep, tmp_path):
    path = tmp_path / "sweep.svg"
    draw_sweep(sweep, path)
    found = words(path)
    assert {"predicted", "measured", "budget"} <= set(found)
    assert {"memory of the batch [GiB]", "evaluations per second", "calls in the batch"} <= set(
        found
    )
    assert "likelihoods:dense, float64, NVIDIA A100-SXM4-80GB" in found
    assert {"1", "8", "64", "128"} <= set(found)


def test_a_sweep_that_is_only_predicted_has_no_speed(sweep, tmp_path):
    path = tmp_path / "sweep.svg"
    predicted = [batch.model_copy(update={"grown_bytes": None}) for batch in sweep.batches]
    untimed = tuple(batch.model_copy(update={"wall_seconds": None}) for batch in predicted)
    draw_sweep(sweep.model_copy(update={"batches": untimed, "target": "h100-sxm"}), path)
    found = words(path)
    assert "predicted" in found
    assert not {"measured", "evaluations per second"} & set(found)
    assert "likelihoods:dense, float64, h100-sxm" in found


def test_a_sweep_of_which_nothing_is_known_is_drawn_empty(sweep, tmp_path):
    path = tmp_path / "sweep.svg"
    draw_sweep(sweep.model_copy(update={"batches": sweep.batches[-1:], "budget": None}), path)
    assert "calls in the batch" in words(path)


def test_the_background_is_left_to_the_page(plan, sweep, tmp_path):
    draw_plans({"cpu": plan}, tmp_path / "plan.png")
    draw_sweep(sweep, tmp_path / "sweep.png")
    for name in ("plan.png", "sweep.png"):
        alpha = imread(tmp_path / name)[..., 3]
        assert alpha[0, 0] == 0.0
        assert alpha.max() == 1.0


def test_without_matplotlib_the_error_says_what_to_install(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(plots, "find_spec", lambda name: None)
    with pytest.raises(PlotError, match="pip install matplotlib"):
        draw_plans({"cpu": plan}, tmp_path / "plan.png")


@pytest.mark.parametrize("name", ["plan", "plan.xyz"])
def test_a_kind_that_cannot_be_drawn_is_refused(tmp_path, name):
    with pytest.raises(PlotError, match=r"plan.*\.png.*\.svg"):
        require_matplotlib(tmp_path / name)

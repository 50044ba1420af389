"""Analysis: the hooks that a search calls, and the errors when they are missing."""

import pytest

from autofit.non_linear.analysis import Analysis, Visualizer
from autofit.non_linear.paths import NullPaths, paths_for
from autofit.non_linear.result import Result


def test_a_missing_likelihood_names_the_class_and_the_remedy():
    class Forgetful(Analysis):
        pass

    with pytest.raises(NotImplementedError, match="Forgetful has no log_likelihood_function"):
        Forgetful().log_likelihood_function(instance=None)


def test_use_jax_is_accepted_and_numpy_refused():
    Analysis(use_jax=True)
    with pytest.raises(ValueError, match=r"use_jax=False.*jax\.numpy"):
        Analysis(use_jax=False)


def test_the_default_hooks_do_nothing(tmp_path, samples, model):
    paths = paths_for("fit", output_path=tmp_path)
    analysis = Analysis()
    analysis.save_attributes(paths)
    analysis.visualize_before_fit(paths, model)
    analysis.visualize(paths, instance=None, during_analysis=True)
    analysis.save_results(paths, Result(samples, model))
    assert list(tmp_path.iterdir()) == []


def test_a_visualizer_class_gets_the_analysis(tmp_path, model):
    class Drawing(Visualizer):
        @staticmethod
        def visualize_before_fit(analysis, paths, model):
            (paths.image_path / f"{analysis.label}_{model.prior_count}").touch()

        @staticmethod
        def visualize(analysis, paths, instance, during_analysis):
            (paths.image_path / f"{analysis.label}_{instance}_{during_analysis}").touch()

    class Labelled(Analysis):
        Visualizer = Drawing
        label = "lens"

    paths = paths_for("fit", output_path=tmp_path)
    Labelled().visualize_before_fit(paths, model)
    Labelled().visualize(paths, instance="best", during_analysis=False)
    assert {file.name for file in paths.image_path.iterdir()} == {"lens_2", "lens_best_False"}


def test_drawing_is_skipped_without_a_folder_and_after_the_end(tmp_path):
    analysis, paths = Analysis(), paths_for("fit", output_path=tmp_path)
    assert not analysis.should_visualize(NullPaths())
    assert not analysis.should_visualize(NullPaths(), during_analysis=False)
    assert analysis.should_visualize(paths)
    paths.mark_complete()
    assert not analysis.should_visualize(paths)
    assert analysis.should_visualize(paths, during_analysis=False)


def test_make_result_builds_the_class_that_the_analysis_names(samples, model):
    class Special(Result):
        pass

    class Specialised(Analysis):
        Result = Special

    analysis, paths = Specialised(), NullPaths()
    result = analysis.make_result(samples, model, paths)
    assert type(result) is Special
    assert (result.analysis, result.samples, result.paths) == (analysis, samples, paths)
    assert type(Analysis().make_result(samples, model)) is Result

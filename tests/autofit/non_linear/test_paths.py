"""Paths: the layout on disk, refusals, atomic writes, and the null paths that write nothing."""

import json
import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.paths import OUTPUT_VARIABLE, DirectoryPaths, NullPaths, paths_for
from autofit.non_linear.result import Result


@pytest.fixture(autouse=True)
def _work_in_a_fresh_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(OUTPUT_VARIABLE, raising=False)


def test_the_folder_is_prefix_tag_name_identifier(tmp_path):
    paths = paths_for("fit", "lens/hst", "slacs0946", "abc123")
    assert paths.output_path == tmp_path / "output/lens/hst/slacs0946/fit/abc123"
    assert not (tmp_path / "output").exists(), "nothing is created before the first write"
    assert paths_for("fit").output_path == tmp_path / "output/fit"
    assert paths_for(path_prefix="only").output_path == tmp_path / "output/only"


def test_the_output_root_is_argument_then_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(OUTPUT_VARIABLE, str(tmp_path / "scratch"))
    assert paths_for("fit").output_path == tmp_path / "scratch/fit"
    assert paths_for("fit", output_path="here").output_path == tmp_path / "here/fit"


def test_the_folder_stays_when_the_script_changes_directory(tmp_path, monkeypatch):
    paths = paths_for("fit")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert paths.output_path == tmp_path / "output/fit"


@pytest.mark.parametrize("bad", ["a/b", "a\\b", "..", ".", "/etc", "a\0b"])
def test_names_that_are_not_one_folder_are_refused(bad):
    for argument in ("name", "unique_tag", "identifier"):
        with pytest.raises(ValueError, match=f"{argument}=.* not the name of one folder"):
            paths_for(**{"name": "fit", argument: bad})


@pytest.mark.parametrize("bad", ["/absolute", "..", "a/../../b"])
def test_prefixes_that_leave_the_output_folder_are_refused(bad):
    with pytest.raises(ValueError, match="would leave the output folder"):
        paths_for("fit", path_prefix=bad)


def test_a_saved_fit_has_pyautofit_s_files(model, samples):
    paths = paths_for("fit", identifier="abc")
    paths.save_model(model)
    paths.save_json("search", {"n_live": 200})
    paths.save_json("memory_plan", {"chunk_size": 4})
    paths.save_text("search.summary", "summary\n")
    Result(samples, model, paths=paths).save()
    assert not paths.is_complete
    paths.mark_complete()
    assert paths.is_complete
    found = {str(file.relative_to(paths.output_path)) for file in _files(paths.output_path)}
    assert found == {
        *("model.info", "model.results", "search.summary", ".completed"),
        *("files/model.json", "files/search.json", "files/samples.csv"),
        *("files/samples_info.json", "files/samples_summary.json"),
        *("files/covariance.csv", "files/memory_plan.json"),
    }
    assert (paths.output_path / "model.info").read_text() == model.info
    assert json.loads((paths.files_path / "model.json").read_text()) == model.to_dict()
    assert paths.load_json("samples_info")["log_evidence"] == samples.log_evidence
    covariance = np.loadtxt(paths.files_path / "covariance.csv", delimiter=",")
    assert covariance.tobytes() == samples.covariance_matrix.tobytes()
    summary = paths.load_json("samples_summary")
    assert summary["median_pdf"] == samples.median_pdf(as_instance=False)


def test_json_takes_numpy_and_jax_values():
    paths = paths_for("fit")
    paths.save_json("values", {"a": np.float64(0.1), "b": np.arange(3), "c": jnp.int32(4)})
    assert paths.load_json("values") == {"a": 0.1, "b": [0, 1, 2], "c": 4}


def test_a_value_without_json_form_leaves_the_old_file():
    paths = paths_for("fit")
    paths.save_json("values", [1])
    with pytest.raises(TypeError, match="type object has no JSON form"):
        paths.save_json("values", [2, object()])
    assert paths.load_json("values") == [1]


def test_a_failing_write_leaves_the_old_file_and_no_other(tmp_path):
    target = tmp_path / "folder" / "file.txt"
    with replace_on_success(target) as temporary:
        temporary.write_text("old")
    with pytest.raises(OSError, match="disk full"), replace_on_success(target) as temporary:
        temporary.write_text("half of the new")
        assert target.read_text() == "old", "the old content is visible until the new is whole"
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert _files(target.parent) == [target]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    program = """
import os, signal
from autofit.non_linear.atomic_file import replace_on_success
with replace_on_success("file.txt") as temporary:
    temporary.write_text("half of the new")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.run([sys.executable, "-c", program], env=environment, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert (tmp_path / "file.txt").read_text() == "old"


def test_samples_that_fail_to_write_leave_the_old_table(samples, monkeypatch):
    paths = paths_for("fit")
    paths.save_samples(samples)
    before = (paths.files_path / "samples.csv").read_bytes()

    def half_written(self, text, encoding=None):
        self.write_bytes(text[:100].encode())
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_text", half_written)
    with pytest.raises(OSError, match="disk full"):
        paths.save_samples(samples)
    assert (paths.files_path / "samples.csv").read_bytes() == before


def test_the_log_goes_to_search_log():
    paths = paths_for("fit")
    logger = logging.getLogger("test_paths")
    for message in ("first run", "resumed run"):
        handler = paths.log_handler()
        logger.addHandler(handler)
        logger.warning(message)
        logger.removeHandler(handler)
        handler.close()
    lines = (paths.output_path / "search.log").read_text().splitlines()
    assert [line.split(": ")[-1] for line in lines] == ["first run", "resumed run"]


def test_image_path_is_ready_to_draw_into():
    paths = paths_for("fit")
    (paths.image_path / "fit.png").write_bytes(b"png")
    assert paths.image_path == paths.output_path / "image"


def test_null_paths_write_nothing(tmp_path, model, samples):
    paths = paths_for(unique_tag="tag")
    assert isinstance(paths, NullPaths)
    assert isinstance(paths_for(""), NullPaths)
    paths.save_model(model)
    paths.save_json("search", {})
    paths.save_text("search.summary", "text")
    paths.save_samples(samples)
    paths.mark_complete()
    handler = paths.log_handler()
    handler.emit(logging.makeLogRecord({"msg": "nowhere"}))
    handler.close()
    assert (paths.output_path, paths.files_path, paths.image_path) == (None, None, None)
    assert not paths.is_complete
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError, match="Give the search a name"):
        paths.load_samples(model)


def test_both_kinds_of_paths_have_one_interface():
    assert {name for name in dir(NullPaths) if name[0] != "_"} == {
        name for name in dir(DirectoryPaths) if name[0] != "_"
    }


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]

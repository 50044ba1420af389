"""Saved states that are damaged, strange, new or hostile: refused or recovered, never believed."""

import json
import pickle
import tracemalloc
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
from problems import cube
from saved_runs import SEARCH, advance, bits, checkpoint, fresh_run

from autofit.non_linear.errors import CheckpointError
from autofit.non_linear.search.nest.nss import _segments
from autofit.non_linear.search.nest.nss._manifest import _checksum
from autofit.non_linear.search.nest.nss._rows import checksum


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A folder with two generations, and the bits of both, the newest last."""
    monkeypatch.setattr(_segments, "_SEGMENT_BYTES", 1000)
    run, here, generations = fresh_run(), checkpoint(tmp_path), []
    for iterations in (4, 3, 2):
        advance(run, iterations)
        here.save(run)
        generations.append(bits(run))
    return tmp_path, generations[1:]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def outcome(folder, generations) -> str:
    """What loading comes to; anything but these four is an error, and nothing is overwritten."""
    before = contents(folder)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = bits(checkpoint(folder).load())
        except CheckpointError as error:
            assert str(folder) in str(error) and "remove" in str(error)
            assert contents(folder) == before
            return "refused"
    assert contents(folder) == before
    assert found in generations
    said = "".join(str(warning.message) for warning in caught)
    which = "newest" if found == generations[1] else "one before"
    if said:
        iteration = {"newest": 9, "one before": 7}[which]
        assert "a saved state is damaged: " in said and f"after iteration {iteration}." in said
    return f"{which}, with a warning" if said else which


def test_every_file_of_a_save_is_there(saved):
    folder, generations = saved
    assert set(contents(folder)) == {
        *(f"{name}-{slot}.npy" for name in ("state", "tail") for slot in (0, 1)),
        *(f"manifest-{slot}.json" for slot in (0, 1)),
        *(f"dead-{number:06d}.npy" for number in range(4)),
    }
    assert outcome(folder, generations) == "newest"


@pytest.mark.parametrize(
    "share", [0.0, 0.5, 0.999, None], ids=["empty", "half", "nearly", "missing"]
)
def test_truncated_and_missing_files(saved, share):
    """The third save took the first place again, and its dead points filled the last segment."""
    folder, generations = saved
    expected = {
        "manifest-0": "one before, with a warning",
        "manifest-1": "newest, with a warning",
        "state-0": "one before, with a warning",
        "state-1": "newest",
        "tail-0": "one before, with a warning",
        "tail-1": "newest",
        "dead-000000": "refused",
        "dead-000001": "refused",
        "dead-000002": "refused",
        "dead-000003": "one before, with a warning",
    }
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        if share is None:
            path.unlink()
        else:
            path.write_bytes(content[: int(share * len(content))])
        assert outcome(folder, generations) == expected[path.stem], path.name
        path.write_bytes(content)
    assert outcome(folder, generations) == "newest"


def test_flipped_bits(saved):
    """200 of them, anywhere: what is loaded is one of the two states to the bit, or an error."""
    folder, generations = saved
    rng, files = np.random.default_rng(11), sorted(folder.iterdir())
    outcomes = set()
    for _ in range(200):
        path = files[rng.integers(len(files))]
        content = path.read_bytes()
        flipped = bytearray(content)
        flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
        path.write_bytes(flipped)
        found = outcome(folder, generations)
        outcomes.add(found)
        of_newest = path.stem.endswith("-0") or path.stem == "dead-000003"
        if of_newest:
            # white space and the like in a manifest may change without a change of its content
            assert found != "newest" or path.suffix == ".json"
        path.write_bytes(content)
    assert outcomes == {"newest", "newest, with a warning", "one before, with a warning", "refused"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"search": {**SEARCH, "seed": 6}}, "search.seed was 5 and is 6"),
        ({"search": {**SEARCH, "new": 1}}, "search.new was 'absent' and is 1"),
        ({"model": cube(3, 2.0)}, "model.items.x0.lower_limit was -1.0 and is -2.0"),
        ({"run": fresh_run(offset=0.01)}, "log likelihoods of the first live points differ"),
        ({"run": fresh_run(scale=1.00001)}, "other data, or another likelihood"),
    ],
    ids=["seed", "option", "priors", "offset", "noise"],
)
def test_the_state_of_another_fit_is_refused(saved, change, says):
    folder, _ = saved
    before = contents(folder)
    with pytest.raises(
        CheckpointError, match=f"holds the state of another fit: .*{says}"
    ) as raised:
        checkpoint(folder, **change).load()
    assert "another name or unique_tag, or remove the folder" in str(raised.value)
    assert contents(folder) == before


def test_the_state_of_another_precision_is_refused(saved):
    folder, _ = saved
    run = fresh_run()
    run.state = jax.tree.map(lambda x: np.asarray(x, np.float32), run.state)
    says = r"arrays.state.particles.logdensity was 'float64\[30\]' and is 'float32\[30\]'"
    with pytest.raises(CheckpointError, match=says):
        checkpoint(folder, run).load()


def test_a_likelihood_that_rounds_otherwise_is_the_same_fit(saved):
    folder, generations = saved
    other = checkpoint(folder, fresh_run(scale=1 + 1e-9))
    assert bits(other.load()) == generations[1]


def forge(folder: Path, **changes) -> None:
    """Change the newest manifest, and make its checksum right again."""
    path = folder / "manifest-0.json"
    content = {**json.loads(path.read_text()), **changes}
    del content["checksum"]
    path.write_text(json.dumps({**content, "checksum": _checksum(content)}))


def test_a_newer_format_is_refused(saved):
    folder, _ = saved
    forge(folder, format=2)
    before = contents(folder)
    with pytest.raises(CheckpointError, match="has format 2, and this version reads 1: a newer"):
        checkpoint(folder).load()
    assert contents(folder) == before


def test_other_versions_go_on_with_a_warning(saved):
    folder, generations = saved
    versions = json.loads((folder / "manifest-0.json").read_text())["versions"]
    forge(folder, versions={**versions, "jaxlib": "0.1", "blackjax": "9.9"})
    with pytest.warns(UserWarning, match="other versions .jaxlib 0.1 -> .*its bits may differ"):
        assert bits(checkpoint(folder).load()) == generations[1]


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def npy(descr, shape, content: bytes) -> bytes:
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


@pytest.mark.parametrize(
    ("rows", "content"),
    [
        (10**12, b""),
        (1, npy("<f8", (10**12,), b"\0" * 100)),
        (1, npy("|O", (1,), pickle.dumps([Bomb()]) + b"\0" * 500)),
        (1, npy("|O", (10**12,), pickle.dumps([Bomb()]) + b"\0" * 500)),
        (1, pickle.dumps(Bomb()) + b"\0" * 700),
        (1, b"\x93NUMPY\x01\x00" + b"\xff" * 700),
        (1, b"\x93NUMPY\x01\x00\xf4\x01" + b"(" * 700),
        (0, b""),
    ],
    ids=["rows", "header", "objects", "both", "pickle", "garbage", "nested", "none"],
)
def test_hostile_arrays_allocate_nothing_and_run_nothing(saved, rows, content, monkeypatch):
    """With checksums that are right, so that it is for the readers themselves to refuse."""
    folder, generations = saved
    monkeypatch.chdir(folder)
    (folder / "state-0.npy").write_bytes(content)
    forge(folder, state={"name": "state-0.npy", "rows": rows, "checksum": checksum(content)})
    tracemalloc.start()
    found = outcome(folder, generations)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == "one before, with a warning"
    assert peak < 2**22
    assert not (folder / "exploded").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"[" * 10**5,
        b'{"format": 1}',
        b'{"format": 1e999}',
        b"\xff\xfe\x00",
        b"9" * 10**5,
        b'{"format": 1, "checksum": [1]}',
    ],
)
def test_hostile_manifests(saved, content):
    folder, generations = saved
    (folder / "manifest-0.json").write_bytes(content)
    assert outcome(folder, generations) == "one before, with a warning"


@pytest.mark.parametrize("name", ["../state-0.npy", "/etc/passwd", "state-0.npy\n", "a-1.npy/"])
def test_a_manifest_cannot_point_out_of_its_folder(saved, name):
    folder, generations = saved
    forge(folder, state={"name": name, "rows": 1, "checksum": ""})
    assert outcome(folder, generations) == "one before, with a warning"


def test_a_fit_without_any_manifest_is_not_begun_afresh(saved):
    folder, generations = saved
    for manifest in folder.glob("manifest-*.json"):
        manifest.unlink()
    assert outcome(folder, generations) == "refused"


@pytest.mark.parametrize(("scale", "is_same"), [(1 + 2e-5, True), (1 + 3e-4, False)])
@pytest.mark.parametrize("is_single_outside", [True, False])
def test_other_data_are_told_apart_in_single_precision(tmp_path, scale, is_same, is_single_outside):
    def single(**change):
        run = fresh_run(**change)
        if is_single_outside:
            run.state = jax.tree.map(lambda x: np.asarray(x, np.float32), run.state)
        return run

    checkpoint(tmp_path, single(), precision="float32").save(single())
    other = checkpoint(tmp_path, single(scale=scale), precision="float32")
    if is_same:
        assert other.load() is not None
    else:
        with pytest.raises(CheckpointError, match="other data, or another likelihood"):
            other.load()

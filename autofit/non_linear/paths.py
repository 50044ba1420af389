"""Where a fit is written: a folder with PyAutoFit's layout, or nowhere, behind one interface.

```
<output root>/<path_prefix>/<unique_tag>/<name>/<identifier>/
    model.info  model.results  search.summary  search.log  .completed
    image/
    files/  model.json  search.json  samples.csv  samples_info.json  samples_summary.json
            covariance.csv  memory_plan.json
```

The output root is the argument `output_path`, else the environment variable `PYAUTOFIT_OUTPUT`,
else `output` in the working directory.
"""

from __future__ import annotations

import json
import logging
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from autofit.mapper import AbstractPriorModel
from autofit.non_linear.atomic_file import replace_on_success
from autofit.non_linear.samples import Samples

OUTPUT_VARIABLE = "PYAUTOFIT_OUTPUT"


def to_json(obj: Any) -> str:
    """As `AbstractPaths.save_json` writes it, which says more."""
    return json.dumps(obj, indent=4, default=_plain)


class AbstractPaths(ABC):
    """What every kind of paths offers; writing a fit is the same code for all of them."""

    @property
    @abstractmethod
    def output_path(self) -> Path | None:
        """Folder of this fit; None when nothing is written. It is created by the first write."""

    @property
    def files_path(self) -> Path | None:
        """Folder of the machine-readable files; None when nothing is written."""
        return None if self.output_path is None else self.output_path / "files"

    @property
    def image_path(self) -> Path | None:
        """Folder of the drawings, which exists once asked for; None when nothing is written."""
        if self.output_path is None:
            return None
        # Drawing code is the user's and writes here directly, so the folder has to be there.
        path = self.output_path / "image"
        path.mkdir(parents=True, exist_ok=True)
        return path

    @abstractmethod
    def _write(self, relative: str, text: str) -> None:
        """Write one text file, whose name is relative to `output_path`, atomically."""

    @abstractmethod
    def _read(self, relative: str) -> str:
        """Text of one file, whose name is relative to `output_path`."""

    @property
    @abstractmethod
    def is_complete(self) -> bool:
        """Whether this fit is finished: its result can be loaded instead of computed."""

    @abstractmethod
    def log_handler(self) -> logging.Handler:
        """A handler that appends to `search.log`. The caller removes and closes it."""

    def mark_complete(self) -> None:
        """Record that the fit is finished. Call it last, when every file is written."""
        self._write(".completed", "")

    def save_text(self, name: str, text: str) -> None:
        """Write a text file beside `model.info`; `name` includes the suffix."""
        self._write(name, text)

    def load_text(self, name: str) -> str:
        """Read a file that `save_text` wrote. Raises FileNotFoundError when it is missing."""
        return self._read(name)

    def save_json(self, name: str, obj: Any) -> None:
        """Write `files/<name>.json`. NumPy scalars and arrays become numbers and lists.

        Raises
        ------
        TypeError
            When part of the object has no JSON form.
        """
        self._write(f"files/{name}.json", to_json(obj))

    def load_json(self, name: str) -> Any:
        """Read `files/<name>.json`. Raises FileNotFoundError when it is missing."""
        return json.loads(self._read(f"files/{name}.json"))

    def save_array(self, name: str, array: ArrayLike) -> None:
        """Write `files/<name>.csv` from an array of one or two dimensions, at full precision."""
        rows = np.atleast_2d(np.asarray(array, dtype=np.float64)).tolist()
        self._write(f"files/{name}.csv", "".join(",".join(map(repr, row)) + "\n" for row in rows))

    def save_model(self, model: AbstractPriorModel) -> None:
        """Write `model.info` for people and `files/model.json` for programs."""
        self.save_text("model.info", model.info)
        self.save_json("model", model.to_dict())

    def save_samples(self, samples: Samples) -> None:
        """Write the samples, their information, their summary and their covariance matrix."""
        self._write("files/samples.csv", samples.to_csv())
        self.save_json("samples_info", samples.samples_info)
        self.save_json("samples_summary", samples.summary().model_dump())
        self.save_array("covariance", samples.covariance_matrix)

    def load_samples(self, model: AbstractPriorModel) -> Samples:
        """Samples that `save_samples` wrote, bit for bit.

        Raises
        ------
        FileNotFoundError
            When no samples were written.
        ValueError
            When they are samples of another model.
        """
        info = self.load_json("samples_info")
        return Samples.from_csv(Path(self.files_path, "samples.csv"), model, info)


class DirectoryPaths(AbstractPaths):
    """Paths of a fit that is written to a folder.

    Parameters
    ----------
    name
        Name of the fit: one folder.
    path_prefix
        Folders above the name, for instance `"lens/hst"`.
    unique_tag
        What tells apart fits of one name, typically the dataset: one folder.
    identifier
        Hash of model, search and tag, so that a changed fit does not meet the old result.
    output_path
        The output root; see the module's text for what it is when not given.

    Raises
    ------
    ValueError
        When a part would leave its place in the layout.
    """

    def __init__(
        self,
        name: str | None,
        path_prefix: str | os.PathLike[str] | None = None,
        unique_tag: str | None = None,
        identifier: str | None = None,
        output_path: str | os.PathLike[str] | None = None,
    ) -> None:
        self.name = _single_folder("name", name)
        self.unique_tag = _single_folder("unique_tag", unique_tag)
        self.identifier = _single_folder("identifier", identifier)
        self.path_prefix = _relative_folders(path_prefix)
        root = Path(output_path or os.environ.get(OUTPUT_VARIABLE) or "output")
        parts = (self.path_prefix, self.unique_tag, self.name, self.identifier)
        # Made absolute now: a script that changes its working directory keeps one output folder.
        self._output_path = root.joinpath(*(part for part in parts if part)).absolute()

    @property
    def output_path(self) -> Path:
        return self._output_path

    @property
    def is_complete(self) -> bool:
        return (self.output_path / ".completed").is_file()

    def log_handler(self) -> logging.FileHandler:
        self.output_path.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(self.output_path / "search.log", encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        return handler

    def _write(self, relative: str, text: str) -> None:
        with replace_on_success(self.output_path / relative) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _read(self, relative: str) -> str:
        return (self.output_path / relative).read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"DirectoryPaths({str(self.output_path)!r})"


class NullPaths(AbstractPaths):
    """Paths of a fit without name and prefix: nothing is written, and nothing is ever complete."""

    @property
    def output_path(self) -> None:
        return None

    @property
    def is_complete(self) -> bool:
        return False

    def log_handler(self) -> logging.NullHandler:
        return logging.NullHandler()

    def _write(self, relative: str, text: str) -> None:
        pass

    def _read(self, relative: str) -> str:
        raise FileNotFoundError(
            f"{relative} was asked for, but a fit without name and path_prefix writes no files. "
            "Give the search a name to keep its output."
        )

    def __repr__(self) -> str:
        return "NullPaths()"


def paths_for(
    name: str | None = None,
    path_prefix: str | os.PathLike[str] | None = None,
    unique_tag: str | None = None,
    identifier: str | None = None,
    output_path: str | os.PathLike[str] | None = None,
) -> AbstractPaths:
    """Paths for a search's options: a folder, or null paths without name and prefix.

    The arguments and the errors are those of `DirectoryPaths`.
    """
    if not name and not path_prefix:
        return NullPaths()
    return DirectoryPaths(name, path_prefix, unique_tag, identifier, output_path)


def _single_folder(argument: str, value: str | None) -> str:
    """The value as the name of one folder; empty when there is none."""
    if not value:
        return ""
    if value in {".", ".."} or any(character in value for character in "/\\\0"):
        raise ValueError(
            f"{argument}={value!r} is not the name of one folder. Leave out '/', '\\' and '..', "
            "and put folders above it in path_prefix."
        )
    return value


def _relative_folders(prefix: str | os.PathLike[str] | None) -> str:
    """The prefix as folders below the output root; empty when there is none."""
    if not prefix:
        return ""
    path = Path(prefix)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(
            f"path_prefix={str(prefix)!r} would leave the output folder. Give folders below it, "
            f"or set the output folder itself with the environment variable {OUTPUT_VARIABLE}."
        )
    return str(path)


def _plain(value: Any) -> Any:
    """JSON form of what `json` does not know: anything with NumPy's `tolist`, JAX arrays too."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(
        f"a value of type {type(value).__name__} has no JSON form. Convert it to numbers, text, "
        "lists or dictionaries before saving it."
    )

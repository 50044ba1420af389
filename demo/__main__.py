"""`python -m demo`: simulate a strong lens, or take one from a folder, and fit it with `af.NSS`."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rich.console import Console
from rich.table import Table

import autofit as af
from autofit.mapper import identifier_for
from autofit.non_linear.paths import OUTPUT_VARIABLE
from demo.analysis import LensAnalysis, lens_model
from demo.cutout import Cutout
from demo.imaging import Imaging
from demo.likelihood import LensLikelihood
from demo.simulator import TRUTH, simulate

DATA_FOLDER = Path(__file__).parent / "data"


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line.

    Parameters
    ----------
    arguments
        What follows the command's name; that of this process by default.
    """
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="fit data.fits, noise_map.fits and psf.fits of this folder instead of simulating",
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where results are written")
    parser.add_argument("--seed", type=int, default=1, help="of the noise and of the sampler")
    parser.add_argument("--inner", type=float, default=0.8, help="of the annulus, in arcsec")
    parser.add_argument("--outer", type=float, default=2.2, help="of the annulus, in arcsec")
    parser.add_argument("--bin", type=int, default=2, help="side of a bin, in pixels")
    parser.add_argument(
        "--einstein-radius", type=float, default=1.6, help="guess in arcsec, good to 0.3"
    )
    parser.add_argument("--n-live", type=int, default=75, help="live points of the sampler")
    parser.add_argument("--steps", type=int, default=22, help="slice moves for each new point")
    return parser.parse_args(arguments)


def dataset_tag(options: argparse.Namespace, imaging: Imaging) -> str:
    """A name for the data, so that a finished fit is loaded for the same pixels only.

    Parameters
    ----------
    options
        Of the command line; they cut out the pixels.
    imaging
        Its content is part of the name where it comes from a folder.
    """
    source = f"simulated_{options.seed}"
    if options.data is not None:
        source = f"{options.data.resolve().name}_{identifier_for(vars(imaging))[:8]}"
    return f"{source}_{options.inner:g}_{options.outer:g}_{options.bin}"


def truth_table(result: af.Result) -> Table:
    """The posterior beside the values that were simulated, with the distance in sigma.

    Parameters
    ----------
    result
        Result of a fit to a simulated image.
    """
    summary = result.samples.summary()
    table = Table("parameter", "truth", "median", "(median - truth) / sigma")
    for name, median, (lower, upper) in zip(
        summary.parameter_names, summary.median_pdf, summary.values_at_sigma_1, strict=True
    ):
        distance = (median - TRUTH[name]) / ((upper - lower) / 2)
        table.add_row(name, f"{TRUTH[name]:.4f}", f"{median:.4f}", f"{distance:+.2f}")
    return table


def main(arguments: list[str] | None = None) -> None:
    """Get the data, fit them, and say what was found and where it lies.

    Parameters
    ----------
    arguments
        What follows the command's name; that of this process by default.
    """
    options = parse_arguments(arguments)
    if options.output is not None:
        os.environ[OUTPUT_VARIABLE] = str(options.output)
    console = Console()
    if options.data is None:
        imaging = simulate(seed=options.seed)
        imaging.save(DATA_FOLDER)
        console.print(f"simulated a strong lens into {DATA_FOLDER}")
    else:
        imaging = Imaging.load(options.data)
    cutout = Cutout(imaging, options.inner, options.outer, options.bin)
    console.print(
        f"fitting {len(cutout.data)} bins of {options.bin * imaging.pixel_scale:.2f} arcsec "
        f"between {options.inner} and {options.outer} arcsec"
    )
    search = af.NSS(
        name="demo",
        unique_tag=dataset_tag(options, imaging),
        n_live=options.n_live,
        num_delete=max(1, options.n_live // 3),
        num_mcmc_steps=options.steps,
        chunk_size="auto",
        seed=options.seed,
    )
    result = search.fit(
        model=lens_model(options.einstein_radius),
        analysis=LensAnalysis(LensLikelihood(cutout)),
    )
    console.print(result.table())
    samples = result.samples
    console.print(f"log Z = {samples.log_evidence:.2f} ± {samples.log_evidence_error:.2f}")
    if options.data is None:
        console.print(truth_table(result))
    if result.paths is not None and result.paths.image_path is not None:
        console.print(f"pictures: {result.paths.image_path}")


if __name__ == "__main__":
    main()

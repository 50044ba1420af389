"""What the demo's command makes of its options."""

from dataclasses import replace

from demo.__main__ import dataset_tag, parse_arguments
from demo.imaging import Imaging
from demo.simulator import simulate


def test_other_pixels_have_another_name(tmp_path):
    imaging = simulate()
    folders = [tmp_path / lens / "hst" for lens in ("a", "b")]
    imaging.save(folders[0])
    replace(imaging, data=imaging.data + 1.0).save(folders[1])
    commands = [[], ["--seed", "2"], ["--bin", "3"], ["--outer", "2.5"]]
    commands += [["--data", str(folder)] for folder in folders]
    tags = [tag(command) for command in commands]
    assert len(set(tags)) == len(commands)
    assert tags[4].startswith("hst_") and tag(commands[4]) == tags[4]


def tag(command):
    options = parse_arguments(command)
    imaging = Imaging.load(options.data) if options.data else simulate(seed=options.seed)
    return dataset_tag(options, imaging)

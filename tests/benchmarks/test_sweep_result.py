"""A sweep's file: what is in it is not run again, and what is not is added."""

import json
import sys

import pytest

from benchmarks.sweep.command import cases_of, main, spec_of, sweep
from benchmarks.sweep.records import COLD, TOO_LARGE, Case, Outcome, Sizes
from benchmarks.sweep.result import Result

SPEC = spec_of("mge", "small")


def test_a_sweep_goes_on_from_its_file(tmp_path, monkeypatch):
    output, cases, dying = tmp_path / "sweep.json", [], [4]
    call_seconds = iter((1e-3, 5.0))  # for the second alone, one move would be enough

    def lines_from(module, what="machine", *arguments, **_):
        if what == "machine":
            return ['{"platform": "cpu"}'], ""
        if what == "start":
            return [json.dumps({"call_seconds": next(call_seconds)})], ""
        case = Case.model_validate_json(arguments[0])
        cases.append((case.chunk_size, case.num_inner_steps))
        if case.chunk_size in dying:
            dying.clear()
            return [], "ended by SIGKILL"
        return [Outcome(case=case, iterations=1, seconds=0.5).noted(COLD).model_dump_json()], ""

    def run(chunks):
        cases.clear()
        words = "--cells mge --instruments small --schedulers lanes --num-delete 4 --chunks"
        words = ["sweep", *words.split(), chunks, "--output", str(output)]
        monkeypatch.setattr(sys, "argv", words)
        main()
        return list(cases)

    monkeypatch.setattr("benchmarks.sweep.command.lines_from", lines_from)
    assert run("2,4") == [(2, 3), (4, 3)]
    assert run("1,2,4") == [(1, 3), (4, 3)]
    output.with_suffix(".png").unlink()
    assert run("1,2,4") == []
    result = Result.model_validate_json(output.read_text())
    assert [each.case.chunk_size for each in result.cases] == [1, 2, 4]
    assert {each.note for each in result.cases} == {COLD}
    assert len(result.machine) == 2  # the third run has added nothing
    assert output.with_suffix(".png").exists()


def test_what_failed_is_run_again_and_what_cannot_fit_is_not():
    sizes = Sizes(num_delete=4)
    one, two = cases_of(SPEC, [1, 2], ["lanes"], sizes)
    known = [
        Outcome(case=one, note=f"{TOO_LARGE} 1 MiB; no start: late"),
        Outcome(case=two, note="not done after 9 s"),
    ]
    again = sweep([SPEC], [1, 2], ["lanes"], sizes, seconds_left=lambda: 0.0, known=known)
    assert [each.case.chunk_size for each in again] == [2]


def test_a_file_of_one_run_is_gone_on_from_with_the_same_sizes_only(tmp_path):
    path, sizes = tmp_path / "sweep.json", Sizes(num_delete=8, limit="8GiB")
    assert Result.begun(path, sizes) == Result(sizes=sizes)
    form = {"sizes": sizes.model_dump(), "summary": "", "cases": [], "machine": {"cores": 2}}
    path.write_text(json.dumps(form))
    longer = sizes.model_copy(update={"timeout": 900.0})
    assert Result.begun(path, longer) == Result(sizes=longer, machine=[{"cores": 2}])
    with pytest.raises(ValueError, match="it has cases of num_delete=8"):
        Result.begun(path, Sizes(num_delete=16, limit="8GiB"))
    path.write_text('{"parts": {}}')
    with pytest.raises(ValueError, match="sizes"):
        Result.begun(path, sizes)

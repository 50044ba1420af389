"""A sweep's file: what is in it is not run again, and what is not is added."""

import json
import sys

import pytest

from benchmarks.result_file import write_result
from benchmarks.sweep.command import cases_of, main, spec_of, sweep
from benchmarks.sweep.records import Case, Outcome, Sizes
from benchmarks.sweep.result import Result

SPEC = spec_of("mge", "small")
HERE = {"platform": "cpu", "cores": 2, "versions": {"jax": "0.10"}, "command": "now"}


def test_a_sweep_goes_on_from_its_file(tmp_path, monkeypatch):
    output, cases, dying = tmp_path / "sweep.json", [], [4]
    call_seconds = iter((1e-3, 5.0))  # for the second alone, one move would be enough

    def lines_from(module, what, *arguments, **_):
        if what == "start":
            return [json.dumps({"call_seconds": next(call_seconds)})], ""
        case = Case.model_validate_json(arguments[0])
        cases.append((case.chunk_size, case.num_inner_steps))
        if case.chunk_size in dying:
            dying.clear()
            return [], "ended by SIGKILL"
        done = Outcome(case=case, iterations=1, seconds=0.5, is_cold=True)
        return [done.model_dump_json()], ""

    def run(chunks):
        cases.clear()
        words = "--cells mge --instruments small --schedulers lanes --num-delete 4 --chunks"
        words = ["sweep", *words.split(), chunks, "--output", str(output)]
        monkeypatch.setattr(sys, "argv", words)
        main()
        return list(cases)

    monkeypatch.setattr("benchmarks.sweep.command.lines_from", lines_from)
    monkeypatch.setattr("benchmarks.sweep.command.machine_elsewhere", HERE.copy)
    assert run("2,4") == [(2, 3), (4, 3)]
    assert run("1,2,4") == [(1, 3), (4, 3)]
    output.with_suffix(".png").unlink()
    assert run("1,2,4") == []
    result = Result.model_validate_json(output.read_text())
    assert [each.case.chunk_size for each in result.cases] == [1, 2, 4]
    assert {(each.note, each.is_cold) for each in result.cases} == {("", True)}
    assert len(result.machine) == 2  # the third run has added nothing
    assert output.with_suffix(".png").exists()


def test_a_sweep_is_not_mixed_with_one_of_another_machine(tmp_path, monkeypatch, capsys):
    output = tmp_path / "sweep.json"
    write_result(Result(sizes=Sizes(limit="8GiB"), machine=(HERE | {"cores": 64},)), output)
    before = output.read_bytes()
    monkeypatch.setattr("benchmarks.sweep.command.machine_elsewhere", HERE.copy)
    monkeypatch.setattr(sys, "argv", ["sweep", "--output", str(output)])
    with pytest.raises(SystemExit):
        main()
    assert "was measured with other cores" in capsys.readouterr().err
    assert output.read_bytes() == before


def test_what_was_not_timed_is_run_again():
    sizes = Sizes(num_delete=4)
    one, two, four = cases_of(SPEC, [1, 2, 4], ["lanes"], sizes)
    known = [
        Outcome(case=one, note="not run: the budget is 1 MiB"),
        Outcome(case=two, note="not done after 9 s"),
        Outcome(case=four, iterations=1),
    ]
    again = sweep([SPEC], [1, 2, 4], ["lanes"], sizes, seconds_left=lambda: 0.0, known=known)
    assert [each.case.chunk_size for each in again] == [1, 2]


def test_a_file_of_one_run_is_gone_on_from_at_the_same_sizes_only(tmp_path):
    path, sizes = tmp_path / "sweep.json", Sizes(num_delete=8, limit="8GiB")
    then = HERE | {"command": "then"}
    form = {"sizes": sizes.model_dump(), "summary": "", "cases": [], "machine": then}
    path.write_text(json.dumps(form))
    longer = Result(sizes=sizes.model_copy(update={"timeout": 900.0}), machine=(HERE,))
    on = longer.going_on_from(path)
    assert on == longer.model_copy(update={"machine": (then, HERE)})
    write_result(on, path)
    assert Result.model_validate_json(path.read_text()) == on
    larger = Result(sizes=Sizes(num_delete=16, limit="8GiB"), machine=(HERE,))
    with pytest.raises(ValueError, match="has cases of num_delete=8"):
        larger.going_on_from(path)
    path.write_text('{"parts": {}}')
    with pytest.raises(ValueError, match=r"(?s)is no sweep to go on from.*sizes\n *Field required"):
        longer.going_on_from(path)

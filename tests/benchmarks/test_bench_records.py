"""Files of results: complete lines, read back as written, and errors that name the line."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fastsam_bench.errors import ResultsFileError, ResultsLineError, ResultsSchemaError
from fastsam_bench.results.records import KINDS, SCHEMA, Cell, Failed, Run
from fastsam_bench.results.results_file import ResultsWriter, read_results
from fastsam_bench.results.runs import by_machine
from fastsam_engine.errors import OutputError
from support import made_bench


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return made_bench.write(tmp_path / "results.jsonl", made_bench.whole_run())


def test_written_records_are_read_back(file: Path) -> None:
    written = made_bench.whole_run()
    assert {type(record) for record in written} == set(KINDS.values())
    results = read_results(file)
    (run,) = results.runs
    assert results.notes == ()
    assert (run.name, run.file, run.partial, run.missing) == ("made", "results.jsonl", False, ())
    for old, new in zip(written, (run.run, *run.records), strict=True):
        assert type(old) is type(new)
        assert _rounded(dataclasses.asdict(old)) == _rounded(dataclasses.asdict(new))


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value


def test_every_line_names_schema_run_and_kind(file: Path) -> None:
    for line in file.read_text().splitlines():
        document = json.loads(line)
        assert list(document)[:3] == ["schema", "run", "kind"]
        assert (document["schema"], document["run"]) == (SCHEMA, "made")


def test_a_killed_run_leaves_complete_lines(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    code = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support import made_bench
from fastsam_bench.results.results_file import ResultsWriter
writer = ResultsWriter(__import__("pathlib").Path({str(path)!r}), "killed")
for record in made_bench.whole_run()[:9]:
    writer.write(record)
os._exit(9)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    results = read_results(path)
    (run,) = results.runs
    assert (len(run.records), run.partial, results.notes) == (8, True, ())
    assert len(run.missing) == len(run.run.planned) - len(run.of(Cell))


@pytest.mark.parametrize("cut", [1, 40, 700])
def test_an_incomplete_last_line_is_left_out(file: Path, cut: int) -> None:
    whole = file.read_bytes()
    file.write_bytes(whole[:-cut])
    results = read_results(file)
    (run,) = results.runs
    if cut == 1:  # the newline alone
        assert (run.partial, results.notes) == (False, ())
    else:
        assert run.partial
        assert results.notes == ("results.jsonl: the last line is incomplete and was left out",)


def test_a_cut_inside_a_character_is_a_cut(file: Path) -> None:
    line = json.dumps({"schema": SCHEMA, "run": "made", "kind": "failed", "id": "é"}, ensure_ascii=False).encode()
    file.write_bytes(file.read_bytes() + line[: line.index("é".encode()) + 1])
    assert read_results(file).notes == ("results.jsonl: the last line is incomplete and was left out",)


def test_a_writer_removes_an_unfinished_line(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])
    made_bench.write(file, made_bench.whole_run(1), "next")
    results = read_results(file)
    assert [(run.name, run.partial) for run in results.runs] == [("made", True), ("next", False)]
    assert results.notes == ()


def _change(path: Path, number: int, change: Callable[[dict], object]) -> None:
    lines = path.read_text().splitlines()
    document = json.loads(lines[number - 1])
    changed = change(document)
    lines[number - 1] = changed if isinstance(changed, str) else json.dumps(document)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda d: d.update(schema="fastsam-trt.bench/2"), ResultsSchemaError,
         r"results.jsonl, line 4: expected schema fastsam-trt.bench/1, found 'fastsam-trt.bench/2'; read it with"),
        (lambda d: d.update(schema=1), ResultsSchemaError, "found 1"),
        (lambda d: d.update(schema="fastsam-trt.bench/11"), ResultsSchemaError, "bench/11"),
        (lambda d: json.dumps(d)[:50], ResultsLineError, "4: expected a JSON object, found an incomplete line"),
        (lambda _: "median 4.5 ms", ResultsLineError, "line 4: expected a JSON object, found no JSON"),
        (lambda _: "[1, 2]", ResultsLineError, "line 4: expected a JSON object, found list"),
        (lambda d: d["fps"].update(low=float("nan")), ResultsLineError, "no JSON .expected finite numbers, found NaN"),
        (lambda d: d.update(model=d.pop("family")), ResultsLineError,
         "expected a line of kind cell, found cell: missing field 'family'"),
        (lambda d: d["fps"].update(low="12"), ResultsLineError, "cell.fps.low: expected float, found '12'"),
        (lambda d: d.update(frame=[1080]), ResultsLineError, "cell.frame: expected 2 items, found 1"),
        (lambda d: d.update(scenario="server"), ResultsLineError, "expected one of 'single', 'offline', 'live'"),
        (lambda d: d.update(run="other"), ResultsLineError,
         "expected a line of kind run before the others of run 'other', found cell"),
        (lambda d: d.update(run=None), ResultsLineError, "expected kind and run, two texts, found 'cell' and None"),
    ],
)  # fmt: skip
def test_invalid_lines_are_named(file: Path, change: Callable[[dict], object], kind: type, message: str) -> None:
    _change(file, 4, change)
    with pytest.raises(ResultsFileError, match=message) as failed:
        read_results(file)
    assert type(failed.value) is kind
    assert isinstance(failed.value, ValueError)
    assert failed.value.exit_code == 2
    assert "\n" not in str(failed.value)


def test_cells_and_runs_come_once(file: Path) -> None:
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[5]]) + "\n")
    with pytest.raises(ResultsLineError, match="expected each cell once in run 'made'"):
        read_results(file)
    file.write_text("\n".join([*lines, lines[0]]) + "\n")
    with pytest.raises(ResultsLineError, match="expected one line of kind run for run 'made', found a second"):
        read_results(file)


def test_additions_of_later_versions_are_left_out_with_a_note(file: Path) -> None:
    _change(file, 4, lambda d: d.update(schema=f"{SCHEMA}.3", colour="red"))
    _change(file, 5, lambda d: d["fps"].update(p1=3.0))
    _change(file, 6, lambda d: d.update(kind="weather"))
    results = read_results(file)
    assert len(results.runs[0].records) == len(made_bench.whole_run()) - 2
    assert results.notes == (
        "results.jsonl: 1 unknown fields cell.colour left out",
        "results.jsonl: 1 unknown fields cell.fps.p1 left out",
        "results.jsonl: 1 lines of the unknown kind 'weather' left out",
    )


def test_lines_of_other_scripts_are_left_out_with_a_note(file: Path) -> None:
    other = json.dumps({"script": "whole_call", "kind": "row"})
    file.write_text(f"{other}\n{file.read_text()}{other}\n\n")
    results = read_results(file)
    assert len(results.runs) == 1
    assert results.notes == ("results.jsonl: 2 lines of other scripts left out",)


def test_a_run_read_twice_counts_once(file: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.jsonl"
    copy.write_bytes(file.read_bytes())
    results = read_results([file, copy])
    assert [run.file for run in results.runs] == ["results.jsonl"]
    assert results.notes == ("copy.jsonl: run made was read before and is left out",)


def test_paths_that_can_not_be_read_or_written(tmp_path: Path) -> None:
    with pytest.raises(ResultsFileError, match="expected a file of results, found No such file"):
        read_results(tmp_path / "none.jsonl")
    with pytest.raises(OutputError, match="can't be written"):
        ResultsWriter(tmp_path / "none" / "results.jsonl", "made")


def test_numbers_that_are_not_finite_are_not_written(file: Path) -> None:
    before = file.read_bytes()
    with ResultsWriter(file, "made") as writer, pytest.raises(ValueError, match="not JSON compliant"):
        writer.write(made_bench.whole_run()[1].__class__(
            backend="x", device="cpu", precision="fp32", matmul_gflops=float("inf"), copy_gbytes=1.0
        ))  # fmt: skip
    assert file.read_bytes() == before


def test_runs_are_grouped_by_machine_and_the_last_figure_counts(tmp_path: Path) -> None:
    first, second = made_bench.whole_run(1), made_bench.whole_run(2)
    again = next(record for record in first if isinstance(record, Cell))
    mended = Failed(id=again.id, error="broke later")
    late = Run(time="2026-11-24T08:00:00+00:00", machine=made_bench.HOST)
    paths = [
        made_bench.write(tmp_path / "late.jsonl", [late, mended, *second[6:9]], "late"),
        made_bench.write(tmp_path / "gpu.jsonl", made_bench.whole_run(3, made_bench.GPU_HOST), "gpu"),
        made_bench.write(tmp_path / "early.jsonl", first, "early"),
    ]
    machines = by_machine(read_results(paths).runs)
    assert [[run.name for run in machine.runs] for machine in machines] == [["gpu"], ["early", "late"]]
    cpu = machines[1]
    assert again.id in {each.id for each in cpu.failed}
    newest = next(record for record in second[6:9] if isinstance(record, Cell))
    shown = next(cell for cell in cpu.cells if cell.id == newest.id)
    assert shown.latency_ms.p50 == pytest.approx(newest.latency_ms.p50, rel=1e-6)
    assert len({cell.id for cell in cpu.cells}) == len(cpu.cells)

"""The command `fastsam-trt bench` on small exact models, for fractions of a second."""

from __future__ import annotations

import dataclasses
import itertools
import json
import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastsam_bench.results.records import Ceiling, Cell, Cold, Failed, Sweep
from fastsam_bench.results.results_file import read_results
from fastsam_bench.results.runs import BenchRun
from fastsam_bench.roofline import ceilings, cell_limits
from fastsam_bench.roofline.probe_graphs import Probe
from fastsam_bench.run import cell as measured_cell
from fastsam_bench.run import plan
from fastsam_bench.run.bench import Bench
from fastsam_bench.run.cell import MeasuredCell
from fastsam_bench.run.plan import BenchOptions
from fastsam_bench.scenarios import SingleStream
from fastsam_bench.timing import noise
from fastsam_bench.timing.blocks import WHOLE, Block, Stated, state_rate
from fastsam_trt.cli.main import main
from fastsam_trt.errors import OptionError
from fastsam_trt.frames.preprocess import FramePreprocessor
from support.colour_models import save, scene, segmenter_graph, segmenter_spec

pytest.importorskip("onnxruntime")

_PROBES = (Probe("square", 64, depth=1), Probe("vector", 64, depth=1))
_SMALL = ("--model", "colours", "--clip", "clip-colours", "--quick", "--seconds", "0.06", "--sizes", "256x192")


@pytest.fixture(autouse=True)
def small_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure ceilings with tiny probes; the values do not matter here."""
    monkeypatch.setattr(cell_limits, "measure_ceilings", partial(ceilings.measure_ceilings, probes=_PROBES))
    monkeypatch.setattr(ceilings, "_host_sets", lambda: [1 << 20])


def _run(*arguments: object) -> int:
    try:
        return main(["bench", *(str(argument) for argument in arguments)])
    except SystemExit as stop:  # argparse
        return int(stop.code or 0)


def _fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert _run(*arguments) == code
    error = capsys.readouterr().err.strip()
    assert "Traceback" not in error
    return error.splitlines()[-1]


def _read(folder: Path) -> BenchRun:
    results = read_results(folder / "results.jsonl")
    assert results.notes == ()
    return results.runs[-1]


def test_everything_is_measured_and_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fastsam_bench.run.bench._QUICK_STARTS", 1)
    out = tmp_path / "new" / "out"
    assert _run(*_SMALL, "--crops", "0,3", "--batch", "1,2", "--out", out) == 0
    printed = capsys.readouterr()
    run = _read(out)
    assert not run.partial
    assert run.missing == ()
    assert run.end is not None
    assert (run.end.cells, run.end.failed) == (5, 0)
    cells = {(cell.scenario, cell.batch, cell.crops): cell for cell in run.of(Cell)}
    assert set(cells) == {("single", 1, 0), ("single", 1, 3), ("offline", 1, 0), ("offline", 2, 0), ("live", 1, 0)}
    assert len({cell.id for cell in cells.values()}) == 5
    for cell in cells.values():
        assert cell.model == "colours"
        assert (cell.frame, cell.input) == ((192, 256), (192, 256))
        assert cell.latency_ms.low <= cell.latency_ms.p50 <= cell.latency_ms.high
        assert cell.fps.low <= cell.fps.median <= cell.fps.high
        assert cell.runs >= 3
        assert 0 < len(cell.samples_ms) <= 400
        assert {"preprocess", "engine", "postprocess", "decode"} <= cell.stages.keys()
        assert (cell.power_w, cell.clock_mhz, cell.memory_mb) == (None, None, None)
    single, crops = cells["single", 1, 0], cells["single", 1, 3]
    assert set(single.limits) == {"engine"}
    assert set(crops.limits) == {"engine", "clip"}
    assert (single.clip, crops.clip, crops.segments) == (None, "clip-colours", 3)
    assert sum(each.p50 for each in single.stages.values()) <= single.latency_ms.max
    assert cells["live", 1, 0].live is not None
    assert cells["live", 1, 0].live.source_fps == 30
    assert {each.side for each in run.of(Sweep)} == {"ours", "usual"}
    assert {each.selector for each in run.of(Sweep)} == {"labels", "clip"}
    assert False in {each.cached for each in run.of(Cold)}
    for cold in run.of(Cold):
        assert sum(cold.parts.values()) == pytest.approx(cold.first_result_ms.p50, rel=0.01)
    assert run.of(Ceiling)
    for name in ("report.md", "report.html"):
        assert "colours" in (out / name).read_text()
        assert f"saved {out / name}" in printed.out
    assert "\r" not in printed.err  # no progress where there is no terminal
    assert "%" not in printed.err


def test_memory_is_that_of_a_process_of_its_own(tmp_path: Path) -> None:
    options = ("--model", "colours", "--scenario", "single", "--crops", 0, "--seconds", 0.06, "--sizes", "64x64")
    assert _run(*options, "--out", tmp_path) == 0
    (cell,) = _read(tmp_path).of(Cell)
    assert cell.memory_mb is not None
    assert cell.memory_mb.host_peak is not None
    assert 20 < cell.memory_mb.host_peak < 5000
    assert cell.memory_mb.device_peak is None


def test_a_file_is_added_to(tmp_path: Path) -> None:
    for _ in range(2):
        assert _run(*_SMALL, "--scenario", "single", "--crops", 0, "--out", tmp_path) == 0
    first, second = read_results(tmp_path / "results.jsonl").runs
    assert first.run.planned == second.run.planned
    assert first.name != second.name


def test_frames_come_from_a_video(tmp_path: Path, write_video: Any) -> None:
    video = write_video(tmp_path / "v.mp4", [scene(("red", 2, 2), height=128, width=160)] * 3)
    options = ("--model", "colours", "--quick", "--seconds", 0.06, "--scenario", "single,live", "--crops", 0)
    assert _run(*options, "--video", video, "--out", tmp_path) == 0
    assert {cell.frame for cell in _read(tmp_path).of(Cell)} == {(128, 160)}


def test_auto_that_equals_a_named_precision_is_measured_once(tmp_path: Path) -> None:
    """ONNX Runtime computes both in fp32 on a CPU."""
    asked = ("--backend", "onnxruntime", "--precision", "auto,fp32", "--scenario", "single,cold,sweep", "--crops", 0)
    assert _run(*_SMALL, *asked, "--out", tmp_path) == 0
    run = _read(tmp_path)
    assert len(list(run.of(Cell))) == 1
    assert [cold.cached for cold in run.of(Cold)] == [False]
    sweeps = [(each.side, each.selector, each.segments) for each in run.of(Sweep)]
    assert 0 < len(sweeps) == len(set(sweeps))


# What disturbs


@pytest.mark.parametrize(
    ("disturbed", "options", "counted", "set_aside"),
    [
        (0, (), 10, 0),
        (4, (), 10, 4),
        (12, (), 8, 12),
        (99, (), 20, 0),
        (1, ("--quick",), 2, 1),
        (2, ("--quick",), 3, 0),
    ],
)
def test_blocks_that_the_host_disturbed_are_timed_again_and_do_not_count(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    disturbed: int,
    options: tuple[str, ...],
    counted: int,
    set_aside: int,
) -> None:
    told = itertools.count()

    def ticks() -> tuple[float, float, float]:
        blocks = (next(told) + 1) // 2  # that are over
        stolen_s = 0.5 * min(blocks, disturbed)
        return 2.0 * blocks, 2.0 * blocks - stolen_s, stolen_s

    ends: list[Sequence[Block]] = []

    def stated(blocks: Sequence[Block]) -> Stated:
        ends.append(blocks)
        return state_rate(blocks)

    monkeypatch.setattr(noise, "_ticks", ticks)
    monkeypatch.setattr(measured_cell, "state_rate", stated)
    without = [each for each in _SMALL if each != "--quick"]
    assert _run(*without, *options, "--scenario", "single", "--crops", 0, "--out", tmp_path) == 0
    (cell,) = _read(tmp_path).of(Cell)
    assert [len(blocks) for blocks in ends] == [counted]
    assert cell.set_aside == set_aside
    noisy = any("the host took" in warning for warning in cell.warnings)
    assert noisy == (disturbed > 0 and set_aside == 0)


# What stops half-way


def test_an_interrupt_keeps_complete_lines_and_the_reports_note_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, blocks = MeasuredCell.measure, []

    def interrupted(self: MeasuredCell, warmup_s: float, block_s: float) -> None:
        blocks.append(self.id)
        if len(blocks) == 4:
            raise KeyboardInterrupt
        measure(self, warmup_s, block_s)

    monkeypatch.setattr(MeasuredCell, "measure", interrupted)
    assert _run(*_SMALL, "--scenario", "single,offline", "--crops", 0, "--batch", "1,2", "--out", tmp_path) == 130
    run = _read(tmp_path)
    assert run.partial
    assert {cell.id for cell in run.of(Cell)} == set(run.run.planned)
    assert all("stopped after 1 of 3 passes" in cell.warnings for cell in run.of(Cell))
    assert "stopped before its end" in (tmp_path / "report.md").read_text()
    assert "stopped before its end" in (tmp_path / "report.html").read_text()
    assert "partial" in capsys.readouterr().err


def test_an_interrupt_before_anything_was_measured_still_gives_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: MeasuredCell, warmup_s: float, block_s: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(MeasuredCell, "measure", interrupted)
    assert _run(*_SMALL, "--scenario", "single", "--crops", 0, "--out", tmp_path) == 130
    assert _read(tmp_path).missing != ()
    assert "stopped before its end" in (tmp_path / "report.md").read_text()


def test_a_cell_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = MeasuredCell.measure

    def failing(self: MeasuredCell, warmup_s: float, block_s: float) -> None:
        if self.case.scenario == "offline":
            raise RuntimeError("out of\nmemory")
        measure(self, warmup_s, block_s)

    monkeypatch.setattr(MeasuredCell, "measure", failing)
    assert _run(*_SMALL, "--scenario", "single,offline", "--crops", 0, "--batch", 2, "--out", tmp_path) == 0
    run = _read(tmp_path)
    assert [cell.scenario for cell in run.of(Cell)] == ["single"]
    (failed,) = run.of(Failed)
    assert failed.id.startswith("offline/")
    assert failed.error.startswith("RuntimeError: out of")
    assert run.end is not None
    assert (run.end.cells, run.end.failed) == (1, 1)


# Requests that can't be served


def test_crops_without_a_clip_model_are_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = _fails(capsys, 2, "--model", "colours", "--crops", "0,10", "--out", tmp_path / "out")
    assert "the CLIP model 'clip-vit-base-patch32' for crops of colours" in error
    assert "fastsam-trt export clip-vit-base-patch32" in error
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_without_a_clip_model_default_crops_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--model", "colours", "--quick", "--seconds", 0.06, "--scenario", "single", "--sizes", "64x64")
    assert _run(*options, "--out", tmp_path) == 0
    assert {cell.crops for cell in _read(tmp_path).of(Cell)} == {0}
    assert "colours: crops are left out" in capsys.readouterr().err


def test_a_batch_beyond_the_models_range_is_refused(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = segmenter_spec("fixed")
    spec = dataclasses.replace(spec, input=dataclasses.replace(spec.input, batch=(1, 4)))
    save(segmenter_graph(), home / "models" / "fixed" / "fixed.onnx", spec)
    options = ("--model", "fixed", "--quick", "--crops", 0, "--out", tmp_path)
    error = _fails(capsys, 2, *options, "--batch", "1,8")
    assert error.endswith("error: batch: expected 1 to 4 frames per run of fixed on openvino, found 8") or (
        "expected 1 to 4 frames per run of fixed on onnxruntime, found 8" in error
    )
    assert not (tmp_path / "results.jsonl").exists()
    bench = Bench([BenchOptions(("fixed",), crops=(0,), scenarios=("offline",), quick=True)])
    assert {cell.case.batch for cell in bench._cells} == {1}  # 8, which suits others, is left out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--model", "colour"), "no model 'colour'"),
        (("--scenario", "single,fast"), "scenario: expected one of single, offline, live, cold, sweep, found 'fast'"),
        (("--sizes", "640"), "sizes: expected width x height"),
        (("--sizes", "8x8"), "sizes: expected frames of 32 x 32 px or more"),
        (("--crops", "a"), "crops: expected whole numbers"),
        (("--batch", "0"), "batch: expected whole numbers of 1 or more"),
        (("--seconds", "0"), "seconds: expected a number above 0"),
        (("--backend", "tpu", "--crops", "0"), "expected a backend among"),
        (("--video", "none.mp4", "--crops", "0"), "source 'none.mp4': expected a video file"),
        (("--video", "none.mp4", "--sizes", "64x64"), "sizes: expected none with --video"),
        (("--readme", "none.md"), "none.md: expected a file with the markers"),
        (("--from", "none.jsonl"), "results none.jsonl: expected a file of results"),
        (("--compare", "a.jsonl", "b.jsonl"), "results a.jsonl: expected a file of results"),
    ],
)
def test_requests_that_are_wrong_are_refused(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    expected: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = arguments if "--model" in arguments else ("--model", "colours", *arguments)
    assert expected in _fails(capsys, 2, *given)
    assert list(tmp_path.glob("**/results.jsonl")) == []


def test_without_the_extra_the_bench_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "pip install 'fastsam-trt[bench]'" in _fails(capsys, 2, *_SMALL, "--out", tmp_path)


def test_without_nvidia_ml_py_gpu_statistics_are_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert _run(*_SMALL, "--scenario", "single", "--crops", 0, "--out", tmp_path) == 0
    assert capsys.readouterr().err.count("power, clocks and memory of GPUs are left out") == 1
    (cell,) = _read(tmp_path).of(Cell)
    assert cell.power_w is None


def test_all_that_is_installed_and_the_demo_is_measured_by_default(home: Path) -> None:
    planned = plan.Plan.of(BenchOptions(crops=(0,)))
    assert [each.model for each in planned.models] == ["colours", "things", "demo-seg"]
    shutil.rmtree(home / "models")
    assert [each.model for each in plan.Plan.of(BenchOptions(crops=(0,))).models] == ["demo-seg"]


def test_two_files_with_the_same_model_name_stay_distinct(home: Path) -> None:
    shutil.copytree(home / "models" / "colours", home / "models" / "again")
    options = BenchOptions(("colours", "again"), crops=(0,), scenarios=("single",), quick=True)
    names = {cell.opened.name for cell in Bench([options])._cells}
    assert names == {"colours", "again"}


def test_requests_that_share_a_run_take_turns(home: Path) -> None:
    """Cells of a short request are measured over the same time as those of a long one."""
    sizes = ((96, 128), (128, 192))
    requests = [
        BenchOptions(("colours",), crops=(0,), scenarios=("single",), sizes=sizes, seconds=0.03, quick=True),
        BenchOptions(("things",), crops=(0,), scenarios=("single", "sweep"), sizes=sizes[:1], seconds=0.03, quick=True),
    ]
    shown: list[str] = []
    bench = Bench(requests, shown.append)
    records = list(bench.records())
    cells = [record.id for record in records if isinstance(record, Cell)]
    assert [name.split("/")[1] for name in cells] == ["colours", "colours", "things"]
    passes = [line for line in shown if line.startswith("pass ")]
    assert passes == [f"pass {turn} of 3: {cell}" for turn in (1, 2, 3) for cell in cells]
    assert {record.model for record in records if isinstance(record, Sweep)} == {"things"}
    ceilings = [record for record in records if isinstance(record, Ceiling)]
    assert len(ceilings) == len({(each.backend, each.device, each.precision) for each in ceilings})


@pytest.mark.parametrize("other", [{"seconds": 2.0}, {"seconds": 1.0, "quick": True}])
def test_requests_of_other_lengths_can_not_share_a_run(home: Path, other: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match="seconds: expected the same value, and the same --quick, in all requests"):
        Bench([BenchOptions(("colours",), crops=(0,), seconds=1.0), BenchOptions(("colours",), crops=(0,), **other)])


# Reports and comparisons


@pytest.fixture
def results(tmp_path: Path) -> Path:
    assert _run(*_SMALL, "--scenario", "single", "--crops", 0, "--out", tmp_path / "made") == 0
    return tmp_path / "made" / "results.jsonl"


def test_reports_need_only_files(results: Path, tmp_path: Path) -> None:
    assert _run("--from", results, "--out", tmp_path / "again") == 0
    assert sorted(each.name for each in (tmp_path / "again").iterdir()) == ["report.html", "report.md"]


def test_the_short_table_goes_between_the_markers(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("# Before\n<!-- bench -->\nold\n<!-- /bench -->\nAfter\n")
    assert _run("--from", results, "--out", tmp_path / "again", "--readme", readme) == 0
    text = readme.read_text()
    assert "colours" in text
    assert "old" not in text
    assert text.startswith("# Before\n")
    assert text.endswith("\nAfter\n")
    readme.write_text("no markers")
    assert "expected one <!-- bench -->" in _fails(capsys, 2, "--from", results, "--readme", readme)
    assert readme.read_text() == "no markers"


def test_a_slow_stage_is_named_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With random times, through everything between a call and the comparison."""
    means = {"capture": 1.2, "preprocess": 0.4, "engine": 9.0, "postprocess": 0.7, "select": 0.1, "decode": 1.5}

    def draw(seed: int, slower: float) -> None:
        generator = np.random.default_rng(seed)

        def call(self: SingleStream) -> dict[str, float]:
            time.sleep(0.0002)
            self.segments.append(1)
            spent = {stage: ms * float(np.exp(generator.normal(0, 0.03))) for stage, ms in means.items()}
            spent["postprocess"] *= slower
            return {WHOLE: sum(spent.values()), **spent}

        monkeypatch.setattr(SingleStream, "call", call)

    options = (*_SMALL[:-1], "256x192,320x192,256x128,320x128", "--scenario", "single", "--crops", 0)
    for name, seed, slower in (("a", 1, 1.0), ("same", 2, 1.0), ("slow", 3, 2.0)):
        draw(seed, slower)
        assert _run(*options, "--out", tmp_path / name) == 0
    capsys.readouterr()
    files = {name: tmp_path / name / "results.jsonl" for name in ("a", "same", "slow")}
    assert _run("--compare", files["a"], files["same"]) == 0
    same = capsys.readouterr().out
    assert "postprocess" not in same
    assert "engine" not in same
    assert _run("--compare", files["a"], files["slow"]) == 0
    slow = capsys.readouterr().out
    assert slow.count("postprocess") >= 4
    for stage in means.keys() - {"postprocess"}:
        assert f"{stage}:" not in slow
        assert f"{stage} " not in slow


def test_a_stage_that_sleeps_is_named(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real times: from slow code to the comparison."""
    prepare = FramePreprocessor.prepare

    def slow(self: FramePreprocessor, *frame: Any) -> Any:
        time.sleep(0.1)
        return prepare(self, *frame)

    monkeypatch.setattr(FramePreprocessor, "prepare", slow)
    assert _run(*_SMALL, "--scenario", "single", "--crops", 0, "--out", tmp_path / "slow") == 0
    capsys.readouterr()
    assert _run("--compare", results, tmp_path / "slow" / "results.jsonl") == 0
    assert "preprocess" in capsys.readouterr().out


def test_lines_follow_the_schema(results: Path) -> None:
    lines = [json.loads(line) for line in results.read_text().splitlines()]
    assert {line["schema"] for line in lines} == {"fastsam-trt.bench/1"}
    assert len({line["run"] for line in lines}) == 1
    assert [line["kind"] for line in lines][0 :: len(lines) - 1] == ["run", "end"]
    cell = next(line for line in lines if line["kind"] == "cell")
    assert cell["id"] == "/".join(
        ["single", "colours", cell["backend"], "cpu", cell["precision"], "b1", "192x256", "c0", "f192x256"]
    )


def test_help_explains_the_scenarios(capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("--help") == 0
    told = capsys.readouterr().out
    for scenario in plan.SCENARIOS:
        assert f"\n  {scenario} " in told

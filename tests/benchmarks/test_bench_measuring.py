"""Intervals, warm-ups, clocks, frames, noise and scenarios of the benchmark."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fastsam_bench.cases.case import CellCase, ModelCase
from fastsam_bench.cases.frames import DrawnFrames, VideoFrames
from fastsam_bench.cases.fresh_process import run_child
from fastsam_bench.cases.opened_model import OpenedModel
from fastsam_bench.errors import ChildFailedError
from fastsam_bench.scenarios import make_scenario
from fastsam_bench.scenarios.baseline import TextTower, full_masks
from fastsam_bench.scenarios.memory import host_peak_mb
from fastsam_bench.scenarios.segment_sweep import measure_sweep
from fastsam_bench.timing import noise
from fastsam_bench.timing.blocks import (
    WHOLE,
    Block,
    Stated,
    percentile,
    state,
    state_rate,
    state_stage,
    thinned,
    time_block,
    warm_up,
)
from fastsam_bench.timing.gpu_watch import GpuWatch
from fastsam_bench.timing.noise import NoiseWatch
from fastsam_bench.timing.paired import Side, measure, ratio
from fastsam_bench.timing.stage_clock import StageClock
from fastsam_engine import find_graph, open_session
from fastsam_trt import Pipeline, open_source
from fastsam_trt.clip.model import Clip
from fastsam_trt.errors import OptionError, SourceNotFoundError, SourceUnreadableError, TruncatedSourceError
from fastsam_trt.frames.uploads import FrameUploads
from fastsam_trt.masks.mask_source import paste
from support.colour_models import scene
from support.made_videos import numbered, write_made

CASE = ModelCase("colours", "clip-colours", "auto", "cpu", "auto")


@pytest.fixture
def opened() -> OpenedModel:
    return OpenedModel(CASE, Clip)


def _cell(scenario: str, *, batch: int = 1, crops: int = 0, video: str | None = None) -> CellCase:
    return CellCase(scenario, CASE, batch, crops, (192, 256), video)  # type: ignore[arg-type]


# Intervals


def test_an_interval_holds_its_median_and_all_of_a_few_values() -> None:
    stated = state([10.0, 12.0, 11.0, 10.5, 11.5, 30.0])
    assert stated.low <= 10.0 < stated.median == 11.25 < 30.0 <= stated.high


def test_an_interval_grows_with_the_scatter_and_shrinks_with_the_blocks() -> None:
    def wide(scatter: float, blocks: int) -> float:
        stated = state(np.exp(np.random.default_rng(1).normal(0, scatter, blocks)).tolist())
        return stated.high / stated.low

    assert wide(0.1, 6) > wide(0.02, 6)
    assert wide(0.1, 6) > wide(0.1, 40)


def test_one_value_is_its_own_interval() -> None:
    assert state([3.0]) == Stated(3.0, 3.0, 3.0)


def test_intervals_hold_the_true_median_as_often_as_they_say() -> None:
    generator = np.random.default_rng(3)
    for blocks in (3, 6, 12):
        found = [state(np.exp(generator.normal(0, 0.05, blocks)).tolist()) for _ in range(1000)]
        assert np.mean([each.low <= 1.0 <= each.high for each in found]) >= 0.94


def _drifting_runs(*, in_turn: bool) -> float:
    """Share of cells in which two consecutive runs on a drifting machine agree within their intervals."""
    cells, blocks, agreed = 20, 10, []
    for seed in range(30):
        generator = np.random.default_rng(seed)
        steps = generator.normal(0, 0.008, 2 * cells * blocks)
        drift = np.zeros(len(steps))  # that comes back only in about as many blocks as a run has
        for i in range(1, len(steps)):
            drift[i] = 0.99 * drift[i - 1] + steps[i]
        runs = []
        for run in range(2):
            order = np.arange(cells * blocks)
            cell = order % cells if in_turn else order // blocks
            ms = np.exp(drift[run * cells * blocks :][: cells * blocks] + generator.normal(0, 0.01, cells * blocks))
            runs.append([state(ms[cell == each].tolist()) for each in range(cells)])
        agreed += [a.low <= b.high and b.low <= a.high for a, b in zip(*runs, strict=True)]
    return float(np.mean(agreed))


def test_runs_in_passes_agree_on_a_machine_that_drifts_where_runs_cell_by_cell_do_not() -> None:
    assert _drifting_runs(in_turn=True) >= 0.9
    assert _drifting_runs(in_turn=False) < 0.6


def test_a_stage_of_one_block_still_gets_an_interval() -> None:
    calls = tuple({WHOLE: ms, "engine": ms / 2} for ms in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0))
    stated = state_stage([Block(calls, 1.0)], "engine")
    assert stated.low < stated.median < stated.high
    rate = state_rate([Block(calls, 100.0)])
    assert rate.median == pytest.approx(100.0)
    assert rate.low < rate.median < rate.high


def test_a_quick_block_has_no_more_weight_than_a_slow_one() -> None:
    quick = Block(tuple({WHOLE: 1.0} for _ in range(98)), 1000.0)
    slow = Block(tuple({WHOLE: 10.0} for _ in range(10)), 100.0)
    assert percentile([quick, slow, slow], WHOLE, 50) == 10.0
    assert state_stage([quick, slow, slow], WHOLE).median == 10.0
    assert percentile([quick, quick, slow], WHOLE, 50) == 1.0
    rising = Block(tuple({WHOLE: float(ms)} for ms in range(1, 101)), 1.0)
    assert [percentile([rising], WHOLE, rank) for rank in (1, 50, 99, 100)] == [1.0, 50.0, 99.0, 100.0]


def test_samples_are_thinned_evenly_and_in_order() -> None:
    assert thinned([1.0, 2.0]) == (1.0, 2.0)
    found = thinned([float(i) for i in range(1000)], 11)
    assert found[0] == 0
    assert found[-1] == 999
    assert list(found) == sorted(found)
    assert len(found) == 11


# Warm-ups and blocks


def test_a_warm_up_ends_when_times_are_steady() -> None:
    times = iter([90.0, 40.0, 20.0, *[10.0] * 10_000])

    def call() -> dict[str, float]:
        time.sleep(0.002)
        return {WHOLE: next(times)}

    warm = warm_up(call, 5.0)
    assert warm.steady
    assert warm.runs >= 4


def test_a_warm_up_that_never_gets_steady_ends_with_a_warning() -> None:
    times = iter(float(1.1**i) for i in range(100_000))

    def call() -> dict[str, float]:
        time.sleep(0.002)
        return {WHOLE: min(next(times), 1e300)}

    assert not warm_up(call, 0.05).steady


def test_a_block_keeps_no_lead_in_and_counts_the_frames_of_a_call() -> None:
    made = []

    def call() -> dict[str, float]:
        made.append(1)
        time.sleep(0.001)
        return {WHOLE: 4.0}

    block = time_block(call, 0.01, 4.0, frames=8)
    assert len(block.calls) == len(made) - 3
    assert block.fps == pytest.approx(2000)


def test_a_block_of_a_slow_call_is_one_call() -> None:
    made = []
    block = time_block(lambda: {WHOLE: made.append(1) or 5000.0}, 0.0, 5000.0)  # type: ignore[func-returns-value]
    assert len(block.calls) == len(made) == 1


def test_sides_run_in_turn() -> None:
    order = []
    sides = [Side(name, lambda name=name: order.append(name) or len(order)) for name in "ab"]
    times = measure(sides, 2, 1, lead_in=False)
    assert order == list("ababab")
    assert {name: len(each) for name, each in times.items()} == {"a": 2, "b": 2}
    assert ratio(times, "a", "b").median < 1
    with pytest.raises(OptionError, match="rounds"):
        measure(sides, 0, 0)


# The clock


def test_the_clock_times_the_runs_of_a_session() -> None:
    session, clock = open_session(find_graph("clip-colours", "image")), StageClock()
    clock.observe(session, "tower")
    for count in (2, 4):
        session.run({"pixel_values": np.zeros((count, 3, 32, 32), np.float32)})
    assert clock.shapes["tower"] == [{"pixel_values": (2, 3, 32, 32)}, {"pixel_values": (4, 3, 32, 32)}]
    assert clock.total("tower") == sum(clock.spent["tower"]) > 0
    clock.clear()
    assert (clock.total("tower"), clock.shapes) == (0, {})


def test_the_clock_times_clip_and_uploads_of_frames() -> None:
    clip, uploads, clock = Clip("clip-colours"), FrameUploads(), StageClock()
    clock.observe(clip, "clip")
    clock.observe(clip.session, "tower")
    clock.observe(uploads, "copy")
    frame = uploads.register(np.zeros((64, 64, 3), np.uint8))
    clip.embed_boxes(frame, np.array([[0, 0, 32, 32], [8, 8, 40, 40]], np.float32))
    uploads.upload(clip.session, frame)
    assert clock.shapes["clip"] == [{"windows": (2, 4)}]
    assert clock.total("clip") >= clock.total("tower") > 0
    assert clock.shapes["copy"] == [{"frame": (64, 64, 3)}]


# Frames


def test_drawn_frames_are_the_same_every_time() -> None:
    one, other = DrawnFrames((96, 128)), DrawnFrames((96, 128))
    for _ in range(6):
        frame = one.capture()
        assert frame.shape == (96, 128, 3)
        np.testing.assert_array_equal(frame, other.capture())


def test_a_video_starts_again_after_its_end(
    tmp_path: Path, write_video: Callable[[Path, list[np.ndarray]], Path]
) -> None:
    path = write_video(tmp_path / "v.mp4", [scene(), scene(("red", 3, 3))])
    frames = VideoFrames(path)
    assert frames.size == (256, 256)
    seen = []
    for _ in range(5):
        frames.prepare()
        seen.append(frames.capture())
    np.testing.assert_array_equal(seen[0], seen[2])
    np.testing.assert_array_equal(seen[1], seen[3])
    assert np.abs(seen[0].astype(int) - seen[1]).max() > 50
    frames.close()


def test_frames_are_those_that_a_run_reads(tmp_path: Path) -> None:
    path = write_made(tmp_path / "cut.mkv", [numbered(number) for number in range(9)])
    path.write_bytes(path.read_bytes()[:-200])  # breaks off
    with open_source(path) as source, pytest.raises(TruncatedSourceError):
        read = []
        for frame in source:
            read.append(frame.image)
    frames = VideoFrames(path)
    for picture in (*read, read[0]):
        np.testing.assert_array_equal(frames.capture(), picture)
    frames.close()


def test_a_file_that_is_no_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="a video file"):
        VideoFrames(tmp_path / "none.mp4")
    (tmp_path / "text.mp4").write_text("nothing")
    with pytest.raises(SourceUnreadableError, match="expected a video"):
        VideoFrames(tmp_path / "text.mp4")


# The machine


def test_a_quiet_machine_gives_no_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _noise(monkeypatch, [1.0, 1.1], [(0, 0, 0), (10, 8, 0), (10, 8, 0), (20, 16, 0)], own_s=1.9) == ()


def test_noise_becomes_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _noise(monkeypatch, [1.0, 2.0], [(0, 0, 0), (10, 0, 1), (10, 0, 1), (20, 0, 2)], own_s=5.0)
    assert "2.00 times" in told
    assert "the host took 10%" in told
    assert "other processes took 40%" in told


def _noise(
    monkeypatch: pytest.MonkeyPatch, jobs: list[float], ticks: list[tuple[float, float, float]], own_s: float
) -> tuple[str, ...]:
    jobs_ms, told, own = iter(jobs), iter(ticks), iter([0.0, own_s, own_s, 2 * own_s])
    monkeypatch.setattr(noise, "_fixed_job_ms", lambda: next(jobs_ms))
    monkeypatch.setattr(noise, "_ticks", lambda: next(told))
    monkeypatch.setattr(noise, "_own_s", lambda: next(own))
    watch = NoiseWatch()
    for _ in jobs:
        with watch.block():
            pass
    return noise.warnings(watch.blocks)


def test_without_the_package_there_are_no_gpu_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    watch = GpuWatch()
    assert watch.gpus == ()
    assert "fastsam-trt[bench]" in (watch.note or "")
    with watch.sample("cuda") as sampler:
        pass
    assert sampler.values == ()
    assert watch.used_mb("cuda") is None


def test_power_clock_and_memory_of_a_gpu_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    class NVMLError(Exception):
        pass

    def no_power(gpu: int) -> int:
        raise NVMLError

    made = types.SimpleNamespace(
        NVMLError=NVMLError,
        NVML_CLOCK_SM=1,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 1,
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlSystemGetDriverVersion=lambda: "590.12",
        nvmlDeviceGetName=lambda gpu: b"NVIDIA L4",
        nvmlDeviceGetMemoryInfo=lambda gpu: types.SimpleNamespace(total=24e9, used=1.5e9),
        nvmlDeviceGetPowerUsage=lambda gpu: 71_000,
        nvmlDeviceGetClockInfo=lambda gpu, kind: 1980,
    )
    monkeypatch.setitem(sys.modules, "pynvml", made)
    watch = GpuWatch()
    assert watch.note is None
    assert [(gpu.name, gpu.memory_mb, gpu.driver) for gpu in watch.gpus] == [("NVIDIA L4", 24_000, "590.12")]
    assert watch.used_mb("cuda:0") == 1500
    assert watch.used_mb("cpu") is None
    with watch.sample("cuda") as sampler:
        deadline = time.monotonic() + 10
        while not all(sampler.values) and time.monotonic() < deadline:
            time.sleep(0.01)
    assert {*sampler.values[0]} == {71.0}
    assert {*sampler.values[1]} == {1980.0}
    made.nvmlDeviceGetPowerUsage = no_power
    with watch.sample("cuda") as sampler:
        while not sampler.values[1] and time.monotonic() < deadline:
            time.sleep(0.01)
    assert sampler.values[0] == []


def test_this_process_holds_memory() -> None:
    assert (host_peak_mb() or 1e9) > 10


# Scenarios


def test_a_case_travels_as_json() -> None:
    case = _cell("offline", batch=4)
    assert CellCase.from_json(case.to_json()) == case


@pytest.mark.parametrize("crops", [1, 7, 40])
def test_a_frame_has_exactly_the_requested_crops(opened: OpenedModel, crops: int) -> None:
    scenario = make_scenario(_cell("single", crops=crops), opened)
    scenario.enter()
    block = scenario.block(0.01)
    assert {*scenario.segments} == {crops}
    assert sum(shapes["pixel_values"][0] for shapes in scenario.shapes["tower"]) == crops
    stages = block.calls[0]
    assert stages["clip"] > 0
    parts = sum(ms for stage, ms in stages.items() if stage != WHOLE)
    assert parts <= stages[WHOLE] * 1.001


def test_without_crops_everything_is_selected_without_clip(opened: OpenedModel) -> None:
    scenario = make_scenario(_cell("single"), opened)
    scenario.enter()
    block = scenario.block(0.01)
    assert "tower" not in scenario.shapes
    assert {"capture", "preprocess", "engine", "postprocess", "select", "decode"} < block.calls[0].keys()
    assert "clip" not in block.calls[0]


def test_batches_find_the_same_as_single_frames(opened: OpenedModel) -> None:
    single, offline = make_scenario(_cell("single"), opened), make_scenario(_cell("offline", batch=4), opened)
    for scenario in (single, offline):
        scenario.enter()
    for _ in range(4):
        single.call()
    offline.call()
    assert single.segments == offline.segments
    assert sum(single.segments) > 0
    assert offline.shapes["engine"][0][opened.image.name][0] == 4


def test_a_live_source_has_ages_and_rates(opened: OpenedModel) -> None:
    scenario = make_scenario(_cell("live"), opened)
    scenario.enter()
    block = scenario.block(0.2)
    assert len(block.calls) >= 5
    (rates,) = scenario.passes  # type: ignore[attr-defined]
    assert 0 < rates.fps_out <= 90
    assert rates.dropped >= 0
    for call in block.calls:
        assert call[WHOLE] >= call["engine"] + call["decode"]


def test_cells_of_one_model_do_not_disturb_each_other(opened: OpenedModel) -> None:
    everything, crops = make_scenario(_cell("single"), opened), make_scenario(_cell("single", crops=3), opened)
    for scenario in (everything, crops, everything, crops):
        scenario.enter()
        scenario.call()
    assert crops.segments == [3, 3]
    fresh, frames = Pipeline("colours", device="cpu"), DrawnFrames((192, 256))
    assert everything.segments == [len(fresh(frames.capture())) for _ in range(2)]


def test_the_usual_way_decodes_the_masks_that_ours_does(opened: OpenedModel) -> None:
    frame = scene(("red", 2, 2), ("blue", 5, 5))
    segments = opened.pipeline.segmenter(frame)
    ours = paste(segments.masks.decode(range(len(segments))), 256, 256)
    usual = full_masks(segments, 256, 256)
    assert len(segments) >= 2
    np.testing.assert_array_less(0.95, (ours & usual).sum((1, 2)) / (ours | usual).sum((1, 2)))


def test_texts_are_encoded_as_the_pipeline_does(opened: OpenedModel) -> None:
    features = TextTower("clip-colours")(["a red", "a blue"])
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, rtol=1e-5)
    assert opened.pipeline.clip is not None
    np.testing.assert_allclose(features, opened.pipeline.clip.text.embed(["a red", "a blue"], ["{}"]), atol=1e-5)


def test_a_sweep_has_both_sides_and_notes_what_it_left_out(opened: OpenedModel) -> None:
    found = list(measure_sweep(opened, opened.pipeline.clip, (5, 300), 2))
    notes = [each for each in found if isinstance(each, str)]
    assert len(notes) == 1
    assert "300 segments and more are left out" in notes[0]
    swept = {(each.side, each.selector, each.segments) for each in found if not isinstance(each, str)}
    assert swept == {(side, how, 5) for side in ("ours", "usual") for how in ("labels", "clip")}


def test_the_counts_of_a_sweep_take_turns(opened: OpenedModel) -> None:
    turns: list[str] = []
    list(measure_sweep(opened, None, (1, 2), 2, turns.append))
    assert [turn.partition(": ")[2] for turn in turns] == 2 * [
        "1 segments by labels, ours",
        "1 segments by labels, usual",
        "2 segments by labels, ours",
        "2 segments by labels, usual",
    ]


def test_a_child_that_fails_is_reported_with_its_last_line() -> None:
    case = CellCase("single", ModelCase("nothing", None, "auto", "cpu", "auto"), 1, 0, (64, 64))
    with pytest.raises(ChildFailedError, match=r"a process for memory failed: .*no model 'nothing'"):
        run_child("memory", case.to_json())

"""Every script of docs/examples, run as its reader runs it, with its answer checked."""

from __future__ import annotations

import csv
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools import mask as coco

from fastsam_trt import Pipeline
from fastsam_trt.serve import Address, SegmentServer
from fastsam_trt.sources import Frame
from fastsam_trt.sources.demo_video import DemoVideo
from support.live_senders import free_port
from support.typed import full_match, picture

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
SCRIPTS = sorted(path.stem for path in EXAMPLES.glob("*.py"))
FRAMES = 12

Run = Callable[..., str]


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder for all scripts, so that what one compiles the next one finds."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(autouse=True)
def home(shared_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without models, in place of that of other tests."""
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(shared_home))
    return shared_home


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a script in an empty folder, on a demo video of `FRAMES` frames; what it printed."""
    begin = DemoVideo.__init__
    monkeypatch.setattr(
        DemoVideo, "__init__", lambda self, frames=FRAMES, **options: begin(self, frames=frames, **options)
    )
    monkeypatch.chdir(tmp_path)

    def run_script(name: str, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *arguments])
        with warnings.catch_warnings():  # no example uses what is deprecated
            warnings.filterwarnings("error", category=DeprecationWarning, module="__main__")
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
        return capsys.readouterr().out

    return run_script


def test_every_script_has_a_test_of_its_name() -> None:
    assert SCRIPTS
    assert [name for name in SCRIPTS if f"test_{name}" not in globals()] == []


def test_every_script_has_a_line_in_the_list_and_the_list_names_nothing_else() -> None:
    listed = re.findall(r"\[(\w+)\.py\]\((\w+)\.py\)", (EXAMPLES / "README.md").read_text(encoding="utf-8"))
    assert all(shown == target for shown, target in listed)
    assert sorted(shown for shown, _ in listed) == SCRIPTS


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_how_to_run_it_and_is_short(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text(encoding="utf-8")
    docstring, _, code = text.removeprefix('"""').partition('"""')
    assert f"\npython {name}.py" in docstring
    body = code.partition('if __name__ == "__main__":')[0]
    assert len([line for line in body.splitlines() if line.strip() and "import " not in line]) <= 25


@pytest.mark.parametrize("name", [name for name in SCRIPTS if "[MODEL" in (EXAMPLES / f"{name}.py").read_text()])
def test_a_missing_model_is_one_line_that_says_which_and_how(
    name: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    usage = (EXAMPLES / f"{name}.py").read_text().partition(f"python {name}.py")[2].splitlines()[0]
    before = {"SOURCE": "demo", "VIDEO": "demo", "PHOTO": "demo", "PORT": "0"}
    arguments = [before.get(word, "red circle") for word in re.findall(r"\[(\w+)", usage.partition("[MODEL")[0])]
    with pytest.raises(SystemExit) as stop:
        run(name, *arguments, "yolov8n-seg")
    assert stop.value.code == 2
    (line,) = (line for line in capsys.readouterr().err.splitlines() if line)
    assert line.startswith(f"{name}.py: error: ")
    assert "'yolov8n-seg'" in line
    assert "fastsam-trt export yolov8n-seg" in line


def test_select_by_text(run: Run) -> None:
    (line,) = run("select_by_text").splitlines()
    found = full_match(r"red circle at \[(.*)\], score (\S+), similarity (\S+)", line)
    circle = next(item for item in DemoVideo()._items_at(0) if (item.colour, item.shape) == ("red", "circle"))
    x0, y0, x1, y1 = map(int, found[1].split(", "))
    assert abs((x0 + x1) / 2 - circle.x) < 5
    assert abs((y0 + y1) / 2 - circle.y) < 5
    assert float(found[3]) > 0.5
    drawn, frame = picture("selected.png"), DemoVideo().scene(0).frame
    assert drawn.shape == frame.shape
    changed = np.argwhere((drawn != frame).any(axis=2))
    assert changed[:, 1].min() >= x0 - 10
    assert changed[:, 1].max() <= x1 + 90  # its label may be wider


def test_select_by_text_in_a_photo(run: Run, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), DemoVideo().scene(0).frame)
    assert len(run("select_by_text", "photo.png", "pink").splitlines()) == 2


def test_draw_results(run: Run) -> None:
    assert run("draw_results").splitlines() == ["labels.png", "boxes.png"]
    frame = DemoVideo().scene(0).frame
    labels, boxes, panels = (picture(f"{name}.png") for name in ("labels", "boxes", "panels"))
    assert labels.shape == boxes.shape == frame.shape
    assert panels.shape[1] > 3 * frame.shape[1]
    assert 0 < (boxes != frame).any(axis=2).sum() < (labels != frame).any(axis=2).sum() < frame[..., 0].size / 10


def test_boxes_and_points(run: Run) -> None:
    first, second = run("boxes_and_points").splitlines()
    count, by_box, px = map(int, full_match(r"(\d+) segments; the box selects (\d+), with (\d+) px", first).groups())
    assert (count, by_box) == (9, 1)
    assert px > 500
    assert second == "the point selects 1 and excludes 1"


def test_exclude_texts(run: Run) -> None:
    assert run("exclude_texts") == "2 segments match 'pink', 1 without 'star'\n"


def test_live_loop(run: Run) -> None:
    *frames, rates, ages = run("live_loop").splitlines()
    done, dropped = map(int, full_match(r"(\d+) frames at \S+ FPS, (\d+) dropped", rates).groups())
    assert done == len(frames)
    assert done + dropped == FRAMES
    indices = [int(full_match(r"frame (\d+): \[.*\], \S+ ms", line)[1]) for line in frames]
    assert indices == sorted(set(indices))
    p50, p99 = map(int, full_match(r"age p50 (\d+) ms, p99 (\d+) ms", ages).groups())
    assert 0 < p50 <= p99


def test_notify_when_seen(run: Run) -> None:
    (appeared,) = run("notify_when_seen").splitlines()
    assert appeared.startswith("result 0: red circle appeared at [")


def test_notify_when_seen_reports_when_it_is_gone_and_back() -> None:
    watch = runpy.run_path(str(EXAMPLES / "notify_when_seen.py"))["watch"]

    class Stream:
        prompts = ("it",)

        def stream(self, source: str) -> list[object]:
            return [_Found(count) for count in (0, 0, 1, 1, 0, 0, 1, *[0] * 8, 1)]

    told: list[str] = []
    watch(Stream(), "any", told.append)
    assert [line.partition(" at")[0] for line in told] == [
        "result 2: it appeared",
        "result 11: it is gone",
        "result 15: it appeared",
    ]


class _Found:
    def __init__(self, count: int) -> None:
        self.boxes = np.zeros((count, 4))

    def __len__(self) -> int:
        return len(self.boxes)


def test_count_tracks(run: Run) -> None:
    first, *tracks = run("count_tracks").splitlines()
    assert first == f"{len(tracks)} objects match 'circle'"
    frames = [int(full_match(r"track \d+: (\d+) frames", line)[1]) for line in tracks]
    assert 2 <= len(frames) <= 4  # three circles move in it, one behind others
    assert max(frames) == FRAMES
    assert min(frames) >= 3


def test_save_datasets(run: Run) -> None:
    assert run("save_datasets") == "2 records in results.json, 2 files in labels/\n"
    records = json.loads(Path("results.json").read_text())
    assert [record["image_id"] for record in records] == [0, 10]
    for record in records:
        mask = coco.decode(record["segmentation"])
        assert mask.shape == (360, 640)
        x, y, width, height = record["bbox"]
        assert 0.6 * width * height < mask.sum() < width * height  # a circle in its box
        label, *polygon = Path(f"labels/{record['image_id']:06}.txt").read_text().split()
        points = np.array(polygon, float).reshape(-1, 2) * (640, 360)
        assert label == "0"
        assert np.abs(points.min(axis=0) - (x, y)).max() < 3


def test_save_label_maps(run: Run) -> None:
    segments, px = map(int, full_match(r"(\d+) segments on (\d+) px\n", run("save_label_maps")).groups())
    instances = _indices("instances.png")
    assert segments == len(set(instances.ravel())) - 1 == 9
    assert px == np.count_nonzero(instances)
    classes = _indices("classes.png")
    assert ((classes > 0) == (instances > 0)).all()


def _indices(name: str) -> np.ndarray:
    from PIL import Image

    with Image.open(name) as image:
        assert image.mode == "P"
        return np.asarray(image)


def test_save_cutouts(run: Run) -> None:
    name, width, height = full_match(r"(\S+): (\d+) x (\d+) px\n", run("save_cutouts")).groups()
    cutout = picture(name, cv2.IMREAD_UNCHANGED)
    assert cutout.shape == (int(height), int(width), 4)
    opaque = cutout[..., 3] == 255
    assert not cutout[0, 0].any()
    assert 0.6 < opaque.mean() < 0.9
    blue, green, red = cutout[opaque][:, :3].mean(axis=0)
    assert red > 2 * max(blue, green)


def test_to_supervision(run: Run) -> None:
    assert run("to_supervision") == "1 detections, prompts ['red circle']\n"
    annotated, frame = picture("annotated.png"), DemoVideo().scene(0).frame
    assert 2000 < (annotated != frame).any(axis=2).sum() < 20000


def test_to_supervision_without_it_says_how_to_get_it(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "supervision", None)
    with pytest.raises(SystemExit) as stop:
        run("to_supervision")
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith("run: pip install 'fastsam-trt[supervision]'\n")


def test_change_prompts(run: Run) -> None:
    printed = run("change_prompts")
    found = full_match(r"(\d+) frames with 'red circle', (\d+) frames with 'green square'\n", printed)
    first, second = map(int, found.groups())
    assert first + second == FRAMES
    assert first >= 3


def test_change_prompts_to_none_is_one_line(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run("change_prompts", "demo", "red circle", "")
    assert stop.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("change_prompts.py: error: ")


def test_prompts_per_call(run: Run) -> None:
    assert run("prompts_per_call").splitlines() == [
        "red circle: 1 segments",
        "green square: 1 segments",
        "pink: 2 segments",
        "black cat: 0 segments",
    ]


def test_latest_frame_node(run: Run) -> None:
    found = full_match(r"(\d+) images, (\d+) results, the last with (\d+) segments\n", run("latest_frame_node"))
    received, published, segments = map(int, found.groups())
    assert received == FRAMES
    assert 1 <= published <= FRAMES
    assert segments == 1


def test_latest_frame_node_ends_though_its_worker_died() -> None:
    node = runpy.run_path(str(EXAMPLES / "latest_frame_node.py"))["SelectorNode"](None, None)
    for index in range(2):
        node.on_image(Frame(np.zeros((2, 2, 3), np.uint8), index, "made"))
    node.end()  # nothing takes images
    assert node.images == 2


def test_latest_frame_node_without_an_image(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DemoVideo, "__iter__", lambda _: iter(()))
    assert run("latest_frame_node") == "0 images, 0 results, the last with 0 segments\n"


def test_numpy_and_pillow(run: Run) -> None:
    *arrays, grey, path, pillow = run("numpy_and_pillow").splitlines()
    names = ("numpy BGR", "numpy RGB", "numpy RGB from 0 to 1", "numpy 16-bit", "path", "Pillow")
    assert [*arrays, path, pillow] == [f"{name}: 2 segments" for name in names]
    assert full_match(r"numpy grey: [0-9] segments", grey)


def test_compare_models(run: Run) -> None:
    assert full_match(r"demo-seg: 1 of 9 segments, \d+\.\d ms\n", run("compare_models"))
    height, width = picture("comparison.png").shape[:2]
    assert width > 2 * height


def test_measure_fps(run: Run) -> None:
    *stages, last = run("measure_fps").splitlines()
    ms = {name: float(value) for name, value, _ in map(str.split, stages)}
    assert list(ms) == ["preprocess", "segment", "select", "decode", "total"]
    assert all(value > 0 for value in ms.values())
    assert full_match(r"2 frames, \d+\.\d FPS", last)


def test_custom_sink(run: Run) -> None:
    assert run("custom_sink") == "saved segments.csv\n"
    with open("segments.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    for row in rows:
        area = (float(row["x1"]) - float(row["x0"])) * (float(row["y1"]) - float(row["y0"]))
        assert 0.6 * area < int(row["area_px"]) < area
    assert len({row["track"] for row in rows}) == 1


def test_build_tensorrt_rtx(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        import tensorrt_rtx  # noqa: F401
    except ModuleNotFoundError:
        with pytest.raises(SystemExit) as stop:
            run("build_tensorrt_rtx")
        assert stop.value.code == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "pip install 'fastsam-trt[tensorrt-rtx]'" in line
        return
    assert re.search(r"engine\.plan: \d+\.\d MB for .*sm89", run("build_tensorrt_rtx").splitlines()[-1])
    assert Path("engine.plan").stat().st_size > 1e6


def _start(name: str, *arguments: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=folder, env=os.environ.copy(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def _fetch(url: str, body: bytes | None = None) -> str:
    """What a server answers, once it is up."""
    deadline_s = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, body, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError:
            raise
        except (urllib.error.URLError, ConnectionError):
            assert time.monotonic() < deadline_s, "the server did not start"
            time.sleep(0.05)


def test_http_server(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    photo = cv2.imencode(".png", DemoVideo().scene(0).frame)[1].tobytes()
    port = str(free_port())
    with _start("http_server", port, folder=tmp_path) as server:
        try:
            url = f"http://127.0.0.1:{port}/select"
            (segment,) = json.loads(_fetch(f"{url}?prompt=red+circle", photo))
            assert len(json.loads(_fetch(url, photo))) == 9
            with pytest.raises(urllib.error.HTTPError) as no_picture:
                _fetch(url, b"no picture")
            with pytest.raises(urllib.error.HTTPError) as empty:
                _fetch(url, b"")
            with pytest.raises(urllib.error.HTTPError) as no_prompt:
                _fetch(f"{url}?prompt=", photo)
        finally:
            server.send_signal(signal.SIGINT)
            server.communicate(timeout=120)
    x0, y0, x1, y1 = segment["box"]
    assert 0.6 * (x1 - x0) * (y1 - y0) < coco.area(segment["mask"]) < (x1 - x0) * (y1 - y0)
    assert [error.value.code for error in (no_picture, empty, no_prompt)] == [415, 415, 400]
    assert "prompt" in no_prompt.value.read().decode()


def test_http_client(tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("aiohttp")
    cv2.imwrite("photo.png", DemoVideo().scene(0).frame)
    Path("none.png").write_text("no picture")
    with Pipeline("demo-seg") as pipeline, SegmentServer(Address("127.0.0.1", 0)) as server:
        server.use(pipeline)
        address = str(server.address)
        first, last = run("http_client", "photo.png", "red circle", address).splitlines()
        with pytest.raises(SystemExit) as refused:
            run("http_client", "none.png", "red circle", address)
    assert full_match(r"red circle at \[.*\], mask of \d+ characters", first)
    assert full_match(r"1 segments in \d+ ms", last)
    assert refused.value.code == "415: image: expected an image file, found text"


def test_http_server_without_aiohttp_says_how_to_get_it(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(SystemExit) as stop:
        run("http_server")
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith("run: pip install 'fastsam-trt[preview]'\n")


def test_preview_in_browser(tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    port = str(free_port())
    with _start("preview_in_browser", "demo", "red circle", port, folder=tmp_path) as server:
        try:
            assert server.stdout is not None
            printed = next(line for line in server.stdout if line.startswith("open "))
            page = _fetch(printed.split()[1])
        finally:
            server.kill()
    assert printed == f"open http://127.0.0.1:{port}/\n"
    assert "<title>" in page

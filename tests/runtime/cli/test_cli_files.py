"""Test the command with links, folders, unusual file names, and users without a home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import platformdirs
import pytest

from fastsam_engine.errors import ModelNotFoundError, OutputError
from fastsam_engine.plans.engine_cache import EngineCache
from fastsam_engine.store import home_folder
from fastsam_engine.store.model_store import find_graph, installed
from fastsam_trt.cli.file_paths import check_distinct
from fastsam_trt.cli.main import main
from support.colour_models import scene
from support.typed import picture

Write = Callable[[Path, list[np.ndarray]], Path]


@pytest.fixture
def video(tmp_path: Path, write_video: Write) -> Path:
    return write_video(tmp_path / "clip.avi", [scene(("green", 5, 5))] * 4)


def _run(*arguments: object) -> int:
    return main(["run", "--model", "colours", *map(str, arguments)])


def test_links_to_the_source_are_refused_as_outputs(
    photo: Path, video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for source, suffix, options in ((photo, ".png", ("--save", "--label-map")), (video, ".mp4", ("--save", "--json"))):
        before = source.read_bytes()
        hard, soft = tmp_path / f"hard{suffix}", tmp_path / f"soft{suffix}"
        hard.hardlink_to(source)
        soft.symlink_to(source)
        for name in (source, f"file://{source}"):
            for option in options:
                for output in (hard, soft):
                    assert _run("--video", name, option, output) == 2
                    assert "expected another file than the source" in capsys.readouterr().err
        assert source.read_bytes() == before
        assert hard.samefile(source)
    assert main(["compare", "--image", str(photo), "--prompt", "red", "--save", str(tmp_path / "hard.png")]) == 2
    assert "another file than the source" in capsys.readouterr().err


def test_outputs_are_compared_by_file_not_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tmp_path / "a.json", tmp_path / "b.json"
    first.write_text("")
    second.hardlink_to(first)
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "c.json").symlink_to("new.json")
    for pair in (
        [first, second],
        [tmp_path / "new.json", tmp_path / "link" / "new.json"],
        [tmp_path / "c.json", tmp_path / "new.json"],
        [tmp_path / "no" / "x", tmp_path / "link" / "no" / "x"],
    ):
        with pytest.raises(OutputError, match="found it twice"):
            check_distinct(pair, [])
    check_distinct([tmp_path / "x.json", tmp_path / "X.json", tmp_path / "no" / "x.json"], [first, tmp_path / "gone"])
    folder = tmp_path / "Folder"
    folder.mkdir()
    (tmp_path / "fOLDER").symlink_to(folder)  # as on a file system that ignores case
    with pytest.raises(OutputError, match="found it twice"):
        check_distinct([folder / "x.json", folder / "X.json"], [])


@pytest.mark.parametrize("name", ["results.v2", "out.mp4", "out.png", "plain"])
def test_an_existing_folder_of_any_name_can_be_an_output(photo: Path, video: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    assert _run("--video", photo, "--save", folder) == 0
    assert [path.name for path in folder.iterdir()] == ["photo.png"]
    assert picture(folder / "photo.png").shape[1] > 64
    assert _run("--video", video, "--save", folder) == 0
    assert (folder / "clip.mp4").stat().st_size > 0
    maps = tmp_path / f"maps-{name}"
    maps.mkdir()
    assert _run("--video", photo, "--label-map", maps) == 0
    assert [path.name for path in maps.iterdir()] == ["photo.png"]


def test_a_video_is_not_saved_over_itself(video: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = video.read_bytes()
    source = video.rename(video.with_suffix(".mp4"))
    assert _run("--video", source, "--save", source.parent) == 2
    assert "expected another file than the source" in capsys.readouterr().err
    assert source.read_bytes() == before


def test_a_piped_video_is_not_saved_over_itself(video: Path) -> None:
    source = video.rename(video.with_suffix(".mp4"))
    before = source.read_bytes()
    for name in ("-", "pipe:0", "/dev/stdin"):
        command = [sys.executable, "-m", "fastsam_trt", "run", "--model", "colours", "--video", name, "--save", source]
        with source.open("rb") as stdin:
            done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert "expected another file than the source" in done.stderr
        assert source.read_bytes() == before


def test_impossible_file_names_are_invalid_requests(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = tmp_path / ("x" * 300 + ".json")
    for option in ("--save", "--json", "--coco", "--stats", "--label-map", "--masks"):
        for name in ("", long):
            with pytest.raises(SystemExit) as caught:
                _run("--video", photo, option, name)
            assert caught.value.code == 2
            assert f"argument {option}: expected a path" in capsys.readouterr().err
    for option in ("--coco-ids", "--names"):
        assert _run("--video", photo, "--coco", tmp_path / "out.json", option, long) == 2
        assert "File name too long" in capsys.readouterr().err
    for given in (
        ["run", "--video", str(photo), "--model", str(long)],
        ["compare", "--prompt", "a", "--image", str(long)],
    ):
        assert main(given) == 2
        assert "expected a path that can be used" in capsys.readouterr().err


def test_the_home_folder_is_expanded_in_outputs(photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert _run("--video", "~/photo.png", "--save", "~/out.png", "--json", "~/out.jsonl") == 0
    assert (tmp_path / "out.png").exists()
    assert (tmp_path / "out.jsonl").exists()


def test_failed_files_are_counted_and_end_the_run_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("f10.png", "f2.png"):
        cv2.imwrite(str(folder / name), scene(("red", 1, 1)))
    cv2.imwrite(str(folder / "small.png"), np.zeros((8, 8, 3), np.uint8))
    (folder / "a.jpg").write_bytes(b"GIF89a")
    lines, stats = tmp_path / "out.jsonl", tmp_path / "stats.json"
    assert _run("--video", folder, "--point", 200, 200, "--json", lines, "--stats", stats) == 1
    printed = capsys.readouterr()
    assert "2 files failed" in printed.out
    last = printed.err.strip().splitlines()[-1]
    assert last.startswith(f"fastsam-trt: error: source {str(folder)!r}: 2 of 4 files failed, the first: source ")
    assert "a.jpg" in last
    assert [Path(json.loads(line)["source"]).name for line in lines.open()] == ["f2.png", "f10.png"]
    document = json.loads(stats.read_text())
    assert (document["failed"], document["frames"]) == (2, 2)
    assert document["error"].startswith("FilesFailedError")


def test_each_page_gets_its_own_file(tmp_path: Path) -> None:
    pages = [scene(("red", 1, 1)), scene(("green", 5, 5)), scene()]
    assert cv2.imwritemulti(str(tmp_path / "scan.tif"), pages)
    assert _run("--video", tmp_path / "scan.tif", "--save", tmp_path / "out", "--label-map", tmp_path / "maps") == 0
    for folder in ("out", "maps"):
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) == ["scan-1.png", "scan-2.png", "scan-3.png"]
    assert cv2.imwrite(str(tmp_path / "one.tif"), pages[0])
    assert _run("--video", tmp_path / "one.tif", "--save", tmp_path / "one.png") == 0


def test_a_broken_tiff_is_one_line(tmp_path: Path) -> None:
    """OpenCV and Pillow would print warnings too."""
    data = bytearray(cv2.imencode(".tiff", np.zeros((60, 80, 3), np.uint8))[1].tobytes())
    start = int.from_bytes(data[4:8], "little")
    data[start + 8 : start + 12] = b"\xff\xff\xff\x7f"  # a width with more values than the file has bytes
    (tmp_path / "x.tif").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-m", "fastsam_trt", "run", "--video", str(tmp_path / "x.tif"), "--model", "colours"],
        capture_output=True,
        text=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if "INFO" not in line]
    assert done.returncode == 1
    assert len(errors) == 1, done.stderr
    assert "a TIFF that is broken or cut short" in errors[0]


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_not_utf8_reach_every_output(photo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    odd = photo.rename(folder / os.fsdecode(b"caf\xe9.png"))
    outputs = {option: tmp_path / f"o{option[2:]}.json" for option in ("--json", "--coco", "--stats")}
    for source in (odd, folder):
        arguments = [each for option, path in outputs.items() for each in (option, path)]
        folders = [each for option in ("save", "label-map", "labels", "cutouts", "masks")
                   for each in (f"--{option}", tmp_path / option)]  # fmt: skip
        assert _run("--video", source, *folders, *arguments) == 0
        for path in outputs.values():
            json.loads(path.read_bytes().decode())
        assert json.loads(outputs["--json"].read_text())["source"].endswith(r"caf\xe9.png")
    for option, names in {
        "save": [b"caf\xe9.png"],
        "label-map": [b"caf\xe9.png"],
        "labels": [b"caf\xe9.txt", b"classes.txt", b"data.yaml"],
        "cutouts": [b"caf\xe9-00-red.png", b"caf\xe9-01-green.png"],
        "masks": [b"caf\xe9-00-red.png", b"caf\xe9-01-green.png"],
    }.items():
        assert sorted(os.fsencode(path.name) for path in (tmp_path / option).iterdir()) == names


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user that the system does not know."""
    pwd = pytest.importorskip("pwd", reason="this system has no such list of users")

    def unknown(_: object) -> None:
        raise KeyError

    for name in ("HOME", "FASTSAM_TRT_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.setattr(pwd, "getpwnam", unknown)
    monkeypatch.chdir(tmp_path)


def test_without_a_home_nothing_is_cached(homeless: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(tmp_path.iterdir())
    for cache_dir in (lambda _: "~/.cache/fastsam-trt", platformdirs.user_cache_dir):  # older and newer versions
        monkeypatch.setattr(platformdirs, "user_cache_dir", cache_dir)
        assert home_folder.home() == home_folder.NOWHERE
        assert installed() == []
        assert EngineCache().entries() == []
        assert EngineCache().load(EngineCache().path("x", "y", {})) is None
        with pytest.raises(OutputError):
            EngineCache().store_byproduct(EngineCache().byproduct_path("timings", "x", {}), b"")
        with pytest.raises(ModelNotFoundError):
            find_graph("~nobody/x.onnx")
    monkeypatch.setenv("FASTSAM_TRT_HOME", "~/models")
    assert home_folder.home() == home_folder.NOWHERE
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(tmp_path))
    assert home_folder.home() == tmp_path
    assert set(tmp_path.iterdir()) == before


def test_the_demo_runs_without_a_home(homeless: None, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    before = set(tmp_path.iterdir())
    home_folder._warn_once.cache_clear()
    assert main(["run", "--video", "demo", "--prompt", "red circle", "--vid-stride", "150"]) == 0
    assert sum("no home folder" in message for message in caplog.messages) == 1
    assert not any("can't be cached" in message for message in caplog.messages)
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("kind", ["file", "missing"])
def test_the_demo_runs_with_an_unusable_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    home = tmp_path / "person"
    if kind == "file":
        home.write_text("")
    monkeypatch.delenv("FASTSAM_TRT_HOME")
    monkeypatch.setenv("HOME", str(home if kind == "file" else "/proc/nobody"))
    assert main(["run", "--video", "demo", "--prompt", "red circle", "--prompt", "a cube", "--vid-stride", "150"]) == 0
    assert sum("text embeddings can't be cached" in message for message in caplog.messages) == 1


def test_openvino_opens_without_a_home_for_telemetry() -> None:
    pytest.importorskip("openvino_telemetry", reason="OpenVINO's telemetry is not installed")
    code = (
        "import os, pwd\n"
        "def unknown(_): raise KeyError\n"
        "pwd.getpwuid = pwd.getpwnam = unknown\n"
        "os.environ.pop('HOME', None)\n"
        "from fastsam_engine.backends.openvino.backend import _core\n"
        "assert _core().available_devices\n"
        "import openvino_telemetry\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

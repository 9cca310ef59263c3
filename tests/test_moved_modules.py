"""Old import paths: every one still leads to the module that replaced it, and a warning names that one."""

from __future__ import annotations

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LISTS = {name: ROOT / wing / name / "moved_modules.txt" for name, wing in (
    ("fastsam_engine", "engine"), ("fastsam_export", "export"), ("fastsam_trt", "runtime"))}  # fmt: skip
LINES = [line.split() for path in LISTS.values() for line in path.read_text().splitlines()]


MOVED = [(old, new) for old, new, *_ in LINES]
RENAMED = [(old, *name.split("=")) for old, _, *names in LINES for name in names]


@pytest.mark.parametrize(("old", "new"), MOVED, ids=[old for old, _ in MOVED])
def test_an_old_path_leads_to_the_new_module_and_says_so(old: str, new: str) -> None:
    importlib.import_module(new.partition(".")[0])
    sys.modules.pop(old, None)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module = importlib.import_module(old)
    replaced = importlib.import_module(new)
    public = [name for name in vars(replaced) if not name.startswith("_") and name != "annotations"]
    assert all(getattr(module, name) is getattr(replaced, name) for name in getattr(replaced, "__all__", public))
    assert f"{old} has moved to {new}" in [str(each.message).partition(";")[0] for each in caught]


@pytest.mark.parametrize(("old", "name", "new"), RENAMED, ids=[f"{old}.{name}" for old, name, _ in RENAMED])
def test_a_renamed_name_of_an_old_path_is_kept_and_the_new_one_named(old: str, name: str, new: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = getattr(importlib.import_module(old), name)
    path, _, new_name = (new if "." in new else f"{dict(MOVED)[old]}.{new}").rpartition(".")
    assert value is getattr(importlib.import_module(path), new_name)
    assert f"{old}.{name} has moved to {path}.{new_name}" in str(caught[-1].message)


@pytest.mark.parametrize(
    ("package", "old", "new"),
    [
        ("fastsam_trt.selectors", "EveryCrop", "CropEmbedder"),
        ("fastsam_trt.selectors", "Embedded", "Embeddings"),
        ("fastsam_trt.sinks", "PictureSink", "PanelSink"),
        ("fastsam_trt.sinks", "PICTURE_SUFFIXES", "SAVED_IMAGE_SUFFIXES"),
    ],
)
def test_a_renamed_name_of_a_package_is_kept(package: str, old: str, new: str) -> None:
    module = importlib.import_module(package)
    with pytest.warns(DeprecationWarning, match=f"{old} is now {package}.{new}") as caught:
        assert getattr(module, old) is getattr(module, new)
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("statement", "new"),
    [
        ("from fastsam_trt.clip import Clip", "fastsam_trt.clip.model.Clip"),
        ("from fastsam_trt.drawing import draw", "fastsam_trt.results.plot.draw"),
        ("from fastsam_trt.flow import Flow", "fastsam_trt.streaming"),
        ("from fastsam_trt.flow import FlowFigures", "fastsam_trt.streaming"),
        ("from fastsam_trt.pipeline import DEFAULT_CLIP", "fastsam_trt.default_models.DEFAULT_CLIP"),
        (
            "from fastsam_engine.backends.openvino import OpenVinoSession",
            "fastsam_engine.backends.openvino.backend.OpenVinoSession",
        ),
        ("from fastsam_engine.made_once import MadeOnce", "fastsam_engine.concurrency.lazy_cache"),
        ("from fastsam_trt.coco import as_records", "fastsam_trt.results.coco"),
        ("import fastsam_trt.flow.flow", "fastsam_trt.streaming.flow"),
        ("from fastsam_trt.sinks.video import VideoSink", "fastsam_trt.sinks.video.video_sink.VideoSink"),
        ("from fastsam_trt.sources.files import FilesSource", "fastsam_trt.sources.files.files_source.FilesSource"),
        ("from fastsam_trt.sources.live import LiveSource", "fastsam_trt.sources.live.live_source.LiveSource"),
        ("from fastsam_trt.sources.shot import Opened", "fastsam_trt.sources.video.reader_events"),
    ],
)
def test_a_script_that_uses_an_old_path_is_told_the_new_one(statement: str, new: str) -> None:
    done = subprocess.run([sys.executable, "-c", statement], capture_output=True, text=True, check=True)
    assert f"DeprecationWarning: {statement.split()[1]}" in done.stderr
    assert f" has moved to {new}; " in done.stderr


def test_an_old_path_keeps_the_renamed_names_of_its_module() -> None:
    statement = "from fastsam_trt.flow import FlowFigures"
    done = subprocess.run([sys.executable, "-W", "always", "-c", statement], capture_output=True, text=True, check=True)
    assert "<string>:1: DeprecationWarning: FlowFigures is now fastsam_trt.streaming.FlowStats; " in done.stderr


def test_new_paths_and_unknown_ones_are_as_python_has_them() -> None:
    code = "import fastsam_trt.streaming, fastsam_trt.results.coco\nfrom fastsam_trt.pipeline import Pipeline"
    assert not subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stderr
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'fastsam_trt\.nothing'"):
        importlib.import_module("fastsam_trt.nothing")

"""Fixtures: a model store with small exact models, videos, and the real weights and media where they are."""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.util
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from fastsam_engine import read_spec
from fastsam_trt.bundled_models import locate
from fastsam_trt.clip.text_embeddings import TextEmbeddings
from support import colour_models, dense_demo, hub_server, small_transformers
from support.hub_server import HubServer

# A job in a shell's background, as CI may be, is started to ignore interrupts, and so is all that it starts.
for _number in (getattr(signal, name) for name in ("SIGINT", "SIGHUP", "SIGTERM") if hasattr(signal, name)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else signal.SIG_DFL)


def pytest_configure(config: pytest.Config) -> None:
    """Let PyTorch take one thread in each of several processes; more would share the same cores."""
    if config.getoption("numprocesses", None):
        os.environ.setdefault("OMP_NUM_THREADS", "1")


SHARED = Path(__file__).resolve().parents[2] / "shared"


HANG_S = 600  # the slowest test takes 40 s where twenty processes share two cores


@pytest.fixture(autouse=True)
def _hang_guard() -> Iterator[None]:
    """A test that waits for what never happens fails; so tests of waits need no limits that a slow machine exceeds."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(HANG_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _hangs(*_: object) -> None:
    with contextlib.suppress(Exception):  # sys.stderr may be captured, without a file descriptor
        faulthandler.dump_traceback(file=sys.__stderr__ or 2)
    pytest.fail(f"no end after {HANG_S} s")


@pytest.fixture(scope="session")
def exact_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home folder that holds the exact models; tests get copies of it."""
    home = tmp_path_factory.mktemp("home")
    colour_models.save_all(home / "models")
    return home


@pytest.fixture(autouse=True)
def home(exact_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh FASTSAM_TRT_HOME with the exact models; a copy takes a third of a millisecond."""
    folder = tmp_path / "home"
    shutil.copytree(exact_models, folder)
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(folder))
    return folder


@pytest.fixture(params=["onnxruntime", "openvino"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend that serves a processor."""
    pytest.importorskip(request.param)
    return str(request.param)


@pytest.fixture
def slow_prompts(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Texts for CLIP, the first prompt's apart, are computed once the second event is set; the first says they wait."""
    computing, go_on = threading.Event(), threading.Event()
    real = TextEmbeddings._compute
    begun: list[int] = []

    def slow(self: TextEmbeddings, prompts: Sequence[str], templates: Sequence[str]) -> np.ndarray:
        begun.append(1)
        if len(begun) > 1:
            computing.set()
            assert go_on.wait(60)
        return real(self, prompts, templates)

    monkeypatch.setattr(TextEmbeddings, "_compute", slow)
    return computing, go_on


@pytest.fixture
def no_hub(export_extra: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No model hub answers, and nothing that was ever fetched from one is found."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A hub on loopback in place of the public one, for this process and those that it starts; its cache is empty."""
    pytest.importorskip("huggingface_hub", reason="the extra [hub] is not installed")
    from huggingface_hub import constants

    with hub_server.hub_server() as server:
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = server.address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf" / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "hf" / "token"))
        yield server


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A picture of a red and a green shape."""
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), colour_models.scene(("red", 1, 1), ("green", 5, 5)))
    return path


@pytest.fixture(scope="session")
def write_video() -> Callable[[Path, list[np.ndarray]], Path]:
    """Writes frames as a video; the suffix chooses the container."""

    def write(path: Path, frames: list[np.ndarray]) -> Path:
        height, width = frames[0].shape[:2]
        codec = "MJPG" if path.suffix == ".avi" else "mp4v"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (width, height))
        assert writer.isOpened()
        for frame in frames:
            writer.write(frame)
        writer.release()
        return path

    return write


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder beside the checkout with real weights, photos and videos."""
    if not SHARED.is_dir():
        pytest.skip(f"no real weights and media at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def export_extra() -> None:
    """Skips where the export extra is not installed."""
    missing = [name for name in ("torch", "ultralytics", "transformers", "onnx") if not importlib.util.find_spec(name)]
    if missing:
        pytest.skip(f"the export extra is not installed: no {', '.join(missing)}")


@pytest.fixture(scope="session")
def small_checkpoints(tmp_path_factory: pytest.TempPathFactory, export_extra: None) -> dict[str, Path]:
    """A folder in transformers' form for each of its families that segment."""
    folder = tmp_path_factory.mktemp("checkpoints")
    for family in small_transformers.FAMILIES:
        getattr(small_transformers, f"save_{family}")(folder / family)
    return {family: folder / family for family in small_transformers.FAMILIES}


@pytest.fixture(scope="session")
def small_exports(small_checkpoints: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same, exported."""
    from fastsam_export import export_model

    folder = tmp_path_factory.mktemp("exported")
    for family, weights in small_checkpoints.items():
        export_model(family, weights=weights, imgsz=small_transformers.SIZE, out=folder / family)
    return {family: folder / family for family in small_checkpoints}


@pytest.fixture(scope="session")
def fp32(
    small_exports: dict[str, Path], tmp_path_factory: pytest.TempPathFactory, export_extra: None
) -> dict[str, Path]:
    """A folder of proven fp32 graphs for each model: small dense ones of every family, two of them trained."""
    from fastsam_export import export_model
    from support import small_yolo

    folder = tmp_path_factory.mktemp("yolo26")
    small_yolo.save_yolo26(folder / "small.pt")
    export_model("yolo26", weights=folder / "small.pt", imgsz=small_yolo.SIZE, out=folder / "yolo26", dense=True)
    demos = {"demo-seg": dense_demo.FOLDER, "demo-clip": Path(locate("demo-clip"))}
    return {**small_exports, **demos, "yolo26": folder / "yolo26"}


@pytest.fixture(scope="session")
def fp16(fp32: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same in fp16."""
    from fastsam_export.families import Exported
    from fastsam_export.fp16.convert import convert_to_fp16

    made = {}
    for name, source in fp32.items():
        made[name] = tmp_path_factory.mktemp("fp16") / name
        shutil.copytree(source, made[name])
        graphs = sorted(made[name].glob("*.onnx"), key=lambda path: ".masks" in path.name)
        convert_to_fp16([Exported(path, read_spec(path)) for path in graphs], lambda _: None)
    return made

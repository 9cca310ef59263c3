"""`fastsam-trt pull` against a hub on loopback: from the request to a model that runs, without PyTorch."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("onnx")
pytest.importorskip("huggingface_hub", reason="the extra [hub] is not installed")

from fastsam_engine import read_spec
from fastsam_engine.store.model_store import find_graphs, installed
from fastsam_engine.store.ready_models import READY_MODELS
from fastsam_trt.cli.main import main
from support import stocked_hub
from support.hub_server import HubServer
from support.started_command import start

REPO, FILE = READY_MODELS["fastsam-s"].repository, READY_MODELS["fastsam-s"].file

# Whoever imports one of these fails.
_NO_FRAMEWORK = "import sys\nsys.modules.update(dict.fromkeys(('torch', 'torchvision', 'transformers', 'ultralytics')))"


@pytest.fixture
def stocked(hub: HubServer) -> HubServer:
    """The hub with FastSAM and CLIP."""
    stocked_hub.stock(hub, "fastsam-s", "clip-vit-base-patch32")
    return hub


def _fails(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    assert main([str(each) for each in arguments]) == code
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "error" in line)
    return line


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*.part"))


def test_two_names_make_a_photo_answer_a_text(
    stocked: HubServer, photo: Path, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("fastsam-s", "clip-vit-base-patch32"):
        with start(_NO_FRAMEWORK, "pull", name) as process:
            out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
        assert f"{name} is installed in {home / 'models' / name}: " in out
        assert "MB downloaded in" in out
        assert "adopted in" in out
    assert "licence: mit" in out
    ready = READY_MODELS["clip-vit-base-patch32"]
    assert f"from {stocked.address}/{ready.repository}/blob/{ready.revision}/onnx/model.onnx" in out
    assert "parity with the original" in out
    lines = tmp_path / "lines.jsonl"
    arguments = ["--model", "fastsam-s", "--prompt", "a green object", "--json", str(lines)]
    with start(_NO_FRAMEWORK, "run", "--video", photo, *arguments) as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    (segment,) = json.loads(lines.read_text())["segments"]
    assert segment["prompt"] == "a green object"
    assert segment["box"][0] > 100  # the green shape is the right one
    assert main(["info", "fastsam-s"]) == 0
    source = read_spec(home / "models" / "fastsam-s" / "fastsam-s.onnx").source
    shown = capsys.readouterr().out
    unwrapped = "".join(shown.split())
    assert f"ready-made,pulledfrom{stocked.address}/{REPO}/blob/{source.revision}/FastSAM-s" in unwrapped
    assert source.licence == "mit"


@pytest.mark.parametrize("name", stocked_hub.NAMES)
def test_every_layout_is_pulled_by_its_name_and_says_where_from(
    hub: HubServer, name: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stocked_hub.stock(hub, name)
    assert main(["pull", name]) == 0, capsys.readouterr().err
    assert name in installed()
    ready = READY_MODELS[name]
    for graph in find_graphs(name):
        source = read_spec(graph).source
        assert source.is_adopted
        assert source.revision == hub.repositories[ready.repository].refs["main"]
        assert source.address.startswith(f"{hub.address}/{ready.repository}/blob/{source.revision}/")


def test_a_model_that_is_not_installed_names_pull_first_and_downloads_nothing(
    stocked: HubServer, photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = _fails(capsys, 2, "run", "--video", photo, "--model", "fastsam-s")
    assert "get it with: fastsam-trt pull fastsam-s, or create it with: fastsam-trt export fastsam-s" in line
    line = _fails(capsys, 2, "run", "--video", photo, "--model", "colours", "--prompt", "a red bus")
    assert "get it with: fastsam-trt pull clip-vit-base-patch32, or create it with: fastsam-trt export clip" in line
    line = _fails(capsys, 2, "run", "--video", photo, "--model", "siglip-base-patch16-224")
    assert line.endswith("get it with: fastsam-trt pull siglip-base-patch16-224")
    line = _fails(capsys, 2, "run", "--video", photo, "--model", "mask2former-swin-tiny")
    assert "fastsam-trt pull" not in line
    assert line.endswith("create it with: fastsam-trt export mask2former-swin-tiny")
    assert stocked.requests == []


Break = Callable[[HubServer], object]


def _repository(**files: bytes) -> Break:
    def change(hub: HubServer) -> object:
        return hub.add(
            REPO,
            {f"{name}.onnx" if name[0].isupper() else name.replace("_", "."): text for name, text in files.items()},
        )

    return change


REFUSED: list[tuple[str, tuple[str, ...], int, str, Break]] = [
    ("down", ("fastsam-s",), 1, "found status 503", lambda hub: hub.fault("/api/", "status", 503)),
    ("HTML", ("fastsam-s",), 1, "found a web page", lambda hub: hub.fault("/api/", "html")),
    ("half a file", ("fastsam-s",), 1, "bytes, found 500", lambda hub: hub.fault("/storage/", "short", 500)),
    ("cut off", ("fastsam-s",), 1, "run the same command again", lambda hub: hub.fault("/storage/", "cut", 0)),
    (
        "another file", ("fastsam-s",), 1, "expected sha256",
        lambda hub: hub.fault("/storage/", "content", stocked_hub.fastsam_file()[:-1] + b"?"),
    ),
    (
        "redirected elsewhere", ("fastsam-s",), 1, "no-such-host.invalid",
        lambda hub: hub.fault("/resolve/", "redirect", "http://no-such-host.invalid/x"),
    ),
    ("no repository", ("some/other",), 2, "check its name", lambda _: None),
    ("no revision", ("fastsam-s", "--revision", "v9"), 2, "choose another with --revision", lambda _: None),
    ("no file", (f"{REPO}:other.onnx",), 2, "found FastSAM-s.onnx", lambda _: None),
    ("gated", ("fastsam-s",), 2, "accept it at", lambda hub: setattr(hub.repositories[REPO], "gated_for", "x")),
    ("no ONNX", (REPO,), 2, "found no ONNX file", _repository(config_json=b"{}", model_safetensors=b"x")),
    (
        "another task", (REPO,), 2, "expected a segmenter, found an ultralytics model of task 'detect'",
        lambda hub: hub.add(REPO, {FILE: stocked_hub.ultralytics_file(task="detect")}),
    ),
    (
        "a pickle", (REPO,), 2, "a pickle, which may execute code",
        lambda hub: hub.add(REPO, {FILE: b"\x80\x02}."}),
    ),
    ("a checkpoint", (f"{REPO}:best.pt",), 2, "found a checkpoint (.pt)", lambda _: None),
    ("no such name", ("fastsam-m",), 2, "did you mean fastsam-", lambda _: None),
    ("the package's own", ("fastsam-s", "--as", "demo-seg"), 2, "package's own models", lambda _: None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "match", "change"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED]
)
def test_what_fails_is_one_line_and_nothing_is_half_installed(
    stocked: HubServer, home: Path, capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], code: int, match: str, change: Break,
) -> None:  # fmt: skip
    change(stocked)
    before = installed()
    assert match in _fails(capsys, code, "pull", *arguments)
    assert installed() == before
    assert not list((home / "models").glob(".*"))
    assert not list(home.glob("downloads/*/*/*.onnx"))  # what is kept for the next time is a .part


def test_environment_variables_reach_the_hub(
    stocked: HubServer, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy, a token in the home of the hub's tools, and no network."""
    stocked.repositories[REPO].gated_for = "hf_mine"
    (tmp_path / "hf").mkdir(exist_ok=True)
    (tmp_path / "hf" / "token").write_text("hf_mine\n")
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.invalid")
    monkeypatch.setenv("HTTP_PROXY", stocked.address)
    monkeypatch.setenv("http_proxy", stocked.address)
    monkeypatch.setenv("NO_PROXY", "localhost")
    monkeypatch.setenv("no_proxy", "localhost")
    with start("", "pull", "fastsam-s") as process:
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert stocked.requests[0][1].startswith(f"http://hub.invalid/api/models/{REPO}/revision/main")
    assert "fastsam-s" in installed()
    stocked.requests.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with start("", "pull", "clip-vit-base-patch32") as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert f"expected its files in the hub's cache {tmp_path / 'hf' / 'hub'} since HF_HUB_OFFLINE is set" in err
    assert stocked.requests == []


@pytest.mark.parametrize(
    ("name", "value", "match"),
    [
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "'soon'"),
        ("HTTP_PROXY", "socks5://127.0.0.1:9", "SOCKS"),
        ("SSL_CERT_FILE", "/none.pem", "No such file"),
    ],
)
def test_environment_variables_that_can_not_be_used_are_named(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch, name: str, value: str, match: str
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setenv(name.lower(), value)
    with start("", "pull", "fastsam-s") as process:
        _, err = process.communicate(timeout=300)
    assert process.returncode == 2
    assert err.startswith("fastsam-trt: error: environment: expected settings that huggingface_hub can use, found ")
    assert match in err
    assert hub.requests == []


def test_an_interrupted_download_goes_on(stocked: HubServer, home: Path) -> None:
    whole = stocked_hub.fastsam_file()
    fault = stocked.fault("/storage/", "stall", len(whole) // 2)
    with start("", "pull", "fastsam-s") as process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not _bytes_below(home / "downloads"):
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "interrupted: nothing was installed; what was downloaded is kept: run the same command again" in err
    assert "fastsam-s" not in installed()
    fault.times = 0
    stocked.requests.clear()
    with start("", "pull", "fastsam-s") as process:
        _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    ranges = [headers.get("range") for _, path, headers in stocked.requests if path.startswith("/storage/")]
    assert ranges == [f"bytes={len(whole) // 2}-"]


def test_help_names_what_can_be_pulled(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["pull", "--help"])
    shown = capsys.readouterr().out
    assert "fastsam-s, fastsam-x" in shown
    assert "HF_TOKEN" in shown

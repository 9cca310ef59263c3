"""Pulling as a whole: what is downloaded, where it stays, and that nothing is half-installed; a stand-in adopts."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine import read_spec
from fastsam_engine.errors import OutputError, PackagesMissingError
from fastsam_engine.store.model_store import installed
from fastsam_export import pull_model
from fastsam_export.adopt import adopter
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.errors import AdoptionError
from fastsam_export.family import Exported
from fastsam_export.hub import download, pull
from fastsam_export.hub.pull_errors import (
    AlreadyInstalledError,
    DownloadError,
    HubUnreachableError,
    NoRoomError,
    OfflineError,
    PullInterruptedError,
    PullRequestError,
)
from support import colour_models
from support.hub_server import HubServer

REPOSITORY = "some/model"
GRAPH = b"\x08\x0a" + bytes(range(256)) * 100
FILES = {
    "onnx/model.onnx": GRAPH,
    "onnx/model_fp16.onnx": GRAPH + b"fp16",
    "onnx/model.onnx_data": b"weights" * 1000,
    "config.json": b"{}",
    "preprocessor_config.json": b"{ }",
    "README.md": b"not needed",
    "pytorch_model.bin": b"not needed either",
}


class Adopter:
    """In place of `adopt`: notes how it was called, and writes an exact model."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.files: dict[str, bytes] = {}
        self.begun = threading.Event()
        self.error: BaseException | None = None

    def __call__(self, folder: Path, *, out: Path, name: str, source: AdoptedFrom, **options: Any) -> list[Exported]:
        self.calls.append({"name": name, "source": source, **options})
        self.files = {
            path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
        }
        spec = colour_models.segmenter_spec(name)
        path = colour_models.save(colour_models.segmenter_graph(), out / f"{name}.onnx", spec)
        if self.error:
            raise self.error
        return [Exported(path, spec)]


@pytest.fixture
def adopt(monkeypatch: pytest.MonkeyPatch) -> Adopter:
    made = Adopter()
    monkeypatch.setattr(adopter, "adopt", made)
    return made


@pytest.fixture
def stocked(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    monkeypatch.setattr(download, "_WAIT_S", 0.0)
    monkeypatch.setattr(download, "_PATIENCE_S", 0.0)
    hub.add(REPOSITORY, FILES, card={"license": "mit"})
    return hub


def _state(home: Path) -> dict[str, bytes]:
    """Everything in the home folder but locks."""
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_what_an_adoption_needs_is_downloaded_and_the_model_installed(
    stocked: HubServer, adopt: Adopter, home: Path
) -> None:
    steps: list[str] = []
    seen: list[tuple[int, int | None]] = []
    pulled = pull_model(REPOSITORY, step=steps.append, progress=lambda *both: seen.append(both))
    commit = stocked.repositories[REPOSITORY].refs["main"]
    wanted = {name: FILES[name] for name in FILES if name.startswith(("onnx/model.", "config", "pre"))}
    assert adopt.files == wanted
    page = f"{stocked.address}/{REPOSITORY}/blob/{commit}/onnx/model.onnx"
    source = AdoptedFrom(REPOSITORY, commit, "onnx/model.onnx", page, "mit")
    (call,) = adopt.calls
    assert (call["name"], call["precision"], call["source"]) == ("model", "fp32", source)
    assert (pulled.name, pulled.folder, pulled.source) == ("model", home / "models" / "model", source)
    assert pulled.downloaded == sum(map(len, wanted.values()))
    assert seen[-1] == (pulled.downloaded, pulled.downloaded)
    assert min(pulled.download_s, pulled.adopt_s) > 0
    assert [file.path for file in pulled.files] == [pulled.folder / "model.onnx"]
    assert read_spec(pulled.folder / "model.onnx").name == "model"
    assert steps[0] == "asking the hub"
    assert "downloading onnx/model.onnx" in steps
    assert steps[-1] == "installing the files"
    assert not (home / "downloads" / "model").exists()
    assert not [path for path in (home / "models").iterdir() if path.name.startswith(".")]
    assert "model" in installed()


@pytest.mark.parametrize(("precision", "name", "file"), [("fp16", "model-fp16", "onnx/model_fp16.onnx")])
def test_a_precision_takes_a_sibling_and_gives_a_model_beside(
    stocked: HubServer, adopt: Adopter, precision: Any, name: str, file: str
) -> None:
    pulled = pull_model(REPOSITORY, precision=precision)
    assert pulled.name == name
    assert (adopt.calls[0]["name"], adopt.calls[0]["source"].file) == ("model", file)
    with pytest.raises(AdoptionError, match=r"model_quantized.onnx.*found onnx/model.onnx, onnx/model_fp16.onnx"):
        pull_model(REPOSITORY, precision="int8")


def test_one_file_of_a_repository_at_a_revision_under_another_name(stocked: HubServer, adopt: Adopter) -> None:
    old = {"best.onnx": GRAPH + b"old"}
    stocked.repositories[REPOSITORY].commits["a" * 40] = old
    stocked.repositories[REPOSITORY].refs["v1"] = "a" * 40
    assert pull_model(f"{REPOSITORY}:best.onnx", revision="v1", name="Mine").name == "mine"
    assert adopt.files == old
    assert adopt.calls[0]["source"].revision == "a" * 40


def test_a_file_of_a_web_server(stocked: HubServer, adopt: Adopter) -> None:
    stocked.plain["a/Best.onnx"] = GRAPH
    pulled = pull_model(f"{stocked.address}/plain/a/Best.onnx?key=secret")
    assert pulled.name == "best"
    assert adopt.files == {"Best.onnx": GRAPH, "Best.onnx.etag": adopt.files["Best.onnx.etag"]}
    assert pulled.source == AdoptedFrom("", "", "Best.onnx", f"{stocked.address}/plain/a/Best.onnx")
    assert stocked.paths("/plain/") == ["/plain/a/Best.onnx?key=secret"]


def test_an_installed_model_is_refused_before_anything_is_requested(
    stocked: HubServer, adopt: Adopter, home: Path
) -> None:
    before = _state(home)
    with pytest.raises(AlreadyInstalledError, match=r"colours: expected a name that is free, found a model in .*--as"):
        pull_model(REPOSITORY, name="colours")
    assert stocked.requests == []
    assert _state(home) == before
    assert list((home).iterdir()) == [home / "models"]


def test_overwrite_replaces_the_whole_folder(stocked: HubServer, adopt: Adopter, home: Path) -> None:
    (home / "models" / "colours" / "colours.heads.onnx").write_bytes(b"of the old one")
    pull_model(REPOSITORY, name="colours", overwrite=True)
    assert [path.name for path in (home / "models" / "colours").iterdir()] == ["colours.onnx"]
    assert not list((home / "models").glob(".pull*"))


FAULTS: list[tuple[str, str, Any, type[Exception]]] = [
    ("/api/", "status", 503, HubUnreachableError),
    ("/storage/", "cut", 5000, HubUnreachableError),
    ("/storage/", "content", GRAPH[:-1] + b"?", DownloadError),
    ("/config.json", "content", b"[]", DownloadError),
]


@pytest.mark.parametrize(("pattern", "kind", "value", "error"), FAULTS, ids=[f"{a} {b}" for a, b, _, _ in FAULTS])
def test_a_fault_of_the_network_leaves_the_installed_model_and_what_was_downloaded(
    stocked: HubServer, adopt: Adopter, home: Path, pattern: str, kind: str, value: Any, error: type[Exception]
) -> None:
    before = _state(home)
    fault = stocked.fault(pattern, kind, value)
    with pytest.raises(error) as caught:
        pull_model(REPOSITORY, name="colours", overwrite=True)
    assert getattr(caught.value, "exit_code", None) == 1
    after = _state(home)
    assert {name: text for name, text in after.items() if not name.startswith("downloads/")} == before
    assert adopt.calls == []
    fault.times = 0
    pull_model(REPOSITORY, name="colours", overwrite=True)
    assert not list(home.glob("downloads/colours*/*"))


def test_files_that_came_before_a_fault_are_not_requested_again(stocked: HubServer, adopt: Adopter) -> None:
    fault = stocked.fault("/preprocessor_config.json", "status", 500)
    with pytest.raises(HubUnreachableError):
        pull_model(REPOSITORY)
    stocked.requests.clear()
    fault.times = 0
    assert pull_model(REPOSITORY).downloaded == len(FILES["preprocessor_config.json"])
    assert len(stocked.paths("/resolve/")) == 1


def test_an_interruption_says_that_the_download_is_kept(stocked: HubServer, adopt: Adopter, home: Path) -> None:
    def interrupt(there: int, _: int | None) -> None:
        if there > 1000:
            raise KeyboardInterrupt

    before = _state(home)
    with pytest.raises(PullInterruptedError, match="interrupted: nothing was installed; what was downloaded is kept"):
        pull_model(REPOSITORY, progress=interrupt)
    kept = _state(home)
    assert kept.keys() - before.keys()
    assert all(name.startswith("downloads/model/") for name in kept.keys() - before.keys())
    assert pull_model(REPOSITORY).name == "model"


@pytest.mark.parametrize("error", [AdoptionError(Path("x"), "a detector"), KeyboardInterrupt(), OSError(28, "full")])
def test_a_model_that_is_not_adopted_is_not_installed(
    stocked: HubServer, adopt: Adopter, home: Path, error: BaseException
) -> None:
    before = _state(home)
    adopt.error = error
    with pytest.raises(type(error)):
        pull_model(REPOSITORY, name="colours", overwrite=True)
    kept = _state(home)
    assert {name for name in kept if not name.startswith("downloads/")} == before.keys()
    assert (len(kept) > len(before)) == (not isinstance(error, AdoptionError))  # what is of no use is deleted
    assert not list((home / "models").glob(".pull*"))


def test_a_folder_that_cannot_be_replaced_stays(
    stocked: HubServer, adopt: Adopter, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _state(home)
    real = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.parent.name == ".pull-colours" and self.name == "colours":
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"colours: it can't be replaced \(Permission denied\)"):
        pull_model(REPOSITORY, name="colours", overwrite=True)
    assert {name: text for name, text in _state(home).items() if not name.startswith("downloads/")} == before


def test_what_a_killed_process_left_is_put_right(stocked: HubServer, adopt: Adopter, home: Path) -> None:
    """It was killed after it had moved the old model away."""
    staging = home / "models" / ".pull-colours"
    staging.mkdir()
    shutil.move(home / "models" / "colours", staging / "old")
    (staging / "colours").mkdir()
    (staging / "colours" / "colours.onnx").write_bytes(b"half")
    assert "colours" not in installed()
    with pytest.raises(AlreadyInstalledError):
        pull_model(REPOSITORY, name="colours")
    assert read_spec(home / "models" / "colours" / "colours.onnx").name == "colours"
    assert not staging.exists()


def test_two_pulls_of_a_name_do_not_mix(stocked: HubServer, adopt: Adopter) -> None:
    waits, ends = threading.Event(), []
    first = threading.Event()

    def hold(text: str) -> None:
        if text.startswith("downloading") and not first.is_set():
            first.set()
            assert waits.wait(60)

    def run(step: Callable[[str], None]) -> None:
        try:
            ends.append(pull_model(REPOSITORY, step=step).name)
        except AlreadyInstalledError as error:
            ends.append(str(error))

    def second_step(text: str) -> None:
        if text == "waiting for another pull of it":
            waits.set()

    threads = [threading.Thread(target=run, args=(hold,))]
    threads[0].start()
    assert first.wait(60)
    threads.append(threading.Thread(target=run, args=(second_step,)))
    threads[1].start()
    for thread in threads:
        thread.join()
    assert ends[0] == "model"
    assert ends[1].startswith("model: expected a name that is free")
    assert len(adopt.calls) == 1


def test_a_disk_without_room_is_refused_before_the_download(
    stocked: HubServer, adopt: Adopter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=9000))
    with pytest.raises(
        NoRoomError, match=r"expected 0 MB of free space.*found 0 MB; make room, or set FASTSAM_TRT_HOME"
    ):
        pull_model(REPOSITORY)
    assert stocked.paths("/resolve/") == []


def test_a_home_that_cannot_be_written_is_named(
    stocked: HubServer, adopt: Adopter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_bytes(b"")
    monkeypatch.setenv("FASTSAM_TRT_HOME", str(tmp_path / "taken"))
    with pytest.raises(OutputError, match="set FASTSAM_TRT_HOME to a folder that can be written"):
        pull_model(REPOSITORY)


def test_a_missing_extra_is_named(stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pull, "version", lambda name: "" if name == "onnx" else "1")
    with pytest.raises(
        PackagesMissingError, match=r"expected onnx to be installed.*pip install 'fastsam-trt\[cpu,hub\]'"
    ):
        pull_model(REPOSITORY)


def test_wrong_precisions_are_refused(hub: HubServer) -> None:
    with pytest.raises(PullRequestError, match="expected precision fp32 or fp16 or int8, found 'bf16'"):
        pull_model(REPOSITORY, precision="bf16")  # type: ignore[arg-type]
    with pytest.raises(PullRequestError, match=r"--precision: expected fp32.*fastsam-trt export fastsam-s --precision"):
        pull_model("fastsam-s", precision="fp16")
    assert hub.requests == []


class TestWithoutNetwork:
    @pytest.fixture
    def offline(self, stocked: HubServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
        from huggingface_hub import constants, hf_hub_download

        for path in FILES:
            hf_hub_download(REPOSITORY, path, cache_dir=constants.HF_HUB_CACHE)
        stocked.requests.clear()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
        yield stocked
        assert stocked.requests == []

    def test_a_cached_repository_is_adopted(self, offline: HubServer, adopt: Adopter) -> None:
        pulled = pull_model(REPOSITORY)
        assert pulled.downloaded == 0
        assert adopt.files["onnx/model.onnx"] == GRAPH
        assert pulled.source.revision == offline.repositories[REPOSITORY].refs["main"]

    def test_what_is_not_cached_is_said_so(self, offline: HubServer, adopt: Adopter) -> None:
        for model in ("some/other", "https://host.example/x.onnx"):
            with pytest.raises(OfflineError, match="since HF_HUB_OFFLINE is set"):
                pull_model(model)
        with pytest.raises(OfflineError, match=f"{REPOSITORY} in int8: expected its files in the hub's cache"):
            pull_model(REPOSITORY, precision="int8")

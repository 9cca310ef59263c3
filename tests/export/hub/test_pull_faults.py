"""Pulls that fail or are interrupted: nothing is half-installed, and what was downloaded is kept."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fastsam_engine import read_spec
from fastsam_engine.errors import OutputError, PackagesMissingError
from fastsam_engine.store.model_store import installed
from fastsam_export import pull_model
from fastsam_export.errors import AdoptionError
from fastsam_export.hub import pull
from fastsam_export.hub.pull_errors import (
    AlreadyInstalledError,
    DownloadError,
    HubUnreachableError,
    NoRoomError,
    PullInterruptedError,
)
from support.hub_server import HubServer
from support.pulled_models import CONTENT, FILES, REPOSITORY, Adopter, files_below

FAULTS: list[tuple[str, str, Any, type[Exception]]] = [
    ("/api/", "status", 503, HubUnreachableError),
    ("/storage/", "cut", 5000, HubUnreachableError),
    ("/storage/", "content", CONTENT[:-1] + b"?", DownloadError),
    ("/config.json", "content", b"[]", DownloadError),
]


@pytest.mark.parametrize(("pattern", "kind", "value", "error"), FAULTS, ids=[f"{a} {b}" for a, b, _, _ in FAULTS])
def test_a_fault_of_the_network_leaves_the_installed_model_and_what_was_downloaded(
    stocked: HubServer, adopt: Adopter, home: Path, pattern: str, kind: str, value: Any, error: type[Exception]
) -> None:
    before = files_below(home)
    fault = stocked.fault(pattern, kind, value)
    with pytest.raises(error) as caught:
        pull_model(REPOSITORY, name="colours", overwrite=True)
    assert getattr(caught.value, "exit_code", None) == 1
    after = files_below(home)
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

    before = files_below(home)
    with pytest.raises(PullInterruptedError, match="interrupted: nothing was installed; what was downloaded is kept"):
        pull_model(REPOSITORY, progress=interrupt)
    kept = files_below(home)
    assert kept.keys() - before.keys()
    assert all(name.startswith("downloads/model/") for name in kept.keys() - before.keys())
    assert pull_model(REPOSITORY).name == "model"


@pytest.mark.parametrize("error", [AdoptionError(Path("x"), "a detector"), KeyboardInterrupt(), OSError(28, "full")])
def test_a_model_that_is_not_adopted_is_not_installed(
    stocked: HubServer, adopt: Adopter, home: Path, error: BaseException
) -> None:
    before = files_below(home)
    adopt.error = error
    with pytest.raises(type(error)):
        pull_model(REPOSITORY, name="colours", overwrite=True)
    kept = files_below(home)
    assert {name for name in kept if not name.startswith("downloads/")} == before.keys()
    assert (len(kept) > len(before)) == (not isinstance(error, AdoptionError))  # what is of no use is deleted
    assert not list((home / "models").glob(".pull*"))


def test_a_folder_that_cannot_be_replaced_stays(
    stocked: HubServer, adopt: Adopter, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_below(home)
    real = Path.replace

    def fail(self: Path, target: Path) -> Path:
        if self.parent.name == ".pull-colours" and self.name == "colours":
            raise PermissionError(13, "Permission denied")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OutputError, match=r"colours: it can't be replaced \(Permission denied\)"):
        pull_model(REPOSITORY, name="colours", overwrite=True)
    assert {name: text for name, text in files_below(home).items() if not name.startswith("downloads/")} == before


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
        NoRoomError, match=r"expected 2 MB of free space.*found 0 MB; make room, or set FASTSAM_TRT_HOME"
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

"""Pulling as a whole: what is downloaded, where it stays, and that nothing is half-installed; a stand-in adopts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fastsam_engine import read_spec
from fastsam_engine.store.model_store import installed
from fastsam_export import pull_model
from fastsam_export.adopt.adopted_from import AdoptedFrom
from fastsam_export.errors import AdoptionError
from fastsam_export.hub.pull_errors import (
    AlreadyInstalledError,
    OfflineError,
    PullRequestError,
)
from support.hub_server import HubServer
from support.pulled_models import CONTENT, FILES, REPOSITORY, Adopter, files_below


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
    assert steps[0] == "requesting the list of files"
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
    old = {"best.onnx": CONTENT + b"old"}
    stocked.repositories[REPOSITORY].commits["a" * 40] = old
    stocked.repositories[REPOSITORY].refs["v1"] = "a" * 40
    assert pull_model(f"{REPOSITORY}:best.onnx", revision="v1", name="Mine").name == "mine"
    assert adopt.files == old
    assert adopt.calls[0]["source"].revision == "a" * 40


def test_a_file_of_a_web_server(stocked: HubServer, adopt: Adopter) -> None:
    stocked.plain["a/Best.onnx"] = CONTENT
    pulled = pull_model(f"{stocked.address}/plain/a/Best.onnx?key=secret")
    assert pulled.name == "best"
    assert adopt.files == {"Best.onnx": CONTENT, "Best.onnx.etag": adopt.files["Best.onnx.etag"]}
    assert pulled.source == AdoptedFrom("", "", "Best.onnx", f"{stocked.address}/plain/a/Best.onnx")
    assert stocked.paths("/plain/") == ["/plain/a/Best.onnx?key=secret"]


def test_an_installed_model_is_refused_before_anything_is_requested(
    stocked: HubServer, adopt: Adopter, home: Path
) -> None:
    before = files_below(home)
    with pytest.raises(AlreadyInstalledError, match=r"colours: expected a name that is free, found a model in .*--as"):
        pull_model(REPOSITORY, name="colours")
    assert stocked.requests == []
    assert files_below(home) == before
    assert list((home).iterdir()) == [home / "models"]


def test_overwrite_replaces_the_whole_folder(stocked: HubServer, adopt: Adopter, home: Path) -> None:
    (home / "models" / "colours" / "colours.heads.onnx").write_bytes(b"of the old one")
    pull_model(REPOSITORY, name="colours", overwrite=True)
    assert [path.name for path in (home / "models" / "colours").iterdir()] == ["colours.onnx"]
    assert not list((home / "models").glob(".pull*"))


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
        assert adopt.files["onnx/model.onnx"] == CONTENT
        assert pulled.source.revision == offline.repositories[REPOSITORY].refs["main"]

    def test_what_is_not_cached_is_said_so(self, offline: HubServer, adopt: Adopter) -> None:
        for model in ("some/other", "https://host.example/x.onnx"):
            with pytest.raises(OfflineError, match="since HF_HUB_OFFLINE is set"):
                pull_model(model)
        with pytest.raises(OfflineError, match=f"{REPOSITORY} in int8: expected its files in the hub's cache"):
            pull_model(REPOSITORY, precision="int8")

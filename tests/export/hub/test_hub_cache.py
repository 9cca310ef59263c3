"""The cache of huggingface_hub: what other tools fetched is used, and without network it is all there is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastsam_export.hub.hub_cache import cached_repository, is_offline, take_from_cache
from fastsam_export.hub.pull_errors import OfflineError
from fastsam_export.hub.repository import Repository, list_repository
from fastsam_export.hub.web_client import WebClient
from support.hub_server import HubServer
from support.pulled_models import CONTENT, FILE, REPOSITORY


@pytest.fixture
def cached(stocked: HubServer) -> HubServer:
    """The hub, after huggingface_hub's own client has fetched both files from it. It speaks the protocol."""
    from huggingface_hub import constants, hf_hub_download

    for path in (FILE, "config.json"):
        found = hf_hub_download(REPOSITORY, path, cache_dir=constants.HF_HUB_CACHE)
        assert Path(found).stat().st_size
    stocked.requests.clear()
    return stocked


def _list(server: HubServer) -> Repository:
    return list_repository(WebClient(), REPOSITORY, "main")


def test_a_cached_file_gets_a_second_name(cached: HubServer, tmp_path: Path) -> None:
    repository = _list(cached)
    for path in (FILE, "config.json"):
        target = tmp_path / "downloads" / path
        assert take_from_cache(repository, repository.files[path], target)
        assert target.read_bytes() == cached.repositories[REPOSITORY].commits[repository.commit][path]
        assert not target.is_symlink()
    assert (tmp_path / "downloads" / FILE).stat().st_nlink == 2
    assert cached.paths("/resolve/") == []


def test_on_another_file_system_it_is_copied(
    cached: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    repository = _list(cached)
    assert take_from_cache(repository, repository.files[FILE], tmp_path / "x.onnx")
    assert (tmp_path / "x.onnx").read_bytes() == CONTENT
    assert (tmp_path / "x.onnx").stat().st_nlink == 1


def test_a_damaged_file_of_the_cache_is_not_taken(cached: HubServer, tmp_path: Path) -> None:
    from huggingface_hub import constants

    (blob,) = (path for path in Path(constants.HF_HUB_CACHE).rglob("blobs/*") if path.stat().st_size == len(CONTENT))
    blob.write_bytes(CONTENT[:-1] + b"?")
    repository = _list(cached)
    assert not take_from_cache(repository, repository.files[FILE], tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


def test_a_file_that_is_not_cached_is_not_taken(stocked: HubServer, tmp_path: Path) -> None:
    repository = _list(stocked)
    assert not take_from_cache(repository, repository.files[FILE], tmp_path / "x.onnx")


def test_without_network_the_cache_is_listed(cached: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    there = _list(cached)
    cached.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert is_offline()
    for revision in ("main", there.commit):
        found = cached_repository(REPOSITORY, revision)
        assert (found.id, found.commit, found.page) == (there.id, there.commit, there.page)
        for path, file in found.files.items():
            expected = there.files[path]
            assert (file.size, file.sha256, file.git_sha1) == (expected.size, expected.sha256, expected.git_sha1)
    assert set(found.files) == {FILE, "config.json"}
    assert cached.requests == []


def test_without_network_what_is_not_cached_is_said_so(cached: HubServer, tmp_path: Path) -> None:
    cache = tmp_path / "hf" / "hub"
    for repository, revision in ((REPOSITORY, "v9"), ("some/other", "main")):
        with pytest.raises(OfflineError, match=f"{repository}: expected its files in the hub's cache {cache} since"):
            cached_repository(repository, revision)


def test_without_network_and_without_a_cache_nothing_is_found(hub: HubServer) -> None:
    with pytest.raises(OfflineError):
        cached_repository(REPOSITORY, "main")

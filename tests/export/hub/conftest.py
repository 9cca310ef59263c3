"""Fixtures: a repository on the hub on loopback, what downloads a file of it, and what adopts it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastsam_export.adopt import adopter
from fastsam_export.hub import download
from fastsam_export.hub.download import Download
from fastsam_export.hub.repository import list_repository
from fastsam_export.hub.web_client import Wanted, WebClient
from support.hub_server import HubServer
from support.pulled_models import FILE, FILES, REPOSITORY, Adopter


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing for 0.3 s is given up."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)


@pytest.fixture
def stocked(hub: HubServer) -> HubServer:
    """The hub with one repository: graphs in storage and small files in git."""
    hub.add(REPOSITORY, FILES, card={"license": "mit"})
    return hub


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a request that brought something, one more that brings nothing is the last."""
    monkeypatch.setattr(download, "_WAIT_S", 0.0)
    monkeypatch.setattr(download, "_PATIENCE_S", 0.0)


@pytest.fixture
def adopt(no_patience: None, monkeypatch: pytest.MonkeyPatch) -> Adopter:
    """A stand-in adopts what is pulled."""
    made = Adopter()
    monkeypatch.setattr(adopter, "adopt", made)
    return made


@pytest.fixture
def fetch(stocked: HubServer, tmp_path: Path) -> Callable[..., Download]:
    """Downloads a file of the repository to `tmp_path / "file"`."""

    def run(path: str = FILE, seen: list[int] | None = None) -> Download:
        client = WebClient()
        repository = list_repository(client, REPOSITORY, "main")
        wanted = Wanted(f"{REPOSITORY}:{path}", REPOSITORY, repository.commit)
        made = Download(client, repository.files[path], wanted, tmp_path / "file")
        made.run((lambda _: None) if seen is None else seen.append)
        return made

    return run

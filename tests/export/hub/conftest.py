"""Fixtures: what downloads a file of the hub on loopback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fastsam_export.hub.download import Download
from fastsam_export.hub.repository import list_repository
from fastsam_export.hub.web_client import Wanted, WebClient
from support.hub_server import HubServer

REPOSITORY = "some/model"
FILE = "onnx/model.onnx"
CONTENT = b"\x08\x0a" + bytes(range(256)) * 2000  # half a megabyte that begins as ONNX files do


@pytest.fixture
def short_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that says nothing for 0.3 s is given up."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)


@pytest.fixture
def stocked(hub: HubServer) -> HubServer:
    """The hub with one repository: a graph in storage and a small file in git."""
    hub.add(REPOSITORY, {FILE: CONTENT, "config.json": b'{"model_type": "x"}'}, card={"license": "mit"})
    return hub


@pytest.fixture
def fetch(stocked: HubServer, tmp_path: Path) -> Callable[..., Download]:
    """Downloads a file of the repository to `tmp_path / "file"`."""

    def run(path: str = FILE, seen: list[int] | None = None) -> Download:
        client = WebClient()
        repository = list_repository(client, REPOSITORY, "main")
        wanted = Wanted(f"{REPOSITORY}:{path}", REPOSITORY, repository.commit)
        download = Download(client, repository.files[path], wanted, tmp_path / "file")
        download.run((lambda _: None) if seen is None else seen.append)
        return download

    return run

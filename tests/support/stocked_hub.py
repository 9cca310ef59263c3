"""Put exact models on the hub on loopback, where the list of ready models says that the public hub has them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastsam_engine.store.ready_models import READY_MODELS
from support import colour_models, hub_colours
from support.hub_server import HubServer
from support.ultralytics_metadata import ULTRALYTICS

FASTSAM = {**ULTRALYTICS, "description": "Ultralytics FastSAM-s model", "names": "{0: 'object'}"}

_LAYOUTS: dict[str, Callable[[Path], Any]] = {
    "fastsam-s": lambda folder: (folder / "FastSAM-s.onnx").write_bytes(fastsam_file()),
    "clip-vit-base-patch32": hub_colours.save_clip,
    "siglip-base-patch16-224": hub_colours.save_siglip,
    "detr-resnet-50-panoptic": hub_colours.save_detr,
    "segformer-b0": hub_colours.save_segformer,
}

NAMES = tuple(_LAYOUTS)
"""Names of the list that can be put on a hub."""


def stock(hub: HubServer, *names: str) -> None:
    """Add the repositories of ready models, at the commits of the list; their licence is `mit`."""
    for name in names:
        ready = READY_MODELS[name]
        commit = hub.add(ready.repository, files_of(_LAYOUTS[name]), card={"license": "mit"})
        repository = hub.repositories[ready.repository]
        if ready.revision != "main":
            repository.commits[ready.revision] = repository.commits.pop(commit)
            repository.refs["main"] = ready.revision


def fastsam_file() -> bytes:
    """FastSAM as ultralytics exports it: one class, which names nothing."""
    graph = colour_models.segmenter_graph(one_class=True)
    return files_of(lambda folder: colour_models.save(graph, folder / "x.onnx", None, FASTSAM))["x.onnx"]


def ultralytics_file(**metadata: str) -> bytes:
    """A segmenter as ultralytics exports it: three classes, one per colour."""
    return files_of(lambda folder: hub_colours.save_ultralytics(folder / "x.onnx", **metadata))["x.onnx"]


def files_of(save: Callable[[Path], Any]) -> dict[str, bytes]:
    """What a function writes to a folder, by path."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        save(folder)
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }

"""List the models that public hubs have as ready ONNX files, and say how to get a model that is not installed.

`fastsam-trt pull` reads the list to fetch models. It is put together from public records. A commit stands here only
where several independent projects pin it; `main` is resolved to a commit when a model is pulled, and recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastsam_engine.store.catalog import CATALOG

_YOLO = "https://github.com/ultralytics/assets/releases/download/v8.4.0"


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """A published model that can be used without PyTorch.

    Attributes:
        name: Short name, as typed on the command line; that of `CATALOG` where that has the model.
        family: Family, for lists.
        repository: Hub id (`org/repo`); empty for a file elsewhere.
        revision: Commit, tag or branch of the repository.
        file: The ONNX file of the repository; empty: as the layout of transformers.js has it.
        address: Web address of the ONNX file, if it is in no repository.
    """

    name: str
    family: str
    repository: str = ""
    revision: str = "main"
    file: str = ""
    address: str = ""


READY_MODELS: dict[str, ReadyModel] = {
    row.name: row
    for row in (
        # Ultralytics' own exports: the release that its Rust and JavaScript libraries fetch by name.
        *(
            ReadyModel(f"{series}{scale}-seg", family, address=f"{_YOLO}/{series}{scale}-seg.onnx")
            for series, family in (("yolov8", "yolo-seg"), ("yolo11", "yolo-seg"), ("yolo26", "yolo-end2end"))
            for scale in "nsmlx"
        ),
        *(
            ReadyModel(f"fastsam-{scale}", "yolo-seg", "SpatialHub/fastsam-onnx", file=f"FastSAM-{scale}.onnx")
            for scale in "sx"
        ),
        ReadyModel(
            "detr-resnet-50-panoptic",
            "detr",
            "Xenova/detr-resnet-50-panoptic",
            "ea24b2d4e0bfae31f0a1299ba3fb892a2df064de",
        ),
        ReadyModel(
            "segformer-b0",
            "segformer",
            "Xenova/segformer-b0-finetuned-cityscapes-1024-1024",
            "64e537ca2bf6bf2afc13727ee6bb61cfca9e1048",
        ),
        *(
            ReadyModel(f"segformer-b{n}", "segformer", f"Xenova/segformer-b{n}-finetuned-cityscapes-1024-1024")
            for n in range(1, 6)
        ),
        ReadyModel(
            "clip-vit-base-patch32",
            "clip",
            "Xenova/clip-vit-base-patch32",
            "d15189d7028b43f1d3e65039190477f6af591c2a",
        ),
        ReadyModel("clip-vit-base-patch16", "clip", "Xenova/clip-vit-base-patch16"),
        ReadyModel(
            "clip-vit-large-patch14",
            "clip",
            "Xenova/clip-vit-large-patch14",
            "c307790166907339eed5a9a53a249af534102536",
        ),
        ReadyModel(
            "siglip-base-patch16-224",
            "siglip",
            "Xenova/siglip-base-patch16-224",
            "4649052661e53c7000355844105f8a1792088239",
        ),
        ReadyModel(
            "siglip2-base-patch16-256",
            "siglip",
            "onnx-community/siglip2-base-patch16-256-ONNX",
            "d1114256522a37ffa257a0a58017348ab0058db2",
        ),
    )
}


def how_to_get(name: str) -> str:
    """The commands that install a published model, as a part of a message; empty if none does.

    Args:
        name: Short name; case does not matter.
    """
    lower = name.lower()
    ways = []
    if lower in READY_MODELS:
        ways.append(f"get it with: fastsam-trt pull {name}")
    if lower in CATALOG:
        ways.append(f"create it with: fastsam-trt export {name}")
    return ", or ".join(ways)

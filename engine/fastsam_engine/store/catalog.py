"""List the published models with their short names and origins.

The export wing reads it to fetch models, and error messages suggest similar names from it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A published model.

    Attributes:
        name: Short name, as typed on the command line.
        family: Family that exports it.
        origin: Weights file that ultralytics downloads by name, or a hub id (`org/repo`).
        size_px: Side of the default square input, 0 if the model's configuration states the size.
    """

    name: str
    family: str
    origin: str
    size_px: int = 0


CATALOG: dict[str, Published] = {
    row.name: row
    for row in (
        *(Published(f"yolov8{scale}-seg", "yolo-seg", f"yolov8{scale}-seg.pt", 640) for scale in "nsmlx"),
        *(Published(f"yolo11{scale}-seg", "yolo-seg", f"yolo11{scale}-seg.pt", 640) for scale in "nsmlx"),
        *(Published(f"yolo26{scale}-seg", "yolo-end2end", f"yolo26{scale}-seg.pt", 640) for scale in "nsmlx"),
        *(Published(f"fastsam-{scale}", "yolo-seg", f"FastSAM-{scale}.pt", 1024) for scale in "sx"),
        *(Published(f"detr-resnet-{n}-panoptic", "detr", f"facebook/detr-resnet-{n}-panoptic") for n in (50, 101)),
        *(
            Published(f"mask2former-swin-{size}", "mask2former", f"facebook/mask2former-swin-{size}-coco-panoptic")
            for size in ("tiny", "small", "base", "large")
        ),
        *(
            Published(f"segformer-b{n}", "segformer", f"nvidia/segformer-b{n}-finetuned-cityscapes-1024-1024")
            for n in range(6)
        ),
        Published("clip-vit-base-patch32", "clip", "openai/clip-vit-base-patch32"),
        Published("clip-vit-base-patch16", "clip", "openai/clip-vit-base-patch16"),
        Published("clip-vit-large-patch14", "clip", "openai/clip-vit-large-patch14"),
    )
}

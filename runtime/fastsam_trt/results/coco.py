"""Convert results to COCO's formats: detection results, which `COCO.loadRes` loads, and dataset annotations.

https://cocodataset.org/#format-results, https://cocodataset.org/#format-data
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NotRequired, TypedDict

from fastsam_trt.errors import OptionError
from fastsam_trt.masks.mask_source import MaskCrop, bounds
from fastsam_trt.results.polygons import coco_polygons
from fastsam_trt.results.rle import Rle
from fastsam_trt.results.selected import SelectedSegments

_THINGS = (
    (1, "person bicycle car motorcycle airplane bus train truck boat"),
    (10, "traffic_light fire_hydrant"),
    (13, "stop_sign parking_meter bench bird cat dog horse sheep cow elephant bear zebra giraffe"),
    (27, "backpack umbrella"),
    (31, "handbag tie suitcase frisbee skis snowboard sports_ball kite baseball_bat baseball_glove skateboard"),
    (42, "surfboard tennis_racket bottle"),
    (46, "wine_glass cup fork knife spoon bowl banana apple sandwich orange broccoli carrot hot_dog pizza donut cake"),
    (62, "chair couch potted_plant bed"),
    (67, "dining_table"),
    (70, "toilet"),
    (72, "tv laptop mouse remote keyboard cell_phone microwave oven toaster sink refrigerator"),
    (84, "book clock vase scissors teddy_bear hair_drier toothbrush"),
)  # runs of consecutive ids, with the first id of each run

CATEGORY_IDS: Mapping[str, int] = MappingProxyType(
    {name.replace("_", " "): first + i for first, names in _THINGS for i, name in enumerate(names.split())}
)
"""COCO's 80 thing classes: name to official category id, 1 to 90 with gaps."""


class CocoRecord(TypedDict):
    """A detection result in JSON types: one segment of one image.

    Attributes:
        image_id: The caller's id of the image.
        category_id: Category of the segment.
        bbox: [x, y, width, height], px of the image; x and y are the left and top edge.
        score: 0..1.
        segmentation: The mask.
        file_name: Name of the image, if the caller has one.
    """

    image_id: int
    category_id: int
    bbox: list[float]
    score: float
    segmentation: Rle
    file_name: NotRequired[str]


class CocoAnnotation(TypedDict):
    """A dataset annotation in JSON types: one segment of one image.

    Attributes:
        id: Id of the annotation, from 1.
        image_id, category_id: As in `CocoRecord`.
        bbox: [x, y, width, height] of the mask, px.
        area: Area of the mask, pixels.
        segmentation: Polygons [x, y, x, y, ...] along pixel edges: exact, holes cut out.
        iscrowd: 0.
        score: 0..1.
    """

    id: int
    image_id: int
    category_id: int
    bbox: list[int]
    area: int
    segmentation: list[list[int]]
    iscrowd: int
    score: float


def as_records(
    result: SelectedSegments,
    image_id: int,
    category_ids: Mapping[int, int] | None = None,
    *,
    file_name: str | None = None,
) -> list[CocoRecord]:
    """The selected segments of an image as COCO detection results.

    `COCO.loadRes` computes the area of a record from `bbox` if there is one. Drop `bbox` to score masks by their own
    area in COCO's size ranges (small, medium, large).

    Args:
        result: The image's result; its masks are decoded if they are not yet.
        image_id: Id of the image in the ground truth.
        category_ids: Class id to category id, as from `official_ids`; None: class ids unchanged, from 0, and category
            1 for segments without a class name.
        file_name: Name of the image, stored in every record.

    Returns:
        N records, best first.

    Raises:
        OptionError: The class of a selected segment is not in `category_ids`.
    """
    if category_ids is not None:
        categories = [_category(class_id, category_ids) for class_id in result.class_ids.tolist()]
    else:
        named = zip(result.labels, result.class_ids.tolist(), strict=True)
        categories = [1 if label is None else class_id for label, class_id in named]
    return records(result, image_id, categories, file_name=file_name)


def records(
    result: SelectedSegments, image_id: int, categories: Sequence[int | None], *, file_name: str | None = None
) -> list[CocoRecord]:
    """The selected segments as COCO detection results; segments whose category is None are skipped."""
    found: list[CocoRecord] = []
    for category, (x0, y0, x1, y1), score, mask in zip(
        categories, result.boxes.tolist(), result.scores.tolist(), result.rle(), strict=True
    ):
        if category is None:
            continue
        record: CocoRecord = {
            "image_id": image_id,
            "category_id": category,
            "bbox": [round(edge, 2) for edge in (x0, y0, x1 - x0, y1 - y0)],
            "score": round(score, 5),
            "segmentation": mask,
        }
        if file_name is not None:
            record["file_name"] = file_name
        found.append(record)
    return found


def as_annotations(
    result: SelectedSegments, image_id: int, categories: Sequence[int | None], first_id: int = 1
) -> list[CocoAnnotation]:
    """The selected segments as dataset annotations.

    Args:
        result: The image's result; its masks are decoded if they are not yet.
        image_id: Id of the image in the dataset.
        categories: N category ids; segments whose category is None or whose mask is empty are skipped.
        first_id: Id of the first annotation.

    Returns:
        Up to N annotations, best first.
    """
    found: list[CocoAnnotation] = []
    crops = result.mask_crops()
    outlines = coco_polygons(crops)
    for category, score, crop, polygons in zip(categories, result.scores.tolist(), crops, outlines, strict=True):
        if category is None or not crop.pixels.any():
            continue
        found.append(
            {
                "id": first_id + len(found),
                "image_id": image_id,
                "category_id": category,
                "bbox": _bbox(crop),
                "area": int(crop.pixels.sum()),
                "segmentation": polygons,
                "iscrowd": 0,
                "score": round(score, 5),
            }
        )
    return found


def _bbox(crop: MaskCrop) -> list[int]:
    """The bounding box of a mask: x, y, width and height."""
    x0, y0, x1, y1 = bounds(crop.pixels)
    return [crop.left + x0, crop.top + y0, x1 - x0, y1 - y0]


def official_ids(class_names: Sequence[str]) -> dict[int, int] | None:
    """COCO's category ids for a model of COCO's 80 thing classes.

    Args:
        class_names: The model's class names, by class id.

    Returns:
        Class id to official category id; None unless the names are exactly those 80.
    """
    if len(class_names) != len(CATEGORY_IDS) or set(class_names) != CATEGORY_IDS.keys():
        return None
    return {class_id: CATEGORY_IDS[name] for class_id, name in enumerate(class_names)}


def _category(class_id: int, category_ids: Mapping[int, int]) -> int:
    if class_id not in category_ids:
        raise OptionError("category_ids", f"a category for class {class_id}", dict(category_ids))
    return category_ids[class_id]

"""What the server answers is what the pipeline finds, in every form."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco

from fastsam_trt import Pipeline
from fastsam_trt.drawing.overlay import draw
from fastsam_trt.results import label_map
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sources import Frame
from support.colour_models import scene, shape_mask
from support.served import PHOTO, Served, as_json, colours, form, png, serving
from support.typed import present

SCENE = scene(("red", 1, 1), ("green", 5, 5))


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with colours() as opened:
        yield opened


@pytest.fixture
def served(pipeline: Pipeline) -> Iterator[Served]:
    with serving(pipeline) as made:
        yield made


@pytest.mark.parametrize("send", [form, as_json])
def test_json_has_the_segments_of_json_lines(served: Served, pipeline: Pipeline, send: Any) -> None:
    reply = served.post(send(PHOTO, {"prompts": ["red"]}))
    result = pipeline.process(SCENE, prompts=["red"])
    line = as_record(Frame(SCENE, 0, "photo"), result)
    record = reply.json()
    assert reply.status == 200
    assert reply.headers["Content-Type"] == "application/json"
    assert record["segments"] == json.loads(json.dumps(line["segments"]))
    assert record["size"] == [256, 256]
    assert set(record) == {"size", "ms", "segments"}
    stages = {name: value for name, value in record["ms"].items() if name != "total"}
    assert list(stages) == ["queue", "parse", "image", "preprocess", "segment", "select", "decode"]
    assert record["ms"]["total"] == pytest.approx(sum(stages.values()), abs=0.01)
    assert reply.headers["Server-Timing"].startswith("queue;dur=")
    (segment,) = record["segments"]
    assert _iou(coco.decode(segment["mask"]), shape_mask(1, 1)) > 0.9


def _iou(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_without_prompts_everything_is_selected(served: Served) -> None:
    labels = [segment["label"] for segment in served.segment().json()["segments"]]
    assert sorted(labels) == ["green", "red"]


@pytest.mark.parametrize("send", [form, as_json])
@pytest.mark.parametrize(
    ("fields", "labels"),
    [
        ({"boxes": [[4, 4, 80, 80]]}, ["red"]),
        ({"boxes": [[4, 4, 80, 80], [140, 140, 220, 220]]}, ["green", "red"]),
        ({"points": [[48, 48]]}, ["red"]),
        ({"points": [[48, 48], [176, 176]], "point_labels": [1, 1]}, ["green", "red"]),
        ({"prompts": ["red", "green"], "points": [[48, 48]], "point_labels": [0]}, ["green"]),
        ({"excluded": ["red"]}, ["green"]),
        ({"classes": ["green"]}, ["green"]),
        ({"classes": [0]}, ["red"]),
        ({"max_selected": 1, "prompts": ["green", "red"]}, None),
        ({"conf": 1}, []),
        ({"prompts": ["red"], "selector": "clip", "threshold": 0.5}, ["red"]),
        ({"prompts": ["blue"]}, []),
    ],
)
def test_options_apply_to_one_request(served: Served, send: Any, fields: dict[str, Any], labels: Any) -> None:
    given = fields
    if send is form and "classes" in fields:
        given = {"classes": [str(item) for item in fields["classes"]]}
    found = served.post(send(PHOTO, given)).json()["segments"]
    if labels is None:
        assert len(found) == 1
    else:
        assert sorted(segment["label"] for segment in found) == labels
    assert len(served.segment().json()["segments"]) == 2


def test_boxes_in_a_form_may_be_numbers_with_commas_or_one_list(served: Served) -> None:
    expected = served.segment(boxes=[[4, 4, 80, 80], [140, 140, 220, 220]]).json()["segments"]
    for boxes in (["4,4,80,80", " [140, 140, 220, 220] "], ["[[4, 4, 80, 80], [140, 140, 220, 220]]"]):
        assert served.segment(boxes=boxes).json()["segments"] == expected


def test_clip_answers_with_similarities(served: Served) -> None:
    (segment,) = served.segment(prompts=["a green shape"], selector="clip").json()["segments"]
    assert segment["prompt"] == "a green shape"
    assert segment["similarity"] > 0.5
    assert segment["track"] is None


def test_polygons_are_exact_or_simplified(served: Served) -> None:
    (segment,) = served.segment(prompts="red", masks="polygons").json()["segments"]
    assert "mask" not in segment
    (same,) = served.segment(prompts="red").json()["segments"]
    rle = coco.merge(coco.frPyObjects(segment["polygons"], 256, 256))
    np.testing.assert_array_equal(coco.decode(rle), coco.decode(same["mask"]))
    (simple,) = served.segment(prompts="red", masks="polygons", simplify_px=6).json()["segments"]
    assert 6 <= sum(map(len, simple["polygons"])) < sum(map(len, segment["polygons"]))


def test_masks_may_be_left_out(served: Served, pipeline: Pipeline) -> None:
    reply = served.segment(masks="none").json()
    assert all(not {"mask", "polygons"} & set(segment) for segment in reply["segments"])
    assert reply["ms"]["decode"] == 0


@pytest.mark.parametrize(("accept", "kind"), [("image/png", ".png"), ("image/jpeg", ".jpg"), ("image/*;q=0.5", ".jpg")])
def test_the_overlay_is_the_drawn_result(served: Served, pipeline: Pipeline, accept: str, kind: str) -> None:
    reply = served.post(form(PHOTO, {"prompts": "red"}), Accept=accept)
    assert reply.headers["Content-Type"] == {".png": "image/png", ".jpg": "image/jpeg"}[kind]
    found = present(cv2.imdecode(np.frombuffer(reply.body, np.uint8), cv2.IMREAD_COLOR))
    expected = draw(pipeline.process(SCENE, prompts=["red"]))
    if kind == ".png":
        np.testing.assert_array_equal(found, expected)
    else:
        assert np.abs(found.astype(int) - expected).mean() < 4
    assert served.segment(prompts="red", output=f"overlay-{'png' if kind == '.png' else 'jpeg'}").body == reply.body


def test_maps_have_classes_or_segments(served: Served, pipeline: Pipeline) -> None:
    result = pipeline.process(SCENE)
    for output, expected in (
        ("class-map", label_map.label_map(result)),
        ("instance-map", label_map.instance_map(result)),
    ):
        reply = served.segment(output=output)
        assert reply.headers["Content-Type"] == "image/png"
        with Image.open(io.BytesIO(reply.body)) as image:
            assert image.mode == "P"
            np.testing.assert_array_equal(np.asarray(image), expected)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("*/*", "json"),
        ("", "json"),
        ("text/html, application/json;q=0.9", "json"),
        ("image/png, application/json;q=0.9", "png"),
        ("application/json;q=0, image/png;q=0.1", "png"),
        ("IMAGE/JPEG", "jpeg"),
        ("application/*", "json"),
        ("image/png;q=0.2, */*;q=0.1", "png"),
        ("*/*, image/png;q=0.1", "json"),
    ],
)
def test_accept_chooses_the_output(served: Served, accept: str, kind: str) -> None:
    assert served.post(form(PHOTO), Accept=accept).headers["Content-Type"].endswith(kind)


def test_what_nothing_matches_is_not_acceptable_unless_the_field_asks(served: Served) -> None:
    assert "application/json" in served.post(form(PHOTO), Accept="text/html").detail
    assert served.post(form(PHOTO), Accept="text/html").status == 406
    assert served.post(form(PHOTO, {"output": "json"}), Accept="text/html").status == 200


def test_photos_are_upright(served: Served) -> None:
    turned = Image.fromarray(np.rot90(SCENE[..., ::-1], 1)[:, :200])
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    turned.save(file, "JPEG", exif=exif.tobytes(), quality=95)
    record = served.segment(file.getvalue(), masks="none").json()
    assert record["size"] == [200, 256]


def test_heic_is_read(served: Served) -> None:
    heif = pytest.importorskip("pillow_heif", reason="pillow-heif is not installed")
    file = io.BytesIO()
    heif.from_pillow(Image.fromarray(SCENE[..., ::-1])).save(file)
    assert len(served.segment(file.getvalue()).json()["segments"]) == 2


def test_many_clients_get_their_own_answers(served: Served) -> None:
    """More at once than there are workers, with different prompts and images."""
    places = [(1, 1), (1, 5), (5, 1)]
    images = [png(scene(("red", *place), ("green", 5, 5))) for place in places]
    requests = [({"prompts": [prompt]}, image) for image in images for prompt in ("red", "green shape")] * 4
    expected = [served.segment(image, **fields).json()["segments"] for fields, image in requests[:6]]
    assert len({json.dumps(segments) for segments in expected}) == 4  # the green one is the same in all images
    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(lambda request: served.segment(request[1], **request[0]), requests))
    assert [reply.json()["segments"] for reply in replies] == expected * 4


def test_the_model_is_described(served: Served) -> None:
    record = served.get("/v1/model").json()
    assert record["name"] == "colours"
    assert record["class_names"] == ["red", "green", "blue"]
    assert record["backend"] == "onnxruntime"
    assert record["limits"]["queue"] == 16

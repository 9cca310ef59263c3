"""Requests that can't be served: images that are none, prompts that do not fit, other types, paths and methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import cv2
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError
from support.colour_models import scene
from support.served import PHOTO, colours, form, serving


@pytest.fixture
def pipeline() -> Iterator[Pipeline]:
    with colours() as opened:
        yield opened


@pytest.mark.parametrize(
    ("image", "status", "message"),
    [
        (b"", 415, "expected an image file, found an empty file"),
        (b"%PDF-1.7 ...", 415, "found a PDF"),
        (b"<!DOCTYPE html><html></html>", 415, "found an HTML page"),
        (PHOTO[:500], 422, "cut short"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, 422, "expected an image"),
        (cv2.imencode(".jpg", scene())[1].tobytes()[:-200], 422, "cut short"),
    ],
)
def test_images_that_are_none(pipeline: Pipeline, image: bytes, status: int, message: str) -> None:
    with serving(pipeline) as served:
        reply = served.segment(image)
        assert reply.status == status
        assert message in reply.detail


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"boxes": [[10, 10, 10, 20]]}, "expected x0 < x1 and y0 < y1"),
        ({"boxes": [[300, 300, 400, 400]]}, "expected an overlap with the frame of 256 x 256 px"),
        ({"points": [[256, 3]]}, "expected 0 <= x < 256"),
        ({"points": [[1, 1]], "point_labels": [1, 0]}, "expected one per point"),
        ({"point_labels": [1]}, "expected one per point"),
        ({"prompts": ["  "]}, "expected a prompt with text"),
        ({"prompts": ["!?"]}, "a letter, digit or symbol"),
        ({"prompts": ["red"], "excluded": ["red"]}, "either as a prompt or as an exclusion"),
        ({"prompts": ["cat"], "selector": "labels"}, "expected the name of a class of the model, found 'cat'"),
        ({"classes": ["cat"]}, "classes: expected class names or ids from 0 to 2, found 'cat'"),
        ({"classes": ["99"]}, "classes: expected ids from 0 to 2"),
        ({"prompts": ["red"], "classes": ["green"]}, "expected prompts for the selected classes"),
    ],
)
def test_prompts_that_can_not_be_used_with_this_image_or_model(
    pipeline: Pipeline, fields: dict[str, Any], message: str
) -> None:
    with serving(pipeline) as served:
        reply = served.segment(**fields)
        assert reply.status == 422
        assert message in reply.detail


@pytest.mark.parametrize(
    ("kind", "headers", "message"),
    [
        ("text/plain", {}, "Content-Type: expected multipart/form-data or application/json, found text/plain"),
        ("application/x-www-form-urlencoded", {}, "found application/x-www-form-urlencoded"),
        ("image/png", {}, "found image/png"),
        ("", {}, "found application/octet-stream"),
        ("application/json", {"Content_Encoding": "gzip"}, "Content-Encoding: expected none, found gzip"),
    ],
)
def test_other_types_of_bodies(pipeline: Pipeline, kind: str, headers: dict[str, str], message: str) -> None:
    with serving(pipeline) as served:
        reply = served.post((PHOTO, kind), **headers)
        assert reply.status == 415
        assert message in reply.detail


def test_fields_in_the_address_are_refused(pipeline: Pipeline) -> None:
    body, kind = form(PHOTO)
    with serving(pipeline) as served:
        reply = served.send("POST", "/v1/segment?prompts=red", body, {"Content-Type": kind})
        assert reply.status == 400
        assert reply.detail == "query: expected no query, since fields are in the body, found prompts=red"


def test_a_pipeline_that_tracks_is_refused() -> None:
    with (
        Pipeline("colours", backend="onnxruntime", track=True) as pipeline,
        pytest.raises(OptionError, match="track: expected a pipeline that does not track"),
        serving(pipeline),
    ):
        pass


def test_other_paths_and_methods(pipeline: Pipeline) -> None:
    with serving(pipeline) as served:
        assert served.get("/nothing").status == 404
        assert "/nothing" in served.get("/nothing").detail
        reply = served.get("/v1/segment")
        assert reply.status == 405
        assert reply.headers["Allow"] == "POST"
        assert reply.detail == "expected POST, found GET"
        assert served.send("POST", "/metrics", b"").status == 405
        assert served.send("HEAD", "/healthz").status == 200


def test_a_failure_is_logged_and_told_without_its_text(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(Pipeline, "process", fail)
    with serving(pipeline) as served:
        reply = served.segment()
    assert reply.status == 500
    assert reply.detail == "unexpected KeyError"
    assert "a request failed" in caplog.text
    assert "secret" in caplog.text

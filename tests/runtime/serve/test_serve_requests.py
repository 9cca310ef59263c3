"""Requests are read strictly: what is wrong is named, with what was expected and what was found."""

from __future__ import annotations

import base64
import contextlib
import json
import random
from typing import Any

import pytest

from fastsam_trt.serve.form_data import form_boundary, parse_form
from fastsam_trt.serve.problem import ProblemError, RequestSchemaError
from fastsam_trt.serve.request import JSON_TYPE, Body, SegmentRequest, read_request
from fastsam_trt.serve.request_fields import RequestFields
from support.served import BOUNDARY, as_json, form

FIELDS = RequestFields()


def _read(content: tuple[bytes, str], accept: str | None = None) -> SegmentRequest:
    body, kind = content
    return read_request(Body(body, kind.partition(";")[0], kind, accept), FIELDS)


def _as_body(text: str | bytes) -> tuple[bytes, str]:
    return (text.encode() if isinstance(text, str) else text), JSON_TYPE


ALL = {
    "prompts": ["cat", "red bus, or so"],
    "excluded": ["dog"],
    "boxes": [[1, 2, 3.5, 4]],
    "points": [[5, 6], [7, 8.25]],
    "point_labels": [1, 0],
    "selector": "clip",
    "threshold": 0.25,
    "conf": 0,
    "iou": 1,
    "max_segments": 7,
    "max_selected": 3,
}


@pytest.mark.parametrize("send", [form, as_json])
def test_a_form_and_json_say_the_same(send: Any) -> None:
    answer = {"output": "class-map", "masks": "polygons", "simplify_px": 1.5}
    request = _read(send(b"\x89\0\r\n--bytes", {**ALL, **answer}))
    assert request.image == b"\x89\0\r\n--bytes"
    assert request.call == ALL
    assert (request.output, request.masks, request.simplify_px) == ("class-map", "polygons", 1.5)


@pytest.mark.parametrize("send", [form, as_json])
def test_what_is_not_said_is_left_to_the_server(send: Any) -> None:
    request = _read(send(b"x", {"prompts": [], "boxes": []}))
    assert request.call == {}
    assert (request.output, request.masks, request.simplify_px) == ("json", "rle", 0)


def test_whole_numbers_may_have_a_point() -> None:
    (value,) = _read(as_json(b"x", {"max_selected": 3.0})).call.values()
    assert value == 3
    assert isinstance(value, int)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("prompt", ["cat"], "prompt: expected one of the fields image, prompts,"),
        ("prompts", "cat", "prompts: expected a list of at most 64, each a text of 1 to 200 characters, found 'cat'"),
        ("prompts", ["x" * 1_000_000], "prompts[0]: expected a text of 1 to 200 characters, found one of 1000000"),
        ("prompts", ["x"] * 65, "found a list of 65"),
        ("prompts", [""], "prompts[0]"),
        ("prompts", [1], "prompts[0]: expected a text of 1 to 200 characters, found 1"),
        ("prompts", None, "found null"),
        ("boxes", [[1, 2, 3]], "boxes[0]: expected a list of 4"),
        ("boxes", [1, 2, 3, 4], "boxes[0]"),
        ("boxes", [["1", 2, 3, 4]], "boxes[0][0]: expected a number from -1e+06 to 1e+06, found '1'"),
        ("boxes", [[1e300, 2, 3, 4]], "boxes[0][0]"),
        ("boxes", [[True, 2, 3, 4]], "boxes[0][0]: expected a number from -1e+06 to 1e+06, found true"),
        ("boxes", [[1, 2, 3, 4]] * 257, "found a list of 257"),
        ("points", [[1, 2, 3]], "points[0]: expected a list of 2"),
        ("point_labels", [2], "point_labels[0]: expected 0 or 1, found 2"),
        ("selector", "best", "selector: expected auto, labels or clip, found 'best'"),
        ("threshold", 1.01, "threshold: expected a number from 0 to 1, found 1.01"),
        ("conf", "0.5", "conf: expected a number from 0 to 1, found '0.5'"),
        ("iou", -0.1, "iou"),
        ("max_segments", 0, "max_segments: expected a whole number from 1 to 300, found 0"),
        ("max_segments", 301, "max_segments"),
        ("max_selected", 1.5, "max_selected"),
        ("max_selected", 10**400, "max_selected: expected a whole number from 1 to 300, found 1000"),
        ("classes", [-1], "classes[0]"),
        ("classes", [[0]], "classes[0]: expected a text of 1 to 200 characters or a whole number from 0 to 100000"),
        ("output", "png", "output: expected json, overlay-jpeg, overlay-png, class-map or instance-map, found 'png'"),
        ("masks", "rle ", "masks: expected rle, polygons or none"),
        ("simplify_px", -1, "simplify_px"),
        ("image", 1, "image: expected an image file in base64, found no text"),
        ("image", "data:image/png;base64,AAAA", "found a data URL; remove what is before its comma"),
        ("image", "AAA", "found other characters"),
        ("image", "AA AA", "found other characters"),
    ],
)
def test_fields_that_are_not_as_the_document_says(field: str, value: Any, message: str) -> None:
    body = {"image": base64.b64encode(b"x").decode(), field: value}
    with pytest.raises(RequestSchemaError) as caught:
        _read(_as_body(json.dumps(body)))
    assert caught.value.status == 400
    assert message in caught.value.detail
    assert len(caught.value.detail) < 300


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "[]", "3", '"image"', "[" * 100_000, '{"a":' * 100_000, b"\xff\xfe{}", '{"image": NaN}',
        '{"image": Infinity}', '{"conf": -Infinity}', '{"conf": %s}' % ("9" * 5000), "{}",
        '{"image": "eA==", "boxes": [[NaN, 1, 2, 3]]}', '{"image": "eA==", "boxes": [[1e999, 1, 2, 3]]}',
    ],
)  # fmt: skip
def test_bodies_that_are_no_json_request(text: str | bytes) -> None:
    with pytest.raises(ProblemError) as caught:
        _read(_as_body(text))
    assert caught.value.status == 400
    assert "expected" in caught.value.detail


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"conf": "x"}, "conf: expected a number from 0 to 1, found 'x'"),
        ({"conf": "NaN"}, "conf"),
        ({"conf": "1e999"}, "conf"),
        ({"conf": ""}, "conf"),
        ({"conf": ["0.1", "0.2"]}, "conf: expected one part, found a second one"),
        ({"boxes": ["1,2,3"]}, "boxes[0]: expected a list of 4"),
        ({"boxes": ["1,2,3,x"]}, "boxes[0]: expected a list of 4"),
        ({"boxes": ["[1,2,3,NaN]"]}, "boxes[0]"),
        ({"boxes": [""]}, "boxes[0]"),
        ({"boxes": ["[" * 10_000]}, "boxes[0]"),
        ({"point_labels": [""]}, "point_labels[0]"),
        ({"point_labels": ["true"]}, "point_labels[0]"),
        ({"nothing": "1"}, "nothing: expected one of the fields"),
        ({"prompts": "x" * 1_000_000}, "prompts[0]"),
        ({"prompts": "\ud800"}, "prompts: expected text in UTF-8"),
        ({"image": "second"}, "image: expected one image, found a second one"),
    ],
)
def test_parts_that_are_not_as_the_document_says(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        _read(form(b"x", fields))
    assert caught.value.status == 400
    assert message in caught.value.detail


def test_a_form_without_an_image() -> None:
    with pytest.raises(RequestSchemaError, match="image: expected an image file, found none"):
        _read(form(None, {"prompts": "cat"}))


def _parse(body: bytes) -> list[tuple[str, bytes]]:
    return [(part.name, bytes(part.content)) for part in parse_form(body, BOUNDARY.encode())]


B = f"--{BOUNDARY}".encode()
HEAD = b'\r\nContent-Disposition: form-data; name="a"\r\n\r\n'


@pytest.mark.parametrize(
    ("body", "parts"),
    [
        (B + HEAD + b"x\r\n" + B + b"--", [("a", b"x")]),
        (B + HEAD + b"\r\n" + B + b"--\r\nepilogue", [("a", b"")]),
        (b"preamble\r\n" + B + HEAD + b"x\r\n" + B + b"--", [("a", b"x")]),
        (
            B + b"  \t" + HEAD + b"x\r\n" + B + b" \r" + HEAD[1:] + b"\r\ny\r\n" + B + b"--",
            [("a", b"x"), ("a", b"\r\ny")],
        ),
        (B + HEAD + b"x--" + B + b"\r\n--" + b"\r\n" + B + b"--", [("a", b"x--" + B + b"\r\n--")]),
        (B + b"\r\ncontent-DISPOSITION: Form-Data; filename=x; name=a" + b"\r\n\r\nx\r\n" + B + b"--", [("a", b"x")]),
    ],
)
def test_forms_are_parsed(body: bytes, parts: list[tuple[str, bytes]]) -> None:
    assert _parse(body) == parts


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "found none in the body"),
        (b"nothing", "found none in the body"),
        (B, "expected a line break after a boundary"),
        (B + b"--", "found no part"),
        (B + b"x" + HEAD + b"x\r\n" + B + b"--", "expected a line break after a boundary"),
        (B + HEAD, "cut off"),
        (B + HEAD + b"x", "cut off"),
        (B + HEAD + b"x\r\n" + B[:-1], "cut off"),
        (B + HEAD + b"x\r\n" + B, "expected a line break after a boundary"),
        (B + b"\r\nContent-Type: text/plain\r\n\r\nx\r\n" + B + b"--", "a Content-Disposition that names a field"),
        (B + b'\r\nContent-Disposition: attachment; name="a"\r\n\r\nx\r\n' + B + b"--", "names a field"),
        (B + b"\r\nContent-Disposition: form-data\r\n\r\nx\r\n" + B + b"--", "names a field"),
        (
            B + HEAD[:-2] + b"Content-Transfer-Encoding: base64\r\n\r\nx\r\n" + B + b"--",
            "Content-Transfer-Encoding base64",
        ),
        (B + b"\r\nX: " + b"x" * 5000 + HEAD + b"x\r\n" + B + b"--", "cut off"),
        ((B + HEAD + b"\r\n") * 5000 + B + b"--", "at most 4096 parts"),
    ],
)
def test_bodies_that_are_no_form(body: bytes, message: str) -> None:
    with pytest.raises(ProblemError) as caught:
        _parse(body)
    assert caught.value.status == 400
    assert message in caught.value.detail


def test_a_damaged_form_is_a_problem_and_no_other_error() -> None:
    whole, kind = form(bytes(range(256)), {"prompts": ["cat"], "boxes": [[1, 2, 3, 4]]})
    rng = random.Random(0)
    for _ in range(3000):
        body = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(body))
            body[at : at + rng.randint(0, 6)] = rng.choice([b"", b"\r\n", b"--", B, bytes([rng.randrange(256)])])
        with contextlib.suppress(ProblemError):
            _read((bytes(body), kind))


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('multipart/form-data; charset=utf-8; boundary="a b"', b"a b"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("multipart/form-data; boundary=" + "x" * 71, None),
        ("multipart/form-data; boundary=\u00e4", None),
        ("multipart/form-data; boundary*=utf-8''abc", None),
    ],
)
def test_boundaries(header: str, boundary: bytes | None) -> None:
    if boundary is not None:
        assert form_boundary(header) == boundary
        return
    with pytest.raises(ProblemError, match="expected a boundary of 1 to 70 characters"):
        form_boundary(header)

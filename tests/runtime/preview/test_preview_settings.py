"""Test changes of boxes, points and thresholds: what is refused, two clients at a time, and a pipeline behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastsam_trt import Pipeline
from fastsam_trt.errors import OptionError
from fastsam_trt.preview import Address, LiveThresholds, PipelineControls, PreviewServer, Region
from fastsam_trt.preview.settings import MOST_REGIONS
from support.preview_run import Run, next_of, post, send_request, serving, watching

BOX = {"box": [10, 20.5, 30, 40]}
POINT = {"point": [5, 6], "label": 0}


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        made.write()
        yield made


def test_regions_and_thresholds_are_changed_and_reach_all_clients(run: Run) -> None:
    code, answer = post(run, "/regions", {"add": [BOX, POINT]})
    assert (code, answer["error"], answer["regions"]) == (200, None, [BOX, POINT])
    assert run.controls.regions == (Region((10, 20.5, 30, 40)), Region((5, 6), 0))
    code, later = post(run, "/thresholds", {"conf": 0.4})
    assert (code, later["thresholds"]) == (200, {"conf": 0.4, "threshold": 0.5})
    assert later["version"] > answer["version"]
    assert post(run, "/thresholds", {"conf": 0, "threshold": 1})[1]["thresholds"] == {"conf": 0, "threshold": 1}
    run.controls.thresholds = LiveThresholds(0.125, 0.25)  # by the program

    async def watch() -> dict[str, Any]:
        async with watching(run) as ws:
            return json.loads(await next_of(ws, str))

    status = asyncio.run(watch())
    assert status["regions"] == [BOX, POINT]
    assert status["thresholds"] == {"conf": 0.125, "threshold": 0.25}


def test_what_two_clients_draw_is_kept_and_the_same_change_twice_is_made_once(run: Run) -> None:
    other = {"box": [50, 50, 60, 60]}
    post(run, "/regions", {"add": [BOX]})
    post(run, "/regions", {"add": [other]})  # by a client that does not know the first
    assert post(run, "/regions", {"add": [BOX, BOX]})[1]["regions"] == [BOX, other]
    assert post(run, "/regions", {"remove": [BOX, POINT], "add": [POINT]})[1]["regions"] == [other, POINT]
    assert post(run, "/regions", {"remove": [BOX]})[1]["regions"] == [other, POINT]
    assert post(run, "/regions", {"remove": [other, POINT], "add": []})[1]["regions"] == []


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/regions", b"{", "expected JSON"),
        ("/regions", [BOX], "add"),
        ("/regions", {}, "add"),
        ("/regions", {"add": [BOX], "clear": True}, "add"),
        ("/regions", {"add": BOX}, "expected lists"),
        ("/regions", {"add": [[10, 20, 30, 40]]}, "expected regions such as"),
        ("/regions", {"add": [{"box": [10, 20, 30]}]}, "expected regions such as"),
        ("/regions", {"add": [{"box": [10, 20, 30, 40], "label": 1}]}, "expected regions such as"),
        ("/regions", {"add": [{"point": [10, 20], "label": 2}]}, "expected regions such as"),
        ("/regions", {"add": [{"point": [10, 20], "label": True}]}, "expected regions such as"),
        ("/regions", {"add": [{"point": [10, "20"]}]}, "expected numbers, found str"),
        ("/regions", {"add": [{"point": [10, True]}]}, "expected numbers, found bool"),
        ("/regions", b'{"add": [{"point": [10, 1%s]}]}' % (b"0" * 400), "too large"),
        ("/thresholds", {}, "conf"),
        ("/thresholds", [0.5], "conf"),
        ("/thresholds", {"iou": 0.5}, "conf"),
        ("/thresholds", {"conf": "0.5"}, "expected numbers, found str"),
        ("/thresholds", {"conf": None}, "expected numbers, found NoneType"),
    ],
)
def test_invalid_bodies_are_refused(run: Run, path: str, body: Any, message: str) -> None:
    code, answer = post(run, path, body)
    assert code == 400
    assert message in answer["error"]
    assert (answer["regions"], answer["thresholds"]) == ([], {"conf": 0.25, "threshold": 0.5})


@pytest.mark.parametrize(
    ("region", "message"),
    [
        ({"box": [10, 20, 10, 40]}, "no area"),
        ({"box": [30, 20, 10, 40]}, "no area"),
        ({"box": [160, 0, 170, 10]}, "overlap with the frame of 160 x 120 px"),
        ({"point": [160, 5]}, "found a point outside it"),
        ({"point": [5, -0.1]}, "found a point outside it"),
        (b'{"add": [{"point": [5, NaN]}]}', "finite"),
        (b'{"add": [{"box": [0, 0, Infinity, 5]}]}', "finite"),
    ],
)
def test_regions_that_are_not_in_the_frame_are_refused(run: Run, region: Any, message: str) -> None:
    code, answer = post(run, "/regions", region if isinstance(region, bytes) else {"add": [region]})
    assert (code, answer["regions"]) == (422, [])
    assert message in answer["error"]


def test_too_many_regions_are_refused_and_can_be_removed(run: Run) -> None:
    many = [{"point": [index, 1], "label": 1} for index in range(MOST_REGIONS)]
    assert post(run, "/regions", {"add": many})[0] == 200
    code, answer = post(run, "/regions", {"add": [BOX]})
    assert code == 422
    assert "at most 32 boxes and points, found 33" in answer["error"]
    assert post(run, "/regions", {"add": [BOX], "remove": many[:1]})[0] == 200


def test_nothing_can_be_drawn_before_the_first_frame() -> None:
    with serving() as run:
        code, answer = post(run, "/regions", {"add": [BOX]})
        assert code == 422
        assert "found none yet" in answer["error"]
        assert post(run, "/regions", {"remove": [BOX]})[0] == 200


@pytest.mark.parametrize("path", ["/regions", "/thresholds"])
def test_other_pages_can_change_nothing(run: Run, path: str) -> None:
    body = b'{"add": []}' if path == "/regions" else b'{"conf": 0.5}'
    json_type = {"Content_Type": "application/json"}
    assert send_request(run, "POST", path, body, Content_Type="text/plain")[0] == 415
    assert send_request(run, "POST", path, body, **json_type, Origin="http://evil.example")[0] == 403
    assert send_request(run, "POST", path, body, **json_type, Host="evil.example")[0] == 403
    assert send_request(run, path="/images/1.json", Host="evil.example")[0] == 403
    assert send_request(run, path="/images/1.json", Origin="http://evil.example")[0] == 403
    assert run.controls.thresholds == LiveThresholds(0.25, 0.5)


def test_a_run_without_controls_has_none() -> None:
    with serving() as run, PreviewServer(Address("127.0.0.1", 0), tuple, print, dict) as server:
        run.server, own = server, run.server
        assert send_request(run, "POST", "/regions", b"{}", Content_Type="application/json")[0] == 404
        _, answer = post(run, "/prompts", {"prompts": []})
        assert (answer["regions"], answer["thresholds"]) == (None, None)
        run.server = own


def test_the_controls_of_a_pipeline() -> None:
    with Pipeline("demo-seg", boxes=[[1, 2, 3, 4]], points=[[5, 6]], point_labels=[0], conf=0.3) as pipe:
        controls = PipelineControls(lambda: pipe)
        assert controls.regions == (Region((1, 2, 3, 4)), Region((5, 6), 0))
        assert controls.thresholds == LiveThresholds(0.3, 0.5)
        controls.set_regions([Region((7, 8)), Region((1, 1, 9, 9))])
        assert (pipe.boxes.tolist(), pipe.points.tolist()) == ([[1, 1, 9, 9]], [[7, 8]])
        controls.set_thresholds(conf=0.6, threshold=0.7)
        assert (pipe.segmenter.thresholds.conf, pipe.threshold) == (0.6, 0.7)
        controls.set_thresholds(threshold=0.2)
        for conf, threshold in ((1.5, 0.9), (0.9, 1.5), (float("nan"), 0.9)):
            with pytest.raises(OptionError, match="a number from 0 to 1"):
                controls.set_thresholds(conf, threshold)
            assert controls.thresholds == LiveThresholds(0.6, 0.2)
        controls.set_regions([])
        assert controls.regions == ()


def test_regions_do_not_end_a_run_whose_frames_change_their_size() -> None:
    with Pipeline("demo-seg") as pipe:
        PipelineControls(lambda: pipe).set_regions([Region((300, 200, 320, 220)), Region((310, 210))])
        for size in ((240, 320), (120, 160), (240, 320)):
            assert len(pipe(np.zeros((*size, 3), np.uint8))) == 0

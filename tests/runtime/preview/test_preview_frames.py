"""Test that a picture and its list are of one frame, and what can be asked of the frame that is shown."""

from __future__ import annotations

import asyncio
import json
import weakref
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from fastsam_trt.preview import jpeg
from fastsam_trt.preview.shown_images import MOST_IMAGES, ShownImages
from fastsam_trt.sinks.json_lines import as_record
from fastsam_trt.sources import Frame
from support.made_results import made_result
from support.preview_run import Run, encode, next_of, parse_image, result_of, send_request, serving, watching
from support.waiting import until


@pytest.fixture
def run() -> Iterator[Run]:
    with serving() as made:
        yield made


def test_every_picture_comes_with_the_list_of_its_own_frame(run: Run) -> None:
    """The frame tells its number by its shade, and the list by a similarity."""

    async def watch() -> list[tuple[int, int, int]]:
        seen = []
        async with watching(run) as ws:
            for _ in range(8):
                await ws.send_str("next")
                document, picture = parse_image(await next_of(ws, bytes))
                (row,) = document["selected"]
                seen.append((int(picture[2, 2, 0]) // 8, round(row[1] * 32), document["frame"]))
        return seen

    run.numbered = True
    run.begin()
    seen = asyncio.run(watch())
    assert [shade for shade, _, _ in seen] == [similarity for _, similarity, _ in seen]
    assert [shade for shade, _, _ in seen] == [frame % 32 for _, _, frame in seen]
    assert len({frame for _, _, frame in seen}) == 8


def test_an_image_is_the_overlay_with_at_most_1280_px() -> None:
    result = result_of(90)
    _, shown = parse_image(encode(result).message)
    assert np.abs(shown.astype(int) - result.plot()).mean() < 4
    for size, expected in (((1080, 1920), (720, 1280)), ((3000, 1000), (1280, 427)), ((1, 2000), (1, 1280))):
        document, shown = parse_image(encode(result_of(1, size)).message)
        assert shown.shape == (*expected, 3)
        assert document["size"] == [*size]


def test_many_segments_are_listed_in_part_and_counted() -> None:
    masks = [np.ones((60, 80), np.bool_)] * 40
    document, _ = parse_image(encode(made_result(masks)).message)
    assert (len(document["selected"]), document["count"]) == (jpeg.MOST_ROWS, 40)
    assert document["selected"][0] == ["cat", None, 0.9, None]


def test_an_image_does_not_keep_pixels_and_writes_the_line_of_its_frame() -> None:
    masks = [np.zeros((60, 80), np.bool_) for _ in range(40)]
    for index, mask in enumerate(masks):
        mask[index : index + 15, 3 : 20 + index] = True
    result = made_result(masks, prompts=("cat",), prompt_ids=[0] * 40, similarities=[0.5] * 40)
    frame = Frame(result.frame, 7, "x.mp4", timestamp_s=1.5)
    image = jpeg.encode_overlay(3, frame, result)
    assert json.loads(image.line()) == json.loads(json.dumps(as_record(frame, result)))
    kept = sum(crop.pixels.nbytes for crop in image.crops)
    assert kept < result.frame.nbytes * 2
    assert not any(np.shares_memory(crop.pixels, result.frame) for crop in image.crops)


def test_a_drawn_frame_is_let_go_while_a_client_shows_it(run: Run) -> None:
    async def watch() -> bool:
        async with watching(run) as ws:
            await ws.send_str("next")
            assert await asyncio.to_thread(until, lambda: run.server.feed.wanted)
            result = result_of(90)
            alive = weakref.ref(result.frame)
            await asyncio.to_thread(run.sink.write, Frame(result.frame, 7, "made"), result)
            del result
            document, _ = parse_image(await next_of(ws, bytes))
            assert run.app.shown.find(document["number"]) is not None
            return await asyncio.to_thread(until, lambda: alive() is None)

    assert asyncio.run(watch())


def test_the_frame_that_a_client_shows_can_be_asked_for(run: Run) -> None:
    def ask(number: object) -> tuple[int, bytes, dict[str, str]]:
        return send_request(run, path=f"/images/{number}.json")

    async def watch() -> list[dict[str, Any]]:
        documents = []
        async with watching(run) as ws:
            for _ in range(4):
                await ws.send_str("next")
                documents.append(parse_image(await next_of(ws, bytes))[0])
            for document, code in zip(documents, (404, 404, 200, 200), strict=True):  # it shows one of the last two
                found, body, headers = await asyncio.to_thread(ask, document["number"])
                assert found == code
            assert headers["Content-Type"].startswith("application/json")
            line = json.loads(body)
            assert (line["frame"], line["size"]) == (documents[-1]["frame"], [120, 160])
            (segment,) = line["segments"]
            assert segment["mask"]["size"] == [120, 160]
            assert (segment["prompt"], segment["similarity"]) == ("cat", 0.75)
        return documents

    run.begin()
    last = asyncio.run(watch())[-1]["number"]
    assert until(lambda: ask(last)[0] == 404)  # the client is gone
    for number in ("x", "-1", "1.5", "9" * 20, "../server"):
        assert ask(number)[0] == 404


def test_images_that_clients_show_are_limited_and_shared() -> None:
    shown = ShownImages()
    images = [encode(result_of(number), number) for number in range(1, 30)]
    for client in range(5):
        for image in images[:2]:
            shown.add(client, image)
    assert shown.find(1) is images[0]
    for client in range(5, 16):
        shown.add(client, images[client])
    found = [image.number for image in images if shown.find(image.number) is not None]
    assert found == [image.number for image in images[16 - MOST_IMAGES : 16]]
    for client in range(16):
        shown.remove(client)
    shown.remove("never added")
    assert not any(shown.find(image.number) for image in images)

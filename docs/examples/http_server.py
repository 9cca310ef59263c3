"""An endpoint of your own with aiohttp: POST an image to /select?prompt=TEXT, get boxes and COCO RLE masks.

`fastsam-trt serve` is a complete server, with limits, a token and metrics. This shows how to add one route to your app.

pip install 'fastsam-trt[cpu,preview]'
python http_server.py [PORT] [MODEL]
curl --data-binary @photo.jpg 'http://127.0.0.1:8080/select?prompt=cat'
"""

import asyncio
import sys

import cv2
import numpy as np

from fastsam_engine.errors import PackagesMissingError
from fastsam_trt import FastsamError, Pipeline
from fastsam_trt.cli import one_line_errors
from fastsam_trt.results.record import SegmentRecord


def main(port: str = "8080", model: str = "demo-seg") -> None:
    try:
        from aiohttp import web
    except ModuleNotFoundError as error:
        raise PackagesMissingError(["aiohttp"], "preview") from error

    pipe = Pipeline(model)

    def select(body: bytes, prompts: list[str]) -> list[SegmentRecord]:
        image = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR) if body else None
        if image is None:
            raise web.HTTPUnsupportedMediaType(text="expected an image that OpenCV reads")
        return pipe(image, prompts=prompts).to_dict()["segments"]

    async def answer(request: web.Request) -> web.Response:
        try:  # on a thread: other requests are answered meanwhile
            found = await asyncio.to_thread(select, await request.read(), request.query.getall("prompt", []))
        except FastsamError as error:
            kind = web.HTTPBadRequest if error.exit_code == 2 else web.HTTPInternalServerError
            raise kind(text=str(error)) from error
        return web.json_response(found)

    app = web.Application(client_max_size=20 << 20)
    app.add_routes([web.post("/select", answer)])
    with pipe:
        web.run_app(app, host="127.0.0.1", port=int(port))


if __name__ == "__main__":
    with one_line_errors():
        main(*sys.argv[1:])

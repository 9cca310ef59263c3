"""WebApp: the routes of the server, and what happens to a request on its way to a worker."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from fastsam_engine.errors import brief
from fastsam_trt.pipeline import Pipeline
from fastsam_trt.serve.access import Access
from fastsam_trt.serve.body_reader import BodyReader
from fastsam_trt.serve.limits import Limits
from fastsam_trt.serve.metrics import CONTENT_TYPE as METRICS_TYPE
from fastsam_trt.serve.metrics import Metrics
from fastsam_trt.serve.openapi import openapi_document
from fastsam_trt.serve.problem import MEDIA_TYPE as PROBLEM_TYPE
from fastsam_trt.serve.problem import BusyError, ProblemError, RequestSchemaError, problem_of
from fastsam_trt.serve.request import FORM_TYPE, JSON_TYPE, Body
from fastsam_trt.serve.request_fields import RequestFields
from fastsam_trt.serve.workers import Workers
from fastsam_trt.web.connections import Connections
from fastsam_trt.web.page_files import PageFiles, add_security_headers

PAGE = PageFiles(
    "fastsam_trt.serve",
    ("page.html", "page.css", "page.js", "overlay.js"),
    shared=("base.css", "prompt_chips.js", "region_editor.js"),
)
PUBLIC = frozenset({*PAGE.paths, "/healthz", "/readyz", "/openapi.json"})
"""Paths that need no token: they tell nothing about images or their senders."""

_OPENING_RETRY_S = 2

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class WebApp:
    """Answers requests, on the event loop's thread; the work is done on the workers' threads."""

    def __init__(
        self,
        pipeline: Callable[[], Pipeline | None],
        access: Access,
        limits: Limits,
        fields: RequestFields,
        workers: Workers,
        connections: Connections,
        *,
        has_token: bool,
    ) -> None:
        """Create the app.

        Args:
            pipeline: Returns the pipeline; None while it is not open.
            access: Who may use the server.
            limits: What requests may take.
            fields: What a request to segment may have.
            workers: What segments and encodes.
            connections: The open connections.
            has_token: Whether the server needs a token.
        """
        self._pipeline, self._access, self._limits, self._fields = pipeline, access, limits, fields
        self._connections = connections
        self._bodies = BodyReader(limits)
        self._workers = workers
        self._is_closed = False
        self._document = json.dumps(openapi_document(fields, has_token=has_token)).encode()
        self._metrics = Metrics(
            {
                "queue_length": ("Requests that wait for a worker.", lambda: workers.waiting),
                "requests_in_flight": ("Requests that wait or are worked on.", lambda: workers.in_flight),
                "connections": ("Open connections.", lambda: len(connections)),
                "body_bytes": ("Bytes of bodies in memory.", lambda: self._bodies.held_bytes),
                "received_body_bytes_total": ("Bytes of bodies received.", lambda: self._bodies.received_bytes),
            }
        )

    def application(self) -> web.Application:
        """The routes, behind the checks."""
        application = web.Application(middlewares=[self._answer])
        application.on_response_prepare.append(add_security_headers)
        application.on_response_prepare.append(self._access.add_headers)
        router = application.router
        PAGE.add_to(router)
        router.add_post("/v1/segment", self._segment, expect_handler=self._expect)
        for path, handler in (
            ("/v1/model", self._model),
            ("/healthz", self._healthz),
            ("/readyz", self._readyz),
            ("/metrics", self._show_metrics),
            ("/openapi.json", self._openapi),
        ):
            router.add_get(path, handler)
        return application

    async def close(self) -> None:
        """Accept no new requests, and receive the rest of those that have begun: aiohttp drops it once it closes."""
        self._is_closed = True
        await self._bodies.finish(self._limits.timeout_s)

    @web.middleware
    async def _answer(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Check a request, answer it, and count it."""
        begun_s = time.perf_counter()
        response: web.StreamResponse
        try:
            allowed = self._access.preflight(request)
            if allowed is None:
                self._access.check(request)
            response = allowed or await handler(request)
        except web.HTTPException as error:  # of the router
            allow = error.headers.get("Allow")
            problem = ProblemError(error.status, _route_detail(request, error), {"Allow": allow} if allow else None)
            response = _problem_response(problem)
        except ConnectionError:  # the client is gone
            raise
        except Exception as error:  # noqa: BLE001 - each is answered, and those that should not happen are logged
            response = _problem_response(problem_of(error))
        self._connections.extend(request.transport, self._connections.limits.answer_within_s)
        resource = request.match_info.route.resource
        path = "other" if resource is None else resource.canonical
        self._metrics.count_request(path, response.status, time.perf_counter() - begun_s)
        return response

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Answer `Expect: 100-continue`: a request that will be refused need not send its body."""
        if request.headers.get("Expect", "").casefold() != "100-continue":
            return _problem_response(ProblemError(417, "Expect: expected 100-continue, found something else"))
        try:
            self._access.check(request)
            self._check_before_body(request)
        except ProblemError as error:
            self._metrics.count_request("/v1/segment", error.status, 0.0)
            return _problem_response(error)
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # that was no part of the answer
        return None

    def _check_before_body(self, request: web.Request) -> Pipeline:
        """Check what the headers say.

        Raises:
            ProblemError: There is a query, the models are not open, the body is of another type or too large, or the
                queue is full.
        """
        if request.query_string:
            raise RequestSchemaError("query", "no query, since fields are in the body", brief(request.query_string, 40))
        pipeline = self._pipeline()
        if self._is_closed or pipeline is None:
            found = "the server ends" if self._is_closed else "the models are being opened"
            raise BusyError(503, found, _OPENING_RETRY_S)
        if request.content_type not in (JSON_TYPE, FORM_TYPE):
            found = request.content_type[:80]
            raise ProblemError(415, f"Content-Type: expected {FORM_TYPE} or {JSON_TYPE}, found {found}")
        if (encoding := request.headers.get("Content-Encoding", "identity").casefold()) != "identity":
            raise ProblemError(415, f"Content-Encoding: expected none, found {encoding[:80]}")
        if (request.content_length or 0) > self._limits.body_bytes:
            raise self._bodies.too_large()
        self._workers.check_room()
        return pipeline

    async def _segment(self, request: web.Request) -> web.Response:
        pipeline = self._check_before_body(request)
        content = await self._bodies.read(request, lambda s: self._connections.extend(request.transport, s + 5))
        try:
            self._connections.extend(request.transport, math.inf)
            self._workers.check_room()  # again, since the body may have taken a while
            body = Body(content, request.content_type, request.headers["Content-Type"], request.headers.get("Accept"))
            answer = await self._workers.answer(pipeline, body, self._fields)
        finally:
            self._bodies.release(len(content))
        self._metrics.count_image(answer.segments, answer.ms)
        timing = ", ".join(f"{stage};dur={ms:.1f}" for stage, ms in answer.ms.items())
        return web.Response(body=answer.body, content_type=answer.media_type, headers={"Server-Timing": timing})

    async def _model(self, _request: web.Request) -> web.Response:
        if (pipeline := self._pipeline()) is None:
            raise BusyError(503, "the models are being opened", _OPENING_RETRY_S)
        session = pipeline.segmenter.session
        limits = self._limits
        record: dict[str, Any] = {
            "name": session.spec.name,
            "family": session.spec.family,
            "class_names": list(session.spec.class_names),
            "backend": session.backend,
            "device": session.device,
            "precision": session.precision,
            "limits": {
                "body_bytes": limits.body_bytes,
                "pixels": limits.pixels,
                "queue": limits.queue,
                "timeout_s": limits.timeout_s,
            },
        }
        return web.json_response(record)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        if self._is_closed or self._pipeline() is None:
            raise BusyError(503, "the models are being opened, or the server ends", _OPENING_RETRY_S)
        return web.Response(text="ok\n")

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text().encode(), headers={"Content-Type": METRICS_TYPE})

    async def _openapi(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._document, content_type=JSON_TYPE)


def _problem_response(problem: ProblemError) -> web.Response:
    return web.Response(body=problem.body(), status=problem.status, content_type=PROBLEM_TYPE, headers=problem.headers)


def _route_detail(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 405:
        return f"expected {error.headers.get('Allow', 'another method')}, found {request.method[:20]}"
    return f"{error.reason}: {request.path[:80]}"

"""Workers: the threads that segment and encode, and the queue before them."""

from __future__ import annotations

import asyncio
import math
import time

from fastsam_trt.pipeline import Pipeline
from fastsam_trt.serve.answer import Answer, make_answer
from fastsam_trt.serve.limits import Limits
from fastsam_trt.serve.problem import BusyError
from fastsam_trt.serve.request import Body
from fastsam_trt.serve.request_fields import RequestFields
from fastsam_trt.web.background_threads import BackgroundThreads

_SMOOTHING = 0.1


class Workers:
    """Makes answers on threads, in the order of the requests. Its methods are for the event loop's thread.

    Attributes:
        in_flight: Requests that wait or are worked on.
        waiting: Requests that wait, and those whose clients are gone that no worker has passed over yet.
    """

    def __init__(self, count: int, limits: Limits) -> None:
        """Create it; the threads start with the first request.

        Args:
            count: How many requests are worked on at a time.
            limits: How many may wait, and what one may take.
        """
        self.in_flight = 0
        self._count, self._limits = count, limits
        self._threads = BackgroundThreads("serve worker", count)
        self._usual_s = 0.1  # that a worker takes

    @property
    def waiting(self) -> int:
        """See the class."""
        return self._threads.waiting

    def check_room(self) -> None:
        """Check that one more request may wait.

        Raises:
            BusyError: The queue is full (429).
        """
        room = self._count + self._limits.queue
        if self.in_flight >= room or self.waiting >= room:
            found = f"expected at most {self._limits.queue} requests to wait, found as many"
            raise BusyError(429, found, self._retry_s())

    async def answer(self, pipeline: Pipeline, body: Body, fields: RequestFields) -> Answer:
        """Make the answer to a request. If the caller is cancelled before a worker begins, no worker does.

        Raises:
            BusyError: It takes too long (503).
            Exception: See `make_answer`.
        """
        received_s = time.perf_counter()
        self.in_flight += 1
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                answer = await self._threads.call(make_answer, pipeline, body, fields, self._limits, received_s)
        except TimeoutError as error:
            found = f"expected an answer within {self._limits.timeout_s:g} s, found that it takes longer"
            raise BusyError(503, found, self._retry_s()) from error
        finally:
            self.in_flight -= 1
        worked_s = time.perf_counter() - received_s - answer.ms["queue"] / 1e3
        self._usual_s += _SMOOTHING * (worked_s - self._usual_s)
        return answer

    def close(self, wait_s: float) -> None:
        """End the threads after their current calls, and wait up to `wait_s` seconds for them; for any thread."""
        self._threads.close(wait_s)

    def _retry_s(self) -> int:
        """When the requests that are in flight will usually have been answered."""
        return max(math.ceil(self.in_flight * self._usual_s / self._count), 1)

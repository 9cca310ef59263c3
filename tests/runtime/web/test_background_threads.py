"""BackgroundThreads: calls off the event loop, whose threads hold up nothing."""

from __future__ import annotations

import asyncio
import threading

import pytest

from fastsam_trt.web.background_threads import BackgroundThreads


def test_the_threads_of_a_server_do_not_keep_the_process_alive() -> None:
    called = threading.Event()

    async def call() -> bool:
        threads = BackgroundThreads("preview test")
        calling = asyncio.create_task(threads.call(called.wait, 20))
        (thread,) = threads._threads
        while thread.ident is None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.001)
        threads.close(0.01)
        calling.cancel()
        return thread.daemon and thread.is_alive()

    assert asyncio.run(call())
    called.set()


def test_several_calls_run_at_a_time() -> None:
    both = threading.Barrier(2)

    async def call() -> list[int]:
        threads = BackgroundThreads("web test", 2)
        try:
            return list(await asyncio.gather(*(threads.call(both.wait, 60) for _ in range(2))))
        finally:
            threads.close(60)

    assert sorted(asyncio.run(call())) == [0, 1]
    assert not [thread for thread in threading.enumerate() if thread.name == "web test"]


def test_a_call_whose_caller_is_gone_is_left_out() -> None:
    go_on, called = threading.Event(), []

    async def call() -> None:
        threads = BackgroundThreads("web test")
        first = asyncio.create_task(threads.call(go_on.wait, 60))
        await asyncio.sleep(0)
        second = asyncio.create_task(threads.call(called.append, 2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        go_on.set()
        await first
        await threads.call(called.append, 3)
        threads.close(60)

    asyncio.run(call())
    assert called == [3]


def test_an_error_of_a_call_reaches_its_caller() -> None:
    async def call() -> None:
        threads = BackgroundThreads("web test")
        try:
            with pytest.raises(ZeroDivisionError):
                await threads.call(lambda: 1 // 0)
            assert await threads.call(lambda: 7) == 7
        finally:
            threads.close(60)

    asyncio.run(call())

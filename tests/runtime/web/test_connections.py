"""Connections: how many there may be, in all and of one host."""

from __future__ import annotations

import asyncio
import socket

import pytest

from fastsam_trt.web.connections import ConnectionLimits, Connections


def test_other_machines_have_a_limit_per_host() -> None:
    async def connect() -> tuple[int, int]:
        limited = Connections(ConnectionLimits(per_host=4), "the preview")
        with socket.create_server(("127.0.0.1", 0)) as listening:
            accepting = asyncio.create_task(limited.accept(listening, asyncio.Protocol))
            clients = [socket.create_connection(listening.getsockname()) for _ in range(4)]
            while len(limited) < 4:  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.001)
            for each in limited._open.values():
                each.host = "192.0.2.7"
            assert limited._make_room("192.0.2.7")
            await asyncio.sleep(0.01)
            of_host = len(limited)
            assert limited._make_room("192.0.2.8")
            assert limited._make_room("::ffff:127.0.0.1")
            await asyncio.sleep(0.01)
            accepting.cancel()
            for end in (*clients, *(each.socket for each in limited._open.values())):
                end.close()
            return of_host, len(limited)

    assert asyncio.run(connect())[0] == 3  # the oldest one was ended


def test_few_descriptors_allow_few_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (40, 40))
    assert Connections(ConnectionLimits(), "the preview")._most == 10
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert Connections(ConnectionLimits(), "the preview")._most == ConnectionLimits().most

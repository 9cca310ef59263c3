"""OriginGuard: which hosts and origins name the server."""

from __future__ import annotations

import socket

from fastsam_trt.web.address import Address
from fastsam_trt.web.origin_guard import OriginGuard


def test_host_names_of_a_server_for_other_machines() -> None:
    everywhere, one = OriginGuard(Address("0.0.0.0", 80)), OriginGuard(Address("robot.lan", 80))
    for guard in (everywhere, one):
        assert guard.accepts_host("192.168.1.5:80")
        assert guard.accepts_host("[fe80::1]")
        assert guard.accepts_host("localhost")
        assert not guard.accepts_host("evil.example")
    assert everywhere.accepts_host(f"{socket.gethostname()}:80")
    assert one.accepts_host("ROBOT.lan:80")
    assert not one.accepts_host("robot.lan.evil.example")


def test_more_names_of_a_server() -> None:
    guard = OriginGuard(Address("127.0.0.1", 80), ("Segmenter",))
    assert guard.accepts_host("segmenter:8000")
    assert not guard.accepts_host("segmenter.evil.example")
    assert not OriginGuard(Address("127.0.0.1", 80)).accepts_host("segmenter")

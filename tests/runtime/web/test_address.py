"""Addresses: which texts are one, and who can reach it."""

from __future__ import annotations

import pytest

from fastsam_trt.errors import OptionError
from fastsam_trt.web.address import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", Address("127.0.0.1", 8080)),
        (":8080", Address("127.0.0.1", 8080)),
        (" localhost:0 ", Address("localhost", 0)),
        ("0.0.0.0:80", Address("0.0.0.0", 80)),
        ("[::1]:8080", Address("::1", 8080)),
        ("robot.local:65535", Address("robot.local", 65535)),
    ],
)
def test_addresses_are_parsed(text: str, address: Address) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "host:", ":", "65536", "::1:80", "[::1]", "[x]:80", "http://a:80", "a b:80", "-1", "1.5", "٣"],
)
def test_invalid_addresses_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="HOST:PORT or PORT"):
        parse_address(text)


@pytest.mark.parametrize(
    ("host", "loopback", "url"),
    [
        ("127.0.0.1", True, "http://127.0.0.1:80/"),
        ("127.9.9.9", True, "http://127.9.9.9:80/"),
        ("LocalHost", True, "http://LocalHost:80/"),
        ("::1", True, "http://[::1]:80/"),
        ("0.0.0.0", False, "http://127.0.0.1:80/"),
        ("::", False, "http://[::1]:80/"),
        ("192.168.1.5", False, "http://192.168.1.5:80/"),
        ("localhost.evil.example", False, "http://localhost.evil.example:80/"),
    ],
)
def test_loopback_addresses_and_urls(host: str, loopback: bool, url: str) -> None:
    assert Address(host, 80).is_loopback is loopback
    assert Address(host, 80).url == url

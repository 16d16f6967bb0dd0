"""`piebridge gateway run`: what its options about Redis and workers accept."""

import asyncio
from pathlib import Path

import pytest

from piebridge.cli import gateway
from piebridge.crypto.errors import ConfigurationError
from piebridge.gateway.config import BrokerConfig


def test_without_a_broker_one_process_does_all() -> None:
    assert gateway._broker(None, 1, None) is None


def test_workers_without_a_broker_are_refused_with_the_option_that_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="--broker"):
        gateway._broker(None, 2, None)


def test_a_password_on_the_command_line_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="--broker-password-file"):
        gateway._broker("redis://:secret@127.0.0.1:6379/0", 1, None)


def test_the_password_comes_from_its_file_whatever_characters_it_has(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("p@ss/word:1\n")
    file.chmod(0o600)
    settings = gateway._broker("redis://user@127.0.0.1:6379/3", 2, file)
    assert settings == BrokerConfig("redis://user:p%40ss%2Fword%3A1@127.0.0.1:6379/3", 2)


@pytest.mark.parametrize("url", ["127.0.0.1:6379", "http://127.0.0.1", "redis://"])
def test_an_address_that_is_none_of_redis_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://"):
        gateway._broker(url, 1, None)


def test_a_gateway_that_waits_for_chains_does_not_say_that_it_carries() -> None:
    assert gateway.announcement("gateway-1", 1, ()) == "gateway gateway-1 carries packets of domain 1"
    waiting = gateway.announcement("gateway-1", 1, ("relay-1", "redis://127.0.0.1:6399/0"))
    assert "carries" not in waiting
    assert waiting.endswith("waits for an answer of relay-1, redis://127.0.0.1:6399/0")


async def test_a_redis_that_takes_no_connections_is_noticed_at_once() -> None:
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    assert await gateway._answers(f"redis://127.0.0.1:{port}/0")
    server.close()
    await server.wait_closed()
    assert not await gateway._answers(f"redis://127.0.0.1:{port}/0")


def test_the_password_of_a_redis_is_not_shown() -> None:
    assert gateway._without_password("redis://user:secret@127.0.0.1:6379/3") == "redis://127.0.0.1:6379/3"

"""`piebridge gateway run`: what its options about Redis and workers accept."""

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

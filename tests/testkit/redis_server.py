"""A real redis-server for tests, with everything that can happen to one."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from piebridge.cli.local_network.redis_server import find_redis_server, redis_command
from piebridge.crypto.errors import ConfigurationError

_START_SECONDS = 15.0


def program() -> str:
    """Path of redis-server. Without one a test is skipped on a person's machine, and fails with CI=true."""
    try:
        return find_redis_server()
    except ConfigurationError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(str(error))
        pytest.skip(str(error))


class RedisServer:
    """One redis-server on loopback. It saves to disk only when told to."""

    def __init__(self, directory: Path, port: int | None = None) -> None:
        """Use a folder, and a port that is free now."""
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it on what is on disk, and wait until it answers."""
        with (self._directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                redis_command(program(), self.port, self._directory), stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except redis.RedisError:
                assert time.monotonic() < deadline, "redis-server does not answer"
                assert self._process.poll() is None, (self._directory / "redis.log").read_text()
                time.sleep(0.05)

    def client(self) -> redis.Redis:
        """A client for tests."""
        return redis.Redis.from_url(self.url, socket_timeout=5, socket_connect_timeout=1)

    def kill(self) -> None:
        """SIGKILL: what is not on disk is lost."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
        if self._process is not None:
            self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Let it hang: connections stay open and nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def flush(self) -> None:
        """FLUSHALL."""
        with self.client() as client:
            client.flushall()

    def dump(self, to: Path) -> None:
        """Save everything, and put the file by."""
        with self.client() as client:
            client.save()
        shutil.copy(self._dump_file, to)

    def restore(self, dump: Path) -> None:
        """Kill it and start it on an old dump."""
        self.kill()
        shutil.copy(dump, self._dump_file)
        self.start()
        self._dump_file.unlink()

    @property
    def _dump_file(self) -> Path:
        return self._directory / "dump.rdb"


def free_port() -> int:
    """A port below 32768 that nobody listens on now."""
    while True:
        port = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000
        with contextlib.suppress(OSError), socket.socket() as candidate:
            candidate.bind(("127.0.0.1", port))
            return port


@contextlib.contextmanager
def redis_server(directory: Path) -> Iterator[RedisServer]:
    """A Redis that runs."""
    server = RedisServer(directory)
    server.start()
    try:
        yield server
    finally:
        server.kill()

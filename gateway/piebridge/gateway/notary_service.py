"""The notary as a program: its HTTP interface (formats.md, section 9), health and metrics."""

import asyncio
import logging
from typing import Any

import orjson
from aiohttp import web

from piebridge.chains.evm import EvmEndpoint
from piebridge.crypto.errors import ConfigurationError, TransientChainError
from piebridge.gateway.config import NotaryChainConfig, NotaryConfig
from piebridge.gateway.evidence import EvidenceLog
from piebridge.gateway.notary import Notary, NotaryRefusal, ReadChain, RefusalCode, SignedStatement
from piebridge.gateway.telemetry import Counters

_LOG = logging.getLogger(__name__)

_REQUEST_BYTES_MAX = 8_192
_HTTP_STATUS = {RefusalCode.BAD_REQUEST: 400, RefusalCode.UNKNOWN_CHAIN: 404}
_FIELDS = {"domain", "registration", "hub", "block_number", "slots"}


class NotaryService:
    """A notary with its HTTP service, ready to :meth:`start`."""

    def __init__(self, config: NotaryConfig) -> None:
        """Put the parts together.

        Raises:
            ConfigurationError: the evidence log is damaged, or a chain has fewer than two nodes.
        """
        self._config = config
        self.counters = Counters()
        self._evidence = EvidenceLog(config.data_directory / "evidence.sqlite3")
        self._chains = [_read_chain(config, chain) for chain in config.chains]
        self.notary = Notary(config, self._chains, self._evidence, self.counters)
        self._runner = web.AppRunner(
            notary_application(self.notary, self.counters), access_log=None, shutdown_timeout=1.0
        )
        self._stopped = asyncio.Event()
        self.url = ""
        """Address of the service, once started."""

    async def start(self) -> None:
        """Check the nodes and begin to answer.

        Raises:
            ConfigurationError: a node is of another chain than configured.
            OSError: the port is not free.
        """
        for chain in self._chains:
            for endpoint in chain.endpoints:
                try:
                    await endpoint.check()
                except TransientChainError as error:
                    _LOG.warning("not reachable yet: %s", error)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._config.host, self._config.port).start()
        self.url = f"http://{self._config.host}:{self._runner.addresses[0][1]}"

    async def wait(self) -> None:
        """Wait until the notary is stopped."""
        await self._stopped.wait()

    async def stop(self) -> None:
        """Stop answering and close everything."""
        await self._runner.cleanup()
        for chain in self._chains:
            for endpoint in chain.endpoints:
                await endpoint.close()
        self._evidence.close()
        self._stopped.set()


def notary_application(notary: Notary, counters: Counters) -> web.Application:
    """Return the HTTP application: ``POST /v1/statement``, ``GET /health``, ``GET /metrics``."""

    async def statement(request: web.Request) -> web.Response:
        try:
            signed = await notary.statement(**_arguments(await request.read()))
        except NotaryRefusal as refusal:
            counters.add("statements_refused", code=refusal.code)
            body = {"error": {"code": str(refusal.code), "message": str(refusal)}}
            return web.json_response(body, status=_HTTP_STATUS.get(refusal.code, 503))
        return web.json_response(_answer(signed))

    async def health(request: web.Request) -> web.Response:
        stopped = notary.stopped
        report = {
            "healthy": not stopped,
            "address": "0x" + notary.address.hex(),
            "stopped": {str(number): reason for number, reason in stopped.items()},
        }
        return web.json_response(report, status=503 if stopped else 200)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(text=counters.exposition(), content_type="text/plain")

    application = web.Application(client_max_size=_REQUEST_BYTES_MAX)
    application.router.add_post("/v1/statement", statement)
    application.router.add_get("/health", health)
    application.router.add_get("/metrics", metrics)
    return application


def _arguments(content: bytes) -> dict[str, Any]:
    """Read a request; exactly its five fields, nothing else.

    Raises:
        NotaryRefusal: ``bad_request``.
    """
    try:
        request = orjson.loads(content)
        if not isinstance(request, dict) or set(request) != _FIELDS:
            raise ValueError(f"the request must have exactly {', '.join(sorted(_FIELDS))}")
        return {
            "domain": _number(request["domain"], 32),
            "registration": _number(request["registration"], 32),
            "hub": _octets(request["hub"], 20),
            "block_number": _number(request["block_number"], 64),
            "slots": [_octets(slot, 32) for slot in request["slots"]],
        }
    except (ValueError, TypeError) as error:
        raise NotaryRefusal(RefusalCode.BAD_REQUEST, str(error)) from error


def _number(value: object, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        raise ValueError(f"{value!r} is not an unsigned number of {bits} bits")
    return value


def _octets(value: object, length: int) -> bytes:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not hexadecimal")
    data = bytes.fromhex(value.removeprefix("0x"))
    if len(data) != length:
        raise ValueError(f"{value!r} has {len(data)} bytes, not {length}")
    return data


def _answer(signed: SignedStatement) -> dict[str, Any]:
    statement = signed.statement
    return {
        "epoch": signed.epoch,
        "index": signed.index,
        "address": "0x" + signed.address.hex(),
        "block_hash": statement.block_hash.hex(),
        "block_time": statement.block_time,
        "values": [item.value.hex() for item in statement.slots],
        "signature": signed.signature.hex(),
    }


def _read_chain(config: NotaryConfig, chain: NotaryChainConfig) -> ReadChain:
    if len(chain.rpc_urls) < 2:
        raise ConfigurationError(f"registration {chain.registration}: a notary needs at least two nodes")
    endpoints = tuple(
        EvmEndpoint(
            name=f"registration {chain.registration}, node {position}",
            rpc_url=url,
            hub_address=chain.hub_address,
            evm_chain_id=chain.evm_chain_id,
            timeout_seconds=config.endpoint_timeout_seconds,
        )
        for position, url in enumerate(chain.rpc_urls)
    )
    return ReadChain(chain, endpoints)

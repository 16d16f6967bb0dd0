"""What a worker is told at its start: one JSON line over a pipe, so that it stands in no command line or environment.

It holds addresses, the address of the broker with its password, and the secret of the messages; no key of the gateway.
"""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from piebridge.crypto.errors import ConfigurationError
from piebridge.gateway.broker.messages import SECRET_LENGTH
from piebridge.gateway.broker.names import Names
from piebridge.gateway.config import BrokerConfig, ChainConfig, DomainConfig, NotaryAddress, RelayConfig


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker needs."""

    index: int
    """Number of the worker within its gateway, from 0."""
    names: Names
    """Keys in Redis."""
    secret: bytes = field(repr=False)
    """Key of the messages, 32 bytes."""
    broker: BrokerConfig
    """Redis."""
    domain: DomainConfig
    """Chains to read."""
    database: Path
    """The gateway's file, which is only read."""

    def encode(self) -> bytes:
        """Return the settings as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), default=_plain).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> "WorkerSettings":
        """Read :meth:`encode`.

        Raises:
            ConfigurationError: it is something else.
        """
        try:
            fields = json.loads(line)
            settings = cls(
                index=int(fields["index"]),
                names=Names(**fields["names"]),
                secret=bytes.fromhex(fields["secret"]),
                broker=BrokerConfig(**fields["broker"]),
                domain=_domain(fields["domain"]),
                database=Path(fields["database"]),
            )
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problem = f"a worker is started by its gateway, which tells it its settings: {error!r}"
            raise ConfigurationError(problem) from error
        if len(settings.secret) != SECRET_LENGTH:
            raise ConfigurationError(f"the secret of the messages must have {SECRET_LENGTH} bytes")
        return settings


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()
    assert isinstance(value, Path), f"settings hold no {type(value).__name__}"
    return str(value)


def _domain(fields: dict[str, Any]) -> DomainConfig:
    return DomainConfig(
        domain=int(fields["domain"]),
        chains=tuple(
            ChainConfig(
                **{
                    **chain,
                    "hub_address": bytes.fromhex(chain["hub_address"]),
                    "cometbft_rpc_urls": tuple(chain["cometbft_rpc_urls"]),
                }
            )
            for chain in fields["chains"]
        ),
        relays=tuple(
            RelayConfig(**{**relay, "validator_rpc_urls": tuple(relay["validator_rpc_urls"])})
            for relay in fields["relays"]
        ),
        notaries=tuple(NotaryAddress(item["url"], tuple(item["registrations"])) for item in fields["notaries"]),
        timeout_seconds=float(fields["timeout_seconds"]),
    )

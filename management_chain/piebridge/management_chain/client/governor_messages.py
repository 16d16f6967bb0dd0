"""Governor messages to the contracts of the management chain (``docs/protocol/management.md``, section 3)."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from piebridge.management_chain.chain.contracts import ContractName, ManagementContracts, number_of
from piebridge.protocol_stack.codec import address, bytes16, hash32, u8, u32, u64
from piebridge.protocol_stack.management.digests import governor_management_digest
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.signers import check_threshold_signature

VERSION: Final = 1
"""Version byte of the container (formats.md, section 10)."""
TARGET_MANAGEMENT: Final = 3
"""Kind of target in the container."""


class MarketOrder(IntEnum):
    """Kinds of messages to the NodeMarket."""

    NO_OP = 1
    ADMIT = 2
    SLASH = 3
    SUSPEND = 4
    DISBURSE = 5
    RESTORE = 6


class RegistryOrder(IntEnum):
    """Kinds of messages to the DomainRegistry."""

    NO_OP = 1
    EXECUTED = 2
    REFUSE = 3
    RELAY_STATE = 4
    CLOSE_REGISTRATION = 5
    SET_REPRESENTATIVE = 6


@dataclass(frozen=True, slots=True)
class ManagementMessage:
    """What the governors order a contract of the management chain to do."""

    name: ContractName
    """The contract."""
    domain: int
    """The domain concerned, or 0."""
    key_epoch: int
    """Current epoch of the governor key."""
    kind: int
    """What is ordered."""
    counter: int
    """Last counter of (contract, domain) + 1."""
    body: bytes
    """Encoded content."""

    def digest(self, contracts: ManagementContracts) -> bytes:
        """Return what the governors sign, 32 bytes."""
        return governor_management_digest(
            contracts.place(self.name),
            number_of(self.name),
            self.domain,
            self.key_epoch,
            self.kind,
            self.counter,
            self.body,
        )

    def signed(self, contracts: ManagementContracts, sign: Callable[[bytes], bytes]) -> bytes:
        """Return the message with its signature: argument of ``governor``.

        Args:
            contracts: where they stand.
            sign: gives the FROST signature, 65 bytes, over a 32-byte digest.
        """
        return (
            u8(VERSION)
            + u8(TARGET_MANAGEMENT)
            + u32(self.domain)
            + u32(number_of(self.name))
            + u32(self.key_epoch)
            + u8(self.kind)
            + address(contracts.address(self.name))
            + u64(self.counter)
            + bytes16(self.body)
            + check_threshold_signature(sign(self.digest(contracts)))
        )


def admit_body(account: bytes) -> bytes:
    """Return the body of ADMIT: the account of a new operator."""
    return address(account)


def executed_body(request: DomainRequest) -> bytes:
    """Return the body of EXECUTED: the request that was carried out, whole, as the registry keeps only its hash."""
    return request.encode()


def refuse_body(request_id: bytes) -> bytes:
    """Return the body of REFUSE: the id of the request that is dropped."""
    return hash32(request_id)

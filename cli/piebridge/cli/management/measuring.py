"""What a machine can do as one validator: the relay application alone, fed with packets of two made-up parachains.

Everything that a relay chain checks is real: signatures of gateways and notaries, hash chains, packets, its own state.
The parachains are verified by notaries, so no EVM and no tries have to be made up; making the work is not in the time.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from piebridge.abci.messages import (
    CODE_OK,
    CheckTxKind,
    ConsensusParams,
    FinalizeBlockRequest,
    InitChainRequest,
    ProcessProposalRequest,
    QueryRequest,
    ValidatorUpdate,
)
from piebridge.cometbft.keys import SECP256K1_ETH
from piebridge.crypto.errors import PermanentChainError
from piebridge.crypto.hash import keccak256
from piebridge.crypto.quorum import select_quorum
from piebridge.crypto.signature import (
    address_of_private_key,
    public_key_of,
    sign_recoverable,
)
from piebridge.protocol_stack.authentication import NotaryAuthentication
from piebridge.protocol_stack.codec import U32_MAX
from piebridge.protocol_stack.commitment import chain_slot
from piebridge.protocol_stack.governor_relay_bodies import (
    ClientKind,
    GatewayQuota,
    Gateways,
    Parameters,
    RegisterChain,
    ValidatorKeys,
    ValidatorSet,
)
from piebridge.protocol_stack.header import (
    MAX_BODY_DEFAULT,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement, SlotValue
from piebridge.protocol_stack.packet import Packet
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import HubRange, make_transaction
from piebridge.protocol_stack.relay_queries import RegistrationQuery
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transport.outbox import Maker, OutboxHead, OutboxRange, PacketEntry, open_hub_outbox
from piebridge.protocol_stack.verification.base import Method

if TYPE_CHECKING:
    from piebridge.relay.app.application import RelayApplication

PACKETS_PER_BATCH: Final = 100
"""Packets under one authenticated value."""
_NOTARIES = 4
_THRESHOLD = 3
_VALIDATORS = 4
_BODY_BYTES = 96
_DOMAIN, _RELAY = 1, 1
_SOURCES = (1, 2)
_START_SECONDS = 1_700_000_000
_NANOSECONDS = 1_000_000_000
_EXPIRY_SECONDS = 3_600
_HANDLER_GAS = 100_000
_BASIC_TRANSPORT = 1


@dataclass(frozen=True, slots=True)
class Measured:
    """What a machine did."""

    packets_per_second: int
    """Packets that it verified in a second, rounded down."""
    packets: int
    """All of them."""
    seconds: float
    """Time that the relay application took for them."""
    packets_per_batch: int
    """Packets under one authenticated value."""
    notaries: int
    """Signatures under each."""


def measure(seconds: float) -> Measured:
    """Verify packets for some seconds.

    Args:
        seconds: time of the relay application; making the work takes about as long again.

    Raises:
        PermanentChainError: the relay application refuses what it should take: this installation is broken.
    """
    from piebridge.relay.app.application import RelayApplication
    from piebridge.relay.app.state import MemoryBackend

    work = _Work()
    application = RelayApplication(MemoryBackend())
    genesis, time_ns = work.genesis(), _START_SECONDS * _NANOSECONDS
    members = tuple(ValidatorUpdate(SECP256K1_ETH, item.consensus_key, 1) for item in genesis.validator_set.validators)
    application.init_chain(
        InitChainRequest(time_ns, genesis.chain_id, ConsensusParams(), members, genesis.app_state_bytes(), 1)
    )
    _execute(application, (), 1, time_ns)
    spent, packets, height = 0.0, 0, 1
    while spent < seconds:
        height += 1
        time_ns += _NANOSECONDS
        transactions = work.block(height)
        began = time.perf_counter()
        for transaction in transactions:
            if (answer := application.check_tx(transaction, CheckTxKind.NEW)).code != CODE_OK:
                raise PermanentChainError(f"the relay application refuses a valid batch: {answer.log}")
        # As from a socket: other objects than CheckTx saw, so nothing is found again by identity.
        arrived = tuple(bytes(bytearray(transaction)) for transaction in transactions)
        if not application.process_proposal(ProcessProposalRequest(arrived, b"", height, time_ns, b"")):
            raise PermanentChainError("the relay application refuses a valid proposal")
        _execute(application, arrived, height, time_ns)
        spent += time.perf_counter() - began
        packets += PACKETS_PER_BATCH * len(transactions)
    _check_endorsable(application, packets)
    return Measured(int(packets / spent), packets, spent, PACKETS_PER_BATCH, _THRESHOLD)


def _execute(application: "RelayApplication", transactions: tuple[bytes, ...], height: int, time_ns: int) -> None:
    response = application.finalize_block(FinalizeBlockRequest(transactions, b"", height, time_ns, b"", b""))
    for result in response.tx_results:
        if result.code != CODE_OK:
            raise PermanentChainError(f"the relay application refuses a valid batch: {result.log}")
    application.commit()


def _check_endorsable(application: "RelayApplication", packets: int) -> None:
    """Check that every packet stands in an outbox of the relay chain: one that was skipped was not verified."""
    heads = [
        OutboxHead.decode(
            application.query(
                QueryRequest(RegistrationQuery.OUTBOX_HEAD_PATH, RegistrationQuery(source).encode())
            ).value
        )
        for source in _SOURCES
    ]
    if (recorded := sum(head.number for head in heads)) != packets:
        raise PermanentChainError(f"the relay application has recorded {recorded} of {packets} packets")


class _Work:
    """Blocks of batches, one from each source to the other."""

    def __init__(self) -> None:
        self._gateway = _key("gateway")
        self._notaries = [_key(f"notary {index}") for index in range(_NOTARIES)]
        self._set = NotarySet(1, _THRESHOLD, tuple(address_of_private_key(key) for key in self._notaries))
        self._sent = dict.fromkeys(_SOURCES, 0)
        self._heads = {source: open_hub_outbox(source, _hub(source), _DOMAIN, 0) for source in _SOURCES}

    def genesis(self) -> RelayGenesis:
        """Return what the relay chain starts with."""
        keys = tuple(
            ValidatorKeys(
                public_key_of(_key(f"consensus {index}")),
                address_of_private_key(_key(f"endorsement {index}")),
            )
            for index in range(_VALIDATORS)
        )
        chains = tuple(
            RegisterChain(
                source, _hub(source), source, ClientKind.NONE, Method.NOTARY, 1, 1, _HANDLER_GAS, None, self._set
            )
            for source in _SOURCES
        )
        gateways = Gateways((GatewayQuota(address_of_private_key(self._gateway), U32_MAX),))
        return RelayGenesis(
            domain=_DOMAIN,
            relay=_RELAY,
            dev=False,
            governor_key=public_key_of(_key("governor")),
            parameters=Parameters(MAX_BODY_DEFAULT, _EXPIRY_SECONDS, 0),
            validator_set=ValidatorSet(1, _VALIDATORS * 2 // 3 + 1, keys),
            chains=chains,
            gateways=gateways,
        )

    def block(self, height: int) -> list[bytes]:
        """Return the transactions of a block."""
        return [
            make_transaction(
                self._batch(source, height),
                _DOMAIN,
                _RELAY,
                height + 100,
                height * len(_SOURCES) + source,
                lambda digest: sign_recoverable(digest, self._gateway),
            ).encode()
            for source in _SOURCES
        ]

    def _batch(self, source: int, height: int) -> HubRange:
        other = next(item for item in _SOURCES if item != source)
        first = self._sent[source] + 1
        entries = tuple(
            PacketEntry(height, self._packet(source, other, first + index)) for index in range(PACKETS_PER_BATCH)
        )
        carried = OutboxRange(Maker(source), first, self._heads[source], entries)
        head = carried.fold()
        self._sent[source], self._heads[source] = head.number, head.value
        slot = SlotValue(chain_slot(_DOMAIN, 0), head.value)
        block_hash = keccak256(b"block" + height.to_bytes(8, "big") + source.to_bytes(8, "big"))
        statement = NotaryStatement(_hub(source), height, block_hash, _START_SECONDS + height, (slot,))
        digest = statement.digest(_DOMAIN, source, self._set.epoch)
        signatures = {address_of_private_key(key): sign_recoverable(digest, key) for key in self._notaries[:_THRESHOLD]}
        authentication = NotaryAuthentication(self._set, select_quorum(self._set.signers, signatures), statement)
        return HubRange(source, 0, authentication, carried)

    def _packet(self, source: int, destination: int, sequence: int) -> Packet:
        transport = TransportHeader(_BASIC_TRANSPORT, 0, _DOMAIN, source, destination, 0, 0, sequence=sequence)
        transaction = TransactionHeader(
            FORWARD, execution_expiry=_START_SECONDS + _EXPIRY_SECONDS, handler_gas=_HANDLER_GAS
        )
        header = Header(
            transport, VerificationHeader(Method.NOTARY), transaction, ApplicationHeader(2, 1, body_length=_BODY_BYTES)
        )
        return Packet(header, sequence.to_bytes(_BODY_BYTES, "big"))


def _key(name: str) -> bytes:
    return keccak256(b"piebridge node measure: " + name.encode())


def _hub(source: int) -> bytes:
    return keccak256(b"piebridge node measure: hub" + source.to_bytes(4, "big"))[:20]

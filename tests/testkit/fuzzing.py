"""Every decoder of the protocol in one table, and the checks that hold for each of them.

Whatever the bytes: a decoder returns a value that encodes to these very bytes, or raises ``DecodingError``. Nothing
else, and never slowly. ``make test`` runs 20 000 inputs per decoder, the soak campaign as many as there is time for.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any

from piebridge.crypto.errors import DecodingError
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.application.record_notary import Notarisation, NotarisationResult
from piebridge.protocol_stack.application.token import TokenTransfer
from piebridge.protocol_stack.checkpoint import CometBftCheckpoint
from piebridge.protocol_stack.codec import decode_whole
from piebridge.protocol_stack.commit_proof import CommitProof
from piebridge.protocol_stack.endorsement import EndorsementAnswer, EndorsementSet, Envelope, SignedValue
from piebridge.protocol_stack.governor_hub_bodies import HubBody, decode_hub_body
from piebridge.protocol_stack.governor_messages import GovernorMessage
from piebridge.protocol_stack.governor_relay_bodies import RelayBody, decode_relay_body
from piebridge.protocol_stack.identifiers import Lane
from piebridge.protocol_stack.management.decision import Decision
from piebridge.protocol_stack.management.draw import decode_candidates, encode_candidates
from piebridge.protocol_stack.management.offer import NodeOffer
from piebridge.protocol_stack.management.parameters import DomainParameters
from piebridge.protocol_stack.management.request import DomainRequest
from piebridge.protocol_stack.notary_statement import NotarySet, NotaryStatement
from piebridge.protocol_stack.receipts import ReceiptBatch, ReceiptHome
from piebridge.protocol_stack.relay_genesis import RelayGenesis
from piebridge.protocol_stack.relay_messages import LightBlock, RelayTransaction
from piebridge.protocol_stack.relay_queries import (
    CursorQuery,
    EndorseQuery,
    OutboxEntriesQuery,
    ReceiptCodesQuery,
    RecordedQuery,
    RecordedWordsQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.report import Report
from piebridge.protocol_stack.routing import RoutingPolicy
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import RELAY_CHAIN, Maker, OutboxHead, OutboxRange
from piebridge.protocol_stack.verdicts import VerdictList
from testkit import management_samples
from testkit.samples import Samples

SLOW_SECONDS = 0.1
"""An input of a few kilobytes that takes longer than this is a way to stop a node."""
SLOW_REPEATS = 3
"""How often it must be that slow: once may be the machine's doing."""


@dataclass(frozen=True, slots=True)
class DecoderUnderTest:
    """One decoder, with its encoder and a source of values."""

    name: str
    """Lower case, words joined by hyphens."""
    sample: Callable[[Samples], Any]
    """Draws a well-formed value."""
    encode: Callable[[Any], bytes]
    """Returns its bytes."""
    decode: Callable[[bytes], Any]
    """Reads them back; raises ``DecodingError`` only."""


def _plain(name: str, sample: Callable[[Samples], Any], decode: Callable[[bytes], Any]) -> DecoderUnderTest:
    return DecoderUnderTest(name, sample, lambda value: bytes(value.encode()), decode)


def _tagged(kind_and_body: tuple[int, HubBody | RelayBody]) -> bytes:
    kind, body = kind_and_body
    return bytes([kind]) + body.encode()


def _decode_hub_body(data: bytes) -> tuple[int, HubBody]:
    kind = data[0] if data else 0
    return kind, decode_hub_body(kind, data[1:])


def _decode_relay_body(data: bytes) -> tuple[int, RelayBody]:
    kind = data[0] if data else 0
    return kind, decode_relay_body(kind, data[1:])


def _draw(bodies: list[Any], random: Random) -> tuple[int, Any]:
    body = random.choice(bodies)
    return body.KIND, body


def _decode_transaction(data: bytes) -> RelayTransaction:
    transaction = RelayTransaction.decode(data)
    body = transaction.decode_body()
    assert body.encode() == transaction.body
    return transaction


DECODERS: tuple[DecoderUnderTest, ...] = (
    _plain("lane", Samples.lane, Lane.decode),
    _plain("header", lambda samples: samples.header(samples.unsigned(32)), STACK.decode_header),
    _plain("packet", Samples.packet, STACK.receive),
    _plain("receipt-batch", Samples.receipt_batch, ReceiptBatch.decode),
    _plain("receipt-home", Samples.receipt_home, ReceiptHome.decode),
    _plain("verdict-list", Samples.verdict_list, VerdictList.decode),
    _plain("report", Samples.report, Report.decode),
    _plain(
        "range-of-hub",
        lambda samples: samples.outbox_range(Maker(5)),
        lambda data: OutboxRange.decode(data, Maker(5)),
    ),
    _plain(
        "range-of-relay-chain",
        lambda samples: samples.outbox_range(RELAY_CHAIN),
        lambda data: OutboxRange.decode(data, RELAY_CHAIN),
    ),
    _plain("outbox-head", Samples.head, OutboxHead.decode),
    _plain("endorsement-set", Samples.endorsement_set, EndorsementSet.decode),
    _plain("envelope", Samples.envelope, Envelope.decode),
    _plain("commit-proof", Samples.commit_proof, partial(decode_whole, CommitProof.read)),
    _plain("signed-value", Samples.signed_value, SignedValue.decode),
    _plain("endorsement-answer", Samples.endorsement_answer, EndorsementAnswer.decode),
    _plain("notary-set", Samples.notary_set, NotarySet.decode),
    _plain("notary-statement", Samples.notary_statement, NotaryStatement.decode),
    _plain("checkpoint", Samples.checkpoint, CometBftCheckpoint.decode),
    _plain("routing-policy", Samples.routing_policy, RoutingPolicy.decode),
    _plain("governor-message", Samples.governor_message, GovernorMessage.decode),
    DecoderUnderTest(
        "governor-body-to-hub",
        lambda samples: _draw(samples.hub_bodies(), samples.random),
        _tagged,
        _decode_hub_body,
    ),
    DecoderUnderTest(
        "governor-body-to-relay-chain",
        lambda samples: _draw(samples.relay_bodies(), samples.random),
        _tagged,
        _decode_relay_body,
    ),
    _plain("relay-transaction", Samples.relay_transaction, _decode_transaction),
    _plain("light-block", Samples.light_block, LightBlock.decode),
    DecoderUnderTest("genesis", Samples.genesis, RelayGenesis.app_state_bytes, RelayGenesis.parse),
    _plain("token-transfer", Samples.token_transfer, TokenTransfer.decode),
    _plain("notarisation", Samples.notarisation, Notarisation.decode),
    _plain("notarisation-result", Samples.notarisation_result, NotarisationResult.decode),
    _plain("interoperable-address", Samples.interoperable_address, InteroperableAddress.decode),
    _plain("door-message", Samples.door_message, DoorMessage.decode),
    _plain(
        "endorse-query",
        lambda samples: EndorseQuery(samples.unsigned(32, 1), samples.unsigned(64, 1)),
        EndorseQuery.decode,
    ),
    _plain("registration-query", lambda samples: RegistrationQuery(samples.unsigned(32, 1)), RegistrationQuery.decode),
    _plain(
        "outbox-entries-query",
        lambda samples: OutboxEntriesQuery(samples.unsigned(32, 1), samples.unsigned(64, 1), samples.unsigned(16, 1)),
        OutboxEntriesQuery.decode,
    ),
    _plain(
        "cursor-query",
        lambda samples: CursorQuery(samples.unsigned(32, 1), samples.unsigned(32)),
        CursorQuery.decode,
    ),
    _plain(
        "recorded-query",
        lambda samples: RecordedQuery(samples.lane(), samples.unsigned(64, 1)),
        RecordedQuery.decode,
    ),
    _plain(
        "recorded-words-query",
        lambda samples: RecordedWordsQuery(((samples.lane(), samples.unsigned(56)), (samples.lane(), 0))),
        RecordedWordsQuery.decode,
    ),
    _plain(
        "receipt-codes-query",
        lambda samples: ReceiptCodesQuery((samples.octets(32), samples.octets(32))),
        ReceiptCodesQuery.decode,
    ),
    _plain("domain-parameters", management_samples.parameters, DomainParameters.decode),
    _plain("domain-request", management_samples.request, DomainRequest.decode),
    _plain("node-offer", management_samples.offer, NodeOffer.decode),
    _plain("decision", management_samples.decision, Decision.decode),
    DecoderUnderTest("draw-candidates", management_samples.candidates, encode_candidates, decode_candidates),
)
"""All of them."""


def mutate(data: bytes, random: Random) -> bytes:
    """Return bytes that differ from ``data`` in one of the ways in which real bytes go wrong or are forged."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4))):
        place = random.randrange(len(changed)) if changed else 0
        match random.randrange(7):
            case 0 if changed:
                changed[place] ^= 1 << random.randrange(8)
            case 1 if changed:
                changed[place] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
            case 2:
                del changed[place:]
            case 3:
                changed += random.randbytes(random.randint(1, 40))
            case 4:
                changed[place:place] = random.randbytes(random.randint(1, 8))
            case 5:
                del changed[place : place + random.randint(1, 8)]
            case _:
                source = random.randrange(len(changed)) if changed else 0
                length = random.randint(1, 40)
                changed[place : place + length] = changed[source : source + length]
    return bytes(changed)


def fuzz(decoder: DecoderUnderTest, seed: int, inputs: int) -> Mapping[str, int]:
    """Try one decoder on random and on damaged bytes.

    Returns:
        How many inputs were tried, accepted and refused.

    Raises:
        AssertionError: an accepted input does not encode to itself, or an input is slow; the message has it in full.
        Exception: whatever else than ``DecodingError`` the decoder raises.
    """
    samples = Samples(seed)
    random = samples.random
    counts = {"inputs": 0, "accepted": 0, "refused": 0}
    pool = [decoder.encode(decoder.sample(samples)) for _ in range(min(40, 2 + inputs // 25))]
    for number in range(inputs):
        if number % 16 == 0:
            data = random.randbytes(random.choice((0, 1, 8, 40, 136, 200, 400)))
        elif number % 16 == 1:
            data = random.choice(pool)
        else:
            data = mutate(random.choice(pool), random)
        accepted = _try(decoder, data)
        counts["inputs"] += 1
        counts["accepted" if accepted else "refused"] += 1
    return counts


def _try(decoder: DecoderUnderTest, data: bytes) -> bool:
    for _ in range(SLOW_REPEATS):
        started = time.perf_counter()
        try:
            value = decoder.decode(data)
            accepted = True
        except DecodingError:
            accepted = False
        except Exception as error:
            error.add_note(f"decoder {decoder.name}, input {data.hex()}")
            raise
        if time.perf_counter() - started < SLOW_SECONDS:
            break
    else:
        raise AssertionError(f"decoder {decoder.name} takes more than {SLOW_SECONDS} s for {data.hex()}")
    if accepted:
        again = decoder.encode(value)
        assert again == data, f"decoder {decoder.name} accepts {data.hex()}, which encodes to {again.hex()}"
    return accepted

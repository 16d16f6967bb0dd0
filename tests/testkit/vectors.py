"""Makes the vectors of ``tests/vectors/``: one function a file, values from a fixed seed.

Python and Solidity read the same files. Every list stands beside its length (``<name>_count``), since Solidity's JSON
reader cannot ask for one. Bytes are ``0x`` and lower-case hexadecimal digits; numbers that may be above 2**53 are
decimal strings, since many JSON readers round them. ``tests/vectors/README.md`` describes each file.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from piebridge.crypto.quorum import Quorum
from piebridge.crypto.signature import GROUP_ORDER, sign_recoverable
from piebridge.protocol_stack import commitment
from piebridge.protocol_stack.application.door import DoorMessage, InteroperableAddress
from piebridge.protocol_stack.commit_proof import relay_chain_id
from piebridge.protocol_stack.endorsement import (
    EndorsementMethod,
    EndorsementSet,
    Envelope,
    SignedValue,
    encode_proof,
)
from piebridge.protocol_stack.errors import ErrorCode, FormatError
from piebridge.protocol_stack.governor_hub_bodies import decode_hub_body
from piebridge.protocol_stack.governor_messages import GovernorMessage, TargetKind
from piebridge.protocol_stack.governor_relay_bodies import decode_relay_body
from piebridge.protocol_stack.header import (
    FLAG_ORDERED,
    FLAG_RECEIPT_WANTED,
    FLAG_RETURN,
    KIND_REQUEST,
    ApplicationHeader,
    Header,
    TransactionHeader,
    TransportHeader,
    VerificationHeader,
)
from piebridge.protocol_stack.packet import Packet, packets_hash, transaction_id
from piebridge.protocol_stack.receipts import Receipt, ReceiptBatch, ReceiptCode
from piebridge.protocol_stack.relay_genesis import genesis_hash
from piebridge.protocol_stack.relay_messages import RelayTransaction
from piebridge.protocol_stack.routing import RoutingPolicy, free_candidates, routing_slot
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transaction.atp import ATP
from piebridge.protocol_stack.transaction.forward import FORWARD
from piebridge.protocol_stack.transaction.none import NONE
from piebridge.protocol_stack.transport.basic import BASIC
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Maker,
    OutboxRange,
    PacketEntry,
    open_hub_outbox,
    open_relay_outbox,
)
from piebridge.protocol_stack.transport.reliable import RELIABLE
from testkit import management_vectors
from testkit.commits import Committee, EndorsedState
from testkit.fuzzing import DECODERS
from testkit.hub_vectors import hub
from testkit.samples import GOVERNOR_SECRET, Samples, governor_key, governor_sign, key_address, private_key

Json = dict[str, Any]
HALF_ORDER = GROUP_ORDER // 2


def hexed(data: bytes) -> str:
    """Write bytes."""
    return "0x" + data.hex()


def listed(**lists: Sequence[Any]) -> Json:
    """Put lists into one object, each beside its length."""
    result: Json = {}
    for name, items in lists.items():
        result[f"{name}_count"] = len(items)
        result[name] = list(items)
    return result


def refused(
    name: str, data: bytes, decode: Callable[[bytes], object], code: ErrorCode | None = None, **more: object
) -> Json:
    """Describe bytes that a decoder must refuse; checks that ours does, and with ``code`` where one is given."""
    try:
        decode(data)
    except FormatError as error:
        found = error.code
    else:
        raise AssertionError(f"{name} is not refused: {data.hex()}")
    if code not in (None, found):
        raise AssertionError(f"{name} is refused as {found.name}, not as {code}")
    return {"name": name, "data": hexed(data), "code": int(found), "rule": found.name, **more}


def changed(data: bytes, offset: int, new: bytes) -> bytes:
    """Return ``data`` with ``new`` written over it at ``offset``."""
    return data[:offset] + new + data[offset + len(new) :]


# --- packets --------------------------------------------------------------------------------------------------------


def base_packet(protocol: int, *, ordered: bool = False, wanted: bool = True, body: bytes = b"body") -> Packet:
    """Return a packet that is easy to recognise in a dump."""
    request = protocol == ATP
    return Packet(
        Header(
            TransportHeader(
                RELIABLE if ordered else BASIC,
                FLAG_ORDERED * ordered | FLAG_RECEIPT_WANTED * wanted,
                1,
                11,
                22,
                5 if request else 0,
                3 if ordered else 0,
                7,
            ),
            VerificationHeader(1),
            TransactionHeader(
                protocol,
                KIND_REQUEST if request else 0,
                FLAG_RETURN if wanted else 0,
                0,
                1 if request else 0,
                11 if request else 0,
                9 if request else 0,
                1_900_000_600 if request else 0,
                1_900_000_000 if request or ordered else 0,
                100_000,
            ),
            ApplicationHeader(2, 1, len(body)),
        ),
        body,
    )


def packet_fields(packet: Packet) -> Json:
    """Return every field of a packet, flat."""
    transport, verification = packet.header.transport, packet.header.verification
    transaction, application = packet.header.transaction, packet.header.application
    return {
        "transport_protocol": transport.protocol,
        "transport_flags": transport.flags,
        "domain": transport.domain,
        "source": transport.source,
        "destination": transport.destination,
        "relay": transport.relay,
        "channel": transport.channel,
        "sequence": str(transport.sequence),
        "method": verification.method,
        "depth": verification.depth,
        "oldest_set_epoch": verification.oldest_set_epoch,
        "transaction_protocol": transaction.protocol,
        "kind": transaction.kind,
        "transaction_flags": transaction.flags,
        "participant_index": transaction.participant_index,
        "participant_count": transaction.participant_count,
        "origin": transaction.origin,
        "nonce": str(transaction.nonce),
        "deadline": transaction.deadline,
        "execution_expiry": transaction.execution_expiry,
        "handler_gas": transaction.handler_gas,
        "application": application.application,
        "function": application.function,
        "callback_function": application.callback_function,
        "compensation_function": application.compensation_function,
        "application_version": application.version,
        "codec": application.codec,
        "application_flags": application.flags,
        "body_length": application.body_length,
        "user_identity": hexed(application.user_identity),
    }


def _valid_packets() -> list[Json]:
    packets = {
        f"{name}, {'ordered' if ordered else 'unordered'}, {'with' if wanted else 'without'} receipt": base_packet(
            protocol, ordered=ordered, wanted=wanted
        )
        for name, protocol in (("none", NONE), ("forward", FORWARD), ("atp", ATP))
        for ordered in (False, True)
        for wanted in (False, True)
    }
    packets["empty body"] = base_packet(NONE, body=b"")
    packets["body of 8192 bytes"] = base_packet(NONE, body=bytes(range(256)) * 32)
    samples = Samples(100)
    for number in range(100):
        packets[f"random {number}"] = samples.packet()
    result = []
    for name, packet in packets.items():
        data = packet.encode()
        assert STACK.receive(data) == packet
        assert STACK.send(packet.header, packet.body) == data
        result.append(
            {
                "name": name,
                "packet": hexed(data),
                "header": hexed(data[:136]),
                "body": hexed(packet.body),
                "body_hash": hexed(packet.body_hash),
                "packet_id": hexed(packet.packet_id),
                "lane": hexed(packet.lane.encode()),
                **packet_fields(packet),
            }
        )
    return result


def _malformed_packets() -> list[Json]:
    plain, request = base_packet(NONE).encode(), base_packet(ATP).encode()
    ordered, forward = base_packet(NONE, ordered=True).encode(), base_packet(FORWARD).encode()
    unwanted = base_packet(ATP, wanted=False).encode()
    code = ErrorCode
    changes: list[tuple[str, bytes, int, str, ErrorCode]] = [
        ("version 0", plain, 0, "00", code.VERSION),
        ("version 2", plain, 0, "02", code.VERSION),
        ("transport protocol 0", plain, 1, "00", code.TRANSPORT_PROTOCOL),
        ("transport protocol 3", plain, 1, "03", code.TRANSPORT_PROTOCOL),
        ("basic with ORDERED", plain, 2, "03", code.TRANSPORT_ORDERED),
        ("reliable without ORDERED", ordered, 2, "02", code.TRANSPORT_ORDERED),
        *((f"transport flag {bit}", plain, 2, f"{2 | 1 << bit:02x}", code.TRANSPORT_FLAGS) for bit in range(2, 8)),
        ("header length 16", plain, 3, "10", code.TRANSPORT_HEADER_LENGTH),
        ("header length 21", plain, 3, "15", code.TRANSPORT_HEADER_LENGTH),
        ("domain 0", plain, 4, "00000000", code.TRANSPORT_DOMAIN),
        ("source 0", plain, 8, "00000000", code.TRANSPORT_SOURCE),
        ("destination 0", plain, 12, "00000000", code.TRANSPORT_DESTINATION),
        ("destination is the source", plain, 12, "0000000b", code.TRANSPORT_DESTINATION),
        ("NONE in a bound lane", plain, 16, "00000001", code.TRANSPORT_RELAY),
        ("FORWARD in a bound lane", forward, 16, "00000001", code.TRANSPORT_RELAY),
        ("ATP in a free lane", request, 16, "00000000", code.TRANSPORT_RELAY),
        ("reliable in the shared channel", ordered, 20, "00000000", code.TRANSPORT_CHANNEL),
        ("sequence 0", plain, 24, "0000000000000000", code.TRANSPORT_SEQUENCE),
        ("method 0", plain, 32, "00", code.VERIFICATION_METHOD),
        ("method 4", plain, 32, "04", code.VERIFICATION_METHOD),
        *(
            (f"verification reserved byte {place}", plain, place, "01", code.VERIFICATION_RESERVED)
            for place in range(36, 40)
        ),
        ("transaction protocol 1, BTP", request, 40, "01", code.TRANSACTION_PROTOCOL),
        ("transaction protocol 3, MTP", request, 40, "03", code.TRANSACTION_PROTOCOL),
        ("transaction protocol 5", plain, 40, "05", code.TRANSACTION_PROTOCOL),
        ("transaction reserved byte", plain, 41, "01", code.TRANSACTION_RESERVED),
        ("NONE as a REQUEST", plain, 42, "01", code.TRANSACTION_KIND),
        ("FORWARD as a REQUEST", forward, 42, "01", code.TRANSACTION_KIND),
        ("ATP as a plain packet", request, 42, "00", code.TRANSACTION_KIND),
        ("ATP as a CANCEL", request, 42, "02", code.TRANSACTION_KIND),
        *(
            (f"transaction flag {bit}", request, 43, f"{16 | 1 << bit:02x}", code.TRANSACTION_FLAGS)
            for bit in (0, 1, 2, 3, 5, 6, 7)
        ),
        ("RETURN without RECEIPT_WANTED", unwanted, 43, "10", code.TRANSACTION_RETURN),
        ("participant index in a plain packet", plain, 44, "01", code.TRANSACTION_PARTICIPANT),
        ("participant index in a REQUEST", request, 44, "01", code.TRANSACTION_PARTICIPANT),
        ("participant count in a plain packet", plain, 45, "01", code.TRANSACTION_PARTICIPANT),
        ("participant count 0 in a REQUEST", request, 45, "00", code.TRANSACTION_PARTICIPANT),
        ("participant count 2 in a REQUEST", request, 45, "02", code.TRANSACTION_PARTICIPANT),
        ("origin in a plain packet", plain, 46, "0000000b", code.TRANSACTION_ORIGIN),
        ("origin is not the source", request, 46, "0000000c", code.TRANSACTION_ORIGIN),
        ("origin 0 in a REQUEST", request, 46, "00000000", code.TRANSACTION_ORIGIN),
        ("nonce in a plain packet", plain, 50, "0000000000000001", code.TRANSACTION_NONCE),
        ("nonce 0 in a REQUEST", request, 50, "0000000000000000", code.TRANSACTION_NONCE),
        ("deadline in a plain packet", plain, 58, "0000000001", code.TRANSACTION_DEADLINE),
        ("deadline one second before the expiry", request, 58, "00713fb2ff", code.TRANSACTION_DEADLINE),
        ("no expiry in a REQUEST", request, 63, "0000000000", code.TRANSACTION_EXPIRY),
        ("no expiry in an ordered lane", ordered, 63, "0000000000", code.TRANSACTION_EXPIRY),
        ("application 0", plain, 72, "00000000", code.APPLICATION_ID),
        ("compensation function", plain, 84, "00000001", code.APPLICATION_COMPENSATION),
        ("codec 3", plain, 89, "03", code.APPLICATION_CODEC),
        ("body length one less", plain, 92, "00000003", code.APPLICATION_BODY_LENGTH),
        ("body length one more", plain, 92, "00000005", code.APPLICATION_BODY_LENGTH),
        *(
            (f"application reserved byte {place}", plain, place, "80", code.APPLICATION_RESERVED)
            for place in range(96, 104)
        ),
    ]
    result = [
        refused(name, changed(packet, offset, bytes.fromhex(new)), STACK.receive, expected)
        for name, packet, offset, new, expected in changes
    ]
    result += [
        refused(f"cut to {length} bytes", plain[:length], STACK.receive) for length in (0, 1, 31, 32, 40, 72, 135)
    ]
    result.append(refused("a byte more", plain + b"\x00", STACK.receive, code.APPLICATION_BODY_LENGTH))
    return result


def packets() -> Json:
    """Packets, and bytes that are none."""
    return listed(valid=_valid_packets(), refused=_malformed_packets(), bit_flips=_bit_flips())


def _bit_flips() -> list[Json]:
    """For headers of every kind: which of the headers that are one bit away the decoder accepts."""
    cases = []
    for name, protocol in (("none", NONE), ("forward", FORWARD), ("atp", ATP)):
        for ordered in (False, True):
            for wanted in (False, True):
                header = base_packet(protocol, ordered=ordered, wanted=wanted).header.encode()
                accepted = bytearray(len(header))
                for bit in range(8 * len(header)):
                    mask = 0x80 >> bit % 8
                    flipped = changed(header, bit // 8, bytes([header[bit // 8] ^ mask]))
                    try:
                        STACK.decode_header(flipped)
                    except FormatError:
                        continue
                    accepted[bit // 8] |= mask
                title = f"{name}, {'ordered' if ordered else 'unordered'}, {'with' if wanted else 'without'} receipt"
                cases.append({"name": title, "header": hexed(header), "accepted": hexed(bytes(accepted))})
    return cases


# --- outboxes and messages ------------------------------------------------------------------------------------------


def outboxes() -> Json:
    """Opening values, ranges with what they fold to, and bytes that are no ranges."""
    samples = Samples(200)
    open_hub, open_relay, ranges = [], [], []
    for _ in range(5):
        registration, hub, domain, relay = samples.unsigned(32, 1), samples.address(), samples.unsigned(32, 1), 0
        for bound_relay in (relay, samples.unsigned(32, 1)):
            value = open_hub_outbox(registration, hub, domain, bound_relay)
            open_hub.append(
                {
                    "registration": registration,
                    "hub": hexed(hub),
                    "domain": domain,
                    "relay": bound_relay,
                    "value": hexed(value),
                }
            )
        domain, relay, destination = (samples.unsigned(32, 1) for _ in range(3))
        value = open_relay_outbox(domain, relay, destination)
        open_relay.append({"domain": domain, "relay": relay, "destination": destination, "value": hexed(value)})
    for number in range(60):
        maker = RELAY_CHAIN if number % 2 else samples.hub_maker()
        ranges.append(_range_case(samples.outbox_range(maker, 12)))
    return {
        **listed(open_hub=open_hub, open_relay=open_relay, ranges=ranges),
        **listed(refused_from_hub=_refused_ranges(Maker(11)), refused_from_relay_chain=_refused_ranges(RELAY_CHAIN)),
    }


def _range_case(given: OutboxRange) -> Json:
    data = given.encode()
    head = given.fold()
    return {
        "registration": given.maker.registration or 0,
        "range": hexed(data),
        "first": str(given.first),
        "start": hexed(given.start),
        "last": str(head.number),
        "value": hexed(head.value),
        "entry_count": len(given.entries),
        "message_ids": [hexed(entry.message_id(given.maker)) for entry in given.entries],
        "heights": [str(entry.height) for entry in given.entries],
        "forms": [int(entry.FORM) for entry in given.entries],
    }


def _refused_ranges(maker: Maker) -> list[Json]:
    def decode(data: bytes) -> OutboxRange:
        return OutboxRange.decode(data, maker)

    start, identifier = b"\x11" * 32, b"\x22" * 32
    bare = OutboxRange(maker, 3, start, (BareEntry(5, identifier), BareEntry(5, identifier))).encode()
    packet = OutboxRange(maker, 3, start, (PacketEntry(5, base_packet(NONE)),)).encode()
    foreign = (3, 4) if maker == RELAY_CHAIN else (5, 6)
    code = ErrorCode
    cases = [
        refused("first is 0", changed(bare, 0, bytes(8)), decode, code.OUTBOX_NUMBER),
        refused("last number above 64 bits", changed(bare, 0, b"\xff" * 8), decode, code.OUTBOX_NUMBER),
        refused("start is zero", changed(bare, 8, bytes(32)), decode, code.OUTBOX_VALUE),
        refused("no entry", bare[:40] + bytes(2), decode, code.COUNT),
        refused("one entry too few", changed(bare, 40, b"\x00\x03"), decode, code.TRUNCATED),
        refused("one entry too many", changed(bare, 40, b"\x00\x01"), decode, code.TRAILING_BYTES),
        refused("a byte more", bare + b"\x00", decode, code.TRAILING_BYTES),
        refused("height falls", changed(bare, 42 + 41, (4).to_bytes(8, "big")), decode, code.OUTBOX_HEIGHT),
        refused("form 7", changed(bare, 50, b"\x07"), decode, code.OUTBOX_FORM),
        refused("form 255", changed(bare, 50, b"\xff"), decode, code.OUTBOX_FORM),
        refused("body runs past the end", changed(packet, 51 + 92, b"\x00\x00\x00\x05"), decode, code.TRUNCATED),
        refused("body of 4 GiB", changed(packet, 51 + 92, b"\xff\xff\xff\xff"), decode, code.TRUNCATED),
        refused("body ends early", changed(packet, 51 + 92, b"\x00\x00\x00\x03"), decode, code.TRAILING_BYTES),
    ]
    cases += [
        refused(f"form {form} of the other kind of chain", changed(bare, 50, bytes([form])), decode, code.OUTBOX_FORM)
        for form in foreign
    ]
    cases += [refused(f"cut to {n} bytes", bare[:n], decode) for n in (0, 8, 41, 42, 50, 51, 82, len(bare) - 1)]
    return cases


def messages() -> Json:
    """Receipts, verdicts and reports with their ids, and bytes that are none."""
    samples = Samples(300)
    receipts, homes, verdicts, reports = [], [], [], []
    for number in range(30):
        chain, batch = samples.unsigned(32, 1), samples.receipt_batch(1 + number)
        receipts.append(
            {
                "chain": chain,
                "endorsing_relay": batch.endorsing_relay,
                "data": hexed(batch.encode()),
                "message_id": hexed(batch.message_id(chain)),
                "receipt_count": len(batch.receipts),
            }
        )
        home = samples.receipt_home()
        homes.append(
            {
                "data": hexed(home.encode()),
                "packet_id": hexed(home.packet_id),
                "code": int(home.code),
                "returned": hexed(home.returned),
                "message_id": hexed(home.message_id),
            }
        )
        listing = samples.verdict_list(1 + number)
        verdicts.append(
            {
                "data": hexed(listing.encode()),
                "form": listing.items[0].FORM,
                "item_count": len(listing.items),
                "message_id": hexed(listing.message_id),
            }
        )
        report = samples.report()
        reports.append(
            {
                "data": hexed(report.encode()),
                "kind": int(report.kind),
                "relay": report.relay,
                "height": str(report.height),
                "last_nonce": str(report.last_nonce),
                "last_entry": str(report.last_entry),
                "message_id": hexed(report.message_id),
            }
        )
    return {
        **listed(receipts=receipts, receipts_home=homes, verdicts=verdicts, reports=reports),
        **_refused_messages(samples),
    }


def _refused_messages(samples: Samples) -> Json:
    decoders = {decoder.name: decoder for decoder in DECODERS}
    batch = ReceiptBatch(5, (Receipt(b"\x33" * 32, ReceiptCode.EXECUTED, b"\x44" * 45),)).encode()
    plain = ReceiptBatch(5, (Receipt(b"\x33" * 32, ReceiptCode.FAILED),)).encode()
    decode = decoders["receipt-batch"].decode
    code = ErrorCode
    receipts = [
        refused("no receipt", batch[:4] + bytes(2), decode, code.COUNT),
        refused("relay 0", changed(batch, 0, bytes(4)), decode, code.ZERO),
        *(refused(f"code {c}", changed(plain, 38, bytes([c])), decode, code.RECEIPT_CODE) for c in (0, 6, 0x7F)),
        *(
            refused(f"code {c} with returned data", changed(batch, 38, bytes([0x80 | c])), decode, code.RECEIPT_CODE)
            for c in (0, 2, 3, 4, 5, 6)
        ),
        refused(
            "257 bytes of returned data", batch[:39] + (257).to_bytes(2, "big") + bytes(257), decode, code.RETURNED_DATA
        ),
        refused("returned data ends early", batch[:-1], decode, code.TRUNCATED),
        refused("a byte more", batch + b"\x00", decode, code.TRAILING_BYTES),
    ]
    decode = decoders["verdict-list"].decode
    commit = bytes.fromhex("01 0001 0000000000000009 02")
    tombstone = bytes.fromhex("02 0001 0000000b 00000003 0000000000000007 03")
    verdicts = [
        refused("form 0", changed(commit, 0, b"\x00"), decode, code.VERDICT_FORM),
        refused("form 3", changed(commit, 0, b"\x03"), decode, code.VERDICT_FORM),
        refused("no verdict", commit[:1] + bytes(2), decode, code.COUNT),
        refused("257 verdicts", b"\x01" + (257).to_bytes(2, "big") + commit[3:] * 257, decode, code.COUNT),
        *(refused(f"verdict {v}", changed(commit, 11, bytes([v])), decode, code.VERDICT) for v in (0, 1, 4)),
        refused("ABORT without packets hash", changed(commit, 11, b"\x03"), decode, code.TRUNCATED),
        refused("COMMIT with packets hash", commit + b"\x55" * 32, decode, code.TRAILING_BYTES),
        *(refused(f"tombstone {v}", changed(tombstone, 19, bytes([v])), decode, code.VERDICT) for v in (0, 1, 4)),
        refused("tombstone cut", tombstone[:-1], decode, code.TRUNCATED),
        refused("nonce 0", changed(commit, 3, bytes(8)), decode, code.ZERO),
        refused("tombstone of source 0", changed(tombstone, 3, bytes(4)), decode, code.ZERO),
        refused("tombstone of sequence 0", changed(tombstone, 11, bytes(8)), decode, code.ZERO),
    ]
    decode = decoders["report"].decode
    frozen = bytes.fromhex("01 00000005 0000000000000064 0000000000000009 000000000000000a")
    reports = [
        refused("kind 0", changed(frozen, 0, b"\x00"), decode, code.REPORT_KIND),
        refused("kind 4", changed(frozen, 0, b"\x04"), decode, code.REPORT_KIND),
        refused("no relay", changed(frozen, 1, bytes(4)), decode, code.REPORT_KIND),
        refused("closed hub with a relay", changed(frozen, 0, b"\x03"), decode, code.REPORT_KIND),
        refused("cut", frozen[:-1], decode, code.TRUNCATED),
        refused("a byte more", frozen + b"\x00", decode, code.TRAILING_BYTES),
    ]
    decode = decoders["receipt-home"].decode
    header = base_packet(NONE).header.encode()
    home = header + b"\x66" * 32 + b"\x01" + b"\x00\x02\xaa\xbb"
    homes = [
        refused("malformed header", changed(home, 0, b"\x02"), decode, code.VERSION),
        refused("code 0", changed(home, 168, b"\x00"), decode, code.RECEIPT_CODE),
        refused("code with bit 7", changed(home, 168, b"\x81"), decode, code.RECEIPT_CODE),
        refused("returned data with FAILED", changed(home, 168, b"\x02"), decode, code.RECEIPT_CODE),
        refused("returned data without RETURN", changed(home, 43, b"\x00"), decode, code.RETURNED_DATA),
        refused("nobody wanted it", changed(changed(home, 2, b"\x00"), 43, b"\x00"), decode),
        refused("257 bytes of returned data", home[:169] + b"\x01\x01" + bytes(257), decode, code.RETURNED_DATA),
        refused("a byte more", home + b"\x00", decode, code.TRAILING_BYTES),
    ]
    return listed(
        refused_receipts=receipts, refused_verdicts=verdicts, refused_reports=reports, refused_receipts_home=homes
    )


def identities() -> Json:
    """Tags, transaction ids, packets hashes and storage slots."""
    samples = Samples(400)
    tags = [{"name": name, "tag": hexed(tag)} for name, tag in commitment.TAGS.items()]
    transactions, hashes, slots = [], [], []
    for _ in range(10):
        domain, origin, hub = samples.unsigned(32, 1), samples.unsigned(32, 1), samples.address()
        relay, nonce = samples.unsigned(32, 1), samples.unsigned(64, 1)
        transactions.append(
            {
                "domain": domain,
                "origin": origin,
                "hub": hexed(hub),
                "relay": relay,
                "nonce": str(nonce),
                "transaction_id": hexed(transaction_id(domain, origin, hub, relay, nonce)),
            }
        )
        ids = [samples.hash() for _ in range(samples.random.randint(1, 4))]
        hashes.append({"packet_ids": list(map(hexed, ids)), "packets_hash": hexed(packets_hash(ids))})
        channel, sequence = samples.unsigned(32), samples.unsigned(64, 1)
        for name, slot in (
            ("chain", commitment.chain_slot(domain, relay)),
            ("chain of the free outbox", commitment.chain_slot(domain, 0)),
            ("head", commitment.head_slot(domain, relay)),
            ("status", commitment.status_slot(domain, origin, relay, channel, sequence)),
            ("origin status", commitment.origin_status_slot(domain, relay, nonce)),
            ("seen", commitment.seen_slot(domain, origin, channel, sequence)),
            ("receipts", commitment.receipts_slot(domain, origin, relay, channel, sequence)),
            ("send lane", commitment.send_lane_slot(domain, origin, relay, channel)),
            ("receive lane", commitment.receive_lane_slot(domain, origin, relay, channel)),
            ("settlement", commitment.settlement_slot(relay, nonce)),
            ("closed", commitment.closed_slot()),
            ("head peer", commitment.head_peer_slot(domain)),
        ):
            slots.append(
                {
                    "name": name,
                    "domain": domain,
                    "peer": origin,
                    "relay": relay,
                    "channel": channel,
                    "sequence": str(sequence),
                    "nonce": str(nonce),
                    "slot": hexed(slot),
                }
            )
    return listed(tags=tags, transactions=transactions, packets_hashes=hashes, slots=slots)


# --- sets, endorsements, notaries -----------------------------------------------------------------------------------


def _set_case(domain: int, relay: int, signers: EndorsementSet) -> Json:
    return {
        "domain": domain,
        "relay": relay,
        "data": hexed(signers.encode()),
        "epoch": signers.epoch,
        "method": int(signers.method),
        "threshold": signers.threshold,
        "size": signers.size,
        "safe": signers.safe,
        "set_hash": hexed(signers.set_hash(domain, relay)),
    }


def endorsements() -> Json:
    """Endorsement sets, signed envelopes, ones that must not be believed, and equivocation."""
    samples = Samples(500)
    sets = [_set_case(samples.unsigned(32, 1), samples.unsigned(32, 1), samples.endorsement_set()) for _ in range(20)]
    envelopes, bad = [], []
    for number in range(24):
        destination = samples.unsigned(32, 1)
        envelope = samples.envelope(destination)
        envelopes.append(_envelope_case(envelope, destination))
        if number < 12:
            bad += _unbelievable(f"envelope {number}", envelope, destination, samples)
    pairs = []
    for _ in range(4):
        first, second = _equivocation(samples)
        pairs.append({"first": hexed(first.encode()), "second": hexed(second.encode())})
    return listed(
        sets=sets,
        refused_sets=_refused_sets(),
        envelopes=envelopes,
        refused_envelopes=_refused_envelopes(),
        unbelievable_envelopes=bad,
        equivocations=pairs,
    )


def _envelope_case(envelope: Envelope, destination: int) -> Json:
    head = envelope.range.fold()
    return {
        "destination": destination,
        "envelope": hexed(envelope.encode()),
        "domain": envelope.domain,
        "relay": envelope.relay,
        "epoch": envelope.signers.epoch,
        "method": int(envelope.signers.method),
        "set": hexed(envelope.signers.encode()),
        "set_hash": hexed(envelope.signers.set_hash(envelope.domain, envelope.relay)),
        "proof": hexed(encode_proof(envelope.signers, envelope.proof)),
        "range": hexed(envelope.range.encode()),
        "last": str(head.number),
        "value": hexed(head.value),
        "digest": hexed(envelope.digest(destination)),
    }


def _unbelievable(name: str, envelope: Envelope, destination: int, samples: Samples) -> list[Json]:
    """Return envelopes that decode under the same set, but whose proof does not hold."""
    cases: dict[str, Envelope] = {}
    first = envelope.range.entries[0]
    other = BareEntry(first.height, samples.hash())
    entries = (other, *envelope.range.entries[1:])
    cases["another message"] = _with_range(envelope, envelope.range.first, envelope.range.start, entries)
    cases["another start"] = _with_range(envelope, envelope.range.first, samples.hash(), envelope.range.entries)
    number = envelope.range.first - 1 if envelope.range.first > 1 else 2
    cases["another number"] = _with_range(envelope, number, envelope.range.start, envelope.range.entries)
    if len(envelope.range.entries) > 1:
        cases["last entry missing"] = _with_range(
            envelope, envelope.range.first, envelope.range.start, envelope.range.entries[:-1]
        )
    digest = envelope.digest(destination)
    if isinstance(envelope.proof, Quorum):
        signatures = list(envelope.proof.signatures)
        signatures[0] = sign_recoverable(digest, private_key(99))
        cases["a stranger's signature"] = _with_proof(envelope, Quorum(envelope.proof.bitmap, tuple(signatures)))
        if len(signatures) > 1:
            swapped = (envelope.proof.signatures[1], envelope.proof.signatures[0], *envelope.proof.signatures[2:])
            cases["signatures in another order"] = _with_proof(envelope, Quorum(envelope.proof.bitmap, swapped))
            doubled = (envelope.proof.signatures[0],) * 2 + envelope.proof.signatures[2:]
            cases["one signature twice"] = _with_proof(envelope, Quorum(envelope.proof.bitmap, doubled))
    else:
        cases["signature of another digest"] = _with_proof(envelope, governor_sign(samples.hash()))
    result = []
    for reason, changed_envelope in cases.items():
        data = changed_envelope.encode()
        assert Envelope.decode(data) == changed_envelope
        result.append({"name": f"{name}: {reason}", "destination": destination, "data": hexed(data)})
    result.append(
        {"name": f"{name}: for another hub", "destination": destination % 1000 + 1001, "data": hexed(envelope.encode())}
    )
    return result


def _with_range(envelope: Envelope, first: int, start: bytes, entries: tuple[Any, ...]) -> Envelope:
    return Envelope(
        envelope.domain,
        envelope.relay,
        envelope.signers,
        envelope.proof,
        OutboxRange(RELAY_CHAIN, first, start, entries),
    )


def _with_proof(envelope: Envelope, proof: Quorum | bytes) -> Envelope:
    return Envelope(envelope.domain, envelope.relay, envelope.signers, proof, envelope.range)


def _refused_sets() -> list[Json]:
    members = tuple(key_address(number) for number in range(1, 5))
    data = EndorsementSet(6, EndorsementMethod.SIGNATURES, 3, 4, members).encode()
    group = EndorsementSet(6, EndorsementMethod.THRESHOLD, 3, 4, (governor_key(),)).encode()
    committee = Committee(1, 5, tuple(map(private_key, range(1, 5)))).signers(6).encode()
    decode, code = EndorsementSet.decode, ErrorCode
    return [
        refused("epoch 0", changed(data, 0, bytes(4)), decode, code.ZERO),
        *(refused(f"method {m}", changed(data, 4, bytes([m])), decode, code.SET_METHOD) for m in (0, 4)),
        refused("k is 0", changed(data, 5, b"\x00"), decode, code.SET_THRESHOLD),
        refused("k above n", changed(data, 5, b"\x05"), decode, code.SET_THRESHOLD),
        refused("no member", data[:5] + b"\x00\x00", decode, code.SET_THRESHOLD),
        refused("33 members", data[:6] + b"\x21" + bytes(20 * 33), decode, code.SET_THRESHOLD),
        refused("a member twice", changed(data, 7 + 20, members[0]), decode, code.SET_MEMBER),
        refused("the zero address", changed(data, 7 + 40, bytes(20)), decode, code.SET_MEMBER),
        refused("one member too few", data[:-20], decode, code.TRUNCATED),
        refused("a byte more", data + b"\x00", decode, code.TRAILING_BYTES),
        refused("group key with prefix 4", changed(group, 7, b"\x04"), decode, code.SET_MEMBER),
        refused(
            "group key with x at the group order",
            changed(group, 8, GROUP_ORDER.to_bytes(32, "big")),
            decode,
            code.SET_MEMBER,
        ),
        refused("group key is no point", changed(group, 8, (5).to_bytes(32, "big")), decode, code.SET_MEMBER),
        refused("group key of 33", changed(group, 6, b"\x21"), decode, code.SET_THRESHOLD),
        refused("group key cut", group[:-1], decode, code.TRUNCATED),
        refused("commit by two thirds", changed(committee, 5, b"\x02"), decode, code.SET_THRESHOLD),
        refused("a validator twice", changed(committee, 7 + 20, committee[7:27]), decode, code.SET_MEMBER),
        refused("commit without validators hash", committee[:-32], decode, code.TRUNCATED),
    ]


def _refused_envelopes() -> list[Json]:
    keys = [1, 2, 3, 4]
    signers = EndorsementSet(6, EndorsementMethod.SIGNATURES, 3, 4, tuple(map(key_address, keys)))
    body = OutboxRange(RELAY_CHAIN, 3, b"\x11" * 32, (BareEntry(5, b"\x22" * 32),))
    unsigned = Envelope(1, 5, signers, b"", body)
    digest = unsigned.digest(7)
    quorum = Quorum(0b0111, tuple(sign_recoverable(digest, private_key(key)) for key in keys[:3]))
    data = Envelope(1, 5, signers, quorum, body).encode()
    at = 8 + 7 + 80
    signature = at + 4
    decode, code = Envelope.decode, ErrorCode
    s = int.from_bytes(quorum.signatures[0][32:64], "big")
    high_s = (GROUP_ORDER - s).to_bytes(32, "big") + bytes([55 - quorum.signatures[0][64]])
    cases = [
        refused("domain 0", changed(data, 0, bytes(4)), decode, code.ZERO),
        refused("relay 0", changed(data, 4, bytes(4)), decode, code.ZERO),
        refused("four bits for three signatures", changed(data, at, b"\x00\x00\x00\x0f"), decode, code.SIGNER_BITMAP),
        refused("two bits", changed(data, at, b"\x00\x00\x00\x03"), decode, code.SIGNER_BITMAP),
        refused("a bit at n", changed(data, at, b"\x00\x00\x00\x13"), decode, code.SIGNER_BITMAP),
        refused("bit 31", changed(data, at, b"\x80\x00\x00\x03"), decode, code.SIGNER_BITMAP),
        refused("r is 0", changed(data, signature, bytes(32)), decode, code.SIGNATURE),
        refused(
            "r is the group order", changed(data, signature, GROUP_ORDER.to_bytes(32, "big")), decode, code.SIGNATURE
        ),
        refused("s is 0", changed(data, signature + 32, bytes(32)), decode, code.SIGNATURE),
        refused(
            "s is n/2 + 1", changed(data, signature + 32, (HALF_ORDER + 1).to_bytes(32, "big")), decode, code.SIGNATURE
        ),
        refused("the high s of a true signature", changed(data, signature + 32, high_s), decode, code.SIGNATURE),
        *(
            refused(f"v is {v}", changed(data, signature + 64, bytes([v])), decode, code.SIGNATURE)
            for v in (0, 1, 26, 29)
        ),
        refused("a byte more", data + b"\x00", decode, code.TRAILING_BYTES),
    ]
    cases += [
        refused(f"cut to {n} bytes", data[:n], decode) for n in (0, 4, 8, 15, 94, at + 4, at + 4 + 195, len(data) - 1)
    ]
    return cases


def _equivocation(samples: Samples) -> tuple[SignedValue, SignedValue]:
    keys = [1, 2, 3, 4]
    signers = EndorsementSet(samples.unsigned(32, 1), EndorsementMethod.SIGNATURES, 3, 4, tuple(map(key_address, keys)))
    domain, relay, destination = (samples.unsigned(32, 1) for _ in range(3))
    number = samples.unsigned(64, 1)

    def sign(value: bytes) -> SignedValue:
        unsigned = SignedValue(domain, relay, signers, b"", destination, number, value)
        proof = samples.quorum(3, keys, unsigned.digest)
        return SignedValue(domain, relay, signers, proof, destination, number, value)

    return sign(samples.hash()), sign(samples.hash())


def commits() -> Json:
    """Envelopes endorsed by a relay chain's own commit (method 2)."""
    samples = Samples(620)
    shapes: list[dict[str, Any]] = [
        {},
        {"round_": 2},
        {"parts": 127},
        {"parts": 128},
        {"parts": 70_000, "round_": 2**31 - 1},
        {"absent": (0,)},
        {"height": 2**63 - 1},
        {"time_ns": 1},
        {"time_ns": 253_402_300_799 * 10**9},
    ]
    envelopes = []
    for index, shape in enumerate(shapes):
        size = 4 if "absent" in shape else (1, 2, 3, 4, 7)[index % 5]
        domain, relay, destination = (samples.unsigned(32, 1) for _ in range(3))
        committee = Committee(domain, relay, tuple(map(private_key, range(1, size + 1))))
        body = samples.outbox_range(RELAY_CHAIN)
        head = body.fold()
        heads = {samples.unsigned(32, 1): (samples.unsigned(64, 1), samples.hash()) for _ in range(index)}
        state = EndorsedState({**heads, destination: (head.number, head.value)}, {b"set": samples.hash()})
        signed = committee.decide(state.app_hash, **shape)
        proof = state.prove(signed, committee, destination)
        signers = committee.signers(samples.unsigned(32, 1))
        envelopes.append(
            {
                "domain": domain,
                "relay": relay,
                "destination": destination,
                "chain_id": relay_chain_id(domain, relay),
                "set": hexed(signers.encode()),
                "set_hash": hexed(signers.set_hash(domain, relay)),
                "header": hexed(signed.header.encode()),
                "commit": hexed(signed.commit.encode()),
                "block_hash": hexed(signed.header.hash()),
                "app_hash": hexed(state.app_hash),
                "last": str(head.number),
                "value": hexed(head.value),
                "proof": hexed(proof.encode()),
                "range": hexed(body.encode()),
                "envelope": hexed(Envelope(domain, relay, signers, proof, body).encode()),
            }
        )
    return listed(envelopes=envelopes)


def notaries() -> Json:
    """Notary sets and signed statements."""
    samples = Samples(600)
    sets, statements = [], []
    for _ in range(10):
        domain, registration, keys = samples.unsigned(32, 1), samples.unsigned(32, 1), samples.member_keys()
        members, statement = samples.notary_set(keys), samples.notary_statement()
        sets.append(
            {
                "domain": domain,
                "registration": registration,
                "data": hexed(members.encode()),
                "epoch": members.epoch,
                "threshold": members.threshold,
                "size": len(members.members),
                "set_hash": hexed(members.set_hash(domain, registration)),
            }
        )
        digest = statement.digest(domain, registration, members.epoch)
        quorum = samples.quorum(members.threshold, keys, digest)
        statements.append(
            {
                "domain": domain,
                "registration": registration,
                "epoch": members.epoch,
                "statement": hexed(statement.encode()),
                "digest": hexed(digest),
                "bitmap": quorum.bitmap,
                "signatures": hexed(b"".join(quorum.signatures)),
            }
        )
    decoders = {decoder.name: decoder for decoder in DECODERS}
    statement_bytes = Samples(610).notary_statement([b"\x01" * 32, b"\x02" * 32]).encode()
    decode, code = decoders["notary-statement"].decode, ErrorCode
    refused_statements = [
        refused("no slot", statement_bytes[:68] + b"\x00", decode, code.COUNT),
        refused("17 slots", statement_bytes[:68] + b"\x11" + bytes(64 * 17), decode, code.COUNT),
        refused("slots fall", changed(statement_bytes, 69, b"\x03" * 32), decode, code.NOT_ASCENDING),
        refused("a slot twice", changed(statement_bytes, 69, b"\x02" * 32), decode, code.NOT_ASCENDING),
        refused("cut", statement_bytes[:-1], decode, code.TRUNCATED),
        refused("a byte more", statement_bytes + b"\x00", decode, code.TRAILING_BYTES),
    ]
    return listed(sets=sets, statements=statements, refused_statements=refused_statements)


# --- governor messages ----------------------------------------------------------------------------------------------


def _governor_case(message: GovernorMessage) -> Json:
    message.verify(governor_key())
    return {
        "target_kind": int(message.target_kind),
        "domain": message.domain,
        "target": message.target,
        "key_epoch": message.key_epoch,
        "kind": message.kind,
        "contract": hexed(message.contract),
        "counter": str(message.counter),
        "ordered": message.ordered,
        "body": hexed(message.body),
        "digest": hexed(message.digest),
        "message": hexed(message.encode()),
    }


def governor() -> Json:
    """Governor messages of every kind, signed, and ones that must be refused."""
    samples = Samples(700)
    to_hub, to_relay = [], []
    for _ in range(3):
        for hub_body in samples.hub_bodies():
            message = samples.governor_message_to_hub(hub_body, samples.unsigned(32, 1), samples.address())
            assert message.decode_body() == hub_body
            to_hub.append(_governor_case(message))
        for relay_body in samples.relay_bodies():
            message = samples.governor_message_to_relay(relay_body)
            assert message.decode_body() == relay_body
            to_relay.append(_governor_case(message))
    return {
        "group_key": hexed(governor_key()),
        "secret": hexed(GOVERNOR_SECRET.to_bytes(32, "big")),
        **listed(to_hub=to_hub, to_relay=to_relay, refused=_refused_governor(), refused_bodies=_refused_bodies()),
    }


def _refused_governor() -> list[Json]:
    message = GovernorMessage(TargetKind.HUB, 1, 11, 1, 1, b"\x77" * 20, 1, b"").signed(governor_sign)
    data = message.encode()
    decode, code = GovernorMessage.decode, ErrorCode
    return [
        refused("version 0", changed(data, 0, b"\x00"), decode, code.VERSION),
        refused("version 2", changed(data, 0, b"\x02"), decode, code.VERSION),
        refused("target kind 0", changed(data, 1, b"\x00"), decode, code.GOVERNOR_TARGET_KIND),
        refused("target kind 3", changed(data, 1, b"\x03"), decode, code.GOVERNOR_TARGET_KIND),
        refused("target 0", changed(data, 6, bytes(4)), decode, code.ZERO),
        refused("key epoch 0", changed(data, 10, bytes(4)), decode, code.ZERO),
        refused("a hub without address", changed(data, 15, bytes(20)), decode, code.GOVERNOR_SCOPE),
        refused("a relay chain with a contract", changed(data, 1, b"\x02"), decode, code.GOVERNOR_SCOPE),
        refused("body length one more", changed(data, 43, b"\x00\x01"), decode),
        refused("prefix of R is 4", changed(data, 45, b"\x04"), decode, code.SIGNATURE),
        refused("z is 0", changed(data, 78, bytes(32)), decode, code.SIGNATURE),
        refused("z is the group order", changed(data, 78, GROUP_ORDER.to_bytes(32, "big")), decode, code.SIGNATURE),
        refused("cut", data[:-1], decode, code.TRUNCATED),
        refused("a byte more", data + b"\x00", decode, code.TRAILING_BYTES),
    ]


def _refused_bodies() -> list[Json]:
    """Bodies that no message of the kind has; the message itself is well-formed and uses up its number."""
    samples = Samples(710)
    cases: list[Json] = []
    for target, bodies, decode in (
        ("hub", samples.hub_bodies(), decode_hub_body),
        ("relay", samples.relay_bodies(), decode_relay_body),
    ):
        for body in bodies:
            data, kind = body.encode(), int(body.KIND)
            more: Mapping[str, Any] = {"target": target, "kind": kind}

            def read(candidate: bytes, kind: int = kind, decode: Callable[[int, bytes], Any] = decode) -> Any:  # noqa: ANN401
                return decode(kind, candidate)

            open_ended = target == "hub" and kind == 14
            if not open_ended:
                cases.append(refused(f"{type(body).__name__}: a byte more", data + b"\x00", read, **more))
            if data:
                cut = data[:3] if open_ended else data[:-1]
                cases.append(refused(f"{type(body).__name__}: cut", cut, read, **more))
    fixed: list[tuple[str, str, int, str]] = [
        ("RelayState: announced", "hub", 4, "0000000501"),
        ("RelayState: frozen", "hub", 4, "0000000504"),
        ("RoutingPolicy: a gap", "hub", 6, "00000001 02 00000005 0000 0100 00000006 0101 02ff"),
        ("RoutingPolicy: an overlap", "hub", 6, "00000001 02 00000005 0000 0101 00000006 0100 0300"),
        ("RoutingPolicy: too short", "hub", 6, "00000001 01 00000005 0000 03ff"),
        ("RoutingPolicy: too long", "hub", 6, "00000001 01 00000005 0000 0401"),
        ("RoutingPolicy: descending", "hub", 6, "00000001 02 00000005 0200 0200 00000006 0000 0200"),
        ("RoutingPolicy: a relay twice", "hub", 6, "00000001 02 00000005 0000 0200 00000005 0200 0200"),
        ("RoutingPolicy: nothing", "hub", 6, "00000001 00"),
        ("RegisterPeer: member 2", "hub", 7, "00000005 0000000000000001 00000001 02"),
        ("RegisterPeer: registration 0", "hub", 7, "00000000 0000000000000001 00000001 01"),
        ("RegisterApplication: application 0", "hub", 8, "00000000" + "77" * 20 + "0001"),
        ("RegisterApplication: transaction protocol 5", "hub", 8, "00000002" + "77" * 20 + "0020"),
        ("RegisterApplication: transaction protocol 15", "hub", 8, "00000002" + "77" * 20 + "8001"),
        ("Pause: scope 0", "hub", 9, "00 00000001"),
        ("Pause: scope 4", "hub", 9, "04 00000001"),
        ("Verification: method 0", "hub", 15, "00 01 0001"),
        ("LifeCycle: announced", "relay", 9, "01"),
        ("unknown kind 0", "hub", 0, ""),
        ("unknown kind 16", "hub", 16, ""),
        ("unknown kind 14", "relay", 14, ""),
    ]
    for name, target, kind, data_hex in fixed:
        decode = decode_hub_body if target == "hub" else decode_relay_body

        def read_fixed(candidate: bytes, kind: int = kind, decode: Callable[[int, bytes], Any] = decode) -> Any:  # noqa: ANN401
            return decode(kind, candidate)

        cases.append(refused(name, bytes.fromhex(data_hex), read_fixed, target=target, kind=kind))
    return cases


# --- the rest -------------------------------------------------------------------------------------------------------


def relay_transactions() -> Json:
    """Signed relay transactions of every kind, and bytes that are none."""
    samples = Samples(800)
    valid = []
    for _ in range(40):
        transaction = samples.relay_transaction()
        assert transaction.sender() == key_address(1)
        valid.append(
            {
                "kind": int(transaction.kind),
                "domain": transaction.domain,
                "relay": transaction.relay,
                "valid_until": str(transaction.valid_until),
                "salt": str(transaction.salt),
                "body": hexed(transaction.body),
                "digest": hexed(transaction.digest),
                "sender": hexed(transaction.sender()),
                "transaction": hexed(transaction.encode()),
            }
        )
    data = samples.relay_transaction().encode()
    decode, code = RelayTransaction.decode, ErrorCode
    bad = [
        refused("version 0", changed(data, 0, b"\x00"), decode, code.VERSION),
        refused("kind 0", changed(data, 1, b"\x00"), decode, code.KIND),
        refused("kind 5", changed(data, 1, b"\x05"), decode, code.KIND),
        refused("domain 0", changed(data, 2, bytes(4)), decode, code.ZERO),
        refused("relay 0", changed(data, 6, bytes(4)), decode, code.ZERO),
        refused("v is 0", data[:-1] + b"\x00", decode, code.SIGNATURE),
        refused("shorter than container and signature", data[:90], decode),
    ]
    return listed(valid=valid, refused=bad)


def applications() -> Json:
    """Bodies of the standard applications."""
    samples = Samples(900)
    transfers, notarisations, results, messages_, addresses = [], [], [], [], []
    for _ in range(10):
        transfer = samples.token_transfer()
        transfers.append(
            {
                "amount": str(transfer.amount),
                "sender": hexed(transfer.sender),
                "recipient": hexed(transfer.recipient),
                "body": hexed(transfer.encode()),
            }
        )
        notarisation = samples.notarisation()
        notarisations.append(
            {
                "key": hexed(notarisation.key),
                "value": hexed(notarisation.value),
                "body": hexed(notarisation.encode()),
            }
        )
        result = samples.notarisation_result()
        results.append(
            {
                "existing": result.existing,
                "value": hexed(result.value),
                "source": result.source,
                "time": str(result.time),
                "returned": hexed(result.encode()),
            }
        )
        message = samples.door_message()
        messages_.append(
            {
                "sender": hexed(message.sender.encode()),
                "recipient": hexed(message.recipient.encode()),
                "payload": hexed(message.payload),
                "body": hexed(message.encode()),
            }
        )
        address = samples.interoperable_address()
        addresses.append(
            {"chain_id": str(address.chain_id), "address": hexed(address.address), "data": hexed(address.encode())}
        )
    # Chain ids of 64 bits at most: only such chains can be members, and only such can the tests of contracts stand on.
    more = Samples(901)
    for _ in range(10):
        places = [InteroperableAddress(more.unsigned(more.random.choice((8, 16, 63)), 1), more.address()) for _ in "ab"]
        message = DoorMessage(places[0], places[1], more.octets(more.random.randint(0, 60)))
        messages_.append(
            {
                "sender": hexed(message.sender.encode()),
                "recipient": hexed(message.recipient.encode()),
                "payload": hexed(message.payload),
                "body": hexed(message.encode()),
            }
        )
    decoders = {decoder.name: decoder for decoder in DECODERS}
    decode = decoders["interoperable-address"].decode
    mainnet = bytes.fromhex("00010000010114") + b"\x88" * 20
    bad = [
        refused("version 2", changed(mainnet, 0, b"\x00\x02"), decode),
        refused("chain type solana", changed(mainnet, 2, b"\x00\x02"), decode),
        refused("chain id 0", changed(mainnet, 5, b"\x00"), decode),
        refused("no chain id", bytes.fromhex("000100000014") + b"\x88" * 20, decode),
        refused("chain id with a leading zero", bytes.fromhex("0001000002000114") + b"\x88" * 20, decode),
        refused("address of 19 bytes", bytes.fromhex("00010000010113") + b"\x88" * 19, decode),
        refused("no address", bytes.fromhex("00010000010100"), decode),
        refused("cut", mainnet[:-1], decode),
        refused("a byte more", mainnet + b"\x00", decode),
    ]
    return listed(
        token_transfers=transfers,
        notarisations=notarisations,
        notarisation_results=results,
        door_messages=messages_,
        interoperable_addresses=addresses,
        refused_interoperable_addresses=bad,
    )


def routing() -> Json:
    """Routing slots of transactions, policies, candidates for free packets."""
    samples = Samples(1000)
    slots, policies, candidates = [], [], []
    for _ in range(20):
        source, destination, application = (samples.unsigned(32, 1) for _ in range(3))
        slots.append(
            {
                "source": source,
                "destination": destination,
                "application": application,
                "slot": routing_slot(source, destination, application),
            }
        )
        policy: RoutingPolicy = samples.routing_policy()
        policies.append(
            {
                "data": hexed(policy.encode()),
                "source": source,
                "destination": destination,
                "application": application,
                "relay": policy.relay_of(source, destination, application),
            }
        )
        relays, height = sorted({samples.unsigned(32, 1) for _ in range(4)}), samples.unsigned(64)
        candidates.append(
            {
                "relays": relays,
                "source": source,
                "height": str(height),
                "candidates": list(free_candidates(relays, source, height)),
            }
        )
    return listed(slots=slots, policies=policies, free_candidates=candidates)


def genesis() -> Json:
    """Genesis documents of relay chains."""
    samples = Samples(1100)
    cases = []
    for number in range(4):
        given = samples.genesis()
        time_ns = 1_900_000_000_000_000_000 + number * 1_234_567
        document = given.document(time_ns)
        cases.append(
            {
                "domain": given.domain,
                "relay": given.relay,
                "genesis_time_ns": str(time_ns),
                "app_state": given.app_state_bytes().decode("ascii"),
                "document": document.decode("ascii"),
                "genesis_hash": hexed(genesis_hash(document)),
            }
        )
    return listed(documents=cases)


FILES: Mapping[str, Callable[[], Json]] = {
    "applications.json": applications,
    "commits.json": commits,
    "endorsements.json": endorsements,
    "genesis.json": genesis,
    "governor_messages.json": governor,
    "hub.json": hub,
    "identities.json": identities,
    "management_decisions.json": management_vectors.decisions,
    "management_digests.json": management_vectors.digests,
    "management_draws.json": management_vectors.draws,
    "management_states.json": management_vectors.states,
    "messages.json": messages,
    "notary_statements.json": notaries,
    "outboxes.json": outboxes,
    "packets.json": packets,
    "relay_transactions.json": relay_transactions,
    "routing.json": routing,
}
"""What is written under ``tests/vectors/``, by file."""

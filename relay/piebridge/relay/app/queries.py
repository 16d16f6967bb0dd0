"""Queries of a relay chain (formats, section 12). All answers are about committed state."""

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from piebridge.abci.messages import CODE_OK, ProofOp, QueryRequest, QueryResponse
from piebridge.crypto.errors import ProtocolError
from piebridge.crypto.simple_map import VALUE_OPERATOR_TYPE
from piebridge.protocol_stack.codec import ADDRESS_LENGTH, HASH_LENGTH, Reader, fixed, u8, u64
from piebridge.protocol_stack.governor_hub_bodies import RelayLifeCycle
from piebridge.protocol_stack.governor_relay_bodies import GatewayQuota, Gateways
from piebridge.protocol_stack.relay_queries import (
    ANSWER_BYTES_MAX,
    FORGOTTEN_CODE,
    GATEWAYS_PATH,
    UNKNOWN_CODE,
    CursorQuery,
    OutboxEntriesQuery,
    ReceiptCodesQuery,
    RecordedQuery,
    RecordedWordsQuery,
    RegistrationQuery,
)
from piebridge.protocol_stack.stack import STACK
from piebridge.protocol_stack.transport.outbox import (
    RELAY_CHAIN,
    BareEntry,
    Entry,
    OutboxRange,
    encode_entry,
    open_relay_outbox,
    read_entry,
)
from piebridge.relay.app import keys, quotas
from piebridge.relay.app.admission import CODESPACE
from piebridge.relay.app.state import RelayState
from piebridge.relay.app.store import View

STATE_PROOF_TYPE = "piebridge:sparse"
"""``type`` of the proof operator that carries a proof in the store ``state``."""

_NANOSECONDS_PER_SECOND = 1_000_000_000
_T = TypeVar("_T")


class UnknownKeyError(ProtocolError):
    """A query names something that this relay chain does not have."""


class ForgottenError(UnknownKeyError):
    """A query names entries that this relay chain has made and shows no more, since nobody needs them."""


def answer(state: RelayState, request: QueryRequest) -> QueryResponse:
    """Answer a query; whatever cannot be answered gives code 1 and a reason."""
    if not state.height:
        return refusal("the chain has no block yet", 0)
    if request.path in _STORES:
        return _answer_from_store(state, request)
    if request.path == GATEWAYS_PATH and request.height in (0, state.height):
        return _gateways(state, request.data, state.height)
    if request.height not in (0, state.height):
        return refusal(f"only the newest committed height {state.height} is served", state.height)
    handler = _HANDLERS.get(request.path)
    if handler is None:
        return refusal(
            f"unknown path {request.path!r}; known are {', '.join(sorted((*_HANDLERS, *_STORES, GATEWAYS_PATH)))}", 0
        )
    try:
        return QueryResponse(CODE_OK, value=handler(View(state), request.data), height=state.height)
    except ForgottenError as error:
        return refusal(str(error), state.height, FORGOTTEN_CODE)
    except ProtocolError as error:
        return refusal(str(error), state.height)


def _answer_from_store(state: RelayState, request: QueryRequest) -> QueryResponse:
    """Answer with a value of a store. With a proof, "newest" is the newest height that the next header covers."""
    height = request.height or (state.provable_height if request.prove else state.height)
    if not state.has_height(height):
        return refusal(f"only the heights {state.provable_height} and {state.height} are kept", state.height)
    return _STORES[request.path](state, request, height)


def refusal(reason: str, height: int, code: int = UNKNOWN_CODE) -> QueryResponse:
    """Build the answer to a query that has none."""
    return QueryResponse(code=code, log=reason, height=height, codespace=CODESPACE)


def outbox_entries(view: View, query: OutboxEntriesQuery) -> OutboxRange:
    """Return entries of an outbox as a range: as many as fit, messages that are dropped bare.

    Raises:
        UnknownKeyError: no such outbox, or the first entry is not made yet.
        ForgottenError: the first entry is not kept any more, or the value before it, with which the range begins.
    """
    destination, first = query.destination, query.first
    head = view.outbox_head(destination)
    if head is None:
        raise UnknownKeyError(f"there is no outbox toward registration {destination}")
    if first > head.number:
        raise UnknownKeyError(f"entry {first} toward registration {destination} is not made yet, {head.number} is last")
    if first < view.outbox_base(destination):
        raise ForgottenError(f"entry {first} toward registration {destination} is not kept any more")
    entries, size = list[Entry](), 0
    for number in range(first, min(first + query.count - 1, head.number) + 1):
        entry = _entry(view, destination, number)
        size += len(encode_entry(entry))
        if entries and size > ANSWER_BYTES_MAX:
            break
        entries.append(entry)
    return OutboxRange(RELAY_CHAIN, first, value_before(view, destination, first), tuple(entries))


def value_before(view: View, destination: int, number: int) -> bytes:
    """Return ``chain[number - 1]`` of an outbox.

    Raises:
        ForgottenError: it is not kept any more.
    """
    if number == 1:
        return open_relay_outbox(view.relay.domain, view.relay.relay, destination)
    before = view.entry(destination, number - 1)
    if before is None:
        raise ForgottenError(f"the entry before entry {number} toward registration {destination} is not kept any more")
    return before.value


def _entry(view: View, destination: int, number: int) -> Entry:
    record = view.entry(destination, number)
    assert record is not None, "entries from the base to the head are kept"
    message = record.message
    if message is None:
        return BareEntry(record.height, record.message_id)
    return read_entry(Reader(u64(record.height) + u8(message.form) + message.content), RELAY_CHAIN)


def _outbox_head(view: View, data: bytes) -> bytes:
    registration = RegistrationQuery.decode(data).registration
    return _found(view.outbox_head(registration), f"outbox toward registration {registration}").encode()


def _outbox_entries(view: View, data: bytes) -> bytes:
    return outbox_entries(view, OutboxEntriesQuery.decode(data)).encode()


def _cursor(view: View, data: bytes) -> bytes:
    query = CursorQuery.decode(data)
    head = view.cursor(query.registration, query.outbox_relay)
    return _found(head, f"folded entry of registration {query.registration}").encode()


def _recorded(view: View, data: bytes) -> bytes:
    query = RecordedQuery.decode(data)
    return u8(view.is_recorded(query.lane, query.sequence))


def _recorded_words(view: View, data: bytes) -> bytes:
    pages = RecordedWordsQuery.decode(data).pages
    return b"".join(view.recorded_word(lane, page).to_bytes(HASH_LENGTH, "big") for lane, page in pages)


def _receipt_codes(view: View, data: bytes) -> bytes:
    records = map(view.packet, ReceiptCodesQuery.decode(data).packet_ids)
    return bytes(ReceiptCodesQuery.UNKNOWN if record is None else record.receipt_code for record in records)


def _packet(view: View, data: bytes) -> bytes:
    record = _found(view.packet(fixed(data, HASH_LENGTH)), "packet with this id")
    header = STACK.decode_header(record.header)
    lane = header.lane
    return _json(
        {
            "body_hash": record.body_hash.hex(),
            "carried": record.is_carried,
            "acknowledged": record.is_acknowledged,
            "entry": record.entry,
            "header": record.header.hex(),
            "lane": {
                "channel": lane.channel,
                "destination": lane.destination,
                "domain": lane.domain,
                "relay": lane.relay,
                "source": lane.source,
            },
            "receipt": {
                "acknowledged": record.is_receipt_acknowledged,
                "code": record.receipt_code,
                "entry": record.receipt_entry,
            },
            "recorded_height": record.recorded_height,
            "sequence": header.transport.sequence,
            "tombstone_entry": record.tombstone_entry,
        }
    )


def _transaction(view: View, data: bytes) -> bytes:
    record = _found(view.transaction(fixed(data, HASH_LENGTH)), "transaction with this id")
    packet = view.packet(record.packet_id)
    return _json(
        {
            "acknowledged": record.is_acknowledged,
            "code": 0 if packet is None else packet.receipt_code,
            "nonce": record.nonce,
            "origin": record.origin,
            "packet_ids": [record.packet_id.hex()],
            "reason": record.reason.name,
            "state": record.state.name,
            "verdict": int(record.state) if record.state.final else 0,
            "verdict_entry": record.verdict_entry,
        }
    )


def _client(view: View, data: bytes) -> bytes:
    registration = RegistrationQuery.decode(data).registration
    client = _found(view.client(registration), f"light client of registration {registration}")
    newest = _found(view.consensus(registration, client.heights[-1]), "newest consensus state")
    period_ns = client.parameters.trusting_period_seconds * _NANOSECONDS_PER_SECOND
    return _json(
        {
            "app_hash": newest.app_hash.hex(),
            "chain_id": client.parameters.chain_id,
            "expires_at_ns": newest.time_ns + period_ns,
            "frozen": client.frozen,
            "header_hash": newest.header_hash.hex(),
            "heights": list(client.heights),
            "newest_height": client.heights[-1],
            "next_validators_hash": newest.next_validators_hash.hex(),
            "oldest_height": client.heights[0],
            "time_ns": newest.time_ns,
        }
    )


def _chain(view: View, data: bytes) -> bytes:
    registration = RegistrationQuery.decode(data).registration
    chain = _found(view.chain(registration), f"registration {registration}")
    progress = view.progress(registration)
    return _json(
        {
            "client_kind": chain.client_kind,
            "closed_at": chain.closed_at,
            "depth": chain.depth,
            "evm_chain_id": chain.evm_chain_id,
            "hub": chain.hub.hex(),
            "largest_depth": chain.depth_max,
            "largest_handler_gas": chain.handler_gas_max,
            "method": chain.method,
            "newest_notary_block": progress.notary_block,
            "newest_spv_block": progress.spv_block,
            "notary_set": chain.notary_set.hex(),
            "registration": registration,
        }
    )


def _set(view: View, data: bytes) -> bytes:
    fixed(data, 0)
    return view.validators.endorsers.encode()


def _status(view: View, data: bytes) -> bytes:
    fixed(data, 0)
    relay, validators = view.relay, view.validators
    life_cycle = RelayLifeCycle.FROZEN if relay.frozen else relay.life_cycle
    return _json(
        {
            "chains": list(view.chains),
            "dev": relay.dev,
            "domain": relay.domain,
            "governor_counter": relay.governor_counter,
            "governor_key": relay.governor_key.hex(),
            "governor_key_epoch": relay.key_epoch,
            "life_cycle": life_cycle.name,
            "life_cycle_number": relay.life_cycle_number,
            "max_body": relay.body_bytes_max,
            "paused": relay.paused,
            "relay": relay.relay,
            "retention_seconds": relay.retention_seconds,
            "set_epoch": validators.epoch,
            "stranger_quota": relay.stranger_quota,
            "threshold": validators.threshold,
            "validators": len(validators.validators),
        }
    )


def _quota(view: View, data: bytes) -> bytes:
    address = fixed(data, ADDRESS_LENGTH)
    record = view.get(keys.quota(quotas.account(view, address)))
    window, used = (int.from_bytes(record[:8], "big"), int.from_bytes(record[8:], "big")) if record else (0, 0)
    return _json(
        {
            "authorised": view.gateway_quota(address) is not None,
            "quota": quotas.limit(view, address),
            "used": used,
            "window_end_height": (window + 1) * quotas.WINDOW_HEIGHTS - 1,
            "window_start_height": window * quotas.WINDOW_HEIGHTS,
        }
    )


def _gateways(state: RelayState, data: bytes, height: int) -> QueryResponse:
    """Every authorised gateway with its quota, in the order of their addresses."""
    if data:
        return refusal("this query takes no data", height)
    prefix = keys.gateway(b"")
    found = sorted((key[len(prefix) :], int.from_bytes(quota, "big")) for key, quota in state.items(prefix))
    body = Gateways(tuple(GatewayQuota(address, quota) for address, quota in found))
    return QueryResponse(CODE_OK, value=body.encode(), height=height)


def _store_state(state: RelayState, request: QueryRequest, height: int) -> QueryResponse:
    proven = state.prove_state(request.data, height)
    operators = (
        ProofOp(STATE_PROOF_TYPE, request.data, proven.proof.encode()),
        ProofOp(VALUE_OPERATOR_TYPE, proven.store.key, proven.store.encode()),
    )
    return QueryResponse(
        CODE_OK,
        key=request.data,
        value=proven.value or b"",
        height=height,
        log="" if proven.value is not None else "absent",
        proof_ops=operators if request.prove else (),
    )


def _store_endorsed(state: RelayState, request: QueryRequest, height: int) -> QueryResponse:
    try:
        proven = state.prove_endorsed(request.data, height)
    except KeyError:
        return refusal(f"the store endorsed has no key {request.data!r} at height {height}", height)
    operators = tuple(ProofOp(VALUE_OPERATOR_TYPE, op.key, op.encode()) for op in (proven.inner, proven.outer))
    return QueryResponse(
        CODE_OK,
        key=request.data,
        value=proven.value,
        height=height,
        proof_ops=operators if request.prove else (),
    )


_HANDLERS: Final[Mapping[str, Callable[[View, bytes], bytes]]] = MappingProxyType(
    {
        RegistrationQuery.OUTBOX_HEAD_PATH: _outbox_head,
        OutboxEntriesQuery.PATH: _outbox_entries,
        CursorQuery.PATH: _cursor,
        RecordedQuery.PATH: _recorded,
        RecordedWordsQuery.PATH: _recorded_words,
        ReceiptCodesQuery.PATH: _receipt_codes,
        "/packet": _packet,
        "/transaction": _transaction,
        RegistrationQuery.CLIENT_PATH: _client,
        RegistrationQuery.CHAIN_PATH: _chain,
        "/set": _set,
        "/status": _status,
        "/quota": _quota,
    }
)

_STORES: Final[Mapping[str, Callable[[RelayState, QueryRequest, int], QueryResponse]]] = MappingProxyType(
    {"/store/state/key": _store_state, "/store/endorsed/key": _store_endorsed}
)


def _found(value: _T | None, what: str) -> _T:
    if value is None:
        raise UnknownKeyError(f"there is no {what}")
    return value


def _json(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplication} from "../interfaces/IApplication.sol";
import {ApplicationLayer} from "./ApplicationLayer.sol";
import {Calldata} from "./Calldata.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {TAG_PACKETS} from "./Tags.sol";

/// @title Transaction layer of a hub: clocks, status of transactions and packets, verdicts, settlement (formats, sections 6 and 14).
abstract contract TransactionLayer is ApplicationLayer {
    // Codes of receipts, section 6.2.
    uint256 internal constant EXECUTED = 1;
    uint256 internal constant FAILED = 2;
    uint256 internal constant EXPIRED = 3;
    uint256 internal constant FAILED_GAS = 4;
    uint256 internal constant FAILED_APPLICATION = 5;

    // The two status bits of a transaction; the verdicts have the same values.
    uint256 internal constant COMMITTED = 2;
    uint256 internal constant ABORTED = 3;

    /// The settlement slot of a transaction whose effect was undone.
    bytes32 internal constant SETTLED = bytes32(uint256(1));

    /// Most sequences with a final status that one packet lets an ordered lane pass over. The next packet goes on from there.
    uint256 private constant PASS_LIMIT = 256;
    /// Where members of Batch lie in memory.
    uint256 private constant CONTENT_MEMBER = 11 * 32;
    uint256 private constant CONTENT_END_MEMBER = 12 * 32;

    /// What is known while the entries of a range are gone through. A bitmap word and an application's record are kept as long as they do not change.
    struct Batch {
        uint256 domain;
        uint256 relay;
        bool paused; // the relay chain or the domain is paused: packets wait
        uint256 bitmapKey; // base << 248 | key of the word that is kept; 0: none
        uint256 bitmapSlot;
        uint256 bitmap;
        bool dirty;
        uint256 application; // id whose record is kept; 0: none
        uint256 account; // address and pause of that application, see _callable
        uint256 marks; // 1: a packet of a bound lane came to its end, 2: one with RECEIPT_WANTED did
        uint256 ended; // number of packets that came to their end
        bytes content; // receipts as they are shown; see _prepareReceipts
        uint256 contentEnd;
        uint256 list; // end of the receipts as they are hashed, then these, where that differs from how they are shown; 0: it does not
    }

    // ------------------------------------------------------------------------------------------------------------ sending

    /// @dev Transaction header of a packet that is sent, and the head with the nonce that it took.
    function _transactionDown(
        uint256 transport,
        uint256 transaction,
        uint256 application,
        uint256 head,
        uint256 settings
    ) internal view returns (uint256, uint256) {
        unchecked {
            uint256 expiry = PacketHeader.execExpiry(transaction);
            uint256 deadline = PacketHeader.deadline(transaction);
            uint256 earliest = block.timestamp + ((settings >> SETTINGS_MIN_DELTA) & 0xffffff);
            uint256 latest = block.timestamp + ((settings >> SETTINGS_MAX_DELTA) & U32);
            if (transaction & PacketHeader.RETURN != 0 && transport & PacketHeader.RECEIPT_WANTED == 0) {
                revert InvalidHeader();
            }

            if (PacketHeader.relay(transport) == 0) {
                if (transaction & PacketHeader.PLAIN_ZERO_MASK != 0) revert InvalidHeader();
                if (expiry != 0 && (expiry < earliest || expiry > latest)) revert InvalidTime(expiry, deadline);
                return (transaction, head);
            }
            // ATP, with kind, participants, origin and nonce left to the hub.
            bool free = transaction & ~(PacketHeader.RETURN | ((1 << 112) - 1)) == PacketHeader.PROTOCOL_ATP << 248;
            if (!free) revert InvalidHeader();
            if (expiry < earliest || deadline < expiry || deadline > latest) revert InvalidTime(expiry, deadline);
            uint256 slot = _routingSlot(PacketHeader.destination(transport), PacketHeader.applicationId(application));
            // Below the first slot the difference wraps around, beyond any number of slots.
            if (slot - ((head >> HEAD_FIRST_SLOT) & 0x3ff) >= (head >> HEAD_SLOTS) & 0x7ff) {
                revert WrongRelay(uint32(PacketHeader.relay(transport)));
            }
            head += 1 << HEAD_NONCE;
            transaction |= PacketHeader.REQUEST_FIXED | (_REGISTRATION << 176);
            return (transaction | (((head >> HEAD_NONCE) & U64) << 112), head);
        }
    }

    // ------------------------------------------------------------------------------------------------------------ receiving packets

    /// @dev Takes a packet entry: header at `offset`, then the body of `bodyLength` bytes, or H(body) if `whole` is false. Section 14 has the order of
    /// the checks; leaving without `_end` is "skip".
    function _takePacket(Batch memory batch, bytes32 packetId, uint256 offset, uint256 bodyLength, bool whole)
        internal
    {
        unchecked {
            uint256 transport = Calldata.word(offset);
            uint256 relay = PacketHeader.relay(transport);
            uint256 here = (batch.domain << 192) | (_REGISTRATION << 128);
            if (!PacketHeader.isWellFormed(offset) || transport & ((U32 << 192) | (U32 << 128)) != here) return;
            if (relay != 0 && relay != batch.relay) return;

            uint256 laneSlot;
            if (transport & PacketHeader.ORDERED == 0 || relay != 0) {
                if (_hasEnded(batch, transport)) return;
            }
            if (transport & PacketHeader.ORDERED != 0) {
                laneSlot = _nextInLane(batch, transport);
                if (laneSlot == 0) return;
            }

            uint256 transaction = Calldata.word(offset + 40);
            uint256 expiry = PacketHeader.execExpiry(transaction);
            uint256 code;
            address account;
            if (expiry != 0 && block.timestamp >= expiry) {
                code = EXPIRED;
            } else {
                if (!whole || batch.paused) return;
                _focusApplication(batch, PacketHeader.applicationId(Calldata.word(offset + 72)));
                if (batch.account & APP_PAUSED != 0) return;
                account = address(uint160(batch.account));
                if (PacketHeader.gasLimit(transaction) > _MAX_HANDLER_GAS) code = FAILED_GAS;
                else if (account == address(0)) code = FAILED_APPLICATION;
            }

            bytes memory returned;
            if (code == 0) {
                bool success;
                uint256 length = PacketHeader.SIZE + bodyLength;
                if (transaction & PacketHeader.RETURN == 0) {
                    success = _callHandler(account, PacketHeader.gasLimit(transaction), packetId, offset, length);
                    if (!success) emit HandlerFailed(packetId, _reason());
                } else {
                    (success, returned) = _callHandlerReturning(
                        account, PacketHeader.gasLimit(transaction), packetId, Calldata.slice(offset, length)
                    );
                    if (success) code = 0x80;
                    else emit HandlerFailed(packetId, returned);
                }
                code |= success ? EXECUTED : FAILED;
            }
            _end(batch, transport, packetId, code, returned, laneSlot);
        }
    }

    /// @dev Whether a packet of an unordered or a bound lane came to its end before. Its bitmap word is the one that is kept afterwards.
    function _hasEnded(Batch memory batch, uint256 transport) private returns (bool) {
        uint256 sequence = PacketHeader.sequence(transport);
        uint256 relay = PacketHeader.relay(transport);
        if (relay == 0) {
            _focus(
                batch,
                BASE_SEEN,
                (PacketHeader.domain(transport) << 128) | (PacketHeader.source(transport) << 96)
                    | (PacketHeader.channel(transport) << 64) | (sequence >> 8)
            );
            return (batch.bitmap >> (sequence & 255)) & 1 != 0;
        }
        _focus(
            batch,
            BASE_STATUS,
            _statusKey(batch.domain, PacketHeader.source(transport), relay, PacketHeader.channel(transport), sequence)
        );
        return (batch.bitmap >> (2 * (sequence & 127))) & 3 != 0;
    }

    /// @dev Slot of the receiving lane if the packet is the next of its ordered lane, otherwise 0. Moves the lane over sequences whose status is final.
    function _nextInLane(Batch memory batch, uint256 transport) private returns (uint256 slot) {
        unchecked {
            uint256 sequence = PacketHeader.sequence(transport);
            slot = _receiveLaneSlot(
                batch.domain,
                PacketHeader.source(transport),
                PacketHeader.relay(transport),
                PacketHeader.channel(transport)
            );
            uint256 last = _load(slot);
            if (sequence <= last) return 0;
            if (sequence == last + 1) return slot;
            if (PacketHeader.relay(transport) == 0) return 0;
            uint256 passed = _passFinal(batch, transport, last);
            if (passed != last) _store(slot, passed);
            // The word of this packet is kept again, for its end.
            _hasEnded(batch, transport);
            return sequence == passed + 1 ? slot : 0;
        }
    }

    /// @dev The last of the sequences from `last` on whose bound status is final without a gap.
    function _passFinal(Batch memory batch, uint256 transport, uint256 last) private returns (uint256) {
        unchecked {
            for (uint256 i = 0; i < PASS_LIMIT; ++i) {
                // Only sequence and lane matter to `_hasEnded`.
                if (!_hasEnded(batch, (transport & ~U64) | (last + 1))) break;
                ++last;
            }
            return last;
        }
    }

    /// @dev Writes the end of a packet: its bit or status, its lane, its receipt.
    function _end(
        Batch memory batch,
        uint256 transport,
        bytes32 packetId,
        uint256 code,
        bytes memory returned,
        uint256 laneSlot
    ) private {
        unchecked {
            uint256 sequence = PacketHeader.sequence(transport);
            bool bound = PacketHeader.relay(transport) != 0;
            if (bound) {
                batch.bitmap |= (code & 0x7f == EXECUTED ? COMMITTED : ABORTED) << (2 * (sequence & 127));
                batch.dirty = true;
                batch.marks |= 1;
            } else if (laneSlot == 0) {
                batch.bitmap |= 1 << (sequence & 255);
                batch.dirty = true;
            }
            if (laneSlot != 0) _store(laneSlot, bound ? _passFinal(batch, transport, sequence) : sequence);
            batch.marks |= (transport & PacketHeader.RECEIPT_WANTED) >> 232;
            ++batch.ended;
            _addReceipt(batch, packetId, code, returned);
        }
    }

    function _focusApplication(Batch memory batch, uint256 application) private view {
        if (batch.application == application) return;
        batch.application = application;
        (address account, bool paused) = _callable(application);
        batch.account = uint160(account) | (paused ? APP_PAUSED : 0);
    }

    // ------------------------------------------------------------------------------------------------------------ receipts that are made

    /// @dev Takes memory for the receipts of at most `packets` packets, of which `returning` may return data. `content` is endorsing relay (4), count (2),
    /// items; an item takes 33 bytes, with RETURN up to 258 more. The list that is hashed is the same bytes unless data are returned.
    function _prepareReceipts(Batch memory batch, uint256 packets, uint256 returning) internal pure {
        bytes memory content;
        uint256 list;
        assembly ("memory-safe") {
            content := mload(0x40)
            let free := add(content, add(0x60, add(mul(packets, 33), mul(returning, 258))))
            if returning {
                list := free
                mstore(list, add(list, 0x20))
                free := add(free, add(0x40, mul(packets, 65)))
            }
            mstore(0x40, and(add(free, 31), not(31)))
            mstore(add(batch, CONTENT_MEMBER), content)
        }
        batch.list = list;
        assembly ("memory-safe") {
            mstore(add(batch, CONTENT_END_MEMBER), add(content, 0x26))
        }
    }

    function _addReceipt(Batch memory batch, bytes32 packetId, uint256 code, bytes memory returned) private pure {
        uint256 end = batch.contentEnd;
        uint256 list = batch.list;
        assembly ("memory-safe") {
            mstore(end, packetId)
            mstore8(add(end, 0x20), code)
            end := add(end, 33)
            if list {
                let listEnd := mload(list)
                mstore(listEnd, packetId)
                mstore8(add(listEnd, 0x20), code)
                listEnd := add(listEnd, 33)
                if and(code, 0x80) {
                    let length := mload(returned)
                    mstore8(end, shr(8, length))
                    mstore8(add(end, 1), length)
                    end := add(end, 2)
                    for { let i := 0 } lt(i, length) { i := add(i, 0x20) } {
                        mstore(add(end, i), mload(add(add(returned, 0x20), i)))
                    }
                    end := add(end, length)
                    mstore(listEnd, keccak256(add(returned, 0x20), length))
                    listEnd := add(listEnd, 0x20)
                }
                mstore(list, listEnd)
            }
        }
        batch.contentEnd = end;
    }

    /// @dev Writes what is still kept in memory and makes the entry for the receipts, if anybody needs one.
    function _closeBatch(Batch memory batch) internal {
        _flush(batch);
        uint256 marks = batch.marks;
        if (marks == 0) return;
        bytes memory content = batch.content;
        uint256 contentEnd = batch.contentEnd;
        uint256 list = batch.list;
        uint256 prefix = (batch.relay << 16) | batch.ended;
        bytes32 listHash;
        assembly ("memory-safe") {
            let items := add(content, 0x26)
            switch list
            case 0 { listHash := keccak256(items, sub(contentEnd, items)) }
            default { listHash := keccak256(add(list, 0x20), sub(mload(list), add(list, 0x20))) }
            // The word that ends where the items begin: its last six bytes are relay and count, the others are overwritten by the length.
            mstore(add(content, 0x06), prefix)
            mstore(content, sub(contentEnd, add(content, 0x20)))
        }
        _appendReceipts(batch.domain, marks & 1 != 0 ? batch.relay : 0, batch.relay, listHash, content);
    }

    // ------------------------------------------------------------------------------------------------------------ receipts that come home

    /// @dev Takes the receipt home from `offset` to `end`, whose layout was checked when the range was folded. It counts once, and only for a packet that
    /// was sent.
    function _takeReceiptHome(Batch memory batch, bytes32 messageId, uint256 offset, uint256 end) internal {
        unchecked {
            uint256 transport = Calldata.word(offset);
            uint256 relay = PacketHeader.relay(transport);
            uint256 here = (batch.domain << 192) | (_REGISTRATION << 160);
            if (transport & ((U32 << 192) | (U32 << 160)) != here) return;
            if (relay != 0 && relay != batch.relay) return;
            uint256 code = Calldata.u8(offset + 168);
            if (PacketHeader.sequence(transport) > _lastSequence(transport) || _wasReceipted(batch, transport)) return;

            if (PacketHeader.callback(Calldata.word(offset + 72)) == 0) return;
            bytes32 packetId = PacketHeader.packetIdOfHash(offset);
            (bool success, bytes memory reason) = _callBack(
                packetId, Calldata.slice(offset, 168), uint8(code), Calldata.slice(offset + 171, end - offset - 171)
            );
            if (!success) {
                _failedCallbacks[messageId] = true;
                emit CallbackFailed(packetId, reason);
            }
        }
    }

    /// @dev Whether the receipt of a packet was taken before; marks it as taken.
    function _wasReceipted(Batch memory batch, uint256 transport) private returns (bool) {
        uint256 sequence = PacketHeader.sequence(transport);
        uint256 lane = (PacketHeader.domain(transport) << 160) | (PacketHeader.destination(transport) << 128)
            | (PacketHeader.relay(transport) << 96) | (PacketHeader.channel(transport) << 64);
        _focus(batch, BASE_RECEIPTS, lane | (sequence >> 8));
        uint256 bit = 1 << (sequence & 255);
        if (batch.bitmap & bit != 0) return true;
        batch.bitmap |= bit;
        batch.dirty = true;
        return false;
    }

    /// @dev Calls a callback again that failed before, see IHub.
    function _retryCallback(bytes calldata receiptHome) internal {
        uint256 offset = Calldata.start(receiptHome);
        if (receiptHome.length < 171 || receiptHome.length != 171 + Calldata.u16(offset + 169)) {
            revert MalformedRange();
        }
        bytes32 messageId = _receiptHomeId(offset, offset + receiptHome.length);
        if (!_failedCallbacks[messageId]) revert NoFailedCallback();
        delete _failedCallbacks[messageId];
        uint256 application = PacketHeader.applicationId(Calldata.word(offset + 72));
        (address account, bool paused) = _callable(application);
        if (account == address(0) || paused) revert ApplicationUnavailable(uint32(application));
        bytes32 packetId = PacketHeader.packetIdOfHash(offset);
        _callOrRevert(
            account,
            abi.encodeCall(
                IApplication.onReceipt,
                (packetId, receiptHome[:168], uint8(Calldata.u8(offset + 168)), receiptHome[171:])
            )
        );
    }

    // ------------------------------------------------------------------------------------------------------------ verdicts

    /// @dev Takes the verdicts at `offset`, whose layout was checked when the range was folded. A status is written once; a verdict on a final one has no
    /// effect, whatever it says.
    function _takeVerdicts(Batch memory batch, uint256 offset) internal {
        unchecked {
            uint256 form = Calldata.u8(offset);
            uint256 count = Calldata.u16(offset + 1);
            offset += 3;
            if (form == 1) {
                _takeOriginVerdicts(batch, offset, count);
            } else {
                for (uint256 i = 0; i < count; ++i) {
                    _takeParticipantVerdict(batch, Calldata.word(offset));
                    offset += 17;
                }
            }
        }
    }

    function _takeOriginVerdicts(Batch memory batch, uint256 offset, uint256 count) private {
        unchecked {
            uint256 relay = batch.relay;
            uint256 lastNonce = (_head[_outboxKey(batch.domain, relay)] >> HEAD_NONCE) & U64;
            uint256 base = _statusKey(batch.domain, 0, relay, 0, 0);
            // The word that is worked on lives here and goes back to the batch when another one is needed.
            uint256 current = type(uint256).max;
            uint256 bitmap;
            for (; count != 0; --count) {
                uint256 word = Calldata.word(offset);
                uint256 nonce = word >> 192;
                uint256 verdict = (word >> 184) & 0xff;
                offset += 9;
                // Nonces that were never given out are passed over.
                if (nonce - 1 < lastNonce) {
                    if (nonce >> 7 != current) {
                        if (current != type(uint256).max) (batch.bitmap, batch.dirty) = (bitmap, true);
                        current = nonce >> 7;
                        _focus(batch, BASE_STATUS, base | current);
                        bitmap = batch.bitmap;
                    }
                    uint256 shift = (nonce & 127) << 1;
                    if ((bitmap >> shift) & 3 == 0) {
                        bitmap |= verdict << shift;
                        if (verdict == ABORTED) _settlement[(relay << 64) | nonce] = bytes32(Calldata.word(offset));
                    }
                }
                if (verdict == ABORTED) offset += 32;
            }
            if (current != type(uint256).max) (batch.bitmap, batch.dirty) = (bitmap, true);
        }
    }

    /// @dev `word` holds source u32, channel u32, sequence u64, verdict u8. A participant that has not executed (LAST_AGENT) never will after an ABORT; there
    /// is nothing that a COMMIT could tell it.
    function _takeParticipantVerdict(Batch memory batch, uint256 word) private {
        unchecked {
            uint256 source = word >> 224;
            uint256 sequence = (word >> 128) & U64;
            // Source 0, which would name the status words of this hub's own transactions, was refused when the range was folded.
            if (source == _REGISTRATION || (word >> 120) & 0xff != ABORTED) return;
            _focus(batch, BASE_STATUS, _statusKey(batch.domain, source, batch.relay, (word >> 192) & U32, sequence));
            uint256 shift = 2 * (sequence & 127);
            if ((batch.bitmap >> shift) & 3 != 0) return;
            batch.bitmap |= ABORTED << shift;
            batch.dirty = true;
        }
    }

    /// @dev Lets the application undo the effect of an aborted transaction, see IHub.
    function _settle(uint32 domain, uint32 relay, uint64 nonce, bytes calldata packets) internal {
        uint256 offset = Calldata.start(packets);
        uint256 key = (uint256(relay) << 64) | nonce;
        // Every transaction that exists yet has one participant.
        if (packets.length < PacketHeader.SIZE || !PacketHeader.isWellFormed(offset)) revert NothingToSettle();
        uint256 transport = Calldata.word(offset);
        uint256 application = Calldata.word(offset + 72);
        // The hash was named by a relay chain for this nonce; a packet of another transaction must not be undone under it.
        bool own = PacketHeader.bodyLength(application) == packets.length - PacketHeader.SIZE
            && PacketHeader.domain(transport) == domain && PacketHeader.relay(transport) == relay
            && PacketHeader.source(transport) == _REGISTRATION
            && PacketHeader.nonce(Calldata.word(offset + 40)) == nonce && relay != 0;
        bytes32 packetId = PacketHeader.packetId(offset, packets.length - PacketHeader.SIZE);
        if (!own || _settlement[key] != keccak256(abi.encodePacked(TAG_PACKETS, packetId))) revert NothingToSettle();
        // A pause stops what is new; what is owed is paid back all the same.
        (address account,) = _callable(PacketHeader.applicationId(application));
        if (account == address(0)) revert ApplicationUnavailable(uint32(PacketHeader.applicationId(application)));
        _settlement[key] = SETTLED;
        emit Settled(key);
        _callOrRevert(account, abi.encodeCall(IApplication.onAbort, (packetId, packets)));
    }

    /// @dev See IHub.
    function _statusOf(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence)
        internal
        view
        returns (uint8)
    {
        return uint8((_status[_statusKey(domain, source, relay, channel, sequence)] >> (2 * (sequence & 127))) & 3);
    }

    /// @dev See IHub.
    function _isFinal(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence, bool ordered)
        internal
        view
        returns (bool)
    {
        if (relay != 0) return _statusOf(domain, source, relay, channel, sequence) != 0;
        if (ordered) return sequence <= _load(_receiveLaneSlot(domain, source, relay, channel)) & U64;
        uint256 key = (uint256(domain) << 128) | (uint256(source) << 96) | (uint256(channel) << 64) | (sequence >> 8);
        return (_seen[key] >> (sequence & 255)) & 1 != 0;
    }

    // ------------------------------------------------------------------------------------------------------------ bitmap words

    /// @dev Makes the word of `key` in the mapping at slot `base` the one that is kept.
    function _focus(Batch memory batch, uint256 base, uint256 key) private {
        uint256 tagged = (base << 248) | key;
        if (batch.bitmapKey == tagged) return;
        _flush(batch);
        batch.bitmapKey = tagged;
        batch.bitmapSlot = _slotOf(base, key);
        batch.bitmap = _load(batch.bitmapSlot);
    }

    function _flush(Batch memory batch) internal {
        if (batch.dirty) {
            _store(batch.bitmapSlot, batch.bitmap);
            batch.dirty = false;
        }
    }

    function _statusKey(uint256 domain, uint256 source, uint256 relay, uint256 channel, uint256 sequence)
        internal
        pure
        returns (uint256)
    {
        return (domain << 160) | (source << 128) | (relay << 96) | (channel << 64) | (sequence >> 7);
    }

    function _receiveLaneSlot(uint256 domain, uint256 source, uint256 relay, uint256 channel)
        internal
        pure
        returns (uint256)
    {
        return _slotOf(BASE_RECEIVE_LANE, (domain << 96) | (source << 64) | (relay << 32) | channel);
    }
}

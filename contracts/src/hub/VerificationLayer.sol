// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../crypto/Frost.sol";
import {Quorum} from "../crypto/Quorum.sol";
import {Calldata} from "./Calldata.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {Protocols} from "./Protocols.sol";
import {TransportLayer} from "./TransportLayer.sol";
import {TAG_ENDORSE, TAG_ENDORSEMENT_SET, TAG_OUTBOX, TAG_RECEIPT_HOME, TAG_VERDICT} from "./Tags.sol";

/// @title Verification layer of a hub: what a packet demands, sets of endorsers, ranges (formats, sections 5.1 and 8).
abstract contract VerificationLayer is TransportLayer {
    /// @dev Verification header of a packet that is sent (in the lowest 64 bits): what the sender demands, which this hub's registration must meet.
    function _verificationDown(uint256 demand, uint256 settings) internal pure returns (uint256) {
        uint256 ownMethod = (settings >> SETTINGS_METHOD) & 3;
        if (ownMethod == 0) revert VerificationNotMet();
        if (demand == 0) return ownMethod << 56;
        if (demand & U32 != 0) revert InvalidHeader();
        uint256 method = demand >> 56;
        bool met = (method == ownMethod || (ownMethod == 3 && method != 0 && method < 3))
            && (demand >> 48) & 0xff <= (settings >> SETTINGS_DEPTH) & 0xff
            && (demand >> 32) & 0xffff <= (settings >> SETTINGS_EPOCH) & 0xffff;
        if (!met) revert VerificationNotMet();
        return demand;
    }

    // ------------------------------------------------------------------------------------------------------------ sets of endorsers

    /// @dev Checks the layout of a set at `offset`, which ends at or before `end` of the call data: returns where it ends, 0 if it is malformed.
    function _setEnd(uint256 offset, uint256 end) internal pure returns (uint256 setEnd) {
        unchecked {
            uint256 method = Calldata.u8(offset + 4);
            uint256 threshold = Calldata.u8(offset + 5);
            uint256 members = Calldata.u8(offset + 6);
            if (threshold == 0 || threshold > members || members > 32 || Calldata.u32(offset) == 0) return 0;
            if (!Protocols.isVerification(method)) return 0;
            setEnd = offset + 7 + _keysLength(method, members);
            if (setEnd > end) return 0;
        }
    }

    /// @dev Length of the keys in a set: addresses, addresses and the validators hash, or the group key.
    function _keysLength(uint256 method, uint256 members) private pure returns (uint256) {
        unchecked {
            if (method == Protocols.ENDORSED_BY_SIGNATURES) return 20 * members;
            return method == Protocols.ENDORSED_BY_COMMIT ? 20 * members + 32 : 33;
        }
    }

    /// @dev The stored form of the hash of a set: the lowest byte is left to flags.
    function _setHash(uint256 domain, uint256 relay, uint256 offset, uint256 setEnd)
        internal
        pure
        returns (uint256 hash)
    {
        bytes32 tag = TAG_ENDORSEMENT_SET;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let length := sub(setEnd, offset)
            mstore(buffer, tag)
            mstore(add(buffer, 0x20), or(shl(224, domain), shl(192, relay)))
            calldatacopy(add(buffer, 0x28), offset, length)
            hash := and(keccak256(buffer, add(0x28, length)), not(0xff))
        }
    }

    /// @dev Reads `domain || relay || set || proof` at `offset`. Reverts unless the set is the current one, or the one before within its overlap.
    /// @return proof Offset of the proof.
    /// @return proofEnd Offset of what follows it.
    /// @return flags SET_*.
    function _openEndorsers(uint256 offset, uint256 end)
        internal
        view
        returns (uint256 proof, uint256 proofEnd, uint256 flags)
    {
        unchecked {
            uint256 relay = Calldata.u32(offset + 4);
            // The hash tells a set that was checked when it was registered; here only its length has to be known.
            uint256 header = Calldata.word(offset + 8) >> 200;
            uint256 method = (header >> 16) & 0xff;
            proof = offset + 15 + _keysLength(method, header & 0xff);
            if (method == Protocols.ENDORSED_BY_SIGNATURES) proofEnd = proof + 4 + 65 * ((header >> 8) & 0xff);
            else if (method == Protocols.ENDORSED_BY_COMMIT) proofEnd = proof + 2 + Calldata.u16(proof);
            else proofEnd = proof + 97;
            if (proofEnd > end) revert MalformedRange();
            uint256 hash = _setHash(Calldata.u32(offset), relay, offset + 8, proof);
            uint256 current = _currentSet[relay];
            flags = current & SET_FLAGS;
            if (hash != current ^ flags || current == 0) {
                bool accepted =
                    hash == _previousSet[relay] && current != 0 && block.timestamp < _relays[relay].overlapUntil;
                if (!accepted) revert UnknownSet();
            }
        }
    }

    /// @dev Reverts unless the proof signs `value` as entry `number` of the outbox toward `destination`. `offset` and `proof` are those of `_openEndorsers`.
    function _requireEndorsed(uint256 offset, uint256 proof, uint256 destination, uint256 number, bytes32 value)
        internal
        view
    {
        uint256 header = Calldata.word(offset + 8) >> 200;
        uint256 method = (header >> 16) & 0xff;
        if (method == Protocols.ENDORSED_BY_COMMIT) {
            return _requireCommitted(offset, proof, destination, number, value);
        }
        bytes32 tag = TAG_ENDORSE;
        bytes32 digest;
        uint256 targetAndEpoch =
            (Calldata.u32(offset) << 224) | (destination << 192) | ((header >> 24) << 160) | (1 << 152);
        uint256 entry = (Calldata.u32(offset + 4) << 224) | (number << 160);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, tag)
            mstore(add(buffer, 0x20), targetAndEpoch)
            mstore(add(buffer, 0x2d), entry)
            mstore(add(buffer, 0x39), value)
            digest := keccak256(buffer, 0x59)
        }
        bool valid;
        if (method == Protocols.ENDORSED_BY_SIGNATURES) {
            unchecked {
                uint256 threshold = (header >> 8) & 0xff;
                valid = Quorum.verify(
                    digest,
                    Calldata.slice(offset + 15, 20 * (header & 0xff)),
                    threshold,
                    Calldata.u32(proof),
                    Calldata.slice(proof + 4, 65 * threshold)
                );
            }
        } else {
            uint256 key = offset + 15;
            valid = Frost.verifyShown(Calldata.word(key + 1), Calldata.u8(key), abi.encodePacked(digest), proof);
        }
        if (!valid) revert NotEndorsed();
    }

    /// @dev `_requireEndorsed` for method 2: the proof shows a commit of the set, and the outbox head in the state behind it.
    function _requireCommitted(uint256 offset, uint256 proof, uint256 destination, uint256 number, bytes32 value)
        private
        view
    {
        bool valid = _COMMIT_VERIFIER.verify(
            Calldata.u32(offset),
            Calldata.u32(offset + 4),
            destination,
            number,
            value,
            Calldata.slice(offset + 8, proof - offset - 8),
            Calldata.slice(proof + 2, Calldata.u16(proof))
        );
        if (!valid) revert NotEndorsed();
    }

    // ------------------------------------------------------------------------------------------------------------ ranges

    /// @dev Reads and folds the range from `offset` to `end`. Reverts with MalformedRange unless these bytes are one encoding of a range.
    /// @return ids Message ids of the entries, which begin 42 bytes behind `offset`.
    /// @return last Number of the last entry.
    /// @return value What the entries fold to.
    /// @return packets Number of entries of form 1 and 2.
    /// @return returning How many of them have RETURN.
    function _openRange(uint256 offset, uint256 end)
        internal
        pure
        returns (bytes32[] memory ids, uint256 last, bytes32 value, uint256 packets, uint256 returning)
    {
        unchecked {
            uint256 entryNumber = Calldata.u64(offset);
            value = bytes32(Calldata.word(offset + 8));
            uint256 count = Calldata.u16(offset + 40);
            bool malformed;
            assembly ("memory-safe") {
                malformed := or(or(iszero(entryNumber), iszero(count)), iszero(value))
                // The shortest entry, one COMMIT, has 21 bytes; memory is taken for no more than can be there.
                malformed := or(malformed, gt(add(add(offset, 42), mul(21, count)), end))
            }
            if (malformed) revert MalformedRange();
            ids = _allocate(count);
            bytes32 tag = TAG_OUTBOX;
            uint256 height;
            uint256 position = offset + 42;
            for (uint256 i = 0; i < count; ++i) {
                uint256 word = Calldata.word(position);
                if (word >> 192 < height) revert MalformedRange();
                height = word >> 192;
                uint256 form = (word >> 184) & 0xff;
                uint256 next = _contentEnd(form, position + 9);
                if (next > end) revert MalformedRange();
                bytes32 id;
                if (form == FORM_PACKET) {
                    id = PacketHeader.packetId(position + 9, next - position - 9 - PacketHeader.SIZE);
                    ++packets;
                    if (Calldata.word(position + 49) & PacketHeader.RETURN != 0) ++returning;
                } else if (form == FORM_BARE) {
                    id = bytes32(Calldata.word(position + 9));
                } else if (form == FORM_PACKET_HASH) {
                    id = PacketHeader.packetIdOfHash(position + 9);
                    ++packets;
                } else if (form == FORM_VERDICTS) {
                    id = _verdictsId(position + 9, next);
                } else {
                    id = _receiptHomeId(position + 9, next);
                }
                assembly ("memory-safe") {
                    mstore(add(add(ids, 0x20), shl(5, i)), id)
                }
                value = _fold(tag, value, entryNumber, height, id);
                ++entryNumber;
                position = next;
            }
            if (position != end || entryNumber > U64) revert MalformedRange();
            last = entryNumber - 1;
        }
    }

    /// @dev Where the content at `offset` of an entry of a relay chain's outbox ends. Reverts for forms and lengths that no relay chain makes.
    function _contentEnd(uint256 form, uint256 offset) internal pure returns (uint256) {
        unchecked {
            if (form == FORM_PACKET) {
                return offset + PacketHeader.SIZE + PacketHeader.bodyLength(Calldata.word(offset + 72));
            }
            if (form == FORM_BARE) return offset + 32;
            if (form == FORM_PACKET_HASH) return offset + PacketHeader.SIZE + 32;
            if (form == FORM_VERDICTS) return _verdictsEnd(offset);
            if (form == FORM_RECEIPT_HOME) return offset + 171 + Calldata.u16(offset + 169);
            revert MalformedRange();
        }
    }

    /// @dev Source, sequence and nonce 0 name nothing and are refused.
    function _verdictsEnd(uint256 offset) private pure returns (uint256 end) {
        uint256 form = Calldata.u8(offset);
        uint256 count = Calldata.u16(offset + 1);
        bool valid = count != 0 && count <= 256;
        assembly ("memory-safe") {
            end := add(offset, 3)
            switch form
            case 1 {
                // nonce u64, verdict u8: 2 COMMIT, or 3 ABORT with 32 bytes more
                for {} count { count := sub(count, 1) } {
                    let word := calldataload(end)
                    let verdict := sub(byte(8, word), 2)
                    valid := and(valid, and(lt(verdict, 2), gt(shr(192, word), 0)))
                    end := add(end, add(9, shl(5, and(verdict, 1))))
                }
            }
            case 2 {
                // source u32, channel u32, sequence u64, verdict u8
                for {} count { count := sub(count, 1) } {
                    let word := calldataload(end)
                    valid := and(valid, lt(sub(byte(16, word), 2), 2))
                    valid := and(valid, and(gt(shr(224, word), 0), gt(and(shr(128, word), 0xffffffffffffffff), 0)))
                    end := add(end, 17)
                }
            }
            default { valid := 0 }
        }
        if (!valid) revert MalformedRange();
    }

    function _verdictsId(uint256 offset, uint256 end) private pure returns (bytes32 id) {
        bytes32 tag = TAG_VERDICT;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            let length := sub(end, offset)
            mstore(buffer, tag)
            calldatacopy(add(buffer, 0x20), offset, length)
            id := keccak256(buffer, add(0x20, length))
        }
    }

    /// @dev Id of the receipt home from `offset` to `end`, section 6.4. Reverts for what no relay chain sends home.
    function _receiptHomeId(uint256 offset, uint256 end) internal pure returns (bytes32) {
        unchecked {
            uint256 code = Calldata.u8(offset + 168);
            uint256 length = end - offset - 171;
            bool mayReturn = code == 1 && Calldata.word(offset + 40) & PacketHeader.RETURN != 0;
            bool valid = code != 0 && code <= 5 && (length == 0 || (mayReturn && length <= 256))
                && PacketHeader.isWellFormed(offset) && Calldata.word(offset) & PacketHeader.RECEIPT_WANTED != 0;
            if (!valid) revert MalformedRange();
            return keccak256(
                abi.encodePacked(
                    TAG_RECEIPT_HOME,
                    PacketHeader.packetIdOfHash(offset),
                    uint8(code),
                    keccak256(Calldata.slice(offset + 171, length))
                )
            );
        }
    }

    /// @dev An array whose content is not zeroed first, for code that writes every element.
    function _allocate(uint256 count) private pure returns (bytes32[] memory array) {
        assembly ("memory-safe") {
            array := mload(0x40)
            mstore(array, count)
            mstore(0x40, add(array, shl(5, add(count, 1))))
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "./Calldata.sol";
import {TAG_PACKET} from "./Tags.sol";

/// @title The packet header: 136 bytes, four layers (formats, section 4).
/// @notice Reads headers at an offset of the call data. `isWellFormed` is the one strict decoder; fields are cut out of the words of a layer.
/// @dev Words by layer: transport `[0, 32)`, verification `[32, 40)` (left half of a word), transaction `[40, 72)`, application `[72, 104)`, user `[104, 136)`.
library PacketHeader {
    uint256 internal constant SIZE = 136;

    uint256 internal constant PROTOCOL_NONE = 0;
    uint256 internal constant PROTOCOL_ATP = 2;
    uint256 internal constant PROTOCOL_FORWARD = 4;

    uint256 internal constant TRANSPORT_BASIC = 1;
    uint256 internal constant TRANSPORT_RELIABLE = 2;

    uint256 private constant U32 = 0xffffffff;
    uint256 private constant U40 = 0xffffffffff;
    uint256 private constant U64 = 0xffffffffffffffff;

    /// Version 1 and header length 17 * 8.
    uint256 internal constant TRANSPORT_FIXED = (1 << 248) | (17 << 224);
    /// Version, protocol, all flags but RECEIPT_WANTED, header length.
    uint256 private constant TRANSPORT_FIXED_MASK = (0xfffffdff << 224);
    uint256 private constant BASIC_FIXED = TRANSPORT_FIXED | (TRANSPORT_BASIC << 240);
    /// ORDERED is set exactly with reliable.
    uint256 private constant RELIABLE_FIXED = TRANSPORT_FIXED | (TRANSPORT_RELIABLE << 240) | ORDERED;
    uint256 private constant DOMAIN_FIELD = 0xffffffff << 192;
    /// Of the verification word: the upper bits of the method, which is at most 3, and the reserved bytes.
    uint256 private constant VERIFICATION_ZERO_MASK = (0xfc << 248) | (0xffffffff << 192);
    uint256 internal constant ORDERED = 1 << 232;
    uint256 internal constant RECEIPT_WANTED = 2 << 232;

    /// Of the transaction word with NONE or FORWARD: all that must be zero, i.e. everything but the bit that tells FORWARD from NONE, RETURN, execExpiry
    /// and the gas limit.
    uint256 internal constant PLAIN_ZERO_MASK = ~(uint256(4 << 248) | uint256(RETURN) | ((uint256(1) << 72) - 1));
    uint256 internal constant RETURN = 0x10 << 224;
    /// Of the transaction word with ATP: all that is fixed, i.e. everything but RETURN, nonce, deadline, execExpiry and the gas limit.
    uint256 private constant REQUEST_FIXED_MASK = ~(uint256(RETURN) | ((uint256(1) << 176) - 1));
    /// ATP, kind REQUEST, participant 0 of 1.
    uint256 internal constant REQUEST_FIXED = (2 << 248) | (1 << 232) | (1 << 208);

    /// Of the application word: compensation function and reserved bytes, which are zero.
    uint256 internal constant APPLICATION_ZERO_MASK = (U32 << 128) | U64;

    /// And the upper bits of the codec.
    uint256 private constant APPLICATION_DECODER_MASK = (0xffffffff << 128) | 0xffffffffffffffff | (0xfc << 112);
    uint256 private constant CODEC_FIELD = 3 << 112;

    /// @notice Says whether the header at `offset` is one that the decoder accepts. What follows the header is the caller's to check.
    /// @dev One masked comparison for all that is fixed in a word; fields that must not be zero are looked at one by one.
    function isWellFormed(uint256 offset) internal pure returns (bool) {
        unchecked {
            uint256 t = Calldata.word(offset);
            uint256 x = Calldata.word(offset + 40);
            uint256 expiry = execExpiry(x);
            if (t & TRANSPORT_FIXED_MASK != BASIC_FIXED) {
                if (t & TRANSPORT_FIXED_MASK != RELIABLE_FIXED || channel(t) == 0 || expiry == 0) return false;
            }
            uint256 source_ = source(t);
            if (relay(t) == 0) {
                if (x & PLAIN_ZERO_MASK != 0) return false;
            } else {
                if (x & REQUEST_FIXED_MASK != REQUEST_FIXED | (source_ << 176)) return false;
                if (nonce(x) == 0 || expiry == 0 || deadline(x) < expiry) return false;
            }
            uint256 v = Calldata.word(offset + 32);
            uint256 a = Calldata.word(offset + 72);
            uint256 destination_ = destination(t);
            bool zero;
            assembly ("memory-safe") {
                zero := or(iszero(source_), iszero(destination_))
                zero := or(zero, iszero(and(t, DOMAIN_FIELD)))
                zero := or(zero, iszero(and(t, U64)))
                zero := or(zero, iszero(shr(248, v)))
                zero := or(zero, iszero(shr(224, a)))
                zero := or(zero, eq(source_, destination_))
                zero := or(zero, and(v, VERIFICATION_ZERO_MASK))
                zero := or(zero, and(a, APPLICATION_DECODER_MASK))
                // Codec 3 is none, method 3 is one.
                zero := or(zero, eq(and(a, CODEC_FIELD), CODEC_FIELD))
            }
            return !zero && (x & RETURN == 0 || t & RECEIPT_WANTED != 0);
        }
    }

    function domain(uint256 transport) internal pure returns (uint256) {
        return (transport >> 192) & U32;
    }

    function source(uint256 transport) internal pure returns (uint256) {
        return (transport >> 160) & U32;
    }

    function destination(uint256 transport) internal pure returns (uint256) {
        return (transport >> 128) & U32;
    }

    function relay(uint256 transport) internal pure returns (uint256) {
        return (transport >> 96) & U32;
    }

    function channel(uint256 transport) internal pure returns (uint256) {
        return (transport >> 64) & U32;
    }

    function sequence(uint256 transport) internal pure returns (uint256) {
        return transport & U64;
    }

    function protocol(uint256 transaction) internal pure returns (uint256) {
        return transaction >> 248;
    }

    function nonce(uint256 transaction) internal pure returns (uint256) {
        return (transaction >> 112) & U64;
    }

    function deadline(uint256 transaction) internal pure returns (uint256) {
        return (transaction >> 72) & U40;
    }

    function execExpiry(uint256 transaction) internal pure returns (uint256) {
        return (transaction >> 32) & U40;
    }

    function gasLimit(uint256 transaction) internal pure returns (uint256) {
        return transaction & U32;
    }

    function applicationId(uint256 application) internal pure returns (uint256) {
        return application >> 224;
    }

    function callback(uint256 application) internal pure returns (uint256) {
        return (application >> 160) & U32;
    }

    function codec(uint256 application) internal pure returns (uint256) {
        return (application >> 112) & 0xff;
    }

    function bodyLength(uint256 application) internal pure returns (uint256) {
        return (application >> 64) & U32;
    }

    /// @notice Id of the packet whose header is at `offset` and whose body of `length` bytes follows it.
    function packetId(uint256 offset, uint256 length) internal pure returns (bytes32 id) {
        bytes32 tag = TAG_PACKET;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, add(offset, 136), length)
            let bodyHash := keccak256(buffer, length)
            mstore(buffer, tag)
            calldatacopy(add(buffer, 32), offset, 136)
            mstore(add(buffer, 168), bodyHash)
            id := keccak256(buffer, 200)
        }
    }

    /// @notice Id of the packet whose header and H(body) are the 168 bytes at `offset`.
    function packetIdOfHash(uint256 offset) internal pure returns (bytes32 id) {
        bytes32 tag = TAG_PACKET;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, tag)
            calldatacopy(add(buffer, 32), offset, 168)
            id := keccak256(buffer, 200)
        }
    }

    /// @notice The packet of these headers and this body, and its id.
    /// @param transport The transport header.
    /// @param verification The verification header, in the lowest 64 bits.
    /// @param transaction The transaction header.
    /// @param application First half of the application header.
    /// @param user Second half of it.
    function assemble(
        uint256 transport,
        uint256 verification,
        uint256 transaction,
        uint256 application,
        bytes32 user,
        bytes calldata body
    ) internal pure returns (bytes memory packet, bytes32 id) {
        bytes32 tag = TAG_PACKET;
        assembly ("memory-safe") {
            packet := mload(0x40)
            let header := add(packet, 0x20)
            mstore(header, transport)
            mstore(add(header, 32), shl(192, verification))
            mstore(add(header, 40), transaction)
            mstore(add(header, 72), application)
            mstore(add(header, 104), user)
            let content := add(header, 136)
            calldatacopy(content, body.offset, body.length)
            let end := add(content, body.length)
            mstore(end, 0)
            // H(body) stands where the body begins while the id is made, and the tag where the length goes.
            let bodyHash := keccak256(content, body.length)
            let begin := mload(content)
            mstore(content, bodyHash)
            mstore(packet, tag)
            id := keccak256(packet, 200)
            mstore(content, begin)
            mstore(packet, add(136, body.length))
            mstore(0x40, and(add(end, 0x3f), not(31)))
        }
    }
}

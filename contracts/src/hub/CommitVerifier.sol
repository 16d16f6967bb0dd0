// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../crypto/Quorum.sol";
import {Calldata} from "./Calldata.sol";

/// @title Endorsement by a relay chain's own commit (formats, section 8, method 2).
/// @notice Says whether more than 2/3 of a validator set have decided a block whose app hash proves the head of an outbox. It keeps nothing and trusts
/// nobody; each hub creates its own.
/// @dev Byte formats are those of CometBFT v0.40 (`types/block.go`, `types/canonical.go`, `crypto/merkle`): hashes of the header and of the state are
/// RFC 6962 trees with SHA-256, votes are signed with `secp256k1eth` keys over keccak-256.
contract CommitVerifier {
    /// CometBFT's first field of a header that holds bytes of this length: tag and length.
    bytes2 private constant BYTES_32 = 0x0a20;
    /// Longest encoding of a time: two fields of a tag and at most ten bytes.
    uint256 private constant TIME_LIMIT = 22;
    /// Deepest path in the store of outbox heads.
    uint256 private constant DEPTH_LIMIT = 32;
    /// Length of what stands before the path in a proof, and between path and votes.
    uint256 private constant FIXED_LENGTH = 8 + 4 + 4 + 32 + 6 * 32 + 32 + 1 + 4;

    /// @notice Never reverts but for want of gas or malformed arguments of the call itself.
    /// @param domain Domain of the relay chain; with `relay` it makes the chain id.
    /// @param destination Registration of the hub whose outbox it is.
    /// @param number Entry number of the head.
    /// @param value Chain value of the head.
    /// @param set epoch u32, method u8, k u8, n u8, n addresses in the order of the set, validators hash.
    /// @param proof Section 8, without its length.
    function verify(
        uint256 domain,
        uint256 relay,
        uint256 destination,
        uint256 number,
        bytes32 value,
        bytes calldata set,
        bytes calldata proof
    ) external pure returns (bool) {
        uint256 members = Calldata.u8(Calldata.start(set) + 6);
        if (set.length != 7 + 20 * members + 32 || proof.length < FIXED_LENGTH) return false;
        uint256 depth = uint8(proof[FIXED_LENGTH - 5]);
        if (depth > DEPTH_LIMIT || proof.length < FIXED_LENGTH + 32 * depth + 4) return false;
        (bool valid, bytes32 store) = _storeRoot(destination, number, value, proof, depth);
        if (!valid) return false;
        bytes32 blockHash = _headerHash(bytes32(set[set.length - 32:]), _appHash(store, bytes32(proof[240:272])), proof);
        bytes memory vote = _vote(proof, blockHash);
        if (vote.length == 0) return false;
        return _decided(vote, _chainId(domain, relay), set, proof[FIXED_LENGTH + 32 * depth:]);
    }

    // ------------------------------------------------------------------------------------------------------------ hashes

    /// @dev Root of the store `endorsed`, by the path of the outbox head in it. Bits of sides beyond the path must be zero: a path has one encoding.
    function _storeRoot(uint256 destination, uint256 number, bytes32 value, bytes calldata proof, uint256 depth)
        private
        pure
        returns (bool valid, bytes32 root)
    {
        bytes32 content = sha256(abi.encodePacked(uint64(number), value));
        root = sha256(abi.encodePacked(hex"000d", "head/", _hexadecimal(destination), hex"20", content));
        uint256 sides = Calldata.u32(Calldata.start(proof) + FIXED_LENGTH - 4);
        for (uint256 i = 0; i < depth; ++i) {
            bytes32 sibling = bytes32(Calldata.word(Calldata.start(proof) + FIXED_LENGTH + 32 * i));
            root = sides & 1 != 0 ? _inner(sibling, root) : _inner(root, sibling);
            sides >>= 1;
        }
        return (sides == 0, root);
    }

    /// @dev The app hash of a relay chain: a map of the two stores `endorsed` and `state`, of which the second one's leaf is shown.
    function _appHash(bytes32 store, bytes32 stateLeaf) private pure returns (bytes32) {
        return
            _inner(sha256(abi.encodePacked(hex"0008", "endorsed", hex"20", sha256(abi.encodePacked(store)))), stateLeaf);
    }

    /// @dev Hash of a header: a tree of 14 fields, of which field 7 (validators hash) and field 10 (app hash) are known, and all others are shown as six
    /// nodes: leaf 6, 4-5, 0-3, then leaf 11, 8-9, 12-13.
    function _headerHash(bytes32 validatorsHash, bytes32 appHash, bytes calldata proof) private pure returns (bytes32) {
        uint256 nodes = Calldata.start(proof) + 48;
        bytes32 left = sha256(abi.encodePacked(hex"00", BYTES_32, validatorsHash));
        left = _inner(bytes32(Calldata.word(nodes)), left);
        left = _inner(bytes32(Calldata.word(nodes + 32)), left);
        left = _inner(bytes32(Calldata.word(nodes + 64)), left);
        bytes32 right = sha256(abi.encodePacked(hex"00", BYTES_32, appHash));
        right = _inner(right, bytes32(Calldata.word(nodes + 96)));
        right = _inner(bytes32(Calldata.word(nodes + 128)), right);
        right = _inner(right, bytes32(Calldata.word(nodes + 160)));
        return _inner(left, right);
    }

    /// @dev Inner node of RFC 6962: SHA-256(0x01 || left || right).
    function _inner(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(hex"01", left, right));
    }

    // ------------------------------------------------------------------------------------------------------------ votes

    /// @dev A canonical precommit for this block up to its time: type, height, round (left out when 0), block id. Empty if there is no such vote.
    function _vote(bytes calldata proof, bytes32 blockHash) private pure returns (bytes memory) {
        uint64 height = uint64(bytes8(proof[:8]));
        uint32 round = uint32(bytes4(proof[8:12]));
        uint32 parts = uint32(bytes4(proof[12:16]));
        if (height == 0 || height >> 63 != 0 || round >> 31 != 0 || parts == 0) return "";
        bytes memory total = _varint(parts);
        return abi.encodePacked(
            hex"080211",
            _littleEndian(height),
            round == 0 ? bytes("") : abi.encodePacked(hex"19", _littleEndian(round)),
            hex"22",
            uint8(71 + total.length),
            hex"0a20",
            blockHash,
            hex"12",
            uint8(35 + total.length),
            hex"08",
            total,
            hex"1220",
            proof[16:48],
            hex"2a"
        );
    }

    /// @dev Whether exactly the members that the bitmap names, as many as the set demands, have signed the vote, each with a time of its own.
    function _decided(bytes memory vote, bytes memory chainId, bytes calldata set, bytes calldata votes)
        private
        pure
        returns (bool)
    {
        uint256 bitmap = Calldata.u32(Calldata.start(votes));
        uint256 position = Calldata.start(votes) + 4;
        uint256 end = Calldata.start(votes) + votes.length;
        uint256 signed;
        for (uint256 i = 0; bitmap != 0; ++i) {
            if (bitmap & 1 != 0) {
                uint256 length = Calldata.u8(position);
                if (i >= Calldata.u8(Calldata.start(set) + 6) || length > TIME_LIMIT || position + 66 + length > end) {
                    return false;
                }
                bytes memory message =
                    abi.encodePacked(vote, uint8(length), Calldata.slice(position + 1, length), hex"32", chainId);
                bytes32 digest = keccak256(abi.encodePacked(_varint(message.length), message));
                address member = address(uint160(Calldata.word(Calldata.start(set) + 7 + 20 * i) >> 96));
                if (!_isSignedBy(digest, position + 1 + length, member)) return false;
                position += 66 + length;
                ++signed;
            }
            bitmap >>= 1;
        }
        return signed == Calldata.u8(Calldata.start(set) + 5) && signed != 0 && position == end;
    }

    /// @dev CometBFT's signature R || S || V with V 0 or 1 and the lower form of S.
    function _isSignedBy(bytes32 digest, uint256 offset, address member) private pure returns (bool) {
        uint256 s = Calldata.word(offset + 32);
        uint256 v = Calldata.u8(offset + 64);
        if (v > 1 || s > Quorum.HALF_ORDER) return false;
        address signer = ecrecover(digest, uint8(27 + v), bytes32(Calldata.word(offset)), bytes32(s));
        return signer != address(0) && signer == member;
    }

    // ------------------------------------------------------------------------------------------------------------ encodings

    /// @dev Length and characters of the relay chain's chain id, "piebridge-<domain>-<relay>".
    function _chainId(uint256 domain, uint256 relay) private pure returns (bytes memory) {
        bytes memory name = abi.encodePacked("piebridge-", _decimal(domain), "-", _decimal(relay));
        return abi.encodePacked(uint8(name.length), name);
    }

    function _decimal(uint256 number) private pure returns (bytes memory digits) {
        do {
            digits = abi.encodePacked(uint8(48 + (number % 10)), digits);
            number /= 10;
        } while (number != 0);
    }

    /// @dev Eight digits in lower case.
    function _hexadecimal(uint256 number) private pure returns (bytes8 digits) {
        for (uint256 i = 0; i < 8; ++i) {
            uint256 digit = (number >> (28 - 4 * i)) & 15;
            digits |= bytes8(bytes1(uint8(digit < 10 ? 48 + digit : 87 + digit))) >> (8 * i);
        }
    }

    function _littleEndian(uint64 number) private pure returns (bytes8 bytes_) {
        for (uint256 i = 0; i < 8; ++i) {
            bytes_ |= bytes8(uint64((number >> (8 * i)) & 0xff)) << (56 - 8 * i);
        }
    }

    /// @dev Base 128, the lowest seven bits first (protobuf).
    function _varint(uint256 number) private pure returns (bytes memory encoded) {
        while (number > 127) {
            encoded = abi.encodePacked(encoded, uint8(number | 128));
            number >>= 7;
        }
        return abi.encodePacked(encoded, uint8(number));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../crypto/Frost.sol";
import {Calldata} from "../hub/Calldata.sol";
import {Bulletin} from "./Bulletin.sol";
import {Curve} from "./Curve.sol";
import {Governed} from "./Governed.sol";
import {CONTRACT_BOARD, TAG_GOVERNOR_KEY} from "./Tags.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";

/// @title Bulletin board of the governors and registry of their key. See IGovernorBoard.
contract GovernorBoard is Bulletin, Governed {
    uint8 private constant ROTATE = 13;
    uint8 private constant RESHARED = 14;
    uint8 private constant KIND_REGISTRATION = 1;

    constructor(bytes32 foundingSet, bool dev)
        Bulletin(foundingSet, dev)
        Governed(CONTRACT_BOARD, IGovernorBoard(address(this)))
    {}

    // ------------------------------------------------------------------------------------------------------------ the key

    /// @inheritdoc IGovernorBoard
    function confirmKey(uint64 ceremony, bytes calldata groupKey) external {
        Ceremony storage record = _requireCeremony(ceremony);
        if (record.kind == SIGNING) revert MalformedCeremony();
        uint8 member = _requireMember(record.setHash, msg.sender);
        (bool valid,,) = Frost.decodeKey(groupKey);
        // Refresh and resharing keep the key.
        if (!valid || (record.kind != KEY_GENERATION && keccak256(groupKey) != _keyHashes[_epoch])) {
            revert MalformedKey();
        }
        if (_confirmed[ceremony][member]) revert PostedBefore(ceremony, 0, member);
        _confirmed[ceremony][member] = true;
        ++_confirmations[ceremony][keccak256(groupKey)];
        emit KeyConfirmed(ceremony, member, groupKey);
    }

    /// @inheritdoc IGovernorBoard
    function registerFirstKey(uint64 ceremony, bytes calldata groupKey, bytes calldata signature) external {
        if (_epoch != 0) revert KeyRegisteredBefore(uint32(_epoch));
        _register(ceremony, groupKey, signature);
    }

    /// @inheritdoc Governed
    function _execute(uint32 domain, uint8 kind, bytes calldata body) internal override {
        if ((kind != ROTATE && kind != RESHARED) || domain != 0) revert MalformedBody();
        _requireLength(body, kind == ROTATE ? 106 : 8);
        uint64 ceremony = uint64(Calldata.u64(Calldata.start(body)));
        if (kind == ROTATE) _register(ceremony, body[8:41], body[41:]);
        else _adopt(ceremony);
    }

    /// @dev Makes a key the current one: its members stand for it, and it has signed for itself.
    function _register(uint64 ceremony, bytes calldata groupKey, bytes calldata signature) private {
        Ceremony storage record = _requireCeremony(ceremony);
        if (record.kind != KEY_GENERATION) revert MalformedCeremony();
        (bool valid, uint256 x, uint8 prefix) = Frost.decodeKey(groupKey);
        if (!valid) revert MalformedKey();
        bytes32 setHash = record.setHash;
        _requireConfirmed(ceremony, setHash, keccak256(groupKey));
        uint32 epoch = uint32(_epoch + 1);
        bytes32 digest = keyDigest(epoch, ceremony, groupKey);
        if (!Frost.verify(x, prefix, bytes.concat(digest), signature)) revert WrongKeySignature();
        _epoch = epoch;
        _keyHashes[epoch] = keccak256(groupKey);
        _keys[epoch] = Key(x, setHash, uint64(block.number), prefix);
        emit KeyRegistered(epoch, ceremony, groupKey, setHash);
    }

    /// @dev The members of a resharing hold the current key from now on.
    function _adopt(uint64 ceremony) private {
        Ceremony storage record = _requireCeremony(ceremony);
        if (record.kind != RESHARING) revert MalformedCeremony();
        _requireConfirmed(ceremony, record.setHash, _keyHashes[_epoch]);
        _keys[_epoch].setHash = record.setHash;
        emit SetAdopted(uint32(_epoch), ceremony, record.setHash);
    }

    /// @dev More than two thirds of the members, and at least as many as sign, hold a share of this key.
    function _requireConfirmed(uint64 ceremony, bytes32 setHash, bytes32 keyHash) private view {
        uint8 needed = _sets[setHash].size * 2 / 3 + 1;
        if (needed < _sets[setHash].threshold) needed = _sets[setHash].threshold;
        uint8 present = _confirmations[ceremony][keyHash];
        if (present < needed) revert TooFewConfirmations(needed, present);
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IGovernorBoard
    function governorKey() external view returns (bytes memory groupKey, uint32 epoch) {
        epoch = uint32(_epoch);
        groupKey = _keyBytes(epoch);
    }

    /// @inheritdoc IGovernorBoard
    function governorKeyOf(uint32 epoch)
        external
        view
        returns (bytes memory groupKey, bytes32 setHash, uint64 registeredInBlock)
    {
        Key storage key = _keys[epoch];
        return (_keyBytes(epoch), key.setHash, key.registeredInBlock);
    }

    /// @inheritdoc IGovernorBoard
    function isSignedByGovernors(bytes32 digest, bytes calldata signature) external view returns (bool) {
        Key storage key = _keys[_epoch];
        // Before the first key both numbers are 0, which no signature is valid for.
        return Frost.verify(key.x, key.prefix, bytes.concat(digest), signature);
    }

    /// @inheritdoc IGovernorBoard
    function keyDigest(uint32 epoch, uint64 ceremony, bytes calldata groupKey) public view returns (bytes32) {
        bytes memory place = abi.encodePacked(uint64(block.chainid), address(this));
        return keccak256(
            bytes.concat(
                abi.encodePacked(TAG_GOVERNOR_KEY, uint32(0), CONTRACT_BOARD, epoch, KIND_REGISTRATION),
                place,
                abi.encodePacked(ceremony, _ceremonies[ceremony].setHash),
                groupKey
            )
        );
    }

    /// @inheritdoc IGovernorBoard
    function checkShare(bytes calldata commitments, uint8 member, uint256 share) external view returns (bool) {
        uint256 length = commitments.length;
        if (length == 0 || length % 64 != 0 || length > 64 * MEMBERS_MAX || member == 0) revert MalformedCommitments();
        uint256[] memory points = new uint256[](length / 32);
        for (uint256 i = 0; i < points.length; i += 2) {
            points[i] = uint256(bytes32(commitments[32 * i:]));
            points[i + 1] = uint256(bytes32(commitments[32 * i + 32:]));
            if (!Curve.isPoint(points[i], points[i + 1])) revert MalformedCommitments();
        }
        return Curve.isShare(points, member, share);
    }

    function _keyBytes(uint32 epoch) private view returns (bytes memory) {
        Key storage key = _keys[epoch];
        return key.prefix == 0 ? bytes("") : abi.encodePacked(key.prefix, key.x);
    }
}

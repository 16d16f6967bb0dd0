// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {TAG_GOVERNOR_SET} from "./Tags.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";

/// @title Sets of governors, ceremonies and what is posted in them: the part of GovernorBoard without the key.
abstract contract Bulletin is IGovernorBoard {
    uint256 internal constant MEMBERS_MAX = 100;
    uint256 private constant PAYLOAD_MAX = 16_384;
    uint256 private constant ROUNDS_MAX = 8;
    uint256 private constant ROUND_BLOCKS_MAX = 7200;

    uint8 internal constant KEY_GENERATION = 1;
    uint8 internal constant SIGNING = 2;
    uint8 private constant REFRESH = 3;
    uint8 internal constant RESHARING = 4;

    struct Key {
        uint256 x;
        bytes32 setHash;
        uint64 registeredInBlock;
        uint8 prefix;
    }

    struct Set {
        uint8 threshold;
        uint8 size;
        mapping(address account => uint8) members;
    }

    struct Ceremony {
        bytes32 setHash;
        bytes32 subject;
        uint64 openedInBlock;
        uint32 roundBlocks;
        uint8 kind;
        uint8 rounds;
    }

    /// @inheritdoc IGovernorBoard
    bool public immutable DEV;
    /// @inheritdoc IGovernorBoard
    bytes32 public immutable FOUNDING_SET;

    /// Storage bases 0 and 1 are proven (section 10).
    uint256 internal _epoch;
    mapping(uint256 epoch => bytes32) internal _keyHashes;

    mapping(uint256 epoch => Key) internal _keys;
    mapping(bytes32 setHash => Set) internal _sets;
    mapping(uint256 ceremony => Ceremony) internal _ceremonies;
    mapping(uint256 ceremony => mapping(uint8 round => mapping(uint8 member => bytes32))) private _posts;
    mapping(uint256 ceremony => mapping(uint8 member => bool)) internal _confirmed;
    mapping(uint256 ceremony => mapping(bytes32 keyHash => uint8)) internal _confirmations;
    uint64 private _lastCeremony;

    constructor(bytes32 foundingSet, bool dev) {
        FOUNDING_SET = foundingSet;
        DEV = dev;
    }

    // ------------------------------------------------------------------------------------------------------------ sets and ceremonies

    /// @inheritdoc IGovernorBoard
    function declareSet(bytes calldata set) external returns (bytes32 setHash) {
        setHash = keccak256(bytes.concat(TAG_GOVERNOR_SET, set));
        if (setHash != FOUNDING_SET) _requireMember(currentSet(), msg.sender);
        if (_sets[setHash].size != 0) revert SetKnown(setHash);
        if (set.length < 2) revert MalformedSet();
        uint256 threshold = uint8(set[0]);
        uint256 size = uint8(set[1]);
        if (size > MEMBERS_MAX || set.length != 2 + 20 * size || threshold == 0 || threshold > size) {
            revert MalformedSet();
        }
        if (!DEV && (3 * threshold <= 2 * size || size < 2)) revert MalformedSet();
        Set storage record = _sets[setHash];
        record.threshold = uint8(threshold);
        record.size = uint8(size);
        uint256 offset = Calldata.start(set) + 2;
        for (uint256 i = 0; i < size; ++i) {
            address account = address(uint160(Calldata.word(offset + 20 * i) >> 96));
            if (account == address(0) || record.members[account] != 0) revert MalformedSet();
            record.members[account] = uint8(i + 1);
        }
        emit SetDeclared(setHash, set);
    }

    /// @inheritdoc IGovernorBoard
    function openCeremony(uint8 kind, bytes32 setHash, bytes32 subject, uint8 rounds, uint32 roundBlocks)
        external
        returns (uint64 ceremony)
    {
        bytes32 current = currentSet();
        _requireMember(current, msg.sender);
        if (_sets[setHash].size == 0) revert SetUnknown(setHash);
        bool ofCurrentSet = kind == SIGNING || kind == REFRESH || _epoch == 0;
        bool known = kind == KEY_GENERATION || (_epoch != 0 && kind >= SIGNING && kind <= RESHARING);
        bool bounded = rounds != 0 && rounds <= ROUNDS_MAX && roundBlocks != 0 && roundBlocks <= ROUND_BLOCKS_MAX;
        if (!known || !bounded || (ofCurrentSet && setHash != current)) revert MalformedCeremony();
        ceremony = ++_lastCeremony;
        _ceremonies[ceremony] = Ceremony(setHash, subject, uint64(block.number), roundBlocks, kind, rounds);
        emit CeremonyOpened(ceremony, kind, setHash, subject, rounds, roundBlocks, msg.sender);
    }

    /// @inheritdoc IGovernorBoard
    function post(uint64 ceremony, uint8 round, uint8 kind, bytes calldata payload) external {
        Ceremony storage record = _requireCeremony(ceremony);
        uint8 member = _requireMember(record.setHash, msg.sender);
        if (round == 0 || round > record.rounds) revert NoRound(ceremony, round);
        uint64 lastBlock = record.openedInBlock + uint64(round) * record.roundBlocks;
        if (block.number > lastBlock) revert RoundOver(ceremony, round, lastBlock);
        if (payload.length > PAYLOAD_MAX) revert PayloadTooLong(payload.length);
        if (_posts[ceremony][round][member] != 0) revert PostedBefore(ceremony, round, member);
        _posts[ceremony][round][member] = keccak256(payload);
        emit Posted(ceremony, round, member, kind, payload);
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IGovernorBoard
    function keyEpoch() external view returns (uint32) {
        return uint32(_epoch);
    }

    /// @inheritdoc IGovernorBoard
    function currentSet() public view returns (bytes32 setHash) {
        return _epoch == 0 ? FOUNDING_SET : _keys[_epoch].setHash;
    }

    /// @inheritdoc IGovernorBoard
    function setOf(bytes32 setHash) external view returns (uint8 threshold, uint8 size) {
        return (_sets[setHash].threshold, _sets[setHash].size);
    }

    /// @inheritdoc IGovernorBoard
    function memberOf(bytes32 setHash, address account) external view returns (uint8 member) {
        return _sets[setHash].members[account];
    }

    /// @inheritdoc IGovernorBoard
    function ceremonyOf(uint64 ceremony)
        external
        view
        returns (uint8 kind, bytes32 setHash, bytes32 subject, uint8 rounds, uint32 roundBlocks, uint64 openedInBlock)
    {
        Ceremony storage record = _ceremonies[ceremony];
        return (record.kind, record.setHash, record.subject, record.rounds, record.roundBlocks, record.openedInBlock);
    }

    /// @inheritdoc IGovernorBoard
    function postOf(uint64 ceremony, uint8 round, uint8 member) external view returns (bytes32 payloadHash) {
        return _posts[ceremony][round][member];
    }

    /// @inheritdoc IGovernorBoard
    function confirmationsOf(uint64 ceremony, bytes calldata groupKey) external view returns (uint8) {
        return _confirmations[ceremony][keccak256(groupKey)];
    }

    function _requireMember(bytes32 setHash, address account) internal view returns (uint8 member) {
        member = _sets[setHash].members[account];
        if (member == 0) revert NotAGovernor(account);
    }

    function _requireCeremony(uint64 ceremony) internal view returns (Ceremony storage record) {
        record = _ceremonies[ceremony];
        if (record.kind == 0) revert NoCeremony(ceremony);
    }
}

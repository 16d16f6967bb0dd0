// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {Governed} from "./Governed.sol";
import {MarketStorage} from "./MarketStorage.sol";
import {NodeStates} from "./NodeStates.sol";
import {Seats} from "./Seats.sol";
import {CONTRACT_MARKET} from "./Tags.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Operators, their bonds, their nodes and what these are worth. See INodeMarket.
contract NodeMarket is Seats, Governed {
    uint8 private constant ADMIT = 2;
    uint8 private constant SLASH = 3;
    uint8 private constant SUSPEND = 4;
    uint8 private constant DISBURSE = 5;
    uint8 private constant RESTORE = 6;

    constructor(IGovernorBoard board, address registry, uint128 bondPerNode, uint32 withdrawalDelaySeconds)
        MarketStorage(registry, bondPerNode, withdrawalDelaySeconds)
        Governed(CONTRACT_MARKET, board)
    {}

    /// @inheritdoc Governed
    function _execute(uint32 domain, uint8 kind, bytes calldata body) internal override {
        if (domain != 0) revert MalformedBody();
        uint256 offset = Calldata.start(body);
        if (kind == ADMIT) {
            _requireLength(body, 20);
            _admit(address(uint160(Calldata.word(offset) >> 96)));
        } else if (kind == SLASH) {
            _requireLength(body, 58);
            _slash(
                uint64(Calldata.u64(offset)),
                Calldata.word(offset + 8) >> 128,
                Calldata.u16(offset + 24),
                bytes32(Calldata.word(offset + 26))
            );
        } else if (kind == SUSPEND) {
            _requireLength(body, 5);
            if (Calldata.u8(offset + 4) > 1) revert MalformedBody();
            _suspend(uint32(Calldata.u32(offset)), Calldata.u8(offset + 4) == 1);
        } else if (kind == DISBURSE) {
            _requireLength(body, 36);
            _disburse(address(uint160(Calldata.word(offset) >> 96)), uint128(Calldata.word(offset + 20) >> 128));
        } else if (kind == RESTORE) {
            _requireLength(body, 6);
            _restore(uint32(Calldata.u32(offset)), uint16(Calldata.u16(offset + 4)));
        } else {
            revert MalformedBody();
        }
    }

    function _slash(uint64 node, uint256 amount, uint256 reputation, bytes32 reason) private {
        Node storage record = _nodes[node];
        if (record.state == NodeStates.NONE || reputation > _reputation(record)) revert MalformedBody();
        _setReputation(node, reputation);
        _forfeit(node, amount, reason);
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc INodeMarket
    function operatorIdOf(address account) external view returns (uint32) {
        return _operatorIds[account];
    }

    /// @inheritdoc INodeMarket
    function operatorOf(uint32 operator)
        external
        view
        returns (
            address account,
            uint128 bonded,
            uint128 unbonding,
            uint64 claimableAt,
            uint32 nodes,
            uint16 startingReputation,
            bool suspended
        )
    {
        Operator storage record = _operators[operator];
        return (
            record.account,
            record.bonded,
            record.unbonding,
            record.claimableAt,
            record.nodes,
            record.startingReputation,
            record.suspended
        );
    }

    /// @inheritdoc INodeMarket
    function counts() external view returns (uint32 operators, uint64 nodes) {
        return (_lastOperator, _lastNode);
    }

    /// @inheritdoc INodeMarket
    function nodeOf(uint64 node) external view returns (NodeView memory view_) {
        Node storage record = _nodes[node];
        view_.operator = record.operator;
        view_.state = record.state;
        view_.reputation = uint16(_reputation(record));
        view_.served = record.served;
        view_.absences = record.absences;
        view_.relay = record.relay;
        view_.capacity = record.capacity;
        view_.availableFrom = record.availableFrom;
        view_.availableUntil = record.availableUntil;
        view_.lastSeen = record.lastSeen;
        view_.consensusKey = abi.encodePacked(record.consensusPrefix, record.consensusX);
        view_.endorsement = record.endorsement;
        view_.agent = record.agent;
        view_.peer = record.peer;
        view_.endpoint = record.endpoint;
    }

    /// @inheritdoc INodeMarket
    function stateOf(uint64 node) external view returns (uint8 state, uint32 operator) {
        return (_nodes[node].state, _nodes[node].operator);
    }

    /// @inheritdoc INodeMarket
    function seatOf(uint64 node) external view returns (bytes memory) {
        Node storage record = _nodes[node];
        return abi.encodePacked(node, record.operator, record.consensusPrefix, record.consensusX, record.endorsement);
    }

    /// @inheritdoc INodeMarket
    function offeredNodes() external view returns (uint64[] memory) {
        return _offered;
    }

    /// @inheritdoc INodeMarket
    function pendingDraws() external view returns (uint32) {
        return _pendingDraws;
    }

    /// @inheritdoc INodeMarket
    function forfeited() external view returns (uint128) {
        return _forfeited;
    }
}

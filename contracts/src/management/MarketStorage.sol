// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeStates} from "./NodeStates.sol";
import {Reputation} from "./Reputation.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title What NodeMarket keeps, and the two things that every part of it does: move a node from state to state, and change its reputation.
abstract contract MarketStorage is INodeMarket {
    struct Operator {
        address account;
        uint16 startingReputation;
        bool suspended;
        uint32 nodes;
        uint128 bonded;
        uint128 unbonding;
        uint64 claimableAt;
    }

    struct Node {
        uint256 consensusX;
        address endorsement;
        uint8 consensusPrefix;
        uint8 state;
        uint16 reputation;
        uint32 operator;
        uint8 absences;
        address agent;
        uint32 relay;
        uint32 served;
        uint32 listIndex;
        uint32 capacity;
        uint64 availableFrom;
        uint64 availableUntil;
        uint64 lastSeen;
        bytes peer;
        bytes endpoint;
    }

    /// A key that was in an offer: whose, and of an endorsement key the relay chain in which it had its seat.
    struct KeyUse {
        uint64 node;
        uint32 relay;
    }

    /// @inheritdoc INodeMarket
    uint128 public immutable BOND_PER_NODE;
    /// @inheritdoc INodeMarket
    uint32 public immutable WITHDRAWAL_DELAY_SECONDS;
    address internal immutable _REGISTRY;

    mapping(uint256 operator => Operator) internal _operators;
    mapping(address account => uint32) internal _operatorIds;
    mapping(uint256 node => Node) internal _nodes;
    mapping(address key => KeyUse) internal _keys;
    uint64[] internal _offered;
    uint32 internal _lastOperator;
    uint64 internal _lastNode;
    uint32 internal _pendingDraws;
    uint128 internal _forfeited;

    constructor(address registry, uint128 bondPerNode, uint32 withdrawalDelaySeconds) {
        _REGISTRY = registry;
        BOND_PER_NODE = bondPerNode;
        WITHDRAWAL_DELAY_SECONDS = withdrawalDelaySeconds;
    }

    modifier onlyRegistry() {
        if (msg.sender != _REGISTRY) revert OnlyRegistry(msg.sender);
        _;
    }

    /// @dev Moves a node on by the table of its states and keeps the list of offered nodes and the count of those that need a bond.
    function _move(uint64 node, uint8 input) internal {
        Node storage record = _nodes[node];
        uint8 before = record.state;
        uint8 next = NodeStates.next(before, input);
        if (next == NodeStates.NONE) revert WrongNodeState(node, before, input);
        record.state = next;
        if (before == NodeStates.OFFERED) {
            uint64 last = _offered[_offered.length - 1];
            _offered[record.listIndex] = last;
            _nodes[last].listIndex = record.listIndex;
            _offered.pop();
        } else if (next == NodeStates.OFFERED) {
            record.listIndex = uint32(_offered.length);
            _offered.push(node);
        }
        bool counted = before != NodeStates.NONE && before != NodeStates.WITHDRAWN;
        bool counts_ = next != NodeStates.WITHDRAWN && next != NodeStates.CONVICTED;
        if (counts_ && !counted) ++_operators[record.operator].nodes;
        if (counted && !counts_) --_operators[record.operator].nodes;
        emit NodeStateChanged(node, next, record.relay);
    }

    /// @dev Reputation of a node now: what it was, halved for every full time of absence.
    function _reputation(Node storage record) internal view returns (uint256) {
        return Reputation.decayed(record.reputation, block.timestamp - record.lastSeen);
    }

    /// @dev Writes a reputation that was made of the one now, so absence until now is counted in it.
    function _setReputation(uint64 node, uint256 reputation) internal {
        Node storage record = _nodes[node];
        uint256 counted = (block.timestamp - record.lastSeen) / Reputation.ABSENCE_SECONDS;
        record.lastSeen += uint64(counted * Reputation.ABSENCE_SECONDS);
        Operator storage operator = _operators[record.operator];
        uint256 start = operator.startingReputation;
        if (reputation < record.reputation) {
            if (reputation < start) operator.startingReputation = uint16(reputation);
        } else if (reputation > start && start < Reputation.START) {
            operator.startingReputation = uint16(reputation < Reputation.START ? reputation : Reputation.START);
        }
        if (reputation != record.reputation) {
            record.reputation = uint16(reputation);
            emit ReputationChanged(node, uint16(reputation));
        }
    }

    /// @dev A sign of life.
    function _see(uint64 node) internal {
        _setReputation(node, _reputation(_nodes[node]));
        _nodes[node].lastSeen = uint64(block.timestamp);
        emit NodeSeen(node);
    }

    /// @dev Takes money of an operator away: first what stands for its nodes, then what waits to be claimed; never more than there is.
    function _forfeit(uint64 node, uint256 amount, bytes32 reason) internal {
        uint32 id = _nodes[node].operator;
        Operator storage operator = _operators[id];
        uint128 fromBond = uint128(amount < operator.bonded ? amount : operator.bonded);
        amount -= fromBond;
        uint128 fromUnbonding = uint128(amount < operator.unbonding ? amount : operator.unbonding);
        operator.bonded -= fromBond;
        operator.unbonding -= fromUnbonding;
        _forfeited += fromBond + fromUnbonding;
        emit BondForfeited(id, node, fromBond + fromUnbonding, reason);
    }

    /// @dev What leaving a seat without notice costs.
    function _penaliseExit(uint64 node) internal {
        _setReputation(node, _reputation(_nodes[node]) / 2);
        _forfeit(node, BOND_PER_NODE / 4, "exit");
    }

    function _required(Operator storage operator) internal view returns (uint128) {
        return operator.nodes * BOND_PER_NODE;
    }
}

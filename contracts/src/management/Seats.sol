// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {NodeStates} from "./NodeStates.sol";
import {Nodes} from "./Nodes.sol";
import {Reputation} from "./Reputation.sol";
import {Signature} from "./Signature.sol";
import {Calldata} from "../hub/Calldata.sol";
import {TAG_ENDORSE} from "../hub/Tags.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Draws and seats as DomainRegistry decides them, and evidence against who holds one: a part of NodeMarket.
abstract contract Seats is Nodes {
    uint256 private constant STATEMENT = 121;
    uint8 private constant KIND_ENDORSEMENT = 1;

    // ------------------------------------------------------------------------------------------------------------ draws

    /// @inheritdoc INodeMarket
    function beginDraw(uint32 leastCapacity, uint32 leastTermSeconds)
        external
        onlyRegistry
        returns (bytes memory candidates)
    {
        ++_pendingDraws;
        candidates = new bytes(20 * _offered.length);
        uint256 length;
        for (uint256 i = 0; i < _offered.length; ++i) {
            uint64 node = _offered[i];
            uint256 weight = _weight(_nodes[node], leastCapacity, leastTermSeconds);
            if (weight == 0) continue;
            uint256 word = (uint256(node) << 192) | (uint256(_nodes[node].operator) << 160) | (weight << 96);
            // What lies behind the 20 bytes is written back as it was.
            assembly ("memory-safe") {
                let target := add(add(candidates, 0x20), length)
                mstore(target, or(word, and(mload(target), 0xffffffffffffffffffffffff)))
            }
            length += 20;
        }
        assembly ("memory-safe") {
            mstore(candidates, length)
        }
    }

    /// @inheritdoc INodeMarket
    function endDraw() external onlyRegistry {
        --_pendingDraws;
    }

    function _weight(Node storage record, uint256 leastCapacity, uint256 leastTermSeconds)
        private
        view
        returns (uint256)
    {
        Operator storage operator = _operators[record.operator];
        bool fits = record.capacity >= leastCapacity && record.availableFrom <= block.timestamp
            && record.availableUntil >= block.timestamp + leastTermSeconds && !operator.suspended
            && operator.bonded >= _required(operator);
        return fits ? Reputation.weight(record.capacity, leastCapacity, _reputation(record), record.served) : 0;
    }

    // ------------------------------------------------------------------------------------------------------------ seats

    /// @inheritdoc INodeMarket
    function reserve(uint64 node, uint32 relay) external onlyRegistry {
        _nodes[node].relay = relay;
        _move(node, NodeStates.RESERVE);
    }

    /// @inheritdoc INodeMarket
    function release(uint64[] calldata nodes) external onlyRegistry {
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (_nodes[nodes[i]].state != NodeStates.RESERVED) continue;
            _nodes[nodes[i]].relay = 0;
            _move(nodes[i], NodeStates.RELEASE);
        }
    }

    /// @inheritdoc INodeMarket
    function seat(uint64[] calldata nodes) external onlyRegistry {
        for (uint256 i = 0; i < nodes.length; ++i) {
            Node storage record = _nodes[nodes[i]];
            _keys[record.endorsement].relay = record.relay;
            if (record.state == NodeStates.RESERVED) _move(nodes[i], NodeStates.SEAT);
        }
    }

    /// @inheritdoc INodeMarket
    function unseat(uint32 relay, uint64[] calldata nodes, bool inOrder) external onlyRegistry {
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (!_sits(nodes[i], relay)) continue;
            _move(nodes[i], NodeStates.UNSEAT);
            if (inOrder) _setReputation(nodes[i], Reputation.ended(_reputation(_nodes[nodes[i]])));
        }
    }

    /// @inheritdoc INodeMarket
    function recordNoShow(uint64 node) external onlyRegistry {
        _setReputation(node, _reputation(_nodes[node]) / 2);
    }

    /// @inheritdoc INodeMarket
    function recordPeriod(uint32 relay, uint64[] calldata nodes, uint256 present) external onlyRegistry {
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (!_sits(nodes[i], relay)) continue;
            Node storage record = _nodes[nodes[i]];
            uint256 reputation = _reputation(record);
            if ((present >> i) & 1 != 0) {
                _setReputation(nodes[i], Reputation.present(reputation));
                record.absences = 0;
                ++record.served;
                record.lastSeen = uint64(block.timestamp);
            } else {
                _setReputation(nodes[i], Reputation.absent(reputation));
                if (++record.absences == Reputation.ABSENCES_MAX) {
                    record.absences = 0;
                    _penaliseExit(nodes[i]);
                }
            }
        }
    }

    function _sits(uint64 node, uint32 relay) private view returns (bool) {
        Node storage record = _nodes[node];
        return record.relay == relay && (record.state == NodeStates.SEATED || record.state == NodeStates.LEAVING);
    }

    // ------------------------------------------------------------------------------------------------------------ evidence

    /// @inheritdoc INodeMarket
    function reportEquivocation(bytes calldata first, bytes calldata second) external returns (uint64 node) {
        if (first.length != STATEMENT || second.length != STATEMENT) revert NoEquivocation();
        address key = _endorser(first);
        uint256 a = Calldata.start(first);
        uint256 b = Calldata.start(second);
        node = _keys[key].node;
        uint32 relay = uint32(Calldata.u32(a + 4));
        // domain, relay and destination (12 bytes), then behind the epoch the number (8 bytes) and the value.
        bool conflict = Calldata.word(a) >> 160 == Calldata.word(b) >> 160
            && Calldata.u64(a + 16) == Calldata.u64(b + 16) && Calldata.word(a + 24) != Calldata.word(b + 24);
        bool guilty =
            key != address(0) && key == _endorser(second) && node != 0 && relay != 0 && _keys[key].relay == relay;
        if (!conflict || !guilty) revert NoEquivocation();
        _move(node, NodeStates.CONVICT);
        _setReputation(node, 0);
        _operators[_nodes[node].operator].startingReputation = 0;
        _forfeit(node, BOND_PER_NODE, "equivocation");
        _suspend(_nodes[node].operator, true);
        emit EquivocationProven(
            node,
            relay,
            uint32(Calldata.u32(a + 8)),
            uint64(Calldata.u64(a + 16)),
            bytes32(Calldata.word(a + 24)),
            bytes32(Calldata.word(b + 24))
        );
    }

    /// @dev Who has made an endorsement (formats, sections 2 and 8), zero if nobody.
    function _endorser(bytes calldata statement) private pure returns (address) {
        bytes32 digest = keccak256(
            bytes.concat(
                TAG_ENDORSE, statement[:4], statement[8:16], bytes1(KIND_ENDORSEMENT), statement[4:8], statement[16:56]
            )
        );
        return Signature.signer(digest, statement[56:]);
    }
}

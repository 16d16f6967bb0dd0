// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {Curve} from "./Curve.sol";
import {NodeStates} from "./NodeStates.sol";
import {Operators} from "./Operators.sol";
import {Signature} from "./Signature.sol";
import {TAG_NODE_OFFER} from "./Tags.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Nodes as their operators and agents handle them: a part of NodeMarket.
abstract contract Nodes is Operators {
    uint256 private constant NODES_OFFERED_MAX = 1024;
    uint256 private constant PEER_MIN = 23;
    uint256 private constant PEER_MAX = 84;
    uint256 private constant PEER_ID = 20;
    uint256 private constant ENDPOINT_MAX = 128;
    uint8 private constant POSSESSION_ENDORSEMENT = 1;
    uint8 private constant POSSESSION_CONSENSUS = 2;

    /// @inheritdoc INodeMarket
    function offerNode(bytes calldata offer, bytes calldata endorsementSignature, bytes calldata consensusSignature)
        external
        returns (uint64 node)
    {
        uint32 id = _offeringOperator();
        node = ++_lastNode;
        _nodes[node].operator = id;
        _nodes[node].reputation = _operators[id].startingReputation;
        _takeOffer(node, id, offer, endorsementSignature, consensusSignature, NodeStates.OFFER);
        emit ReputationChanged(node, _nodes[node].reputation);
    }

    /// @inheritdoc INodeMarket
    function renewNode(
        uint64 node,
        bytes calldata offer,
        bytes calldata endorsementSignature,
        bytes calldata consensusSignature
    ) external {
        uint32 id = _offeringOperator();
        _requireOwn(node, id);
        _setReputation(node, _reputation(_nodes[node]));
        _takeOffer(node, id, offer, endorsementSignature, consensusSignature, NodeStates.RENEW);
    }

    /// @inheritdoc INodeMarket
    function withdrawNode(uint64 node) external {
        _requireOwn(node, _callingOperator());
        // Who is a candidate cannot step back when the seed of the draw is known.
        if (_pendingDraws != 0) revert DrawPending(_pendingDraws);
        _move(node, NodeStates.WITHDRAW);
    }

    /// @inheritdoc INodeMarket
    function leaveSeat(uint64 node) external {
        _requireOwn(node, _callingOperator());
        _move(node, NodeStates.LEAVE);
    }

    /// @inheritdoc INodeMarket
    function exitSeat(uint64 node) external {
        _requireOwn(node, _callingOperator());
        _move(node, NodeStates.EXIT);
        _penaliseExit(node);
    }

    /// @inheritdoc INodeMarket
    function setPeer(uint64 node, bytes calldata peer, bytes calldata endpoint) external {
        _requireAgent(node);
        _setPeer(node, peer, endpoint);
        emit PeerChanged(node, peer, endpoint);
    }

    /// @inheritdoc INodeMarket
    function heartbeat(uint64 node) external {
        _requireAgent(node);
        _see(node);
    }

    /// @inheritdoc INodeMarket
    function reportsFor(uint64 node, address account) public view returns (bool) {
        Node storage record = _nodes[node];
        return
            record.state != NodeStates.NONE
                && (account == record.agent || account == _operators[record.operator].account);
    }

    function _takeOffer(
        uint64 node,
        uint32 id,
        bytes calldata offer,
        bytes calldata endorsementSignature,
        bytes calldata consensusSignature,
        uint8 input
    ) private {
        if (offer.length < 95) revert MalformedOffer();
        uint256 offset = Calldata.start(offer);
        Node storage record = _nodes[node];
        uint8 prefix = uint8(Calldata.u8(offset));
        uint256 x = Calldata.word(offset + 1);
        (bool valid, uint256 y) = Curve.ordinate(prefix, x);
        if (!valid) revert MalformedOffer();
        address endorsement = address(uint160(Calldata.word(offset + 33) >> 96));
        _claimKey(node, Curve.addressOf(x, y));
        _claimKey(node, endorsement);
        bytes memory signed = abi.encodePacked(uint64(block.chainid), address(this), offer[:53]);
        _requirePossession(id, POSSESSION_ENDORSEMENT, signed, endorsementSignature, endorsement);
        _requirePossession(id, POSSESSION_CONSENSUS, signed, consensusSignature, Curve.addressOf(x, y));
        (record.consensusPrefix, record.consensusX, record.endorsement) = (prefix, x, endorsement);
        record.agent = address(uint160(Calldata.word(offset + 53) >> 96));
        record.capacity = uint32(Calldata.u32(offset + 73));
        record.availableFrom = uint64(Calldata.u64(offset + 77));
        record.availableUntil = uint64(Calldata.u64(offset + 85));
        if (record.capacity == 0 || record.availableFrom >= record.availableUntil || record.agent == address(0)) {
            revert MalformedOffer();
        }
        uint256 peerEnd = 94 + uint8(offer[93]);
        if (offer.length <= peerEnd || offer.length != peerEnd + 1 + uint8(offer[peerEnd])) revert MalformedOffer();
        _setPeer(node, offer[94:peerEnd], offer[peerEnd + 1:]);
        record.lastSeen = uint64(block.timestamp);
        record.absences = 0;
        record.relay = 0;
        _move(node, input);
        if (_offered.length > NODES_OFFERED_MAX) revert MarketFull();
        Operator storage operator = _operators[id];
        if (operator.bonded < _required(operator)) revert BondTooSmall(_required(operator), operator.bonded);
        emit NodeOffered(node, id, offer);
    }

    /// @dev A key serves one node and one chain, ever, so nobody can offer what is another's.
    function _claimKey(uint64 node, address key) private {
        if (key == address(0)) revert MalformedOffer();
        if (_keys[key].node != 0) revert KeyUsedBefore(key);
        _keys[key].node = node;
    }

    function _requirePossession(uint32 id, uint8 which, bytes memory signed, bytes calldata signature, address expected)
        private
        pure
    {
        bytes32 digest =
            keccak256(bytes.concat(abi.encodePacked(TAG_NODE_OFFER, uint32(0), id, uint32(0), which), signed));
        if (Signature.signer(digest, signature) != expected) revert WrongPossession(which);
    }

    function _setPeer(uint64 node, bytes calldata peer, bytes calldata endpoint) private {
        bool bounded = peer.length >= PEER_MIN && peer.length <= PEER_MAX && endpoint.length <= ENDPOINT_MAX;
        if (!bounded || !_isPrintable(peer[PEER_ID:]) || !_isPrintable(endpoint)) revert MalformedOffer();
        _nodes[node].peer = peer;
        _nodes[node].endpoint = endpoint;
    }

    function _isPrintable(bytes calldata text) private pure returns (bool) {
        for (uint256 i = 0; i < text.length; ++i) {
            if (uint8(text[i]) < 0x21 || uint8(text[i]) > 0x7e) return false;
        }
        return true;
    }

    function _offeringOperator() private view returns (uint32 id) {
        id = _callingOperator();
        if (_operators[id].suspended) revert Suspended(id);
    }

    function _requireOwn(uint64 node, uint32 id) private view {
        if (_nodes[node].operator != id) revert NotYourNode(node);
    }

    function _requireAgent(uint64 node) private view {
        if (!reportsFor(node, msg.sender)) revert NotTheAgent(node, msg.sender);
    }
}

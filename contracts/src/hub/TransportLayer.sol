// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HubStorage} from "./HubStorage.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {TAG_OUTBOX, TAG_OUTBOX_OPEN_HUB, TAG_RECEIPT, TAG_REPORT} from "./Tags.sol";

/// @title Transport layer of a hub: outboxes, lanes and channels (formats, sections 3, 5 and 6.5).
abstract contract TransportLayer is HubStorage {
    // Forms of entries, section 5.1.
    uint256 internal constant FORM_BARE = 0;
    uint256 internal constant FORM_PACKET = 1;
    uint256 internal constant FORM_PACKET_HASH = 2;
    uint256 internal constant FORM_RECEIPTS = 3;
    uint256 internal constant FORM_REPORT = 4;
    uint256 internal constant FORM_RECEIPT_HOME = 5;
    uint256 internal constant FORM_VERDICTS = 6;

    uint8 internal constant REPORT_FROZEN = 1;
    uint8 internal constant REPORT_DRAINING = 2;
    uint8 internal constant REPORT_CLOSED = 3;

    // ------------------------------------------------------------------------------------------------------------ outboxes

    /// @dev chain[number] over chain[number - 1], section 5. `tag` is TAG_OUTBOX, handed in because reading it once is cheaper in a loop.
    function _fold(bytes32 tag, bytes32 previous, uint256 entryNumber, uint256 height, bytes32 messageId)
        internal
        pure
        returns (bytes32 value)
    {
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, tag)
            mstore(add(buffer, 0x20), previous)
            mstore(add(buffer, 0x40), or(shl(192, entryNumber), shl(128, height)))
            mstore(add(buffer, 0x50), messageId)
            value := keccak256(buffer, 0x70)
        }
    }

    function _openOutbox(uint256 domain, uint256 relay, uint256 head) internal {
        uint256 key = _outboxKey(domain, relay);
        _chain[key] = keccak256(
            abi.encodePacked(TAG_OUTBOX_OPEN_HUB, uint32(_REGISTRATION), address(this), uint32(domain), uint32(relay))
        );
        _head[key] = head | FLAG_OPEN;
    }

    /// @dev Makes the next entry of an outbox. `head` is its head as the caller has read it (and raised the nonce in it). Returns the entry's id for events.
    function _append(uint256 key, uint256 head, bytes32 messageId) internal returns (uint256 entry) {
        unchecked {
            head += 1;
            _head[key] = head;
            _chain[key] = _fold(TAG_OUTBOX, _chain[key], head & U64, block.number, messageId);
            return (key << 64) | (head & U64);
        }
    }

    /// @dev Keeps a message for chains whose nodes keep no logs.
    function _keep(uint256 entry, uint256 form, bytes memory content) internal {
        _messages[entry] = abi.encodePacked(uint64(block.number), uint8(form), content);
    }

    /// @dev Makes a report about the outbox bound to `relay` (0: about none) in the free outbox of the domain.
    function _report(uint8 kind, uint256 domain, uint256 relay) internal {
        uint256 key = _outboxKey(domain, 0);
        uint256 bound = relay == 0 ? 0 : _head[_outboxKey(domain, relay)];
        bytes memory report =
            abi.encodePacked(kind, uint32(relay), uint64(block.number), uint64(bound >> HEAD_NONCE), uint64(bound));
        bytes32 messageId = keccak256(abi.encodePacked(TAG_REPORT, keccak256(report)));
        uint256 entry = _append(key, _head[key], messageId);
        if (_QUEUE) _keep(entry, FORM_REPORT, report);
        emit ReportMade(entry, report);
    }

    /// @dev Makes the entry for a batch of receipts. `list` and `content` are the receipts as they are hashed and as they are shown (section 6.2).
    function _appendReceipts(uint256 domain, uint256 outboxRelay, uint256 relay, bytes32 listHash, bytes memory content)
        internal
    {
        uint256 key = _outboxKey(domain, outboxRelay);
        bytes32 messageId;
        bytes32 tag = TAG_RECEIPT;
        uint256 makers = (_REGISTRATION << 224) | (relay << 192);
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, tag)
            mstore(add(buffer, 0x20), makers)
            mstore(add(buffer, 0x28), listHash)
            messageId := keccak256(buffer, 0x48)
        }
        uint256 entry = _append(key, _head[key], messageId);
        if (_QUEUE) _keep(entry, FORM_RECEIPTS, content);
        emit ReceiptsMade(entry, content);
    }

    // ------------------------------------------------------------------------------------------------------------ channels and lanes

    /// @dev Slot and content of the lane of a packet at this, its sending end, with settings as of now.
    function _laneOf(uint256 transport, uint256 head) internal view returns (uint256 slot, uint256 lane) {
        uint256 base;
        assembly ("memory-safe") {
            base := _sendLane.slot
        }
        uint256 key = (PacketHeader.domain(transport) << 96) | (PacketHeader.destination(transport) << 64)
            | (PacketHeader.relay(transport) << 32) | PacketHeader.channel(transport);
        slot = _slotOf(base, key);
        assembly ("memory-safe") {
            lane := sload(slot)
        }
        if ((lane >> LANE_VERSION) & VERSION_MASK != (head >> HEAD_VERSION) & VERSION_MASK) {
            lane = _withSettings(transport, head, lane);
        }
    }

    /// @dev The lane with what it copies from elsewhere: the destination, this hub's own registration, the channel.
    function _withSettings(uint256 transport, uint256 head, uint256 lane) private view returns (uint256) {
        uint256 domainId = PacketHeader.domain(transport);
        Domain storage domain = _domains[domainId];
        Peer storage peer = _peers[_outboxKey(domainId, PacketHeader.destination(transport))];
        uint256 channel = _channels[PacketHeader.channel(transport)];
        lane = (lane & U64) | (uint256(peer.largestHandlerGas) << LANE_GAS) | ((channel & U32) << LANE_OWNER);
        lane |= ((head >> HEAD_VERSION) & VERSION_MASK) << LANE_VERSION;
        lane |= (uint256(domain.method) << LANE_METHOD) | (uint256(domain.largestDepth) << LANE_DEPTH);
        lane |= uint256(domain.notaryEpoch) << LANE_EPOCH;
        if (peer.member) lane |= LANE_MEMBER;
        if (channel >> 32 == PacketHeader.TRANSPORT_RELIABLE) lane |= LANE_RELIABLE;
        return lane;
    }

    /// @dev Transport header of a packet that is sent: the sender's word with version, protocol, order, length, source and sequence, which is that of
    /// `lane` plus one.
    function _transportDown(uint256 transport, uint256 lane, uint256 application, uint256 expiry)
        internal
        view
        returns (uint256)
    {
        unchecked {
            uint256 channel = PacketHeader.channel(transport);
            if (lane & LANE_MEMBER == 0) {
                revert NoMember(uint32(PacketHeader.domain(transport)), uint32(PacketHeader.destination(transport)));
            }
            if (channel != 0 && (lane >> LANE_OWNER) & U32 != application) revert WrongChannel(uint32(channel));
            transport |= PacketHeader.TRANSPORT_FIXED | (_REGISTRATION << 160) | ((lane & U64) + 1);
            if (lane & LANE_RELIABLE == 0) return transport | (PacketHeader.TRANSPORT_BASIC << 240);
            if (expiry == 0) revert InvalidTime(0, 0);
            return transport | (PacketHeader.TRANSPORT_RELIABLE << 240) | PacketHeader.ORDERED;
        }
    }
}

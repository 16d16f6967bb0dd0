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

    /// @dev Makes the log of an entry: an event with `entry` as topic whose data are `content` and nothing else.
    function _emitEntry(bytes32 topic, uint256 entry, bytes memory content) internal {
        assembly ("memory-safe") {
            log2(add(content, 0x20), mload(content), topic, entry)
        }
    }

    function _openOutbox(uint256 domain, uint256 relay, uint256 head) internal {
        uint256 key = _outboxKey(domain, relay);
        _chain[key] = keccak256(
            abi.encodePacked(TAG_OUTBOX_OPEN_HUB, uint32(_REGISTRATION), address(this), uint32(domain), uint32(relay))
        );
        _head[key] = head | FLAG_OPEN;
    }

    /// @dev Makes the next entry of an outbox. `head` is its head as the caller has read it at `headSlot` (and counted in it). Returns the entry's id for
    /// events.
    function _append(uint256 key, uint256 headSlot, uint256 head, bytes32 messageId) internal returns (uint256 entry) {
        unchecked {
            head += 1;
            _store(headSlot, head);
            uint256 chainSlot = _slotOf(BASE_CHAIN, key);
            bytes32 value = _fold(TAG_OUTBOX, bytes32(_load(chainSlot)), head & U64, block.number, messageId);
            _store(chainSlot, uint256(value));
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
        uint256 headSlot = _slotOf(BASE_HEAD, key);
        uint256 entry = _append(key, headSlot, _load(headSlot), messageId);
        if (_QUEUE) _keep(entry, FORM_REPORT, report);
        _emitEntry(ReportMade.selector, entry, report);
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
        uint256 headSlot = _slotOf(BASE_HEAD, key);
        uint256 entry = _append(key, headSlot, _load(headSlot), messageId);
        if (_QUEUE) _keep(entry, FORM_RECEIPTS, content);
        _emitEntry(ReceiptsMade.selector, entry, content);
    }

    // ------------------------------------------------------------------------------------------------------------ channels and lanes

    /// @dev Gives the next sequence of its lane to a packet that is sent: returns the lane's settings as of now, the sequence, and the head with what was
    /// counted there.
    function _takeSequence(uint256 transport, uint256 head, uint256 sender)
        internal
        returns (uint256 settings, uint256 sequence, uint256)
    {
        unchecked {
            uint256 version = (head >> (HEAD_VERSION - SETTINGS_VERSION)) & (VERSION_MASK << SETTINGS_VERSION);
            uint256 copy =
                ((transport >> 160) & (U32 << SENDER_DOMAIN)) | ((transport >> 32) & (U32 << SENDER_PEER)) | version;
            if (PacketHeader.channel(transport) == 0 && sender & SENDER_COPY == copy) {
                settings = sender;
            } else {
                uint256 slot = _sendLaneSlot(transport);
                settings = _load(slot);
                bool stale = settings & (VERSION_MASK << SETTINGS_VERSION) != version;
                if (stale) settings = _withSettings(transport, settings | version);
                if (settings & LANE_IN_HEAD == 0) {
                    _store(slot, settings + 1);
                    return (settings, (settings & U64) + 1, head);
                }
                if (stale) _store(slot, settings);
                _copySettings(sender, copy, settings);
            }
            head += 1 << HEAD_SEQUENCE;
            return (settings, (head >> HEAD_SEQUENCE) & SEQUENCE_MASK, head);
        }
    }

    /// @dev The lane with what it copies from elsewhere: the domain, the destination, this hub's own registration, the channel.
    function _withSettings(uint256 transport, uint256 lane) private view returns (uint256) {
        uint256 domainId = PacketHeader.domain(transport);
        uint256 destination = PacketHeader.destination(transport);
        Domain storage domain = _domains[domainId];
        Peer storage peer = _peers[_outboxKey(domainId, destination)];
        uint256 channelId = PacketHeader.channel(transport);
        uint256 channel = _channels[channelId];
        lane &= U64 | (VERSION_MASK << SETTINGS_VERSION);
        lane |= (uint256(peer.largestHandlerGas) << SETTINGS_GAS) | ((channel & U32) << LANE_OWNER);
        lane |= (uint256(domain.method) << SETTINGS_METHOD) | (uint256(domain.largestDepth) << SETTINGS_DEPTH);
        lane |= (uint256(domain.notaryEpoch) << SETTINGS_EPOCH) | (uint256(domain.minDelta) << SETTINGS_MIN_DELTA);
        lane |= uint256(domain.maxDelta) << SETTINGS_MAX_DELTA;
        if (peer.member) lane |= SETTINGS_MEMBER;
        if (channel >> 32 == PacketHeader.TRANSPORT_RELIABLE) lane |= LANE_RELIABLE;
        if (channelId == 0 && _headPeer[domainId] == destination) lane |= LANE_IN_HEAD;
        return lane;
    }

    /// @dev Keeps settings of a lane that is counted in the head with the sender, whose word every send reads. One domain has the place, the first one.
    function _copySettings(uint256 sender, uint256 copy, uint256 settings) private {
        uint256 domain = (sender >> SENDER_DOMAIN) & U32;
        if (domain != 0 && domain != (copy >> SENDER_DOMAIN) & U32) return;
        _senders[msg.sender] = (sender & ~(SENDER_COPY | SETTINGS)) | copy | (settings & SETTINGS);
    }

    function _sendLaneSlot(uint256 transport) private pure returns (uint256) {
        return _slotOf(
            BASE_SEND_LANE,
            (PacketHeader.domain(transport) << 96) | (PacketHeader.destination(transport) << 64)
                | (PacketHeader.relay(transport) << 32) | PacketHeader.channel(transport)
        );
    }

    /// @dev The last sequence that was given out in the lane of a packet of this hub.
    function _lastSequence(uint256 transport) internal view returns (uint256) {
        uint256 domain = PacketHeader.domain(transport);
        if (PacketHeader.channel(transport) == 0 && PacketHeader.destination(transport) == _headPeer[domain]) {
            return (_head[_outboxKey(domain, PacketHeader.relay(transport))] >> HEAD_SEQUENCE) & SEQUENCE_MASK;
        }
        return _load(_sendLaneSlot(transport)) & U64;
    }

    /// @dev The routing slot of transactions from here to a destination and application (formats, section 14).
    function _routingSlot(uint256 destination, uint256 application) internal view returns (uint256 slot) {
        uint256 key = (_REGISTRATION << 224) | (destination << 192) | (application << 160);
        assembly ("memory-safe") {
            mstore(0x00, key)
            slot := and(keccak256(0x00, 0x0c), 0x3ff)
        }
    }

    /// @dev Transport header of a packet that is sent: the sender's word with version, protocol, order, length, source and sequence.
    function _transportDown(uint256 transport, uint256 settings, uint256 sequence, uint256 application, uint256 expiry)
        internal
        view
        returns (uint256)
    {
        uint256 channel = PacketHeader.channel(transport);
        if (settings & SETTINGS_MEMBER == 0) {
            revert NoMember(uint32(PacketHeader.domain(transport)), uint32(PacketHeader.destination(transport)));
        }
        transport |= PacketHeader.TRANSPORT_FIXED | (_REGISTRATION << 160) | sequence;
        if (channel != 0 && (settings >> LANE_OWNER) & U32 != application) revert WrongChannel(uint32(channel));
        if (settings & LANE_RELIABLE == 0) return transport | (PacketHeader.TRANSPORT_BASIC << 240);
        if (expiry == 0) revert InvalidTime(0, 0);
        return transport | (PacketHeader.TRANSPORT_RELIABLE << 240) | PacketHeader.ORDERED;
    }
}

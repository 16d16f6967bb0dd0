// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHub} from "../interfaces/IHub.sol";
import {Administration} from "./Administration.sol";
import {Calldata} from "./Calldata.sol";
import {HubStorage} from "./HubStorage.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {Protocols} from "./Protocols.sol";

/// @title The hub: here the four layers meet. Sending goes down through them and adds a header each, receiving goes up and takes one off each.
/// @dev The layers are internal code of one contract, because a call between contracts per layer would double the gas of a send.
contract Hub is Administration {
    /// @param registration Number of this hub on the management chain.
    /// @param evmChainId Id of the chain it is made for; construction fails on any other.
    /// @param maxHandlerGas Largest gas limit of a handler.
    /// @param dev Whether endorser sets that one member can outvote are allowed. Anybody can read it.
    /// @param queue Whether messages are also kept in storage, for chains whose nodes keep no logs.
    /// @param governorGroupKey FROST group key of the governors, 33 bytes.
    constructor(
        uint32 registration,
        uint64 evmChainId,
        uint32 maxHandlerGas,
        bool dev,
        bool queue,
        bytes memory governorGroupKey
    ) HubStorage(registration, evmChainId, maxHandlerGas, dev, queue, governorGroupKey) {}

    /// @inheritdoc IHub
    function send(
        bytes32 transport,
        bytes8 verification,
        bytes32 transaction,
        bytes32 application,
        bytes32 user,
        bytes calldata body
    ) external onThisChain returns (bytes32 packetId) {
        uint256 t = uint256(transport);
        // Version, protocol, other flags, header length, source and sequence are the hub's to write.
        if (t & ~(PacketHeader.RECEIPT_WANTED | (U32 << 192) | (((1 << 96) - 1) << 64)) != 0) revert InvalidHeader();
        uint256 outboxKey = _outboxKey(PacketHeader.domain(t), PacketHeader.relay(t));
        uint256 head = _head[outboxKey];
        if (head >> HEAD_FLAGS != (FLAG_OPEN | FLAG_ACTIVE) >> HEAD_FLAGS) {
            revert OutboxShut(uint32(PacketHeader.domain(t)), uint32(PacketHeader.relay(t)), head >> HEAD_FLAGS);
        }
        if (body.length > (head >> HEAD_MAX_BODY) & 0xffffff) {
            revert BodyTooLong(body.length, (head >> HEAD_MAX_BODY) & 0xffffff);
        }
        (uint256 laneSlot, uint256 lane) = _laneOf(t, head);

        uint256 a = _applicationDown(uint256(application), body.length, uint256(transaction));
        uint256 x;
        (x, head) = _transactionDown(t, uint256(transaction), a, head);
        uint256 v = _verificationDown(uint64(verification), lane);
        t = _transportDown(t, lane, a >> 224, PacketHeader.execExpiry(x));
        if (PacketHeader.gasLimit(x) > (lane >> LANE_GAS) & U32) {
            revert GasLimitTooHigh(PacketHeader.gasLimit(x), (lane >> LANE_GAS) & U32);
        }

        unchecked {
            _store(laneSlot, lane + 1);
        }
        bytes memory packet;
        (packet, packetId) = PacketHeader.assemble(t, v, x, a, user, body);
        uint256 entry = _append(outboxKey, head, packetId);
        if (QUEUE) _keep(entry, FORM_PACKET, packet);
        _emitPacket(entry, packet);
    }

    /// @dev PacketSent without a copy of the packet: `packet` comes from PacketHeader.assemble, which left room for the offset in front of it.
    function _emitPacket(uint256 entry, bytes memory packet) private {
        bytes32 topic = PacketSent.selector;
        assembly ("memory-safe") {
            let data := sub(packet, 0x20)
            mstore(data, 0x20)
            log2(data, add(0x40, and(add(mload(packet), 31), not(31))), topic, entry)
        }
    }

    /// @inheritdoc IHub
    function receiveRange(bytes calldata envelope) external onThisChain {
        _enter();
        uint256 offset = Calldata.start(envelope);
        uint256 end = offset + envelope.length;
        // Verification: check everything, then change anything.
        Endorsers memory endorsers = _openEndorsers(offset, end);
        Range memory range = _openRange(endorsers.end, end);
        _requireEndorsed(endorsers, REGISTRATION, range.last, range.value);

        Batch memory batch;
        batch.domain = endorsers.domain;
        batch.relay = endorsers.relay;
        batch.paused = endorsers.flags != 0;
        _prepareReceipts(batch, range.packets, range.returning);
        _takeEntries(batch, range);
        _closeBatch(batch);
        _leave();
    }

    function _takeEntries(Batch memory batch, Range memory range) private {
        unchecked {
            uint256 position = range.entries;
            bytes32[] memory ids = range.ids;
            for (uint256 i = 0; i < range.count; ++i) {
                bytes32 id;
                assembly ("memory-safe") {
                    id := mload(add(add(ids, 0x20), shl(5, i)))
                }
                uint256 form = Calldata.u8(position + 8);
                uint256 content = position + 9;
                position = _contentEnd(form, content);
                if (form == FORM_PACKET) _takePacket(batch, id, content, position - content - PacketHeader.SIZE, true);
                else if (form == FORM_VERDICTS) _takeVerdicts(batch, content);
                else if (form == FORM_RECEIPT_HOME) _takeReceiptHome(batch, id, content, position);
                else if (form == FORM_PACKET_HASH) _takePacket(batch, id, content, 0, false);
            }
        }
    }

    /// @inheritdoc IHub
    function reportEquivocation(bytes calldata first, bytes calldata second) external onThisChain {
        _enter();
        (uint256 relay, uint256 domain, uint256 destination, uint256 number, bytes32 value) = _openStatement(first);
        (uint256 relay2, uint256 domain2, uint256 destination2, uint256 number2, bytes32 value2) =
            _openStatement(second);
        bool equivocation =
            relay == relay2 && domain == domain2 && destination == destination2 && number == number2 && value != value2;
        if (!equivocation) revert NoEquivocation();
        _freeze(domain, relay);
        _leave();
    }

    /// @dev Reads and verifies a statement that something was endorsed, toward whichever destination.
    function _openStatement(bytes calldata statement)
        private
        view
        returns (uint256 relay, uint256 domain, uint256 destination, uint256 number, bytes32 value)
    {
        uint256 offset = Calldata.start(statement);
        Endorsers memory endorsers = _openEndorsers(offset, offset + statement.length);
        if (endorsers.end + 44 != offset + statement.length) revert MalformedRange();
        destination = Calldata.u32(endorsers.end);
        number = Calldata.u64(endorsers.end + 4);
        value = bytes32(Calldata.word(endorsers.end + 12));
        _requireEndorsed(endorsers, destination, number, value);
        return (endorsers.relay, endorsers.domain, destination, number, value);
    }

    /// @inheritdoc IHub
    function isRegistered(uint8 layer, uint32 protocol) external view returns (bool) {
        if (layer == Protocols.LAYER_TRANSPORT) return Protocols.isTransport(protocol);
        if (layer == Protocols.LAYER_VERIFICATION) return Protocols.isVerification(protocol);
        if (layer == Protocols.LAYER_TRANSACTION) return Protocols.isTransaction(protocol);
        return layer == Protocols.LAYER_APPLICATION && uint160(_applications[protocol]) != 0;
    }
}

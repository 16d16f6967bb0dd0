// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../crypto/Frost.sol";
import {IHub} from "../interfaces/IHub.sol";
import {IHubSelf} from "../interfaces/IHubSelf.sol";
import {Administration} from "./Administration.sol";
import {Calldata} from "./Calldata.sol";
import {HubStorage} from "./HubStorage.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {Protocols} from "./Protocols.sol";
import {TransactionLayer} from "./TransactionLayer.sol";

/// @title The hub: here the four layers meet. Sending goes down through them and adds a header each, receiving goes up and takes one off each.
/// @dev The layers are internal code of one contract, because a call between contracts per layer would double the gas of a send.
contract Hub is TransactionLayer, IHub, IHubSelf {
    /// Where the code of `governor`, `execute` and `reportEquivocation` lies.
    address private immutable _ADMINISTRATION;

    /// @param binding Number on the management chain; id of the chain it is made for (construction fails on any other); largest gas limit of a handler;
    /// whether endorser sets that one member can outvote are allowed; whether messages are also kept in storage, for chains whose nodes keep no logs.
    /// @param governorGroupKey FROST group key of the governors, 33 bytes.
    constructor(Binding memory binding, bytes memory governorGroupKey) HubStorage(binding) {
        (bool valid, uint256 x, uint8 prefix) = Frost.decodeKey(governorGroupKey);
        if (!valid) revert InvalidConstruction();
        _governorKeyX = x;
        _governorKeyPrefix = prefix;
        _governorKeyEpoch = 1;
        _ADMINISTRATION = address(new Administration(binding));
    }

    // ------------------------------------------------------------------------------------------------------------ sending

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
        if (_QUEUE) _keep(entry, FORM_PACKET, packet);
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
    function openChannel(uint8 transportProtocol) external onThisChain returns (uint32 channel) {
        uint256 application = _senders[msg.sender] & U32;
        if (application == 0) revert NotAllowed(msg.sender);
        if (!Protocols.isTransport(transportProtocol)) revert InvalidHeader();
        channel = ++_lastChannel;
        _channels[channel] = (uint256(transportProtocol) << 32) | application;
        emit ChannelOpened(channel, uint32(application), transportProtocol);
    }

    // ------------------------------------------------------------------------------------------------------------ receiving

    /// @inheritdoc IHub
    function receiveRange(bytes calldata envelope) external onThisChain {
        _enter();
        uint256 offset = Calldata.start(envelope);
        uint256 end = offset + envelope.length;
        // Verification: check everything, then change anything.
        Endorsers memory endorsers = _openEndorsers(offset, end);
        Range memory range = _openRange(endorsers.end, end);
        _requireEndorsed(endorsers, _REGISTRATION, range.last, range.value);

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

    /// @inheritdoc IHubSelf
    function callReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        external
        onlySelf
        returns (bytes memory)
    {
        return _callReturning(account, gasLimit, packetId, packet);
    }

    /// @inheritdoc IHub
    function retryCallback(bytes calldata receiptHome) external onThisChain {
        _enter();
        _retryCallback(receiptHome);
        _leave();
    }

    /// @inheritdoc IHub
    function settle(uint32 domain, uint32 relay, uint64 nonce, bytes calldata packets) external onThisChain {
        _enter();
        _settle(domain, relay, nonce, packets);
        _leave();
    }

    // ------------------------------------------------------------------------------------------------------------ administration

    /// @inheritdoc IHub
    function governor(bytes calldata) external {
        _administration();
    }

    /// @inheritdoc IHub
    function reportEquivocation(bytes calldata, bytes calldata) external {
        _administration();
    }

    /// @inheritdoc IHubSelf
    function execute(uint32, uint8, bytes calldata) external {
        _administration();
    }

    /// @dev Runs the same call in the code of Administration and ends with its outcome.
    function _administration() private {
        address code = _ADMINISTRATION;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            calldatacopy(buffer, 0, calldatasize())
            let success := delegatecall(gas(), code, buffer, calldatasize(), 0, 0)
            returndatacopy(buffer, 0, returndatasize())
            if iszero(success) { revert(buffer, returndatasize()) }
            return(buffer, returndatasize())
        }
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IHub
    function REGISTRATION() external view returns (uint32) {
        return uint32(_REGISTRATION);
    }

    /// @inheritdoc IHub
    function DEV() external view returns (bool) {
        return _DEV;
    }

    /// @inheritdoc IHub
    function QUEUE() external view returns (bool) {
        return _QUEUE;
    }

    /// @inheritdoc IHub
    function MAX_HANDLER_GAS() external view returns (uint32) {
        return uint32(_MAX_HANDLER_GAS);
    }

    /// @inheritdoc IHub
    function ADMINISTRATION() external view returns (address) {
        return _ADMINISTRATION;
    }

    /// @inheritdoc IHub
    function statusOf(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence)
        external
        view
        returns (uint8)
    {
        return _statusOf(domain, source, relay, channel, sequence);
    }

    /// @inheritdoc IHub
    function isFinal(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence, bool ordered)
        external
        view
        returns (bool)
    {
        return _isFinal(domain, source, relay, channel, sequence, ordered);
    }

    /// @inheritdoc IHub
    function message(uint32 domain, uint32 relay, uint64 number) external view returns (bytes memory) {
        return _messages[(_outboxKey(domain, relay) << 64) | number];
    }

    /// @inheritdoc IHub
    function outbox(uint32 domain, uint32 relay)
        external
        view
        returns (uint64 number, uint64 lastNonce, bytes32 value, uint256 flags)
    {
        uint256 key = _outboxKey(domain, relay);
        uint256 head = _head[key];
        return (uint64(head), uint64(head >> HEAD_NONCE), _chain[key], head >> HEAD_FLAGS);
    }

    /// @inheritdoc IHub
    function applicationOf(uint32 application)
        external
        view
        returns (address account, uint16 protocols, bool paused, uint32 lifeCycle)
    {
        uint256 record = _applications[application];
        return (
            address(uint160(record)),
            uint16(record >> APP_PROTOCOLS),
            record & APP_PAUSED != 0,
            uint32(record >> APP_LIFE_CYCLE)
        );
    }

    /// @inheritdoc IHub
    function applicationIdOf(address account) external view returns (uint32) {
        return uint32(_senders[account]);
    }

    /// @inheritdoc IHub
    function route(uint32 domain, uint32 destination, uint32 application) external view returns (uint32) {
        uint256 slot = _routingSlot(destination, application);
        uint32[] storage relays = _domains[domain].relays;
        for (uint256 i = 0; i < relays.length; ++i) {
            uint256 head = _head[_outboxKey(domain, relays[i])];
            uint256 first = (head >> HEAD_FIRST_SLOT) & 0x3ff;
            if (slot >= first && slot < first + ((head >> HEAD_SLOTS) & 0x7ff)) return relays[i];
        }
        revert NotPossible();
    }

    /// @inheritdoc IHub
    function relayOf(uint32 relay)
        external
        view
        returns (uint32 domain, uint8 state, uint32 epoch, uint40 overlapUntil, uint32 lifeCycle)
    {
        Relay storage record = _relays[relay];
        return (record.domain, record.state, record.epoch, record.overlapUntil, record.lifeCycle);
    }

    /// @inheritdoc IHub
    function peerOf(uint32 domain, uint32 registration)
        external
        view
        returns (bool member, uint64 evmChainId, uint32 largestHandlerGas)
    {
        Peer storage peer = _peers[_outboxKey(domain, registration)];
        return (peer.member, peer.evmChainId, peer.largestHandlerGas);
    }

    /// @inheritdoc IHub
    function registrationOfChain(uint32 domain, uint64 evmChainId) external view returns (uint32) {
        return uint32(_registrationOfChain[(uint256(domain) << 64) | evmChainId]);
    }

    /// @inheritdoc IHub
    function domainOf(uint32 domain)
        external
        view
        returns (
            uint32 lifeCycle,
            uint32 policyEpoch,
            uint8 method,
            uint8 largestDepth,
            uint16 notaryEpoch,
            uint32[] memory relays
        )
    {
        Domain storage record = _domains[domain];
        return
            (
                record.lifeCycle,
                record.policyEpoch,
                record.method,
                record.largestDepth,
                record.notaryEpoch,
                record.relays
            );
    }

    /// @inheritdoc IHub
    function counterOf(uint32 domain) external view returns (uint64) {
        return _counters[domain];
    }

    /// @inheritdoc IHub
    function governorKey() external view returns (uint256 x, uint8 prefix, uint32 epoch) {
        return (_governorKeyX, _governorKeyPrefix, _governorKeyEpoch);
    }

    /// @inheritdoc IHub
    function isRegistered(uint8 layer, uint32 protocol) external view returns (bool) {
        if (layer == Protocols.LAYER_TRANSPORT) return Protocols.isTransport(protocol);
        if (layer == Protocols.LAYER_VERIFICATION) return Protocols.isVerification(protocol);
        if (layer == Protocols.LAYER_TRANSACTION) return Protocols.isTransaction(protocol);
        return layer == Protocols.LAYER_APPLICATION && uint160(_applications[protocol]) != 0;
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../crypto/Frost.sol";
import {IHubCore} from "../interfaces/IHubCore.sol";
import {IHubReturning} from "../interfaces/IHubSelf.sol";
import {Administration} from "./Administration.sol";
import {Calldata} from "./Calldata.sol";
import {CommitVerifier} from "./CommitVerifier.sol";
import {HubStorage} from "./HubStorage.sol";
import {PacketHeader} from "./PacketHeader.sol";
import {Protocols} from "./Protocols.sol";
import {TransactionLayer} from "./TransactionLayer.sol";

/// @title The hub: here the four layers meet. Sending goes down through them and adds a header each, receiving goes up and takes one off each.
/// @dev The layers are internal code of one contract, because a call between contracts per layer would double the gas of a send.
contract Hub is TransactionLayer, IHubCore, IHubReturning {
    /// Where the code of `governor`, `execute` and `reportEquivocation` lies.
    address private immutable _ADMINISTRATION;

    /// @param binding Number on the management chain; id of the chain it is made for (construction fails on any other); largest gas limit of a handler;
    /// whether endorser sets that one member can outvote are allowed; whether messages are also kept in storage, for chains whose nodes keep no logs.
    /// @param governorGroupKey FROST group key of the governors, 33 bytes.
    constructor(Binding memory binding, bytes memory governorGroupKey) HubStorage(binding, new CommitVerifier()) {
        (bool valid, uint256 x, uint8 prefix) = Frost.decodeKey(governorGroupKey);
        if (!valid) revert InvalidConstruction();
        _governorKeyX = x;
        _governorKeyPrefix = prefix;
        _governorKeyEpoch = 1;
        _ADMINISTRATION = address(new Administration(binding, _COMMIT_VERIFIER));
    }

    // ------------------------------------------------------------------------------------------------------------ sending

    /// @inheritdoc IHubCore
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
        uint256 headSlot = _slotOf(BASE_HEAD, outboxKey);
        uint256 head = _load(headSlot);
        if (head >> HEAD_FLAGS != (FLAG_OPEN | FLAG_ACTIVE) >> HEAD_FLAGS) {
            revert OutboxShut(uint32(PacketHeader.domain(t)), uint32(PacketHeader.relay(t)), head >> HEAD_FLAGS);
        }
        if (body.length > (head >> HEAD_MAX_BODY) & 0xffffff) {
            revert BodyTooLong(body.length, (head >> HEAD_MAX_BODY) & 0xffffff);
        }
        uint256 sender = _senders[msg.sender];
        uint256 a = _applicationDown(uint256(application), body.length, uint256(transaction), sender);
        uint256 settings;
        uint256 sequence;
        (settings, sequence, head) = _takeSequence(t, head, sender);
        uint256 x;
        (x, head) = _transactionDown(t, uint256(transaction), a, head, settings);
        uint256 v = _verificationDown(uint64(verification), settings);
        t = _transportDown(t, settings, sequence, a >> 224, PacketHeader.execExpiry(x));
        if (PacketHeader.gasLimit(x) > (settings >> SETTINGS_GAS) & U32) {
            revert GasLimitTooHigh(PacketHeader.gasLimit(x), (settings >> SETTINGS_GAS) & U32);
        }

        bytes memory packet;
        (packet, packetId) = PacketHeader.assemble(t, v, x, a, user, body);
        uint256 entry = _append(outboxKey, headSlot, head, packetId);
        if (_QUEUE) _keep(entry, FORM_PACKET, packet);
        _emitEntry(PacketSent.selector, entry, packet);
    }

    // ------------------------------------------------------------------------------------------------------------ receiving

    /// @inheritdoc IHubCore
    function receiveRange(bytes calldata envelope) external onThisChain {
        _enter();
        uint256 offset = Calldata.start(envelope);
        uint256 end = offset + envelope.length;
        // Verification: check everything, then change anything.
        (uint256 proof, uint256 range, uint256 flags) = _openEndorsers(offset, end);
        (bytes32[] memory ids, uint256 last, bytes32 value, uint256 packets, uint256 returning) = _openRange(range, end);
        _requireEndorsed(offset, proof, _REGISTRATION, last, value);

        Batch memory batch;
        batch.domain = Calldata.u32(offset);
        batch.relay = Calldata.u32(offset + 4);
        batch.paused = flags != 0;
        _prepareReceipts(batch, packets, returning);
        _takeEntries(batch, ids, range + 42);
        _closeBatch(batch);
        _leave();
    }

    /// @dev Takes the entries that begin at `position`, one for each of `ids`.
    function _takeEntries(Batch memory batch, bytes32[] memory ids, uint256 position) private {
        unchecked {
            uint256 count = ids.length;
            for (uint256 i = 0; i < count; ++i) {
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

    /// @inheritdoc IHubReturning
    function callReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        external
        onlySelf
        returns (bytes memory)
    {
        return _callReturning(account, gasLimit, packetId, packet);
    }

    /// @inheritdoc IHubCore
    function retryCallback(bytes calldata receiptHome) external onThisChain {
        _enter();
        _retryCallback(receiptHome);
        _leave();
    }

    /// @inheritdoc IHubCore
    function settle(uint32 domain, uint32 relay, uint64 nonce, bytes calldata packets) external onThisChain {
        _enter();
        _settle(domain, relay, nonce, packets);
        _leave();
    }

    // ------------------------------------------------------------------------------------------------------------ administration

    /// @notice Every function of IHubAdministration, and `execute` of IHubSelf.
    fallback() external {
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

    /// @inheritdoc IHubCore
    function ADMINISTRATION() external view returns (address) {
        return _ADMINISTRATION;
    }

    /// @inheritdoc IHubCore
    function statusOf(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence)
        external
        view
        returns (uint8)
    {
        return _statusOf(domain, source, relay, channel, sequence);
    }

    /// @inheritdoc IHubCore
    function isFinal(uint32 domain, uint32 source, uint32 relay, uint32 channel, uint64 sequence, bool ordered)
        external
        view
        returns (bool)
    {
        return _isFinal(domain, source, relay, channel, sequence, ordered);
    }

    /// @inheritdoc IHubCore
    function peerOf(uint32 domain, uint32 registration)
        external
        view
        returns (bool member, uint64 evmChainId, uint32 largestHandlerGas)
    {
        Peer storage peer = _peers[_outboxKey(domain, registration)];
        return (peer.member, peer.evmChainId, peer.largestHandlerGas);
    }

    /// @inheritdoc IHubCore
    function registrationOfChain(uint32 domain, uint64 evmChainId) external view returns (uint32) {
        return uint32(_registrationOfChain[(uint256(domain) << 64) | evmChainId]);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHub} from "../interfaces/IHub.sol";
import {IRecordNotary} from "../interfaces/IRecordNotary.sol";
import {BridgeApplication} from "./BridgeApplication.sol";
import {Headers} from "./Headers.sol";

/// @title The record notary of the examples: insert if absent, by FORWARD. The handler is total: every well-formed record has an answer.
contract RecordNotary is IRecordNotary, BridgeApplication {
    uint32 private constant FUNCTION_NOTARISE = 1;
    uint32 private constant CALLBACK_CONFIRM = 2;
    uint32 private constant HANDLER_GAS = 100_000;

    struct Record {
        bytes32 value;
        uint32 source;
        uint64 time;
    }

    mapping(bytes32 key => Record) private _records;

    constructor(IHub hub) BridgeApplication(hub) {}

    /// @inheritdoc IRecordNotary
    function notarise(uint32 domain, uint32 destination, bytes32 key, bytes32 value, uint40 execExpiry)
        external
        returns (bytes32 packetId)
    {
        return _sendShort(
            Headers.transport(domain, destination, 0, 0, Headers.RECEIPT_WANTED),
            Headers.transaction(Headers.FORWARD, Headers.RETURN, 0, execExpiry, HANDLER_GAS),
            Headers.application(FUNCTION_NOTARISE, CALLBACK_CONFIRM),
            key,
            value,
            64
        );
    }

    /// @inheritdoc IRecordNotary
    function recordOf(bytes32 key) external view returns (bytes32 value, uint32 source, uint64 time) {
        Record storage record = _records[key];
        return (record.value, record.source, record.time);
    }

    /// @dev Stores a record unless its key is taken, and answers with what is stored.
    function _onPacket(bytes32 packetId, bytes calldata packet) internal override returns (bytes memory) {
        bytes calldata body = Headers.bodyOf(packet);
        if (Headers.functionOf(packet) != FUNCTION_NOTARISE || body.length != 64) revert NotUnderstood();
        bytes32 key = bytes32(body[:32]);
        Record memory record = _records[key];
        bool existing = record.time != 0;
        if (!existing) {
            record = Record(bytes32(body[32:]), Headers.sourceOf(packet), uint64(block.timestamp));
            _records[key] = record;
        }
        emit RecordNotarised(packetId, key, bytes32(body[32:]), Headers.sourceOf(packet), existing);
        return abi.encodePacked(existing, record.value, record.source, record.time);
    }

    function _onReceipt(bytes32 packetId, bytes calldata header, uint8 code, bytes calldata returned)
        internal
        override
    {
        // The application header is that of a packet this application sent; only the callback that it names is known here.
        if (uint32(bytes4(header[80:84])) != CALLBACK_CONFIRM) revert NotUnderstood();
        emit NotarisationConfirmed(packetId, code, returned);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BridgeApplication} from "../../src/apps/BridgeApplication.sol";
import {Headers} from "../../src/apps/Headers.sol";
import {IApplication} from "../../src/interfaces/IApplication.sol";
import {IHub} from "../../src/interfaces/IHub.sol";

/// @notice Sends what a test wants and counts what it receives.
contract Counter is BridgeApplication {
    uint256 public executed = 1;
    uint256 public aborted;
    uint256 public receipts;
    bytes32 public lastPacketId;
    bytes public lastPacket;
    uint8 public lastCode;
    bytes public lastReturned;
    bytes public answer;
    bool public broken;

    constructor(IHub hub) BridgeApplication(hub) {}

    function set(bytes calldata answer_, bool broken_) external {
        (answer, broken) = (answer_, broken_);
    }

    function send(bytes32 transport, bytes8 verification, bytes32 transaction, bytes32 application, bytes calldata body)
        external
        returns (bytes32)
    {
        return HUB.send(transport, verification, transaction, application, bytes32(uint256(0xabcdef)), body);
    }

    function _onPacket(bytes32 packetId, bytes calldata packet) internal override returns (bytes memory) {
        require(!broken, "broken");
        executed += 1;
        lastPacketId = packetId;
        lastPacket = packet;
        return answer;
    }

    function _onReceipt(bytes32 packetId, bytes calldata, uint8 code, bytes calldata returned) internal override {
        require(!broken, "broken");
        receipts += 1;
        (lastPacketId, lastCode, lastReturned) = (packetId, code, returned);
    }

    function _onAbort(bytes32 packetId, bytes calldata packet) internal override {
        require(!broken, "broken");
        aborted += 1;
        (lastPacketId, lastPacket) = (packetId, packet);
    }

    function _onGovernor(bytes calldata data) internal override {
        require(!broken, "broken");
        answer = data;
    }
}

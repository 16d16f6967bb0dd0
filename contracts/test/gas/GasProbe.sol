// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplication} from "../../src/interfaces/IApplication.sol";
import {IHub} from "../../src/interfaces/IHub.sol";

/// @notice The application of the gas figures: sends a body as it is, and adds 1 to one slot when it receives a packet.
contract GasProbe is IApplication {
    IHub private immutable _HUB;
    uint256 public received = 1;

    constructor(IHub hub) {
        _HUB = hub;
    }

    function send(bytes32 transport, bytes32 transaction, bytes calldata body) external {
        _HUB.send(transport, 0, transaction, bytes32(uint256(1) << 192), 0, body);
    }

    function onPacket(bytes32, bytes calldata) external returns (bytes memory) {
        require(msg.sender == address(_HUB));
        ++received;
        return "";
    }

    function onReceipt(bytes32, bytes calldata, uint8, bytes calldata) external {}
    function onAbort(bytes32, bytes calldata) external {}
    function onGovernor(bytes calldata) external {}
}

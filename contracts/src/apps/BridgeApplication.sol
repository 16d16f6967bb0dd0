// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IApplication} from "../interfaces/IApplication.sol";
import {IHub} from "../interfaces/IHub.sol";
import {IHubCore} from "../interfaces/IHubCore.sol";

/// @title What every application inherits: only its hub may call it, and what it does not handle is refused.
/// @notice A packet for an application was sent by the application of the same number on the source chain: the source hub writes that number.
abstract contract BridgeApplication is IApplication {
    /// @notice Thrown when anybody but the hub calls what only the hub may call.
    error OnlyHub();
    /// @notice Thrown when a packet or a setting is not one that this application knows.
    error NotUnderstood();

    /// @notice The hub of this chain that the application is registered with.
    IHub public immutable HUB;

    modifier onlyHub() {
        if (msg.sender != address(HUB)) revert OnlyHub();
        _;
    }

    constructor(IHub hub) {
        HUB = hub;
    }

    /// @inheritdoc IApplication
    function onPacket(bytes32 packetId, bytes calldata packet) external onlyHub returns (bytes memory) {
        return _onPacket(packetId, packet);
    }

    /// @inheritdoc IApplication
    function onReceipt(bytes32 packetId, bytes calldata header, uint8 code, bytes calldata returned) external onlyHub {
        _onReceipt(packetId, header, code, returned);
    }

    /// @inheritdoc IApplication
    function onAbort(bytes32 packetId, bytes calldata packet) external onlyHub {
        _onAbort(packetId, packet);
    }

    /// @inheritdoc IApplication
    function onGovernor(bytes calldata data) external onlyHub {
        _onGovernor(data);
    }

    /// @dev Sends a packet whose body has at most 64 bytes, without user identity and without demands on verification. The same call as `HUB.send`, put
    /// together by hand: every transfer pays for it.
    /// @param first First word of the body.
    /// @param second Second word.
    /// @param length Length of the body.
    function _sendShort(
        bytes32 transport,
        bytes32 transaction,
        bytes32 application,
        bytes32 first,
        bytes32 second,
        uint256 length
    ) internal returns (bytes32 packetId) {
        IHub hub = HUB;
        bytes4 selector = IHubCore.send.selector;
        assembly ("memory-safe") {
            let buffer := mload(0x40)
            mstore(buffer, selector)
            mstore(add(buffer, 0x04), transport)
            mstore(add(buffer, 0x24), 0)
            mstore(add(buffer, 0x44), transaction)
            mstore(add(buffer, 0x64), application)
            mstore(add(buffer, 0x84), 0)
            mstore(add(buffer, 0xa4), 0xc0)
            mstore(add(buffer, 0xc4), length)
            mstore(add(buffer, 0xe4), first)
            mstore(add(buffer, 0x104), second)
            // A hub answers with one word or reverts; without code there is no answer.
            let success := call(gas(), hub, 0, buffer, 0x124, 0x00, 0x20)
            if iszero(and(success, gt(returndatasize(), 0x1f))) {
                returndatacopy(buffer, 0, returndatasize())
                revert(buffer, returndatasize())
            }
            packetId := mload(0x00)
        }
    }

    /// @dev Executes a packet; see IApplication.
    function _onPacket(bytes32 packetId, bytes calldata packet) internal virtual returns (bytes memory);

    /// @dev Takes the receipt of a packet that named a callback; see IApplication.
    function _onReceipt(bytes32, bytes calldata, uint8, bytes calldata) internal virtual {
        revert NotUnderstood();
    }

    /// @dev Undoes what sending a packet did; see IApplication.
    function _onAbort(bytes32, bytes calldata) internal virtual {
        revert NotUnderstood();
    }

    /// @dev Takes a setting; see IApplication.
    function _onGovernor(bytes calldata) internal virtual {
        revert NotUnderstood();
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a hub calls of a registered application. The application must refuse every other caller.
interface IApplication {
    /// @notice Executes a packet. A revert makes the packet FAILED and undoes all that the call has done.
    /// @param packetId Id of the packet.
    /// @param packet Header (136 bytes) and body, as the source hub has made them; the header names the lane.
    /// @return returned Goes home with the receipt when the packet has the flag RETURN; at most 256 bytes, more makes the packet FAILED. Without the
    /// flag nobody reads it.
    function onPacket(bytes32 packetId, bytes calldata packet) external returns (bytes memory returned);

    /// @notice Tells the sender of a packet that named a callback function what became of the packet.
    /// @param packetId Id of the packet.
    /// @param header Header (136 bytes) and H(body) (32 bytes).
    /// @param code 1 executed, 2 failed, 3 expired, 4 gas limit refused, 5 no such application.
    /// @param returned What the destination's handler has returned, with RETURN and code 1; otherwise empty.
    function onReceipt(bytes32 packetId, bytes calldata header, uint8 code, bytes calldata returned) external;

    /// @notice Undoes at the source what sending `packet` did, after its transaction was aborted. Called once.
    /// @param packetId Id of the packet.
    /// @param packet Header and body.
    function onAbort(bytes32 packetId, bytes calldata packet) external;

    /// @notice Takes a setting from a governor message of kind APPLICATION_CALL.
    function onGovernor(bytes calldata data) external;
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a hub calls on itself, to undo as a whole what fails; it refuses every other caller.
interface IHubSelf {
    /// @notice Calls a handler whose returned data go home, and reverts when it fails or returns what cannot.
    function callReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        external
        returns (bytes memory returned);

    /// @notice Executes the body of an ordered governor message.
    function execute(uint32 domain, uint8 kind, bytes calldata body) external;
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a hub calls on itself around a handler whose returned data go home; it refuses every other caller.
interface IHubReturning {
    /// @notice Calls the handler, and reverts when it fails or returns what cannot go home, which undoes it as a whole.
    function callReturning(address account, uint256 gasLimit, bytes32 packetId, bytes calldata packet)
        external
        returns (bytes memory returned);
}

/// @title What a hub calls on itself to execute a governor message; it refuses every other caller.
interface IHubExecute {
    /// @notice Executes the body of an ordered governor message; what fails is undone as a whole.
    function execute(uint32 domain, uint8 kind, bytes calldata body) external;
}

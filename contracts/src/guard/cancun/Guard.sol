// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Re-entrancy guard in transient storage (EIP-1153), for chains from Cancun on.
/// @notice The build picks this file or its twin for London through the remapping `guard/`; both have the same interface.
abstract contract Guard {
    /// @notice Thrown when a guarded function is entered while another one is still running.
    error Reentered();

    /// keccak256("PIEBRIDGE/GUARD/v1") - 1
    uint256 private constant GUARD_SLOT = 0xb87646a62bd9840be6c50a6b2c43b3078a2a08f40215d2469ccc6bfc158a8626;

    /// @dev Marks the contract as busy until `_leave`. Reverts with Reentered if it is busy already.
    function _enter() internal {
        bool busy;
        assembly ("memory-safe") {
            busy := tload(GUARD_SLOT)
        }
        if (busy) revert Reentered();
        assembly ("memory-safe") {
            tstore(GUARD_SLOT, 1)
        }
    }

    /// @dev Ends what `_enter` began, so that another call in the same transaction may enter.
    function _leave() internal {
        assembly ("memory-safe") {
            tstore(GUARD_SLOT, 0)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Re-entrancy guard in ordinary storage, for chains before Cancun.
/// @notice The build picks this file or its twin for Cancun through the remapping `guard/`; both have the same interface.
abstract contract Guard {
    /// @notice Thrown when a guarded function is entered while another one is still running.
    error Reentered();

    /// keccak256("PIEBRIDGE/GUARD/v1") - 1
    uint256 private constant GUARD_SLOT = 0xb87646a62bd9840be6c50a6b2c43b3078a2a08f40215d2469ccc6bfc158a8626;

    /// @dev Marks the contract as busy until `_leave`. Reverts with Reentered if it is busy already.
    function _enter() internal {
        uint256 state;
        assembly ("memory-safe") {
            state := sload(GUARD_SLOT)
        }
        if (state == 2) revert Reentered();
        assembly ("memory-safe") {
            sstore(GUARD_SLOT, 2)
        }
    }

    /// @dev Ends what `_enter` began. Free is 1, not 0: a slot that is never zeroed again is cheaper to write.
    function _leave() internal {
        assembly ("memory-safe") {
            sstore(GUARD_SLOT, 1)
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Vm} from "./Vm.sol";

/// @notice Assertions and the handle of the cheatcodes.
abstract contract Test {
    error AssertionFailed(string what);
    error NotEqual(string what, bytes32 actual, bytes32 expected);

    /// forge treats this name as the mark of a test contract.
    // solhint-disable-next-line const-name-snakecase
    bool public constant IS_TEST = true;

    Vm internal constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));

    function assertTrue(bool condition, string memory what) internal pure {
        if (!condition) revert AssertionFailed(what);
    }

    function assertEq(uint256 actual, uint256 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, bytes32(actual), bytes32(expected));
    }

    function assertEq(bytes32 actual, bytes32 expected, string memory what) internal pure {
        if (actual != expected) revert NotEqual(what, actual, expected);
    }

    function assertEq(address actual, address expected, string memory what) internal pure {
        if (actual != expected) {
            revert NotEqual(what, bytes32(uint256(uint160(actual))), bytes32(uint256(uint160(expected))));
        }
    }

    function assertEq(bytes memory actual, bytes memory expected, string memory what) internal pure {
        if (keccak256(actual) != keccak256(expected)) revert NotEqual(what, keccak256(actual), keccak256(expected));
    }
}

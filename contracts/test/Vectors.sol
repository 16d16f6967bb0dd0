// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "./Test.sol";

/// @notice Reads the vectors that Python and Solidity share; tests/vectors/README.md says how they are laid out.
abstract contract Vectors is Test {
    function vectors(string memory name) internal view returns (string memory) {
        return vm.readFile(string.concat("../tests/vectors/", name, ".json"));
    }

    /// @dev Path of a field of an item of a list.
    function pathOf(string memory list, uint256 index, string memory field) internal pure returns (string memory) {
        return string.concat(".", list, "[", vm.toString(index), "].", field);
    }

    function countOf(string memory json, string memory list) internal pure returns (uint256 count) {
        count = vm.parseJsonUint(json, string.concat(".", list, "_count"));
        assertTrue(count != 0, string.concat("no vectors in ", list));
    }

    function bytesAt(string memory json, string memory list, uint256 index, string memory field)
        internal
        pure
        returns (bytes memory)
    {
        return vm.parseJsonBytes(json, pathOf(list, index, field));
    }

    function bytes32At(string memory json, string memory list, uint256 index, string memory field)
        internal
        pure
        returns (bytes32)
    {
        return vm.parseJsonBytes32(json, pathOf(list, index, field));
    }

    function uintAt(string memory json, string memory list, uint256 index, string memory field)
        internal
        pure
        returns (uint256)
    {
        return vm.parseJsonUint(json, pathOf(list, index, field));
    }

    function nameAt(string memory json, string memory list, uint256 index) internal pure returns (string memory) {
        return vm.parseJsonString(json, pathOf(list, index, "name"));
    }
}

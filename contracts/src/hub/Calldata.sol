// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Big-endian integers at an offset of the call data.
/// @dev Reading beyond the call data gives zeros. Who parses compares the end of what it has read with the end of what it was given, once, afterwards.
library Calldata {
    function word(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := calldataload(offset)
        }
    }

    function u8(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(248, calldataload(offset))
        }
    }

    function u16(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(240, calldataload(offset))
        }
    }

    function u32(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(224, calldataload(offset))
        }
    }

    function u64(uint256 offset) internal pure returns (uint256 value) {
        assembly ("memory-safe") {
            value := shr(192, calldataload(offset))
        }
    }

    /// @notice The `length` bytes at `offset` as a calldata slice.
    function slice(uint256 offset, uint256 length) internal pure returns (bytes calldata data) {
        assembly ("memory-safe") {
            data.offset := offset
            data.length := length
        }
    }

    function start(bytes calldata data) internal pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := data.offset
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Interoperable addresses (ERC-7930, version 1) of accounts on EVM chains (chain type eip155).
/// @notice version u16 = 1, chain type u16 = 0, length u8 and chain id (big-endian, no leading zero), length u8 = 20 and address.
library InteroperableAddress {
    /// @notice Thrown for bytes that are not the one encoding of an account on an EVM chain.
    error InvalidInteroperableAddress(bytes encoded);

    function encode(uint256 chainId, address account) internal pure returns (bytes memory) {
        uint256 length = _length(chainId);
        bytes memory chain = abi.encodePacked(chainId << (8 * (32 - length)));
        assembly ("memory-safe") {
            mstore(chain, length)
        }
        return abi.encodePacked(hex"00010000", uint8(length), chain, uint8(20), account);
    }

    function decode(bytes calldata encoded) internal pure returns (uint256 chainId, address account) {
        uint256 length = encoded.length > 4 ? uint8(encoded[4]) : 0;
        bool valid = length != 0 && length <= 32 && encoded.length == 26 + length && bytes4(encoded) == 0x00010000
            && encoded[5] != 0 && uint8(encoded[5 + length]) == 20;
        if (!valid) revert InvalidInteroperableAddress(encoded);
        chainId = uint256(bytes32(encoded[5:5 + length])) >> (8 * (32 - length));
        account = address(bytes20(encoded[6 + length:]));
    }

    function _length(uint256 chainId) private pure returns (uint256 length) {
        for (length = 1; chainId > 0xff; chainId >>= 8) {
            ++length;
        }
    }
}

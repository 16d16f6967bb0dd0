// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Test} from "../Test.sol";
import {Vm} from "../Vm.sol";

/// @notice Makes signatures of one holder of a whole key, in the form that FROST signers make together. For tests only: its nonce is the caller's affair.
abstract contract FrostSigner is Test {
    uint256 private constant ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;

    function frostKey(uint256 secret) internal returns (uint256 x, uint8 prefix) {
        Vm.Wallet memory wallet = vm.createWallet(secret);
        return (wallet.publicKeyX, uint8(2 + (wallet.publicKeyY & 1)));
    }

    function frostSign(uint256 secret, uint256 nonce, bytes memory message) internal returns (bytes memory signature) {
        (uint256 keyX, uint8 keyPrefix) = frostKey(secret);
        (uint256 commitmentX, uint8 commitmentPrefix) = frostKey(nonce);
        uint256 challenge = frostChallenge(commitmentPrefix, commitmentX, keyPrefix, keyX, message);
        uint256 z = addmod(nonce, mulmod(challenge, secret, ORDER), ORDER);
        return abi.encodePacked(commitmentPrefix, commitmentX, z);
    }

    /// @dev RFC 9591 H2 written a second time, step by step, beside the library's.
    function frostChallenge(
        uint8 commitmentPrefix,
        uint256 commitmentX,
        uint8 keyPrefix,
        uint256 keyX,
        bytes memory message
    ) internal pure returns (uint256) {
        bytes memory suffix = abi.encodePacked("FROST-secp256k1-SHA256-v1", "chal", uint8(29));
        bytes memory points = abi.encodePacked(commitmentPrefix, commitmentX, keyPrefix, keyX);
        bytes memory padded = abi.encodePacked(new bytes(64), points, message, bytes3(0x003000), suffix);
        bytes32 b0 = sha256(padded);
        bytes32 b1 = sha256(abi.encodePacked(b0, hex"01", suffix));
        bytes32 b2 = sha256(abi.encodePacked(b0 ^ b1, hex"02", suffix));
        // 48 bytes, b1 and the first half of b2, read big-endian.
        return addmod(mulmod(uint256(b1), 1 << 128, ORDER), uint128(bytes16(b2)), ORDER);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Verification of FROST(secp256k1, SHA-256) signatures, RFC 9591 section 6.5.
/// @notice A signature is R (33 bytes, SEC 1 compressed) followed by z (32 bytes, big-endian). It is valid when z*G = R + c*P, with the challenge
/// c = H2(R || P || message) and H2 = hash_to_field over expand_message_xmd(SHA-256) (RFC 9380 section 5.3.1).
/// @dev The equation is checked through the ecrecover precompile, which computes r^-1 * (s*Q - h*G) for the point Q with abscissa r. With
/// Q = P, r = x(P), s = -c*r and h = -z*r it returns the address of z*G - c*P, which must be the address of R. A forger would have to hit the 160 bits
/// of R's address with a challenge that R itself fixes.
library Frost {
    /// Order of the group.
    uint256 internal constant N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141;
    /// Characteristic of the field.
    uint256 private constant FIELD = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f;
    /// (FIELD + 1) / 4: raising to it takes the square root, because FIELD = 3 modulo 4.
    uint256 private constant SQUARE_ROOT_EXPONENT = 0x3fffffffffffffffffffffffffffffffffffffffffffffffffffffffbfffff0c;
    /// DST of H2 with its length: "FROST-secp256k1-SHA256-v1" || "chal" || 29; 30 bytes.
    bytes32 private constant DST_PRIME = "FROST-secp256k1-SHA256-v1chal\x1d";

    /// @notice Says whether `signature` signs `message` under a group key. Reverts only for want of gas.
    /// @param keyX Abscissa of the group key; as ecrecover takes it for a scalar it must be below the group order, which whoever makes a key checks.
    /// @param keyPrefix SEC 1 prefix of the group key: 2 for an even ordinate, 3 for an odd one.
    /// @param signature 65 bytes, R || z.
    function verify(uint256 keyX, uint256 keyPrefix, bytes memory message, bytes memory signature)
        internal
        view
        returns (bool)
    {
        if (signature.length != 65) return false;
        uint256 prefix;
        uint256 x;
        uint256 z;
        assembly ("memory-safe") {
            prefix := byte(0, mload(add(signature, 0x20)))
            x := mload(add(signature, 0x21))
            z := mload(add(signature, 0x41))
        }
        (bool onCurve, uint256 y) = _ordinate(x, prefix & 1);
        return onCurve && _holds(keyX, keyPrefix, message, prefix, x, y, z);
    }

    /// @notice Like `verify`, for a signature in the call data that the ordinate of R follows: showing it is cheaper than taking the root.
    /// @param offset Offset of 97 bytes, R (33) || z (32) || y(R) (32).
    function verifyShown(uint256 keyX, uint256 keyPrefix, bytes memory message, uint256 offset)
        internal
        view
        returns (bool)
    {
        uint256 prefix;
        uint256 x;
        uint256 y;
        uint256 z;
        bool onCurve;
        assembly ("memory-safe") {
            prefix := byte(0, calldataload(offset))
            x := calldataload(add(offset, 1))
            z := calldataload(add(offset, 33))
            y := calldataload(add(offset, 65))
            onCurve := eq(mulmod(y, y, FIELD), addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD))
            onCurve := and(onCurve, and(lt(y, FIELD), eq(and(y, 1), and(prefix, 1))))
        }
        return onCurve && _holds(keyX, keyPrefix, message, prefix, x, y, z);
    }

    /// @dev Whether (R, z) with R = (x, y), a point whose parity is that of `prefix`, signs the message.
    function _holds(
        uint256 keyX,
        uint256 keyPrefix,
        bytes memory message,
        uint256 prefix,
        uint256 x,
        uint256 y,
        uint256 z
    ) private view returns (bool valid) {
        assembly ("memory-safe") {
            // Prefixes are 2 or 3, numbers below their bound, key and z not zero.
            valid := and(eq(shr(1, prefix), 1), eq(shr(1, keyPrefix), 1))
            valid := and(valid, and(lt(x, FIELD), lt(sub(z, 1), sub(N, 1))))
            valid := and(valid, lt(sub(keyX, 1), sub(N, 1)))
        }
        if (!valid) return false;
        uint256 challenge = _challenge(prefix, x, keyPrefix, keyX, message);
        assembly ("memory-safe") {
            // A zero challenge would make s the order itself, which ecrecover refuses; it has probability 2^-256.
            let input := mload(0x40)
            mstore(input, sub(N, mulmod(z, keyX, N)))
            mstore(add(input, 0x20), add(keyPrefix, 25))
            mstore(add(input, 0x40), keyX)
            mstore(add(input, 0x60), sub(N, mulmod(challenge, keyX, N)))
            mstore(0x00, x)
            mstore(0x20, y)
            let expected := and(keccak256(0x00, 0x40), 0xffffffffffffffffffffffffffffffffffffffff)
            // ecrecover writes nothing on failure.
            mstore(0x00, 0)
            let success := staticcall(gas(), 1, input, 0x80, 0x00, 0x20)
            valid := and(success, and(eq(mload(0x00), expected), iszero(iszero(expected))))
        }
    }

    /// @notice Takes a group key of 33 bytes (SEC 1 compressed) apart; invalid is what is no point or could not be used with `verify`.
    function decodeKey(bytes memory key) internal view returns (bool valid, uint256 x, uint8 prefix) {
        if (key.length != 33) return (false, 0, 0);
        prefix = uint8(key[0]);
        assembly ("memory-safe") {
            x := mload(add(key, 0x21))
        }
        if (prefix < 2 || prefix > 3 || x == 0 || x >= N) return (false, 0, 0);
        (valid,) = _ordinate(x, prefix & 1);
    }

    /// @dev H2(R || P || message) of RFC 9591 section 6.5: 48 uniform bytes of expand_message_xmd, read big-endian, modulo the group order.
    function _challenge(
        uint256 commitmentPrefix,
        uint256 commitmentX,
        uint256 keyPrefix,
        uint256 keyX,
        bytes memory message
    ) private view returns (uint256 challenge) {
        assembly ("memory-safe") {
            // b_0 = SHA-256(one block of zeros || R || P || message || 48 as two bytes || 0 || DST_PRIME)
            let input := mload(0x40)
            mstore(input, 0)
            mstore(add(input, 0x20), 0)
            mstore8(add(input, 0x40), commitmentPrefix)
            mstore(add(input, 0x41), commitmentX)
            mstore8(add(input, 0x61), keyPrefix)
            mstore(add(input, 0x62), keyX)
            let length := mload(message)
            let target := add(input, 0x82)
            // Whole words: what is copied beyond the message is overwritten by the suffix or lies behind the input.
            for { let i := 0 } lt(i, length) { i := add(i, 0x20) } {
                mstore(add(target, i), mload(add(add(message, 0x20), i)))
            }
            target := add(target, length)
            mstore(target, shl(232, 0x003000))
            mstore(add(target, 3), DST_PRIME)
            let success := staticcall(gas(), 2, input, add(0xa3, length), 0x00, 0x20)
            // b_1 = SHA-256(b_0 || 1 || DST_PRIME), b_2 = SHA-256((b_0 xor b_1) || 2 || DST_PRIME)
            let b0 := mload(0x00)
            mstore(input, b0)
            mstore8(add(input, 0x20), 1)
            mstore(add(input, 0x21), DST_PRIME)
            success := and(success, staticcall(gas(), 2, input, 0x3f, 0x00, 0x20))
            let b1 := mload(0x00)
            mstore(input, xor(b0, b1))
            mstore8(add(input, 0x20), 2)
            success := and(success, staticcall(gas(), 2, input, 0x3f, 0x00, 0x20))
            // The precompile fails only for want of gas; a stale word must never become a challenge.
            if iszero(success) { invalid() }
            // b_1 * 2^128 + the upper half of b_2
            challenge := addmod(mulmod(b1, shl(128, 1), N), shr(128, mload(0x00)), N)
        }
    }

    /// @dev The ordinate with the wanted parity of the point with abscissa `x`, by a square root (modexp precompile, EIP-198), or false if there is none.
    function _ordinate(uint256 x, uint256 parity) private view returns (bool onCurve, uint256 y) {
        uint256 square = addmod(mulmod(mulmod(x, x, FIELD), x, FIELD), 7, FIELD);
        assembly ("memory-safe") {
            let input := mload(0x40)
            mstore(input, 0x20)
            mstore(add(input, 0x20), 0x20)
            mstore(add(input, 0x40), 0x20)
            mstore(add(input, 0x60), square)
            mstore(add(input, 0x80), SQUARE_ROOT_EXPONENT)
            mstore(add(input, 0xa0), FIELD)
            onCurve := and(eq(returndatasize(), 0x20), staticcall(gas(), 5, input, 0xc0, 0x00, 0x20))
            y := mload(0x00)
        }
        // There is no point with ordinate 0, since -7 is no cube in the field.
        onCurve = onCurve && mulmod(y, y, FIELD) == square;
        if (y & 1 != parity) y = FIELD - y;
    }
}

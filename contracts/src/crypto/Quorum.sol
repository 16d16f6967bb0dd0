// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title Signatures of k of n members over one digest, one ecrecover each.
/// @notice The members come in calldata; the caller has compared their hash with the one that it has committed to. Exactly k signatures are taken, in
/// the order of the members that the bitmap names, so there is one encoding for a choice of signers and nobody counts twice.
library Quorum {
    /// Half of the group order of secp256k1: a larger s is the second form of a signature and refused.
    uint256 internal constant HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @notice Says whether `signatures` are those of exactly `threshold` members over `digest`. Never reverts.
    /// @dev That members are distinct and not zero is checked where a set is committed to.
    /// @param members n addresses of 20 bytes each.
    /// @param bitmap Bit i is set when member i has signed.
    /// @param signatures `threshold` signatures r (32) || s (32) || v (1), in ascending order of their members.
    function verify(
        bytes32 digest,
        bytes calldata members,
        uint256 threshold,
        uint256 bitmap,
        bytes calldata signatures
    ) internal view returns (bool valid) {
        assembly ("memory-safe") {
            let input := mload(0x40)
            let member := members.offset
            let signature := signatures.offset
            let signaturesEnd := add(signature, signatures.length)
            // Whole members, and as many signatures as are needed, at least one.
            let wrong := or(mod(members.length, 20), iszero(threshold))
            wrong := or(wrong, xor(signatures.length, mul(threshold, 65)))
            // A bitmap has room for 256 members.
            wrong := or(wrong, gt(members.length, 5120))
            mstore(input, digest)
            for {} bitmap { bitmap := shr(1, bitmap) } {
                if and(bitmap, 1) {
                    // ecrecover gives nothing unless v is 27 or 28 and r and s lie within the order. Its output stays as it was then, hence the zero.
                    mstore(add(input, 0x20), byte(0, calldataload(add(signature, 0x40))))
                    calldatacopy(add(input, 0x40), signature, 0x40)
                    mstore(0x00, 0)
                    let success := staticcall(gas(), 1, input, 0x80, 0x00, 0x20)
                    let signer := mload(0x00)
                    // The signer is this member, and there is one; s is the lower of its two forms.
                    wrong := or(wrong, xor(signer, shr(96, calldataload(member))))
                    wrong := or(wrong, or(iszero(mul(success, signer)), gt(mload(add(input, 0x60)), HALF_ORDER)))
                    signature := add(signature, 65)
                    if wrong { break }
                }
                member := add(member, 20)
            }
            // What lies behind the signatures is none, and bits beyond the members are no members: with either, these ends do not meet.
            valid := and(iszero(wrong), eq(signature, signaturesEnd))
            valid := and(valid, iszero(gt(member, add(members.offset, members.length))))
        }
    }
}

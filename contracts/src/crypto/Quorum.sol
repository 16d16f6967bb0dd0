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
        if (members.length == 0 || members.length % 20 != 0 || members.length > 256 * 20) {
            return false;
        }
        if (threshold == 0 || signatures.length != threshold * 65) return false;
        assembly ("memory-safe") {
            let input := mload(0x40)
            let member := members.offset
            let signature := signatures.offset
            let last := add(signature, sub(signatures.length, 65))
            mstore(input, digest)
            valid := 1
            for { let membersEnd := add(member, members.length) } lt(member, membersEnd) { member := add(member, 20) } {
                if and(bitmap, 1) {
                    let s := calldataload(add(signature, 0x20))
                    let v := byte(0, calldataload(add(signature, 0x40)))
                    mstore(add(input, 0x20), v)
                    mstore(add(input, 0x40), calldataload(signature))
                    mstore(add(input, 0x60), s)
                    // ecrecover writes nothing on failure: without this the last signer would count again.
                    mstore(0x00, 0)
                    valid := staticcall(gas(), 1, input, 0x80, 0x00, 0x20)
                    let signer := shr(96, calldataload(member))
                    // The signer is this member, and there is one; s is the lower of its two forms, v is 27 or 28; the signature lies within its field.
                    // ecrecover itself refuses r and s that are zero or beyond the order.
                    valid := and(valid, and(eq(mload(0x00), signer), iszero(iszero(signer))))
                    valid := and(valid, and(lt(s, add(HALF_ORDER, 1)), lt(sub(v, 27), 2)))
                    valid := and(valid, iszero(gt(signature, last)))
                    if iszero(valid) { break }
                    signature := add(signature, 65)
                }
                bitmap := shr(1, bitmap)
            }
            // Neither a bit beyond the last member nor a signature without its bit.
            valid := and(valid, and(iszero(bitmap), eq(signature, add(last, 65))))
        }
    }
}

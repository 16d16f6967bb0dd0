// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../crypto/Quorum.sol";

/// @title One ECDSA signature in its one form: r (32) || s (32, the lower of the two) || v (27 or 28).
library Signature {
    /// @notice The address whose key has signed `digest`; zero if the bytes are no signature in that form.
    function signer(bytes32 digest, bytes memory signature) internal pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 r;
        uint256 s;
        uint8 v;
        assembly ("memory-safe") {
            r := mload(add(signature, 0x20))
            s := mload(add(signature, 0x40))
            v := byte(0, mload(add(signature, 0x60)))
        }
        // ecrecover itself refuses numbers beyond the order, zero, and any other v.
        if (s > Quorum.HALF_ORDER) return address(0);
        return ecrecover(digest, v, r, bytes32(s));
    }
}

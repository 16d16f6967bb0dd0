// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";

/// @title Where things lie in a request and in the parameters of a domain (docs/protocol/management.md, sections 5.2 and 5.3).
library RequestBytes {
    uint8 internal constant FORM = 1;
    uint8 internal constant JOIN = 2;
    uint8 internal constant LEAVE = 3;
    uint8 internal constant SCALE_UP = 4;
    uint8 internal constant SCALE_DOWN = 5;
    uint8 internal constant REPLACE = 6;
    uint8 internal constant PARAMETERS = 7;
    uint8 internal constant DISSOLVE = 8;
    uint8 internal constant GATEWAYS = 9;
    uint8 internal constant POLICY = 10;
    uint8 internal constant RENEW = 11;

    /// Length of what stands before the body.
    uint256 internal constant HEAD = 26;
    uint256 internal constant PARAMETERS_LENGTH = 46;
    uint8 internal constant SINGLE_OPERATOR = 2;

    // Offsets in the parameters.
    uint256 internal constant CONSENSUS = 1;
    uint256 internal constant RELAYS = 10;
    uint256 internal constant SEATS = 11;
    uint256 internal constant THRESHOLD = 12;
    uint256 internal constant LEAST_CAPACITY = 14;
    uint256 internal constant LEAST_TERM = 18;

    function kindOf(bytes calldata request) internal pure returns (uint8) {
        return uint8(Calldata.u8(Calldata.start(request) + 1));
    }

    function domainOf(bytes calldata request) internal pure returns (uint32) {
        return uint32(Calldata.u32(Calldata.start(request) + 2));
    }

    function basisOf(bytes calldata request) internal pure returns (uint32) {
        return uint32(Calldata.u32(Calldata.start(request) + 6));
    }

    function expiresOf(bytes calldata request) internal pure returns (uint64) {
        return uint64(Calldata.u64(Calldata.start(request) + 10));
    }

    /// @notice A u32 at an offset of the body: the relay chain, the registration.
    function u32At(bytes calldata request, uint256 offset) internal pure returns (uint32) {
        return uint32(Calldata.u32(Calldata.start(request) + HEAD + offset));
    }

    function u8At(bytes calldata request, uint256 offset) internal pure returns (uint8) {
        return uint8(Calldata.u8(Calldata.start(request) + HEAD + offset));
    }

    /// @notice A u32 at an offset of parameters in memory.
    function parameterU32(bytes memory parameters, uint256 offset) internal pure returns (uint32 value) {
        assembly ("memory-safe") {
            value := shr(224, mload(add(add(parameters, 0x20), offset)))
        }
    }

    /// @notice Offset at which the gateways of a FORM or SCALE_UP request begin, or those of GATEWAYS; the chains in front are skipped.
    function gatewaysOffset(bytes calldata request) internal pure returns (uint256 offset) {
        uint8 kind = kindOf(request);
        if (kind == GATEWAYS) return HEAD;
        offset = HEAD + (kind == FORM ? PARAMETERS_LENGTH : 1);
        uint256 start = Calldata.start(request);
        uint256 count = Calldata.u8(start + offset);
        ++offset;
        for (uint256 i = 0; i < count; ++i) {
            offset += 2 + Calldata.u16(start + offset);
        }
    }
}

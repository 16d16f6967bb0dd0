// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The states of a node and what leads from one to another: the table of docs/protocol/management.md, section 4.2, as data.
library NodeStates {
    uint8 internal constant NONE = 0;
    uint8 internal constant OFFERED = 1;
    uint8 internal constant RESERVED = 2;
    uint8 internal constant SEATED = 3;
    uint8 internal constant LEAVING = 4;
    uint8 internal constant SPENT = 5;
    uint8 internal constant WITHDRAWN = 6;
    uint8 internal constant CONVICTED = 7;

    uint8 internal constant OFFER = 0;
    uint8 internal constant RESERVE = 1;
    uint8 internal constant RELEASE = 2;
    uint8 internal constant SEAT = 3;
    uint8 internal constant LEAVE = 4;
    uint8 internal constant UNSEAT = 5;
    uint8 internal constant WITHDRAW = 6;
    uint8 internal constant RENEW = 7;
    uint8 internal constant EXIT = 8;
    uint8 internal constant CONVICT = 9;

    uint256 internal constant STATES = 8;
    uint256 internal constant INPUTS = 10;

    /// @notice The state that an input leads to; NONE where there is none.
    function next(uint8 state, uint8 input) internal pure returns (uint8) {
        // Rows are states, columns inputs in the order above.
        bytes memory table = hex"01000000000000000000" hex"00020000000006000007" hex"00000103000000000007"
            hex"00000000040500000507" hex"00000000000500000507" hex"00000000000006010007" hex"00000000000000000007"
            hex"00000000000000000000";
        return uint8(table[state * INPUTS + input]);
    }
}

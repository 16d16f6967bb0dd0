// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The states of a request and what leads from one to another: the table of docs/protocol/management.md, section 5.3, as data.
library RequestStates {
    uint8 internal constant NONE = 0;
    uint8 internal constant FILED = 1;
    uint8 internal constant COSIGNED = 2;
    uint8 internal constant CLOSED = 3;
    uint8 internal constant DRAWN = 4;
    uint8 internal constant CONFIRMED = 5;
    uint8 internal constant EXECUTING = 6;
    uint8 internal constant DONE = 7;
    uint8 internal constant REFUSED = 8;
    uint8 internal constant EXPIRED = 9;

    uint8 internal constant COSIGN = 0;
    uint8 internal constant COSIGN_LAST = 1;
    uint8 internal constant CLOSE = 2;
    uint8 internal constant CLOSE_UNDRAWN = 3;
    uint8 internal constant DRAW = 4;
    uint8 internal constant DRAW_FAILED = 5;
    uint8 internal constant CONFIRM = 6;
    uint8 internal constant CONFIRM_LAST = 7;
    uint8 internal constant READY = 8;
    uint8 internal constant DO_EXECUTED = 9;
    uint8 internal constant REFUSE = 10;
    uint8 internal constant EXPIRE = 11;
    uint8 internal constant REJECT = 12;

    uint256 internal constant STATES = 10;
    uint256 internal constant INPUTS = 13;

    /// @notice The state that an input leads to; NONE where there is none.
    function next(uint8 state, uint8 input) internal pure returns (uint8) {
        // Rows are states, columns inputs in the order above. The last three states have no way out.
        if (state >= DONE) return NONE;
        bytes memory table = hex"01020000000000000000000000" hex"01020000000000000000080908"
            hex"00000306000000000000080908" hex"00000000040800000000080908" hex"00000000000004050000080908"
            hex"00000000000000000600080900" hex"00000000000000000007080000";
        return uint8(table[state * INPUTS + input]);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The states of a domain and what leads from one to another: the second table of docs/protocol/management.md, section 5.3, as data; and the states of
/// its relay chains.
library DomainStates {
    uint8 internal constant NONE = 0;
    uint8 internal constant FORMING = 1;
    uint8 internal constant RUNNING = 2;
    uint8 internal constant CHANGING = 3;
    uint8 internal constant DISSOLVING = 4;
    uint8 internal constant DISSOLVED = 5;
    uint8 internal constant ABANDONED = 6;

    uint8 internal constant DECIDE = 0;
    uint8 internal constant START = 1;
    uint8 internal constant BEGIN = 2;
    uint8 internal constant END = 3;
    uint8 internal constant BEGIN_DISSOLVING = 4;
    uint8 internal constant DO_DISSOLVED = 5;
    uint8 internal constant ABANDON = 6;

    uint8 internal constant RELAY_ANNOUNCED = 1;
    uint8 internal constant RELAY_ACTIVE = 2;
    uint8 internal constant RELAY_DRAINING = 3;
    uint8 internal constant RELAY_FROZEN = 4;
    uint8 internal constant RELAY_TERMINATED = 5;

    uint256 internal constant STATES = 7;
    uint256 internal constant INPUTS = 7;

    /// @notice The state that an input leads to; NONE where there is none.
    function next(uint8 state, uint8 input) internal pure returns (uint8) {
        // Rows are states, columns inputs in the order above. The last two states have no way out.
        if (state >= DISSOLVED) return NONE;
        bytes memory table = hex"01000000000000" hex"00020000000006" hex"00000300040000" hex"00000002000000"
            hex"00000002000500";
        return uint8(table[state * INPUTS + input]);
    }
}

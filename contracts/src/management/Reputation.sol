// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What a node's reputation, an integer 0 to 10 000, becomes (docs/protocol/management.md, section 4.3).
library Reputation {
    uint256 internal constant MAX = 10_000;
    /// What an operator's nodes start with, and what a node counts with at most while it is on probation.
    uint256 internal constant START = 1000;
    /// Periods served until probation ends.
    uint256 internal constant PROBATION_PERIODS = 8;
    /// Seconds without a sign of life that halve a reputation.
    uint256 internal constant ABSENCE_SECONDS = 604_800;
    uint256 internal constant ORDERLY_END = 500;
    /// Absences in a row that count as leaving a seat without notice.
    uint256 internal constant ABSENCES_MAX = 3;
    /// Candidates count with at most this many times the capacity that was asked for.
    uint256 internal constant CAPACITY_FACTOR = 4;

    function present(uint256 reputation) internal pure returns (uint256) {
        return reputation + (MAX - reputation) / 32;
    }

    function absent(uint256 reputation) internal pure returns (uint256) {
        return reputation - (reputation + 7) / 8;
    }

    function ended(uint256 reputation) internal pure returns (uint256) {
        return reputation + ORDERLY_END > MAX ? MAX : reputation + ORDERLY_END;
    }

    /// @notice After `unseenSeconds` without a sign of life.
    function decayed(uint256 reputation, uint256 unseenSeconds) internal pure returns (uint256) {
        return reputation >> (unseenSeconds / ABSENCE_SECONDS);
    }

    /// @notice What a candidate counts with in a draw.
    function weight(uint256 capacity, uint256 leastCapacity, uint256 reputation, uint256 served)
        internal
        pure
        returns (uint256)
    {
        if (served < PROBATION_PERIODS && reputation > START) reputation = START;
        if (capacity > CAPACITY_FACTOR * leastCapacity) capacity = CAPACITY_FACTOR * leastCapacity;
        return capacity * reputation;
    }
}

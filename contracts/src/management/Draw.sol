// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title The draw of nodes (docs/protocol/management.md, section 7): a function of its arguments and nothing else.
library Draw {
    struct Candidates {
        uint64[] nodes;
        uint256[] operators;
        /// 0 where a candidate is not free any more, or drawn.
        uint256[] weights;
        uint256 highestOperator;
    }

    struct Order {
        bytes32 seed;
        uint256 sets;
        uint256 seats;
        /// Nobody may have as many seats in a set; 0: anybody may have any number.
        uint256 limit;
        bool singleOperator;
        /// Operators of the nodes that stay in the set.
        uint256[] staying;
    }

    /// @notice The nodes drawn, one set behind the other; empty where the draw has failed.
    function draw(Candidates memory candidates, Order memory order) internal pure returns (uint64[] memory drawn) {
        drawn = new uint64[](order.sets * order.seats);
        for (uint256 i = 0; i < order.sets; ++i) {
            uint256[] memory taken = new uint256[](candidates.highestOperator + 1);
            for (uint256 s = 0; s < order.staying.length; ++s) {
                uint256 had = ++taken[order.staying[s]];
                if (order.limit != 0 && had >= order.limit) return new uint64[](0);
            }
            uint256 owner = order.staying.length == 0 ? 0 : order.staying[0];
            for (uint256 j = 0; j < order.seats; ++j) {
                bool[] memory pool =
                    order.singleOperator ? _ownPool(candidates, order.seats, owner) : _pool(candidates, taken);
                (bool found, uint256 index) =
                    _pick(candidates, pool, keccak256(abi.encodePacked(order.seed, uint32(i), uint32(j))));
                if (!found) return new uint64[](0);
                candidates.weights[index] = 0;
                owner = candidates.operators[index];
                uint256 has = ++taken[owner];
                if (order.limit != 0 && has >= order.limit) return new uint64[](0);
                drawn[i * order.seats + j] = candidates.nodes[index];
            }
        }
    }

    /// @dev Free candidates of those operators that have the fewest seats in this set.
    function _pool(Candidates memory candidates, uint256[] memory taken) private pure returns (bool[] memory pool) {
        uint256 fewest = type(uint256).max;
        uint256 count = candidates.nodes.length;
        for (uint256 c = 0; c < count; ++c) {
            uint256 has = taken[candidates.operators[c]];
            if (candidates.weights[c] != 0 && has < fewest) fewest = has;
        }
        pool = new bool[](count);
        for (uint256 c = 0; c < count; ++c) {
            pool[c] = candidates.weights[c] != 0 && taken[candidates.operators[c]] == fewest;
        }
    }

    /// @dev Free candidates of one operator; where there is none yet, of all operators that have enough of them.
    function _ownPool(Candidates memory candidates, uint256 seats, uint256 owner)
        private
        pure
        returns (bool[] memory pool)
    {
        uint256 count = candidates.nodes.length;
        uint256[] memory free = new uint256[](candidates.highestOperator + 1);
        for (uint256 c = 0; c < count; ++c) {
            if (candidates.weights[c] != 0) ++free[candidates.operators[c]];
        }
        pool = new bool[](count);
        for (uint256 c = 0; c < count; ++c) {
            uint256 operator = candidates.operators[c];
            bool fits = owner == 0 ? free[operator] >= seats : operator == owner;
            pool[c] = fits && candidates.weights[c] != 0;
        }
    }

    /// @dev The first one of the pool at which the sum of the weights is above a random number below their total.
    function _pick(Candidates memory candidates, bool[] memory pool, bytes32 randomness)
        private
        pure
        returns (bool found, uint256 index)
    {
        uint256 total;
        for (uint256 c = 0; c < pool.length; ++c) {
            if (pool[c]) total += candidates.weights[c];
        }
        if (total == 0) return (false, 0);
        uint256 target = uint256(randomness) % total;
        uint256 sum;
        while (true) {
            if (pool[index]) {
                sum += candidates.weights[index];
                if (sum > target) return (true, index);
            }
            ++index;
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Draw} from "../../src/management/Draw.sol";
import {Test} from "../Test.sol";

/// @notice Properties of the draw, over markets made from a number.
contract DrawTest is Test {
    function _market(uint256 seed, uint256 count, uint256 operators)
        private
        pure
        returns (Draw.Candidates memory candidates)
    {
        candidates.nodes = new uint64[](count);
        candidates.operators = new uint256[](count);
        candidates.weights = new uint256[](count);
        candidates.highestOperator = operators;
        for (uint256 i = 0; i < count; i++) {
            uint256 random = uint256(keccak256(abi.encode(seed, i)));
            candidates.nodes[i] = uint64(i + 1);
            candidates.operators[i] = 1 + random % operators;
            // Some are not free.
            candidates.weights[i] = (random >> 64) % 5 == 0 ? 0 : 1 + (random >> 32) % 1000;
        }
    }

    function _order(bytes32 seed, uint256 sets, uint256 seats) private pure returns (Draw.Order memory order) {
        (order.seed, order.sets, order.seats) = (seed, sets, seats);
    }

    /// No node twice, none that is not free; no operator twice in a set while another free node fits; the same again for the same seed.
    function testSeatsAreFair(uint256 seed, uint8 count, uint8 operators, uint8 sets, uint8 seats) public pure {
        uint256 candidates = 1 + uint256(count) % 40;
        uint256 owners = 1 + uint256(operators) % 12;
        Draw.Order memory order = _order(bytes32(seed), 1 + sets % 3, 1 + seats % 7);
        Draw.Candidates memory fresh = _market(seed, candidates, owners);
        uint64[] memory drawn = Draw.draw(_market(seed, candidates, owners), order);
        uint256 free;
        for (uint256 i = 0; i < candidates; i++) {
            if (fresh.weights[i] != 0) ++free;
        }
        assertTrue((drawn.length != 0) == (free >= order.sets * order.seats), "drawn exactly when there are enough");
        uint64[] memory again = Draw.draw(_market(seed, candidates, owners), order);
        assertEq(keccak256(abi.encode(drawn)), keccak256(abi.encode(again)), "deterministic");
        for (uint256 i = 0; i < drawn.length; i += order.seats) {
            uint256[] memory taken = new uint256[](owners + 1);
            for (uint256 j = i; j < i + order.seats; j++) {
                uint256 index = drawn[j] - 1;
                assertTrue(fresh.weights[index] != 0, "not free, or drawn before");
                uint256 owner = fresh.operators[index];
                for (uint256 c = 0; c < candidates; c++) {
                    bool fits = fresh.weights[c] != 0 && taken[fresh.operators[c]] < taken[owner];
                    assertTrue(!fits, "an operator sits again while another free node fits");
                }
                fresh.weights[index] = 0;
                ++taken[owner];
            }
        }
    }

    /// Over many seeds each of three candidates is drawn as often as its weight says.
    function testWeightsAreRespected() public pure {
        uint256[3] memory times;
        for (uint256 i = 0; i < 4000; i++) {
            Draw.Candidates memory candidates = _market(1, 3, 3);
            for (uint256 c = 0; c < 3; c++) {
                candidates.operators[c] = c + 1;
                candidates.weights[c] = [uint256(10), 30, 60][c];
            }
            ++times[Draw.draw(candidates, _order(keccak256(abi.encode(i)), 1, 1))[0] - 1];
        }
        // Expected 400, 1200, 2400; four standard deviations are 76, 116, 124.
        assertTrue(times[0] > 324 && times[0] < 476, "weight 10");
        assertTrue(times[1] > 1084 && times[1] < 1316, "weight 30");
        assertTrue(times[2] > 2276 && times[2] < 2524, "weight 60");
    }

    function testNobodyGetsAQuorum(uint256 seed) public pure {
        // Two operators only: with a limit of 3 a set of 4 can be drawn (2 and 2), a set of 5 cannot.
        Draw.Candidates memory candidates = _market(seed, 12, 2);
        uint256[] memory free = new uint256[](3);
        for (uint256 i = 0; i < 12; i++) {
            candidates.weights[i] = 1 + i;
            candidates.operators[i] = 1 + i % 2;
            ++free[candidates.operators[i]];
        }
        Draw.Order memory order = _order(bytes32(seed), 1, 4);
        order.limit = 3;
        uint256[] memory weights = new uint256[](12);
        for (uint256 i = 0; i < 12; i++) {
            weights[i] = candidates.weights[i];
        }
        assertEq(Draw.draw(candidates, order).length, 4, "two each");
        candidates.weights = weights;
        order.seats = 5;
        assertEq(Draw.draw(candidates, order).length, 0, "somebody would have three");
    }

    function testStayingNodesCount(uint256 seed) public pure {
        Draw.Candidates memory candidates = _market(seed, 6, 3);
        for (uint256 i = 0; i < 6; i++) {
            candidates.weights[i] = 1;
            candidates.operators[i] = 1 + i % 3;
        }
        Draw.Order memory order = _order(bytes32(seed), 1, 1);
        order.staying = new uint256[](2);
        (order.staying[0], order.staying[1]) = (1, 3);
        uint64 node = Draw.draw(candidates, order)[0];
        assertTrue(node == 2 || node == 5, "only operator 2 has no seat yet");
    }

    function testASingleOperatorDrawsItsOwn(uint256 seed) public pure {
        Draw.Candidates memory candidates = _market(seed, 9, 3);
        for (uint256 i = 0; i < 9; i++) {
            candidates.weights[i] = 1 + i;
            // Operator 1 has two nodes, 2 has three, 3 has four.
            candidates.operators[i] = i < 2 ? 1 : i < 5 ? 2 : 3;
        }
        Draw.Order memory order = _order(bytes32(seed), 1, 3);
        order.singleOperator = true;
        uint64[] memory drawn = Draw.draw(candidates, order);
        uint256 owner = candidates.operators[drawn[0] - 1];
        assertTrue(drawn.length == 3 && owner >= 2, "an operator with enough nodes");
        for (uint256 i = 1; i < 3; i++) {
            assertEq(candidates.operators[drawn[i] - 1], owner, "all its own");
        }
    }
}

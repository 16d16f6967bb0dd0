// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DomainStates} from "../../src/management/DomainStates.sol";
import {Draw} from "../../src/management/Draw.sol";
import {NodeStates} from "../../src/management/NodeStates.sol";
import {RequestStates} from "../../src/management/RequestStates.sol";
import {
    TAG_DECISION,
    TAG_DOMAIN_REQUEST,
    TAG_DRAW,
    TAG_GOVERNOR_KEY,
    TAG_GOVERNOR_MANAGEMENT,
    TAG_GOVERNOR_SET,
    TAG_NODE_OFFER,
    TAG_REPRESENTATIVE
} from "../../src/management/Tags.sol";
import {Vectors} from "../Vectors.sol";

/// @notice The vectors of docs/protocol/management.md that Python reads too.
contract ManagementVectorsTest is Vectors {
    function _uints(string memory json, string memory list, uint256 index, string memory field)
        private
        pure
        returns (uint256[] memory)
    {
        return vm.parseJsonUintArray(json, pathOf(list, index, field));
    }

    /// Every cell of the tables of the page, as the contracts have it.
    function testStates() public view {
        string memory json = vectors("management_states");
        uint256 count = countOf(json, "nodes");
        assertEq(count, NodeStates.STATES * NodeStates.INPUTS, "cells of nodes");
        for (uint256 i = 0; i < count; i++) {
            _cell(json, "nodes", i, NodeStates.next(_u8(json, "nodes", i, "state"), _u8(json, "nodes", i, "input")));
        }
        count = countOf(json, "requests");
        assertEq(count, RequestStates.STATES * RequestStates.INPUTS, "cells of requests");
        for (uint256 i = 0; i < count; i++) {
            uint8 next = RequestStates.next(_u8(json, "requests", i, "state"), _u8(json, "requests", i, "input"));
            _cell(json, "requests", i, next);
        }
        count = countOf(json, "domains");
        assertEq(count, DomainStates.STATES * DomainStates.INPUTS, "cells of domains");
        for (uint256 i = 0; i < count; i++) {
            uint8 next = DomainStates.next(_u8(json, "domains", i, "state"), _u8(json, "domains", i, "input"));
            _cell(json, "domains", i, next);
        }
    }

    function _u8(string memory json, string memory list, uint256 index, string memory field)
        private
        pure
        returns (uint8)
    {
        return uint8(uintAt(json, list, index, field));
    }

    function _cell(string memory json, string memory list, uint256 index, uint8 actual) private pure {
        assertEq(actual, uintAt(json, list, index, "next"), nameAt(json, list, index));
    }

    function testDraws() public view {
        string memory json = vectors("management_draws");
        uint256 count = countOf(json, "draws");
        for (uint256 i = 0; i < count; i++) {
            Draw.Order memory order;
            order.seed = bytes32At(json, "draws", i, "seed");
            order.sets = uintAt(json, "draws", i, "sets");
            order.seats = uintAt(json, "draws", i, "seats");
            order.limit = uintAt(json, "draws", i, "limit");
            order.singleOperator = vm.parseJsonBool(json, pathOf("draws", i, "single_operator"));
            order.staying = _uints(json, "draws", i, "staying");
            Draw.Candidates memory candidates = _candidates(
                bytesAt(json, "draws", i, "candidates"), _uints(json, "draws", i, "not_offered"), order.staying
            );
            uint64[] memory drawn = Draw.draw(candidates, order);
            uint256[] memory expected = _uints(json, "draws", i, "nodes");
            assertEq(drawn.length, expected.length, vm.toString(i));
            for (uint256 j = 0; j < drawn.length; j++) {
                assertEq(drawn[j], expected[j], vm.toString(i));
            }
        }
    }

    function _candidates(bytes memory list, uint256[] memory gone, uint256[] memory staying)
        private
        pure
        returns (Draw.Candidates memory candidates)
    {
        uint256 count = list.length / 20;
        candidates.nodes = new uint64[](count);
        candidates.operators = new uint256[](count);
        candidates.weights = new uint256[](count);
        for (uint256 s = 0; s < staying.length; s++) {
            if (staying[s] > candidates.highestOperator) candidates.highestOperator = staying[s];
        }
        for (uint256 c = 0; c < count; c++) {
            uint256 word;
            assembly ("memory-safe") {
                word := shr(96, mload(add(add(list, 0x20), mul(c, 20))))
            }
            candidates.nodes[c] = uint64(word >> 96);
            candidates.operators[c] = uint32(word >> 64);
            candidates.weights[c] = uint64(word);
            for (uint256 g = 0; g < gone.length; g++) {
                if (gone[g] == candidates.nodes[c]) candidates.weights[c] = 0;
            }
            if (candidates.operators[c] > candidates.highestOperator) {
                candidates.highestOperator = candidates.operators[c];
            }
        }
    }

    function testTags() public view {
        string memory json = vectors("management_digests");
        bytes32[8] memory tags = [
            TAG_DOMAIN_REQUEST,
            TAG_DECISION,
            TAG_DRAW,
            TAG_REPRESENTATIVE,
            TAG_NODE_OFFER,
            TAG_GOVERNOR_MANAGEMENT,
            TAG_GOVERNOR_SET,
            TAG_GOVERNOR_KEY
        ];
        assertEq(countOf(json, "tags"), tags.length, "tags");
        for (uint256 i = 0; i < tags.length; i++) {
            assertEq(tags[i], bytes32At(json, "tags", i, "tag"), nameAt(json, "tags", i));
        }
    }

    function _place(string memory json, string memory list, uint256 index, string memory contract_)
        private
        pure
        returns (bytes memory)
    {
        return
            bytes.concat(bytes8(uint64(uintAt(json, list, index, "chain_id"))), bytesAt(json, list, index, contract_));
    }

    function _u32(string memory json, string memory list, uint256 index, string memory field)
        private
        pure
        returns (uint32)
    {
        return uint32(uintAt(json, list, index, field));
    }

    function testIdsAndDigests() public view {
        string memory json = vectors("management_digests");
        for (uint256 i = 0; i < countOf(json, "requests"); i++) {
            bytes memory request = bytesAt(json, "requests", i, "request");
            bytes32 id = keccak256(bytes.concat(TAG_DOMAIN_REQUEST, _place(json, "requests", i, "registry"), request));
            assertEq(id, bytes32At(json, "requests", i, "request_id"), "request id");
            assertEq(uint8(request[1]), uintAt(json, "requests", i, "kind"), "kind");
        }
        for (uint256 i = 0; i < countOf(json, "voices"); i++) {
            bytes memory prefix = abi.encodePacked(
                _u32(json, "voices", i, "domain"),
                _u32(json, "voices", i, "registration"),
                _u32(json, "voices", i, "epoch"),
                _u8(json, "voices", i, "kind")
            );
            bytes32 id = bytes32At(json, "voices", i, "request_id");
            bytes32 decision = bytes32At(json, "voices", i, "decision_hash");
            bytes memory place = _place(json, "voices", i, "registry");
            bytes32 digest = keccak256(bytes.concat(TAG_REPRESENTATIVE, prefix, place, id, decision));
            assertEq(digest, bytes32At(json, "voices", i, "digest"), "voice");
        }
        for (uint256 i = 0; i < countOf(json, "messages"); i++) {
            bytes memory prefix = abi.encodePacked(
                _u32(json, "messages", i, "domain"),
                _u32(json, "messages", i, "target"),
                _u32(json, "messages", i, "key_epoch"),
                _u8(json, "messages", i, "kind")
            );
            bytes8 counter = bytes8(uint64(uintAt(json, "messages", i, "counter")));
            bytes memory place = _place(json, "messages", i, "contract");
            bytes memory body = bytesAt(json, "messages", i, "body");
            bytes32 digest = keccak256(bytes.concat(TAG_GOVERNOR_MANAGEMENT, prefix, place, counter, body));
            assertEq(digest, bytes32At(json, "messages", i, "digest"), "message");
        }
        for (uint256 i = 0; i < countOf(json, "offers"); i++) {
            _offer(json, i, 1, "endorsement_digest");
            _offer(json, i, 2, "consensus_digest");
        }
    }

    function _offer(string memory json, uint256 index, uint8 which, string memory field) private pure {
        bytes memory keys = bytesAt(json, "offers", index, "offer");
        assembly ("memory-safe") {
            mstore(keys, 53)
        }
        bytes memory prefix = abi.encodePacked(uint32(0), _u32(json, "offers", index, "operator"), uint32(0), which);
        bytes memory place = _place(json, "offers", index, "market");
        bytes32 digest = keccak256(bytes.concat(TAG_NODE_OFFER, prefix, place, keys));
        assertEq(digest, bytes32At(json, "offers", index, field), field);
    }

    function testDecisionHashes() public view {
        string memory json = vectors("management_decisions");
        for (uint256 i = 0; i < countOf(json, "decisions"); i++) {
            bytes memory record = bytesAt(json, "decisions", i, "record");
            bytes32 hash = keccak256(bytes.concat(TAG_DECISION, record));
            assertEq(hash, bytes32At(json, "decisions", i, "decision_hash"), "decision hash");
            assertEq(uint8(record[1]), uintAt(json, "decisions", i, "kind"), "kind");
        }
    }
}

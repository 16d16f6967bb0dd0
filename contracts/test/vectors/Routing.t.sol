// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {VectorHub} from "./VectorHub.sol";

/// @notice Section 14, bound relay chains, against routing.json.
contract RoutingVectorsTest is VectorHub {
    /// Under a policy that gives the slot of the vector, and no other, to one relay chain, the hub names that relay chain.
    function testSlots() public {
        string memory json = vectors("routing");
        uint256 count = countOf(json, "slots");
        for (uint256 i = 0; i < count; i++) {
            uint256 slot = uintAt(json, "slots", i, "slot");
            deployHub(uintAt(json, "slots", i, "source"));
            openDomain(DOMAIN);
            bytes memory ranges;
            uint8 parts;
            if (slot != 0) {
                openRelay(DOMAIN, 101);
                ranges = abi.encodePacked(uint32(101), uint16(0), uint16(slot));
                parts++;
            }
            openRelay(DOMAIN, 102);
            ranges = abi.encodePacked(ranges, uint32(102), uint16(slot), uint16(1));
            parts++;
            if (slot != 1023) {
                openRelay(DOMAIN, 103);
                ranges = abi.encodePacked(ranges, uint32(103), uint16(slot + 1), uint16(1023 - slot));
                parts++;
            }
            mustGovern(DOMAIN, 6, abi.encodePacked(uint32(1), parts, ranges));
            uint32 destination = uint32(uintAt(json, "slots", i, "destination"));
            uint32 relay = hub.route(DOMAIN, destination, uint32(uintAt(json, "slots", i, "application")));
            assertEq(relay, 102, "relay chain of the slot");
        }
    }

    function testPolicies() public {
        string memory json = vectors("routing");
        uint256 count = countOf(json, "policies");
        for (uint256 i = 0; i < count; i++) {
            bytes memory policy = bytesAt(json, "policies", i, "data");
            deployHub(uintAt(json, "policies", i, "source"));
            openDomain(DOMAIN);
            for (uint256 offset = 5; offset < policy.length; offset += 8) {
                openRelay(DOMAIN, unsigned(policy, offset, 4));
            }
            mustGovern(DOMAIN, 6, policy);
            uint32 destination = uint32(uintAt(json, "policies", i, "destination"));
            uint32 relay = hub.route(DOMAIN, destination, uint32(uintAt(json, "policies", i, "application")));
            assertEq(relay, uintAt(json, "policies", i, "relay"), "relay chain");
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

/// @notice Section 5 against outboxes.json.
contract OutboxVectorsTest is VectorHub {
    function testOpeningValues() public {
        string memory json = vectors("outboxes");
        uint256 count = countOf(json, "open_hub");
        for (uint256 i = 0; i < count; i++) {
            uint256 domain = uintAt(json, "open_hub", i, "domain");
            uint256 relay = uintAt(json, "open_hub", i, "relay");
            address target = address(bytes20(bytesAt(json, "open_hub", i, "hub")));
            deployHubAt(target, uintAt(json, "open_hub", i, "registration"));
            assertEq(address(hub), target, "hub");
            openDomain(domain);
            if (relay != 0) openRelay(domain, relay);
            bytes32 value = bytes32At(json, "open_hub", i, "value");
            (uint64 number,, bytes32 actual,) = hub.outbox(uint32(domain), uint32(relay));
            assertEq(actual, value, "opening value");
            assertEq(bytes32(load(slotOf(0, (domain << 32) | relay))), value, "slot of the opening value");
            assertEq(number, 0, "entries of an outbox that was opened");
        }
    }

    function _hubWithRelay() private {
        deployHub(DESTINATION);
        openDomain(DOMAIN);
        openRelay(DOMAIN, RELAY);
    }

    /// The hub folds a range to the value that Python has folded it to: only an endorsement of that value makes it take the range.
    function testRangesOfRelayChains() public {
        string memory json = vectors("outboxes");
        _hubWithRelay();
        uint256 count = countOf(json, "ranges");
        uint256 taken;
        for (uint256 i = 0; i < count; i++) {
            if (uintAt(json, "ranges", i, "registration") != 0) continue;
            bytes memory range = bytesAt(json, "ranges", i, "range");
            uint256 last = uintAt(json, "ranges", i, "last");
            bytes32 value = bytes32At(json, "ranges", i, "value");
            hub.receiveRange(envelopeOf(DOMAIN, RELAY, range, last, value));
            bytes memory other = envelopeOf(DOMAIN, RELAY, range, last, value ^ bytes32(uint256(1)));
            vm.expectRevert(IHubEvents.NotEndorsed.selector);
            hub.receiveRange(other);
            other = envelopeOf(DOMAIN, RELAY, range, last ^ 1, value);
            vm.expectRevert(IHubEvents.NotEndorsed.selector);
            hub.receiveRange(other);
            taken++;
        }
        assertTrue(taken >= 30, "ranges of relay chains");
    }

    /// Refused for what they are, before anybody looks at the endorsement.
    function testRefusedRanges() public {
        string memory json = vectors("outboxes");
        _hubWithRelay();
        bytes32 before = fingerprint(DOMAIN, RELAY);
        uint256 count = countOf(json, "refused_from_relay_chain");
        for (uint256 i = 0; i < count; i++) {
            bytes memory range = bytesAt(json, "refused_from_relay_chain", i, "data");
            try hub.receiveRange(envelopeOf(DOMAIN, RELAY, range, 4, keccak256("value"))) {
                assertTrue(false, nameAt(json, "refused_from_relay_chain", i));
            } catch (bytes memory reason) {
                assertReason(reason, IHubEvents.MalformedRange.selector, nameAt(json, "refused_from_relay_chain", i));
            }
        }
        assertEq(fingerprint(DOMAIN, RELAY), before, "storage");
    }
}

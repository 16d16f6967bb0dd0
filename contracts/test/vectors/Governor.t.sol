// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Frost} from "../../src/crypto/Frost.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

/// @notice Section 10 against governor_messages.json. Messages in their order, each for the hub that takes it, are in hub.json.
contract GovernorVectorsTest is VectorHub {
    /// Every message is signed by the key of the vectors over the digest that a hub makes of its bytes.
    function testDigestsAndSignatures() public view {
        string memory json = vectors("governor_messages");
        uint256 count = countOf(json, "to_hub");
        (bool valid, uint256 x, uint8 prefix) = Frost.decodeKey(groupKey);
        assertTrue(valid, "group key");
        for (uint256 i = 0; i < count; i++) {
            bytes memory message = bytesAt(json, "to_hub", i, "message");
            uint256 length = message.length - 110;
            assertEq(unsigned(message, 43, 2), length, "length of the body");
            assertEq(slice(message, 45, length), bytesAt(json, "to_hub", i, "body"), "body");
            bytes memory signed = bytes.concat(slice(message, 2, 41), slice(message, 45, length));
            bytes32 digest = keccak256(bytes.concat(keccak256("PIEBRIDGE/GOVERNOR_HUB/v1"), signed));
            assertEq(digest, bytes32At(json, "to_hub", i, "digest"), "digest");
            bytes memory signature = slice(message, 45 + length, 65);
            assertTrue(Frost.verify(x, prefix, abi.encodePacked(digest), signature), "signature");
        }
    }

    /// One thing is wrong with each, so the hub is the one that they were signed for, and it takes the one that they were made of.
    function testRefusedMessages() public {
        string memory json = vectors("governor_messages");
        deployHubAt(address(0x7777777777777777777777777777777777777777), 11);
        uint256 count = countOf(json, "refused");
        bytes memory original;
        for (uint256 i = 0; i < count; i++) {
            bytes memory message = bytesAt(json, "refused", i, "data");
            if (keccak256(bytes(nameAt(json, "refused", i))) == keccak256("a byte more")) {
                original = slice(message, 0, message.length - 1);
            }
            try hub.governor(message) {
                assertTrue(false, nameAt(json, "refused", i));
            } catch {}
        }
        assertEq(hub.counterOf(1), 0, "counter after what was refused");
        vm.recordLogs();
        hub.governor(original);
        assertEq(handled(1, 1, 1), "", "the message that they were made of");
        for (uint256 i = 0; i < count; i++) {
            try hub.governor(bytesAt(json, "refused", i, "data")) {
                assertTrue(false, nameAt(json, "refused", i));
            } catch {}
        }
        assertEq(hub.counterOf(1), 1, "counter");
    }

    uint256 private _refusedBodies;

    /// A body that is none: the message is taken, uses up its number and changes nothing; an unordered one is refused.
    function testRefusedBodies() public {
        string memory json = vectors("governor_messages");
        deployHub(DESTINATION);
        openDomain(DOMAIN);
        openRelay(DOMAIN, RELAY);
        openRelay(DOMAIN, RELAY + 1);
        uint256 count = countOf(json, "refused_bodies");
        for (uint256 i = 0; i < count; i++) {
            if (keccak256(bytes(vm.parseJsonString(json, pathOf("refused_bodies", i, "target")))) != keccak256("hub")) {
                continue;
            }
            bool refused =
                _isRefused(uintAt(json, "refused_bodies", i, "kind"), bytesAt(json, "refused_bodies", i, "data"));
            assertTrue(refused, nameAt(json, "refused_bodies", i));
            _refusedBodies++;
        }
        assertTrue(_refusedBodies > 35, "bodies to a hub");
    }

    function _isRefused(uint256 kind, bytes memory body) private returns (bool refused) {
        uint256 state = vm.snapshotState();
        uint256 domain = kind == 8 || kind == 12 || kind == 13 || kind == 14 ? 0 : DOMAIN;
        bytes memory reason;
        if (kind == 9 || kind == 11) {
            try hub.governor(governorMessage(domain, kind, 1, body)) {}
            catch (bytes memory thrown) {
                reason = thrown;
            }
        } else {
            reason = govern(domain, kind, body);
        }
        refused = bytes4(reason) == IHubEvents.MalformedBody.selector;
        // A number that must not be zero, or a relay chain that has a range already, may be found where state is looked at: these relay chains are active.
        bool zero = body.length >= 4 && unsigned(body, 0, 4) == 0;
        if (zero || kind == 6) refused = refused || bytes4(reason) == IHubEvents.NotPossible.selector;
        vm.revertToState(state);
    }
}

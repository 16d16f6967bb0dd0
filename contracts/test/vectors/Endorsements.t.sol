// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Quorum} from "../../src/crypto/Quorum.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

contract QuorumHarness {
    function verify(bytes32 digest, bytes calldata members, bytes calldata signature) external view returns (bool) {
        return Quorum.verify(digest, members, 1, 1, signature);
    }
}

/// @notice Section 8 against endorsements.json: sets reach a hub by governor messages, envelopes by `receiveRange`.
contract EndorsementVectorsTest is VectorHub {
    /// A set is taken by a hub of developers; by another exactly when it is safe. What the hub commits to is the hash of the vector.
    function testSets() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "sets");
        uint256 safe;
        for (uint256 i = 0; i < count; i++) {
            uint256 domain = uintAt(json, "sets", i, "domain");
            uint256 relay = uintAt(json, "sets", i, "relay");
            bytes memory set = bytesAt(json, "sets", i, "data");
            deployHub(DESTINATION);
            openDomain(domain);
            openRelay(domain, relay, set);
            // Slot 12 is the hub's own: the upper 248 bits of the hash, and flags.
            bytes32 stored = bytes32(load(slotOf(12, relay)));
            assertEq(stored, bytes32At(json, "sets", i, "set_hash") >> 8 << 8, "hash of the set");
            (,, uint32 epoch,,) = hub.relayOf(uint32(relay));
            assertEq(epoch, uintAt(json, "sets", i, "epoch"), "epoch");

            deployHub(DESTINATION, false);
            openDomain(domain);
            bytes memory reason = govern(domain, 3, abi.encodePacked(uint32(relay), keccak256("genesis"), set));
            if (vm.parseJsonBool(json, pathOf("sets", i, "safe"))) {
                assertEq(reason, "", "safe set refused");
                safe++;
            } else {
                assertReason(reason, IHubEvents.MalformedBody.selector, "set that is not safe");
            }
        }
        assertTrue(safe > 0 && safe < count, "safe sets and others");
    }

    function testRefusedSets() public {
        string memory json = vectors("endorsements");
        deployHub(DESTINATION);
        openDomain(DOMAIN);
        uint256 count = countOf(json, "refused_sets");
        for (uint256 i = 0; i < count; i++) {
            bytes memory body = abi.encodePacked(RELAY, keccak256("genesis"), bytesAt(json, "refused_sets", i, "data"));
            uint256 state = vm.snapshotState();
            bytes memory reason = govern(DOMAIN, 3, body);
            assertReason(reason, IHubEvents.MalformedBody.selector, nameAt(json, "refused_sets", i));
            assertEq(load(slotOf(12, RELAY)), 0, "set");
            assertEq(load(slotOf(0, (uint256(DOMAIN) << 32) | RELAY)), 0, "outbox");
            vm.revertToState(state);
            // As the next set of a relay chain it is refused alike.
            openRelay(DOMAIN, RELAY);
            body = abi.encodePacked(RELAY, uint32(0), bytesAt(json, "refused_sets", i, "data"));
            reason = govern(DOMAIN, 5, body);
            assertReason(reason, IHubEvents.MalformedBody.selector, nameAt(json, "refused_sets", i));
            vm.revertToState(state);
        }
    }

    /// A hub with the registration that an envelope is for, which accepts the envelope's set; both by governor messages.
    function _hubFor(uint256 destination, bytes memory envelope) internal {
        deployHub(destination);
        uint256 domain = unsigned(envelope, 0, 4);
        openDomain(domain);
        uint256 size = 7 + (uint8(envelope[12]) == 1 ? 20 * unsigned(envelope, 14, 1) : 33);
        openRelay(domain, unsigned(envelope, 4, 4), slice(envelope, 8, size));
    }

    function testEnvelopes() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "envelopes");
        uint256[4] memory methods;
        for (uint256 i = 0; i < count; i++) {
            bytes memory envelope = bytesAt(json, "envelopes", i, "envelope");
            _hubFor(uintAt(json, "envelopes", i, "destination"), envelope);
            uint32 domain = uint32(uintAt(json, "envelopes", i, "domain"));
            uint32 relay = uint32(uintAt(json, "envelopes", i, "relay"));
            bytes memory parts = abi.encodePacked(
                domain,
                relay,
                bytesAt(json, "envelopes", i, "set"),
                bytesAt(json, "envelopes", i, "proof"),
                bytesAt(json, "envelopes", i, "range")
            );
            assertEq(parts, envelope, "parts of an envelope");
            hub.receiveRange(envelope);
            methods[uintAt(json, "envelopes", i, "method")]++;

            // Digest, first by its parts, then by its signers: nothing else is signed.
            uint32 epoch = uint32(uintAt(json, "envelopes", i, "epoch"));
            bytes32 digest = endorsementDigest(
                domain, relay, epoch, uintAt(json, "envelopes", i, "last"), bytes32At(json, "envelopes", i, "value")
            );
            assertEq(digest, bytes32At(json, "envelopes", i, "digest"), "digest");
            _refuseCuts(envelope, i < 4 ? 1 : 29);

            mustGovern(domain, 1, "");
            hub.governor(governorMessage(domain, 11, 1, abi.encodePacked(relay)));
            vm.expectRevert(IHubEvents.UnknownSet.selector);
            hub.receiveRange(envelope);
        }
        assertTrue(methods[1] > 5 && methods[3] > 2, "both methods");
    }

    /// Every prefix (of steps of `step` bytes) and one byte more.
    function _refuseCuts(bytes memory envelope, uint256 step) private {
        bytes32 before = fingerprint(unsigned(envelope, 0, 4), unsigned(envelope, 4, 4));
        for (uint256 length = 0; length < envelope.length; length += step) {
            bytes memory cut = slice(envelope, 0, length);
            try hub.receiveRange(cut) {
                assertTrue(false, string.concat("cut to ", vm.toString(length)));
            } catch (bytes memory reason) {
                _assertRefusal(reason, string.concat("reason when cut to ", vm.toString(length)));
            }
        }
        try hub.receiveRange(bytes.concat(envelope, hex"00")) {
            assertTrue(false, "a byte more");
        } catch (bytes memory reason) {
            assertReason(reason, IHubEvents.MalformedRange.selector, "a byte more");
        }
        assertEq(fingerprint(unsigned(envelope, 0, 4), unsigned(envelope, 4, 4)), before, "storage");
    }

    function _assertRefusal(bytes memory reason, string memory what) internal pure {
        bytes4 selector = bytes4(reason);
        assertTrue(
            selector == IHubEvents.MalformedRange.selector || selector == IHubEvents.UnknownSet.selector
                || selector == IHubEvents.NotEndorsed.selector,
            what
        );
    }

    function testUnbelievableEnvelopes() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "unbelievable_envelopes");
        for (uint256 i = 0; i < count; i++) {
            bytes memory envelope = bytesAt(json, "unbelievable_envelopes", i, "data");
            _hubFor(uintAt(json, "unbelievable_envelopes", i, "destination"), envelope);
            bytes32 before = fingerprint(unsigned(envelope, 0, 4), unsigned(envelope, 4, 4));
            try hub.receiveRange(envelope) {
                assertTrue(false, nameAt(json, "unbelievable_envelopes", i));
            } catch (bytes memory reason) {
                assertReason(reason, IHubEvents.NotEndorsed.selector, nameAt(json, "unbelievable_envelopes", i));
            }
            assertEq(fingerprint(unsigned(envelope, 0, 4), unsigned(envelope, 4, 4)), before, "storage");
        }
    }

    /// One thing is wrong with each, so the hub is the one that they were signed for, and it takes the one that they were made of.
    function testRefusedEnvelopes() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "refused_envelopes");
        bytes memory original;
        for (uint256 i = 0; i < count; i++) {
            if (keccak256(bytes(nameAt(json, "refused_envelopes", i))) != keccak256("a byte more")) continue;
            original = bytesAt(json, "refused_envelopes", i, "data");
            original = slice(original, 0, original.length - 1);
        }
        _hubFor(7, original);
        hub.receiveRange(original);
        bytes32 before = fingerprint(1, 5);
        for (uint256 i = 0; i < count; i++) {
            try hub.receiveRange(bytesAt(json, "refused_envelopes", i, "data")) {
                assertTrue(false, nameAt(json, "refused_envelopes", i));
            } catch (bytes memory reason) {
                _assertRefusal(reason, nameAt(json, "refused_envelopes", i));
            }
        }
        assertEq(fingerprint(1, 5), before, "storage");
    }

    function testEquivocations() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "equivocations");
        for (uint256 i = 0; i < count; i++) {
            bytes memory first = bytesAt(json, "equivocations", i, "first");
            bytes memory second = bytesAt(json, "equivocations", i, "second");
            _hubFor(DESTINATION, first);
            vm.expectRevert(IHubEvents.NoEquivocation.selector);
            hub.reportEquivocation(first, first);
            for (uint256 bit = 0; bit < second.length * 8; bit += 7) {
                second[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
                try hub.reportEquivocation(first, second) {
                    assertTrue(false, string.concat("equivocation with bit flipped: ", vm.toString(bit)));
                } catch (bytes memory reason) {
                    _assertRefusal(reason, "reason of no equivocation");
                }
                second[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            }
            hub.reportEquivocation(second, first);
            (, uint8 state,,,) = hub.relayOf(uint32(unsigned(first, 4, 4)));
            assertEq(state, 4, "frozen");
        }
    }

    /// ECDSA as the hub verifies it, against signatures of another implementation.
    function testSignatures() public {
        string memory json = vectors("signature_secp256k1");
        QuorumHarness quorum = new QuorumHarness();
        bytes memory member = vm.parseJsonBytes(json, ".address");
        uint256 count;
        for (; vm.keyExistsJson(json, string.concat(".evm[", vm.toString(count), "]")); count++) {
            bytes32 digest = bytes32At(json, "evm", count, "digest");
            bytes memory signature = bytesAt(json, "evm", count, "signature");
            if (uint8(signature[64]) < 27) signature[64] = bytes1(uint8(signature[64]) + 27);
            assertTrue(quorum.verify(digest, member, signature), "signature");
            assertTrue(!quorum.verify(digest ^ bytes32(uint256(1)), member, signature), "another digest");
        }
        assertTrue(count > 3, "signatures");
    }
}

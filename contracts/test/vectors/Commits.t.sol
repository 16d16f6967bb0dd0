// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

/// @notice Section 8, method 2, against commits.json: commits that validators with `secp256k1eth` keys have signed.
contract CommitVectorsTest is VectorHub {
    function _hubFor(string memory json, uint256 i) private {
        deployHub(uintAt(json, "envelopes", i, "destination"));
        uint256 domain = uintAt(json, "envelopes", i, "domain");
        openDomain(domain);
        openRelay(domain, uintAt(json, "envelopes", i, "relay"), bytesAt(json, "envelopes", i, "set"));
    }

    function testEnvelopes() public {
        string memory json = vectors("commits");
        uint256 count = countOf(json, "envelopes");
        for (uint256 i = 0; i < count; i++) {
            _hubFor(json, i);
            uint256 relay = uintAt(json, "envelopes", i, "relay");
            bytes32 stored = bytes32(load(slotOf(12, relay)));
            assertEq(stored, bytes32At(json, "envelopes", i, "set_hash") >> 8 << 8, "hash of the set");
            hub.receiveRange(bytesAt(json, "envelopes", i, "envelope"));
        }
        assertTrue(count > 5, "commits");
    }

    /// No envelope with a bit changed is taken: whatever the bit is part of, header, state, votes or range.
    function testEveryBitCounts() public {
        string memory json = vectors("commits");
        _hubFor(json, 3);
        bytes memory envelope = bytesAt(json, "envelopes", 3, "envelope");
        uint256 state = vm.snapshotState();
        for (uint256 bit = 0; bit < 8 * envelope.length; bit++) {
            bytes memory changed = bytes.concat(envelope);
            changed[bit / 8] = bytes1(uint8(changed[bit / 8]) ^ uint8(1 << (bit % 8)));
            _refuse(changed, string.concat("bit ", vm.toString(bit)));
        }
        for (uint256 length = 0; length < envelope.length; length++) {
            _refuse(slice(envelope, 0, length), string.concat("cut to ", vm.toString(length)));
        }
        _refuse(bytes.concat(envelope, hex"00"), "a byte more");
        vm.revertToState(state);
        hub.receiveRange(envelope);
    }

    function _refuse(bytes memory envelope, string memory what) private {
        try hub.receiveRange(envelope) {
            assertTrue(false, what);
        } catch (bytes memory reason) {
            bytes4 selector = bytes4(reason);
            assertTrue(
                selector == IHubEvents.MalformedRange.selector || selector == IHubEvents.UnknownSet.selector
                    || selector == IHubEvents.NotEndorsed.selector,
                what
            );
        }
    }

    /// A set with the wrong sort of proof, and two thirds without more, are refused also of developers.
    function testTwoThirdsAreNotEnough() public {
        string memory json = vectors("commits");
        deployHub(DESTINATION);
        openDomain(DOMAIN);
        bytes memory set = bytesAt(json, "envelopes", 3, "set");
        assertEq(uint8(set[5]), 3, "three");
        assertEq(uint8(set[6]), 4, "of four");
        set[5] = 0x02;
        bytes memory reason = govern(DOMAIN, 3, abi.encodePacked(RELAY, keccak256("genesis"), set));
        assertReason(reason, IHubEvents.MalformedBody.selector, "two of four");
        set[5] = 0x03;
        reason = govern(DOMAIN, 3, abi.encodePacked(RELAY, keccak256("genesis"), slice(set, 0, set.length - 32)));
        assertReason(reason, IHubEvents.MalformedBody.selector, "no validators hash");
    }

    /// The set before is good for its overlap, like that of any other method; then only the next one is.
    function testOverlapOfSets() public {
        string memory json = vectors("commits");
        _hubFor(json, 3);
        bytes memory envelope = bytesAt(json, "envelopes", 3, "envelope");
        bytes memory next = bytesAt(json, "envelopes", 3, "set");
        uint32 epoch = uint32(unsigned(next, 0, 4)) + 1;
        bytes memory body = abi.encodePacked(
            uint32(uintAt(json, "envelopes", 3, "relay")), uint32(100), epoch, slice(next, 4, next.length - 4)
        );
        mustGovern(uintAt(json, "envelopes", 3, "domain"), 5, body);
        uint256 state = vm.snapshotState();
        vm.warp(block.timestamp + 99);
        hub.receiveRange(envelope);
        vm.revertToState(state);
        vm.warp(block.timestamp + 101);
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(envelope);
    }
}

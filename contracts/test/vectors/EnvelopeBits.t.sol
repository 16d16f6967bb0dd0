// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

/// @notice Every envelope that is one bit away from a valid one is refused, and nothing is written. Slow, hence apart.
contract EnvelopeBitsTest is VectorHub {
    uint256 private constant LONGEST = 1100;

    function testEveryBitOfEnvelopesWithSignatures() public {
        _flip(1, 3);
    }

    function testEveryBitOfEnvelopesWithThresholdSignature() public {
        _flip(3, 3);
    }

    /// The first `wanted` envelopes of a method that are not very long.
    function _flip(uint256 method, uint256 wanted) private {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "envelopes");
        uint256 done;
        for (uint256 i = 0; i < count && done < wanted; i++) {
            bytes memory envelope = bytesAt(json, "envelopes", i, "envelope");
            if (uint8(envelope[12]) != method || envelope.length > LONGEST) continue;
            deployHub(uintAt(json, "envelopes", i, "destination"));
            openDomain(unsigned(envelope, 0, 4));
            openRelay(unsigned(envelope, 0, 4), unsigned(envelope, 4, 4), bytesAt(json, "envelopes", i, "set"));
            _flipEveryBit(envelope);
            hub.receiveRange(envelope);
            done++;
        }
        assertEq(done, wanted, "envelopes of this method");
    }

    function _flipEveryBit(bytes memory envelope) private {
        uint256 domain = unsigned(envelope, 0, 4);
        uint256 relay = unsigned(envelope, 4, 4);
        bytes32 before = fingerprint(domain, relay);
        for (uint256 bit = 0; bit < envelope.length * 8; bit++) {
            envelope[bit / 8] ^= bytes1(uint8(0x80 >> (bit % 8)));
            try hub.receiveRange(envelope) {
                assertTrue(false, string.concat("accepted with bit ", vm.toString(bit)));
            } catch (bytes memory reason) {
                bytes4 selector = bytes4(reason);
                bool known = selector == IHubEvents.MalformedRange.selector
                    || selector == IHubEvents.UnknownSet.selector || selector == IHubEvents.NotEndorsed.selector;
                if (!known) assertTrue(false, string.concat("another reason with bit ", vm.toString(bit)));
            }
            envelope[bit / 8] ^= bytes1(uint8(0x80 >> (bit % 8)));
        }
        assertEq(fingerprint(domain, relay), before, "storage");
    }
}

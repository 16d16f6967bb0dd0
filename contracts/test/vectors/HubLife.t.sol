// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HubLife} from "./HubLife.sol";

/// @notice A hub from its first governor message to its closing: calls, events, entries and proven storage are those of hub.json.
contract HubLifeTest is HubLife {
    function testLifeOfAHub() public {
        begin();
        uint256 count = countOf(life, "steps");
        uint256 refused;
        for (uint256 i = 0; i < count; i++) {
            Step memory step = stepAt(i);
            vm.recordLogs();
            (bool success,) = run(i, step);
            assertTrue(success == step.accepted, string.concat(step.name, success ? ": accepted" : ": refused"));
            checkEvents(i, step);
            checkStorage(i, step.name);
            if (!success) refused++;
        }
        assertTrue(count > 60 && refused > 15, "steps");
    }
}

/// @notice No governor message that is one bit away from a valid one is taken, at the moment when the valid one is. Slow, hence apart.
contract GovernorBitsTest is HubLife {
    function testEveryBitOfGovernorMessages() public {
        begin();
        uint256 count = countOf(life, "steps");
        uint256 messages;
        uint256 kinds;
        for (uint256 i = 0; i < count; i++) {
            Step memory step = stepAt(i);
            uint256 kind = uintAt(life, "steps", i, "kind");
            if (step.call == keccak256("governor") && step.accepted && (kinds >> kind) & 1 == 0) {
                kinds |= 1 << kind;
                messages++;
                _refuseMutations(i, step);
            }
            (bool success,) = run(i, step);
            assertTrue(success == step.accepted, step.name);
        }
        // Kinds 1 to 15, and one that is none.
        assertEq(kinds, 0x1fffe, "kinds");
        assertEq(messages, 16, "messages");
    }

    function _refuseMutations(uint256 i, Step memory step) private {
        if (i != 0) checkStorage(i - 1, step.name);
        bytes32 before = fingerprint(DOMAIN, RELAY);
        bytes memory message = step.data;
        for (uint256 bit = 0; bit < message.length * 8; bit++) {
            message[bit / 8] ^= bytes1(uint8(0x80 >> (bit % 8)));
            try hub.governor(message) {
                assertTrue(false, string.concat(step.name, ": taken with bit ", vm.toString(bit)));
            } catch {}
            message[bit / 8] ^= bytes1(uint8(0x80 >> (bit % 8)));
        }
        for (uint256 length = 0; length < message.length; length++) {
            try hub.governor(slice(message, 0, length)) {
                assertTrue(false, string.concat(step.name, ": taken when cut to ", vm.toString(length)));
            } catch {}
        }
        try hub.governor(bytes.concat(message, hex"00")) {
            assertTrue(false, string.concat(step.name, ": taken with a byte more"));
        } catch {}
        assertEq(fingerprint(DOMAIN, RELAY), before, "storage");
        if (i != 0) checkStorage(i - 1, step.name);
    }
}

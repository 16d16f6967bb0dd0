// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {HubLife} from "./HubLife.sol";

/// @notice A hub from its first governor message to its closing: calls, events, entries and proven storage are those of hub.json.
contract HubLifeTest is HubLife {
    function testLifeOfAHub() public {
        uint256 count = begin();
        uint256 refused;
        for (uint256 i = 0; i < count; i++) {
            // A call for each step: its memory is given back.
            if (!this.play(i)) refused++;
        }
        assertTrue(count > 60 && refused > 15, "steps");
        assertEq(statedSlots(), 13, "slots");
    }

    function play(uint256 i) external returns (bool success) {
        string memory life = vectors("hub");
        Step memory step = stepAt(life, i);
        vm.recordLogs();
        (success,) = run(life, i, step);
        assertTrue(success == step.accepted, string.concat(step.name, success ? ": accepted" : ": refused"));
        checkEvents(life, i, step);
        state(life, i);
        checkStorage(step.name);
    }
}

/// @notice No governor message that is one bit away from a valid one is taken, at the moment when the valid one is. Slow, hence apart.
contract GovernorBitsTest is HubLife {
    uint256 private _kinds;

    function testEveryBitOfGovernorMessages() public {
        uint256 count = begin();
        for (uint256 i = 0; i < count; i++) {
            this.play(i);
        }
        // Kinds 1 to 15, and one that is none.
        assertEq(_kinds, 0x1fffe, "kinds");
    }

    function play(uint256 i) external {
        string memory life = vectors("hub");
        Step memory step = stepAt(life, i);
        uint256 kind = uintAt(life, "steps", i, "kind");
        if (step.call == keccak256("governor") && step.accepted && (_kinds >> kind) & 1 == 0) {
            _kinds |= 1 << kind;
            _refuseMutations(step);
        }
        (bool success,) = run(life, i, step);
        assertTrue(success == step.accepted, step.name);
        state(life, i);
    }

    function _refuseMutations(Step memory step) private {
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
        checkStorage(step.name);
    }
}

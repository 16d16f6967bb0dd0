// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Vm} from "../Vm.sol";
import {Recorder, VectorHub} from "./VectorHub.sol";

/// @notice Runs the calls of hub.json, which Python has signed, against a hub that was deployed where they expect it.
abstract contract HubLife is VectorHub {
    struct Step {
        string name;
        bytes32 call;
        bytes data;
        bool accepted;
        uint256 entryOutbox;
        bytes entry;
    }

    Recorder internal application;
    /// What the steps so far state about storage; it holds until it is stated anew.
    bytes32[] private _slots;
    mapping(bytes32 slot => bytes32) private _masks;
    mapping(bytes32 slot => bytes32) private _values;

    function begin() internal returns (uint256 count) {
        string memory life = vectors("hub");
        groupKey = vm.parseJsonBytes(life, ".group_key");
        vm.chainId(vm.parseJsonUint(life, ".chain_id"));
        assertEq(vm.parseJsonUint(life, ".handler_gas_max"), MAX_GAS, "largest handler gas");
        address target = address(bytes20(vm.parseJsonBytes(life, ".hub")));
        deployHubAt(target, vm.parseJsonUint(life, ".registration"));
        address account = address(bytes20(vm.parseJsonBytes(life, ".application")));
        vm.etch(account, address(new Recorder()).code);
        application = Recorder(account);
        return countOf(life, "steps");
    }

    function stepAt(string memory life, uint256 i) internal returns (Step memory step) {
        vm.roll(uintAt(life, "steps", i, "height"));
        vm.warp(uintAt(life, "steps", i, "time"));
        step.name = nameAt(life, "steps", i);
        step.call = keccak256(bytes(vm.parseJsonString(life, pathOf("steps", i, "call"))));
        step.data = bytesAt(life, "steps", i, "data");
        step.accepted = vm.parseJsonBool(life, pathOf("steps", i, "accepted"));
        step.entryOutbox = uintAt(life, "steps", i, "entry_outbox");
        step.entry = bytesAt(life, "steps", i, "entry");
    }

    /// @dev Makes the call of a step. Returns whether it was accepted.
    function run(string memory life, uint256 i, Step memory step) internal returns (bool success, bytes memory result) {
        if (step.call == keccak256("governor")) {
            return address(hub).call(abi.encodeCall(hub.governor, (step.data)));
        }
        if (step.call == keccak256("receiveRange")) {
            return address(hub).call(abi.encodeCall(hub.receiveRange, (step.data)));
        }
        if (step.call == keccak256("send")) {
            return address(application).call(abi.encodeCall(Recorder.send, (hub, step.data)));
        }
        assertEq(step.call, keccak256("settle"), "call");
        uint64 nonce = uint64(uintAt(life, "steps", i, "counter"));
        return address(hub).call(abi.encodeCall(hub.settle, (DOMAIN, RELAY, nonce, step.data)));
    }

    /// @dev Adds what a step states about storage.
    function state(string memory life, uint256 i) internal {
        bytes32[] memory slots = vm.parseJsonBytes32Array(life, pathOf("steps", i, "slots"));
        bytes32[] memory masks = vm.parseJsonBytes32Array(life, pathOf("steps", i, "masks"));
        bytes32[] memory values = vm.parseJsonBytes32Array(life, pathOf("steps", i, "values"));
        for (uint256 j = 0; j < slots.length; j++) {
            if (_masks[slots[j]] == 0) _slots.push(slots[j]);
            (_masks[slots[j]], _values[slots[j]]) = (masks[j], values[j]);
        }
    }

    /// @dev Compares storage with everything that was stated.
    function checkStorage(string memory name) internal view {
        for (uint256 j = 0; j < _slots.length; j++) {
            bytes32 actual = bytes32(load(_slots[j])) & _masks[_slots[j]];
            if (actual == _values[_slots[j]]) continue;
            assertEq(actual, _values[_slots[j]], string.concat(name, ": slot ", vm.toString(j)));
        }
    }

    function statedSlots() internal view returns (uint256) {
        return _slots.length;
    }

    /// @dev Checks the events since `vm.recordLogs` against what the step says.
    function checkEvents(string memory life, uint256 i, Step memory step) internal {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        bool made;
        bool handled;
        for (uint256 j = 0; j < logs.length; j++) {
            bytes32 topic = logs[j].topics[0];
            if (topic == IHubEvents.GovernorMessageHandled.selector) {
                _checkHandled(life, i, logs[j], step.name);
                handled = true;
            } else if (
                topic == IHubEvents.PacketSent.selector || topic == IHubEvents.ReceiptsMade.selector
                    || topic == IHubEvents.ReportMade.selector
            ) {
                assertTrue(!made, string.concat(step.name, ": two entries"));
                made = true;
                assertEq(logs[j].data, step.entry, string.concat(step.name, ": entry"));
                (uint64 number,,,) = hub.outbox(DOMAIN, uint32(step.entryOutbox));
                uint256 entry = (uint256(DOMAIN) << 96) | (step.entryOutbox << 64) | number;
                assertEq(uint256(logs[j].topics[1]), entry, string.concat(step.name, ": number of the entry"));
            }
        }
        assertTrue(made == (step.entry.length != 0), string.concat(step.name, ": an entry or none"));
        assertTrue(
            handled == (step.call == keccak256("governor") && step.accepted), string.concat(step.name, ": event")
        );
    }

    function _checkHandled(string memory life, uint256 i, Vm.Log memory log, string memory name) private pure {
        (uint8 kind, bool done,) = abi.decode(log.data, (uint8, bool, bytes));
        assertEq(uint256(log.topics[1]), uintAt(life, "steps", i, "domain"), string.concat(name, ": domain"));
        assertEq(uint256(log.topics[2]), uintAt(life, "steps", i, "counter"), string.concat(name, ": counter"));
        assertEq(kind, uintAt(life, "steps", i, "kind"), string.concat(name, ": kind"));
        assertTrue(done == vm.parseJsonBool(life, pathOf("steps", i, "done")), string.concat(name, ": done"));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Administration} from "../../src/hub/Administration.sol";
import {Hub} from "../../src/hub/Hub.sol";
import {HubStorage} from "../../src/hub/HubStorage.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Counter} from "./Applications.sol";
import {HubFixture} from "./HubFixture.sol";

contract AdministrationTest is HubFixture {
    uint32 private constant APP = 42;

    Counter private _app;

    function setUp() public {
        setUpHub();
        _app = new Counter(hub);
        registerApplication(APP, address(_app));
    }

    function _refused(bytes memory message) private returns (bytes4) {
        (bool success, bytes memory reason) = address(hub).call(abi.encodeCall(hub.governor, (message)));
        return success ? bytes4(0) : bytes4(reason);
    }

    function testEverySingleBitOfAMessageCounts() public {
        bytes memory message = governorMessage(DOMAIN, 1, counters[DOMAIN] + 1, "");
        for (uint256 bit = 0; bit < message.length * 8; bit++) {
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            if (_refused(message) == 0) {
                revert AssertionFailed(string.concat("accepted with another bit ", vm.toString(bit)));
            }
            message[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        assertEq(
            bytes32(_refused(slice(message, 0, message.length - 1))),
            bytes32(IHubEvents.MalformedMessage.selector),
            "cut"
        );
        bytes memory longer = abi.encodePacked(message, hex"00");
        assertEq(bytes32(_refused(longer)), bytes32(IHubEvents.MalformedMessage.selector), "longer");
        assertEq(hub.counterOf(DOMAIN), counters[DOMAIN], "counter");
        assertEq(bytes32(_refused(message)), 0, "the original is refused");
    }

    function testCountersAreExactlyTheNext() public {
        uint64 next = counters[DOMAIN] + 1;
        bytes4 wrong = IHubEvents.WrongCounter.selector;
        assertEq(bytes32(_refused(governorMessage(DOMAIN, 1, next - 1, ""))), bytes32(wrong), "repeated");
        assertEq(bytes32(_refused(governorMessage(DOMAIN, 1, next + 1, ""))), bytes32(wrong), "skipped");
        assertEq(bytes32(_refused(governorMessage(DOMAIN, 1, next, ""))), 0, "next");
        // The other domains and the hub as a whole have counters of their own.
        assertEq(bytes32(_refused(governorMessage(DOMAIN + 1, 1, 1, ""))), 0, "another domain");
        assertEq(bytes32(_refused(governorMessage(0, 1, counters[0] + 1, ""))), 0, "whole hub");
    }

    function testUnsuccessfulExecutionUsesUpItsNumberAndChangesNothingElse() public {
        bytes memory reason = tryGovern(DOMAIN, 3, abi.encodePacked(RELAY, keccak256("again"), endorserSet(1)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.NotPossible.selector), "relay chain twice");
        reason = tryGovern(DOMAIN, 99, "");
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.MalformedBody.selector), "unknown kind");
        reason = tryGovern(DOMAIN, 13, abi.encodePacked(uint8(2), uint256(5)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.MalformedBody.selector), "kind of the whole hub");
        reason = tryGovern(0, 13, abi.encodePacked(uint8(2), uint256(5)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.MalformedBody.selector), "key off the curve");
        reason = tryGovern(0, 4, abi.encodePacked(RELAY, uint8(3)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.MalformedBody.selector), "kind of a domain");
        govern(DOMAIN, 1, "");
        (, uint8 state,,,) = hub.relayOf(RELAY);
        assertEq(state, 2, "state of the relay chain");
    }

    /// Too little gas must not make a message fail: it reverts and can be carried again.
    function testNoAmountOfGasUsesUpAMessage() public {
        bytes memory message = governorMessage(0, 14, counters[0] + 1, abi.encodePacked(APP, "setting"));
        uint256 done;
        uint256 reverted;
        for (uint256 gas_ = 20_000; gas_ < 1_600_000; gas_ += 17_000) {
            uint256 snapshot = vm.snapshotState();
            (bool success,) = address(hub).call{gas: gas_}(abi.encodeCall(hub.governor, (message)));
            if (success) {
                assertEq(_app.answer(), "setting", "taken but not executed");
                done++;
            } else {
                assertEq(hub.counterOf(0), counters[0], "number used up");
                reverted++;
            }
            vm.revertToState(snapshot);
        }
        assertTrue(done > 5 && reverted > 5, "the sweep does not cover both");
    }

    function testSettingsOfApplications() public {
        govern(0, 14, abi.encodePacked(APP, "abc"));
        assertEq(_app.answer(), "abc", "data");
        _app.set("", true);
        bytes memory reason = tryGovern(0, 14, abi.encodePacked(APP, "def"));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.ApplicationFailed.selector), "application refuses");
        reason = tryGovern(0, 14, abi.encodePacked(APP + 1, "def"));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.NotPossible.selector), "no such application");
    }

    function testRegistrationOfApplications() public {
        Counter other = new Counter(hub);
        bytes memory reason = tryGovern(0, 8, abi.encodePacked(APP + 1, address(_app), uint16(1)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.NotPossible.selector), "one address, two numbers");
        assertEq(hub.applicationIdOf(address(_app)), APP, "untouched");
        govern(0, 8, abi.encodePacked(APP, address(other), uint16(1)));
        assertEq(hub.applicationIdOf(address(_app)), 0, "old address");
        assertEq(hub.applicationIdOf(address(other)), APP, "new address");
        (address account, uint16 protocols, bool paused, uint32 lifeCycle) = hub.applicationOf(APP);
        assertEq(account, address(other), "address");
        assertTrue(protocols == 1 && !paused && lifeCycle == 1, "record");
        reason = tryGovern(0, 8, abi.encodePacked(APP + 1, address(hub), uint16(1)));
        assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.NotPossible.selector), "the hub itself");
    }

    function testPauseIsUnorderedIdempotentAndBoundToTheLifeCycle() public {
        bytes memory pause = governorMessage(0, 9, 1, abi.encodePacked(uint8(1), APP));
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        hub.governor(pause);
        hub.governor(pause);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        deliver(outbox);
        assertTrue(!hub.isFinal(DOMAIN, PEER, 0, 0, 1, false), "skipped, not ended");
        govern(0, 10, abi.encodePacked(uint8(1), APP));
        assertEq(
            bytes32(_refused(pause)), bytes32(IHubEvents.WrongCounter.selector), "pause of a life cycle that is over"
        );
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        deliver(outbox);
        assertEq(_app.executed(), 2, "executed after all");
        hub.governor(governorMessage(0, 9, 2, abi.encodePacked(uint8(1), APP)));
    }

    function testPausedRelayChainAndDomainLetPacketsWait() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory late = freeFields(2, APP, "");
        late.execExpiry = uint40(block.timestamp);
        for (uint256 scope = 2; scope <= 3; scope++) {
            bytes memory body = abi.encodePacked(uint8(scope), scope == 2 ? RELAY : DOMAIN);
            hub.governor(governorMessage(DOMAIN, 9, 1, body));
            pushPacket(outbox, encode(freeFields(1, APP, "")));
            late.sequence = uint64(scope);
            pushPacket(outbox, encode(late));
            pushVerdicts(outbox, abi.encodePacked(uint8(2), uint16(1), PEER, uint32(0), uint64(scope), uint8(3)));
            deliver(outbox);
            assertTrue(!hub.isFinal(DOMAIN, PEER, 0, 0, 1, false), "packet");
            assertTrue(hub.isFinal(DOMAIN, PEER, 0, 0, uint64(scope), false), "an expired packet ends all the same");
            assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, uint64(scope)), 3, "verdicts go on");
            // A new set does not lift the pause.
            if (scope == 2) {
                uint256 snapshot = vm.snapshotState();
                govern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(100), endorserSet(2)));
                pushPacket(outbox, encode(freeFields(1, APP, "")));
                hub.receiveRange(envelope(outbox, DOMAIN, 2));
                hub.receiveRange(envelope(outbox, DOMAIN, 1));
                assertTrue(!hub.isFinal(DOMAIN, PEER, 0, 0, 1, false), "paused under the new set and the old");
                vm.revertToState(snapshot);
                outbox = newOutbox(DOMAIN, RELAY);
            }
            govern(DOMAIN, 10, body);
        }
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        deliver(outbox);
        assertEq(_app.executed(), 2, "executed after the pauses");
    }

    function testFreezeIsUnorderedAndMakesOneReport() public {
        bytes memory freeze = governorMessage(DOMAIN, 11, 1, abi.encodePacked(RELAY));
        hub.governor(freeze);
        hub.governor(freeze);
        (uint64 number,,,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 1, "reports");
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
        assertTrue(tryGovern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(0), endorserSet(2))).length != 0, "new set");
        assertTrue(tryGovern(DOMAIN, 4, abi.encodePacked(RELAY, uint8(2))).length != 0, "active again");
        govern(DOMAIN, 4, abi.encodePacked(RELAY, uint8(5)));
    }

    function testLifeCycleOfARelayChain() public {
        uint32 relay = RELAY + 1;
        govern(DOMAIN, 3, abi.encodePacked(relay, keccak256("genesis"), endorserSet(1)));
        assertTrue(tryGovern(DOMAIN, 4, abi.encodePacked(relay, uint8(3))).length != 0, "draining before active");
        govern(DOMAIN, 4, abi.encodePacked(relay, uint8(2)));
        assertTrue(tryGovern(DOMAIN, 4, abi.encodePacked(relay, uint8(2))).length != 0, "active twice");
        assertTrue(tryGovern(DOMAIN, 4, abi.encodePacked(relay, uint8(5))).length != 0, "terminated before draining");
        govern(DOMAIN, 4, abi.encodePacked(relay, uint8(3)));
        Outbox memory outbox = newOutbox(DOMAIN, relay);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        deliver(outbox);
        assertEq(_app.executed(), 2, "a draining relay chain still delivers");
        govern(DOMAIN, 4, abi.encodePacked(relay, uint8(5)));
        pushPacket(outbox, encode(freeFields(2, APP, "")));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
        assertTrue(
            tryGovern(DOMAIN, 3, abi.encodePacked(relay, keccak256("genesis"), endorserSet(1))).length != 0,
            "a number is never given out twice"
        );
    }

    function testRotateChangesTheKeyAndTheEpoch() public {
        (uint256 x, uint8 prefix) = frostKey(0x1234);
        bytes memory byOld = governorMessage(0, 1, counters[0] + 2, "");
        govern(0, 13, abi.encodePacked(prefix, x));
        assertEq(bytes32(_refused(byOld)), bytes32(IHubEvents.WrongKeyEpoch.selector), "old key, old epoch");
        keyEpoch = 2;
        assertEq(
            bytes32(_refused(governorMessage(0, 1, counters[0] + 1, ""))),
            bytes32(IHubEvents.NotSigned.selector),
            "old key"
        );
        governorSecret = 0x1234;
        govern(0, 1, "");
    }

    function testCloseEndsTheHub() public {
        govern(0, 12, "");
        assertEq(uint256(vm.load(address(hub), bytes32(uint256(8)))), block.number, "closed slot");
        (uint64 number,,, uint256 flags) = hub.outbox(DOMAIN, 0);
        assertEq(number, 1, "report");
        assertTrue(flags & 16 != 0, "flag");
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
        assertTrue(tryGovern(0, 12, "").length != 0, "closed twice");
        assertTrue(tryGovern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(0), endorserSet(2))).length != 0, "new set");
        assertTrue(
            tryGovern(DOMAIN, 3, abi.encodePacked(RELAY + 1, keccak256("genesis"), endorserSet(1))).length != 0,
            "new relay chain"
        );
    }

    function _registration(uint8 threshold, uint8 members) private pure returns (bytes memory body) {
        body = abi.encodePacked(RELAY, keccak256("genesis"), uint32(1), uint8(1), threshold, members);
        for (uint160 i = 1; i <= members; i++) {
            body = abi.encodePacked(body, address(i));
        }
    }

    function testSmallSetsOnlyWithDev() public {
        hub = deployHub(false, false);
        counters[DOMAIN] = 0;
        counters[0] = 0;
        govern(DOMAIN, 2, abi.encodePacked(MAX_BODY, uint32(0), MAX_DELTA));
        assertTrue(tryGovern(DOMAIN, 3, _registration(1, 1)).length != 0, "1 of 1");
        assertTrue(tryGovern(DOMAIN, 3, _registration(2, 3)).length != 0, "2 of 3");
        govern(DOMAIN, 3, _registration(3, 3));
        assertTrue(!hub.DEV(), "dev");
    }

    function testConstruction() public {
        (uint256 x, uint8 prefix) = frostKey(1);
        HubStorage.Binding memory binding = HubStorage.Binding(SELF, uint64(block.chainid + 1), 1, true, false);
        try new Hub(binding, abi.encodePacked(prefix, x)) {
            assertTrue(false, "another chain");
        } catch {}
        binding = HubStorage.Binding(0, uint64(block.chainid), 1, true, false);
        try new Hub(binding, abi.encodePacked(prefix, x)) {
            assertTrue(false, "registration 0");
        } catch {}
        binding = HubStorage.Binding(SELF, uint64(block.chainid), 1, true, false);
        try new Hub(binding, abi.encodePacked(prefix, uint256(5))) {
            assertTrue(false, "key off the curve");
        } catch {}
        try new Hub(binding, "") {
            assertTrue(false, "no key");
        } catch {}
    }

    /// The code for rare calls has no authority of its own: called directly it refuses everything.
    function testAdministrationCalledDirectlyRefusesEverything() public {
        Administration code = Administration(hub.ADMINISTRATION());
        assertTrue(address(code).code.length != 0, "code");
        vm.expectRevert(IHubEvents.OnlySelf.selector);
        code.execute(DOMAIN, 1, "");
        bytes memory message = governorMessage(DOMAIN, 1, counters[DOMAIN] + 1, "");
        vm.expectRevert(IHubEvents.MalformedMessage.selector);
        code.governor(message);
    }
}

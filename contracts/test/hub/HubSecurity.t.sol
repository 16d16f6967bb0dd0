// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BridgeApplication} from "../../src/apps/BridgeApplication.sol";
import {Headers} from "../../src/apps/Headers.sol";
import {Hub} from "../../src/hub/Hub.sol";
import {IHub} from "../../src/interfaces/IHub.sol";
import {IHubAdministration} from "../../src/interfaces/IHubAdministration.sol";
import {IHubCore} from "../../src/interfaces/IHubCore.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {IHubExecute, IHubReturning} from "../../src/interfaces/IHubSelf.sol";
import {Guard} from "guard/Guard.sol";
import {Counter} from "./Applications.sol";
import {HubFixture} from "./HubFixture.sol";

/// @notice An application that does in its handlers what a test tells it to.
contract HostileApplication is BridgeApplication {
    enum Deed {
        COUNT,
        REENTER,
        SEND,
        RETURN_BOMB,
        REVERT_BOMB,
        BURN_GAS,
        RETURN_GARBAGE
    }

    Deed public deed;
    bytes public call;
    uint256 public executed;
    uint256 public refused;
    uint256 public size;

    constructor(IHub hub) BridgeApplication(hub) {}

    function prepare(Deed deed_, bytes calldata call_, uint256 size_) external {
        (deed, call, size) = (deed_, call_, size_);
    }

    function _act() private returns (bytes memory) {
        executed += 1;
        if (deed == Deed.REENTER) {
            (bool success, bytes memory reason) = address(HUB).call(call);
            require(!success, "entered again");
            require(bytes4(reason) == Guard.Reentered.selector, "refused for another reason");
            refused += 1;
        } else if (deed == Deed.SEND) {
            (bool success,) = address(HUB).call(call);
            require(success, "send from a handler");
        } else if (deed == Deed.RETURN_BOMB) {
            uint256 length = size;
            assembly {
                mstore(0, 0x20)
                mstore(0x20, length)
                return(0, add(0x40, and(add(length, 31), not(31))))
            }
        } else if (deed == Deed.REVERT_BOMB) {
            uint256 length = size;
            assembly {
                revert(0, length)
            }
        } else if (deed == Deed.BURN_GAS) {
            while (true) {}
        } else if (deed == Deed.RETURN_GARBAGE) {
            assembly {
                mstore(0, 0x40)
                return(0, 0x60)
            }
        }
        return "";
    }

    function _onPacket(bytes32, bytes calldata) internal override returns (bytes memory) {
        return _act();
    }

    function _onReceipt(bytes32, bytes calldata, uint8, bytes calldata) internal override {
        _act();
    }

    function _onAbort(bytes32, bytes calldata) internal override {
        _act();
    }

    function _onGovernor(bytes calldata) internal override {
        _act();
    }

    function send(bytes32 transport, bytes32 transaction, bytes32 application) external {
        HUB.send(transport, 0, transaction, application, 0, "");
    }
}

contract HubSecurityTest is HubFixture {
    uint32 private constant APP = 42;
    uint32 private constant HOSTILE = 66;

    Counter private _app;
    HostileApplication private _hostile;

    function setUp() public {
        setUpHub();
        _app = new Counter(hub);
        _hostile = new HostileApplication(hub);
        registerApplication(APP, address(_app));
        registerApplication(HOSTILE, address(_hostile));
    }

    // ------------------------------------------------------------------------------------------------------------ ranges

    /// A hub's state as far as a range could touch it.
    function _state() private view returns (bytes32) {
        (uint64 a, uint64 b, bytes32 c, uint256 d) = hub.outbox(DOMAIN, 0);
        (uint64 e, uint64 f, bytes32 g, uint256 h) = hub.outbox(DOMAIN, RELAY);
        bytes32 heads = keccak256(abi.encode(a, b, c, d, e, f, g, h));
        uint256 seen = read(3, (uint256(DOMAIN) << 128) | (uint256(PEER) << 96));
        uint256 status = read(2, (uint256(DOMAIN) << 160) | (uint256(PEER) << 128) | (uint256(RELAY) << 96));
        return keccak256(abi.encode(heads, seen, status, _app.executed(), _app.receipts(), _app.aborted()));
    }

    function _mixedOutbox() private view returns (Outbox memory outbox) {
        outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "ab")));
        pushBare(outbox, keccak256("not here"));
        outbox.height += 1;
        pushPacketHash(outbox, encode(boundFields(1, APP, "")));
        pushVerdicts(outbox, abi.encodePacked(uint8(2), uint16(1), PEER, uint32(0), uint64(9), uint8(3)));
    }

    function _refused(bytes memory bad) private returns (bool) {
        (bool success,) = address(hub).call(abi.encodeCall(IHubCore.receiveRange, (bad)));
        return !success;
    }

    function testEverySingleBitOfAnEnvelopeCounts() public {
        bytes memory good = envelope(_mixedOutbox(), DOMAIN, 1);
        bytes32 before = _state();
        for (uint256 bit = 0; bit < good.length * 8; bit++) {
            good[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
            if (!_refused(good)) revert AssertionFailed(string.concat("accepted with another bit ", vm.toString(bit)));
            good[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        }
        assertEq(_state(), before, "state changed");
        assertTrue(!_refused(good), "the original is refused");
        assertTrue(_state() != before, "the original changes nothing");
    }

    function testEveryStructuralChangeOfARangeIsRefused() public {
        Outbox memory outbox = _mixedOutbox();
        bytes memory good = envelope(outbox, DOMAIN, 1);
        bytes memory head = abi.encodePacked(
            DOMAIN, RELAY, endorserSet(1), endorse(DOMAIN, RELAY, SELF, 1, lastOf(outbox), outbox.value)
        );
        bytes32 before = _state();
        for (uint256 length = 0; length < good.length; length++) {
            assertTrue(_refused(slice(good, 0, length)), "cut");
        }
        assertTrue(_refused(abi.encodePacked(good, hex"00")), "trailing byte");
        uint64 first = outbox.first;
        uint16 count = outbox.count;
        bytes memory entries = outbox.entries;
        assertTrue(_refused(abi.encodePacked(head, first + 1, outbox.start, count, entries)), "first off by one");
        assertTrue(_refused(abi.encodePacked(head, uint64(0), outbox.start, count, entries)), "first 0");
        assertTrue(_refused(abi.encodePacked(head, first, bytes32(0), count, entries)), "start 0");
        assertTrue(_refused(abi.encodePacked(head, first, outbox.value, count, entries)), "start of another place");
        assertTrue(_refused(abi.encodePacked(head, first, outbox.start, uint16(0))), "empty range");
        // The last entry has 9 + 3 + 17 bytes, the first 9 + 136 + 2.
        bytes memory withoutLast = slice(entries, 0, entries.length - 29);
        bytes memory withoutFirst = slice(entries, 147, entries.length - 147);
        bytes memory firstEntry = slice(entries, 0, 147);
        assertTrue(_refused(abi.encodePacked(head, first, outbox.start, count - 1, withoutLast)), "last entry left out");
        assertTrue(
            _refused(abi.encodePacked(head, first, outbox.start, count - 1, withoutFirst)), "first entry left out"
        );
        assertTrue(_refused(abi.encodePacked(head, first, outbox.start, count, withoutFirst, firstEntry)), "moved");
        assertTrue(_refused(abi.encodePacked(head, first, outbox.start, count + 1, firstEntry, entries)), "twice");
        assertEq(_state(), before, "state changed");
        assertTrue(!_refused(good), "the original is refused");
    }

    /// A packet may be shown as its id alone, and the range still holds; it is not executed and can come in full later.
    function testBareEntriesOfAnyAgeKeepARangeProvable() public {
        bytes memory packet = encode(freeFields(1, APP, "x"));
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushBare(outbox, packetId(packet));
        for (uint256 i = 0; i < 40; i++) {
            pushBare(outbox, keccak256(abi.encode(i)));
        }
        deliver(outbox);
        assertEq(_app.executed(), 1, "a bare entry was executed");
        Outbox memory again = newOutbox(DOMAIN, RELAY);
        pushPacket(again, packet);
        for (uint256 i = 0; i < 40; i++) {
            pushBare(again, keccak256(abi.encode(i)));
        }
        assertEq(again.value, outbox.value, "the same value");
        deliver(again);
        assertEq(_app.executed(), 2, "executed");
        Outbox memory later = outbox;
        pushBare(later, keccak256("later"));
        deliver(later);
    }

    function testHeightsNeverFall() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        outbox.height = 10;
        pushBare(outbox, keccak256("a"));
        outbox.height = 9;
        pushBare(outbox, keccak256("b"));
        vm.expectRevert(IHubEvents.MalformedRange.selector);
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
    }

    function testEndorsementForAnotherPurposeIsRefused() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        bytes memory head = abi.encodePacked(DOMAIN, RELAY, endorserSet(1));
        bytes memory range = rangeOf(outbox);
        bytes32 value = outbox.value;
        uint64 last = lastOf(outbox);
        assertTrue(_refused(abi.encodePacked(head, endorse(DOMAIN + 1, RELAY, SELF, 1, last, value), range)), "domain");
        assertTrue(_refused(abi.encodePacked(head, endorse(DOMAIN, RELAY + 1, SELF, 1, last, value), range)), "relay");
        assertTrue(_refused(abi.encodePacked(head, endorse(DOMAIN, RELAY, PEER, 1, last, value), range)), "destination");
        assertTrue(_refused(abi.encodePacked(head, endorse(DOMAIN, RELAY, SELF, 2, last, value), range)), "epoch");
        assertTrue(_refused(abi.encodePacked(head, endorse(DOMAIN, RELAY, SELF, 1, last + 1, value), range)), "number");
        assertTrue(
            _refused(abi.encodePacked(head, endorse(DOMAIN, RELAY, SELF, 1, last, keccak256("v")), range)), "value"
        );
        assertTrue(!_refused(abi.encodePacked(head, endorse(DOMAIN, RELAY, SELF, 1, last, value), range)), "valid");
    }

    function testSetChangesWithAnOverlap() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "1")));
        bytes memory byOld = envelope(outbox, DOMAIN, 1);
        bytes memory byNew = envelope(outbox, DOMAIN, 2);
        assertTrue(_refused(byNew), "a set that is not there yet");
        assertTrue(
            tryGovern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(60), endorserSet(3))).length != 0, "epoch skipped"
        );
        govern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(60), endorserSet(2)));
        uint256 snapshot = vm.snapshotState();
        hub.receiveRange(byOld);
        vm.revertToState(snapshot);
        vm.warp(block.timestamp + 60);
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(byOld);
        // What was not delivered is endorsed again by the new set.
        hub.receiveRange(byNew);
        assertEq(_app.executed(), 2, "executed");
        govern(DOMAIN, 5, abi.encodePacked(RELAY, uint32(0), endorserSet(3)));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(byNew);
    }

    // ------------------------------------------------------------------------------------------------------------ packets that are skipped

    function testPacketsThatAreNotForHereAreSkippedAndTheOthersGoOn() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory f = freeFields(1, APP, "");
        f.domain = DOMAIN + 1;
        pushPacket(outbox, encode(f));
        f = freeFields(2, APP, "");
        f.destination = SELF + 1;
        pushPacket(outbox, encode(f));
        f = boundFields(3, APP, "");
        f.relay = RELAY + 1;
        pushPacket(outbox, encode(f));
        // Malformed in one field each.
        bytes memory bad = encode(freeFields(4, APP, ""));
        bad[36] = 0x01;
        pushPacket(outbox, bad);
        f = freeFields(5, APP, "");
        f.transactionFlags = 0x01;
        pushPacket(outbox, encode(f));
        f = freeFields(6, APP, "");
        f.source = SELF;
        pushPacket(outbox, encode(f));
        f = freeFields(7, APP, "");
        f.nonce = 1;
        pushPacket(outbox, encode(f));
        bytes memory good = encode(freeFields(8, APP, ""));
        pushPacket(outbox, good);
        vm.recordLogs();
        deliver(outbox);
        assertEq(madeReceipts(), abi.encodePacked(RELAY, uint16(1), packetId(good), uint8(1)), "receipts");
        assertEq(read(3, (uint256(DOMAIN) << 128) | (uint256(PEER) << 96)), 1 << 8, "only the last one ended");
        assertEq(_app.executed(), 2, "executed");
    }

    function testPacketWithoutBodyEndsOnlyAfterItsExpiry() public {
        Fields memory f = boundFields(1, APP, "body");
        bytes memory packet = encode(f);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacketHash(outbox, packet);
        deliver(outbox);
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, 1), 0, "ended before its expiry");
        vm.warp(f.execExpiry);
        pushPacketHash(outbox, packet);
        vm.recordLogs();
        deliver(outbox);
        assertEq(madeReceipts(), abi.encodePacked(RELAY, uint16(1), packetId(packet), uint8(3)), "receipts");
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, 1), 3, "tombstone");
        vm.warp(f.execExpiry - 1);
        pushPacket(outbox, packet);
        deliver(outbox);
        assertEq(_app.executed(), 1, "executed after its tombstone");
    }

    function testTombstonesOfAbortsKeepTheTransactionFromExecuting() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushVerdicts(
            outbox,
            abi.encodePacked(
                uint8(2), uint16(2), PEER, uint32(0), uint64(1), uint8(3), PEER, uint32(0), uint64(2), uint8(2)
            )
        );
        pushPacket(outbox, encode(boundFields(1, APP, "")));
        pushPacket(outbox, encode(boundFields(2, APP, "")));
        deliver(outbox);
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, 1), 3, "aborted");
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, 2), 2, "a COMMIT says nothing to who has not executed");
        assertEq(_app.executed(), 2, "executed");
        pushVerdicts(outbox, abi.encodePacked(uint8(2), uint16(1), PEER, uint32(0), uint64(2), uint8(3)));
        deliver(outbox);
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, 2), 2, "an outcome is written once");
    }

    // ------------------------------------------------------------------------------------------------------------ ordered lanes

    function _ordered(uint64 sequence) private view returns (Fields memory f) {
        f = freeFields(sequence, APP, "");
        f.transportFlags = 3;
        f.channel = 4;
        f.execExpiry = uint40(block.timestamp + 100);
    }

    function testOrderedFreeLaneGoesInOrderAndNeverStops() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        uint256 laneKey = (uint256(DOMAIN) << 96) | (uint256(PEER) << 64) | 4;
        pushPacket(outbox, encode(_ordered(2)));
        deliver(outbox);
        assertEq(_app.executed(), 1, "executed before its turn");
        Fields memory poison = _ordered(2);
        poison.application = 43;
        pushPacket(outbox, encode(_ordered(1)));
        pushPacket(outbox, encode(poison));
        Fields memory late = _ordered(3);
        late.execExpiry = uint40(block.timestamp);
        pushPacketHash(outbox, encode(late));
        pushPacket(outbox, encode(_ordered(4)));
        pushPacket(outbox, encode(_ordered(4)));
        deliver(outbox);
        assertEq(read(6, laneKey), 4, "lane");
        assertEq(_app.executed(), 3, "1 and 4 were executed");
        assertEq(
            read(3, (uint256(DOMAIN) << 128) | (uint256(PEER) << 96) | (4 << 64)), 0, "no bitmap for ordered lanes"
        );
        assertTrue(hub.isFinal(DOMAIN, PEER, 0, 4, 4, true), "final");
        assertTrue(!hub.isFinal(DOMAIN, PEER, 0, 4, 5, true), "not final");
    }

    function testOrderedBoundLanePassesOverTombstones() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        uint256 laneKey = (uint256(DOMAIN) << 96) | (uint256(PEER) << 64) | (uint256(RELAY) << 32) | 4;
        pushVerdicts(
            outbox,
            abi.encodePacked(
                abi.encodePacked(uint8(2), uint16(3), PEER, uint32(4), uint64(1), uint8(3)),
                abi.encodePacked(PEER, uint32(4), uint64(2), uint8(3), PEER, uint32(4), uint64(4), uint8(3))
            )
        );
        Fields memory f = boundFields(5, APP, "");
        (f.transportFlags, f.channel) = (1, 4);
        pushPacket(outbox, encode(f));
        deliver(outbox);
        assertEq(read(6, laneKey), 2, "passed over the two tombstones");
        assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 4, 5), 0, "not yet");
        f.sequence = 3;
        pushPacket(outbox, encode(f));
        f.sequence = 5;
        pushPacket(outbox, encode(f));
        deliver(outbox);
        assertEq(read(6, laneKey), 5, "lane");
        assertEq(_app.executed(), 3, "executed");
        assertEq(
            read(2, (uint256(DOMAIN) << 160) | (uint256(PEER) << 128) | (uint256(RELAY) << 96) | (uint256(4) << 64)),
            (3 << 2) | (3 << 4) | (2 << 6) | (3 << 8) | (2 << 10),
            "statuses"
        );
    }

    function testTransactionsBeyondOneWordOfStatuses() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(boundFields(127, APP, "")));
        pushPacket(outbox, encode(boundFields(128, APP, "")));
        pushPacket(outbox, encode(freeFields(255, APP, "")));
        pushPacket(outbox, encode(freeFields(256, APP, "")));
        pushPacket(outbox, encode(boundFields(126, APP, "")));
        deliver(outbox);
        uint256 lane = (uint256(DOMAIN) << 160) | (uint256(PEER) << 128) | (uint256(RELAY) << 96);
        assertEq(read(2, lane), (uint256(2) << 254) | (uint256(2) << 252), "first word");
        assertEq(read(2, lane | 1), 2, "second word");
        assertEq(read(3, (uint256(DOMAIN) << 128) | (uint256(PEER) << 96)), 1 << 255, "first word of the bitmap");
        assertEq(read(3, (uint256(DOMAIN) << 128) | (uint256(PEER) << 96) | 1), 1, "second word of the bitmap");
        assertEq(_app.executed(), 6, "executed");
    }

    // ------------------------------------------------------------------------------------------------------------ hostile applications

    function _hostilePacket(uint64 sequence) private pure returns (bytes memory) {
        Fields memory f = freeFields(sequence, HOSTILE, "");
        f.gasLimit = 500_000;
        return encode(f);
    }

    function _reenterWith(bytes memory call) private {
        uint256 snapshot = vm.snapshotState();
        _hostile.prepare(HostileApplication.Deed.REENTER, call, 0);
        // In the handler of a packet,
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, _hostilePacket(1));
        deliver(outbox);
        assertEq(_hostile.refused(), 1, "handler");
        // in a callback,
        vm.recordLogs();
        uint40 expiry = uint40(block.timestamp + 600);
        _hostile.send(
            Headers.transport(DOMAIN, PEER, 0, 0, Headers.RECEIPT_WANTED),
            Headers.transaction(Headers.NONE, 0, 0, 0, 100_000),
            Headers.application(1, 1)
        );
        _hostile.send(
            Headers.transport(DOMAIN, PEER, RELAY, 0, 0),
            Headers.transaction(Headers.ATP, 0, expiry, expiry, 100_000),
            Headers.application(1, 0)
        );
        bytes[] memory packets = sentPackets();
        pushReceiptHome(outbox, packets[0], 1, "");
        bytes32 packetsHash = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), packetId(packets[1])));
        pushVerdicts(outbox, abi.encodePacked(uint8(1), uint16(1), uint64(1), uint8(3), packetsHash));
        deliver(outbox);
        assertEq(_hostile.refused(), 2, "callback");
        // in a settlement,
        hub.settle(DOMAIN, RELAY, 1, packets[1]);
        assertEq(_hostile.refused(), 3, "settlement");
        // and in a setting.
        govern(0, 14, abi.encodePacked(HOSTILE, "x"));
        assertEq(_hostile.refused(), 4, "setting");
        vm.revertToState(snapshot);
    }

    function testNobodyEntersAgainInAnyPhase() public {
        Outbox memory other = newOutbox(DOMAIN, RELAY);
        pushPacket(other, encode(freeFields(9, APP, "")));
        bytes memory valid = envelope(other, DOMAIN, 1);
        _reenterWith(abi.encodeCall(IHubCore.receiveRange, (valid)));
        _reenterWith(abi.encodeCall(IHubCore.settle, (DOMAIN, RELAY, 1, "")));
        _reenterWith(abi.encodeCall(IHubCore.retryCallback, ("")));
        _reenterWith(abi.encodeCall(IHubAdministration.reportEquivocation, ("", "")));
        _reenterWith(abi.encodeCall(IHubAdministration.governor, ("")));
    }

    function testAHandlerMaySendAndReceiptsStillFollow() public {
        bytes memory call = abi.encodeCall(
            IHubCore.send,
            (
                Headers.transport(DOMAIN, PEER, 0, 0, 0),
                bytes8(0),
                Headers.transaction(Headers.NONE, 0, 0, 0, 100_000),
                Headers.application(1, 0),
                bytes32(0),
                bytes("from a handler")
            )
        );
        _hostile.prepare(HostileApplication.Deed.SEND, call, 0);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, _hostilePacket(1));
        pushPacket(outbox, _hostilePacket(2));
        deliver(outbox);
        (uint64 number,,,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 3, "two packets and the receipts");
        assertTrue(hub.isFinal(DOMAIN, PEER, 0, 0, 1, false) && hub.isFinal(DOMAIN, PEER, 0, 0, 2, false), "both ended");
    }

    function _codeOf(HostileApplication.Deed deed, uint256 size, bool returning) private returns (uint8) {
        uint256 snapshot = vm.snapshotState();
        _hostile.prepare(deed, "", size);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory f = freeFields(1, HOSTILE, "");
        f.gasLimit = 500_000;
        if (returning) f.transactionFlags = 0x10;
        pushPacket(outbox, encode(f));
        bytes memory good = encode(freeFields(2, APP, ""));
        pushPacket(outbox, good);
        vm.recordLogs();
        uint256 gasBefore = gasleft();
        deliver(outbox);
        assertTrue(gasBefore - gasleft() < 2_500_000, "a handler costs more than its limit");
        bytes memory receipts = madeReceipts();
        assertEq(_app.executed(), 2, "the neighbour was not executed");
        uint8 code = uint8(receipts[38]);
        assertEq(_hostile.executed(), code & 0x7f == 1 ? 1 : 0, "effect without receipt, or receipt without effect");
        assertTrue(vm.revertToState(snapshot), "snapshot");
        return code;
    }

    function testHostileHandlersFailAlone() public {
        assertEq(_codeOf(HostileApplication.Deed.COUNT, 0, false), 1, "well-behaved");
        assertEq(_codeOf(HostileApplication.Deed.COUNT, 0, true), 0x81, "well-behaved, returning");
        assertEq(_codeOf(HostileApplication.Deed.REVERT_BOMB, 30_000, false), 2, "revert bomb");
        assertEq(_codeOf(HostileApplication.Deed.REVERT_BOMB, 30_000, true), 2, "revert bomb, returning");
        assertEq(_codeOf(HostileApplication.Deed.BURN_GAS, 0, false), 2, "gas burner");
        assertEq(_codeOf(HostileApplication.Deed.BURN_GAS, 0, true), 2, "gas burner, returning");
        // What nobody asked for is not looked at; what was asked for and cannot go home undoes the handler.
        assertEq(_codeOf(HostileApplication.Deed.RETURN_BOMB, 30_000, false), 1, "return bomb");
        assertEq(_codeOf(HostileApplication.Deed.RETURN_BOMB, 256, true), 0x81, "256 bytes");
        assertEq(_codeOf(HostileApplication.Deed.RETURN_BOMB, 257, true), 2, "257 bytes");
        assertEq(_codeOf(HostileApplication.Deed.RETURN_BOMB, 30_000, true), 2, "return bomb, returning");
        assertEq(_codeOf(HostileApplication.Deed.RETURN_GARBAGE, 0, true), 2, "no encoding of bytes");
    }

    /// Whatever gas a carrier gives: a handler that succeeds with its gas limit is never recorded as failed (security row 43).
    function testNoAmountOfGasMakesAGoodHandlerFail() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory f = freeFields(1, APP, "needs gas");
        f.gasLimit = 300_000;
        pushPacket(outbox, encode(f));
        f.sequence = 2;
        f.transactionFlags = 0x10;
        pushPacket(outbox, encode(f));
        bytes memory call = abi.encodeCall(IHubCore.receiveRange, (envelope(outbox, DOMAIN, 1)));
        uint256 executed;
        uint256 reverted;
        for (uint256 gas_ = 60_000; gas_ < 1_100_000; gas_ += 13_000) {
            uint256 snapshot = vm.snapshotState();
            (bool success,) = address(hub).call{gas: gas_}(call);
            if (success) {
                assertEq(_app.executed(), 3, "recorded as failed for want of gas");
                executed++;
            } else {
                assertEq(_app.executed(), 1, "half done");
                reverted++;
            }
            vm.revertToState(snapshot);
        }
        assertTrue(executed > 5 && reverted > 5, "the sweep does not cover both");
    }

    function testOnlyTheHubCallsItsInnerFunctions() public {
        vm.expectRevert(IHubEvents.OnlySelf.selector);
        IHubExecute(address(hub)).execute(DOMAIN, 1, "");
        vm.expectRevert(IHubEvents.OnlySelf.selector);
        IHubReturning(address(hub)).callReturning(address(_app), 100_000, 0, "");
        vm.expectRevert(BridgeApplication.OnlyHub.selector);
        _app.onPacket(0, "");
        vm.expectRevert(BridgeApplication.OnlyHub.selector);
        _app.onAbort(0, "");
        vm.expectRevert(BridgeApplication.OnlyHub.selector);
        _app.onReceipt(0, "", 1, "");
        vm.expectRevert(BridgeApplication.OnlyHub.selector);
        _app.onGovernor("");
    }

    function testAForkOfTheChainHasNoHub() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        bytes memory valid = envelope(outbox, DOMAIN, 1);
        vm.chainId(block.chainid + 1);
        vm.expectRevert(IHubEvents.WrongChain.selector);
        hub.receiveRange(valid);
        vm.expectRevert(IHubEvents.WrongChain.selector);
        hub.governor("");
        vm.expectRevert(IHubEvents.WrongChain.selector);
        _hostile.send(0, 0, 0);
    }

    // ------------------------------------------------------------------------------------------------------------ receipts and settlements

    function testReceiptsHomeOnlyForWhatWasSent() public {
        Fields memory f = freeFields(1, APP, "never sent");
        (f.source, f.destination, f.callback) = (SELF, PEER, 1);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushReceiptHome(outbox, encode(f), 1, "");
        (f.source, f.destination) = (PEER, SELF);
        pushReceiptHome(outbox, encode(f), 1, "");
        (f.source, f.destination, f.domain) = (SELF, PEER, DOMAIN + 1);
        pushReceiptHome(outbox, encode(f), 1, "");
        deliver(outbox);
        assertEq(_app.receipts(), 0, "receipts");
    }

    /// A relay chain that names the packet of another transaction in its ABORT pays nothing out.
    function testSettlementOfAnotherTransactionsPacketIsRefused() public {
        uint40 expiry = uint40(block.timestamp + 600);
        vm.recordLogs();
        for (uint256 i = 0; i < 2; i++) {
            _app.send(
                Headers.transport(DOMAIN, PEER, RELAY, 0, 0),
                bytes8(0),
                Headers.transaction(Headers.ATP, 0, expiry, expiry, 100_000),
                Headers.application(1, 0),
                "worth something"
            );
        }
        bytes[] memory packets = sentPackets();
        bytes32 wrong = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), packetId(packets[0])));
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushVerdicts(outbox, abi.encodePacked(uint8(1), uint16(2), uint64(1), uint8(2), uint64(2), uint8(3), wrong));
        deliver(outbox);
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 2, packets[0]);
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 2, packets[1]);
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 1, packets[0]);
        assertEq(_app.aborted(), 0, "paid out");
    }

    function testEquivocationFreezesTheRelayChain() public {
        bytes memory head = abi.encodePacked(DOMAIN, RELAY, endorserSet(1));
        bytes32 one = keccak256("one");
        bytes32 two = keccak256("two");
        bytes memory first = abi.encodePacked(head, endorse(DOMAIN, RELAY, PEER, 1, 5, one), PEER, uint64(5), one);
        bytes memory second = abi.encodePacked(head, endorse(DOMAIN, RELAY, PEER, 1, 5, two), PEER, uint64(5), two);
        bytes memory later = abi.encodePacked(head, endorse(DOMAIN, RELAY, PEER, 1, 6, two), PEER, uint64(6), two);
        bytes memory unsigned = abi.encodePacked(head, endorse(DOMAIN, RELAY, PEER, 1, 6, two), PEER, uint64(5), two);
        vm.expectRevert(IHubEvents.NoEquivocation.selector);
        hub.reportEquivocation(first, first);
        vm.expectRevert(IHubEvents.NoEquivocation.selector);
        hub.reportEquivocation(first, later);
        vm.expectRevert(IHubEvents.NotEndorsed.selector);
        hub.reportEquivocation(first, unsigned);
        vm.recordLogs();
        hub.reportEquivocation(first, second);
        bytes memory report = abi.encodePacked(uint8(1), RELAY, uint64(block.number), uint64(0), uint64(0));
        assertEq(vm.getRecordedLogs()[0].data, report, "report");
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
        vm.expectRevert(IHubEvents.UnknownSet.selector);
        hub.reportEquivocation(first, second);
    }
}

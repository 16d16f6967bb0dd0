// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Headers} from "../../src/apps/Headers.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Counter} from "./Applications.sol";
import {HubFixture} from "./HubFixture.sol";

/// @notice The ways that a packet, a receipt, a verdict and a settlement go when all is well.
contract HubTest is HubFixture {
    uint32 private constant APP = 42;

    Counter private _app;

    function setUp() public {
        setUpHub();
        _app = new Counter(hub);
        registerApplication(APP, address(_app));
    }

    function _sendFree(bytes memory body) private returns (bytes32) {
        return _app.send(
            Headers.transport(DOMAIN, PEER, 0, 0, Headers.RECEIPT_WANTED),
            bytes8(0),
            Headers.transaction(Headers.FORWARD, 0, 0, 0, 400_000),
            Headers.application(1, 9),
            body
        );
    }

    function _sendBound(bytes memory body) private returns (bytes32) {
        uint40 expiry = uint40(block.timestamp + 600);
        return _app.send(
            Headers.transport(DOMAIN, PEER, RELAY, 0, 0),
            bytes8(0),
            Headers.transaction(Headers.ATP, 0, expiry, expiry, 400_000),
            Headers.application(1, 0),
            body
        );
    }

    function _sentFields(bool bound, uint64 sequence, bytes memory body) private view returns (Fields memory f) {
        f = bound ? boundFields(sequence, APP, body) : freeFields(sequence, APP, body);
        (f.source, f.destination) = (SELF, PEER);
        if (!bound) f.callback = 9;
    }

    function testSendMakesTheEntryThatTheFormatSays() public {
        bytes32 open = keccak256(
            abi.encodePacked(keccak256("PIEBRIDGE/OUTBOX_OPEN_HUB/v1"), SELF, address(hub), DOMAIN, uint32(0))
        );
        (uint64 number,, bytes32 value,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 0, "entries before");
        assertEq(value, open, "chain[0]");
        for (uint64 i = 1; i <= 3; i++) {
            bytes memory body = new bytes(31 * i);
            for (uint256 j = 0; j < body.length; j++) {
                body[j] = bytes1(uint8(j + 1));
            }
            vm.recordLogs();
            bytes32 id = _sendFree(body);
            bytes[] memory packets = sentPackets();
            assertEq(packets.length, 1, "events");
            assertEq(packets[0], encode(_sentFields(false, i, body)), "packet");
            assertEq(id, packetId(packets[0]), "packet id");
            value = keccak256(abi.encodePacked(T_OUTBOX, value, i, uint64(block.number), id));
            (uint64 q,, bytes32 actual,) = hub.outbox(DOMAIN, 0);
            assertEq(q, i, "entry number");
            assertEq(actual, value, "chain value");
        }
    }

    function testSendOfATransactionTakesNonceAndBoundOutbox() public {
        vm.recordLogs();
        _sendBound("");
        bytes32 id = _sendBound("abc");
        bytes[] memory packets = sentPackets();
        assertEq(packets[0], encode(_sentFields(true, 1, "")), "first packet");
        assertEq(packets[1], encode(_sentFields(true, 2, "abc")), "second packet");
        assertEq(packetId(packets[1]), id, "packet id");
        (uint64 number, uint64 nonce,,) = hub.outbox(DOMAIN, RELAY);
        assertEq(number, 2, "entries");
        assertEq(nonce, 2, "nonces");
        (number,,,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 0, "free outbox");
    }

    function testReceiveExecutesOnceAndMakesAReceipt() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        bytes memory packet = encode(freeFields(1, APP, "hello"));
        pushPacket(outbox, packet);
        vm.recordLogs();
        deliver(outbox);
        bytes memory receipts = madeReceipts();
        assertEq(receipts, abi.encodePacked(RELAY, uint16(1), packetId(packet), uint8(1)), "receipts");
        assertEq(_app.executed(), 2, "executed");
        assertEq(_app.lastPacket(), packet, "what the application got");
        assertEq(_app.lastPacketId(), packetId(packet), "packet id");
        assertTrue(hub.isFinal(DOMAIN, PEER, 0, 0, 1, false), "seen");
        bytes32 list = keccak256(abi.encodePacked(packetId(packet), uint8(1)));
        bytes32 id = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/RECEIPT/v1"), SELF, RELAY, list));
        bytes32 open = keccak256(
            abi.encodePacked(keccak256("PIEBRIDGE/OUTBOX_OPEN_HUB/v1"), SELF, address(hub), DOMAIN, uint32(0))
        );
        (uint64 number,, bytes32 value,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 1, "receipt entry");
        assertEq(value, keccak256(abi.encodePacked(T_OUTBOX, open, uint64(1), uint64(block.number), id)), "chain value");

        // The same packet again, in a later entry: nothing happens, nobody is told.
        pushPacket(outbox, packet);
        vm.recordLogs();
        deliver(outbox);
        assertEq(madeReceipts(), "", "receipts for a duplicate");
        assertEq(_app.executed(), 2, "executed again");
    }

    function testReceiveOfATransactionWritesItsStatus() public {
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory late = boundFields(2, APP, "late");
        late.execExpiry = uint40(block.timestamp);
        Fields memory greedy = boundFields(3, APP, "greedy");
        greedy.gasLimit = MAX_GAS + 1;
        Fields memory astray = boundFields(4, 43, "astray");
        bytes[5] memory packets = [
            encode(boundFields(1, APP, "good")),
            encode(late),
            encode(greedy),
            encode(astray),
            encode(boundFields(5, APP, "x"))
        ];
        for (uint256 i = 0; i < 5; i++) {
            pushPacket(outbox, packets[i]);
        }
        vm.recordLogs();
        deliver(outbox);
        bytes memory expected = abi.encodePacked(RELAY, uint16(5));
        uint8[5] memory codes = [1, 3, 4, 5, 1];
        for (uint64 i = 0; i < 5; i++) {
            expected = abi.encodePacked(expected, packetId(packets[i]), codes[i]);
            assertEq(hub.statusOf(DOMAIN, PEER, RELAY, 0, i + 1), codes[i] == 1 ? 2 : 3, "status");
        }
        assertEq(madeReceipts(), expected, "receipts");
        assertEq(_app.executed(), 3, "executed");
        (uint64 number,,,) = hub.outbox(DOMAIN, RELAY);
        assertEq(number, 1, "entry in the bound outbox");
        (number,,,) = hub.outbox(DOMAIN, 0);
        assertEq(number, 0, "entry in the free outbox");
    }

    function testReturnedDataGoIntoTheReceipt() public {
        _app.set("what the handler says", false);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        Fields memory asking = freeFields(1, APP, "a");
        asking.transactionFlags = 0x10;
        asking.gasLimit = 300_000;
        bytes memory first = encode(asking);
        bytes memory second = encode(freeFields(2, APP, "b"));
        asking.sequence = 3;
        asking.execExpiry = uint40(block.timestamp - 1);
        bytes memory third = encode(asking);
        pushPacket(outbox, first);
        pushPacket(outbox, second);
        pushPacket(outbox, third);
        vm.recordLogs();
        deliver(outbox);
        bytes memory answer = "what the handler says";
        assertEq(
            madeReceipts(),
            abi.encodePacked(
                abi.encodePacked(RELAY, uint16(3), packetId(first), uint8(0x81), uint16(answer.length), answer),
                packetId(second),
                uint8(1),
                packetId(third),
                uint8(3)
            ),
            "receipts"
        );
        bytes32 list = keccak256(
            abi.encodePacked(
                packetId(first), uint8(0x81), keccak256(answer), packetId(second), uint8(1), packetId(third), uint8(3)
            )
        );
        bytes32 id = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/RECEIPT/v1"), SELF, RELAY, list));
        bytes32 open = keccak256(
            abi.encodePacked(keccak256("PIEBRIDGE/OUTBOX_OPEN_HUB/v1"), SELF, address(hub), DOMAIN, uint32(0))
        );
        (,, bytes32 value,) = hub.outbox(DOMAIN, 0);
        assertEq(value, keccak256(abi.encodePacked(T_OUTBOX, open, uint64(1), uint64(block.number), id)), "chain value");
    }

    function testReceiptComesHomeOnce() public {
        vm.recordLogs();
        _sendFree("q");
        bytes memory packet = sentPackets()[0];
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushReceiptHome(outbox, packet, 2, "");
        deliver(outbox);
        assertEq(_app.receipts(), 1, "receipts");
        assertEq(_app.lastCode(), 2, "code");
        assertEq(_app.lastPacketId(), packetId(packet), "packet id");
        pushReceiptHome(outbox, packet, 1, "");
        deliver(outbox);
        assertEq(_app.receipts(), 1, "second receipt counted");
    }

    function testBrokenCallbackIsKeptAndCalledAgain() public {
        vm.recordLogs();
        _sendFree("q");
        bytes memory packet = sentPackets()[0];
        _app.set("", true);
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushReceiptHome(outbox, packet, 1, "");
        deliver(outbox);
        assertEq(_app.receipts(), 0, "receipts while broken");
        bytes memory home = receiptHome(packet, 1, "");
        vm.expectRevert();
        hub.retryCallback(home);
        _app.set("", false);
        vm.expectRevert(IHubEvents.NoFailedCallback.selector);
        hub.retryCallback(receiptHome(packet, 2, ""));
        hub.retryCallback(home);
        assertEq(_app.receipts(), 1, "receipts after the retry");
        vm.expectRevert(IHubEvents.NoFailedCallback.selector);
        hub.retryCallback(home);
    }

    function testVerdictsFinaliseAndAbortIsSettledOnce() public {
        vm.recordLogs();
        _sendBound("one");
        _sendBound("two");
        bytes[] memory packets = sentPackets();
        bytes32 packetsHash = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), packetId(packets[1])));
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        // Nonce 3 was never given out: its verdict has no effect, now or later.
        pushVerdicts(
            outbox,
            abi.encodePacked(
                uint8(1), uint16(3), uint64(1), uint8(2), uint64(2), uint8(3), packetsHash, uint64(3), uint8(2)
            )
        );
        deliver(outbox);
        assertEq(hub.statusOf(DOMAIN, 0, RELAY, 0, 1), 2, "committed");
        assertEq(hub.statusOf(DOMAIN, 0, RELAY, 0, 2), 3, "aborted");
        assertEq(hub.statusOf(DOMAIN, 0, RELAY, 0, 3), 0, "never sent");
        assertEq(read(7, (uint256(RELAY) << 64) | 2), uint256(packetsHash), "packetsHash is kept");

        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 1, packets[0]);
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 2, packets[0]);
        hub.settle(DOMAIN, RELAY, 2, packets[1]);
        assertEq(_app.aborted(), 1, "settled");
        assertEq(_app.lastPacket(), packets[1], "what the application got");
        assertEq(read(7, (uint256(RELAY) << 64) | 2), 1, "marked as settled");
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 2, packets[1]);

        // A verdict on a final transaction changes nothing, equal or not.
        pushVerdicts(
            outbox, abi.encodePacked(uint8(1), uint16(2), uint64(1), uint8(3), packetsHash, uint64(2), uint8(2))
        );
        deliver(outbox);
        assertEq(hub.statusOf(DOMAIN, 0, RELAY, 0, 1), 2, "still committed");
        assertEq(hub.statusOf(DOMAIN, 0, RELAY, 0, 2), 3, "still aborted");
    }
}

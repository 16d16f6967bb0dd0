// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BridgeToken} from "../../src/apps/BridgeToken.sol";
import {ERC7786Door} from "../../src/apps/ERC7786Door.sol";
import {InteroperableAddress} from "../../src/apps/InteroperableAddress.sol";
import {MessageBoard} from "../../src/apps/MessageBoard.sol";
import {RecordNotary} from "../../src/apps/RecordNotary.sol";
import {IBridgeToken} from "../../src/interfaces/IBridgeToken.sol";
import {IERC7786GatewaySource, IERC7786Recipient} from "../../src/interfaces/IERC7786.sol";
import {IHub} from "../../src/interfaces/IHub.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {IRecordNotary} from "../../src/interfaces/IRecordNotary.sol";
import {HubFixture} from "../hub/HubFixture.sol";
import {Vm} from "../Vm.sol";

contract AddressHarness {
    function decode(bytes calldata encoded) external pure returns (uint256, address) {
        return InteroperableAddress.decode(encoded);
    }

    function encode(uint256 chainId, address account) external pure returns (bytes memory) {
        return InteroperableAddress.encode(chainId, account);
    }
}

contract RefusingRecipient is IERC7786Recipient {
    function receiveMessage(bytes32, bytes calldata, bytes calldata) external payable returns (bytes4) {
        return 0xdeadbeef;
    }
}

contract AppsTest is HubFixture {
    uint32 private constant DOOR = 1;
    uint32 private constant TOKEN = 2;
    uint32 private constant NOTARY = 3;
    uint128 private constant SUPPLY = 1_000_000;
    uint128 private constant CAP = 1000;
    uint32 private constant WINDOW = 3600;
    address private constant ALICE = address(0xa11ce);
    address private constant BOB = address(0xb0b);

    BridgeToken private _token;
    RecordNotary private _notary;
    ERC7786Door private _door;
    MessageBoard private _board;
    Outbox private _outbox;

    function setUp() public {
        setUpHub();
        _token = new BridgeToken(hub, "Pie", "PIE", SUPPLY, ALICE, 10_000, CAP, WINDOW);
        _notary = new RecordNotary(hub);
        _door = new ERC7786Door(hub, DOMAIN);
        _board = new MessageBoard(address(_door));
        registerApplication(TOKEN, address(_token));
        registerApplication(NOTARY, address(_notary));
        registerApplication(DOOR, address(_door));
        _outbox = newOutbox(DOMAIN, RELAY);
    }

    // ------------------------------------------------------------------------------------------------------------ token

    function _transferRemote(uint128 amount) private returns (bytes memory packet) {
        uint40 expiry = uint40(block.timestamp + 600);
        vm.recordLogs();
        vm.prank(ALICE);
        bytes32 id = _token.transferRemote(DOMAIN, PEER, RELAY, BOB, amount, expiry, expiry + 60);
        packet = sentPackets()[0];
        assertEq(id, packetId(packet), "packet id");
    }

    /// @dev Lets a transfer arrive and answers with its receipt code.
    function _arrive(uint64 sequence, bytes memory body) private returns (uint8) {
        Outbox memory outbox = _outbox;
        Fields memory f = boundFields(sequence, TOKEN, body);
        f.gasLimit = 120_000;
        pushPacket(outbox, encode(f));
        vm.recordLogs();
        deliver(outbox);
        _outbox = outbox;
        return uint8(madeReceipts()[38]);
    }

    function _credit(uint64 sequence, uint128 amount, address recipient) private returns (uint8) {
        return _arrive(sequence, abi.encodePacked(amount, ALICE, recipient));
    }

    function testTransferLeavesAndTheAbortGivesItBackOnce() public {
        bytes memory packet = _transferRemote(700);
        assertEq(_token.balanceOf(ALICE), 9300, "debited at once");
        assertEq(slice(packet, 136, 56), abi.encodePacked(uint128(700), ALICE, BOB), "body");
        bytes32 hash_ = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), packetId(packet)));
        Outbox memory outbox = _outbox;
        pushVerdicts(outbox, abi.encodePacked(uint8(1), uint16(1), uint64(1), uint8(3), hash_));
        deliver(outbox);
        assertEq(_token.balanceOf(ALICE), 9300, "not before the settlement");
        hub.settle(DOMAIN, RELAY, 1, packet);
        assertEq(_token.balanceOf(ALICE), 10_000, "given back");
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 1, packet);
        assertEq(_token.totalSupply(), SUPPLY, "supply");
    }

    function testCommittedTransferIsNotGivenBack() public {
        bytes memory packet = _transferRemote(700);
        Outbox memory outbox = _outbox;
        pushVerdicts(outbox, abi.encodePacked(uint8(1), uint16(1), uint64(1), uint8(2)));
        deliver(outbox);
        vm.expectRevert(IHubEvents.NothingToSettle.selector);
        hub.settle(DOMAIN, RELAY, 1, packet);
        assertEq(_token.balanceOf(ALICE), 9300, "gone");
    }

    function testNobodySendsMoreThanTheyHave() public {
        uint40 expiry = uint40(block.timestamp + 600);
        vm.prank(BOB);
        vm.expectRevert();
        _token.transferRemote(DOMAIN, PEER, RELAY, ALICE, 1, expiry, expiry);
        assertEq(_token.balanceOf(ALICE), 10_000, "balance");
    }

    function testTransfersArriveOrAreRefused() public {
        assertEq(_credit(1, 300, BOB), 1, "credit");
        assertEq(_token.balanceOf(BOB), 300, "balance");
        assertEq(_credit(2, 5, address(0)), 2, "zero address");
        assertEq(_credit(3, 5, address(_token)), 2, "the token itself");
        assertEq(_arrive(4, abi.encodePacked(uint128(5), ALICE, BOB, uint8(0))), 2, "longer body");
        assertEq(_arrive(5, abi.encodePacked(uint128(5), ALICE)), 2, "shorter body");
        assertEq(_arrive(6, ""), 2, "no body");
        assertEq(_token.balanceOf(BOB), 300, "nothing else was credited");
    }

    function testCapOfAWindow() public {
        assertEq(_credit(1, 600, BOB), 1, "600");
        assertEq(_credit(2, 401, BOB), 2, "above the cap");
        assertEq(_credit(3, 400, BOB), 1, "up to the cap");
        (,, uint128 credited,,) = _token.capOf();
        assertEq(credited, CAP, "credited");
        vm.warp(block.timestamp + WINDOW);
        assertEq(_credit(4, CAP, BOB), 1, "next window");
        assertEq(_credit(5, 1, BOB), 2, "used up");
    }

    function testARaisedCapWaitsOneWindowAndALoweredOneDoesNot() public {
        govern(0, 14, abi.encodePacked(TOKEN, uint8(1), CAP * 2, WINDOW));
        (uint128 cap,,,,) = _token.capOf();
        assertEq(cap, CAP, "not yet");
        assertEq(_credit(1, CAP + 1, BOB), 2, "not yet");
        vm.warp(block.timestamp + WINDOW);
        (cap,,,,) = _token.capOf();
        assertEq(cap, CAP * 2, "raised");
        assertEq(_credit(2, CAP + 1, BOB), 1, "raised");
        govern(0, 14, abi.encodePacked(TOKEN, uint8(1), CAP, WINDOW));
        (cap,,,,) = _token.capOf();
        assertEq(cap, CAP, "lowered at once");
        // A shorter window lets more through as well.
        govern(0, 14, abi.encodePacked(TOKEN, uint8(1), CAP, WINDOW / 2));
        (, uint32 window,,,) = _token.capOf();
        assertEq(window, WINDOW, "not yet shorter");
        // Lowering takes a waiting raise back.
        govern(0, 14, abi.encodePacked(TOKEN, uint8(1), CAP - 1, WINDOW));
        vm.warp(block.timestamp + WINDOW);
        (cap, window,,,) = _token.capOf();
        assertTrue(cap == CAP - 1 && window == WINDOW, "the raise is gone");
        assertTrue(tryGovern(0, 14, abi.encodePacked(TOKEN, uint8(1), CAP, uint32(0))).length != 0, "window 0");
        assertTrue(tryGovern(0, 14, abi.encodePacked(TOKEN, uint8(4))).length != 0, "unknown setting");
        assertTrue(tryGovern(0, 14, abi.encodePacked(TOKEN, uint8(2), uint8(0))).length != 0, "longer setting");
    }

    function testPauseStopsCreditsAndLetsRefundsThrough() public {
        bytes memory packet = _transferRemote(700);
        govern(0, 14, abi.encodePacked(TOKEN, uint8(2)));
        assertEq(_credit(1, 1, BOB), 2, "credit while paused");
        bytes32 hash_ = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), packetId(packet)));
        Outbox memory outbox = _outbox;
        pushVerdicts(outbox, abi.encodePacked(uint8(1), uint16(1), uint64(1), uint8(3), hash_));
        deliver(outbox);
        _outbox = outbox;
        // Neither the token's own pause nor the hub's pause of the application holds back what is owed.
        hub.governor(governorMessage(0, 9, 1, abi.encodePacked(uint8(1), TOKEN)));
        hub.settle(DOMAIN, RELAY, 1, packet);
        assertEq(_token.balanceOf(ALICE), 10_000, "refunded while paused");
        govern(0, 10, abi.encodePacked(uint8(1), TOKEN));
        govern(0, 14, abi.encodePacked(TOKEN, uint8(3)));
        assertEq(_credit(2, 1, BOB), 1, "credit after the pause");
    }

    function testErc20() public {
        vm.startPrank(ALICE);
        assertTrue(_token.transfer(BOB, 100), "transfer");
        vm.expectRevert(abi.encodeWithSelector(IBridgeToken.InvalidRecipient.selector, address(0)));
        _token.transfer(address(0), 1);
        _token.approve(BOB, 50);
        vm.stopPrank();
        vm.startPrank(BOB);
        vm.expectRevert(abi.encodeWithSelector(IBridgeToken.InsufficientAllowance.selector, BOB, 50, 51));
        _token.transferFrom(ALICE, BOB, 51);
        _token.transferFrom(ALICE, BOB, 20);
        assertEq(_token.allowance(ALICE, BOB), 30, "allowance");
        vm.expectRevert();
        _token.transfer(ALICE, 121);
        vm.stopPrank();
        assertEq(_token.balanceOf(BOB), 120, "balance");
        assertEq(_token.balanceOf(ALICE), 9880, "balance of the giver");
    }

    // ------------------------------------------------------------------------------------------------------------ record notary

    function testNotaryInsertsIfAbsentAndTheReceiptConfirms() public {
        bytes32 key = keccak256("key");
        vm.recordLogs();
        bytes32 id = _notary.notarise(DOMAIN, PEER, key, keccak256("value"), 0);
        bytes memory sent = sentPackets()[0];
        assertEq(packetId(sent), id, "packet id");

        Outbox memory outbox = _outbox;
        for (uint64 i = 1; i <= 2; i++) {
            Fields memory f =
                freeFields(i, NOTARY, abi.encodePacked(key, i == 1 ? keccak256("first") : keccak256("second")));
            f.transactionFlags = 0x10;
            pushPacket(outbox, encode(f));
        }
        vm.recordLogs();
        deliver(outbox);
        bytes memory receipts = madeReceipts();
        (bytes32 value, uint32 source, uint64 time) = _notary.recordOf(key);
        assertEq(value, keccak256("first"), "value");
        assertTrue(source == PEER && time == block.timestamp, "record");
        bytes memory stored = abi.encodePacked(keccak256("first"), PEER, uint64(block.timestamp));
        // endorsing relay 4, count 2, then id 32, code 1, length 2, 45 bytes each
        assertEq(slice(receipts, 41, 45), abi.encodePacked(uint8(0), stored), "answer to the first");
        assertEq(slice(receipts, 121, 45), abi.encodePacked(uint8(1), stored), "answer to the second");

        pushReceiptHome(outbox, sent, 1, abi.encodePacked(uint8(0), stored));
        vm.recordLogs();
        deliver(outbox);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        assertEq(logs[0].topics[0], IRecordNotary.NotarisationConfirmed.selector, "event");
        assertEq(logs[0].topics[1], id, "packet id");
    }

    // ------------------------------------------------------------------------------------------------------------ ERC-7786 door

    function testDoorSendsWhatTheFormatSays() public {
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(8453), MAX_GAS, uint8(1)));
        bytes memory recipient = InteroperableAddress.encode(8453, BOB);
        bytes[] memory attributes = new bytes[](2);
        attributes[0] = abi.encodeWithSignature("gasLimit(uint32)", 77_000);
        attributes[1] = abi.encodeWithSignature("executionExpiry(uint40)", block.timestamp + 60);
        vm.recordLogs();
        vm.prank(ALICE);
        bytes32 id = _door.sendMessage(recipient, "payload", attributes);
        bytes memory packet = sentPackets()[0];
        assertEq(packetId(packet), id, "packet id");
        bytes memory sender = InteroperableAddress.encode(block.chainid, ALICE);
        assertEq(
            slice(packet, 136, packet.length - 136),
            abi.encodePacked(uint16(sender.length), sender, uint16(recipient.length), recipient, "payload"),
            "body"
        );
        assertEq(slice(packet, 104, 32), abi.encodePacked(keccak256(sender)), "user identity");
        assertEq(slice(packet, 63, 9), abi.encodePacked(uint40(block.timestamp + 60), uint32(77_000)), "expiry and gas");
    }

    function testDoorRefusesWhatItCannotCarry() public {
        bytes memory recipient = InteroperableAddress.encode(block.chainid, BOB);
        bytes[] memory none = new bytes[](0);
        bytes[] memory one = new bytes[](1);
        vm.deal(address(this), 1);
        vm.expectRevert(ERC7786Door.ValueNotCarried.selector);
        _door.sendMessage{value: 1}(recipient, "", none);
        vm.expectRevert(abi.encodeWithSelector(ERC7786Door.UnknownChain.selector, 5));
        _door.sendMessage(InteroperableAddress.encode(5, BOB), "", none);
        one[0] = abi.encodeWithSignature("lateFee(uint32)", 1);
        bytes4 selector = bytes4(one[0]);
        vm.expectRevert(abi.encodeWithSelector(IERC7786GatewaySource.UnsupportedAttribute.selector, selector));
        _door.sendMessage(recipient, "", one);
        one[0] = abi.encodeWithSignature("gasLimit(uint32)", uint256(1) << 32);
        vm.expectRevert(abi.encodeWithSelector(ERC7786Door.InvalidAttribute.selector, one[0]));
        _door.sendMessage(recipient, "", one);
        assertTrue(!_door.supportsAttribute(selector), "unsupported");
        assertTrue(_door.supportsAttribute(bytes4(keccak256("domain(uint32)"))), "supported");
    }

    function _message(uint64 sequence, bytes memory recipient, bytes memory payload)
        private
        returns (uint8 code, bytes32 id)
    {
        Outbox memory outbox = _outbox;
        bytes memory sender = InteroperableAddress.encode(block.chainid, ALICE);
        Fields memory f = freeFields(
            sequence,
            DOOR,
            abi.encodePacked(uint16(sender.length), sender, uint16(recipient.length), recipient, payload)
        );
        f.protocol = 0;
        bytes memory packet = encode(f);
        pushPacket(outbox, packet);
        vm.recordLogs();
        deliver(outbox);
        _outbox = outbox;
        return (uint8(madeReceipts()[38]), packetId(packet));
    }

    function testDoorDeliversAndRefuses() public {
        (uint8 code, bytes32 id) = _message(1, InteroperableAddress.encode(block.chainid, address(_board)), "hello");
        assertEq(code, 1, "delivered");
        (bytes memory sender, bytes memory payload) = _board.messageOf(id);
        assertEq(sender, InteroperableAddress.encode(block.chainid, ALICE), "sender");
        assertEq(payload, "hello", "payload");
        (code,) = _message(2, InteroperableAddress.encode(block.chainid + 1, address(_board)), "x");
        assertEq(code, 2, "another chain");
        (code,) = _message(3, InteroperableAddress.encode(block.chainid, BOB), "x");
        assertEq(code, 2, "no code");
        (code,) = _message(4, InteroperableAddress.encode(block.chainid, address(hub)), "x");
        assertEq(code, 2, "the hub");
        (code,) = _message(5, InteroperableAddress.encode(block.chainid, address(_door)), "x");
        assertEq(code, 2, "the door");
        (code,) = _message(6, InteroperableAddress.encode(block.chainid, address(new RefusingRecipient())), "x");
        assertEq(code, 2, "another answer than the selector");
        (code,) = _message(7, InteroperableAddress.encode(block.chainid, address(_token)), "x");
        assertEq(code, 2, "no recipient of messages");
        vm.expectRevert(MessageBoard.NotAccepted.selector);
        _board.receiveMessage(0, "", "");
    }

    function testInteroperableAddresses() public {
        AddressHarness harness = new AddressHarness();
        string memory json = vm.readFile("../tests/vectors/applications.json");
        uint256 count = vm.parseJsonUint(json, ".interoperable_addresses_count");
        assertTrue(count != 0, "vectors");
        for (uint256 i = 0; i < count; i++) {
            string memory path = string.concat(".interoperable_addresses[", vm.toString(i), "].");
            bytes memory data = vm.parseJsonBytes(json, string.concat(path, "data"));
            (uint256 chainId, address account) = harness.decode(data);
            assertEq(chainId, vm.parseJsonUint(json, string.concat(path, "chain_id")), "chain id");
            assertEq(harness.encode(chainId, account), data, "encoding");
        }
        count = vm.parseJsonUint(json, ".refused_interoperable_addresses_count");
        for (uint256 i = 0; i < count; i++) {
            string memory path = string.concat(".refused_interoperable_addresses[", vm.toString(i), "].");
            try harness.decode(vm.parseJsonBytes(json, string.concat(path, "data"))) {
                assertTrue(false, vm.parseJsonString(json, string.concat(path, "name")));
            } catch {}
        }
    }
}

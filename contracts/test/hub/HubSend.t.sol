// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Headers} from "../../src/apps/Headers.sol";
import {Hub} from "../../src/hub/Hub.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Counter} from "./Applications.sol";
import {HubFixture} from "./HubFixture.sol";

/// @notice What a hub refuses to send, channels, and collection by queue.
contract HubSendTest is HubFixture {
    uint32 private constant APP = 42;

    Counter private _app;
    bytes32 private _transport;
    bytes8 private _verification;
    bytes32 private _transaction;
    bytes32 private _application;
    bytes private _body;

    function setUp() public {
        setUpHub();
        _app = new Counter(hub);
        registerApplication(APP, address(_app));
        _plain();
    }

    function _plain() private {
        _transport = Headers.transport(DOMAIN, PEER, 0, 0, 0);
        _verification = 0;
        _transaction = Headers.transaction(Headers.NONE, 0, 0, 0, 100_000);
        _application = Headers.application(1, 0);
        _body = "";
    }

    function _request() private {
        _plain();
        uint40 expiry = uint40(block.timestamp + 600);
        _transport = Headers.transport(DOMAIN, PEER, RELAY, 0, 0);
        _transaction = Headers.transaction(Headers.ATP, 0, expiry, expiry, 100_000);
    }

    /// @dev Sends and answers with the selector of the error, zero if there is none.
    function _send() private returns (bytes4) {
        (bool success, bytes memory reason) = address(_app)
            .call(abi.encodeCall(_app.send, (_transport, _verification, _transaction, _application, _body)));
        return success ? bytes4(0) : bytes4(reason);
    }

    function _requireError(bytes4 expected, string memory what) private {
        assertEq(bytes32(_send()), bytes32(expected), what);
    }

    /// Every bit of the words that is the hub's to write, or reserved, is refused when the sender sets it.
    function testSenderWritesNothingThatIsTheHubs() public {
        for (uint256 kind = 0; kind < 2; kind++) {
            for (uint256 bit = 0; bit < 256; bit++) {
                kind == 0 ? _plain() : _request();
                // Free to the sender: RECEIPT_WANTED, domain, destination, relay, channel.
                bool free = bit == 233 || (bit >= 192 && bit < 224) || (bit >= 64 && bit < 160);
                if (!free) {
                    _transport ^= bytes32(1 << bit);
                    _requireError(IHubEvents.InvalidHeader.selector, string.concat("transport bit ", vm.toString(bit)));
                }
                kind == 0 ? _plain() : _request();
                // Free: execExpiry and gas limit; with ATP the deadline as well. RETURN (228) needs RECEIPT_WANTED. The protocol is looked up.
                free = bit < (kind == 0 ? 72 : 112) || bit >= 248;
                if (!free) {
                    _transaction ^= bytes32(1 << bit);
                    _requireError(
                        IHubEvents.InvalidHeader.selector, string.concat("transaction bit ", vm.toString(bit))
                    );
                }
                kind == 0 ? _plain() : _request();
                // Free: function, callback, version, codec 0 to 2, flags.
                free = (bit >= 160 && bit < 224) || (bit >= 96 && bit < 114) || (bit >= 120 && bit < 128);
                if (!free) {
                    _application ^= bytes32(1 << bit);
                    _requireError(
                        IHubEvents.InvalidHeader.selector, string.concat("application bit ", vm.toString(bit))
                    );
                }
            }
        }
        _plain();
        _requireError(0, "plain");
        _request();
        _requireError(0, "request");
    }

    function testProtocolsFitTheLane() public {
        for (uint256 protocol = 0; protocol < 256; protocol++) {
            _plain();
            _transaction |= bytes32(protocol << 248);
            bytes4 result = _send();
            assertTrue((result == 0) == (protocol == 0 || protocol == 4), "free lane");
            _request();
            _transaction = bytes32((uint256(_transaction) & (type(uint256).max >> 8)) | (protocol << 248));
            result = _send();
            assertTrue((result == 0) == (protocol == 2), "bound lane");
        }
        // An application may be held to some protocols.
        govern(0, 8, abi.encodePacked(APP, address(_app), uint16(1 << 4)));
        _plain();
        _requireError(IHubEvents.NotAllowed.selector, "NONE");
        _transaction = Headers.transaction(Headers.FORWARD, 0, 0, 0, 100_000);
        _requireError(0, "FORWARD");
    }

    function testStrangersAndPausedApplicationsCannotSend() public {
        Counter stranger = new Counter(hub);
        vm.expectRevert(abi.encodeWithSelector(IHubEvents.NotAllowed.selector, address(stranger)));
        stranger.send(_transport, _verification, _transaction, _application, "");
        hub.governor(governorMessage(0, 9, 1, abi.encodePacked(uint8(1), APP)));
        _requireError(IHubEvents.ApplicationPaused.selector, "paused");
        govern(0, 10, abi.encodePacked(uint8(1), APP));
        _requireError(0, "unpaused");
        govern(0, 8, abi.encodePacked(APP, address(0), uint16(0)));
        _requireError(IHubEvents.NotAllowed.selector, "removed");
    }

    function testCaps() public {
        _body = new bytes(MAX_BODY);
        _requireError(0, "largest body");
        _body = new bytes(MAX_BODY + 1);
        _requireError(IHubEvents.BodyTooLong.selector, "body");
        _plain();
        _transaction = Headers.transaction(Headers.NONE, 0, 0, 0, MAX_GAS);
        _requireError(0, "largest gas limit");
        _transaction = Headers.transaction(Headers.NONE, 0, 0, 0, MAX_GAS + 1);
        _requireError(IHubEvents.GasLimitTooHigh.selector, "gas limit");
        // A new registration of the destination holds from the next packet on.
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(5), MAX_GAS + 1, uint8(1)));
        _requireError(0, "new largest gas limit");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(5), MAX_GAS, uint8(0)));
        _plain();
        _requireError(IHubEvents.NoMember.selector, "removed");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(5), MAX_GAS, uint8(1)));
        _requireError(0, "member again");
        _transport = Headers.transport(DOMAIN, PEER + 1, 0, 0, 0);
        _requireError(IHubEvents.NoMember.selector, "never a member");
        _transport = Headers.transport(DOMAIN, SELF, 0, 0, 0);
        _requireError(IHubEvents.NoMember.selector, "to itself");
        _transport = Headers.transport(DOMAIN, 0, 0, 0, 0);
        _requireError(IHubEvents.NoMember.selector, "to nobody");
    }

    function _requireTimes(uint40 expiry, uint40 deadline, bytes4 expected) private {
        _request();
        _transaction = Headers.transaction(Headers.ATP, 0, deadline, expiry, 100_000);
        _requireError(expected, "times of a request");
    }

    function testTimes() public {
        govern(DOMAIN, 2, abi.encodePacked(MAX_BODY, uint32(30), uint32(1000)));
        uint40 time = uint40(block.timestamp);
        bytes4 wrong = IHubEvents.InvalidTime.selector;
        _requireTimes(time + 29, time + 600, wrong);
        _requireTimes(time + 30, time + 30, 0);
        _requireTimes(time + 30, time + 29, wrong);
        _requireTimes(time + 30, time + 1000, 0);
        _requireTimes(time + 30, time + 1001, wrong);
        _requireTimes(time + 1000, time + 1000, 0);
        _requireTimes(time + 1001, time + 1001, wrong);
        _requireTimes(0, time + 600, wrong);
        _plain();
        _transaction = Headers.transaction(Headers.FORWARD, 0, 0, time + 29, 100_000);
        _requireError(wrong, "plain, too early");
        _transaction = Headers.transaction(Headers.FORWARD, 0, 0, time + 1001, 100_000);
        _requireError(wrong, "plain, too late");
        _transaction = Headers.transaction(Headers.FORWARD, 0, 0, time + 30, 100_000);
        _requireError(0, "plain");
    }

    function testDemandsOfVerification() public {
        // The registration meets SPV, depth 64, epoch 0.
        bytes4 wrong = IHubEvents.VerificationNotMet.selector;
        _verification = 0x0140000000000000;
        _requireError(0, "SPV, largest depth");
        _verification = 0x0141000000000000;
        _requireError(wrong, "depth");
        _verification = 0x0140000100000000;
        _requireError(wrong, "epoch");
        _verification = 0x0240000000000000;
        _requireError(wrong, "notary");
        _verification = 0x0340000000000000;
        _requireError(wrong, "both");
        _verification = 0x0040000000000000;
        _requireError(wrong, "no method");
        _verification = 0x0100000000000001;
        _requireError(IHubEvents.InvalidHeader.selector, "reserved");
        govern(DOMAIN, 15, abi.encodePacked(uint8(3), uint8(9), uint16(4)));
        for (uint256 method = 0; method < 5; method++) {
            _verification = bytes8(uint64((method << 56) | (9 << 48) | (4 << 32)));
            _requireError(method >= 1 && method <= 3 ? bytes4(0) : wrong, "method with both");
        }
        vm.recordLogs();
        _verification = 0;
        _requireError(0, "nothing demanded");
        assertEq(bytes32(sentPackets()[0][32]), bytes32(bytes1(0x03)), "the registration's method is written");
    }

    function testOutboxesThatAreShut() public {
        bytes4 shut = IHubEvents.OutboxShut.selector;
        _transport = Headers.transport(DOMAIN + 1, PEER, 0, 0, 0);
        _requireError(shut, "unknown domain");
        _request();
        _transport = Headers.transport(DOMAIN, PEER, RELAY + 1, 0, 0);
        _requireError(shut, "unknown relay chain");
        govern(DOMAIN, 3, abi.encodePacked(RELAY + 1, keccak256("genesis"), endorserSet(1)));
        _requireError(shut, "announced relay chain");
        govern(DOMAIN, 4, abi.encodePacked(RELAY + 1, uint8(2)));
        _requireError(IHubEvents.WrongRelay.selector, "active, without routing slots");
        // Pause of a domain shuts all its outboxes, pause of a relay chain the one bound to it.
        hub.governor(governorMessage(DOMAIN, 9, 1, abi.encodePacked(uint8(3), DOMAIN)));
        _plain();
        _requireError(shut, "paused domain, free");
        _request();
        _requireError(shut, "paused domain, bound");
        govern(DOMAIN, 10, abi.encodePacked(uint8(3), DOMAIN));
        _requireError(0, "unpaused");
        hub.governor(governorMessage(DOMAIN, 9, 1, abi.encodePacked(uint8(2), RELAY)));
        _requireError(shut, "paused relay chain");
        _plain();
        _requireError(0, "free, relay chain paused");
        govern(DOMAIN, 10, abi.encodePacked(uint8(2), RELAY));
        govern(DOMAIN, 4, abi.encodePacked(RELAY, uint8(3)));
        _request();
        _requireError(shut, "draining relay chain");
        govern(0, 12, "");
        _plain();
        _requireError(shut, "closed");
    }

    function testRoutingDividesTransactionsAmongRelayChains() public {
        govern(DOMAIN, 3, abi.encodePacked(RELAY + 1, keccak256("genesis"), endorserSet(1)));
        govern(DOMAIN, 4, abi.encodePacked(RELAY + 1, uint8(2)));
        bytes memory halves = abi.encodePacked(RELAY, uint16(0), uint16(512), RELAY + 1, uint16(512), uint16(512));
        govern(DOMAIN, 6, abi.encodePacked(uint32(2), uint8(2), halves));
        uint256[2] memory taken;
        for (uint32 id = 100; id < 120; id++) {
            Counter app = new Counter(hub);
            registerApplication(id, address(app));
            uint32 relay = hub.route(DOMAIN, PEER, id);
            uint256 slot = uint256(keccak256(abi.encodePacked(SELF, PEER, id))) & 1023;
            assertEq(relay, slot < 512 ? RELAY : RELAY + 1, "route");
            _request();
            _transport = Headers.transport(DOMAIN, PEER, relay, 0, 0);
            app.send(_transport, 0, _transaction, _application, "");
            uint32 other = relay == RELAY ? RELAY + 1 : RELAY;
            _transport = Headers.transport(DOMAIN, PEER, other, 0, 0);
            vm.expectRevert(abi.encodeWithSelector(IHubEvents.WrongRelay.selector, other));
            app.send(_transport, 0, _transaction, _application, "");
            taken[relay - RELAY]++;
        }
        assertTrue(taken[0] > 0 && taken[1] > 0, "both are used");
    }

    function testChannels() public {
        bytes32 outsider = bytes32(uint256(uint160(address(this))));
        vm.expectRevert(abi.encodeWithSelector(IHubEvents.NotAllowed.selector, address(uint160(uint256(outsider)))));
        hub.openChannel(1);
        vm.prank(address(_app));
        vm.expectRevert(IHubEvents.InvalidHeader.selector);
        hub.openChannel(3);
        vm.prank(address(_app));
        uint32 basic = hub.openChannel(1);
        vm.prank(address(_app));
        uint32 reliable = hub.openChannel(2);
        assertEq(basic, 1, "first channel");
        assertEq(reliable, 2, "second channel");

        _transport = Headers.transport(DOMAIN, PEER, 0, reliable, 0);
        _requireError(IHubEvents.InvalidTime.selector, "ordered without expiry");
        _transaction = Headers.transaction(Headers.FORWARD, 0, 0, uint40(block.timestamp + 60), 100_000);
        vm.recordLogs();
        _requireError(0, "ordered");
        bytes memory packet = sentPackets()[0];
        assertEq(uint8(packet[1]), 2, "protocol");
        assertEq(uint8(packet[2]), 1, "ordered flag");
        _transport = Headers.transport(DOMAIN, PEER, 0, basic, 0);
        vm.recordLogs();
        _requireError(0, "basic");
        packet = sentPackets()[0];
        assertEq(uint8(packet[1]), 1, "protocol");
        assertEq(uint8(packet[31]), 1, "each lane has its own sequence");
        _transport = Headers.transport(DOMAIN, PEER, 0, 3, 0);
        _requireError(IHubEvents.WrongChannel.selector, "never opened");

        Counter other = new Counter(hub);
        registerApplication(43, address(other));
        vm.expectRevert(abi.encodeWithSelector(IHubEvents.WrongChannel.selector, basic));
        other.send(Headers.transport(DOMAIN, PEER, 0, basic, 0), 0, _transaction, _application, "");
    }

    // ------------------------------------------------------------------------------------------------------------ where sequences are counted

    uint32 private constant OTHER_PEER = PEER + 1;
    uint32 private constant OTHER_DOMAIN = DOMAIN + 1;
    uint32 private constant OTHER_RELAY = RELAY + 1;

    function _inHead(uint32 domain, uint32 relay) private view returns (uint256) {
        return (read(1, (uint256(domain) << 32) | relay) >> 152) & type(uint56).max;
    }

    function _inSlot(uint32 domain, uint32 destination, uint32 relay) private view returns (uint256) {
        return uint64(read(5, (uint256(domain) << 96) | (uint256(destination) << 64) | (uint256(relay) << 32)));
    }

    /// @dev Sends from `app` and returns the sequence.
    function _sequenceOf(Counter app, bytes32 transport, bytes32 transaction) private returns (uint64) {
        vm.recordLogs();
        app.send(transport, 0, transaction, _application, "");
        return uint64(bytes8(slice(sentPackets()[0], 24, 8)));
    }

    /// Lanes toward the first peer count in the head and all others in slots of their own; no sequence is left out or given twice, whichever
    /// applications, domains and relay chains take turns, and whatever settings change between.
    function testSequencesAreDenseWhereverTheyAreCounted() public {
        assertEq(read(9, DOMAIN), PEER, "first peer");
        govern(DOMAIN, 7, abi.encodePacked(OTHER_PEER, uint64(0), uint32(1_000_000), uint8(1)));
        openDomain(OTHER_DOMAIN, OTHER_RELAY);
        assertEq(read(9, DOMAIN), PEER, "first peer of all time");
        Counter second = new Counter(hub);
        registerApplication(APP + 1, address(second));
        for (uint64 round = 1; round <= 4; round++) {
            uint40 expiry = uint40(block.timestamp + 600);
            for (uint256 i = 0; i < 2; i++) {
                Counter app = i == 0 ? _app : second;
                uint64 expected = 2 * round - 1 + uint64(i);
                _plain();
                assertEq(_sequenceOf(app, _transport, _transaction), expected, "free lane, first peer");
                assertEq(
                    _sequenceOf(app, Headers.transport(DOMAIN, OTHER_PEER, 0, 0, 0), _transaction), expected, "other"
                );
                assertEq(
                    _sequenceOf(app, Headers.transport(OTHER_DOMAIN, PEER, 0, 0, 0), _transaction), expected, "domain"
                );
                bytes32 request = Headers.transaction(Headers.ATP, 0, expiry, expiry, 100_000);
                assertEq(
                    _sequenceOf(app, Headers.transport(DOMAIN, PEER, RELAY, 0, 0), request), expected, "bound lane"
                );
            }
            assertEq(_inHead(DOMAIN, 0), 2 * round, "head of the free outbox");
            assertEq(_inHead(DOMAIN, RELAY), 2 * round, "head of the bound outbox");
            assertEq(_inHead(OTHER_DOMAIN, 0), 2 * round, "head of the other domain");
            assertEq(_inSlot(DOMAIN, OTHER_PEER, 0), 2 * round, "slot");
            assertEq(
                _inSlot(DOMAIN, PEER, 0) + _inSlot(DOMAIN, PEER, RELAY) + _inSlot(OTHER_DOMAIN, PEER, 0), 0, "none"
            );
            // A change of settings, of another kind each time.
            if (round == 1) govern(DOMAIN, 15, abi.encodePacked(uint8(1), uint8(9), uint16(1)));
            if (round == 2) govern(OTHER_DOMAIN, 2, abi.encodePacked(uint32(8192), uint32(0), uint32(1_000_000)));
            if (round == 3) govern(0, 8, abi.encodePacked(APP, address(_app = new Counter(hub)), uint16(0x15)));
        }
    }

    /// What an application has copied never outlives a change, nor serves anybody else.
    function testCopiedSettingsAreNeverStale() public {
        _plain();
        _requireError(0, "first send");
        _requireError(0, "with the copy");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(0), uint32(99_999), uint8(1)));
        _requireError(IHubEvents.GasLimitTooHigh.selector, "gas limit of the peer");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(0), uint32(100_000), uint8(1)));
        _requireError(0, "gas limit");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(0), uint32(100_000), uint8(0)));
        _requireError(IHubEvents.NoMember.selector, "a peer that has left");
        govern(DOMAIN, 7, abi.encodePacked(PEER, uint64(0), uint32(100_000), uint8(1)));
        _requireError(0, "is back");
        _transaction = Headers.transaction(Headers.NONE, 0, 0, uint40(block.timestamp + 500), 100_000);
        _requireError(0, "time");
        govern(DOMAIN, 2, abi.encodePacked(uint32(8192), uint32(0), uint32(499)));
        _requireError(IHubEvents.InvalidTime.selector, "shorter times");
        govern(DOMAIN, 2, abi.encodePacked(uint32(8192), uint32(501), uint32(1_000_000)));
        _requireError(IHubEvents.InvalidTime.selector, "longer times");
        _plain();
        hub.governor(governorMessage(0, 9, 1, abi.encodePacked(uint8(1), APP)));
        _requireError(IHubEvents.ApplicationPaused.selector, "paused");
        govern(0, 10, abi.encodePacked(uint8(1), APP));
        _requireError(0, "no longer");
        govern(0, 8, abi.encodePacked(APP, address(0), uint16(0)));
        _requireError(IHubEvents.NotAllowed.selector, "removed");
    }

    function testQueueKeepsTheMessages() public {
        hub = deployHub(true, true);
        counters[0] = 0;
        counters[DOMAIN] = 0;
        openDomain(DOMAIN, RELAY);
        _app = new Counter(hub);
        registerApplication(APP, address(_app));
        vm.recordLogs();
        _body = "kept";
        _requireError(0, "send");
        bytes memory packet = sentPackets()[0];
        assertEq(hub.message(DOMAIN, 0, 1), abi.encodePacked(uint64(block.number), uint8(1), packet), "packet");
        Outbox memory outbox = newOutbox(DOMAIN, RELAY);
        pushPacket(outbox, encode(freeFields(1, APP, "")));
        vm.recordLogs();
        deliver(outbox);
        assertEq(
            hub.message(DOMAIN, 0, 2), abi.encodePacked(uint64(block.number), uint8(3), madeReceipts()), "receipts"
        );
        govern(DOMAIN, 4, abi.encodePacked(RELAY, uint8(3)));
        bytes memory report = abi.encodePacked(uint8(2), RELAY, uint64(block.number), uint64(0), uint64(0));
        assertEq(hub.message(DOMAIN, 0, 3), abi.encodePacked(uint64(block.number), uint8(4), report), "report");
        assertEq(hub.message(DOMAIN, 0, 4), "", "nothing yet");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../../src/hub/Calldata.sol";
import {PacketHeader} from "../../src/hub/PacketHeader.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Recorder, VectorHub} from "./VectorHub.sol";

contract HeaderHarness {
    function isWellFormed(bytes calldata packet) external pure returns (bool) {
        uint256 offset = Calldata.start(packet);
        if (packet.length < PacketHeader.SIZE || !PacketHeader.isWellFormed(offset)) return false;
        return PacketHeader.bodyLength(Calldata.word(offset + 72)) == packet.length - PacketHeader.SIZE;
    }

    /// One bit for each bit of the header: whether the header with that bit flipped is well-formed.
    function flips(bytes calldata header) external view returns (bytes memory accepted) {
        bytes memory copy = header;
        accepted = new bytes(header.length);
        for (uint256 bit = 0; bit < header.length * 8; bit++) {
            bytes1 mask = bytes1(uint8(0x80 >> (bit % 8)));
            copy[bit / 8] ^= mask;
            if (this.isHeader(copy)) accepted[bit / 8] |= mask;
            copy[bit / 8] ^= mask;
        }
    }

    function isHeader(bytes calldata header) external pure returns (bool) {
        return PacketHeader.isWellFormed(Calldata.start(header));
    }

    function packetId(bytes calldata packet) external pure returns (bytes32) {
        return PacketHeader.packetId(Calldata.start(packet), packet.length - PacketHeader.SIZE);
    }

    function packetIdOfHash(bytes calldata headerAndHash) external pure returns (bytes32) {
        return PacketHeader.packetIdOfHash(Calldata.start(headerAndHash));
    }

    function fields(bytes calldata packet) external pure returns (uint256[14] memory) {
        uint256 offset = Calldata.start(packet);
        uint256 t = Calldata.word(offset);
        uint256 x = Calldata.word(offset + 40);
        uint256 a = Calldata.word(offset + 72);
        return [
            PacketHeader.domain(t),
            PacketHeader.source(t),
            PacketHeader.destination(t),
            PacketHeader.relay(t),
            PacketHeader.channel(t),
            PacketHeader.sequence(t),
            PacketHeader.protocol(x),
            PacketHeader.nonce(x),
            PacketHeader.deadline(x),
            PacketHeader.execExpiry(x),
            PacketHeader.gasLimit(x),
            PacketHeader.applicationId(a),
            PacketHeader.callback(a),
            PacketHeader.codec(a)
        ];
    }
}

/// @notice Section 4 against packets.json.
contract PacketVectorsTest is VectorHub {
    uint256 private constant NOW = 1_800_000_000;

    HeaderHarness private _headers;

    function setUp() public override {
        super.setUp();
        _headers = new HeaderHarness();
    }

    function testValidHeadersAndIds() public view {
        string memory json = vectors("packets");
        string[14] memory names = [
            "domain",
            "source",
            "destination",
            "relay",
            "channel",
            "sequence",
            "transaction_protocol",
            "nonce",
            "deadline",
            "execution_expiry",
            "handler_gas",
            "application",
            "callback_function",
            "codec"
        ];
        uint256 count = countOf(json, "valid");
        for (uint256 i = 0; i < count; i++) {
            bytes memory packet = bytesAt(json, "valid", i, "packet");
            bytes32 id = bytes32At(json, "valid", i, "packet_id");
            assertTrue(_headers.isWellFormed(packet), "valid packet refused");
            assertEq(_headers.packetId(packet), id, "packet id");
            bytes memory short = abi.encodePacked(slice(packet, 0, 136), bytes32At(json, "valid", i, "body_hash"));
            assertEq(_headers.packetIdOfHash(short), id, "packet id from H(body)");
            uint256[14] memory fields = _headers.fields(packet);
            // The first 24 have every kind; the rest is random.
            for (uint256 j = 0; j < 14 && i < 24; j++) {
                assertEq(fields[j], uintAt(json, "valid", i, names[j]), names[j]);
            }
        }
    }

    function testRefusedHeaders() public view {
        string memory json = vectors("packets");
        uint256 count = countOf(json, "refused");
        for (uint256 i = 0; i < count; i++) {
            assertTrue(!_headers.isWellFormed(bytesAt(json, "refused", i, "data")), nameAt(json, "refused", i));
        }
    }

    /// Headers one bit away from a well-formed one: the two decoders agree about every one of them.
    function testEveryBitOfHeaders() public view {
        string memory json = vectors("packets");
        uint256 count = countOf(json, "bit_flips");
        for (uint256 i = 0; i < count; i++) {
            bytes memory header = bytesAt(json, "bit_flips", i, "header");
            assertTrue(_headers.isHeader(header), "valid header refused");
            bytes memory actual = _headers.flips(header);
            bytes memory expected = bytesAt(json, "bit_flips", i, "accepted");
            for (uint256 bit = 0; bit < 1088; bit++) {
                if ((actual[bit / 8] ^ expected[bit / 8]) & bytes1(uint8(0x80 >> (bit % 8))) == 0) continue;
                assertTrue(false, string.concat(nameAt(json, "bit_flips", i), ": bit ", vm.toString(bit)));
            }
        }
    }

    /// Every valid packet reaches its end at a hub that is its destination, and the receipt names its id.
    function testValidPacketsEndAtAHub() public {
        string memory json = vectors("packets");
        uint256 count = countOf(json, "valid");
        uint256[4] memory ends;
        for (uint256 i = 0; i < count; i++) {
            bytes memory packet = bytesAt(json, "valid", i, "packet");
            ends[_end(packet, bytes32At(json, "valid", i, "packet_id"))]++;
        }
        assertTrue(ends[0] > 10 && ends[1] > 0 && ends[2] > 10 && ends[3] > 10, "ends of every kind");
    }

    /// The kind of end: 0 executed, 1 failed for want of gas, 2 expired, 3 gas limit above the hub's.
    function _end(bytes memory packet, bytes32 id) private returns (uint256 end) {
        uint256[14] memory f = _headers.fields(packet);
        bool ordered = packet[2] & 0x01 != 0;
        uint256 relay = f[3] == 0 ? RELAY : f[3];
        deployHub(f[2]);
        openDomain(f[0]);
        openRelay(f[0], relay);
        Recorder application = new Recorder();
        registerApplication(f[11], address(application));
        if (ordered) setLane(slotOf(6, laneKey(f[0], f[1], f[3], f[4])), f[5] - 1);

        vm.recordLogs();
        hub.receiveRange(envelopeOfEntry(f[0], relay, 1, packet, id));
        bytes memory receipts = dataOf(IHubEvents.ReceiptsMade.selector);

        bytes32 told = application.told();
        uint8 code;
        if (f[9] != 0 && f[9] <= NOW) code = 3;
        else if (f[10] > MAX_GAS) code = 4;
        else if (f[10] < 2000) code = 2;
        else code = 1;
        assertEq(told, code == 1 ? keccak256(abi.encode(id, packet)) : bytes32(0), "what the handler was told");
        uint256 length = packet.length <= 136 + 256 ? packet.length - 136 : 0;
        bytes memory returned = code == 1 && packet[43] != 0
            ? abi.encodePacked(uint8(0x81), uint16(length), slice(packet, 136, length))
            : abi.encodePacked(code);
        bytes memory expected = abi.encodePacked(uint32(relay), uint16(1), id, returned);
        if (f[3] == 0 && packet[2] & 0x02 == 0) assertEq(receipts, "", "receipts nobody wants");
        else assertEq(receipts, expected, "receipts");
        uint256 word = load(slotOf(2, (laneKey(f[0], f[1], f[3], f[4]) << 64) | (f[5] >> 7)));
        if (f[3] != 0) assertEq((word >> (2 * (f[5] & 127))) & 3, code == 1 ? 2 : 3, "status");
        if (ordered) assertEq(load(slotOf(6, laneKey(f[0], f[1], f[3], f[4]))), f[5], "receiving lane");
        if (f[3] == 0 && !ordered) {
            word = load(slotOf(3, (f[0] << 128) | (f[1] << 96) | (f[4] << 64) | (f[5] >> 8)));
            assertEq(word, 1 << (f[5] & 255), "seen");
        }
        return code == 1 ? 0 : uint256(code) - 1;
    }

    /// A malformed header is folded with its id, in both forms, and changes nothing.
    function testMalformedPacketsCountAsBare() public {
        string memory json = vectors("packets");
        Recorder application = _hubForFixedVectors();
        // The packets that the refused ones are made of are taken.
        uint256 taken;
        for (uint256 i = 0; i < 12; i++) {
            bytes memory packet = bytesAt(json, "valid", i, "packet");
            uint256 state = vm.snapshotState();
            bool ordered = packet[2] & 0x01 != 0;
            if (ordered) setLane(slotOf(6, laneKey(DOMAIN, SOURCE, unsigned(packet, 16, 4), 3)), 6);
            hub.receiveRange(envelopeOfEntry(DOMAIN, RELAY, 1, packet, bytes32At(json, "valid", i, "packet_id")));
            assertTrue(application.told() != 0, "valid packet not taken");
            vm.revertToState(state);
            taken++;
        }
        assertEq(taken, 12, "controls");

        uint256 count = countOf(json, "refused");
        uint256 whole;
        uint256 hashed;
        for (uint256 i = 0; i < count; i++) {
            bytes memory packet = bytesAt(json, "refused", i, "data");
            if (packet.length < 136) continue;
            string memory name = nameAt(json, "refused", i);
            bytes32 id = _headers.packetId(packet);
            if (unsigned(packet, 92, 4) == packet.length - 136) {
                _bare(application, 1, packet, id, name);
                whole++;
                bytes32 bodyHash = keccak256(slice(packet, 136, packet.length - 136));
                // After every expiry, where a well-formed header alone would end its packet.
                vm.warp(2_000_000_000);
                _bare(application, 2, abi.encodePacked(slice(packet, 0, 136), bodyHash), id, name);
                vm.warp(NOW);
                hashed++;
            }
        }
        assertTrue(whole > 60 && hashed == whole, "malformed packets");
    }

    function _hubForFixedVectors() private returns (Recorder application) {
        deployHub(DESTINATION);
        openDomain(DOMAIN);
        openRelay(DOMAIN, RELAY);
        application = new Recorder();
        registerApplication(2, address(application));
    }

    function _bare(Recorder application, uint8 form, bytes memory content, bytes32 id, string memory name) private {
        uint256 state = vm.snapshotState();
        setLane(slotOf(6, laneKey(DOMAIN, SOURCE, 0, 3)), 6);
        bytes32 before = _lanes();
        vm.recordLogs();
        hub.receiveRange(envelopeOfEntry(DOMAIN, RELAY, form, content, id));
        assertEq(vm.getRecordedLogs().length, 0, name);
        assertEq(application.told(), bytes32(0), name);
        assertEq(_lanes(), before, name);
        vm.revertToState(state);
    }

    /// Everything that a packet from 11 in channel 0 or 3 with a sequence below 128 could change.
    function _lanes() private view returns (bytes32) {
        bytes memory all = abi.encode(fingerprint(DOMAIN, RELAY));
        for (uint256 channel = 0; channel <= 3; channel += 3) {
            for (uint256 relay = 0; relay <= RELAY; relay++) {
                uint256 lane = laneKey(DOMAIN, SOURCE, relay, channel);
                uint256 seen = (uint256(DOMAIN) << 128) | (uint256(SOURCE) << 96) | (channel << 64);
                all = abi.encode(all, load(slotOf(2, lane << 64)), load(slotOf(3, seen)), load(slotOf(6, lane)));
            }
        }
        return keccak256(all);
    }

    /// A hub that sends what the fields of a vector say makes the very packet, and an entry with its id.
    function testSendMakesTheVectors() public {
        string memory json = vectors("packets");
        uint256 count = countOf(json, "valid");
        uint256 sent;
        for (uint256 i = 0; i < count; i++) {
            bytes memory packet = bytesAt(json, "valid", i, "packet");
            uint256[14] memory f = _headers.fields(packet);
            // Channels are given out one by one; a request may take 2^32 seconds at most.
            uint256 time = f[9] == 0 ? NOW : f[9];
            if (f[4] > 4 || f[8] > time + type(uint32).max) continue;
            _send(packet, bytes32At(json, "valid", i, "packet_id"), f, time);
            sent++;
        }
        assertTrue(sent > 20, "packets sent");
    }

    function _send(bytes memory packet, bytes32 id, uint256[14] memory f, uint256 time) private {
        deployHub(f[1]);
        openDomain(f[0]);
        mustGovern(f[0], 15, abi.encodePacked(packet[32], uint8(255), type(uint16).max));
        registerPeer(f[0], f[2], 0);
        if (f[3] != 0) {
            openRelay(f[0], f[3]);
            routeEverything(f[0], f[3]);
            setNonce(slotOf(1, (f[0] << 32) | f[3]), f[7] - 1);
        }
        Recorder application = new Recorder();
        registerApplication(f[11], address(application));
        for (uint256 channel = 1; channel <= f[4]; channel++) {
            assertEq(application.openChannel(hub, uint8(packet[1])), channel, "channel");
        }
        setLane(slotOf(5, laneKey(f[0], f[2], f[3], f[4])), f[5] - 1);
        vm.warp(time);
        (,, bytes32 start,) = hub.outbox(uint32(f[0]), uint32(f[3]));
        vm.recordLogs();
        assertEq(application.send(hub, packet), id, "id of what was sent");
        assertEq(dataOf(IHubEvents.PacketSent.selector), packet, "packet sent");
        (uint64 number, uint64 nonce, bytes32 value,) = hub.outbox(uint32(f[0]), uint32(f[3]));
        assertEq(number, 1, "entry");
        assertEq(nonce, f[7], "nonce");
        assertEq(value, fold(start, 1, block.number, id), "chain");
        assertEq(uint64(load(slotOf(5, laneKey(f[0], f[2], f[3], f[4])))), f[5], "sending lane");
        vm.warp(NOW);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hub} from "../../src/hub/Hub.sol";
import {HubStorage} from "../../src/hub/HubStorage.sol";
import {IHub} from "../../src/interfaces/IHub.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {FrostSigner} from "../crypto/FrostSigner.sol";
import {Vm} from "../Vm.sol";

/// @notice A hub with one domain, one peer and one relay chain of four endorsers (three sign), the governors' key, and whoever writes that relay chain's
/// outbox. Formats are written out here a second time, beside the hub's own code.
abstract contract HubFixture is FrostSigner {
    uint32 internal constant DOMAIN = 7;
    uint32 internal constant SELF = 11;
    uint32 internal constant PEER = 22;
    uint32 internal constant RELAY = 5;
    uint32 internal constant MAX_GAS = 1_000_000;
    uint32 internal constant MAX_BODY = 8192;
    uint32 internal constant MAX_DELTA = 86_400;
    uint256 internal constant GOVERNOR_SECRET = 0x60fe;
    uint256 internal constant ENDORSER_SECRET = 0xe000;
    uint256 internal constant MEMBERS = 4;
    uint256 internal constant THRESHOLD = 3;

    bytes32 internal constant T_PACKET = keccak256("PIEBRIDGE/PACKET/v1");
    bytes32 internal constant T_OUTBOX = keccak256("PIEBRIDGE/OUTBOX/v1");

    /// A relay chain's outbox as a test writes it.
    struct Outbox {
        uint32 relay;
        bytes32 start;
        bytes32 value;
        uint64 first;
        uint64 height;
        uint16 count;
        bytes entries;
    }

    IHub internal hub;
    mapping(uint32 domain => uint64) internal counters;
    uint32 internal keyEpoch;
    uint256 internal governorSecret;

    function setUpHub() internal {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        governorSecret = GOVERNOR_SECRET;
        keyEpoch = 1;
        hub = deployHub(true, false);
        openDomain(DOMAIN, RELAY);
    }

    function deployHub(bool dev, bool queue) internal returns (IHub) {
        (uint256 x, uint8 prefix) = frostKey(GOVERNOR_SECRET);
        HubStorage.Binding memory binding = HubStorage.Binding({
            registration: SELF, evmChainId: uint64(block.chainid), maxHandlerGas: MAX_GAS, dev: dev, queue: queue
        });
        return IHub(address(new Hub(binding, abi.encodePacked(prefix, x))));
    }

    function openDomain(uint32 domain, uint32 relay) internal {
        govern(domain, 2, abi.encodePacked(MAX_BODY, uint32(0), MAX_DELTA));
        govern(domain, 15, abi.encodePacked(uint8(1), uint8(64), uint16(0)));
        govern(domain, 3, abi.encodePacked(relay, keccak256("genesis"), endorserSet(1)));
        govern(domain, 4, abi.encodePacked(relay, uint8(2)));
        govern(domain, 6, abi.encodePacked(uint32(1), uint8(1), relay, uint16(0), uint16(1024)));
        govern(domain, 7, abi.encodePacked(PEER, uint64(block.chainid), MAX_GAS, uint8(1)));
    }

    function registerApplication(uint32 id, address account) internal {
        govern(0, 8, abi.encodePacked(id, account, uint16(0x15)));
    }

    // ------------------------------------------------------------------------------------------------------------ governors

    function governorMessage(uint32 domain, uint8 kind, uint64 counter, bytes memory body)
        internal
        returns (bytes memory)
    {
        bytes memory prefix = abi.encodePacked(domain, SELF, keyEpoch, kind);
        bytes32 digest =
            keccak256(abi.encodePacked(keccak256("PIEBRIDGE/GOVERNOR_HUB/v1"), prefix, address(hub), counter, body));
        bytes memory signature = frostSign(governorSecret, uint256(digest) % 1e70 + 1, abi.encodePacked(digest));
        return abi.encodePacked(uint8(1), uint8(1), prefix, address(hub), counter, uint16(body.length), body, signature);
    }

    /// @dev Sends the next ordered message and demands that it was executed.
    function govern(uint32 domain, uint8 kind, bytes memory body) internal {
        bytes memory reason = tryGovern(domain, kind, body);
        assertEq(reason, "", "governor message was not executed");
    }

    /// @dev Sends the next ordered message; the reason why it was not executed, empty if it was.
    function tryGovern(uint32 domain, uint8 kind, bytes memory body) internal returns (bytes memory reason) {
        bytes memory message = governorMessage(domain, kind, ++counters[domain], body);
        vm.recordLogs();
        hub.governor(message);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        assertEq(last.topics[0], IHubEvents.GovernorMessageHandled.selector, "last event of a governor message");
        assertEq(uint256(last.topics[2]), counters[domain], "counter");
        bool done;
        (, done, reason) = abi.decode(last.data, (uint8, bool, bytes));
        assertTrue(done == (reason.length == 0), "reason exactly when not done");
    }

    // ------------------------------------------------------------------------------------------------------------ endorsers

    function endorserSet(uint32 epoch) internal pure returns (bytes memory set) {
        set = abi.encodePacked(epoch, uint8(1), uint8(THRESHOLD), uint8(MEMBERS));
        for (uint256 i = 0; i < MEMBERS; i++) {
            set = abi.encodePacked(set, vm.addr(endorserSecret(epoch, i)));
        }
    }

    function endorserSecret(uint32 epoch, uint256 index) internal pure returns (uint256) {
        return ENDORSER_SECRET + uint256(epoch) * 256 + index;
    }

    function endorsementDigest(
        uint32 domain,
        uint32 relay,
        uint32 destination,
        uint32 epoch,
        uint64 number,
        bytes32 value
    ) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/ENDORSE/v1"), domain, destination, epoch, uint8(1), relay, number, value
            )
        );
    }

    /// @dev Signatures of the members 0, 1 and 3.
    function endorse(uint32 domain, uint32 relay, uint32 destination, uint32 epoch, uint64 number, bytes32 value)
        internal
        pure
        returns (bytes memory proof)
    {
        bytes32 digest = endorsementDigest(domain, relay, destination, epoch, number, value);
        proof = abi.encodePacked(uint32(11));
        uint8[3] memory members = [0, 1, 3];
        for (uint256 i = 0; i < 3; i++) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(endorserSecret(epoch, members[i]), digest);
            proof = abi.encodePacked(proof, r, s, v);
        }
    }

    // ------------------------------------------------------------------------------------------------------------ the relay chain's outbox

    function newOutbox(uint32 domain, uint32 relay) internal pure returns (Outbox memory outbox) {
        outbox.relay = relay;
        outbox.start = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/OUTBOX_OPEN_RELAY/v1"), domain, relay, SELF));
        outbox.value = outbox.start;
        outbox.first = 1;
        outbox.height = 1;
    }

    function push(Outbox memory outbox, uint8 form, bytes memory content, bytes32 id) internal pure {
        uint64 number = outbox.first + outbox.count;
        outbox.value = keccak256(abi.encodePacked(T_OUTBOX, outbox.value, number, outbox.height, id));
        outbox.entries = abi.encodePacked(outbox.entries, outbox.height, form, content);
        outbox.count += 1;
    }

    function pushPacket(Outbox memory outbox, bytes memory packet) internal pure {
        push(outbox, 1, packet, packetId(packet));
    }

    function pushPacketHash(Outbox memory outbox, bytes memory packet) internal pure {
        (bytes memory header, bytes32 bodyHash) = split(packet);
        push(outbox, 2, abi.encodePacked(header, bodyHash), packetId(packet));
    }

    function pushBare(Outbox memory outbox, bytes32 id) internal pure {
        push(outbox, 0, abi.encodePacked(id), id);
    }

    function pushVerdicts(Outbox memory outbox, bytes memory verdicts) internal pure {
        push(outbox, 6, verdicts, keccak256(abi.encodePacked(keccak256("PIEBRIDGE/VERDICT/v1"), verdicts)));
    }

    function receiptHome(bytes memory packet, uint8 code, bytes memory returned) internal pure returns (bytes memory) {
        (bytes memory header, bytes32 bodyHash) = split(packet);
        return abi.encodePacked(header, bodyHash, code, uint16(returned.length), returned);
    }

    function pushReceiptHome(Outbox memory outbox, bytes memory packet, uint8 code, bytes memory returned)
        internal
        pure
    {
        bytes32 id = keccak256(
            abi.encodePacked(keccak256("PIEBRIDGE/RECEIPT_HOME/v1"), packetId(packet), code, keccak256(returned))
        );
        push(outbox, 5, receiptHome(packet, code, returned), id);
    }

    function rangeOf(Outbox memory outbox) internal pure returns (bytes memory) {
        return abi.encodePacked(outbox.first, outbox.start, outbox.count, outbox.entries);
    }

    function lastOf(Outbox memory outbox) internal pure returns (uint64) {
        return outbox.first + outbox.count - 1;
    }

    /// @dev The envelope of what was pushed, endorsed by the set of the epoch.
    function envelope(Outbox memory outbox, uint32 domain, uint32 epoch) internal pure returns (bytes memory) {
        bytes memory proof = endorse(domain, outbox.relay, SELF, epoch, lastOf(outbox), outbox.value);
        return abi.encodePacked(domain, outbox.relay, endorserSet(epoch), proof, rangeOf(outbox));
    }

    /// @dev Gives the hub what was pushed and begins the next range.
    function deliver(Outbox memory outbox) internal {
        hub.receiveRange(envelope(outbox, DOMAIN, 1));
        advance(outbox);
    }

    function advance(Outbox memory outbox) internal pure {
        outbox.first += outbox.count;
        outbox.start = outbox.value;
        outbox.count = 0;
        outbox.entries = "";
        outbox.height += 1;
    }

    // ------------------------------------------------------------------------------------------------------------ packets

    struct Fields {
        uint8 transportFlags;
        uint32 domain;
        uint32 source;
        uint32 destination;
        uint32 relay;
        uint32 channel;
        uint64 sequence;
        uint8 protocol;
        uint8 transactionFlags;
        uint64 nonce;
        uint40 deadline;
        uint40 execExpiry;
        uint32 gasLimit;
        uint32 application;
        uint32 functionId;
        uint32 callback;
        bytes body;
    }

    function freeFields(uint64 sequence, uint32 application, bytes memory body)
        internal
        pure
        returns (Fields memory fields)
    {
        fields.transportFlags = 2;
        fields.domain = DOMAIN;
        fields.source = PEER;
        fields.destination = SELF;
        fields.sequence = sequence;
        fields.protocol = 4;
        fields.gasLimit = 400_000;
        fields.application = application;
        fields.functionId = 1;
        fields.body = body;
    }

    function boundFields(uint64 sequence, uint32 application, bytes memory body)
        internal
        view
        returns (Fields memory fields)
    {
        fields = freeFields(sequence, application, body);
        fields.transportFlags = 0;
        fields.relay = RELAY;
        fields.protocol = 2;
        fields.nonce = sequence;
        fields.execExpiry = uint40(block.timestamp + 600);
        fields.deadline = uint40(block.timestamp + 600);
    }

    function encode(Fields memory f) internal pure returns (bytes memory) {
        bytes memory transport = abi.encodePacked(
            uint8(1),
            uint8(f.transportFlags & 1 == 1 ? 2 : 1),
            f.transportFlags,
            uint8(17),
            f.domain,
            f.source,
            f.destination,
            f.relay,
            f.channel,
            f.sequence
        );
        bool request = f.relay != 0;
        bytes memory transaction = abi.encodePacked(
            f.protocol,
            uint8(0),
            uint8(request ? 1 : 0),
            f.transactionFlags,
            uint8(0),
            uint8(request ? 1 : 0),
            request ? f.source : 0,
            f.nonce,
            f.deadline,
            f.execExpiry,
            f.gasLimit
        );
        bytes memory application = abi.encodePacked(
            f.application,
            f.functionId,
            f.callback,
            uint32(0),
            uint8(0),
            uint8(0),
            uint16(0),
            uint32(f.body.length),
            uint64(0)
        );
        return abi.encodePacked(
            transport, bytes8(0x0100000000000000), transaction, application, bytes32(uint256(0xabcdef)), f.body
        );
    }

    function split(bytes memory packet) internal pure returns (bytes memory header, bytes32 bodyHash) {
        header = slice(packet, 0, 136);
        bodyHash = keccak256(slice(packet, 136, packet.length - 136));
    }

    function packetId(bytes memory packet) internal pure returns (bytes32) {
        (bytes memory header, bytes32 bodyHash) = split(packet);
        return keccak256(abi.encodePacked(T_PACKET, header, bodyHash));
    }

    function slice(bytes memory data, uint256 offset, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            part[i] = data[offset + i];
        }
    }

    // ------------------------------------------------------------------------------------------------------------ what the hub has made

    /// @dev The packets that the hub has sent since `vm.recordLogs`.
    function sentPackets() internal returns (bytes[] memory packets) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        uint256 count;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == IHubEvents.PacketSent.selector) count++;
        }
        packets = new bytes[](count);
        count = 0;
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == IHubEvents.PacketSent.selector) {
                packets[count++] = logs[i].data;
            }
        }
    }

    /// @dev The receipts (section 6.2) that the hub has made since `vm.recordLogs`; empty if none.
    function madeReceipts() internal returns (bytes memory receipts) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == IHubEvents.ReceiptsMade.selector) receipts = logs[i].data;
        }
    }

    function slotOf(uint256 base, uint256 key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, base));
    }

    function read(uint256 base, uint256 key) internal view returns (uint256) {
        return uint256(vm.load(address(hub), slotOf(base, key)));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hub} from "../../src/hub/Hub.sol";
import {HubStorage} from "../../src/hub/HubStorage.sol";
import {IHub} from "../../src/interfaces/IHub.sol";
import {IHubCore} from "../../src/interfaces/IHubCore.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {FrostSigner} from "../crypto/FrostSigner.sol";
import {Vectors} from "../Vectors.sol";
import {Vm} from "../Vm.sol";

/// @notice Real hubs for the values of the vectors, set up by governor messages, and envelopes endorsed by the vectors' test keys.
/// @dev Nothing is written to a hub's storage but counters of lanes and transactions (slots that the formats name), which no test can drive to 2^64.
abstract contract VectorHub is Vectors, FrostSigner {
    uint32 internal constant MAX_GAS = 1_000_000;
    uint32 internal constant MAX_BODY = 8192;
    uint64 internal constant LAST_U64 = type(uint64).max;

    // Values that the hand-written vectors have in common.
    uint32 internal constant DOMAIN = 1;
    uint32 internal constant SOURCE = 11;
    uint32 internal constant DESTINATION = 22;
    uint32 internal constant RELAY = 5;

    IHub internal hub;
    uint32 internal registration;
    uint256 internal governorSecret;
    bytes internal groupKey;
    mapping(IHub => mapping(uint32 domain => uint64)) internal counters;

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        string memory json = vectors("governor_messages");
        governorSecret = uint256(vm.parseJsonBytes32(json, ".secret"));
        groupKey = vm.parseJsonBytes(json, ".group_key");
    }

    // ------------------------------------------------------------------------------------------------------------ hubs

    function deployHub(uint256 registration_) internal {
        deployHub(registration_, true);
    }

    function deployHub(uint256 registration_, bool dev) internal {
        registration = uint32(registration_);
        hub = IHub(address(new Hub(_binding(registration, dev), groupKey)));
    }

    /// @dev A hub at an address that a vector names: the constructor runs there.
    function deployHubAt(address target, uint256 registration_) internal {
        registration = uint32(registration_);
        vm.etch(target, bytes.concat(vm.getCode("Hub.sol:Hub"), abi.encode(_binding(registration, true), groupKey)));
        (bool success, bytes memory code) = target.call("");
        assertTrue(success, "constructor");
        vm.etch(target, code);
        hub = IHub(target);
    }

    function _binding(uint32 registration_, bool dev) private view returns (HubStorage.Binding memory) {
        return HubStorage.Binding(registration_, uint64(block.chainid), MAX_GAS, dev, false);
    }

    function openDomain(uint256 domain) internal {
        mustGovern(domain, 2, abi.encodePacked(MAX_BODY, uint32(0), type(uint32).max));
        mustGovern(domain, 15, abi.encodePacked(uint8(3), uint8(255), type(uint16).max));
    }

    /// @dev Registers a relay chain with the endorsers of these tests and makes it active.
    function openRelay(uint256 domain, uint256 relay) internal {
        openRelay(domain, relay, endorserSet());
    }

    function openRelay(uint256 domain, uint256 relay, bytes memory set) internal {
        mustGovern(domain, 3, abi.encodePacked(uint32(relay), keccak256("genesis"), set));
        mustGovern(domain, 4, abi.encodePacked(uint32(relay), uint8(2)));
    }

    function registerApplication(uint256 application, address account) internal {
        mustGovern(0, 8, abi.encodePacked(uint32(application), account, uint16(0x15)));
    }

    /// @dev After another one, so that the lanes toward `peer` count in slots of their own.
    function registerPeer(uint256 domain, uint256 peer, uint256 chainId) internal {
        mustGovern(domain, 7, abi.encodePacked(uint32(0xfeedf00d), uint64(0), type(uint32).max, uint8(1)));
        mustGovern(domain, 7, abi.encodePacked(uint32(peer), uint64(chainId), type(uint32).max, uint8(1)));
    }

    function routeEverything(uint256 domain, uint256 relay) internal {
        mustGovern(domain, 6, abi.encodePacked(uint32(1), uint8(1), uint32(relay), uint16(0), uint16(1024)));
    }

    // ------------------------------------------------------------------------------------------------------------ governors

    function governorMessage(uint256 domain, uint256 kind, uint64 counter, bytes memory body)
        internal
        returns (bytes memory)
    {
        (,, uint32 epoch) = hub.governorKey();
        bytes memory prefix = abi.encodePacked(uint32(domain), registration, epoch, uint8(kind));
        bytes32 digest =
            keccak256(abi.encodePacked(keccak256("PIEBRIDGE/GOVERNOR_HUB/v1"), prefix, address(hub), counter, body));
        bytes memory signature = frostSign(governorSecret, uint256(digest) % 1e70 + 1, abi.encodePacked(digest));
        return abi.encodePacked(uint8(1), uint8(1), prefix, address(hub), counter, uint16(body.length), body, signature);
    }

    /// @dev Sends the next ordered message. The reason why it was not executed; empty if it was.
    function govern(uint256 domain, uint256 kind, bytes memory body) internal returns (bytes memory reason) {
        uint64 counter = ++counters[hub][uint32(domain)];
        bytes memory message = governorMessage(domain, kind, counter, body);
        vm.recordLogs();
        hub.governor(message);
        return handled(domain, kind, counter);
    }

    /// @dev Reads the event of the governor message that was taken last since `vm.recordLogs`.
    function handled(uint256 domain, uint256 kind, uint64 counter) internal returns (bytes memory reason) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        assertEq(last.topics[0], IHubEvents.GovernorMessageHandled.selector, "event of a governor message");
        assertEq(uint256(last.topics[1]), domain, "domain in the event");
        assertEq(uint256(last.topics[2]), counter, "counter in the event");
        (uint8 kind_, bool done, bytes memory reason_) = abi.decode(last.data, (uint8, bool, bytes));
        assertEq(kind_, kind, "kind in the event");
        assertTrue(done == (reason_.length == 0), "reason exactly when not done");
        return reason_;
    }

    function mustGovern(uint256 domain, uint256 kind, bytes memory body) internal {
        assertEq(govern(domain, kind, body), "", "governor message was not executed");
    }

    // ------------------------------------------------------------------------------------------------------------ endorsers

    function testKey(uint256 number) internal pure returns (uint256) {
        return uint256(keccak256(bytes(string.concat("piebridge test key ", vm.toString(number)))));
    }

    /// @dev Test keys 1 to 4, three sign; epoch 1.
    function endorserSet() internal pure returns (bytes memory set) {
        set = abi.encodePacked(uint32(1), uint8(1), uint8(3), uint8(4));
        for (uint256 i = 1; i <= 4; i++) {
            set = abi.encodePacked(set, vm.addr(testKey(i)));
        }
    }

    function endorsementDigest(uint256 domain, uint256 relay, uint32 epoch, uint256 number, bytes32 value)
        internal
        view
        returns (bytes32)
    {
        bytes memory prefix = abi.encodePacked(uint32(domain), registration, epoch, uint8(1));
        return
            keccak256(abi.encodePacked(keccak256("PIEBRIDGE/ENDORSE/v1"), prefix, uint32(relay), uint64(number), value));
    }

    /// @dev The range with `value` as entry `last`, endorsed by the members 0, 1 and 3 toward this hub.
    function envelopeOf(uint256 domain, uint256 relay, bytes memory range, uint256 last, bytes32 value)
        internal
        view
        returns (bytes memory)
    {
        bytes32 digest = endorsementDigest(domain, relay, 1, last, value);
        bytes memory proof = abi.encodePacked(uint32(11));
        uint8[3] memory keys = [1, 2, 4];
        for (uint256 i = 0; i < 3; i++) {
            (uint8 v, bytes32 r, bytes32 s) = vm.sign(testKey(keys[i]), digest);
            proof = abi.encodePacked(proof, r, s, v);
        }
        return abi.encodePacked(uint32(domain), uint32(relay), endorserSet(), proof, range);
    }

    /// @dev A range of one entry, endorsed.
    function envelopeOfEntry(uint256 domain, uint256 relay, uint8 form, bytes memory content, bytes32 messageId)
        internal
        view
        returns (bytes memory)
    {
        bytes32 start = keccak256("start");
        bytes memory range = abi.encodePacked(uint64(1), start, uint16(1), uint64(100), form, content);
        return envelopeOf(domain, relay, range, 1, fold(start, 1, 100, messageId));
    }

    function fold(bytes32 previous, uint256 number, uint256 height, bytes32 messageId) internal pure returns (bytes32) {
        return keccak256(
            abi.encodePacked(keccak256("PIEBRIDGE/OUTBOX/v1"), previous, uint64(number), uint64(height), messageId)
        );
    }

    // ------------------------------------------------------------------------------------------------------------ storage

    function load(bytes32 slot) internal view returns (uint256) {
        return uint256(vm.load(address(hub), slot));
    }

    function slotOf(uint256 base, uint256 key) internal pure returns (bytes32) {
        return keccak256(abi.encode(key, base));
    }

    function laneKey(uint256 domain, uint256 peer, uint256 relay, uint256 channel) internal pure returns (uint256) {
        return (domain << 96) | (peer << 64) | (relay << 32) | channel;
    }

    /// @dev Sets the lowest 64 bits of a lane's slot.
    function setLane(bytes32 slot, uint256 sequence) internal {
        vm.store(address(hub), slot, bytes32((load(slot) >> 64 << 64) | sequence));
    }

    /// @dev Sets the last nonce in a head.
    function setNonce(bytes32 slot, uint256 nonce) internal {
        uint256 mask = uint256(LAST_U64) << 64;
        vm.store(address(hub), slot, bytes32((load(slot) & ~mask) | (nonce << 64)));
    }

    /// @dev A hash over the proven slots that the hand-written vectors can reach.
    function fingerprint(uint256 domain, uint256 relay) internal view returns (bytes32) {
        uint256 outbox = (domain << 32) | relay;
        return keccak256(
            abi.encode(
                load(slotOf(0, outbox)),
                load(slotOf(1, outbox)),
                load(slotOf(0, domain << 32)),
                load(slotOf(1, domain << 32)),
                load(slotOf(2, (domain << 160) | (relay << 96))),
                load(slotOf(12, relay)),
                hub.counterOf(uint32(domain)),
                hub.counterOf(0),
                load(bytes32(uint256(8)))
            )
        );
    }

    // ------------------------------------------------------------------------------------------------------------ bytes

    function slice(bytes memory data, uint256 offset, uint256 length) internal pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            part[i] = data[offset + i];
        }
    }

    function unsigned(bytes memory data, uint256 offset, uint256 length) internal pure returns (uint256 value) {
        for (uint256 i = 0; i < length; i++) {
            value = (value << 8) | uint8(data[offset + i]);
        }
    }

    /// @dev The data of the only event with this topic that the hub emitted since `vm.recordLogs`; empty if there was none.
    function dataOf(bytes32 topic) internal returns (bytes memory data) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] != topic || logs[i].emitter != address(hub)) continue;
            assertTrue(data.length == 0, "event twice");
            data = logs[i].data;
        }
    }

    function assertReason(bytes memory reason, bytes4 expected, string memory what) internal pure {
        assertEq(bytes32(bytes4(reason)), bytes32(expected), what);
    }
}

/// @notice An application that takes everything, remembers a hash of what it was told last and returns a packet's body unless it is too long.
contract Recorder {
    bytes32 public told;

    function onPacket(bytes32 packetId, bytes calldata packet) external returns (bytes memory) {
        told = keccak256(abi.encode(packetId, packet));
        return packet.length <= 136 + 256 ? packet[136:] : packet[:0];
    }

    function onReceipt(bytes32 packetId, bytes calldata header, uint8 code, bytes calldata returned) external {
        told = keccak256(abi.encode(packetId, header, code, returned));
    }

    function onAbort(bytes32 packetId, bytes calldata packet) external {
        told = keccak256(abi.encode(packetId, packet));
    }

    function onGovernor(bytes calldata data) external {
        told = keccak256(data);
    }

    function send(IHub hub, bytes calldata packet) external returns (bytes32) {
        // What the hub writes itself is left zero: see IHubCore.send.
        bytes32 transport =
            bytes32(packet[:32]) & bytes32(~(uint256(0xfffffdff) << 224 | 0xffffffff << 160 | 0xffffffffffffffff));
        bytes32 transaction = bytes32(packet[40:72]);
        transaction &= bytes32(
            ~(uint256(0xff) << 232 | uint256(0xff) << 216 | uint256(0xff) << 208 | 0xffffffffffffffffffffffff << 112)
        );
        bytes32 application = bytes32(packet[72:104]) & bytes32(~(uint256(0xffffffff) << 224 | 0xffffffff << 64));
        return
            hub.send(transport, bytes8(packet[32:40]), transaction, application, bytes32(packet[104:136]), packet[136:]);
    }

    function openChannel(IHub hub, uint8 protocol) external returns (uint32) {
        return hub.openChannel(protocol);
    }
}

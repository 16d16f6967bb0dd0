// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Hub} from "../../src/hub/Hub.sol";
import {HubStorage} from "../../src/hub/HubStorage.sol";
import {Calldata} from "../../src/hub/Calldata.sol";
import {PacketHeader} from "../../src/hub/PacketHeader.sol";
import {TransactionLayer} from "../../src/hub/TransactionLayer.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Vectors} from "../Vectors.sol";
import {Vm} from "../Vm.sol";

/// @notice Opens what is internal to a hub.
contract LayerHarness is TransactionLayer {
    constructor() HubStorage(HubStorage.Binding(1, uint64(block.chainid), 0, true, false)) {}

    function isWellFormed(bytes calldata packet) external pure returns (bool) {
        uint256 offset = Calldata.start(packet);
        if (packet.length < PacketHeader.SIZE || !PacketHeader.isWellFormed(offset)) return false;
        return PacketHeader.bodyLength(Calldata.word(offset + 72)) == packet.length - PacketHeader.SIZE;
    }

    function packetId(bytes calldata packet) external pure returns (bytes32) {
        return PacketHeader.packetId(Calldata.start(packet), packet.length - PacketHeader.SIZE);
    }

    function openRange(bytes calldata range) external pure returns (uint256 last, bytes32 value) {
        Range memory opened = _openRange(Calldata.start(range), Calldata.start(range) + range.length);
        return (opened.last, opened.value);
    }

    function receiptHomeId(bytes calldata data) external pure returns (bytes32) {
        uint256 offset = Calldata.start(data);
        if (_contentEnd(FORM_RECEIPT_HOME, offset) != offset + data.length) revert MalformedRange();
        return _receiptHomeId(offset, offset + data.length);
    }

    function verdictsEnd(bytes calldata data) external pure {
        uint256 offset = Calldata.start(data);
        if (_contentEnd(FORM_VERDICTS, offset) != offset + data.length) revert MalformedRange();
    }

    function slot(uint256 base, uint256 key) external pure returns (uint256) {
        return _slotOf(base, key);
    }
}

contract HubVectorsTest is Vectors {
    /// Where HubStorage keeps what these tests put there: base slots behind the proven ones.
    uint256 private constant CURRENT_SET = 11;
    uint256 private constant COUNTERS = 20;
    uint256 private constant GOVERNOR_KEY_X = 22;
    uint256 private constant GOVERNOR_KEY_EPOCH = 23;

    LayerHarness private _harness;

    function setUp() public {
        _harness = new LayerHarness();
    }

    function _newHub(uint32 registration, bytes memory groupKey) private returns (Hub) {
        return new Hub(HubStorage.Binding(registration, uint64(block.chainid), 1_000_000, true, false), groupKey);
    }

    function _anyKey() private returns (bytes memory) {
        Vm.Wallet memory wallet = vm.createWallet(uint256(77));
        return abi.encodePacked(uint8(2 + (wallet.publicKeyY & 1)), wallet.publicKeyX);
    }

    function testPackets() public view {
        string memory json = vectors("packets");
        uint256 count = countOf(json, "valid");
        for (uint256 i = 0; i < count; i++) {
            bytes memory packet = bytesAt(json, "valid", i, "packet");
            assertTrue(_harness.isWellFormed(packet), "valid packet refused");
            assertEq(_harness.packetId(packet), bytes32At(json, "valid", i, "packet_id"), "packet id");
        }
        count = countOf(json, "refused");
        for (uint256 i = 0; i < count; i++) {
            assertTrue(!_harness.isWellFormed(bytesAt(json, "refused", i, "data")), nameAt(json, "refused", i));
        }
    }

    function testRanges() public view {
        string memory json = vectors("outboxes");
        uint256 count = countOf(json, "ranges");
        uint256 fromRelay;
        for (uint256 i = 0; i < count; i++) {
            // Registration 0: the range is of a relay chain's outbox.
            if (uintAt(json, "ranges", i, "registration") != 0) continue;
            (uint256 last, bytes32 value) = _harness.openRange(bytesAt(json, "ranges", i, "range"));
            assertEq(last, uintAt(json, "ranges", i, "last"), "last");
            assertEq(value, bytes32At(json, "ranges", i, "value"), "value");
            fromRelay++;
        }
        assertTrue(fromRelay != 0, "no range of a relay chain");
        count = countOf(json, "refused_from_relay_chain");
        for (uint256 i = 0; i < count; i++) {
            bytes memory range = bytesAt(json, "refused_from_relay_chain", i, "data");
            try _harness.openRange(range) {
                assertTrue(false, nameAt(json, "refused_from_relay_chain", i));
            } catch (bytes memory reason) {
                assertEq(bytes32(bytes4(reason)), bytes32(IHubEvents.MalformedRange.selector), "error");
            }
        }
    }

    function testMessages() public view {
        string memory json = vectors("messages");
        uint256 count = countOf(json, "receipts_home");
        for (uint256 i = 0; i < count; i++) {
            bytes32 id = _harness.receiptHomeId(bytesAt(json, "receipts_home", i, "data"));
            assertEq(id, bytes32At(json, "receipts_home", i, "message_id"), "receipt home");
        }
        count = countOf(json, "refused_receipts_home");
        for (uint256 i = 0; i < count; i++) {
            try _harness.receiptHomeId(bytesAt(json, "refused_receipts_home", i, "data")) {
                assertTrue(false, nameAt(json, "refused_receipts_home", i));
            } catch {}
        }
        count = countOf(json, "verdicts");
        for (uint256 i = 0; i < count; i++) {
            _harness.verdictsEnd(bytesAt(json, "verdicts", i, "data"));
        }
        count = countOf(json, "refused_verdicts");
        for (uint256 i = 0; i < count; i++) {
            try _harness.verdictsEnd(bytesAt(json, "refused_verdicts", i, "data")) {
                assertTrue(false, nameAt(json, "refused_verdicts", i));
            } catch {}
        }
    }

    function testSlots() public view {
        string memory json = vectors("identities");
        uint256 count = countOf(json, "slots");
        uint256 checked;
        for (uint256 i = 0; i < count; i++) {
            bytes32 name = keccak256(bytes(nameAt(json, "slots", i)));
            uint256 domain = uintAt(json, "slots", i, "domain");
            uint256 peer = uintAt(json, "slots", i, "peer");
            uint256 relay = uintAt(json, "slots", i, "relay");
            uint256 channel = uintAt(json, "slots", i, "channel");
            uint256 sequence = uintAt(json, "slots", i, "sequence");
            uint256 nonce = uintAt(json, "slots", i, "nonce");
            uint256 lane = (domain << 96) | (peer << 64) | (relay << 32) | channel;
            uint256 base;
            uint256 key;
            if (name == keccak256("chain")) {
                (base, key) = (0, (domain << 32) | relay);
            } else if (name == keccak256("chain of the free outbox")) {
                (base, key) = (0, domain << 32);
            } else if (name == keccak256("head")) {
                (base, key) = (1, (domain << 32) | relay);
            } else if (name == keccak256("status")) {
                (base, key) = (2, (lane << 64) | (sequence >> 7));
            } else if (name == keccak256("origin status")) {
                (base, key) = (2, (domain << 160) | (relay << 96) | (nonce >> 7));
            } else if (name == keccak256("seen")) {
                (base, key) = (3, (domain << 128) | (peer << 96) | (channel << 64) | (sequence >> 8));
            } else if (name == keccak256("receipts")) {
                (base, key) = (4, (lane << 64) | (sequence >> 8));
            } else if (name == keccak256("send lane")) {
                (base, key) = (5, lane);
            } else if (name == keccak256("receive lane")) {
                (base, key) = (6, lane);
            } else if (name == keccak256("settlement")) {
                (base, key) = (7, (relay << 64) | nonce);
            } else {
                assertEq(name, keccak256("closed"), "unknown slot");
                assertEq(bytes32At(json, "slots", i, "slot"), bytes32(uint256(8)), "closed");
                continue;
            }
            assertEq(bytes32(_harness.slot(base, key)), bytes32At(json, "slots", i, "slot"), nameAt(json, "slots", i));
            checked++;
        }
        assertTrue(checked > 50, "slots checked");
    }

    /// Envelopes that Python has made and signed go through a whole hub; those that it must not believe do not.
    function testEnvelopes() public {
        string memory json = vectors("endorsements");
        bytes memory key = _anyKey();
        uint256 count = countOf(json, "envelopes");
        for (uint256 i = 0; i < count; i++) {
            Hub hub = _newHub(uint32(uintAt(json, "envelopes", i, "destination")), key);
            _acceptSet(hub, uintAt(json, "envelopes", i, "relay"), bytes32At(json, "envelopes", i, "set_hash"));
            bytes memory envelope = bytesAt(json, "envelopes", i, "envelope");
            hub.receiveRange(envelope);
            // Without its set nothing of it is believed.
            _acceptSet(hub, uintAt(json, "envelopes", i, "relay"), 0);
            vm.expectRevert(IHubEvents.UnknownSet.selector);
            hub.receiveRange(envelope);
        }
        count = countOf(json, "unbelievable_envelopes");
        for (uint256 i = 0; i < count; i++) {
            bytes memory envelope = bytesAt(json, "unbelievable_envelopes", i, "data");
            Hub hub = _newHub(uint32(uintAt(json, "unbelievable_envelopes", i, "destination")), key);
            _acceptSet(hub, _u32(envelope, 4), _setHash(envelope));
            vm.expectRevert(IHubEvents.NotEndorsed.selector);
            hub.receiveRange(envelope);
        }
        count = countOf(json, "refused_envelopes");
        for (uint256 i = 0; i < count; i++) {
            bytes memory envelope = bytesAt(json, "refused_envelopes", i, "data");
            Hub hub = _newHub(22, key);
            if (envelope.length > 15) _acceptSet(hub, _u32(envelope, 4), _setHash(envelope));
            try hub.receiveRange(envelope) {
                assertTrue(false, nameAt(json, "refused_envelopes", i));
            } catch {}
        }
    }

    function testEquivocations() public {
        string memory json = vectors("endorsements");
        uint256 count = countOf(json, "equivocations");
        for (uint256 i = 0; i < count; i++) {
            bytes memory first = bytesAt(json, "equivocations", i, "first");
            bytes memory second = bytesAt(json, "equivocations", i, "second");
            Hub hub = _newHub(22, _anyKey());
            uint32 relay = _u32(first, 4);
            _acceptSet(hub, relay, _setHash(first));
            vm.expectRevert(IHubEvents.NoEquivocation.selector);
            hub.reportEquivocation(first, first);
            if (_setHash(first) != _setHash(second)) {
                // The second statement is of the next set: both are accepted during the overlap only.
                _acceptPrevious(hub, relay, _setHash(first), _setHash(second));
            }
            hub.reportEquivocation(first, second);
            (, uint8 state,,,) = hub.relayOf(relay);
            assertEq(state, 4, "frozen");
        }
    }

    function testGovernorMessages() public {
        string memory json = vectors("governor_messages");
        bytes memory key = vm.parseJsonBytes(json, ".group_key");
        uint256 count = countOf(json, "to_hub");
        for (uint256 i = 0; i < count; i++) {
            bytes memory message = bytesAt(json, "to_hub", i, "message");
            Hub hub = _hubAt(json, i, key);
            if (vm.parseJsonBool(json, pathOf("to_hub", i, "ordered"))) {
                uint32 domain = uint32(uintAt(json, "to_hub", i, "domain"));
                uint64 counter = uint64(uintAt(json, "to_hub", i, "counter"));
                vm.store(address(hub), bytes32(_harness.slot(COUNTERS, domain)), bytes32(uint256(counter - 1)));
                hub.governor(message);
                assertEq(hub.counterOf(domain), counter, "counter");
                vm.expectRevert();
                hub.governor(message);
            } else {
                // What it names is unknown to this hub, so it is refused, but not for its signature.
                try hub.governor(message) {
                    assertTrue(false, "unordered message about nothing");
                } catch (bytes memory reason) {
                    bytes4 selector = bytes4(reason);
                    assertTrue(
                        selector == IHubEvents.NotPossible.selector || selector == IHubEvents.MalformedBody.selector,
                        "refused for another reason"
                    );
                }
            }
            message[message.length - 1] ^= 0x01;
            vm.expectRevert();
            hub.governor(message);
        }
        count = countOf(json, "refused");
        for (uint256 i = 0; i < count; i++) {
            try _newHub(11, key).governor(bytesAt(json, "refused", i, "data")) {
                assertTrue(false, nameAt(json, "refused", i));
            } catch {}
        }
    }

    function testGovernorBodies() public {
        string memory json = vectors("governor_messages");
        Hub hub = _newHub(11, _anyKey());
        uint256 count = countOf(json, "refused_bodies");
        uint256 toHub;
        for (uint256 i = 0; i < count; i++) {
            if (keccak256(bytes(vm.parseJsonString(json, pathOf("refused_bodies", i, "target")))) != keccak256("hub")) {
                continue;
            }
            uint8 kind = uint8(uintAt(json, "refused_bodies", i, "kind"));
            bytes memory body = bytesAt(json, "refused_bodies", i, "data");
            bool whole = kind == 8 || kind == 12 || kind == 13 || kind == 14;
            vm.prank(address(hub));
            vm.expectRevert(IHubEvents.MalformedBody.selector);
            hub.execute(whole ? 0 : 7, kind, body);
            toHub++;
        }
        assertTrue(toHub > 20, "bodies to a hub");
    }

    /// A hub that lies where the message says, with the key and the epoch that it was signed for.
    function _hubAt(string memory json, uint256 i, bytes memory key) private returns (Hub hub) {
        address target = address(bytes20(bytesAt(json, "to_hub", i, "contract")));
        Hub original = _newHub(uint32(uintAt(json, "to_hub", i, "target")), key);
        vm.etch(target, address(original).code);
        hub = Hub(target);
        for (uint256 slot = GOVERNOR_KEY_X; slot <= GOVERNOR_KEY_EPOCH; slot++) {
            vm.store(target, bytes32(slot), vm.load(address(original), bytes32(slot)));
        }
        uint256 packed = uint256(vm.load(target, bytes32(GOVERNOR_KEY_EPOCH)));
        uint256 epoch = uintAt(json, "to_hub", i, "key_epoch");
        vm.store(target, bytes32(GOVERNOR_KEY_EPOCH), bytes32((packed & 0xff) | (epoch << 8)));
        (, uint8 prefix, uint32 actual) = hub.governorKey();
        assertEq(actual, epoch, "key epoch");
        assertEq(prefix, uint8(key[0]), "key prefix");
    }

    function _acceptSet(Hub hub, uint256 relay, bytes32 setHash) private {
        vm.store(address(hub), bytes32(_harness.slot(CURRENT_SET, relay)), setHash & ~bytes32(uint256(0xff)));
    }

    function _acceptPrevious(Hub hub, uint256 relay, bytes32 previous, bytes32 current) private {
        _acceptSet(hub, relay, current);
        vm.store(address(hub), bytes32(_harness.slot(12, relay)), previous & ~bytes32(uint256(0xff)));
        // overlapUntil lies behind domain u32, state u8, epoch u32.
        vm.store(address(hub), bytes32(_harness.slot(13, relay)), bytes32((block.timestamp + 100) << 72));
    }

    function _u32(bytes memory data, uint256 offset) private pure returns (uint32 value) {
        for (uint256 i = 0; i < 4; i++) {
            value = (value << 8) | uint8(data[offset + i]);
        }
    }

    /// Hash of the set of an envelope or a statement: domain and relay are in front of it.
    function _setHash(bytes memory data) private pure returns (bytes32) {
        uint256 length = 15 + (uint8(data[12]) == 1 ? 20 * uint256(uint8(data[14])) : 33);
        if (length > data.length) length = data.length;
        bytes memory set = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            set[i] = data[i];
        }
        return keccak256(abi.encodePacked(keccak256("PIEBRIDGE/ENDORSEMENT_SET/v1"), set));
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    TAG_ENDORSE,
    TAG_ENDORSEMENT_SET,
    TAG_GOVERNOR_HUB,
    TAG_OUTBOX,
    TAG_OUTBOX_OPEN_HUB,
    TAG_PACKET,
    TAG_PACKETS,
    TAG_RECEIPT,
    TAG_RECEIPT_HOME,
    TAG_REPORT,
    TAG_VERDICT
} from "../../src/hub/Tags.sol";
import {Recorder, VectorHub} from "./VectorHub.sol";

/// @notice Sections 1, 6.1 and 7 against identities.json: every slot that the vectors state holds, in a real hub, what the formats say.
contract IdentityVectorsTest is VectorHub {
    struct Place {
        uint256 domain;
        uint256 peer;
        uint256 relay;
        uint256 channel;
        uint256 sequence;
        uint256 nonce;
    }

    uint256 private constant SLOTS_OF_A_PLACE = 12;

    function testTags() public view {
        // Those that a hub hashes with.
        bytes32[11] memory own = [
            TAG_PACKET,
            TAG_PACKETS,
            TAG_OUTBOX,
            TAG_OUTBOX_OPEN_HUB,
            TAG_RECEIPT,
            TAG_RECEIPT_HOME,
            TAG_VERDICT,
            TAG_REPORT,
            TAG_ENDORSE,
            TAG_ENDORSEMENT_SET,
            TAG_GOVERNOR_HUB
        ];
        string memory json = vectors("identities");
        uint256 count = countOf(json, "tags");
        uint256 found;
        for (uint256 i = 0; i < count; i++) {
            bytes32 tag = bytes32At(json, "tags", i, "tag");
            assertEq(keccak256(bytes(string.concat("PIEBRIDGE/", nameAt(json, "tags", i), "/v1"))), tag, "tag");
            for (uint256 j = 0; j < own.length; j++) {
                if (own[j] == tag) found++;
            }
        }
        assertEq(found, own.length, "tags of a hub");
    }

    /// A hub never needs a transaction's id; it gives it out in parts. Whoever watches it puts them together so.
    function testTransactionIds() public view {
        string memory json = vectors("identities");
        uint256 count = countOf(json, "transactions");
        for (uint256 i = 0; i < count; i++) {
            bytes memory name = abi.encodePacked(
                keccak256("PIEBRIDGE/TX/v1"),
                uint32(uintAt(json, "transactions", i, "domain")),
                uint32(uintAt(json, "transactions", i, "origin")),
                bytesAt(json, "transactions", i, "hub"),
                uint32(uintAt(json, "transactions", i, "relay")),
                uint64(uintAt(json, "transactions", i, "nonce"))
            );
            assertEq(keccak256(name), bytes32At(json, "transactions", i, "transaction_id"), "transaction id");
        }
    }

    // ------------------------------------------------------------------------------------------------------------ slots

    function testSlots() public {
        string memory json = vectors("identities");
        uint256 count = countOf(json, "slots");
        assertEq(count % SLOTS_OF_A_PLACE, 0, "slots");
        for (uint256 i = 0; i < count; i += SLOTS_OF_A_PLACE) {
            Place memory place = Place({
                domain: uintAt(json, "slots", i, "domain"),
                peer: uintAt(json, "slots", i, "peer"),
                relay: uintAt(json, "slots", i, "relay"),
                channel: uintAt(json, "slots", i, "channel"),
                sequence: uintAt(json, "slots", i, "sequence"),
                nonce: uintAt(json, "slots", i, "nonce")
            });
            _openHub(place);
            uint256 state = vm.snapshotState();
            assertEq(load(_slot(json, i, "head peer")), 0xfeedf00d, "head peer");
            _checkOutboxes(place, _slot(json, i, "chain"), _slot(json, i, "head"));
            _checkFreeOutbox(place, _slot(json, i, "chain of the free outbox"));
            vm.revertToState(state);
            _checkStatus(place, _slot(json, i, "status"));
            vm.revertToState(state);
            _checkOwnStatus(
                place, _slot(json, i, "origin status"), _slot(json, i, "settlement"), _slot(json, i, "head")
            );
            vm.revertToState(state);
            _checkSeen(place, _slot(json, i, "seen"));
            vm.revertToState(state);
            _checkReceipt(place, _slot(json, i, "receipts"), _slot(json, i, "send lane"));
            vm.revertToState(state);
            _checkReceiveLane(place, _slot(json, i, "receive lane"));
            vm.revertToState(state);
            _checkSettled(place, _slot(json, i, "settlement"), _slot(json, i, "head"));
            vm.revertToState(state);
            vm.roll(123_456);
            mustGovern(0, 12, "");
            assertEq(load(_slot(json, i, "closed")), 123_456, "closed");
            vm.roll(1000);
        }
    }

    function _slot(string memory json, uint256 first, string memory name) private pure returns (bytes32) {
        for (uint256 i = first; i < first + SLOTS_OF_A_PLACE; i++) {
            if (keccak256(bytes(nameAt(json, "slots", i))) == keccak256(bytes(name))) {
                return bytes32At(json, "slots", i, "slot");
            }
        }
        revert AssertionFailed(name);
    }

    function _openHub(Place memory place) private {
        deployHub(424_242);
        openDomain(place.domain);
        openRelay(place.domain, place.relay);
        registerPeer(place.domain, place.peer, 0);
        routeEverything(place.domain, place.relay);
        registerApplication(2, address(new Recorder()));
    }

    function _application() private view returns (Recorder) {
        (address account,,,) = hub.applicationOf(2);
        return Recorder(account);
    }

    /// A packet without body between this hub and the peer of a place.
    function _packet(Place memory place, bool own, bool bound, bool ordered) private view returns (bytes memory) {
        bytes memory transport = abi.encodePacked(
            uint8(1),
            uint8(ordered ? 2 : 1),
            uint8(ordered ? 3 : 2),
            uint8(17),
            uint32(place.domain),
            uint32(own ? registration : place.peer),
            uint32(own ? place.peer : registration),
            uint32(bound ? place.relay : 0),
            uint32(place.channel),
            uint64(place.sequence)
        );
        bytes memory transaction = bound
            ? abi.encodePacked(
                bytes6(0x020001000001),
                uint32(own ? registration : place.peer),
                uint64(place.nonce),
                uint40(1_900_000_000)
            )
            : abi.encodePacked(bytes6(0x040000000000), uint32(0), uint64(0), uint40(0));
        transaction = abi.encodePacked(transaction, uint40(1_900_000_000), uint32(100_000));
        bytes memory application = abi.encodePacked(uint32(2), uint32(1), bytes24(0), bytes32(0));
        return abi.encodePacked(transport, bytes8(0x0100000000000000), transaction, application);
    }

    function _idOf(bytes memory packet) private pure returns (bytes32) {
        return keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKET/v1"), packet, keccak256("")));
    }

    function _receive(Place memory place, bytes memory packet) private {
        hub.receiveRange(envelopeOfEntry(place.domain, place.relay, 1, packet, _idOf(packet)));
        assertTrue(_application().told() != 0, "packet was not taken");
    }

    function _checkOutboxes(Place memory place, bytes32 chain, bytes32 head) private {
        bytes32 start = bytes32(load(chain));
        assertTrue(start != 0, "outbox was not opened");
        setNonce(head, place.nonce - 1);
        (uint256 channel, uint256 sequence) = (place.channel, place.sequence);
        (place.channel, place.sequence) = (0, 1);
        bytes memory packet = _packet(place, true, true, false);
        (place.channel, place.sequence) = (channel, sequence);
        assertEq(_application().send(hub, packet), _idOf(packet), "packet sent");
        assertEq(bytes32(load(chain)), fold(start, 1, block.number, _idOf(packet)), "chain");
        assertEq(uint64(load(head)), 1, "head");
        assertEq(uint64(load(head) >> 64), place.nonce, "nonce in the head");
    }

    function _checkFreeOutbox(Place memory place, bytes32 chain) private {
        bytes32 start = bytes32(load(chain));
        (uint256 channel, uint256 sequence) = (place.channel, place.sequence);
        (place.channel, place.sequence) = (0, 1);
        bytes memory packet = _packet(place, true, false, false);
        (place.channel, place.sequence) = (channel, sequence);
        assertEq(_application().send(hub, packet), _idOf(packet), "packet sent");
        assertEq(bytes32(load(chain)), fold(start, 1, block.number, _idOf(packet)), "free chain");
    }

    function _checkStatus(Place memory place, bytes32 slot) private {
        _receive(place, _packet(place, false, true, false));
        assertEq(load(slot), uint256(2) << (2 * (place.sequence & 127)), "status");
    }

    function _checkOwnStatus(Place memory place, bytes32 status, bytes32 settlement, bytes32 head) private {
        setNonce(head, place.nonce);
        bytes memory verdicts =
            abi.encodePacked(uint8(1), uint16(1), uint64(place.nonce), uint8(3), keccak256("packets"));
        bytes32 id = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/VERDICT/v1"), verdicts));
        hub.receiveRange(envelopeOfEntry(place.domain, place.relay, 6, verdicts, id));
        assertEq(load(status), uint256(3) << (2 * (place.nonce & 127)), "status of an own transaction");
        assertEq(bytes32(load(settlement)), keccak256("packets"), "settlement");
    }

    function _checkSeen(Place memory place, bytes32 slot) private {
        _receive(place, _packet(place, false, false, false));
        assertEq(load(slot), uint256(1) << (place.sequence & 255), "seen");
    }

    function _checkReceipt(Place memory place, bytes32 receipts, bytes32 lane) private {
        bytes memory packet = _packet(place, true, true, false);
        bytes memory home = abi.encodePacked(packet, keccak256(""), uint8(1), uint16(0));
        bytes32 id =
            keccak256(abi.encodePacked(keccak256("PIEBRIDGE/RECEIPT_HOME/v1"), _idOf(packet), uint8(1), keccak256("")));
        setLane(lane, place.sequence - 1);
        hub.receiveRange(envelopeOfEntry(place.domain, place.relay, 5, home, id));
        assertEq(load(receipts), 0, "receipt for a packet beyond the lane");
        setLane(lane, place.sequence);
        hub.receiveRange(envelopeOfEntry(place.domain, place.relay, 5, home, id));
        assertEq(load(receipts), uint256(1) << (place.sequence & 255), "receipts");
    }

    function _checkReceiveLane(Place memory place, bytes32 slot) private {
        // Ordered lanes are of a channel of their own.
        if (place.channel == 0) return;
        setLane(slot, place.sequence - 1);
        _receive(place, _packet(place, false, true, true));
        assertEq(load(slot), place.sequence, "receiving lane");
    }

    /// Sends, hears the ABORT that names the packets hash, and settles.
    function _checkSettled(Place memory place, bytes32 settlement, bytes32 head) private {
        setNonce(head, place.nonce - 1);
        (place.channel, place.sequence) = (0, 1);
        bytes memory packet = _packet(place, true, true, false);
        _application().send(hub, packet);
        bytes32 packetsHash = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKETS/v1"), _idOf(packet)));
        bytes memory verdicts = abi.encodePacked(uint8(1), uint16(1), uint64(place.nonce), uint8(3), packetsHash);
        bytes32 id = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/VERDICT/v1"), verdicts));
        hub.receiveRange(envelopeOfEntry(place.domain, place.relay, 6, verdicts, id));
        assertEq(bytes32(load(settlement)), packetsHash, "waits for settlement");
        hub.settle(uint32(place.domain), uint32(place.relay), uint64(place.nonce), packet);
        assertEq(load(settlement), 1, "settled");
        assertEq(_application().told(), keccak256(abi.encode(_idOf(packet), packet)), "what the application undoes");
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {Recorder, VectorHub} from "./VectorHub.sol";

/// @notice Section 6 against messages.json.
contract MessageVectorsTest is VectorHub {
    function _hubWithRelay(uint256 registration_, uint256 domain, uint256 relay) private {
        deployHub(registration_);
        openDomain(domain);
        openRelay(domain, relay);
    }

    // ------------------------------------------------------------------------------------------------------------ verdicts

    /// Taken under the id of the vector, and every item has its effect on the proven slots.
    function testVerdicts() public {
        string memory json = vectors("messages");
        _hubWithRelay(DESTINATION, DOMAIN, RELAY);
        // All nonces were given out.
        setNonce(slotOf(1, (uint256(DOMAIN) << 32) | RELAY), LAST_U64);
        uint256 count = countOf(json, "verdicts");
        uint256[3] memory items;
        for (uint256 i = 0; i < count; i++) {
            bytes memory data = bytesAt(json, "verdicts", i, "data");
            uint256 state = vm.snapshotState();
            hub.receiveRange(envelopeOfEntry(DOMAIN, RELAY, 6, data, bytes32At(json, "verdicts", i, "message_id")));
            uint256 form = uintAt(json, "verdicts", i, "form");
            uint256 itemCount = uintAt(json, "verdicts", i, "item_count");
            assertEq(unsigned(data, 1, 2), itemCount, "items");
            if (form == 1) _checkOriginVerdicts(data, itemCount);
            else _checkTombstones(data, itemCount);
            items[form] += itemCount;
            vm.revertToState(state);
        }
        assertTrue(items[1] > 10 && items[2] > 10, "verdicts of both forms");
    }

    function _checkOriginVerdicts(bytes memory data, uint256 count) private view {
        uint256 offset = 3;
        for (uint256 i = 0; i < count; i++) {
            uint256 nonce = unsigned(data, offset, 8);
            uint256 verdict = uint8(data[offset + 8]);
            uint256 first = _firstVerdict(data, count, nonce);
            uint256 word = load(slotOf(2, (uint256(DOMAIN) << 160) | (uint256(RELAY) << 96) | (nonce >> 7)));
            assertEq((word >> (2 * (nonce & 127))) & 3, uint8(data[first + 8]), "status of an own transaction");
            if (first == offset && verdict == 3) {
                uint256 waits = load(slotOf(7, (uint256(RELAY) << 64) | nonce));
                assertEq(waits, unsigned(data, offset + 9, 32), "packets hash that waits for settlement");
            }
            offset += verdict == 3 ? 41 : 9;
        }
        assertEq(offset, data.length, "end of the verdicts");
    }

    function _firstVerdict(bytes memory data, uint256 count, uint256 nonce) private pure returns (uint256 offset) {
        offset = 3;
        for (uint256 i = 0; i < count && unsigned(data, offset, 8) != nonce; i++) {
            offset += uint8(data[offset + 8]) == 3 ? 41 : 9;
        }
    }

    function _checkTombstones(bytes memory data, uint256 count) private view {
        for (uint256 i = 0; i < count; i++) {
            uint256 offset = 3 + 17 * i;
            uint256 lane = laneKey(DOMAIN, unsigned(data, offset, 4), RELAY, unsigned(data, offset + 4, 4));
            uint256 sequence = unsigned(data, offset + 8, 8);
            uint256 word = load(slotOf(2, (lane << 64) | (sequence >> 7)));
            bool aborted;
            for (uint256 j = 0; j < count; j++) {
                bool same = keccak256(slice(data, 3 + 17 * j, 16)) == keccak256(slice(data, offset, 16));
                if (same && data[3 + 17 * j + 16] == 0x03) aborted = true;
            }
            assertEq((word >> (2 * (sequence & 127))) & 3, aborted ? 3 : 0, "tombstone");
        }
        assertEq(data.length, 3 + 17 * count, "end of the verdicts");
    }

    function testRefusedVerdicts() public {
        string memory json = vectors("messages");
        _hubWithRelay(DESTINATION, DOMAIN, RELAY);
        _checkRefused(json, "refused_verdicts", 6);
    }

    /// Entries that would fold are refused with their range, for what they are.
    function _checkRefused(string memory json, string memory list, uint8 form) private {
        bytes32 before = fingerprint(DOMAIN, RELAY);
        uint256 count = countOf(json, list);
        for (uint256 i = 0; i < count; i++) {
            bytes memory data = bytesAt(json, list, i, "data");
            bytes32 id =
                form == 6 ? keccak256(abi.encodePacked(keccak256("PIEBRIDGE/VERDICT/v1"), data)) : _receiptHomeId(data);
            try hub.receiveRange(envelopeOfEntry(DOMAIN, RELAY, form, data, id)) {
                assertTrue(false, nameAt(json, list, i));
            } catch (bytes memory reason) {
                assertReason(reason, IHubEvents.MalformedRange.selector, nameAt(json, list, i));
            }
        }
        assertEq(fingerprint(DOMAIN, RELAY), before, "storage");
    }

    function _receiptHomeId(bytes memory data) private pure returns (bytes32) {
        bytes32 packetId = keccak256(abi.encodePacked(keccak256("PIEBRIDGE/PACKET/v1"), slice(data, 0, 168)));
        bytes32 returnedHash = keccak256(slice(data, 171, data.length - 171));
        return keccak256(abi.encodePacked(keccak256("PIEBRIDGE/RECEIPT_HOME/v1"), packetId, data[168], returnedHash));
    }

    // ------------------------------------------------------------------------------------------------------------ receipts that come home

    function testReceiptsHome() public {
        string memory json = vectors("messages");
        uint256 count = countOf(json, "receipts_home");
        uint256 callbacks;
        for (uint256 i = 0; i < count; i++) {
            bytes memory data = bytesAt(json, "receipts_home", i, "data");
            if (_takeHome(json, i, data)) callbacks++;
        }
        assertTrue(callbacks > 10, "callbacks");
    }

    function _takeHome(string memory json, uint256 i, bytes memory data) private returns (bool) {
        uint256 domain = unsigned(data, 4, 4);
        uint256 relay = unsigned(data, 16, 4) == 0 ? RELAY : unsigned(data, 16, 4);
        uint256 lane = laneKey(domain, unsigned(data, 12, 4), unsigned(data, 16, 4), unsigned(data, 20, 4));
        uint256 sequence = unsigned(data, 24, 8);
        _hubWithRelay(unsigned(data, 8, 4), domain, relay);
        bytes memory envelope =
            envelopeOfEntry(domain, relay, 5, data, bytes32At(json, "receipts_home", i, "message_id"));
        bytes32 bit = slotOf(4, (lane << 64) | (sequence >> 8));

        // Nobody believes a receipt for what was not sent.
        setLane(slotOf(5, lane), sequence - 1);
        hub.receiveRange(envelope);
        assertEq(load(bit), 0, "receipt for a packet that was not sent");

        setLane(slotOf(5, lane), sequence);
        vm.recordLogs();
        hub.receiveRange(envelope);
        assertEq(load(bit), 1 << (sequence & 255), "bit of the receipt");
        bytes memory failed = dataOf(IHubEvents.CallbackFailed.selector);
        if (unsigned(data, 80, 4) == 0) {
            assertEq(failed, "", "callback that nobody named");
            return false;
        }
        // There is no such application yet; once there is, the callback is repeated and hears what the vector says.
        assertTrue(failed.length != 0, "callback");
        Recorder application = new Recorder();
        registerApplication(unsigned(data, 72, 4), address(application));
        hub.retryCallback(data);
        bytes32 told = keccak256(
            abi.encode(
                bytes32At(json, "receipts_home", i, "packet_id"),
                slice(data, 0, 168),
                uint8(uintAt(json, "receipts_home", i, "code")),
                slice(data, 171, data.length - 171)
            )
        );
        assertEq(application.told(), told, "what the callback was told");
        return true;
    }

    function testRefusedReceiptsHome() public {
        string memory json = vectors("messages");
        // The registration that sent the packet of these vectors.
        _hubWithRelay(SOURCE, DOMAIN, RELAY);
        setLane(slotOf(5, laneKey(DOMAIN, DESTINATION, 0, 0)), 100);
        _checkRefused(json, "refused_receipts_home", 5);
        assertEq(load(slotOf(4, laneKey(DOMAIN, DESTINATION, 0, 0) << 64)), 0, "bits of receipts");
        uint256 count = countOf(json, "refused_receipts_home");
        for (uint256 i = 0; i < count; i++) {
            try hub.retryCallback(bytesAt(json, "refused_receipts_home", i, "data")) {
                assertTrue(false, nameAt(json, "refused_receipts_home", i));
            } catch (bytes memory reason) {
                assertReason(reason, IHubEvents.MalformedRange.selector, nameAt(json, "refused_receipts_home", i));
            }
        }
    }

    // ------------------------------------------------------------------------------------------------------------ reports

    /// A hub in the state that a report tells of makes that report, as an entry with the id of the vector.
    function testReports() public {
        string memory json = vectors("messages");
        uint256 count = countOf(json, "reports");
        uint256[4] memory kinds;
        for (uint256 i = 0; i < count; i++) {
            uint256 kind = uintAt(json, "reports", i, "kind");
            uint256 relay = kind == 3 ? RELAY : uintAt(json, "reports", i, "relay");
            uint256 height = uintAt(json, "reports", i, "height");
            vm.roll(1000);
            _hubWithRelay(DESTINATION, DOMAIN, relay);
            bytes32 head = slotOf(1, (uint256(DOMAIN) << 32) | relay);
            setLane(head, uintAt(json, "reports", i, "last_entry"));
            setNonce(head, uintAt(json, "reports", i, "last_nonce"));
            (,, bytes32 start,) = hub.outbox(DOMAIN, 0);
            vm.roll(height);
            bytes memory report = _report(kind, uint32(relay));
            assertEq(report, bytesAt(json, "reports", i, "data"), "report");
            (uint64 number,, bytes32 value,) = hub.outbox(DOMAIN, 0);
            assertEq(number, 1, "entry of a report");
            assertEq(value, fold(start, 1, height, bytes32At(json, "reports", i, "message_id")), "id of a report");
            if (kind == 3) assertEq(load(bytes32(uint256(8))), height, "closed");
            kinds[kind]++;
        }
        assertTrue(kinds[1] > 2 && kinds[2] > 2 && kinds[3] > 2, "reports of every kind");
    }

    function _report(uint256 kind, uint32 relay) private returns (bytes memory) {
        bytes memory message;
        if (kind == 1) {
            message = governorMessage(DOMAIN, 11, 1, abi.encodePacked(relay));
        } else if (kind == 2) {
            message = governorMessage(DOMAIN, 4, hub.counterOf(DOMAIN) + 1, abi.encodePacked(relay, uint8(3)));
        } else {
            message = governorMessage(0, 12, 1, "");
        }
        vm.recordLogs();
        hub.governor(message);
        return dataOf(IHubEvents.ReportMade.selector);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {BridgeToken} from "../../src/apps/BridgeToken.sol";
import {ERC7786Door} from "../../src/apps/ERC7786Door.sol";
import {InteroperableAddress} from "../../src/apps/InteroperableAddress.sol";
import {MessageBoard} from "../../src/apps/MessageBoard.sol";
import {RecordNotary} from "../../src/apps/RecordNotary.sol";
import {IHubEvents} from "../../src/interfaces/IHubEvents.sol";
import {VectorHub} from "./VectorHub.sol";

contract InteroperableAddressHarness {
    function encode(uint256 chainId, address account) external pure returns (bytes memory) {
        return InteroperableAddress.encode(chainId, account);
    }

    function decode(bytes calldata data) external pure returns (uint256 chainId, address account) {
        return InteroperableAddress.decode(data);
    }
}

/// @notice Section 4.3 against applications.json: the standard applications of a real hub.
contract ApplicationVectorsTest is VectorHub {
    uint40 private constant EXPIRY = 1_800_001_000;

    function _openHub() private {
        deployHub(SOURCE);
        openDomain(DOMAIN);
        openRelay(DOMAIN, RELAY);
        registerPeer(DOMAIN, DESTINATION, 0);
        routeEverything(DOMAIN, RELAY);
    }

    function _sentBody() private returns (bytes memory) {
        bytes memory packet = dataOf(IHubEvents.PacketSent.selector);
        return slice(packet, 136, packet.length - 136);
    }

    /// A packet with `body` for an application, which asks of its header no more than domain, source and function.
    function _packet(uint32 source, bytes memory body) private pure returns (bytes memory) {
        bytes memory head = abi.encodePacked(bytes4(0), DOMAIN, source, bytes32(0), bytes32(0), uint32(1));
        return bytes.concat(head, new bytes(136 - head.length), body);
    }

    function testTokenTransfers() public {
        string memory json = vectors("applications");
        uint256 count = countOf(json, "token_transfers");
        for (uint256 i = 0; i < count; i++) {
            uint128 amount = uint128(uintAt(json, "token_transfers", i, "amount"));
            address sender = address(bytes20(bytesAt(json, "token_transfers", i, "sender")));
            address recipient = address(bytes20(bytesAt(json, "token_transfers", i, "recipient")));
            bytes memory body = bytesAt(json, "token_transfers", i, "body");
            _openHub();
            uint128 supply = type(uint128).max;
            BridgeToken token = new BridgeToken(hub, "Token", "T", supply, sender, amount, supply, 3600);
            registerApplication(2, address(token));
            vm.recordLogs();
            vm.prank(sender);
            token.transferRemote(DOMAIN, DESTINATION, RELAY, recipient, amount, EXPIRY, EXPIRY);
            assertEq(_sentBody(), body, "body of a transfer");
            assertEq(token.balanceOf(sender), 0, "balance of the sender");
            vm.prank(address(hub));
            token.onPacket(keccak256("id"), _packet(DESTINATION, body));
            assertEq(token.balanceOf(recipient), amount, "balance of the recipient");
            vm.prank(address(hub));
            vm.expectRevert();
            token.onPacket(keccak256("id"), _packet(DESTINATION, bytes.concat(body, hex"00")));
        }
    }

    function testNotarisations() public {
        string memory json = vectors("applications");
        _openHub();
        RecordNotary notary = new RecordNotary(hub);
        registerApplication(3, address(notary));
        uint256 count = countOf(json, "notarisations");
        for (uint256 i = 0; i < count; i++) {
            bytes32 key = bytes32At(json, "notarisations", i, "key");
            bytes32 value = bytes32At(json, "notarisations", i, "value");
            vm.recordLogs();
            notary.notarise(DOMAIN, DESTINATION, key, value, 0);
            bytes memory body = _sentBody();
            assertEq(body, bytesAt(json, "notarisations", i, "body"), "body of a notarisation");
            vm.prank(address(hub));
            notary.onPacket(keccak256("id"), _packet(DESTINATION, body));
            (bytes32 stored, uint32 source,) = notary.recordOf(key);
            assertEq(stored, value, "record");
            assertEq(source, DESTINATION, "source of a record");
        }
    }

    function testNotarisationResults() public {
        string memory json = vectors("applications");
        _openHub();
        RecordNotary notary = new RecordNotary(hub);
        uint256 count = countOf(json, "notarisation_results");
        uint256 existing;
        for (uint256 i = 0; i < count; i++) {
            bytes32 value = bytes32At(json, "notarisation_results", i, "value");
            bytes memory packet = _packet(
                uint32(uintAt(json, "notarisation_results", i, "source")),
                abi.encodePacked(keccak256(abi.encode(i)), value)
            );
            vm.warp(uintAt(json, "notarisation_results", i, "time"));
            vm.prank(address(hub));
            bytes memory returned = notary.onPacket(keccak256("id"), packet);
            if (vm.parseJsonBool(json, pathOf("notarisation_results", i, "existing"))) {
                // Somebody else, later, with another value: what was stored stays.
                vm.warp(1_800_000_000);
                packet[136 + 63] ^= 0x01;
                packet[11] ^= 0x01;
                vm.prank(address(hub));
                returned = notary.onPacket(keccak256("id"), packet);
                existing++;
            }
            assertEq(returned, bytesAt(json, "notarisation_results", i, "returned"), "what a notarisation returns");
        }
        assertTrue(existing > 0 && existing < count, "new records and others");
    }

    function testInteroperableAddresses() public {
        string memory json = vectors("applications");
        InteroperableAddressHarness harness = new InteroperableAddressHarness();
        uint256 count = countOf(json, "interoperable_addresses");
        for (uint256 i = 0; i < count; i++) {
            uint256 chainId = uintAt(json, "interoperable_addresses", i, "chain_id");
            address account = address(bytes20(bytesAt(json, "interoperable_addresses", i, "address")));
            bytes memory data = bytesAt(json, "interoperable_addresses", i, "data");
            assertEq(harness.encode(chainId, account), data, "encoded address");
            (uint256 decodedChain, address decoded) = harness.decode(data);
            assertEq(decodedChain, chainId, "chain id");
            assertEq(decoded, account, "address");
        }
        count = countOf(json, "refused_interoperable_addresses");
        for (uint256 i = 0; i < count; i++) {
            bytes memory data = bytesAt(json, "refused_interoperable_addresses", i, "data");
            try harness.decode(data) {
                assertTrue(false, nameAt(json, "refused_interoperable_addresses", i));
            } catch (bytes memory reason) {
                bytes4 expected = InteroperableAddress.InvalidInteroperableAddress.selector;
                assertReason(reason, expected, nameAt(json, "refused_interoperable_addresses", i));
            }
        }
    }

    /// From door to door: the body that the first makes is the vector's, and the second hands sender and payload to the recipient.
    function testDoorMessages() public {
        string memory json = vectors("applications");
        InteroperableAddressHarness harness = new InteroperableAddressHarness();
        uint256 here = block.chainid;
        uint256 count = countOf(json, "door_messages");
        uint256 carried;
        for (uint256 i = 0; i < count; i++) {
            Message memory message;
            message.sender = bytesAt(json, "door_messages", i, "sender");
            message.recipient = bytesAt(json, "door_messages", i, "recipient");
            message.payload = bytesAt(json, "door_messages", i, "payload");
            message.body = bytesAt(json, "door_messages", i, "body");
            (message.from, message.account) = harness.decode(message.sender);
            (message.to, message.target) = harness.decode(message.recipient);
            // A hub is made for a chain id of 64 bits, and its peers have such.
            if (message.from >= LAST_U64 || message.to >= LAST_U64) continue;
            _deliver(_leave(message), message);
            carried++;
        }
        vm.chainId(here);
        assertTrue(carried >= 10, "messages carried");
    }

    struct Message {
        bytes sender;
        bytes recipient;
        bytes payload;
        bytes body;
        uint256 from;
        address account;
        uint256 to;
        address target;
    }

    function _leave(Message memory message) private returns (ERC7786Door door) {
        vm.chainId(message.from);
        deployHub(SOURCE);
        openDomain(DOMAIN);
        registerPeer(DOMAIN, DESTINATION, message.to);
        door = new ERC7786Door(hub, DOMAIN);
        registerApplication(1, address(door));
        vm.recordLogs();
        vm.prank(message.account);
        door.sendMessage(message.recipient, message.payload, new bytes[](0));
        assertEq(_sentBody(), message.body, "body of a message");
        // The same hub stands for that of the destination too; there the first one is the peer 33.
        registerPeer(DOMAIN, 33, message.from);
    }

    function _deliver(ERC7786Door door, Message memory message) private {
        vm.chainId(message.to);
        vm.etch(message.target, address(new MessageBoard(address(door))).code);
        bytes memory packet = _packet(33, message.body);
        vm.prank(address(hub));
        door.onPacket(keccak256("id"), packet);
        (bytes memory sender, bytes memory payload) = MessageBoard(message.target).messageOf(keccak256("id"));
        assertEq(sender, message.sender, "sender");
        assertEq(payload, message.payload, "payload");
        if (message.from != message.to) {
            vm.prank(address(hub));
            vm.expectRevert(abi.encodeWithSelector(ERC7786Door.InvalidSender.selector, message.sender));
            door.onPacket(keccak256("id"), _packet(DESTINATION, message.body));
        }
        vm.chainId(message.to ^ 1);
        vm.prank(address(hub));
        vm.expectRevert(abi.encodeWithSelector(ERC7786Door.InvalidRecipient.selector, message.recipient));
        door.onPacket(keccak256("id"), packet);
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDomainDesk} from "../../src/management/interfaces/IDomainDesk.sol";
import {IDomainEvents} from "../../src/management/interfaces/IDomainEvents.sol";
import {IDomainRequests} from "../../src/management/interfaces/IDomainRequests.sol";
import {IGoverned} from "../../src/management/interfaces/IGoverned.sol";
import {ManagementFixture} from "./ManagementFixture.sol";

/// @notice What DomainRegistry refuses, and that it says why.
contract DomainRefusalsTest is ManagementFixture {
    address private constant STRANGER = address(0x5757);

    function setUp() public {
        setUpManagement(false);
        setUpGovernors();
        addNodes(5, 2);
        addRegistrations(4);
    }

    function _filed(bytes memory request, bytes4 expected, string memory what) private {
        bytes32 id = idOf(request);
        bytes memory signature = voice(1, domainIn(request), 1, id, 0);
        assertRefused(
            STRANGER,
            address(registry),
            abi.encodeCall(IDomainRequests.file, (request, 1, 1, signature)),
            expected,
            what
        );
    }

    function _malformed(uint8 kind, uint32 domain, bytes memory body, uint256 rule, string memory what) private {
        bytes memory request = requestOf(kind, domain, body);
        vm.prank(STRANGER);
        (bool success, bytes memory reason) =
            address(registry).call(abi.encodeCall(IDomainRequests.file, (request, 1, 1, "")));
        bytes memory expected = abi.encodeWithSelector(IDomainEvents.MalformedRequest.selector, rule);
        assertTrue(!success, what);
        assertEq(reason, expected, what);
    }

    // ------------------------------------------------------------------------------------------------------------ registrations

    function testRegistrationsBelongToTheirRepresentative() public {
        bytes4 notYou = IDomainEvents.NotTheRepresentative.selector;
        bytes4 none = IDomainEvents.NoRegistration.selector;
        address one = representative(1);
        _desk(STRANGER, abi.encodeCall(IDomainDesk.bindHub, (1, 1, hubOf(1))), notYou, "bind");
        _desk(one, abi.encodeCall(IDomainDesk.bindHub, (1, 1, hubOf(2))), IDomainEvents.WrongHub.selector, "twice");
        _desk(one, abi.encodeCall(IDomainDesk.bindHub, (9, 1, hubOf(2))), none, "no registration");
        _desk(STRANGER, abi.encodeCall(IDomainDesk.proposeRepresentative, (1, STRANGER)), notYou, "propose");
        _desk(STRANGER, abi.encodeCall(IDomainDesk.acceptRepresentative, (1)), notYou, "accept");
        _desk(address(0), abi.encodeCall(IDomainDesk.acceptRepresentative, (9)), none, "no registration to accept");
        _desk(one, abi.encodeCall(IDomainDesk.proposeRepresentative, (1, representative(9))), 0, "propose");
        _desk(representative(9), abi.encodeCall(IDomainDesk.acceptRepresentative, (1)), 0, "accept");
        _desk(one, abi.encodeCall(IDomainDesk.proposeRepresentative, (1, one)), notYou, "who has handed over");
        (address account, uint32 epoch, address proposed,,,) = registry.registrationOf(1);
        assertTrue(account == representative(9) && epoch == 2 && proposed == address(0), "registration");
        govern(registry, 0, 6, abi.encodePacked(uint32(1), one));
        bytes4 malformed = IGoverned.MalformedBody.selector;
        assertReason(tryGovern(registry, 0, 6, abi.encodePacked(uint32(1), address(0))), malformed, "zero");
        assertReason(tryGovern(registry, 3, 6, abi.encodePacked(uint32(1), one)), malformed, "with a domain");
        govern(registry, 0, 5, abi.encodePacked(uint32(1), uint64(77)));
        assertReason(tryGovern(registry, 0, 5, abi.encodePacked(uint32(1), uint64(77))), none, "closed twice");
        _desk(one, abi.encodeCall(IDomainDesk.proposeRepresentative, (1, one)), none, "closed");
        _filed(formRequest(2, 1), none, "a closed registration forms nothing");
    }

    function _desk(address caller, bytes memory data, bytes4 expected, string memory what) private {
        assertRefused(caller, address(registry), data, expected, what);
    }

    function testTheDeskWritesNothingOfItsOwn() public {
        bytes4 only = IDomainDesk.OnlyThroughRegistry.selector;
        bytes[6] memory calls = [
            abi.encodeCall(IDomainDesk.register, ()),
            abi.encodeCall(IDomainDesk.bindHub, (1, 1, hubOf(1))),
            abi.encodeCall(IDomainDesk.proposeRepresentative, (1, STRANGER)),
            abi.encodeCall(IDomainDesk.acceptRepresentative, (1)),
            abi.encodeCall(IDomainDesk.reportGenesis, (bytes32(0), 1, 1, bytes32(0))),
            abi.encodeCall(IDomainDesk.reportUptime, (1, 1, 1, 1))
        ];
        for (uint256 i = 0; i < calls.length; i++) {
            assertRefused(STRANGER, desk, calls[i], only, vm.toString(i));
        }
    }

    // ------------------------------------------------------------------------------------------------------------ signatures

    function testOnlyPartiesApprove() public {
        bytes memory request = formRequest(2, 1);
        bytes32 id = idOf(request);
        _file(request, 3, voice(3, 0, 1, id, 0), IDomainEvents.NotAParty.selector, "no party");
        _file(request, 1, voice(2, 0, 1, id, 0), IDomainEvents.NotTheRepresentative.selector, "signed by another");
        _file(request, 1, "", IDomainEvents.NotTheRepresentative.selector, "a stranger calls");
        _file(request, 1, hex"00", IDomainEvents.MalformedSignature.selector, "no signature");
        _file(request, 1, voice(1, 0, 2, id, 0), IDomainEvents.NotTheRepresentative.selector, "another kind");
        _file(request, 1, voice(1, 5, 1, id, 0), IDomainEvents.NotTheRepresentative.selector, "another domain");
        _file(request, 1, voice(1, 0, 1, bytes32(0), 0), IDomainEvents.NotTheRepresentative.selector, "another request");
        bytes memory signature = voice(1, 0, 1, id, 0);
        vm.chainId(block.chainid + 1);
        _file(request, 1, signature, IDomainEvents.NotTheRepresentative.selector, "another chain");
        vm.chainId(block.chainid - 1);
        _file(request, 1, signature, 0, "a party");
        _file(request, 1, signature, IDomainEvents.WrongRequestState.selector, "filed twice");
        bytes memory again = abi.encodeCall(IDomainRequests.cosign, (id, 1, 1, signature));
        assertRefused(STRANGER, address(registry), again, IDomainEvents.ActedBefore.selector, "approved twice");
        bytes memory wrong = abi.encodeCall(IDomainRequests.cosign, (id, 2, 2, voice(2, 0, 2, id, 0)));
        assertRefused(STRANGER, address(registry), wrong, IDomainEvents.WrongApproval.selector, "single operator");
        // Who hands over takes the value out of what it has signed.
        bytes memory old = voice(2, 0, 1, id, 0);
        vm.prank(representative(2));
        registry.proposeRepresentative(2, representative(8));
        vm.prank(representative(8));
        registry.acceptRepresentative(2);
        bytes memory data = abi.encodeCall(IDomainRequests.cosign, (id, 2, 1, old));
        assertRefused(
            STRANGER, address(registry), data, IDomainEvents.NotTheRepresentative.selector, "an old signature"
        );
        bytes memory unknown = abi.encodeCall(IDomainRequests.cosign, (keccak256("?"), 2, 1, old));
        assertRefused(STRANGER, address(registry), unknown, IDomainEvents.NotAParty.selector, "no such request");
    }

    function _file(bytes memory request, uint32 party, bytes memory signature, bytes4 expected, string memory what)
        private
    {
        assertRefused(
            STRANGER,
            address(registry),
            abi.encodeCall(IDomainRequests.file, (request, party, 1, signature)),
            expected,
            what
        );
    }

    function testConfirmationsNameTheDecision() public {
        bytes memory request = formRequest(2, 1);
        bytes32 id = fileAndCosign(request, 1, 2);
        bytes4 state = IDomainEvents.WrongRequestState.selector;
        bytes memory data = abi.encodeCall(IDomainRequests.confirm, (id, 0, 1, voice(1, 0, 3, id, 0)));
        assertRefused(STRANGER, address(registry), data, state, "before there is one");
        closeAndDraw(request);
        bytes32 hash = decisionOf(id);
        assertRefused(STRANGER, address(registry), data, IDomainEvents.WrongDecision.selector, "another");
        data = abi.encodeCall(IDomainRequests.confirm, (id, hash, 1, voice(1, 0, 1, id, 0)));
        bytes4 notYou = IDomainEvents.NotTheRepresentative.selector;
        assertRefused(STRANGER, address(registry), data, notYou, "an approval is no confirmation");
        data = abi.encodeCall(IDomainRequests.confirm, (id, hash, 1, voice(1, 0, 3, id, hash)));
        assertRefused(STRANGER, address(registry), data, 0, "a party");
        assertRefused(STRANGER, address(registry), data, IDomainEvents.ActedBefore.selector, "again");
        data = abi.encodeCall(IDomainRequests.confirm, (id, hash, 3, voice(3, 0, 3, id, hash)));
        assertRefused(STRANGER, address(registry), data, IDomainEvents.NotAParty.selector, "no party");
        vm.warp(block.timestamp + 8 days);
        data = abi.encodeCall(IDomainRequests.confirm, (id, hash, 2, voice(2, 0, 3, id, hash)));
        assertRefused(STRANGER, address(registry), data, IDomainEvents.WrongExpiry.selector, "too late");
    }

    // ------------------------------------------------------------------------------------------------------------ what a request may be

    function testFormRequestsAreReadStrictly() public {
        bytes memory rest = abi.encodePacked(chainsFrom(1, 2), gateways());
        bytes memory good = parameters(1, SEATS, THRESHOLD);
        _malformed(1, 0, "", 1, "empty");
        _malformed(0, 0, "", 2, "kind 0");
        _malformed(12, 1, "", 2, "kind 12");
        _malformed(1, 1, abi.encodePacked(good, rest), 2, "with a domain");
        _malformed(2, 0, chainsFrom(1, 2), 2, "without a domain");
        _malformed(2, 7, chainsFrom(1, 2), 2, "no such domain");
        _malformed(1, 0, abi.encodePacked(good, rest, hex"00"), 1, "longer");
        _malformed(1, 0, abi.encodePacked(good, chainsFrom(1, 1), gateways()), 6, "one member");
        _malformed(1, 0, abi.encodePacked(good, uint8(0), gateways()), 4, "no member");
        bytes memory same = abi.encodePacked(uint8(2), _prefixed(chainOf(1)), _prefixed(chainOf(1)));
        _malformed(1, 0, abi.encodePacked(good, same, gateways()), 4, "one twice");
        bytes memory falling = abi.encodePacked(uint8(2), _prefixed(chainOf(2)), _prefixed(chainOf(1)));
        _malformed(1, 0, abi.encodePacked(good, falling, gateways()), 4, "not ascending");
        // Bytes of the parameters: index, value; each by itself is wrong.
        uint8[2][12] memory wrong = [
            [0, 2], [1, 0], [1, 3], [10, 0], [10, 17], [11, 0], [11, 33], [12, 2], [12, 5], [13, 0], [13, 3], [6, 0xff]
        ];
        for (uint256 i = 0; i < wrong.length; i++) {
            bytes memory bad = parameters(1, SEATS, THRESHOLD);
            bad[wrong[i][0]] = bytes1(wrong[i][1]);
            _malformed(1, 0, abi.encodePacked(bad, rest), 3, vm.toString(i));
        }
        uint8[4] memory zeroed = [5, 17, 28, 0];
        for (uint256 i = 0; i < 3; i++) {
            bytes memory bad = parameters(1, SEATS, THRESHOLD);
            for (uint256 j = 0; j < 4; j++) {
                bad[zeroed[i] - j] = 0;
                if (i == 2) bad[29 - j] = 0;
            }
            _malformed(1, 0, abi.encodePacked(bad, rest), 3, "a zero that must not be");
        }
        bytes memory late = parameters(1, SEATS, THRESHOLD);
        late[38] = 0xff;
        _malformed(1, 0, abi.encodePacked(late, rest), 3, "least above largest");
        bytes memory none = abi.encodePacked(uint16(1), address(0x1001), uint32(0));
        _malformed(1, 0, abi.encodePacked(good, chainsFrom(1, 2), none), 5, "a gateway without quota");
        bytes memory twice = abi.encodePacked(uint16(2), address(0x1001), uint32(1), address(0x1001), uint32(1));
        _malformed(1, 0, abi.encodePacked(good, chainsFrom(1, 2), twice), 5, "a gateway twice");
        _filed(requestOf(1, 0, abi.encodePacked(good, rest)), 0, "the original");
    }

    function _prefixed(bytes memory chain) private pure returns (bytes memory) {
        return abi.encodePacked(uint16(chain.length), chain);
    }

    function _formWith(bytes memory chain) private pure returns (bytes memory) {
        bytes memory chains = abi.encodePacked(uint8(2), _prefixed(chain), _prefixed(chainOf(2)));
        return abi.encodePacked(parameters(1, SEATS, THRESHOLD), chains, gateways());
    }

    function _chainHead(uint8 client, uint8 method, uint8 depth, uint8 most) private pure returns (bytes memory) {
        return abi.encodePacked(
            abi.encodePacked(uint32(1), hubOf(1), uint64(5001)), client, method, depth, most, uint32(1_000_000)
        );
    }

    function _notaries(uint8 k, uint8 n) private pure returns (bytes memory set) {
        set = abi.encodePacked(uint32(1), k, n);
        for (uint256 i = 0; i < n; i++) {
            set = abi.encodePacked(set, address(uint160(0x70 + i)));
        }
    }

    function testChainsAreReadStrictly() public {
        bytes memory start = _prefixed(checkpoint());
        bytes memory notaries = _prefixed(_notaries(3, 4));
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 0, 0, 9), start, uint16(0))), 4, "method 0");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 4, 0, 9), start, uint16(0))), 4, "method 4");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 1, 0, 9), start, uint16(0))), 4, "no client");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 2, 1, 9), uint16(0), notaries)), 4, "a client");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 9, 8), start, uint16(0))), 4, "depth");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 2, 0, 9), uint16(0), notaries)), 4, "depth zero");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 0, 9), uint16(0), uint16(0))), 4, "no start");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 0, 9), start, notaries)), 4, "notaries too many");
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 3, 0, 9), start, uint16(0))), 4, "notaries missing");
        bytes memory weak = _prefixed(_notaries(2, 3));
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 2, 1, 9), uint16(0), weak)), 4, "a weak set");
        weak = _prefixed(_notaries(1, 1));
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 2, 1, 9), uint16(0), weak)), 4, "one of one");
        bytes memory twice = abi.encodePacked(uint32(1), uint8(2), uint8(2), address(7), address(7));
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 2, 1, 9), uint16(0), _prefixed(twice))), 4, "twice");
        bytes memory zero = abi.encodePacked(uint32(0), uint8(2), uint8(2), address(7), address(8));
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(0, 2, 1, 9), uint16(0), _prefixed(zero))), 4, "epoch 0");
        bytes memory cut = abi.encodePacked(uint16(checkpoint().length - 1), checkpoint());
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 0, 9), cut, uint16(0))), 1, "a byte between");
        bytes memory space = checkpoint();
        space[8] = 0x20;
        _malformed(1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 0, 9), _prefixed(space), uint16(0))), 4, "a space");
        bytes memory genesis = checkpoint();
        genesis[19] = 0;
        _malformed(
            1, 0, _formWith(abi.encodePacked(_chainHead(1, 1, 0, 9), _prefixed(genesis), uint16(0))), 4, "height 0"
        );
        bytes memory other = chainOf(1);
        other[10] ^= 0x01;
        _filed(requestOf(1, 0, _formWith(other)), IDomainEvents.WrongHub.selector, "another hub");
        other = chainOf(1);
        other[30] ^= 0x01;
        _filed(requestOf(1, 0, _formWith(other)), IDomainEvents.WrongHub.selector, "another EVM chain");
        bytes memory both = abi.encodePacked(_chainHead(1, 3, 0, 9), start, notaries);
        _filed(requestOf(1, 0, _formWith(both)), 0, "both methods");
        both = abi.encodePacked(_chainHead(0, 2, 1, 9), uint16(0), notaries);
        _filed(requestOf(1, 0, _formWith(both)), 0, "notaries");
    }

    function testChangesAreReadStrictly() public {
        uint32 domain = formDomain(2, 1);
        _malformed(2, domain, chainsFrom(2, 3), 6, "a member joins");
        _malformed(2, domain, abi.encodePacked(chainsFrom(3, 3), uint8(0)), 1, "JOIN longer");
        _malformed(3, domain, abi.encodePacked(uint32(3), uint8(0)), 6, "who is no member leaves");
        _malformed(3, domain, abi.encodePacked(uint32(1), uint8(2)), 6, "excluded 2");
        _malformed(3, domain, abi.encodePacked(uint32(1)), 1, "LEAVE shorter");
        bytes memory listed = abi.encodePacked(chainsFrom(1, 2), gateways());
        _malformed(4, domain, abi.encodePacked(uint8(0), listed), 7, "no relay chain more");
        _malformed(4, domain, abi.encodePacked(uint8(16), listed), 7, "too many");
        _malformed(4, domain, abi.encodePacked(uint8(1), chainsFrom(1, 3), gateways()), 6, "others than the members");
        bytes memory fewer = abi.encodePacked(uint16(1), address(0x1001), uint32(100));
        _malformed(4, domain, abi.encodePacked(uint8(1), chainsFrom(1, 2), fewer), 5, "not all gateways");
        bytes memory more = abi.encodePacked(uint16(2), address(0x1001), uint32(101), address(0x1002), uint32(50));
        _malformed(4, domain, abi.encodePacked(uint8(1), chainsFrom(1, 2), more), 5, "another quota");
        _malformed(5, domain, abi.encodePacked(uint32(1)), 7, "the last one");
        (,,,,, uint64[] memory nodes) = registry.relayOf(1);
        _malformed(6, domain, abi.encodePacked(uint32(2), nodes[0], uint8(1), uint8(3), uint32(0)), 7, "no relay chain");
        _malformed(6, domain, abi.encodePacked(uint32(1), uint64(99), uint8(1), uint8(3), uint32(0)), 8, "no seat");
        _malformed(6, domain, abi.encodePacked(uint32(1), uint64(0), uint8(0), uint8(3), uint32(0)), 8, "nothing");
        _malformed(6, domain, abi.encodePacked(uint32(1), nodes[0], uint8(2), uint8(3), uint32(0)), 8, "draw 2");
        _malformed(6, domain, abi.encodePacked(uint32(1), nodes[0], uint8(1), uint8(2), uint32(0)), 8, "k of 4 is 2");
        _malformed(6, domain, abi.encodePacked(uint32(1), nodes[0], uint8(0), uint8(4), uint32(0)), 8, "k above n");
        _malformed(7, domain, parameters(2, SEATS, THRESHOLD), 3, "other relay chains");
        _malformed(7, domain, parameters(1, 5, 4), 3, "other seats");
        _malformed(8, domain, hex"00", 1, "DISSOLVE with a body");
        _malformed(9, domain, abi.encodePacked(uint16(0)), 5, "no gateway");
        bytes memory policy = abi.encodePacked(uint32(2), uint8(1), uint32(1), uint16(0), uint16(1024));
        policy[3] = 0x01;
        _malformed(10, domain, policy, 9, "the same epoch");
        policy = abi.encodePacked(uint32(2), uint8(1), uint32(2), uint16(0), uint16(1024));
        _malformed(10, domain, policy, 9, "no active relay chain");
        policy = abi.encodePacked(uint32(2), uint8(1), uint32(1), uint16(0), uint16(1023));
        _malformed(10, domain, policy, 9, "a slot left out");
        _malformed(11, domain, chainsFrom(1, 2), 6, "RENEW of two");
        _malformed(11, domain, chainsFrom(3, 3), 6, "RENEW of no member");

        bytes memory stale = requestOf(8, domain, "");
        change(requestOf(9, domain, gateways()), 1, 2);
        _filed(stale, IDomainEvents.StaleRequest.selector, "made for an older state");
    }

    function testARequestThatBecameStaleIsNotClosed() public {
        uint32 domain = formDomain(2, 1);
        bytes memory first = requestOf(9, domain, gateways());
        bytes memory second = requestOf(8, domain, "");
        fileAndCosign(first, 1, 2);
        fileAndCosign(second, 1, 2);
        registry.close(first);
        bytes memory data = abi.encodeCall(IDomainRequests.close, (second));
        assertRefused(STRANGER, address(registry), data, IDomainEvents.StaleRequest.selector, "stale");
        bytes memory third = requestOf(8, domain, "");
        fileAndCosign(third, 1, 2);
        data = abi.encodeCall(IDomainRequests.close, (third));
        assertRefused(
            STRANGER, address(registry), data, IDomainEvents.WrongDomainState.selector, "one change at a time"
        );
        govern(registry, domain, 2, first);
        assertRefused(STRANGER, address(registry), data, 0, "afterwards");
    }

    function testExpiryHasBounds() public {
        bytes memory request = formRequest(2, 1);
        for (uint256 i = 10; i < 18; i++) {
            request[i] = 0xff;
        }
        _filed(request, IDomainEvents.WrongExpiry.selector, "too late");
        for (uint256 i = 10; i < 18; i++) {
            request[i] = 0;
        }
        _filed(request, IDomainEvents.WrongExpiry.selector, "in the past");
        request = formRequest(2, 1);
        fileAndCosign(request, 1, 2);
        vm.warp(block.timestamp + 8 days);
        bytes memory data = abi.encodeCall(IDomainRequests.close, (request));
        assertRefused(STRANGER, address(registry), data, IDomainEvents.WrongExpiry.selector, "closed too late");
    }

    function testTooFewNodes() public {
        // Three sets of four need twelve nodes, there are ten.
        bytes memory request = formRequest(2, 3);
        fileAndCosign(request, 1, 2);
        bytes memory data = abi.encodeCall(IDomainRequests.close, (request));
        assertRefused(STRANGER, address(registry), data, IDomainEvents.NotEnoughNodes.selector, "too few");
        assertEq(market.pendingDraws(), 0, "nothing pending");
        offerNode(0, 71, 100 + 0);
    }

    /// Two requests are closed over the same candidates: who is drawn for the first is not free for the second.
    function testADrawThatFindsTooFewIsRefused() public {
        bytes memory first = formRequest(2, 2);
        bytes memory second = formRequest(2, 1);
        bytes32 id = fileAndCosign(second, 1, 2);
        fileAndCosign(first, 1, 2);
        bytes memory candidates = closeRequest(second);
        closeAndDraw(first);
        registry.draw(second, candidates);
        assertEq(stateOf(id), 8, "refused");
        assertEq(market.pendingDraws(), 0, "nothing pending");
        (, uint32 domains,) = registry.counts();
        assertEq(domains, 1, "domains");
    }

    function testSingleOperatorIsNamedByEveryApproval() public {
        bytes memory single = parameters(1, SEATS, THRESHOLD);
        single[1] = 0x02;
        bytes memory request = requestOf(1, 0, abi.encodePacked(single, chainsFrom(1, 2), gateways()));
        bytes32 id = idOf(request);
        _filed(request, IDomainEvents.WrongApproval.selector, "an approval that does not name it");
        registry.file(request, 1, 2, voice(1, 0, 2, id, 0));
        registry.cosign(id, 2, 2, voice(2, 0, 2, id, 0));
        for (uint256 key = 81; key < 83; key++) {
            vm.deal(operatorAccount(3), 10 ether);
            vm.prank(operatorAccount(3));
            market.postBond{value: BOND}();
            offerNode(3, key, 100);
        }
        closeAndDraw(request);
        uint64[] memory nodes = registry.drawnOf(id);
        for (uint256 i = 0; i < nodes.length; i++) {
            (, uint32 operator) = market.stateOf(nodes[i]);
            assertEq(operator, 4, "the only operator with four nodes");
        }
    }

    function testNothingIsDecidedWithoutAGovernorKey() public {
        setUpManagement(false);
        // Without a key nobody is admitted, so nothing can be drawn either.
        (bytes memory key, uint32 epoch) = board.governorKey();
        assertTrue(key.length == 0 && epoch == 0, "no key");
        bytes memory message = abi.encodePacked(
            uint8(1), uint8(3), uint32(0), uint32(2), uint32(0), uint8(2), address(market), uint64(1), uint16(20)
        );
        message = bytes.concat(message, bytes20(STRANGER), new bytes(65));
        bytes memory data = abi.encodeCall(market.governor, (message));
        assertRefused(STRANGER, address(market), data, IGoverned.WrongGovernorSignature.selector, "epoch 0");
    }
}

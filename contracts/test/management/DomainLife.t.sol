// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDomainEvents} from "../../src/management/interfaces/IDomainEvents.sol";
import {IDomainRequests} from "../../src/management/interfaces/IDomainRequests.sol";
import {ManagementFixture} from "./ManagementFixture.sol";

/// @notice The whole life of a domain, kind of request by kind of request.
contract DomainLifeTest is ManagementFixture {
    uint8 private constant ACTIVE = 2;
    uint8 private constant DRAINING = 3;
    uint8 private constant TERMINATED = 5;

    function setUp() public {
        setUpManagement(false);
        setUpGovernors();
        addNodes(6, 3);
        addRegistrations(4);
    }

    function _relayState(uint32 relay) private view returns (uint8 state) {
        (, state,,,,) = registry.relayOf(relay);
    }

    function _nodes(uint32 relay) private view returns (uint64[] memory nodes) {
        (,,,,, nodes) = registry.relayOf(relay);
    }

    function _members(uint32 domain) private view returns (uint32[] memory members) {
        (,,,,, members,) = registry.domainOf(domain);
    }

    function _relays(uint32 domain) private view returns (uint32[] memory relays) {
        (,,,,,, relays) = registry.domainOf(domain);
    }

    function testFormingStepByStep() public {
        bytes memory request = formRequest(2, 2);
        bytes32 id = idOf(request);
        assertEq(stateOf(id), 0, "none");
        registry.file(request, 2, 1, voice(2, 0, 1, id, 0));
        assertEq(stateOf(id), 1, "filed");
        vm.prank(representative(1));
        registry.cosign(id, 1, 1, "");
        assertEq(stateOf(id), 2, "cosigned, by calling itself");
        bytes memory candidates = closeRequest(request);
        assertEq(stateOf(id), 3, "closed");
        assertEq(candidates.length, 18 * 20, "candidates");
        assertEq(market.pendingDraws(), 1, "pending");
        bytes memory data = abi.encodeCall(IDomainRequests.draw, (request, candidates));
        for (uint256 i = 0; i < 3; i++) {
            assertRefused(address(1), address(registry), data, IDomainEvents.TooEarly.selector, "too early");
            vm.roll(block.number + 1);
        }
        assertRefused(
            address(1),
            address(registry),
            abi.encodeCall(IDomainRequests.draw, (request, bytes.concat(candidates, new bytes(20)))),
            IDomainEvents.WrongCandidates.selector,
            "other candidates"
        );
        registry.draw(request, candidates);
        assertEq(stateOf(id), 4, "drawn");
        assertEq(market.pendingDraws(), 0, "no longer pending");
        assertRefused(address(1), address(registry), data, IDomainEvents.WrongRequestState.selector, "drawn once");
        assertEq(domainState(1), 1, "forming");
        assertEq(vm.load(address(registry), keccak256(abi.encode(id, uint256(0)))), 0, "base 0: not final");
        _checkSets();

        bytes32 decision = decisionOf(id);
        registry.confirm(id, decision, 1, voice(1, 0, 3, id, decision));
        assertEq(stateOf(id), 4, "one of two");
        registry.confirm(id, decision, 2, voice(2, 0, 3, id, decision));
        assertEq(stateOf(id), 5, "confirmed");
        assertEq(vm.load(address(registry), keccak256(abi.encode(id, uint256(0)))), decision, "base 0: final");
        assertEq(_relayState(1), 1, "announced");
        reportAll(id, keccak256("genesis"));
        assertEq(stateOf(id), 6, "executing");
        assertEq(
            vm.load(address(registry), keccak256(abi.encode(uint256(2), uint256(1)))), keccak256("genesis"), "base 1"
        );
        uint256 word = uint256(vm.load(address(registry), keccak256(abi.encode(id, uint256(2)))));
        assertEq(word, 6 | (1 << 8) | (1 << 16) | (uint256(block.timestamp + 7 days) << 48), "base 2");
        assertReason(tryGovern(registry, 2, 2, request), bytes4(keccak256("MalformedBody()")), "the domain of another");
        govern(registry, 1, 2, request);
        assertEq(stateOf(id), 7, "done");
        assertEq(domainState(1), 2, "running");
        assertTrue(_relayState(1) == ACTIVE && _relayState(2) == ACTIVE, "active");
        (, uint32 decisions, uint32 policyEpoch,, bytes memory stored, uint32[] memory members,) = registry.domainOf(1);
        assertTrue(decisions == 1 && policyEpoch == 1 && members.length == 2 && members[1] == 2, "domain");
        assertEq(stored, parameters(2, SEATS, THRESHOLD), "parameters");
        assertTrue(registry.gatewayCount(1) == 2 && registry.gatewayQuota(1, address(0x1001)) == 100, "gateways");
    }

    /// Two sets of four of six operators with three nodes each: nobody sits twice in one, no node sits in two.
    function _checkSets() private view {
        for (uint32 relay = 1; relay <= 2; relay++) {
            uint64[] memory nodes = _nodes(relay);
            assertEq(nodes.length, SEATS, "seats");
            for (uint256 i = 0; i < nodes.length; i++) {
                (uint8 state, uint32 operator) = market.stateOf(nodes[i]);
                assertTrue(state == 2 && market.nodeOf(nodes[i]).relay == relay, "reserved");
                for (uint256 j = 0; j < i; j++) {
                    (, uint32 other) = market.stateOf(nodes[j]);
                    assertTrue(operator != other, "an operator sits twice");
                }
            }
        }
    }

    function testTheRecordSaysWhatTheFormatSays() public {
        bytes memory request = formRequest(2, 1);
        bytes32 id = fileAndCosign(request, 1, 2);
        bytes memory record = closeAndDraw(request);
        uint64[] memory nodes = _nodes(1);
        bytes memory seats;
        for (uint256 i = 0; i < nodes.length; i++) {
            seats = bytes.concat(seats, market.seatOf(nodes[i]));
        }
        bytes memory body = new bytes(request.length - 26);
        for (uint256 i = 0; i < body.length; i++) {
            body[i] = request[26 + i];
        }
        bytes memory expected = bytes.concat(
            abi.encodePacked(uint8(1), uint8(1), uint8(0), uint64(block.chainid), address(registry), id),
            abi.encodePacked(uint32(1), uint32(1), uint64(block.timestamp), groupKey(GOVERNOR_SECRET), uint32(1)),
            parameters(1, SEATS, THRESHOLD),
            abi.encodePacked(uint16(body.length), body),
            abi.encodePacked(uint8(1), uint32(1), uint32(1), THRESHOLD, SEATS, seats),
            abi.encodePacked(uint16(13), uint32(1), uint8(1), uint32(1), uint16(0), uint16(1024))
        );
        assertEq(record, expected, "record");
        bytes32 hash = keccak256(bytes.concat(keccak256("PIEBRIDGE/DECISION/v1"), record));
        assertEq(decisionOf(id), hash, "decision hash");
    }

    function testJoinLeaveAndExclude() public {
        uint32 domain = formDomain(2, 1);
        change(requestOf(2, domain, chainsFrom(3, 4)), 1, 4);
        uint32[] memory members = _members(domain);
        assertTrue(members.length == 4 && members[2] == 3 && members[3] == 4, "joined");
        // One leaves by its own wish.
        change(requestOf(3, domain, abi.encodePacked(uint32(1), uint8(0))), 1, 1);
        // The others exclude one of theirs.
        change(requestOf(3, domain, abi.encodePacked(uint32(4), uint8(1))), 2, 3);
        members = _members(domain);
        assertTrue(members.length == 2 && members[0] == 2 && members[1] == 3, "left");
        assertEq(domainState(domain), 2, "running");
    }

    function testScaleUpAndDown() public {
        uint32 domain = formDomain(2, 1);
        bytes memory request = requestOf(4, domain, abi.encodePacked(uint8(1), chainsFrom(1, 2), gateways()));
        bytes32 id = fileAndCosign(request, 1, 2);
        bytes memory record = closeAndDraw(request);
        assertEq(
            _tail(record, 23),
            abi.encodePacked(
                uint16(21), uint32(2), uint8(2), uint32(1), uint16(0), uint16(512), uint32(2), uint16(512), uint16(512)
            ),
            "policy"
        );
        assertEq(domainState(domain), 3, "changing");
        confirmAll(request, 1, 2);
        assertEq(_relayState(2), 1, "announced");
        assertEq(_relays(domain).length, 1, "not yet one of the domain");
        reportAll(id, keccak256("second genesis"));
        govern(registry, domain, 2, request);
        assertTrue(_relays(domain).length == 2 && _relayState(2) == ACTIVE, "two relay chains");

        request = requestOf(5, domain, abi.encodePacked(uint32(1)));
        fileAndCosign(request, 1, 2);
        vm.recordLogs();
        registry.close(request);
        assertEq(
            _tail(recordOf(vm.getRecordedLogs()), 15),
            abi.encodePacked(uint16(13), uint32(3), uint8(1), uint32(2), uint16(0), uint16(1024)),
            "policy without it"
        );
        assertEq(_relayState(1), DRAINING, "draining");
        uint64 node = _nodes(1)[0];
        uint256 reputation = reputationOf(node);
        govern(registry, domain, 2, request);
        assertEq(_relayState(1), TERMINATED, "terminated");
        uint32[] memory relays = _relays(domain);
        assertTrue(relays.length == 1 && relays[0] == 2, "one relay chain");
        assertTrue(nodeState(node) == 5 && reputationOf(node) == reputation + 500, "its nodes are spent");
    }

    function _tail(bytes memory data, uint256 length) private pure returns (bytes memory tail) {
        tail = new bytes(length);
        for (uint256 i = 0; i < length; i++) {
            tail[i] = data[data.length - length + i];
        }
    }

    function testReplaceAValidator() public {
        uint32 domain = formDomain(2, 1);
        uint64[] memory before = _nodes(1);
        (, uint32 leaver) = market.stateOf(before[1]);
        vm.prank(operatorAccount(leaver - 1));
        market.leaveSeat(before[1]);
        bytes memory request =
            requestOf(6, domain, abi.encodePacked(uint32(1), before[1], uint8(1), THRESHOLD, uint32(600)));
        bytes32 id = fileAndCosign(request, 1, 2);
        closeAndDraw(request);
        uint64[] memory drawn = registry.drawnOf(id);
        assertEq(drawn.length, 1, "one newcomer");
        (, uint32 newcomer) = market.stateOf(drawn[0]);
        for (uint256 i = 0; i < before.length; i++) {
            (, uint32 operator) = market.stateOf(before[i]);
            assertTrue(i == 1 || operator != newcomer, "of an operator that has a seat already");
        }
        confirmAll(request, 1, 2);
        address agent = market.nodeOf(drawn[0]).agent;
        bytes memory wrong = abi.encodeCall(registry.reportGenesis, (id, 1, drawn[0], keccak256("other")));
        assertRefused(agent, address(registry), wrong, IDomainEvents.WrongReport.selector, "another chain");
        bytes memory old = abi.encodeCall(registry.reportGenesis, (id, 1, before[0], keccak256("genesis")));
        address oldAgent = market.nodeOf(before[0]).agent;
        assertRefused(oldAgent, address(registry), old, IDomainEvents.NotASeat.selector, "who is not new");
        vm.prank(agent);
        registry.reportGenesis(id, 1, drawn[0], keccak256("genesis"));
        assertEq(stateOf(id), 6, "executing");
        govern(registry, domain, 2, request);
        (,, uint32 epoch, uint8 threshold, bytes32 genesisHash, uint64[] memory nodes) = registry.relayOf(1);
        assertTrue(epoch == 2 && threshold == THRESHOLD && nodes.length == SEATS, "set");
        assertTrue(nodes[0] == before[0] && nodes[1] == before[2] && nodes[3] == drawn[0], "order of the set");
        assertEq(genesisHash, keccak256("genesis"), "genesis stays");
        assertTrue(nodeState(before[1]) == 5 && nodeState(drawn[0]) == 3, "seats");

        // One more without drawing: a set of three needs all of them.
        request = requestOf(6, domain, abi.encodePacked(uint32(1), nodes[0], uint8(0), uint8(3), uint32(0)));
        change(request, 1, 2);
        (,, epoch, threshold,, nodes) = registry.relayOf(1);
        assertTrue(epoch == 3 && threshold == 3 && nodes.length == 3, "smaller set");
    }

    function testParametersGatewaysPolicyRenew() public {
        uint32 domain = formDomain(2, 2);
        bytes memory changed = parameters(2, SEATS, THRESHOLD);
        changed[5] = 0x99;
        change(requestOf(7, domain, changed), 1, 2);
        (,,,, bytes memory stored,,) = registry.domainOf(domain);
        assertEq(stored, changed, "parameters");
        bytes memory body = abi.encodePacked(uint16(2), address(0x1001), uint32(0), address(0x1003), uint32(7));
        change(requestOf(9, domain, body), 1, 2);
        assertTrue(registry.gatewayQuota(domain, address(0x1001)) == 0, "removed");
        assertTrue(registry.gatewayQuota(domain, address(0x1003)) == 7 && registry.gatewayCount(domain) == 2, "added");
        body = abi.encodePacked(
            uint32(2), uint8(2), uint32(2), uint16(0), uint16(1000), uint32(1), uint16(1000), uint16(24)
        );
        change(requestOf(10, domain, body), 1, 2);
        (,, uint32 policyEpoch,,,,) = registry.domainOf(domain);
        assertEq(policyEpoch, 2, "policy");
        change(requestOf(11, domain, chainsFrom(2, 2)), 1, 2);
        (, uint32 decisions,,,,,) = registry.domainOf(domain);
        assertEq(decisions, 5, "decisions");
    }

    function testDissolve() public {
        uint32 domain = formDomain(2, 2);
        uint64[] memory nodes = _nodes(2);
        bytes memory request = requestOf(8, domain, "");
        fileAndCosign(request, 1, 2);
        registry.close(request);
        assertEq(domainState(domain), 4, "dissolving");
        assertTrue(_relayState(1) == DRAINING && _relayState(2) == DRAINING, "draining");
        // The governors may find that it cannot be done.
        govern(registry, domain, 3, abi.encodePacked(idOf(request)));
        assertTrue(domainState(domain) == 2 && _relayState(1) == ACTIVE, "running again");
        assertEq(stateOf(idOf(request)), 8, "refused");
        change(requestOf(8, domain, ""), 1, 2);
        assertEq(domainState(domain), 5, "dissolved");
        assertTrue(_relays(domain).length == 0 && _relayState(2) == TERMINATED, "terminated");
        assertEq(nodeState(nodes[0]), 5, "spent");
        request = requestOf(9, domain, gateways());
        fileAndCosign(request, 1, 2);
        bytes memory data = abi.encodeCall(IDomainRequests.close, (request));
        assertRefused(
            address(1), address(registry), data, IDomainEvents.WrongDomainState.selector, "change of a dissolved domain"
        );
    }

    function testFrozenRelayChains() public {
        uint32 domain = formDomain(2, 2);
        bytes4 wrong = IDomainEvents.WrongRelayState.selector;
        assertReason(tryGovern(registry, domain, 4, abi.encodePacked(uint32(1), uint8(5))), wrong, "not frozen yet");
        assertReason(tryGovern(registry, domain, 4, abi.encodePacked(uint32(1), uint8(2))), wrong, "active");
        govern(registry, domain, 4, abi.encodePacked(uint32(1), uint8(4)));
        assertEq(_relayState(1), 4, "frozen");
        assertReason(tryGovern(registry, domain, 4, abi.encodePacked(uint32(1), uint8(4))), wrong, "again");
        uint64 node = _nodes(1)[0];
        uint256 reputation = reputationOf(node);
        govern(registry, domain, 4, abi.encodePacked(uint32(1), uint8(5)));
        assertTrue(_relayState(1) == TERMINATED && _relays(domain).length == 1, "terminated");
        assertEq(reputationOf(node), reputation, "that earns nothing");
    }

    function testTheGenesisNeedsEverySeat() public {
        bytes memory request = formRequest(2, 1);
        bytes32 id = fileAndCosign(request, 1, 2);
        closeAndDraw(request);
        uint64[] memory nodes = _nodes(1);
        address agent = market.nodeOf(nodes[0]).agent;
        bytes32 hash = keccak256("genesis");
        bytes memory data = abi.encodeCall(registry.reportGenesis, (id, 1, nodes[0], hash));
        assertRefused(agent, address(registry), data, IDomainEvents.WrongRequestState.selector, "not final");
        confirmAll(request, 1, 2);
        assertRefused(address(1), address(registry), data, IDomainEvents.NotTheAgent.selector, "stranger");
        bytes memory none = abi.encodeCall(registry.reportGenesis, (id, 1, nodes[0], 0));
        assertRefused(agent, address(registry), none, IDomainEvents.WrongReport.selector, "no hash");
        bytes memory elsewhere = abi.encodeCall(registry.reportGenesis, (id, 2, nodes[0], hash));
        assertRefused(agent, address(registry), elsewhere, IDomainEvents.NotASeat.selector, "another relay chain");
        assertRefused(agent, address(registry), data, 0, "agent");
        assertRefused(agent, address(registry), data, IDomainEvents.WrongReport.selector, "again");
        // One seat disagrees: the chain never starts, and the decision dies with its time.
        for (uint256 i = 1; i < nodes.length; i++) {
            vm.prank(market.nodeOf(nodes[i]).agent);
            registry.reportGenesis(id, 1, nodes[i], i == 3 ? keccak256("other") : hash);
        }
        assertEq(stateOf(id), 5, "still confirmed");
        (,,,, bytes32 genesisHash,) = registry.relayOf(1);
        assertEq(genesisHash, 0, "no genesis");
        assertReason(tryGovern(registry, 1, 2, request), IDomainEvents.WrongRequestState.selector, "not executing");
    }

    function testUptimeCountsByEqualReportsOfAQuorum() public {
        uint32 domain = formDomain(2, 1);
        assertEq(domain, 1, "domain");
        uint64[] memory nodes = _nodes(1);
        vm.warp(block.timestamp + PERIOD - 1);
        _report(nodes[0], 1, 0x7, IDomainEvents.WrongPeriod.selector, "too early");
        vm.warp(block.timestamp + 1);
        _report(nodes[0], 2, 0x7, IDomainEvents.WrongPeriod.selector, "another period");
        _report(nodes[0], 1, 0x10, IDomainEvents.WrongReport.selector, "a seat that is none");
        bytes memory data = abi.encodeCall(registry.reportUptime, (1, 1, 99, 0x7));
        assertRefused(address(1), address(registry), data, IDomainEvents.NotTheAgent.selector, "no node");
        _report(nodes[0], 1, 0x7, 0, "first");
        _report(nodes[0], 1, 0x7, IDomainEvents.WrongReport.selector, "one twice");
        _report(nodes[1], 1, 0xf, 0, "one who says otherwise");
        _report(nodes[2], 1, 0x7, 0, "second");
        (uint64 period,) = registry.uptimeOf(1);
        assertEq(period, 0, "two equal reports are no quorum");
        _report(nodes[3], 1, 0x7, 0, "third");
        (period,) = registry.uptimeOf(1);
        assertEq(period, 1, "counted");
        assertTrue(reputationOf(nodes[0]) == 1281 && reputationOf(nodes[3]) == 875, "reputations");
        _report(nodes[0], 2, 0x7, IDomainEvents.WrongPeriod.selector, "the next one too early");
    }

    function _report(uint64 node, uint64 period, uint256 present, bytes4 expected, string memory what) private {
        address agent = market.nodeOf(node).agent;
        bytes memory data = abi.encodeCall(registry.reportUptime, (1, period, node, present));
        assertRefused(agent, address(registry), data, expected, what);
    }

    function testExpiryAtEveryState() public {
        for (uint256 reached = 1; reached <= 5; reached++) {
            bytes memory request = formRequest(2, 1);
            bytes32 id = idOf(request);
            registry.file(request, 1, 1, voice(1, 0, 1, id, 0));
            if (reached >= 2) registry.cosign(id, 2, 1, voice(2, 0, 1, id, 0));
            if (reached >= 4) closeAndDraw(request);
            else if (reached == 3) closeRequest(request);
            if (reached == 5) confirmAll(request, 1, 2);
            assertEq(stateOf(id), reached, "state");
            bytes memory data = abi.encodeCall(IDomainRequests.expire, (id));
            vm.warp(block.timestamp + 7 days);
            assertRefused(address(1), address(registry), data, IDomainEvents.NotExpired.selector, "in time");
            vm.warp(block.timestamp + 1);
            assertRefused(address(1), address(registry), data, 0, "expired");
            assertEq(stateOf(id), 9, "expired");
            assertRefused(address(1), address(registry), data, IDomainEvents.WrongRequestState.selector, "again");
            assertEq(market.pendingDraws(), 0, "draws");
            (, uint32 domains, uint32 relays) = registry.counts();
            if (reached < 4) {
                assertTrue(domains == 0 && relays == 0, "numbers");
                continue;
            }
            assertEq(domainState(domains), 6, "abandoned");
            assertEq(_relayState(relays), TERMINATED, "a relay chain that never was");
            assertEq(vm.load(address(registry), keccak256(abi.encode(id, uint256(0)))), 0, "no decision");
            uint64[] memory nodes = _nodes(relays);
            assertEq(nodeState(nodes[0]), reached == 4 ? 1 : 5, "free with fresh keys, or spent");
            _beat();
        }
        (, uint32 last,) = registry.counts();
        assertEq(last, 2, "numbers are never given out again");
    }

    /// @dev Signs of life of all nodes, so that time alone makes nobody unfit for the next round.
    function _beat() private {
        for (uint64 node = 1; node <= 18; node++) {
            vm.prank(agentAccount(node));
            market.heartbeat(node);
        }
    }

    function testRefusalAtEveryState() public {
        for (uint256 reached = 1; reached <= 6; reached++) {
            bytes memory request = formRequest(2, 1);
            bytes32 id = idOf(request);
            registry.file(request, 1, 1, voice(1, 0, 1, id, 0));
            if (reached >= 2) registry.cosign(id, 2, 1, voice(2, 0, 1, id, 0));
            if (reached >= 4) closeAndDraw(request);
            else if (reached == 3) closeRequest(request);
            if (reached >= 5) confirmAll(request, 1, 2);
            if (reached == 6) reportAll(id, keccak256("genesis"));
            assertEq(stateOf(id), reached, "state");
            (,, uint32 domain,,,,,,,) = registry.requestOf(id);
            bytes memory data = abi.encodeCall(IDomainRequests.reject, (id, 2, voice(2, 0, 4, id, 0)));
            if (reached < 5) {
                bytes memory other = abi.encodeCall(IDomainRequests.reject, (id, 3, voice(3, 0, 4, id, 0)));
                assertRefused(address(1), address(registry), other, IDomainEvents.NotAParty.selector, "no party");
                assertRefused(address(1), address(registry), data, 0, "a party rejects");
            } else {
                bytes4 wrong = IDomainEvents.WrongRequestState.selector;
                assertRefused(address(1), address(registry), data, wrong, "the decision is final");
                govern(registry, domain, 3, abi.encodePacked(id));
            }
            assertEq(stateOf(id), 8, "refused");
            assertEq(market.pendingDraws(), 0, "draws");
            assertEq(vm.load(address(registry), keccak256(abi.encode(id, uint256(0)))), 0, "no decision");
            if (reached >= 4) assertEq(domainState(domain), 6, "abandoned");
        }
    }

    function testNoShowsLoseReputation() public {
        bytes memory request = formRequest(2, 1);
        bytes32 id = fileAndCosign(request, 1, 2);
        closeAndDraw(request);
        confirmAll(request, 1, 2);
        uint64[] memory nodes = _nodes(1);
        vm.prank(market.nodeOf(nodes[0]).agent);
        registry.reportGenesis(id, 1, nodes[0], keccak256("genesis"));
        vm.warp(block.timestamp + 7 days - 3600);
        _beatNodes(nodes);
        vm.warp(block.timestamp + 3601);
        uint256 before = reputationOf(nodes[0]);
        registry.expire(id);
        assertTrue(reputationOf(nodes[0]) == before && reputationOf(nodes[1]) == before / 2, "who has not reported");
    }

    function _beatNodes(uint64[] memory nodes) private {
        for (uint256 i = 0; i < nodes.length; i++) {
            vm.prank(market.nodeOf(nodes[i]).agent);
            market.heartbeat(nodes[i]);
        }
    }

    /// A draw that waited longer than the EVM remembers blocks uses a later block, and it is the only one that it can use.
    function testADrawThatCameLateUsesALaterBlock() public {
        bytes memory request = formRequest(2, 1);
        fileAndCosign(request, 1, 2);
        uint256 closed = block.number;
        bytes memory candidates = closeRequest(request);
        uint256[4] memory after_ = [uint256(3), 258, 259, 2000];
        uint256[4] memory seedBlocks = [closed + 2, closed + 2, closed + 258, closed + 2 + 7 * 256];
        uint256[4] memory rounds = [uint256(0), 0, 1, 7];
        for (uint256 i = 0; i < 4; i++) {
            uint256 snapshot = vm.snapshotState();
            vm.roll(closed + after_[i]);
            bytes32 seed = keccak256(
                abi.encodePacked(
                    keccak256("PIEBRIDGE/DRAW/v1"),
                    uint64(block.chainid),
                    address(registry),
                    idOf(request),
                    uint32(rounds[i]),
                    blockhash(seedBlocks[i])
                )
            );
            assertTrue(blockhash(seedBlocks[i]) != 0, "the block is remembered");
            vm.prank(address(registry));
            uint64[] memory expected = rules.draw(request, seed, candidates);
            registry.draw(request, candidates);
            assertEq(keccak256(abi.encode(registry.drawnOf(idOf(request)))), keccak256(abi.encode(expected)), "draw");
            vm.revertToState(snapshot);
        }
    }
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {ApplicationDirectory} from "../../src/management/ApplicationDirectory.sol";
import {DomainDesk} from "../../src/management/DomainDesk.sol";
import {DomainRegistry} from "../../src/management/DomainRegistry.sol";
import {DomainRules} from "../../src/management/DomainRules.sol";
import {GovernorBoard} from "../../src/management/GovernorBoard.sol";
import {NodeMarket} from "../../src/management/NodeMarket.sol";
import {IApplicationDirectory} from "../../src/management/interfaces/IApplicationDirectory.sol";
import {IDomainRegistry} from "../../src/management/interfaces/IDomainRegistry.sol";
import {IDomainRules} from "../../src/management/interfaces/IDomainRules.sol";
import {IGoverned} from "../../src/management/interfaces/IGoverned.sol";
import {IGovernorBoard} from "../../src/management/interfaces/IGovernorBoard.sol";
import {INodeMarket} from "../../src/management/interfaces/INodeMarket.sol";
import {FrostSigner} from "../crypto/FrostSigner.sol";
import {Vm} from "../Vm.sol";

/// @notice The four contracts with a governor key, and whoever deals with them. Formats are written out here a second time, beside the contracts' own code.
abstract contract ManagementFixture is FrostSigner {
    uint256 internal constant GOVERNOR_SECRET = 0x60fe;
    uint128 internal constant BOND = 1 ether;
    uint32 internal constant DELAY = 1 days;
    uint32 internal constant PERIOD = 1 days;
    uint8 internal constant SEATS = 4;
    uint8 internal constant THRESHOLD = 3;
    uint256 private constant GOVERNORS = 4;

    IGovernorBoard internal board;
    INodeMarket internal market;
    IDomainRegistry internal registry;
    IDomainRules internal rules;
    IApplicationDirectory internal directory;
    address internal desk;

    uint256 internal governorSecret = GOVERNOR_SECRET;
    mapping(address target => mapping(uint32 domain => uint64)) internal counters;
    uint64 private _salt;

    function setUpManagement(bool dev) internal {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        bytes memory set = governorSet(3, GOVERNORS);
        board = new GovernorBoard(keccak256(bytes.concat(keccak256("PIEBRIDGE/GOVERNOR_SET/v1"), set)), dev);
        // Market, rules, desk, then the registry: this account makes it with its third nonce from now.
        address registryAddress = createAddress(address(this), 5);
        market = new NodeMarket(board, registryAddress, BOND, DELAY);
        rules = new DomainRules(board, market);
        desk = address(new DomainDesk(market, PERIOD));
        registry = IDomainRegistry(address(new DomainRegistry(board, market, rules, desk)));
        directory = new ApplicationDirectory(board, registry);
        assertEq(address(registry), registryAddress, "address of the registry");
    }

    /// @dev Address of what an account creates with a nonce below 128 (RLP).
    function createAddress(address account, uint8 nonce) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"d694", account, nonce)))));
    }

    // ------------------------------------------------------------------------------------------------------------ governors

    function governorAccount(uint256 index) internal pure returns (address) {
        return address(uint160(0x90000 + index));
    }

    function governorSet(uint8 threshold, uint256 size) internal pure returns (bytes memory set) {
        set = abi.encodePacked(threshold, uint8(size));
        for (uint256 i = 0; i < size; i++) {
            set = abi.encodePacked(set, governorAccount(i));
        }
    }

    function groupKey(uint256 secret) internal returns (bytes memory) {
        (uint256 x, uint8 prefix) = frostKey(secret);
        return abi.encodePacked(prefix, x);
    }

    function keyDigest(uint32 epoch, uint64 ceremony, bytes32 setHash, bytes memory key)
        internal
        view
        returns (bytes32)
    {
        return keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/GOVERNOR_KEY/v1"),
                uint32(0),
                uint32(1),
                epoch,
                uint8(1),
                uint64(block.chainid),
                address(board),
                ceremony,
                setHash,
                key
            )
        );
    }

    function keySignature(uint256 secret, bytes32 digest) internal returns (bytes memory) {
        return frostSign(secret, uint256(digest) % 1e70 + 1, abi.encodePacked(digest));
    }

    /// @dev Key generation among a declared set: everybody confirms the key.
    function ceremonyOf(bytes32 setHash, uint256 members, uint256 secret) internal returns (uint64 ceremony) {
        vm.prank(governorAccount(0));
        ceremony = board.openCeremony(1, setHash, bytes32(0), 5, 10);
        bytes memory key = groupKey(secret);
        for (uint256 i = 0; i < members; i++) {
            vm.prank(governorAccount(i));
            board.confirmKey(ceremony, key);
        }
    }

    function setUpGovernors() internal {
        bytes32 setHash = board.declareSet(governorSet(3, GOVERNORS));
        uint64 ceremony = ceremonyOf(setHash, 3, GOVERNOR_SECRET);
        bytes memory key = groupKey(GOVERNOR_SECRET);
        board.registerFirstKey(ceremony, key, keySignature(GOVERNOR_SECRET, keyDigest(1, ceremony, setHash, key)));
    }

    function governorMessage(IGoverned target, uint32 domain, uint8 kind, uint64 counter, bytes memory body)
        internal
        returns (bytes memory)
    {
        bytes memory prefix = abi.encodePacked(domain, target.CONTRACT_NUMBER(), board.keyEpoch(), kind);
        bytes memory place = abi.encodePacked(uint64(block.chainid), address(target), counter);
        bytes32 digest = keccak256(bytes.concat(keccak256("PIEBRIDGE/GOVERNOR_MANAGEMENT/v1"), prefix, place, body));
        bytes memory signature = keySignature(governorSecret, digest);
        return
            abi.encodePacked(uint8(1), uint8(3), prefix, address(target), counter, uint16(body.length), body, signature);
    }

    /// @dev Sends the next message and demands that it was executed.
    function govern(IGoverned target, uint32 domain, uint8 kind, bytes memory body) internal {
        assertEq(tryGovern(target, domain, kind, body), "", "governor message was not executed");
    }

    /// @dev Sends the next message; the reason why it was not executed, empty if it was.
    function tryGovern(IGoverned target, uint32 domain, uint8 kind, bytes memory body)
        internal
        returns (bytes memory reason)
    {
        bytes memory message = governorMessage(target, domain, kind, ++counters[address(target)][domain], body);
        vm.recordLogs();
        target.governor(message);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        Vm.Log memory last = logs[logs.length - 1];
        assertEq(last.topics[0], IGoverned.GovernorMessageHandled.selector, "last event of a governor message");
        assertEq(uint256(last.topics[2]), counters[address(target)][domain], "counter");
        bool done;
        (, done, reason) = abi.decode(last.data, (uint8, bool, bytes));
        assertTrue(done == (reason.length == 0), "reason exactly when not done");
    }

    function assertReason(bytes memory reason, bytes4 expected, string memory what) internal pure {
        assertEq(bytes32(bytes4(reason)), bytes32(expected), what);
    }

    /// @dev Calls as somebody; the selector of the error, 0 if the call was taken.
    function refusal(address caller, address target, bytes memory data) internal returns (bytes4) {
        vm.prank(caller);
        (bool success, bytes memory reason) = target.call(data);
        return success ? bytes4(0) : bytes4(reason);
    }

    function assertRefused(address caller, address target, bytes memory data, bytes4 expected, string memory what)
        internal
    {
        assertEq(bytes32(refusal(caller, target, data)), bytes32(expected), what);
    }

    // ------------------------------------------------------------------------------------------------------------ operators and nodes

    function operatorAccount(uint256 index) internal pure returns (address) {
        return address(uint160(0xa0000 + index));
    }

    function agentAccount(uint256 key) internal pure returns (address) {
        return address(uint160(0xb0000 + key));
    }

    function addOperator(uint256 index, uint256 bonds) internal {
        govern(market, 0, 2, abi.encodePacked(operatorAccount(index)));
        vm.deal(operatorAccount(index), 1000 ether);
        if (bonds != 0) {
            vm.prank(operatorAccount(index));
            market.postBond{value: bonds * BOND}();
        }
    }

    function consensusSecret(uint256 key) internal pure returns (uint256) {
        return 0xc0000 + key;
    }

    function endorsementSecret(uint256 key) internal pure returns (uint256) {
        return 0xe0000 + key;
    }

    /// @dev Offer and its two signatures, by the keys of a number.
    function offerOf(uint32 operator, uint256 key, uint32 capacity)
        internal
        returns (bytes memory offer, bytes memory endorsementSignature, bytes memory consensusSignature)
    {
        Vm.Wallet memory consensus = vm.createWallet(consensusSecret(key));
        bytes memory keys = abi.encodePacked(
            uint8(2 + (consensus.publicKeyY & 1)), consensus.publicKeyX, vm.addr(endorsementSecret(key))
        );
        bytes memory peer = abi.encodePacked(bytes20(uint160(key + 1)), "10.0.0.1:26656");
        bytes memory endpoint = "http://10.0.0.1:26657";
        offer = abi.encodePacked(
            keys,
            agentAccount(key),
            capacity,
            uint64(block.timestamp - 10),
            uint64(block.timestamp + 365 days),
            uint8(peer.length),
            peer,
            uint8(endpoint.length),
            endpoint
        );
        endorsementSignature = ecdsa(endorsementSecret(key), possessionDigest(operator, 1, keys));
        consensusSignature = ecdsa(consensusSecret(key), possessionDigest(operator, 2, keys));
    }

    function possessionDigest(uint32 operator, uint8 which, bytes memory keys) internal view returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/NODE_OFFER/v1"),
                uint32(0),
                operator,
                uint32(0),
                which,
                uint64(block.chainid),
                address(market),
                keys
            )
        );
    }

    function ecdsa(uint256 secret, bytes32 digest) internal pure returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(secret, digest);
        return abi.encodePacked(r, s, v);
    }

    function offerNode(uint256 index, uint256 key, uint32 capacity) internal returns (uint64) {
        uint32 operator = market.operatorIdOf(operatorAccount(index));
        (bytes memory offer, bytes memory first, bytes memory second) = offerOf(operator, key, capacity);
        vm.prank(operatorAccount(index));
        return market.offerNode(offer, first, second);
    }

    /// @dev Operators 0 to count - 1 with `each` nodes; node numbers and keys go up operator by operator.
    function addNodes(uint256 count, uint256 each) internal {
        for (uint256 i = 0; i < count; i++) {
            addOperator(i, each);
            for (uint256 j = 0; j < each; j++) {
                offerNode(i, i * each + j + 1, 100);
            }
        }
    }

    function nodeState(uint64 node) internal view returns (uint8 state) {
        (state,) = market.stateOf(node);
    }

    function reputationOf(uint64 node) internal view returns (uint256) {
        return market.nodeOf(node).reputation;
    }

    // ------------------------------------------------------------------------------------------------------------ registrations and requests

    function representativeSecret(uint32 registration) internal pure returns (uint256) {
        return 0xd0000 + registration;
    }

    function representative(uint32 registration) internal pure returns (address) {
        return vm.addr(representativeSecret(registration));
    }

    function hubOf(uint32 registration) internal pure returns (address) {
        return address(uint160(0x40000 + registration));
    }

    function addRegistrations(uint32 count) internal {
        for (uint32 i = 1; i <= count; i++) {
            vm.startPrank(representative(i));
            assertEq(registry.register(), i, "registration");
            registry.bindHub(i, 5000 + i, hubOf(i));
            vm.stopPrank();
        }
    }

    function parameters(uint8 relays, uint8 seats, uint8 threshold) internal pure returns (bytes memory) {
        return abi.encodePacked(
            abi.encodePacked(uint8(1), uint8(1), uint32(500), uint32(4_194_304), relays, seats, threshold, uint8(1)),
            abi.encodePacked(uint32(50), uint32(30 days), uint32(600)),
            abi.encodePacked(uint32(8192), uint32(86_400), uint32(10), uint32(0), uint32(86_400))
        );
    }

    function checkpoint() internal pure returns (bytes memory) {
        bytes32 hash = keccak256("checkpoint");
        return abi.encodePacked(uint32(86_400), uint16(10), uint8(5), "chain", uint64(7), hash, uint64(1), hash, hash);
    }

    /// @dev REGISTER_CHAIN body of a registration, verified by SPV.
    function chainOf(uint32 registration) internal pure returns (bytes memory) {
        bytes memory start = checkpoint();
        return abi.encodePacked(
            abi.encodePacked(registration, hubOf(registration), uint64(5000 + registration)),
            abi.encodePacked(uint8(1), uint8(1), uint8(0), uint8(9), uint32(1_000_000)),
            uint16(start.length),
            start,
            uint16(0)
        );
    }

    function chainsFrom(uint32 first, uint32 last) internal pure returns (bytes memory list) {
        list = abi.encodePacked(uint8(last - first + 1));
        for (uint32 i = first; i <= last; i++) {
            bytes memory chain = chainOf(i);
            list = abi.encodePacked(list, uint16(chain.length), chain);
        }
    }

    function gateways() internal pure returns (bytes memory) {
        return abi.encodePacked(uint16(2), address(0x1001), uint32(100), address(0x1002), uint32(50));
    }

    function requestOf(uint8 kind, uint32 domain, bytes memory body) internal returns (bytes memory) {
        uint32 decisions;
        if (domain != 0) (, decisions,,,,,) = registry.domainOf(domain);
        return abi.encodePacked(uint8(1), kind, domain, decisions, uint64(block.timestamp + 7 days), ++_salt, body);
    }

    function formRequest(uint32 members, uint8 relays) internal returns (bytes memory) {
        return
            requestOf(1, 0, abi.encodePacked(parameters(relays, SEATS, THRESHOLD), chainsFrom(1, members), gateways()));
    }

    function idOf(bytes memory request) internal view returns (bytes32) {
        return keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/DOMAIN_REQUEST/v1"), uint64(block.chainid), address(registry), request
            )
        );
    }

    function voice(uint32 registration, uint32 domain, uint8 kind, bytes32 requestId, bytes32 decisionHash)
        internal
        view
        returns (bytes memory)
    {
        (, uint32 epoch,,,,) = registry.registrationOf(registration);
        bytes32 digest = keccak256(
            abi.encodePacked(
                keccak256("PIEBRIDGE/REPRESENTATIVE/v1"),
                domain,
                registration,
                epoch,
                kind,
                uint64(block.chainid),
                address(registry),
                requestId,
                decisionHash
            )
        );
        return ecdsa(representativeSecret(registration), digest);
    }

    function domainIn(bytes memory request) internal pure returns (uint32 domain) {
        assembly ("memory-safe") {
            domain := shr(224, mload(add(request, 0x22)))
        }
    }

    /// @dev Files a request and lets registrations `first` to `last` approve it.
    function fileAndCosign(bytes memory request, uint32 first, uint32 last) internal returns (bytes32 requestId) {
        requestId = idOf(request);
        uint32 domain = domainIn(request);
        assertEq(registry.file(request, first, 1, voice(first, domain, 1, requestId, 0)), requestId, "request id");
        for (uint32 i = first + 1; i <= last; i++) {
            registry.cosign(requestId, i, 1, voice(i, domain, 1, requestId, 0));
        }
    }

    function stateOf(bytes32 requestId) internal view returns (uint8 state) {
        (state,,,,,,,,,) = registry.requestOf(requestId);
    }

    function decisionOf(bytes32 requestId) internal view returns (bytes32 decisionHash) {
        (,,,,,,,,, decisionHash) = registry.requestOf(requestId);
    }

    function domainState(uint32 domain) internal view returns (uint8 state) {
        (state,,,,,,) = registry.domainOf(domain);
    }

    /// @dev Closes and returns the candidates.
    function closeRequest(bytes memory request) internal returns (bytes memory candidates) {
        vm.recordLogs();
        registry.close(request);
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == keccak256("RequestClosed(bytes32,uint64,bytes)")) {
                (, candidates) = abi.decode(logs[i].data, (uint64, bytes));
            }
        }
    }

    /// @dev Closes, waits for the seed and draws; the record of the decision, empty if the draw has failed.
    function closeAndDraw(bytes memory request) internal returns (bytes memory record) {
        bytes memory candidates = closeRequest(request);
        vm.roll(block.number + 3);
        vm.recordLogs();
        registry.draw(request, candidates);
        return recordOf(vm.getRecordedLogs());
    }

    function recordOf(Vm.Log[] memory logs) internal pure returns (bytes memory record) {
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == keccak256("DecisionMade(bytes32,uint32,bytes32,bytes)")) {
                record = abi.decode(logs[i].data, (bytes));
            }
        }
    }

    function confirmAll(bytes memory request, uint32 first, uint32 last) internal {
        bytes32 requestId = idOf(request);
        bytes32 decisionHash = decisionOf(requestId);
        for (uint32 i = first; i <= last; i++) {
            registry.confirm(requestId, decisionHash, i, voice(i, domainIn(request), 3, requestId, decisionHash));
        }
    }

    /// @dev All new seats of a request report.
    function reportAll(bytes32 requestId, bytes32 genesisHash) internal {
        uint32[] memory relays = registry.relaysOf(requestId);
        for (uint256 i = 0; i < relays.length; i++) {
            (,,,,, uint64[] memory nodes) = registry.relayOf(relays[i]);
            for (uint256 j = 0; j < nodes.length; j++) {
                vm.prank(market.nodeOf(nodes[j]).agent);
                registry.reportGenesis(requestId, relays[i], nodes[j], genesisHash);
            }
        }
    }

    /// @dev Forms a domain of registrations 1 to `members` with `relays` relay chains; it runs.
    function formDomain(uint32 members, uint8 relays) internal returns (uint32 domain) {
        bytes memory request = formRequest(members, relays);
        bytes32 requestId = fileAndCosign(request, 1, members);
        closeAndDraw(request);
        confirmAll(request, 1, members);
        reportAll(requestId, keccak256("genesis"));
        (,, domain,,,,,,,) = registry.requestOf(requestId);
        govern(registry, domain, 2, request);
    }

    /// @dev A change that draws nothing, from filing to its end.
    function change(bytes memory request, uint32 first, uint32 last) internal returns (bytes32 requestId) {
        requestId = fileAndCosign(request, first, last);
        registry.close(request);
        govern(registry, domainIn(request), 2, request);
    }
}

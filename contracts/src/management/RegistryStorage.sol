// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DomainStates} from "./DomainStates.sol";
import {RequestStates} from "./RequestStates.sol";
import {IDomainEvents} from "./interfaces/IDomainEvents.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title What DomainRegistry keeps, and how requests, domains and relay chains move from state to state.
abstract contract RegistryStorage is IDomainEvents {
    struct Registration {
        address representative;
        uint32 epoch;
        uint64 evmChainId;
        address hub;
        uint64 closed;
        address proposed;
    }

    struct Request {
        uint64 closedInBlock;
        bool singleOperator;
        uint16 readyRelays;
        uint256 cosigned;
        uint256 confirmed;
        bytes32 candidatesHash;
        bytes32 decisionHash;
        uint32[] parties;
        uint32[] relays;
        /// Nodes that were drawn.
        uint64[] drawn;
        /// REPLACE: the set afterwards, who goes, and the threshold.
        uint64[] set;
        uint64 out;
        uint8 threshold;
    }

    struct Domain {
        uint8 state;
        uint32 decisions;
        uint32 policyEpoch;
        uint16 gateways;
        bytes32 changingRequest;
        bytes parameters;
        uint32[] members;
        uint32[] relays;
    }

    struct Relay {
        uint32 domain;
        uint8 state;
        uint32 setEpoch;
        uint8 threshold;
        uint64 period;
        uint64 countedAt;
        uint64[] nodes;
    }

    uint256 private constant WORD_KIND = 8;
    uint256 private constant WORD_DOMAIN = 16;
    uint256 private constant WORD_EXPIRES = 48;

    INodeMarket internal immutable _MARKET;

    /// Storage bases 0 to 2 are proven (section 10).
    mapping(bytes32 requestId => bytes32) internal _decisions;
    mapping(uint256 relay => bytes32) internal _genesis;
    mapping(bytes32 requestId => uint256) private _words;

    mapping(uint256 registration => Registration) internal _registrations;
    mapping(bytes32 requestId => Request) internal _requests;
    mapping(uint256 domain => Domain) internal _domains;
    mapping(uint256 relay => Relay) internal _relays;
    mapping(uint256 domain => mapping(address gateway => uint32)) internal _quotas;
    mapping(bytes32 requestId => mapping(uint256 relay => mapping(uint256 node => bytes32))) internal _genesisReports;
    mapping(bytes32 requestId => mapping(uint256 relay => mapping(bytes32 genesisHash => uint256))) internal
        _genesisCounts;
    mapping(bytes32 periodKey => mapping(uint256 node => bool)) internal _uptimeReported;
    mapping(bytes32 periodKey => mapping(uint256 present => uint256)) internal _uptimeCounts;
    uint32 internal _lastRegistration;
    uint32 internal _lastDomain;
    uint32 internal _lastRelay;

    constructor(INodeMarket market) {
        _MARKET = market;
    }

    // ------------------------------------------------------------------------------------------------------------ requests

    function _stateOf(bytes32 requestId) internal view returns (uint8) {
        return uint8(_words[requestId]);
    }

    function _kindOf(bytes32 requestId) internal view returns (uint8) {
        return uint8(_words[requestId] >> WORD_KIND);
    }

    function _domainNumberOf(bytes32 requestId) internal view returns (uint32) {
        return uint32(_words[requestId] >> WORD_DOMAIN);
    }

    function _expiresOf(bytes32 requestId) internal view returns (uint64) {
        return uint64(_words[requestId] >> WORD_EXPIRES);
    }

    function _openRequest(bytes32 requestId, uint8 kind, uint32 domain, uint64 expires) internal {
        _words[requestId] =
            (uint256(kind) << WORD_KIND) | (uint256(domain) << WORD_DOMAIN) | (uint256(expires) << WORD_EXPIRES);
    }

    /// @dev Gives a FORM request the number of its domain.
    function _setDomainNumber(bytes32 requestId, uint32 domain) internal {
        _words[requestId] |= uint256(domain) << WORD_DOMAIN;
    }

    /// @dev The state that an input would lead to; reverts where there is none.
    function _nextState(bytes32 requestId, uint8 input) internal view returns (uint8 next) {
        next = RequestStates.next(_stateOf(requestId), input);
        if (next == RequestStates.NONE) revert WrongRequestState(requestId, _stateOf(requestId), input);
    }

    function _moveRequest(bytes32 requestId, uint8 input) internal {
        uint8 next = _nextState(requestId, input);
        if (next == _stateOf(requestId)) return;
        _words[requestId] = (_words[requestId] & ~uint256(0xff)) | next;
        emit RequestStateChanged(requestId, _domainNumberOf(requestId), next);
    }

    // ------------------------------------------------------------------------------------------------------------ domains and relay chains

    function _moveDomain(uint32 domain, uint8 input) internal {
        uint8 state = _domains[domain].state;
        uint8 next = DomainStates.next(state, input);
        if (next == DomainStates.NONE) revert WrongDomainState(domain, state, input);
        _domains[domain].state = next;
        emit DomainStateChanged(domain, next);
    }

    function _setRelayState(uint32 relay, uint8 state) internal {
        Relay storage record = _relays[relay];
        if (record.state == state) return;
        record.state = state;
        emit RelayStateChanged(record.domain, relay, state);
    }

    /// @dev Ends a relay chain for good: its nodes are free of it, and it is none of its domain any more.
    function _terminate(uint32 relay, bool inOrder) internal {
        Relay storage record = _relays[relay];
        if (record.state == DomainStates.RELAY_TERMINATED) return;
        _MARKET.unseat(relay, record.nodes, inOrder);
        _remove(_domains[record.domain].relays, relay);
        _setRelayState(relay, DomainStates.RELAY_TERMINATED);
    }

    /// @dev Takes a number out of a list and keeps the order of the others.
    function _remove(uint32[] storage list, uint32 value) internal {
        uint256 length = list.length;
        uint256 kept;
        for (uint256 i = 0; i < length; ++i) {
            if (list[i] == value) continue;
            if (kept != i) list[kept] = list[i];
            ++kept;
        }
        if (kept != length) list.pop();
    }
}

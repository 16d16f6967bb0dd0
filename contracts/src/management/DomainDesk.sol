// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DomainStates} from "./DomainStates.sol";
import {Representatives} from "./Representatives.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {RequestStates} from "./RequestStates.sol";
import {IDomainDesk} from "./interfaces/IDomainDesk.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";
import {RegistryStorage} from "./RegistryStorage.sol";

/// @title Registrations, reports of agents, and reading: code that DomainRegistry runs as its own, because of the limit on the size of code.
/// @dev It lies at an address of its own, made before the registry, which runs it by delegatecall for the functions below and no others, and can never
/// exchange it. Called at its own address every function that writes is refused.
contract DomainDesk is Representatives, IDomainDesk {
    /// @inheritdoc IDomainDesk
    uint32 public immutable PERIOD_SECONDS;
    address private immutable _HOME;

    constructor(INodeMarket market, uint32 periodSeconds) RegistryStorage(market) {
        PERIOD_SECONDS = periodSeconds;
        _HOME = address(this);
    }

    modifier throughRegistry() {
        if (address(this) == _HOME) revert OnlyThroughRegistry();
        _;
    }

    // ------------------------------------------------------------------------------------------------------------ registrations

    /// @inheritdoc IDomainDesk
    function register() external throughRegistry returns (uint32 registration) {
        registration = ++_lastRegistration;
        _registrations[registration].representative = msg.sender;
        _registrations[registration].epoch = 1;
        emit Registered(registration, msg.sender);
    }

    /// @inheritdoc IDomainDesk
    function bindHub(uint32 registration, uint64 evmChainId, address hub) external throughRegistry {
        Registration storage record = _requireRepresentative(registration);
        if (record.hub != address(0) || hub == address(0)) revert WrongHub(registration);
        record.hub = hub;
        record.evmChainId = evmChainId;
        emit HubBound(registration, evmChainId, hub);
    }

    /// @inheritdoc IDomainDesk
    function proposeRepresentative(uint32 registration, address account) external throughRegistry {
        _requireRepresentative(registration).proposed = account;
        emit RepresentativeProposed(registration, account);
    }

    /// @inheritdoc IDomainDesk
    function acceptRepresentative(uint32 registration) external throughRegistry {
        if (_registrations[registration].proposed != msg.sender) revert NotTheRepresentative(registration, msg.sender);
        _setRepresentative(registration, msg.sender);
    }

    function _requireRepresentative(uint32 registration) private view returns (Registration storage record) {
        record = _registrations[registration];
        if (record.representative == address(0) || record.closed != 0) revert NoRegistration(registration);
        if (record.representative != msg.sender) revert NotTheRepresentative(registration, msg.sender);
    }

    // ------------------------------------------------------------------------------------------------------------ agents

    /// @inheritdoc IDomainDesk
    function reportGenesis(bytes32 requestId, uint32 relay, uint64 node, bytes32 genesisHash) external throughRegistry {
        _nextState(requestId, RequestStates.READY);
        _requireAgent(node);
        Request storage record = _requests[requestId];
        bool replaces = _kindOf(requestId) == RequestBytes.REPLACE;
        uint64[] storage nodes = replaces ? record.drawn : _relays[relay].nodes;
        if (!_names(record.relays, relay) || _indexOf(nodes, node) == 0) revert NotASeat(relay, node);
        bool wrong = replaces && genesisHash != _genesis[relay];
        if (wrong || genesisHash == 0 || _genesisReports[requestId][relay][node] != 0) revert WrongReport();
        _genesisReports[requestId][relay][node] = genesisHash;
        emit GenesisReported(requestId, relay, node, genesisHash);
        if (++_genesisCounts[requestId][relay][genesisHash] != nodes.length) return;
        if (!replaces) {
            _genesis[relay] = genesisHash;
            emit GenesisConfirmed(relay, genesisHash);
        }
        if (++record.readyRelays == record.relays.length) _moveRequest(requestId, RequestStates.READY);
    }

    /// @inheritdoc IDomainDesk
    function reportUptime(uint32 relay, uint64 period, uint64 node, uint256 present) external throughRegistry {
        Relay storage record = _relays[relay];
        bool runs = record.state == DomainStates.RELAY_ACTIVE || record.state == DomainStates.RELAY_DRAINING;
        if (!runs) revert WrongRelayState(relay, record.state);
        _requireAgent(node);
        if (_indexOf(record.nodes, node) == 0) revert NotASeat(relay, node);
        uint64 earliest = record.countedAt + PERIOD_SECONDS;
        if (period != record.period + 1 || block.timestamp < earliest) {
            revert WrongPeriod(record.period + 1, earliest);
        }
        // Reports are about one set: after a change of it they begin anew.
        bytes32 key = keccak256(abi.encode(relay, record.setEpoch, period));
        if (present >> record.nodes.length != 0 || _uptimeReported[key][node]) revert WrongReport();
        _uptimeReported[key][node] = true;
        emit UptimeReported(relay, period, node, present);
        if (++_uptimeCounts[key][present] < record.threshold) return;
        record.period = period;
        record.countedAt = uint64(block.timestamp);
        emit PeriodCounted(relay, period, present);
        _MARKET.recordPeriod(relay, record.nodes, present);
    }

    function _requireAgent(uint64 node) private view {
        if (!_MARKET.reportsFor(node, msg.sender)) revert NotTheAgent(node, msg.sender);
    }

    /// @dev 1 + index of a node in a set, 0 if it has no seat.
    function _indexOf(uint64[] storage nodes, uint64 node) private view returns (uint256) {
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (nodes[i] == node) return i + 1;
        }
        return 0;
    }

    function _names(uint32[] storage relays, uint32 relay) private view returns (bool) {
        for (uint256 i = 0; i < relays.length; ++i) {
            if (relays[i] == relay) return true;
        }
        return false;
    }

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @inheritdoc IDomainDesk
    function registrationOf(uint32 registration)
        external
        view
        returns (
            address representative,
            uint32 representativeEpoch,
            address proposed,
            uint64 evmChainId,
            address hub,
            uint64 closed
        )
    {
        Registration storage record = _registrations[registration];
        return (record.representative, record.epoch, record.proposed, record.evmChainId, record.hub, record.closed);
    }

    /// @inheritdoc IDomainDesk
    function requestOf(bytes32 requestId)
        external
        view
        returns (
            uint8 state,
            uint8 kind,
            uint32 domain,
            uint64 expires,
            uint64 closedInBlock,
            uint32[] memory parties,
            uint256 cosigned,
            uint256 confirmed,
            bytes32 candidatesHash,
            bytes32 decisionHash
        )
    {
        Request storage record = _requests[requestId];
        (state, kind, domain) = (_stateOf(requestId), _kindOf(requestId), _domainNumberOf(requestId));
        (expires, closedInBlock, parties) = (_expiresOf(requestId), record.closedInBlock, record.parties);
        (cosigned, confirmed) = (record.cosigned, record.confirmed);
        (candidatesHash, decisionHash) = (record.candidatesHash, record.decisionHash);
    }

    /// @inheritdoc IDomainDesk
    function relaysOf(bytes32 requestId) external view returns (uint32[] memory) {
        return _requests[requestId].relays;
    }

    /// @inheritdoc IDomainDesk
    function drawnOf(bytes32 requestId) external view returns (uint64[] memory) {
        return _requests[requestId].drawn;
    }

    /// @inheritdoc IDomainDesk
    function domainOf(uint32 domain)
        external
        view
        returns (
            uint8 state,
            uint32 decisions,
            uint32 policyEpoch,
            bytes32 changingRequest,
            bytes memory parameters,
            uint32[] memory members,
            uint32[] memory relays
        )
    {
        Domain storage record = _domains[domain];
        return (
            record.state,
            record.decisions,
            record.policyEpoch,
            record.changingRequest,
            record.parameters,
            record.members,
            record.relays
        );
    }

    /// @inheritdoc IDomainDesk
    function relayOf(uint32 relay)
        external
        view
        returns (
            uint32 domain,
            uint8 state,
            uint32 setEpoch,
            uint8 threshold,
            bytes32 genesisHash,
            uint64[] memory nodes
        )
    {
        Relay storage record = _relays[relay];
        return (record.domain, record.state, record.setEpoch, record.threshold, _genesis[relay], record.nodes);
    }

    /// @inheritdoc IDomainDesk
    function gatewayQuota(uint32 domain, address gateway) external view returns (uint32) {
        return _quotas[domain][gateway];
    }

    /// @inheritdoc IDomainDesk
    function gatewayCount(uint32 domain) external view returns (uint16) {
        return _domains[domain].gateways;
    }

    /// @inheritdoc IDomainDesk
    function genesisReportOf(bytes32 requestId, uint32 relay, uint64 node) external view returns (bytes32) {
        return _genesisReports[requestId][relay][node];
    }

    /// @inheritdoc IDomainDesk
    function uptimeOf(uint32 relay) external view returns (uint64 period, uint64 countedAt) {
        return (_relays[relay].period, _relays[relay].countedAt);
    }

    /// @inheritdoc IDomainDesk
    function counts() external view returns (uint32 registrations, uint32 domains, uint32 relays) {
        return (_lastRegistration, _lastDomain, _lastRelay);
    }
}

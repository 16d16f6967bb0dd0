// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DomainStates} from "./DomainStates.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {RequestStates} from "./RequestStates.sol";
import {Requests} from "./Requests.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";

/// @title What the agents of seats report: a part of DomainRegistry.
abstract contract Reports is Requests {
    /// @inheritdoc IDomainRegistry
    function reportGenesis(bytes32 requestId, uint32 relay, uint64 node, bytes32 genesisHash) external {
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

    /// @inheritdoc IDomainRegistry
    function reportUptime(uint32 relay, uint64 period, uint64 node, uint256 present) external {
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
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {DomainStates} from "./DomainStates.sol";
import {Governed} from "./Governed.sol";
import {RegistryStorage} from "./RegistryStorage.sol";
import {Requests} from "./Requests.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {RequestStates} from "./RequestStates.sol";
import {CONTRACT_REGISTRY} from "./Tags.sol";
import {IDomainRules} from "./interfaces/IDomainRules.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Registrations, domains, their relay chains, and the requests that change them. See IDomainRegistry.
contract DomainRegistry is Requests, Governed {
    uint8 private constant EXECUTED = 2;
    uint8 private constant REFUSE = 3;
    uint8 private constant RELAY_STATE = 4;
    uint8 private constant CLOSE_REGISTRATION = 5;
    uint8 private constant SET_REPRESENTATIVE = 6;

    address private immutable _DESK;

    constructor(IGovernorBoard board, INodeMarket market, IDomainRules rules, address desk)
        RegistryStorage(market)
        Requests(rules)
        Governed(CONTRACT_REGISTRY, board)
    {
        _DESK = desk;
    }

    /// @dev Everything else is the desk's: its code runs here, with this storage.
    fallback() external {
        address desk = _DESK;
        assembly ("memory-safe") {
            let input := mload(0x40)
            calldatacopy(input, 0, calldatasize())
            let success := delegatecall(gas(), desk, input, calldatasize(), 0, 0)
            returndatacopy(input, 0, returndatasize())
            if success { return(input, returndatasize()) }
            revert(input, returndatasize())
        }
    }

    /// @inheritdoc Governed
    function _execute(uint32 domain, uint8 kind, bytes calldata body) internal override {
        uint256 offset = Calldata.start(body);
        if ((kind == CLOSE_REGISTRATION || kind == SET_REPRESENTATIVE) && domain != 0) revert MalformedBody();
        if (kind == EXECUTED) {
            bytes32 requestId = _idOf(body);
            if (domain != _domainNumberOf(requestId)) revert MalformedBody();
            _moveRequest(requestId, RequestStates.DO_EXECUTED);
            _apply(requestId, domain, body);
        } else if (kind == REFUSE) {
            _requireLength(body, 32);
            bytes32 requestId = bytes32(Calldata.word(offset));
            if (domain != _domainNumberOf(requestId)) revert MalformedBody();
            _drop(requestId, RequestStates.REFUSE);
        } else if (kind == RELAY_STATE) {
            _requireLength(body, 5);
            _judgeRelay(domain, uint32(Calldata.u32(offset)), Calldata.u8(offset + 4));
        } else if (kind == CLOSE_REGISTRATION) {
            _requireLength(body, 12);
            _closeRegistration(uint32(Calldata.u32(offset)), uint64(Calldata.u64(offset + 4)));
        } else if (kind == SET_REPRESENTATIVE) {
            _requireLength(body, 24);
            address account = address(uint160(Calldata.word(offset + 4) >> 96));
            if (account == address(0)) revert MalformedBody();
            _setRepresentative(uint32(Calldata.u32(offset)), account);
        } else {
            revert MalformedBody();
        }
    }

    // ------------------------------------------------------------------------------------------------------------ what decisions do

    /// @dev Writes down that a decision is carried out.
    function _apply(bytes32 requestId, uint32 domain, bytes calldata request) private {
        uint8 kind = _kindOf(requestId);
        Request storage record = _requests[requestId];
        if (kind == RequestBytes.FORM) {
            _setParameters(domain, request);
            _addMembers(domain, record.parties);
            _setGateways(domain, request);
            _activate(domain, record.relays);
        } else if (kind == RequestBytes.JOIN) {
            _addMembers(domain, record.parties);
        } else if (kind == RequestBytes.LEAVE) {
            uint32 registration = RequestBytes.u32At(request, 0);
            _remove(_domains[domain].members, registration);
            emit MemberRemoved(domain, registration);
        } else if (kind == RequestBytes.SCALE_UP) {
            _activate(domain, record.relays);
        } else if (kind == RequestBytes.SCALE_DOWN) {
            _terminate(RequestBytes.u32At(request, 0), true);
        } else if (kind == RequestBytes.REPLACE) {
            _replaceSet(record);
        } else if (kind == RequestBytes.PARAMETERS) {
            _setParameters(domain, request);
        } else if (kind == RequestBytes.GATEWAYS) {
            _setGateways(domain, request);
        } else if (kind == RequestBytes.DISSOLVE) {
            uint32[] storage relays = _domains[domain].relays;
            while (relays.length != 0) {
                _terminate(relays[relays.length - 1], true);
            }
        }
        bool routes = kind == RequestBytes.FORM || kind == RequestBytes.SCALE_UP || kind == RequestBytes.SCALE_DOWN
            || kind == RequestBytes.POLICY;
        if (routes) emit PolicyChanged(domain, ++_domains[domain].policyEpoch);
        delete _domains[domain].changingRequest;
        if (kind == RequestBytes.FORM) _moveDomain(domain, DomainStates.START);
        else _moveDomain(domain, kind == RequestBytes.DISSOLVE ? DomainStates.DO_DISSOLVED : DomainStates.END);
    }

    function _setParameters(uint32 domain, bytes calldata request) private {
        bytes calldata parameters = request[RequestBytes.HEAD:RequestBytes.HEAD + RequestBytes.PARAMETERS_LENGTH];
        _domains[domain].parameters = parameters;
        emit ParametersChanged(domain, parameters);
    }

    /// @dev Members and parties both ascend, and all members are parties: those that are none yet are new.
    function _addMembers(uint32 domain, uint32[] storage parties) private {
        uint32[] memory before = _domains[domain].members;
        uint256 m;
        for (uint256 i = 0; i < parties.length; ++i) {
            if (m < before.length && before[m] == parties[i]) ++m;
            else emit MemberAdded(domain, parties[i]);
        }
        _domains[domain].members = parties;
    }

    function _setGateways(uint32 domain, bytes calldata request) private {
        uint256 offset = Calldata.start(request) + RequestBytes.gatewaysOffset(request);
        uint256 count = Calldata.u16(offset);
        for (uint256 i = 0; i < count; ++i) {
            address gateway = address(uint160(Calldata.word(offset + 2 + 24 * i) >> 96));
            uint32 quota = uint32(Calldata.u32(offset + 22 + 24 * i));
            uint32 before = _quotas[domain][gateway];
            if (before == 0 && quota != 0) ++_domains[domain].gateways;
            if (before != 0 && quota == 0) --_domains[domain].gateways;
            _quotas[domain][gateway] = quota;
            emit GatewayAuthorised(domain, gateway, quota);
        }
    }

    function _activate(uint32 domain, uint32[] storage relays) private {
        for (uint256 i = 0; i < relays.length; ++i) {
            _domains[domain].relays.push(relays[i]);
            _relays[relays[i]].countedAt = uint64(block.timestamp);
            _setRelayState(relays[i], DomainStates.RELAY_ACTIVE);
        }
    }

    function _replaceSet(Request storage record) private {
        uint32 relay = record.relays[0];
        Relay storage chain = _relays[relay];
        if (chain.state != DomainStates.RELAY_ACTIVE) revert WrongRelayState(relay, chain.state);
        chain.nodes = record.set;
        chain.threshold = record.threshold;
        ++chain.setEpoch;
        emit ValidatorsChanged(relay, chain.setEpoch, chain.threshold, record.set);
        if (record.out == 0) return;
        uint64[] memory gone = new uint64[](1);
        gone[0] = record.out;
        _MARKET.unseat(relay, gone, true);
    }

    /// @dev A relay chain that has failed: frozen, and after what is on it was resolved, terminated.
    function _judgeRelay(uint32 domain, uint32 relay, uint256 state) private {
        Relay storage record = _relays[relay];
        bool freezes = state == DomainStates.RELAY_FROZEN
            && (record.state == DomainStates.RELAY_ACTIVE || record.state == DomainStates.RELAY_DRAINING);
        bool ends = state == DomainStates.RELAY_TERMINATED && record.state == DomainStates.RELAY_FROZEN;
        if (domain == 0 || record.domain != domain) revert MalformedBody();
        if (freezes) _setRelayState(relay, DomainStates.RELAY_FROZEN);
        else if (ends) _terminate(relay, false);
        else revert WrongRelayState(relay, record.state);
    }
}

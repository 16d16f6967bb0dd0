// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Calldata} from "../hub/Calldata.sol";
import {DecisionRecord} from "./DecisionRecord.sol";
import {DomainStates} from "./DomainStates.sol";
import {Draw} from "./Draw.sol";
import {NodeStates} from "./NodeStates.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {RequestCheck} from "./RequestCheck.sol";
import {IDomainEvents} from "./interfaces/IDomainEvents.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";
import {IDomainRules} from "./interfaces/IDomainRules.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Reads requests, draws, and writes decisions for the DomainRegistry that calls. See IDomainRules.
contract DomainRules is IDomainRules, DecisionRecord {
    bool private immutable _DEV;

    constructor(IGovernorBoard board, INodeMarket market) DecisionRecord(board, market) {
        _DEV = board.DEV();
    }

    // ------------------------------------------------------------------------------------------------------------ requests

    /// @inheritdoc IDomainRules
    function check(bytes calldata request)
        external
        view
        returns (uint32[] memory parties, uint256 sets, uint256 seats)
    {
        RequestCheck.require_(request.length >= RequestBytes.HEAD, RequestCheck.LENGTH);
        uint256 start = Calldata.start(request);
        uint256 body = start + RequestBytes.HEAD;
        uint256 end = start + request.length;
        uint8 kind = RequestBytes.kindOf(request);
        uint32 domain = RequestBytes.domainOf(request);
        bool known = Calldata.u8(start) == 1 && kind != 0 && kind <= RequestBytes.RENEW;
        RequestCheck.require_(known && (kind == RequestBytes.FORM) == (domain == 0), RequestCheck.HEADER);
        if (kind == RequestBytes.FORM) return _form(request, body, end);

        IDomainRegistry registry = IDomainRegistry(msg.sender);
        (uint8 state, uint32 decisions, uint32 policyEpoch,, bytes memory parameters, uint32[] memory members,) =
            registry.domainOf(domain);
        if (state == DomainStates.NONE) revert IDomainEvents.MalformedRequest(RequestCheck.HEADER);
        if (RequestBytes.basisOf(request) != decisions) {
            revert IDomainEvents.StaleRequest(decisions, RequestBytes.basisOf(request));
        }
        parties = members;
        if (kind == RequestBytes.JOIN) {
            parties = _join(registry, body, end, members);
        } else if (kind == RequestBytes.LEAVE) {
            parties = _leave(body, end, members);
        } else if (kind == RequestBytes.SCALE_UP) {
            sets = _scaleUp(registry, body, end, domain, members);
            seats = uint8(parameters[RequestBytes.SEATS]);
        } else if (kind == RequestBytes.SCALE_DOWN) {
            _exactly(body + 4, end);
            uint32 relay = uint32(Calldata.u32(body));
            uint32[] memory active = _active(registry, domain);
            RequestCheck.require_(active.length > 1 && _position(active, relay) != 0, RequestCheck.RELAY);
        } else if (kind == RequestBytes.REPLACE) {
            sets = seats = _replace(registry, body, end, domain);
        } else if (kind == RequestBytes.PARAMETERS) {
            _exactly(body + RequestBytes.PARAMETERS_LENGTH, end);
            RequestCheck.parameters(body, _DEV);
            bool same = Calldata.u8(body + RequestBytes.CONSENSUS) == uint8(parameters[RequestBytes.CONSENSUS]);
            for (uint256 i = RequestBytes.RELAYS; i <= RequestBytes.THRESHOLD; ++i) {
                same = same && Calldata.u8(body + i) == uint8(parameters[i]);
            }
            RequestCheck.require_(same, RequestCheck.PARAMETERS);
        } else if (kind == RequestBytes.DISSOLVE) {
            _exactly(body, end);
        } else if (kind == RequestBytes.GATEWAYS) {
            RequestCheck.require_(RequestCheck.gateways(body, end) != 0, RequestCheck.GATEWAYS);
        } else if (kind == RequestBytes.POLICY) {
            RequestCheck.policy(body, end, policyEpoch + 1, _active(registry, domain));
        } else {
            (uint32[] memory renewed, uint256 next) = RequestCheck.chains(registry, body, end, _DEV);
            _exactly(next, end);
            RequestCheck.require_(renewed.length == 1 && _position(members, renewed[0]) != 0, RequestCheck.MEMBERS);
        }
    }

    function _form(bytes calldata request, uint256 body, uint256 end)
        private
        view
        returns (uint32[] memory parties, uint256 sets, uint256 seats)
    {
        if (RequestBytes.basisOf(request) != 0) {
            revert IDomainEvents.StaleRequest(0, RequestBytes.basisOf(request));
        }
        RequestCheck.require_(body + RequestBytes.PARAMETERS_LENGTH <= end, RequestCheck.LENGTH);
        RequestCheck.parameters(body, _DEV);
        uint256 offset;
        (parties, offset) =
            RequestCheck.chains(IDomainRegistry(msg.sender), body + RequestBytes.PARAMETERS_LENGTH, end, _DEV);
        RequestCheck.require_(_DEV || parties.length >= 2, RequestCheck.MEMBERS);
        uint256 count = RequestCheck.gateways(offset, end);
        for (uint256 i = 0; i < count; ++i) {
            RequestCheck.require_(Calldata.u32(offset + 22 + 24 * i) != 0, RequestCheck.GATEWAYS);
        }
        sets = Calldata.u8(body + RequestBytes.RELAYS);
        seats = Calldata.u8(body + RequestBytes.SEATS);
    }

    function _join(IDomainRegistry registry, uint256 body, uint256 end, uint32[] memory members)
        private
        view
        returns (uint32[] memory parties)
    {
        (uint32[] memory joining, uint256 next) = RequestCheck.chains(registry, body, end, _DEV);
        _exactly(next, end);
        RequestCheck.require_(members.length + joining.length <= RequestCheck.MEMBERS_MAX, RequestCheck.MEMBERS);
        parties = new uint32[](members.length + joining.length);
        uint256 m;
        uint256 j;
        for (uint256 i = 0; i < parties.length; ++i) {
            bool fromMembers = j == joining.length || (m < members.length && members[m] < joining[j]);
            RequestCheck.require_(fromMembers || m == members.length || members[m] != joining[j], RequestCheck.MEMBERS);
            parties[i] = fromMembers ? members[m++] : joining[j++];
        }
    }

    function _leave(uint256 body, uint256 end, uint32[] memory members) private pure returns (uint32[] memory parties) {
        _exactly(body + 5, end);
        uint32 leaving = uint32(Calldata.u32(body));
        uint256 excluded = Calldata.u8(body + 4);
        uint256 position = _position(members, leaving);
        RequestCheck.require_(position != 0 && excluded < 2 && members.length > 1, RequestCheck.MEMBERS);
        parties = new uint32[](excluded == 0 ? 1 : members.length - 1);
        if (excluded == 0) parties[0] = leaving;
        for (uint256 i = 0; excluded == 1 && i < parties.length; ++i) {
            parties[i] = members[i + 1 < position ? i : i + 1];
        }
    }

    function _scaleUp(IDomainRegistry registry, uint256 body, uint256 end, uint32 domain, uint32[] memory members)
        private
        view
        returns (uint256 sets)
    {
        sets = Calldata.u8(body);
        (,,,,,, uint32[] memory relays) = registry.domainOf(domain);
        RequestCheck.require_(sets != 0 && relays.length + sets <= RequestCheck.RELAYS_MAX, RequestCheck.RELAY);
        (uint32[] memory listed, uint256 offset) = RequestCheck.chains(registry, body + 1, end, _DEV);
        RequestCheck.require_(keccak256(abi.encode(listed)) == keccak256(abi.encode(members)), RequestCheck.MEMBERS);
        uint256 count = RequestCheck.gateways(offset, end);
        RequestCheck.require_(count == registry.gatewayCount(domain), RequestCheck.GATEWAYS);
        for (uint256 i = 0; i < count; ++i) {
            address gateway = address(uint160(Calldata.word(offset + 2 + 24 * i) >> 96));
            uint256 quota = Calldata.u32(offset + 22 + 24 * i);
            RequestCheck.require_(quota != 0 && quota == registry.gatewayQuota(domain, gateway), RequestCheck.GATEWAYS);
        }
    }

    /// @dev 1 if a node is drawn.
    function _replace(IDomainRegistry registry, uint256 body, uint256 end, uint32 domain)
        private
        view
        returns (uint256 drawn)
    {
        _exactly(body + 18, end);
        uint32 relay = uint32(Calldata.u32(body));
        (uint32 owner, uint8 state,,,, uint64[] memory nodes) = registry.relayOf(relay);
        RequestCheck.require_(owner == domain && state == DomainStates.RELAY_ACTIVE, RequestCheck.RELAY);
        uint64[] memory staying = _staying(nodes, uint64(Calldata.u64(body + 4)));
        bool out = Calldata.u64(body + 4) != 0;
        drawn = Calldata.u8(body + 12);
        uint256 threshold = Calldata.u8(body + 13);
        bool valid = drawn < 2 && (out || drawn == 1) && out == (staying.length != nodes.length);
        valid = valid && RequestCheck.quorum(threshold, staying.length + drawn, _DEV);
        RequestCheck.require_(valid && (drawn == 1 || _DEV || !_holdsQuorum(staying, threshold)), RequestCheck.SET);
    }

    function _exactly(uint256 offset, uint256 end) private pure {
        RequestCheck.require_(offset == end, RequestCheck.LENGTH);
    }

    // ------------------------------------------------------------------------------------------------------------ draw

    /// @inheritdoc IDomainRules
    function draw(bytes calldata request, bytes32 seed, bytes calldata candidates)
        external
        view
        returns (uint64[] memory nodes)
    {
        IDomainRegistry registry = IDomainRegistry(msg.sender);
        uint8 kind = RequestBytes.kindOf(request);
        Draw.Order memory order;
        order.seed = seed;
        bytes memory parameters = _parameters(registry, request, kind);
        order.singleOperator = uint8(parameters[RequestBytes.CONSENSUS]) == RequestBytes.SINGLE_OPERATOR;
        order.seats = uint8(parameters[RequestBytes.SEATS]);
        uint256 threshold = uint8(parameters[RequestBytes.THRESHOLD]);
        uint64[] memory staying;
        if (kind == RequestBytes.REPLACE) {
            (,,,,, uint64[] memory now_) = registry.relayOf(RequestBytes.u32At(request, 0));
            staying = _staying(now_, uint64(Calldata.u64(Calldata.start(request) + RequestBytes.HEAD + 4)));
            (order.sets, order.seats, threshold) = (1, 1, RequestBytes.u8At(request, 13));
        } else {
            order.sets =
                kind == RequestBytes.FORM ? uint8(parameters[RequestBytes.RELAYS]) : RequestBytes.u8At(request, 0);
        }
        if (!_DEV && !order.singleOperator) order.limit = threshold;
        order.staying = new uint256[](staying.length);
        Draw.Candidates memory pool = _candidates(candidates);
        for (uint256 i = 0; i < staying.length; ++i) {
            (, uint32 operator) = _MARKET.stateOf(staying[i]);
            order.staying[i] = operator;
            if (operator > pool.highestOperator) pool.highestOperator = operator;
        }
        return Draw.draw(pool, order);
    }

    /// @dev The list of section 7; who is not offered any more has no weight.
    function _candidates(bytes calldata list) private view returns (Draw.Candidates memory candidates) {
        uint256 count = list.length / 20;
        candidates.nodes = new uint64[](count);
        candidates.operators = new uint256[](count);
        candidates.weights = new uint256[](count);
        for (uint256 i = 0; i < count; ++i) {
            uint256 word = Calldata.word(Calldata.start(list) + 20 * i);
            candidates.nodes[i] = uint64(word >> 192);
            candidates.operators[i] = uint32(word >> 160);
            (uint8 state,) = _MARKET.stateOf(candidates.nodes[i]);
            if (state == NodeStates.OFFERED) candidates.weights[i] = uint64(word >> 96);
            if (candidates.operators[i] > candidates.highestOperator) {
                candidates.highestOperator = candidates.operators[i];
            }
        }
    }

    /// @dev Whether one operator has at least `threshold` of these nodes.
    function _holdsQuorum(uint64[] memory nodes, uint256 threshold) private view returns (bool) {
        uint32[] memory operators = new uint32[](nodes.length);
        for (uint256 i = 0; i < nodes.length; ++i) {
            (, operators[i]) = _MARKET.stateOf(nodes[i]);
            uint256 has = 1;
            for (uint256 j = 0; j < i; ++j) {
                if (operators[j] == operators[i]) ++has;
            }
            if (has >= threshold) return true;
        }
        return false;
    }
}

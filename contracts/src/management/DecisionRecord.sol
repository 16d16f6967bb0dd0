// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {DomainStates} from "./DomainStates.sol";
import {RequestBytes} from "./RequestBytes.sol";
import {IDomainEvents} from "./interfaces/IDomainEvents.sol";
import {IDomainRegistry} from "./interfaces/IDomainRegistry.sol";
import {IDomainRules} from "./interfaces/IDomainRules.sol";
import {IGovernorBoard} from "./interfaces/IGovernorBoard.sol";
import {INodeMarket} from "./interfaces/INodeMarket.sol";

/// @title Writes the record of a decision (docs/protocol/management.md, section 6): a part of DomainRules.
abstract contract DecisionRecord is IDomainRules {
    uint256 private constant ROUTING_SLOTS = 1024;

    IGovernorBoard private immutable _BOARD;
    INodeMarket internal immutable _MARKET;

    constructor(IGovernorBoard board, INodeMarket market) {
        _BOARD = board;
        _MARKET = market;
    }

    /// @inheritdoc IDomainRules
    function record(
        bytes32 requestId,
        bytes calldata request,
        uint32 domain,
        uint32 number,
        uint32[] calldata relays,
        uint64[] calldata nodes
    ) external view returns (bytes memory) {
        IDomainRegistry registry = IDomainRegistry(msg.sender);
        uint8 kind = RequestBytes.kindOf(request);
        bytes memory parameters = _parameters(registry, request, kind);
        bytes calldata body = request[RequestBytes.HEAD:];
        bytes memory policy = _policy(registry, request, kind, domain, relays);
        return bytes.concat(
            _head(requestId, kind, domain, number),
            parameters,
            bytes2(uint16(body.length)),
            body,
            _sets(registry, request, kind, parameters, relays, nodes),
            bytes2(uint16(policy.length)),
            policy
        );
    }

    function _head(bytes32 requestId, uint8 kind, uint32 domain, uint32 number) private view returns (bytes memory) {
        (bytes memory key, uint32 epoch) = _BOARD.governorKey();
        if (key.length == 0) revert IDomainEvents.NoGovernorKey();
        return bytes.concat(
            abi.encodePacked(uint8(1), kind, _BOARD.DEV(), uint64(block.chainid), msg.sender, requestId),
            abi.encodePacked(domain, number, uint64(block.timestamp)),
            key,
            bytes4(epoch)
        );
    }

    function _sets(
        IDomainRegistry registry,
        bytes calldata request,
        uint8 kind,
        bytes memory parameters,
        uint32[] calldata relays,
        uint64[] calldata nodes
    ) private view returns (bytes memory sets) {
        sets = abi.encodePacked(uint8(relays.length));
        if (relays.length == 0) return sets;
        uint256 size = nodes.length / relays.length;
        for (uint256 i = 0; i < relays.length; ++i) {
            uint32 setEpoch = 1;
            uint8 threshold = uint8(parameters[RequestBytes.THRESHOLD]);
            if (kind == RequestBytes.REPLACE) {
                (,, setEpoch,,,) = registry.relayOf(relays[i]);
                (setEpoch, threshold) = (setEpoch + 1, RequestBytes.u8At(request, 13));
            }
            sets = bytes.concat(sets, abi.encodePacked(relays[i], setEpoch, threshold, uint8(size)));
            for (uint256 j = 0; j < size; ++j) {
                sets = bytes.concat(sets, _MARKET.seatOf(nodes[i * size + j]));
            }
        }
    }

    /// @dev Routing policy after the decision; empty if it stays.
    function _policy(
        IDomainRegistry registry,
        bytes calldata request,
        uint8 kind,
        uint32 domain,
        uint32[] calldata relays
    ) private view returns (bytes memory policy) {
        if (kind == RequestBytes.POLICY) return request[RequestBytes.HEAD:];
        bool scales = kind == RequestBytes.SCALE_UP || kind == RequestBytes.SCALE_DOWN;
        if (kind != RequestBytes.FORM && !scales) return "";
        uint32[] memory active = scales ? _active(registry, domain) : new uint32[](0);
        uint256 leaving = kind == RequestBytes.SCALE_DOWN ? _position(active, RequestBytes.u32At(request, 0)) : 0;
        uint256 count = active.length + relays.length - (leaving == 0 ? 0 : 1);
        (,, uint32 epoch,,,,) = registry.domainOf(domain);
        policy = abi.encodePacked(epoch + 1, uint8(count));
        uint256 first;
        for (uint256 i = 0; i < count; ++i) {
            uint256 place = leaving != 0 && i + 1 >= leaving ? i + 1 : i;
            uint32 relay = place < active.length ? active[place] : relays[place - active.length];
            uint256 slots = ROUTING_SLOTS / count + (i < ROUTING_SLOTS % count ? 1 : 0);
            policy = bytes.concat(policy, abi.encodePacked(relay, uint16(first), uint16(slots)));
            first += slots;
        }
    }

    /// @dev Parameters of the domain after the request.
    function _parameters(IDomainRegistry registry, bytes calldata request, uint8 kind)
        internal
        view
        returns (bytes memory parameters)
    {
        if (kind == RequestBytes.FORM || kind == RequestBytes.PARAMETERS) {
            return request[RequestBytes.HEAD:RequestBytes.HEAD + RequestBytes.PARAMETERS_LENGTH];
        }
        (,,,, parameters,,) = registry.domainOf(RequestBytes.domainOf(request));
    }

    /// @dev Active relay chains of a domain, ascending.
    function _active(IDomainRegistry registry, uint32 domain) internal view returns (uint32[] memory active) {
        (,,,,,, uint32[] memory relays) = registry.domainOf(domain);
        uint256 count;
        for (uint256 i = 0; i < relays.length; ++i) {
            (, uint8 state,,,,) = registry.relayOf(relays[i]);
            if (state == DomainStates.RELAY_ACTIVE) relays[count++] = relays[i];
        }
        active = new uint32[](count);
        for (uint256 i = 0; i < count; ++i) {
            active[i] = relays[i];
        }
    }

    /// @dev 1 + index of a value in a list, 0 if it is not there.
    function _position(uint32[] memory list, uint32 value) internal pure returns (uint256) {
        for (uint256 i = 0; i < list.length; ++i) {
            if (list[i] == value) return i + 1;
        }
        return 0;
    }

    /// @dev A set without one of its nodes.
    function _staying(uint64[] memory nodes, uint64 out) internal pure returns (uint64[] memory staying) {
        uint256 count;
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (nodes[i] != out) ++count;
        }
        staying = new uint64[](count);
        count = 0;
        for (uint256 i = 0; i < nodes.length; ++i) {
            if (nodes[i] != out) staying[count++] = nodes[i];
        }
    }
}

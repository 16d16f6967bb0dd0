// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

/// @title What DomainRegistry, the caller, asks about a request: is it one, who draws what, what does the decision say. No storage, no power.
interface IDomainRules {
    /// @notice Checks a request against the rules of section 5.3 and the state of the calling registry; reverts with the registry's errors.
    /// @return parties Registrations whose representatives have to agree, ascending.
    /// @return sets Sets to draw nodes for, 0 if nothing is drawn.
    /// @return seats Seats of each.
    function check(bytes calldata request) external view returns (uint32[] memory parties, uint256 sets, uint256 seats);

    /// @notice Draws (section 7); empty where there are too few candidates.
    function draw(bytes calldata request, bytes32 seed, bytes calldata candidates)
        external
        view
        returns (uint64[] memory nodes);

    /// @notice The record of a decision (section 6).
    /// @param relays Relay chains that are new or whose set changes.
    /// @param nodes Their sets, one behind the other.
    function record(
        bytes32 requestId,
        bytes calldata request,
        uint32 domain,
        uint32 number,
        uint32[] calldata relays,
        uint64[] calldata nodes
    ) external view returns (bytes memory);
}

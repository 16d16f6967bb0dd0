// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGoverned} from "./IGoverned.sol";

/// @title Operators, their bonds, their nodes and what these are worth (docs/protocol/management.md, section 4).
interface INodeMarket is IGoverned {
    /// @notice What is known of a node.
    struct NodeView {
        uint32 operator;
        uint8 state;
        uint16 reputation;
        uint32 served;
        uint8 absences;
        uint32 relay;
        uint32 capacity;
        uint64 availableFrom;
        uint64 availableUntil;
        uint64 lastSeen;
        bytes consensusKey;
        address endorsement;
        address agent;
        bytes peer;
        bytes endpoint;
    }

    // ------------------------------------------------------------------------------------------------------------ operators

    /// @notice Adds the value sent to the bond of the calling operator.
    function postBond() external payable;

    /// @notice Moves a part of the bond that no node needs to what can be claimed after WITHDRAWAL_DELAY_SECONDS.
    function requestWithdrawal(uint128 amount) external;

    /// @notice Pays the calling operator what was requested and whose delay is over.
    function claimWithdrawal() external;

    /// @notice Offers a node (section 4.2); the caller is an operator whose bond suffices.
    /// @param offer See section 4.2.
    /// @param endorsementSignature By the endorsement key, 65 bytes.
    /// @param consensusSignature By the consensus key, 65 bytes.
    function offerNode(bytes calldata offer, bytes calldata endorsementSignature, bytes calldata consensusSignature)
        external
        returns (uint64 node);

    /// @notice Offers a node again, with new keys, after its seat has ended. Arguments as in `offerNode`.
    function renewNode(
        uint64 node,
        bytes calldata offer,
        bytes calldata endorsementSignature,
        bytes calldata consensusSignature
    ) external;

    /// @notice Takes a node that has no seat off the market for ever; not while a draw is pending.
    function withdrawNode(uint64 node) external;

    /// @notice Says that a node wants to give up its seat in order. Somebody has to file a REPLACE.
    function leaveSeat(uint64 node) external;

    /// @notice Gives a seat up at once; this costs.
    function exitSeat(uint64 node) external;

    /// @notice Changes where a node is reached; by its operator or agent.
    function setPeer(uint64 node, bytes calldata peer, bytes calldata endpoint) external;

    /// @notice Shows that a node is there; by its operator or agent.
    function heartbeat(uint64 node) external;

    /// @notice Convicts the node whose endorsement key has signed both statements (section 4.5); by anybody.
    function reportEquivocation(bytes calldata first, bytes calldata second) external returns (uint64 node);

    // ------------------------------------------------------------------------------------------------------------ the registry only

    /// @notice The candidates of a draw that closes now (section 7), 20 bytes each; withdrawals wait until `endDraw`.
    function beginDraw(uint32 leastCapacity, uint32 leastTermSeconds) external returns (bytes memory candidates);

    /// @notice A draw is over, in whatever way.
    function endDraw() external;

    /// @notice Reserves a drawn node for a relay chain.
    function reserve(uint64 node, uint32 relay) external;

    /// @notice Frees reserved nodes. Nodes that are not reserved any more (convicted) are left as they are, here and below.
    function release(uint64[] calldata nodes) external;

    /// @notice Seats reserved nodes.
    function seat(uint64[] calldata nodes) external;

    /// @notice Ends seats in a relay chain; `inOrder` earns something.
    function unseat(uint32 relay, uint64[] calldata nodes, bool inOrder) external;

    /// @notice Halves the reputation of a node that was confirmed and has never reported.
    function recordNoShow(uint64 node) external;

    /// @notice Counts a period of a relay chain: bit i of `present` says whether node i was there.
    function recordPeriod(uint32 relay, uint64[] calldata nodes, uint256 present) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    function BOND_PER_NODE() external view returns (uint128);
    function WITHDRAWAL_DELAY_SECONDS() external view returns (uint32);

    /// @notice Number of an operator's account, 0 if it is none.
    function operatorIdOf(address account) external view returns (uint32);

    /// @notice An operator: account (zero if there is none), bond, what waits to be claimed and from when on, nodes that need a bond, starting reputation,
    /// whether it is suspended.
    function operatorOf(uint32 operator)
        external
        view
        returns (
            address account,
            uint128 bonded,
            uint128 unbonding,
            uint64 claimableAt,
            uint32 nodes,
            uint16 startingReputation,
            bool suspended
        );

    /// @notice How many operators and nodes have ever been.
    function counts() external view returns (uint32 operators, uint64 nodes);

    /// @notice A node; state 0 if there is none. `reputation` as it is now, absence counted.
    function nodeOf(uint64 node) external view returns (NodeView memory);

    /// @notice State and operator of a node: what a draw asks.
    function stateOf(uint64 node) external view returns (uint8 state, uint32 operator);

    /// @notice What a decision says of a node: `node (8) || operator (4) || consensus key (33) || endorsement address (20)`.
    function seatOf(uint64 node) external view returns (bytes memory);

    /// @notice Whether an account may report for a node: its agent or operator.
    function reportsFor(uint64 node, address account) external view returns (bool);

    /// @notice Nodes that are offered now, in the order of the list.
    function offeredNodes() external view returns (uint64[] memory);

    /// @notice Draws that are pending.
    function pendingDraws() external view returns (uint32);

    /// @notice Wei that were forfeited and not disbursed.
    function forfeited() external view returns (uint128);

    // ------------------------------------------------------------------------------------------------------------ events and errors

    event OperatorAdmitted(uint32 indexed operator, address indexed account);
    event OperatorSuspended(uint32 indexed operator, bool suspended);
    event OperatorRestored(uint32 indexed operator, uint16 startingReputation);
    event BondPosted(uint32 indexed operator, uint128 amount);
    event WithdrawalRequested(uint32 indexed operator, uint128 amount, uint64 claimableAt);
    event WithdrawalClaimed(uint32 indexed operator, uint128 amount);
    event BondForfeited(uint32 indexed operator, uint64 indexed node, uint128 amount, bytes32 reason);
    event Disbursed(address indexed account, uint128 amount);
    event NodeOffered(uint64 indexed node, uint32 indexed operator, bytes offer);
    event NodeStateChanged(uint64 indexed node, uint8 state, uint32 relay);
    event PeerChanged(uint64 indexed node, bytes peer, bytes endpoint);
    event NodeSeen(uint64 indexed node);
    event ReputationChanged(uint64 indexed node, uint16 reputation);
    event EquivocationProven(
        uint64 indexed node, uint32 indexed relay, uint32 destination, uint64 number, bytes32 first, bytes32 second
    );

    /// @notice Thrown when the caller is not the account of an operator.
    error NotAnOperator(address account);
    /// @notice Thrown when a node belongs to another operator.
    error NotYourNode(uint64 node);
    /// @notice Thrown when the caller is neither agent nor operator of a node.
    error NotTheAgent(uint64 node, address account);
    /// @notice Thrown when somebody else than the DomainRegistry calls what is its own.
    error OnlyRegistry(address account);
    /// @notice Thrown when a node's state has no such input (the table of section 4.2).
    error WrongNodeState(uint64 node, uint8 state, uint8 input);
    /// @notice Thrown when an operator is suspended.
    error Suspended(uint32 operator);
    /// @notice Thrown when a bond does not cover all nodes.
    error BondTooSmall(uint128 needed, uint128 present);
    /// @notice Thrown when an amount is 0 or more than there is.
    error WrongAmount(uint128 available, uint128 asked);
    /// @notice Thrown when a withdrawal cannot be claimed yet.
    error NotYetClaimable(uint64 claimableAt);
    /// @notice Thrown when an account refuses the money that is paid to it.
    error PaymentFailed(address account);
    /// @notice Thrown when an offer is not encoded as section 4.2 says.
    error MalformedOffer();
    /// @notice Thrown when a key was in an offer before.
    error KeyUsedBefore(address key);
    /// @notice Thrown when a key has not signed the offer (which: 1 endorsement, 2 consensus).
    error WrongPossession(uint8 which);
    /// @notice Thrown when the market has no room for another node.
    error MarketFull();
    /// @notice Thrown when a node would be withdrawn while a draw is pending.
    error DrawPending(uint32 draws);
    /// @notice Thrown when two statements convict nobody.
    error NoEquivocation();
}

// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IGoverned} from "./IGoverned.sol";

/// @title Applications by number, where they live, what they can do, and what they may send (docs/protocol/management.md, section 9).
interface IApplicationDirectory is IGoverned {
    // ------------------------------------------------------------------------------------------------------------ publishers

    /// @notice Gives the next application number (from 1 024 on) to the caller, its publisher.
    /// @param name 1 to 64 bytes.
    function createApplication(string calldata name) external returns (uint32 application);

    /// @notice Names who shall be the publisher from then on. The zero address takes it back.
    function proposePublisher(uint32 application, address account) external;

    /// @notice Takes over what the publisher has proposed.
    function acceptPublisher(uint32 application) external;

    /// @notice Describes a typed function, again if it was described before.
    /// @param functionNumber Number in packet headers, not 0.
    /// @param selector Of the application's contract, for those who call it there.
    /// @param name 1 to 64 bytes.
    /// @param argumentTypes As between the brackets of a Solidity signature, at most 256 bytes.
    /// @param resultTypes Likewise.
    function describeFunction(
        uint32 application,
        uint32 functionNumber,
        bytes4 selector,
        string calldata name,
        string calldata argumentTypes,
        string calldata resultTypes
    ) external;

    /// @notice Proposes that a contract be this application on a chain; by the publisher.
    /// @param protocols Bit p: transaction protocol p, 0 to 4, may be used.
    function proposePlacement(uint32 application, uint32 registration, address account, uint16 protocols) external;

    // ------------------------------------------------------------------------------------------------------------ representatives

    /// @notice Agrees to a placement; by the representative of the registration, who names what it agrees to.
    function acceptPlacement(uint32 application, uint32 registration, address account, uint16 protocols) external;

    /// @notice Removes a placement or a proposal; by publisher or representative.
    function removePlacement(uint32 application, uint32 registration) external;

    /// @notice States what an application may send from a chain in a window; by the representative. All 0 removes the quota.
    function setQuota(
        uint32 application,
        uint32 registration,
        uint32 packets,
        uint64 bodyBytes,
        uint64 handlerGas,
        uint32 windowSeconds
    ) external;

    // ------------------------------------------------------------------------------------------------------------ reading

    /// @notice An application: publisher (zero if there is none), who is proposed, whether it is suspended, its name.
    function applicationOf(uint32 application)
        external
        view
        returns (address publisher, address proposed, bool suspended, string memory name);

    /// @notice A placement: contract (zero if there is none), protocols, and whether the representative has agreed.
    function placementOf(uint32 application, uint32 registration)
        external
        view
        returns (address account, uint16 protocols, bool accepted);

    /// @notice A described function; an empty name if there is none.
    function functionOf(uint32 application, uint32 functionNumber)
        external
        view
        returns (bytes4 selector, string memory name, string memory argumentTypes, string memory resultTypes);

    /// @notice What an application may send from a chain in a window; all 0 if nobody has said.
    function quotaOf(uint32 application, uint32 registration)
        external
        view
        returns (uint32 packets, uint64 bodyBytes, uint64 handlerGas, uint32 windowSeconds);

    // ------------------------------------------------------------------------------------------------------------ events and errors

    event ApplicationCreated(uint32 indexed application, address indexed publisher, string name);
    event ApplicationSuspended(uint32 indexed application, bool suspended);
    event PublisherProposed(uint32 indexed application, address account);
    event PublisherChanged(uint32 indexed application, address account);
    event FunctionDescribed(
        uint32 indexed application,
        uint32 indexed functionNumber,
        bytes4 selector,
        string name,
        string argumentTypes,
        string resultTypes
    );
    event PlacementProposed(uint32 indexed application, uint32 indexed registration, address account, uint16 protocols);
    event PlacementAccepted(uint32 indexed application, uint32 indexed registration, address account, uint16 protocols);
    event PlacementRemoved(uint32 indexed application, uint32 indexed registration);
    event QuotaSet(
        uint32 indexed application,
        uint32 indexed registration,
        uint32 packets,
        uint64 bodyBytes,
        uint64 handlerGas,
        uint32 windowSeconds
    );

    /// @notice Thrown when there is no such application, or it is suspended.
    error NoApplication(uint32 application);
    /// @notice Thrown when the caller is not the publisher.
    error NotThePublisher(uint32 application, address account);
    /// @notice Thrown when the caller is not the representative of a registration.
    error NotTheRepresentative(uint32 registration, address account);
    /// @notice Thrown when a name, type, number, protocol or quota is out of bounds.
    error MalformedDescription();
    /// @notice Thrown when a placement is not what is agreed to, or there is none.
    error WrongPlacement(uint32 application, uint32 registration);
}

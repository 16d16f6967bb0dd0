// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {IDomainDesk} from "./IDomainDesk.sol";
import {IDomainRequests} from "./IDomainRequests.sol";
import {IGoverned} from "./IGoverned.sol";

/// @title Registrations, domains, their relay chains, and the requests that change them (docs/protocol/management.md, sections 5 to 7).
/// @notice Request bytes, candidates and routing policies come in the call data wherever they are needed: only their hashes are stored.
interface IDomainRegistry is IDomainRequests, IDomainDesk, IGoverned {}

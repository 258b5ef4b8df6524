/**
 * May this agent be pointed at a loopback port at all? Whoever binds that port while the sidecar is
 * dead is the agent's manager for a moment: it cannot speak the agent's key, so the handshake fails,
 * and then a 4.x agent enrols at the same address on its enrollment port, where it hands over its
 * enrollment password and takes whatever key it is given. So that door is shut, or there is no relay.
 * Source: trust-and-safety, first section. 5.x is `tls.ts`.
 */

/** Who holds the enrollment port on the relay's address. */
export type PortHolder =
  /** Root, in another process than ours (a systemd socket): still there when the sidecar is not. */
  | 'root'
  | 'this_sidecar'
  | 'another_user'
  | 'nobody'
  /** The platform does not say. */
  | 'unknown';

export interface EnrollmentFacts {
  /** As the agent reads its own file: enabled also when nothing says so. */
  readonly enabled: boolean;
  readonly port: number;
  /** `server_ca_path` is set, so that the agent enrols only where a known authority vouches. */
  readonly serverCaVerified: boolean;
  readonly holder: PortHolder;
  /** The holder closes at once; a silent one would cost the agent 60 s. */
  readonly closesAtOnce: boolean;
}

export interface PortFacts {
  /** Ports below this one need a privilege on this host: 1024 on most, 0 where there is none. */
  readonly unprivilegedFrom: number;
  /** This process may bind such a port, or inherits a socket that the service manager holds. */
  readonly mayBindPrivileged: boolean;
}

export type RelayRefusal =
  | 'enrollment_open'
  | 'enrollment_taken'
  | 'guard_dies_with_us'
  | 'guard_silent'
  | 'port_open_to_all'
  | 'name_not_verifiable'
  | 'unverified_tls'
  | 'alias_not_kept'
  | 'no_native_fallback';

export type RelayPermission =
  | { readonly kind: 'allowed' }
  | { readonly kind: 'refused'; readonly why: RelayRefusal; readonly text: string };

/** 4.x agents. `relayPort` is where the agent would dial us. */
export function judgeRelay(
  relayPort: number,
  enrollment: EnrollmentFacts,
  ports: PortFacts,
): RelayPermission {
  if (
    relayPort >= ports.unprivilegedFrom &&
    ports.mayBindPrivileged &&
    ports.unprivilegedFrom > 0
  ) {
    return refuse(
      'port_open_to_all',
      `any user may bind port ${relayPort} while the sidecar is dead: choose one below ${ports.unprivilegedFrom}`,
    );
  }
  if (!enrollment.enabled || enrollment.serverCaVerified) return { kind: 'allowed' };
  if (enrollment.port < ports.unprivilegedFrom) return { kind: 'allowed' };
  return judgeHolder(enrollment);
}

function judgeHolder({ holder, port, closesAtOnce }: EnrollmentFacts): RelayPermission {
  const ways = 'turn enrollment off, set server_ca_path, or install the guard socket';
  switch (holder) {
    case 'root':
      if (closesAtOnce) return { kind: 'allowed' };
      return refuse('guard_silent', `what holds port ${port} does not close at once: ${ways}`);
    case 'this_sidecar':
      return refuse(
        'guard_dies_with_us',
        `port ${port} is held by the sidecar itself and would be free the moment it dies: ${ways}`,
      );
    case 'another_user':
      return refuse(
        'enrollment_taken',
        `another user of this host listens on port ${port}, where the agent would enrol: find out who, then ${ways}`,
      );
    default:
      return refuse(
        'enrollment_open',
        `any user may listen on port ${port}, where the agent enrols unverified: ${ways}`,
      );
  }
}

export function refuse(
  why: RelayRefusal,
  text: string,
): Extract<RelayPermission, { kind: 'refused' }> {
  return { kind: 'refused', why, text };
}

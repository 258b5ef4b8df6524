/** A manager as a load balancer has it: the list's states and weights in the balancer's words. Pure. */
import type { Manager } from '../list/model.ts';

export interface BalancedServer {
  /** The manager's id; balancers take `[A-Za-z0-9_-]` as a server's name. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** 1 to 256. */
  readonly weight: number;
  /** drain: sessions stay, new ones go elsewhere. */
  readonly state: 'ready' | 'drain';
  /** Only used while no other is left. */
  readonly isBackup: boolean;
}

const maxWeight = 256;

/**
 * What `down` is not named: a balancer that still knew it could send agents there. Weights keep
 * their proportion; weight 0 and a lower priority are a last resort. TCP managers only.
 */
export function balancedServers(managers: readonly Manager[]): readonly BalancedServer[] {
  const named = managers.filter(({ state, protocol }) => state !== 'down' && protocol === 'tcp');
  const heaviest = Math.max(1, ...named.map(({ weight }) => weight));
  const first = Math.min(...named.map(({ prio }) => prio));
  return named.map(({ id, address, port, weight, state, prio }) => ({
    ...{ name: id, address, port },
    weight: Math.max(1, Math.round((weight / heaviest) * maxWeight)),
    state: state === 'drain' ? 'drain' : 'ready',
    isBackup: weight === 0 || prio > first,
  }));
}

/** IPv6 literals in brackets. */
export function endpointText({ address, port }: Pick<BalancedServer, 'address' | 'port'>): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

/** Whether a worker may join: stock's checks in stock's order (cluster-protocol.md 1.8). */
import { type Fault, fault } from '../wire/fault.ts';
import type { Hello } from '../wire/payload-hello.ts';

/** What a master knows when a hello arrives. */
export interface ClusterIdentity {
  readonly node: string;
  readonly cluster: string;
  /** Compared byte for byte; detected or configured, never a constant of ours. */
  readonly version: string;
  readonly connected: ReadonlySet<string>;
}

const nodeName = /^[A-Za-z0-9_-]{1,64}$/;

export function isNodeName(name: string): boolean {
  return nodeName.test(name);
}

/**
 * Undefined: welcome. Unlike stock, nothing is registered before the last check, and a worker
 * may not be called `master`, which stock masters take for themselves.
 */
export function judgeHello(hello: Hello, own: ClusterIdentity): Fault | undefined {
  if (!isNodeName(hello.node)) return fault(3060, hello.node.slice(0, 256));
  if (own.connected.has(hello.node)) return fault(3028, hello.node);
  if (hello.node === own.node || hello.node === 'master') return fault(3029);
  if (hello.cluster !== own.cluster) return fault(3030);
  return hello.version === own.version ? undefined : fault(3031);
}

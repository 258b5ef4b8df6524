/** `GET /metrics`: for the networks that may ask, and as if it were not there for all others. */
import type { Server } from 'node:https';
import type { FastifyInstance } from 'fastify';
import { parseAddress } from '../../list/address.ts';
import { isInside } from '../../list/cidr.ts';

/** Port: `fleet-metrics.ts`. */
export interface MetricsSource {
  readonly contentType: string;
  render(): Promise<string>;
  /** May this address ask? */
  admits(ip: string): boolean;
}

export const metricsPath = '/metrics';

export function addMetricsRoute(app: FastifyInstance<Server>, source: MetricsSource): void {
  app.get(metricsPath, async (request, reply) => {
    if (!source.admits(request.raw.socket.remoteAddress ?? '')) return reply.callNotFound();
    const text = await source.render();
    return reply.type(source.contentType).header('cache-control', 'no-store').send(text);
  });
}

/** `ip` as the socket has it: IPv4 may come mapped into IPv6. */
export function isInNetworks(networks: readonly string[], ip: string): boolean {
  const plain = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(ip)?.[1] ?? ip.split('%')[0] ?? '';
  const address = parseAddress(plain);
  if (address === undefined || address.kind === 'name') return false;
  return networks.some((network) => isInside(address, network));
}

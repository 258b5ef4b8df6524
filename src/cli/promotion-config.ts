/** `cluster.promotion:` of publisher.yml: the role of master itself, from node to node of ours. */
import * as z from 'zod';
import { ConfigError } from '../errors.ts';
import { duration } from './config-file.ts';

const argv = z.array(z.string().min(1).max(1_024)).min(1).max(32);
const commands = (text: string) => z.array(argv).max(16).default([]).describe(text);

export const promotionSection = z
  .strictObject({
    mode: z
      .enum(['off', 'manual', 'automatic'])
      .default('off')
      .describe(
        'manual: an operator promotes another node; automatic: a candidate does when the master is gone',
      ),
    candidate: z.boolean().default(true).describe('may this node become the master?'),
    address: z
      .string()
      .regex(/^[A-Za-z0-9._:-]{1,253}$/, 'expected a host name or an address, without a port')
      .optional()
      .describe("where the other nodes reach this one's cluster port; a candidate has one"),
    pause: duration(
      '5s',
      { min: '1s', max: '5m' },
      'after the seat is taken: the longest that a stopped master may go on without noticing',
    ),
    minInterval: duration(
      '10m',
      { min: '0s', max: '7d' },
      'least time between two promotions that nobody ordered',
    ),
    hooks: z
      .strictObject({
        stop: commands(
          'programs with arguments, no shell, all at once, when this host is not the master: ' +
            'they stop what gives out keys (wazuh-authd) and the API; harmless when run twice',
        ),
        start: commands('in order, once this host is the master and its cluster port is open'),
        follow: commands(
          'in order, once another node is the master and <node_type> says worker: they start again ' +
            'what a worker runs too (wazuh-authd, which then asks the master)',
        ),
        timeout: duration('8s', { min: '100ms', max: '60s' }, 'time that each of them has'),
      })
      .prefault({}),
    firewall: z
      .strictObject({
        close: argv.describe('shuts the ports of a master (1516, 1515) on this host'),
        open: argv.describe('opens them'),
      })
      .optional()
      .describe('a second fence: run beside hooks.stop and before hooks.start'),
    writeNodeType: z
      .boolean()
      .default(true)
      .describe("write <node_type> of the manager's own configuration with the role"),
  })
  .describe(
    'the role of master goes to another node of ours when its holder is gone; needs leader.etcd, ' +
      'the same on every node, see `promotion --help`; cluster.lameDuck does not go with it',
  );

export type PromotionSection = z.output<typeof promotionSection>;

/** Throws ConfigError `config_invalid`. */
export function checkPromotion(
  promotion: PromotionSection | undefined,
  hasEtcd: boolean,
  file: string,
): void {
  if (promotion === undefined || promotion.mode === 'off') return;
  const fault = (text: string): ConfigError =>
    new ConfigError('config_invalid', `${file}: cluster.promotion: ${text}`);
  if (!hasEtcd) throw fault('needs leader.etcd, the same on every node');
  if (promotion.candidate && promotion.address === undefined) {
    throw fault('address: a candidate needs one, where the other nodes reach its cluster port');
  }
}

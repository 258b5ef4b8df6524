/** `rollout:` in publisher.yml. */
import * as z from 'zod';
import type { GateSettings } from '../publisher/rollout/gate.ts';
import type { RolloutSettings } from '../publisher/rollout/plan.ts';
import { duration } from './config-file.ts';

const whole = (min: number, max: number) => z.number().int().min(min).max(max);

export const rolloutSection = z.strictObject({
  enabled: z.boolean().default(true).describe('roll a changed list out in waves'),
  minAgents: whole(1, 1_000_000)
    .default(20)
    .describe('with fewer agents that reported within a day, a change goes to all at once'),
  waves: z
    .array(
      z.strictObject({
        percent: whole(1, 100).describe('share of the agents'),
        bake: duration('10m', { min: '1s', max: '30d' }, 'how long they are watched'),
      }),
    )
    .min(1)
    .max(16)
    .default([
      { percent: 1, bake: 300_000 },
      { percent: 5, bake: 600_000 },
      { percent: 25, bake: 1_200_000 },
      { percent: 100, bake: 600_000 },
    ])
    .describe('1 % 5m, 5 % 10m, 25 % 20m, 100 % 10m unless set; the last one is 100'),
  removalPercent: whole(1, 100)
    .default(25)
    .describe('first wave of a change that only takes managers away, in any freeze window'),
  reportedPct: whole(1, 100)
    .default(95)
    .describe('share of a wave that must have reported, rounded down to whole agents'),
  silence: duration(
    '3m',
    { min: '1s', max: '1d' },
    'a wave of which less is heard after this time is taken back',
  ),
  marginPct: whole(0, 100)
    .default(1)
    .describe('failures above those of all other agents that are still chance'),
  maxRestores: whole(1, 100)
    .default(3)
    .describe('restores in the first hundred that end a rollout'),
  freeze: z
    .array(
      z.strictObject({
        from: z
          .string()
          .regex(/^\S+(?:\s+\S+){4}$/, 'expected a cron line of five fields, such as 0 22 * * 5')
          .describe('when it begins: cron line, UTC'),
        for: duration('8h', { min: '1m', max: '7d' }, 'how long it holds'),
      }),
    )
    .max(16)
    .default([])
    .describe('times in which no rollout goes on; going back and removals do'),
});

export type RolloutConfig = z.output<typeof rolloutSection>;

export function planSettingsOf(config: RolloutConfig): RolloutSettings {
  return {
    isEnabled: config.enabled,
    minAgents: config.minAgents,
    stages: config.waves.map(({ percent, bake }) => ({ percent, bakeMs: bake })),
    removalPercent: config.removalPercent,
  };
}

/** A large fleet spreads its reports over more time. */
export function gateSettingsOf(config: RolloutConfig, agents: number): GateSettings {
  return {
    reportedPct: config.reportedPct,
    silenceMs: config.silence + agents,
    marginPct: config.marginPct,
    maxRestores: config.maxRestores,
  };
}

/** What is wrong with the waves; undefined when nothing is. */
export function wavesFault({ waves }: RolloutConfig): string | undefined {
  const shares = waves.map(({ percent }) => percent);
  const isGrowing = shares.every((share, index) => index === 0 || share > (shares[index - 1] ?? 0));
  if (!isGrowing) return 'rollout.waves: expected each percent above the one before';
  return shares.at(-1) === 100 ? undefined : 'rollout.waves: expected the last percent to be 100';
}

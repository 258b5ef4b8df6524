/** Section names an agent knows directly below `<ossec_config>` (agent-side.md 1.4, 1.10). */
import type { Dialect } from './dialect.ts';

/** What a section must hold for the agent to load the file. */
export type SectionNeed = 'children' | 'nothing';

const both = {
  children:
    'global localfile remote client anti_tampering socket agent-upgrade task-manager wdb github office365 ms-graph',
  nothing:
    'syscheck rootcheck client_buffer wodle sca vulnerability-detection vulnerability-detector indexer gcp-pubsub gcp-bucket auth logging',
};

const only: Readonly<Record<Dialect, Readonly<Record<SectionNeed, string>>>> = {
  '4': {
    children:
      'email_alerts database_output syslog_output integration agentless ruleset alerts command active-response reports labels cluster rule_test',
    nothing: 'fluent-forward',
  },
  '5': { children: 'agent', nothing: 'agent-info cluster active-response' },
};

const tables: Readonly<Record<Dialect, ReadonlyMap<string, SectionNeed>>> = {
  '4': tableOf('4'),
  '5': tableOf('5'),
};

/** Sections of 4.x that stop a 5.x agent: an upgrade leaves them behind (case 88). */
export const leftFromFour: ReadonlySet<string> = new Set(
  `${only['4'].children} ${only['4'].nothing}`.split(' ').filter((name) => !tables['5'].has(name)),
);

/** What the agent wants of a section, undefined when it does not know the name. */
export function sectionNeed(dialect: Dialect, name: string): SectionNeed | undefined {
  return tables[dialect].get(name);
}

function tableOf(dialect: Dialect): ReadonlyMap<string, SectionNeed> {
  const needs: readonly SectionNeed[] = ['children', 'nothing'];
  return new Map(
    needs.flatMap((need) =>
      `${both[need]} ${only[dialect][need]}`.split(' ').map((name) => [name, need] as const),
    ),
  );
}

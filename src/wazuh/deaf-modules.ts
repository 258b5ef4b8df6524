/**
 * Modules of modulesd that open the agent's queue once and never reopen it: after a restart of
 * agentd alone they drop everything until modulesd is restarted too (agent-side.md 4.3).
 */
import { contentOf, type Element, latin1 } from '../agent-config/element.ts';
import { Refusal } from '../agent-config/refusal.ts';
import { scan } from '../agent-config/scan.ts';

const deafWodles = ['aws-s3', 'azure-logs', 'command', 'cis-cat', 'open-scap', 'osquery'] as const;
const deafSections = ['github', 'office365', 'ms-graph'] as const;

/**
 * Names of deaf modules in an ossec.conf or agent.conf, switched-off ones left out. A file that
 * does not scan counts as having one: restarting modulesd needlessly costs less than silence.
 */
export function findDeafModules(config: Uint8Array): readonly string[] {
  try {
    return scan(config).flatMap((root) =>
      root.children.flatMap((section) => deafNameOf(config, section)),
    );
  } catch (thrown) {
    if (thrown instanceof Refusal) return ['a file that cannot be read'];
    throw thrown;
  }
}

function deafNameOf(config: Uint8Array, section: Element): readonly string[] {
  const name = section.name === 'wodle' ? wodleName(config, section) : section.name;
  const deaf = [...deafWodles, ...deafSections].some((known) => known === name);
  return deaf && !isSwitchedOff(config, section) ? [name] : [];
}

function wodleName(config: Uint8Array, section: Element): string {
  const tag = latin1(config, section.start, section.openEnd);
  return /\sname=\s*["']([^"']*)["']/.exec(tag)?.[1] ?? '';
}

/** Only the plain spelling switches a module off here; anything else counts as on. */
function isSwitchedOff(config: Uint8Array, section: Element): boolean {
  const whole: Element = { ...section, valueStart: section.openEnd };
  const inner = contentOf(config, whole);
  return inner.includes('<disabled>yes</disabled>') || inner.includes('<enabled>no</enabled>');
}

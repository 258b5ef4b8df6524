/**
 * What lines of ossec.log prove. Only their numbers are used: texts change, and the errno text of
 * (1216) is always wrong (real-agent-lab.md 2).
 */

/** Numbers after which agentd exits because of its configuration (agent-side.md 8.3). */
const configurationFaults = ['1215', '1226', '1230', '1235', '4105', '4112'] as const;

/** The first line that blames the configuration, or undefined. `text` holds only new log bytes. */
export function findConfigurationFault(text: string): string | undefined {
  return text.split(/\r?\n/).find((line) => {
    const code = /\((\d{4})\)/.exec(line)?.[1];
    const severe = /\b(ERROR|CRITICAL)\b/.test(line);
    return severe && configurationFaults.some((fault) => fault === code);
  });
}

/** True when a line says that the agent still walks its list. */
export function showsProgress(text: string): boolean {
  return /Trying next server|Trying to connect to server/.test(text);
}

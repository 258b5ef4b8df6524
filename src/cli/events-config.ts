/** `events:` of both programs. */
import * as z from 'zod';

/** `folder`: the setting that says where the file lies. */
export function eventsSection(folder: string) {
  const text = `write what happens to events.json in ${folder}, one JSON object a line, for the Wazuh agent to tail and for \`timeline\``;
  return z.strictObject({ enabled: z.boolean().default(true).describe(text) }).prefault({});
}

/** `events:` of both programs, `metrics:` of the sidecar. */
import * as z from 'zod';

/** `folder`: the setting that says where the file lies. */
export function eventsSection(folder: string) {
  const text = `write what happens to events.json in ${folder}, one JSON object a line, for the Wazuh agent to tail and for \`timeline\``;
  return z.strictObject({ enabled: z.boolean().default(true).describe(text) }).prefault({});
}

/** No port is opened on ten thousand hosts. */
export const sidecarMetricsSection = z
  .strictObject({
    port: z
      .number()
      .int()
      .min(1)
      .max(65_535)
      .optional()
      .describe('show the same at http://127.0.0.1:PORT/metrics; unset: no port is opened'),
    textfile: z
      .string()
      .min(1)
      .max(4096)
      .optional()
      .describe(
        'write the status as Prometheus text to this file, for the node_exporter textfile collector',
      ),
  })
  .prefault({});

/**
 * What a sidecar tells its publisher about itself: small, closed, authenticated with the agent's
 * own key. A report is an input for people and for the rollout's gates, never an authority: nothing
 * in it changes what a list says.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import * as z from 'zod';
import { decodeBase64Url } from '../bytes.ts';
import {
  counter,
  hashTag,
  identifier,
  instant,
  integer,
  list,
  members,
  parseMembers,
  pattern,
  present,
  renderInstant,
  renderPayload,
  scope,
} from './members.ts';
import { listLimits } from './model.ts';
import { parseStrictJson } from './strict-json.ts';

/** As long as a report may be, bytes. */
export const maxReportBytes = 4_096;

const word = pattern(/^[A-Za-z0-9_.:+-]{1,64}$/, '1 to 64 of A-Z a-z 0-9 _ . : + -');
const line = pattern(/^[\x20-\x7e]{0,200}$/, 'up to 200 printable ASCII characters');
const code = pattern(/^E[0-9]{3}$/, 'a code such as E610');
const position = members({ epoch: counter, term: counter, version: counter });

const document = members({
  typ: z.literal('pf-report'),
  spec: z.literal(1),
  /** Id in `client.keys`. */
  agent: pattern(/^[0-9]{1,12}$/, 'digits'),
  /** Id by which this agent is placed and drawn into waves. */
  place: pattern(/^[\x21-\x7e]{1,255}$/, 'up to 255 printable ASCII characters'),
  /** Grows with every report: an older one is a replay. */
  seq: integer(1, Number.MAX_SAFE_INTEGER),
  /** By the clock of that host: a hint. */
  at: instant,
  everySec: integer(1, 86_400),
  sidecar: word,
  agentVersion: word.optional(),
  os: z.enum(['linux', 'windows', 'macos'], { error: '"linux", "windows" or "macos"' }),
  group: scope,
  site: scope,
  zone: identifier.optional(),
  root: counter,
  list: members({ position, hash: hashTag }).optional(),
  /** Newest list that waits for its wave here. */
  pending: position.optional(),
  stalePolls: counter,
  manager: identifier.optional(),
  connected: z.boolean({ error: 'true or false' }),
  mode: word,
  step: word,
  why: line,
  move: members({ kind: word, to: word, at: instant, outcome: word }).optional(),
  /** How the applier last ended, and for which list. */
  result: members({
    outcome: word,
    code: code.optional(),
    position: position.optional(),
    at: instant,
  }).optional(),
  errors: list(code, 0, 8),
  health: list(members({ id: identifier, verdict: word }), 0, listLimits.maxManagers),
});

type Wire = z.output<typeof document>;

export type AgentReport = Omit<Wire, 'typ' | 'spec'>;

/**
 * A well-formed report; who sent it is proven by its MAC.
 * @throws ListError `list_invalid`, `duplicate_member`, `too_big`
 */
export function parseAgentReport(body: Uint8Array): AgentReport {
  const rules = { what: 'report', reason: 'list_invalid', maxBytes: maxReportBytes } as const;
  const value = parseStrictJson(body, rules);
  const { typ: _typ, spec: _spec, ...report } = parseMembers(document, value, rules);
  return present(report) as AgentReport;
}

/** The inverse of `parseAgentReport`. */
export function renderAgentReport(report: AgentReport): Uint8Array {
  const { move, result } = report;
  return renderPayload({
    typ: 'pf-report',
    spec: 1,
    ...report,
    at: renderInstant(report.at),
    move: move && { ...move, at: renderInstant(move.at) },
    result: result && { ...result, at: renderInstant(result.at) },
  });
}

/** What proves the sender: HMAC-SHA256 with the agent's key over purpose, organisation, id and body. */
export function reportMac(
  key: string,
  sender: { readonly org: string; readonly agent: string },
  body: Uint8Array,
): string {
  return macOf(key, sender, body).toString('base64url');
}

/** In constant time. */
export function isReportMac(
  key: string,
  sender: { readonly org: string; readonly agent: string },
  body: Uint8Array,
  mac: string,
): boolean {
  const given = decodeBase64Url(mac);
  const right = macOf(key, sender, body);
  return given?.length === right.length && timingSafeEqual(given, right);
}

function macOf(
  key: string,
  { org, agent }: { readonly org: string; readonly agent: string },
  body: Uint8Array,
): Buffer {
  return createHmac('sha256', key)
    .update(`pilotfish report 1\n${org}\n${agent}\n`)
    .update(body)
    .digest();
}

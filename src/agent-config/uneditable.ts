/** Why a file is left alone: named by line and column, with the agent's words and the way out. */
import { AgentError } from '../errors.ts';
import { Positions } from './position.ts';
import type { Problem } from './refusal.ts';

/** Thrown instead of an edit; nothing was changed. */
export class UneditableError extends AgentError {
  readonly problem: Problem;

  constructor(reason: 'config_unparseable' | 'config_not_editable', problem: Problem) {
    const { line, column, said, fix } = problem;
    super(reason, `ossec.conf line ${line}, column ${column}: ${said} To mend it: ${fix}.`);
    this.problem = problem;
  }
}

/** The agent loads the file, but we do not touch it. */
export function notEditable(
  bytes: Uint8Array,
  trouble: {
    readonly offset: number;
    readonly said: string;
    readonly fix: string;
    readonly ruleNumber?: number;
  },
): UneditableError {
  const problem = { ...new Positions(bytes).at(trouble.offset), ...trouble };
  return new UneditableError('config_not_editable', problem);
}

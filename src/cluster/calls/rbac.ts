/**
 * What a call may see, from the permissions it carries. They may only narrow what our table
 * serves anyway; what cannot be evaluated is refused (4000), never guessed. Semantics of stock:
 * rules of an action count in their order, mode `white` starts with nothing, `black` with all.
 */
import { isJsonObject, type JsonObject, type JsonValue } from '../../guards.ts';
import { type Fault, fault } from '../wire/fault.ts';

export type Resource = 'node:id' | 'agent:id' | 'group:id' | '*:*';

/** Permissions that cannot be evaluated, or that leave nothing. Becomes code 4000. */
export class DeniedError extends Error {
  readonly fault: Fault;

  constructor(why: string, ids: readonly string[] = []) {
    super(why);
    this.fault = { ...fault(4000, why), ids };
  }
}

/** `groupsOf`: groups of an agent, for rules about `agent:group`. */
export interface Wanted {
  readonly action: string;
  readonly resource: Resource;
  readonly ids: readonly string[];
  groupsOf?(id: string): readonly string[] | undefined;
}

export class Permissions {
  readonly #isBlack: boolean;
  readonly #rules: JsonObject;

  private constructor(isBlack: boolean, rules: JsonObject) {
    this.#isBlack = isBlack;
    this.#rules = rules;
  }

  /** Throws `DeniedError` for what is no set of permissions. */
  static parse(value: JsonValue | undefined): Permissions {
    if (value === undefined) return new Permissions(true, {});
    if (!isJsonObject(value)) throw new DeniedError('the permissions are not an object');
    const { rbac_mode: mode, ...rules } = value;
    if (mode !== 'white' && mode !== 'black') throw new DeniedError('unknown rbac_mode');
    return new Permissions(mode === 'black', rules);
  }

  /** The ids that remain. Throws `DeniedError` for a rule that cannot be evaluated. */
  allowed(wanted: Wanted): ReadonlySet<string> {
    const left = new Set(this.#isBlack ? wanted.ids : []);
    const rules = this.#rules[wanted.action];
    if (rules === undefined) return left;
    if (!isJsonObject(rules)) throw new DeniedError(`the rules of ${wanted.action}`);
    for (const [resource, effect] of Object.entries(rules)) apply(resource, effect, wanted, left);
    return left;
  }

  /** Throws `DeniedError` when the action itself, which is about no resource, is not allowed. */
  demand(action: string): void {
    const allowed = this.allowed({ action, resource: '*:*', ids: ['*'] });
    if (!allowed.has('*')) throw new DeniedError('Resource type: *:*');
  }
}

const form = /^([a-z*]+:[a-z*]+):([^:&]+)$/;

function apply(resource: string, effect: JsonValue, wanted: Wanted, left: Set<string>): void {
  if (effect !== 'allow' && effect !== 'deny') throw new DeniedError(`an effect of ${resource}`);
  if (resource.includes('&')) {
    applyPair(effect);
    return;
  }
  const [, type = '', value = ''] = form.exec(resource) ?? [];
  if (type === '') throw new DeniedError('a resource that cannot be read');
  for (const id of wanted.ids) {
    if (!matches(type, value, id, wanted)) continue;
    if (effect === 'allow') left.add(id);
    else left.delete(id);
  }
}

/** A pair never grants what we serve; a denial we cannot place must not be overlooked. */
function applyPair(effect: 'allow' | 'deny'): void {
  if (effect === 'deny') throw new DeniedError('a denial of combined resources');
}

function matches(type: string, value: string, id: string, wanted: Wanted): boolean {
  if (type === wanted.resource) return value === '*' || value === id;
  if (type !== 'agent:group' || wanted.resource !== 'agent:id') return false;
  const groups = wanted.groupsOf?.(id);
  if (groups === undefined) throw new DeniedError('a rule about groups of agents');
  return value === '*' || groups.includes(value);
}

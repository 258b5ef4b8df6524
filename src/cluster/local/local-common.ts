/** What both roles answer programs of their host at once. */
import type { JsonObject } from '../../guards.ts';
import type { NodeView } from '../calls/node-view.ts';
import { isNodeName } from '../session/hello.ts';
import type { Reply } from '../session/output.ts';
import type { Handlers } from '../tasks/services.ts';
import { commands, type RoleCommand } from '../wire/command.ts';
import { fault } from '../wire/fault.ts';
import { pythonJson } from '../wire/python-json.ts';
import type { LocalPeer } from './local-server.ts';

export function commonHandlers(view: NodeView): Handlers<LocalPeer> {
  return {
    localHello: ({ value }) => hello(Buffer.from(value).toString('utf8', 0, 256)),
    readConfig: () => ({ kind: 'ok', payload: pythonJson(view.config()) }),
    readRulesetHashes: async () => okJson(await view.rulesetHashes()),
    // Dead in 4.14.8: no receiver takes a file from there (cluster-protocol.md 9.2 #12).
    sendFile: () => ({ kind: 'fault', fault: fault(1000, 'files are not sent this way') }),
  };
}

export function okJson(value: JsonObject): Reply {
  return { kind: 'ok', payload: pythonJson(value) };
}

/** The answer to a command that the other role has. */
export function unknownCommand(name: RoleCommand): Reply {
  return { kind: 'refusal', text: `unknown command 'b'${commands[name].wire}''` };
}

/** Programs need no hello; stock answers one all the same. */
function hello(text: string): Reply {
  if (isNodeName(text)) return { kind: 'ok', payload: `Client ${text} added` };
  return { kind: 'fault', fault: fault(3060, text) };
}

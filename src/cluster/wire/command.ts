/**
 * Every command: our name, the wire word, who may send it, the form of its body
 * (cluster-protocol.md 2.1, 2.2). Wire words stay in this file. A word from a side that may not
 * send it does not exist: origin is part of a command.
 */
import type { Codec } from './payload.ts';
import {
  addressedPayload,
  addressedStringPayload,
  addressedTextPayload,
  clusterPayload,
} from './payload-call.ts';
import { helloPayload } from './payload-hello.ts';
import { jsonPayload, syncResultPayload } from './payload-json.ts';
import {
  bytesPayload,
  digestPayload,
  emptyPayload,
  sizePayload,
  textPayload,
  wordPayload,
} from './payload-text.ts';
import {
  fileEndPayload,
  filePartPayload,
  stringPartPayload,
  taskFaultPayload,
  taskFilePayload,
} from './payload-transfer.ts';

/** The two ends of the cluster channel and of the local socket. */
export type Role = 'master' | 'worker' | 'localServer' | 'localClient';

interface CommandSpec {
  readonly wire: string;
  readonly from: readonly Role[];
  readonly payload: Codec<unknown>;
}

const anyone: readonly Role[] = ['master', 'worker', 'localServer', 'localClient'];
const worker: readonly Role[] = ['worker'];
const master: readonly Role[] = ['master'];
const node: readonly Role[] = ['worker', 'master'];
const localClient: readonly Role[] = ['localClient'];
const localServer: readonly Role[] = ['localServer'];

export const commands = {
  // Either side, both channels; the session itself serves these.
  echo: { wire: 'echo', from: anyone, payload: bytesPayload },
  reserveString: { wire: 'new_str', from: anyone, payload: sizePayload },
  appendString: { wire: 'str_upd', from: anyone, payload: stringPartPayload },
  dropString: { wire: 'err_str', from: anyone, payload: sizePayload },
  openFile: { wire: 'new_file', from: anyone, payload: textPayload },
  appendFile: { wire: 'file_upd', from: anyone, payload: filePartPayload },
  endFile: { wire: 'file_end', from: anyone, payload: fileEndPayload },
  cancelTask: { wire: 'cancel_task', from: anyone, payload: taskFaultPayload },
  keepAlive: { wire: 'echo-c', from: ['worker', 'localClient'], payload: bytesPayload },
  echoMaster: { wire: 'echo-m', from: ['master'], payload: bytesPayload },
  // Worker to master.
  hello: { wire: 'hello', from: worker, payload: helloPayload },
  mayCheckIntegrity: { wire: 'syn_i_w_m_p', from: worker, payload: digestPayload },
  maySendAgentInfo: { wire: 'syn_a_w_m_p', from: worker, payload: emptyPayload },
  integrityStart: { wire: 'syn_i_w_m', from: worker, payload: emptyPayload },
  integritySent: { wire: 'syn_i_w_m_e', from: worker, payload: taskFilePayload },
  integrityFailed: { wire: 'syn_i_w_m_r', from: worker, payload: taskFaultPayload },
  extraValidStart: { wire: 'syn_e_w_m', from: worker, payload: emptyPayload },
  extraValidSent: { wire: 'syn_e_w_m_e', from: worker, payload: taskFilePayload },
  agentInfoReady: { wire: 'syn_a_w_m', from: worker, payload: wordPayload },
  wantAllGroups: { wire: 'syn_w_g_c', from: worker, payload: emptyPayload },
  groupsStored: { wire: 'syn_w_g_e', from: worker, payload: syncResultPayload },
  allGroupsStored: { wire: 'syn_wgc_e', from: worker, payload: syncResultPayload },
  groupsFailed: { wire: 'syn_w_g_err', from: worker, payload: textPayload },
  allGroupsFailed: { wire: 'syn_wgc_err', from: worker, payload: textPayload },
  listNodes: { wire: 'get_nodes', from: ['worker', 'localClient'], payload: jsonPayload },
  readHealth: { wire: 'get_health', from: ['worker', 'localClient'], payload: jsonPayload },
  /** In stock's documentation, not in its code: nodes or health, told by the body. */
  askCluster: { wire: 'dapi_clus', from: ['worker', 'localClient'], payload: clusterPayload },
  askDaemon: { wire: 'sendsync', from: worker, payload: addressedPayload },
  // Either node, towards the other.
  call: { wire: 'dapi', from: node, payload: addressedPayload },
  callResult: { wire: 'dapi_res', from: node, payload: addressedStringPayload },
  callFailed: { wire: 'dapi_err', from: node, payload: addressedTextPayload },
  /** Ours alone, after both said `list`: a string holds what the publisher there serves. */
  listReady: { wire: 'pf_list', from: node, payload: wordPayload },
  // Master to worker.
  integrityUnchanged: { wire: 'syn_m_c_ok', from: master, payload: emptyPayload },
  updateStart: { wire: 'syn_m_c', from: master, payload: emptyPayload },
  updateSent: { wire: 'syn_m_c_e', from: master, payload: taskFilePayload },
  updateFailed: { wire: 'syn_m_c_r', from: master, payload: taskFaultPayload },
  groupsReady: { wire: 'syn_g_m_w', from: master, payload: wordPayload },
  allGroupsReady: { wire: 'syn_g_m_w_c', from: master, payload: wordPayload },
  agentInfoStored: { wire: 'syn_m_a_e', from: master, payload: syncResultPayload },
  agentInfoFailed: { wire: 'syn_m_a_err', from: master, payload: textPayload },
  daemonAnswered: { wire: 'sendsyn_res', from: master, payload: addressedStringPayload },
  daemonFailed: { wire: 'sendsyn_err', from: master, payload: addressedTextPayload },
  // A program on this host to its node.
  localHello: { wire: 'hello', from: localClient, payload: bytesPayload },
  readConfig: { wire: 'get_config', from: localClient, payload: bytesPayload },
  readRulesetHashes: { wire: 'get_hash', from: localClient, payload: emptyPayload },
  sendFile: { wire: 'send_file', from: localClient, payload: textPayload },
  localCall: { wire: 'dapi', from: localClient, payload: bytesPayload },
  localCallTo: { wire: 'dapi_fwd', from: localClient, payload: addressedPayload },
  localAskDaemon: { wire: 'sendsync', from: localClient, payload: bytesPayload },
  localTellDaemon: { wire: 'sendasync', from: localClient, payload: bytesPayload },
  reloadRuleset: { wire: 'sendrreload', from: localClient, payload: emptyPayload },
  // The node back to the program.
  localCallDone: { wire: 'dapi_res', from: localServer, payload: textPayload },
  localCallFailed: { wire: 'dapi_err', from: localServer, payload: bytesPayload },
  sendFileDone: { wire: 'send_f_res', from: localServer, payload: textPayload },
  controlDone: { wire: 'control_res', from: localServer, payload: bytesPayload },
  localDaemonAnswered: { wire: 'ok', from: localServer, payload: bytesPayload },
  localDaemonFailed: { wire: 'err', from: localServer, payload: bytesPayload },
} as const satisfies Readonly<Record<string, CommandSpec>>;

export type CommandName = keyof typeof commands;

/** The typed body of a command. */
export type Payload<Name extends CommandName> =
  (typeof commands)[Name]['payload'] extends Codec<infer Value> ? Value : never;

/** Served by the session; every other command is the role's to answer. */
export type SessionCommand =
  | 'echo'
  | 'keepAlive'
  | 'echoMaster'
  | 'reserveString'
  | 'appendString'
  | 'dropString'
  | 'openFile'
  | 'appendFile'
  | 'endFile'
  | 'cancelTask';

const sessionCommands: ReadonlySet<CommandName> = new Set<SessionCommand>([
  'echo',
  'keepAlive',
  'echoMaster',
  'reserveString',
  'appendString',
  'dropString',
  'openFile',
  'appendFile',
  'endFile',
  'cancelTask',
]);

export function isSessionCommand(name: CommandName): name is SessionCommand {
  return sessionCommands.has(name);
}

export type RoleCommand = Exclude<CommandName, SessionCommand>;

/** Words of answers (1.7). `error` is stock's slip for a string that is too long. */
export const answerWords = {
  ok: 'ok',
  failed: 'err',
  masterEcho: 'ok-m',
  workerEcho: 'ok-c',
  slip: 'error',
} as const;

/** Answers to these carry a space of their own, as stock writes them. */
/** The keep-alive of a node of ours that is about to be stopped; a stock master echoes it as any other. */
export const leavingWord = Buffer.from('pilotfish-leaving/1');
/** Begins the keep-alive of a node of ours that tells where agents reach its manager; JSON follows. */
export const addressesWord = Buffer.from('pilotfish-addresses/1 ');

export const spacedAnswers = {
  fileOpened: 'ok ',
  masterEcho: 'ok-m ',
  workerEcho: 'ok-c ',
} as const;

const answerSet: ReadonlySet<string> = new Set(Object.values(answerWords));

export function isAnswerWord(word: string): boolean {
  return answerSet.has(word);
}

const byOrigin: ReadonlyMap<string, CommandName> = new Map(
  Object.entries(commands).flatMap(([name, spec]) =>
    spec.from.map((role): [string, CommandName] => [`${role} ${spec.wire}`, name as CommandName]),
  ),
);

/** The command that `word` means when `sender` sends it; undefined: it may not, or none exists. */
export function findCommand(sender: Role, word: string): CommandName | undefined {
  return byOrigin.get(`${sender} ${word}`);
}

export function encodePayload<Name extends CommandName>(name: Name, value: Payload<Name>): Buffer {
  const codec: Codec<unknown> = commands[name].payload;
  return codec.encode(value);
}

/** Throws `PayloadError`. */
export function decodePayload<Name extends CommandName>(name: Name, bytes: Buffer): Payload<Name> {
  const codec: Codec<unknown> = commands[name].payload;
  return codec.decode(bytes) as Payload<Name>;
}

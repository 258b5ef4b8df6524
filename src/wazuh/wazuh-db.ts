/**
 * Facts about wazuh-db 4.14 and 5.0 (cluster-protocol.md 6): where it listens, how long its
 * messages may be, which values its columns take. Nothing here talks to it.
 */

/** Below the manager's home. */
export const wazuhDbPaths = {
  text: 'queue/db/wdb',
  http: 'queue/sockets/wdb-http.sock',
  /** Its program: a home that has it must not get another database. */
  programs: ['bin/wazuh-db', 'bin/wazuh-manager-db'],
} as const;

export const wazuhDbLimits = {
  /** Longest text command and longest answer, status included. */
  messageBytes: 65_536,
  /** A page of JSON ends before this. */
  pageBytes: 65_536 - 512,
  groupNameCharacters: 255,
  groupsPerAgent: 128,
} as const;

/** Rows that the next agent-info round takes, and in which part of it. */
export const agentInfoKinds = ['syncreq', 'syncreq_keepalive', 'syncreq_status'] as const;
export type AgentInfoKind = (typeof agentInfoKinds)[number];

export const connectionStates = ['pending', 'never_connected', 'active', 'disconnected'] as const;

export const groupConfigStates = ['synced', 'not synced'] as const;

/** Text members of a whole agent (`syncreq`) of 4.x and of 5.0, in the order wazuh-db writes them. */
export const agentTextColumns = [
  'name',
  'ip',
  'os_name',
  'os_version',
  'os_major',
  'os_minor',
  'os_codename',
  'os_build',
  'os_type',
  'os_platform',
  'os_uname',
  'os_arch',
  'version',
  'config_sum',
  'merged_sum',
  'manager_host',
  'node_name',
] as const;

const groupForm = /^[A-Za-z0-9_.-]{1,255}$/;

/** Whether wazuh-db takes this as the name of a group. */
export function isGroupName(name: string): boolean {
  return groupForm.test(name) && name !== '.' && name !== '..';
}

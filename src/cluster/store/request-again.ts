/** Statements for the agents' table that both a real wazuh-db and ours take. */

/**
 * Agents of `node` seen since `sinceS` go into the next agent-info round again: for a round whose
 * data may have been lost. Others stay as they are: their state on this node may be old. No node:
 * for tables without that column (5.0), where only this node's agents are kept alive here.
 */
export function requestAgainStatements(
  node: string | undefined,
  sinceS: number,
): readonly string[] {
  if (node !== undefined && !/^[A-Za-z0-9_-]{1,64}$/.test(node)) {
    throw new RangeError('not a node name');
  }
  const since = Math.max(0, Math.floor(sinceS));
  const own = node === undefined ? 'id > 0' : `id > 0 and node_name = '${node}'`;
  return [
    `update agent set sync_status = 'syncreq' where ${own} ` +
      `and connection_status in ('active', 'pending') and last_keepalive >= ${since}`,
    `update agent set sync_status = 'syncreq_status' where ${own} and sync_status = 'synced' ` +
      `and connection_status = 'disconnected' and disconnection_time >= ${since}`,
  ];
}

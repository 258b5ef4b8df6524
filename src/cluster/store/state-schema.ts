/**
 * Tables of what a node itself must not forget: agent-info read and not delivered, groups that
 * workers are owed, the sync status of files, generations of client.keys. One migration each,
 * never edited once released.
 */
export const stateMigrations: readonly string[] = [
  `CREATE TABLE marks (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
   CREATE TABLE agent_info (
     number INTEGER PRIMARY KEY AUTOINCREMENT, body TEXT NOT NULL,
     failures INTEGER NOT NULL DEFAULT 0
   ) STRICT;
   CREATE TABLE group_nodes (
     node TEXT PRIMARY KEY, owed_since_ms INTEGER, seen_at_ms INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE node_sync (
     node TEXT PRIMARY KEY, checked_at_ms INTEGER NOT NULL, behind_since_ms INTEGER,
     keys_generation INTEGER NOT NULL, files INTEGER NOT NULL
   ) STRICT;
   CREATE TABLE file_sync (
     node TEXT NOT NULL, file TEXT NOT NULL, state TEXT NOT NULL, since_ms INTEGER NOT NULL,
     why TEXT NOT NULL, PRIMARY KEY (node, file)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE keys_history (
     generation INTEGER PRIMARY KEY, hash TEXT NOT NULL, at_ms INTEGER NOT NULL
   ) STRICT;`,
];

/** The defaults of cluster.json on 4.14 nodes (cluster-protocol.md 4.1 and 5.1), as facts. */

const anyFile = {
  permissions: '0o660',
  source: 'master',
  files: ['all'],
  recursive: true,
  restart: false,
  remove_subdirs_if_empty: false,
  extra_valid: false,
};

export const stockCluster = {
  files: {
    'etc/': {
      ...anyFile,
      permissions: '0o640',
      files: ['client.keys'],
      recursive: false,
      description: 'keys of the agents',
    },
    'etc/shared/': {
      ...anyFile,
      remove_subdirs_if_empty: true,
      description: 'configuration of agent groups',
    },
    'var/multigroups/': {
      ...anyFile,
      files: ['merged.mg'],
      remove_subdirs_if_empty: true,
      description: 'configuration of combined groups',
    },
    'etc/rules/': { ...anyFile, restart: true, description: 'own rules' },
    'etc/decoders/': { ...anyFile, restart: true, description: 'own decoders' },
    'etc/lists/': { ...anyFile, restart: true, description: 'own lists' },
    excluded_files: ['ar.conf', 'ossec.conf'],
    excluded_extensions: ['~', '.tmp', '.lock', '.swp'],
  },
  intervals: {
    worker: {
      sync_integrity: 9,
      sync_agent_info: 10,
      sync_agent_groups: 30,
      timeout_agent_groups: 40,
      keep_alive: 60,
      connection_retry: 10,
      max_failed_keepalive_attempts: 2,
      agent_groups_mismatch_limit: 5,
    },
    master: {
      process_pool_size: 2,
      sync_agent_groups: 10,
      timeout_extra_valid: 40,
      recalculate_integrity: 8,
      timeout_agent_info: 40,
      agent_group_start_delay: 30,
      check_worker_lastkeepalive: 60,
      max_allowed_time_without_keepalive: 120,
      max_locked_integrity_time: 1000,
    },
    communication: {
      timeout_cluster_request: 20,
      timeout_dapi_request: 200,
      timeout_receiving_file: 120,
      max_zip_size: 1_073_741_824,
      min_zip_size: 31_457_280,
      compress_level: 1,
      zip_limit_tolerance: 0.2,
    },
  },
  distributed_api: { enabled: true },
};

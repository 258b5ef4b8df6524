/**
 * What differs between managers of 4.x and of 5.0 for whoever talks to their cluster
 * (cluster-protocol.md 8.1), as data: chosen once by the version that a node shows.
 */
export interface ClusterDefaults {
  /** There is no `disabled`, and without a block the defaults count. */
  readonly isAlwaysOn: boolean;
  /** Where none is written; empty: none is given. The same in every installation, so no secret. */
  readonly key: string;
  readonly bindAddress: string;
  readonly nodes: readonly string[];
  /** What may not be named as the master. */
  readonly reserved: readonly string[];
  /** `client` of 3.0 is still read, as worker. */
  readonly knowsClient: boolean;
}

export interface ManagerEdition {
  readonly line: '4' | '5';
  readonly home: string;
  readonly user: string;
  /** Below the home. */
  readonly config: string;
  /** Its root element; others are not looked at. */
  readonly configRoot: string;
  /** Below the home; the first that has an option tells. */
  readonly internalOptions: readonly string[];
  readonly cluster: ClusterDefaults;
  /** Its name in `var/run`. */
  readonly clusterDaemon: string;
  /** In the order in which stock lists them. */
  readonly daemons: readonly string[];
  /** Started on the master only. */
  readonly masterDaemons: readonly string[];
  /** Health and overviews tell how many agents are active on a node; `-a` tells the node. */
  readonly hasAgentNodes: boolean;
  /** What its cluster.json has otherwise than that of 4.14; null: not at all. */
  readonly clusterJson: unknown;
}

const four: ManagerEdition = {
  line: '4',
  home: '/var/ossec',
  user: 'wazuh',
  config: 'etc/ossec.conf',
  configRoot: 'ossec_config',
  internalOptions: ['etc/local_internal_options.conf', 'etc/internal_options.conf'],
  cluster: {
    isAlwaysOn: false,
    key: '',
    bindAddress: '0.0.0.0',
    nodes: ['NODE_IP'],
    reserved: ['localhost', 'NODE_IP', '0.0.0.0', '127.0.1.1'],
    knowsClient: true,
  },
  clusterDaemon: 'wazuh-clusterd',
  daemons: [
    'wazuh-agentlessd',
    'wazuh-analysisd',
    'wazuh-authd',
    'wazuh-csyslogd',
    'wazuh-monitord',
    'wazuh-execd',
    'wazuh-integratord',
    'wazuh-logcollector',
    'wazuh-maild',
    'wazuh-remoted',
    'wazuh-reportd',
    'wazuh-syscheckd',
    'wazuh-clusterd',
    'wazuh-modulesd',
    'wazuh-db',
    'wazuh-apid',
  ],
  masterDaemons: [],
  hasAgentNodes: true,
  clusterJson: {},
};

const five: ManagerEdition = {
  line: '5',
  home: '/var/wazuh-manager',
  user: 'wazuh-manager',
  config: 'etc/wazuh-manager.conf',
  configRoot: 'wazuh_config',
  internalOptions: ['etc/wazuh-manager-internal-options.conf'],
  cluster: {
    isAlwaysOn: true,
    key: 'fd3350b86d239654e34866ab3c4988a8',
    bindAddress: '127.0.0.1',
    nodes: ['127.0.0.1'],
    reserved: ['localhost', '0.0.0.0', '127.0.1.1'],
    knowsClient: false,
  },
  clusterDaemon: 'wazuh-manager-clusterd',
  daemons: [
    'wazuh-manager-analysisd',
    'wazuh-manager-authd',
    'wazuh-manager-monitord',
    'wazuh-manager-remoted',
    'wazuh-manager-clusterd',
    'wazuh-manager-modulesd',
    'wazuh-manager-db',
  ],
  masterDaemons: ['wazuh-manager-apid'],
  hasAgentNodes: false,
  clusterJson: {
    files: {
      'etc/': { files: ['client.keys', 'authd.pass'] },
      'etc/rules/': null,
      'etc/decoders/': null,
      'etc/lists/': null,
      excluded_files: ['wazuh-manager.conf'],
    },
  },
};

/** `version` as in a hello: `4.14.8`. Later lines behave as the newest that is known. */
export function editionOf(version: string): ManagerEdition {
  return Number(version.split('.')[0]) >= 5 ? five : four;
}

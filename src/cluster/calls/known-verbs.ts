/**
 * Functions that stock's API ships through the cluster (cluster-protocol.md 11.4): what we pass on
 * to a node that may be able to run it. Nothing else is forwarded, whoever asks.
 */
import { verbNames } from './verbs.ts';

/** Names below `wazuh.`, by module. */
const stock: Readonly<Record<string, string>> = {
  active_response: 'run_command',
  agent:
    'add_agent assign_agents_to_group check_uninstall_permission create_group delete_agents ' +
    'delete_groups get_agent_conf get_agent_config get_agents_keys get_file_conf get_full_overview ' +
    'get_group_files get_upgrade_result reconnect_agents remove_agent_from_group ' +
    'remove_agent_from_groups remove_agents_from_group restart_agents restart_agents_by_group ' +
    'restart_agents_by_node upgrade_agents upload_group_file',
  analysis: 'reload_ruleset',
  cdb_list: 'delete_list_file get_list_file get_lists get_path_lists upload_list_file',
  ciscat: 'get_ciscat_results',
  decoder:
    'delete_decoder_file get_decoder_file get_decoders get_decoders_files upload_decoder_file',
  event: 'send_event_to_analysisd',
  manager:
    'get_api_config get_config get_update_information ossec_log ossec_log_summary ' +
    'query_update_check_service read_ossec_conf restart update_ossec_conf validation',
  mitre:
    'mitre_groups mitre_metadata mitre_mitigations mitre_references mitre_software ' +
    'mitre_tactics mitre_techniques',
  rootcheck: 'clear get_last_scan get_rootcheck_agent run',
  rule:
    'delete_rule_file get_groups get_requirement get_rule_file get_rules get_rules_files ' +
    'upload_rule_file',
  sca: 'get_sca_checks get_sca_list',
  security:
    'add_policy add_role add_rule create_user edit_run_as get_policies get_rbac_actions ' +
    'get_rbac_resources get_roles get_rules get_security_config get_user_me get_users ' +
    'remove_policies remove_role_policy remove_role_rule remove_roles remove_rules ' +
    'remove_user_role remove_users revoke_current_user_tokens set_role_policy set_role_rule ' +
    'set_user_role update_policy update_role update_rule update_security_config update_user ' +
    'wrapper_revoke_tokens',
  stats:
    'deprecated_get_daemons_stats get_agents_component_stats_json get_daemons_stats ' +
    'get_daemons_stats_agents hourly totals weekly',
  syscheck: 'clear files last_scan run',
  syscollector: 'get_item_agent',
  task: 'get_task_status',
  'core.security': 'revoke_tokens',
  'rbac.preprocessor': 'get_permissions',
};

const forwardable: ReadonlySet<string> = new Set([
  ...verbNames(),
  ...Object.entries(stock).flatMap(([module, names]) =>
    names.split(' ').map((name) => `wazuh.${module}.${name}`),
  ),
  'api.authentication.check_token',
  'api.authentication.check_user_master',
  'api.authentication.get_security_conf',
]);

export function mayForward(verb: string): boolean {
  return forwardable.has(verb);
}

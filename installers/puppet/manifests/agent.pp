# @summary The Pilotfish sidecar beside a Wazuh agent, in the style of the official module's wazuh::agent.
#
# @param package_ensure     present, latest, a version, or absent (the agent's own entries are put back first)
# @param package_source     file or URL of the deb or rpm; undef takes it from the host's package sources
# @param join_token         the join token (pilotfish-publisher token); from hiera-eyaml or a file() call
# @param zone               managers of this zone come first
# @param apply_mode         agentd, service or relay
# @param windows            moves of choice only within these, such as 'mon-fri 22:00-04:00' (UTC)
# @param extra              any further key of pilotfish.yml
#
# The official module writes ossec.conf from one server and restarts the agent on every difference. Give
# it the loopback relay (apply_mode relay, wazuh_reporting_endpoint 127.0.0.1, ossec_port 840), or let its
# concat resource leave the file: concat { 'agent_ossec.conf': replace => false }.
class pilotfish::agent (
  String[1]                           $package_ensure = 'present',
  Optional[String[1]]                 $package_source = undef,
  Optional[Sensitive[String[1]]]      $join_token     = undef,
  Optional[Pattern[/\A[\w-]{1,64}\z/]] $zone          = undef,
  Enum['agentd', 'service', 'relay']  $apply_mode     = 'agentd',
  Array[String[1]]                    $windows        = [],
  Hash                                $extra          = {},
) {
  if $package_ensure == 'absent' {
    # Its removal script stops it and puts the agent's entries back.
    package { 'pilotfish':
      ensure => purged,
    }
  } else {
    $_apply = $windows ? {
      []      => { 'mode' => $apply_mode },
      default => { 'mode' => $apply_mode, 'windows' => $windows },
    }
    $_zone = $zone ? {
      undef   => {},
      default => { 'zone' => $zone },
    }
    $_token = $join_token ? {
      undef   => {},
      default => { 'joinToken' => $join_token.unwrap },
    }
    $_config = deep_merge({ 'apply' => $_apply }, $_zone, $_token, $extra)

    # Before the package: its first start finds the configuration.
    file { '/etc/pilotfish':
      ensure => directory,
      mode   => '0750',
    }
    file { '/etc/pilotfish/pilotfish.yml':
      ensure    => file,
      mode      => '0640',
      content   => Sensitive(stdlib::to_yaml($_config)),
      show_diff => false,
      notify    => Service['pilotfish'],
    }
    package { 'pilotfish':
      ensure  => $package_ensure,
      source  => $package_source,
      require => File['/etc/pilotfish/pilotfish.yml'],
    }
    # The package makes the group; the file is the sidecar's to read and root's to write.
    exec { 'pilotfish group':
      command     => '/bin/chgrp -R pilotfish /etc/pilotfish',
      refreshonly => true,
      subscribe   => [Package['pilotfish'], File['/etc/pilotfish/pilotfish.yml']],
      before      => Service['pilotfish'],
    }
    service { 'pilotfish':
      ensure  => running,
      enable  => true,
      require => Package['pilotfish'],
    }
  }
}

"""The published list, proven on the controller, as the variable the Wazuh role for 4.x agents takes."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import subprocess
import tempfile

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.path import makedirs_safe, unfrackpath

DOCUMENTATION = """
name: wazuh_managers
short_description: the signed list of managers, proven, as wazuh_managers
description:
  - Fetches the newest list from the publishers that a join token names, proves it on the controller (signatures,
    root, rollback, constraints) and returns its managers in the order of one agent.
  - For the first installation of an agent. Where a sidecar runs, take what stands in its file instead
    (role pilotfish.fleet.sidecar, tasks_from wazuh_managers).
  - Needs curl and openssl 3.0 or later on the controller. What was accepted is remembered, so an older list is
    refused later.
options:
  token_file:
    description: file on the controller that holds the join token (pilotfish-publisher token)
    type: path
    required: true
  agent_id:
    description: whose order; an agent has the id of its client.keys, or its host name before enrollment
    type: str
    default: ""
  zone:
    description: managers of this zone come first
    type: str
    default: ""
  state_dir:
    description: what was accepted is remembered here
    type: path
    default: ~/.cache/pilotfish
"""

EXAMPLES = """
- name: Install agents that know every manager from the start
  hosts: agents
  roles:
    - role: wazuh.ansible-wazuh-agent
      vars:
        wazuh_managers: "{{ lookup('pilotfish.fleet.wazuh_managers', token_file='join.token', agent_id=inventory_hostname, wantlist=True) }}"
"""

RETURN = """
_list:
  description: managers, best first, each with address, port and protocol
  type: list
  elements: dict
"""

PROGRAM = os.path.join(os.path.dirname(__file__), "..", "..", "roles", "sidecar", "files", "posix", "pilotfish-sh")
SECONDS = 120


class LookupModule(LookupBase):
    """Lets the POSIX applier prove and order the list; no second verifier to keep right."""

    def run(self, terms, variables=None, **kwargs):
        """Managers of the newest list."""
        self.set_options(var_options=variables, direct=kwargs)
        token_file = unfrackpath(self.get_option("token_file"))
        state = os.path.join(unfrackpath(self.get_option("state_dir")), "lookup")
        makedirs_safe(state, 0o700)
        lines = self.ask(token_file, state)
        return [manager(line) for line in lines]

    def ask(self, token_file, state):
        """One line of the applier a manager."""
        settings = {
            "state_dir": state,
            "quiet_log": "yes",
            "zone": self.get_option("zone"),
            "agent_id": self.get_option("agent_id"),
        }
        with tempfile.TemporaryDirectory() as folder:
            conf = os.path.join(folder, "conf")
            with open(conf, "w", encoding="ascii") as file:
                file.writelines("%s=%s\n" % (key, text) for key, text in settings.items() if text)
            self.call(conf, "join", token_file)
            return self.call(conf, "list").splitlines()

    @staticmethod
    def call(conf, *args):
        """Output of one command; its last line of stderr says what was wrong."""
        try:
            done = subprocess.run(
                ["sh", PROGRAM] + list(args),
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "PILOTFISH_CONF": conf},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AnsibleLookupError("wazuh_managers: %s" % error) from error
        if done.returncode != 0:
            raise AnsibleLookupError("wazuh_managers: %s" % done.stderr.decode("utf-8", "replace").strip())
        return done.stdout.decode("ascii")


def manager(line):
    """address port protocol id state"""
    address, port, protocol = line.split(" ")[:3]
    return {"address": address, "port": int(port), "protocol": protocol}

"""Server entries of an ossec.conf as the variable the Wazuh role for 4.x agents takes."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: wazuh_managers
short_description: server entries of an ossec.conf as wazuh_managers
description:
  - Reads the text of an agent's ossec.conf and returns its C(<client><server>) entries, in order, as the
    list of dictionaries that the official Wazuh role takes in C(wazuh_managers).
  - A role that templates ossec.conf from this list writes what stands there already, so it undoes nothing.
positional: _input
options:
  _input:
    description: text of ossec.conf
    type: str
    required: true
"""

EXAMPLES = """
- name: What stands in the file now
  ansible.builtin.set_fact:
    wazuh_managers: "{{ conf.content | b64decode | pilotfish.fleet.wazuh_managers }}"
"""

RETURN = """
_value:
  description: address, port, protocol and, where the file has them, max_retries and retry_interval
  type: list
  elements: dict
"""

COMMENT = re.compile(r"<!.*?(?:-->|!>)", re.DOTALL)
CLIENT = re.compile(r"<client(?:\s[^<>]*)?>(.*?)</client>", re.DOTALL)
SERVER = re.compile(r"<server(?:\s[^<>]*)?>(.*?)</server>", re.DOTALL)
VALUE = re.compile(r"<(address|port|protocol|max_retries|retry_interval)(?:\s[^<>]*)?>([A-Za-z0-9._:-]+)</\1>")


def wazuh_managers(text):
    """Entries of every live <client>, in the order the agent tries them."""
    if not isinstance(text, str):
        raise AnsibleFilterError("wazuh_managers: the text of an ossec.conf expected")
    live = COMMENT.sub("", text)
    blocks = [block for client in CLIENT.findall(live) for block in SERVER.findall(client)]
    managers = [entry(dict(VALUE.findall(block))) for block in blocks]
    if not managers:
        raise AnsibleFilterError("wazuh_managers: this ossec.conf names no server; nothing is rendered from it")
    return managers


def entry(values):
    """One server with the defaults the agent has."""
    if "address" not in values:
        raise AnsibleFilterError("wazuh_managers: a <server> without an <address>")
    manager = {
        "address": values["address"],
        "port": int(values.get("port", 1514)),
        "protocol": values.get("protocol", "tcp"),
    }
    for name in ("max_retries", "retry_interval"):
        if name in values:
            manager[name] = int(values[name])
    return manager


class FilterModule(object):
    """Names of the filters."""

    def filters(self):
        """For Ansible."""
        return {"wazuh_managers": wazuh_managers}

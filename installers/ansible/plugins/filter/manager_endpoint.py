"""One manager of publisher.yml as `pilotfish-publisher --manager` takes it."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = """
name: manager_endpoint
short_description: a manager as ID=HOST:PORT
description:
  - Turns a manager with C(id), C(address) and optionally C(port) into the form C(--manager) takes.
positional: _input
options:
  _input:
    description: a manager as in publisher.yml
    type: dict
    required: true
"""

EXAMPLES = """
- name: Allow one more manager
  ansible.builtin.debug:
    msg: "{{ {'id': 'wm1', 'address': '10.0.0.1'} | pilotfish.fleet.manager_endpoint }}"
"""

RETURN = """
_value:
  description: ID=HOST:PORT
  type: str
"""


def manager_endpoint(manager):
    """IPv6 in brackets, port 1514 by default."""
    address = manager["address"]
    host = "[%s]" % address if ":" in address else address
    return "%s=%s:%s" % (manager["id"], host, manager.get("port", 1514))


class FilterModule(object):
    """Names of the filters."""

    def filters(self):
        """For Ansible."""
        return {"manager_endpoint": manager_endpoint}

# Judges a flat list that is already proven to be signed: grammar, audience, place in history, age,
# and everything the root allows (trust-and-safety 1.6, 5 to 8). Needs address.awk. Arguments: as=root
# FILE as=state FILE as=known FILE as=list FILE, and org group site zone now fresh rescue. Prints one
# refusal "EXIT CODE text" and exits 1, or nothing.
as == "root" { root[$1] = $2; next }
as == "state" { state[$1] = $2; next }
as == "known" {
  if ($1 == "manager") { total++; was_at[$2] = tolower($3) " " $4; was[$2] = $9 }
  if ($1 == "address" && $3 == zone) was_at[$2] = tolower($4) " " $5
  next
}
{ if (++lines > 176) refuse(4, "E411 more lines than a list has"); line[lines] = $0 }

END {
  if (failed) exit 1
  if (line[1] != "pilotfish-list 1") refuse(4, "E401 not a flat list of this version")
  at = 2
  seen_org = word("org"); seen_root = number("root"); epoch = number("epoch")
  term = number("term"); version = number("version")
  seen_group = word("group"); seen_site = word("site")
  issued = number("issued"); valid = number("valid"); hash = word("hash"); number("spread")
  if (line[at] ~ /^rollout /) rollout()
  count = number("managers")
  if (count < 1 || count > 16) refuse(4, "E411 managers: 1 to 16 expected")
  for (i = 1; i <= count; i++) manager(line[at++])
  while (line[at] ~ /^address /) zone_address(line[at++])
  check_unique()
  for (i = 1; line[at] ~ /^balancer /; i++) balancer(line[at++])
  if (line[at] != "end" || at != lines) refuse(4, "E411 the last line is not end")
  check_place()
  check_age()
  check_managers()
  check_removed()
}

function refuse(code, text) { print code, text; failed = 1; exit 1 }
function next_line(name,   n) {
  n = split(line[at], field, " ")
  if (n != 2 || field[1] != name || line[at] != name " " field[2])
    refuse(4, "E411 line " at ": " name " and one value expected")
  at++
  return field[2]
}
function word(name,   text) {
  text = next_line(name)
  if (text !~ /^[A-Za-z0-9_*:-]+$/ || length(text) > 71) refuse(4, "E411 " name ": not a word")
  return text
}
function is_number(text) { return text ~ /^(0|[1-9][0-9]*)$/ && length(text) <= 16 }
function number(name,   text) {
  text = next_line(name)
  if (!is_number(text)) refuse(4, "E411 " name ": not a number")
  return text + 0
}
function rollout(   n) {
  n = split(line[at], field, " ")
  if (n != 4 || field[2] !~ /^[A-Za-z0-9_-]+$/ || field[3] !~ /^[A-Za-z0-9_-]+$/ ||
      !is_number(field[4]) || field[4] > 100) refuse(4, "E411 rollout: id, salt and per cent expected")
  at++
}
function manager(text,   n, key) {
  n = split(text, field, " ")
  if (n != 9 || field[1] != "manager" || text ~ /  | $/) refuse(4, "E411 manager: eight values expected")
  if (!is_id(field[2]) || !is_id(field[6])) refuse(4, "E411 manager: id or zone")
  if (field[5] != "tcp" && field[5] != "udp") refuse(4, "E411 manager " field[2] ": protocol")
  if (!is_number(field[4]) || field[4] < 1 || field[4] > 65535) refuse(4, "E411 manager " field[2] ": port")
  if (!is_number(field[7]) || !is_number(field[8]) || field[8] > 1000 ||
      field[9] !~ /^(up|drain|down)$/) refuse(4, "E411 manager " field[2] ": prio, weight or state")
  kind = address_kind(field[3])
  if (kind == "") refuse(4, "E411 manager " field[2] ": address")
  address[++ends] = field[3]; kinds[ends] = kind; port[ends] = field[4]; protocol[i] = field[5]
  if (field[9] == "up") up++
  if (field[2] in general) refuse(4, "E408 manager " field[2] ": named twice")
  general[field[2]] = tolower(field[3]) " " field[4]
}
# What agents of one zone dial in place of the general address.
function zone_address(text,   n) {
  n = split(text, field, " ")
  if (n != 5 || text ~ /  | $/ || !(field[2] in general) || !is_id(field[3]))
    refuse(4, "E411 address: a manager, a zone, an address and a port expected")
  kind = address_kind(field[4])
  if (kind == "" || !is_number(field[5]) || field[5] < 1 || field[5] > 65535)
    refuse(4, "E411 manager " field[2] ": address in zone " field[3])
  if ((field[3] " " field[2]) in special || ++addresses[field[2]] > 8)
    refuse(4, "E411 manager " field[2] ": at most one address per zone, and 8 zones")
  address[++ends] = field[4]; kinds[ends] = kind; port[ends] = field[5]
  special[field[3] " " field[2]] = tolower(field[4]) " " field[5]; zones[field[3]] = 1
}
# No two managers at one address, in whatever zone; `endpoint` is what is dialled from here.
function check_unique(   id, key, one) {
  for (id in general) if (general[id] in taken) refuse(4, "E408 manager " id ": named twice"); else taken[general[id]] = 1
  for (one in zones)
    for (id in general) {
      key = one " " ((one " " id) in special ? special[one " " id] : general[id])
      if (key in taken) refuse(4, "E408 manager " id ": named twice in zone " one)
      taken[key] = 1
    }
  for (id in general) endpoint[(zone " " id) in special ? special[zone " " id] : general[id]] = 1
}
function balancer(text,   n) {
  n = split(text, field, " ")
  if (i > 8 || n != 3 || text ~ /  | $/ || address_kind(field[2]) == "" || !is_number(field[3]) ||
      field[3] < 1 || field[3] > 65535) refuse(4, "E411 balancer: at most 8, with address and port")
}
function is_id(text) { return text ~ /^[A-Za-z0-9_-]+$/ && length(text) <= 64 }

function check_place(   known) {
  if (seen_org != org) refuse(4, "E402 the list is for " seen_org ", this host belongs to " org)
  if (seen_group != "*" && seen_group != group) refuse(4, "E402 the list is for group " seen_group)
  if (seen_site != "*" && seen_site != site) refuse(4, "E402 the list is for site " seen_site)
  if (seen_root > root["version"]) refuse(4, "E403 made under root " seen_root ", unknown here")
  if (epoch != root["epoch"]) refuse(4, "E403 epoch " epoch "; the root is in " root["epoch"])
  if (!("version" in state)) return
  known = state["epoch"] "/" state["term"] "/" state["version"]
  if (epoch < state["epoch"] || (epoch == state["epoch"] && (term < state["term"] ||
      (term == state["term"] && version < state["version"]))))
    refuse(4, "E404 list " epoch "/" term "/" version " is older than " known ", already accepted here")
  if (epoch == state["epoch"] && term == state["term"] && version == state["version"] && hash != state["hash"])
    refuse(4, "E405 list " known " exists twice: " state["hash"] " and " hash)
  if (epoch == state["epoch"] && (term - state["term"] > 1000 || version - state["version"] > 1000000))
    refuse(4, "E407 the version leapt from " known)
}
function check_age(   is_known) {
  if (valid > root["constraints.maxListValidFor"] + 0) refuse(4, "E408 valid for longer than the root allows")
  if (fresh) return
  if (now >= issued + valid)
    refuse("version" in state ? 3 : 4, ("version" in state ? "E406" : "E412") " the list has expired and no receipt came")
  if (issued > now + 600) refuse(3, "E020 the list is issued in the future; set the clock")
  is_known = ("hash" in state) && state["hash"] == hash
  if (!is_known && iso(root["expires"]) <= now) refuse(4, "E304 the root has expired and no receipt came")
}
# Seconds since 1970 of 2026-11-01T00:00:00Z (days from civil).
function iso(text,   y, m, era, day) {
  if (text !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9][.0-9]*Z$/) return 0
  y = substr(text, 1, 4); m = substr(text, 6, 2) + 0
  if (m <= 2) y--
  era = int(y / 400); y -= era * 400
  day = int((153 * (m + (m > 2 ? -3 : 9)) + 2) / 5) + substr(text, 9, 2) - 1
  day = era * 146097 + y * 365 + int(y / 4) - int(y / 100) + day - 719468
  return day * 86400 + substr(text, 12, 2) * 3600 + substr(text, 15, 2) * 60 + substr(text, 18, 2)
}
function check_managers(   n) {
  if (count > root["constraints.maxServers"] + 0) refuse(4, "E408 " count " managers; the root allows " root["constraints.maxServers"])
  if (up + 0 < root["constraints.minServers"] + 0) refuse(4, "E408 " up + 0 " managers up; the root asks for " root["constraints.minServers"])
  for (n = 1; n <= count; n++)
    if (!allowed("constraints.protocols", protocol[n])) refuse(4, "E408 protocol " protocol[n] " is not allowed")
  for (n = 1; n <= ends; n++) {
    if (!allowed("constraints.ports", port[n])) refuse(4, "E408 port " port[n] " is not allowed")
    if (!host_allowed(address[n], kinds[n])) refuse(4, "E408 address " address[n] " is not allowed")
  }
}
function allowed(path, text,   n) {
  for (n = 0; n < root[path "#"] + 0; n++) if (root[path "." n] == text) return 1
  return 0
}
function check_removed(   id, gone) {
  if (rescue) return
  for (id in was) if (was[id] == "up" && !(was_at[id] in endpoint)) gone++
  if (gone * 100 > root["constraints.maxRemovedPct"] * total)
    refuse(4, "E409 " gone " of " total " managers removed at once")
}

# Finds, and replaces, the server entries of an ossec.conf of a 4.x agent. It reads the file as the
# agent does (agent-side.md 1.1 to 1.3) but takes only what has one plain reading; everything else is
# refused with one line "REFUSED why" and exit 1. Variables: mode, final (the last byte is no line
# feed: 1).
#   mode=list     prints "address port protocol" of every entry, in order
#   mode=edit     prints the whole file with the entries of the file `wanted` ("address port protocol")
#   mode=start    prints how many bytes stand before the first entry
#   mode=region   prints the bytes from the first entry to the end of the last one
#   mode=put      prints the whole file with the bytes of the file `region` in that place
{ all = all (NR > 1 ? "\n" : "") $0 }
END {
  if (!final) all = all "\n"
  scan()
  if (servers == 0) refuse("no <server> entry in <client>")
  first = from[1]; last = to[servers]
  if (mode == "list") for (k = 1; k <= servers; k++) print endpoint(k)
  if (mode == "start") print first - 1
  if (mode == "region") printf "%s", substr(all, first, last - first)
  if (mode == "edit") printf "%s", substr(all, 1, first - 1) entries() substr(all, last)
  if (mode == "put") printf "%s", substr(all, 1, first - 1) whole(region) substr(all, last)
}
function refuse(why) { print "REFUSED " why; exit 1 }
function endpoint(k) { return address[k] " " (port[k] == "" ? 1514 : port[k]) " " (protocol[k] == "" ? "tcp" : protocol[k]) }

# Positions count from 1; `at` is the next byte, `rest` what follows it.
function move(count) { at += count; rest = substr(rest, count + 1) }
function scan(   p, data) {
  at = 1; rest = all; depth = 0
  while ((p = index(rest, "<")) > 0) {
    data = substr(rest, 1, p - 1)
    if (escapes(data)) {
      if (substr(rest, p + 1, 1) == "!") refuse("a backslash before a comment")
      text_seen(data "<"); move(p); continue
    }
    text_seen(data); move(p - 1)
    if (substr(rest, 2, 1) == "!") comment()
    else if (substr(rest, 2, 1) == "/") close_tag()
    else open_tag()
  }
  if (depth > 0) refuse("<" stack[depth] "> is not closed")
}
function escapes(data,   n) {
  while (substr(data, length(data) - n, 1) == "\\" && n < length(data)) n++
  return n % 2
}
function comment(   a, b, tail, size) {
  tail = substr(rest, 3)
  a = index(tail, "-->"); b = index(tail, "!>")
  if (!a && !b) refuse("a comment is not closed")
  size = !b || (a && a < b) ? a + 4 : b + 3
  if (depth >= 4 && in_server) refuse("a comment inside an entry")
  if (in_client && depth == 2) between = between "#"
  if (in_client && depth == 3 && in_server) refuse("a comment inside an entry")
  move(size)
}
function open_tag(   size, inner, name) {
  size = index(rest, ">")
  if (!size) refuse("a tag is not closed")
  inner = substr(rest, 2, size - 2)
  name = inner
  sub(/[ \t\r\n].*$/, "", name)
  inner = substr(inner, length(name) + 1)
  self = (name ~ /\/$/) || (inner ~ /\/$/)
  sub(/\/$/, "", name); sub(/\/$/, "", inner)
  if (name !~ /^[A-Za-z_][A-Za-z0-9_.-]*$/) refuse("an element called '" substr(name, 1, 20) "'")
  if (inner !~ /^([ \t\r\n]+[A-Za-z_][A-Za-z0-9_.:-]*=("[^"<>]*"|'[^'<>]*'))*[ \t\r\n]*$/) refuse("attributes of <" name ">")
  once_each(name, inner)
  opened(name, at)
  move(size)
  depth++; stack[depth] = name; value = ""
  if (self) closed(name)
}
function once_each(name, text,   n, had) {
  while (match(text, /[A-Za-z_][A-Za-z0-9_.:-]*=/)) {
    n = substr(text, RSTART, RLENGTH)
    if (n in had) refuse("an attribute twice in <" name ">")
    had[n] = 1
    text = substr(text, RSTART + RLENGTH)
    match(text, substr(text, 1, 1) == "'" ? "^'[^']*'" : "^\"[^\"]*\"")
    text = substr(text, RLENGTH + 1)
  }
}
function close_tag(   size, name) {
  size = index(rest, ">")
  name = substr(rest, 3, size - 3)
  if (!size || depth == 0 || name != stack[depth]) refuse("</" substr(name, 1, 20) "> closes nothing")
  move(size)
  closed(name)
}
function opened(name, where) {
  if (depth == 0 && name != "ossec_config") refuse("<" name "> outside <ossec_config>")
  if (depth == 1 && name == "agent") refuse("a 5.x <agent> section")
  if (depth == 1 && name == "client") { if (clients++) refuse("more than one <client>"); in_client = 1 }
  if (!in_client || depth < 2) return
  if (depth == 2) {
    if (name ~ /^(server-ip|server-hostname|port|protocol)$/) refuse("a deprecated <" name "> in <client>")
    if (name !~ /^(server|enrollment|notify_time|time-reconnect|force_reconnect_interval|ip_update_interval|config-profile|auto_restart|crypto_method|disable-active-response|local_ip)$/)
      refuse("<" name "> in <client>")
    if (name != "server") { between = between "#"; return }
    if (servers > 0 && between ~ /[^ \t\r\n]/) refuse("something stands between the entries")
    servers++; in_server = 1; from[servers] = where; between = ""
    return
  }
  if (!in_server) return
  if (depth > 3 || name !~ /^(address|port|protocol|max_retries|retry_interval)$/) refuse("<" name "> in an entry")
  if ((servers, name) in known) refuse("<" name "> twice in an entry")
  known[servers, name] = 1
}
function closed(name) {
  depth--
  if (in_client && depth == 1) in_client = 0
  if (!in_server) return
  if (depth == 2) {
    in_server = 0; to[servers] = at
    if (address[servers] == "") refuse("an entry without <address>")
    return
  }
  if (value !~ /^[A-Za-z0-9._:-]+$/ || length(value) > 126) refuse("the value of <" name ">")
  if (name == "address") address[servers] = value
  if (name == "port") { if (value !~ /^[1-9][0-9]*$/ || value + 0 > 65535) refuse("a port"); port[servers] = value }
  if (name ~ /retr/ && (value !~ /^[1-9][0-9]*$/ || length(value) > 6)) refuse("the value of <" name ">")
  if (name == "protocol") { if (value != "tcp" && value != "udp") refuse("a protocol"); protocol[servers] = value }
}
function text_seen(data) {
  value = value data
  if (!in_client) return
  if (depth == 2) between = between data
  if (in_server && depth == 3 && data ~ /[^ \t\r\n]/) refuse("text inside an entry")
}
function entries(   line, n, out, k, eol, pad, wish) {
  eol = substr(all, first, last - first) ~ /\r\n/ ? "\r\n" : "\n"
  pad = substr(all, 1, first - 1); sub(/^.*\n/, "", pad)
  if (pad !~ /^[ \t]*$/) pad = "    "
  while ((getline line < wanted) > 0) {
    wish = ""
    for (k = 1; k <= servers; k++) if (tolower(endpoint(k)) == tolower(line)) { wish = substr(all, from[k], to[k] - from[k]); break }
    if (wish == "") {
      split(line, part, " ")
      wish = "<server>" eol pad "  <address>" part[1] "</address>" eol pad "  <port>" part[2] "</port>" eol \
        pad "  <protocol>" part[3] "</protocol>" eol pad "</server>"
    }
    out = out (n++ ? eol pad : "") wish
  }
  return out
}
function whole(file,   line, out, n) {
  while ((getline line < file) > 0) out = out (n++ ? "\n" : "") line
  return out
}

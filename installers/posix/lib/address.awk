# Addresses a list may carry and the networks a root allows; used with list.awk. The grammar is that
# of the sidecar: RFC 1123 names, dotted IPv4 without leading zeros, IPv6 as RFC 5952 writes it.
function address_kind(text) {
  if (text == "" || length(text) > 126) return ""
  if (index(text, ":")) return expand_v6(text) == "" ? "" : "ipv6"
  if (text ~ /^[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+$/) return bits_v4(text) < 0 ? "" : "ipv4"
  return is_name(text) ? "name" : ""
}
function is_name(text,   n, part, k) {
  n = split(text, part, ".")
  for (k = 1; k <= n; k++)
    if (part[k] !~ /^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$/ || length(part[k]) > 63) return 0
  return part[n] !~ /^([0-9]+|0[xX][0-9A-Fa-f]*)$/
}
function bits_v4(text,   part, k, sum) {
  split(text, part, ".")
  for (k = 1; k <= 4; k++) {
    if (part[k] !~ /^(0|[1-9][0-9]*)$/ || part[k] + 0 > 255) return -1
    sum = sum * 256 + part[k]
  }
  return sum
}
# 32 hexadecimal digits, or nothing where the text is not the one canonical spelling.
function expand_v6(text,   halves, head, tail, n, m, k, out, groups) {
  if (text !~ /^[0-9a-f:]+$/ || text ~ /:::/ || (text ~ /^:/ && text !~ /^::/) || (text ~ /:$/ && text !~ /::$/)) return ""
  halves = split(text, half, "::")
  if (halves > 2) return ""
  n = half[1] == "" ? 0 : split(half[1], head, ":")
  m = halves == 2 && half[2] != "" ? split(half[2], tail, ":") : 0
  if (halves == 2 ? n + m > 7 : n != 8) return ""
  for (k = 1; k <= n; k++) groups[k] = head[k]
  for (k = n + 1; k <= 8 - m; k++) groups[k] = "0"
  for (k = 1; k <= m; k++) groups[8 - m + k] = tail[k]
  for (k = 1; k <= 8; k++) {
    if (groups[k] !~ /^(0|[1-9a-f][0-9a-f]*)$/ || length(groups[k]) > 4) return ""
    out = out substr("0000" groups[k], length(groups[k]) + 1)
  }
  if (shortest_v6(groups) != text || out ~ /^00000000000000000000ffff/) return ""
  return out
}
function shortest_v6(groups,   k, j, best, length_best, run, text) {
  for (k = 1; k <= 8; k++) {
    for (run = 0; k + run <= 8 && groups[k + run] == "0"; run++) continue
    if (run > length_best) { length_best = run; best = k }
  }
  if (length_best < 2) best = 9
  for (k = 1; k <= 8; k++) {
    if (k == best) { text = text "::"; k += length_best - 1; continue }
    text = text (text == "" || text ~ /:$/ ? "" : ":") groups[k]
  }
  return text
}
function host_allowed(text, kind,   n, entry) {
  if (kind != "name") {
    for (n = 0; n < root["constraints.cidrs#"] + 0; n++)
      if (inside(text, kind, root["constraints.cidrs." n])) return 1
    return 0
  }
  text = tolower(text)
  for (n = 0; n < root["constraints.hosts#"] + 0; n++) {
    entry = tolower(root["constraints.hosts." n])
    if (entry == text) return 1
    if (substr(entry, 1, 2) == "*." && length(text) > length(entry) - 1 &&
        substr(text, length(text) - length(entry) + 2) == substr(entry, 2)) return 1
  }
  return 0
}
function inside(text, kind, network,   part, prefix, size, whole, a, b) {
  if (split(network, part, "/") != 2 || address_kind(part[1]) != kind || part[2] !~ /^[0-9]+$/) return 0
  prefix = part[2] + 0
  if (kind == "ipv4") {
    size = power_of_two(32 - prefix)
    return int(bits_v4(text) / size) == int(bits_v4(part[1]) / size)
  }
  a = expand_v6(text); b = expand_v6(part[1]); whole = int(prefix / 4)
  if (substr(a, 1, whole) != substr(b, 1, whole)) return 0
  if (prefix % 4 == 0) return 1
  size = power_of_two(4 - prefix % 4)
  return int(hex_digit(substr(a, whole + 1, 1)) / size) == int(hex_digit(substr(b, whole + 1, 1)) / size)
}
function hex_digit(digit) { return index("0123456789abcdef", digit) - 1 }
# Some awks come without the operator for powers.
function power_of_two(n,   product) {
  for (product = 1; n > 0; n--) product *= 2
  return product
}

# Flattens one JSON text to lines "path<blank>value", objects and lists in the order they stand.
# Narrower than JSON on purpose: no escapes, no fractions, depth 6, a member once. Exit 1 refuses.
{ rest = rest $0 }
END {
  value("", 1)
  skip()
  if (rest != "") refuse("something follows the document")
}
function refuse(why) { print "json: " why > "/dev/stderr"; exit 1 }
function skip() { sub(/^[ \t\r]+/, "", rest) }
function take(count,   taken) { taken = substr(rest, 1, count); rest = substr(rest, count + 1); return taken }
function string(   text) {
  if (!match(rest, /^"[^"\\]*"/)) refuse("a string without escapes expected")
  text = take(RLENGTH)
  return substr(text, 2, length(text) - 2)
}
function value(path, depth,   first) {
  if (depth > 6) refuse("nested too deeply")
  skip()
  first = substr(rest, 1, 1)
  if (first == "{") return members(path, depth)
  if (first == "[") return items(path, depth)
  if (first == "\"") { print path, string(); return }
  if (match(rest, /^(-?(0|[1-9][0-9]*)|true|false|null)/)) { print path, take(RLENGTH); return }
  refuse("unexpected text at " substr(rest, 1, 20))
}
function members(path, depth,   name, next_char) {
  take(1); skip()
  if (substr(rest, 1, 1) == "}") { take(1); return }
  for (;;) {
    skip(); name = string()
    if (name !~ /^[A-Za-z0-9_-]+$/) refuse("member name " name)
    name = path == "" ? name : path "." name
    if (name in seen) refuse("member twice: " name)
    seen[name] = 1
    skip(); if (take(1) != ":") refuse("a colon expected after " name)
    value(name, depth + 1)
    skip(); next_char = take(1)
    if (next_char == "}") return
    if (next_char != ",") refuse("a comma expected after " name)
  }
}
function items(path, depth,   count, next_char) {
  take(1); skip()
  if (substr(rest, 1, 1) == "]") { take(1); print path "#", 0; return }
  for (count = 0; ; ) {
    value(path "." count, depth + 1)
    count++
    skip(); next_char = take(1)
    if (next_char == "]") { print path "#", count; return }
    if (next_char != ",") refuse("a comma expected in " path)
  }
}

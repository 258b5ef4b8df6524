# This agent's own order, the same as the sidecar's (weighted rendezvous hashing): up before drain before
# down, weight 0 last, prio, own zone, then score. First file: "id hex", 13 digits of sha256(agent, LF, id); second
# file: the list. Variables: zone. Prints "address port protocol id state", best first.
NR == FNR { hex[$1] = $2; next }
$1 == "manager" {
  n++
  id[n] = $2; at[$2] = $3 " " $4; text[n] = $5 " " $2 " " $9
  rank[n] = ($9 == "up" ? 0 : $9 == "drain" ? 1 : 2)
  key[n] = sprintf("%d%d%04d%d", rank[n], $8 == 0, $7, zone == "" ? 0 : $6 != zone)
  score[n] = -($8 > 1 ? $8 : 1) / ln((bits(hex[$2]) + 0.5) / 4503599627370496)
}
$1 == "address" && $3 == zone { at[$2] = $4 " " $5 }
END {
  for (k = 1; k <= n; k++) {
    best = 0
    for (i = 1; i <= n; i++) {
      if (taken[i]) continue
      if (!best || before(i, best)) best = i
    }
    if (!best) break
    taken[best] = 1
    print at[id[best]], text[best]
  }
}
function before(a, b) {
  if (key[a] != key[b]) return key[a] < key[b]
  if (score[a] != score[b]) return score[a] > score[b]
  return id[a] < id[b]
}
function bits(digits,   k, sum) {
  for (k = 1; k <= length(digits); k++) sum = sum * 16 + index("0123456789abcdef", substr(digits, k, 1)) - 1
  return sum
}
# Natural logarithm of 0 < x < 1 to double precision; some awks come without log().
function ln(x,   halvings, y, square, term, sum, k) {
  while (x < 0.70710678118654752) { x *= 2; halvings++ }
  y = (x - 1) / (x + 1); square = y * y; term = y
  for (k = 1; k < 40; k += 2) { sum += term / k; term *= square }
  return 2 * sum - halvings * 0.69314718055994530942
}

# shellcheck shell=sh disable=SC2015,SC2016,SC2034,SC2154,SC2094,SC2012,SC2046
# Who may be believed: join token, Ed25519, root documents. Sourced by ../pilotfish-sh.
# A root is believed when the token pins its hash, or when the root before it signed it; every root
# carries its own threshold too. Only then is its JSON read (trust-and-safety 1.5, 1.6).

# CRC-32 (IEEE 802.3) of stdin in hexadecimal; 16 bit halves, since old shells count in 32 bits.
crc32() {
  low=65535 high=65535
  for byte in $(od -An -v -tu1); do
    low=$((low ^ byte))
    for bit in 1 2 3 4 5 6 7 8; do
      odd=$((low & 1))
      low=$(((low >> 1) | ((high & 1) << 15)))
      high=$((high >> 1))
      [ "$odd" = 0 ] || { low=$((low ^ 33568)) high=$((high ^ 60856)); }
    done
  done
  printf '%04x%04x\n' $((high ^ 65535)) $((low ^ 65535))
}

# read_token FILE: checks it and leaves token.json in $work.
read_token() {
  token=$(tr -d ' \t\r\n' <"$1" | cut -c 1-4097)
  token_rest=${token#pfj1.}
  token_body=${token_rest%.*}
  case $token in
    pfj1.*.*) ;;
    *) fail 4 "E010 $1: a join token begins with pfj1. and has three parts" ;;
  esac
  case $token_body in *[!A-Za-z0-9_-]*) fail 4 "E010 $1: not a join token" ;; esac
  [ "$(printf '%s' "$token_body" | crc32)" = "${token_rest##*.}" ] ||
    fail 4 "E010 $1: the checksum differs; a character is wrong or lost"
  printf '%s\n' "$token_body" | decode_base64url >"$work/token.raw" &&
    flatten "$work/token.raw" "$work/token.json" || fail 4 "E010 $1: not a join token"
  org=$(value "$work/token.json" o)
  group=$(value "$work/token.json" g)
  site=$(value "$work/token.json" s)
  is_identifier "$org" && is_identifier "$group" && is_identifier "$site" ||
    fail 4 "E010 $1: organisation, group or site is missing"
}

# flatten IN OUT: JSON to lines. Bounded, refuses what json.awk refuses.
flatten() {
  [ "$(size_of "$1")" -le 65536 ] || return 1
  fold -b -w 1000 "$1" | "$awk" -f "$lib/json.awk" >"$2"
}

# key_file X OUT: the public key of a JWK as PEM. Refuses points of small order and encodings with a
# second name, which some libraries accept for any message.
key_file() {
  case $1 in *[!A-Za-z0-9_-]*) return 1 ;; esac
  [ "${#1}" = 43 ] || return 1
  key_middle=${1#??}
  case ${key_middle%???} in
    *[!_]*) ;;
    *) return 1 ;;
  esac
  case ${key_middle%???} in
    *[!A]*) ;;
    *) return 1 ;;
  esac
  case $1 in
    JuiVj8KyJ7BFw_SJ8u-Y8NXfrAXTxjM5sTgCiG1T_[AI]U) return 1 ;;
    xxdqcD1N2E-6PAt2DRBnDyogU_osOczGTsf9d5KsA[3_]o) return 1 ;;
  esac
  printf -- '-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA%s=\n-----END PUBLIC KEY-----\n' \
    "$(printf '%s' "$1" | tr '_-' '/+')" >"$2"
}

# RFC 7638 thumbprint of a key: its only name.
thumbprint() {
  printf '{"crv":"Ed25519","kty":"OKP","x":"%s"}' "$1" | "$openssl" dgst -sha256 -binary |
    "$openssl" base64 | tr '+/' '-_' | tr -d '=\n'
}

# is_signed KEY.PEM MESSAGE SIGNATURE: the signature in base64url, 64 bytes.
is_signed() {
  [ "${#3}" = 86 ] || return 1
  case $3 in *[AQgw]) ;; *) return 1 ;; esac
  printf '%s\n' "$3" | decode_base64url >"$work/signature" 2>/dev/null || return 1
  [ "$(size_of "$work/signature")" = 64 ] || return 1
  "$openssl" pkeyutl -verify -pubin -inkey "$1" -rawin -in "$2" -sigfile "$work/signature" \
    >/dev/null 2>&1
}

# Does this openssl really verify? RFC 8032 test 2, then the same signature over another message.
prove_openssl() {
  key_file PUAXw-hDiVqStwqnTRt-vJyYLM8uxJaMwM1V8Sr0Zgw "$work/key.pem"
  proof=kqAJqfDUyrhyDoILX2QlQKKye1QWUD-Ps3YiI-vbadoIWsHkPhWZbkWPNhPQ8R2MOHsurrQwKu6wDSkWErsMAA
  printf r >"$work/message"
  is_signed "$work/key.pem" "$work/message" "$proof" ||
    fail 2 "E003 $openssl cannot verify Ed25519 (pkeyutl -rawin); nothing is done without it"
  printf s >"$work/message"
  ! is_signed "$work/key.pem" "$work/message" "$proof" ||
    fail 2 "E003 $openssl accepts a wrong signature; nothing is done with it"
}

# collect_signers ENVELOPE.json PAYLOAD64 ROOT.json TYPE: the key ids of that root that signed, one a
# line. A known key whose signature does not fit refuses the whole document (status 1).
collect_signers() {
  printf '%s' '' >"$work/signers"
  count=$(value "$1" 'signatures#')
  is_number "$count" && [ "$count" -ge 1 ] && [ "$count" -le 8 ] || return 1
  index=0
  while [ "$index" -lt "$count" ]; do
    header=$(value "$1" "signatures.$index.protected")
    mark=$(value "$1" "signatures.$index.signature")
    index=$((index + 1))
    kid=$(printf '%s\n' "$header" | decode_base64url 2>/dev/null | header_kid "$4") || return 1
    x=$(value "$3" "keys.$kid.x")
    [ -n "$x" ] || continue
    key_file "$x" "$work/key.pem" || return 1
    { printf '%s.' "$header" && cat "$2"; } >"$work/message"
    is_signed "$work/key.pem" "$work/message" "$mark" || return 1
    printf '%s\n' "$kid" >>"$work/signers"
  done
}

# The kid of a protected header on stdin, which must be spelled exactly as we sign.
header_kid() {
  read -r head_text || [ -n "$head_text" ] || return 1
  head_kid=${head_text#'{"alg":"Ed25519","kid":"'}
  head_kid=${head_kid%"\",\"typ\":\"pf-$1+jws\"}"}
  case $head_kid in *[!A-Za-z0-9_-]*) return 1 ;; esac
  [ "${#head_kid}" = 43 ] || return 1
  [ "$head_text" = "{\"alg\":\"Ed25519\",\"kid\":\"$head_kid\",\"typ\":\"pf-$1+jws\"}" ] || return 1
  printf '%s\n' "$head_kid"
}

# meets ROLE ROOT.json: did enough distinct keys of the role sign? Reads $work/signers.
meets() {
  "$awk" -v role="roles.$1" 'FNR == NR { signed[$1] = 1; next }
    index($1, role ".kids.") == 1 && ($2 in signed) && !($2 in counted) { counted[$2] = 1; n++ }
    $1 == role ".threshold" { needed = $2 }
    END { exit !(needed >= 1 && n + 0 >= needed) }' "$work/signers" "$2"
}

# open_envelope FILE NAME: $work/NAME.env (flat envelope), NAME.payload64, NAME.raw (payload bytes).
open_envelope() {
  flatten "$1" "$work/$2.env" 2>/dev/null || return 1
  "$awk" '$1 !~ /^(payload|signatures#|signatures\.[0-7]\.(protected|signature))$/ || NF != 2 { exit 1 }' \
    "$work/$2.env" || return 1
  "$awk" '$1 == "payload" { printf "%s", $2; exit }' "$work/$2.env" >"$work/$2.payload64"
  decode_base64url <"$work/$2.payload64" >"$work/$2.raw" 2>/dev/null && [ -s "$work/$2.raw" ]
}

# accept_root FILE HASH [OLD]: leaves the root's values in $work/root.json, its tag in $work/root.hash.
# HASH pins it; with HASH empty the root whose values are in OLD must have signed it.
accept_root() {
  open_envelope "$1" next || fail 4 'E201 root: the document is damaged or not one of ours'
  root_hash=sha256:$(sha256_of "$work/next.raw")
  if [ -n "$2" ]; then
    [ "$root_hash" = "$2" ] || fail 4 "E306 the root's hash is $root_hash; pinned: $2"
  else
    collect_signers "$work/next.env" "$work/next.payload64" "$3" root && meets root "$3" ||
      fail 4 'E302 root: too few signatures of the root known here'
  fi
  flatten "$work/next.raw" "$work/next.json" 2>/dev/null || fail 4 'E307 root: not readable'
  check_root "$work/next.json"
  collect_signers "$work/next.env" "$work/next.payload64" "$work/next.json" root &&
    meets root "$work/next.json" || fail 4 'E302 root: too few signatures of its own root keys'
  [ -n "$2" ] || follows "$3" "$work/next.json"
  printf 'hash %s\n' "$root_hash" >"$work/root.hash"
  mv -f "$work/next.json" "$work/root.json"
}

# check_root ROOT.json: the members this program relies on, and that every key is named by its print.
check_root() {
  [ "$(value "$1" typ)" = pf-root ] && [ "$(value "$1" spec)" = 1 ] || fail 4 'E401 not a root'
  [ "$(value "$1" org)" = "$org" ] || fail 4 "E303 root: it belongs to '$(value "$1" org)', not to '$org'"
  for member in version epoch constraints.minServers constraints.maxServers \
    constraints.maxListValidFor constraints.maxRemovedPct constraints.minApplyInterval \
    roles.root.threshold roles.list.threshold roles.rescue.threshold; do
    is_number "$(value "$1" "$member")" || fail 4 "E307 root: $member is no number"
  done
  "$awk" '$1 ~ /^keys\..*\.x$/ { split($1, part, "."); print part[2], $2 }' "$1" >"$work/keys"
  while read -r kid x; do
    key_file "$x" "$work/key.pem" || fail 4 "E305 root: key $kid is weak or damaged"
    [ "$(thumbprint "$x")" = "$kid" ] || fail 4 "E307 root: key $kid has another thumbprint"
  done <"$work/keys"
}

# follows OLD NEW: the very next version, and no earlier epoch.
follows() {
  "$awk" 'FNR == NR { if ($1 == "version") v = $2; if ($1 == "epoch") e = $2; next }
    $1 == "version" && $2 != v + 1 { exit 1 } $1 == "epoch" && $2 < e { exit 1 }' "$1" "$2" ||
    fail 4 'E301 root: not the version after the one known here, or of an earlier epoch'
}

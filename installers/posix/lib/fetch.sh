# shellcheck shell=sh disable=SC2015,SC2016,SC2034,SC2154,SC2094,SC2012,SC2046
# The network side of pilotfish-sh: publishers by curl, TLS pinned to the keys that token or root
# name, every answer bounded in bytes and time. What comes back proves nothing yet.

fetch_seconds=15

# The publishers of the root known here, else of the token; one "URL PIN PIN…" a line.
publishers() {
  if [ -s "$work/root.json" ]; then
    "$awk" '$1 ~ /^publishers\.[0-9]+\.url$/ { split($1, p, "."); n++; order[n] = p[2]; url[p[2]] = $2 }
      $1 ~ /^publishers\.[0-9]+\.spki\.[0-9]+$/ { split($1, p, "."); pins[p[2]] = pins[p[2]] " " $2 }
      END { for (i = 1; i <= n; i++) print url[order[i]] pins[order[i]] }' "$work/root.json"
  else
    "$awk" '$1 ~ /^u\.[0-9]+$/ { url[++n] = $2 } $1 == "ca" { pin = " " $2 }
      END { for (i = 1; i <= n; i++) print url[i] pin }' "$work/token.json"
  fi
}

# The pin of the public key of a certificate file.
pin_of() {
  "$openssl" x509 -in "$1" -noout -pubkey 2>/dev/null | "$openssl" pkey -pubin -outform der 2>/dev/null |
    "$openssl" dgst -sha256 -binary | "$openssl" base64 | sed 's,^,sha256/,'
}

# trust_flags URL PIN…: sets tls_flags to what makes curl accept only a pinned key. The chain is asked
# for once; a pinned certificate in it becomes the only authority (or, first in it, the only key).
trust_flags() {
  trust_url=$1
  shift
  tls_flags=
  [ $# -gt 0 ] || return 0
  if [ -s "$state_dir/ca.crt" ] && is_pinned "$(pin_of "$state_dir/ca.crt")" "$@"; then
    tls_flags="--cacert $state_dir/ca.crt"
    return 0
  fi
  trust_at=${trust_url#https://}
  case $trust_at in *:[0-9]*) ;; *) trust_at=$trust_at:443 ;; esac
  trust_name=${trust_at%:*}
  # shellcheck disable=SC2086
  limited "$fetch_seconds" "$openssl" s_client -connect "$trust_at" -servername "$trust_name" -showcerts \
    ${proxy:+-proxy ${proxy#http://}} >"$work/chain" 2>/dev/null
  rm -f "$work"/chain.*
  "$awk" -v base="$work/chain" '/-BEGIN CERTIFICATE-/ { n++; on = n <= 8 } on { print > (base "." n) }
    /-END CERTIFICATE-/ { on = 0 }' "$work/chain"
  for certificate in "$work"/chain.[1-8]; do
    [ -f "$certificate" ] || continue
    found=$(pin_of "$certificate")
    is_pinned "$found" "$@" || continue
    if [ "$certificate" = "$work/chain.1" ]; then
      tls_flags="--insecure --pinnedpubkey sha256//${found#sha256/}"
    else
      write_file "$state_dir/ca.crt" <"$certificate"
      tls_flags="--cacert $state_dir/ca.crt"
    fi
    return 0
  done
  say warn "E104 $trust_url shows no key that is pinned, or does not answer"
  return 1
}

is_pinned() {
  wanted_pin=$1
  shift
  for pin in "$@"; do [ "$pin" = "$wanted_pin" ] && return 0; done
  return 1
}

# fetch PATH OUT [FLAG…]: from the publisher at hand. 64 KiB, no redirect, https only, one deadline.
fetch() {
  (
    ulimit -f 128
    if [ -n "$proxy" ]; then set -- "$@" --proxy "$proxy"; else set -- "$@" --noproxy '*'; fi
    fetch_path=$1 fetch_out=$2
    shift 2
    # shellcheck disable=SC2086
    "$curl" -q -sS -f --proto =https --max-time "$fetch_seconds" --connect-timeout 5 --max-filesize 65536 \
      $tls_flags "$@" -D "$work/headers" -o "$fetch_out" "$publisher$fetch_path"
  ) 2>"$work/curl.err" && [ "$(size_of "$2")" -le 65536 ]
}

# The newest root and the flat list of the first publisher that gives both and proves them. Leaves
# $work/list.txt, fresh (1 with a receipt of this poll), rescue. Else status 1 and the worst exit code.
poll() {
  poll_exit=3
  publishers >"$work/publishers"
  while read -r publisher pins; do
    # shellcheck disable=SC2086
    trust_flags "$publisher" $pins || continue
    poll_one && return 0
    poll_rc=$?
    [ "$poll_rc" != 4 ] || poll_exit=4
  done <"$work/publishers"
  return 1
}

# A publisher whose documents are refused is passed over: others may be honest.
poll_one() {
  follow_roots || return
  fetch_list || return
  judge_list
}

# Root after root until there is none. The first one is the one the token pins.
follow_roots() {
  if [ ! -s "$work/root.json" ]; then
    fetch "/v1/root/$(value "$work/token.json" rv)" "$work/root.next" || {
      say warn "E105 $publisher gives no root: $(tail -n 1 "$work/curl.err")"
      return 3
    }
    (accept_root "$work/root.next" "$(value "$work/token.json" r)") || return
    keep_root
  fi
  for step in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; do
    next=$(($(value "$work/root.json" version) + 1))
    fetch "/v1/root/$next" "$work/root.next" || return 0
    (accept_root "$work/root.next" '' "$work/root.json") || return
    keep_root
    say info "root $next is followed from here on"
  done
}

# The two are one: hash first, and load_trust takes the file that fits either hash.
keep_root() {
  [ "$plan" = no ] || return 0
  [ ! -s "$state_dir/root" ] || cp "$state_dir/root" "$state_dir/root.old"
  [ ! -s "$state_dir/root.hash" ] || cp "$state_dir/root.hash" "$state_dir/root.old.hash"
  write_file "$state_dir/root.hash" <"$work/root.hash"
  write_file "$state_dir/root" <"$work/root.next"
}

# Text and signature are two answers: a version published between them is met by asking again.
fetch_list() {
  for attempt in 1 2; do
    nonce=$("$openssl" rand 16 | "$openssl" base64 | tr '+/' '-_' | tr -d '=\n')
    fetch "/v1/list.txt?g=$group&s=$site" "$work/list.txt" -H "PF-Nonce: $nonce" &&
      cp "$work/headers" "$work/list.headers" && fetch /v1/list.txt.sig "$work/list.sig" || {
      say warn "E105 $publisher gives no list: $(tail -n 1 "$work/curl.err")"
      return 3
    }
    if is_list_signed; then
      read_receipt
      return 0
    fi
  done
  say err "E206 $publisher: the list is signed by too few keys of the root, or altered"
  return 4
}

# Each line of the signature file: key id and signature over exactly the text.
is_list_signed() {
  printf '%s' '' >"$work/signers"
  rescue=0
  [ "$("$awk" 'NR == 1' "$work/list.sig")" = 'pilotfish-signature 1' ] && [ "$(wc -l <"$work/list.sig")" -le 9 ] || return 1
  while read -r kid mark more; do
    [ "$kid" != pilotfish-signature ] || continue
    case $kid in *[!A-Za-z0-9_-]*) return 1 ;; esac
    x=$(value "$work/root.json" "keys.$kid.x")
    [ -n "$x" ] || continue
    key_file "$x" "$work/key.pem" && [ -z "$more" ] && is_signed "$work/key.pem" "$work/list.txt" "$mark" || return 1
    printf '%s\n' "$kid" >>"$work/signers"
  done <"$work/list.sig"
  if meets rescue "$work/root.json"; then rescue=1; else meets list "$work/root.json"; fi
}

# fresh=1 when a list key signed the nonce of this poll together with the hash of this list.
read_receipt() {
  fresh=0
  receipt=$(tr -d '\r' <"$work/list.headers" | "$awk" 'tolower($1) == "pf-receipt:" { print $2; exit }')
  case $receipt in *[!A-Za-z0-9_.-]* | *.*.*.* | '') return 0 ;; *.*.*) ;; *) return 0 ;; esac
  header=${receipt%%.*} mark=${receipt##*.} body=${receipt#*.} body=${body%.*}
  kid=$(printf '%s\n' "$header" | decode_base64url 2>/dev/null | header_kid receipt) || return 0
  x=$(value "$work/root.json" "keys.$kid.x")
  printf '%s\n' "$kid" >"$work/receipt.kid"
  "$awk" 'FNR == NR { kid = $1; next } index($1, "roles.list.kids.") == 1 && $2 == kid { found = 1 }
    END { exit !found }' "$work/receipt.kid" "$work/root.json" || return 0
  printf '%s.%s' "$header" "$body" >"$work/message"
  key_file "$x" "$work/key.pem" && is_signed "$work/key.pem" "$work/message" "$mark" || return 0
  printf '%s\n' "$body" | decode_base64url >"$work/receipt.raw" 2>/dev/null && flatten "$work/receipt.raw" "$work/receipt" || return 0
  "$awk" -v nonce="$nonce" 'FNR == NR { r[$1] = $2; next } { l[$1] = $2 }
    END { exit !(r["typ"] == "pf-receipt" && r["nonce"] == nonce && r["list"] == l["hash"] && r["epoch"] == l["epoch"] \
      && r["term"] == l["term"] && r["version"] == l["version"]) }' "$work/receipt" "$work/list.txt" || return 0
  fresh=1
}

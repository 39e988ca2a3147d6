#!/bin/sh
# The init step of docker-compose.yml; safe to repeat, and run at each `up` because Vault starts sealed. Needs `bao`.
#   VAULT_ADDR    the server, sealed or not
#   OPERATOR_DIR  where the unseal key and the root token of this demonstration are kept; mounted by this step alone
#   APP_DIR       where the app's secrets are handed over as app.env, readable by APP_OWNER (uid:gid) only
# An installation with real data has its unseal key elsewhere (auto-unseal, or people) and no root token lying about:
# see docs/operations.md.
set -eu
umask 077

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
INIT="$OPERATOR_DIR/init.json"

say() { printf 'vault-init: %s\n' "$1"; }
fail() { say "$1" >&2; exit 1; }

# The value of a string member, or of the first element of a list of strings, of the JSON on stdin.
member() { tr -d '\n' | sed -n "s/.*\"$1\": *\[\{0,1\} *\"\([^\"]*\)\".*/\1/p"; }

# until_true WHAT COMMAND...: once a second, a minute at most.
until_true() {
  what=$1
  shift
  tries=0
  until "$@"; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || fail "gave up waiting for $what"
    sleep 1
  done
}

# `bao status` ends with 0 when unsealed, 2 when sealed, 1 when nothing answers.
status() {
  code=0
  bao status >/dev/null 2>&1 || code=$?
  printf '%s' "$code"
}
answers() { [ "$(status)" != 1 ]; }
sealed() { [ "$(status)" = 2 ]; }
# A fresh node is unsealed for a moment before it has become the active one.
active() { bao status 2>/dev/null | grep -q '^HA Mode  *active'; }

initialise() {
  if bao operator init -status >/dev/null 2>&1; then
    [ -s "$INIT" ] || fail 'Vault is initialised, but its unseal key is not in the volume vault-operator'
    return
  fi
  bao operator init -key-shares=1 -key-threshold=1 -format=json >"$INIT.new"
  mv "$INIT.new" "$INIT"
  # Credentials of a former Vault, whose volume somebody removed.
  rm -rf "$OPERATOR_DIR/approle"
  say 'initialised'
}

unseal() {
  if sealed; then
    # From stdin, so that the key is not in the list of processes.
    member unseal_keys_b64 <"$INIT" | bao write sys/unseal key=- >/dev/null
    say 'unsealed'
  fi
  until_true 'Vault to become active' active
}

# Made once: a new JWT_SECRET would end all sessions, a new PEPPER all passwords.
made_once() {
  [ -s "$OPERATOR_DIR/$1" ] || head -c 36 /dev/urandom | base64 | tr -d '\n' >"$OPERATOR_DIR/$1"
  cat "$OPERATOR_DIR/$1"
}

hand_over() {
  {
    printf 'VAULT_ROLE_ID=%s\n' "$(cat "$OPERATOR_DIR/approle/role_id")"
    printf 'VAULT_SECRET_ID=%s\n' "$(cat "$OPERATOR_DIR/approle/secret_id")"
    printf 'JWT_SECRET=%s\n' "$(made_once jwt_secret)"
    printf 'PEPPER=%s\n' "$(made_once pepper)"
  } >"$APP_DIR/app.env.new"
  chmod 0400 "$APP_DIR/app.env.new"
  chown "$APP_OWNER" "$APP_DIR/app.env.new"
  mv "$APP_DIR/app.env.new" "$APP_DIR/app.env"
  chmod 0755 "$APP_DIR"
}

BAO_ADDR=$VAULT_ADDR
export BAO_ADDR
until_true "$VAULT_ADDR to answer" answers
initialise
unseal
VAULT_TOKEN=$(member root_token <"$INIT")
COFFER_CREDENTIALS_DIR="$OPERATOR_DIR/approle"
export VAULT_TOKEN COFFER_CREDENTIALS_DIR
sh "$HERE/../vault/init.sh"
hand_over
say 'the app has its secrets'

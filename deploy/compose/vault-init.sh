#!/bin/sh
# The init step of docker-compose.yml; safe to repeat, and run at each `up` because Vault starts sealed.
#   OPERATOR_DIR  where the unseal key and the root token of this demonstration are kept; mounted by this step alone
#   APP_DIR       where the app's own secrets are handed over, readable by APP_OWNER (uid:gid) only
# An installation with real data has its unseal key elsewhere (auto-unseal, or people) and no root token lying about:
# see docs/operations.md.
set -eu
umask 077

HERE=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
OPERATOR="$OPERATOR_DIR/init.json"
APP="$APP_DIR/app.env"

say() { printf 'vault-init: %s\n' "$1"; }
secret() { head -c 36 /dev/urandom | base64 | tr -d '\n'; }

# `bao status` ends with 0 when unsealed, 2 when sealed, 1 when nothing answers.
status() {
  code=0
  bao status >/dev/null 2>&1 || code=$?
  printf '%s' "$code"
}

# A value of the one-line-a-field JSON that `-format=json` prints: .name, or the first element of the list .name
field() { tr -d '\n' <"$OPERATOR" | sed -n "s/.*\"$1\": *\\[* *\"\\([^\"]*\\)\".*/\\1/p"; }

wait_for_server() {
  tries=0
  while [ "$(status)" = 1 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { say "nothing answers at $BAO_ADDR"; exit 1; }
    sleep 1
  done
}

initialise() {
  if bao operator init -status >/dev/null 2>&1; then
    [ -s "$OPERATOR" ] || { say 'Vault is initialised, but its unseal key is not in the volume vault-operator'; exit 1; }
    return
  fi
  bao operator init -key-shares=1 -key-threshold=1 -format=json >"$OPERATOR.new"
  mv "$OPERATOR.new" "$OPERATOR"
  say 'initialised'
}

unseal() {
  [ "$(status)" = 2 ] || return 0
  # By standard input: an argument would show in the list of processes.
  field unseal_keys_b64 | bao write -format=json sys/unseal key=- >/dev/null
  tries=0
  until bao read sys/health >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt 60 ] || { say 'Vault did not become active'; exit 1; }
    sleep 1
  done
  say 'unsealed'
}

hand_over() {
  [ ! -s "$APP" ] || return 0
  {
    printf 'VAULT_ROLE_ID=%s\n' "$(bao read -field=role_id auth/approle/role/coffer/role-id)"
    printf 'VAULT_SECRET_ID=%s\n' "$(bao write -f -field=secret_id auth/approle/role/coffer/secret-id)"
    printf 'JWT_SECRET=%s\n' "$(secret)"
    printf 'PEPPER=%s\n' "$(secret)"
  } >"$APP.new"
  chmod 0400 "$APP.new"
  chown "$APP_OWNER" "$APP.new"
  mv "$APP.new" "$APP"
  say 'handed the app its secrets'
}

wait_for_server
initialise
unseal
BAO_TOKEN=$(field root_token)
VAULT_TOKEN=$BAO_TOKEN
export BAO_TOKEN VAULT_TOKEN
sh "$HERE/../vault/init.sh"
chmod 0755 "$APP_DIR"
hand_over
say 'done'

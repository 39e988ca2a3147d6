#!/bin/sh
# Prepares Vault or OpenBao for Coffer: mounts, master key, policies, AppRole. Safe to repeat: a key that is there stays as it is, policies
# and role are brought up to date.
#
# In: VAULT_ADDR and VAULT_TOKEN of an operator who may mount engines; VAULT_NAMESPACE and VAULT_CACERT as for the command line program.
#     COFFER_CREDENTIALS_DIR (optional): role_id and secret_id for the service are written there, mode 0400.
#     COFFER_SECRET_ID_TTL (default 0: a secret id lives until it is destroyed).
# Names are the defaults of Coffer: mounts transit and kv, key coffer-master, role coffer.
set -eu
umask 077

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
: "${VAULT_ADDR:?set VAULT_ADDR}" "${VAULT_TOKEN:?set VAULT_TOKEN}"
# OpenBao's own names of the same variables.
export BAO_ADDR="$VAULT_ADDR" BAO_TOKEN="$VAULT_TOKEN"
[ -z "${VAULT_NAMESPACE:-}" ] || export BAO_NAMESPACE="$VAULT_NAMESPACE"
[ -z "${VAULT_CACERT:-}" ] || export BAO_CACERT="$VAULT_CACERT"

if command -v bao >/dev/null 2>&1; then cli=bao; else cli=vault; fi
say() { printf 'vault/init: %s\n' "$1"; }

# enabled secrets|auth PATH: the list ends each path with a slash and prints a table whose first column it is.
enabled() { "$cli" "$1" list | awk -v path="$2/" '$1 == path { found = 1 } END { exit !found }'; }

enabled secrets transit || "$cli" secrets enable transit >/dev/null
enabled secrets kv || "$cli" secrets enable -path=kv -version=2 kv >/dev/null
enabled auth approle || "$cli" auth enable approle >/dev/null
say 'transit, kv and approle are mounted'

# Derived: what is wrapped for one owner does not open for another. None of these can be changed later.
if ! "$cli" read transit/keys/coffer-master >/dev/null 2>&1; then
  "$cli" write transit/keys/coffer-master type=aes256-gcm96 derived=true exportable=false allow_plaintext_backup=false >/dev/null
  say 'made the key coffer-master'
fi

# Vault keeps ten versions of a document by default: eleven writes with a stolen token of the service would push the master key out for good.
# A fresh mount answers that it is upgrading for a moment.
keep_versions() { "$cli" kv metadata put -mount=kv -max-versions=1000000 -cas-required=true master_key >/dev/null; }
tries=0
until keep_versions 2>/dev/null; do
  tries=$((tries + 1))
  [ "$tries" -lt 20 ] || { keep_versions; break; }
  sleep 1
done
say 'former versions of kv/master_key are kept'

"$cli" policy write coffer "$here/coffer-policy.hcl" >/dev/null
"$cli" policy write coffer-operator "$here/operator-policy.hcl" >/dev/null
# Tokens of an hour: the service renews them and logs in again at the end of a day.
"$cli" write auth/approle/role/coffer token_policies=coffer token_ttl=1h token_max_ttl=24h \
  secret_id_ttl="${COFFER_SECRET_ID_TTL:-0}" secret_id_num_uses=0 >/dev/null
say 'policies and role are up to date'

# keep NAME, value on standard input: never half written, and never an argument that others could read.
keep() {
  cat >"$COFFER_CREDENTIALS_DIR/.$1"
  chmod 0400 "$COFFER_CREDENTIALS_DIR/.$1"
  mv -f "$COFFER_CREDENTIALS_DIR/.$1" "$COFFER_CREDENTIALS_DIR/$1"
}

# Once only: each call would leave one more secret id that works. To renew, remove the file and run this again.
if [ -n "${COFFER_CREDENTIALS_DIR:-}" ] && [ ! -s "$COFFER_CREDENTIALS_DIR/secret_id" ]; then
  mkdir -p "$COFFER_CREDENTIALS_DIR"
  "$cli" read -field=role_id auth/approle/role/coffer/role-id | keep role_id
  "$cli" write -f -field=secret_id auth/approle/role/coffer/secret-id | keep secret_id
  say "credentials are in $COFFER_CREDENTIALS_DIR"
fi

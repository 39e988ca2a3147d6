# What the service may do in Vault or OpenBao, and nothing else: use one Transit key, look at it, add a version to it; and with
# MASTER_KEY=kv or USER_KEY_STORE=vault, read and write its own documents in the KV engine. Leave out what your installation does not use.
#
# Not here on purpose:
# - "create" on encrypt/: with it a call with a misspelt key name makes that key silently. Nor on keys/: the operator makes the key.
# - keys/coffer-master/trim, the other settings of the key, and its deletion, export and backup: a service that is broken into must not be
#   able to destroy the master key, nor to carry a Transit key away.
# What a stolen token of this policy can do, path by path: docs/threat-model.md, "A stolen Vault token".
# Renewal and look-up of its own token come with Vault's policy "default".

path "transit/keys/coffer-master" {
  capabilities = ["read"]
}

path "transit/keys/coffer-master/rotate" {
  capabilities = ["update"]
}

# Retiring a version raises min_decryption_version, after the service has counted that nothing is wrapped by it. That disables the version. It
# can be undone until the key is trimmed, by an operator and by this token, since a policy cannot allow one direction alone; to trim takes a
# token that the service never has. Leave this out where an operator is to
# disable versions by hand: retiring then answers 503, and nothing else changes.
path "transit/keys/coffer-master/config" {
  capabilities = ["update"]
  allowed_parameters = {
    "min_decryption_version" = []
  }
}

path "transit/encrypt/coffer-master" {
  capabilities = ["update"]
}

path "transit/decrypt/coffer-master" {
  capabilities = ["update"]
}

path "transit/rewrap/coffer-master" {
  capabilities = ["update"]
}

# MASTER_KEY=kv: the one document that is the master key. Writes are check-and-set. Not "delete", not "destroy" and no write to
# kv/metadata: whoever steals the service's token can read the key, and can overwrite the document, but every former version of it stays.
# init.sh keeps a million versions of this document, so that overwriting pushes none out. An operator's token destroys the former versions
# once a master key version is retired (npm run keys -- trim).
path "kv/data/master_key" {
  capabilities = ["create", "read", "update"]
}

# What the engine does by itself with documents (delete_version_after, max_versions): looked at and told at each start, with MASTER_KEY=kv
# or USER_KEY_STORE=vault. Without these the service starts all the same, and says that it cannot look.
path "kv/config" {
  capabilities = ["read"]
}

path "kv/metadata/master_key" {
  capabilities = ["read"]
}

path "kv/metadata/user_keys/_installation" {
  capabilities = ["read"]
}

# USER_KEY_STORE=vault: one document a user, and one, user_keys/_installation, that says whose they are. An erase writes a tombstone over
# the document and destroys the former versions, by their numbers, so that a receipt can say at once that backups of the store open nothing.
# The price: whoever steals the service's token can destroy every user key in here, and only a snapshot of Vault brings them back. With
# USER_KEY_STORE=store leave both paths out.
path "kv/data/user_keys/*" {
  capabilities = ["create", "read", "update"]
}

path "kv/destroy/user_keys/*" {
  capabilities = ["update"]
}

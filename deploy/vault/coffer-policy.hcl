# What the service may do in Vault or OpenBao, and nothing else: use one Transit key, look at it, add a version to it; and with
# MASTER_KEY=kv or USER_KEY_STORE=vault, read and write its own documents in the KV engine. Leave out what your installation does not use.
#
# Not here on purpose:
# - "create" on encrypt/: with it a call with a misspelt key name makes that key silently. Nor on keys/: the operator makes the key.
# - keys/coffer-master/trim, the other settings of the key, and its deletion, export and backup: a service that is broken into must not be
#   able to destroy or carry away the master key.
# Renewal and look-up of its own token come with Vault's policy "default".

path "transit/keys/coffer-master" {
  capabilities = ["read"]
}

path "transit/keys/coffer-master/rotate" {
  capabilities = ["update"]
}

# Retiring a version raises min_decryption_version, after the service has counted that nothing is wrapped by it. That disables the version; an
# operator can undo it until the key is trimmed, which takes a token that the service never has. Leave this out where an operator is to
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

# MASTER_KEY=kv: the one document that is the master key. Writes are check-and-set, and former versions of the document can be destroyed
# once a master key version is retired. Not "delete", and of kv/metadata no more than to look: the service cannot remove the document itself.
path "kv/data/master_key" {
  capabilities = ["create", "read", "update"]
}

path "kv/destroy/master_key" {
  capabilities = ["update"]
}

# What the engine does by itself with documents (delete_version_after): looked at and told at each start, with MASTER_KEY=kv or
# USER_KEY_STORE=vault. Without these the service starts all the same, and says that it cannot look.
path "kv/config" {
  capabilities = ["read"]
}

path "kv/metadata/master_key" {
  capabilities = ["read"]
}

path "kv/metadata/user_keys/_installation" {
  capabilities = ["read"]
}

# USER_KEY_STORE=vault: one document a user, and one, user_keys/_installation, that says whose they are. An erase writes a tombstone over it and destroys the former versions, by their numbers.
path "kv/data/user_keys/*" {
  capabilities = ["create", "read", "update"]
}

path "kv/destroy/user_keys/*" {
  capabilities = ["update"]
}

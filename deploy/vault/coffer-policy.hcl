# What the service may do in Vault or OpenBao, and nothing else: use one Transit key, look at it, add a version to it.
#
# Not here on purpose:
# - "create" on encrypt/: with it a call with a misspelt key name makes that key silently. Nor on keys/: the operator makes the key.
# - keys/coffer-master/config, trim, and the deletion, export and backup of keys: a service that is broken into must not be able to destroy or
#   carry away the master key.
# Renewal and look-up of its own token come with Vault's policy "default".

path "transit/keys/coffer-master" {
  capabilities = ["read"]
}

path "transit/keys/coffer-master/rotate" {
  capabilities = ["update"]
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

# For the person who looks after the master key, with a token of their own that the service never has: makes the key, ends versions
# (min_decryption_version), and trims ended ones, which is final. Not export, not backup, not deletion of the whole key, and no look into
# kv/master_key.

path "transit/keys/coffer-master" {
  capabilities = ["create", "read", "update"]
  denied_parameters = {
    "exportable"             = []
    "allow_plaintext_backup" = []
  }
}

path "transit/keys/coffer-master/rotate" {
  capabilities = ["update"]
}

path "transit/keys/coffer-master/config" {
  capabilities = ["update"]
  # The one-way switches that would let the key leave Vault or be deleted are refused, whatever else is set beside them.
  allowed_parameters = {
    "min_decryption_version" = []
    "min_encryption_version" = []
  }
}

path "transit/keys/coffer-master/trim" {
  capabilities = ["update"]
}

# MASTER_KEY=kv: destroys former versions of the document, which still hold retired versions of the key. `npm run keys -- trim` first checks
# that they hold nothing else.
path "kv/destroy/master_key" {
  capabilities = ["update"]
}

# A new secret id for the service, and the end of former ones.
path "auth/approle/role/coffer/secret-id" {
  capabilities = ["update", "list"]
}

path "auth/approle/role/coffer/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

# OpenBao behind docker-compose.yml: a real server with its data on disk, not the development mode.
# TLS is off because its only clients are on the compose network of one machine and on 127.0.0.1.
storage "raft" {
  path    = "/openbao/file"
  node_id = "coffer-1"
}

listener "tcp" {
  address         = "0.0.0.0:8200"
  cluster_address = "127.0.0.1:8201"
  tls_disable     = true
}

api_addr     = "http://vault:8200"
cluster_addr = "http://127.0.0.1:8201"
ui           = true

# No IPC_LOCK in the container: it has no swap of its own, and the host's swap should be off or encrypted.
disable_mlock = true

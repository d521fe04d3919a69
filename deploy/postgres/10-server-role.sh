#!/bin/sh
# Runs once, when the database is made: the role that web, worker and beat use. It owns nothing, so it can
# neither drop nor switch off the triggers that keep the ledger append-only, and it cannot TRUNCATE.
set -eu
psql --set ON_ERROR_STOP=1 --set password="$SERVER_DATABASE_PASSWORD" \
  --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
CREATE ROLE countersign_server LOGIN PASSWORD :'password';
GRANT USAGE ON SCHEMA public TO countersign_server;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO countersign_server;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO countersign_server;
SQL

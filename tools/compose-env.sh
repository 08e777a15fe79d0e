#!/bin/sh
# Prints the secrets that docker-compose.yaml needs, made anew: `sh tools/compose-env.sh > .env`, once. Postgres keeps the
# password it was first started with. What else .env may set stands below, commented.
set -eu

random() { head -c "$1" /dev/urandom | base64 | tr -d '\n' | tr '+/' '-_'; }

cat <<END
ADMIN_PASSWORD=$(random 15)
FERNET_KEY=$(random 32)
JWT_SECRET=$(random 66)
POSTGRES_PASSWORD=$(random 24)

# The real vendor instead of the simulator (then without --profile simulator):
#POLYGON_URL=https://api.polygon.io
#POLYGON_API_KEY=
#POLYGON_ENVIRONMENT=production
#POLYGON_REQUESTS_PER_MINUTE=5

# Where the UI is, on loopback:
#AIRFLOW_PORT=8080
END

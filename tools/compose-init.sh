#!/usr/bin/env bash
# What has to be done before Airflow's components start, in the container `init` of docker-compose.yaml.
set -euo pipefail
cd "$(dirname "$0")/.."

# SimpleAuthManager reads the password from a file.
umask 077
printf '{"admin": "%s"}' "$ADMIN_PASSWORD" >"$AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE"

airflow db migrate

# A pool that exists keeps what its users set.
work=$(mktemp -d)
airflow pools export "$work/present.json"
python - "$work" <<'END'
import json
import sys
from pathlib import Path

folder = Path(sys.argv[1])
present = json.loads((folder / "present.json").read_text())
wanted = json.loads(Path("config/pools.json").read_text())
(folder / "lacking.json").write_text(json.dumps({name: wanted[name] for name in wanted.keys() - present.keys()}))
END
airflow pools import "$work/lacking.json"

"""The reference consumer in Python: its reports need the database, and an allow list that lets the platform's workloads in.

    pulumi stack output --json --stack organization/gridos/dev | python3 reports.py organization/gridos/dev
"""

import json
import sys

from gridos import ContractError, read_published

try:
    gridos = read_published(json.load(sys.stdin), sys.argv[1])
except ContractError as error:
    sys.exit(str(error))
json.dump(
    {
        "database": f"{gridos.database_host}/{gridos.database_name}",
        "registry": gridos.registry_login_server,
        "allowed": gridos.egress_addresses,
    },
    sys.stdout,
)

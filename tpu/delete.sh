#!/bin/bash
# Deletes the TPU VM or pod, with all that is on its disks. gcloud asks before it does.
#
#   tpu/delete.sh [--dry_run]
set -euo pipefail
# shellcheck source=tpu/settings.sh
source "$(dirname "$0")/settings.sh"

tpu_vm delete "$NAME"

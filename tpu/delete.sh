#!/bin/bash
# Deletes the TPU VM or pod with its disks, after gcloud has asked for confirmation.
#
#   tpu/delete.sh [--dry_run]
set -euo pipefail
# shellcheck source=tpu/settings.sh
source "$(dirname "$0")/settings.sh"
if (($# > 0)); then refuse_argument "$1" "no argument but --dry_run"; fi

tpu_vm delete "$NAME"

#!/bin/bash
# Creates a TPU VM or a pod. It costs money until delete.sh deletes it.
#
#   tpu/create.sh [--dry_run]
#   POD=1 ACCELERATOR=v5litepod-16 tpu/create.sh
set -euo pipefail
# shellcheck source=tpu/settings.sh
source "$(dirname "$0")/settings.sh"
if (($# > 0)); then refuse_argument "$1" "no argument but --dry_run"; fi

tpu_vm create "$NAME" --accelerator-type="$ACCELERATOR" --version="$VERSION" ${SPOT:+--spot}

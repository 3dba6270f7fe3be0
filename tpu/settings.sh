# Variables and functions of create.sh, run.sh and delete.sh. The environment overrides variables.
# shellcheck shell=bash disable=SC2034

NAME="${NAME:-mentormix}"                 # the TPU's name
PROJECT="${PROJECT:-}"                    # empty for gcloud's default
ZONE="${ZONE:-us-central1-a}"             # a zone with such TPUs
ACCELERATOR="${ACCELERATOR:-v5litepod-8}" # v5litepod-8 is one host, v5litepod-16 a pod of two
POD="${POD:-}"                            # 1 for a pod: several hosts
VERSION="${VERSION:-}"                    # runtime version; if empty, see below
SPOT="${SPOT:-}"                          # 1 for a cheaper TPU that may be preempted
PYTHON="${PYTHON:-python3}"               # on the TPU VM: 3.10 to 3.13
LIBTPU="${LIBTPU:-}"                      # libtpu's version; empty for the newest
STORAGE="${STORAGE:-}"                    # gs://BUCKET/FOLDER for data and results; a pod needs it

if [[ -z "$VERSION" ]]; then
  # A pod's hosts run a TensorFlow server, whose version must be the one that pip installs.
  if [[ -n "$POD" ]]; then VERSION=tpu-vm-tf-2.20.0-pod-pjrt; else VERSION=v2-alpha-tpuv5-lite; fi
fi

DRY_RUN=""
flags=()
for flag in "$@"; do
  if [[ "$flag" == --dry_run ]]; then DRY_RUN=1; else flags+=("$flag"); fi
done
set -- ${flags[@]+"${flags[@]}"}

# Ends the script, before it has done anything: refuse_argument ARGUMENT WHAT_IS_TAKEN.
refuse_argument() {
  printf 'error: %q is unknown: tpu/%s takes %s, and variables such as NAME and ZONE.\n' \
    "$1" "$(basename "$0")" "$2" >&2
  exit 1
}

# Runs a command, or prints it so that it can be pasted into a shell.
run() {
  if [[ -n "$DRY_RUN" ]]; then
    printf '%q ' "$@"
    echo
  else
    "$@"
  fi
}

# Calls gcloud for TPU VMs: tpu_vm VERB ARGUMENTS...
tpu_vm() {
  run gcloud compute tpus tpu-vm "$@" --zone="$ZONE" ${PROJECT:+--project="$PROJECT"}
}

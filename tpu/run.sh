#!/bin/bash
# Installs the last commit on the TPU VM and trains there, with the flags of mentormix_tf.train.
#
#   tpu/run.sh [--dry_run] --dataset=cifar10 --batch_size=1024
#   POD=1 STORAGE=gs://BUCKET/FOLDER tpu/run.sh --dataset=cifar10 --batch_size=2048
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=tpu/settings.sh
source tpu/settings.sh

if (($# > 0)) && [[ "$1" != --* ]]; then refuse_argument "$1" "flags of mentormix_tf.train"; fi

if [[ -n "$POD" && -z "$STORAGE" ]]; then
  echo "error: a pod's hosts must all read the data: set STORAGE=gs://BUCKET/FOLDER." >&2
  exit 1
fi
folders=()
if [[ -n "$STORAGE" ]]; then
  folders=(--data_dir="$STORAGE/data" --model_dir="$STORAGE/runs/$(date +%Y-%m-%d-%H-%M-%S)")
fi

archive=mentormix_tf.tar.gz
run mkdir -p build
run git archive --format=tar.gz --output="build/$archive" HEAD
tpu_vm scp "build/$archive" "$NAME:" --worker=all
install="mkdir -p mentormix_tf && tar -xzf $archive -C mentormix_tf && cd mentormix_tf"
install+="$(printf ' && %q -m venv .venv' "$PYTHON") && .venv/bin/pip install '.[tpu]'"
install+="${LIBTPU:+$(printf ' %q' "libtpu==$LIBTPU")}"
tpu_vm ssh "$NAME" --worker=all --command="$install"

if [[ -n "$POD" ]]; then
  # Each host's server owns its TPU chips; the program on the first host only controls the servers.
  environment="$(printf 'TPU_NAME=%q' "$NAME") TPU_LOAD_LIBRARY=0"
  tpu="$NAME"
else
  # TensorFlow uses the TPU through the libtpu just installed, whose path is looked up on the VM.
  # shellcheck disable=SC2016
  library='$(.venv/bin/python -c "import libtpu; print(libtpu.get_library_path())")'
  environment="NEXT_PLUGGABLE_DEVICE_USE_C_API=true TF_PLUGGABLE_DEVICE_LIBRARY_PATH=$library"
  tpu=local
fi
train="cd mentormix_tf && $environment .venv/bin/python -m mentormix_tf.train"
train+="$(printf ' %q' --strategy=tpu --tpu="$tpu" ${folders[@]+"${folders[@]}"} "$@")"
tpu_vm ssh "$NAME" --worker=0 --command="$train"

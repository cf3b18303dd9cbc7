#!/bin/sh
# Train cifar10-record on a GPU for MINUTES minutes, certify it, and append its curve to a file of results.
#
#   benchmarks/gpu_records.sh MINUTES [--data FOLDER] [--results FILE] [OPTION ...] [KEY=VALUE ...]
#
#   --data FOLDER      CIFAR-10 in binary form (data_batch_1.bin and so on), or the folder around it; by default
#                      $CIFAR10_DIR. Nothing is downloaded.
#   --results FILE     JSON lines, appended to and never overwritten; by default gpu-records.jsonl
#   --config NAME      another configuration, by name or path
#   --samples N        test images that are certified, on the CPU; by default 1000
#   --validate-every N epochs between two validations, each of which proves a constant; by default 5
#   KEY=VALUE          changes of the configuration, as for `onelip train`
#
# MINUTES are those of training, validations not counted; radius and learning rate follow their schedules within them.
# Each validation is a row, and the last row is of test images, with the proved constant. The run stays in runs/.
#
# It needs a Python with torch, $PYTHON or python3, and no network. If Python cannot import the packages below, put them
# into a folder on a machine with PyPI and the same Python, and name that folder in PYTHONPATH:
#
#   pip install --no-deps --target deps $(benchmarks/gpu_records.sh packages)
#   PYTHONPATH=deps CIFAR10_DIR=cifar-10-batches-bin benchmarks/gpu_records.sh 10
set -eu

PACKAGES="absl-py annotated-types lightning lightning-utilities numpy packaging protobuf pydantic pydantic-core PyYAML rich
ruamel.yaml safetensors tensorboard torchmetrics tqdm typing-extensions typing-inspection"

root=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in
packages) echo $PACKAGES; exit ;;
'' | *[!0-9.]*) sed -n '2,/^set/{/^set/d;s/^#\( \|$\)//;p;}' "$0" >&2; exit 2 ;;
esac
PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "${PYTHON:-python3}" "$root/benchmarks/gpu_records.py" "$@"

#!/bin/sh
# Measure what networks of each layer cost on a GPU, and how long their epochs take.
#
#   benchmarks/gpu_measurements.sh [FOLDER]
#
# Appends to FOLDER/measurements.csv a row for each of the ConvNets XS, S, M and L with each method, batches of 256, and
# puts seconds per epoch of the configurations of "1-Lipschitz Layers Compared" on CIFAR-10 into FOLDER/budgets.yaml.
# FOLDER is the current one by default. Rows are written one by one, so that what a stopped run has measured is kept,
# and a network that does not fit into the GPU's memory is a row with its error, which makes the exit code 1.
#
# Environment:
#   SECONDS_PER_NETWORK  about how long each of the networks is measured; by default 4. Starting comes on top
#   SECONDS_PER_EPOCH    how long steps of each configuration are taken; by default 2
#   MODELS, METHODS      instead of all; with commas between
#   DEVICE, BATCH        instead of cuda and 256, for a try without a GPU
#   CIFAR10_DIR          CIFAR-10 in binary form; by default images of its shape and number are made up. Nothing is
#                        downloaded
#
# It needs a Python with torch, $PYTHON or python3, and no network. If Python cannot import the packages below, put them
# into a folder on a machine with PyPI and the same Python, and name that folder in PYTHONPATH:
#
#   pip install --no-deps --target deps $(benchmarks/gpu_measurements.sh packages)
#   PYTHONPATH=deps benchmarks/gpu_measurements.sh results
set -eu

PACKAGES="absl-py annotated-doc annotated-types click lightning lightning-utilities numpy packaging protobuf pydantic pydantic-core
PyYAML rich ruamel.yaml safetensors shellingham tensorboard torchmetrics tqdm typer typing-extensions typing-inspection"

root=$(cd "$(dirname "$0")/.." && pwd)
case "${1:-}" in
packages) echo $PACKAGES; exit ;;
-*) sed -n '2,/^set/{/^set/d;s/^#\( \|$\)//;p;}' "$0" >&2; exit 2 ;;
esac
folder=${1:-.}
mkdir -p "$folder"
PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
methods=${METHODS:-plain,aoc,aol,bcop,cayley,cpl,lot,sll,soc}
failed=0

"$python" -m onelip bench measure --device "$device" --models "${MODELS:-convnet-xs,convnet-s,convnet-m,convnet-l}" \
    --methods "$methods" --batch "${BATCH:-256}" --seconds "${SECONDS_PER_NETWORK:-4}" --steps 50 \
    --out "$folder/measurements.csv" --format md || failed=$?

# Steps of the paper's training, with its batches and augmentation; the sizes are those of the models.
sizes=$(echo "${MODELS:-convnet-xs,convnet-s,convnet-m,convnet-l}" | sed 's/convnet-//g')
changes=
test "$device" != cpu || changes=trainer.accelerator=cpu
"$python" -m onelip bench budget --sizes "$sizes" --methods "$methods" --data cifar10 --hours 24 \
    --seconds "${SECONDS_PER_EPOCH:-2}" --steps 30 --out "$folder/budgets.yaml" $changes \
    ${BATCH:+"data.batch_size=$BATCH" "data.eval_batch_size=$BATCH"} ${CIFAR10_DIR:+"data.dir=$CIFAR10_DIR"} || failed=$?
exit $failed

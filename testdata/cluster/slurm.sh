#!/usr/bin/env bash
# Scrapes an index with an array job of Slurm, one task per shard, and merges the shards into the rankings.
#
#     bash slurm.sh          submit all shards, and the merge to run after them
#     bash slurm.sh 3,7      submit shards 3 and 7 again, and the merge to run after them
#     bash slurm.sh merge    merge now, without Slurm
#
# A task that is killed keeps its pages, and continues from them when it runs again. The merge runs once
# all tasks have ended, even if some failed. If a shard is missing, the merge names it in merge.log and
# writes no rankings: submit that shard again. `sbatch --array=3,7 slurm.sh` submits only the shards.

# Adapt these lines to your cluster; `sinfo` lists the partitions. A task needs about
# (companies + pages of the index * SHARDS) / RPS seconds.
#SBATCH --job-name=indexrank
##SBATCH --partition=NAME
#SBATCH --time=01:00:00
#SBATCH --cpus-per-task=1
#SBATCH --mem=256M
#SBATCH --requeue

# Adapt these settings too. For another run, or another number of shards, change FOLDER.
SHARDS=8
SOURCE=live                       # or http://HOST:PORT, a server that all nodes reach
INDEX='s&p_500'
RPS=4                             # requests per second of all tasks together
FOLDER=$HOME/indexrank/2022-01-31 # on a file system that all nodes share

set -euo pipefail

submit() { # the tasks $1, then the merge; both keep what earlier attempts logged
    mkdir -p "$FOLDER"
    tasks=$(sbatch --parsable --array="$1" --open-mode=append --output="$FOLDER/shard-%a.log" "$0")
    tasks=${tasks%%;*} # the name of the cluster may stand behind it
    merge=$(sbatch --parsable --dependency="afterany:$tasks" --open-mode=append \
        --output="$FOLDER/merge.log" "$0" merge)
    echo "shards $1: job $tasks, then the merge: job $merge, logs and results in $FOLDER"
}

run_shard() { # number $1; exec, so Slurm's SIGTERM at the time limit reaches the program
    exec indexrank -q --from "$SOURCE" --index "$INDEX" --shard "$1/$SHARDS" --rps "$RPS" \
        --resume --max-age 86400 --record "$FOLDER/shard-$1.warc.gz" --out "$FOLDER/shard-$1"
}

# The program refuses if a shard is missing, or has recorded another index than the others. On the live site,
# the figures of the index change until the exchange closes: run after that, or add --allow-missing here.
merge_shards() {
    from=()
    for ((k = 1; k <= SHARDS; k++)); do from+=(--from "$FOLDER/shard-$k.warc.gz"); done
    exec indexrank "${from[@]}" --index "$INDEX" --out "$FOLDER/rankings"
}

if [ "${SLURM_ARRAY_TASK_ID-}" ]; then
    run_shard "$SLURM_ARRAY_TASK_ID"
elif [ "${1-}" = merge ]; then
    merge_shards
else
    submit "${1:-1-$SHARDS}"
fi

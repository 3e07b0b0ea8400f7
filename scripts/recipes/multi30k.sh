#!/usr/bin/env bash
# Translators of Multi30k from start to end: teachers, their translations of the train sources and of further
# captions, and the students that learn from these. Results and times: docs/benchmarks.md.
#
#   scripts/recipes/multi30k.sh CORPUS CAPTIONS [FLAGS OF FIT ...]
#
# CORPUS    Multi30k, a folder or a hub id, with columns de and en
# CAPTIONS  a folder with de.txt and en.txt, a sentence per line, that are not translations of each other;
#           "" to do without: then only the models that need the corpus alone are trained
# DEVICE    environment variable: where translations are made and models measured; default: cpu
#
# On a GPU: DEVICE=cuda scripts/recipes/multi30k.sh CORPUS CAPTIONS --trainer.accelerator gpu
# Writes the folders runs/m30k_* and distilled/, captions_translated/ and captions_back_translated/, which are kept:
# what is there already is not made again, so an interrupted recipe goes on where it was.
set -euo pipefail
[ $# -ge 2 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
corpus=$1 captions=$2 device=${DEVICE:-cpu}
shift 2
conf=$(dirname "$0")/../../conf
flags=("$@")

model() { echo "runs/m30k_$1/latest/model"; }

train() { # NAME CONFIGURATION FLAGS...
    local name=$1 configuration=$2
    shift 2
    [ -d "$(model "$name")" ] || nlp-rnn fit --config "$conf/$configuration.yaml" --name "m30k_$name" \
        --data.corpus.path "$corpus" --data.batching.size 128 --model.optimization.lr 3e-3 "$@" "${flags[@]}"
}

translate() { # FOLDER VERB ARGUMENTS...
    local folder=$1
    shift
    [ -d "$folder" ] || nlp-rnn "$@" --device "$device" --batch-size 512 --output "$folder"
}

measure() { # NAME
    for split in validation test; do
        nlp-rnn evaluate "$(model "$1")" --data "$corpus" --split $split --beam 5 --device "$device" \
            --output "runs/m30k_$1/latest/$split"
    done
}

# The teachers: two with attention, one without.
train attention_0 translation_multi30k_attention --seed_everything 0 --trainer.max_epochs 16
train attention_1 translation_multi30k_attention --seed_everything 1 --trainer.max_epochs 16
train context translation_multi30k_context --trainer.max_epochs 16
teachers=("$(model attention_0)" --ensemble "$(model attention_1)" "$(model context)")
translate distilled distill "${teachers[@]}" --data "$corpus" --beam 5

# Students of the corpus alone. The first one is the plain model, which prints as Seq2Seq.
own=(--data.vocabulary.model "$(model attention_0)" --data.extra '[{path: distilled}]' --trainer.max_epochs 14)
train student translation_multi30k "${own[@]}"
train student_context translation_multi30k_context "${own[@]}"
students=(student student_context)

if [ -n "$captions" ]; then
    train backward translation_multi30k_attention --trainer.max_epochs 16 --data.source en --data.target de
    translate captions_translated distill "${teachers[@]}" --data "$captions/de.txt" --beam 3
    translate captions_back_translated augment --with "$(model backward)" --text "$captions/en.txt" --sample --top-k 10
    all=(
        --data.vocabulary.model "$(model attention_0)"
        --data.extra '[{path: distilled}, {path: captions_translated}, {path: captions_back_translated}]'
        --data.batching.size 256 --trainer.max_epochs 6
    )
    train student_captions translation_multi30k "${all[@]}"
    train student_captions_context translation_multi30k_context "${all[@]}"
    students+=(student_captions student_captions_context)
fi

for name in attention_0 context "${students[@]}"; do measure "$name"; done

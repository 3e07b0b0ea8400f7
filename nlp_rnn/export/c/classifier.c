/* ---- Classifier --------------------------------------------------------------------------------------- */

enum { NLP_OUTPUTS = NLP_DIRECTIONS * NLP_HIDDEN };

/* What the outputs of all steps so far become. */
typedef struct {
    float summary[NLP_SUMMARY];
    float largest, total; /* of attention: the largest score, and the sum of weights relative to its weight */
    int count;            /* outputs */
} nlp_pooled;

/* The state of a text that is read token by token. Its size is constant; nothing is allocated. */
typedef struct {
#if NLP_DIRECTIONS == 1
    nlp_recurrent layers;
#else
    nlp_sequence sequence;
#endif
    nlp_pooled pooled;
    float scores[NLP_LABELS];
} nlp_state;

void nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
}

/* Adds an output [NLP_OUTPUTS]. */
static void nlp_pool(nlp_pooled *pooled, const float *output)
{
    const int count = ++pooled->count;
    float *summary = pooled->summary;
#if NLP_POOLING == NLP_ATTENTION
    float score = 0;
    for (int i = 0; i < NLP_OUTPUTS; i++)
        score += nlp_query[i] * output[i];
    const float largest = count > 1 ? fmaxf(pooled->largest, score) : score;
    const float weight = expf(score - largest);
    const float kept = count > 1 ? expf(pooled->largest - largest) * pooled->total : 0;
    pooled->largest = largest;
    pooled->total = kept + weight;
#endif
    for (int i = 0; i < NLP_OUTPUTS; i++) {
#if NLP_POOLING == NLP_LAST
        summary[i] = output[i];
#elif NLP_POOLING == NLP_MEAN
        summary[i] += (output[i] - summary[i]) / (float)count;
#elif NLP_POOLING == NLP_MAX
        summary[i] = count > 1 ? fmaxf(summary[i], output[i]) : output[i];
#elif NLP_POOLING == NLP_CONCAT /* last, max and mean */
        float *highest = summary + NLP_OUTPUTS, *mean = summary + 2 * NLP_OUTPUTS;
        summary[i] = output[i];
        highest[i] = count > 1 ? fmaxf(highest[i], output[i]) : output[i];
        mean[i] += (output[i] - mean[i]) / (float)count;
#else
        summary[i] += (output[i] - summary[i]) * (weight / pooled->total);
#endif
    }
    (void)count; /* not all poolings need it */
}

#if NLP_DIRECTIONS == 1
/* Reads a token. Returns 1. */
int nlp_read(nlp_state *state, int32_t token)
{
    float vector[NLP_INPUT];
    nlp_embed(&nlp_embedding, token, vector);
    nlp_pool(&state->pooled, nlp_advance(nlp_layers, vector, &state->layers));
    return 1;
}

static const float *nlp_summary(nlp_state *state)
{
    return state->pooled.summary;
}
#else
/* Reads a token. Returns 0, and reads nothing, where the text is longer than the model reads. */
int nlp_read(nlp_state *state, int32_t token)
{
    if (state->sequence.count == NLP_MAX_LENGTH)
        return 0;
    nlp_embed(&nlp_embedding, token, state->sequence.features[state->sequence.count++]);
    return 1;
}

static const float *nlp_summary(nlp_state *state)
{
    nlp_run(nlp_layers, &state->sequence);
    memset(&state->pooled, 0, sizeof state->pooled);
    for (int step = 0; step < state->sequence.count; step++)
        nlp_pool(&state->pooled, state->sequence.outputs[step]);
#if NLP_POOLING == NLP_LAST || NLP_POOLING == NLP_CONCAT
    if (state->sequence.count) /* where each direction ends; backwards that is the first place */
        memcpy(state->pooled.summary + NLP_HIDDEN, state->sequence.outputs[0] + NLP_HIDDEN,
               NLP_HIDDEN * sizeof(float));
#endif
    return state->pooled.summary;
}
#endif

/* The scores [NLP_LABELS] of what was read so far: logits, divided by the temperature of the model. */
const float *nlp_scores(nlp_state *state)
{
    nlp_multiply(&nlp_output, nlp_summary(state), state->scores);
    for (int label = 0; label < NLP_LABELS; label++)
        state->scores[label] /= NLP_TEMPERATURE;
    return state->scores;
}

/* The probabilities [NLP_LABELS] of scores: they sum to 1, or are each label's own if there may be several. */
void nlp_probabilities(const float *scores, float *probabilities)
{
#if NLP_SEVERAL
    for (int label = 0; label < NLP_LABELS; label++)
        probabilities[label] = 1 / (1 + expf(-scores[label]));
#else
    nlp_softmax(scores, probabilities, NLP_LABELS);
#endif
}

#ifdef NLP_MAIN
static nlp_state nlp_only;

static void nlp_print_labels(const float *probabilities)
{
#if NLP_SEVERAL
    const char *separator = "";
    for (int label = 0; label < NLP_LABELS; label++)
        if (probabilities[label] >= nlp_thresholds[label]) {
            nlp_print(separator);
            nlp_print(nlp_labels[label]);
            separator = NLP_SEPARATOR;
        }
#else
    int best = nlp_best(probabilities, NLP_LABELS);
    nlp_print(probabilities[best] >= NLP_UNSURE_BELOW ? nlp_labels[best] : "unsure");
#endif
}

int main(int count, char **arguments)
{
    const int print_scores = count > 1 && strcmp(arguments[1], "--scores") == 0;
    char *line;
    while ((line = nlp_line())) {
        float probabilities[NLP_LABELS];
        nlp_text text = nlp_text_of(line);
        int32_t token;
        int tokens = 0;
        nlp_start(&nlp_only);
        while (!nlp_is_blank(line) && tokens < NLP_MAX_LENGTH && (token = nlp_next_token(&text)) >= 0)
            tokens += nlp_read(&nlp_only, token);
        nlp_probabilities(nlp_scores(&nlp_only), probabilities);
        if (print_scores)
            nlp_print_scores(probabilities, NLP_LABELS);
        else {
            if (tokens)
                nlp_print_labels(probabilities);
            putchar('\n');
        }
    }
    return 0;
}
#endif

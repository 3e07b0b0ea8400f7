/* ---- Classifier --------------------------------------------------------------------------------------- */

/* The state of a text that is read token by token. Its size is constant; nothing is allocated. */
typedef struct {
#if NLP_DIRECTIONS == 1
    nlp_recurrent layers;
    float pooled[NLP_HIDDEN];
    int count; /* tokens read */
#else
    nlp_sequence sequence;
#endif
    float scores[NLP_LABELS];
} nlp_state;

void nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
}

#if NLP_DIRECTIONS == 1
/* Reads a token. Returns 1. */
int nlp_read(nlp_state *state, int32_t token)
{
    float vector[NLP_INPUT];
    nlp_embed(&nlp_embedding, token, vector);
    const float *output = nlp_advance(nlp_layers, vector, &state->layers);
    state->count++;
    for (int i = 0; i < NLP_HIDDEN; i++) {
#if NLP_POOLING == NLP_LAST
        state->pooled[i] = output[i];
#elif NLP_POOLING == NLP_MEAN
        state->pooled[i] += (output[i] - state->pooled[i]) / (float)state->count;
#else
        state->pooled[i] = state->count > 1 ? fmaxf(state->pooled[i], output[i]) : output[i];
#endif
    }
    return 1;
}

static const float *nlp_summary(nlp_state *state)
{
    return state->pooled;
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

/* Returns the pooled outputs, in the place of the first. */
static const float *nlp_summary(nlp_state *state)
{
    nlp_run(nlp_layers, &state->sequence);
    float (*outputs)[NLP_WIDTH] = state->sequence.outputs;
    const int count = state->sequence.count;
    if (!count)
        memset(outputs[0], 0, sizeof outputs[0]);
#if NLP_POOLING == NLP_LAST
    if (count) /* where each direction ends; backwards that is the first place */
        memcpy(outputs[0], outputs[count - 1], NLP_HIDDEN * sizeof(float));
#else
    for (int step = 1; step < count; step++)
        for (int i = 0; i < 2 * NLP_HIDDEN; i++)
#if NLP_POOLING == NLP_MEAN
            outputs[0][i] += outputs[step][i];
    for (int i = 0; count && i < 2 * NLP_HIDDEN; i++)
        outputs[0][i] /= (float)count;
#else
            outputs[0][i] = fmaxf(outputs[0][i], outputs[step][i]);
#endif
#endif
    return outputs[0];
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

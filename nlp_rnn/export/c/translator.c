/* ---- Translator --------------------------------------------------------------------------------------- */

/* The state of a translation. Its size is constant; nothing is allocated. */
typedef struct {
    nlp_recurrent layers;
    float scores[NLP_TOKENS_ALL];
    int32_t source[NLP_MAX_LENGTH];
    int count;
#if NLP_ENCODER_DIRECTIONS == 2
    float inputs[NLP_MAX_LENGTH][NLP_WIDTH];
    float outputs[NLP_MAX_LENGTH][NLP_WIDTH]; /* of a layer: forwards, then backwards */
#endif
} nlp_state;

void nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
}

/* Reads a token of the source. Returns 0, and reads nothing, where it is longer than the model reads. */
int nlp_read(nlp_state *state, int32_t token)
{
    if (state->count == NLP_MAX_LENGTH)
        return 0;
    state->source[state->count++] = token;
    return 1;
}

/* The embedding of what stands at a place of the source, in the order in which the model reads it. */
static void nlp_embed_source(const nlp_state *state, int place, float *output)
{
    nlp_embed(&nlp_source_embedding, state->source[NLP_REVERSED ? state->count - 1 - place : place], output);
}

/* Reads the source: the state of the layers becomes the encoder's final one. */
static void nlp_encode(nlp_state *state)
{
    memset(&state->layers, 0, sizeof state->layers);
#if NLP_ENCODER_DIRECTIONS == 1
    float vector[NLP_INPUT];
    for (int i = 0; i < state->count; i++) {
        nlp_embed_source(state, i, vector);
        nlp_advance(nlp_encoder, vector, &state->layers);
    }
#else
    for (int i = 0; i < state->count; i++)
        nlp_embed_source(state, i, state->inputs[i]);
    for (int layer = 0; layer < NLP_LAYERS; layer++) {
        for (int backwards = 0; backwards < 2; backwards++) { /* each has one half of the state */
            const int half = NLP_HIDDEN / 2, start = backwards * half;
            float *hidden = state->layers.hidden[layer] + start, *cell = state->layers.cell[layer] + start;
            for (int step = 0; step < state->count; step++) {
                int place = backwards ? state->count - 1 - step : step;
                nlp_step(&nlp_encoder[2 * layer + backwards], state->inputs[place], hidden, cell);
                memcpy(state->outputs[place] + start, hidden, (size_t)half * sizeof *hidden);
            }
        }
        memcpy(state->inputs, state->outputs, (size_t)state->count * sizeof *state->outputs);
    }
#endif
}

/* Translates what was read, always by the most probable next token. Writes at most NLP_MAX_OUTPUT ids, which
 * nlp_tokens names, and returns their number. */
int nlp_translate(nlp_state *state, int32_t *written)
{
    float vector[NLP_INPUT];
    int32_t token = NLP_BOS;
    int count = 0;
    nlp_encode(state);
    while (state->count && count < NLP_MAX_OUTPUT) {
        nlp_embed(&nlp_embedding, token, vector);
        nlp_multiply(&nlp_output, nlp_advance(nlp_layers, vector, &state->layers), state->scores);
        token = NLP_EOS;
        for (int32_t id = NLP_EOS + 1; id < NLP_TOKENS_ALL; id++)
            if (!(NLP_IS_NEVER_WRITTEN(id)) && state->scores[id] > state->scores[token])
                token = id;
        if (token == NLP_EOS)
            break;
        written[count++] = token;
    }
    for (int i = 0; NLP_WRITES_REVERSED && i < count / 2; i++) { /* the first id that is written reads last */
        int32_t last = written[count - 1 - i];
        written[count - 1 - i] = written[i];
        written[i] = last;
    }
    return count;
}

#ifdef NLP_MAIN
static nlp_state nlp_only;

int main(void)
{
    static int32_t written[NLP_MAX_OUTPUT];
    char *line;
    while ((line = nlp_line())) {
        nlp_text text = nlp_text_of(line);
        int32_t token;
        nlp_start(&nlp_only);
        while (!nlp_is_blank(line) && (token = nlp_next_token(&text)) >= 0 && nlp_read(&nlp_only, token))
            ;
        nlp_print_text(written, nlp_translate(&nlp_only, written));
    }
    return 0;
}
#endif

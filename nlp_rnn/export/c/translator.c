/* ---- Translator --------------------------------------------------------------------------------------- */

/* The state of a translation. Its size is constant; nothing is allocated. */
typedef struct {
    nlp_recurrent layers;
    float scores[NLP_TOKENS_ALL];
    int32_t source[NLP_MAX_LENGTH];
    int count;
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

/* Translates what was read, always by the most probable next token. Writes at most NLP_MAX_OUTPUT ids, which
 * nlp_tokens names, and returns their number. */
int nlp_translate(nlp_state *state, int32_t *written)
{
    float vector[NLP_INPUT];
    int32_t token = NLP_BOS;
    int count = 0;
    memset(&state->layers, 0, sizeof state->layers);
    for (int i = 0; i < state->count; i++) {
        nlp_embed(&nlp_source_embedding, state->source[NLP_REVERSED ? state->count - 1 - i : i], vector);
        nlp_advance(nlp_encoder, vector, &state->layers);
    }
    while (state->count && count < NLP_MAX_OUTPUT) {
        nlp_embed(&nlp_embedding, token, vector);
        nlp_multiply(&nlp_output, nlp_advance(nlp_layers, vector, &state->layers), state->scores);
        token = NLP_EOS;
        for (int32_t id = NLP_EOS + 1; id < NLP_TOKENS_ALL; id++)
            if (state->scores[id] > state->scores[token])
                token = id;
        if (token == NLP_EOS)
            break;
        written[count++] = token;
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

/* ---- Language model ----------------------------------------------------------------------------------- */

/* The state of a text that is read token by token. Its size is constant; nothing is allocated. */
typedef struct {
    nlp_recurrent layers;
    float scores[NLP_TOKENS_ALL];
} nlp_state;

/* Reads a token, and returns the scores [NLP_TOKENS_ALL] of the token that follows: logits. */
const float *nlp_read(nlp_state *state, int32_t token)
{
    float vector[NLP_INPUT];
    nlp_embed(&nlp_embedding, token, vector);
    nlp_multiply(&nlp_output, nlp_advance(nlp_layers, vector, &state->layers), state->scores);
    return state->scores;
}

/* Begins a text; returns the scores of its first token. */
const float *nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
    return nlp_read(state, NLP_BOS);
}

/* The most probable token that can be written: NLP_EOS, or one that nlp_tokens names. */
int32_t nlp_next(const float *scores)
{
    int32_t best = NLP_EOS;
    for (int32_t id = NLP_EOS + 1; id < NLP_TOKENS_ALL; id++)
        if (scores[id] > scores[best])
            best = id;
    return best;
}

#ifdef NLP_MAIN
static nlp_state nlp_only;

int main(int count, char **arguments)
{
    static int32_t prompt[NLP_MAX_LENGTH], written[NLP_MAX_OUTPUT];
    const int print_scores = count > 1 && strcmp(arguments[1], "--scores") == 0;
    char *line;
    while ((line = nlp_line())) {
        nlp_text text = nlp_text_of(line);
        int32_t token;
        const float *scores = nlp_start(&nlp_only);
        size_t read = 0; /* the last tokens of a long prompt are kept */
        while ((token = nlp_next_token(&text)) >= 0)
            prompt[read++ % NLP_MAX_LENGTH] = token;
        for (size_t i = read > NLP_MAX_LENGTH ? read - NLP_MAX_LENGTH : 0; i < read; i++)
            scores = nlp_read(&nlp_only, prompt[i % NLP_MAX_LENGTH]);
        if (print_scores)
            nlp_print_scores(scores, NLP_TOKENS_ALL);
        else {
            int length = 0;
            while (length < NLP_MAX_OUTPUT && (token = nlp_next(scores)) != NLP_EOS) {
                written[length++] = token;
                scores = nlp_read(&nlp_only, token);
            }
            nlp_print_text(written, length);
        }
    }
    return 0;
}
#endif

/* ---- Series ------------------------------------------------------------------------------------------- */

/* The state of a series that is read step by step. Its size is constant; nothing is allocated. */
typedef struct {
#if NLP_DIRECTIONS == 1
    nlp_recurrent layers;
#else
    nlp_sequence sequence;
#endif
    float scores[NLP_STEPS][NLP_LABELS];
} nlp_state;

void nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
}

static void nlp_scale(const double *values, float *features)
{
    for (int i = 0; i < NLP_INPUT; i++)
        features[i] = (float)((values[i] - nlp_means[i]) / nlp_deviations[i]);
}

#if NLP_DIRECTIONS == 1
/* Reads the NLP_INPUT values of a step, as they were measured; returns the outputs [NLP_LABELS] so far: the
 * scores of the step's labels, or the values that follow. */
const float *nlp_read(nlp_state *state, const double *values)
{
    float features[NLP_INPUT];
    nlp_scale(values, features);
    nlp_multiply(&nlp_output, nlp_advance(nlp_layers, features, &state->layers), state->scores[0]);
#if NLP_FORECASTS
    for (int i = 0; i < NLP_LABELS; i++)
        state->scores[0][i] = (float)((double)state->scores[0][i] * nlp_target_deviations[i] + nlp_target_means[i]);
#endif
    return state->scores[0];
}
#else
/* Reads a step. Returns 0, and reads nothing, where the series is longer than NLP_MAX_LENGTH. */
int nlp_read(nlp_state *state, const double *values)
{
    if (state->sequence.count == NLP_MAX_LENGTH)
        return 0;
    nlp_scale(values, state->sequence.features[state->sequence.count++]);
    return 1;
}

/* The scores [steps][NLP_LABELS] of the labels of all steps. */
float (*nlp_scores(nlp_state *state))[NLP_LABELS]
{
    nlp_run(nlp_layers, &state->sequence);
    for (int step = 0; step < state->sequence.count; step++)
        nlp_multiply(&nlp_output, state->sequence.outputs[step], state->scores[step]);
    return state->scores;
}
#endif

#ifdef NLP_MAIN
static nlp_state nlp_only;

/* Reads a step per line, its values with spaces or commas between them; a blank line begins a new series. */
int main(void)
{
    char *line;
    nlp_start(&nlp_only);
    for (int more = 1; more;) {
        double values[NLP_INPUT];
        int count = 0;
        char *at = line = nlp_line(), *end;
        more = line != NULL;
        for (; more && count < NLP_INPUT; count++, at = end) {
            at += strspn(at, " ,\t");
            values[count] = strtod(at, &end);
            if (end == at)
                break;
        }
        if (count == NLP_INPUT) {
#if NLP_DIRECTIONS == 1
            nlp_print_scores(nlp_read(&nlp_only, values), NLP_LABELS);
#else
            if (!nlp_read(&nlp_only, values)) {
                fprintf(stderr, "longer than the %d steps that are read: set -DNLP_MAX_LENGTH\n", NLP_MAX_LENGTH);
                return 1;
            }
#endif
            continue;
        }
#if NLP_DIRECTIONS == 2
        float (*scores)[NLP_LABELS] = nlp_scores(&nlp_only);
        for (int step = 0; step < nlp_only.sequence.count; step++)
            nlp_print_scores(scores[step], NLP_LABELS);
#endif
        if (more)
            putchar('\n');
        nlp_start(&nlp_only);
    }
    return 0;
}
#endif

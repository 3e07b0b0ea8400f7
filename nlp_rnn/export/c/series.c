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

/* The values of a step, with spaces or commas between them: whether there are as many as the model reads, all
 * of them finite, also as it scales them. */
static int nlp_values(const char *line, double *values)
{
    char *end;
    for (int i = 0; i < NLP_INPUT; i++, line = end) {
        line += strspn(line, " ,\t");
        values[i] = strtod(line, &end);
        if (end == line || !(fabs(values[i]) <= DBL_MAX) ||
            !(fabs((values[i] - nlp_means[i]) / nlp_deviations[i]) <= FLT_MAX))
            return 0;
    }
    return !line[strspn(line, " ,\t")];
}

/* Reads a step per line; a blank line begins a new series. */
int main(void)
{
    nlp_start(&nlp_only);
    for (int more = 1, number = 1; more; number++) {
        double values[NLP_INPUT];
        char *line = nlp_line();
        more = line != NULL;
        if (more && line[strspn(line, " \t")]) {
            if (!nlp_values(line, values)) {
                fprintf(stderr, "line %d: not %d finite number(s)\n", number, NLP_INPUT);
                return 1;
            }
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

/* ---- Layers ------------------------------------------------------------------------------------------- */

/* A matrix and a bias [rows]. Weights are stored column by column, so that a compiler computes many rows at
 * once; those of an embedding row by row. Of 8-bit weights each row has a scale. */
typedef struct {
    const nlp_weight *weights;
    const float *scales;
    const float *bias;
    int rows, columns;
} nlp_matrix;

/* One layer in one direction: its weights for the input and, but for the minimal cells, for the state. */
typedef struct {
    nlp_matrix input, hidden;
} nlp_layer;

static void nlp_multiply(const nlp_matrix *matrix, const float *restrict input, float *restrict output)
{
    const int rows = matrix->rows;
    const nlp_weight *weights = matrix->weights;
    for (int row = 0; row < rows; row++)
        output[row] = 0;
    for (int column = 0; column < matrix->columns; column++, weights += rows) {
        const float value = input[column];
        for (int row = 0; row < rows; row++)
            output[row] += (float)weights[row] * value;
    }
    for (int row = 0; matrix->scales && row < rows; row++)
        output[row] *= matrix->scales[row];
    for (int row = 0; matrix->bias && row < rows; row++)
        output[row] += matrix->bias[row];
}

#if NLP_EMBEDS
/* Row `id` of an embedding. */
static void nlp_embed(const nlp_matrix *embedding, int32_t id, float *output)
{
    if (id < 0 || id >= embedding->rows)
        id = NLP_UNKNOWN;
    const nlp_weight *weights = embedding->weights + (size_t)id * (size_t)embedding->columns;
    float scale = embedding->scales ? embedding->scales[id] : 1;
    for (int column = 0; column < embedding->columns; column++)
        output[column] = (float)weights[column] * scale;
}
#endif

#if NLP_CELL != NLP_RNN
static float nlp_sigmoid(float x)
{
    return x >= 0 ? 1 / (1 + expf(-x)) : expf(x) / (1 + expf(x));
}
#endif

/* One step of a layer: reads `input`, and replaces the state, `hidden` [size] and the LSTM's `cell` [size]. */
static void nlp_step(const nlp_layer *layer, const float *input, float *hidden, float *cell)
{
    float gates[NLP_GATES * NLP_MAX_HIDDEN];
    const int size = layer->input.rows / NLP_GATES;
    nlp_multiply(&layer->input, input, gates);
#if NLP_CELL == NLP_MINGRU
    for (int i = 0; i < size; i++)
        hidden[i] += nlp_sigmoid(gates[i]) * (gates[size + i] - hidden[i]);
#elif NLP_CELL == NLP_MINLSTM
    for (int i = 0; i < size; i++) { /* i / (f + i), from logarithms, which do not underflow */
        float a = gates[i], b = gates[size + i];
        float log_input = fminf(a, 0) - log1pf(expf(-fabsf(a)));
        float log_forget = fminf(b, 0) - log1pf(expf(-fabsf(b)));
        hidden[i] += nlp_sigmoid(log_input - log_forget) * (gates[2 * size + i] - hidden[i]);
    }
#else
    float recurrent[NLP_GATES * NLP_MAX_HIDDEN];
    nlp_multiply(&layer->hidden, hidden, recurrent);
    for (int i = 0; i < size; i++) {
#if NLP_CELL == NLP_RNN
        hidden[i] = tanhf(gates[i] + recurrent[i]);
#elif NLP_CELL == NLP_GRU
        float reset = nlp_sigmoid(gates[i] + recurrent[i]);
        float update = nlp_sigmoid(gates[size + i] + recurrent[size + i]);
        float candidate = tanhf(gates[2 * size + i] + reset * recurrent[2 * size + i]);
        hidden[i] = (1 - update) * candidate + update * hidden[i];
#else
        float in = nlp_sigmoid(gates[i] + recurrent[i]);
        float forget = nlp_sigmoid(gates[size + i] + recurrent[size + i]);
        float candidate = tanhf(gates[2 * size + i] + recurrent[2 * size + i]);
        float out = nlp_sigmoid(gates[3 * size + i] + recurrent[3 * size + i]);
        cell[i] = forget * cell[i] + in * candidate;
        hidden[i] = out * tanhf(cell[i]);
#endif
    }
#endif
    (void)cell;
}

#if NLP_DIRECTIONS == 1
/* The state of layers that read forwards, one step at a time. */
typedef struct {
    float hidden[NLP_LAYERS][NLP_HIDDEN];
    float cell[NLP_LAYERS][NLP_HIDDEN];
} nlp_recurrent;

/* Reads one input; the output is the last layer's `hidden`. */
static const float *nlp_advance(const nlp_layer *layers, const float *input, nlp_recurrent *state)
{
    for (int layer = 0; layer < NLP_LAYERS; layer++) {
        nlp_step(&layers[layer], input, state->hidden[layer], state->cell[layer]);
        input = state->hidden[layer];
    }
    return input;
}
#else
/* A sequence that is read in both directions. */
typedef struct {
    float features[NLP_MAX_LENGTH][NLP_INPUT];
    float inputs[NLP_MAX_LENGTH][NLP_WIDTH];
    float outputs[NLP_MAX_LENGTH][NLP_WIDTH]; /* of the last layer: forwards, then backwards */
    int count;
} nlp_sequence;

/* Runs all layers over the features. */
static void nlp_run(const nlp_layer *layers, nlp_sequence *sequence)
{
    for (int step = 0; step < sequence->count; step++)
        memcpy(sequence->inputs[step], sequence->features[step], sizeof *sequence->features);
    for (int layer = 0; layer < NLP_LAYERS; layer++) {
        if (layer)
            memcpy(sequence->inputs, sequence->outputs, (size_t)sequence->count * sizeof *sequence->outputs);
        for (int backwards = 0; backwards < 2; backwards++) {
            float hidden[NLP_HIDDEN] = {0}, cell[NLP_HIDDEN] = {0};
            for (int step = 0; step < sequence->count; step++) {
                int place = backwards ? sequence->count - 1 - step : step;
                nlp_step(&layers[2 * layer + backwards], sequence->inputs[place], hidden, cell);
                memcpy(sequence->outputs[place] + backwards * NLP_HIDDEN, hidden, sizeof hidden);
            }
        }
    }
}
#endif

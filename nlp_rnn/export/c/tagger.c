/* ---- Tagger ------------------------------------------------------------------------------------------- */

/* A word as the model reads it. */
typedef struct {
    int32_t id;
#if NLP_CHARACTERS
    int32_t characters[NLP_MAX_CHARACTERS];
    int count;
#endif
#if NLP_AFFIXES
    int32_t affixes[NLP_AFFIXES];
#endif
} nlp_word;

#if NLP_AFFIXES
/* The first and the last letters of a word. */
typedef struct {
    uint32_t first[NLP_MAX_AFFIX], last[NLP_MAX_AFFIX];
    int count;
} nlp_ends;

static void nlp_append_letter(nlp_ends *ends, uint32_t code)
{
    if (ends->count < NLP_MAX_AFFIX)
        ends->first[ends->count] = code;
    ends->last[ends->count++ % NLP_MAX_AFFIX] = code;
}

/* The affix at a place of nlp_affix_sizes as an id, by the hash FNV-1a over UTF-8. */
static int32_t nlp_affix(const nlp_ends *ends, int place)
{
    const int size = nlp_affix_sizes[place], letters = size < 0 ? -size : size;
    const int length = letters < ends->count ? letters : ends->count;
    uint32_t hash = 0x811C9DC5;
    for (int i = 0; i < length; i++) {
        nlp_token letter = {"", 0, 0};
        nlp_append_code(&letter, size > 0 ? ends->first[i] : ends->last[(ends->count - length + i) % NLP_MAX_AFFIX]);
        for (int byte = 0; byte < letter.length; byte++)
            hash = (hash ^ (unsigned char)letter.bytes[byte]) * 0x01000193;
    }
    return (int32_t)(place * NLP_AFFIX_BUCKETS + (int32_t)(hash % NLP_AFFIX_BUCKETS));
}
#endif

/* Cuts the next word off a text; words have white space between them. Returns 0 at the end of the text. */
int nlp_next_word(nlp_text *text, nlp_word *word)
{
    nlp_token token = {"", 0, 0};
    uint32_t code;
    int length;
    memset(word, 0, sizeof *word);
#if NLP_AFFIXES
    nlp_ends ends = {{0}, {0}, 0};
    int letters = 0;
#endif
#if NLP_CHARACTERS
    const char *read = text->at; /* the end of the characters that were read */
#endif
    while (*text->at && (length = nlp_decode(text->at, &code), NLP_IN(nlp_blank, code)))
        text->at += length;
    if (!*text->at)
        return 0;
    while (*text->at && (length = nlp_decode(text->at, &code), !NLP_IN(nlp_blank, code))) {
        uint32_t second, first = nlp_lower(code, &second);
        nlp_append_code(&token, first);
        if (second)
            nlp_append_code(&token, second);
#if NLP_AFFIXES
        if (letters++ < NLP_MAX_WORD) {
            nlp_append_letter(&ends, first);
            if (second)
                nlp_append_letter(&ends, second);
        }
#endif
#if NLP_CHARACTERS
        if (word->count < NLP_MAX_CHARACTERS && text->at >= read) {
            nlp_token character = {"", 0, 0};
            read = text->at + length;
#if NLP_CHARACTER_BREAKS /* the tag of HTML is read as a space */
            if (strncmp(text->at, "<br>", 4) == 0 || strncmp(text->at, "<br/>", 5) == 0) {
                read = strchr(text->at, '>') + 1;
                code = ' ';
            }
#endif
            nlp_append_code(&character, code);
            word->characters[word->count++] = nlp_find(nlp_character_table, NLP_CHARACTERS, &character);
        }
#endif
        text->at += length;
    }
    word->id = nlp_find(nlp_table, NLP_TOKENS, &token);
#if NLP_AFFIXES
    for (int place = 0; place < NLP_AFFIXES; place++)
        word->affixes[place] = nlp_affix(&ends, place);
#endif
    return 1;
}

/* The state of a sentence that is read word by word. Its size is constant; nothing is allocated. */
typedef struct {
#if NLP_DIRECTIONS == 1
    nlp_recurrent layers;
#else
    nlp_sequence sequence;
#endif
    float scores[NLP_STEPS][NLP_LABELS];
#if NLP_CHAIN
    short origins[NLP_STEPS][NLP_LABELS];
#endif
} nlp_state;

void nlp_start(nlp_state *state)
{
    memset(state, 0, sizeof *state);
}

static void nlp_features(const nlp_word *word, float *features)
{
    nlp_embed(&nlp_embedding, word->id, features);
#if NLP_AFFIXES
    for (int place = 0; place < NLP_AFFIXES; place++) {
        float affix[NLP_WORD_INPUT];
        nlp_embed(&nlp_affix_embedding, word->affixes[place], affix);
        for (int i = 0; i < NLP_WORD_INPUT; i++)
            features[i] += affix[i];
    }
#endif
#if NLP_CHARACTERS
    float vector[NLP_CHARACTER_INPUT];
    for (int backwards = 0; backwards < 2; backwards++) {
        float hidden[NLP_CHARACTER_HIDDEN] = {0}, cell[NLP_CHARACTER_HIDDEN] = {0};
        for (int step = 0; step < word->count; step++) {
            nlp_embed(&nlp_character_embedding, word->characters[backwards ? word->count - 1 - step : step], vector);
            nlp_step(&nlp_character_layers[backwards], vector, hidden, cell);
        }
        memcpy(features + NLP_INPUT - (2 - backwards) * NLP_CHARACTER_HIDDEN, hidden, sizeof hidden);
    }
#endif
}

#if NLP_DIRECTIONS == 1
/* Reads a word, and returns the scores [NLP_LABELS] of its tags. */
const float *nlp_read(nlp_state *state, const nlp_word *word)
{
    float features[NLP_INPUT];
    nlp_features(word, features);
    nlp_multiply(&nlp_output, nlp_advance(nlp_layers, features, &state->layers), state->scores[0]);
    return state->scores[0];
}
#else
/* Reads a word. Returns 0, and reads nothing, where the sentence is longer than the model reads. */
int nlp_read(nlp_state *state, const nlp_word *word)
{
    if (state->sequence.count == NLP_MAX_LENGTH)
        return 0;
    nlp_features(word, state->sequence.features[state->sequence.count++]);
    return 1;
}

/* The scores [words][NLP_LABELS] of the tags of all words. */
float (*nlp_scores(nlp_state *state))[NLP_LABELS]
{
    nlp_run(nlp_layers, &state->sequence);
    for (int step = 0; step < state->sequence.count; step++)
        nlp_multiply(&nlp_output, state->sequence.outputs[step], state->scores[step]);
    return state->scores;
}

/* The best tag of each word, as its number in nlp_labels; returns the number of words. */
int nlp_tags(nlp_state *state, int *tags)
{
    const int count = state->sequence.count;
    float (*scores)[NLP_LABELS] = nlp_scores(state);
    for (int step = 0; step < count; step++) {
#if NLP_CHAIN /* the best sequence as a whole (Viterbi 1967): scores become those of the best way to each tag */
        for (int tag = 0; tag < NLP_LABELS; tag++) {
            float best = step ? -INFINITY : nlp_chain_start[tag];
            for (int before = 0; step && before < NLP_LABELS; before++) {
                float way = scores[step - 1][before] + nlp_chain_transitions[before * NLP_LABELS + tag];
                if (way > best) {
                    best = way;
                    state->origins[step][tag] = (short)before;
                }
            }
            scores[step][tag] += best;
        }
    }
    for (int tag = 0; count && tag < NLP_LABELS; tag++)
        scores[count - 1][tag] += nlp_chain_end[tag];
    for (int step = count - 1; step >= 0; step--)
        tags[step] = step == count - 1 ? nlp_best(scores[step], NLP_LABELS) : state->origins[step + 1][tags[step + 1]];
#else
        tags[step] = nlp_best(scores[step], NLP_LABELS);
    }
#endif
    return count;
}
#endif

#ifdef NLP_MAIN
static nlp_state nlp_only;
static nlp_text nlp_places[NLP_MAX_LENGTH + 1];

int main(int count, char **arguments)
{
    const int print_scores = count > 1 && strcmp(arguments[1], "--scores") == 0;
    static int tags[NLP_MAX_LENGTH];
    char *line;
    while ((line = nlp_line())) {
        nlp_text text = nlp_text_of(line);
        nlp_word word;
        int words = 0;
        nlp_start(&nlp_only);
        for (nlp_places[0] = text; words < NLP_MAX_LENGTH && nlp_next_word(&text, &word); nlp_places[++words] = text) {
#if NLP_DIRECTIONS == 1
            const float *scores = nlp_read(&nlp_only, &word);
            tags[words] = nlp_best(scores, NLP_LABELS);
            if (print_scores)
                nlp_print_scores(scores, NLP_LABELS);
#else
            nlp_read(&nlp_only, &word);
#endif
        }
#if NLP_DIRECTIONS == 2
        float (*scores)[NLP_LABELS] = print_scores ? nlp_scores(&nlp_only) : NULL;
        for (int step = 0; print_scores && step < words; step++)
            nlp_print_scores(scores[step], NLP_LABELS);
        nlp_tags(&nlp_only, tags);
#endif
        for (int step = 0; !print_scores && step < words; step++) {
            const char *word = nlp_places[step].at;
            uint32_t code;
            for (int length; length = nlp_decode(word, &code), NLP_IN(nlp_blank, code); word += length)
                ;
            printf("%s%.*s/", step ? " " : "", (int)(nlp_places[step + 1].at - word), word);
            nlp_print(nlp_labels[tags[step]]);
        }
        putchar('\n');
    }
    return 0;
}
#endif

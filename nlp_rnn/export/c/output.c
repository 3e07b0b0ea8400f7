/* ---- Scores ------------------------------------------------------------------------------------------- */

/* The place of the largest of `count` values; the first of several. */
int nlp_best(const float *values, int count)
{
    int best = 0;
    for (int i = 1; i < count; i++)
        if (values[i] > values[best])
            best = i;
    return best;
}

/* Probabilities that sum to 1. */
void nlp_softmax(const float *scores, float *probabilities, int count)
{
    float largest = scores[nlp_best(scores, count)], sum = 0;
    for (int i = 0; i < count; i++)
        sum += probabilities[i] = expf(scores[i] - largest);
    for (int i = 0; i < count; i++)
        probabilities[i] /= sum;
}

#ifdef NLP_MAIN /* a program that answers each line of standard input */
#include <stdio.h>
#include <stdlib.h>

/* The next line of standard input without its end, of which the first 64 KiB are kept; NULL at the end. */
static char *nlp_line(void)
{
    static char line[65536];
    size_t length = 0;
    int byte;
    while ((byte = getchar()) != EOF && byte != '\n')
        if (byte && length < sizeof line - 1)
            line[length++] = (char)byte;
    line[length] = 0;
    return byte == EOF && !length ? NULL : line;
}

/* Prints numbers with tabs between them, on a line. */
void nlp_print_scores(const float *scores, int count)
{
    for (int i = 0; i < count; i++)
        printf("%s%.9g", i ? "\t" : "", (double)scores[i]);
    putchar('\n');
}
#endif

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

/* The next line of standard input without its end, nor a byte order mark at the beginning; NULL at the end. A
 * NUL, which would end the text, becomes another character that no vocabulary has. */
static char *nlp_line(void)
{
    static char line[1 << 20];
    static int number;
    size_t length = 0;
    int byte;
    while ((byte = getchar()) != EOF && byte != '\n') {
        if (length == sizeof line - 1) {
            fputs("a line is longer than 1 MiB: split it\n", stderr);
            exit(1);
        }
        line[length++] = (char)(byte ? byte : 1);
    }
    if (byte == EOF && !length)
        return NULL;
    length -= length && line[length - 1] == '\r';
    line[length] = 0;
    return line + (number++ == 0 && strncmp(line, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0);
}

/* Prints a text, its line breaks as spaces. */
void nlp_print(const char *text)
{
    for (; *text; text++)
        putchar(*text == '\n' ? ' ' : *text);
}

/* Prints numbers with tabs between them, on a line. */
void nlp_print_scores(const float *scores, int count)
{
    for (int i = 0; i < count; i++)
        printf("%s%.9g", i ? "\t" : "", (double)scores[i]);
    putchar('\n');
}

#ifdef NLP_SPACE
/* Prints tokens as text, on a line. */
static void nlp_print_text(const int32_t *ids, int count)
{
    for (int i = 0, after = 1; i < count; i++) { /* no space before, or after, these signs */
        const char *word = nlp_tokens[ids[i]];
        const int sign = !word[1];
        nlp_print(after || (sign && strchr(".,!?;:)]", *word)) ? "" : NLP_SPACE);
        nlp_print(word);
        after = sign && (*word == '(' || *word == '[');
    }
    putchar('\n');
}
#endif
#endif

/* Reads a number: digits, and groups of digits behind a point or comma. */
static const char *nlp_number(const char *at, nlp_token *token)
{
    uint32_t code, next;
    for (;;) {
        int length = nlp_decode(at, &code);
        if (NLP_IN(nlp_digits, code)) {
            nlp_append(token, code);
            at += length;
            continue;
        }
        if ((code != '.' && code != ',') || (nlp_decode(at + length, &next), !NLP_IN(nlp_digits, next)))
            return at;
        nlp_append(token, code);
        at += length;
    }
}

/* Reads a word, with the apostrophes and hyphens inside it. */
static const char *nlp_letters(const char *at, nlp_token *token)
{
    uint32_t code, next;
    for (;;) {
        int length = nlp_decode(at, &code);
        if (NLP_IN(nlp_word_characters, code)) {
            nlp_append(token, code);
            at += length;
            continue;
        }
        if (code != '\'' && code != 0x2019 && code != '-')
            return at;
        nlp_decode(at + length, &next);
        if (!NLP_IN(nlp_word_characters, next))
            return at;
        nlp_append(token, code);
        at += length;
    }
}

/* The id of the next token of a text: a number, a word or another sign; -1 at the end of the text. */
int32_t nlp_next_token(nlp_text *text)
{
    nlp_token token = {"", 0, 0};
    uint32_t code;
    while (*text->at) {
#if NLP_LINE_BREAKS
        int skipped = nlp_line_break(text->at);
        if (skipped) {
            text->at += skipped;
            continue;
        }
#endif
        int length = nlp_decode(text->at, &code);
        if (NLP_IN(nlp_digits, code))
            text->at = nlp_number(text->at, &token);
        else if (NLP_IN(nlp_word_characters, code))
            text->at = nlp_letters(text->at, &token);
        else {
            text->at += length;
            if (NLP_IN(nlp_spaces, code))
                continue;
            nlp_append(&token, code);
        }
        return nlp_find(nlp_table, NLP_TOKENS, &token);
    }
    return -1;
}

/* The id of the next character of a text; -1 at its end. */
int32_t nlp_next_token(nlp_text *text)
{
    nlp_token token = {"", 0, 0};
    uint32_t code = text->pending, second = 0;
    text->pending = 0;
    if (!code) {
        if (!*text->at)
            return -1;
        int length = nlp_decode(text->at, &code);
#if NLP_LINE_BREAKS
        int skipped = nlp_line_break(text->at);
        if (skipped) {
            length = skipped;
            code = ' ';
        }
#endif
        text->at += length;
        code = nlp_lower(code, &second);
        text->pending = second;
    }
    nlp_append_code(&token, code);
    return nlp_find(nlp_table, NLP_TOKENS, &token);
}

/* ---- Text --------------------------------------------------------------------------------------------- */

/* A text that is read token by token. Text is UTF-8 in Unicode's normal form C (NFC). */
typedef struct {
    const char *at;
    uint32_t pending; /* the second character of one that has two in lower case */
} nlp_text;

nlp_text nlp_text_of(const char *text)
{
    nlp_text start = {text, 0};
    return start;
}

/* Decodes one character; what is not UTF-8 is read as U+FFFD, byte by byte. Returns its length in bytes. */
static int nlp_decode(const char *text, uint32_t *code)
{
    const unsigned char *bytes = (const unsigned char *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    int length = bytes[0] < 0x80 ? 1 : bytes[0] < 0xC2 ? 0 : bytes[0] < 0xE0 ? 2 : bytes[0] < 0xF0 ? 3 : bytes[0] < 0xF5 ? 4 : 0;
    uint32_t value = length == 1 ? bytes[0] : length == 2 ? bytes[0] & 0x1Fu : length == 3 ? bytes[0] & 0x0Fu : bytes[0] & 0x07u;
    for (int i = 1; i < length; i++) {
        if ((bytes[i] & 0xC0) != 0x80) {
            length = 0;
            break;
        }
        value = value << 6 | (bytes[i] & 0x3Fu);
    }
    if (length == 0 || value < least[length] || value > 0x10FFFF || (value >= 0xD800 && value < 0xE000)) {
        *code = 0xFFFD;
        return 1;
    }
    *code = value;
    return length;
}

/* Whether a sorted table of ranges {first, last} holds a character. */
static int nlp_in(const uint32_t (*ranges)[2], int count, uint32_t code)
{
    int low = 0, high = count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (ranges[middle][1] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && ranges[low][0] <= code;
}

#define NLP_IN(table, code) nlp_in(table, (int)(sizeof table / sizeof *table), code)

/* Whether a text has nothing but white space; a model of characters would read it, but there is no answer. */
int nlp_is_blank(const char *text)
{
    uint32_t code;
    int length;
    while (*text && (length = nlp_decode(text, &code), NLP_IN(nlp_blank, code)))
        text += length;
    return !*text;
}

/* A character in lower case; of two where `second` is not 0. */
static uint32_t nlp_lower(uint32_t code, uint32_t *second)
{
    *second = 0;
#if NLP_LOWERCASE
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    int low = 0, high = (int)(sizeof nlp_lower_table / sizeof *nlp_lower_table);
    while (low < high) {
        int middle = (low + high) / 2;
        if (nlp_lower_table[middle][0] < code)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < (int)(sizeof nlp_lower_table / sizeof *nlp_lower_table) && nlp_lower_table[low][0] == code) {
        *second = nlp_lower_table[low][2];
        return nlp_lower_table[low][1];
    }
#endif
    return code;
}

/* A token as it is looked up: UTF-8, in lower case where the vocabulary is. */
typedef struct {
    char bytes[NLP_MAX_TOKEN + 1];
    int length;
    int overflow; /* longer than any token of the vocabulary */
} nlp_token;

static void nlp_append_code(nlp_token *token, uint32_t code)
{
    unsigned char bytes[4];
    int length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (length == 1)
        bytes[0] = (unsigned char)code;
    else {
        static const unsigned char marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
        for (int i = length - 1; i > 0; i--, code >>= 6)
            bytes[i] = (unsigned char)(0x80 | (code & 0x3F));
        bytes[0] = (unsigned char)(marks[length] | code);
    }
    if (token->length + length > NLP_MAX_TOKEN) {
        token->overflow = 1;
        return;
    }
    memcpy(token->bytes + token->length, bytes, (size_t)length);
    token->length += length;
    token->bytes[token->length] = 0;
}

#if NLP_WORDS
static void nlp_append(nlp_token *token, uint32_t code)
{
    uint32_t second, first = nlp_lower(code, &second);
    nlp_append_code(token, first);
    if (second)
        nlp_append_code(token, second);
}
#endif

/* The id of a token in a table that is sorted by bytes. */
static int32_t nlp_find(const nlp_entry *table, int count, const nlp_token *token)
{
    int low = 0, high = token->overflow ? 0 : count;
    while (low < high) {
        int middle = (low + high) / 2, order = strcmp(table[middle].text, token->bytes);
        if (order == 0)
            return table[middle].id;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NLP_UNKNOWN;
}

#if NLP_LINE_BREAKS
/* The length of "<br>", "<br />" and so on at a place; 0 if there is none. */
static int nlp_line_break(const char *text)
{
    if (strncmp(text, "<br", 3) != 0)
        return 0;
    int spaces = (int)strspn(text + 3, " \t\r\n\f");
    for (; spaces >= 0; spaces--) {
        const char *at = text + 3 + spaces;
        if (spaces <= 16 && (at[0] == '>' || (at[0] == '/' && at[1] == '>')))
            return (int)(at - text) + (at[0] == '/' ? 2 : 1);
    }
    return 0;
}
#endif

/* expr_lex.c - see expr_lex.h */
#include "policy/expr_lex.h"

#include "policy/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* ---- errors ---------------------------------------------------------- */

/* CR LF is one line break, as is either alone. */
static void find_place(const char *text, size_t at, struct expr_error *error)
{
    error->line = 1;
    error->column = 1;
    for (size_t i = 0; i < at; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '\n' || (c == '\r' && (i + 1 == at || text[i + 1] != '\n'))) {
            error->line++;
            error->column = 1;
        } else if ((c & 0xc0) != 0x80 && c != '\r') {
            error->column++;
        }
    }
}

void expr_fail(struct expr_lexer *lexer, size_t at, const char *fmt, ...)
{
    if (lexer->failed)
        return;
    lexer->failed = true;
    find_place(lexer->text, at, lexer->error);

    char *what = lexer->error->what;
    va_list args;
    va_start(args, fmt);
    int wanted = vsnprintf(what, EXPR_WHAT_MAX, fmt, args);
    va_end(args);
    if (wanted < 0)
        what[0] = '\0';
    else if (wanted >= EXPR_WHAT_MAX)
        text_trim_cut(what, EXPR_WHAT_MAX - 1);
}

/* ---- characters ------------------------------------------------------ */

struct range {
    uint32_t first, last;
};

#define IN_RANGES(code, ranges)                                                \
    in_ranges(code, ranges, sizeof(ranges) / sizeof(ranges)[0])

static bool in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    }
    return false;
}

/* The text is valid UTF-8. */
static uint32_t code_at(const struct expr_lexer *lexer, size_t at,
                        size_t *ret_bytes)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    size_t bytes = text_utf8_len(lexer->text + at, lexer->bytes - at);
    uint32_t code = (unsigned char)lexer->text[at] & masks[bytes];
    for (size_t i = 1; i < bytes; i++)
        code = code << 6 | ((unsigned char)lexer->text[at + i] & 0x3f);
    *ret_bytes = bytes;
    return code;
}

/* What editors, spreadsheets and web forms leave between words. */
static bool is_space(uint32_t code)
{
    static const struct range spaces[] = {
        {0x09, 0x0d},     {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
        {0x1680, 0x1680}, {0x180e, 0x180e}, {0x2000, 0x200b}, {0x2028, 0x2029},
        {0x202f, 0x202f}, {0x205f, 0x2060}, {0x3000, 0x3000}, {0xfeff, 0xfeff},
    };
    return IN_RANGES(code, spaces);
}

/* Nothing to see, and no white space: they reorder or hide what is around. */
static bool is_invisible(uint32_t code)
{
    static const struct range invisible[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},       {0xad, 0xad},
        {0x200c, 0x200f}, {0x202a, 0x202e},   {0x2061, 0x206f},
        {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
    };
    return IN_RANGES(code, invisible);
}

/* Beyond ASCII everything is a letter but white space, punctuation, symbols and
 * what has no meaning of its own. */
static bool is_letter(uint32_t code)
{
    static const struct range others[] = {
        {0x80, 0xa9},     {0xab, 0xb4},       {0xb6, 0xb9},
        {0xbb, 0xbf},     {0xd7, 0xd7},       {0xf7, 0xf7},
        {0x1680, 0x1680}, {0x180e, 0x180e},   {0x2000, 0x2070},
        {0x2074, 0x207e}, {0x2080, 0x208e},   {0x20a0, 0x20cf},
        {0x2190, 0x2bff}, {0x2e00, 0x2e7f},   {0x3000, 0x3004},
        {0x3008, 0x3020}, {0x3030, 0x3030},   {0xe000, 0xf8ff},
        {0xfdd0, 0xfdef}, {0xfe10, 0xfe1f},   {0xfe30, 0xfe6f},
        {0xfeff, 0xff20}, {0xff3b, 0xff40},   {0xff5b, 0xff65},
        {0xffe0, 0xffff}, {0x1f000, 0x1faff}, {0xe0000, 0x10ffff},
    };
    if (code < 0x80)
        return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
               code == '_';
    return !IN_RANGES(code, others);
}

/* Zero-width (non-)joiners belong to the spelling of some scripts. */
static bool is_word(uint32_t code)
{
    return is_letter(code) || (code >= '0' && code <= '9') || code == '$' ||
           code == 0x200c || code == 0x200d;
}

static bool is_digit(const struct expr_lexer *lexer, size_t at)
{
    return at < lexer->bytes && lexer->text[at] >= '0' &&
           lexer->text[at] <= '9';
}

static size_t skip_digits(const struct expr_lexer *lexer, size_t at)
{
    while (is_digit(lexer, at))
        at++;
    return at;
}

static size_t skip_word(const struct expr_lexer *lexer, size_t at)
{
    size_t bytes;
    while (at < lexer->bytes && is_word(code_at(lexer, at, &bytes)))
        at += bytes;
    return at;
}

static bool is_one_of(uint32_t code, const uint32_t *codes)
{
    for (; *codes != 0; codes++) {
        if (*codes == code)
            return true;
    }
    return false;
}

/* Characters that word processors and keyboards put where others were meant. */
static void foreign_character(struct expr_lexer *lexer, size_t at,
                              uint32_t code, size_t bytes)
{
    static const uint32_t single[] = {0x2018, 0x2019, 0x201a, 0x201b, 0x2032,
                                      0x2039, 0x203a, 0xb4,   0xff07, 0};
    static const uint32_t two[] = {0x201c, 0x201d, 0x201e, 0x201f, 0x2033, 0xab,
                                   0xbb,   0xff02, 0x301d, 0x301e, 0};
    static const struct {
        uint32_t code;
        const char *meant;
    } meant[] = {
        {0x2260, "!="}, {0x2264, "<="}, {0x2265, ">="},  {0xd7, "*"},
        {0x2217, "*"},  {0x22c5, "*"},  {0xb7, "*"},     {0xf7, "/"},
        {0x2215, "/"},  {0x2044, "/"},  {0x2227, "and"}, {0x2228, "or"},
        {0xac, "not"},  {0x2212, "-"},  {0x2010, "-"},   {0x2011, "-"},
        {0x2012, "-"},  {0x2013, "-"},  {0x2014, "-"},   {0x2015, "-"},
        {0xff0d, "-"},  {0xff08, "("},  {0xff09, ")"},   {0xff0c, ","},
        {0x3001, ","},  {0xff0e, "."},  {0xff1d, "="},   {0xff1c, "<"},
        {0xff1e, ">"},  {0xff0b, "+"},  {0xff0a, "*"},   {0xff0f, "/"},
        {0xff05, "%"},
    };
    const char *text = lexer->text + at;
    int shown = (int)bytes;

    if (is_one_of(code, single)) {
        expr_fail(lexer, at,
                  "%.*s is a typographic quote; a text stands between straight "
                  "single ones: 'paid'",
                  shown, text);
        return;
    }
    if (is_one_of(code, two)) {
        expr_fail(lexer, at,
                  "%.*s is a typographic quote; a text stands between straight "
                  "single ones ('paid'), a column's name between straight "
                  "double ones (\"paid\")",
                  shown, text);
        return;
    }
    for (size_t i = 0; i < sizeof meant / sizeof meant[0]; i++) {
        if (meant[i].code == code) {
            expr_fail(lexer, at, "\"%.*s\" is written \"%s\" here", shown, text,
                      meant[i].meant);
            return;
        }
    }
    if (is_invisible(code))
        expr_fail(lexer, at,
                  "an invisible character (U+%04X) stands here; delete it",
                  (unsigned)code);
    else
        expr_fail(lexer, at,
                  "\"%.*s\" means nothing here; a name that contains it goes "
                  "into double quotes",
                  shown, text);
}

/* ---- symbols --------------------------------------------------------- */

#define NO_BITS "there are no operators on bits"
#define NO_PARAMETERS                                                          \
    "there are no parameters or variables in expressions; a column is named "  \
    "by its bare name or in double quotes, a value is written out"
#define NO_PATTERNS                                                            \
    "there are no regular expressions; \"like\" and \"ilike\" compare with a " \
    "pattern of % and _"

/* The longest first. what: why it is refused. */
static const struct symbol {
    const char *text;
    enum expr_token_kind kind;
    const char *what;
} symbols[] = {
    {"!~*", TOKEN_END, NO_PATTERNS},
    {"->>", TOKEN_END, "there are no operators on JSON"},
    {"===", TOKEN_END, "\"===\" is written \"=\""},
    {"!==", TOKEN_END, "\"!==\" is written \"!=\""},
    {"<=>", TOKEN_END, "\"<=>\" is written \"is not distinct from\""},
    {"--", TOKEN_END,
     "two minus signs begin a comment in SQL, and there are no comments in "
     "expressions; to subtract a negative number write a - (-b)"},
    {"/*", TOKEN_END, "there are no comments in expressions; delete it"},
    {"*/", TOKEN_END, "there are no comments in expressions; delete it"},
    {"//", TOKEN_END,
     "\"//\" is not an operator: a quotient is written with one \"/\", and "
     "there are no comments in expressions"},
    {"=>", TOKEN_END, "\"=>\" is written \">=\""},
    {"=<", TOKEN_END, "\"=<\" is written \"<=\""},
    {"=!", TOKEN_END, "\"=!\" is written \"!=\""},
    {"><", TOKEN_END, "\"><\" is written \"<>\""},
    {":=", TOKEN_END, "\":=\" is written \"=\""},
    {"&&", TOKEN_END, "\"&&\" is written \"and\""},
    {"**", TOKEN_END, "\"**\" is written power(a, b)"},
    {"->", TOKEN_END, "there are no operators on JSON"},
    {"<<", TOKEN_END, NO_BITS},
    {">>", TOKEN_END, NO_BITS},
    {"~*", TOKEN_END, NO_PATTERNS},
    {"!~", TOKEN_END, NO_PATTERNS},
    {"||", TOKEN_CONCAT, NULL},
    {"::", TOKEN_CAST, NULL},
    {"==", TOKEN_EQ, NULL},
    {"!=", TOKEN_NE, NULL},
    {"<>", TOKEN_NE, NULL},
    {"<=", TOKEN_LE, NULL},
    {">=", TOKEN_GE, NULL},
    {"(", TOKEN_OPEN, NULL},
    {")", TOKEN_CLOSE, NULL},
    {",", TOKEN_COMMA, NULL},
    {".", TOKEN_DOT, NULL},
    {";", TOKEN_SEMICOLON, NULL},
    {"+", TOKEN_PLUS, NULL},
    {"-", TOKEN_MINUS, NULL},
    {"*", TOKEN_STAR, NULL},
    {"/", TOKEN_SLASH, NULL},
    {"%", TOKEN_PERCENT, NULL},
    {"=", TOKEN_EQ, NULL},
    {"<", TOKEN_LT, NULL},
    {">", TOKEN_GT, NULL},
    {"!", TOKEN_END, "\"!\" is written \"not\""},
    {"&", TOKEN_END, NO_BITS "; conditions are joined with \"and\""},
    {"|", TOKEN_END,
     NO_BITS "; conditions are joined with \"or\", texts with \"||\""},
    {"~", TOKEN_END, NO_PATTERNS},
    {"^", TOKEN_END, "\"^\" is written power(a, b)"},
    {"`", TOKEN_END,
     "a name goes into double quotes, not into backticks: \"name\""},
    {"[", TOKEN_END,
     "a name goes into double quotes, not into brackets: \"name\"; and there "
     "are no arrays"},
    {"]", TOKEN_END, "a name goes into double quotes: \"name\""},
    {":", TOKEN_END, NO_PARAMETERS},
    {"?", TOKEN_END, NO_PARAMETERS},
    {"@", TOKEN_END, NO_PARAMETERS},
    {"$", TOKEN_END, NO_PARAMETERS},
    {"#", TOKEN_END, NO_PARAMETERS},
    {"{", TOKEN_END, NO_PARAMETERS},
    {"}", TOKEN_END, NO_PARAMETERS},
    {"\\", TOKEN_END,
     "\"\\\" means nothing outside of a text; inside of one a ' is written '' "
     "and a backslash is just itself"},
};

static void lex_symbol(struct expr_lexer *lexer, struct expr_token *token)
{
    size_t at = token->start;
    for (size_t i = 0; i < sizeof symbols / sizeof symbols[0]; i++) {
        size_t bytes = strlen(symbols[i].text);
        if (bytes > lexer->bytes - at ||
            memcmp(lexer->text + at, symbols[i].text, bytes) != 0)
            continue;
        if (symbols[i].what != NULL)
            expr_fail(lexer, at, "%s", symbols[i].what);
        token->kind = symbols[i].kind;
        token->end = at + bytes;
        return;
    }
    size_t bytes;
    uint32_t code = code_at(lexer, at, &bytes);
    foreign_character(lexer, at, code, bytes);
}

/* ---- numbers, words, quotes ------------------------------------------ */

static void bad_number(struct expr_lexer *lexer, struct expr_token *token)
{
    char buf[EXPR_QUOTE_MAX];
    const char *text = lexer->text + token->start;
    size_t from;
    do {
        from = token->end;
        token->end = skip_word(lexer, token->end);
        if (token->end < lexer->bytes && lexer->text[token->end] == '.')
            token->end++;
    } while (token->end > from);

    size_t bytes = token->end - token->start;
    const char *quoted = expr_token_quote(lexer, token, buf);
    bool grouped = memchr(text, '_', bytes) != NULL;
    for (size_t i = 0; i < bytes; i++)
        grouped = grouped && (is_digit(lexer, token->start + i) ||
                              text[i] == '_' || text[i] == '.');
    if (grouped)
        expr_fail(lexer, token->start, "a number is written without \"_\": %s",
                  quoted);
    else if (memchr(text, '.', bytes) != NULL)
        expr_fail(lexer, token->start,
                  "%s is not a number; one has digits, at most one point, and "
                  "maybe an exponent: 1.5e6",
                  quoted);
    else
        expr_fail(lexer, token->start,
                  "%s is neither a number nor a name; a name that begins with "
                  "a digit goes into double quotes",
                  quoted);
}

static void lex_number(struct expr_lexer *lexer, struct expr_token *token)
{
    size_t at = skip_digits(lexer, token->start);
    if (at < lexer->bytes && lexer->text[at] == '.')
        at = skip_digits(lexer, at + 1);
    if (at < lexer->bytes && (lexer->text[at] | 0x20) == 'e') {
        size_t sign = at + 1;
        if (sign < lexer->bytes &&
            (lexer->text[sign] == '+' || lexer->text[sign] == '-'))
            sign++;
        if (is_digit(lexer, sign))
            at = skip_digits(lexer, sign);
    }
    token->kind = TOKEN_NUMBER;
    token->end = at;
    if (at < lexer->bytes &&
        (lexer->text[at] == '.' || skip_word(lexer, at) > at))
        bad_number(lexer, token);
}

static void lex_quoted(struct expr_lexer *lexer, struct expr_token *token)
{
    char quote = lexer->text[token->start];
    size_t at = token->start + 1;
    for (;;) {
        const char *found = memchr(lexer->text + at, quote, lexer->bytes - at);
        if (found == NULL) {
            token->end = lexer->bytes;
            if (quote == '\'')
                expr_fail(lexer, token->start,
                          "this text is never closed; it ends with a ', and a "
                          "' inside of it is written ''");
            else
                expr_fail(lexer, token->start,
                          "this name is never closed; it ends with a \", and "
                          "a \" inside of it is written \"\"");
            return;
        }
        at = (size_t)(found - lexer->text) + 1;
        if (at == lexer->bytes || lexer->text[at] != quote)
            break;
        at++;
    }
    token->kind = quote == '\'' ? TOKEN_TEXT : TOKEN_NAME;
    token->end = at;
    if (token->kind == TOKEN_NAME && at == token->start + 2)
        expr_fail(lexer, token->start,
                  "\"\" would be a column without a name; a text without "
                  "letters is written ''");
}

static enum expr_word find_word(const struct expr_lexer *lexer,
                                const struct expr_token *token)
{
    static const struct {
        const char *text;
        enum expr_word word;
    } words[] = {
        {"and", WORD_AND},   {"as", WORD_AS},       {"between", WORD_BETWEEN},
        {"case", WORD_CASE}, {"cast", WORD_CAST},   {"distinct", WORD_DISTINCT},
        {"else", WORD_ELSE}, {"end", WORD_END},     {"false", WORD_FALSE},
        {"from", WORD_FROM}, {"ilike", WORD_ILIKE}, {"in", WORD_IN},
        {"is", WORD_IS},     {"like", WORD_LIKE},   {"not", WORD_NOT},
        {"null", WORD_NULL}, {"or", WORD_OR},       {"select", WORD_SELECT},
        {"then", WORD_THEN}, {"true", WORD_TRUE},   {"when", WORD_WHEN},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (expr_token_is(lexer, token, words[i].text))
            return words[i].word;
    }
    return WORD_OTHER;
}

/* ---- the door -------------------------------------------------------- */

void expr_lex_begin(struct expr_lexer *lexer, const char *text, size_t bytes,
                    struct expr_error *error)
{
    *lexer = (struct expr_lexer){.text = text, .bytes = bytes, .error = error};
    if (bytes > EXPR_BYTES_MAX) {
        expr_fail(lexer, 0,
                  "the expression has %zu bytes; at most %d are allowed", bytes,
                  EXPR_BYTES_MAX);
        return;
    }
    for (size_t at = 0, len; at < bytes; at += len) {
        len = text_utf8_len(text + at, bytes - at);
        if (len == 0) {
            expr_fail(lexer, at,
                      "here is a byte (0x%02X) that is not UTF-8; save the "
                      "document as UTF-8",
                      (unsigned char)text[at]);
            return;
        }
        if (text[at] == '\0') {
            expr_fail(lexer, at, "here is a NUL character; delete it");
            return;
        }
    }
}

void expr_lex_next(struct expr_lexer *lexer, struct expr_token *ret_token)
{
    size_t bytes;
    while (!lexer->failed && lexer->pos < lexer->bytes &&
           is_space(code_at(lexer, lexer->pos, &bytes)))
        lexer->pos += bytes;

    struct expr_token *token = ret_token;
    *token = (struct expr_token){
        .kind = TOKEN_END, .start = lexer->pos, .end = lexer->pos};
    if (lexer->failed || lexer->pos == lexer->bytes)
        return;

    char c = lexer->text[lexer->pos];
    if (is_letter(code_at(lexer, lexer->pos, &bytes))) {
        token->kind = TOKEN_WORD;
        token->end = skip_word(lexer, lexer->pos);
        token->word = find_word(lexer, token);
    } else if (is_digit(lexer, lexer->pos) ||
               (c == '.' && is_digit(lexer, lexer->pos + 1))) {
        lex_number(lexer, token);
    } else if (c == '\'' || c == '"') {
        lex_quoted(lexer, token);
    } else {
        lex_symbol(lexer, token);
    }
    if (lexer->failed)
        token->kind = TOKEN_END;
    lexer->pos = token->end;
}

bool expr_token_is(const struct expr_lexer *lexer,
                   const struct expr_token *token, const char *word)
{
    size_t bytes = token->end - token->start;
    if (token->kind != TOKEN_WORD || strlen(word) != bytes)
        return false;
    for (size_t i = 0; i < bytes; i++) {
        char c = lexer->text[token->start + i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c != word[i])
            return false;
    }
    return true;
}

size_t expr_token_unquote(const struct expr_lexer *lexer,
                          const struct expr_token *token, char *buf)
{
    char quote = lexer->text[token->start];
    size_t used = 0;
    for (size_t i = token->start + 1; i < token->end - 1; i++) {
        buf[used++] = lexer->text[i];
        i += lexer->text[i] == quote;
    }
    buf[used] = '\0';
    return used;
}

const char *expr_token_quote(const struct expr_lexer *lexer,
                             const struct expr_token *token,
                             char buf[EXPR_QUOTE_MAX])
{
    enum { SHOWN_MAX = 32 }; /* characters, of four bytes at most */
    bool bare = token->kind != TOKEN_TEXT && token->kind != TOKEN_NAME;
    size_t used = 0;
    size_t at = token->start;

    if (bare)
        buf[used++] = '"';
    for (int shown = 0; shown < SHOWN_MAX && at < token->end; shown++) {
        size_t bytes;
        if (is_invisible(code_at(lexer, at, &bytes))) {
            buf[used++] = ' ';
        } else {
            memcpy(buf + used, lexer->text + at, bytes);
            used += bytes;
        }
        at += bytes;
    }
    if (at < token->end) {
        memcpy(buf + used, "...", 3);
        used += 3;
        if (!bare)
            buf[used++] = lexer->text[token->start];
    }
    if (bare)
        buf[used++] = '"';
    buf[used] = '\0';
    return buf;
}

/* The command-line side: addresses and tokens, what answers mean, text that is
 * fit for a terminal, tables that fit it, and the table of commands. */
#include "tests/unit/client_paper.h"

/* ---- addresses --------------------------------------------------------- */

static void an_address_is_brought_to_one_form(void **state)
{
    static const char *const same[][2] = {
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"http://127.0.0.1:8080///", "http://127.0.0.1:8080"},
        {"127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"broker", "http://broker"},
        {"https://b.example/path/", "https://b.example/path"},
        {"HTTP://[::1]:80", "HTTP://[::1]:80"},
    };
    char why[CLIENT_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        char *base = NULL;
        assert_int_equal(client_base(same[i][0], &base, why), 0);
        assert_string_equal(base, same[i][1]);
        free(base);
    }
}

static void an_address_that_cannot_be_used_says_why(void **state)
{
    static const char *const bad[] = {"",
                                      "http://",
                                      "ftp://host",
                                      "file:///etc/passwd",
                                      "http:///x",
                                      "http://a b",
                                      "http://u:p@host",
                                      "http://host?x=1",
                                      ":8080",
                                      "http://h#frag",
                                      "http://h\nX-Evil: 1"};
    char why[CLIENT_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char *base = NULL;
        why[0] = '\0';
        assert_int_equal(client_base(bad[i], &base, why), -EINVAL);
        assert_null(base);
        assert_non_null(strstr(why, "cannot be used"));
    }
}

static void what_goes_into_a_path_stays_one_segment(void **state)
{
    static const char *const texts[] = {"../a b/ö?", "..", NULL};
    char *url = client_url("http://h", "/pools/{}/x/{}", texts);

    (void)state;
    assert_string_equal(url, "http://h/pools/..%2Fa%20b%2F%C3%B6%3F/x/%2E%2E");
    client_url_query(&url, "state", "A&B");
    client_url_query(&url, "n", "1");
    assert_non_null(strstr(url, "?state=A%26B&n=1"));
    free(url);
}

static void a_token_is_the_first_line_of_its_file(void **state)
{
    char name[] = "/tmp/test_client_XXXXXX";
    int fd = mkstemp(name);
    char token[CLIENT_TOKEN_MAX] = "untouched";
    char why[CLIENT_WHY_MAX];

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(client_token_read(name, token, why), -EINVAL);
    assert_string_equal(token, "untouched");
    assert_int_equal(write(fd, "  s3cret \nrest\n", 15), 15);
    assert_int_equal(client_token_read(name, token, why), 0);
    assert_string_equal(token, "s3cret");
    assert_int_equal(pwrite(fd, "two words here\n", 15, 0), 15);
    assert_int_equal(client_token_read(name, token, why), -EINVAL);
    assert_null(strstr(why, "two words"));
    (void)close(fd);
    assert_int_equal(unlink(name), 0);
    assert_int_equal(client_token_read(name, token, why), -ENOENT);
}

static void a_token_in_the_clear_is_noticed(void **state)
{
    static const struct {
        const char *url;
        bool exposed;
    } cases[] = {{"http://127.0.0.1:1", false},  {"http://localhost:1", false},
                 {"http://[::1]:1", false},      {"https://far:1", false},
                 {"http://far:1", true},         {"http://127x.evil", true},
                 {"http://localhost.evil", true}};
    char why[CLIENT_WHY_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client *client = NULL;
        assert_int_equal(client_new(cases[i].url, "t", &client, why), 0);
        assert_int_equal(client_token_exposed(client), cases[i].exposed);
        client_free(&client);
        assert_null(client);
    }
}

static void nobody_there_is_an_error_with_words(void **state)
{
    char why[CLIENT_WHY_MAX];
    struct client *client = NULL;
    struct client_answer answer = {0};
    const struct client_call call = {.path = "/livez"};

    (void)state;
    assert_int_equal(client_new("http://127.0.0.1:1", NULL, &client, why), 0);
    assert_int_equal(client_call(client, &call, &answer), -ECONNREFUSED);
    assert_non_null(strstr(client_why(client), "http://127.0.0.1:1"));
    assert_int_equal(client_exit_error(-ECONNREFUSED), EXIT_UNREACHABLE);
    client_free(&client);
}

/* ---- what answers mean ------------------------------------------------- */

static void the_exit_codes_are_those_we_promise(void **state)
{
    static const struct {
        long status;
        const char *body;
        enum client_exit code;
    } cases[] = {
        {200, "{}", EXIT_OK},
        {202, "{}", EXIT_OK},
        {400, "{\"code\":\"BAD_JSON\"}", EXIT_FAILED},
        {401, "{\"code\":\"UNAUTHORIZED\"}", EXIT_AUTH},
        {403, "{}", EXIT_AUTH},
        {404, "{\"code\":\"NO_SUCH_RUN\"}", EXIT_NOT_FOUND},
        {409, "{\"code\":\"RUN_ENDED\"}", EXIT_CONFLICT},
        {409, "{\"code\":\"POOL_CLOSED\"}", EXIT_REFUSED},
        {422, "{\"code\":\"INVALID\"}", EXIT_FAILED},
        {422, "{\"code\":\"TOO_BIG\"}", EXIT_REFUSED},
        {422, "{\"code\":\"NO_ENGINE\"}", EXIT_REFUSED},
        {429, "{\"code\":\"LINE_FULL\"}", EXIT_REFUSED},
        {503, "{\"code\":\"DRAINING\"}", EXIT_REFUSED},
        {503, "{\"code\":\"BUSY\"}", EXIT_UNREACHABLE},
        {504, "{\"code\":\"CORE_SILENT\"}", EXIT_TIMEOUT},
        {507, "{\"code\":\"STORE_FULL\"}", EXIT_REFUSED},
        {500, "<html>", EXIT_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct client_answer answer = answer_of(cases[i].status, cases[i].body);
        assert_int_equal(client_exit_answer(&answer), cases[i].code);
        client_answer_clear(&answer);
    }
    assert_int_equal(client_exit_error(0), EXIT_OK);
    assert_int_equal(client_exit_error(-ETIMEDOUT), EXIT_TIMEOUT);
    assert_int_equal(client_exit_error(-EPROTO), EXIT_FAILED);
}

static void each_end_of_a_run_has_its_exit_code(void **state)
{
    (void)state;
    assert_int_equal(client_exit_state("COMPLETED"), 0);
    assert_int_equal(client_exit_state("FAILED"), 10);
    assert_int_equal(client_exit_state("CANCELLED"), 11);
    assert_int_equal(client_exit_state("CRASHED"), 12);
    assert_int_equal(client_exit_state("TIMED_OUT"), 13);
    assert_int_equal(client_exit_state("RUNNING"), EXIT_FAILED);
}

static void a_problem_shows_all_it_knows(void **state)
{
    struct paper paper = paper_of(INT_MAX);
    struct client_answer answer = answer_of(
        422, "{\"title\":\"The request has problems to fix\",\"detail\":\"Two "
             "things.\",\"errors\":[{\"pointer\":\"/workflow/nodes/1/"
             "kind\",\"detail\":"
             "\"unlike "
             "/workflow/nodes/0\"},{\"pointer\":\"/workflow\",\"detail\":\"no "
             "name\"}],\"hint\":\"see RULES.md\"}");
    const char *shown = NULL;

    (void)state;
    answer.retry_after_s = 5;
    paper_open(&paper);
    client_problem(&paper.screen, "dispatchctl run", "/workflow", &answer);
    shown = paper_read(&paper);
    assert_non_null(strstr(shown, "dispatchctl run: The request has problems"));
    assert_null(strstr(shown, "Two things.")); /* the list says it better */
    assert_non_null(strstr(shown, " /nodes/1/kind: unlike /nodes/0"));
    assert_non_null(strstr(shown, "(document): no name"));
    assert_non_null(strstr(shown, "see RULES.md"));
    assert_non_null(strstr(shown, "try again in 5 s"));
    client_answer_clear(&answer);
    free(paper.text);
}

static void a_stranger_cannot_speak_to_the_terminal(void **state)
{
    struct paper paper = paper_of(INT_MAX);
    struct client_answer html = answer_of(502, "<html>\033]0;owned\007\xc2\x9b"
                                               "31m\nbad");
    struct client_answer json = answer_of(
        404, "{\"title\":\"a\\u001b[2Jb\\u009b\",\"detail\":\"c\\u202ed\"}");
    static const char turned[] = {(char)0xe2, (char)0x80, (char)0xae, 0};
    const char *shown = NULL;

    (void)state;
    paper_open(&paper);
    client_problem(&paper.screen, "x", NULL, &html);
    client_problem(&paper.screen, "x", NULL, &json);
    shown = paper_read(&paper);
    assert_null(strchr(shown, '\033'));
    assert_null(strchr(shown, '\007'));
    assert_null(strstr(shown, "\xc2\x9b"));
    assert_null(strstr(shown, turned));
    assert_non_null(strstr(shown, "HTTP 502"));
    assert_non_null(strstr(shown, "a?[2Jb?"));
    client_answer_clear(&html);
    client_answer_clear(&json);
    free(paper.text);
}

/* ---- text -------------------------------------------------------------- */

static void widths_are_those_of_the_terminal(void **state)
{
    (void)state;
    assert_int_equal(plain_columns(""), 0);
    assert_int_equal(plain_columns("abc"), 3);
    assert_int_equal(plain_columns("größe"), 5);
    assert_int_equal(plain_columns("日本"), 4);
    assert_int_equal(plain_columns("e\xcc\x81"), 1); /* combining */
    assert_int_equal(plain_columns("\xff\xfe"), 2);  /* "??" */
    assert_int_equal(plain_columns("\xe6\x97"), 2);  /* cut off */
}

static void broken_and_harmful_bytes_become_question_marks(void **state)
{
    static const char *const cases[][2] = {
        {"a\tb\nc", "a b c"},
        {"\033[31m", "?[31m"},
        {"\xc0\xaf", "??"},
        {"\xed\xa0\x80", "???"},
        {"\xf5\x80\x80\x80", "????"},
        {"x\xe2\x80\x8by", "x?y"},
        {"\x7f", "?"},
        {"日\xc2\x85本", "日?本"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *clean = plain_clean(cases[i][0], strlen(cases[i][0]), false);
        assert_string_equal(clean, cases[i][1]);
        free(clean);
    }
    char *kept = plain_clean("a\n\tb\rc\0d", 8, true);
    assert_string_equal(kept, "a\n\tb?c?d");
    free(kept);
}

static void text_is_cut_at_a_character(void **state)
{
    static const struct {
        const char *text;
        int columns;
        const char *cut;
    } cases[] = {{"abc", 3, "abc"},    {"abcd", 3, "ab~"},
                 {"日本語", 4, "日~"}, {"日本語", 5, "日本~"},
                 {"abc", 1, "~"},      {"abc", 0, ""}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *cut = plain_cut(cases[i].text, cases[i].columns, "~");
        assert_string_equal(cut, cases[i].cut);
        free(cut);
    }
}

static void text_wraps_at_spaces_and_breaks_long_words(void **state)
{
    const char *next = NULL;

    (void)state;
    assert_int_equal(plain_wrap("one two three", 8, &next), 7);
    assert_string_equal(next, "three");
    assert_int_equal(plain_wrap("one", 8, &next), 3);
    assert_null(next);
    assert_int_equal(plain_wrap("abcdefgh", 3, &next), 3);
    assert_string_equal(next, "defgh");
    assert_int_equal(plain_wrap("日本", 1, &next), 3); /* never stands still */
    assert_int_equal(plain_wrap("ab  ", 2, &next), 2);
    assert_null(next);
    assert_int_equal(plain_wrap("", 5, &next), 0);
    assert_null(next);
}

static void durations_and_sizes_are_short(void **state)
{
    static const struct {
        double value;
        const char *text;
    } durations[] = {{-1, "0 s"},          {0.0421, "42 ms"},
                     {1.24, "1.2 s"},      {59.96, "1 min"},
                     {61, "1 min 1 s"},    {3600, "1 h"},
                     {3725, "1 h 2 min"},  {90000, "1 d 1 h"},
                     {1e300, "very long"}, {12.4, "12 s"}},
      sizes[] = {{0, "0 B"},        {1023, "1023 B"},      {1024, "1 KiB"},
                 {1536, "1.5 KiB"}, {1073741824, "1 GiB"}, {9.3e18, "8.1 EiB"}};

    (void)state;
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        char *text = plain_duration(durations[i].value);
        assert_string_equal(text, durations[i].text);
        free(text);
    }
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char *text = plain_size(sizes[i].value);
        assert_string_equal(text, sizes[i].text);
        free(text);
    }
}

static void counts_are_grouped_or_shortened(void **state)
{
    static const struct {
        double count;
        const char *whole, *shortened;
    } counts[] = {{0, "0", "0"},
                  {-1, "0", "0"},
                  {999, "999", "999"},
                  {1000, "1,000", "1,000"},
                  {9999, "9,999", "9,999"},
                  {10000, "10,000", "10.0k"},
                  {12345, "12,345", "12.3k"},
                  {99949, "99,949", "99.9k"},
                  {99950, "99,950", "100k"},
                  {999499, "999,499", "999k"},
                  {999500, "999,500", "1.00M"},
                  {1234567, "1,234,567", "1.23M"},
                  {123456789012, "123,456,789,012", "123G"},
                  {9e18, "9,000,000,000,000,000,000", "9.00E"}};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        char *whole = plain_count(counts[i].count);
        char *shortened = plain_short(counts[i].count);
        assert_string_equal(whole, counts[i].whole);
        assert_string_equal(shortened, counts[i].shortened);
        free(shortened);
        free(whole);
    }
}

/* ---- tables ------------------------------------------------------------ */

static const struct table_column three[] = {
    {.head = "NAME", .min = 6},
    {.head = "N", .right = true},
    {.head = "WHY", .wrap = true},
};

static void a_table_lines_up_by_columns_not_bytes(void **state)
{
    struct paper paper = paper_of(INT_MAX);
    struct table *table = table_new(three, 3);

    (void)state;
    table_cell(table, STYLE_PLAIN, "größe");
    table_cell(table, STYLE_PLAIN, "%d", 7);
    table_cell(table, STYLE_PLAIN, "x");
    table_cell(table, STYLE_PLAIN, "日本語");
    table_cell(table, STYLE_PLAIN, "%d", 12);
    table_cell(table, STYLE_PLAIN, "y");
    paper_open(&paper);
    table_print(table, &paper.screen, 0);
    assert_string_equal(paper_read(&paper), "NAME     N  WHY\n"
                                            "größe    7  x\n"
                                            "日本語  12  y\n");
    assert_int_equal(table_rows(table), 2);
    table_free(&table);
    assert_null(table);
    free(paper.text);
}

static void a_column_with_nothing_in_it_is_left_out(void **state)
{
    struct paper paper = paper_of(INT_MAX);
    struct table *table = table_new(three, 3);

    (void)state;
    table_cell(table, STYLE_PLAIN, "a");
    table_cell(table, STYLE_PLAIN, "%s", "");
    table_cell(table, STYLE_PLAIN, "b");
    paper_open(&paper);
    table_print(table, &paper.screen, 2);
    assert_string_equal(paper_read(&paper), "  NAME  WHY\n  a     b\n");
    table_free(&table);
    free(paper.text);
}

static void a_table_fits_the_terminal(void **state)
{
    struct table *table = table_new(three, 3);

    (void)state;
    table_cell(table, STYLE_PLAIN, "a name that is much longer than it ought");
    table_cell(table, STYLE_PLAIN, "%d", 1000000);
    table_cell(table, STYLE_PLAIN,
               "and a reason that goes on for more than one line, with a "
               "wordthatislongerthanthewholecolumncouldeverbe in it");
    for (int columns = 45; columns < 200; columns += 5) {
        struct paper paper = paper_of(columns);
        const char *shown = NULL;
        paper_open(&paper);
        table_print(table, &paper.screen, 2);
        shown = paper_read(&paper);
        assert_true(longest_line(shown) <= (size_t)columns);
        assert_non_null(strstr(shown, "1000000"));
        free(paper.text);
    }
    table_free(&table);
}

static void a_bar_shows_that_something_is_there(void **state)
{
    struct paper paper = paper_of(INT_MAX);
    char *bar = NULL;

    (void)state;
    paper.screen.utf8 = false;
    bar = screen_bar(&paper.screen, 5, 1, 1000);
    assert_string_equal(bar, "#....");
    free(bar);
    bar = screen_bar(&paper.screen, 5, 9, 3);
    assert_string_equal(bar, "#####");
    free(bar);
    bar = screen_bar(&paper.screen, 5, 0, 0);
    assert_string_equal(bar, ".....");
    free(bar);
}

/* ---- commands ---------------------------------------------------------- */

static void a_command_takes_its_words_and_options_anywhere(void **state)
{
    struct ctl ctl;
    struct paper paper;
    size_t at = 0;

    (void)state;
    assert_int_equal(parse(&ctl, &paper,
                           "-o json run --tag a f.json --tag=b --url=http://x "
                           "-w --size 1GiB"),
                     0);
    assert_string_equal(ctl.command->name, "run");
    assert_int_equal(ctl.arg_count, 1);
    assert_string_equal(ctl.args[0], "f.json");
    assert_true(ctl.json);
    assert_string_equal(ctl_option(&ctl, "url"), "http://x");
    assert_string_equal(ctl_option(&ctl, "size"), "1GiB");
    assert_non_null(ctl_option(&ctl, "watch"));
    assert_null(ctl_option(&ctl, "wait"));
    assert_string_equal(ctl_option_next(&ctl, "tag", &at), "a");
    assert_string_equal(ctl_option_next(&ctl, "tag", &at), "b");
    assert_null(ctl_option_next(&ctl, "tag", &at));
    free(paper.text);

    assert_int_equal(parse(&ctl, &paper, "pool set etl limit=4 max_size=2GiB"),
                     0);
    assert_string_equal(ctl.command->name, "pool set");
    assert_int_equal(ctl.arg_count, 3);
    free(paper.text);

    assert_int_equal(parse(&ctl, &paper, "run -- -o"), 0);
    assert_string_equal(ctl.args[0], "-o");
    free(paper.text);
    assert_int_equal(parse(&ctl, &paper, "run -"), 0);
    assert_string_equal(ctl.args[0], "-");
    free(paper.text);
}

static void a_mistake_is_answered_with_what_was_meant(void **state)
{
    static const struct {
        const char *line;
        const char *said;
    } cases[] = {
        {"lgos x", "did you mean 'logs'"},
        {"exlpain x", "did you mean 'explain'"},
        {"pool puase etl", "did you mean 'pool pause'"},
        {"agent lst", "did you mean 'agent list'"},
        {"rnu --wait f", "did you mean 'run'"},
        {"frobnicate", "dispatchctl help"},
        {"pool", "pool resume POOL"},
        {"run f --wiat", "did you mean '--wait'"},
        {"run f --nothing-like-it", "there is no option"},
        {"run", "FILE"},
        {"run a b", "'b' is one word too many"},
        {"pool set etl", "KEY=VALUE"},
        {"run f --size", "--size SIZE"},
        {"run f --size 1 --size 2", "given twice"},
        {"run f --wait=yes", "takes no value"},
        {"ps -o xml", "json or table"},
        {"ps --color mauve", "auto, always or never"},
        {"ps -x", "there is no option '-x'"},
        {"--foo", "there is no option '--foo'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ctl ctl;
        struct paper paper;
        assert_int_equal(parse(&ctl, &paper, cases[i].line), EXIT_USAGE);
        if (!strstr(paper.text, cases[i].said))
            fail_msg("'%s' was answered: %s", cases[i].line, paper.text);
        free(paper.text);
    }
}

static void every_command_can_be_found_and_explained(void **state)
{
    (void)state;
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *command = &ctl_commands[i];
        struct ctl ctl;
        struct paper paper;
        char *line = plain_format("%s --help", command->name);
        assert_int_equal(parse(&ctl, &paper, line), 0);
        assert_ptr_equal(ctl.command, command);
        assert_true(ctl.help);
        assert_non_null(command->run);
        assert_true(strlen(command->help) > 0 && strlen(command->help) < 60);
        free(paper.text);
        free(line);
        paper_open(&paper);
        ctl_help_command(&paper.screen, command);
        assert_non_null(strstr(paper_read(&paper), command->help));
        assert_true(longest_line(paper.text) <= 110);
        free(paper.text);
    }
}

/* ---- answers ----------------------------------------------------------- */

static void values_are_picked_by_path(void **state)
{
    json_t *json = json_loads("{\"a\":{\"b\":\"x\",\"n\":null},\"c\":[1,\"y\","
                              "true],\"t\":\"2026-11-20T18:00:00.500Z\",\"z\":"
                              "\"2026-11-20T20:00:00+02:00\",\"bad\":\"noon\"}",
                              0, NULL);

    (void)state;
    assert_string_equal(pick_text(json, "a.b", "?"), "x");
    assert_string_equal(pick_text(json, "a.n|a.b", "?"), "x");
    assert_string_equal(pick_text(json, "a.b.c", "?"), "?");
    assert_string_equal(pick_text(json, "c", "?"), "?");
    assert_string_equal(pick_text(NULL, "c", "?"), "?");
    assert_true(pick_number(json, "a.b", -1) < 0);
    assert_true(pick_time(json, "t") - 1795197600.5 < 0.001);
    assert_true(pick_time(json, "t") - pick_time(json, "z") < 0.501);
    assert_true(pick_time(json, "bad") < 0);
    char *list = pick_any(pick(json, "c"));
    assert_string_equal(list, "1, y, yes");
    free(list);
    json_decref(json);
}

static void json_is_printed_letter_by_letter(void **state)
{
    static const char text[] =
        "{\"a\":[1.10,{}, [ ] ],\"b\":\"\\\"x\\\\\",\"c\":1e5}";
    struct paper paper = paper_of(INT_MAX);

    (void)state;
    paper_open(&paper);
    ctl_print_json(&paper.screen, text, strlen(text));
    assert_string_equal(paper_read(&paper), "{\n"
                                            "  \"a\": [\n"
                                            "    1.10,\n"
                                            "    {},\n"
                                            "    []\n"
                                            "  ],\n"
                                            "  \"b\": \"\\\"x\\\\\",\n"
                                            "  \"c\": 1e5\n"
                                            "}\n");
    free(paper.text);

    static const char evil[] = "{\"a\":\"\xc2\x9b\x7f\"}";
    paper.screen.tty = true;
    paper_open(&paper);
    ctl_print_json(&paper.screen, evil, strlen(evil));
    assert_string_equal(paper_read(&paper),
                        "{\n  \"a\": \"\\u009B\\u007f\"\n}\n");
    free(paper.text);
}

static void the_whole_is_judged_by_its_worst_part(void **state)
{
    static const struct {
        const char *pools, *agents;
        enum board_health health;
        const char *said; /* the first concern, or NULL */
        double store;
    } cases[] = {
        {"[{\"name\":\"a\",\"state\":\"open\",\"agents\":1,\"agents_healthy\":"
         "1}]",
         "[{\"name\":\"w\",\"health\":\"ok\",\"state\":\"open\"}]",
         BOARD_HEALTHY, NULL, 3},
        {"[{\"name\":\"a\",\"state\":\"paused\",\"agents\":1,\"agents_"
         "healthy\":1,\"state_change\":{\"who\":\"anna\",\"reason\":\"slow\"}}"
         "]",
         "[]", BOARD_DEGRADED, "pool a is paused by anna: slow", 3},
        {"[{\"name\":\"a\",\"state\":\"open\",\"agents\":1,\"agents_healthy\":"
         "1}]",
         "[{\"name\":\"w\",\"health\":\"lost\",\"last_seen_s\":65}]",
         BOARD_DEGRADED, "agent w is lost, last seen 1 min 5 s ago", 3},
        {"[{\"name\":\"a\",\"state\":\"open\",\"agents\":0,\"agents_healthy\":"
         "0}]",
         "[]", BOARD_DOWN, "nothing can run", 3},
        {"[{\"name\":\"a\",\"state\":\"open\",\"agents\":1,\"agents_healthy\":"
         "1,\"waiting\":95,\"waiting_max\":100}]",
         "[]", BOARD_DEGRADED, "nearly full: 95 of 100", 3},
        {"[]", "[]", BOARD_DEGRADED, "the store is 85 % full", 85},
        {"[]", "[{\"name\":\"w\",\"health\":\"lost\",\"state\":\"draining\"}]",
         BOARD_HEALTHY, NULL, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *overview =
            json_pack("{s:o, s:o, s:{s:f}}", "work_pools",
                      json_loads(cases[i].pools, 0, NULL), "workers",
                      json_loads(cases[i].agents, 0, NULL), "broker",
                      "store_used_percent", cases[i].store);
        struct board_judgement judgement;
        board_judge(overview, &judgement);
        assert_int_equal(judgement.health, cases[i].health);
        assert_int_equal(judgement.count > 0, cases[i].said != NULL);
        if (cases[i].said)
            assert_non_null(strstr(judgement.concerns[0].text, cases[i].said));
        board_judgement_clear(&judgement);
        json_decref(overview);
    }
}

static void the_story_of_a_waiting_run_says_what_to_do(void **state)
{
    json_t *story = json_loads(
        "{\"run_id\":\"r\",\"workflow_name\":\"w\",\"state\":\"QUEUED\","
        "\"wanted_pool\":\"etl\",\"reason\":\"POOL_PAUSED\",\"verdict\":"
        "\"ask an operator\",\"reason_text\":\"The pool is paused.\","
        "\"ahead\":2,\"waited_s\":3.5,\"features\":{\"nodes\":3,"
        "\"db_nodes\":0,\"transforms\":0,\"size_bytes\":null,\"tags\":["
        "\"etl\"]},\"decision\":{\"rule\":\"etl\",\"why\":\"tag etl\","
        "\"wanted_pool\":\"etl\",\"chosen_pool\":null,\"candidates\":[{"
        "\"pool\":\"etl\",\"verdict\":\"paused\",\"why\":\"paused\","
        "\"concurrency_limit\":3,\"active_runs\":1,\"agents\":1}]}}",
        0, NULL);
    struct paper paper = paper_of(80);
    const char *shown = NULL;

    (void)state;
    assert_non_null(story);
    paper_open(&paper);
    ctl_show_explain(&paper.screen, story);
    shown = paper_read(&paper);
    assert_non_null(strstr(shown, "3 nodes"));
    assert_non_null(strstr(shown, "tag etl"));
    assert_non_null(strstr(shown, "1/3"));
    assert_non_null(strstr(shown, "POOL_PAUSED"));
    assert_non_null(strstr(shown, "2 runs are before it; waited 3.5 s"));
    assert_non_null(strstr(shown, "dispatchctl pool resume etl"));
    assert_true(longest_line(shown) <= 80);
    free(paper.text);
    json_decref(story);
}

/* ---- rows -------------------------------------------------------------- */

/* What a run may show of its nodes: one of each sort. */
static const char some_nodes[] =
    "[{\"id\":\"customers\",\"kind\":\"extract\",\"state\":\"completed\","
    "\"duration_s\":12.3,\"rows_in\":1234567,\"rows_out\":1234567,"
    "\"rows_rejected\":0,\"bytes_out\":123456789},"
    "{\"id\":\"adults\",\"kind\":\"filter\",\"state\":\"running\","
    "\"elapsed_s\":659,\"rows_in\":1034567,\"rows_out\":9234,"
    "\"rows_rejected\":99949,\"bytes_out\":1234567},"
    "{\"id\":\"pushed\",\"kind\":\"aggregate\",\"state\":\"completed\","
    "\"duration_s\":1,\"rows_in\":null,\"rows_out\":null,"
    "\"rows_rejected\":0,\"bytes_out\":null},"
    "{\"id\":\"ping\",\"kind\":\"command\",\"state\":\"completed\","
    "\"duration_s\":0.1,\"exit_code\":0,\"rows_in\":null,\"rows_out\":null,"
    "\"rows_rejected\":null,\"bytes_out\":512},"
    "{\"id\":\"warehouse\",\"kind\":\"load\",\"state\":\"failed\","
    "\"duration_s\":3,\"rows_in\":120,\"rows_out\":0,\"rows_rejected\":0,"
    "\"bytes_out\":0,\"error\":\"the table has no column \\\"adult\\\"; it "
    "has id, name and country, and nothing else whatsoever\"},"
    "{\"id\":\"a-name-that-is-longer-than-any-ought-to-be\",\"kind\":\"load\","
    "\"state\":\"waiting\"}]";

/* malloc'ed; one of the two ways nodes are shown. */
static char *nodes_on(int columns, bool table)
{
    json_t *nodes = json_loads(some_nodes, 0, NULL);
    struct paper paper = paper_of(columns);

    assert_non_null(nodes);
    paper.screen.utf8 = true;
    struct ctl_columns widths = ctl_node_columns(&paper.screen, nodes);
    paper_open(&paper);
    for (size_t i = 0; !table && i < json_array_size(nodes); i++)
        ctl_draw_node(&paper.screen, json_array_get(nodes, i), widths);
    if (table)
        ctl_show_nodes(&paper.screen, nodes);
    (void)paper_read(&paper);
    json_decref(nodes);
    return paper.text;
}

/* The line that begins with this node; malloc'ed. */
static char *line_of(const char *text, const char *node)
{
    const char *at = strstr(text, node);

    assert_non_null(at);
    return strndup(at, strcspn(at, "\n"));
}

static void expect_line(const char *text, const char *node, const char *want)
{
    char *line = line_of(text, node);

    assert_string_equal(line, want);
    free(line);
}

static void a_node_shows_how_far_its_rows_are(void **state)
{
    char *text = nodes_on(120, false);

    (void)state;
    expect_line(text, "adults",
                "adults                       running   10 min 59 s"
                "   1.03M \xe2\x86\x92  9,234 rows  99.9k rejected    1.2 MiB");
    expect_line(text, "customers",
                "customers                    completed        12 s"
                "   1.23M \xe2\x86\x92  1.23M rows  117.7 MiB");
    expect_line(text, "pushed",
                "pushed                       completed       1.0 s"
                "       - \xe2\x86\x92      - rows");
    expect_line(text, "ping",
                "ping                         completed      100 ms");
    free(text);
}

static void rows_rejected_are_seen_on_80_columns(void **state)
{
    char *text = nodes_on(80, false);

    (void)state;
    assert_true(longest_line(text) <= 80);
    assert_non_null(strstr(text, "99.9k rejected"));
    assert_non_null(strstr(text, "the table has no column"));
    free(text);
    text = nodes_on(80, true);
    assert_true(longest_line(text) <= 80);
    assert_non_null(strstr(text, "99.9k"));
    assert_non_null(strstr(text, "  warehouse: the table has no column"));
    free(text);
}

static void the_live_picture_fits_every_terminal(void **state)
{
    (void)state;
    for (int columns = 50; columns < 200; columns += 5) {
        char *text = nodes_on(columns, false);
        assert_true(longest_line(text) <= (size_t)columns);
        free(text);
    }
}

static void a_wide_table_has_whole_numbers(void **state)
{
    char *text = nodes_on(INT_MAX, true);

    (void)state;
    assert_non_null(strstr(text, "1,234,567"));
    assert_non_null(strstr(text, "REJECTED"));
    char *line = line_of(text, "ping");
    assert_non_null(strstr(line, "100 ms"));
    assert_null(strstr(line, "512"));
    free(line);
    free(text);
}

static void runs_without_rows_show_no_columns_for_them(void **state)
{
    json_t *nodes = json_loads("[{\"id\":\"a\",\"kind\":\"command\",\"state\":"
                               "\"completed\",\"rows_in\":null,\"rows_out\":"
                               "null,\"rows_rejected\":null,\"bytes_out\":9,"
                               "\"exit_code\":0,\"duration_s\":1}]",
                               0, NULL);
    struct paper paper = paper_of(80);

    (void)state;
    paper.screen.utf8 = false;
    paper_open(&paper);
    ctl_show_nodes(&paper.screen, nodes);
    assert_string_equal(paper_read(&paper),
                        "      NODE  KIND     STATE       TOOK  EXIT\n"
                        "  ok  a     command  completed  1.0 s     0\n");
    free(paper.text);
    json_decref(nodes);
}

static char *previews_on(int columns, const char *answer)
{
    json_t *body = json_loads(answer, 0, NULL);
    struct paper paper = paper_of(columns);

    assert_non_null(body);
    paper_open(&paper);
    ctl_show_previews(&paper.screen, body);
    (void)paper_read(&paper);
    json_decref(body);
    return paper.text;
}

static void a_preview_is_a_table_a_node(void **state)
{
    char *text = previews_on(
        INT_MAX, "{\"nodes\":[{\"id\":\"x\",\"columns\":[\"id\",\"name\"],"
                 "\"rows\":[[1,\"Anna\"],[12,null],[3]],\"cut\":true,"
                 "\"rows_out\":1234},{\"id\":\"y\",\"columns\":[\"a\"],"
                 "\"rows\":[[\"\"]],\"cut\":false,\"rows_out\":null}]}");

    (void)state;
    assert_string_equal(text, "x  3 of 1,234 rows  cut: more would not fit\n"
                              "  id  name\n"
                              "   1  Anna\n"
                              "  12  null\n"
                              "   3  null\n"
                              "y  1 row\n"
                              "  a\n"
                              "  \"\"\n");
    free(text);
}

static void columns_that_do_not_fit_are_named(void **state)
{
    static const char answer[] =
        "{\"nodes\":[{\"id\":\"x\",\"columns\":[\"first\",\"second\",\"third\"]"
        ","
        "\"rows\":[[\"aaaaaaaaaaaaaaaaaaaa\",\"bbbbbbbbbbbbbbbbbbbb\",\"\\u001b"
        "c\"]],\"cut\":false,\"rows_out\":1}]}";

    (void)state;
    char *text = previews_on(40, answer);
    assert_true(longest_line(text) <= 40);
    assert_non_null(strstr(text, "and 2 more columns: second, third\n"));
    free(text);
    text = previews_on(100, answer);
    assert_non_null(strstr(text, "third"));
    assert_null(strstr(text, "more column"));
    assert_null(strchr(text, '\033'));
    free(text);
}

static void answers_that_are_no_previews_are_shown_as_nothing(void **state)
{
    static const char odd[] =
        "{\"nodes\":[7,{},{\"columns\":{},\"rows\":[7]},{\"columns\":[[]],"
        "\"rows\":[{}]}]}";
    static const char *const answers[] = {"{}", "{\"nodes\":7}",
                                          "{\"nodes\":[]}", odd};

    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        free(previews_on(80, answers[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_is_brought_to_one_form),
        cmocka_unit_test(an_address_that_cannot_be_used_says_why),
        cmocka_unit_test(what_goes_into_a_path_stays_one_segment),
        cmocka_unit_test(a_token_is_the_first_line_of_its_file),
        cmocka_unit_test(a_token_in_the_clear_is_noticed),
        cmocka_unit_test(nobody_there_is_an_error_with_words),
        cmocka_unit_test(the_exit_codes_are_those_we_promise),
        cmocka_unit_test(each_end_of_a_run_has_its_exit_code),
        cmocka_unit_test(a_problem_shows_all_it_knows),
        cmocka_unit_test(a_stranger_cannot_speak_to_the_terminal),
        cmocka_unit_test(widths_are_those_of_the_terminal),
        cmocka_unit_test(broken_and_harmful_bytes_become_question_marks),
        cmocka_unit_test(text_is_cut_at_a_character),
        cmocka_unit_test(text_wraps_at_spaces_and_breaks_long_words),
        cmocka_unit_test(durations_and_sizes_are_short),
        cmocka_unit_test(counts_are_grouped_or_shortened),
        cmocka_unit_test(a_table_lines_up_by_columns_not_bytes),
        cmocka_unit_test(a_column_with_nothing_in_it_is_left_out),
        cmocka_unit_test(a_table_fits_the_terminal),
        cmocka_unit_test(a_bar_shows_that_something_is_there),
        cmocka_unit_test(a_command_takes_its_words_and_options_anywhere),
        cmocka_unit_test(a_mistake_is_answered_with_what_was_meant),
        cmocka_unit_test(every_command_can_be_found_and_explained),
        cmocka_unit_test(values_are_picked_by_path),
        cmocka_unit_test(json_is_printed_letter_by_letter),
        cmocka_unit_test(the_whole_is_judged_by_its_worst_part),
        cmocka_unit_test(the_story_of_a_waiting_run_says_what_to_do),
        cmocka_unit_test(a_node_shows_how_far_its_rows_are),
        cmocka_unit_test(rows_rejected_are_seen_on_80_columns),
        cmocka_unit_test(the_live_picture_fits_every_terminal),
        cmocka_unit_test(a_wide_table_has_whole_numbers),
        cmocka_unit_test(runs_without_rows_show_no_columns_for_them),
        cmocka_unit_test(a_preview_is_a_table_a_node),
        cmocka_unit_test(columns_that_do_not_fit_are_named),
        cmocka_unit_test(answers_that_are_no_previews_are_shown_as_nothing),
    };

    (void)unsetenv("DISPATCH_URL");
    (void)unsetenv("DISPATCH_TOKEN");
    (void)screen_locale();
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Covers agents/csv.c and csv_write.c: what is a row and what is not, which
 * columns there are, bad rows as errors and left out, limits, and that what is
 * written is read back as the same.
 */
#include "tests/unit/files_bench.h"

static void expect(const char *config, const char *bytes, const char *rows)
{
    expect_bytes(csv_feed_fd, config, bytes, strlen(bytes), false, rows);
}

static void expect_skipping(const char *config, const char *bytes,
                            const char *rows)
{
    expect_bytes(csv_feed_fd, config, bytes, strlen(bytes), true, rows);
}

/* ---- rows --------------------------------------------------------------- */

static void cells_are_separated_and_rows_end_with_lines(void **state)
{
    (void)state;
    expect("{}", "a,b\n1,x\n2,y\n", "[1|x][2|y]");
    expect("{}", "a,b\n1,x\n2,y", "[1|x][2|y]");
    expect("{}", "a,b\n", "");
    expect("{}", "a,b", "");
}

static void every_kind_of_line_end_ends_a_row(void **state)
{
    (void)state;
    expect("{}", "a,b\r\n1,x\r\n2,y\r\n", "[1|x][2|y]");
    expect("{}", "a,b\r1,x\r2,y\r", "[1|x][2|y]");
    expect("{}", "a,b\r\n1,x\n2,y\r3,\"z\"\r\n", "[1|x][2|y][3|z]");
}

static void empty_cells_are_null_and_quoted_ones_are_empty(void **state)
{
    (void)state;
    expect("{}", "a,b,c\n,\"\",x\n,,\n", "[~||x][~|~|~]");
    expect("{}", "a,b,c\n,,", "[~|~|~]");
}

static void another_text_may_be_null(void **state)
{
    (void)state;
    expect("{'null': 'NA'}", "a,b\nNA,\"NA\"\n,NAN\n", "[~|NA][|NAN]");
    expect("{'null': '\\\\N'}", "a,b\n\\N,x\n", "[~|x]");
}

static void quoted_cells_may_have_anything(void **state)
{
    (void)state;
    expect("{}", "a,b\n\"1,2\",\"say \"\"hi\"\"\"\n\"two\nlines\",\"\"\"\"\n",
           "[1,2|say \"hi\"][two\nlines|\"]");
    expect("{}", "a,b\n\"\"\"x\"\"\",\"\r\n\"\n", "[\"x\"|\r\n]");
}

static void delimiter_and_quote_are_as_configured(void **state)
{
    (void)state;
    expect("{'delimiter': ';', 'quote': '|'}", "a;b\n|1;2|;\"x\"\n",
           "[1;2|\"x\"]");
    expect("{'delimiter': '\\t'}", "a\tb\n1,0\t2\n", "[1,0|2]");
    expect("{'quote': ''}", "a,b\n\"1,x\"y\n", "[\"1|x\"y]");
}

static void a_byte_order_mark_is_dropped(void **state)
{
    struct feed *feed =
        feed_of(csv_feed_fd, "{}", "\xef\xbb\xbf\"a\",b\n1,2\n", 14);

    (void)state;
    assert_string_equal(feed->schema.columns[0].name, "a");
    feed_close(&feed);
    assert_null(feed_of(csv_feed_fd, "{}",
                        "\xff\xfe"
                        "a\0",
                        4));
    assert_non_null(strstr(error, "UTF-16"));
}

static void blank_lines_at_the_end_are_ignored(void **state)
{
    (void)state;
    expect("{}", "a,b\n1,2\n\n\r\n\n", "[1|2]");
}

static void blank_lines_before_a_row_are_bad_rows(void **state)
{
    (void)state;
    expect("{}", "a,b\n1,2\n\n\n3,4\n",
           "[1|2]*\"in\": line 3: a blank line where 2 cells are expected");
    expect_skipping(
        "{}", "a,b\n1,2\n\n\n3,4\n",
        "[1|2]!\"in\": line 3: a blank line where 2 cells are expected!"
        "!\"in\": line 4: a blank line where 2 cells are expected![3|4]");
}

static void in_a_file_of_one_column_blank_lines_are_rows(void **state)
{
    (void)state;
    expect("{}", "a\n1\n\n2\n\n", "[1][~][2][~]");
}

/* ---- columns ------------------------------------------------------------ */

static void expect_types(const char *config, const char *bytes,
                         const char *types)
{
    struct feed *feed = feed_of(csv_feed_fd, config, bytes, strlen(bytes));

    if (!feed)
        fail_msg("%s", error);
    char *got = types_of(feed);
    assert_string_equal(got, types);
    free(got);
    feed_close(&feed);
}

static void a_header_names_columns_of_text(void **state)
{
    (void)state;
    expect_types("{}", "a,\"b c\",\n1,2,3\n", "a text, b c text, c3 text");
}

static void without_a_header_columns_are_numbered_or_named(void **state)
{
    (void)state;
    expect_types("{'header': false}", "1,2\n", "c1 text, c2 text");
    expect("{'header': false}", "1,2\n3,4\n", "[1|2][3|4]");
    expect_types("{'header': false, 'columns': "
                 "[{'name': 'x', 'type': 'integer'}, {'name': 'y'}]}",
                 "1,2\n", "x integer, y text");
    expect_types("{'header': false, 'columns': [{'name': 'x'}]}", "", "x text");
    expect("{'header': false, 'columns': [{'name': 'x'}]}", "", "");
}

static void the_first_of_rows_without_header_is_checked_as_any(void **state)
{
    const char *config = "{'header': false, 'columns': [{'name': 'x', 'type': "
                         "'integer'}, {'name': 'y'}]}";

    (void)state;
    expect_skipping(config, "1\n2,3\n",
                    "!\"in\": line 1: 1 cells where 2 are expected![2|3]");
    expect_skipping(config, "x,1\n2,3\n",
                    "!\"in\": line 1, column 1: \"x\" is not an integer!"
                    "[2|3]");
    expect(config, "\n2,3\n",
           "*\"in\": line 1: a blank line where 2 cells are expected");
}

static void columns_choose_and_order_by_name(void **state)
{
    (void)state;
    expect("{'columns': [{'name': 'c', 'type': 'integer'}, {'name': 'a'}]}",
           "a,b,c\nx,bad,3\n", "[3|x]");
    expect("{'columns': [{'name': 'A'}]}", "a,b\n1,2\n", "[1]");
    expect("{'columns': [{'name': 'z'}]}", "a,b\n",
           "\"in\" has no column \"z\"; it has a, b");
    expect("{'columns': [{'name': 'b'}]}", "a,b,a\n1,2,3\n", "[2]");
    expect("{'columns': [{'name': 'a'}]}", "a,b,a\n1,2,3\n",
           "\"in\": more than one column is called \"a\"");
}

static void two_columns_of_one_name_have_to_be_chosen_from(void **state)
{
    (void)state;
    expect("{}", "a,a\n1,2\n",
           "\"in\": two columns are called \"a\": say in `columns` which are "
           "to be read");
}

static void an_empty_file_has_no_header(void **state)
{
    (void)state;
    assert_null(feed_of(csv_feed_fd, "{}", "", 0));
    assert_non_null(strstr(error, "header"));
    assert_null(feed_of(csv_feed_fd, "{}", "\n", 1));
    assert_non_null(strstr(error, "header"));
    assert_null(feed_of(csv_feed_fd, "{'header': false}", "", 0));
    assert_non_null(strstr(error, "columns"));
}

static void a_configuration_that_is_not_right_is_refused(void **state)
{
    static const char *const configs[] = {
        "{'delimiter': ''}",
        "{'delimiter': 'ab'}",
        "{'delimiter': 'a'}",
        "{'delimiter': '\\n'}",
        "{'delimiter': 1}",
        "{'delimiter': '\xc3\xa4'}",
        "{'delimiter': '\\u0000'}",
        "{'quote': '::'}",
        "{'quote': ','}",
        "{'null': 'a,b'}",
        "{'null': 'a\\nb'}",
        "{'header': 'yes'}",
        "{'columns': []}",
        "{'columns': {}}",
        "{'columns': ['a']}",
        "{'columns': [{'name': ''}]}",
        "{'columns': [{'name': 'a', 'type': 'float'}]}",
        "{'columns': [{'name': 'a'}, {'name': 'a'}]}",
        "{'columns': [{'name': 'a', 'type': 'decimal', 'precision': -1}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
        if (feed_of(csv_feed_fd, configs[i], "a\n", 2))
            fail_msg("accepted: %s", configs[i]);
}

/* ---- types -------------------------------------------------------------- */

#define TYPED                                                                  \
    "{'columns': [{'name': 'i', 'type': 'integer'}, "                          \
    "{'name': 'd', 'type': 'decimal'}, {'name': 'f', 'type': 'double'}, "      \
    "{'name': 'b', 'type': 'boolean'}, {'name': 'y', 'type': 'date'}, "        \
    "{'name': 'x', 'type': 'bytes'}]}"

static void typed_columns_give_canonical_values(void **state)
{
    (void)state;
    expect(TYPED, "i,d,f,b,y,x\n 7 ,12.50,1e3,true,2024-02-29,\\x4142\n,,,,,\n",
           "[7|12.50|1000|t|2024-02-29|AB][~|~|~|~|~|~]");
}

static void a_value_not_of_its_type_is_told_with_its_place(void **state)
{
    (void)state;
    expect(TYPED, "i,d,f,b,y,x\n1,1,1,t,2024-01-01,\n2,1,1,t,2023-02-29,\n",
           "[1|1|1|t|2024-01-01|~]*\"in\": line 3, column 5 \"y\": "
           "\"2023-02-29\" is no day of the years 1 to 9999");
    expect("{'columns': [{'name': 'b', 'type': 'integer'}]}", "a,b\n,x\n",
           "*\"in\": line 2, column 2 \"b\": \"x\" is not an integer");
    expect("{'columns': [{'name': 'b', 'type': 'integer'}]}", "b\n\"\"\n",
           "*\"in\": line 2, column 1 \"b\": \"\" is not an integer");
}

static void precision_and_scale_are_kept_to(void **state)
{
    struct feed *feed =
        feed_of(csv_feed_fd,
                "{'columns': [{'name': 'a', 'type': 'decimal', 'precision': 4, "
                "'scale': 2}]}",
                "a\n12.34\n123.45\n", 15);

    (void)state;
    assert_int_equal(feed->schema.columns[0].precision, 4);
    assert_int_equal(feed->schema.columns[0].scale, 2);
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), -1);
    assert_non_null(strstr(feed->error, "line 3"));
    feed_close(&feed);
}

/* ---- bad rows ----------------------------------------------------------- */

static void ragged_rows_are_told_with_their_line(void **state)
{
    (void)state;
    expect("{}", "a,b\n1,2\n3\n",
           "[1|2]*\"in\": line 3: 1 cells where 2 are expected");
    expect("{}", "a,b\n1,2,3\n",
           "*\"in\": line 2: 3 cells where 2 are expected");
    expect_skipping("{}", "a,b\n1\n2,3\n4,5,6\n7,8\n",
                    "!\"in\": line 2: 1 cells where 2 are expected![2|3]"
                    "!\"in\": line 4: 3 cells where 2 are expected![7|8]");
}

static void a_row_of_far_too_many_cells_is_a_ragged_one(void **state)
{
    size_t len = 10000;
    char *bytes = malloc(len + 10);

    (void)state;
    memcpy(bytes, "a,b\n", 4);
    memset(bytes + 4, ',', len);
    memcpy(bytes + 4 + len, "\n1,2\n", 6);
    expect_skipping("{}", bytes,
                    "!\"in\": line 2: 10001 cells where 2 are expected![1|2]");
    free(bytes);
}

static void more_columns_than_are_possible_are_refused(void **state)
{
    char bytes[SCHEMA_COLUMNS_MAX + 2];

    (void)state;
    memset(bytes, ',', sizeof bytes);
    bytes[SCHEMA_COLUMNS_MAX] = '\n';
    assert_null(
        feed_of(csv_feed_fd, "{}", bytes, (size_t)SCHEMA_COLUMNS_MAX + 1));
    assert_non_null(strstr(error, "1601"));
}

static void a_quote_out_of_place_spoils_its_line_only(void **state)
{
    (void)state;
    expect("{}", "a,b\nx\"y,1\n",
           "*\"in\": line 2, column 1 \"a\": a quote within a cell that does "
           "not begin with one");
    expect("{}", "a,b\n1,\"x\"y\n",
           "*\"in\": line 2, column 2 \"b\": text behind a closing quote");
    expect_skipping("{}", "a,b\r\nx\"y,1\r\n2,3\r\n\"4\"4,\"\r\n5,6",
                    "!\"in\": line 2, column 1 \"a\": a quote within a cell "
                    "that does not begin with one![2|3]"
                    "!\"in\": line 4, column 1 \"a\": text behind a closing "
                    "quote![5|6]");
}

static void a_quote_never_closed_ends_everything(void **state)
{
    (void)state;
    expect_skipping("{}", "a,b\n1,2\n3,\"x\n4,5\n",
                    "[1|2]*\"in\": line 3: a quote is opened in this row and "
                    "never closed");
}

static void lines_within_cells_are_counted(void **state)
{
    (void)state;
    expect("{}", "a,b\n\"1\n\r\n\r2\",x\n3\n",
           "[1\n\r\n\r2|x]*\"in\": line 6: 1 cells where 2 are expected");
}

static void bytes_that_are_not_utf8_are_told_with_their_place(void **state)
{
    (void)state;
    expect("{}", "a,b\nä,€\nx,\xff\n",
           "[ä|€]*\"in\": line 3, column 2 \"b\": bytes that are not UTF-8");
    expect_skipping("{}", "a,b\n\xc3,1\n2,\xed\xa0\x80\n3,4\n",
                    "!\"in\": line 2, column 1 \"a\": bytes that are not "
                    "UTF-8!!\"in\": line 3, column 2 \"b\": bytes that are not "
                    "UTF-8![3|4]");
    /* also in a column that nobody reads */
    expect("{'columns': [{'name': 'a'}]}", "a,b\n1,\xff\n",
           "*\"in\": line 2, column 2 \"b\": bytes that are not UTF-8");
    expect("{}", "a\xff\n", "\"in\": line 1, column 1: its name is not UTF-8");
}

static void a_nul_is_no_text(void **state)
{
    (void)state;
    expect_bytes(csv_feed_fd, "{}", "a,b\n1,\0\n2,3\n", 12, true,
                 "!\"in\": line 2, column 2 \"b\": a NUL byte![2|3]");
    expect_bytes(csv_feed_fd, "{}", "a,b\n\"\0\",1\n", 11, false,
                 "*\"in\": line 2, column 1 \"a\": a NUL byte");
}

static void rejected_rows_are_counted(void **state)
{
    const char *bytes = "a,b\n1\nx\"\n2,3\n\xff,1\n4,5\n";
    struct feed *feed = feed_of(csv_feed_fd, "{}", bytes, strlen(bytes));

    (void)state;
    feed->skip = true; /* and nobody to be told */
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->next(feed), 0);
    assert_int_equal(feed->rejected, 3);
    assert_int_equal(feed->rows, 2);
    assert_int_equal(feed->bytes, strlen(bytes));
    feed_close(&feed);
}

/* ---- size --------------------------------------------------------------- */

/* The window is refilled within cells, quotes and line ends of any kind. */
static void rows_across_the_window_are_whole(void **state)
{
    enum { ROWS = 30000 };
    struct text text = {0};
    size_t at = 0;

    (void)state;
    text_add(&text, "n,q\r\n");
    for (int i = 0; i < ROWS; i++)
        text_addf(&text, "%d,\"x%d\"\"y\n%.*s\"\r\n", i, i, i % 23,
                  "-----------------------");
    struct feed *feed = feed_of(csv_feed_fd, "{}", text.bytes, text.len);
    for (int i = 0; i < ROWS; i++) {
        char expected[64], number[16];
        snprintf(number, sizeof number, "%d", i);
        size_t len = (size_t)snprintf(expected, sizeof expected, "x%d\"y\n%.*s",
                                      i, i % 23, "-----------------------");
        assert_int_equal(feed->next(feed), 1);
        assert_int_equal(feed->cells[0].len, strlen(number));
        assert_memory_equal(feed->cells[0].bytes, number, strlen(number));
        assert_int_equal(feed->cells[1].len, len);
        assert_memory_equal(feed->cells[1].bytes, expected, len);
        at++;
    }
    assert_int_equal(at, ROWS);
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
    text_clear(&text);
}

/* Whatever byte a read ends with. */
static void rows_are_the_same_from_reads_of_any_size(void **state)
{
    const size_t most = files_in_most;

    (void)state;
    for (files_in_most = 1; files_in_most < 20; files_in_most++) {
        every_kind_of_line_end_ends_a_row(state);
        quoted_cells_may_have_anything(state);
        a_byte_order_mark_is_dropped(state);
        blank_lines_before_a_row_are_bad_rows(state);
        a_quote_out_of_place_spoils_its_line_only(state);
        a_quote_never_closed_ends_everything(state);
        bytes_that_are_not_utf8_are_told_with_their_place(state);
    }
    files_in_most = most;
}

static void a_cell_of_ten_megabytes_is_a_cell(void **state)
{
    const size_t large = 10 << 20;
    char *bytes = malloc(large + 100), *end = bytes;

    (void)state;
    end += sprintf(end, "a,b\n\"");
    memset(end, 'x', large);
    memcpy(end + large / 2, "\"\"", 2);
    end += large;
    end += sprintf(end, "\",1\n");
    memset(end, 0, 1);
    struct feed *feed =
        feed_of(csv_feed_fd, "{}", bytes, (size_t)(end - bytes));
    assert_int_equal(feed->next(feed), 1);
    assert_int_equal(feed->cells[0].len, large - 1);
    assert_int_equal(feed->cells[0].bytes[large / 2], '"');
    assert_int_equal(feed->cells[0].bytes[large / 2 + 1], 'x');
    assert_int_equal(feed->next(feed), 0);
    feed_close(&feed);
    free(bytes);
}

/* A hole of a gigabyte after a quote: as if it were endless. */
static void an_endless_cell_is_refused_in_bounded_memory(void **state)
{
    static const char *const heads[] = {"a,b\n1,2\n\"x", "a,b\n1,2\nx"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        int fd = bytes_fd(heads[i], strlen(heads[i]));
        struct feed *feed;
        json_t *config = json_object();
        assert_int_equal(ftruncate(fd, 1 << 30), 0);
        assert_int_equal(csv_feed_fd(fd, "in", config, &feed, error), 0);
        feed->skip = true;
        assert_int_equal(feed->next(feed), 1);
        assert_int_equal(feed->next(feed), -1);
        assert_non_null(strstr(feed->error, "line 3"));
        assert_non_null(strstr(feed->error, "64 MiB"));
        assert_true(feed->bytes < (uint64_t)FILES_ROW_MAX);
        feed_close(&feed);
        json_decref(config);
    }
}

/* ---- writing ------------------------------------------------------------ */

static void expect_written(const char *config, const char *columns,
                           const char *sql, const char *expected)
{
    write_file(csv_sink, config, columns, sql);
    char *got = contents("out.csv");
    assert_string_equal(got, expected);
    free(got);
}

static void what_has_to_be_quoted_is(void **state)
{
    (void)state;
    expect_written("{'path': 'out.csv'}", "a text, b text",
                   "values ('x', 'a,b'), ('say \"hi\"', char(10)), ('', NULL), "
                   "(' x', 'é')",
                   "a,b\nx,\"a,b\"\n\"say \"\"hi\"\"\",\"\n\"\n\"\",\n"
                   "\" x\",é\n");
}

static void the_format_is_as_configured(void **state)
{
    (void)state;
    expect_written("{'path': 'out.csv', 'delimiter': ';', 'quote': '|', "
                   "'header': false, 'null': 'NA'}",
                   "a text, b text, c integer",
                   "values ('a;b|', 'NA', NULL), ('\"', ',', 5)",
                   "|a;b|||;|NA|;NA\n\";,;5\n");
}

static void every_type_is_written_in_its_form(void **state)
{
    (void)state;
    expect_written(
        "{'path': 'out.csv', 'header': false}",
        "i integer, d decimal, f double, b boolean, x bytes, y date, "
        "t timestamptz",
        "values (-5, '12.50', 0.1, 1, x'00ff', '2024-02-29', "
        "'2024-02-29 01:02:03.5+00'), (NULL, NULL, NULL, 0, x'', NULL, NULL)",
        "-5,12.50,0.1,true,\\x00ff,2024-02-29,2024-02-29 01:02:03.5+00\n"
        ",,,false,\\x,,\n");
}

static void what_would_need_quotes_is_refused_without(void **state)
{
    struct sink *sink =
        sink_of(csv_sink, "{'path': 'no.csv', 'quote': ''}", "a text");

    (void)state;
    assert_int_equal(sink->begin(sink), SINK_OK);
    assert_int_equal(pour(sink, "values ('x y'), ('a,b')"), SINK_FAILED);
    assert_non_null(strstr(sink->error, "row 2"));
    sink->abort(sink);
    sink_close(&sink);
    assert_int_equal(files_size(root, "no.csv"), -1);
}

static void what_is_written_is_read_back(void **state)
{
    static const char columns[] =
        "{'path': 'out.csv', 'columns': [{'name': 'i', 'type': 'integer'}, "
        "{'name': 'd', 'type': 'decimal'}, {'name': 'f', 'type': 'double'}, "
        "{'name': 'b', 'type': 'boolean'}, {'name': 'x', 'type': 'bytes'}, "
        "{'name': 'y', 'type': 'date'}, {'name': 's', 'type': 'timestamp'}, "
        "{'name': 'z', 'type': 'timestamptz'}, {'name': 'w'}]}";
    json_t *config = config_of(columns);
    struct feed *feed;

    (void)state;
    write_file(csv_sink, columns,
               "i integer, d decimal, f double, b boolean, x bytes, y date, "
               "s timestamp, z timestamptz, w text",
               "values (-9223372036854775808, '-0.50', 1e300, 0, x'0a2c', "
               "'0001-01-01', '2024-02-29 23:59:59.000001', "
               "'2024-02-29 23:59:59+00', char(13) || '\",\n ' || char(65279)),"
               " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
               " (0, '1', -0.5, 1, x'', '9999-12-31', '2024-01-01 00:00:00', "
               "'2024-01-01 00:00:00+00', '')");
    assert_int_equal(csv_feed(root, config, &feed, error), 0);
    char *got = drain(feed, false);
    assert_string_equal(
        got, "[-9223372036854775808|-0.50|1e+300|f|\n,|0001-01-01|"
             "2024-02-29 23:59:59.000001|2024-02-29 23:59:59+00|\r\",\n "
             "\xef\xbb\xbf]"
             "[~|~|~|~|~|~|~|~|~]"
             "[0|1|-0.5|t||9999-12-31|2024-01-01 00:00:00|"
             "2024-01-01 00:00:00+00|]");
    free(got);
    feed_close(&feed);
    json_decref(config);
}

static void a_column_of_nulls_and_empty_texts_is_read_back(void **state)
{
    json_t *config = config_of("{'path': 'out.csv'}");
    struct feed *feed;

    (void)state;
    write_file(csv_sink, "{'path': 'out.csv'}", "a text",
               "values (NULL), (''), ('x'), (''), (NULL)");
    assert_int_equal(csv_feed(root, config, &feed, error), 0);
    char *got = drain(feed, false);
    assert_string_equal(got, "[~][][x][][~]");
    free(got);
    feed_close(&feed);
    json_decref(config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells_are_separated_and_rows_end_with_lines),
        cmocka_unit_test(every_kind_of_line_end_ends_a_row),
        cmocka_unit_test(empty_cells_are_null_and_quoted_ones_are_empty),
        cmocka_unit_test(another_text_may_be_null),
        cmocka_unit_test(quoted_cells_may_have_anything),
        cmocka_unit_test(delimiter_and_quote_are_as_configured),
        cmocka_unit_test(a_byte_order_mark_is_dropped),
        cmocka_unit_test(blank_lines_at_the_end_are_ignored),
        cmocka_unit_test(blank_lines_before_a_row_are_bad_rows),
        cmocka_unit_test(in_a_file_of_one_column_blank_lines_are_rows),
        cmocka_unit_test(a_header_names_columns_of_text),
        cmocka_unit_test(without_a_header_columns_are_numbered_or_named),
        cmocka_unit_test(the_first_of_rows_without_header_is_checked_as_any),
        cmocka_unit_test(columns_choose_and_order_by_name),
        cmocka_unit_test(two_columns_of_one_name_have_to_be_chosen_from),
        cmocka_unit_test(an_empty_file_has_no_header),
        cmocka_unit_test(a_configuration_that_is_not_right_is_refused),
        cmocka_unit_test(typed_columns_give_canonical_values),
        cmocka_unit_test(a_value_not_of_its_type_is_told_with_its_place),
        cmocka_unit_test(precision_and_scale_are_kept_to),
        cmocka_unit_test(ragged_rows_are_told_with_their_line),
        cmocka_unit_test(a_row_of_far_too_many_cells_is_a_ragged_one),
        cmocka_unit_test(more_columns_than_are_possible_are_refused),
        cmocka_unit_test(a_quote_out_of_place_spoils_its_line_only),
        cmocka_unit_test(a_quote_never_closed_ends_everything),
        cmocka_unit_test(lines_within_cells_are_counted),
        cmocka_unit_test(bytes_that_are_not_utf8_are_told_with_their_place),
        cmocka_unit_test(a_nul_is_no_text),
        cmocka_unit_test(rejected_rows_are_counted),
        cmocka_unit_test(rows_across_the_window_are_whole),
        cmocka_unit_test(rows_are_the_same_from_reads_of_any_size),
        cmocka_unit_test(a_cell_of_ten_megabytes_is_a_cell),
        cmocka_unit_test(an_endless_cell_is_refused_in_bounded_memory),
        cmocka_unit_test(what_has_to_be_quoted_is),
        cmocka_unit_test(the_format_is_as_configured),
        cmocka_unit_test(every_type_is_written_in_its_form),
        cmocka_unit_test(what_would_need_quotes_is_refused_without),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(a_column_of_nulls_and_empty_texts_is_read_back),
    };

    return cmocka_run_group_tests_name("csv", tests, make_root, remove_root);
}

/*
 * Aggregate functions. SQLite keeps a zeroed struct a group and always calls
 * the last step, also when a statement is given up, so what a group holds is
 * freed there.
 *
 * A group in which a value failed, and the host did not want the statement to
 * end, is NULL as a whole.
 */
#include "agents/functions_inside.h"

#include <errno.h>
#include <math.h>
#include <string.h>

struct aggregate {
    const char *name; /* without dp_ */
    size_t size;      /* of a group */
    void (*step)(struct function_call *call, void *group);
    /* The result; and frees what the group holds. */
    void (*end)(struct function_call *call, void *group);
    bool nulls; /* counts them as values */
};

struct installed {
    const struct aggregate *aggregate;
    const struct function_host *host;
};

/* At the beginning of every group. */
struct group {
    uint32_t site;
    bool failed;
};

struct integer_sum {
    struct group group;
    decimal_small sum; /* of 2^63 rows at least */
    int64_t count;
};

struct decimal_sum {
    struct group group;
    struct decimal sum;
    int64_t count;
};

struct double_sum {
    struct group group;
    double sum;
    int64_t count;
};

/* Youngs and Cramer: squares is the sum of squared differences from the
 * mean. */
struct spread {
    struct group group;
    double count, sum, squares;
};

struct kept {
    struct group group;
    sqlite3_value *value;
    bool any;
};

struct extreme {
    struct group group;
    char *text; /* sqlite3_malloc() */
    size_t len, room;
};

/* ---- sums and means ------------------------------------------------------ */

static void sum_int_step(struct function_call *call, void *of)
{
    struct integer_sum *group = of;

    group->sum += sqlite3_value_int64(call->args[0]);
    group->count++;
}

static void sum_int_end(struct function_call *call, void *of)
{
    const struct integer_sum *group = of;

    if (group->count == 0)
        return;
    if (group->sum < INT64_MIN || group->sum > INT64_MAX)
        function_fail(call, "the sum does not fit 64 bits");
    else
        function_give_integer(call, (int64_t)group->sum);
}

static void decimal_step(struct function_call *call, void *of)
{
    struct decimal_sum *group = of;
    struct decimal value = {0};

    if (!function_decimal(call, 0, &value)) {
        group->group.failed = true;
        return;
    }
    if (decimal_add(&group->sum, &group->sum, &value) < 0) {
        group->group.failed = true;
        function_fail(call, "the sum has more than %d digits",
                      DECIMAL_DIGITS_MAX);
    }
    group->count++;
    decimal_clear(&value);
}

static void sum_dec_end(struct function_call *call, void *of)
{
    struct decimal_sum *group = of;

    if (group->count > 0 && !group->group.failed)
        function_give_decimal(call, &group->sum, 0);
    decimal_clear(&group->sum);
}

static void avg_dec_end(struct function_call *call, void *of)
{
    struct decimal_sum *group = of;
    struct decimal count = {0};

    if (group->count > 0 && !group->group.failed) {
        decimal_from_integer(&count, group->count);
        function_give_decimal(call, &group->sum,
                              decimal_div(&group->sum, &group->sum, &count));
    }
    decimal_clear(&group->sum);
}

static void double_step(struct function_call *call, void *of)
{
    struct double_sum *group = of;
    double value;

    if (!function_double(call, 0, &value)) {
        group->group.failed = true;
        return;
    }
    group->sum += value;
    group->count++;
}

static void sum_dbl_end(struct function_call *call, void *of)
{
    const struct double_sum *group = of;

    if (group->count > 0 && !group->group.failed)
        function_give_double(call, group->sum);
}

static void avg_dbl_end(struct function_call *call, void *of)
{
    const struct double_sum *group = of;

    if (group->count > 0 && !group->group.failed)
        function_give_double(call, group->sum / (double)group->count);
}

/* ---- how far values are apart -------------------------------------------- */

static void spread_step(struct function_call *call, void *of)
{
    struct spread *group = of;
    double value;

    if (!function_double(call, 0, &value)) {
        group->group.failed = true;
        return;
    }
    double before = group->count;
    group->count += 1;
    group->sum += value;
    if (before > 0) {
        double apart = value * group->count - group->sum;
        group->squares += apart * apart / (group->count * before);
    }
}

static void var_end(struct function_call *call, void *of)
{
    const struct spread *group = of;

    if (group->count > 1 && !group->group.failed)
        function_give_double(call, group->squares / (group->count - 1));
}

static void std_end(struct function_call *call, void *of)
{
    const struct spread *group = of;

    if (group->count > 1 && !group->group.failed)
        function_give_double(call, sqrt(group->squares / (group->count - 1)));
}

/* ---- first and last ------------------------------------------------------ */

static void keep(struct function_call *call, struct kept *group)
{
    sqlite3_value_free(group->value);
    group->value = sqlite3_value_dup(call->args[0]);
    group->any = true;
    if (!group->value)
        sqlite3_result_error_nomem(call->context);
}

static void first_step(struct function_call *call, void *of)
{
    struct kept *group = of;

    if (!group->any)
        keep(call, group);
}

static void last_step(struct function_call *call, void *of)
{
    keep(call, of);
}

static void kept_end(struct function_call *call, void *of)
{
    struct kept *group = of;

    if (group->value)
        sqlite3_result_value(call->context, group->value);
    sqlite3_value_free(group->value);
    group->value = NULL;
}

/* ---- the least and the greatest decimal ---------------------------------- */

/* Of equal ones (1.0 and 1.00) the last stays, as in PostgreSQL. */
static void extreme_step(struct function_call *call, struct extreme *group,
                         int sign)
{
    size_t len;
    const char *text = function_text(call, 0, &len);

    if (!text)
        return;
    if (group->text &&
        sign * decimal_compare_texts(text, len, group->text, group->len) < 0)
        return;
    if (!group->text || len > group->room) {
        char *more = sqlite3_realloc64(group->text, len + 16);
        if (!more) {
            sqlite3_result_error_nomem(call->context);
            return;
        }
        group->text = more;
        group->room = len + 16;
    }
    memcpy(group->text, text, len);
    group->len = len;
}

static void min_step(struct function_call *call, void *of)
{
    extreme_step(call, of, -1);
}

static void max_step(struct function_call *call, void *of)
{
    extreme_step(call, of, 1);
}

static void extreme_end(struct function_call *call, void *of)
{
    struct extreme *group = of;

    if (group->text)
        function_give_text(call, group->text, group->len);
    sqlite3_free(group->text);
    group->text = NULL;
}

/* ---- what SQLite calls --------------------------------------------------- */

static const struct aggregate aggregates[] = {
    {"sum_int", sizeof(struct integer_sum), sum_int_step, sum_int_end, false},
    {"sum_dec", sizeof(struct decimal_sum), decimal_step, sum_dec_end, false},
    {"avg_dec", sizeof(struct decimal_sum), decimal_step, avg_dec_end, false},
    {"sum_dbl", sizeof(struct double_sum), double_step, sum_dbl_end, false},
    {"avg_dbl", sizeof(struct double_sum), double_step, avg_dbl_end, false},
    {"var", sizeof(struct spread), spread_step, var_end, false},
    {"std", sizeof(struct spread), spread_step, std_end, false},
    {"first", sizeof(struct kept), first_step, kept_end, true},
    {"last", sizeof(struct kept), last_step, kept_end, true},
    {"min_dec", sizeof(struct extreme), min_step, extreme_end, false},
    {"max_dec", sizeof(struct extreme), max_step, extreme_end, false},
};

static void step(sqlite3_context *context, int count, sqlite3_value **args)
{
    const struct installed *installed = sqlite3_user_data(context);
    const struct aggregate *aggregate = installed->aggregate;

    /* With DISTINCT there is no site: SQLite allows one argument then. */
    sqlite3_value **value = args + count - 1;
    if (!aggregate->nulls && sqlite3_value_type(*value) == SQLITE_NULL)
        return;
    struct group *group =
        sqlite3_aggregate_context(context, (int)aggregate->size);
    if (!group) {
        sqlite3_result_error_nomem(context);
        return;
    }
    if (group->failed)
        return;
    group->site = count > 1 ? (uint32_t)sqlite3_value_int64(args[0]) : 0;
    struct function_call call = {
        .host = installed->host,
        .context = context,
        .site = group->site,
        .count = 1,
        .args = value,
    };
    aggregate->step(&call, group);
}

static void end(sqlite3_context *context)
{
    const struct installed *installed = sqlite3_user_data(context);
    struct group *group = sqlite3_aggregate_context(context, 0);

    if (!group)
        return;
    struct function_call call = {
        .host = installed->host,
        .context = context,
        .site = group->site,
    };
    installed->aggregate->end(&call, group);
}

static int install(sqlite3 *db, const struct aggregate *aggregate,
                   const struct function_host *host, int args)
{
    const int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
    struct installed *installed = sqlite3_malloc(sizeof *installed);
    char name[64];

    if (!installed)
        return -ENOMEM;
    *installed = (struct installed){aggregate, host};
    sqlite3_snprintf(sizeof name, name, "dp_%s", aggregate->name);
    /* It is freed by SQLite, also when this fails. */
    return sqlite3_create_function_v2(db, name, args, flags, installed, NULL,
                                      step, end, sqlite3_free) == SQLITE_OK
               ? 0
               : -ENOMEM;
}

int aggregates_install(sqlite3 *db, const struct function_host *host)
{
    for (size_t i = 0; i < sizeof aggregates / sizeof aggregates[0]; i++)
        for (int args = 1; args <= 2; args++)
            if (install(db, &aggregates[i], host, args) < 0)
                return -ENOMEM;
    return 0;
}

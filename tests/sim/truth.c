/* truth.c - what fake agents really execute, held against what the store says
 * at that moment. See sim.h */
#include "tests/sim/sim.h"

#include <stdlib.h>

/* Among those that execute in a pool the one granted last was granted when all
 * others held their slots: they must fit the limit of that moment. */
static void check_cap(struct world *w, size_t pool)
{
    const struct model *m = &w->model;
    const struct truth_attempt *last = NULL;

    for (size_t i = 0; i < m->executing_count[pool]; i++) {
        const struct exec_ref *ref = &m->executing[pool][i];
        const struct truth_attempt *attempt =
            &m->runs[ref->run].attempts[ref->attempt - 1];
        if (last == NULL || attempt->granted > last->granted)
            last = attempt;
    }
    if (last != NULL && m->executing_count[pool] > last->limit)
        sim_fail(w, "%zu execute in pool %s, limit %u",
                 m->executing_count[pool], m->pools[pool].config.name,
                 last->limit);
}

void model_exec_begins(struct world *w, const struct fake *agent,
                       const struct holding *h)
{
    struct model *m = &w->model;
    struct truth_run *run = model_run(m, &h->run);
    struct truth_attempt *attempt =
        run != NULL ? model_attempt(run, h->attempt) : NULL;

    w->executions++;
    if (attempt == NULL || attempt->exec != EXEC_NOT || !attempt->live ||
        attempt->agent != agent->index || run->attempt != h->attempt ||
        run->executing != 0 ||
        (run->state != RUN_RUNNING && run->state != RUN_CANCELLING)) {
        sim_fail(w, "%s begins %s/%u: run %s/%u, %u executing%s", agent->name,
                 short_id(&h->run), h->attempt,
                 run != NULL ? run_state_name(run->state) : "unknown",
                 run != NULL ? run->attempt : 0,
                 run != NULL ? run->executing : 0,
                 attempt != NULL && !attempt->live ? ", lease closed" : "");
        return;
    }
    attempt->exec = EXEC_NOW;
    run->executing++;
    size_t pool = attempt->pool;
    if (m->executing_count[pool] == m->executing_room[pool]) {
        m->executing_room[pool] = m->executing_room[pool] * 2 + 16;
        m->executing[pool] =
            must(realloc(m->executing[pool],
                         m->executing_room[pool] * sizeof *m->executing[pool]));
    }
    m->executing[pool][m->executing_count[pool]++] = (struct exec_ref){
        .run = (uint32_t)(run - m->runs), .attempt = h->attempt};
    check_cap(w, pool);
}

void model_exec_ends(struct world *w, const struct fake *agent,
                     const struct holding *h)
{
    struct model *m = &w->model;
    struct truth_run *run = model_run(m, &h->run);
    struct truth_attempt *attempt =
        run != NULL ? model_attempt(run, h->attempt) : NULL;

    (void)agent;
    if (attempt == NULL || attempt->exec != EXEC_NOW)
        return; /* said when it began */
    attempt->exec = EXEC_OVER;
    attempt->outcome = h->outcome;
    run->executing--;
    w->completed += h->outcome == ATTEMPT_COMPLETED;
    struct exec_ref *list = m->executing[attempt->pool];
    size_t *count = &m->executing_count[attempt->pool];
    for (size_t i = 0; i < *count; i++) {
        if (list[i].run == (uint32_t)(run - m->runs) &&
            list[i].attempt == h->attempt) {
            list[i] = list[--*count];
            break;
        }
    }
}

void model_acknowledged(struct world *w, const struct holding *h)
{
    struct truth_run *run = model_run(&w->model, &h->run);
    const struct truth_attempt *attempt =
        run != NULL ? model_attempt(run, h->attempt) : NULL;

    if (attempt == NULL || attempt->live)
        sim_fail(w, "the result of %s/%u is acknowledged, not stored",
                 short_id(&h->run), h->attempt);
}

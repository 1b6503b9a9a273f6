/* Covers agents/spool.c and agents/journal.c: what is on disk, and what follows
 * from it after a crash. */
#include "agents/journal.h"
#include "agents/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct place {
    char dir[64];
    struct spool spool;
};

static const char name[] = "01020304-0506-7008-800a-000000000001.3";

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char why[SPOOL_WHY_MAX];

    strcpy(p->dir, "/tmp/test-spool-XXXXXX");
    if (!mkdtemp(p->dir) || spool_open(p->dir, 0, &p->spool, why) < 0)
        return -1;
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char command[128];

    spool_close(&p->spool);
    snprintf(command, sizeof command, "rm -rf %s", p->dir);
    if (system(command) != 0) /* NOLINT: a fixed command of the test */
        perror("rm");
    free(p);
    return 0;
}

static int create(struct place *p)
{
    int dir_fd = -1;

    assert_int_equal(spool_create_run(&p->spool, name, "frame", 5, &dir_fd), 0);
    return dir_fd;
}

static void names_go_both_ways_and_bad_ones_are_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        ".trash.x",
        "01020304-0506-7008-800a-000000000001",
        "01020304-0506-7008-800a-000000000001.",
        "01020304-0506-7008-800a-000000000001.0",
        "01020304-0506-7008-800a-000000000001.-1",
        "01020304-0506-7008-800a-000000000001.1x",
        "01020304-0506-7008-800a-000000000001.99999999999",
        "zz020304-0506-7008-800a-000000000001.1",
    };
    struct wire_id run;
    uint32_t attempt;
    char text[SPOOL_NAME_MAX];

    (void)state;
    assert_int_equal(spool_parse_name(name, &run, &attempt), 0);
    assert_int_equal(attempt, 3);
    assert_int_equal(run.b[15], 1);
    spool_name(&run, attempt, text);
    assert_string_equal(text, name);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(spool_parse_name(wrong[i], &run, &attempt), -EINVAL);
}

static void a_second_agent_is_told_who_is_in_its_way(void **state)
{
    struct place *p = *state;
    struct spool second;
    char why[SPOOL_WHY_MAX];

    assert_int_equal(spool_open(p->dir, 30, &second, why), -EBUSY);
    assert_non_null(strstr(why, "another agent uses the spool"));
    assert_non_null(strstr(why, "--spool"));
    assert_int_equal(spool_open("/proc/nowhere", 0, &second, why), -ENOENT);
    assert_non_null(strstr(why, "/proc/nowhere"));
}

static void attempts_are_private(void **state)
{
    struct place *p = *state;
    struct stat st;
    int dir_fd = create(p), again;

    assert_int_equal(fstat(dir_fd, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(spool_create_run(&p->spool, name, "", 0, &again), -EEXIST);
    close(dir_fd);
}

static void the_state_follows_from_what_is_there(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);

    assert_int_equal(spool_state_of(dir_fd), SPOOL_UNSTARTED);
    int lock = spool_lock_run(dir_fd);
    assert_true(lock >= 0);
    assert_int_equal(spool_lock_run(dir_fd), -EBUSY);
    assert_int_equal(spool_state_of(dir_fd), SPOOL_RUNNING);
    assert_int_equal(spool_write_meta(dir_fd), 0);
    assert_int_equal(spool_shepherd_pid(dir_fd), getpid());
    close(lock);
    assert_int_equal(spool_state_of(dir_fd), SPOOL_DIED);
    spool_reserve_result(dir_fd, 4096);
    assert_int_equal(spool_write_result(&p->spool, dir_fd, "result", 6), 0);
    assert_int_equal(spool_state_of(dir_fd), SPOOL_ENDED);
    char *bytes;
    size_t len;
    assert_int_equal(spool_read(dir_fd, "result", 100, &bytes, &len), 0);
    assert_int_equal(len, 6); /* not the room set aside for it */
    assert_string_equal(bytes, "result");
    free(bytes);
    assert_int_equal(spool_read(dir_fd, "result", 5, &bytes, &len), -EFBIG);
    close(dir_fd);
}

static void a_lock_is_held_by_a_fork_and_let_go_by_its_death(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p), lock = spool_lock_run(dir_fd);
    pid_t child = fork();

    if (child == 0)
        for (;;)
            pause();
    close(lock);
    assert_int_equal(spool_state_of(dir_fd), SPOOL_RUNNING);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(spool_state_of(dir_fd), SPOOL_UNSTARTED);
    close(dir_fd);
}

static void a_pid_used_again_is_not_the_shepherd(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);
    char text[64];

    snprintf(text, sizeof text, "pid=%d start=1\n", (int)getpid());
    int fd = openat(dir_fd, "meta", O_CREAT | O_WRONLY, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    assert_int_equal(spool_shepherd_pid(dir_fd), 0);
    close(dir_fd);
}

static void forgetting_removes_also_what_a_job_left(void **state)
{
    struct place *p = *state;
    char trash[SPOOL_NAME_MAX], command[200];
    int dir_fd = create(p);

    close(dir_fd);
    assert_int_equal(spool_forget(&p->spool, name, trash), 0);
    assert_int_equal(spool_open_run(&p->spool, name, &dir_fd), -ENOENT);
    close(create(p));
    snprintf(command, sizeof command,
             "cd %s/runs/%s/work && mkdir -p a/b/c && touch a/b/c/d && ln -s "
             "/etc a/link && chmod 0 a/b",
             p->dir, name);
    assert_int_equal(system(command), 0); /* NOLINT */
    assert_int_equal(spool_forget(&p->spool, name, trash), 1);
    assert_int_equal(spool_open_run(&p->spool, name, &dir_fd), -ENOENT);
    pid_t child = fork();
    if (child == 0) {
        spool_remove_trash(&p->spool, trash);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    snprintf(command, sizeof command, "test -z \"$(ls -A %s/runs)\"", p->dir);
    assert_int_equal(system(command), 0); /* NOLINT */
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

/* ---- the journal ----------------------------------------------------- */

static struct wire_msg log_line(const char *text)
{
    struct wire_msg msg = {.type = WIRE_LOG};

    msg.log.attempt = 3;
    msg.log.stream = 1;
    msg.log.text = wire_text(text);
    return msg;
}

static struct journal_writer filled(int dir_fd, int events)
{
    struct journal_writer writer;

    assert_int_equal(journal_create(dir_fd, &writer), 0);
    for (int i = 1; i <= events; i++) {
        char text[20];
        snprintf(text, sizeof text, "line %d", i);
        struct wire_msg msg = log_line(text);
        assert_int_equal(journal_append(&writer, &msg), 0);
        assert_int_equal(writer.last, i);
    }
    return writer;
}

static void assert_next(struct journal_reader *reader, uint64_t number)
{
    const char *frame, *why;
    uint64_t event;
    size_t len;
    struct wire_msg msg;
    char text[20];

    assert_int_equal(journal_peek(reader, &event, &frame, &len), 1);
    assert_int_equal(event, number);
    assert_int_equal(wire_unpack(frame, len, &msg, &why), 0);
    assert_int_equal(msg.log.event, number);
    snprintf(text, sizeof text, "line %d", (int)number);
    assert_int_equal(msg.log.text.len, strlen(text));
    assert_memory_equal(msg.log.text.ptr, text, strlen(text));
    wire_clear(&msg);
    journal_next(reader, event, len);
}

static void a_journal_is_read_from_any_event_on(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);
    struct journal_reader reader;
    const char *frame;
    uint64_t event;
    size_t len;

    assert_int_equal(journal_open_reader(dir_fd, &reader), -ENOENT);
    struct journal_writer writer = filled(dir_fd, 5);
    assert_int_equal(journal_open_reader(dir_fd, &reader), 0);
    assert_next(&reader, 1);
    journal_seek(&reader, 3);
    assert_next(&reader, 4);
    journal_seek(&reader, 1);
    assert_next(&reader, 2);
    journal_seek(&reader, 99);
    assert_int_equal(reader.at, 5);
    assert_int_equal(journal_peek(&reader, &event, &frame, &len), 0);
    /* And on, when the writer went on. */
    struct wire_msg msg = log_line("line 6");
    assert_int_equal(journal_append(&writer, &msg), 0);
    assert_next(&reader, 6);
    journal_close_reader(&reader);
    journal_close_writer(&writer);
    close(dir_fd);
}

static void a_torn_tail_ends_the_journal_wherever_it_was_torn(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);
    struct journal_writer writer = filled(dir_fd, 3);
    off_t whole = writer.bytes;

    struct wire_msg msg = log_line("line 4");
    assert_int_equal(journal_append(&writer, &msg), 0);
    for (off_t size = writer.bytes; size-- > whole;) {
        struct journal_reader reader;
        assert_int_equal(ftruncate(writer.fd, size), 0);
        assert_int_equal(journal_open_reader(dir_fd, &reader), 0);
        journal_seek(&reader, UINT64_MAX);
        assert_int_equal(reader.at, 3);
        journal_close_reader(&reader);
    }
    journal_close_writer(&writer);
    close(dir_fd);
}

static void a_flipped_byte_ends_the_journal_there(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);
    struct journal_writer writer = filled(dir_fd, 2);
    int fd = openat(dir_fd, "journal", O_RDWR);

    for (off_t at = writer.bytes / 2; at < writer.bytes; at++) {
        struct journal_reader reader;
        unsigned char byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
        assert_int_equal(journal_open_reader(dir_fd, &reader), 0);
        journal_seek(&reader, UINT64_MAX);
        assert_int_equal(reader.at, 1);
        journal_close_reader(&reader);
        byte ^= 0x20;
        assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    }
    close(fd);
    journal_close_writer(&writer);
    close(dir_fd);
}

static void a_write_that_fails_leaves_the_number_free(void **state)
{
    struct place *p = *state;
    int dir_fd = create(p);
    struct journal_writer writer = filled(dir_fd, 2);
    int good = writer.fd;

    writer.fd = open("/dev/full", O_WRONLY);
    struct wire_msg msg = log_line("line 3");
    assert_int_equal(journal_append(&writer, &msg), -ENOSPC);
    assert_int_equal(writer.last, 2);
    close(writer.fd);
    writer.fd = good;
    assert_int_equal(journal_append(&writer, &msg), 0);
    assert_int_equal(writer.last, 3);
    journal_close_writer(&writer);
    close(dir_fd);
}

int main(void)
{
#define CLAIM(claim) cmocka_unit_test_setup_teardown(claim, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(names_go_both_ways_and_bad_ones_are_refused),
        CLAIM(a_second_agent_is_told_who_is_in_its_way),
        CLAIM(attempts_are_private),
        CLAIM(the_state_follows_from_what_is_there),
        CLAIM(a_lock_is_held_by_a_fork_and_let_go_by_its_death),
        CLAIM(a_pid_used_again_is_not_the_shepherd),
        CLAIM(forgetting_removes_also_what_a_job_left),
        CLAIM(a_journal_is_read_from_any_event_on),
        CLAIM(a_torn_tail_ends_the_journal_wherever_it_was_torn),
        CLAIM(a_flipped_byte_ends_the_journal_there),
        CLAIM(a_write_that_fails_leaves_the_number_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

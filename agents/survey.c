/* survey.c - see survey.h. */
#include "agents/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void surveys_init(struct surveys *surveys)
{
    for (size_t i = 0; i < SURVEYS_MAX; i++)
        surveys->list[i] = (struct survey){.fd = -1};
}

static void end(struct survey *survey)
{
    if (survey->fd >= 0)
        close(survey->fd);
    *survey = (struct survey){.fd = -1};
}

void surveys_clear(struct surveys *surveys)
{
    for (size_t i = 0; i < SURVEYS_MAX; i++)
        end(&surveys->list[i]);
}

/* The question as a file without a name. */
static int file_of(const char *bytes, size_t len, int *ret_fd)
{
    int fd = memfd_create("sources", MFD_CLOEXEC);
    size_t written = 0;

    if (fd < 0)
        return -errno;
    while (written < len) {
        ssize_t n = write(fd, bytes + written, len - written);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            int err = -errno;
            close(fd);
            return err;
        }
        written += (size_t)n;
    }
    *ret_fd = fd;
    return 0;
}

int surveys_begin(struct surveys *surveys, struct nursery *nursery,
                  uint64_t number, const char *sources, size_t bytes,
                  int64_t now_ms)
{
    struct survey *survey = NULL;
    int file = -1, ends[2];

    for (size_t i = 0; i < SURVEYS_MAX && !survey; i++)
        if (surveys->list[i].fd < 0)
            survey = &surveys->list[i];
    if (!survey)
        return -EBUSY;
    int r = file_of(sources, bytes, &file);
    if (r < 0)
        return r;
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0) {
        r = -errno;
        close(file);
        return r;
    }
    r = nursery_estimate(nursery, file, ends[1]);
    close(file);
    close(ends[1]); /* its end is the end of the process */
    if (r < 0) {
        close(ends[0]);
        return r;
    }
    *survey = (struct survey){
        .fd = ends[0], .number = number, .due_at = now_ms + SURVEY_MS};
    return 0;
}

static bool is_sane(const struct estimate_answer *answer)
{
    return answer->count <= WIRE_SOURCES_MAX &&
           memchr(answer->why, '\0', sizeof answer->why) != NULL;
}

bool surveys_next(struct surveys *surveys, int64_t now_ms, uint64_t *ret_number,
                  struct estimate_answer *ret_answer)
{
    for (size_t i = 0; i < SURVEYS_MAX; i++) {
        struct survey *survey = &surveys->list[i];
        if (survey->fd < 0)
            continue;
        memset(ret_answer, 0, sizeof *ret_answer);
        ssize_t n = read(survey->fd, ret_answer, sizeof *ret_answer);
        if (n < 0 && (errno == EAGAIN || errno == EINTR) &&
            now_ms < survey->due_at)
            continue;
        if (n != (ssize_t)sizeof *ret_answer || !is_sane(ret_answer))
            memset(ret_answer, 0, sizeof *ret_answer);
        *ret_number = survey->number;
        end(survey);
        return true;
    }
    return false;
}

int64_t surveys_due(const struct surveys *surveys)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < SURVEYS_MAX; i++)
        if (surveys->list[i].fd >= 0 && surveys->list[i].due_at < due)
            due = surveys->list[i].due_at;
    return due;
}

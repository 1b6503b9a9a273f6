#include "dispatcher/http.h"

#include "policy/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- escapes ------------------------------------------------------------ */

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_utf8(const char *text, size_t bytes)
{
    while (bytes) {
        size_t n = text_utf8_len(text, bytes);

        if (n == 0)
            return false;
        text += n;
        bytes -= n;
    }
    return true;
}

int http_decode(const char *from, size_t bytes, bool query, char *to,
                size_t room)
{
    size_t out = 0;

    for (size_t i = 0; i < bytes; i++) {
        char c = from[i];

        if (c == '%') {
            int high = i + 2 < bytes ? hex(from[i + 1]) : -1;
            int low = high >= 0 ? hex(from[i + 2]) : -1;

            if (low < 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && query) {
            c = ' ';
        }
        if (c == '\0')
            return -EINVAL;
        if (out + 1 >= room)
            return -E2BIG;
        to[out++] = c;
    }
    if (!is_utf8(to, out))
        return -EINVAL;
    to[out] = '\0';
    return 0;
}

/* ---- listening ---------------------------------------------------------- */

/* "host:port" or "[v6]:port" -> its two parts. */
static int split(const char *address, char *host, size_t host_room, char *port,
                 size_t port_room)
{
    const char *colon = strrchr(address, ':');
    const char *begin = address, *end = colon;

    if (!colon || colon == address || !colon[1] ||
        strspn(colon + 1, "0123456789") != strlen(colon + 1))
        return -EINVAL;
    if (*begin == '[') {
        begin++;
        end--;
        if (end <= begin || *end != ']')
            return -EINVAL;
    }
    if ((size_t)(end - begin) >= host_room || strlen(colon + 1) >= port_room)
        return -EINVAL;
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = '\0';
    memcpy(port, colon + 1, strlen(colon + 1) + 1);
    return 0;
}

static bool is_loopback(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;

        memcpy(&v4, address, sizeof v4);
        return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;

        memcpy(&v6, address, sizeof v6);
        return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    }
    return false;
}

static int open_socket(const struct addrinfo *at)
{
    int on = 1, r;
    int fd =
        socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (bind(fd, at->ai_addr, at->ai_addrlen) < 0 ||
        listen(fd, SOMAXCONN) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static void describe(int fd, bool *ret_loopback, char ret_url[HTTP_VALUE_MAX])
{
    struct sockaddr_storage bound = {0};
    socklen_t size = sizeof bound;
    char host[INET6_ADDRSTRLEN + 20] = "", port[8] = "";
    bool v6;

    getsockname(fd, (struct sockaddr *)&bound, &size);
    getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port,
                sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    v6 = bound.ss_family == AF_INET6;
    snprintf(ret_url, HTTP_VALUE_MAX, "http://%s%s%s:%s", v6 ? "[" : "", host,
             v6 ? "]" : "", port);
    *ret_loopback = is_loopback((struct sockaddr *)&bound);
}

/* The caller frees *ret_found with freeaddrinfo(). */
static int find_address(const char *address, struct addrinfo **ret_found,
                        char ret_why[HTTP_WHY_MAX])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    char host[256], port[8];
    int r;

    if (split(address, host, sizeof host, port, sizeof port) < 0) {
        snprintf(ret_why, HTTP_WHY_MAX,
                 "http: \"%.100s\" is not an address; write HOST:PORT, for "
                 "example 127.0.0.1:8080 or [::1]:8080",
                 address);
        return -EINVAL;
    }
    r = getaddrinfo(host, port, &hints, ret_found);
    if (r != 0) {
        snprintf(ret_why, HTTP_WHY_MAX,
                 "http: \"%.100s\" names no address of this machine: %s",
                 address, gai_strerror(r));
        return -EINVAL;
    }
    return 0;
}

int http_look(const char *address, bool *ret_loopback,
              char ret_why[HTTP_WHY_MAX])
{
    struct addrinfo *found;
    int r = find_address(address, &found, ret_why);

    if (r < 0)
        return r;
    *ret_loopback = is_loopback(found->ai_addr);
    freeaddrinfo(found);
    return 0;
}

int http_listen(const char *address, int *ret_fd, bool *ret_loopback,
                char ret_url[HTTP_VALUE_MAX], char ret_why[HTTP_WHY_MAX])
{
    struct addrinfo *found;
    int fd, r = find_address(address, &found, ret_why);

    if (r < 0)
        return r;
    fd = open_socket(found);
    freeaddrinfo(found);
    if (fd < 0) {
        snprintf(ret_why, HTTP_WHY_MAX, "http: cannot listen on %.100s: %s%s",
                 address, strerror(-fd),
                 fd == -EADDRINUSE
                     ? "; stop the other program or choose another port (0 "
                       "picks a free one)"
                     : "");
        return fd;
    }
    describe(fd, ret_loopback, ret_url);
    *ret_fd = fd;
    return 0;
}

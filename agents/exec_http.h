/*
 * exec_http.h - the part of exec_http.c that a test can ask directly.
 */
#ifndef AGENTS_EXEC_HTTP_H
#define AGENTS_EXEC_HTTP_H

#include <stdbool.h>
#include <sys/socket.h>

/* Is this an address that only this machine or its own network reaches
 * (loopback, private, link-local, shared, multicast, reserved), also when
 * wrapped in IPv6? Unknown families are. */
bool exec_http_is_private(const struct sockaddr *address);

#endif

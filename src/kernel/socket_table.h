/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The kernel's tables of sockets, by protocol, which also have those that no descriptor leads to: TCP (with
 * what waits to end and what is being opened), UDP and UDP-Lite, raw and ping, UNIX, packet, netlink; 4.18 to
 * 7.0. A TCP or UDP socket that was never bound is in none of them.
 */
#ifndef KERNEL_SOCKET_TABLE_H
#define KERNEL_SOCKET_TABLE_H

#include "kernel/net_namespace.h"

/* Not OK: the walk stops with this status. Each socket is given once; it may be of less than a struct sock. */
typedef enum kioku_status socket_fn(void *user, uint64_t sock);

/*
 * Every socket in any table; a table that this kernel lacks or that is damaged is reported as a gap.
 * Errors: receive's, UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status socket_table_each(struct kioku_kernel *kernel, socket_fn *receive, void *user,
				    struct kioku_error *error);

#endif

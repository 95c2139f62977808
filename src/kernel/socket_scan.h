/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets carved out of the slab caches that protocols have for them, so that none need be in a table or open:
 * include/net/sock.h, mm/slab.h, 4.18 to 7.0. Protocols without a cache of their own (netlink, packet) are left
 * out.
 */
#ifndef KERNEL_SOCKET_SCAN_H
#define KERNEL_SOCKET_SCAN_H

#include "kernel/socket_table.h"

/*
 * Every socket that is in use and has a struct socket; reads what the kernel says of every page frame. What is
 * damaged is reported as a gap. Errors: receive's, UNSUPPORTED, NO_MEMORY.
 */
enum kioku_status socket_scan_each(struct kioku_kernel *kernel, socket_fn *receive, void *user,
				   struct kioku_error *error);

#endif

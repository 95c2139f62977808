/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QEMU's debugger stub, reading by physical address ("Qqemu.PhyMemMode", QEMU docs/system/gdb.rst). The
 * machine stands still from the connection on. The stub answers one packet after the other, but takes
 * the next ones meanwhile, so that many are under way at once.
 */
#ifndef SOURCE_GDB_CLIENT_H
#define SOURCE_GDB_CLIENT_H

#include <sys/socket.h>

#include "source/remote.h"

struct gdb_client;

/*
 * timeout: seconds within which every answer must come. Errors: OS, LIMIT (nobody answers), CORRUPT
 * (whoever answers speaks no such protocol, or hangs up), UNSUPPORTED (a stub that cannot read by
 * physical address), NO_MEMORY. *out is for gdb_client_close() even then, unless it is NULL.
 */
enum kioku_status gdb_client_open(const struct sockaddr_storage *address, socklen_t size,
				  double timeout, struct gdb_client **out,
				  struct kioku_error *error);

/* Takes NULL. resume: the machine runs on; otherwise it is left as it is, which is stopped. */
void gdb_client_close(struct gdb_client *client, bool resume);

/* Whether the stub has said that the machine stopped only when this connection was made. */
bool gdb_client_has_stopped(const struct gdb_client *client);

/* Why the link is broken; NULL: it is not. */
const char *gdb_client_problem(const struct gdb_client *client);

/* As remote_driver.read_many. A link that broke once stays broken. */
void gdb_client_read(struct gdb_client *client, struct remote_read *reads, size_t count);

/*
 * Has the stub ask QEMU's monitor; *answer is for the caller to free. Errors: UNSUPPORTED (the stub
 * has no monitor), OS (the link broke), LIMIT (more than anything a monitor prints), NO_MEMORY.
 */
enum kioku_status gdb_client_monitor(struct gdb_client *client, const char *command, char **answer,
				     struct kioku_error *error);

struct kioku_source_stats gdb_client_stats(const struct gdb_client *client);

#endif

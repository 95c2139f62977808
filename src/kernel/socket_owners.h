/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a socket is: the descriptors of all processes that lead to it. */
#ifndef KERNEL_SOCKET_OWNERS_H
#define KERNEL_SOCKET_OWNERS_H

#include "kernel/record.h"

struct socket_owner {
	uint64_t sock; /* address of the struct sock, or of what else was asked for */
	int32_t pid;
	uint32_t descriptor;
	char comm[16];
};

struct socket_owners {
	struct socket_owner *owners; /* by sock, pid, descriptor */
	size_t count, capacity;
};

/*
 * Looks through all descriptors; what is damaged is reported as a gap. Errors: those of the task walk,
 * NO_MEMORY. To be released in any case.
 */
enum kioku_status socket_owners_read(struct kioku_kernel *kernel, struct socket_owners *out,
				     struct kioku_error *error);
/*
 * The same for other than sockets: object finds what a file is the way to, by its address, 0: nothing that is
 * looked for.
 */
typedef enum kioku_status owned_object_fn(struct kioku_kernel *kernel, uint64_t file,
					  uint64_t *object);
enum kioku_status object_owners_read(struct kioku_kernel *kernel, owned_object_fn *object,
				     struct socket_owners *out, struct kioku_error *error);
void socket_owners_release(struct socket_owners *owners);
#define AUTO_SOCKET_OWNERS CLEANUP(socket_owners_release)

/* Those of one socket; *count may be 0. */
const struct socket_owner *socket_owners_of(const struct socket_owners *owners, uint64_t sock,
					    size_t *count);

#endif

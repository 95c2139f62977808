/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whose a socket is, or another thing that files stand for: the descriptors of all processes that lead to it. */
#ifndef KERNEL_OBJECT_OWNERS_H
#define KERNEL_OBJECT_OWNERS_H

#include "kernel/record.h"

struct object_owner {
	uint64_t object; /* address of the struct sock, or of what else was asked for */
	int32_t pid;
	uint32_t descriptor;
	char comm[16];
};

struct object_owners {
	struct object_owner *owners; /* by object, pid, descriptor */
	size_t count, capacity;
};

/*
 * Looks through all descriptors; what is damaged is reported as a gap. Errors: those of the task walk,
 * NO_MEMORY. To be released in any case.
 */
enum kioku_status socket_owners_read(struct kioku_kernel *kernel, struct object_owners *out,
				     struct kioku_error *error);
/*
 * The same for other than sockets: find tells what a file is the way to, by its address, 0: nothing that is
 * looked for.
 */
typedef enum kioku_status owned_object_fn(struct kioku_kernel *kernel, uint64_t file,
					  uint64_t *object);
enum kioku_status object_owners_read(struct kioku_kernel *kernel, owned_object_fn *find,
				     struct object_owners *out, struct kioku_error *error);
void object_owners_release(struct object_owners *owners);
#define AUTO_OBJECT_OWNERS CLEANUP(object_owners_release)

/* Those of one object; *count may be 0. */
const struct object_owner *object_owners_of(const struct object_owners *owners, uint64_t object,
					    size_t *count);

#endif

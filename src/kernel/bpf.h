/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What bpf(2) has loaded: kernel/bpf/syscall.c, 4.18 to 7.2. */
#ifndef KERNEL_BPF_H
#define KERNEL_BPF_H

#include "kernel/record.h"

#define BPF_NAME 16 /* BPF_OBJ_NAME_LEN; NUL-terminated unless it is as long as that */

enum bpf_kind { BPF_PROGRAM, BPF_MAP, BPF_LINK, BPF_KINDS };

/* Members of program, map or link, by kind; what a kind has not is 0. */
struct bpf_object {
	enum bpf_kind kind;
	uint64_t address; /* of the struct bpf_prog, bpf_map or bpf_link */
	uint32_t id, type;
	char name[BPF_NAME];
	/* Of a program. */
	uint8_t tag[8];
	uint64_t code;          /* its first instruction: jitted, or the interpreter's */
	uint64_t loaded;        /* nanoseconds since boot */
	uint64_t user;          /* struct user_struct of whoever loaded it; 0: none */
	uint64_t function_name; /* what it is attached to, a text; 0: nothing that has one */
	/* Of a map. */
	uint32_t key_size, value_size, entries;
	/* Of a link. */
	uint64_t program; /* struct bpf_prog; 0: none */
	uint32_t attach_type;
	bool has_attach_type; /* this kernel notes it */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status bpf_object_fn(void *user, const struct bpf_object *object);

/*
 * Every object of a kind, by id; one that does not have the id that led to it is reported as a gap. Errors:
 * receive's, UNSUPPORTED (this kernel has no such kind), and those of the xarray.
 */
enum kioku_status bpf_each(struct kioku_kernel *kernel, enum bpf_kind kind, bpf_object_fn *receive,
			   void *user, struct kioku_error *error);

/* The id of a link's program. Errors: UNSUPPORTED, CORRUPT, UNMAPPED, ABSENT. */
enum kioku_status bpf_program_id(struct kioku_kernel *kernel, uint64_t program, uint32_t *out);

/*
 * What a link is to: the path of a cgroup. Errors: NOT_FOUND (it is of another type), as above, and those of
 * cgroup_path().
 */
enum kioku_status bpf_link_target(struct kioku_kernel *kernel, const struct bpf_object *link,
				  char *out, size_t room);

/* The object that an open file stands for; 0: none. Errors: UNSUPPORTED, CORRUPT, UNMAPPED, ABSENT. */
enum kioku_status bpf_object_of_file(struct kioku_kernel *kernel, uint64_t file, uint64_t *out);

#endif

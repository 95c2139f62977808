/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How C code reads a kernel structure. A record binds members of a kernel type, by name, to members
 * of a C struct, once per kernel; a read fetches just the bytes needed. A member renamed between
 * kernels lists its names, newest first. Nothing here or above ever asks for a kernel version.
 *
 *	struct task { int32_t pid; uint32_t state; char comm[16]; };
 *	static const struct member task_members[] = {
 *		MEMBER(struct task, pid, "pid"),
 *		MEMBER(struct task, state, "__state", "state"), // 2f064a59a11f, v5.14
 *		OPTIONAL(struct task, comm, "comm"),
 *	};
 *	static const struct record task_record = RECORD(struct task, "task_struct", task_members);
 */
#ifndef KERNEL_RECORD_H
#define KERNEL_RECORD_H

#include "kernel/kernel.h"

#define MEMBER_NAMES   4
#define RECORD_MEMBERS 32

struct member {
	uint16_t offset; /* in the C struct */
	uint16_t size;
	bool optional;
	const char *names[MEMBER_NAMES]; /* paths such as "tasks.next"; newest first */
};

struct record {
	const char *type; /* the kernel's struct, without the keyword */
	const struct member *members;
	size_t count;
	size_t size; /* of the C struct */
};

/*
 * Integers and pointers are widened or cut to the C member's size, signed ones sign-extended; a
 * struct around one integer (kuid_t, atomic_t) reads as that integer. Arrays are copied as far as
 * both reach. A member of another size than the C integer can hold counts as missing.
 */
/* clang-format off */
#define RECORD_MEMBER(c_type, c_member, is_optional, ...) \
	{ offsetof(c_type, c_member), sizeof(((c_type *)0)->c_member), is_optional, { __VA_ARGS__ } }
#define MEMBER(c_type, c_member, ...)   RECORD_MEMBER(c_type, c_member, false, __VA_ARGS__)
#define OPTIONAL(c_type, c_member, ...) RECORD_MEMBER(c_type, c_member, true, __VA_ARGS__)
#define RECORD(c_type, kernel_type, array) \
	{ kernel_type, array, sizeof(array) / sizeof(*(array)), sizeof(c_type) }
/* clang-format on */

struct bound_member {
	uint64_t offset;             /* bytes into the kernel's struct */
	uint32_t size;               /* bytes there; 0: this kernel has no such member */
	uint8_t bit_shift, bit_size; /* bit_size 0: not a bit field */
	bool is_signed, is_array;
};

struct binding {
	const struct record *record;
	struct bound_member members[RECORD_MEMBERS];
	uint8_t order[RECORD_MEMBERS]; /* present members by offset */
	size_t present;
};

/*
 * Binds a record to a set of types.
 * Errors: UNSUPPORTED, with a message that names the missing type or member.
 */
enum kioku_status record_bind_types(const struct kioku_types *types, const struct record *record,
				    struct binding *out, struct kioku_error *error);

/* The same, kept with the kernel: only the first call for a record costs anything. */
enum kioku_status record_bind(struct kioku_kernel *kernel, const struct record *record,
			      const struct binding **out, struct kioku_error *error);

/* Binds to other types of the same kernel, a module's, and keeps it, where record_bind() finds it. */
enum kioku_status record_bind_cached(struct kioku_kernel *kernel, const struct kioku_types *types,
				     const struct record *record, const struct binding **out,
				     struct kioku_error *error);
void record_cache_release(struct kioku_kernel *kernel);

/* Whether this kernel has the member, and where in its struct it is, in bytes. */
#define BINDING_HAS(binding, c_type, c_member) \
	(binding_member(binding, offsetof(c_type, c_member))->size != 0)
#define BINDING_OFFSET(binding, c_type, c_member) \
	(binding_member(binding, offsetof(c_type, c_member))->offset)
const struct bound_member *binding_member(const struct binding *binding, size_t c_offset);

/*
 * The stretches that record_read() will read of a structure at a kernel address, in pieces that a link
 * asks for at once, for kernel_prefetch(). Returns how many; at most limit.
 */
size_t record_spans(const struct binding *binding, uint64_t virtual, struct span *out,
		    size_t limit);

/* Reads a structure at a kernel address; members that this kernel does not have are zero. */
enum kioku_status record_read(struct kioku_kernel *kernel, const struct binding *binding,
			      uint64_t virtual, void *out, struct kioku_error *error);

/*
 * Binds a record and reads the structure that a pointer found in the image leads to.
 * Errors: CORRUPT (that is no pointer), UNSUPPORTED, UNMAPPED, ABSENT.
 */
enum kioku_status record_read_at(struct kioku_kernel *kernel, const struct record *record,
				 uint64_t pointer, void *out);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Layouts of a kernel that has no type information, worked out from its memory: a member is where something
 * holds over all structures of a kind that holds nowhere else in them. What the declarations of all kernels
 * from v4.9 to v7.0 have in common (which members follow each other) is used where values alone cannot
 * tell, and only where all that follow each other hold what they should.
 */
#ifndef KERNEL_INFER_H
#define KERNEL_INFER_H

#include "base/address_set.h"
#include "kernel/samples.h"

#define NO_COLUMN SIZE_MAX

/* One member that was found. Strings are literals. */
struct inferred_member {
	const char *type, *name;
	size_t offset;       /* bytes; the size of the type where there is no name */
	const char *of_type; /* its C type: "int", "void *", "struct list_head" ... */
	size_t elements;     /* of an array; 0: it is none */
	uint8_t bit, bits;   /* of a bit field, from offset on; 0: it is none */
	const char *evidence;
};

#define INFERRED_LIMIT 256

struct inference {
	struct kioku_kernel *kernel;
	struct inferred_member members[INFERRED_LIMIT];
	size_t count;
	struct inferred_constant {
		const char *enumeration, *name;
		size_t value;
	} constants[16];
	size_t constant_count;

	/* What one part finds and others start from. */
	struct samples tasks; /* the first idle task, then processes, then other threads of any */
	size_t process_count; /* those before the other threads, the idle task included */
	uint64_t *leaders;    /* row by row, the task that leads its process */
	struct address_set known; /* all tasks, those that are no rows included */
	struct samples files;     /* each that is mapped anywhere, once */
	size_t comm, pid, mm;     /* columns of tasks */
	bool is_list_broken; /* tasks are those that can be reached from both ends of their list */
	size_t reads;        /* from memory so far: hostile memory may have no end */
};

/* Notes a member down; a column of NO_COLUMN is none that was found. */
void infer_member(struct inference *inference, const char *type, const char *name, size_t column,
		  const char *of_type, const char *evidence);
void infer_array(struct inference *inference, const char *type, const char *name, size_t column,
		 const char *of_type, size_t elements, const char *evidence);

/* A bit field: the bits from one on of what lies at offset. */
void infer_bits(struct inference *inference, const char *type, const char *name, size_t offset,
		uint8_t bit, uint8_t bits, const char *evidence);

/* What a type takes, where that is more than its members do. */
void infer_size(struct inference *inference, const char *type, size_t size);

/* A word at a kernel address; false if that is no pointer, or leads nowhere, or too many were read. */
bool infer_read(struct inference *inference, uint64_t virtual, uint64_t *out);

/* Whether both neighbours of a struct list_head point back at it, and where its next one is. */
bool infer_is_linked(struct inference *inference, uint64_t node, uint64_t *next);

/*
 * Rows of what a column of the first so many rows points at, from lead bytes before it on; out->width says how much
 * of it. False: one leads nowhere, or there are none.
 */
bool infer_follow(struct inference *inference, const struct samples *rows, size_t count,
		  size_t column, size_t lead, struct samples *out);

/* Whether a row of tasks is the first thread of its process. */
bool infer_is_leader(const struct inference *inference, size_t row);

/*
 * Whether members that follow each other in all declarations do so in a task, by those whose values prove it. If
 * not, a structure's layout is randomised, and what is next to a member says nothing.
 */
bool infer_is_ordered(const struct inference *inference);

/* A constant of an enumeration, which is the same in all kernels that have it. */
void infer_constant(struct inference *inference, const char *enumeration, const char *name,
		    size_t value);

/* Where a member was found; NO_COLUMN: nowhere. */
size_t infer_column(const struct inference *inference, const char *type, const char *name);

/*
 * The parts, in the order in which they stand on each other: the list of tasks, with whatever says which is
 * which; the memory of processes; what else tasks say; who they are; what mapped files are called; modules; the
 * clock; rules for stacks. Nothing found is no error.
 */
bool infer_tasks(struct inference *inference);
void infer_memory_maps(struct inference *inference);
void infer_task_facts(struct inference *inference);
void infer_credentials(struct inference *inference);
void infer_paths(struct inference *inference);
void infer_modules(struct inference *inference);
void infer_clock(struct inference *inference);
void infer_orc(struct inference *inference);

/* Gives the kernel the types that have what was found so far. Errors: NO_MEMORY. */
enum kioku_status infer_apply(struct inference *inference, struct kioku_error *error);

/*
 * Gives a kernel whose init_task is known types that have what was found, and nothing else.
 * Errors: NOT_FOUND (not even the list of tasks), NO_MEMORY.
 */
enum kioku_status infer_types(struct kioku_kernel *kernel, struct inference **out,
			      struct kioku_error *error);

/* What says where each member is, for kernel_types_are_inferred(); in the kernel's arena. Errors: NO_MEMORY. */
enum kioku_status infer_evidence(const struct inference *inference, struct bytes *out,
				 struct kioku_error *error);

void inference_close(struct inference *inference); /* NULL is fine */
DEFINE_CLEANUP(inference, struct inference, inference_close)
#define AUTO_INFERENCE CLEANUP(cleanup_inference)

#endif

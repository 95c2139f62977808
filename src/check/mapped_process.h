/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Processes with what is mapped into them, for the checks of what they run. */
#ifndef CHECK_MAPPED_PROCESS_H
#define CHECK_MAPPED_PROCESS_H

#include "check/check.h"
#include "kernel/namesake.h"
#include "kernel/process_walk.h"

struct mapped_process {
	struct check_run *run;
	const struct process *process;
	struct vma_list list;
	char comm[16];
	int32_t tracer; /* a pid; 0: nobody traces its first thread, or that is not known */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status mapped_process_fn(void *user, const struct mapped_process *process);

/* Every process that has memory; what is damaged is a GAP. Errors: those of process_each(), or receive's. */
enum kioku_status mapped_process_each(struct check_run *run, mapped_process_fn *receive, void *user,
				      struct kioku_error *error);

/* Reports what is said of it, whose pid and name are filled in. Errors: receive's. */
enum kioku_status mapped_process_report(const struct mapped_process *process,
					const struct check_result *result);

/* Says that something of it is lost. */
void mapped_process_lose(const struct mapped_process *process, const char *what, uint64_t address,
			 enum kioku_status status);

/* Who traces a task; false: nobody does, or it is not known. */
bool tracer_find(struct kioku_kernel *kernel, uint64_t task, struct task *out);

/* A file that is mapped or run. */
struct mapped_file {
	struct file file;
	struct path_text path;
	char text[512];   /* the path, cut off if it is longer; for messages */
	bool is_nameless; /* of memfd_create(), shared memory, huge pages: it never had a name */
};

/* Errors: CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status mapped_file_read(struct kioku_kernel *kernel, uint64_t file,
				   struct mapped_file *out);

/* Whether another file has its name, which was taken away. */
enum namesake mapped_file_replaced(struct kioku_kernel *kernel, const struct mapped_file *file);

/* The mapping that begins with the first byte of the file that another one is of; NULL: there is none. */
const struct vma *mapped_file_start(const struct vma_list *list, const struct vma *vma);

/*
 * Whether it is memory, and not a file's nor the kernel's own, as [vdso] is. A device that gives memory, and huge
 * pages, are files for the kernel.
 */
bool vma_is_anonymous(struct kioku_kernel *kernel, const struct vma *vma);

/*
 * Whether a frame says that it is anonymous memory made for an address of a mapping. Where memory was copied while the
 * machine ran, a frame may be something else's by the time that it was. Tails of huge pages do not say it.
 */
bool vma_owns_frame(struct kioku_kernel *kernel, const struct vma *vma, uint64_t virtual,
		    uint64_t physical);

#endif

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Interrupts and who handles them: kernel/irq/, softirqs (kernel/softirq.c), NMIs (arch/x86/kernel/nmi.c), 4.18 to
 * 7.2.
 */
#ifndef KERNEL_IRQ_H
#define KERNEL_IRQ_H

#include "kernel/record.h"

extern const struct record interrupt_record, interrupt_handler_record;

#define INTERRUPT_NAME 64 /* bytes of a name, its NUL included */

/* A line: struct irq_desc. */
struct interrupt {
	uint64_t address; /* not a member of it */
	uint32_t number;
	uint64_t hardware; /* number in its domain, if it has one */
	uint64_t domain;   /* struct irq_domain; 0: none */
	uint64_t chip;     /* struct irq_chip; 0: none */
	uint64_t name;     /* of the way it is handled, a text; 0: none */
	uint64_t flow;     /* the function that calls the handlers */
	uint64_t action;   /* the first of these, struct irqaction; 0: none */
	uint64_t counts;   /* of each CPU */
	uint64_t shared;   /* struct irq_common_data */
	uint32_t depth;    /* how often it was disabled */
	bool is_level;     /* not edge; not a member */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status interrupt_fn(void *user, const struct interrupt *interrupt);

/*
 * Every line that there is, by number; what is damaged is reported as a gap. Errors: receive's, UNSUPPORTED, and
 * those of the tree that they are in.
 */
enum kioku_status interrupt_each(struct kioku_kernel *kernel, interrupt_fn *receive, void *user,
				 struct kioku_error *error);

/* Who is called: of a line a struct irqaction, of a softirq its entry, of NMIs a struct nmiaction. */
struct interrupt_handler {
	uint64_t address;  /* not a member of it */
	uint64_t function; /* 0: a softirq that nobody handles */
	uint64_t thread_function,
		thread;  /* what a thread does then, its struct task_struct; 0: none */
	uint64_t device; /* what the function gets */
	uint64_t name;   /* a text; 0: none */
	uint64_t next;
	uint32_t number; /* of the line */
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status interrupt_handler_fn(void *user, const struct interrupt_handler *handler);

/* The handlers of a line; what is damaged is reported as a gap. Errors: receive's, UNSUPPORTED. */
enum kioku_status interrupt_each_handler(struct kioku_kernel *kernel,
					 const struct interrupt *interrupt,
					 interrupt_handler_fn *receive, void *user);

/* The name of a line's chip, "" without one. Errors: LIMIT, CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status interrupt_chip(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				 char out[INTERRUPT_NAME]);

/* How often a line's interrupt came to a CPU. Errors: CORRUPT, UNMAPPED, ABSENT. */
enum kioku_status interrupt_count(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				  uint32_t cpu, uint32_t *out);

/*
 * The CPUs that a line may go to, and those that it does go to: a bit for each, the lowest first; bytes that are
 * not there are 0. Errors: UNSUPPORTED (this kernel has no such mask), CORRUPT, UNMAPPED, ABSENT.
 */
enum interrupt_mask { INTERRUPT_AFFINITY, INTERRUPT_EFFECTIVE };
enum kioku_status interrupt_cpus(struct kioku_kernel *kernel, const struct interrupt *interrupt,
				 enum interrupt_mask which, uint8_t *out, size_t size);

/* --- softirqs */

/* What is done after an interrupt; name is the kernel's own, NULL if it could not be read. */
typedef enum kioku_status softirq_fn(void *user, uint32_t number, const char *name,
				     const struct interrupt_handler *handler);
enum kioku_status softirq_each(struct kioku_kernel *kernel, softirq_fn *receive, void *user,
			       struct kioku_error *error);

/* How often a softirq was handled by a CPU. Errors: UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status softirq_count(struct kioku_kernel *kernel, uint32_t number, uint32_t cpu,
				uint32_t *out);

/* --- NMIs */

/* Those of each kind: "local", "unknown", "serr", "io_check". Errors: receive's, UNSUPPORTED. */
typedef enum kioku_status nmi_fn(void *user, const char *kind,
				 const struct interrupt_handler *handler);
enum kioku_status nmi_each(struct kioku_kernel *kernel, nmi_fn *receive, void *user,
			   struct kioku_error *error);

#endif

// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Restartable sequences: each thread adds one to the counter of the CPU that it is on, by a load and
 * a store that another thread must not come in between. A snapshot that runs anything else in such a
 * section, or forgets that it has, loses increments.
 */
#include "harm.h"

#include <stdatomic.h>
#include <sched.h>
#include <sys/rseq.h>

#define THREADS 4
#define CPUS    4096

static struct {
	_Alignas(64) uint64_t count;
} counters[CPUS];
static atomic_ulong added;

static struct rseq *own_rseq(void)
{
	return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
}

/* False if it was interrupted: nothing was added then. The section dawdles, so that it often is. */
static bool increment(struct rseq *rseq)
{
	uint32_t cpu = *(volatile uint32_t *)&rseq->cpu_id_start;
	uint64_t *counter = &counters[cpu % CPUS].count;

	__asm__ volatile goto(
		".pushsection __rseq_cs, \"aw\"\n"
		".balign 32\n"
		"3:	.long 0, 0\n"
		"	.quad 1f, 2f - 1f, 4f\n"
		".popsection\n"
		"	leaq 3b(%%rip), %%rax\n"
		"	movq %%rax, %c[section](%[rseq])\n"
		"1:	cmpl %[cpu], %c[cpu_id](%[rseq])\n"
		"	jnz %l[aborted]\n"
		"	movq (%[counter]), %%rax\n"
		"	movl $100, %%ecx\n"
		"5:	decl %%ecx\n"
		"	jnz 5b\n"
		"	addq $1, %%rax\n"
		"	movq %%rax, (%[counter])\n"
		"2:\n"
		".pushsection __rseq_failure, \"ax\"\n"
		".byte 0x0f, 0xb9, 0x3d\n"
		".long %c[signature]\n"
		"4:	jmp %l[aborted]\n"
		".popsection\n"
		:
		: [rseq] "r"(rseq), [cpu] "r"(cpu), [counter] "r"(counter),
		  [section] "i"(offsetof(struct rseq, rseq_cs)),
		  [cpu_id] "i"(offsetof(struct rseq, cpu_id)), [signature] "i"(RSEQ_SIG)
		: "rax", "rcx", "memory", "cc"
		: aborted);
	return true;
aborted:
	return false;
}

static void rseq_begin(void)
{
	if (__rseq_size == 0)
		target_skip("rseq is not there");
}

static void rseq_run(unsigned index)
{
	struct rseq *rseq = own_rseq();
	unsigned long own = 0;

	while (target_goes_on()) {
		for (int i = 0; i < 1000; i++)
			own += increment(rseq);
		if (index ==
		    0) /* threads that do nothing but compute are seldom in each other's way */
			sched_yield();
	}
	added += own;
}

static void rseq_check(void)
{
	unsigned long sum = 0;

	for (int cpu = 0; cpu < CPUS; cpu++)
		sum += counters[cpu].count;
	if (sum != added)
		target_fault("%ld of %lu increments were lost", (long)(added - sum), added);
	target_count("increments", sum);
}

const struct harm_part harm_rseq = {
	.name = "rseq",
	.threads = THREADS,
	.begin = rseq_begin,
	.run = rseq_run,
	.check = rseq_check,
};

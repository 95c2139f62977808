// SPDX-License-Identifier: LGPL-2.1-or-later
/* Threads that hold known values in all registers and see whether they are still there. */
#include "harm.h"

#include <asm/prctl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 4
#define SPINS   2000000 /* long beside what faults on the way cost: most are found in it */

/* As harm_registers.S has it. Bytes of general register i of thread t: 0x10 * (t + 1) + i. */
struct registers {
	uint64_t general[14]; /* rax rbx rdx rsi rdi rbp r8..r15 */
	uint64_t flags;
	uint32_t mxcsr;
	uint16_t control, unused;
	double x87[8];
	uint64_t masks[8];
	uint64_t vectors[32][8];
};

void registers_hold(const struct registers *in, struct registers *out, uint64_t spins,
		    uint64_t vectors);

static atomic_ulong rounds;

static unsigned vector_kind(void)
{
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw"))
		return 2;
	return __builtin_cpu_supports("avx") ? 1 : 0;
}

static void fill(struct registers *registers, unsigned thread)
{
	memset(registers, 0, sizeof(*registers));
	for (uint64_t i = 0; i < 14; i++)
		registers->general[i] = 0x0101010101010101 * (0x10 * (thread + 1) + i);
	/* Carry, parity, adjust, zero, sign, overflow, and the one that is always set; interrupts. */
	registers->flags = 0x202 | (thread % 2 == 0 ? 0x8d5 : 0x040);
	registers->mxcsr = 0x1f80 | (thread % 4) << 13; /* how it rounds */
	registers->control = (uint16_t)(0x037f | (thread % 4) << 10);
	for (unsigned i = 0; i < 8; i++) {
		registers->x87[i] = thread * 100 + i + 0.5;
		registers->masks[i] = 0xa5a5000000000000 + thread * 0x100 + i;
	}
	for (unsigned i = 0; i < 32; i++) {
		for (unsigned word = 0; word < 8; word++)
			registers->vectors[i][word] = (uint64_t)(thread + 1) << 48 | i << 8 | word;
	}
}

/* What a register kind does not hold was not stored: it stays as it is in out. */
static void compare(const struct registers *in, const struct registers *out, unsigned thread)
{
	const uint64_t *one = (const uint64_t *)in, *other = (const uint64_t *)out;

	for (size_t i = 0; i < sizeof(*in) / sizeof(*one); i++) {
		if (one[i] != other[i])
			target_fault("thread %u, word %zu of the registers: %#lx, not %#lx", thread,
				     i, (unsigned long)other[i], (unsigned long)one[i]);
	}
}

static void registers_run(unsigned index)
{
	struct registers in, out;
	unsigned long base = 0x123456789000 + index, now = 0;
	unsigned kind = vector_kind();

	fill(&in, index);
	syscall(SYS_arch_prctl, ARCH_SET_GS, base);
	while (target_goes_on()) {
		out = in;
		registers_hold(&in, &out, SPINS, kind);
		compare(&in, &out, index);
		syscall(SYS_arch_prctl, ARCH_GET_GS, &now);
		if (now != base)
			target_fault("thread %u: the base of gs is %#lx", index, now);
		rounds++;
	}
}

static void registers_check(void)
{
	target_count("rounds", rounds);
	target_count("vectors", vector_kind());
}

const struct harm_part harm_registers = {
	.name = "registers",
	.threads = THREADS,
	.run = registers_run,
	.check = registers_check,
};

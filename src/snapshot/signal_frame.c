/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/signal_frame.h"

#include <string.h>
#include <sys/syscall.h>

#include "base/bytes.h"

enum {
	RED_ZONE = 128, /* System V ABI: a function may use that much below its stack pointer */
	/* Offsets in struct rt_sigframe. */
	RETURN_ADDRESS = 0,
	CONTEXT_FLAGS = 8,
	STACK_FLAGS = 32, /* uc_stack.ss_flags */
	REGISTERS = 48,   /* struct sigcontext_64: 16 registers, rip and eflags, 64 bits each */
	SEGMENTS = 192,   /* cs, gs, fs and ss, 16 bits each */
	FLOATING = 232,   /* a pointer */
	MASK = 304,
	SIGNAL_FRAME_SIZE = 312 + 128, /* with struct siginfo */
	/* uc_flags */
	HAS_XSTATE = 1,
	HAS_SS = 2,
	STRICT_SS = 4,
	/* In the part of the XSAVE area that the CPU leaves to software: struct _fpx_sw_bytes. */
	SOFTWARE = 464,
	MAGIC_SIZE = 4,
	XSAVE_ALIGNMENT = 64,
	/* Where rt_sigreturn() leaves things as they are, because it cannot know them. */
	NO_STACK_FLAGS = 0x7fffffff,
};

static const uint32_t magic_1 = 0x46505853, magic_2 = 0x46505845;

static void put_registers(uint8_t *frame, const struct user_regs_struct *registers)
{
	const struct user_regs_struct *r = registers;
	const uint64_t order[] = { r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13,
				   r->r14, r->r15, r->rdi, r->rsi, r->rbp, r->rbx,
				   r->rdx, r->rax, r->rcx, r->rsp, r->rip, r->eflags };

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++)
		store_le64(frame + REGISTERS + i * 8, order[i]);
	store_le16(frame + SEGMENTS, (uint16_t)r->cs);
	store_le16(frame + SEGMENTS + 6, (uint16_t)r->ss);
}

static void put_frame(uint8_t *frame, const struct user_regs_struct *registers, uint64_t mask,
		      uint64_t floating, uint64_t restorer)
{
	store_le64(frame + RETURN_ADDRESS, restorer);
	store_le64(frame + CONTEXT_FLAGS, HAS_SS | STRICT_SS | (floating ? HAS_XSTATE : 0));
	/* Flags that sigaltstack(2) refuses: the alternate stack stays as it is. */
	store_le32(frame + STACK_FLAGS, NO_STACK_FLAGS);
	put_registers(frame, registers);
	store_le64(frame + FLOATING, floating);
	store_le64(frame + MASK, mask);
}

static void put_floating(uint8_t *out, const struct thread_record *record)
{
	memcpy(out, record->xstate, record->xstate_size);
	store_le32(out + SOFTWARE, magic_1);
	store_le32(out + SOFTWARE + 4, record->xstate_size + MAGIC_SIZE);
	/* xfeatures: ptrace tells the features of the kernel in these bytes (arch/x86/kernel/fpu). */
	memcpy(out + SOFTWARE + 8, record->xstate + SOFTWARE, 8);
	store_le32(out + SOFTWARE + 16, record->xstate_size);
	store_le32(out + record->xstate_size, magic_2);
}

bool signal_frame_make(struct signal_frame *frame, const struct thread_record *record,
		       const struct user_regs_struct *registers, const struct gadgets *gadgets)
{
	const size_t signal_frames = 2 * SIGNAL_FRAME_SIZE;
	size_t floating_size = record->xstate_size + MAGIC_SIZE;

	if (record->xstate_size < SOFTWARE + 48 || !gadgets->returns || !gadgets->restorer)
		return false;
	uint64_t top = registers->rsp - RED_ZONE - floating_size;
	uint64_t floating = top - top % XSAVE_ALIGNMENT;
	frame->start = floating - signal_frames;
	frame->start -= frame->start % 16;
	frame->child = frame->start + SIGNAL_FRAME_SIZE;
	frame->size = (size_t)(floating + floating_size - frame->start);
	if (frame->start > registers->rsp || frame->size > sizeof(frame->bytes))
		return false;
	memset(frame->bytes, 0, frame->size);
	put_frame(frame->bytes, registers, record->blocked, floating, gadgets->restorer);
	put_floating(frame->bytes + (floating - frame->start), record);

	struct user_regs_struct ends = *registers;
	ends.rip = gadgets->syscall;
	ends.rax = SYS_exit_group;
	ends.rdi = 0;
	put_frame(frame->bytes + SIGNAL_FRAME_SIZE, &ends, UINT64_MAX, 0, gadgets->restorer);
	return true;
}

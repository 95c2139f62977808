/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * void registers_hold(const struct registers *in, struct registers *out, uint64_t spins,
 *	uint64_t vectors);
 * Loads every register from in, spins, and stores them to out. rcx counts the spins, by instructions
 * that leave the flags alone. vectors: 2 for AVX-512, 1 for AVX, 0 for SSE. The layout is that of
 * harm_registers.c.
 */
	.set GENERAL, 0		/* rax rbx rdx rsi rdi rbp r8..r15, flags, gs base is set outside */
	.set FLAGS, 112
	.set MXCSR, 120
	.set CONTROL, 124
	.set X87, 128		/* 8 doubles */
	.set MASKS, 192		/* k0..k7 */
	.set VECTORS, 256	/* 32 of 64 bytes */

	.text
	.globl registers_hold
	.hidden registers_hold
	.type registers_hold, @function
registers_hold:
	push %rbx
	push %rbp
	push %r12
	push %r13
	push %r14
	push %r15
	sub $16, %rsp
	stmxcsr (%rsp)		/* the caller's, to be put back */
	fnstcw 4(%rsp)
	push %rcx		/* 8(%rsp): vectors */
	push %rsi		/* (%rsp): out */
	mov %rdx, %rcx

	ldmxcsr MXCSR(%rdi)
	fninit
	fldcw CONTROL(%rdi)
	.irp i, 7, 6, 5, 4, 3, 2, 1, 0
	fldl X87 + 8 * \i(%rdi)
	.endr
	cmpq $1, 8(%rsp)
	jb 1f
	ja 2f
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu VECTORS + 64 * \i(%rdi), %ymm\i
	.endr
	jmp 3f
1:	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movdqu VECTORS + 64 * \i(%rdi), %xmm\i
	.endr
	jmp 3f
2:	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu64 VECTORS + 64 * \i(%rdi), %zmm\i
	.endr
	.irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 VECTORS + 64 * \i(%rdi), %zmm\i
	.endr
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq MASKS + 8 * \i(%rdi), %k\i
	.endr
3:	pushq FLAGS(%rdi)
	mov 0(%rdi), %rax
	mov 8(%rdi), %rbx
	mov 16(%rdi), %rdx
	mov 24(%rdi), %rsi
	mov 40(%rdi), %rbp
	mov 48(%rdi), %r8
	mov 56(%rdi), %r9
	mov 64(%rdi), %r10
	mov 72(%rdi), %r11
	mov 80(%rdi), %r12
	mov 88(%rdi), %r13
	mov 96(%rdi), %r14
	mov 104(%rdi), %r15
	mov 32(%rdi), %rdi
	popfq

	.globl registers_spin
	.hidden registers_spin
registers_spin:
	lea -1(%rcx), %rcx
	jrcxz 4f
	jmp registers_spin
4:
	.globl registers_spun
	.hidden registers_spun
registers_spun:
	pushfq
	push %rdi
	mov 16(%rsp), %rdi	/* out */
	mov %rax, 0(%rdi)
	mov %rbx, 8(%rdi)
	mov %rdx, 16(%rdi)
	mov %rsi, 24(%rdi)
	mov %rbp, 40(%rdi)
	mov %r8, 48(%rdi)
	mov %r9, 56(%rdi)
	mov %r10, 64(%rdi)
	mov %r11, 72(%rdi)
	mov %r12, 80(%rdi)
	mov %r13, 88(%rdi)
	mov %r14, 96(%rdi)
	mov %r15, 104(%rdi)
	pop 32(%rdi)
	pop FLAGS(%rdi)
	cld
	cmpq $1, 8(%rsp)
	jb 1f
	ja 2f
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu %ymm\i, VECTORS + 64 * \i(%rdi)
	.endr
	vzeroupper
	jmp 3f
1:	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	movdqu %xmm\i, VECTORS + 64 * \i(%rdi)
	.endr
	jmp 3f
2:	.irp i, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
	vmovdqu64 %zmm\i, VECTORS + 64 * \i(%rdi)
	.endr
	.irp i, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
	vmovdqu64 %zmm\i, VECTORS + 64 * \i(%rdi)
	.endr
	.irp i, 0, 1, 2, 3, 4, 5, 6, 7
	kmovq %k\i, MASKS + 8 * \i(%rdi)
	.endr
	vzeroupper
3:	.irp i, 0, 1, 2, 3, 4, 5, 6, 7
	fstpl X87 + 8 * \i(%rdi)
	.endr
	stmxcsr MXCSR(%rdi)
	fnstcw CONTROL(%rdi)
	add $16, %rsp
	ldmxcsr (%rsp)
	fninit
	fldcw 4(%rsp)
	add $16, %rsp
	pop %r15
	pop %r14
	pop %r13
	pop %r12
	pop %rbp
	pop %rbx
	ret
	.size registers_hold, . - registers_hold
	.section .note.GNU-stack, "", @progbits

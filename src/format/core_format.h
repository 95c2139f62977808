/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The notes of the core of a process, from plain structs, as Linux writes them for 64-bit
 * little-endian machines (fs/binfmt_elf.c: write_note_info(); struct elf_prstatus of
 * include/linux/elfcore.h, struct elf_prpsinfo of include/uapi/linux/elfcore.h), in its order:
 * NT_PRSTATUS of the first thread, NT_PRPSINFO, NT_SIGINFO, NT_AUXV, NT_FILE, that thread's other
 * registers, and then the other threads one by one. Names of values are those of <elf.h>.
 */
#ifndef FORMAT_CORE_FORMAT_H
#define FORMAT_CORE_FORMAT_H

#include <elf.h>

#include "base/bytes.h"

#define CORE_NAME_SIZE      16u /* pr_fname, comm */
#define CORE_ARGUMENTS_SIZE 80u /* pr_psargs */

struct core_time {
	int64_t seconds, microseconds;
};

/* What ptrace(PTRACE_GETREGSET) gives for a note type. */
struct core_regset {
	uint32_t type;
	struct bytes data;
};

struct core_thread {
	int32_t tid;
	struct bytes general;              /* struct user_regs_struct; on x86-64 216 bytes */
	struct bytes floating;             /* NT_PRFPREG; on x86-64 512 bytes; or empty */
	struct bytes xstate;               /* NT_X86_XSTATE, of any size; or empty */
	const struct core_regset *regsets; /* others, of the name "LINUX"; or NULL */
	size_t regset_count;
	struct bytes siginfo;      /* siginfo_t, 128 bytes; or empty */
	uint64_t pending, blocked; /* of signals: bit n - 1 is signal n */
	uint16_t cursig;           /* the signal it stopped for, or 0 */
	struct core_time user, system;
};

/* A mapping of a file. */
struct core_file {
	uint64_t start, end; /* virtual, a multiple of 4096; end is the first byte behind */
	uint64_t offset;     /* of start's byte in the file, a multiple of 4096 */
	struct bytes name;   /* as /proc/PID/maps has it, without NULs */
};

struct core_process {
	int32_t pid, ppid, pgrp, sid;
	uint32_t uid, gid;
	uint64_t flags;                /* PF_... of the kernel */
	int8_t nice;                   /* -20 to 19 */
	char state;                    /* a letter of /proc/PID/stat: 'R', 'S', 'D', 'T', 'Z' ... */
	char name[CORE_NAME_SIZE];     /* comm; need not end in a NUL */
	struct bytes arguments;        /* /proc/PID/cmdline: each ends in a NUL */
	struct bytes auxv;             /* /proc/PID/auxv; or empty */
	const struct core_file *files; /* ascending */
	size_t file_count;
	const struct core_thread *threads; /* the first is the one that debuggers select */
	size_t thread_count;               /* at least 1 */
};

/*
 * All notes, with an alignment of 4, for the caller to free. One description is below 2 GiB. NULL: no
 * memory.
 */
uint8_t *core_notes_encode(const struct core_process *process, size_t *size);

#endif
